"""The folder ``corpus/``: what was fetched, the text made of it, and what is known about each source.

    corpus/snapshots/ab/abcdef…     bytes as they came, named by their SHA-256; never changed
    corpus/documents/ID.md          the extracted text behind a front matter in YAML; ID is the document's
    corpus/state.sqlite             one row per source (last try, last good text, validators), and the last runs

A snapshot is written before the document, the document before the row that names it, each through a temporary file and a rename: whoever
is killed in between leaves only files that no row names yet. A failed try changes ``checked_at``, ``status``, ``reason`` and ``since``,
never the text that was there. A document that its row no longer names is deleted, a snapshot never.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from roadmap_rag.domain import Document, Page, State, Validators
from roadmap_rag.errors import StorageError
from roadmap_rag.files import write_atomically, writing

STALE_AFTER_DAYS = 30
RUNS_KEPT = 50

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sources (
    url TEXT PRIMARY KEY, outcome TEXT NOT NULL, reason TEXT NOT NULL, since TEXT, checked_at TEXT, http_status INTEGER,
    fetched_url TEXT, fetched_at TEXT, etag TEXT, last_modified TEXT, moved_to TEXT, snapshot TEXT, content_type TEXT,
    document_id TEXT, title TEXT, kind TEXT, characters INTEGER, by_hand INTEGER NOT NULL DEFAULT 0, notes TEXT, made_with TEXT,
    reported_id TEXT, sketch BLOB
);
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, started TEXT NOT NULL, summary TEXT NOT NULL, sources TEXT NOT NULL);
"""


class _FrontMatter(yaml.SafeDumper):
    """Strings with a line end of Unicode (NEL, LS, PS) are quoted with escapes: in any other style they come back as spaces."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if re.search("[\x85\u2028\u2029]", data) else None)


_FrontMatter.add_representer(str, _FrontMatter.represent_str)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known about one source.

    ``outcome`` of the last try: ok, failed or blocked; ``reason`` why, and ``since`` when it began to be so. ``notes`` are about the text
    that is stored, and ``made_with`` says by which extraction it was made. ``reported_id`` is the document of the last finished report.
    """

    url: str
    outcome: str
    reason: str = ""
    since: str | None = None
    checked_at: str | None = None
    http_status: int | None = None
    fetched_url: str | None = None
    fetched_at: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    moved_to: str | None = None
    snapshot: str | None = None
    content_type: str | None = None
    document_id: str | None = None
    title: str = ""
    kind: str = ""
    characters: int = 0
    by_hand: bool = False
    notes: str = ""
    made_with: str | None = None
    reported_id: str | None = None
    sketch: tuple[int, ...] = ()

    @property
    def validators(self) -> Validators | None:
        """What to ask with whether the page has changed; None where the server gave nothing or the text came by hand."""
        if not self.fetched_url or not self.document_id or self.by_hand or not (self.etag or self.last_modified):
            return None
        return Validators(self.fetched_url, self.etag, self.last_modified)

    @property
    def remark(self) -> str:
        """Why the last try failed, else what is to be known about the text."""
        return self.reason if self.outcome != "ok" else self.notes

    def state(self, now: str) -> State:
        """``now`` as ISO 8601; a text whose last try failed, or that is older than 30 days, is stale."""
        if self.document_id is None:
            return "blocked" if self.outcome == "blocked" else "failed"
        checked = self.checked_at or self.fetched_at
        old = checked is not None and not self.by_hand and _days_between(checked, now) > STALE_AFTER_DAYS
        return "stale" if self.outcome != "ok" or old else "fetched"


class Corpus:
    """The folder. Reading is free for all; writing is for the process that holds the ingest lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = folder / "state.sqlite"

    def prepare(self) -> None:
        """Make the folder and its database, or say which folder cannot be written."""
        with writing(self.folder):
            for name in ("snapshots", "documents", "notes"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            with self._connect() as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_SCHEMA)
                there = {row["name"] for row in connection.execute("PRAGMA table_info(sources)")}
                for name in ("notes", "made_with", "reported_id"):
                    if name not in there:
                        connection.execute(f"ALTER TABLE sources ADD COLUMN {name} TEXT")

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Saves inside wait for the disk once, at the end: SQLite tidies up whenever the last connection is closed."""
        with self._connect():
            yield

    def states(self) -> dict[str, SourceState]:
        """Every source that was ever tried, by link."""
        if not self._database.exists():
            return {}
        with self._connect() as connection:
            return {row["url"]: _state(row) for row in connection.execute("SELECT * FROM sources")}

    def save(self, *states: SourceState) -> None:
        """Remember what is known of sources, all in one step."""
        if not states:
            return
        names = list(SourceState.__dataclass_fields__)
        rows = [
            {name: getattr(state, name) for name in names} | {"by_hand": int(state.by_hand), "sketch": array("Q", state.sketch).tobytes()}
            for state in states
        ]
        query = f"INSERT OR REPLACE INTO sources ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608 -- fields
        with writing(self.folder), self._connect() as connection:
            connection.executemany(query, rows)

    def forget(self, urls: Sequence[str]) -> None:
        """Drop sources that have left the roadmap: their rows and documents. The snapshots stay until everything is forgotten."""
        if not urls:
            return
        states = self.states()
        with writing(self.folder):
            with self._connect() as connection:
                connection.executemany("DELETE FROM sources WHERE url = ?", [(url,) for url in urls])
            for url in urls:
                self.drop_document(states[url].document_id if url in states else None)

    def clear(self) -> None:
        """Delete everything that was fetched; the roadmap, the user's links and notes stay."""
        with writing(self.folder):
            for path in (self._database, *self.folder.glob("state.sqlite-*")):
                path.unlink(missing_ok=True)
            for name in ("documents", "snapshots", "robots"):
                if (self.folder / name).exists():
                    shutil.rmtree(self.folder / name)

    def save_snapshot(self, body: bytes) -> str:
        """Store bytes under their SHA-256 and return it."""
        name = hashlib.sha256(body).hexdigest()
        path = self._snapshot_path(name)
        if not path.exists():
            with writing(self.folder):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, body)
        return name

    def snapshot(self, name: str) -> bytes:
        try:
            return self._snapshot_path(name).read_bytes()
        except OSError as error:
            raise StorageError(f"the snapshot {name[:12]}… is missing from {self.folder}; run: roadmap-rag ingest --refresh") from error

    def save_document(self, document: Document) -> None:
        front = {
            "url": document.url,
            "title": document.title,
            "kind": document.kind,
            "author": document.author,
            "published": document.published,
            "notes": list(document.notes),
        }
        head = yaml.dump(front, Dumper=_FrontMatter, allow_unicode=True, sort_keys=False, width=10_000)
        with writing(self.folder):
            write_atomically(self._document_path(document.id), f"---\n{head}---\n{document.text}".encode("utf-8", "surrogatepass"))

    def drop_document(self, document_id: str | None) -> None:
        """Delete a document that no row names any more."""
        if document_id is not None:
            with writing(self.folder):
                self._document_path(document_id).unlink(missing_ok=True)

    def has_document(self, state: SourceState) -> bool:
        return state.document_id is not None and self._document_path(state.document_id).exists()

    def has_snapshot(self, state: SourceState) -> bool:
        return state.snapshot is not None and self._snapshot_path(state.snapshot).exists()

    def document(self, url: str) -> Document | None:
        """The stored text of a source, or None."""
        if not self._database.exists():
            return None
        with self._connect() as connection:
            row = connection.execute("SELECT document_id FROM sources WHERE url = ?", (url,)).fetchone()
        if row is None or row["document_id"] is None:
            return None
        path = self._document_path(row["document_id"])
        try:
            data = path.read_bytes().decode("utf-8", "surrogatepass")
            head, _, text = data.removeprefix("---\n").partition("\n---\n")
            front = yaml.safe_load(head)
            notes = tuple(front["notes"])
            return Document(front["url"], front["title"], text, front["kind"], front["author"], str(front["published"] or ""), notes)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise StorageError(f"{path} cannot be read ({type(error).__name__}); run: roadmap-rag ingest --offline") from error

    def page(self, state: SourceState) -> Page:
        """The stored bytes as the page they were, to extract them again without a network."""
        assert state.snapshot is not None
        return Page(
            url=state.url,
            fetched_url=state.fetched_url or state.url,
            http_status=state.http_status or 200,
            content_type=state.content_type or "",
            body=self.snapshot(state.snapshot),
            fetched_at=state.fetched_at or "",
            etag=state.etag,
            last_modified=state.last_modified,
            requests=0,
        )

    def save_run(self, started: str, summary: dict[str, Any], rows: list[dict[str, Any]], reported: Sequence[str] = ()) -> None:
        """Remember a finished run. The texts of the sources in ``reported`` are known to the user from now on."""
        with writing(self.folder), self._connect() as connection:
            connection.execute(
                "INSERT INTO runs (started, summary, sources) VALUES (?, ?, ?)", (started, json.dumps(summary), json.dumps(rows))
            )
            connection.executemany("UPDATE sources SET reported_id = document_id WHERE url = ?", [(url,) for url in reported])
            connection.execute("DELETE FROM runs WHERE id <= (SELECT MAX(id) FROM runs) - ?", (RUNS_KEPT,))

    def runs(self, last: int = 5) -> list[dict[str, Any]]:
        """The last runs, newest first: when they started, their summary and their rows."""
        if not self._database.exists():
            return []
        with self._connect() as connection:
            rows = connection.execute("SELECT started, summary, sources FROM runs ORDER BY id DESC LIMIT ?", (last,)).fetchall()
        return [{"started": row[0], "summary": json.loads(row[1]), "sources": json.loads(row[2])} for row in rows]

    def notes(self) -> list[Path]:
        """The user's own files, sorted by name."""
        folder = self.folder / "notes"
        suffixes = {".md", ".markdown", ".pdf", ".html", ".htm", ".ipynb", ".txt", ".rst", ".vtt", ".srt"}
        if not folder.is_dir():
            return []
        return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in suffixes)

    def _snapshot_path(self, name: str) -> Path:
        return self.folder / "snapshots" / name[:2] / name

    def _document_path(self, document_id: str) -> Path:
        return self.folder / "documents" / f"{document_id}.md"

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._database, timeout=30)) as connection, connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA synchronous=NORMAL")  # with WAL: after a power cut the last tries may be unknown, not broken
                yield connection
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self._database} cannot be used: {error}; see: roadmap-rag doctor") from error


def merge_try(old: SourceState | None, new: SourceState) -> SourceState:
    """What is known after a try: a failed one keeps the text that was there, and ``since`` moves only when the outcome changes."""
    since = old.since if old and old.outcome == new.outcome and old.since else new.checked_at
    if new.outcome == "ok" or old is None or old.document_id is None:
        return replace(new, since=since)
    return replace(
        old, outcome=new.outcome, reason=new.reason, since=since, checked_at=new.checked_at, http_status=new.http_status or old.http_status
    )


def _state(row: sqlite3.Row) -> SourceState:
    values = {name: row[name] for name in SourceState.__dataclass_fields__}
    sketch = array("Q")
    if isinstance(row["sketch"], bytes):
        sketch.frombytes(row["sketch"])
    texts = {name: row[name] or "" for name in ("title", "kind", "notes")}
    return SourceState(
        **(values | texts | {"by_hand": bool(row["by_hand"]), "characters": row["characters"] or 0, "sketch": tuple(sketch)})
    )


def _days_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds() / 86_400

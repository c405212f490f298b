"""The index: passages in Chroma (dense) and SQLite FTS5 (lexical), kept in generations that are never changed once they are current.

    index/CURRENT                   the name of the generation that answers
    index/generations/NAME/         chroma/, passages.sqlite (documents, passages, lexical index), manifest.json
    index/cache/                    embeddings and the query encoder; outside the generations, never rebuilt
    index/ingest.lock               one writer at a time

A new generation starts as a copy of the current one, is changed, counted, and becomes current by one atomic rename of ``CURRENT``. Readers
keep the generation that they opened; it is removed when nobody has it open. A name is never used twice, because Chroma keeps what it
knows about a path. With a Chroma server the vectors are there, and what else belongs to a generation comes from there (``server``).
FTS5 is fed with our own terms, so that ``num_ctx``, ``bge-small`` and C++ are words; unlike an index in arrays it changes in place, so
that one changed page costs that page. A search reads each term's postings from it once and scores them in arrays, with its own formula:
its ranking function looks every passage's length up anew. Without vectors in hand nothing is written: they are passed in.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import numpy as np

from roadmap_rag import chunk as chunking
from roadmap_rag.domain import Chunk, Document, digest
from roadmap_rag.errors import IndexMismatchError, IndexMissingError, LockedError, StorageError
from roadmap_rag.files import write_atomically, writing
from roadmap_rag.index.server import COSINE, ChromaServer
from roadmap_rag.recent import Recent
from roadmap_rag.text import terms

try:
    import fcntl
except ImportError:  # on Windows a folder in use cannot be removed anyway, which is what the lock is for
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
"""Layout of a generation: another number means that it has to be built anew."""

_OUTLINE = "SELECT row, url, place, section, start, stop, vector FROM passages"
REBUILD = "roadmap-rag ingest --offline"
_CHROMA_BATCH = 2_000
_MARKS = 500
_FIELDS = ("title", "section", "body")
_FIELD_WEIGHTS = (2.0, 2.0, 1.0)
"""Weights of title, section and text in the lexical score."""
_SATURATION, _LENGTH_SHARE = 1.2, 0.75
"""BM25's k1 and b, as FTS5 has them."""
_LEAST_RARITY = 1e-6
"""Of a term that stands in most passages, for which BM25's formula would be negative."""
_LISTED = ", ".join(f"group_concat(doc) FILTER (WHERE col = '{name}')" for name in _FIELDS)
_INSTANCES = f"SELECT {_LISTED} FROM temp.instances WHERE term = ?"  # noqa: S608 -- constants
"""As text, a field a column: Python takes four times as long for a row an instance."""
_KEPT_POSTINGS = 4_000_000
"""16 bytes each."""
_SCANNED = 20_000
"""Passages up to which the index is held in memory and every vector is compared: quicker than Chroma's graph, which costs 2 ms before it
compares any, and it misses none. 2 KB each, 50 ms a thousand to read."""
_KEPT_OUTLINES = 50_000
_KEPT_TERMS = 20_000
_KEPT_CHARACTERS = 8_000_000

_SCHEMA = """
CREATE TABLE documents (
    url TEXT PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, fetched_at TEXT,
    snapshot TEXT, topics TEXT NOT NULL, also TEXT NOT NULL, position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE passages (
    row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, url TEXT NOT NULL, place INTEGER NOT NULL, section TEXT NOT NULL,
    start INTEGER NOT NULL, stop INTEGER NOT NULL, vector TEXT NOT NULL
);
CREATE INDEX passages_by_place ON passages (url, place);
CREATE VIRTUAL TABLE lexical USING fts5 (title, section, body, tokenize = "unicode61 remove_diacritics 0 tokenchars '-_.+#&/'");
"""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What makes two indexes comparable. Sizes are in tokens of the embedder."""

    embedder: str
    limit: int
    overlap: int = 0
    chunking: int = chunking.VERSION
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of the index without its text. ``position`` is its place in roadmap order."""

    url: str
    id: str
    title: str
    kind: str
    position: int
    topics: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    fetched_at: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to index; its text is loaded only when it has changed."""

    document: StoredDocument
    load: Callable[[], Document]


@dataclass(frozen=True, slots=True)
class Manifest:
    generation: str
    made_at: str
    settings: IndexSettings
    documents: int
    chunks: int
    dimensions: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored chunk; ``place`` counts the passages of its document from 0."""

    row: int
    chunk: Chunk
    place: int
    document: StoredDocument


@dataclass(frozen=True, slots=True)
class Outline:
    """A passage without its text. ``vector`` is the digest of what was embedded."""

    row: int
    url: str
    place: int
    section: str
    start: int
    stop: int
    vector: str


class _Outlines(NamedTuple):
    """All of one generation, by row and by document and place."""

    by_row: Mapping[int, Outline]
    by_place: Mapping[tuple[str, int], Outline]


class _Postings(NamedTuple):
    """The rows that hold a term, ascending, and what it adds to the lexical score of each."""

    rows: np.ndarray[Any, np.dtype[np.int64]]
    scores: np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did. ``generation`` is None when nothing had to change."""

    generation: str | None
    embedded: int
    added: int
    changed: int
    removed: int
    chunks: dict[str, int] = field(default_factory=dict)
    """Passages by document, for the documents that were given."""


Embed = Callable[[Sequence[str]], tuple["np.ndarray[Any, np.dtype[np.float32]]", int]]
"""Vectors for texts, and how many of them the model had to compute."""


class Generation:
    """One generation, open for reading from several threads until closed."""

    def __init__(self, folder: Path, server: ChromaServer | None = None) -> None:
        self.folder = folder
        self._server = server
        self.manifest = _read_manifest(folder)
        self._guard = _hold(folder)
        self._lock = threading.Lock()
        self._vectors_lock = threading.Lock()
        self._passages = sqlite3.connect(f"{(folder / 'passages.sqlite').as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._passages.row_factory = sqlite3.Row
        self._client: Any = None
        self._collection: Any = None
        self._scanned: tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float32]]] | None = None
        self._documents: dict[str, StoredDocument] | None = None
        self._vocabulary = False
        self._lengths: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._texts: Recent[str, str] = Recent(_KEPT_CHARACTERS, len)
        self._counts: Recent[str, int] = Recent(_KEPT_TERMS)
        self._postings: Recent[str, _Postings] = Recent(_KEPT_POSTINGS, lambda postings: len(postings.rows))
        self._outlines: _Outlines | None = None
        self._by_row: Recent[int, Outline] = Recent(_KEPT_OUTLINES)
        self._by_place: Recent[tuple[str, int], Outline | None] = Recent(_KEPT_OUTLINES)

    def close(self) -> None:
        with self._lock, self._vectors_lock:
            if self._client is not None:
                self._client.close()
                self._client = None
            self._passages.close()
            if self._guard is not None:
                self._guard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def documents(self) -> dict[str, StoredDocument]:
        """Every document without its text, by link, in roadmap order."""
        if self._documents is None:
            query = "SELECT url, id, title, kind, fetched_at, snapshot, topics, also, position FROM documents ORDER BY position, url"
            with self._lock:
                self._documents = {row["url"]: _stored(row) for row in self._passages.execute(query)}
        return self._documents

    def chunk_counts(self) -> dict[str, int]:
        """Passages by document."""
        with self._lock:
            return dict(self._passages.execute("SELECT url, COUNT(*) FROM passages GROUP BY url").fetchall())

    def text(self, url: str) -> str | None:
        """The stored text of a document, or None."""
        return self._texts.get([url], self._read_texts).get(url)

    def _read_texts(self, urls: Sequence[str]) -> dict[str, str]:
        query = "SELECT url, text FROM documents WHERE url IN (SELECT value FROM json_each(?))"
        with self._lock:
            return dict(self._passages.execute(query, (json.dumps(urls),)).fetchall())

    def dense(self, vector: np.ndarray[Any, Any], k: int, urls: Collection[str] | None = None) -> list[tuple[int, float]]:
        """The k nearest passages as (row, cosine similarity), best first; only those of ``urls`` when given."""
        k = min(k, self.manifest.chunks)
        if k == 0 or (urls is not None and not urls):
            return []
        if self._server is None and self.manifest.chunks <= _SCANNED:
            return self._scan(vector, k, urls)
        collection = self._open_collection()
        where = None if urls is None else {"url": {"$in": sorted(urls)}}
        with self._vectors_lock:
            found = collection.query(query_embeddings=vector[None, :], n_results=k, where=where, include=["distances"])
        return [(int(name), 1.0 - distance) for name, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def _scan(self, vector: np.ndarray[Any, Any], k: int, urls: Collection[str] | None) -> list[tuple[int, float]]:
        rows, vectors = self._read_vectors()
        similarities = vectors @ _unit(vector)
        if urls is not None:
            wanted = np.isin(rows, self._rows_of(urls))
            rows, similarities = rows[wanted], similarities[wanted]
        return _best(rows, similarities, k)

    def _read_vectors(self) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float32]]]:
        """All rows and their vectors as Chroma has them, of unit length."""
        collection = self._open_collection()
        with self._vectors_lock:
            if self._scanned is None:
                rows = np.zeros(self.manifest.chunks, dtype=np.int64)
                vectors = np.zeros((len(rows), self.manifest.dimensions), dtype=np.float32)
                for first in range(0, len(rows), _CHROMA_BATCH):
                    page = collection.get(limit=_CHROMA_BATCH, offset=first, include=["embeddings"])
                    rows[first : first + _CHROMA_BATCH] = [int(name) for name in page["ids"]]
                    vectors[first : first + _CHROMA_BATCH] = page["embeddings"]
                self._scanned = rows, _unit(vectors)
            return self._scanned

    def lexical(self, words: Sequence[str], k: int, urls: Collection[str] | None = None) -> list[tuple[int, float]]:
        """The k best passages by BM25 over title, section and text as (row, score), best first; passages without any word are left out.

        ``words`` are search terms as ``text.terms`` makes them; ``urls`` are the documents to search, None for all of them.
        """
        distinct = list(dict.fromkeys(words))
        if not distinct or (urls is not None and not urls):
            return []
        postings = self._postings.get(distinct, self._read_postings)
        scores = np.zeros(len(self._read_lengths()))
        for word in distinct:
            rows, added = postings[word]
            scores[rows] += added
        if urls is not None:
            scores[~np.isin(np.arange(len(scores)), self._rows_of(urls))] = 0
        rows = np.flatnonzero(scores)
        return _best(rows, scores[rows], k)

    def _read_postings(self, words: Sequence[str]) -> dict[str, _Postings]:
        lengths = self._read_lengths()
        passages = max(1, self.manifest.chunks)
        average = float(lengths.sum()) / passages
        postings: dict[str, _Postings] = {}
        for word in words:
            with self._lock:
                self._open_vocabulary()
                found = self._passages.execute(_INSTANCES, (word,)).fetchone()
            places = [np.fromstring(listed or "", dtype=np.int64, sep=",") for listed in found]
            rows, number = np.unique(np.concatenate(places), return_inverse=True)
            counts = np.bincount(number, np.repeat(_FIELD_WEIGHTS, [len(place) for place in places]), len(rows))
            rarity = np.log((passages - len(rows) + 0.5) / (len(rows) + 0.5))
            saturated = counts + _SATURATION * (1 - _LENGTH_SHARE + _LENGTH_SHARE * lengths[rows] / average)
            postings[word] = _Postings(rows, max(rarity, _LEAST_RARITY) * counts * (_SATURATION + 1) / saturated)
        return postings

    def _read_lengths(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The terms of each passage, by row; 0 where there is none."""
        if self._lengths is None:
            with self._lock:
                stored = self._passages.execute("SELECT id, sz FROM lexical_docsize ORDER BY id").fetchall()
            lengths = np.zeros(stored[-1][0] + 1 if stored else 0, dtype=np.int64)
            lengths[[row for row, _ in stored]] = [_sum_of_integers(sizes) for _, sizes in stored]
            self._lengths = lengths
        return self._lengths

    def _rows_of(self, urls: Collection[str]) -> list[int]:
        query = "SELECT row FROM passages WHERE url IN (SELECT value FROM json_each(?))"
        with self._lock:
            return [row["row"] for row in self._passages.execute(query, (json.dumps(list(urls)),))]

    def frequencies(self, words: Collection[str]) -> dict[str, int]:
        """In how many passages each search term stands; terms that stand in none are left out."""
        return {word: count for word, count in self._counts.get(words, self._count).items() if count}

    def _count(self, words: Sequence[str]) -> dict[str, int]:
        query = "SELECT term, doc FROM temp.vocabulary WHERE term IN (SELECT value FROM json_each(?))"
        with self._lock:
            self._open_vocabulary()
            return dict.fromkeys(words, 0) | dict(self._passages.execute(query, (json.dumps(words),)).fetchall())

    def _open_vocabulary(self) -> None:
        """FTS5's own view of its terms: the passages of each, and each place where it stands."""
        if not self._vocabulary:
            self._passages.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, lexical, row)")
            self._passages.execute("CREATE VIRTUAL TABLE temp.instances USING fts5vocab (main, lexical, instance)")
            self._vocabulary = True

    def outlines(self, rows: Collection[int]) -> dict[int, Outline]:
        """Passages without their texts, by row."""
        if (every := self._read_outlines()) is not None:
            return {row: every.by_row[row] for row in rows if row in every.by_row}
        return self._by_row.get(rows, self._read_rows)

    def _read_outlines(self) -> _Outlines | None:
        """Every outline of a small index: a question needs some hundred of them, and looking them up takes as long as comparing vectors."""
        if self._outlines is None and self.manifest.chunks <= _SCANNED:
            with self._lock:
                found = [Outline(*row) for row in self._passages.execute(_OUTLINE)]
            self._outlines = _Outlines({one.row: one for one in found}, {(one.url, one.place): one for one in found})
        return self._outlines

    def _read_rows(self, rows: Sequence[int]) -> dict[int, Outline]:
        wanted = json.dumps([int(row) for row in rows])
        with self._lock:
            found = self._passages.execute(f"{_OUTLINE} WHERE row IN (SELECT value FROM json_each(?))", (wanted,)).fetchall()  # noqa: S608 -- a constant
        return {row["row"]: Outline(*row) for row in found}

    def outlines_at(self, places: Collection[tuple[str, int]]) -> list[Outline]:
        """The passages at these places of these documents, as far as there are any."""
        if (every := self._read_outlines()) is not None:
            return [every.by_place[place] for place in places if place in every.by_place]
        return [outline for outline in self._by_place.get(places, self._read_places).values() if outline is not None]

    def _read_places(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Outline | None]:
        query = (
            f"{_OUTLINE} JOIN json_each(?) wanted ON url = json_extract(wanted.value, '$[0]') "
            "AND place = json_extract(wanted.value, '$[1]')"
        )
        with self._lock:
            found = [Outline(*row) for row in self._passages.execute(query, (json.dumps(places),))]
        return dict.fromkeys(places) | {(outline.url, outline.place): outline for outline in found}

    def outlines_of(self, urls: Collection[str]) -> list[Outline]:
        """The passages of these documents without their texts, in order."""
        if not urls:
            return []
        query = f"{_OUTLINE} WHERE url IN (SELECT value FROM json_each(?)) ORDER BY url, place"  # noqa: S608 -- a constant
        with self._lock:
            return [Outline(*row) for row in self._passages.execute(query, (json.dumps(list(urls)),))]

    def passages(self, rows: Collection[int]) -> dict[int, Passage]:
        """Passages with their texts, by row."""
        return {passage.row: passage for passage in self._select("row", list(rows))}

    def passages_of(self, url: str) -> list[Passage]:
        """All passages of one document in order."""
        return sorted(self._select("url", [url]), key=lambda passage: passage.place)

    def _select(self, column: str, values: Sequence[Any]) -> Iterator[Passage]:
        documents = self.documents()
        for first in range(0, len(values), _MARKS):
            part = values[first : first + _MARKS]
            marks = ",".join("?" * len(part))
            query = (
                "SELECT p.*, substr(d.text, p.start + 1, p.stop - p.start) AS text FROM passages p JOIN documents d ON d.url = p.url "  # noqa: S608
                f"WHERE p.{column} IN ({marks})"
            )
            with self._lock:
                found = self._passages.execute(query, part).fetchall()
            for row in found:
                document = documents[row["url"]]
                piece = Chunk(row["id"], row["url"], document.title, row["section"], row["start"], row["stop"], row["text"])
                yield Passage(row["row"], piece, row["place"], document)

    def _open_collection(self) -> Any:
        with self._vectors_lock:
            if self._collection is None and self._server is not None:
                self._collection = self._server.vectors(self.manifest.generation)
            elif self._collection is None:
                self._client = _chroma(self.folder / "chroma")
                self._collection = self._client.get_collection("passages", embedding_function=None)
            return self._collection


class Index:
    """The folder ``index/``. ``server`` is the address of a Chroma server that keeps the generations, empty without one."""

    def __init__(self, folder: Path, server: str = "") -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self._server = ChromaServer(server) if server else None
        self._generations = folder / ("served" if server else "generations")
        self._name: str | None = None
        self._read_at: tuple[int, int] | None = None

    def close(self) -> None:
        """Let go of the server; without one there is nothing to do. Generations are closed by those who opened them."""
        if self._server is not None:
            self._server.close()

    def current(self) -> str | None:
        """The name of the generation that answers, or None before the first ingest. With a server its files are here afterwards."""
        if self._server is not None:
            served = self._server.current()
            if served is not None and not (self._generations / served / "manifest.json").exists():
                self._server.fetch(served, self._generations / served)
            return served
        try:
            stat = (self.folder / "CURRENT").stat()
            if (stat.st_ino, stat.st_mtime_ns) == self._read_at:
                return self._name
            name = (self.folder / "CURRENT").read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self.folder / 'CURRENT'} cannot be read ({error.strerror}); change its permissions") from error
        if not (self._generations / name / "manifest.json").exists():
            return None
        self._name, self._read_at = name, (stat.st_ino, stat.st_mtime_ns)
        return name

    def open(self, settings: IndexSettings | None = None) -> Generation:
        """Open the current generation; refuse one that was made with other settings than those given."""
        for _ in range(3):  # a generation may be removed between reading its name and opening it
            name = self.current()
            if name is None:
                raise IndexMissingError("nothing is indexed yet; run: roadmap-rag ingest")
            try:
                generation = Generation(self._generations / name, self._server)
            except (FileNotFoundError, sqlite3.OperationalError):
                continue
            if settings is not None and generation.manifest.settings != settings:
                made = generation.manifest.settings
                generation.close()
                raise IndexMismatchError(f"the index was made with {_difference(made, settings)}; rebuild it with: {REBUILD}")
            return generation
        raise StorageError(f"{self.folder} holds no readable generation; rebuild it with: {REBUILD}")

    def documents(self, settings: IndexSettings | None = None) -> dict[str, StoredDocument]:
        """Every document of the current generation by link; none when it cannot be read or was made with other settings."""
        try:
            with self.open(settings) as generation:
                return dict(generation.documents())
        except (IndexMissingError, IndexMismatchError, sqlite3.DatabaseError):
            return {}

    def outdated(self, entries: Sequence[Entry], settings: IndexSettings) -> list[Entry]:
        """The entries whose passages a write would have to make."""
        stored = self.documents(settings)
        return [entry for entry in entries if not _same_passages(stored.get(entry.document.url), entry.document)]

    def clear(self) -> None:
        """Delete every generation and the embedding cache; readers that have one open keep it until they close it."""
        with writing(self.folder):
            (self.folder / "CURRENT").unlink(missing_ok=True)
            for name in ("generations", "served", "cache"):
                if (self.folder / name).exists():
                    shutil.rmtree(self.folder / name)
        if self._server is not None:
            self._server.clear()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer, or raise LockedError with the process id of the one there is. A dead process's lock is free."""
        from filelock import FileLock, Timeout

        holder = self.folder / "ingest.pid"
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "ingest.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout as error:
                pid = int(_read_or(holder, "0") or 0)
                raise LockedError(f"another ingest is running (process {pid}); wait for it, or end it", pid=pid) from error
        try:
            with writing(self.folder):
                holder.write_text(str(os.getpid()), "utf-8")
                self._sweep()
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def write(
        self,
        entries: Sequence[Entry],
        *,
        settings: IndexSettings,
        token_spans: chunking.TokenSpans,
        embed: Embed,
        now: str,
        remove: Callable[[str], bool] = lambda _: False,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Written:
        """Make the entries current. Documents that are not among them stay, unless ``remove(url)`` says otherwise.

        Only changed documents are chunked, only passages whose embedded text changed are given to ``embed``. Raises StorageError when
        the folder cannot be written; the generation that answers is then still the old one. Must be called under ``lock()``.
        """
        with writing(self.folder), _chroma_errors(self.folder):
            return self._write(entries, settings, token_spans, embed, now, remove, progress)

    def _write(
        self,
        entries: Sequence[Entry],
        settings: IndexSettings,
        token_spans: chunking.TokenSpans,
        embed: Embed,
        now: str,
        remove: Callable[[str], bool],
        progress: Callable[[int, int], None],
    ) -> Written:
        old = self.current()
        stored = self.documents(settings)
        start = self._generations / old if old and stored else None
        changed = [entry for entry in entries if stored.get(entry.document.url) != entry.document]
        leaving = [url for url in stored if remove(url)]
        if start and not changed and not leaving:
            return Written(None, 0, 0, 0, 0, _chunk_counts(start, entries))

        name = f"{_number(old) + 1:05d}-{secrets.token_hex(3)}"
        folder = self._generations / name
        try:
            if start:
                shutil.copytree(start, folder, ignore=shutil.ignore_patterns("manifest.json", "readers.lock"))
            else:
                folder.mkdir(parents=True)
            with _Writer(folder, self._collection(folder, name, old if start else None)) as writer:
                for url in leaving:
                    writer.forget(url)
                embedded = 0
                for number, entry in enumerate(changed):
                    progress(number, len(changed))
                    if _same_passages(stored.get(entry.document.url), entry.document):
                        writer.describe(entry.document)
                    else:
                        embedded += writer.replace(entry, settings, token_spans, embed)
                progress(len(changed), len(changed))
                chunks, dimensions = writer.count()
                documents = writer.documents()
            _write_manifest(folder, Manifest(name, now, settings, documents, chunks, dimensions))
            self._switch(name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if self._server is not None:
                with contextlib.suppress(StorageError):
                    self._server.drop(name)
            raise
        self._sweep()
        new = sum(entry.document.url not in stored for entry in changed)
        return Written(name, embedded, new, len(changed) - new, len(leaving), _chunk_counts(folder, entries))

    def _collection(self, folder: Path, name: str, copy_of: str | None) -> tuple[Any, Any]:
        """The client, if it is ours to close, and the collection for the vectors of a new generation."""
        if self._server is not None:
            return None, self._server.begin(name, copy_of)
        client = _chroma(folder / "chroma")
        return client, client.get_or_create_collection("passages", embedding_function=None, configuration=COSINE)

    def _switch(self, name: str) -> None:
        if self._server is not None:
            self._server.publish(name, self._generations / name)
            return
        write_atomically(self.folder / "CURRENT", name.encode())

    def _sweep(self) -> None:
        """Remove generations that are not current and that nobody has open, and files that a killed process left."""
        keep = self.current()
        for folder in self._generations.iterdir() if self._generations.is_dir() else ():
            if folder.name != keep and _unused(folder):
                shutil.rmtree(folder, ignore_errors=True)
        for partial in self.folder.glob(".CURRENT.*.partial"):
            partial.unlink(missing_ok=True)


class _Writer:
    """Changes one generation that nobody reads yet."""

    def __init__(self, folder: Path, vectors: tuple[Any, Any]) -> None:
        fresh = not (folder / "passages.sqlite").exists()
        self._passages = sqlite3.connect(folder / "passages.sqlite")
        self._passages.row_factory = sqlite3.Row
        self._passages.execute("PRAGMA synchronous=OFF")  # an unfinished generation is thrown away whole
        if fresh:
            self._passages.executescript(_SCHEMA)
        self._client, self._collection = vectors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._passages.commit()
        self._passages.close()
        if self._client is not None:
            self._client.close()

    def forget(self, url: str) -> None:
        rows = [row["row"] for row in self._passages.execute("SELECT row FROM passages WHERE url = ?", (url,))]
        self._delete(rows)
        self._passages.execute("DELETE FROM documents WHERE url = ?", (url,))

    def describe(self, about: StoredDocument) -> None:
        """Change what is known about a document whose text and title are the same."""
        self._passages.execute(
            "UPDATE documents SET kind = ?, fetched_at = ?, snapshot = ?, topics = ?, also = ?, position = ? WHERE url = ?",
            (about.kind, about.fetched_at, about.snapshot, json.dumps(about.topics), json.dumps(about.also), about.position, about.url),
        )

    def replace(self, entry: Entry, settings: IndexSettings, token_spans: chunking.TokenSpans, embed: Embed) -> int:
        """Bring one document up to date; returns how many texts the model had to embed."""
        document, about = entry.load(), entry.document
        before = {row["id"]: row for row in self._passages.execute("SELECT * FROM passages WHERE url = ?", (document.url,))}
        passages = chunking.chunk(document, token_spans, limit=settings.limit, overlap=settings.overlap)
        self._passages.execute(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                about.url,
                about.id,
                about.title,
                about.kind,
                document.text,
                about.fetched_at,
                about.snapshot,
                json.dumps(about.topics),
                json.dumps(about.also),
                about.position,
            ),
        )
        self._delete([row["row"] for name, row in before.items() if name not in {passage.id for passage in passages}])
        texts = {passage.id: embedded_text(passage) for passage in passages}
        fresh = [passage for passage in passages if passage.id not in before or before[passage.id]["vector"] != digest(texts[passage.id])]
        vectors, computed = embed([texts[passage.id] for passage in fresh])
        rows: list[int] = []
        for place, passage in enumerate(passages):
            values = (document.url, place, passage.section, passage.start, passage.end, digest(texts[passage.id]), passage.id)
            if passage.id in before:
                self._passages.execute(
                    "UPDATE passages SET url = ?, place = ?, section = ?, start = ?, stop = ?, vector = ? WHERE id = ?", values
                )
            else:
                self._passages.execute(
                    "INSERT INTO passages (url, place, section, start, stop, vector, id) VALUES (?, ?, ?, ?, ?, ?, ?)", values
                )
        for passage in fresh:
            row = self._passages.execute("SELECT row FROM passages WHERE id = ?", (passage.id,)).fetchone()["row"]
            rows.append(row)
            fields = [" ".join(terms(part)) for part in (passage.title, passage.section, passage.text)]
            self._passages.execute("DELETE FROM lexical WHERE rowid = ?", (row,))
            self._passages.execute("INSERT INTO lexical (rowid, title, section, body) VALUES (?, ?, ?, ?)", (row, *fields))
        for first in range(0, len(rows), _CHROMA_BATCH):
            last = first + _CHROMA_BATCH
            names = [str(row) for row in rows[first:last]]
            self._collection.upsert(ids=names, embeddings=vectors[first:last], metadatas=[{"url": document.url}] * len(names))
        return computed

    def count(self) -> tuple[int, int]:
        """Passages and dimensions, after checking that all three stores hold the same number."""
        passages = self._passages.execute("SELECT COUNT(*) FROM passages").fetchone()[0]
        lexical = self._passages.execute("SELECT COUNT(*) FROM lexical").fetchone()[0]
        dense = self._collection.count()
        if not passages == lexical == dense:
            raise StorageError(
                f"the new index is incomplete ({passages} passages, {lexical} lexical, {dense} dense) and was thrown away; run: {REBUILD}"
            )
        sample = self._collection.get(limit=1, include=["embeddings"])["embeddings"] if passages else []
        return passages, len(sample[0]) if len(sample) else 0

    def documents(self) -> int:
        return int(self._passages.execute("SELECT COUNT(*) FROM documents").fetchone()[0])

    def _delete(self, rows: Sequence[int]) -> None:
        for first in range(0, len(rows), _MARKS):
            part = [(row,) for row in rows[first : first + _MARKS]]
            self._passages.executemany("DELETE FROM passages WHERE row = ?", part)
            self._passages.executemany("DELETE FROM lexical WHERE rowid = ?", part)
            self._collection.delete(ids=[str(row) for (row,) in part])


@contextmanager
def _chroma_errors(folder: Path) -> Iterator[None]:
    """Chroma's own errors while a generation is written: mostly a full disk."""
    try:
        yield
    except Exception as error:
        from chromadb.errors import ChromaError  # here, because a run that writes nothing need not load Chroma

        if not isinstance(error, ChromaError):
            raise
        said = str(error).strip().splitlines()[0]
        raise StorageError(f"{folder} cannot be written: {said}; free some space, then run: roadmap-rag ingest") from error


def embedded_text(passage: Chunk) -> str:
    """What the embedder reads for a passage: the title and section line, then the text."""
    return f"{chunking.heading_line(passage.title, passage.section)}\n{passage.text}"


def _chroma(folder: Path) -> Any:
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _best(rows: np.ndarray[Any, np.dtype[np.int64]], scores: np.ndarray[Any, Any], k: int) -> list[tuple[int, float]]:
    """The k rows with the highest scores, best first; of equal ones the lower row."""
    if len(rows) > k:
        enough = scores >= np.partition(scores, -k)[-k]
        rows, scores = rows[enough], scores[enough]
    order = np.lexsort((rows, -scores))[:k]
    return list(zip(rows[order].tolist(), scores[order].tolist(), strict=True))


def _unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Vectors of length 1, or 0 where they were 0."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), dtype=np.float32)


def _sum_of_integers(data: bytes) -> int:
    """The sum of SQLite's integers of variable length: seven bits a byte, the highest bit set in all but the last byte of each."""
    total = value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            total, value = total + value, 0
    return total


def _stored(row: Mapping[str, Any]) -> StoredDocument:
    return StoredDocument(
        row["url"],
        row["id"],
        row["title"],
        row["kind"],
        row["position"],
        tuple(json.loads(row["topics"])),
        tuple(json.loads(row["also"])),
        row["fetched_at"],
        row["snapshot"],
    )


def _same_passages(stored: StoredDocument | None, wanted: StoredDocument) -> bool:
    return stored is not None and (stored.id, stored.title) == (wanted.id, wanted.title)


def _chunk_counts(folder: Path, entries: Sequence[Entry]) -> dict[str, int]:
    with closing(sqlite3.connect(f"{(folder / 'passages.sqlite').as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        counts = dict(connection.execute("SELECT url, COUNT(*) FROM passages GROUP BY url").fetchall())
    return {entry.document.url: counts.get(entry.document.url, 0) for entry in entries}


def _read_manifest(folder: Path) -> Manifest:
    try:
        values = json.loads((folder / "manifest.json").read_text("utf-8"))
        return Manifest(**{**values, "settings": IndexSettings(**values["settings"])})
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IndexMismatchError(f"{folder / 'manifest.json'} cannot be read; rebuild the index with: {REBUILD}") from error


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    write_atomically(folder / "manifest.json", json.dumps(asdict(manifest), indent=1).encode())


def _difference(made: IndexSettings, wanted: IndexSettings) -> str:
    before, after = asdict(made), asdict(wanted)
    return ", ".join(f"{key} {before[key]} (now {after[key]})" for key in before if before[key] != after[key])


def _number(name: str | None) -> int:
    digits = (name or "").partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _hold(folder: Path) -> IO[str] | None:
    """Mark a generation as open by this process, so that a writer leaves it in place."""
    if fcntl is None:
        return None
    try:
        guard = (folder / "readers.lock").open("a", encoding="utf-8")
    except OSError:
        return None  # a read-only folder: nobody can remove it either
    with contextlib.suppress(OSError):
        fcntl.flock(guard, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return guard


def _unused(folder: Path) -> bool:
    if fcntl is None:
        return True
    try:
        with (folder / "readers.lock").open("a", encoding="utf-8") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read_or(path: Path, default: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return default

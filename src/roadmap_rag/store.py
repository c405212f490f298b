"""``user.sqlite``: conversations with their answers, traces and feedback: the user's own, which nothing rebuilds.

A question that is asked again or edited takes the place of the old one and of what followed it. The old rows are kept, hidden, with the
number of the question that replaced them, because a verdict outlives its answer: "not good, ask again" makes the best evaluation question.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadmap_rag.domain import Answer, Turn
from roadmap_rag.errors import StorageError, UsageError

_SCHEMA = """
PRAGMA journal_mode=WAL;
CREATE TABLE IF NOT EXISTS conversations (id TEXT PRIMARY KEY, title TEXT NOT NULL, made_at TEXT NOT NULL, changed_at TEXT NOT NULL,
    owner TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, asked_at TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, record TEXT NOT NULL, feedback TEXT, feedback_reason TEXT,
    replaced_by INTEGER
);
CREATE INDEX IF NOT EXISTS questions_by_conversation ON questions (conversation, id);
"""
_ADDED_SINCE = (("questions", "replaced_by", "INTEGER"), ("conversations", "owner", "TEXT NOT NULL DEFAULT ''"))
"""Tables, columns and types that a database of an older version lacks."""
_FIND = """
SELECT * FROM conversations WHERE (:owner IS NULL OR owner = :owner) AND (title LIKE :like OR id IN
    (SELECT conversation FROM questions WHERE replaced_by IS NULL AND (question LIKE :like OR answer LIKE :like)))
ORDER BY changed_at DESC, rowid DESC
"""
_TITLE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its answer; ``record`` is the whole answer with citations and trace, as ``ask --json`` prints it."""

    id: int
    asked_at: str
    question: str
    answer: str
    record: dict[str, Any]
    feedback: str | None = None
    feedback_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    title: str
    made_at: str
    changed_at: str
    owner: str = ""
    """The name under which the user logged in; empty in a chat without a password and on the command line."""
    exchanges: tuple[Exchange, ...] = ()

    def before(self, question: int | None) -> tuple[Exchange, ...]:
        """The exchanges before the question with this number, or all of them."""
        return tuple(each for each in self.exchanges if question is None or each.id < question)

    def turns(self, before: int | None = None) -> tuple[Turn, ...]:
        """What was said, oldest first."""
        return tuple(turn for each in self.before(before) for turn in (Turn("user", each.question), Turn("assistant", each.answer)))


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer on which the user gave a verdict, with what had been said before it: enough to ask the question again."""

    id: int
    asked_at: str
    question: str
    history: tuple[Turn, ...]
    answer: str
    refused: bool
    model: str | None
    verdict: str
    """up or down"""
    reason: str
    """In the user's words; may be empty."""
    citations: tuple[str, ...]
    """The links of the passages that the answer cited, each once, in the order of their numbers."""


class Store:
    """The database. Every call opens and closes it, so that several chats and commands can share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, title: str, now: str, owner: str = "") -> str:
        """Begin a conversation and return its id."""
        name = secrets.token_hex(6)
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO conversations (id, title, made_at, changed_at, owner) VALUES (?, ?, ?, ?, ?)",
                (name, _short(title), now, now, owner),
            )
        return name

    def add(self, conversation: str, answer: Answer, now: str, replaces: int | None = None) -> int:
        """Append an answered question and return its number. ``replaces``: the number of the question whose place it takes."""
        record = json.dumps(asdict(answer), ensure_ascii=False)
        with self._connect() as connection:
            cursor = connection.execute(
                "INSERT INTO questions (conversation, asked_at, question, answer, record) VALUES (?, ?, ?, ?, ?)",
                (conversation, now, answer.question, answer.answer, record),
            )
            number = int(cursor.lastrowid or 0)
            if replaces is not None:
                connection.execute(
                    "UPDATE questions SET replaced_by = ? WHERE conversation = ? AND id >= ? AND id < ? AND replaced_by IS NULL",
                    (number, conversation, replaces, number),
                )
            connection.execute("UPDATE conversations SET changed_at = ? WHERE id = ?", (now, conversation))
            return number

    def rename(self, conversation: str, title: str) -> None:
        with self._connect() as connection:
            connection.execute("UPDATE conversations SET title = ? WHERE id = ?", (_short(title), conversation))

    def delete(self, conversation: str) -> None:
        """Delete a conversation with all its questions; UsageError when there is none."""
        with self._connect() as connection:
            if not connection.execute("DELETE FROM conversations WHERE id = ?", (conversation,)).rowcount:
                raise _unknown(conversation)

    def give_feedback(self, question: int, feedback: str | None, reason: str = "") -> None:
        """Remember "up" or "down" with the user's reason; None takes it back."""
        with self._connect() as connection:
            connection.execute("UPDATE questions SET feedback = ?, feedback_reason = ? WHERE id = ?", (feedback, reason or None, question))

    def feedback(self) -> list[Judged]:
        """Every answer with a verdict, the oldest first; those that were asked again since included."""
        with self._connect() as connection:
            return [
                _judged(connection, row) for row in connection.execute("SELECT * FROM questions WHERE feedback IS NOT NULL ORDER BY id")
            ]

    def conversations(self, containing: str = "", owner: str | None = None) -> list[Conversation]:
        """Conversations without their questions, the latest first; those only whose title or text contains a string, when given.

        ``owner``: those of one user; None: everyone's.
        """
        values = {"like": f"%{containing.replace('%', '')}%", "owner": owner}
        with self._connect() as connection:
            return [Conversation(**dict(row)) for row in connection.execute(_FIND, values)]

    def conversation(self, name: str, owner: str | None = None) -> Conversation:
        """A conversation with its questions; UsageError when there is none, or when it is another user's than ``owner``."""
        with self._connect() as connection:
            row = connection.execute("SELECT * FROM conversations WHERE id = ?", (name,)).fetchone()
            if row is None or owner not in (None, row["owner"]):
                raise _unknown(name)
            found = connection.execute(
                "SELECT * FROM questions WHERE conversation = ? AND replaced_by IS NULL ORDER BY id", (name,)
            ).fetchall()
        exchanges = tuple(
            Exchange(
                each["id"],
                each["asked_at"],
                each["question"],
                each["answer"],
                json.loads(each["record"]),
                each["feedback"],
                each["feedback_reason"],
            )
            for each in found
        )
        return Conversation(**dict(row), exchanges=exchanges)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self._path.exists()
            with closing(sqlite3.connect(self._path, timeout=30)) as connection:
                connection.row_factory = sqlite3.Row
                if fresh:
                    connection.executescript(_SCHEMA)
                _bring_up_to_date(connection)
                connection.execute("PRAGMA foreign_keys=ON")
                with connection:
                    yield connection
        except (OSError, sqlite3.DatabaseError) as error:
            raise StorageError(f"{self._path} cannot be used: {error}; change its permissions or set ROADMAP_RAG_HOME") from error


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Add the columns that a database of an older version lacks."""
    for table, column, kind in _ADDED_SINCE:
        have = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        if have and column not in have:
            try:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            except sqlite3.OperationalError as error:  # another process was quicker
                if "duplicate column" not in str(error):
                    raise


def _judged(connection: sqlite3.Connection, row: sqlite3.Row) -> Judged:
    before = connection.execute(
        "SELECT question, answer FROM questions WHERE conversation = ? AND id < ? AND (replaced_by IS NULL OR replaced_by > ?) ORDER BY id",
        (row["conversation"], row["id"], row["id"]),
    )
    record = json.loads(row["record"])
    return Judged(
        id=row["id"],
        asked_at=row["asked_at"],
        question=row["question"],
        history=tuple(turn for each in before for turn in (Turn("user", each["question"]), Turn("assistant", each["answer"]))),
        answer=row["answer"],
        refused=bool(record["refused"]),
        model=record["model"],
        verdict=row["feedback"],
        reason=row["feedback_reason"] or "",
        citations=tuple(dict.fromkeys(citation["url"] for citation in record["citations"])),
    )


def export_markdown(conversation: Conversation) -> str:
    """A conversation as Markdown with its citations."""
    lines = [f"# {conversation.title}", ""]
    for each in conversation.exchanges:
        lines += [f"## {each.question}", "", each.answer, ""]
        for citation in each.record["citations"]:
            section = f", {citation['section']}" if citation["section"] else ""
            dated = f" (fetched {citation['fetched_at'][:10]})" if citation["fetched_at"] else ""
            quote = " ".join(citation["quote"].split())
            lines += [f"[{citation['n']}] {citation['title']}{section}{dated}: {citation['url']}", f"> {quote}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _short(title: str) -> str:
    line = " ".join(title.split())
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1] + "…"


def _unknown(name: str) -> UsageError:
    return UsageError(f'there is no conversation "{name}"; `roadmap-rag history` lists them all')

"""``user.sqlite``: conversations with their answers, traces and feedback: the user's own, which nothing rebuilds."""

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
CREATE TABLE IF NOT EXISTS conversations (id TEXT PRIMARY KEY, title TEXT NOT NULL, made_at TEXT NOT NULL, changed_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, asked_at TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, record TEXT NOT NULL, feedback TEXT, feedback_reason TEXT
);
CREATE INDEX IF NOT EXISTS questions_by_conversation ON questions (conversation, id);
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
    exchanges: tuple[Exchange, ...] = ()

    def turns(self) -> tuple[Turn, ...]:
        """What was said, oldest first."""
        return tuple(turn for each in self.exchanges for turn in (Turn("user", each.question), Turn("assistant", each.answer)))


class Store:
    """The database. Every call opens and closes it, so that several chats and commands can share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, title: str, now: str) -> str:
        """Begin a conversation and return its id."""
        name = secrets.token_hex(6)
        with self._connect() as connection:
            connection.execute("INSERT INTO conversations VALUES (?, ?, ?, ?)", (name, _short(title), now, now))
        return name

    def add(self, conversation: str, answer: Answer, now: str) -> int:
        """Append an answered question and return its number."""
        record = json.dumps(asdict(answer), ensure_ascii=False)
        with self._connect() as connection:
            cursor = connection.execute(
                "INSERT INTO questions (conversation, asked_at, question, answer, record) VALUES (?, ?, ?, ?, ?)",
                (conversation, now, answer.question, answer.answer, record),
            )
            connection.execute("UPDATE conversations SET changed_at = ? WHERE id = ?", (now, conversation))
            return int(cursor.lastrowid or 0)

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

    def conversations(self, containing: str = "") -> list[Conversation]:
        """Conversations without their questions, the latest first; those only whose title or text contains a string, when given."""
        query = "SELECT * FROM conversations"
        parameters: tuple[str, ...] = ()
        if containing:
            like = f"%{containing.replace('%', '')}%"
            query += " WHERE title LIKE ? OR id IN (SELECT conversation FROM questions WHERE question LIKE ? OR answer LIKE ?)"
            parameters = (like, like, like)
        with self._connect() as connection:
            return [Conversation(**dict(row)) for row in connection.execute(f"{query} ORDER BY changed_at DESC, rowid DESC", parameters)]

    def conversation(self, name: str) -> Conversation:
        """A conversation with its questions; UsageError when there is none."""
        with self._connect() as connection:
            row = connection.execute("SELECT * FROM conversations WHERE id = ?", (name,)).fetchone()
            if row is None:
                raise _unknown(name)
            found = connection.execute("SELECT * FROM questions WHERE conversation = ? ORDER BY id", (name,)).fetchall()
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
                connection.execute("PRAGMA foreign_keys=ON")
                with connection:
                    yield connection
        except (OSError, sqlite3.DatabaseError) as error:
            raise StorageError(f"{self._path} cannot be used: {error}; change its permissions or set ROADMAP_RAG_HOME") from error


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

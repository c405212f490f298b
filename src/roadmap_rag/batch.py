"""Questions from standard input, one JSON object a line, answered in order as each is ready."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roadmap_rag.domain import Turn
from roadmap_rag.errors import RoadmapRagError, UsageError

if TYPE_CHECKING:
    from roadmap_rag.wiring import App

LONGEST_QUESTION = 10_000


def check_question(text: str) -> None:
    if not text.strip():
        raise UsageError("the question is empty; put it in quotes: roadmap-rag ask 'What is LoRA?'")
    if len(text) > LONGEST_QUESTION:
        raise UsageError(f"the question has {len(text)} characters; {LONGEST_QUESTION} are the most")


class Line:
    """One question of standard input."""

    def __init__(self, text: str) -> None:
        self.id: Any = None
        try:
            values = json.loads(text)
        except ValueError as error:
            raise UsageError(f"this line is no JSON ({error})") from error
        if not isinstance(values, dict):
            raise UsageError('this line is no JSON object like {"question": "…"}')
        self.id = values.get("id")
        self.values = values
        self.question = ""
        self.history: tuple[Turn, ...] = ()
        self.topic: str | None = None

    def check(self, app: App) -> None:
        """Take the fields, or raise UsageError; after ``id`` is known, so that an error can be told apart."""
        question = self.values.get("question")
        if not isinstance(question, str):
            raise UsageError('"question" is missing or no string')
        check_question(question)
        self.question = question
        history = self.values.get("history") or []
        if not isinstance(history, list) or not all(_is_turn(turn) for turn in history):
            raise UsageError('"history" must be a list of {"role": "user" or "assistant", "content": "…"}')
        self.history = tuple(Turn(turn["role"], turn["content"]) for turn in history)
        self.topic = self.values.get("topic")
        if self.topic is not None:
            app.roadmap.topic(str(self.topic))


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in ("user", "assistant") and isinstance(turn.get("content"), str)


def answer_lines(app: App, answer: Callable[[Line], dict[str, Any]]) -> int:
    """Answer JSON lines one by one, each printed as it is ready; an error stands in its line's place."""
    app.retriever.generation()
    failed = False
    for number, line_bytes in enumerate(sys.stdin.buffer, start=1):
        text = line_bytes.decode("utf-8", "replace")
        if not text.strip():
            continue
        line: Line | None = None
        try:
            line = Line(text)
            line.check(app)
            result = {"id": line.id, **answer(line)}
        except RoadmapRagError as error:
            failed = True
            result = {"id": line.id if line else None, "line": number, "error": str(error)}
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return 1 if failed else 0

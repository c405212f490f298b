"""What the chat knows about its home: the model, the index, the coverage. Asked often, so each answer is kept for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import gradio as gr

from roadmap_rag.errors import RoadmapRagError
from roadmap_rag.generate import Diagnosis
from roadmap_rag.status import coverage
from roadmap_rag.ui.panels import state_strip
from roadmap_rag.wiring import App

QUOTES_ONLY = "quotes only"
"""The choice in place of a model's name that asks no model."""

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """A value that is made anew when it is older than some seconds. Safe to read from several threads."""

    def __init__(self, make: Callable[[], Value], seconds: float) -> None:
        self._make, self._seconds = make, seconds
        self._lock = threading.Lock()
        self._made_at = float("-inf")
        self._value: Value | None = None

    def get(self) -> Value:
        with self._lock:
            if self._value is None or time.monotonic() - self._made_at > self._seconds:
                self._value = self._make()
                self._made_at = time.monotonic()
            return self._value

    def forget(self) -> None:
        self._made_at = float("-inf")


@dataclass(frozen=True, slots=True)
class WriterState:
    """Who writes answers: ``name`` is empty when nobody does; ``remedy`` is the command that changes that."""

    name: str
    detail: str
    remedy: str = ""


class HomeState:
    """The state of one home, as the chat shows it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._diagnosis = Kept(app.diagnose, 15.0)
        self._coverage = Kept(lambda: coverage(self._app, None, now()), 3.0)

    def coverage(self) -> dict[str, Any]:
        """The object of ``status --json``; when it cannot be made, one without sources whose ``problem`` says why."""
        try:
            return self._coverage.get()
        except RoadmapRagError as error:
            return {"topics": [{"id": topic.id} for topic in self._app.roadmap.topics], "sources": [], "index": None, "problem": str(error)}

    def forget(self) -> None:
        """Look anew at the next question, because something has just changed."""
        self._diagnosis.forget()
        self._coverage.forget()

    def models(self) -> list[str]:
        """Models that can answer."""
        if self._app.config.openai_base_url:
            return []
        return [model.name for model in self._diagnosis.get().models if not model.embedding]

    def writer(self, chosen: str) -> WriterState:
        """Who would write an answer now, when the user has chosen this in the settings ("": the best there is)."""
        if chosen == QUOTES_ONLY:
            return WriterState("", "chosen in the settings")
        if self._app.config.openai_base_url:
            return WriterState(chosen or self._app.config.model or "default", f"Model at {self._app.config.openai_base_url}")
        diagnosis: Diagnosis = self._diagnosis.get()
        model, why = self._app.choose_model(diagnosis, chosen or None)
        if diagnosis.problem is not None or model is None:
            return WriterState("", diagnosis.detail or why, diagnosis.remedy or "roadmap-rag models recommend")
        return WriterState(model.name, why)

    def index_line(self) -> tuple[str, bool]:
        """What is indexed, in one line, and whether questions can be answered from it."""
        found = self.coverage()
        if "problem" in found:
            return str(found["problem"]), False
        if found["index"] is None:
            return "Nothing is indexed yet: fetch the sources under “Sources”, or run roadmap-rag ingest", False
        have = sum(source["state"] in ("fetched", "stale") for source in found["sources"])
        return f"{have} of {len(found['sources'])} sources, {found['index']['chunks']:,} passages", True

    def strip(self, chosen: str, running: str = "") -> str:
        """The line at the top; ``running`` says how far an ingest is."""
        writer = self.writer(chosen)
        line, ready = self.index_line()
        model = f"{writer.name} writes the answers" if writer.name else f"Answers are quotes: {writer.detail}"
        index = f"{line} · {running}" if running else line
        return state_strip(model, writer.remedy, index, ready=ready, writes=bool(writer.name))


def user(request: gr.Request) -> str:
    """The name under which somebody logged in; empty in a chat without a password."""
    return str(request.username or "")


def now() -> str:
    """The time as the records hold it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

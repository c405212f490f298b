"""The named endpoints of the chat, for gradio_client: the objects are those that the commands print with ``--json``."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from roadmap_rag.domain import Turn
from roadmap_rag.errors import UsageError
from roadmap_rag.output import answer_object, search_object
from roadmap_rag.roadmap.graph import as_dict
from roadmap_rag.status import coverage
from roadmap_rag.ui.chat import MAX_CHARACTERS, REMEMBERED_TURNS, Chat, Choices
from roadmap_rag.ui.errors import told
from roadmap_rag.ui.state import now, user
from roadmap_rag.wiring import App


def add_endpoints(app: App, chat: Chat) -> None:
    """Add /ask, /search, /topics, /status and /conversations to the page that is being built."""

    def ask(request: gr.Request, question: str, topic: str = "", conversation: str = "", strict: bool = False) -> dict[str, Any]:
        """Answer a question with checked citations. ``conversation`` is the id of a stored one whose turns count as history."""
        with told():
            _check(app, question, topic)
            history: tuple[Turn, ...] = ()
            if conversation:
                history = chat.conversation(conversation, user(request)).turns()[-REMEMBERED_TURNS:]
            engine = Choices(topic, app.config.model, strict, app.config.passages).engine(app)
            return answer_object(engine.ask(question, topic=topic or None, history=history, strict=strict))

    def search(query: str, k: int = 8, topic: str = "") -> dict[str, Any]:
        """The k best passages for a question, without an answer."""
        with told():
            _check(app, query, topic)
            if k < 1:
                raise UsageError("k must be at least 1")
            return search_object(app.retriever.search(query, k=k, topic=topic or None))

    def topics(name: str = "") -> str:
        """The roadmap, or one topic or path of it, as JSON text: clients take an object with a field "path" for a file."""
        with told():
            return json.dumps(as_dict(app.roadmap, name or None), ensure_ascii=False)

    def status() -> dict[str, Any]:
        """What is ingested, per topic and per source."""
        with told():
            return coverage(app, None, now())

    def conversations(request: gr.Request, containing: str = "") -> dict[str, Any]:
        """The caller's conversations, the latest first."""
        with told():
            found = app.store.conversations(containing, user(request))
        return {"conversations": [{"id": each.id, "title": each.title, "changed_at": each.changed_at} for each in found]}

    for endpoint in (ask, search, topics, status, conversations):
        gr.api(endpoint, api_name=endpoint.__name__)


def _check(app: App, question: str, topic: str) -> None:
    if not question.strip() or len(question) > MAX_CHARACTERS:
        raise UsageError(f"a question has between 1 and {MAX_CHARACTERS:,} characters")
    if topic:
        app.roadmap.topic(topic)

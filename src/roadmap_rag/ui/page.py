"""The page: what stands where, and which event calls what. The work is done by the modules that it wires together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import gradio as gr

from roadmap_rag.ui.answers import copied
from roadmap_rag.ui.api import add_endpoints
from roadmap_rag.ui.background import BackgroundIngest
from roadmap_rag.ui.chat import Asker, Chat, Choices, View
from roadmap_rag.ui.conversations import Conversations
from roadmap_rag.ui.errors import told
from roadmap_rag.ui.panels import NOTHING_ASKED, NOTHING_OPEN, TITLE, editing_line, status_line, topic_filter, welcome
from roadmap_rag.ui.roadmap_panel import first_questions, roadmap_map, topic_page
from roadmap_rag.ui.settings import Settings
from roadmap_rag.ui.sources import KEEP_OPEN, Sources
from roadmap_rag.ui.state import HomeState, user
from roadmap_rag.wiring import App

ASSETS = Path(__file__).with_name("assets")
LOOK_SECONDS = 2.0
"""How often an open page looks whether the sources or the model have changed."""
ANSWERS_AT_ONCE = 4
LATEX = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}


class Page:
    """One page for all tabs of one home; what belongs to a tab is in its components."""

    def __init__(self, app: App, background: BackgroundIngest) -> None:
        self.app = app
        self.background = background
        self.chat = Chat(app)
        self.state = HomeState(app)
        self.conversations = Conversations(app)
        self.sources = Sources(app, self.state, background)
        self.settings = Settings(app, self.state)
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)) as self.blocks:
            self._lay_out()
            self._wire()
            add_endpoints(app, self.chat)

    # ------------------------------------------------------------------------------------------------------------------- layout

    def _lay_out(self) -> None:
        self.conversation = gr.State("")
        self.topic = gr.State("")
        self.seen = gr.State(-1)
        self.feedback_on = gr.State("")
        self.editing = gr.State("")
        self.settings.remember()
        self.clock = gr.Timer(LOOK_SECONDS)
        self.outgoing = gr.JSON(visible="hidden", elem_id="outgoing")
        self.events = gr.HTML("", js_on_load=(ASSETS / "events.js").read_text("utf-8"), elem_id="events")
        self.strip = gr.HTML(f"<h1>{TITLE}</h1>", elem_id="state")
        with gr.Row(elem_id="body"):
            with gr.Column(scale=3, min_width=320):
                self._lay_out_chat()
            with gr.Column(scale=2, min_width=320), gr.Tabs(elem_id="side", overflow_behavior="wrap") as self.side:
                self._lay_out_side()

    def _lay_out_chat(self) -> None:
        self.chatbot = gr.Chatbot(
            label="Conversation",
            show_label=False,
            elem_id="chat",
            height="calc(100dvh - 12rem)",
            min_height=320,
            layout="panel",
            buttons=[],
            latex_delimiters=LATEX,
            sanitize_html=True,
            allow_tags=False,
            feedback_options=None,
            placeholder=welcome([]),
        )
        self.status = gr.HTML(status_line("", busy=False), elem_id="status")
        with gr.Group(visible=False) as self.feedback:
            self.reason = gr.Textbox(
                label="Why? (optional)", placeholder="What was good, or what is wrong or missing", submit_btn="Save", elem_id="reason"
            )
        self.filter = gr.HTML("", elem_id="filter")
        self.editing_line = gr.HTML("", elem_id="editing")
        self.box = gr.Textbox(
            label="Question", show_label=False, placeholder="Ask a question", lines=1, max_lines=8, submit_btn="Ask", elem_id="question"
        )

    def _lay_out_side(self) -> None:
        with gr.Tab("Roadmap", id="roadmap"):
            self.roadmap = gr.HTML("", js_on_load=KEEP_OPEN, elem_id="roadmap")
        with gr.Tab("Passage", id="passage"):
            self.passage = gr.HTML(NOTHING_OPEN, elem_id="passage")
        with gr.Tab("Why", id="why"):
            self.why = gr.HTML(NOTHING_ASKED, elem_id="why")
        with gr.Tab("Chats", id="chats", elem_id="chats"):
            self.conversations.lay_out()
        with gr.Tab("Sources", id="sources", elem_id="sources"):
            self.sources.lay_out()
        with gr.Tab("Settings", id="settings", elem_id="settings"):
            self.settings.lay_out()

    # ------------------------------------------------------------------------------------------------------------------- events

    def _wire(self) -> None:
        self._wire_asking()
        self._wire_panels()
        self._wire_conversations()
        self.sources.wire(QUIET)
        for event, action in (
            (self.events.fetch, self.sources.fetch_topic),
            (self.events.refetch, self.sources.fetch_link),
            (self.events.unlink, self.sources.remove_own),
            (self.events.unnote, self.sources.remove_note),
        ):
            self._wire_source(event, action)
        self.settings.wire(self.blocks, QUIET)
        self.settings.model.change(self._strip, self.settings.model, self.strip, **QUIET)
        looked = [self.strip, self.seen, self.roadmap, *self.sources.parts]
        self.clock.tick(self._look, [self.seen, self.topic, self.settings.model], looked, **QUIET)
        self.blocks.load(
            self._load,
            None,
            [
                *(self.chatbot, self.conversation, self.roadmap, self.strip, self.events, self.seen),
                *(*self.conversations.parts, *self.sources.parts),
            ],
            **QUIET,
        )

    def _wire_asking(self) -> None:
        choices = [self.conversation, self.topic, self.settings.model, self.settings.strict, self.settings.passages]
        outputs = [self.chatbot, self.box, self.status, self.conversation, self.editing, self.editing_line, self.events]
        limits: dict[str, Any] = {"concurrency_limit": ANSWERS_AT_ONCE, "concurrency_id": "answers", "trigger_mode": "once"}
        asked = [
            self.box.submit(self._ask_typed, [self.box, self.editing, *choices], outputs, **QUIET, **limits),
            self.events.ask(self._ask_chosen, choices, outputs, **QUIET, **limits),
            self.events.again(self._ask_again, choices, outputs, **QUIET, **limits),
        ]
        for event in asked:
            event.then(None, js="() => window.clearAsked()", **QUIET)
            event.then(self.conversations.about, self.conversation, self.conversations.parts, **QUIET)
        self.box.stop(self._stop, **AT_ONCE)
        edited = self.events.edit(self._edit, None, [self.box, self.editing, self.editing_line], **AT_ONCE)
        edited.then(None, js="() => window.focusBox()", **QUIET)

    def _wire_panels(self) -> None:
        for event, action, outputs, shown in (
            (self.events.cite, self._open_passage, [self.passage, self.side], ".passage-title"),
            (self.events.why, self._explain, [self.why, self.side], ".why-title"),
            (self.events.topic, self._choose_topic, [self.roadmap, self.topic, self.filter, self.side], ".topic-title"),
        ):
            opened = event(action, None, outputs, **AT_ONCE)
            opened.then(None, js=f"() => window.showPanel('{shown}')", **QUIET)
        for event, with_sources in ((self.events.copy, False), (self.events.cited, True)):
            made = event(self._copy_cited if with_sources else self._copy, None, self.outgoing, **AT_ONCE)
            made.then(None, self.outgoing, None, js="(made) => window.copyText(made)", **QUIET)
        for event, verdict in ((self.events.good, self._good), (self.events.bad, self._bad)):
            event(verdict, None, [self.chatbot, self.feedback, self.feedback_on, self.reason], **AT_ONCE)
        self.reason.submit(self._give_reason, [self.feedback_on, self.reason], [self.feedback, self.status], **AT_ONCE)

    def _wire_conversations(self) -> None:
        opened = [
            *(self.chatbot, self.conversation, self.events, self.feedback),
            *(self.editing, self.editing_line, *self.conversations.parts),
        ]
        self.conversations.wire(self.conversation, self.outgoing, QUIET)
        self.events.open(self._open, None, opened, **AT_ONCE)
        self.conversations.new.click(self._new, None, opened, **AT_ONCE).then(None, js="() => window.focusBox()", **QUIET)
        self.conversations.yes.click(self._delete, self.conversation, opened, **AT_ONCE)

    def _wire_source(self, event: Any, action: Any) -> None:
        def run(data: gr.EventData) -> tuple[Any, ...]:
            shown = gr.Tabs(selected="sources") if action == self.sources.fetch_topic else gr.skip()  # the others stand there
            return (*action(_value(data)), shown)

        event(run, None, [*self.sources.parts, self.side], **QUIET)

    # ------------------------------------------------------------------------------------------------------------------- asking

    async def _ask(
        self, question: str, asker: Asker, chosen: tuple[Any, ...], replaces: str = "", *, typed: bool = False
    ) -> AsyncGenerator[tuple[Any, ...], None]:
        """``chosen``: the conversation, the topic and the settings, as the page has them."""
        conversation, topic, model, strict, passages = chosen
        choices = Choices(topic, model, strict, int(passages))
        async for view in self.chat.ask(question, conversation, choices, asker, replaces, typed=typed):
            line = editing_line(view.editing) if isinstance(view.editing, str) else gr.skip()
            yield (*view, line, _address(view))

    async def _ask_typed(self, request: gr.Request, question: str, editing: str, *chosen: Any) -> AsyncGenerator[tuple[Any, ...], None]:
        async for step in self._ask(question, _asker(request), chosen, editing, typed=True):
            yield step

    async def _ask_chosen(self, request: gr.Request, event: gr.EventData, *chosen: Any) -> AsyncGenerator[tuple[Any, ...], None]:
        async for step in self._ask(_value(event), _asker(request), chosen):
            yield step

    async def _ask_again(self, request: gr.Request, event: gr.EventData, *chosen: Any) -> AsyncGenerator[tuple[Any, ...], None]:
        with told():
            question = self.chat.exchange(_value(event))[0].question
        async for step in self._ask(question, _asker(request), chosen, _value(event)):
            yield step

    async def _stop(self, request: gr.Request) -> None:
        await self.chat.stop(str(request.session_hash))

    def _edit(self, event: gr.EventData) -> tuple[str, str, str]:
        """Put the question of an answer back into the box; with no answer named, put nothing there and edit none."""
        reference = _value(event)
        with told():
            question = self.chat.exchange(reference)[0].question if reference else ""
        return question, reference, editing_line(reference)

    # ------------------------------------------------------------------------------------------------------------------- panels

    def _open_passage(self, event: gr.EventData) -> tuple[str, Any]:
        with told():
            return self.chat.passage(_value(event)), gr.Tabs(selected="passage")

    def _explain(self, event: gr.EventData) -> tuple[str, Any]:
        with told():
            return self.chat.why(_value(event)), gr.Tabs(selected="why")

    def _choose_topic(self, event: gr.EventData) -> tuple[Any, ...]:
        topic = _value(event)
        title = self.app.roadmap.topic(topic).title if topic else ""
        return self._roadmap(topic), topic, topic_filter(title), gr.Tabs(selected="roadmap")

    def _roadmap(self, topic: str) -> str:
        found = self.state.coverage()
        counts = {row["id"]: row for row in found["topics"]}
        if topic:
            sources = {row["url"]: row for row in found["sources"]}
            return topic_page(self.app.roadmap, topic, sources, counts[topic])
        return roadmap_map(self.app.roadmap, counts)

    def _copy(self, event: gr.EventData) -> dict[str, str]:
        with told():
            return {"text": copied(self.chat.exchange(_value(event))[0].record, sources=False)}

    def _copy_cited(self, event: gr.EventData) -> dict[str, str]:
        with told():
            return {"text": copied(self.chat.exchange(_value(event))[0].record, sources=True)}

    def _good(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        return self._judge(_value(event), "up", user(request))

    def _bad(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        return self._judge(_value(event), "down", user(request))

    def _judge(self, reference: str, verdict: str, name: str) -> tuple[Any, ...]:
        """Keep the user's verdict on an answer, or take the same one back; then ask why."""
        with told():
            exchange, _ = self.chat.exchange(reference)
            given = None if exchange.feedback == verdict else verdict
            self.app.store.give_feedback(exchange.id, given)
        messages = self.chat.messages(reference.split(".")[0], name)
        return messages, gr.Group(visible=given is not None), f"{exchange.id}.{given}", ""

    def _give_reason(self, judged: str, reason: str) -> tuple[Any, str]:
        """``judged``: the answer's number and the verdict; the answer may have been replaced since."""
        number, verdict = judged.split(".")
        with told():
            self.app.store.give_feedback(int(number), verdict, reason.strip())
        return gr.Group(visible=False), status_line("Saved, thank you. roadmap-rag history feedback prints it.", busy=False)

    # ------------------------------------------------------------------------------------------------------------ conversations

    def _open(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        return self._opened(_value(event), request)

    def _new(self, request: gr.Request) -> tuple[Any, ...]:
        return self._opened("", request)

    def _opened(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        messages = self.chat.messages(name, user(request))
        name = name if messages else ""
        return messages, name, _mark(name), gr.Group(visible=False), "", "", *self.conversations.about(name, request)

    def _delete(self, conversation: str, request: gr.Request) -> tuple[Any, ...]:
        self.conversations.remove(conversation)
        return self._opened("", request)

    # ---------------------------------------------------------------------------------------------------------------- the state

    def _load(self, request: gr.Request) -> tuple[Any, ...]:
        name = str(request.query_params.get("c", ""))
        messages = self.chat.messages(name, user(request))
        name = name if messages else ""
        counts = {row["id"]: row for row in self.state.coverage()["topics"]}
        chatbot = gr.Chatbot(value=messages, placeholder=welcome(first_questions(self.app.roadmap, counts)))
        about, run = self.conversations.about(name, request), self.background.run.version
        return chatbot, name, self._roadmap(""), self._strip(self.app.config.model), _mark(name), run, *about, *self.sources.show()

    def _strip(self, model: str) -> str:
        return self.state.strip(model, self.background.run.line())

    def _look(self, seen: int, topic: str, model: str) -> tuple[Any, ...]:
        """What has changed since this page looked last; nothing is sent when nothing has."""
        run = self.background.run
        changed = run.version != seen
        if changed:
            self.state.forget()
        if not changed and not run.running:
            return (self._strip(model), *[gr.skip()] * (2 + len(self.sources.parts)))
        return self._strip(model), run.version, self._roadmap(topic) if changed else gr.skip(), *self.sources.show()


def _value(event: gr.EventData) -> str:
    """What a link or button of the page says."""
    return str(event._data["value"])


def _asker(request: gr.Request) -> Asker:
    return Asker(str(request.session_hash), user(request))


def _address(view: View) -> Any:
    return _mark(view.conversation) if isinstance(view.conversation, str) else gr.skip()


def _mark(conversation: str) -> str:
    """Tells the script of the page which conversation to put into the address."""
    return f'<span hidden data-conversation="{conversation}"></span>'

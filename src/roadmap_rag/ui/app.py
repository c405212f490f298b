"""The page: what stands where, and which event calls what. All work is done in the modules that it wires together."""

from __future__ import annotations

import hmac
import os
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import gradio as gr

from roadmap_rag.errors import RoadmapRagError, UsageError
from roadmap_rag.ui.chat import Chat, Choices, View
from roadmap_rag.ui.panels import NOTHING_ASKED, NOTHING_OPEN, status_line
from roadmap_rag.ui.roadmap_panel import first_questions, roadmap_map, topic_page
from roadmap_rag.ui.state import HomeState
from roadmap_rag.wiring import App

ASSETS = Path(__file__).with_name("assets")
TITLE = "Roadmap study chat"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Gradio needs inline scripts and styles, and eval for the script of a component; nothing may come from or go to another address."""
WELCOME = "Ask about anything on the roadmap. Answers come from its articles alone, and each number opens the passage behind it."
ANSWERS_AT_ONCE = 4
WAITING_AT_MOST = 32
LATEX = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


def build(app: App) -> gr.Blocks:
    """The page over one home."""
    return _Page(app).blocks


class _Page:
    def __init__(self, app: App) -> None:
        self.app = app
        self.chat = Chat(app)
        self.state = HomeState(app)
        with gr.Blocks(title=TITLE, analytics_enabled=False) as self.blocks:
            self._lay_out()
            self._wire()

    # ------------------------------------------------------------------------------------------------------------------- layout

    def _lay_out(self) -> None:
        self.conversation = gr.State("")
        self.topic = gr.State("")
        self.events = gr.HTML("", js_on_load=(ASSETS / "events.js").read_text("utf-8"), elem_id="events")
        with gr.Row(elem_id="head"):
            gr.HTML(f"<h1 id='title'>{TITLE}</h1>", min_width=180)
            self.strip = gr.HTML("", elem_id="state", scale=1)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self._lay_out_chat()
            with gr.Column(scale=2, min_width=320), gr.Tabs(elem_id="side") as self.side:
                with gr.Tab("Roadmap", id="roadmap"):
                    self.roadmap = gr.HTML("", elem_id="roadmap")
                with gr.Tab("Passage", id="passage"):
                    self.passage = gr.HTML(NOTHING_OPEN, elem_id="passage")
                with gr.Tab("Why", id="why"):
                    self.why = gr.HTML(NOTHING_ASKED, elem_id="why")

    def _lay_out_chat(self) -> None:
        self.chatbot = gr.Chatbot(
            label="Conversation",
            show_label=False,
            elem_id="chat",
            height="calc(100dvh - 11.5rem)",
            min_height=320,
            layout="panel",
            buttons=[],
            latex_delimiters=LATEX,
            sanitize_html=True,
            allow_tags=False,
            feedback_options=None,
            placeholder=WELCOME,
        )
        self.status = gr.HTML(status_line("", busy=False), elem_id="status")
        self.box = gr.Textbox(
            label="Question",
            show_label=False,
            placeholder="Ask a question",
            lines=1,
            max_lines=8,
            submit_btn="Ask",
            autofocus=True,
            elem_id="question",
        )

    # ------------------------------------------------------------------------------------------------------------------- events

    def _wire(self) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        answer: dict[str, Any] = {
            **quiet,
            "outputs": [self.chatbot, self.box, self.status, self.conversation, self.events],
            "concurrency_limit": ANSWERS_AT_ONCE,
            "concurrency_id": "answers",
            "trigger_mode": "once",
        }
        self.box.submit(self._ask, [self.box, self.conversation, self.topic], **answer)
        self.events.ask(self._ask_chosen, [self.conversation, self.topic], **answer)
        self.chatbot.example_select(self._ask_example, [self.conversation, self.topic], **answer)
        self.box.stop(self._stop, **quiet, queue=False)
        opened = self.events.cite(self._open_passage, None, [self.passage, self.side], **quiet, queue=False)
        opened.then(None, js="() => window.showPanel('.passage-title')")
        explained = self.events.why(self._explain, None, [self.why, self.side], **quiet, queue=False)
        explained.then(None, js="() => window.showPanel('.why-title')")
        chosen = self.events.topic(self._choose_topic, None, [self.roadmap, self.topic, self.side], **quiet, queue=False)
        chosen.then(None, js="() => window.showPanel('.topic-title')")
        self.blocks.load(self._load, None, [self.chatbot, self.conversation, self.roadmap, self.strip, self.events], **quiet)

    async def _ask(self, question: str, conversation: str, topic: str, request: gr.Request) -> AsyncGenerator[tuple[Any, ...], None]:
        choices = Choices(topic=topic)
        async for view in self.chat.ask(question, conversation, choices, str(request.session_hash)):
            yield (*view, _address(view))

    async def _ask_chosen(
        self, conversation: str, topic: str, request: gr.Request, event: gr.EventData
    ) -> AsyncGenerator[tuple[Any, ...], None]:
        async for view in self._ask(_value(event), conversation, topic, request):
            yield view

    async def _ask_example(
        self, conversation: str, topic: str, request: gr.Request, event: gr.SelectData
    ) -> AsyncGenerator[tuple[Any, ...], None]:
        async for view in self._ask(event.value["text"], conversation, topic, request):
            yield view

    async def _stop(self, request: gr.Request) -> None:
        await self.chat.stop(str(request.session_hash))

    def _open_passage(self, event: gr.EventData) -> tuple[str, Any]:
        with _told():
            return self.chat.passage(_value(event)), gr.Tabs(selected="passage")

    def _explain(self, event: gr.EventData) -> tuple[str, Any]:
        with _told():
            return self.chat.why(_value(event)), gr.Tabs(selected="why")

    def _choose_topic(self, event: gr.EventData) -> tuple[str, str, Any]:
        topic = _value(event)
        return self._roadmap(topic), topic, gr.Tabs(selected="roadmap")

    def _roadmap(self, topic: str) -> str:
        found = self.state.coverage()
        counts = {row["id"]: row for row in found["topics"]}
        if topic:
            sources = {row["url"]: row for row in found["sources"]}
            return topic_page(self.app.roadmap, topic, sources, counts[topic])
        return roadmap_map(self.app.roadmap, counts)

    def _load(self, request: gr.Request) -> tuple[Any, ...]:
        name = str(request.query_params.get("c", ""))
        messages = self.chat.messages(name)
        counts = {row["id"]: row for row in self.state.coverage()["topics"]}
        examples: list[Any] = [{"text": question} for question in first_questions(self.app.roadmap, counts)]
        chatbot = gr.Chatbot(value=messages, examples=examples)
        name = name if messages else ""
        return chatbot, name, self._roadmap(""), self.state.strip(""), _conversation_mark(name)


def _value(event: gr.EventData) -> str:
    """What a link or button of the page says."""
    return str(event._data["value"])


def _address(view: View) -> Any:
    return _conversation_mark(view.conversation) if isinstance(view.conversation, str) else gr.skip()


def _conversation_mark(name: str) -> str:
    return f'<span hidden data-conversation="{name}"></span>'


class _told:  # noqa: N801 -- reads as a verb: with _told(): ...
    """Shows an error of this project as a message on the page instead of a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RoadmapRagError):
            raise gr.Error(str(error), print_exception=False) from error


def launch(
    app: App,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    ingest: bool = True,
    password: str | None = None,
    open_browser: bool = False,
) -> None:
    """Serve the chat until it is interrupted. ``ingest`` fetches the linked pages beside it."""
    for name in ("NO_PROXY", "no_proxy"):  # Gradio looks whether its own address answers, which no proxy can tell
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1"]))
    if host not in ("127.0.0.1", "localhost", "::1"):
        guard = "with the password" if password else "without a password (--password sets one)"
        sys.stderr.write(f"warning: everyone who can reach {host} can use this chat and read its conversations, {guard}\n")
    blocks = build(app)
    threading.Thread(target=_warm, args=(app,), name="warm", daemon=True).start()
    serve(blocks, app, host=host, port=port, password=password, open_browser=open_browser)
    sys.stdout.write(f"The chat is at http://{host}:{port} (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    finally:
        blocks.close(verbose=False)


def serve(blocks: gr.Blocks, app: App, *, host: str, port: int, password: str | None = None, open_browser: bool = False) -> None:
    """Start the server in the background, closed to everything that the page does not need."""
    blocks.queue(max_size=WAITING_AT_MOST, default_concurrency_limit=ANSWERS_AT_ONCE)
    try:
        blocks.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            auth=(lambda _name, given: hmac.compare_digest(given.encode(), password.encode())) if password else None,
            auth_message="Any name; the password is the one that the chat was started with." if password else None,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            max_file_size="50mb",
            allowed_paths=[],
            blocked_paths=[str(app.home)],
            app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
            theme=theme(),
            css_paths=ASSETS / "style.css",
            head=f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="referrer" content="no-referrer">'
            f"<script>{(ASSETS / 'page.js').read_text('utf-8')}</script>",
        )
    except OSError as error:
        if "port" in str(error):
            raise UsageError(f"port {port} of {host} is in use; choose another with --port") from error
        raise


def theme() -> gr.themes.Base:
    """Gradio's plain theme with the system's own fonts, and colours dark enough to read."""
    return gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ).set(
        button_primary_background_fill="#1d4ed8",
        button_primary_background_fill_hover="#1e40af",
        button_primary_background_fill_dark="#1d4ed8",
        button_primary_text_color="#ffffff",
        body_text_color_subdued="#566072",
        body_text_color_subdued_dark="#a9b4c4",
        link_text_color="#1d4ed8",
        link_text_color_dark="#8fb4ff",
    )


def _warm(app: App) -> None:
    """Load what the first question needs. What fails here fails again, and is told, when a question is asked."""
    try:
        app.retriever.search("warm up", k=1)
    except RoadmapRagError:
        return

"""Starting the chat: on this machine only unless told otherwise, and closed to everything that the page does not need."""

from __future__ import annotations

import hmac
import os
import sys
import threading

import gradio as gr

from roadmap_rag.errors import RoadmapRagError, UsageError
from roadmap_rag.ui.background import BackgroundIngest
from roadmap_rag.ui.page import ANSWERS_AT_ONCE, ASSETS, Page
from roadmap_rag.wiring import App

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Gradio needs inline scripts and styles, and eval for the script of a component; nothing may come from or go to another address."""
WAITING_AT_MOST = 32
LOGIN = "Any name, which keeps your conversations apart from others’; the password is the one that the chat was started with."


def build(app: App) -> gr.Blocks:
    """The page over one home."""
    return Page(app, BackgroundIngest(app)).blocks


def launch(
    app: App,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    ingest: bool = True,
    password: str | None = None,
    open_browser: bool = False,
) -> None:
    """Serve the chat until it is interrupted. ``ingest`` fetches the links that were never tried beside it."""
    sys.stderr.write(exposure(host, password))
    background = BackgroundIngest(app)
    blocks = Page(app, background).blocks
    threading.Thread(target=_warm, args=(app,), name="warm", daemon=True).start()
    serve(blocks, app, host=host, port=port, password=password, open_browser=open_browser)
    sys.stdout.write(f"The chat is at http://{host}:{port} (Ctrl-C ends it)\n")
    sys.stdout.flush()
    if ingest:
        background.start_with_what_is_missing()
    try:
        threading.Event().wait()
    finally:
        background.close()
        blocks.close(verbose=False)


def exposure(host: str, password: str | None) -> str:
    """A warning when others than the user of this machine can reach the chat; nothing when they cannot."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return ""
    if password:
        return f"warning: everyone who can reach {host} and knows the password can use this chat; what they send is not encrypted\n"
    return f"warning: everyone who can reach {host} can use this chat and read its conversations; --password asks for a password\n"


def serve(blocks: gr.Blocks, app: App, *, host: str, port: int, password: str | None = None, open_browser: bool = False) -> None:
    """Start the server in the background."""
    for name in ("NO_PROXY", "no_proxy"):  # Gradio looks whether its own address answers, which no proxy can tell
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1"]))
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
            auth_message=LOGIN if password else None,
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

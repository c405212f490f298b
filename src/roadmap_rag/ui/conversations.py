"""The list of conversations: find, open, rename, delete, export."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from roadmap_rag.store import export_markdown
from roadmap_rag.ui.errors import told
from roadmap_rag.ui.state import user
from roadmap_rag.wiring import App

SHOWN = 100


class Conversations:
    """The components, and what their buttons do with the store."""

    def __init__(self, app: App) -> None:
        self._app = app

    def lay_out(self) -> None:
        with gr.Row():
            self.new = gr.Button("New conversation", variant="secondary", size="sm")
        self.search = gr.Textbox(label="Find", placeholder="Words of a question or an answer", elem_id="find")
        self.list = gr.HTML("", elem_id="conversations")
        with gr.Group(visible=False) as self.current:
            self.title = gr.Textbox(label="Name of this conversation", submit_btn="Rename", elem_id="title-box")
            with gr.Row():
                self.export = gr.Button("Export as Markdown", size="sm")
                self.delete = gr.Button("Delete", size="sm")
        with gr.Row(visible=False) as self.sure:
            self.yes = gr.Button("Yes, delete it for good", size="sm", variant="stop")
            self.no = gr.Button("Keep it", size="sm")

    def wire(self, conversation: gr.State, outgoing: gr.Component, quiet: Mapping[str, Any]) -> None:
        """``outgoing`` takes a file for the browser to save. Deleting and opening are the page's, because they change the chat."""
        self.search.change(self.listed, [self.search, conversation], self.list, **quiet, trigger_mode="always_last")
        self.title.submit(self._rename, [conversation, self.title, self.search], self.list, **quiet)
        exported = self.export.click(self._export, conversation, outgoing, **quiet)
        exported.then(None, outgoing, None, js="(file) => window.saveFile(file)", **quiet)
        self.delete.click(lambda: gr.Row(visible=True), None, self.sure, **quiet)
        self.no.click(lambda: gr.Row(visible=False), None, self.sure, **quiet)

    def listed(self, search: str, current: str, request: gr.Request) -> str:
        """The user's list as HTML, the latest first."""
        with told():
            found = self._app.store.conversations(search.strip(), user(request))
        rows = "".join(
            f'<li><button type="button" class="question" data-do="open" data-value="{each.id}"'
            f"{_CURRENT if each.id == current else ''}>{escape(each.title)}<br><small>{each.changed_at[:10]}</small></button></li>"
            for each in found[:SHOWN]
        )
        if not rows:
            return f'<p class="hint">{"Nothing found." if search.strip() else "No conversations yet."}</p>'
        more = f'<p class="hint">{len(found) - SHOWN} more: search for them.</p>' if len(found) > SHOWN else ""
        return f'<ul class="questions">{rows}</ul>{more}'

    def about(self, current: str, request: gr.Request) -> tuple[Any, Any, Any, str]:
        """Updates for the group of the current conversation, its name, the question whether to delete it, and the list."""
        title = ""
        if current:
            with told():
                title = self._app.store.conversation(current).title
        return gr.Group(visible=bool(current)), title, gr.Row(visible=False), self.listed("", current, request)

    @property
    def parts(self) -> list[Any]:
        """The outputs of ``about``."""
        return [self.current, self.title, self.sure, self.list]

    def remove(self, current: str) -> None:
        with told():
            self._app.store.delete(current)

    def _rename(self, current: str, title: str, search: str, request: gr.Request) -> str:
        if current and title.strip():
            with told():
                self._app.store.rename(current, title)
        return self.listed(search, current, request)

    def _export(self, current: str) -> dict[str, str]:
        with told():
            found = self._app.store.conversation(current)
        name = re.sub(r"[^\w-]+", "-", found.title, flags=re.UNICODE).strip("-")[:60] or "conversation"
        return {"name": f"{name}.md", "text": export_markdown(found)}


_CURRENT = ' aria-current="true"'

"""The page about sources: run ``ingest`` and watch it, try again what failed, add links and notes of one's own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from roadmap_rag.errors import StorageError
from roadmap_rag.ingest import Request
from roadmap_rag.roadmap import add_link, remove_link
from roadmap_rag.ui.background import BackgroundIngest
from roadmap_rag.ui.errors import told
from roadmap_rag.ui.sources_panel import lost_sources, own_texts, progress
from roadmap_rag.ui.state import HomeState
from roadmap_rag.wiring import App

NOTES = [".md", ".markdown", ".pdf", ".html", ".htm", ".ipynb", ".txt", ".rst", ".vtt", ".srt"]

KEEP_OPEN = Path(__file__).with_name("assets").joinpath("keep_open.js").read_text("utf-8")


class Sources:
    """The components, and what they start in the background."""

    def __init__(self, app: App, state: HomeState, background: BackgroundIngest) -> None:
        self._app, self._state, self._background = app, state, background

    def lay_out(self) -> None:
        with gr.Row():
            self.all = gr.Button("Fetch or refresh all", size="sm")
            self.missing = gr.Button("Try failed ones again", size="sm")
            self.stop = gr.Button("Stop", size="sm", variant="stop", visible=False)
        self.progress = gr.HTML(progress(self._background.run), js_on_load=KEEP_OPEN, elem_id="progress")
        self.lost = gr.HTML("", js_on_load=KEEP_OPEN, elem_id="lost")
        gr.HTML("<h2>Your own</h2>")
        self.own = gr.HTML("", elem_id="own")
        self.url = gr.Textbox(label="A link to add", placeholder="https://…", elem_id="own-link")
        self.topic = gr.Dropdown(
            [(topic.title, topic.id) for topic in self._app.roadmap.topics], label="Under the topic", value=None, filterable=True
        )
        self.add = gr.Button("Add and fetch", size="sm")
        self.upload = gr.File(label="Notes: Markdown, PDF, HTML, notebooks, text", file_count="multiple", file_types=NOTES, height=140)

    @property
    def parts(self) -> list[Any]:
        """The outputs of ``show``."""
        return [self.progress, self.lost, self.own, self.stop]

    def show(self) -> tuple[Any, ...]:
        run = self._background.run
        titles = {resource.url: resource.title for topic in self._app.roadmap.topics for resource in topic.resources}
        notes = [path.relative_to(self._app.corpus.folder / "notes").as_posix() for path in self._app.corpus.notes()]
        return (
            progress(run),
            lost_sources(self._state.coverage()["sources"], titles),
            own_texts(self._app.roadmap.own_links, notes),
            gr.Button(visible=run.running),
        )

    def wire(self, quiet: Mapping[str, Any]) -> None:
        self.all.click(lambda: self.begin(Request(), "Fetching and refreshing all sources"), None, self.parts, **quiet)
        self.missing.click(self._again, None, self.parts, **quiet)
        self.stop.click(self._stop, None, self.parts, **quiet, queue=False)
        self.add.click(self._add, [self.url, self.topic], [*self.parts, self.url], **quiet)
        self.upload.upload(self._take_notes, self.upload, [*self.parts, self.upload], **quiet)

    def begin(self, request: Request, about: str) -> tuple[Any, ...]:
        """Start a run, unless one goes on."""
        if not self._background.start(request, about):
            raise gr.Error("Sources are being fetched already; wait for the end, or stop it.", title="Busy", print_exception=False)
        return self.show()

    def fetch_topic(self, topic: str) -> tuple[Any, ...]:
        """Fetch the links of a topic that have no text."""
        missing = tuple(self._app.missing_links(topic))
        if not missing:
            return self.show()
        return self.begin(Request(only=missing), f"Fetching what is missing of {self._app.roadmap.topic(topic).title}")

    def fetch_link(self, url: str) -> tuple[Any, ...]:
        return self.begin(Request(only=(url,)), f"Fetching {url}")

    def _again(self) -> tuple[Any, ...]:
        lost = tuple(source["url"] for source in self._state.coverage()["sources"] if source["state"] in ("failed", "blocked", "pending"))
        return self.begin(Request(only=lost), "Trying again what is missing") if lost else self.show()

    def _stop(self) -> tuple[Any, ...]:
        self._background.stop()
        return self.show()

    def _add(self, url: str, topic: str | None) -> tuple[Any, ...]:
        if not topic:
            raise gr.Error("Choose the topic that the link belongs to.", title="Which topic?", print_exception=False)
        with told():
            add_link(self._app.links_file, self._app.roadmap, url.strip(), topic)
        self._state.forget()
        return (*self.fetch_link(url.strip()), "")

    def remove_own(self, url: str) -> tuple[Any, ...]:
        """Take a link of the user's own away, and its text out of the index."""
        with told():
            remove_link(self._app.links_file, url)
        self._state.forget()
        return self.begin(Request(offline=True), f"Forgetting {url}")

    def remove_note(self, name: str) -> tuple[Any, ...]:
        """Delete a note's file and take its text out of the index."""
        for path in self._app.corpus.notes():
            if path.relative_to(self._app.corpus.folder / "notes").as_posix() == name:
                path.unlink()
        return self.begin(Request(offline=True), f"Forgetting {name}")

    def _take_notes(self, files: Sequence[str] | None) -> tuple[Any, ...]:
        with told():
            stored = [store_note(Path(file), self._app.corpus.folder / "notes") for file in files or ()]
        return (*self.begin(Request(only=tuple(f"notes:{path.name}" for path in stored)), "Reading your notes"), None)


def store_note(file: Path, folder: Path) -> Path:
    """Copy an uploaded file into the notes under a harmless name, which is never that of an older note with another text."""
    stem = re.sub(r"[^\w. -]+", "-", file.stem, flags=re.UNICODE).strip(" .-")[:80] or "note"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1_000):
            place = folder / f"{stem}{f'-{number}' if number > 1 else ''}{file.suffix.lower()}"
            if not place.exists():
                shutil.copyfile(file, place)
                return place
            if place.read_bytes() == file.read_bytes():
                return place
    except OSError as error:
        raise StorageError(f"{folder}: the note cannot be stored: {error.strerror}; change the permissions of that folder") from error
    raise StorageError(f"{folder} holds too many notes named {stem}; rename the file")

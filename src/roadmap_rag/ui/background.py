"""Ingesting beside the chat: one run at a time in a thread of its own, which can be watched and stopped."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from roadmap_rag.domain import Source
from roadmap_rag.errors import BlockedError, FetchError, RoadmapRagError
from roadmap_rag.ingest import Progress, Request
from roadmap_rag.ui.state import now
from roadmap_rag.wiring import App

PUBLISH_SECONDS = 60.0
"""While a run lasts, what has come becomes readable this often: copying the index costs some seconds."""
LATEST = 12
TRIED_FOR_NETWORK = 3
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One source as it was done."""

    title: str
    status: str
    """read, failed or blocked: whether a text is new is known when the run is over."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as far as it is; ``report`` is the object of ``ingest --json`` once it is over, ``problem`` why it ended early."""

    about: str = ""
    running: bool = False
    stage: str = ""
    done: int = 0
    of: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    latest: tuple[Step, ...] = ()
    report: dict[str, Any] | None = None
    problem: str = ""
    stopped: bool = False
    version: int = 0
    """Grows with every change of what can be read, so that a page knows when to look again."""

    def line(self) -> str:
        """How far it is, in a few words."""
        if not self.running:
            return ""
        words = {"fetch": f"fetching {self.done} of {self.of}", "embed": "reading what came", "index": "bringing the index up to date"}
        return words.get(self.stage, "starting")


class BackgroundIngest:
    """Runs ``ingest`` for one home. Every run works on its own objects: the chat's go on answering from the index that they have."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._latest: deque[Step] = deque(maxlen=LATEST)
        self.run = Run()

    def start(self, request: Request, about: str, *, only_with_network: bool = False) -> bool:
        """Begin a run; False when one is running. ``about`` says what it is, for the page."""
        with self._lock:
            if self.run.running:
                return False
            self._stop.clear()
            self._latest.clear()
            self.run = Run(about=about, running=True, version=self.run.version + 1)
            self._thread = threading.Thread(target=self._work, args=(request, only_with_network), name="ingest", daemon=True)
            self._thread.start()
            return True

    def start_with_what_is_missing(self) -> None:
        """Fetch the links that were never tried, if there are any and the web can be reached."""
        states = self._app.corpus.states()
        never = tuple(source.url for source in self._app.roadmap.sources() if source.url not in states)
        if never or self._app.index.current() is None:
            self.start(
                Request(only=never) if never else Request(limit=0), "Fetching the articles for the first time", only_with_network=True
            )

    def stop(self) -> None:
        """End the run after the source at hand; what has come is kept and indexed."""
        self._stop.set()
        if self.run.running:
            self.run = replace(self.run, stopped=True)

    def close(self) -> None:
        """Stop, and wait a little for the end."""
        self.stop()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _work(self, request: Request, only_with_network: bool) -> None:
        app = type(self._app)(self._app.config, self._app.home)  # reads the roadmap and the user's links as they are now
        try:
            with app.fetcher() as fetcher:
                if only_with_network and request.only and not _reachable(fetcher, app.roadmap.sources(), request.only):
                    request = Request(limit=0)
                    self.run = replace(self.run, problem="The web cannot be reached, so the linked articles were not fetched.")
                ingestor = app.ingestor(fetcher, self._note, self._stop.is_set, PUBLISH_SECONDS)
                report = ingestor.run(request)
            self.run = replace(self.run, report={**report.as_dict(), "ended_at": now()})
        except RoadmapRagError as error:
            self.run = replace(self.run, problem=str(error))
        except Exception as error:  # noqa: BLE001 -- a defect is shown on the page: nobody reads this thread's traceback
            self.run = replace(self.run, problem=f"ingest ended with an unexpected {type(error).__name__}: {error}")
        finally:
            self.run = replace(self.run, running=False, version=self.run.version + 1)

    def _note(self, step: Progress) -> None:
        run = self.run
        if step.stage == "fetch":
            name = step.status if step.status in ("failed", "blocked") else "read"
            self._latest.append(Step(step.what, name))
            counts = {**run.counts, name: run.counts.get(name, 0) + 1}
            self.run = replace(run, stage="fetch", done=step.done, of=step.of, counts=counts, latest=tuple(self._latest))
        else:
            published = step.stage == "index" and step.done == step.of
            self.run = replace(run, stage=step.stage, version=run.version + published)


def _reachable(fetcher: Any, sources: tuple[Source, ...], wanted: tuple[str, ...]) -> bool:
    """Whether any of the first links answers at all, be it with a refusal."""
    for source in [source for source in sources if source.url in wanted][:TRIED_FOR_NETWORK]:
        try:
            fetcher.fetch(source.url)
        except BlockedError:
            return True
        except FetchError as error:
            if error.http_status is not None:
                return True
            continue
        return True
    return False

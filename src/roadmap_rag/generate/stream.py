"""A generation that can be stopped: an asyncio task in a thread of its own, read through a queue.

A synchronous call to a model server cannot be ended while the server works on the prompt: nothing arrives, so nothing returns. A task
can be cancelled at any moment, which closes the connection, and that is how a server learns that nobody listens any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from roadmap_rag.domain import Piece
from roadmap_rag.errors import GeneratorError

LEAVE_SECONDS = 2.0
"""How long ``close`` waits for the connection to be gone; it takes milliseconds unless the machine is overloaded."""

WAKE_SECONDS = 0.5
"""How often a waiting reader looks up, so that Ctrl-C is noticed on Windows too, where a bare wait is not interrupted."""


class WaitingLine:
    """The streams of one generator in the order in which they began, and when the server last sent something to any of them.

    A server with one slot serves them one after another. A stream that waits for its turn must not run into its time-out while
    another one is being served, so the clock of each starts anew with every sign of life. ``serial`` is False for a server that may
    serve several at once: then nobody is told to stand behind others.
    """

    def __init__(self, *, serial: bool = True) -> None:
        self._serial = serial
        self._tickets: tuple[object, ...] = ()
        self._lock = threading.Lock()
        self.last_sign = 0.0

    @property
    def open(self) -> int:
        """How many streams are being served or wait."""
        return len(self._tickets)

    def enter(self, ticket: object) -> None:
        with self._lock:
            self._tickets += (ticket,)

    def leave(self, ticket: object) -> None:
        with self._lock:
            self._tickets = tuple(each for each in self._tickets if each is not ticket)
        self.last_sign = time.monotonic()

    def ahead(self, ticket: object) -> int:
        """How many streams that began before this one are still open; 0 for one that is not in the line."""
        tickets = self._tickets if self._serial else ()
        return next((place for place, each in enumerate(tickets) if each is ticket), 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without a sign of life after which a stream gives up: before its first piece, and between two pieces."""

    first: float
    between: float


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class TokenStream(Iterator[Piece]):
    """The pieces of one generation. ``close`` may be called from any thread, also while another waits in ``next``.

    While others are served first, an empty piece comes each time that ``ahead`` has changed, so that a reader can say so.
    """

    def __init__(
        self,
        pieces: Callable[[], AsyncGenerator[Piece, None]],
        line: WaitingLine,
        limits: Limits,
        silence: Callable[[float], GeneratorError],
    ) -> None:
        self._pieces, self._limits, self._silence = pieces, limits, silence
        self._items: queue.SimpleQueue[Piece | _End] = queue.SimpleQueue()
        self._line, self._ticket = line, object()
        self._ahead_told = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._over = False
        self._lock = threading.Lock()

    @property
    def ahead(self) -> int:
        """How many streams of the same generator are served before this one."""
        return self._line.ahead(self._ticket)

    def __next__(self) -> Piece:
        if not self._begin():
            raise StopIteration
        item = self._take()
        if isinstance(item, Piece) and not self._over:
            return item
        self._over = True
        if isinstance(item, _End) and item.error is not None:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """End the generation on the server; what has not been read is lost. Does nothing when it is over already."""
        with self._lock:
            self._over = True
            thread, loop, task = self._thread, self._loop, self._task
        if thread is None or loop is None or task is None or not thread.is_alive():
            return
        with contextlib.suppress(RuntimeError):  # the loop closed between the question and the call
            loop.call_soon_threadsafe(task.cancel)
        if thread is not threading.current_thread():
            thread.join(LEAVE_SECONDS)

    def __del__(self) -> None:
        self.close()

    def _begin(self) -> bool:
        """Start the work with the first ``next``; return False when the stream is over."""
        with self._lock:
            if self._over:
                return False
            if self._thread is None:
                self._line.enter(self._ticket)
                self._loop = asyncio.new_event_loop()
                self._task = self._loop.create_task(_pump(self._pieces(), self._items, self._line, self._limits, self._silence))
                self._thread = threading.Thread(
                    target=_work, args=(self._loop, self._task, self._items, self._line, self._ticket), name="generate", daemon=True
                )
                self._thread.start()
            return True

    def _take(self) -> Piece | _End:
        while True:
            if (ahead := self.ahead) != self._ahead_told:
                self._ahead_told = ahead
                return Piece()
            with contextlib.suppress(queue.Empty):
                return self._items.get(timeout=WAKE_SECONDS)


def _work(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], items: queue.SimpleQueue[Piece | _End], line: WaitingLine, ticket: object
) -> None:
    """Run the task to its end, whatever that is, and say so in the queue. Holds no reference to the stream, which may be dropped."""
    try:
        loop.run_until_complete(asyncio.wait({task}))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
        line.leave(ticket)
        items.put(_End(None if task.cancelled() else task.exception()))


async def _pump(
    pieces: AsyncGenerator[Piece, None],
    items: queue.SimpleQueue[Piece | _End],
    line: WaitingLine,
    limits: Limits,
    silence: Callable[[float], GeneratorError],
) -> None:
    async with contextlib.aclosing(pieces):
        seconds = limits.first
        while (piece := await _next_within(pieces, seconds, line, silence)) is not None:
            line.last_sign = time.monotonic()
            items.put(piece)
            seconds = limits.between


async def _next_within(
    pieces: AsyncGenerator[Piece, None], seconds: float, line: WaitingLine, silence: Callable[[float], GeneratorError]
) -> Piece | None:
    """The next piece, or None at the end; raises what ``silence`` makes when the server sends nobody anything for so long."""
    step = asyncio.ensure_future(anext(pieces, None))
    began = time.monotonic()
    try:
        while (left := max(began, line.last_sign) + seconds - time.monotonic()) > 0:
            await asyncio.wait({step}, timeout=left)
            if step.done():
                return step.result()
        raise silence(seconds)
    finally:
        if not step.done():
            step.cancel()
            await asyncio.wait({step})


class ThinkingFilter:
    """Takes ``<think>…</think>`` out of a streamed text.

    A tag that stands in code (after an odd number of backticks) is content: texts about reasoning models quote it. An opening tag in
    mid-text that is never closed is content too; at the start of a text everything after it was thinking, and is dropped.
    """

    OPENING, CLOSING = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._backticks = 0
        self._begun = False

    def feed(self, text: str) -> str:
        """What of the text so far may be shown now; a beginning of a tag is held back."""
        self._held += text
        shown = ""
        while True:
            if self._thinking:
                _, found, rest = self._held.partition(self.CLOSING)
                if not found:
                    return shown
                self._thinking, self._held = False, rest if self._begun else rest.lstrip()
            before, found, rest = self._held.partition(self.OPENING)
            if not found:
                keep = _overlap(self._held, self.OPENING)
                shown += self._show(self._held[: len(self._held) - keep])
                self._held = self._held[len(self._held) - keep :]
                return shown
            shown += self._show(before)
            if self._backticks % 2:
                shown += self._show(self.OPENING)
                self._held = rest
            else:
                self._thinking, self._held = True, self.OPENING + rest

    def finish(self) -> str:
        """What is left at the end of the text."""
        rest, self._held = self._held, ""
        return "" if self._thinking and not self._begun else rest

    def _show(self, text: str) -> str:
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        self._backticks += text.count("`")
        return text


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)

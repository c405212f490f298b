"""Running a question beside the event loop, so that Stop is heard at once and an answer that nobody reads is not written on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Final

from roadmap_rag.query_engine import Event, Stop

_END: Final = object()


async def events(run: Callable[[Stop], Iterator[Event]]) -> AsyncGenerator[Event, None]:
    """What ``run`` yields, from a thread of its own. Closing this stops the run; errors of the run are raised here."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Event | BaseException | object] = asyncio.Queue()
    stop = Stop()

    def put(item: Event | BaseException | object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(arrived.put_nowait, item)

    def work() -> None:
        steps = run(stop)
        try:
            for event in steps:
                if stop.stopped:
                    break
                put(event)
        except Exception as error:  # noqa: BLE001 -- raised again in the loop
            put(error)
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
            put(_END)

    threading.Thread(target=work, name="answer", daemon=True).start()
    try:
        while (item := await arrived.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]
    finally:
        threading.Thread(target=stop.stop, name="stop", daemon=True).start()  # it may wait for the server to be told

"""Reads the web on several threads: each host's sources one after another, several hosts at once.

What arrives waits in a short queue, so that a reader that is busy embedding holds the network back and memory stays flat.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from roadmap_rag.adapters import addresses, manual_only
from roadmap_rag.corpus import SourceState
from roadmap_rag.domain import Fetcher, Page, Source
from roadmap_rag.errors import BlockedError, FetchError, StorageError

HOSTS_AT_ONCE = 8
WAITING = 16
"""Pages that may wait for the reader; the threads pause beyond that."""
ANSWER_SECONDS = 0.7
"""How long a site takes to answer a request, for the estimate of a plan."""
_LOOK_AROUND = 0.2
"""Seconds after which a waiting thread looks whether the run was stopped."""
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of one source: a page, or the reason why none. With neither, the text that was supplied by hand stands."""

    source: Source
    page: Page | None = None
    error: FetchError | None = None
    requests: int = 0


class Arrivals:
    """The sources of a run as they come in, in the order in which their sites answer.

    ``states`` is what is known of them; without ``conditional`` pages are downloaded even if they have not changed.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        sources: Sequence[Source],
        states: Mapping[str, SourceState],
        *,
        conditional: bool,
        stopped: Callable[[], bool],
    ) -> None:
        self._fetcher = fetcher
        self._states = states
        self._conditional = conditional
        self._stopped = stopped
        self._over = threading.Event()
        self._ready: queue.Queue[Arrival | StorageError] = queue.Queue(WAITING)
        self._work: queue.SimpleQueue[list[Source]] = queue.SimpleQueue()
        groups = by_host(sources)
        for group in sorted(groups.values(), key=len, reverse=True):
            self._work.put(group)
        self._threads = [
            threading.Thread(target=self._fetch_hosts, name="fetch", daemon=True) for _ in range(min(HOSTS_AT_ONCE, len(groups)))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the threads end after the request that they are at; nobody waits for a slow site."""
        self._over.set()

    def empty(self) -> bool:
        """Whether nothing has come that was not taken yet."""
        return self._ready.empty()

    def arrived(self) -> list[Arrival]:
        """Everything that has come and was not taken yet."""
        found: list[Arrival] = []
        while not self._ready.empty():
            arrival = self._ready.get_nowait()
            if isinstance(arrival, Arrival):
                found.append(arrival)
        return found

    def next(self) -> Arrival | None:
        """The next arrival; None when the run was stopped. Raises StorageError when the folder of robots.txt cannot be written."""
        while not self._stopped():
            try:
                arrival = self._ready.get(timeout=_LOOK_AROUND)
            except queue.Empty:
                continue
            if isinstance(arrival, StorageError):
                raise arrival
            return arrival
        return None

    def _fetch_hosts(self) -> None:
        while not self._ended():
            try:
                group = self._work.get_nowait()
            except queue.Empty:
                return
            for source in group:
                if self._ended():
                    return
                self._put(self._fetch_safely(source))

    def _fetch_safely(self, source: Source) -> Arrival | StorageError:
        try:
            return fetch_source(self._fetcher, source, self._states.get(source.url), conditional=self._conditional)
        except StorageError as error:
            return error
        except Exception as error:  # noqa: BLE001 -- a defect in one source must not cost the others
            return Arrival(source, error=FetchError(f"unexpected {type(error).__name__}: {error}"))

    def _put(self, arrival: Arrival | StorageError) -> None:
        while not self._ended():
            try:
                return self._ready.put(arrival, timeout=_LOOK_AROUND)
            except queue.Full:
                continue
        return None

    def _ended(self) -> bool:
        return self._over.is_set() or self._stopped()


def fetch_source(fetcher: Fetcher, source: Source, state: SourceState | None, *, conditional: bool = True) -> Arrival:
    """Try the addresses of a source until one gives a page.

    What answered last time comes first, so that a refresh is one request. Unless it says that it is gone, no other address is tried
    after it: a site that is down for an hour must not replace a README by the page around it.
    """
    if reason := manual_only(source.url):
        supplied = state is not None and state.by_hand and state.document_id is not None
        return Arrival(source) if supplied else Arrival(source, error=BlockedError(reason))
    answered = state.fetched_url if state and state.document_id and not state.by_hand else None
    places = list(addresses(source.url))
    for better in (state.moved_to if state else None, answered if answered in places else None):
        if better:
            places.insert(0, better)
    requests, error = 0, FetchError("no address to try")
    for place in dict.fromkeys(places):
        try:
            page = fetcher.fetch(place, state.validators if state and conditional else None)
        except FetchError as failure:
            requests += failure.requests
            error = failure
            if place == answered and failure.http_status not in _GONE:
                break
            continue
        return Arrival(source, replace(page, url=source.url), requests=requests + page.requests)
    return Arrival(source, error=error, requests=requests)


def by_host(sources: Sequence[Source]) -> dict[str, list[Source]]:
    """Sources by the host that is asked first, those apart that are never asked for."""
    hosts: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        hosts["" if manual_only(source.url) else _host(addresses(source.url)[0])].append(source)
    return hosts


def polite_seconds(groups: Mapping[str, Sequence[Source]], delay: float) -> float:
    """How long it takes to ask for every source once and for robots.txt once a host, ``delay`` seconds apart, several hosts at once."""
    costs = [(len(group) + 1) * max(delay, ANSWER_SECONDS) for host, group in groups.items() if host]
    busy = [0.0] * HOSTS_AT_ONCE
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(busy, busy[0] + cost)
    return max(busy)


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:  # the fetcher says what is wrong with it
        return url

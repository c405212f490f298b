"""The only socket to the web: politely, conditionally, and never into the user's own network.

A request goes through four gates. The *address* is judged as it is written (``vetting``), and once more when its name has been
resolved: every resolved address must be public, and the connection is made to one of those very addresses, so that a name which
resolves differently a moment later gains nothing. *robots.txt* of the site is read first and obeyed (``robots``). *Pacing* sends
one request at a time to a host, with a pause between two. *Limits* on bytes, unpacked bytes and seconds hold while the body
streams. Redirects are followed by hand, each hop through all four gates.

With a proxy nothing is resolved here: names and literal addresses are judged as written, and the proxy resolves.

    vetting      which addresses may be asked for at all
    robots       what robots.txt allows, remembered for a day
    connections  sockets, TLS, proxies; their errors in words
    body         bytes within limits, unpacked
"""

from __future__ import annotations

import email.utils
import functools
import http
import random
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpx

from roadmap_rag.domain import Page, Validators
from roadmap_rag.errors import BlockedError, FetchError
from roadmap_rag.fetch import body
from roadmap_rag.fetch.connections import CONNECTION_ERRORS, NOTHING_SENT, PROXY_LOGIN, Connections, Lookup, look_up
from roadmap_rag.fetch.robots import Robots
from roadmap_rag.fetch.vetting import vet

__all__ = ["WebFetcher"]

MAX_REDIRECTS = 5
ROBOTS_MAX_BYTES = 512 * 1024
"""RFC 9309 demands at least 500 KiB; what stands behind that is ignored."""
LONGEST_PAUSE = 60.0
"""Seconds: a longer Retry-After ends the attempt and keeps the host closed for that long; a longer Crawl-delay is cut to it."""
FIRST_PAUSE = 1.0
"""Seconds before the second attempt, doubled before each further one, times a random factor of 0.5 to 1."""

# text/markdown first: several documentation sites serve it, with headings and code as they were written.
_ACCEPT = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, application/pdf;q=0.9, text/plain;q=0.9, */*;q=0.5"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
# 402 is a paywall, 451 a legal bar, 999 what one large site tells every program.
_NOT_FOR_US = frozenset({401, 402, 403, 451, 999})


@dataclass(slots=True)
class _Trip:
    """What one call of ``fetch`` has done so far."""

    requests: int = 0
    url: str | None = None


@dataclass(slots=True)
class _Host:
    """Pacing of one host, in seconds since 1970. ``turn`` is held while a request to it is under way."""

    interval: float
    turn: threading.Lock = field(default_factory=threading.Lock)
    asked_at: float = 0.0
    back_off_until: float = 0.0
    closed_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """``body`` is empty unless the status is 200 or 203."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def phrase(self) -> str:
        """Such as "404 Not Found"."""
        try:
            return f"{self.status} {http.HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


class WebFetcher:
    """Fetches pages over HTTP(S); implements ``domain.Fetcher``. May be called from several threads at once.

    ``user_agent`` is "name/version (+contact address)"; the name is what robots.txt rules are looked up by. ``delay``: seconds
    between the starts of two requests to one host, when robots.txt asks for no more. ``timeout``: seconds without a byte;
    ``max_seconds``: for one request in all. ``max_bytes``: of a body, packed and unpacked. ``attempts``: how often one address
    is tried in all. ``robots_folder``: where robots.txt files are kept for a day, or None. ``allowed_hosts``: names or IP
    addresses inside the user's network that may be asked all the same. ``clock``: seconds since 1970. Proxies and certificates
    come from HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        delay: float = 1.0,
        timeout: float = 30.0,
        max_seconds: float = 120.0,
        max_bytes: int = 30_000_000,
        attempts: int = 3,
        robots_folder: Path | None = None,
        allowed_hosts: Collection[str] = (),
        lookup: Lookup = look_up,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._headers = {"User-Agent": user_agent, "Accept": _ACCEPT, "Accept-Language": "en", "Accept-Encoding": "gzip"}
        self._delay = delay
        self._max_bytes = max_bytes
        self._attempts = attempts
        self._allowed_hosts = frozenset(host.lower().strip("[]").removesuffix(".") for host in allowed_hosts)
        self._clock, self._sleep, self._random = clock, sleep, random
        self._robots = Robots(user_agent.split("/")[0], robots_folder, clock)
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._connections = Connections(timeout=timeout, max_seconds=max_seconds, allowed_hosts=self._allowed_hosts, lookup=lookup)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def fetch(self, url: str, validators: Validators | None = None) -> Page:
        """The page at an address. Raises FetchError, or BlockedError when it is not allowed or not for programs.

        ``validators`` are sent to the address that they belong to and to no other; when that one says that nothing has changed,
        the page has no body.
        """
        trip = _Trip()
        try:
            return self._follow(url, validators, trip)
        except FetchError as error:
            error.requests = trip.requests
            error.fetched_url = trip.url
            raise

    def _follow(self, url: str, validators: Validators | None, trip: _Trip) -> Page:
        address = vet(url, self._allowed_hosts)
        permanent, seen = True, {str(address)}
        for _ in range(MAX_REDIRECTS + 1):
            trip.url = str(address)
            self._ask_robots(address, trip)
            asked = validators if validators is not None and _same(validators.url, address) else None
            answer = self._get(address, _conditions(asked), trip, self._max_bytes)
            if answer.status not in _REDIRECTS:
                moved_to = trip.url if permanent and len(seen) > 1 else None
                return self._page(url, address, answer, asked, trip.requests, moved_to)
            permanent = permanent and answer.status in _PERMANENT
            address = self._next(address, answer)
            if str(address) in seen:
                raise FetchError(f"{address.host} redirects in a circle", http_status=answer.status)
            seen.add(str(address))
        raise FetchError(f"more than {MAX_REDIRECTS} redirects", http_status=answer.status)

    def _next(self, address: httpx.URL, answer: _Answer) -> httpx.URL:
        """Where a redirect leads."""
        location = answer.headers.get("location", "").strip()
        if not location:
            raise FetchError(f"{answer.phrase} without an address to go to", http_status=answer.status)
        try:
            return vet(urljoin(str(address), location), self._allowed_hosts)
        except ValueError as error:
            raise BlockedError(f"refused address: {location!r} cannot be read ({error})", http_status=answer.status) from error
        except BlockedError as error:
            error.http_status = answer.status
            raise

    def _page(self, url: str, address: httpx.URL, answer: _Answer, asked: Validators | None, requests: int, moved_to: str | None) -> Page:
        """The answer as a Page, or the reason why it is none."""
        unchanged = answer.status == 304 and asked is not None
        if not unchanged:
            self._accept(address, answer)
        old = asked if unchanged else None
        return Page(
            url=url,
            fetched_url=str(address),
            http_status=answer.status,
            content_type=answer.headers.get("content-type", ""),
            body=None if unchanged else answer.body,
            fetched_at=datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds"),
            etag=answer.headers.get("etag") or (old.etag if old else None),
            last_modified=answer.headers.get("last-modified") or (old.last_modified if old else None),
            requests=requests,
            moved_to=moved_to,
        )

    def _accept(self, address: httpx.URL, answer: _Answer) -> None:
        """Raise unless the answer is a page."""
        if answer.status == 407:
            raise BlockedError(PROXY_LOGIN, http_status=answer.status)
        if answer.status in _NOT_FOR_US:
            raise BlockedError(f"{answer.phrase}: {address.host} does not show this page to programs", http_status=answer.status)
        if answer.status not in (200, 203):
            wait = self._host(address).closed_until - self._clock()
            pause = f": {address.host} asks to come back in {wait:.0f} s" if wait > 0 else ""
            raise FetchError(answer.phrase + pause, http_status=answer.status)
        if not answer.body:
            raise FetchError(f"{address.host} sent an empty page", http_status=answer.status)

    def _ask_robots(self, address: httpx.URL, trip: _Trip) -> None:
        """Raise unless robots.txt allows the address; take over its Crawl-delay."""
        crawl_delay = self._robots.check(str(address), functools.partial(self._get_robots, address, trip))
        self._host(address).interval = max(self._delay, min(crawl_delay, LONGEST_PAUSE))

    def _get_robots(self, page: httpx.URL, trip: _Trip) -> str:
        """The text of robots.txt, empty when the site has none. Raises FetchError when the site must be left alone.

        RFC 9309: a 4xx means that there are no rules, a 5xx or no answer that everything is forbidden. A 429 counts as the latter:
        a site that asks to slow down is not one to read without rules.
        """
        address = page.copy_with(raw_path=b"/robots.txt")
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._get(address, {"Accept": "text/plain, */*;q=0.5"}, trip, ROBOTS_MAX_BYTES, cut=True)
            if answer.status not in _REDIRECTS:
                break
            address = self._next(address, answer)
        else:
            return ""  # RFC 9309 lets too many redirects count as no robots.txt
        if answer.status == 429 or 500 <= answer.status < 600:
            raise FetchError(f"robots.txt of {address.host} cannot be read: {answer.phrase}", http_status=answer.status)
        return answer.body.decode("utf-8-sig", "replace")

    def _host(self, address: httpx.URL) -> _Host:
        with self._lock:
            return self._hosts.setdefault(address.host, _Host(interval=self._delay))

    def _get(self, address: httpx.URL, headers: dict[str, str], trip: _Trip, max_bytes: int, *, cut: bool = False) -> _Answer:
        """The answer of one address, after as many attempts as it takes and are allowed; no redirect is followed.

        Other threads that want the same host wait until the last attempt is over.
        """
        host = self._host(address)
        with host.turn:
            for attempt in range(1, self._attempts + 1):
                self._wait(host, address)
                pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + 0.5 * self._random())
                try:
                    answer = self._send(address, headers, trip, max_bytes, cut=cut)
                except CONNECTION_ERRORS as error:
                    if attempt == self._attempts or self._connections.is_final(error, attempt):
                        raise self._connections.explain(error, address) from error
                else:
                    if answer.status != 429 and not 500 <= answer.status < 600:
                        break
                    pause = max(pause, self._retry_after(answer))
                    if pause > LONGEST_PAUSE:
                        host.closed_until = self._clock() + pause
                        break
                host.back_off_until = self._clock() + pause
        return answer

    def _wait(self, host: _Host, address: httpx.URL) -> None:
        """Wait until the host may be asked again."""
        now = self._clock()
        if host.closed_until > now:
            raise FetchError(f"{address.host} asked to be left alone for another {host.closed_until - now:.0f} s")
        wait = max(host.asked_at + host.interval, host.back_off_until) - now
        if wait > 0:
            self._sleep(min(wait, LONGEST_PAUSE))  # no longer: a clock that was set back must not stop the run
        host.asked_at = self._clock()

    def _send(self, address: httpx.URL, headers: dict[str, str], trip: _Trip, max_bytes: int, *, cut: bool) -> _Answer:
        """One request and its answer."""
        trip.requests += 1
        try:
            response = self._connections.send(address, {**self._headers, **headers})
        except NOTHING_SENT:
            trip.requests -= 1
            raise
        try:
            received = httpx.Headers(response.headers)
            if response.status in (200, 203):
                return _Answer(response.status, received, body.read(response, received, max_bytes, cut=cut))
            body.drain(response, received)
            return _Answer(response.status, received, b"")
        finally:
            response.close()

    def _retry_after(self, answer: _Answer) -> float:
        """Seconds that the server asks to wait, 0 when it does not say."""
        value = answer.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - self._clock())
        except ValueError:
            return 0.0


def _same(url: str, address: httpx.URL) -> bool:
    try:
        return httpx.URL(url).copy_with(fragment=None) == address
    except httpx.InvalidURL:
        return False


def _conditions(validators: Validators | None) -> dict[str, str]:
    """Headers that ask whether a page has changed."""
    asked = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified} if validators else {}
    return {name: value for name, value in asked.items() if value}

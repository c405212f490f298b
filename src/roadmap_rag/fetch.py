"""The only socket to the web: politely, conditionally, and never into the user's own network.

A request goes through four gates. The *address* is judged as it is written (``vetting``), and once more when its name has been
resolved: every resolved address must be public, and the connection is made to one of those very addresses, so that a name which
resolves differently a moment later gains nothing. *robots.txt* of the site is read first and obeyed (``robots``). *Pacing* sends
one request at a time to a host, with a pause between two. *Limits* on bytes, unpacked bytes and seconds hold while the body
streams. Redirects are followed by hand, each hop through all four gates.

With a proxy nothing is resolved here: names and literal addresses are judged as written, and the proxy resolves.

Requests are sent with httpcore, the connection layer of httpx, because httpx itself offers no public way to choose the address
that a connection is made to, and unpacks bodies without a limit.
"""

from __future__ import annotations

import contextlib
import email.utils
import errno
import functools
import http
import math
import random
import socket
import ssl
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import httpcore
import httpx

from roadmap_rag.domain import Page, Validators
from roadmap_rag.errors import BlockedError, FetchError, SettingsError
from roadmap_rag.robots import Robots
from roadmap_rag.vetting import vet, why_refused

MAX_REDIRECTS = 5
ROBOTS_MAX_BYTES = 512 * 1024
"""RFC 9309 demands at least 500 KiB; what stands behind that is ignored."""
LONGEST_PAUSE = 60.0
"""Seconds: a longer Retry-After ends the attempt and keeps the host closed for that long; a longer Crawl-delay is cut to it."""
FIRST_PAUSE = 1.0
"""Seconds before the second attempt, doubled before each further one, times a random factor of 0.5 to 1."""
DRAINED_BYTES = 16 * 1024
"""The body of a redirect or an error up to this size is read, because a new connection costs more."""
CONNECT_TIMEOUT = 10.0
"""Seconds for one address of a host; many hosts have several, of which one may be dead."""

# text/markdown first: several documentation sites serve it, with headings and code as they were written.
_ACCEPT = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, application/pdf;q=0.9, text/plain;q=0.9, */*;q=0.5"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
# 402 is a paywall, 407 a login at the proxy, 451 a legal bar, 999 what one large site tells every program.
_NOT_FOR_US = frozenset({401, 402, 403, 407, 451, 999})
_NOT_TEXT = ("image/", "audio/", "video/", "font/", "model/")
_CONNECTION_ERRORS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
_NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})

Lookup = Callable[[str, int], list[str]]
"""All IP addresses of a host, in the order to try them. Raises OSError."""

# ------------------------------------------------------------------------------------------------------------------ connections


class _Deadline(threading.local):
    """When the request of the calling thread must be over, in seconds of ``time.monotonic``."""

    at = math.inf

    def limit(self, timeout: float | None) -> float:
        """Seconds that one wait may take; raises when there are none left."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline: a server that sends a byte a second is stopped too."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.limit(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._deadline.limit(timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Network(httpcore.NetworkBackend):
    """Connects to addresses that ``resolve`` vouches for; the name goes on into TLS and the Host header."""

    def __init__(self, resolve: Lookup, deadline: _Deadline) -> None:
        self._resolve = resolve
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> _Stream:
        problem: Exception = httpcore.ConnectError(OSError(errno.EADDRNOTAVAIL, "the name has no address"))
        for address in self._resolve(host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, self._deadline.limit(timeout), local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _resolve_any(lookup: Lookup, host: str, port: int) -> list[str]:
    try:
        return list(dict.fromkeys(lookup(host, port)))
    except (OSError, UnicodeError) as error:
        raise FetchError(f"{host} cannot be reached: no network or unknown name") from error


def _resolve_public(lookup: Lookup, allowed_hosts: Collection[str], host: str, port: int) -> list[str]:
    """One address inside the network is enough to refuse the host: the next connection might get that one."""
    found = _resolve_any(lookup, host, port)
    for address in found if host not in allowed_hosts else ():
        reason = why_refused(address)
        if reason:
            raise BlockedError(f"refused address: {host} is {address}, which {reason}")
    return found


# ------------------------------------------------------------------------------------------------------------------ the fetcher


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
        self._timeout = timeout
        self._max_seconds = max_seconds
        self._max_bytes = max_bytes
        self._attempts = attempts
        self._allowed_hosts = frozenset(host.lower().strip("[]").removesuffix(".") for host in allowed_hosts)
        self._clock, self._sleep, self._random = clock, sleep, random
        self._robots = Robots(user_agent.split("/")[0], robots_folder, clock)
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._deadline = _Deadline()
        self._direct, self._proxies = _open_pools(lookup, self._allowed_hosts, self._deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for pool in (self._direct, *self._proxies.values()):
            pool.close()

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

    # -------------------------------------------------------------------------------------------------------------- one address

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
                pause = FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + 0.5 * self._random())
                try:
                    answer = self._send(address, headers, trip, max_bytes, cut=cut)
                except _CONNECTION_ERRORS as error:
                    if attempt == self._attempts or self._is_final(error, attempt):
                        raise self._explain(error, address) from error
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
        url = httpcore.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=address.raw_path)
        every = {"Host": address.netloc.decode("ascii"), **self._headers, **headers}
        waits = {"connect": min(CONNECT_TIMEOUT, self._timeout), "read": self._timeout, "write": self._timeout, "pool": self._timeout}
        request = httpcore.Request("GET", url, headers=list(every.items()), extensions={"timeout": waits})
        self._deadline.at = time.monotonic() + self._max_seconds
        trip.requests += 1
        try:
            response = self._pool(address).handle_request(request)
        except FetchError:  # refused, or nobody to talk to: nothing was sent
            trip.requests -= 1
            raise
        try:
            received = httpx.Headers(response.headers)
            if response.status in (200, 203):
                return _Answer(response.status, received, self._read(response, received, max_bytes, cut=cut))
            _drain(response, received)
            return _Answer(response.status, received, b"")
        finally:
            response.close()

    def _read(self, response: httpcore.Response, headers: httpx.Headers, max_bytes: int, *, cut: bool) -> bytes:
        """The unpacked body, at most ``max_bytes``: cut there, or else refused."""
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        length = headers.get("content-length", "")
        too_large = FetchError(f"larger than {max_bytes / 1e6:g} MB", http_status=response.status)
        if not cut and kind.startswith(_NOT_TEXT):
            raise FetchError(f"{kind} holds no text to read", http_status=response.status)
        if not cut and length.isdecimal() and int(length) > max_bytes:
            raise too_large
        body = bytearray()
        try:
            for piece in _unpack(response.iter_stream(), headers.get("content-encoding", "").strip().lower(), max_bytes):
                body += piece
                if len(body) > max_bytes:
                    break
        except zlib.error as error:
            raise FetchError("the page came packed and cannot be unpacked", http_status=response.status) from error
        if len(body) > max_bytes and not cut:
            raise too_large
        return bytes(body[:max_bytes])

    def _retry_after(self, answer: _Answer) -> float:
        """Seconds that the server asks to wait, 0 when it does not say."""
        value = answer.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - self._clock())
        except ValueError:
            return 0.0

    def _is_final(self, error: Exception, attempt: int) -> bool:
        """Whether another attempt would be pointless or rude."""
        if isinstance(error, httpcore.TimeoutException):
            return attempt > 1 or time.monotonic() >= self._deadline.at
        cause = error.args[0] if error.args else None
        hopeless = isinstance(cause, ConnectionRefusedError | ssl.SSLError) or getattr(cause, "errno", None) in _NO_NETWORK
        return hopeless or isinstance(error, httpcore.LocalProtocolError | httpcore.ProxyError)

    def _explain(self, error: Exception, address: httpx.URL) -> FetchError:
        """Every error of the connection in words; the only place where they are translated."""
        host = address.host
        peer = host if self._pool(address) is self._direct else "the proxy"
        cause = error.args[0] if error.args else None
        match error:
            case httpcore.TimeoutException() if time.monotonic() >= self._deadline.at:
                return FetchError(f"not complete within {self._max_seconds:g} s")
            case httpcore.TimeoutException():
                return FetchError(f"no answer within {self._timeout:g} s")
            case httpcore.ProxyError() if str(error).startswith("407"):
                return BlockedError("the proxy asks for a name and password: put them into HTTPS_PROXY", http_status=407)
            case httpcore.ProxyError():
                return FetchError(f"the proxy does not connect to {host}: {error}")
            case httpcore.LocalProtocolError():
                return FetchError(f"the request to {host} cannot be sent: {error}")
        match cause:
            case ssl.SSLCertVerificationError():
                return FetchError(f"the certificate of {host} cannot be trusted: {cause.verify_message}")
            case ssl.SSLError() if isinstance(error, httpcore.ConnectError):
                return FetchError(f"no secure connection to {host}: {cause.reason}")
            case ConnectionRefusedError():
                return FetchError(f"{peer} refuses the connection")
            case OSError() if cause.errno in _NO_NETWORK:
                return FetchError(f"{peer} cannot be reached: no network or unknown name")
            case _:
                return FetchError(f"the connection to {host} broke off")

    def _pool(self, address: httpx.URL) -> httpcore.ConnectionPool:
        if address.scheme in self._proxies and not urllib.request.proxy_bypass(address.host):
            return self._proxies[address.scheme]
        return self._direct


# ----------------------------------------------------------------------------------------------------------------- small helpers


def _open_pools(
    lookup: Lookup, allowed_hosts: Collection[str], deadline: _Deadline
) -> tuple[httpcore.ConnectionPool, dict[str, httpcore.ConnectionPool]]:
    """The pool for direct connections, which vets what it resolves, and one for each scheme that has a proxy."""
    try:
        context = httpx.create_ssl_context()
    except OSError as error:
        raise SettingsError(f"the certificates that SSL_CERT_FILE names cannot be read: {error}") from error
    public = _Network(functools.partial(_resolve_public, lookup, allowed_hosts), deadline)
    anywhere = _Network(functools.partial(_resolve_any, lookup), deadline)  # a proxy is the user's own choice
    named = urllib.request.getproxies()
    proxies = {scheme: named.get(scheme) or named.get("all") for scheme in ("http", "https")}
    return (
        httpcore.ConnectionPool(context, max_connections=None, network_backend=public),
        {scheme: _open_proxy(scheme, proxy, context, anywhere) for scheme, proxy in proxies.items() if proxy},
    )


def _open_proxy(scheme: str, proxy: str, context: ssl.SSLContext, network: _Network) -> httpcore.ConnectionPool:
    try:
        url = httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
    except httpx.InvalidURL as error:
        raise SettingsError(f"{scheme.upper()}_PROXY={proxy!r} is not an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"{scheme.upper()}_PROXY={proxy!r}: only http:// and https:// proxies are supported")
    return httpcore.HTTPProxy(
        proxy_url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/"),
        proxy_auth=(url.username, url.password) if url.username else None,
        ssl_context=context,
        proxy_ssl_context=context if url.scheme == "https" else None,
        max_connections=None,
        network_backend=network,
    )


def _same(url: str, address: httpx.URL) -> bool:
    try:
        return httpx.URL(url).copy_with(fragment=None) == address
    except httpx.InvalidURL:
        return False


def _drain(response: httpcore.Response, headers: httpx.Headers) -> None:
    """Read a short body that nobody wants, so that the connection can be used again."""
    length = headers.get("content-length", "")
    if response.status == 304 or (length.isdecimal() and int(length) <= DRAINED_BYTES):
        with contextlib.suppress(*_CONNECTION_ERRORS):
            for _ in response.iter_stream():
                pass


def _conditions(validators: Validators | None) -> dict[str, str]:
    """Headers that ask whether a page has changed."""
    asked = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified} if validators else {}
    return {name: value for name, value in asked.items() if value}


def _unpack(chunks: Iterable[bytes], encoding: str, max_bytes: int) -> Iterator[bytes]:
    """The body unpacked, in pieces of at most 64 KiB, so that a small packed body cannot fill the memory at once.

    Stops after ``max_bytes`` of packed bytes: a body may also be made of very many empty parts. Raises zlib.error.
    """
    if encoding in ("", "identity"):
        yield from chunks
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchError(f"the page came packed as {encoding!r}, which was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its first bytes
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise zlib.error("longer packed than it may be unpacked")
        rest = chunk
        while rest:
            if unpacker.eof:  # gzip files may be strung together; anything else behind the end is padding
                if not rest.startswith(b"\x1f\x8b"):
                    return
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield unpacker.decompress(rest, 1 << 16)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if received:
        yield unpacker.flush()
        if not unpacker.eof:
            raise zlib.error("it ends too early")

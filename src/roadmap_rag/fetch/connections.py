"""Connections that lead where they were vetted to lead, and end when their time is up.

With httpcore, the connection layer of httpx, because httpx itself offers no public way to choose the address that a connection is
made to. All errors of connections, TLS and the operating system are put into words here and nowhere else.
"""

from __future__ import annotations

import errno
import functools
import math
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterable
from typing import Any

import httpcore
import httpx

from roadmap_rag.errors import BlockedError, FetchError, SettingsError
from roadmap_rag.fetch.vetting import why_refused

CONNECT_TIMEOUT = 10.0
"""Seconds for one address of a host; many hosts have several, of which one may be dead."""
IDLE_SECONDS = 30.0
"""How long an idle connection is kept; beyond that, some routers have silently forgotten it."""
PROXY_LOGIN = "the proxy asks for a name and password: put them into HTTP_PROXY and HTTPS_PROXY"

CONNECTION_ERRORS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
NOTHING_SENT = (FetchError, httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.LocalProtocolError)
_NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})

Lookup = Callable[[str, int], list[str]]
"""All IP addresses of a host, in the order to try them. Raises OSError."""


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
        problem: Exception | None = None
        for address in self._resolve(host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, self._deadline.limit(timeout), local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = problem or error  # the first is the one that says most
        raise problem or httpcore.ConnectError(OSError(errno.EADDRNOTAVAIL, "the name has no address"))


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


class Connections:
    """Sends requests, directly or through the proxies of the environment. May be used from several threads.

    ``timeout``: seconds without a byte; ``max_seconds``: for one request in all.
    """

    def __init__(self, *, timeout: float, max_seconds: float, allowed_hosts: Collection[str], lookup: Lookup) -> None:
        self._timeout = timeout
        self._max_seconds = max_seconds
        self._deadline = _Deadline()
        self._direct, self._proxies = _open_pools(lookup, allowed_hosts, self._deadline)

    def close(self) -> None:
        for pool in (self._direct, *self._proxies.values()):
            pool.close()

    def send(self, address: httpx.URL, headers: dict[str, str]) -> httpcore.Response:
        """The head of the answer; the caller reads the body and closes it, in this thread.

        Raises FetchError for an address that is refused or cannot be resolved, CONNECTION_ERRORS for all that the line may do.
        """
        url = httpcore.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=address.raw_path)
        every = {"Host": address.netloc.decode("ascii"), **headers}
        waits = {"connect": min(CONNECT_TIMEOUT, self._timeout), "read": self._timeout, "write": self._timeout, "pool": self._timeout}
        request = httpcore.Request("GET", url, headers=list(every.items()), extensions={"timeout": waits})
        self._deadline.at = time.monotonic() + self._max_seconds
        return self._pool(address).handle_request(request)

    def is_final(self, error: Exception, attempt: int) -> bool:
        """Whether another attempt would be pointless or rude."""
        if isinstance(error, httpcore.TimeoutException):
            return attempt > 1 or time.monotonic() >= self._deadline.at
        cause = error.args[0] if error.args else None
        distrust = isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError)
        nobody = isinstance(cause, ConnectionRefusedError) or getattr(cause, "errno", None) in _NO_NETWORK
        return distrust or nobody or isinstance(error, httpcore.LocalProtocolError | httpcore.ProxyError)

    def explain(self, error: Exception, address: httpx.URL) -> FetchError:
        """Every error of the connection in words; the only place where they are translated."""
        host = address.host
        peer = host if self._pool(address) is self._direct else "the proxy"
        cause = error.args[0] if error.args else None
        match error:
            case httpcore.TimeoutException() if time.monotonic() >= self._deadline.at:
                return FetchError(f"not complete within {self._max_seconds:g} s")
            case httpcore.ConnectTimeout():
                return FetchError(f"no answer within {min(CONNECT_TIMEOUT, self._timeout):g} s")
            case httpcore.TimeoutException():
                return FetchError(f"no answer within {self._timeout:g} s")
            case httpcore.ProxyError() if str(error).startswith("407"):
                return BlockedError(PROXY_LOGIN, http_status=407)
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
        httpcore.ConnectionPool(context, max_connections=None, keepalive_expiry=IDLE_SECONDS, network_backend=public),
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
        keepalive_expiry=IDLE_SECONDS,
        network_backend=network,
    )

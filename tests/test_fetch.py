"""The fetcher against the archived web over TLS, and against a small server that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import socket
import ssl
import sys
import threading
import tracemalloc
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conftest import Replay
from roadmap_rag.domain import Validators
from roadmap_rag.errors import BlockedError, FetchError, SettingsError, StorageError
from roadmap_rag.fetch import WebFetcher

StartReplay = Callable[..., AbstractContextManager[Replay]]

AGENT = "roadmap-rag/0.1 (+https://example.com/contact)"
HELLO = b"<html><title>Hello</title><p>Hello.</p></html>"


# ------------------------------------------------------------------------------------------------------------ a small real server


@dataclass
class Reply:
    """What the server says to one request. ``pieces``: the body, written piece by piece with ``pause`` seconds between two."""

    status: int = 200
    body: bytes = HELLO
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})
    pieces: tuple[bytes, ...] = ()
    pause: float = 0.0
    length: int | None = None
    break_off: bool = False


class Server(ThreadingHTTPServer):
    """Answers from ``replies`` by path, the last one for ever.

    ``asked``: what it was asked; ``busiest``: how many requests it was answering at the same time, at most.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, deque[Reply]] = defaultdict(deque)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.busy = self.busiest = 0

    def count(self, more: int) -> None:
        with self.lock:
            self.busy += more
            self.busiest = max(self.busiest, self.busy)

    def say(self, path: str, *replies: Reply) -> str:
        self.replies[path].extend(replies or (Reply(),))
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def handle_error(self, *_: Any) -> None:
        """A client may hang up at any time."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*_)

    def next_reply(self, path: str) -> Reply:
        with self.lock:
            queue = self.replies.get(path)
            if not queue:
                return Reply(404, b"no such page")
            return queue.popleft() if len(queue) > 1 else queue[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        reply = self.server.next_reply(self.path)
        if reply.break_off:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        pieces = reply.pieces or (reply.body,)
        self.server.count(+1)
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304 and "Transfer-Encoding" not in reply.headers:
            self.send_header("Content-Length", str(sum(map(len, pieces)) if reply.length is None else reply.length))
        self.end_headers()
        if reply.status == 304:
            self.server.count(-1)
            return
        try:
            for number, piece in enumerate(pieces, 1):
                if number > 1 and self.server.closing.wait(reply.pause):
                    break
                if number == len(pieces):  # the client may send its next request before this thread goes on
                    self.server.count(-1)
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:  # the client has heard enough
            self.close_connection = True
        if reply.length is not None:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing: ``asked`` is the log."""


@pytest.fixture
def server(no_proxy: None) -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []
        self.lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(round(seconds, 3))
            self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(clock: Clock) -> Iterator[Callable[..., WebFetcher]]:
    """Builds fetchers that may ask 127.0.0.1, on the false clock, without pauses unless asked for; closes them at the end."""
    made: list[WebFetcher] = []

    def build(**options: Any) -> WebFetcher:
        usual: dict[str, Any] = {"allowed_hosts": {"127.0.0.1"}, "delay": 0.0, "clock": clock, "sleep": clock.sleep, "random": lambda: 1.0}
        made.append(WebFetcher(user_agent=AGENT, **{**usual, **options}))
        return made[-1]

    yield build
    for fetcher in made:
        fetcher.close()


@pytest.fixture
def fetcher(make: Callable[..., WebFetcher]) -> WebFetcher:
    return make()


def failure(fetcher: WebFetcher, url: str, kind: type[FetchError] = FetchError, **more: Any) -> FetchError:
    """The error of a fetch that must fail, of exactly this kind."""
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url, **more)
    assert type(caught.value) is kind
    assert "\n" not in caught.value.reason
    return caught.value


# ---------------------------------------------------------------------------------------------------------- the archived web, TLS


@pytest.mark.replay
class TestArchivedWeb:
    @pytest.fixture
    def web(self, through_replay: Replay, make: Callable[..., WebFetcher]) -> WebFetcher:
        return make(allowed_hosts=())

    def test_a_page(self, web: WebFetcher) -> None:
        page = web.fetch("https://huggingface.co/blog/rlhf")
        assert (page.url, page.fetched_url) == ("https://huggingface.co/blog/rlhf",) * 2
        assert (page.http_status, page.content_type, page.moved_to) == (200, "text/html; charset=utf-8", None)
        assert page.body is not None
        assert b"RLHF" in page.body
        assert page.etag or page.last_modified
        assert page.fetched_at == "2027-01-15T08:00:00+00:00"
        assert page.requests == 2  # robots.txt and the page

    def test_unchanged(self, web: WebFetcher) -> None:
        first = web.fetch("https://huggingface.co/blog/rlhf")
        again = web.fetch(first.url, Validators(first.fetched_url, first.etag, first.last_modified))
        assert (again.http_status, again.body, again.requests) == (304, None, 1)
        assert (again.etag, again.last_modified) == (first.etag, first.last_modified)

    def test_a_moved_repository(self, web: WebFetcher) -> None:
        page = web.fetch("https://github.com/leondz/garak")
        assert page.fetched_url == page.moved_to == "https://github.com/NVIDIA/garak"
        assert page.requests == 3

    def test_another_scheme_is_a_move_too(self, web: WebFetcher) -> None:
        assert web.fetch("http://faiss.ai/").moved_to == "https://faiss.ai/"

    def test_a_paper(self, web: WebFetcher) -> None:
        page = web.fetch("https://arxiv.org/pdf/2106.09685.pdf")
        assert page.moved_to == "https://arxiv.org/pdf/2106.09685"
        assert page.content_type == "application/pdf"
        assert page.body is not None
        assert page.body.startswith(b"%PDF")

    def test_absent(self, web: WebFetcher) -> None:
        error = failure(web, "https://huggingface.co/blog/nothing-here")
        assert (error.reason, error.http_status) == ("404 Not Found", 404)
        assert error.fetched_url == "https://huggingface.co/blog/nothing-here"

    def test_a_host_without_robots_txt_is_read(self, web: WebFetcher) -> None:
        error = failure(web, "https://www.pinecone.io/")
        assert (error.reason, error.requests) == ("404 Not Found", 2)

    def test_robots_txt_of_the_archive(self, web: WebFetcher) -> None:
        assert failure(web, "https://huggingface.co/login", BlockedError).reason == "robots.txt of huggingface.co forbids it"

    def test_a_crawl_delay_for_another_robot_is_not_ours(self, web: WebFetcher, clock: Clock) -> None:
        web.fetch("https://mshojaei77.github.io/")
        web.fetch("https://mshojaei77.github.io/roadmap.html")
        assert clock.slept == []

    def test_names_are_vetted_although_the_proxy_resolves(self, web: WebFetcher, replay: Replay) -> None:
        before = len(replay.requests())
        for url in ("https://10.0.0.1/", "http://metadata.google.internal/", "https://0x7f.1/", "http://localhost/"):
            assert failure(web, url, BlockedError).requests == 0
        assert len(replay.requests()) == before

    def test_no_name_is_looked_up_here(self, through_replay: Replay, make: Callable[..., WebFetcher]) -> None:
        asked: list[str] = []

        def lookup(host: str, port: int) -> list[str]:
            asked.append(host)
            return [host]

        make(lookup=lookup).fetch("https://faiss.ai/")
        assert set(asked) == {"127.0.0.1"}  # the proxy itself

    def test_an_untrusted_certificate(
        self, through_replay: Replay, make: Callable[..., WebFetcher], monkeypatch: pytest.MonkeyPatch, clock: Clock
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        error = failure(make(), "https://faiss.ai/")
        assert error.reason.startswith("the certificate of faiss.ai cannot be trusted: ")
        assert (error.requests, clock.slept) == (0, [])  # no second attempt

    def test_a_gateway_that_times_out(
        self, no_proxy: None, start_replay: StartReplay, make: Callable[..., WebFetcher], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with start_replay("--unknown-timeout") as server:
            monkeypatch.setenv("HTTPS_PROXY", server.proxy)
            monkeypatch.setenv("SSL_CERT_FILE", server.ca)
            web = make()
            unknown = failure(web, "https://www.pinecone.io/")
            assert unknown.reason == "robots.txt of www.pinecone.io cannot be read: 504 Gateway Timeout"
            known = failure(web, "https://huggingface.co/blog/nothing-here")
            assert (known.reason, known.http_status) == ("504 Gateway Timeout", 504)

    def test_an_answer_that_never_comes(
        self, no_proxy: None, start_replay: StartReplay, make: Callable[..., WebFetcher], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with start_replay("--unknown-timeout", "20") as server:
            monkeypatch.setenv("HTTPS_PROXY", server.proxy)
            monkeypatch.setenv("SSL_CERT_FILE", server.ca)
            assert failure(make(timeout=1.0), "https://huggingface.co/blog/nothing-here").reason == "no answer within 1 s"

    def test_several_threads(self, web: WebFetcher) -> None:
        repositories = ("MinishLab/semhash", "NVIDIA/garak", "cg123/mergekit", "langfuse/langfuse", "jthack/PIPE", "mlc-ai/mlc-llm")
        urls = [f"https://raw.githubusercontent.com/{name}/HEAD/README.md" for name in repositories]
        with ThreadPoolExecutor(6) as pool:
            pages = list(pool.map(web.fetch, urls))
        assert [page.url for page in pages] == urls
        assert all(page.body for page in pages)
        assert sum(page.requests for page in pages) == len(urls) + 1  # robots.txt once


# -------------------------------------------------------------------------------------------------------------- request and answer


def test_the_request_says_who_asks(fetcher: WebFetcher, server: Server) -> None:
    fetcher.fetch(server.say("/a"))
    _, headers = server.asked[-1]
    assert headers["user-agent"] == AGENT
    assert headers["accept-encoding"] == "gzip"
    assert headers["host"] == f"127.0.0.1:{server.server_address[1]}"
    assert "cookie" not in headers


def test_the_charset_of_the_header_is_kept(fetcher: WebFetcher, server: Server) -> None:
    page = fetcher.fetch(server.say("/a", Reply(body="naïve".encode("latin-1"), headers={"Content-Type": "text/html; charset=ISO-8859-1"})))
    assert page.content_type == "text/html; charset=ISO-8859-1"
    assert page.body == b"na\xefve"


def test_a_fragment_is_not_sent(fetcher: WebFetcher, server: Server) -> None:
    page = fetcher.fetch(server.say("/a?b=c%20d") + "#part")
    assert page.fetched_url == server.url("/a?b=c%20d")
    assert server.paths() == ["/robots.txt", "/a?b=c%20d"]


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, BlockedError, "401 Unauthorized: 127.0.0.1 does not show this page to programs"),
        (402, BlockedError, "402 Payment Required: 127.0.0.1 does not show this page to programs"),
        (403, BlockedError, "403 Forbidden: 127.0.0.1 does not show this page to programs"),
        (451, BlockedError, "451 Unavailable For Legal Reasons: 127.0.0.1 does not show this page to programs"),
        (999, BlockedError, "999: 127.0.0.1 does not show this page to programs"),
        (404, FetchError, "404 Not Found"),
        (410, FetchError, "410 Gone"),
        (202, FetchError, "202 Accepted"),
        (206, FetchError, "206 Partial Content"),
        (304, FetchError, "304 Not Modified"),
        (300, FetchError, "300 Multiple Choices"),
    ],
)
def test_statuses(fetcher: WebFetcher, server: Server, status: int, kind: type[FetchError], reason: str) -> None:
    error = failure(fetcher, server.say("/a", Reply(status)), kind)
    assert (error.reason, error.http_status, error.requests) == (reason, status, 2)


def test_an_empty_page(fetcher: WebFetcher, server: Server) -> None:
    assert failure(fetcher, server.say("/a", Reply(body=b""))).reason == "127.0.0.1 sent an empty page"


@pytest.mark.parametrize("kind", ["image/png", "video/mp4", "audio/mpeg; x=y", "font/woff2", "IMAGE/JPEG"])
def test_what_holds_no_text(fetcher: WebFetcher, server: Server, kind: str) -> None:
    error = failure(fetcher, server.say("/a", Reply(headers={"Content-Type": kind})))
    assert error.reason == f"{kind.split(';')[0].lower()} holds no text to read"


def test_a_page_without_a_type_is_a_page(fetcher: WebFetcher, server: Server) -> None:
    page = fetcher.fetch(server.say("/a", Reply(headers={})))
    assert (page.content_type, page.body) == ("", HELLO)


# ---------------------------------------------------------------------------------------------------------------------- validators


def test_validators_are_sent_back(fetcher: WebFetcher, server: Server) -> None:
    url = server.say("/a", Reply(headers={"ETag": 'W/"1"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}), Reply(304, headers={}))
    first = fetcher.fetch(url)
    again = fetcher.fetch(url, Validators(first.fetched_url, first.etag, first.last_modified))
    _, headers = server.asked[-1]
    assert headers["if-none-match"] == 'W/"1"'
    assert headers["if-modified-since"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert (again.body, again.etag, again.last_modified) == (None, 'W/"1"', "Mon, 01 Jan 2024 00:00:00 GMT")


def test_validators_of_another_address_are_not_sent(fetcher: WebFetcher, server: Server) -> None:
    server.say("/new", Reply(headers={"ETag": '"2"'}))
    url = server.say("/old", Reply(301, headers={"Location": "/new"}))
    fetcher.fetch(url, Validators(server.url("/other"), '"1"'))
    assert all("if-none-match" not in headers for _, headers in server.asked)
    fetcher.fetch(url, Validators(server.url("/new"), '"2"'))
    assert [("if-none-match" in headers) for _, headers in server.asked[-2:]] == [False, True]


def test_validators_that_no_header_can_hold(fetcher: WebFetcher, server: Server) -> None:
    url = server.say("/a")
    error = failure(fetcher, url, validators=Validators(url, '"1"\r\nX-Injected: yes'))
    assert error.reason.startswith("the request to 127.0.0.1 cannot be sent: ")
    assert "/a" not in server.paths()


# ----------------------------------------------------------------------------------------------------------------------- redirects


def redirect(to: str, status: int = 302) -> Reply:
    return Reply(status, headers={"Location": to})


def test_five_redirects_are_followed(fetcher: WebFetcher, server: Server) -> None:
    for number in range(5):
        server.say(f"/{number}", redirect(f"/{number + 1}", 301))
    server.say("/5")
    page = fetcher.fetch(server.url("/0"))
    assert page.fetched_url == page.moved_to == server.url("/5")
    assert page.url == server.url("/0")


def test_six_are_not(fetcher: WebFetcher, server: Server) -> None:
    for number in range(7):
        server.say(f"/{number}", redirect(f"/{number + 1}", 301))
    error = failure(fetcher, server.url("/0"))
    assert (error.reason, error.requests) == ("more than 5 redirects", 7)
    assert "/6" not in server.paths()


@pytest.mark.parametrize("statuses", [(302, 301), (301, 302), (307, 308), (303, 301)])
def test_one_temporary_redirect_makes_the_move_temporary(fetcher: WebFetcher, server: Server, statuses: tuple[int, int]) -> None:
    server.say("/a", redirect("/b", statuses[0]))
    server.say("/b", redirect("/c", statuses[1]))
    server.say("/c")
    page = fetcher.fetch(server.url("/a"))
    assert (page.fetched_url, page.moved_to) == (server.url("/c"), None)


def test_a_circle(fetcher: WebFetcher, server: Server) -> None:
    server.say("/a", redirect("/b"))
    server.say("/b", redirect("/a"))
    assert failure(fetcher, server.url("/a")).reason == "127.0.0.1 redirects in a circle"
    assert server.paths() == ["/robots.txt", "/a", "/b"]


def test_a_redirect_to_nowhere(fetcher: WebFetcher, server: Server) -> None:
    assert failure(fetcher, server.say("/a", Reply(301, headers={}))).reason == "301 Moved Permanently without an address to go to"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://10.0.0.1/admin", "refused address: 10.0.0.1 is inside a private network"),
        ("http://169.254.169.254/latest/meta-data/", "refused address: 169.254.169.254 is a link-local address"),
        ("//localhost/", "refused address: localhost is a name inside a network"),
        ("http://127.0.0.2/", "refused address: 127.0.0.2 is this machine itself"),
        ("http://0x7f.1/", "refused address: 0x7f.1 is an IP address in an unusual spelling"),
        ("file:///etc/passwd", "refused address: 'file' is not http or https"),
        ("https://user@example.com/", "refused address: it holds a user name or password"),
    ],
)
def test_a_redirect_into_the_network(fetcher: WebFetcher, server: Server, location: str, reason: str) -> None:
    error = failure(fetcher, server.say("/a", redirect(location)), BlockedError)
    assert (error.reason, error.http_status, error.requests) == (reason, 302, 2)


def test_a_redirect_that_cannot_be_read(fetcher: WebFetcher, server: Server) -> None:
    error = failure(fetcher, server.say("/a", redirect("http://[::1")), BlockedError)
    assert error.reason.startswith("refused address: 'http://[::1' cannot be read")


def test_robots_txt_holds_for_the_target_of_a_redirect(fetcher: WebFetcher, server: Server) -> None:
    server.say("/robots.txt", Reply(body=b"User-agent: *\nDisallow: /private"))
    server.say("/private")
    assert failure(fetcher, server.say("/a", redirect("/private")), BlockedError).reason == "robots.txt of 127.0.0.1 forbids it"
    assert "/private" not in server.paths()


# -------------------------------------------------------------------------------------------------------------------------- limits


def chunked(body: bytes, times: int) -> tuple[bytes, ...]:
    """A body of unknown length, as it goes over the wire."""
    return (b"%x\r\n%s\r\n" % (len(body), body),) * times + (b"0\r\n\r\n",)


def test_a_body_of_unknown_length(fetcher: WebFetcher, server: Server) -> None:
    url = server.say("/a", Reply(pieces=chunked(HELLO, 9), headers={"Transfer-Encoding": "chunked"}))
    assert fetcher.fetch(url).body == HELLO * 9


def test_a_body_that_says_it_is_too_large(make: Callable[..., WebFetcher], server: Server) -> None:
    url = server.say("/a", Reply(body=b"x" * 1001))
    error = failure(make(max_bytes=1000), url)
    assert (error.reason, error.http_status) == ("larger than 0.001 MB", 200)


def test_a_body_that_turns_out_too_large(make: Callable[..., WebFetcher], server: Server) -> None:
    url = server.say("/a", Reply(pieces=chunked(b"x" * 50_000, 100), headers={"Transfer-Encoding": "chunked"}))
    assert failure(make(max_bytes=200_000), url).reason == "larger than 0.2 MB"


def test_a_body_of_just_the_limit(make: Callable[..., WebFetcher], server: Server) -> None:
    assert make(max_bytes=1000).fetch(server.say("/a", Reply(body=b"x" * 1000))).body == b"x" * 1000


GZIP = {"Content-Type": "text/html", "Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(HELLO * 9000), "gzip"),
        (gzip.compress(HELLO * 9000), "X-GZIP"),
        (zlib.compress(HELLO * 9000), "deflate"),
        (gzip.compress(HELLO * 4000) + gzip.compress(HELLO * 5000), "gzip"),
        (gzip.compress(HELLO * 9000) + b"\0" * 9, "gzip"),
    ],
    ids=["gzip", "x-gzip", "deflate", "two parts", "padding"],
)
def test_a_packed_body(fetcher: WebFetcher, server: Server, packed: bytes, encoding: str) -> None:
    page = fetcher.fetch(server.say("/a", Reply(body=packed, headers={"Content-Encoding": encoding})))
    assert page.body == HELLO * 9000


def test_a_decompression_bomb(make: Callable[..., WebFetcher], server: Server) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    fetcher, url = make(max_bytes=1_000_000), server.say("/a", Reply(body=bomb, headers=GZIP))
    tracemalloc.start()
    try:
        assert failure(fetcher, url).reason == "larger than 1 MB"
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # the highest use of memory, in bytes
    finally:
        tracemalloc.stop()


def test_a_bomb_of_empty_parts(make: Callable[..., WebFetcher], server: Server) -> None:
    url = server.say("/a", Reply(pieces=chunked(gzip.compress(b"") * 1000, 20), headers={**GZIP, "Transfer-Encoding": "chunked"}))
    assert failure(make(max_bytes=100_000), url).reason == "the page came packed and cannot be unpacked"


@pytest.mark.parametrize("body", [HELLO, gzip.compress(HELLO)[:-9]], ids=["not packed", "cut off"])
def test_a_body_that_cannot_be_unpacked(fetcher: WebFetcher, server: Server, body: bytes) -> None:
    error = failure(fetcher, server.say("/a", Reply(body=body, headers=GZIP)))
    assert (error.reason, error.http_status) == ("the page came packed and cannot be unpacked", 200)


def test_a_packing_that_was_not_asked_for(fetcher: WebFetcher, server: Server) -> None:
    error = failure(fetcher, server.say("/a", Reply(headers={"Content-Encoding": "br"})))
    assert error.reason == "the page came packed as 'br', which was not asked for"


def test_a_body_that_trickles(make: Callable[..., WebFetcher], server: Server) -> None:
    url = server.say("/a", Reply(pieces=(b"x",) * 1000, pause=0.05))
    assert failure(make(max_seconds=0.5), url).reason == "not complete within 0.5 s"


def test_a_body_that_comes_too_late(make: Callable[..., WebFetcher], server: Server) -> None:
    url = server.say("/a", Reply(pieces=(b"x", b"y"), pause=3))
    assert failure(make(timeout=30.0, max_seconds=0.5), url).reason == "not complete within 0.5 s"


def test_a_body_that_stops(make: Callable[..., WebFetcher], server: Server) -> None:
    url = server.say("/a", Reply(pieces=(b"x", b"y"), pause=30))
    assert failure(make(timeout=1.0), url).reason == "no answer within 1 s"
    assert server.paths().count("/a") == 2


@pytest.fixture
def speak(no_proxy: None) -> Iterator[Callable[..., str]]:
    """A server that says the same bytes to everybody, one every ``pause`` seconds, whatever it is asked."""
    closing = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as calls:
        listener.settimeout(0.05)

        def serve(said: bytes, pause: float) -> None:
            while not closing.is_set():
                with contextlib.suppress(OSError), listener.accept()[0] as call:
                    for byte in said:
                        call.sendall(bytes([byte]))
                        if closing.wait(pause):
                            break

        def start(said: bytes, pause: float = 0.0) -> str:
            threads.append(threading.Thread(target=serve, args=(said, pause)))
            threads[-1].start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}/"

        calls.callback(lambda: [thread.join() for thread in threads])
        calls.callback(closing.set)
        yield start


def test_a_head_that_trickles(make: Callable[..., WebFetcher], speak: Callable[..., str]) -> None:
    url = speak(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 1000, 0.05)
    assert failure(make(max_seconds=0.5), url).reason == "not complete within 0.5 s"


@pytest.mark.parametrize("said", [b"", b"220 mail.example.com ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\0" * 100])
def test_what_is_not_http(fetcher: WebFetcher, speak: Callable[..., str], said: bytes) -> None:
    assert failure(fetcher, speak(said)).reason == "the connection to 127.0.0.1 broke off"


# ------------------------------------------------------------------------------------------------------------ pacing and attempts


def test_a_pause_between_two_requests(make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
    fetcher = make(delay=1.5)
    for path in ("/a", "/b"):
        fetcher.fetch(server.say(path))
    assert clock.slept == [1.5, 1.5]  # after robots.txt, and between the pages


def test_time_that_has_passed_counts(make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
    fetcher = make(delay=1.5)
    fetcher.fetch(server.say("/a"))
    clock.now += 1.0
    fetcher.fetch(server.say("/b"))
    assert clock.slept == [1.5, 0.5]


def test_a_clock_that_is_set_back_stops_nothing(make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
    fetcher = make(delay=1.5)
    fetcher.fetch(server.say("/a"))
    clock.now -= 3600
    fetcher.fetch(server.say("/b"))
    assert clock.slept == [1.5, 60.0]


def test_a_crawl_delay(make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
    server.say("/robots.txt", Reply(body=b"User-agent: other\nCrawl-delay: 50\n\nUser-agent: *\nCrawl-delay: 7.5"))
    fetcher = make(delay=1.0)
    for path in ("/a", "/b"):
        fetcher.fetch(server.say(path))
    assert clock.slept == [7.5, 7.5]


def test_a_crawl_delay_of_an_hour_is_cut(fetcher: WebFetcher, server: Server, clock: Clock) -> None:
    server.say("/robots.txt", Reply(body=b"User-agent: *\nCrawl-delay: 3600"))
    fetcher.fetch(server.say("/a"))
    assert clock.slept == [60.0]


def test_one_request_at_a_time_to_a_host(make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
    fetcher = make(delay=2.0)
    urls = [server.say(f"/{number}", Reply(pieces=(HELLO, HELLO), pause=0.05)) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(fetcher.fetch, urls))
    assert clock.slept == [2.0] * 6
    assert server.busiest == 1
    assert server.paths().count("/robots.txt") == 1


def test_retry_after_is_obeyed(fetcher: WebFetcher, server: Server, clock: Clock) -> None:
    page = fetcher.fetch(server.say("/a", Reply(429, headers={"Retry-After": "17"}), Reply()))
    assert (page.http_status, page.requests, clock.slept) == (200, 3, [17.0])


def test_retry_after_as_a_date(fetcher: WebFetcher, server: Server, clock: Clock) -> None:
    date = email.utils.formatdate(clock.now + 23, usegmt=True)
    assert fetcher.fetch(server.say("/a", Reply(503, headers={"Retry-After": date}), Reply())).http_status == 200
    assert clock.slept == [23.0]


def test_retry_after_a_long_time_closes_the_host(fetcher: WebFetcher, server: Server, clock: Clock) -> None:
    error = failure(fetcher, server.say("/a", Reply(429, headers={"Retry-After": "3600"})))
    assert error.reason == "429 Too Many Requests: 127.0.0.1 asks to come back in 3600 s"
    assert clock.slept == []
    clock.now += 600
    error = failure(fetcher, server.say("/b"))
    assert (error.reason, error.requests) == ("127.0.0.1 asked to be left alone for another 3000 s", 0)
    clock.now += 3001
    assert fetcher.fetch(server.url("/b")).http_status == 200


@pytest.mark.parametrize("status", [429, 500, 502, 503, 520])
def test_pauses_grow(fetcher: WebFetcher, server: Server, clock: Clock, status: int) -> None:
    error = failure(fetcher, server.say("/a", Reply(status)))
    assert (error.http_status, error.requests, clock.slept) == (status, 4, [1.0, 2.0])


def test_pauses_are_scattered(make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
    assert make(random=lambda: 0.0).fetch(server.say("/a", Reply(500), Reply(500), Reply())).requests == 4
    assert clock.slept == [0.5, 1.0]


def test_a_retry_after_that_is_nonsense(fetcher: WebFetcher, server: Server, clock: Clock) -> None:
    assert fetcher.fetch(server.say("/a", Reply(503, headers={"Retry-After": "soon"}), Reply())).requests == 3
    assert clock.slept == [1.0]


def test_a_connection_that_breaks_is_tried_again(fetcher: WebFetcher, server: Server, clock: Clock) -> None:
    assert fetcher.fetch(server.say("/a", Reply(break_off=True), Reply())).requests == 3
    assert clock.slept == [1.0]


def test_a_connection_that_always_breaks(fetcher: WebFetcher, server: Server) -> None:
    error = failure(fetcher, server.say("/a", Reply(break_off=True)))
    assert (error.reason, error.http_status, error.requests) == ("the connection to 127.0.0.1 broke off", None, 4)


def test_a_body_that_breaks_off(fetcher: WebFetcher, server: Server) -> None:
    error = failure(fetcher, server.say("/a", Reply(length=10_000)))
    assert error.reason == "the connection to 127.0.0.1 broke off"


def test_refused_connections_are_not_tried_again(no_proxy: None, fetcher: WebFetcher, clock: Clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = failure(fetcher, f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert error.reason == "127.0.0.1 refuses the connection"
    assert clock.slept == []


# ---------------------------------------------------------------------------------------------------------------------- robots.txt

ROBOTS = {
    "forbidden": (b"User-agent: *\nDisallow: /", False),
    "forbidden for us": (b"User-agent: roadmap-rag\nDisallow: /\n\nUser-agent: *\nAllow: /", False),
    "forbidden for others": (b"User-agent: *\nDisallow: /\n\nUser-agent: Roadmap-RAG\nAllow: /", True),
    "longest rule": (b"User-agent: *\nDisallow: /\nAllow: /pages/", True),
    "wildcard": (b"User-agent: *\nDisallow: /*.html$", False),
    "byte order mark": (b"\xef\xbb\xbfUser-agent: *\nDisallow: /", False),
    "carriage returns": (b"User-agent: *\rDisallow: /\r", False),
    "binary": (bytes(range(256)), True),
    "a page instead": (HELLO, True),
    "empty": (b"", True),
}


@pytest.mark.parametrize(("text", "allowed"), ROBOTS.values(), ids=ROBOTS.keys())
def test_robots_txt(fetcher: WebFetcher, server: Server, text: bytes, allowed: bool) -> None:
    server.say("/robots.txt", Reply(body=text))
    url = server.say("/pages/a.html")
    if allowed:
        assert fetcher.fetch(url).http_status == 200
    else:
        assert failure(fetcher, url, BlockedError).reason == "robots.txt of 127.0.0.1 forbids it"
        assert server.paths() == ["/robots.txt"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_no_robots_txt_means_no_rules(fetcher: WebFetcher, server: Server, status: int) -> None:
    server.say("/robots.txt", Reply(status))
    assert fetcher.fetch(server.say("/a")).http_status == 200


@pytest.mark.parametrize(
    ("status", "phrase"), [(500, "500 Internal Server Error"), (503, "503 Service Unavailable"), (429, "429 Too Many Requests")]
)
def test_robots_txt_that_cannot_be_read_forbids_all(fetcher: WebFetcher, server: Server, status: int, phrase: str, clock: Clock) -> None:
    server.say("/robots.txt", Reply(status))
    error = failure(fetcher, server.say("/a"))
    assert (error.reason, error.requests) == (f"robots.txt of 127.0.0.1 cannot be read: {phrase}", 3)
    error = failure(fetcher, server.say("/b"))
    assert (error.reason, error.requests) == (f"robots.txt of 127.0.0.1 cannot be read: {phrase}", 0)
    assert set(server.paths()) == {"/robots.txt"}
    clock.now += 601
    server.replies["/robots.txt"] = deque([Reply(404)])
    assert fetcher.fetch(server.url("/b")).http_status == 200


def test_robots_txt_is_followed_through_redirects(fetcher: WebFetcher, server: Server) -> None:
    server.say("/robots.txt", redirect("/r1", 301))
    server.say("/r1", redirect("/r2"))
    server.say("/r2", Reply(body=b"User-agent: *\nDisallow: /a"))
    assert failure(fetcher, server.say("/a"), BlockedError).requests == 3


def test_robots_txt_that_redirects_for_ever_is_none(fetcher: WebFetcher, server: Server) -> None:
    server.say("/robots.txt", redirect("/robots.txt"))
    assert fetcher.fetch(server.say("/a")).requests == 7


def test_robots_txt_that_redirects_into_the_network(fetcher: WebFetcher, server: Server) -> None:
    server.say("/robots.txt", redirect("http://10.0.0.1/"))
    assert failure(fetcher, server.say("/a"), BlockedError).reason == "refused address: 10.0.0.1 is inside a private network"


def test_a_huge_robots_txt_is_read_to_its_limit(fetcher: WebFetcher, server: Server) -> None:
    server.say("/robots.txt", Reply(body=b"User-agent: *\nDisallow: /a\n" + b"#" * 600_000 + b"\nDisallow: /b\n"))
    assert failure(fetcher, server.say("/a"), BlockedError).reason == "robots.txt of 127.0.0.1 forbids it"
    assert fetcher.fetch(server.say("/b")).http_status == 200


class TestRobotsCopies:
    """Copies in a folder serve the next process for a day, and longer only when the site cannot be reached."""

    @pytest.fixture
    def folder(self, tmp_path: Path, make: Callable[..., WebFetcher], server: Server) -> Path:
        server.say("/robots.txt", Reply(body=b"User-agent: *\nDisallow: /private"))
        make(robots_folder=tmp_path / "robots").fetch(server.say("/a"))
        return tmp_path / "robots"

    def test_it_is_asked_once_a_day(self, folder: Path, make: Callable[..., WebFetcher], server: Server, clock: Clock) -> None:
        assert make(robots_folder=folder).fetch(server.url("/a")).requests == 1
        clock.now += 24 * 3600 - 1
        fetcher = make(robots_folder=folder)
        assert failure(fetcher, server.url("/private"), BlockedError).requests == 0
        clock.now += 2
        assert fetcher.fetch(server.url("/a")).requests == 2

    def test_an_old_copy_serves_while_the_site_fails(
        self, folder: Path, make: Callable[..., WebFetcher], server: Server, clock: Clock
    ) -> None:
        server.replies["/robots.txt"] = deque([Reply(500)])
        clock.now += 3 * 24 * 3600
        fetcher = make(robots_folder=folder)
        assert fetcher.fetch(server.url("/a")).requests == 4
        assert failure(fetcher, server.url("/private"), BlockedError).reason == "robots.txt of 127.0.0.1 forbids it"

    @pytest.mark.parametrize("damage", ["", "{", "[]", '{"fetched_at": "x"}', "null"])
    def test_a_damaged_copy_is_fetched_anew(self, folder: Path, make: Callable[..., WebFetcher], server: Server, damage: str) -> None:
        (path,) = folder.iterdir()
        path.write_text(damage)
        assert make(robots_folder=folder).fetch(server.url("/a")).requests == 2
        assert make(robots_folder=folder).fetch(server.url("/a")).requests == 1

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, make: Callable[..., WebFetcher], server: Server) -> None:
        (tmp_path / "robots").write_text("a file where the folder should be")
        with pytest.raises(StorageError, match="robots cannot be written: "):
            make(robots_folder=tmp_path / "robots").fetch(server.say("/a"))


# ----------------------------------------------------------------------------------------------------- names and where they lead


class Names:
    """A resolver with a table; an unknown name is an error, as in a real one."""

    def __init__(self, **table: list[str]) -> None:
        self.table = {name.replace("_", "."): found for name, found in table.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.table[host]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (["10.0.0.1"], "10.0.0.1, which is inside a private network"),
        (["93.184.215.14", "127.0.0.1"], "127.0.0.1, which is this machine itself"),
        (["2606:4700:4700::1111", "fe80::1%eth0"], "fe80::1%eth0, which is a link-local address"),
        (["::ffff:127.0.0.1"], "::ffff:127.0.0.1, which is an IPv4 address in IPv6 form"),
        (["169.254.169.254"], "169.254.169.254, which is a link-local address"),
    ],
)
def test_a_name_that_leads_into_the_network(no_proxy: None, make: Callable[..., WebFetcher], found: list[str], reason: str) -> None:
    error = failure(make(lookup=Names(evil_example_com=found)), "http://evil.example.com/", BlockedError)
    assert (error.reason, error.requests) == (f"refused address: evil.example.com is {reason}", 0)


def test_a_redirect_to_a_name_that_leads_into_the_network(make: Callable[..., WebFetcher], server: Server) -> None:
    fetcher = make(lookup=Names(**{"127_0_0_1": ["127.0.0.1"], "evil_example_com": ["127.0.0.1"]}))
    error = failure(fetcher, server.say("/a", redirect(f"http://evil.example.com:{server.server_address[1]}/a")), BlockedError)
    assert error.reason == "refused address: evil.example.com is 127.0.0.1, which is this machine itself"


def test_the_connection_goes_to_the_address_that_was_vetted(make: Callable[..., WebFetcher], server: Server) -> None:
    names = Names(pages_intranet=["127.0.0.1"])
    server.say("/a")
    make(lookup=names, allowed_hosts={"Pages.Intranet."}).fetch(f"http://pages.intranet:{server.server_address[1]}/a")
    assert names.asked == ["pages.intranet"]  # once, for robots.txt and the page
    assert server.asked[-1][1]["host"] == f"pages.intranet:{server.server_address[1]}"


def test_the_next_address_of_a_host_is_tried(make: Callable[..., WebFetcher], server: Server) -> None:
    names = Names(pages_intranet=["127.0.0.2", "127.0.0.1"])  # nobody listens on the first
    server.say("/a")
    fetcher = make(lookup=names, allowed_hosts={"pages.intranet"})
    assert fetcher.fetch(f"http://pages.intranet:{server.server_address[1]}/a").http_status == 200


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for one host name that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


def test_the_name_stays_in_tls(make: Callable[..., WebFetcher], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    certificate, key = make_certificate(tmp_path, "pages.intranet")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server.say("/a")
    names = Names(pages_intranet=["127.0.0.1"], other_intranet=["127.0.0.1"])
    fetcher = make(lookup=names, allowed_hosts={"pages.intranet", "other.intranet"})
    assert fetcher.fetch(f"https://pages.intranet:{server.server_address[1]}/a").http_status == 200
    assert seen == ["pages.intranet"]
    error = failure(fetcher, f"https://other.intranet:{server.server_address[1]}/a")
    assert error.reason.startswith("the certificate of other.intranet cannot be trusted: Hostname mismatch")


def test_without_a_network(no_proxy: None, make: Callable[..., WebFetcher], clock: Clock) -> None:
    error = failure(make(lookup=Names()), "https://huggingface.co/blog/rlhf")
    assert error.reason == "huggingface.co cannot be reached: no network or unknown name"
    assert (error.requests, error.http_status, clock.slept) == (0, None, [])


def test_a_name_without_an_address(no_proxy: None, make: Callable[..., WebFetcher]) -> None:
    error = failure(make(lookup=Names(example_com=[])), "https://example.com/")
    assert error.reason == "example.com cannot be reached: no network or unknown name"


def test_a_server_that_speaks_no_tls(make: Callable[..., WebFetcher], server: Server) -> None:
    error = failure(make(), f"https://127.0.0.1:{server.server_address[1]}/")
    assert error.reason.startswith("no secure connection to 127.0.0.1: ")


# -------------------------------------------------------------------------------------------------------------- proxies and settings


class TestProxies:
    @pytest.fixture
    def proxy(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
        """The small server as a proxy for plain http: it sees whole addresses as paths."""
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_address[1]}")
        return server

    def test_plain_http_goes_through_it(self, proxy: Server, make: Callable[..., WebFetcher]) -> None:
        proxy.replies["http://example.com/a"].append(Reply())
        assert make().fetch("http://example.com/a").http_status == 200
        assert proxy.paths() == ["http://example.com/robots.txt", "http://example.com/a"]

    def test_it_is_told_name_and_password(self, server: Server, make: Callable[..., WebFetcher], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{server.server_address[1]}")
        server.replies["http://example.com/a"].append(Reply())
        make().fetch("http://example.com/a")
        assert server.asked[-1][1]["proxy-authorization"] == "Basic bWU6c2VjcmV0"

    def test_hosts_of_no_proxy_are_vetted_here(
        self, proxy: Server, make: Callable[..., WebFetcher], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "example.com")
        names = Names(docs_example_com=["10.0.0.1"])
        assert failure(make(lookup=names), "http://docs.example.com/", BlockedError).reason.endswith("which is inside a private network")
        assert proxy.paths() == []

    def test_it_makes_no_tunnel(self, proxy: Server, make: Callable[..., WebFetcher], clock: Clock) -> None:
        error = failure(make(), "https://example.com/")
        assert error.reason.startswith("the proxy does not connect to example.com: 501 ")
        assert clock.slept == []

    def test_it_is_gone(self, no_proxy: None, make: Callable[..., WebFetcher], monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
            error = failure(make(), "https://example.com/")
        assert error.reason == "the proxy refuses the connection"

    @pytest.mark.parametrize("named", ["socks5://127.0.0.1:1080", "http://", "http://[::1"])
    def test_one_that_cannot_be_used(self, no_proxy: None, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", named)
        with pytest.raises(SettingsError, match=r"^HTTPS_PROXY="):
            WebFetcher(user_agent=AGENT)


def test_certificates_that_cannot_be_read(no_proxy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match=r"^the certificates that SSL_CERT_FILE names cannot be read: "):
        WebFetcher(user_agent=AGENT)

"""A corpus as a WARC file: the standard form of archived web pages, which other tools read and write.

What was fetched is written as ``response`` records under the address that answered, with a redirect where the link leads elsewhere;
what was supplied by hand as ``resource`` records under the link. Reading takes any WARC whose records are compressed one by one, and
finds pages the way they are found on the web: by the addresses that hold the text of a link, through redirects.
"""

from __future__ import annotations

import http
import io
import os
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urljoin

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from roadmap_rag import __version__
from roadmap_rag.adapters import addresses, manual_only
from roadmap_rag.corpus import Corpus, SourceState
from roadmap_rag.domain import Page, Source, Validators
from roadmap_rag.errors import BlockedError, FetchError, StorageError
from roadmap_rag.files import writing
from roadmap_rag.ingest.fetching import Arrival, fetch_source

MAX_BYTES = 30_000_000
"""A larger record is refused, unpacked or not."""
MAX_REDIRECTS = 5
_PIECE = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_NOT_FOR_US = frozenset({401, 402, 403, 451})


class _Place(NamedTuple):
    """Where a record begins in the file. Of two records of an address the later date stands."""

    date: str
    offset: int


class Archive:
    """A WARC file, open for reading; implements ``domain.Fetcher`` over its pages. Raises StorageError when it is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}; name a .warc or .warc.gz file") from error
        self._responses: dict[str, _Place] = {}
        self._resources: dict[str, _Place] = {}
        try:
            self._list_records()
        except (ArchiveLoadFailed, EOFError, OSError, ValueError) as error:
            self._file.close()
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise StorageError(f"{path} is no WARC file that can be read ({first}); try: warcio recompress {path} NEW") from error
        if not self._responses and not self._resources:
            self._file.close()
            raise StorageError(f"{path} holds no pages; a corpus is written with: roadmap-rag ingest --export FILE.warc.gz")
        self._loosely = {_loose(url): url for url in self._responses}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def holds(self, url: str) -> bool:
        """Whether anything was archived of a link."""
        found = any(self._find(place) for place in addresses(url))
        return url in self._resources or (found and manual_only(url) is None)

    def supplied_by_hand(self, url: str) -> Page | None:
        """What was supplied by hand for a link, or None."""
        if url not in self._resources:
            return None
        place = self._resources[url]
        record = self._open(place)
        return Page(url, url, 200, record.rec_headers.get_header("Content-Type") or "", _body(record), place.date, requests=0)

    def fetch_source(self, source: Source, state: SourceState | None) -> Arrival:
        """What the archive holds of a link, as it would have arrived from the web."""
        moved = state if state is not None and state.moved_to and self._find(state.moved_to) else None
        return fetch_source(self, source, moved, conditional=False)

    def fetch(self, url: str, validators: Validators | None = None) -> Page:  # noqa: ARG002 -- an archive does not change
        """The page at an address. Raises FetchError when it is not in the archive, or was not to be had when that was made."""
        permanent, asked = True, url
        for _ in range(MAX_REDIRECTS + 1):
            found = self._find(asked)
            if found is None:
                raise FetchError(f"not in {self._path.name}")
            place = self._responses[found]
            record = self._open(place)
            headers = record.http_headers
            status = int(headers.get_statuscode())
            if status not in _REDIRECTS:
                break
            permanent = permanent and status in _PERMANENT
            asked = urljoin(found, headers.get_header("Location") or "")
        else:
            raise FetchError(f"more than {MAX_REDIRECTS} redirects", http_status=status)
        if status not in (200, 203):
            refused = BlockedError if status in _NOT_FOR_US else FetchError
            raise refused(_phrase(status), http_status=status, fetched_url=found)
        return Page(
            url=url,
            fetched_url=found,
            http_status=status,
            content_type=headers.get_header("Content-Type") or "",
            body=_body(record),
            fetched_at=place.date,
            etag=headers.get_header("ETag"),
            last_modified=headers.get_header("Last-Modified"),
            requests=0,
            moved_to=found if permanent and found != url else None,
        )

    def _list_records(self) -> None:
        records = ArchiveIterator(self._file)
        for record in records:
            url = record.rec_headers.get_header("WARC-Target-URI")
            date = record.rec_headers.get_header("WARC-Date") or ""
            known = {"response": self._responses, "resource": self._resources}.get(record.rec_type)
            if known is None or not url or (record.rec_type == "response" and record.http_headers is None):
                continue
            url = url.strip("<>")
            if url not in known or known[url].date <= date:
                known[url] = _Place(date, records.get_record_offset())

    def _find(self, url: str) -> str | None:
        """The archived address for one that is asked for: the same, or else but for the scheme or a final slash."""
        return url if url in self._responses else self._loosely.get(_loose(url))

    def _open(self, place: _Place) -> Any:
        self._file.seek(place.offset)
        return next(iter(ArchiveIterator(self._file)))


def write_archive(corpus: Corpus, path: Path, now: str) -> int:
    """Write everything that the corpus holds to a WARC file, in one step; returns how many pages. ``now`` is ISO 8601."""
    states = [state for state in corpus.states().values() if state.snapshot and state.document_id]
    if not states:
        return 0
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with writing(path.parent), partial.open("wb") as file:
            writer = WARCWriter(file, gzip=path.suffix == ".gz", warc_version="1.1")
            writer.write_record(writer.create_warcinfo_record(path.name, {"software": f"roadmap-rag/{__version__}", "format": "WARC 1.1"}))
            written: set[tuple[str, str]] = set()
            for state in states:
                page = corpus.page(state)
                key = (page.fetched_url, str(state.snapshot))
                if key not in written or state.by_hand:
                    _write_page(writer, page, state, now)
                    written.add(key)
                if page.fetched_url not in addresses(state.url) and not state.by_hand:
                    _write_redirect(writer, state, page.fetched_url, now)
        with writing(path.parent):
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return len(states)


def _write_page(writer: Any, page: Page, state: SourceState, now: str) -> None:
    body = page.body or b""
    dated = {"WARC-Date": state.fetched_at or now}
    if state.by_hand:
        kind = page.content_type or "application/octet-stream"
        record = writer.create_warc_record(
            state.url, "resource", io.BytesIO(body), len(body), warc_content_type=kind, warc_headers_dict=dated
        )
    else:
        named = {
            "Content-Type": page.content_type,
            "ETag": page.etag,
            "Last-Modified": page.last_modified,
            "Content-Length": str(len(body)),
        }
        headers = StatusAndHeaders("200 OK", [(name, value) for name, value in named.items() if value], protocol="HTTP/1.1")
        record = writer.create_warc_record(
            page.fetched_url, "response", io.BytesIO(body), len(body), http_headers=headers, warc_headers_dict=dated
        )
    writer.write_record(record)


def _write_redirect(writer: Any, state: SourceState, target: str, now: str) -> None:
    """The step from the link to where its page was; which steps there were in between is not kept."""
    status = "301 Moved Permanently" if state.moved_to == target else "302 Found"
    headers = StatusAndHeaders(status, [("Location", target), ("Content-Length", "0")], protocol="HTTP/1.1")
    dated = {"WARC-Date": state.fetched_at or now}
    writer.write_record(writer.create_warc_record(state.url, "response", http_headers=headers, warc_headers_dict=dated))


def _body(record: Any) -> bytes:
    """The unpacked body. Raises FetchError when it is too large."""
    stream, body = record.content_stream(), bytearray()
    while piece := stream.read(_PIECE):
        body += piece
        if len(body) > MAX_BYTES:
            raise FetchError(f"larger than {MAX_BYTES / 1e6:g} MB")
    return bytes(body)


def _loose(url: str) -> str:
    return url.partition("#")[0].partition("://")[2].rstrip("/")


def _phrase(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)

"""Sources to corpus to index: one report row per source.

Two halves. The first reads the web: each host's sources are fetched one after another, several hosts at once; what arrives is stored and
extracted in the calling thread, which embeds new passages into the cache while the network is slow. The second needs no network: it builds
the next generation of the index from everything that the corpus holds. A run that is killed loses at most the page in flight; the next
run finds its text in the corpus and its vectors in the cache. What changed is told by comparing with the index, so a source whose text
was stored but never indexed is still ``new``.
"""

from __future__ import annotations

import hashlib
import mimetypes
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from roadmap_rag import chunk as chunking
from roadmap_rag.adapters import addresses, manual_only
from roadmap_rag.corpus import Corpus, SourceState, merge_try
from roadmap_rag.domain import Document, Encoder, Fetcher, Page, Source, Status, Validators
from roadmap_rag.encoders import EmbeddingCache, cache_key
from roadmap_rag.errors import BlockedError, ExtractError, FetchError, RoadmapRagError, UsageError
from roadmap_rag.extract import NEAR_DUPLICATE, extract, resemblance, sketch
from roadmap_rag.index import Entry, Index, IndexSettings, StoredDocument, Written, embedded_text
from roadmap_rag.roadmap import Roadmap, documents

HOSTS_AT_ONCE = 8
_EMBED_AT_LEAST = 32
_EMBED_AT_MOST = 512
"""Texts that go to the embedder at once: sorted by length inside, so more is faster, and a kill loses no more than these."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Row:
    """What happened to one source; the columns are those of ``ingest --json``."""

    url: str
    status: Status
    fetched_url: str | None = None
    http_status: int | None = None
    reason: str = ""
    kept: bool = False
    title: str = ""
    kind: str = ""
    chars: int = 0
    chunks: int = 0
    fetched_at: str | None = None
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    blocked: int = 0
    removed: int = 0
    embedded: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    rows: tuple[Row, ...]
    summary: Summary

    def as_dict(self) -> dict[str, Any]:
        return {"sources": [asdict(row) for row in self.rows], "summary": asdict(self.summary)}


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a run: ``stage`` is "fetch", "embed" or "index"; ``what`` names the source at hand."""

    stage: str
    done: int
    of: int
    what: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Which sources a run is about."""

    topic: str | None = None
    source: str | None = None
    file: Path | None = None
    refresh: bool = False
    offline: bool = False
    limit: int | None = None
    only: tuple[str, ...] = ()
    """Several links, where ``source`` is one."""

    @property
    def partial(self) -> bool:
        return self.topic is not None or self.source is not None or self.limit is not None or bool(self.only)


@dataclass(slots=True)
class _Arrival:
    source: Source
    page: Page | None = None
    error: FetchError | None = None
    requests: int = 0


@dataclass(slots=True)
class _Run:
    """What one run has gathered so far."""

    rows: dict[str, Row] = field(default_factory=dict)
    requests: int = 0
    bytes: int = 0
    embedded: int = 0
    pending: list[str] = field(default_factory=list)


class Ingestor:
    """Ingests into one home. ``fetcher`` may be None for runs without a network.

    With ``publish_every`` a run makes what has come so far current after so many seconds, again and again, for a reader beside it.
    """

    def __init__(
        self,
        *,
        roadmap: Roadmap,
        corpus: Corpus,
        index: Index,
        encoder: Encoder,
        identity: str,
        token_spans: chunking.TokenSpans,
        settings: IndexSettings,
        fetcher: Fetcher | None,
        export: Callable[[], object] = lambda: None,
        progress: Callable[[Progress], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
        publish_every: float | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._roadmap = roadmap
        self._corpus = corpus
        self._index = index
        self._encoder = encoder
        self._identity = identity
        self._token_spans = token_spans
        self._settings = settings
        self._fetcher = fetcher
        self._export = export
        self._progress = progress
        self._stopped = stopped
        self._publish_every = publish_every
        self._clock = clock
        self._cache = EmbeddingCache(index.cache / "embeddings.sqlite")

    def plan(self, request: Request) -> list[Source]:
        """The links that a run would fetch, never tried ones and the oldest first when there is a limit."""
        links = [source for source in self._roadmap.sources() if request.topic is None or request.topic in source.topics]
        if request.source is not None:
            links = [source for source in links if source.url == request.source]
        if request.only:
            links = [source for source in links if source.url in request.only]
        if request.limit is not None:
            states = self._corpus.states()
            checked = {source.url: (states[source.url].checked_at or "") if source.url in states else "" for source in links}
            links = sorted(links, key=lambda source: checked[source.url])[: request.limit]
        return links

    def run(self, request: Request) -> Report:
        """Ingest; raises LockedError when another process does, StorageError when a folder cannot be written."""
        started, clock = self._now(), time.perf_counter()
        self._corpus.prepare()
        with self._index.lock():
            before = self._indexed()
            run = _Run()
            if request.file is not None:
                self._attach(request, run)
            elif request.offline:
                self._extract_again(request, run)
            else:
                self._fetch(request, run)
            local = self._local_documents(request)
            for _, document, _ in local:
                if before.get(document.url) != document.id:
                    self._queue(document, run)
            written = self._write(run, request, local)
            self._finish_rows(run, request, before, local, written)
            self._export()
            rows = tuple(run.rows[url] for url in self._in_order(run.rows))
            summary = self._summarise(rows, run, written, time.perf_counter() - clock)
            self._corpus.save_run(started, asdict(summary), [asdict(row) for row in rows])
        return Report(rows, summary)

    # ------------------------------------------------------------------------------------------------------------------ the web

    def _fetch(self, request: Request, run: _Run) -> None:
        sources = self.plan(request)
        states = self._corpus.states()
        arrivals: queue.Queue[_Arrival] = queue.Queue()
        self._start_fetching(sources, states, request.refresh, arrivals)
        published = time.monotonic()
        for done in range(len(sources)):
            while arrivals.empty() and len(run.pending) >= _EMBED_AT_LEAST:
                self._embed_some(run)
            arrival = self._next(arrivals)
            if arrival is None:
                break
            row = self._store(arrival, states.get(arrival.source.url), run)
            run.rows[row.url] = row
            if len(run.pending) >= _EMBED_AT_MOST:
                self._embed_some(run)
            self._progress(Progress("fetch", done + 1, len(sources), row.title or row.url, row.status))
            if self._publish_every is not None and time.monotonic() - published >= self._publish_every:
                self._write(run, replace(request, limit=done + 1), self._local_documents(request))
                published = time.monotonic()

    def _next(self, arrivals: queue.Queue[_Arrival]) -> _Arrival | None:
        """The next arrival; None when the user has stopped the run."""
        while not self._stopped():
            try:
                return arrivals.get(timeout=0.2)
            except queue.Empty:
                continue
        return None

    def _start_fetching(
        self, sources: Sequence[Source], states: dict[str, SourceState], refresh: bool, arrivals: queue.Queue[_Arrival]
    ) -> None:
        """One queue of sources for each host, several hosts at once, the longest queues first."""
        hosts: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            hosts[urlsplit(addresses(source.url)[0]).netloc].append(source)
        work: queue.SimpleQueue[list[Source]] = queue.SimpleQueue()
        for group in sorted(hosts.values(), key=len, reverse=True):
            work.put(group)

        def fetch_hosts() -> None:
            while not self._stopped():
                try:
                    group = work.get_nowait()
                except queue.Empty:
                    return
                for source in group:
                    if self._stopped():
                        return
                    arrivals.put(self._fetch_one(source, None if refresh else states.get(source.url)))

        for _ in range(min(HOSTS_AT_ONCE, len(hosts))):
            threading.Thread(target=fetch_hosts, name="fetch", daemon=True).start()

    def _fetch_one(self, source: Source, state: SourceState | None) -> _Arrival:
        if reason := manual_only(source.url):
            return _Arrival(source, error=BlockedError(reason))
        assert self._fetcher is not None
        validators = state.validators if state else None
        places = list(addresses(source.url))
        if state and state.moved_to:
            places.insert(0, state.moved_to)
        if validators and validators.url in places:  # what answered last time comes first: a refresh is then one request
            places.remove(validators.url)
            places.insert(0, validators.url)
        requests, error = 0, FetchError("no address to try")
        for place in dict.fromkeys(places):
            known: Validators | None = validators if validators and validators.url == place else None
            try:
                page = self._fetcher.fetch(place, known)
            except FetchError as failure:
                requests += failure.requests
                error = failure
                continue
            except Exception as failure:  # noqa: BLE001 -- a defect in one source must not cost the others
                error = FetchError(f"unexpected {type(failure).__name__}: {failure}")
                continue
            return _Arrival(source, replace(page, url=source.url), requests=requests + page.requests)
        return _Arrival(source, error=error, requests=requests)

    # --------------------------------------------------------------------------------------------------------------- the corpus

    def _store(self, arrival: _Arrival, state: SourceState | None, run: _Run) -> Row:
        """Keep what came and remember the try; the row's status is settled when the index is written."""
        source, page = arrival.source, arrival.page
        run.requests += arrival.requests
        if page is None:
            error = arrival.error or FetchError("nothing came")
            return self._remember_failure(source, state, error)
        run.bytes += len(page.body or b"")
        if page.body is None:
            assert state is not None
            self._corpus.save(
                replace(state, outcome="ok", reason=_kept_reason(state), checked_at=self._now(), since=_since(state, self._now()))
            )
            return self._row(source, replace(state, outcome="ok"), http_status=page.http_status)
        try:
            return self._keep(source, page, state, run)
        except (ExtractError, BlockedError) as error:
            kind = BlockedError if isinstance(error, BlockedError) else FetchError
            return self._remember_failure(source, state, kind(str(error), http_status=page.http_status, fetched_url=page.fetched_url))

    def _keep(self, source: Source, page: Page, state: SourceState | None, run: _Run, *, by_hand: bool = False) -> Row:
        assert page.body is not None
        document = extract(page, title=source.title)
        snapshot = hashlib.sha256(page.body).hexdigest()
        same_text = state is not None and state.document_id == document.id
        if not (same_text and state is not None and state.snapshot == snapshot):
            self._corpus.save_snapshot(page.body)
            self._corpus.save_document(document)
            if not same_text:
                self._queue(document, run)
        reason = "; ".join(["supplied by hand"] * by_hand + list(document.notes))
        now = self._now()
        new = SourceState(
            url=source.url,
            outcome="ok",
            reason=reason,
            checked_at=now,
            http_status=page.http_status,
            fetched_url=page.fetched_url,
            fetched_at=state.fetched_at if same_text and state is not None and not state.by_hand else page.fetched_at,
            validators_url=page.fetched_url,
            etag=page.etag,
            last_modified=page.last_modified,
            moved_to=page.moved_to,
            snapshot=state.snapshot if same_text and state is not None else snapshot,
            content_type=page.content_type,
            document_id=document.id,
            title=document.title,
            kind=document.kind,
            characters=len(document.text),
            by_hand=by_hand,
            sketch=tuple(sorted(sketch(document.text))),
        )
        self._corpus.save(merge_try(state, new))
        return self._row(source, new)

    def _remember_failure(self, source: Source, state: SourceState | None, error: FetchError) -> Row:
        outcome = "blocked" if isinstance(error, BlockedError) else "failed"
        now = self._now()
        tried = SourceState(
            source.url,
            outcome,
            error.reason,
            checked_at=now,
            http_status=error.http_status,
            fetched_url=error.fetched_url,
            title=source.title,
        )
        merged = merge_try(state, tried)
        self._corpus.save(merged)
        kept = merged.document_id is not None
        reason = error.reason
        if kept and merged.since and merged.since != now:
            reason = f"{reason} (since {merged.since[:10]}; the text of {str(merged.fetched_at)[:10]} is kept)"
        row = self._row(source, merged, http_status=error.http_status)
        return replace(row, status="blocked" if outcome == "blocked" else "failed", reason=reason, kept=kept, fetched_url=error.fetched_url)

    def _attach(self, request: Request, run: _Run) -> None:
        """Take a page that the user saved by hand as the text of a link."""
        assert request.file is not None
        source = self._known(request.source)
        try:
            body = request.file.read_bytes()
        except OSError as error:
            raise UsageError(f"{request.file} cannot be read: {error.strerror or error}") from error
        page = Page(source.url, source.url, 200, _guess_type(request.file), body, self._now(), requests=0)
        state = self._corpus.states().get(source.url)
        try:
            row = self._keep(source, page, state, run, by_hand=True)
        except (ExtractError, BlockedError) as error:
            raise ExtractError(f"{request.file}: {error}; save the page again as HTML, PDF or text") from error
        run.rows[row.url] = replace(row, http_status=None, fetched_url=None)

    def _extract_again(self, request: Request, run: _Run) -> None:
        """Make the documents anew from the stored snapshots."""
        states = self._corpus.states()
        sources = [source for source in self.plan(request) if source.url in states and states[source.url].snapshot]
        for done, source in enumerate(sources):
            state = states[source.url]
            try:
                row = self._keep(source, self._corpus.page(state), state, run, by_hand=state.by_hand)
            except RoadmapRagError as error:
                row = self._remember_failure(source, state, FetchError(str(error)))
            run.rows[row.url] = row
            self._progress(Progress("fetch", done + 1, len(sources), row.title or row.url, row.status))

    def _known(self, url: str | None) -> Source:
        for source in self._roadmap.sources():
            if source.url == url:
                return source
        raise UsageError(f"{url} is no link of the roadmap; add it with: roadmap-rag add {url} --topic ID")

    # ------------------------------------------------------------------------------------------------------- the user's own texts

    def _local_documents(self, request: Request) -> list[tuple[Source, Document, str | None]]:
        """The roadmap itself and the user's notes, with the time of change for notes."""
        if request.source is not None and ":" in request.source and request.source.split(":")[0] not in ("roadmap", "notes"):
            return []
        found: list[tuple[Source, Document, str | None]] = []
        topics = {topic.id for topic in self._roadmap.topics}
        for document in documents(self._roadmap):
            name = document.url.removeprefix("roadmap:")
            found.append((Source(document.url, document.title, "roadmap", (name,) if name in topics else ()), document, None))
        for path in self._corpus.notes():
            found.extend(self._note(path))
        wanted = request.topic and f"roadmap:{request.topic}"
        return [item for item in found if wanted in (None, item[0].url) and request.source in (None, item[0].url)]

    def _note(self, path: Path) -> Iterator[tuple[Source, Document, str | None]]:
        url = f"notes:{path.relative_to(self._corpus.folder / 'notes').as_posix()}"
        changed = _iso(datetime.fromtimestamp(path.stat().st_mtime, UTC))
        page = Page(url, url, 200, _guess_type(path), path.read_bytes(), changed, requests=0)
        try:
            document = extract(page, title=path.stem)
        except (ExtractError, BlockedError) as error:
            document = Document(url, path.stem, "", "note", notes=(str(error),))
        yield Source(url, document.title, "note"), document, changed

    # ----------------------------------------------------------------------------------------------------------------- the index

    def _write(self, run: _Run, request: Request, local: Sequence[tuple[Source, Document, str | None]]) -> Written:
        while run.pending:
            self._embed_some(run)
        entries = self._entries(local)
        wanted = {entry.document.url for entry in entries}
        everything = not request.partial

        def remove(url: str) -> bool:
            if everything:
                return url not in wanted
            return url in self._copies and url not in wanted

        written = self._index.write(
            entries,
            settings=self._settings,
            token_spans=self._token_spans,
            embed=lambda texts: self._embed(texts, run),
            now=self._now(),
            remove=remove,
            progress=lambda done, of: self._progress(Progress("index", done, of)),
        )
        if everything:
            self._forget_removed(run)
        return written

    def _entries(self, local: Sequence[tuple[Source, Document, str | None]]) -> list[Entry]:
        """Everything that the corpus holds, in roadmap order, near-duplicates once with the other addresses in ``also``."""
        entries: list[Entry] = []
        for position, (source, document, changed) in enumerate(local):
            if document.text.strip():
                about = StoredDocument(document.url, document.id, document.title, document.kind, position, source.topics, (), changed)
                entries.append(Entry(about, lambda document=document: document))  # type: ignore[misc]
        states = self._corpus.states()
        sources = [source for source in self._roadmap.sources() if source.url in states and states[source.url].document_id]
        self._copies = _find_copies([(source.url, frozenset(states[source.url].sketch)) for source in sources])
        also: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            if source.url in self._copies:
                also[self._copies[source.url]].append(source)
        for position, source in enumerate(sources, start=1_000):
            if source.url in self._copies:
                continue
            state = states[source.url]
            topics = tuple(dict.fromkeys([*source.topics, *(topic for copy in also[source.url] for topic in copy.topics)]))
            about = StoredDocument(
                source.url,
                state.document_id or "",
                state.title,
                state.kind,
                position,
                topics,
                tuple(copy.url for copy in also[source.url]),
                state.fetched_at,
                state.snapshot,
            )
            entries.append(Entry(about, lambda url=source.url: self._stored(url)))  # type: ignore[misc]
        return entries

    def _stored(self, url: str) -> Document:
        document = self._corpus.document(url)
        if document is None:
            raise ExtractError(f"the stored text of {url} is missing; run: roadmap-rag ingest --offline")
        return document

    def _queue(self, document: Document, run: _Run) -> None:
        passages = chunking.chunk(document, self._token_spans, limit=self._settings.limit, overlap=self._settings.overlap)
        run.pending.extend(embedded_text(passage) for passage in passages)

    def _embed_some(self, run: _Run) -> None:
        texts, run.pending = run.pending[:_EMBED_AT_MOST], run.pending[_EMBED_AT_MOST:]
        self._progress(Progress("embed", run.embedded, run.embedded + len(texts) + len(run.pending)))
        self._embed(texts, run)

    def _embed(self, texts: Sequence[str], run: _Run) -> tuple[Vectors, int]:
        """Vectors from the cache, and from the model for texts that it has not seen."""
        keys = [cache_key(self._identity, text) for text in texts]
        vectors = self._cache.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            computed = self._encoder.encode(list(missing.values()))
            fresh = dict(zip(missing, computed, strict=True))
            self._cache.put(fresh)
            vectors |= fresh
            run.embedded += len(missing)
        return np.array([vectors[key] for key in keys], dtype=np.float32), len(missing)

    def _indexed(self) -> dict[str, str]:
        """Document ids of the current generation by link, copies under their own links too."""
        if self._index.current() is None:
            return {}
        with self._index.open() as generation:
            stored = generation.documents()
        return {url: document.id for document in stored.values() for url in (document.url, *document.also)}

    def _forget_removed(self, run: _Run) -> None:
        known = {source.url for source in self._roadmap.sources()}
        for url, state in self._corpus.states().items():
            if url not in known:
                self._corpus.forget(url)
                run.rows[url] = replace(
                    self._row(Source(url, state.title, state.kind), state), status="removed", reason="no longer in the roadmap"
                )

    # ---------------------------------------------------------------------------------------------------------------- the report

    def _row(self, source: Source, state: SourceState, http_status: int | None = None) -> Row:
        return Row(
            url=source.url,
            status="unchanged",
            fetched_url=state.fetched_url,
            http_status=http_status or state.http_status,
            reason=state.reason,
            title=state.title or source.title,
            kind=state.kind or source.kind,
            chars=state.characters,
            fetched_at=state.fetched_at,
            topics=source.topics,
        )

    def _finish_rows(
        self, run: _Run, request: Request, before: dict[str, str], local: Sequence[tuple[Source, Document, str | None]], written: Written
    ) -> None:
        states = self._corpus.states()
        for source, document, changed in local:
            row = Row(source.url, "unchanged", None, None, "; ".join(document.notes), False, document.title, document.kind)
            row = replace(row, chars=len(document.text), fetched_at=changed, topics=source.topics)
            if not document.text.strip():
                row = replace(row, status="failed", reason=row.reason or "no text in it")
            run.rows[row.url] = self._settle(row, document.id, before, written)
        if not request.partial:
            for url in sorted(set(before) - set(run.rows)):
                if url.startswith(("notes:", "roadmap:")):
                    run.rows[url] = Row(url, "removed", reason="no longer there")
        for url, row in run.rows.items():
            if url in states and row.status != "removed":
                run.rows[url] = self._settle(row, states[url].document_id or "", before, written)

    def _settle(self, row: Row, document_id: str, before: dict[str, str], written: Written) -> Row:
        """Say what became of the source in the index, and of which other link it is a copy."""
        chunks = written.chunks.get(row.url, 0)
        if row.status in ("failed", "blocked"):
            return replace(row, chunks=chunks)
        original = self._copies.get(row.url)
        reason = "; ".join(filter(None, [f"same text as {original}" if original else "", row.reason]))
        if row.url not in before:
            return replace(row, status="new", chunks=chunks, reason=reason)
        if original is None and before[row.url] != document_id:
            return replace(row, status="changed", chunks=chunks, reason=reason)
        return replace(row, status="unchanged", chunks=chunks, reason=reason)

    def _in_order(self, urls: Iterable[str]) -> list[str]:
        order = {source.url: place for place, source in enumerate(self._roadmap.sources())}
        return sorted(urls, key=lambda url: (not url.startswith("roadmap:"), not url.startswith("notes:"), order.get(url, len(order)), url))

    def _summarise(self, rows: Sequence[Row], run: _Run, written: Written, seconds: float) -> Summary:
        counts = {
            status: sum(row.status == status for row in rows) for status in ("new", "changed", "unchanged", "failed", "blocked", "removed")
        }
        return Summary(
            **counts,
            embedded=run.embedded,
            requests=run.requests,
            bytes=run.bytes,
            seconds=round(seconds, 3),
            generation=written.generation or self._index.current(),
        )

    def _now(self) -> str:
        return _iso(self._clock())


def _find_copies(sketches: Sequence[tuple[str, frozenset[int]]]) -> dict[str, str]:
    """Links whose text is that of an earlier link, with that link. Candidates are found by shared sketch values, not pair by pair."""
    owners: dict[int, list[str]] = defaultdict(list)
    kept: dict[str, frozenset[int]] = {}
    copies: dict[str, str] = {}
    for url, values in sketches:
        shared: dict[str, int] = defaultdict(int)
        for value in values:
            for owner in owners[value]:
                shared[owner] += 1
        likely = sorted(shared, key=lambda owner: -shared[owner])[:3]
        original = next((owner for owner in likely if resemblance(kept[owner], values) >= NEAR_DUPLICATE), None)
        if original is not None:
            copies[url] = original
            continue
        kept[url] = values
        for value in values:
            owners[value].append(url)
    return copies


def _since(state: SourceState, now: str) -> str:
    return state.since if state.outcome == "ok" and state.since else now


def _kept_reason(state: SourceState) -> str:
    return state.reason if state.outcome == "ok" else ""


def _guess_type(path: Path) -> str:
    special = {".md": "text/markdown", ".markdown": "text/markdown", ".ipynb": "application/x-ipynb+json", ".rst": "text/x-rst"}
    return special.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "text/plain"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Sources to corpus to index: one report row per source.

    fetching    the web on several threads, politely
    archive     a WARC in place of the web, and out of what was fetched
    keeping     what came into the corpus: extracted, stored, remembered
    embedding   passages to the embedder in large batches, while the network is slow
    entries     what the index should hold, near-duplicates once
    report      what a run is asked for, and what it says

Two halves. The first reads the web; what arrives is stored and extracted in the calling thread, which embeds new passages into the cache
whenever nothing has arrived. The second needs no network: it builds the next generation of the index from everything that the corpus
holds. A run that is killed loses at most the pages in flight; the next run finds its text in the corpus and its vectors in the cache.
What is new or changed is told against the last report that was finished, so a source whose text was stored but never reported is still
``new``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from roadmap_rag import chunk as chunking
from roadmap_rag.corpus import Corpus, SourceState
from roadmap_rag.domain import Encoder, Fetcher, Page, Source, Status
from roadmap_rag.encoders import EmbeddingCache
from roadmap_rag.errors import BlockedError, ExtractError, IndexMismatchError, IndexMissingError, StorageError, UsageError
from roadmap_rag.index import Entry, Index, IndexSettings, StoredDocument, Written
from roadmap_rag.ingest.archive import Archive, write_archive
from roadmap_rag.ingest.embedding import WORTH_STARTING, PassageEmbedder
from roadmap_rag.ingest.entries import LocalDocument, find_copies, link_entries, local_documents, local_entries
from roadmap_rag.ingest.fetching import Arrival, Arrivals, by_host, polite_seconds
from roadmap_rag.ingest.keeping import Keeper, guess_type, in_utc, make_row
from roadmap_rag.ingest.report import Plan, Progress, Report, Request, Row, Summary, describe_change
from roadmap_rag.roadmap import Roadmap

__all__ = ["Archive", "Ingestor", "Plan", "Progress", "Report", "Request", "Row", "Summary", "forget_everything", "write_archive"]

_LOCAL = ("roadmap:", "notes:")


@dataclass(slots=True)
class _Run:
    """What one run has gathered so far."""

    keeper: Keeper
    passages: PassageEmbedder
    local: list[LocalDocument]
    before: dict[str, StoredDocument]
    rows: dict[str, Row] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    bytes: int = 0


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

    def plan(self, request: Request, delay: float = 1.0) -> Plan:
        """The links that a run would fetch, never tried ones and the oldest first when there is a limit; ``delay`` paces each host."""
        links = [source for source in self._roadmap.sources() if request.topic is None or request.topic in source.topics]
        if request.source is not None:
            links = [source for source in links if source.url == request.source]
        if request.only:
            links = [source for source in links if source.url in request.only]
        if request.limit is not None:
            states = self._corpus.states()
            checked = {source.url: (states[source.url].checked_at or "") if source.url in states else "" for source in links}
            links = sorted(links, key=lambda source: checked[source.url])[: request.limit]
        hosts = by_host(links)
        return Plan(tuple(links), sum(bool(host) for host in hosts), polite_seconds(hosts, delay))

    def run(self, request: Request) -> Report:
        """Ingest; raises LockedError when another process does, StorageError when a folder cannot be written."""
        started, clock = self._now(), time.perf_counter()
        with self._index.lock():
            self._corpus.prepare()
            with self._corpus.held_open():
                rows, summary = self._run(request, started, clock)
        return Report(rows, summary)

    def _run(self, request: Request, started: str, clock: float) -> tuple[tuple[Row, ...], Summary]:
        run = self._begin(request)
        if request.file is not None:
            self._attach(request, run)
        elif request.archive is not None:
            self._import(request, run)
        elif request.offline:
            self._extract_again(request, run)
        else:
            self._fetch(request, run)
        written = self._write(run, everything=not request.partial)
        self._finish_rows(run, request, written)
        self._export()
        rows = tuple(run.rows[url] for url in self._in_order(run.rows))
        summary = self._summarise(rows, run, written, time.perf_counter() - clock)
        reported = [row.url for row in rows if row.status in ("new", "changed")]
        self._corpus.save_run(started, asdict(summary), [row.as_dict() for row in rows], reported)
        self._corpus.forget([row.url for row in rows if row.status == "removed"])
        return rows, summary

    def _begin(self, request: Request) -> _Run:
        cache = EmbeddingCache(self._index.cache / "embeddings.sqlite")
        passages = PassageEmbedder(self._encoder, self._identity, cache, self._token_spans, self._settings)
        return _Run(Keeper(self._corpus, passages.add, self._now), passages, self._wanted_local(request), self._index.documents())

    # ---------------------------------------------------------------------------------------------------- where texts come from

    def _fetch(self, request: Request, run: _Run) -> None:
        assert self._fetcher is not None
        sources = self.plan(request).sources
        states = {url: self._trusted(state) for url, state in self._corpus.states().items()}
        published = time.monotonic()
        with Arrivals(self._fetcher, sources, states, conditional=not request.refresh, stopped=self._stopped) as arrivals:
            try:
                for done in range(1, len(sources) + 1):
                    while arrivals.empty() and run.passages.waiting >= WORTH_STARTING:
                        self._embed_some(run)
                    arrival = arrivals.next()
                    if arrival is None:
                        break
                    self._take(arrival, states.get(arrival.source.url), run, done, len(sources))
                    if self._publish_every is not None and time.monotonic() - published >= self._publish_every:
                        self._write(run, everything=False)
                        published = time.monotonic()
            except KeyboardInterrupt:
                for arrival in arrivals.arrived():
                    self._take(arrival, states.get(arrival.source.url), run, len(run.rows), len(sources))
                run.keeper.flush()
                raise

    def _take(self, arrival: Arrival, state: SourceState | None, run: _Run, done: int, of: int) -> None:
        row = run.keeper.take(arrival, state)
        run.rows[row.url] = row
        run.requests += arrival.requests
        run.bytes += len(arrival.page.body or b"") if arrival.page else 0
        self._progress(Progress("fetch", done, of, row.title or row.url, row.status))

    def _trusted(self, state: SourceState) -> SourceState:
        """What is known of a source whose stored text is lost holds no validators: it has to be downloaded again."""
        if self._corpus.has_document(state) and self._corpus.has_snapshot(state):
            return state
        return replace(state, etag=None, last_modified=None)

    def _import(self, request: Request, run: _Run) -> None:
        """Take what an archive holds as if the web had answered so."""
        assert request.archive is not None
        states = self._corpus.states()
        with Archive(request.archive) as archive:
            sources = [source for source in self.plan(request).sources if archive.holds(source.url)]
            for done, source in enumerate(sources, start=1):
                state = states.get(source.url)
                if (page := archive.supplied_by_hand(source.url)) is None:
                    self._take(archive.fetch_source(source, state), state, run, done, len(sources))
                    continue
                try:
                    row = run.keeper.keep(source, page, state, by_hand=True)
                except (ExtractError, BlockedError) as error:
                    row = run.keeper.take(Arrival(source, error=BlockedError(str(error))), state)
                run.rows[source.url] = row

    def _attach(self, request: Request, run: _Run) -> None:
        """Take a page that the user saved by hand as the text of a link."""
        assert request.file is not None
        source = self._known(request.source)
        try:
            body = request.file.read_bytes()
        except OSError as error:
            raise UsageError(f"{request.file} cannot be read: {error.strerror or error}") from error
        page = Page(source.url, source.url, 200, guess_type(request.file), body, self._now(), requests=0)
        try:
            run.rows[source.url] = run.keeper.keep(source, page, self._corpus.states().get(source.url), by_hand=True)
        except (ExtractError, BlockedError) as error:
            raise ExtractError(f"{request.file}: {error}; save the page again as HTML, PDF or text") from error

    def _extract_again(self, request: Request, run: _Run) -> None:
        """Make the documents anew from the stored snapshots."""
        states = self._corpus.states()
        sources = [source for source in self.plan(request).sources if source.url in states and states[source.url].snapshot]
        if request.source is not None and not sources and not request.source.startswith(_LOCAL):
            raise StorageError(f"nothing is stored of {request.source}; fetch it with: roadmap-rag ingest --source {request.source}")
        for done, source in enumerate(sources, start=1):
            row = run.keeper.extract_again(source, states[source.url])
            run.rows[row.url] = row
            self._progress(Progress("fetch", done, len(sources), row.title or row.url, row.status))

    def _known(self, url: str | None) -> Source:
        for source in self._roadmap.sources():
            if source.url == url:
                return source
        raise UsageError(f"{url} is no link of the roadmap; add it with: roadmap-rag add {url} --topic ID")

    def _wanted_local(self, request: Request) -> list[LocalDocument]:
        """The documents that need no fetching and that the run is about."""
        if request.file is not None or request.archive is not None or (request.source and not request.source.startswith(_LOCAL)):
            return []
        found = local_documents(self._roadmap, self._corpus)
        wanted = request.source or (request.topic and f"roadmap:{request.topic}")
        chosen = [item for item in found if wanted in (None, item.document.url) and (not request.only or item.document.url in request.only)]
        if request.source and not chosen:
            raise UsageError(f"there is no {request.source}; see: roadmap-rag status")
        return chosen

    # ----------------------------------------------------------------------------------------------------------------- the index

    def _write(self, run: _Run, *, everything: bool) -> Written:
        """Make the next generation current, if anything is different; without ``everything`` what the run is not about stays."""
        run.keeper.flush()
        states = self._corpus.states()
        run.copies = find_copies(self._roadmap, states)
        entries = [*local_entries(run.local), *link_entries(self._roadmap, self._corpus, states, run.copies)]
        wanted = {entry.document.url for entry in entries}

        def remove(url: str) -> bool:
            return url not in wanted and (everything or url in run.copies or url in run.rows)

        self._describe_changes(run, entries)
        for entry in self._index.outdated(entries, self._settings):
            run.passages.add(entry.load())
        while run.passages.waiting:
            self._embed_some(run)
        return self._index.write(
            entries,
            settings=self._settings,
            token_spans=self._token_spans,
            embed=run.passages.embed,
            now=self._now(),
            remove=remove,
            progress=lambda done, of: self._progress(Progress("index", done, of)),
        )

    def _embed_some(self, run: _Run) -> None:
        passages = run.passages
        self._progress(Progress("embed", passages.embedded, passages.embedded + passages.waiting))
        passages.embed_some()

    def _describe_changes(self, run: _Run, entries: Iterable[Entry]) -> None:
        """Say what is different in texts that the index holds in an older form, while it still does."""
        changed = [
            entry for entry in entries if entry.document.url in run.before and run.before[entry.document.url].id != entry.document.id
        ]
        if not changed:
            return
        try:
            with self._index.open() as generation:
                for entry in changed:
                    old = generation.text(entry.document.url)
                    if old is not None and entry.document.url not in run.changes:
                        run.changes[entry.document.url] = describe_change(old, entry.load().text)
        except (IndexMissingError, IndexMismatchError):
            return

    # ---------------------------------------------------------------------------------------------------------------- the report

    def _finish_rows(self, run: _Run, request: Request, written: Written) -> None:
        """Settle what each source is called, and add what is no longer there."""
        states = self._corpus.states()
        for url, row in list(run.rows.items()):
            run.rows[url] = _settle(row, states[url], run, written)
        for item in run.local:
            run.rows[item.document.url] = _local_row(item, run, written)
        if request.partial:
            return
        for url in run.before:
            if url.startswith(_LOCAL) and url not in run.rows:
                run.rows[url] = Row(url, "removed", reason="no longer there")
        links = {source.url for source in self._roadmap.sources()}
        for url, state in states.items():
            if url not in links:
                gone = make_row(Source(url, state.title, state.kind), state)
                run.rows[url] = replace(gone, status="removed", reason="no longer in the roadmap")

    def _in_order(self, urls: Iterable[str]) -> list[str]:
        order = {source.url: place for place, source in enumerate(self._roadmap.sources())}
        return sorted(urls, key=lambda url: (not url.startswith("roadmap:"), not url.startswith("notes:"), order.get(url, len(order)), url))

    def _summarise(self, rows: Iterable[Row], run: _Run, written: Written, seconds: float) -> Summary:
        return Summary(
            **Counter[str](row.status for row in rows),
            embedded=run.passages.embedded,
            requests=run.requests,
            bytes=run.bytes,
            seconds=round(seconds, 3),
            generation=written.generation or self._index.current(),
        )

    def _now(self) -> str:
        return in_utc(self._clock())


def forget_everything(corpus: Corpus, index: Index) -> None:
    """Delete everything that was fetched and indexed; the user's links, notes and conversations stay. Raises LockedError."""
    with index.lock():
        index.clear()
        corpus.clear()


def _settle(row: Row, state: SourceState, run: _Run, written: Written) -> Row:
    """Say what became of a link since the last report, and of which other link it is a copy."""
    row = replace(row, chunks=written.chunks.get(row.url, 0))
    if row.status in ("failed", "blocked"):
        return row
    copied = f"same text as {run.copies[row.url]}" if row.url in run.copies else ""
    if state.reported_id == state.document_id:
        return replace(row, status="unchanged", reason=_join(copied, row.reason))
    if state.reported_id is None:
        return replace(row, status="new", reason=_join(copied, row.reason))
    return replace(row, status="changed", reason=_join(copied or run.changes.get(row.url, ""), row.reason))


def _local_row(item: LocalDocument, run: _Run, written: Written) -> Row:
    document, before = item.document, run.before.get(item.document.url)
    status: Status = "new" if before is None else "unchanged" if before.id == document.id else "changed"
    return Row(
        url=document.url,
        status="failed" if item.empty else status,
        reason=_join(run.changes.get(document.url, ""), *document.notes) or ("no text in it" if item.empty else ""),
        title=document.title,
        kind=document.kind,
        chars=len(document.text),
        chunks=written.chunks.get(document.url, 0),
        fetched_at=item.changed_at,
        topics=item.source.topics,
    )


def _join(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))

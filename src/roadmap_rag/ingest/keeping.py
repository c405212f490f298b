"""What came, put into the corpus: extracted, stored, remembered. Nothing here asks whether it is indexed."""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from roadmap_rag.corpus import Corpus, SourceState, merge_try
from roadmap_rag.domain import Document, Page, Source, digest
from roadmap_rag.errors import BlockedError, ExtractError, FetchError, StorageError
from roadmap_rag.extract import extract, sketch
from roadmap_rag.extract.version import fingerprint
from roadmap_rag.ingest.fetching import Arrival
from roadmap_rag.ingest.report import Row

BY_HAND = "supplied by hand"
_TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".ipynb": "application/x-ipynb+json", ".rst": "text/x-rst"}


class Keeper:
    """Writes the corpus, one source at a time. ``changed`` is told every document whose text is not the one that was stored."""

    def __init__(self, corpus: Corpus, changed: Callable[[Document], None], now: Callable[[], str]) -> None:
        self._corpus = corpus
        self._changed = changed
        self._now = now
        self._unchanged: list[SourceState] = []

    def take(self, arrival: Arrival, state: SourceState | None) -> Row:
        """Keep what came of a source; the row's status is settled when the index is written, unless it failed."""
        source, page = arrival.source, arrival.page
        if arrival.error is not None:
            return self.remember_failure(source, state, arrival.error)
        if page is None or page.body is None:
            assert state is not None
            return self._keep_unchanged(source, state, page)
        try:
            return self.keep(source, page, state)
        except BlockedError as error:
            failure: FetchError = BlockedError(str(error), http_status=page.http_status, fetched_url=page.fetched_url)
        except ExtractError as error:
            failure = FetchError(str(error), http_status=page.http_status, fetched_url=page.fetched_url)
        return self.remember_failure(source, state, failure)

    def keep(self, source: Source, page: Page, state: SourceState | None, *, by_hand: bool = False) -> Row:
        """Extract a page and store it. Raises ExtractError or BlockedError when it holds no article."""
        same = state is not None and state.snapshot == hashlib.sha256(page.body or b"").hexdigest() and state.by_hand == by_hand
        if same and state is not None and state.made_with == made_by(source) and self._is_whole(state):
            new = merge_try(state, _with_text_of(self._answer(source, page, state, by_hand=by_hand), state))
        else:
            new = self._read(source, page, state, by_hand=by_hand)
        self._save(new, state)
        return make_row(source, new)

    def extract_again(self, source: Source, state: SourceState) -> Row:
        """Make the document anew from the stored snapshot; one that turns out to be a wall is let go."""
        try:
            new = self._read_again(source, state)
        except BlockedError as error:
            return self.remember_failure(source, replace(state, document_id=None, snapshot=None), error)
        except (ExtractError, StorageError) as error:
            return self.remember_failure(source, state, FetchError(str(error)))
        self._save(new, state)
        return make_row(source, new)

    def remember_failure(self, source: Source, state: SourceState | None, error: FetchError) -> Row:
        """Note that a try failed; the text that is stored stays."""
        blocked = isinstance(error, BlockedError)
        old = state
        if state is not None and state.document_id is not None:
            state = self._mend(source, state)
        tried = SourceState(
            source.url,
            "blocked" if blocked else "failed",
            error.reason,
            checked_at=self._now(),
            http_status=error.http_status,
            fetched_url=error.fetched_url,
            title=source.title,
            reported_id=state.reported_id if state else None,
        )
        merged = merge_try(state, tried)
        self._save(merged, old)
        kept = merged.document_id is not None
        reason = error.reason
        if kept and merged.since and merged.since != tried.checked_at:
            reason = f"{reason} (since {merged.since[:10]}; the text of {str(merged.fetched_at)[:10]} is kept)"
        return replace(
            make_row(source, merged),
            status="blocked" if blocked else "failed",
            http_status=error.http_status,
            reason=reason,
            kept=kept,
            fetched_url=error.fetched_url,
            since=merged.since,
        )

    def flush(self) -> None:
        """Write what is noted of unchanged sources: all at once, because each commit waits for the disk."""
        self._corpus.save(*self._unchanged)
        self._unchanged.clear()

    def _keep_unchanged(self, source: Source, state: SourceState, page: Page | None) -> Row:
        now = self._now()
        state = replace(state, outcome="ok", reason="", checked_at=now if page else state.checked_at, since=_since(state, now))
        row = make_row(source, state)
        if state.made_with != made_by(source):
            row = self.extract_again(source, state)
        else:
            self._unchanged.append(state)
        return replace(row, http_status=page.http_status if page else None)

    def _answer(self, source: Source, page: Page, state: SourceState | None, *, by_hand: bool) -> SourceState:
        """What a good answer says, but for the text in it."""
        return SourceState(
            url=source.url,
            outcome="ok",
            checked_at=self._now(),
            http_status=page.http_status,
            fetched_url=None if by_hand else page.fetched_url,
            etag=None if by_hand else page.etag,
            last_modified=None if by_hand else page.last_modified,
            moved_to=_moved_to(page, state),
            content_type=page.content_type,
            by_hand=by_hand,
            made_with=made_by(source),
            reported_id=state.reported_id if state else None,
        )

    def _is_whole(self, state: SourceState) -> bool:
        return self._corpus.has_document(state) and self._corpus.has_snapshot(state)

    def _read(self, source: Source, page: Page, state: SourceState | None, *, by_hand: bool) -> SourceState:
        """Extract a page and store its bytes and its text; the state that names them is for the caller to save."""
        assert page.body is not None
        answer = self._answer(source, page, state, by_hand=by_hand)
        document = extract(page, title=source.title)
        if state is not None and state.by_hand == by_hand and self._is_whole(state) and self._is_stored(document):
            # the same text in other bytes (a date in a footer): what is stored stays as it is, and so does the index
            return merge_try(state, _with_text_of(answer, state))
        snapshot = self._corpus.save_snapshot(page.body)
        self._corpus.save_document(document)
        self._changed(document)
        with_text = replace(
            answer,
            fetched_at=in_utc(datetime.fromisoformat(page.fetched_at)) if page.fetched_at else answer.checked_at,
            snapshot=snapshot,
            document_id=document.id,
            title=document.title,
            kind=document.kind,
            characters=len(document.text),
            notes="; ".join([BY_HAND] * by_hand + list(document.notes)),
            sketch=tuple(sorted(sketch(document.text))),
        )
        return merge_try(state, with_text)

    def _is_stored(self, document: Document) -> bool:
        try:
            return self._corpus.document(document.url) == document
        except StorageError:  # damaged: it is written anew
            return False

    def _read_again(self, source: Source, state: SourceState) -> SourceState:
        """The state with the text read anew from its snapshot. What is known of tries and of the web stays."""
        new = self._read(source, self._corpus.page(state), state, by_hand=state.by_hand)
        return replace(new, outcome=state.outcome, reason=state.reason, since=state.since, checked_at=state.checked_at)

    def _mend(self, source: Source, state: SourceState) -> SourceState:
        """A site that fails keeps nobody from a better reading, or a lost one, of what is stored of it."""
        has_document = self._corpus.has_document(state)
        if self._corpus.has_snapshot(state) and (not has_document or state.made_with != made_by(source)):
            with contextlib.suppress(ExtractError, BlockedError):
                return self._read_again(source, state)
        return state if has_document else replace(state, document_id=None)

    def _save(self, new: SourceState, old: SourceState | None) -> None:
        self._corpus.save(new)
        if old is not None and old.document_id not in (None, new.document_id):
            self._corpus.drop_document(old.document_id)


def made_by(source: Source) -> str:
    """What the text depends on besides the bytes: how it is extracted, and the title that stands in where a page has none."""
    return digest(fingerprint(), source.title)[:16]


def make_row(source: Source, state: SourceState) -> Row:
    return Row(
        url=source.url,
        status="unchanged",
        fetched_url=state.fetched_url,
        http_status=None if state.by_hand else state.http_status,
        reason=state.notes,
        title=state.title or source.title,
        kind=state.kind or source.kind,
        chars=state.characters,
        fetched_at=state.fetched_at,
        topics=source.topics,
    )


def guess_type(path: Path) -> str:
    """The content type of a file, by its suffix."""
    return _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "text/plain"


def in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moved_to(page: Page, state: SourceState | None) -> str | None:
    """Where a link leads for good: remembered as long as it answers there."""
    kept = state.moved_to if state is not None and state.moved_to == page.fetched_url else None
    return page.moved_to or kept


def _with_text_of(answer: SourceState, state: SourceState) -> SourceState:
    """An answer that brought nothing new: its validators, and the text as it is stored."""
    text = ("fetched_at", "snapshot", "document_id", "title", "kind", "characters", "notes", "sketch")
    return replace(answer, **{name: getattr(state, name) for name in text})


def _since(state: SourceState, now: str) -> str:
    return state.since if state.outcome == "ok" and state.since else now

"""What the index should hold: everything in the corpus, in roadmap order, near-duplicates once; the roadmap itself; the user's notes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from roadmap_rag.corpus import Corpus, SourceState
from roadmap_rag.domain import Document, Page, Source
from roadmap_rag.errors import BlockedError, ExtractError
from roadmap_rag.extract import NEAR_DUPLICATE, extract, resemblance
from roadmap_rag.index import Entry, StoredDocument
from roadmap_rag.ingest.keeping import guess_type, in_utc
from roadmap_rag.roadmap import Roadmap, documents

_PROBES = 32
"""Smallest values of a sketch by which candidates are found: two texts that are the same to three quarters share nearly all of them."""
_LIKELY = 3
_FIRST_LINK = 100_000
"""Positions of links come after those of the roadmap and the notes, and stay the same while a source before them fails."""


@dataclass(frozen=True, slots=True)
class LocalDocument:
    """A document that needs no fetching. ``changed_at`` is when the file was changed, None for the roadmap's own."""

    source: Source
    document: Document
    position: int
    changed_at: str | None = None

    @property
    def empty(self) -> bool:
        return not self.document.text.strip()


def local_documents(roadmap: Roadmap, corpus: Corpus) -> list[LocalDocument]:
    """The roadmap's documents, then the user's notes; a note that cannot be read is empty and says why in its notes."""
    topics = {topic.id for topic in roadmap.topics}
    found: list[LocalDocument] = []
    for document in documents(roadmap):
        name = document.url.removeprefix("roadmap:")
        source = Source(document.url, document.title, "roadmap", (name,) if name in topics else ())
        found.append(LocalDocument(source, document, len(found)))
    for path in corpus.notes():
        url = f"notes:{path.relative_to(corpus.folder / 'notes').as_posix()}"
        document, changed_at = _read_note(path, url)
        found.append(LocalDocument(Source(url, document.title, "note"), document, len(found), changed_at))
    return found


def local_entries(found: Sequence[LocalDocument]) -> Iterator[Entry]:
    for item in found:
        document = item.document
        about = StoredDocument(
            document.url, document.id, document.title, document.kind, item.position, item.source.topics, (), item.changed_at
        )
        if not item.empty:
            yield Entry(about, lambda document=document: document)  # type: ignore[misc]


def link_entries(roadmap: Roadmap, corpus: Corpus, states: Mapping[str, SourceState], copies: Mapping[str, str]) -> Iterator[Entry]:
    """One entry for every stored text; ``copies`` stand in the ``also`` of the link whose text they share."""
    also: dict[str, list[Source]] = defaultdict(list)
    sources = roadmap.sources()
    for source in sources:
        if source.url in copies:
            also[copies[source.url]].append(source)
    for position, source in enumerate(sources, start=_FIRST_LINK):
        state = states.get(source.url)
        if state is None or state.document_id is None or source.url in copies:
            continue
        shared = also[source.url]
        about = StoredDocument(
            url=source.url,
            id=state.document_id,
            title=state.title,
            kind=state.kind,
            position=position,
            topics=tuple(dict.fromkeys([*source.topics, *(topic for copy in shared for topic in copy.topics)])),
            also=tuple(copy.url for copy in shared),
            fetched_at=state.fetched_at,
            snapshot=state.snapshot,
        )
        yield Entry(about, lambda url=source.url: _stored(corpus, url))  # type: ignore[misc]


def find_copies(roadmap: Roadmap, states: Mapping[str, SourceState]) -> dict[str, str]:
    """Links whose text is that of a link earlier in the roadmap, with that link.

    Candidates are found by the values that sketches share, not pair by pair.
    """
    owners: dict[int, list[str]] = defaultdict(list)
    kept: dict[str, frozenset[int]] = {}
    copies: dict[str, str] = {}
    for source in roadmap.sources():
        state = states.get(source.url)
        if state is None or state.document_id is None:
            continue
        values, probes = frozenset(state.sketch), sorted(state.sketch)[:_PROBES]
        shared = Counter(owner for value in probes for owner in owners.get(value, ()))
        original = next((owner for owner, _ in shared.most_common(_LIKELY) if resemblance(kept[owner], values) >= NEAR_DUPLICATE), None)
        if original is not None:
            copies[source.url] = original
            continue
        kept[source.url] = values
        for value in probes:
            owners[value].append(source.url)
    return copies


def _read_note(path: Path, url: str) -> tuple[Document, str | None]:
    try:
        changed_at = in_utc(datetime.fromtimestamp(path.stat().st_mtime, UTC))
        page = Page(url, url, 200, guess_type(path), path.read_bytes(), changed_at, requests=0)
        return extract(page, title=path.stem), changed_at
    except (ExtractError, BlockedError) as error:
        said = str(error)
    except OSError as error:
        said = f"cannot be read: {error.strerror}"
    return Document(url, path.stem, "", "note", notes=(said,)), None


def _stored(corpus: Corpus, url: str) -> Document:
    document = corpus.document(url)
    if document is None:
        raise ExtractError(f"the stored text of {url} is missing; run: roadmap-rag ingest --refresh --source {url}")
    return document

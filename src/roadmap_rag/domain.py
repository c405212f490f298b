"""The records that pass from stage to stage, and the interfaces of the parts that hold a resource.

Offsets are in characters (Python string indices), times are ISO 8601 in UTC with a trailing ``Z``, durations are seconds. A source is
identified by its link exactly as the roadmap writes it; a document by the hash of that link and its text; a chunk by the link, its
text and how often that text stood before it in the same document, so that an edit elsewhere in the document leaves its id alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np

Difficulty = Literal["beginner", "intermediate", "advanced", "expert", "research"]
Status = Literal["new", "changed", "unchanged", "failed", "blocked", "removed"]
State = Literal["fetched", "stale", "failed", "blocked", "pending"]
Verdict = Literal["supported", "unsupported", "contradicted"]
RefusalReason = Literal["no_passage", "not_supported", "model_declined"]

# ---------------------------------------------------------------------------------------------------------------- the roadmap


@dataclass(frozen=True, slots=True)
class Concept:
    name: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lab:
    title: str
    goal: str
    path: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One link. ``title`` names what the address holds; ``called`` is a path's own label for it where that differs."""

    title: str
    url: str
    kind: str
    author: str = ""
    provider: str = ""
    why: str = ""
    called: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    title: str
    part: str
    summary: str
    difficulty: tuple[Difficulty, Difficulty] | None = None
    also_called: tuple[str, ...] = ()
    prerequisites: tuple[str, ...] = ()
    assumes: tuple[str, ...] = ()
    concepts: tuple[Concept, ...] = ()
    skills: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labs: tuple[Lab, ...] = ()
    resources: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a path's part. ``level`` and ``prerequisites`` stand as that document words them."""

    title: str
    number: int | None = None
    level: str = ""
    prerequisites: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    id: str
    title: str
    number: int | None = None
    level: str = ""
    focus: str = ""
    outcome: str = ""
    optional: bool = False
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryRequirement:
    area: str
    skill: str
    needs: int
    of: int


@dataclass(frozen=True, slots=True)
class Path:
    """A learning path: one of the documents behind the roadmap, in its own order and wording."""

    id: str
    title: str
    author: str = ""
    url: str = ""
    source: str = ""
    also_called: tuple[str, ...] = ()
    summary: str = ""
    entry_test: tuple[EntryRequirement, ...] = ()
    setup: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    resources: tuple[Resource, ...] = ()


# ------------------------------------------------------------------------------------------------------- sources and their text


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to ingest. ``url`` is the link as the roadmap writes it, or ``roadmap:…`` or ``notes:…``."""

    url: str
    title: str = ""
    kind: str = ""
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server gave to ask with whether a page has changed; ``url`` is the address they belong to."""

    url: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Bytes as they came. ``body`` is None when the server said that nothing has changed (304)."""

    url: str
    fetched_url: str
    http_status: int
    content_type: str
    body: bytes | None
    fetched_at: str
    etag: str | None = None
    last_modified: str | None = None
    requests: int = 1
    moved_to: str | None = None
    """The address that permanent redirects lead to, when the whole chain was permanent."""


@dataclass(frozen=True, slots=True)
class Document:
    """Extracted text. ``text`` is Markdown: headings are ``#`` lines, code stands in fences, tables in pipes."""

    url: str
    title: str
    text: str
    kind: str
    author: str = ""
    published: str = ""
    notes: tuple[str, ...] = ()
    """What the reader should know about this text: "212 characters", "no text on pages 3 and 4"."""

    @property
    def id(self) -> str:
        return digest(self.url, self.text)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage. ``text == document.text[start:end]``; ``section`` is the headings above it joined by " > "."""

    id: str
    url: str
    title: str
    section: str
    start: int
    end: int
    text: str


# ------------------------------------------------------------------------------------------------------ retrieval and answering


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question.

    ``score`` is the calibrated relevance: the estimated probability, 0 to 1, that the passage answers the question.
    ``text`` is ``document[start:end]`` of the stored document of ``url``; ``also`` are other links with the same text.
    """

    rank: int
    score: float
    below_floor: bool
    url: str
    title: str
    section: str
    text: str
    start: int
    end: int
    fetched_at: str | None
    topics: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    features: dict[str, float] = field(default_factory=dict)
    """What the score was made of; shown by ``ask --explain``."""


@dataclass(frozen=True, slots=True)
class Citation:
    """``quote`` is ``document[start:end]`` of the stored document of ``url``, word for word."""

    n: int
    url: str
    title: str
    section: str
    quote: str
    start: int
    end: int
    fetched_at: str | None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer, labels included, with the program's verdict on it."""

    text: str
    verdict: Verdict
    citations: tuple[int, ...] = ()

    @property
    def supported(self) -> bool:
        return self.verdict == "supported"


@dataclass(frozen=True, slots=True)
class NearestTopic:
    id: str
    title: str
    missing: tuple[str, ...] = ()
    """Links of the topic that are not ingested."""


@dataclass(frozen=True, slots=True)
class Timings:
    retrieve: float = 0.0
    first_token: float | None = None
    generate: float | None = None
    verify: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Tokens:
    prompt: int | None = None
    completion: int | None = None
    context: int | None = None
    dropped_passages: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    question: str
    standalone: str
    answer: str
    refused: bool
    reason: RefusalReason | None
    notices: tuple[str, ...]
    model: str | None
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    nearest_topics: tuple[NearestTopic, ...]
    timings: Timings
    tokens: Tokens
    hits: tuple[Hit, ...] = ()
    trace: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation; ``role`` is "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a generated text, perhaps empty. The last one carries the counts that the server reported, and ``report``: what it
    granted and how long each step took (``window_asked`` and ``window_granted`` in tokens, times in seconds), as far as it says so."""

    text: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    report: Mapping[str, float | None] | None = None


# ------------------------------------------------------------------------------------------------------------------- interfaces


class Fetcher(Protocol):
    """Gets one address from the web, as politely as the site asks; raises FetchError or BlockedError."""

    def fetch(self, url: str, validators: Validators | None = None) -> Page: ...


class Encoder(Protocol):
    """Turns texts into unit vectors, shape (len(texts), dimensions), float32, in the order given."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray[Any, np.dtype[np.float32]]: ...


class Generator(Protocol):
    """Writes an answer to messages; closing the iterator stops the generation. Raises GeneratorError."""

    def stream(self, messages: Sequence[Turn]) -> Iterator[Piece]: ...


# ------------------------------------------------------------------------------------------------------------------ small helpers


def digest(*parts: str) -> str:
    """SHA-256 (first 32 hexadecimal digits) over the parts, each prefixed with its length so that no two lists collide."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        sha.update(f"{len(data)}:".encode())
        sha.update(data)
    return sha.hexdigest()[:32]

"""Hybrid retrieval: dense and lexical candidates, fused by reciprocal rank, neighbours joined, duplicates shown once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from roadmap_rag.domain import Encoder, Hit, Turn
from roadmap_rag.index import Generation, Index, IndexSettings
from roadmap_rag.text import terms

CANDIDATES = 50
RANK_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""
MAX_CHARACTERS = 1_600
FLOOR = 0.5


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What was found. ``standalone`` is what was searched for; ``seconds`` is the time that it took."""

    question: str
    standalone: str
    hits: tuple[Hit, ...]
    seconds: float
    notes: tuple[str, ...] = ()


class Retriever:
    """Searches the current generation and opens a newer one between questions. Safe to use from several threads."""

    def __init__(self, index: Index, settings: IndexSettings, encoder: Encoder) -> None:
        self._index = index
        self._settings = settings
        self._encoder = encoder
        self._lock = threading.Lock()
        self._generation: Generation | None = None

    def close(self) -> None:
        with self._lock:
            if self._generation is not None:
                self._generation.close()
                self._generation = None

    def generation(self) -> Generation:
        """The current generation, open. Raises IndexMissingError or IndexMismatchError."""
        with self._lock:
            current = self._index.current()
            if self._generation is not None and self._generation.manifest.generation == current:
                return self._generation
            newer = self._index.open(self._settings)
            if self._generation is not None:
                self._generation.close()
            self._generation = newer
            return newer

    def search(self, question: str, *, k: int = 8, topic: str | None = None, history: Sequence[Turn] = ()) -> Retrieval:
        """The k best passages for a question, best first; all of them when the index holds fewer."""
        started = time.perf_counter()
        generation = self.generation()
        urls = None if topic is None else {url for url, document in generation.documents().items() if topic in document.topics}
        vector = self._encoder.encode([question], query=True)[0]
        dense = generation.dense(vector, max(CANDIDATES, k), urls)
        lexical = generation.lexical(terms(question), max(CANDIDATES, k), urls)
        cosines = dict(dense)
        fused: dict[int, float] = {}
        for ranking in (dense, lexical):
            for rank, (row, _) in enumerate(ranking, start=1):
                fused[row] = fused.get(row, 0.0) + 1 / (RANK_CONSTANT + rank)
        best = sorted(fused, key=lambda row: (-fused[row], row))[:k]
        passages = generation.passages(best)
        hits = []
        for rank, row in enumerate(best, start=1):
            passage = passages[row]
            score = max(0.0, min(1.0, cosines.get(row, 0.3)))
            hits.append(
                Hit(
                    rank=rank,
                    score=score,
                    below_floor=score < 0.3,
                    url=passage.document.url,
                    title=passage.document.title,
                    section=passage.chunk.section,
                    text=passage.chunk.text[:MAX_CHARACTERS],
                    start=passage.chunk.start,
                    end=min(passage.chunk.end, passage.chunk.start + MAX_CHARACTERS),
                    fetched_at=passage.document.fetched_at if not passage.document.url.startswith("roadmap:") else None,
                    topics=passage.document.topics,
                    also=passage.document.also,
                    features={"cosine": cosines.get(row, 0.0), "fused": fused[row]},
                )
            )
        return Retrieval(question, question, tuple(hits), time.perf_counter() - started)

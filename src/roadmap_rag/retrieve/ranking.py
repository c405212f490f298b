"""From candidates to scores: what is known about each candidate as numbers, and a linear model over them.

The weights are fitted on the development half of the golden questions (``evaluation/fitting.py``) and stand in ``weights.json`` with the
digest of those questions. There are two sets: one with the word vectors of late interaction, one for embedders that have none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from roadmap_rag.encoders.words import Bytes, EncodedQuestion, best_similarities
from roadmap_rag.index import Outline
from roadmap_rag.retrieve.roadmap_names import Asked
from roadmap_rag.text import STOP_WORDS, terms

Numbers = np.ndarray[Any, np.dtype[np.float64]]

RANK_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""
WEIGHTS = Path(__file__).with_name("weights.json")
FEATURES = (
    "cosine",
    "lexical",
    "fused",
    "heading",
    "roadmap, asked for",
    "roadmap, not asked for",
    "document named",
    "section asked for",
    "states the answer",
    "document's best cosine",
    "document's best lexical",
    "words",
    "words by rarity",
    "words of content",
    "weakest words",
    "document's best words",
    "neighbour's words",
)
WORD_FEATURES = FEATURES[FEATURES.index("words") :]
_QUIET = 0.15
"""Weight of a word without a subject beside the 1 of any other."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the index found for one question. ``frequencies`` counts the passages that hold each of the question's terms."""

    outlines: Sequence[Outline]
    dense: Sequence[tuple[int, float]]
    lexical: Sequence[tuple[int, float]]
    titles: Mapping[str, str]
    frequencies: Mapping[str, int]
    passages: int
    words: Mapping[str, Bytes] | None
    asked: Asked
    stated: frozenset[int]
    """Rows that hold a sentence by which the roadmap itself answers the question."""


def fuse(*rankings: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Reciprocal rank fusion: the sum of 1 / (60 + rank) over the rankings, by row."""
    fused: dict[int, float] = {}
    for ranking in rankings:
        for rank, (row, _) in enumerate(ranking, start=1):
            fused[row] = fused.get(row, 0.0) + 1 / (RANK_CONSTANT + rank)
    return fused


def rarity(term: str, frequencies: Mapping[str, int], passages: int) -> float:
    """Inverse document frequency as BM25 has it; at least 0."""
    count = frequencies.get(term, 0)
    return math.log(1 + (passages - count + 0.5) / (count + 0.5)) if count else 0.0


def measure(question: EncodedQuestion, asked_terms: Sequence[str], found: Candidates) -> Numbers:
    """The features of every candidate, shape (candidates, features)."""
    outlines = found.outlines
    documents = _Documents(outlines)
    fused = fuse(found.dense, found.lexical)
    cosines = dict(found.dense)
    lexical = dict(found.lexical)
    lowest = min(cosines.values(), default=0.0)
    highest = max(lexical.values(), default=1.0) or 1.0
    rows = [one.row for one in outlines]
    cosine = np.array([cosines.get(row, lowest) for row in rows])
    score = np.array([lexical.get(row, 0.0) for row in rows]) / highest
    rarities = {term: rarity(term, found.frequencies, found.passages) for term in dict.fromkeys(asked_terms)}
    total = sum(rarities.values()) or 1.0
    asked = frozenset(rarities)
    heading = (
        np.array([sum(map(rarities.__getitem__, asked & _heading_terms(found.titles[one.url], one.section))) for one in outlines]) / total
    )
    roadmap = documents.spread([float(url.startswith("roadmap:")) for url in documents.urls])
    about = found.asked.about
    named = documents.spread([found.asked.documents.get(url, 0.0) for url in documents.urls])
    section = roadmap * np.array([_last_heading(one.section) in found.asked.sections for one in outlines])
    columns = [
        cosine,
        score,
        np.array([fused.get(row, 0.0) for row in rows]) * RANK_CONSTANT,
        heading,
        roadmap * about,
        roadmap * (1 - about),
        named * about,
        section * about,
        np.array([row in found.stated for row in rows], dtype=np.float64),
        documents.best(cosine),
        documents.best(score),
    ]
    return np.stack([*columns, *_measure_words(question, found, rarities, documents)], axis=1)


def _measure_words(question: EncodedQuestion, found: Candidates, rarities: Mapping[str, float], documents: _Documents) -> list[Numbers]:
    outlines = found.outlines
    if found.words is None or not len(question.word_vectors):
        return [np.zeros(len(outlines)) for _ in WORD_FEATURES]
    empty = np.zeros((0, question.word_vectors.shape[1]), dtype=np.int8)
    best = best_similarities(question.word_vectors, [found.words.get(one.vector, empty) for one in outlines]).astype(np.float64)
    rare = np.array([0.3 + max((rarities.get(term, 0.0) for term in _terms_of(word)), default=0.0) for word in question.words])
    content = np.array([_QUIET if word in STOP_WORDS else 1.0 for word in question.words])
    by_rarity = best @ rare / rare.sum()
    weakest = np.sort(best, axis=1)[:, : max(1, best.shape[1] // 4)].mean(axis=1)
    return [
        best.mean(axis=1),
        by_rarity,
        best @ content / content.sum(),
        weakest,
        documents.best(by_rarity),
        documents.best_neighbour(by_rarity),
    ]


@lru_cache(maxsize=20_000)
def _heading_terms(title: str, section: str) -> frozenset[str]:
    return frozenset(terms(f"{title} {section}"))


@lru_cache(maxsize=20_000)
def _terms_of(word: str) -> tuple[str, ...]:
    return tuple(terms(word))


@lru_cache(maxsize=20_000)
def _last_heading(section: str) -> str:
    return section.rsplit(" > ", 1)[-1].lower()


class _Documents:
    """The documents of the candidates, each once, and what a candidate shares with the others of its document."""

    def __init__(self, outlines: Sequence[Outline]) -> None:
        numbers: dict[str, int] = {}
        self._number = np.array([numbers.setdefault(one.url, len(numbers)) for one in outlines], dtype=np.intp)
        self.urls = tuple(numbers)
        self._place = np.array([one.place for one in outlines], dtype=np.intp)

    def spread(self, values: Sequence[float]) -> Numbers:
        """One value a document to one a candidate."""
        return np.array(values, dtype=np.float64)[self._number] if len(values) else np.zeros(0)

    def best(self, values: Numbers) -> Numbers:
        """The best value of the candidate's document; at least -1."""
        best = np.full(len(self.urls), -1.0)
        np.maximum.at(best, self._number, values)
        return best[self._number]

    def best_neighbour(self, values: Numbers) -> Numbers:
        """The better of the passages before and after, as far as they are candidates; else the least of all."""
        width = int(self._place.max(initial=0)) + 3
        at = np.full(len(self.urls) * width, values.min(initial=1.0))
        here = self._number * width + self._place + 1
        at[here] = values
        best: Numbers = np.maximum(at[here - 1], at[here + 1])
        return best


@dataclass(frozen=True, slots=True)
class Logistic:
    """A probability from features; what lies below ``floor`` is refused."""

    weights: Mapping[str, float]
    bias: float
    floor: float

    def probability(self, features: Mapping[str, float]) -> float:
        value = self.bias + sum(weight * features[name] for name, weight in self.weights.items())
        return float(1 / (1 + np.exp(-value)))


@dataclass(frozen=True, slots=True)
class Weights:
    """The linear model that ranks, and the two that turn what is known into probabilities: of a hit, and of a question."""

    linear: Numbers
    relevance: Logistic
    answerable: Logistic

    def score(self, features: Numbers) -> Numbers:
        scores: Numbers = features @ self.linear
        return scores


@cache
def load_weights(*, words: bool) -> Weights:
    stored = json.loads(WEIGHTS.read_text("utf-8"))["with words" if words else "without words"]
    linear = np.array([stored["linear"].get(name, 0.0) for name in FEATURES])
    return Weights(linear, Logistic(**stored["relevance"]), Logistic(**stored["answerable"]))

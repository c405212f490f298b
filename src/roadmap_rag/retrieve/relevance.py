"""From ranking scores to probabilities: how likely a hit answers the question, and how likely any of them does.

Both are logistic models fitted on the development questions. A passage may be about the right thing and still not answer: so besides the
ranking score they look at whether the passages hold what the question names, its rare words, its names and its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from roadmap_rag.retrieve.joining import Span
from roadmap_rag.retrieve.ranking import FEATURES, Weights, rarity
from roadmap_rag.text import numbers, terms

if TYPE_CHECKING:
    from roadmap_rag.retrieve.retriever import Ranking

_NAME = re.compile(r"(?<![.?!]\s)(?<!^)\b[A-Z][\w.+-]*|\b\w*\d\w*|\b[A-Z]{2,}\w*")
_COPIED = ("words by rarity", "weakest words", "cosine", "states the answer", "document's best words")
_COPIED_AT = [FEATURES.index(name) for name in _COPIED]


class Relevance:
    """The relevance of the spans found for one question, its sides included."""

    def __init__(self, rankings: Sequence[Ranking], weights: Weights, text_of: Callable[[str], str]) -> None:
        self._rankings = rankings
        self._places = [{outline.row: place for place, outline in enumerate(ranking.outlines)} for ranking in rankings]
        self._weights = weights
        self._text_of = text_of
        whole = rankings[0]
        found = whole.found
        count = found.passages
        self._rarities = {
            term: rarity(term, found.frequencies, count) or float(np.log(2 * count + 2)) for term in dict.fromkeys(whole.terms)
        }
        self._names = [term for name in _NAME.findall(whole.question) for term in terms(name)]
        self._numbers = numbers(whole.question)
        self._seen: dict[tuple[str, int, int], dict[str, float]] = {}

    def of(self, span: Span) -> float:
        """The probability that the span answers the question."""
        return self._weights.relevance.probability(self.features(span))

    def features(self, span: Span) -> dict[str, float]:
        key = (span.url, span.start, span.stop)
        if key not in self._seen:
            self._seen[key] = self._measure(span)
        return self._seen[key]

    def _measure(self, span: Span) -> dict[str, float]:
        best: dict[str, float] = {"ranking": -99.0}
        for ranking, place_of in zip(self._rankings, self._places, strict=True):
            place = min((place_of[row] for row in span.rows if row in place_of), default=None)  # they are in order: the first is the best
            if place is not None and ranking.scores[place] > best["ranking"]:
                best = {"ranking": ranking.scores[place]} | dict(zip(_COPIED, ranking.features[place, _COPIED_AT].tolist(), strict=True))
        text = f"{self._title(span)} {span.section} {self._text_of(span.url)[span.start : span.stop]}".casefold()
        best["terms held"] = self._share_of_terms(text)
        best["names held"] = _share(self._names, text)
        best["numbers held"] = _share(self._numbers, text)
        return best

    def _title(self, span: Span) -> str:
        return next((ranking.found.titles[span.url] for ranking in self._rankings if span.url in ranking.found.titles), "")

    def _share_of_terms(self, text: str) -> float:
        """By rarity. A stem is looked up as a piece of the text: stemming every word of it would take longer than the search."""
        total = sum(self._rarities.values())
        return sum(value for term, value in self._rarities.items() if term in text) / total if total else 0.0

    def answerable(self, spans: Sequence[Span]) -> float:
        """The probability that the best of the spans answer the question."""
        return self._weights.answerable.probability(question_features([self.features(span) for span in spans])) if spans else 0.0

    def below_floor(self, span: Span, answerable: float) -> bool:
        """Whether the span is no use for an answer: it hardly can hold one, or nothing that was found seems to."""
        return self.of(span) < self._weights.relevance.floor or answerable < self._weights.answerable.floor


def question_features(spans: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The best value of each feature among the five best spans."""
    return {f"best {name}": max(features[name] for features in spans[:5]) for name in spans[0]}


def _share(wanted: Sequence[str], text: str) -> float:
    """The share of what is asked for that is there; 1 when nothing is asked for."""
    return sum(item in text for item in wanted) / len(wanted) if wanted else 1.0

"""Whether the passages answer the question at all, as far as it can be told without reading them.

A question that the sources nearly answer retrieves passages about the right subject, but what it asks about is missing from them: the
name, the number, the relation. The estimate rests on how close the best sentences come and on which of the question's words no passage
has. It is a logistic regression fitted to the golden questions (``constants.json``).
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from roadmap_rag.citations.compare import context_words, names_missing, numbers_missing, read
from roadmap_rag.citations.evidence import Encode, VectorMemory, stems
from roadmap_rag.domain import Hit
from roadmap_rag.text import sentence_spans, terms

FEATURES = (
    "best_sentence",
    "third_sentence",
    "words_best_passage",
    "words_best_sentence",
    "words_all",
    "rarest_missing",
    "names_missing",
    "numbers_missing",
)
_ENCODED = 12
_vectors = VectorMemory()


@dataclass(frozen=True, slots=True)
class Answerability:
    """``chance`` that the passages answer, 0 to 1; ``missing``: words and names of the question that no passage has."""

    answerable: bool
    chance: float
    missing: tuple[str, ...]
    features: dict[str, float]


def answerability(question: str, hits: Sequence[Hit], encode: Encode) -> Answerability:
    """An estimate for a question and the passages found for it."""
    if not hits:
        return Answerability(False, 0.0, tuple(terms(question)), {})
    features, missing = measure(question, hits, encode)
    known = _constants()
    score = known["bias"] + sum(known["weight"][name] * (features[name] - known["mean"][name]) / known["scale"][name] for name in FEATURES)
    chance = 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
    return Answerability(chance >= known["threshold"], chance, missing, features)


def measure(question: str, hits: Sequence[Hit], encode: Encode) -> tuple[dict[str, float], tuple[str, ...]]:
    """The features, and what is missing from every passage."""
    wanted = tuple(dict.fromkeys(terms(question)))
    contexts = [f"{hit.title}\n{hit.section}\n{hit.text}" for hit in hits]
    seen = [frozenset(stems(context)) for context in contexts]
    frequency = {word: sum(word in each for each in seen) for word in wanted}
    weights = {word: math.log(1 + len(hits) / (count + 0.5)) for word, count in frequency.items()}
    total = sum(weights.values()) or 1.0
    everything = "\n".join(contexts)
    sentences = [(hit.text[start:end], frozenset(stems(hit.text[start:end]))) for hit in hits for start, end in sentence_spans(hit.text)]
    shares = [sum(weights[word] for word in wanted if word in own) / total for _, own in sentences]
    best = sorted(range(len(sentences)), key=lambda number: (-shares[number], number))[:_ENCODED]
    vectors = _vectors.vectors(encode, [question, *(sentences[number][0] for number in best)])
    cosines = sorted((float(vector @ vectors[0]) for vector in vectors[1:]), reverse=True)
    names = names_missing(read(question).names, context_words(everything))
    numbers = numbers_missing(question, everything)
    missing = tuple(dict.fromkeys([*names, *(f"{number:g}" for number in numbers), *(word for word in wanted if not frequency[word])]))
    features = {
        "best_sentence": cosines[0],
        "third_sentence": cosines[min(2, len(cosines) - 1)],
        "words_best_passage": max(sum(weights[word] for word in wanted if word in each) for each in seen) / total,
        "words_best_sentence": max(shares),
        "words_all": sum(weights[word] for word in wanted if frequency[word]) / total,
        "rarest_missing": float(min(sum(not count for count in frequency.values()), 4)) / 4,
        "names_missing": float(min(len(names), 2)),
        "numbers_missing": float(min(len(numbers), 2)),
    }
    return features, missing


@functools.cache
def _constants() -> Any:
    return json.loads(resources.files("roadmap_rag.quotes").joinpath("constants.json").read_text("utf-8"))

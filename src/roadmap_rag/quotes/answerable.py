"""Whether the passages say what is asked for, as far as words can tell.

A near miss (the right subject, but the fact that is asked for stands nowhere) retrieves passages that look as good as those of a question
that is answered: closeness, rare words and relevance do not tell them apart. What does a little: numbers and names of the question that
stand in no passage, and, where a number is asked for, whether a sentence that shares the question's words states one. The weights are
fitted to the golden questions (``constants.json``, by ``roadmap_rag.evaluation.refusals``).
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadmap_rag.citations.compare import Vocabulary, context_words, names_missing, read, vocabulary
from roadmap_rag.domain import Hit
from roadmap_rag.text import numbers, sentence_spans, terms

CONSTANTS = Path(__file__).with_name("constants.json")
FEATURES = ("numbers held", "names missing", "asks number", "number further off")

_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|large|long|big|fast|old|often|high|far|few)\b|\bwhen (?:was|were|did)\b|\bcosts?\b|\bwie (?:viele?|lange|groß|hoch|schnell|oft|alt)\b|多少|几个|"
    r"\b(?:what|which)\b(?:\s+[\w-]+){0,4}?\s+(?:score|accuracy|size|rate|percentage|percent|number|version|year|price|ratio|speed|throughput|dimension|amount|date|charge|"
    r"driver|win rate)s?\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\w.-])\d{1,12}(?:\.\d+)?")
_NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?"
    r"|millions?|billions?|half|twice|double[ds]?|triple[ds]?|once|zero)\b",
    re.IGNORECASE,
)
_IN_SENTENCE_BEFORE, _IN_HEADING = 0.7, 0.5
"""What a word of the question counts that stands one sentence earlier, or in the heading above."""


@dataclass(frozen=True, slots=True)
class Answerability:
    """``chance`` that the passages answer, 0 to 1; ``missing``: names of the question that no passage has."""

    answerable: bool
    chance: float = 1.0
    missing: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)


def answerability(question: str, hits: Sequence[Hit]) -> Answerability:
    """An estimate for a question and the passages found for it."""
    if not hits:
        return Answerability(False, 0.0)
    missing = names_missing(read(question).names, context_words("\n".join(_context(hit) for hit in hits)))
    known, features = constants(), measure(question, hits)
    probability = chance(features, known["weight"], known["bias"])
    return Answerability(probability >= known["threshold"], probability, missing, features)


def chance(features: Mapping[str, float], weights: Mapping[str, float], bias: float) -> float:
    score = bias + sum(weight * features[name] for name, weight in weights.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def asks_number(question: str) -> bool:
    return bool(_ASKS_NUMBER.search(question))


def measure(question: str, hits: Sequence[Hit]) -> dict[str, float]:
    """``FEATURES``: the largest share of the question's numbers that a passage holds, names that no passage has (0 to 2), and for a
    question that asks for a number 1 and by how much the best sentence of all beats the best with a number in the share of the question's
    words (rare ones count more)."""
    asked = read(question)
    contexts = [_context(hit) for hit in hits]
    missing = names_missing(asked.names, context_words("\n".join(contexts)))
    given = numbers(question)
    number = asks_number(question)
    return {
        "numbers held": max(sum(each in context for each in given) / len(given) for context in contexts) if given else 1.0,
        "names missing": float(min(len(missing), 2)),
        "asks number": float(number),
        "number further off": _further_off(question, hits, asked.numbers) if number else 0.0,
    }


def _further_off(question: str, hits: Sequence[Hit], asked: frozenset[float]) -> float:
    seen = [vocabulary(_context(hit)) for hit in hits]
    weights = {word: math.log(1 + len(hits) / (sum(each.covers(word) for each in seen) + 0.5)) for word in dict.fromkeys(terms(question))}
    best = best_number = 0.0
    for hit in hits:
        above = vocabulary(f"{hit.title} {hit.section}")
        before = Vocabulary(())
        for start, end in sentence_spans(hit.text):
            sentence = hit.text[start:end]
            own = vocabulary(sentence)
            share = _share(weights, own, before, above)
            best = max(best, share)
            if states_number(sentence, asked):
                best_number = max(best_number, share)
            before = own
    return best - best_number


def states_number(sentence: str, asked: frozenset[float]) -> bool:
    """Whether the sentence has a number of its own: in digits that are no part of a name (not GPT-3, not V100), or in words."""
    return bool(_NUMBER_WORD.search(sentence)) or any(float(digits) not in asked for digits in _DIGITS.findall(sentence))


def _context(hit: Hit) -> str:
    return f"{hit.title}\n{hit.section}\n{hit.text}"


def _share(weights: Mapping[str, float], own: Vocabulary, before: Vocabulary, above: Vocabulary) -> float:
    def part(word: str) -> float:
        return 1.0 if own.covers(word) else _IN_SENTENCE_BEFORE if before.covers(word) else _IN_HEADING if above.covers(word) else 0.0

    return sum(weight * part(word) for word, weight in weights.items()) / (sum(weights.values()) or 1.0)


@functools.cache
def constants() -> Any:
    return json.loads(CONSTANTS.read_text("utf-8"))

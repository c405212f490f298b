"""What kind of thing a question asks for, and whether a sentence states one.

A near miss names what the pages name and asks for a detail that they do not give: a price, a duration, who did it. What kind of thing would
answer is read from the question's own opening words, by rules over words that are few and known; a sentence states such a thing when it
holds a number with the right unit, a number beside the counted noun, a date, or a person's name. "How" without a quantity, "why" and
"which" with any other noun can be answered by all kinds of sentences: for them every sentence will do.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from roadmap_rag.text import STOP_WORDS, stem, words

Kind = Literal[
    "anything", "money", "speed", "memory", "duration", "share", "date", "person", "place", "version", "count", "quantity", "number"
]

_AMOUNT = r"\d[\d,]*(?:\.\d+)?"
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))  # type: ignore[misc]
    for kind, pattern in (
        (
            "anything",
            (
                r"^\W*(?:why|how (?:do|does|did|is|are|was|were|has|have|can|could|should|would|will|must|might)"
                r"|is|are|was|were|do|does|did|can|could|should|will|has|have)\b"
            ),
        ),
        ("anything", r"^(?!\W*(?:by )?how (?:many|much)\b).*\b(?:differ\w*|compar\w+)\b"),
        ("share", r"\b(?:which|what) (?:share|percentage|part|fraction|proportion)\b"),
        (
            "money",
            (
                r"\b(?:what|how much) (?:do|does|did|would|must|has|have)\b.*\b(?:cost|pay|paid|charge|spend|spent|earn)\b(?! off)"
                r"|\bhow much\b.*\b(?:cost|earn|paid|spent)\b|\b(?:what|which|how high) .*\b(?:price|fee)s?\b|\bhow many (?:\w+ )?dollars\b"
            ),
        ),
        (
            "speed",
            (
                r"\bhow (?:much|many times) (?:faster|slower|quicker)\b|\bhow (?:many|much)\b.*\b(?:per|an?) (?:second|minute)\b|\bhow fast\b"
                r"|\b(?:which|what) (?:\w+ ){0,2}(?:throughput|speed-?up)\b|\bby (?:what|which) factor"
            ),
        ),
        (
            "memory",
            (
                r"\bhow (?:much|little)\s+(?:\w+\s+){0,2}(?:memory|v?ram|disk|storage|space)\b|\bhow many\s+(?:\w+\s+)?(?:giga|mega)bytes\b"
                r"|\bhow (?:large|big)\b.*\b(?:file|model|weights)\b|\b(?:which|what) (?:model|file) sizes?\b"
            ),
        ),
        (
            "duration",
            (
                r"\bhow long\b(?=.*\b(?:takes?|took|lasts?|lasted|needs?|runs?|ran|waits?|train\w*|until)\b)|\bhow quickly\b"
                r"|\bhow many\s+(?:\w+\s+){0,2}(?:hours?|minutes?|seconds?|days?|weeks?|months?)\b|\b(?:which|what)\s+(?:\w+\s+){0,2}latency\b|\bwhat delay\b"
            ),
        ),
        ("date", r"^\W*when (?:was|were|did|is)\b|\b(?:which|what) (?:year|month|date)\b|\bsince (?:when|which)\b"),
        (
            "person",
            r"^\W*(?:by |with |to |for |from )?who(?:m|se)?\b|\band (?:by )?who(?:m)?\b|^\W*which (?:author|person|team|investor|publisher|researcher)s?\b",
        ),
        ("place", r"^\W*(?:at |in |from )?(?:where|which (?:city|country|regions?|university|folder|directory))\b"),
        ("version", r"\b(?:which|what)\s+(?:[\w.+-]+\s+){0,2}(?:version|release)s?\b"),
    )
)
_MANY = re.compile(
    r"\bhow many\s+((?:[\w'’-]+\s+){0,3}?[\w'’-]+?)\s+(?:does|do|did|is|are|was|were|has|have|had|can|could|will|would|must|should|of|in|on|for|"
    r"to|at|from|with|that|an?|makes?|made|takes?|took|comes?|came|needs?|fit|stand|reach|holds?|go|went|gets?|got|per|each|one|there|leads?)\b",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"\b(?:which|what|how (?:high|large|big|much|low))\s+(?!(?:do|does|did|is|are|was|were|has|have|can)\b)(?:[\w'’./@+-]+\s+){0,5}?(scores?|accuracy|size|rates?|rank|ratio|dimensions?|temperature|length|recall|"
    r"precision|perplexity|elo|f1|ndcg\S*|threshold|coefficient|window|capacity|factor|error|utili[sz]ation|limit|seed|port|epsilon|beta|alpha)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\bhow (?:many|much|large|big|deep|high|far|often|few|little|wide|old|similar|likely|near)\b|\bby how\b|\bby what (?:factor|margin|amount|share|fraction|percentage)\b|\bwie (?:viele?|lange|groß|hoch|schnell|oft|alt)\b|多少|几个",
    re.IGNORECASE,
)
_STATED: dict[Kind, re.Pattern[str]] = {
    "duration": re.compile(
        rf"{_AMOUNT}\s*(?:(?:-|–|to)\s*{_AMOUNT}\s*)?(?:ms|milliseconds?|s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|days?|weeks?|months?|years?|(?:gpu|chip|tpu)[- ]?(?:hours?|days?))\b"
        r"|\b(?:an?|one|two|three|few|couple of|half|half an|several)\s+(?:second|minute|min|hour|day|week|month|year)s?\b|\d+\s?h\s?\d+",
        re.IGNORECASE,
    ),
    "money": re.compile(rf"[$€£]\s?\d|{_AMOUNT}\s*(?:dollars?|usd|euros?|cents?)\b", re.IGNORECASE),
    "memory": re.compile(
        rf"{_AMOUNT}\s*(?:[kmgt]i?b|gigabytes?|megabytes?|terabytes?)\b|{_AMOUNT}\s?(?:×|%|(?:x|times)\b)|\b(?:half|twice)\b|{_AMOUNT}\s*[kmb]\b",
        re.IGNORECASE,
    ),
    "speed": re.compile(
        rf"{_AMOUNT}\s*(?:tokens?|tok|t|requests?|words?|texts?|it)?\s*(?:/|per |an? )\s*(?:s|secs?|seconds?|minutes?|hours?)\b|{_AMOUNT}\s*-?(?:×|%|(?:x|times|percent|fold)\b)"
        rf"|\b(?:twice|half|double|\w+ times)\b|{_AMOUNT}\s*(?:ms|milliseconds|seconds|minutes)|\b(?:an?|few) (?:second|minute|min|hour)s?\b",
        re.IGNORECASE,
    ),
    "share": re.compile(
        rf"{_AMOUNT}\s*(?:%|percent)|\b(?:half|third|quarter|most|all|none)\b|\b0?\.\d+|{_AMOUNT} (?:of|out of) ", re.IGNORECASE
    ),
    "date": re.compile(
        r"\b(?:19|20)\d\d\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b", re.IGNORECASE
    ),
    "place": re.compile(
        r"\b(?:in|at|from|University of)\s+[A-Z][a-z]+|[A-Z][a-z]+,\s[A-Z][a-z]+|folder|directory|path|file|https?://|Lab\b"
    ),
}
_DESCRIBED: dict[Kind, str] = {
    "money": "a price",
    "speed": "a speed",
    "memory": "a size",
    "duration": "a duration",
    "share": "a share",
    "date": "a date",
    "person": "a person's name",
    "place": "a place",
    "version": "a version",
    "count": "such a number",
    "quantity": "such a number",
    "number": "such a number",
}
_PERSON = re.compile(r"(?:[A-Z][\w’'-]+\s+){1,2}[A-Z][\w’'-]+|@\w+|\bet al\b")
_ROLE = re.compile(
    r"\b(?:by|author\w*|wrote|written|creat\w*|built|found\w*|develop\w*|introduc\w*|propos\w*|thank\w*|led|leads?|maintain\w*|prof\w*|dr\.|et al|i am|contribut\w*|"
    r"made|design\w*|review\w*|inspired|join\w*|teams?|script|notebook|discussed|video|from|university|lab)\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\w.-])\d[\d,]{0,15}(?:\.\d+)?")
REFERENCE = r"\[\d{1,3}(?:\s*[,–-]\s*\d{1,3})*\]"
"""A reference of the page to its literature, which is no number that it states."""
_NUMERAL = re.compile(r"~?\d[\d.,]*[kmbx+]?")
NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?"
    r"|millions?|billions?|half|twice|double[ds]?|triple[ds]?|once|zero)\b",
    re.IGNORECASE,
)
NUMERIC = frozenset(("speed", "memory", "duration", "share", "count", "quantity"))
_BESIDE = 4
"""Words between a number and the noun that it counts, at most."""
_SAME_START = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """``kind`` of thing asked for; ``nouns``: stems of what is counted or measured, the last words of the asked noun phrase."""

    kind: Kind
    nouns: tuple[str, ...] = ()


@functools.lru_cache(maxsize=512)
def wanted(question: str) -> Wanted:
    for kind, pattern in _KINDS:
        if pattern.search(question):
            return Wanted(kind)
    if found := _MANY.search(question):
        return Wanted("count", _stems(found[1])[-2:])
    if found := _QUANTITY.search(question):
        return Wanted("quantity", _stems(found[1])[-1:])
    return Wanted("number" if _NUMBER.search(question) else "anything")


def described(question: str) -> str:
    """The thing that is asked for in two or three words, or nothing where any sentence would do."""
    return _DESCRIBED.get(wanted(question).kind, "")


def states(sentence: str, asked: Wanted, question: str, known: frozenset[float]) -> bool:
    """Whether the sentence holds a thing of the kind that is asked for; numbers ``known`` from the question do not count."""
    if asked.kind == "anything":
        return True
    if asked.kind == "person":
        return bool(_ROLE.search(sentence)) and _names_somebody(sentence, question.lower())
    if asked.kind in _STATED:
        return bool(_STATED[asked.kind].search(sentence))
    if not states_number(sentence, known):
        return False
    if not asked.nouns:
        return True
    found = words(sentence)
    at = [place for place, word in enumerate(found) if any(_alike(stem(word), noun) for noun in asked.nouns)]
    if asked.kind == "quantity":
        return bool(at)
    amounts = [place for place, word in enumerate(found) if _NUMERAL.fullmatch(word) or NUMBER_WORD.fullmatch(word)]
    return any(abs(place - amount) <= _BESIDE for place in at for amount in amounts)


def answers(sentence: str, question: str, known: frozenset[float]) -> bool:
    """Whether a sentence gives a thing of the kind asked for; for an amount any number of its own will do, whatever is counted."""
    asked = wanted(question)
    return states(sentence, asked, question, known) or (asked.kind in NUMERIC and states_number(sentence, known))


def states_number(sentence: str, known: frozenset[float]) -> bool:
    """Whether the sentence has a number of its own: in digits that are no part of a name (not GPT-3, not V100), or in words."""
    sentence = re.sub(REFERENCE, "", sentence)
    return bool(NUMBER_WORD.search(sentence)) or any(float(digits.replace(",", "")) not in known for digits in _DIGITS.findall(sentence))


def _names_somebody(sentence: str, question: str) -> bool:
    return any(not all(word.lower() in question for word in found.split()) for found in _PERSON.findall(sentence))


def _stems(phrase: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in words(phrase) if word not in STOP_WORDS)


def _alike(word: str, noun: str) -> bool:
    return word == noun or (len(noun) >= _SAME_START and word.startswith(noun[:_SAME_START]))

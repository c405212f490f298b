"""Whether a text states a fact of the golden set, whatever the spelling of its numbers, units and words.

A fact is a few words with alternatives. It is stated when all its words stand in one sentence of the text, as stems, in any order.
Numbers are compared by value, rounded as the fact is: 65,000 is 65k, 0.50 is .5, and 61.28 states 61.3; units are compared by what they
mean, so "4 GB", "4GB" and "4 gigabytes" agree. What cannot be read so (an option, a path, a piece of code) must stand there literally.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from roadmap_rag.evaluation.golden import normalise
from roadmap_rag.text import sentence_spans, stem

_MARKUP = re.compile(r"[*`]|(?<!\w)_|_(?!\w)|\[\d+\]")
_TOKEN = re.compile(
    r"\d+(?:\.\d+){2,}|(?<![\w.])[-−]?\d+(?:[.,]\d+)*|(?<!\w)\.\d+|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?|%|[\u3400-\u9fff]"
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_LITERAL = re.compile(r"^--?\w|[=<>{}()/\\]|\w_\w|\w\.\w+\(")
_EMPTY = frozenset("a an the of to in on at is are was were be been it its by for and or with as that this".split())
_NEGATIONS = frozenset("no non never cannot without kein keine nicht".split())
_WORDS = {
    name: Decimal(number)
    for number, names in enumerate(
        """zero null|one eins|two zwei|three drei|four vier|five fünf|six sechs|seven sieben|eight acht|nine neun|ten zehn|eleven elf|
        twelve zwölf|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty zwanzig""".split("|")
    )
    for name in names.split()
} | {name: Decimal(value) for name, value in zip("thirty forty fifty sixty seventy eighty ninety".split(), range(30, 100, 10), strict=True)}
_SCALES = {"k": 3, "thousand": 3, "m": 6, "million": 6, "mio": 6, "b": 9, "billion": 9, "bn": 9, "milliarde": 9, "trillion": 12, "t": 12}
_UNITS = {
    "gb": "gb gib gigabyte gigabytes gigs",
    "mb": "mb mib megabyte megabytes",
    "kb": "kb kib kilobyte kilobytes",
    "tb": "tb tib terabyte terabytes",
    "%": "% percent percents prozent pct",
    "second": "s sec secs second seconds sekunde sekunden",
    "millisecond": "ms millisecond milliseconds",
    "minute": "min mins minute minutes minuten",
    "hour": "h hr hrs hour hours stunde stunden",
    "dollar": "$ usd dollar dollars",
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names.split()}

Token = str | Decimal


def states(text: str, fact: Sequence[str]) -> bool:
    """Whether the text states one of the wordings of a fact."""
    normal = normalise(_plain_code(text))
    sentences = _sentences(text)
    return any(_states(wording, text, normal, sentences) for wording in fact)


def _states(wording: str, text: str, normal: str, sentences: Sequence[Sequence[Token]]) -> bool:
    if _LITERAL.search(wording):
        return normalise(_plain_code(wording)) in normal
    wanted = tokens(wording)
    if not wanted:
        return re.search(rf"(?<!\w){re.escape(wording)}(?!\w)", text) is not None
    return any(all(_holds(sentence, token) for token in wanted) for sentence in sentences)


def _plain_code(text: str) -> str:
    return re.sub(r"[*`]", "", text)


def _holds(sentence: Sequence[Token], wanted: Token) -> bool:
    if isinstance(wanted, str):
        return wanted in sentence
    return any(isinstance(token, Decimal) and _agrees(token, wanted) for token in sentence)


def _agrees(said: Decimal, wanted: Decimal) -> bool:
    """Whether a number is the wanted one, or says more digits of it."""
    if said == wanted:
        return True
    exponent = wanted.as_tuple().exponent
    return isinstance(exponent, int) and exponent < 0 and said.quantize(Decimal(1).scaleb(exponent)) == wanted


@functools.lru_cache(maxsize=512)
def _sentences(text: str) -> tuple[tuple[Token, ...], ...]:
    return tuple(tokens(text[start:end]) for start, end in sentence_spans(text))


@functools.lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[Token, ...]:
    """Numbers by value, units and negations by meaning, other words by stem; words without a meaning of their own are left out."""
    plain = unicodedata.normalize("NFKC", _MARKUP.sub("", text)).casefold().replace("’", "'")
    plain = re.sub(r"(?:n't|\bcan't)\b", " not", _THOUSANDS.sub("", plain))
    pieces = [piece for word in _TOKEN.findall(plain) for piece in (word if _HAN.search(word) else [word])]
    found: list[Token] = []
    for place, piece in enumerate(pieces):
        number = _number(piece)
        if number is None and found and isinstance(found[-1], Decimal) and piece in _SCALES and place:
            found[-1] = _plain(found[-1].scaleb(_SCALES[piece]))
        elif number is not None:
            found.append(number)
        elif piece in _UNIT_OF and (len(piece) > 2 or (found and isinstance(found[-1], Decimal))):
            found.append(_UNIT_OF[piece])
        elif piece not in _EMPTY:
            found.append("not" if piece in _NEGATIONS else stem(piece.removesuffix("'s")))
    return tuple(found)


def _number(piece: str) -> Decimal | None:
    if piece in _WORDS:
        return _WORDS[piece]
    plain = piece.replace("−", "-").replace(",", ".")
    return Decimal(plain) if re.fullmatch(r"-?\d*\.?\d+", plain) else None


def _plain(number: Decimal) -> Decimal:
    """The same value without an exponent above 0, so that it compares by value and not by digits."""
    return Decimal(int(number)) if number == number.to_integral_value() else number.normalize()

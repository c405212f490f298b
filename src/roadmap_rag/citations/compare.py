"""A claim beside a stretch of a passage: what they share and where they differ, as numbers.

No feature reads meaning; together they tell a close paraphrase from a sentence about the same thing that says something else: an altered
number, another name, an added negation, the opposite direction, words that the passage does not have.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from roadmap_rag.citations.evidence import ReadText, stems
from roadmap_rag.text import STOP_WORDS, stem, words

FEATURES = (
    "cosine",
    "coverage",
    "passage_coverage",
    "reverse",
    "pairs",
    "numbers_missing",
    "names_missing",
    "negation",
    "opposites",
    "strong_words",
    "order",
)
WORD_FEATURES = ("words", "words_back")
"""What word vectors add: the best cosine that a word finds on the other side, its mean over the claim and over the stretch. The words that
find the least tell too, but the wrong way: labelled contradictions are made of the passage's own words, what a model invents is not.
"""

NUMBER = re.compile(
    r"(?<![\w.])[-−~]?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:e([-+]?\d+))?(?:\s?(%|percent|per cent|thousand|million|billion|trillion|[kmbtx×])(?![\w]))?(?![\w]|[.,]\d)",
    re.IGNORECASE,
)
SCALE = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "million": 1e6,
    "b": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "trillion": 1e12,
    "%": 1.0,
    "percent": 1.0,
    "per cent": 1.0,
    "x": 1.0,
    "×": 1.0,
}
NUMBER_WORDS = {
    name: value
    for value, names in {
        0.25: "quarter", 0.5: "half halves", 2: "two twice double doubled doubles doubling both pair second", 3: "three triple thrice third", 4: "four fourth quadruple",
        5: "five fifth", 6: "six sixth", 7: "seven seventh", 8: "eight eighth", 9: "nine ninth", 10: "ten tenth", 11: "eleven", 12: "twelve dozen", 13: "thirteen", 14: "fourteen",
        15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty", 24: "twenty-four", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety", 100: "hundred", 1000: "thousand",
    }.items()
    for name in names.split()
}  # fmt: skip
FAMILY = 5
"""Letters that words of one family share at least, and by how many their stems may differ in length."""
NEGATIONS = frozenset(
    "not no never none nor without cannot neither nothing hardly rarely nobody n't unlike lack lacks lacking fails".split()
)
TURNS = frozenset("but however although though while whereas because since if when and".split())
STRONG = frozenset(
    "only all every always never none exactly must any entirely completely fully solely exclusively first best worst largest smallest most least no nothing guarantee guarantees".split()
)
_OPPOSITES = """
increase:decrease,reduce,lower,shrink,drop,decline increases:decreases raise:lower,reduce rise:fall,drop grow:shrink more:less,fewer higher:lower high:low greater:smaller,less larger:smaller
large:small big:small,little longer:shorter long:short faster:slower fast:slow speed:slow before:after earlier:later early:late better:worse best:worst improve:worsen,hurt,harm,degrade
easier:harder,difficult easy:hard,difficult simple:complex,complicated cheap:expensive,costly cheaper:costlier,expensive strong:weak stronger:weaker always:never,sometimes all:none,some,few include:exclude
with:without enable:disable,prevent allow:forbid,prevent,prohibit public:private encoder:decoder input:output supervised:unsupervised,self-supervised
positive:negative maximum:minimum maximize:minimize maximise:minimise upper:lower above:below add:remove,subtract same:different similar:different identical:different static:dynamic
frozen:trainable,trained,updated freeze:train,update unfreeze:freeze fixed:variable,changing,learned required:optional able:unable possible:impossible sparse:dense local:global,remote
forward:backward success:failure succeed:fail accept:reject win:lose outperform:underperform agree:disagree stable:unstable known:unknown true:false correct:wrong,incorrect
safe:unsafe,dangerous rarely:often seldom:often deterministic:random,stochastic parallel:sequential,serial sync:async synchronous:asynchronous online:offline
linear:nonlinear,non-linear shallow:deep narrow:wide broad:narrow automatically:manually manually:automatically explicit:implicit explicitly:implicitly direct:indirect directly:indirectly
inside:outside internal:external former:latter preserve:destroy,lose,discard keep:drop,discard,remove retain:lose,discard advantage:disadvantage,drawback benefit:drawback,harm strength:weakness
convex:concave lossless:lossy discrete:continuous unidirectional:bidirectional causal:bidirectional,acyclic horizontal:vertical syntactic:semantic lexical:semantic numerator:denominator
precision:recall overfit:underfit overfitting:underfitting expert:beginner novice:expert absolute:relative
parent:child upload:download push:pull ascending:descending compress:expand,decompress merge:split
independent:dependent depend:independent necessary:unnecessary useful:useless sufficient:insufficient enough:insufficient efficient:inefficient reliable:unreliable expected:unexpected likely:unlikely
""".split()

_CHANGES = (
    (
        "reduce decrease lower fewer smaller cut shrink halve",
        "reduction less save savings drop minimize minimal cheaper lighter compress compression limit avoid mitigate alleviate down lowest least",
    ),
    (
        "increase raise higher larger greater bigger grow boost double",
        "more gain expand extend longer additional up triple highest most multiply",
    ),
    (
        "improve better outperform exceed surpass beat superior enhance",
        "improvement best boost gain higher faster increase benefit effective state-of-the-art win good",
    ),
    (
        "worse worsen degrade hurt harm inferior underperform",
        "degradation worst poorer drop lower loss lose decrease decline",
    ),
    ("faster quicker accelerate", "fast speed speedup speed-up fastest quick quickly latency throughput time rapid"),
    ("slower", "slow slowdown slowest longer latency time"),
)
"""Words that say a change or compare, in groups, and other words that state the same."""


@functools.cache
def opposites() -> dict[str, frozenset[str]]:
    """Words with their opposites, as written."""
    table: dict[str, set[str]] = {}
    for entry in _OPPOSITES:
        word, _, others = entry.partition(":")
        for other in others.split(","):
            table.setdefault(word, set()).add(other)
            table.setdefault(other, set()).add(word)
    return {word: frozenset(others) for word, others in table.items()}


@functools.cache
def opposite_table() -> dict[str, frozenset[str]]:
    """Stems with the stems of their opposites."""
    table: dict[str, set[str]] = {}
    for word, others in opposites().items():
        table.setdefault(stem(word), set()).update(map(stem, others))
    return {word: frozenset(others) for word, others in table.items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as features read it."""

    stems: tuple[str, ...]
    content: tuple[str, ...]
    """Distinct stems that carry a subject, in order."""
    numbers: frozenset[float]
    names: frozenset[str]
    negations: int
    words: frozenset[str]

    @property
    def strong(self) -> frozenset[str]:
        """Words that claim much: only, always, best."""
        return self.words & STRONG


_NAME = re.compile(r"(?<!\w)[A-Za-z]\w*(?:[-./+#_]\w+)*\+*")
"""Not the B of 13B: that is a number."""


@functools.lru_cache(maxsize=16_384)
def read(text: str) -> Reading:
    found = stems(text)
    stop = _stop_stems()
    content = tuple(dict.fromkeys(each for each in found if each not in stop and (len(each) > 1 or each.isalnum()) and not each.isdigit()))
    lowered = words(text)
    negations = sum(word in NEGATIONS or word.endswith(("n't", "n’t")) for word in lowered)
    return Reading(found, content, _numbers(text), _names(text), negations, frozenset(lowered))


@functools.cache
def _stop_stems() -> frozenset[str]:
    return frozenset(stem(word) for word in STOP_WORDS) | STOP_WORDS


def _numbers(text: str) -> frozenset[float]:
    found: set[float] = set()
    for match in NUMBER.finditer(text):
        value = float(match.group(1).replace(",", "")) * 10.0 ** int(match.group(2) or 0)
        found.add(round(value * SCALE.get((match.group(3) or "").lower(), 1.0), 10))
    return frozenset(found)


@functools.lru_cache(maxsize=4_096)
def loose_numbers(text: str) -> frozenset[float]:
    """Every value that the text could be said to state: words for numbers, percent as shares, digits inside names."""
    found = set(_numbers(text))
    for match in NUMBER.finditer(text):
        plain = float(match.group(1).replace(",", ""))
        found.add(plain)
        if (match.group(3) or "").lower() in ("%", "percent", "per cent"):
            found.add(round(plain / 100, 10))
    found.update(float(each) for each in re.findall(r"\d+(?:\.\d+)?", text.replace(",", "")) if len(each) < 16)
    found.update(value for word in words(text) for piece in (word, *word.split("-")) if (value := NUMBER_WORDS.get(piece)) is not None)
    return frozenset(found)


def _names(text: str) -> frozenset[str]:
    """Words with a capital, a digit or an underscore; the first word of the text only if more than its first letter says so."""
    found: set[str] = set()
    for number, match in enumerate(_NAME.finditer(text)):
        word = match.group()
        inner = any(char.isupper() or char.isdigit() or char == "_" for char in word[1:])
        if inner or (word[0].isupper() and number > 0 and word.lower() not in STOP_WORDS):
            found.add(word.casefold())
    return frozenset(found)


@functools.lru_cache(maxsize=512)
def context_words(text: str) -> frozenset[str]:
    """What names may be found as: words, their parts, and acronyms of words that stand next to each other."""
    lowered = words(text)
    found = set(lowered) | {stem(word) for word in lowered}
    pieces: list[str] = []
    for word in lowered:
        parts = [part for part in re.split(r"[-_.'’/+#&]", word) if part]
        found.update(parts)
        pieces.extend(parts)
    for size in (2, 3, 4, 5):
        found.update("".join(word[0] for word in pieces[at : at + size]) for at in range(len(pieces) - size + 1))
    return frozenset(found)


def names_missing(names: frozenset[str], context: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not _named(name, context)))


def _named(name: str, context: frozenset[str]) -> bool:
    if name in context or name.removesuffix("s") in context or stem(name) in context or name.replace("-", "") in context:
        return True
    parts = [part for part in re.split(r"[-_./+#]", name) if part]
    return len(parts) > 1 and all(part in context or stem(part) in context for part in parts)


class Vocabulary:
    """The stems of a text, and whether they cover a word: the same stem, or one of its family, as "prefer" covers "preference"."""

    __slots__ = ("_by_start", "words")

    def __init__(self, found: Iterable[str]) -> None:
        self.words = frozenset(found)
        self._by_start: dict[str, list[str]] = {}
        for word in self.words:
            if len(word) >= FAMILY:
                self._by_start.setdefault(word[:FAMILY], []).append(word)

    def covers(self, word: str) -> bool:
        if word in self.words:
            return True
        start = word[: max(FAMILY, len(word) - 3)]
        return any(other.startswith(start) and abs(len(other) - len(word)) <= FAMILY for other in self._by_start.get(word[:FAMILY], ()))


@functools.lru_cache(maxsize=8_192)
def vocabulary(text: str) -> Vocabulary:
    return Vocabulary(stems(text))


def compare(claim: str, stretch: str, context: str, cosine: float) -> dict[str, float]:
    """Features of a claim beside a stretch; ``context`` is its passage with title and section."""
    said, seen = read(claim), read(stretch)
    near, far, own = vocabulary(stretch), vocabulary(context), vocabulary(claim)
    weights = {word: 1.0 + 0.5 * (word in said.names or any(char.isdigit() for char in word)) for word in said.content}
    total = sum(weights.values()) or 1.0
    missing = [word for word in said.content if not near.covers(word)]
    far_missing = [word for word in missing if not far.covers(word)]
    reverse = sum(own.covers(word) for word in seen.content) / (len(seen.content) or 1)
    return {
        "cosine": cosine,
        "coverage": 1 - sum(weights[word] for word in missing) / total,
        "passage_coverage": 1 - sum(weights[word] for word in far_missing) / total,
        "reverse": reverse,
        "pairs": _shared_pairs(said.content, seen.content),
        "numbers_missing": float(min(len(numbers_missing(claim, context)), 2)),
        "numbers_far": float(min(len(numbers_missing(claim, stretch)), 2)),
        "names_far": min(len(names_missing(said.names, context_words(stretch))), 4) / 4,
        "names_missing": float(min(len(names_missing(said.names, context_words(context))), 2)),
        "negation": float(min(negation_clashes(said, seen), 2)),
        "opposites": float(min(len(opposed(said.stems, seen.stems)), 2)),
        "strong_words": float(min(len(said.strong - seen.words), 2)),
        "order": _order(said.content, seen.content),
    }


def compare_words(claim: ReadText, stretch: ReadText) -> dict[str, float]:
    """``WORD_FEATURES`` of a claim beside a stretch (late interaction, Khattab and Zaharia 2020, both ways); 0 without words."""
    if not claim.words or not stretch.words:
        return dict.fromkeys(WORD_FEATURES, 0.0)
    similar = claim.word_vectors @ stretch.word_vectors.T
    carries = np.array([word not in STOP_WORDS for word in stretch.words])
    back = similar.max(axis=0)
    return {"words": float(similar.max(axis=1).mean()), "words_back": float((back[carries] if carries.any() else back).mean())}


def numbers_missing(claim: str, context: str) -> tuple[float, ...]:
    """Numbers of the claim that the context does not state, in any way of writing them."""
    stated = loose_numbers(context)
    said = read(claim)
    wanted = said.numbers | {value for word in said.words if (value := NUMBER_WORDS.get(word)) is not None and value > 2}
    return tuple(sorted(value for value in wanted if not any(abs(value - other) <= 1e-9 * max(1.0, abs(value)) for other in stated)))


def _around(tokens: tuple[str, ...], at: int, reach: int) -> frozenset[str]:
    """Content words near a place."""
    stop = _stop_stems()
    return frozenset(word for word in tokens[max(0, at - reach) : at + reach + 1] if word not in stop) - {tokens[at]}


def opposed(said: tuple[str, ...], seen: tuple[str, ...]) -> tuple[str, ...]:
    """Words of the claim whose opposite stands in the evidence among the same words, while they themselves do not."""
    table, near, found = opposite_table(), frozenset(seen), []
    for at, word in enumerate(said):
        others = table.get(word)
        if not others or word in near:
            continue
        around = _around(said, at, 5)
        if any(seen[place] in others and around & _around(seen, place, 5) for place in range(len(seen)) if seen[place] in others):
            found.append(word)
    return tuple(dict.fromkeys(found))


def changes_missing(claim: str, context: str) -> tuple[str, ...]:
    """Words of the claim that say a change or compare ("reduces", "faster") while nothing in the context says the like."""
    said, seen = read(claim).stems, frozenset(read(context).stems)
    return tuple(word for word, group in _change_groups() if word in said and not group & seen)


@functools.cache
def _change_groups() -> tuple[tuple[str, frozenset[str]], ...]:
    """Each such stem, with the stems that state the same."""
    groups = [(tuple(map(stem, said.split())), frozenset(map(stem, f"{said} {others}".split()))) for said, others in _CHANGES]
    return tuple((word, group) for words, group in groups for word in words)


def _negated(tokens: tuple[str, ...]) -> dict[str, bool]:
    """For each content stem: whether every mention of it stands shortly behind a negation."""
    stop = _stop_stems()
    state: dict[str, bool] = {}
    left = 0
    for token in tokens:
        if token in NEGATIONS or token.endswith(("n't", "n’t")):
            left = 3
            continue
        if token in TURNS:
            left = 0
        if token in stop:
            continue
        state[token] = state.get(token, True) and left > 0
        left -= 1
    return state


def negation_clashes(said: Reading, seen: Reading) -> int:
    """Words that one side negates and the other, which has no negation at all, says plainly. "Not the same" is "different"."""
    if bool(said.negations) == bool(seen.negations):
        return 0
    table = opposite_table()
    if any(table.get(word, frozenset()) & frozenset(seen.stems) for word in said.stems):
        return 0
    mine, theirs = _negated(said.stems), _negated(seen.stems)
    return sum(mine[word] != theirs[word] for word in mine if word in theirs)


def _shared_pairs(said: tuple[str, ...], seen: tuple[str, ...]) -> float:
    """Share of the claim's neighbouring content words that stand close together in the evidence, in either order."""
    places = {word: at for at, word in enumerate(seen)}
    pairs = list(itertools.pairwise(said))
    close = sum(abs(places[first] - places[second]) <= 3 for first, second in pairs if first in places and second in places)
    return close / len(pairs) if pairs else 0.0


def _order(said: tuple[str, ...], seen: tuple[str, ...]) -> float:
    """Share of pairs of common words that stand in the same order in both; 0.5 where there are too few to tell."""
    places = {word: at for at, word in enumerate(seen)}
    common = [places[word] for word in said if word in places]
    pairs = [(first, second) for number, first in enumerate(common) for second in common[number + 1 :]]
    return sum(first < second for first, second in pairs) / len(pairs) if len(pairs) >= 3 else 0.5

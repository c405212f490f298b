"""A claim laid over a stretch word by word, as numbers for each word of the claim.

Two texts that share their words may still say different things: a number of the other row, names that changed places, "more" for "less". So
every word of the claim is given a place in the stretch, or none, so that what stands together in the claim stays together as far as it can
(a Viterbi path, as in the alignment of Vogel, Ney and Tillmann 1996). Words match by stem, by value, by family, else by what the encoder
thinks of them. What tells is where the path breaks: words without a place, jumps, what the jumps leave out, and other words of the same
kind that would stand better where a word was put.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadmap_rag.citations.compare import FAMILY, NEGATIONS, NUMBER, NUMBER_WORDS, SCALE, STRONG, TURNS, opposite_table
from roadmap_rag.text import STOP_WORDS, stem

Floats = np.ndarray[Any, np.dtype[np.float32]]

LAID = (
    "same", "family", "cosine", "best cosine", "no place", "stop", "name", "number", "negation", "strong", "compared", "turn", "opposite", "back", "jump", "near by", "in passage",
    "skipped", "skipped negation", "skipped name", "slot name", "slot number", "first", "content", "bigram", "gap", "slot cosine", "gap negation", "gap name", "gap strong", "in stretch",
    "other sentence", "agreement", "rival",
)  # fmt: skip
"""Of each word of a claim, all from 0 to 1. "skipped": content words of the stretch that the path left out before this word. "slot", "gap": words of the
stretch that nothing was laid on, where a word without a place would have stood. "agreement": how far the words around this one stand around its
place too; "rival": the same for the best free word of its kind (name, number, other).
"""

_WORD = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|[^\W_]+(?:['’]\w+)?", re.UNICODE)
_COMPARED = frozenset(
    "more less fewer higher lower greater smaller larger better worse faster slower longer shorter than before after instead rather unlike without except up down".split()
)
_SENTENCE_ENDS = (".", "!", "?", ":", "|", "\n", "-", "")
_NOTHING = 0.3
"""What a word without a place is worth on the path, where the same word is worth 1."""
_JUMP = 0.03
_FAR = 8
_NEIGHBOURS = 4
_WINDOW = 5
"""Words around a word of the claim, and around a place of the stretch, that count for the agreement."""


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    stem: str
    start: int
    stop: bool
    name: bool
    values: frozenset[float]
    negation: bool
    strong: bool
    compared: bool
    turn: bool


@functools.lru_cache(maxsize=8_192)
def tokens(text: str) -> tuple[Token, ...]:
    """The words of a text; a number is one word, whatever its separators."""
    stated = {match.start(1): _values(match) for match in NUMBER.finditer(text)}
    found: list[Token] = []
    for number, match in enumerate(_WORD.finditer(text)):
        raw = match.group()
        lowered = raw.casefold().replace("’", "'")
        values = stated.get(match.start(), frozenset())
        if not values and lowered in NUMBER_WORDS:
            values = frozenset({NUMBER_WORDS[lowered]})
        if not values and (digits := re.match(r"[0-9]{1,15}(?:\.[0-9]+)?", lowered.replace(",", ""))):
            values = frozenset({float(digits.group())})
        begins = number == 0 or text[: match.start()].rstrip(" ")[-1:] in _SENTENCE_ENDS
        inner = any(char.isupper() for char in raw[1:]) or (any(char.isdigit() for char in raw) and any(char.isalpha() for char in raw))
        name = inner or (raw[0].isupper() and not begins and lowered not in STOP_WORDS)
        negation = lowered in NEGATIONS or lowered.endswith("n't")
        compared = lowered in _COMPARED
        stop = lowered in STOP_WORDS and not negation and not compared
        base = stem(lowered.removesuffix("'s"))
        found.append(Token(lowered, base, match.start(), stop, name, values, negation, lowered in STRONG, compared, lowered in TURNS))
    return tuple(found)


def _values(match: re.Match[str]) -> frozenset[float]:
    """As it stands, scaled, and a percentage also as a share."""
    plain, unit = float(match.group(1).replace(",", "")), (match.group(3) or "").lower()
    values = {plain, round(plain * 10.0 ** int(match.group(2) or 0) * SCALE.get(unit, 1.0), 10)}
    if unit in ("%", "percent", "per cent"):
        values.add(round(plain / 100, 10))
    return frozenset(values)


@functools.lru_cache(maxsize=65_536)
def _related(one: str, other: str) -> bool:
    if len(one) < FAMILY or len(other) < FAMILY or one[:FAMILY] != other[:FAMILY]:
        return False
    return other.startswith(one[: max(FAMILY, len(one) - 3)]) and abs(len(other) - len(one)) <= FAMILY


def same(said: Token, seen: Token) -> float:
    """1 for the same word or value, a little less for one of its family or another negation, else 0."""
    if said.values and seen.values:
        return float(any(abs(one - other) <= 1e-9 * max(1.0, abs(one)) for one in said.values for other in seen.values))
    if said.stem == seen.stem:
        return 1.0
    if said.negation or seen.negation:
        return 0.9 * (said.negation and seen.negation)
    related = not (said.stop or seen.stop or said.values or seen.values) and _related(said.stem, seen.stem)
    return 0.9 * related


def token_vectors(found: Sequence[Token], words: Sequence[str], vectors: Floats) -> Floats:
    """A unit vector per token, the mean over the encoder's words that it is made of; zero where the encoder has none for it."""
    result = np.zeros((len(found), vectors.shape[1] if len(vectors) else 1), dtype=np.float32)
    bare = [re.sub(r"[\W_]+", "", word.casefold()) for word in words]
    at = 0
    for number, token in enumerate(found):
        rest, parts, place = re.sub(r"[\W_]+", "", token.text), [], at
        while rest and place < len(bare):
            if bare[place] and rest.startswith(bare[place]):
                parts.append(place)
                rest = rest[len(bare[place]) :]
            elif parts or place - at >= 2:
                break
            place += 1
        if parts:
            at = place
            mean = vectors[parts].mean(axis=0)
            result[number] = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return result


def path(worth: Floats) -> list[int]:
    """For each word of the claim its place in the stretch, -1 for none: the best path, where a jump of n words costs ``_JUMP * n``."""
    said, seen = worth.shape
    places = np.arange(seen)
    jump = _JUMP * np.minimum(np.abs(places[:, None] + 1 - places[None, :]), _FAR)  # from row to column
    score = np.concatenate([worth[0], np.full(seen, _NOTHING)])  # at a place; at none, with the last place remembered
    back: list[np.ndarray[Any, Any]] = []
    for number in range(1, said):
        before = np.maximum(score[:seen], score[seen:])
        came = np.where(score[:seen] >= score[seen:], places, places + seen)
        moves = before[:, None] - jump
        best = moves.argmax(axis=0)
        back.append(np.concatenate([came[best], came]))
        score = np.concatenate([moves[best, places] + worth[number], before + _NOTHING])
    state = int(score.argmax())
    found = [state]
    for step in reversed(back):
        state = int(step[state])
        found.append(state)
    return [state if state < seen else -1 for state in reversed(found)]


def lay(claim: str, stretch: str, near: str, passage: str, cosines: Floats | None = None) -> Floats:
    """``LAID`` of each word of the claim, shape (words, features); one row of zeros where there are no words.

    ``near`` holds the neighbouring sentences and the headings, ``cosines`` of shape (words of the claim, words of the stretch).
    """
    said, seen = tokens(claim), tokens(stretch)
    if not said or not seen:
        return np.zeros((max(len(said), 1), len(LAID)), dtype=np.float32)
    exact = np.array([[same(one, other) for other in seen] for one in said], dtype=np.float32)
    soft = np.zeros_like(exact) if cosines is None or cosines.shape != exact.shape else cosines
    placed = path(_worth(said, seen, exact, soft))
    taken = set(placed)
    free = np.array([at not in taken for at in range(len(seen))])
    sentence = np.cumsum(
        [at > 0 and bool(re.search(r"[.!?]\s|\n", stretch[seen[at - 1].start : token.start])) for at, token in enumerate(seen)]
    )
    following = _following(placed)
    table, seen_stems = opposite_table(), frozenset(token.stem for token in seen)
    near_tokens, far_tokens = tokens(near), tokens(passage)
    near_stems, far_stems = frozenset(token.stem for token in near_tokens), frozenset(token.stem for token in far_tokens)
    near_values, far_values = [token for token in near_tokens if token.values], [token for token in far_tokens if token.values]
    agreement = _agreement(said, exact)
    kinds = np.array([(token.name, bool(token.values), token.stop) for token in seen])
    rows: list[list[float]] = []
    last = -1
    for number, (token, place) in enumerate(zip(said, placed, strict=True)):
        matched = place >= 0 and exact[number, place] > 0
        opposite = token.stem in table and token.stem not in seen_stems and bool(table[token.stem] & seen_stems)
        moved = place - last if place >= 0 and last >= 0 else 1
        between = range(0)
        if place >= 0:
            between = range(last + 1, place)
        left_out = [seen[at] for at in between if free[at] and (last >= 0 or sentence[at] == sentence[place])]
        slots = _slots(place, last, following[number], free, sentence) if not matched else []
        carried = [at for at in slots if not seen[at].stop]
        if token.values:
            by, within = any(same(token, each) for each in near_values), any(same(token, each) for each in far_values)
        else:
            by, within = token.stem in near_stems, token.stem in far_stems
        pair = 0.0
        if number + 1 < len(said) and place >= 0 and placed[number + 1] >= 0:
            pair = 1.0 if abs(placed[number + 1] - place) <= 3 else 0.3
        rivals = (kinds == (token.name, bool(token.values), token.stop)).all(axis=1) & (exact[number] == 0) & free
        rows.append([
            matched and exact[number, place] == 1.0, matched and exact[number, place] < 1.0, soft[number, place] if place >= 0 else 0.0, soft[number].max(), place < 0,
            token.stop, token.name, bool(token.values), token.negation, token.strong, token.compared, token.turn, opposite,
            moved < 0, min(abs(moved - 1), _FAR) / _FAR, by, within,
            min(sum(not each.stop for each in left_out), 8) / 8, any(each.negation for each in left_out), any(each.name or each.values for each in left_out),
            any(seen[at].name for at in slots), any(seen[at].values for at in slots), number == 0, not token.stop, pair,
            min(len(carried), 6) / 6, max((soft[number, at] for at in carried), default=0.0), any(seen[at].negation for at in slots), any(seen[at].name for at in carried),
            any(seen[at].strong or seen[at].compared for at in slots), exact[number].max() > 0, place >= 0 and last >= 0 and sentence[place] != sentence[last],
            agreement[number, place] if place >= 0 else 0.0, agreement[number][rivals].max() if rivals.any() and not token.stop else 0.0,
        ])  # fmt: skip
        if place >= 0:
            last = place
    return np.array(rows, dtype=np.float32)


def _worth(said: Sequence[Token], seen: Sequence[Token], exact: Floats, soft: Floats) -> Floats:
    """What it is worth to lay a word of the claim on a place: the same word 1, a word of like meaning up to .75, anything else -1."""
    apart = np.array(
        [
            [one.stop or other.stop or one.negation or other.negation or bool(one.values) != bool(other.values) for other in seen]
            for one in said
        ]
    )
    alike = np.where(apart, 0.0, 0.75 * np.clip((soft - 0.3) / 0.7, 0, 1))
    return np.asarray(np.where(exact > 0, exact, np.where(alike > 0, alike, -1.0)), dtype=np.float32)


def _following(placed: Sequence[int]) -> list[int]:
    """For each word the place of the next word that has one, else -1."""
    found, following = [-1] * len(placed), -1
    for number in range(len(placed) - 1, -1, -1):
        found[number] = following
        if placed[number] >= 0:
            following = placed[number]
    return found


def _slots(place: int, last: int, following: int, free: np.ndarray[Any, Any], sentence: np.ndarray[Any, Any]) -> list[int]:
    """Where in the stretch a word stands that the claim has in other words, or not: between the places of its neighbours."""
    if place >= 0:
        return [place]
    if last >= 0 and following > last:
        return [at for at in range(last + 1, following) if free[at]]
    if last < 0 <= following:
        return [at for at in range(following - 1, -1, -1) if free[at] and sentence[at] == sentence[following]][:4]
    if following < 0 <= last:
        return [at for at in range(last + 1, len(free)) if free[at] and sentence[at] == sentence[last]][:4]
    return []


def _agreement(said: Sequence[Token], exact: Floats) -> Floats:
    """For each word of the claim and each place: the share of the words around it that stand around that place too; near ones count more."""
    carries = np.array([not token.stop for token in said], dtype=np.float32)
    places = np.arange(len(said))
    distance = np.abs(places[:, None] - places[None, :])
    weight = np.where((distance > 0) & (distance <= _NEIGHBOURS), 1.0 / np.maximum(distance, 1), 0.0) * carries[None, :]
    found, around = exact > 0, np.zeros_like(exact)
    for shift in range(-min(_WINDOW, found.shape[1] - 1), min(_WINDOW, found.shape[1] - 1) + 1):
        moved = np.zeros_like(found)
        moved[:, max(shift, 0) : found.shape[1] + min(shift, 0)] = found[:, max(-shift, 0) : found.shape[1] + min(-shift, 0)]
        around = np.maximum(around, moved / (1.0 + 0.1 * abs(shift)))
    return np.asarray(weight @ around / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9), dtype=np.float32)


def summarise(laid: Floats) -> dict[str, float]:
    """What the words of a claim tell together."""
    at = {name: laid[:, number] for number, name in enumerate(LAID)}
    content, stated = at["content"] > 0, (at["same"] + at["family"]) > 0
    number, name = at["number"] > 0, at["name"] > 0
    missing = content & ~stated
    likeness = np.where(stated, 1.0, np.clip((at["best cosine"] - 0.3) / 0.7, 0, 1))[content] if content.any() else np.ones(1)
    weight = (1.0 + 0.5 * (name | number))[content] if content.any() else np.ones(1)
    least = np.sort(likeness)
    held = max(1, int((content & stated).sum()))

    def count(chosen: np.ndarray[Any, Any], most: int) -> float:
        return min(float(chosen.sum()), most)

    return {
        "laid": float((likeness * weight).sum() / weight.sum()),
        "laid_same": float(stated[content].mean()) if content.any() else 1.0,
        "least_word": float(least[0]),
        "second_least_word": float(least[min(1, len(least) - 1)]),
        "third_least_word": float(least[min(2, len(least) - 1)]),
        "words_missing": count(missing, 8) / 8,
        "numbers_unlaid": count(number & ~stated, 2),
        "numbers_not_near": count(number & ~stated & (at["near by"] == 0), 2),
        "names_unlaid": count(name & ~stated, 3),
        "names_not_near": count(name & ~stated & (at["near by"] == 0), 3),
        "names_nowhere": count(name & ~stated & (at["in passage"] == 0), 3),
        "negations_unlaid": count((at["negation"] > 0) & ~stated, 2),
        "strong_unlaid": count((at["strong"] > 0) & ~stated, 2),
        "compared_unlaid": count((at["compared"] > 0) & ~stated, 2),
        "opposed_words": min(float(at["opposite"].sum()), 2),
        "backward": min(float((at["back"] * content).sum()), 4) / 4,
        "backward_share": float((at["back"] * content * stated).sum()) / held,
        "jumps": float((at["jump"] * content * stated).sum()) / held,
        "skipped_negations": min(float(at["skipped negation"].sum()), 2),
        "skipped_names": min(float(at["skipped name"].sum()), 3) / 3,
        "skipped_words": float(at["skipped"].mean()),
        "names_in_slots": min(float((at["slot name"] * content).sum()), 3),
        "numbers_in_slots": min(float((at["slot number"] * content).sum()), 3),
        "names_for_names": min(float((at["slot name"] * name).sum()), 3),
        "numbers_for_numbers": min(float((at["slot number"] * number).sum()), 3),
        "pairs_kept": float(at["bigram"].mean()),
        "missing_in_passage": float(at["in passage"][missing].mean()) if missing.any() else 1.0,
        "from_elsewhere": count(missing & (at["in passage"] > 0), 4) / 4,
        "from_nowhere": count(missing & (at["in passage"] == 0), 6) / 6,
        "least_agreement": float(at["agreement"][content & stated].min()) if (content & stated).any() else 0.0,
        "rivalry": float(np.clip((at["rival"] - at["agreement"])[name | number], 0, 1).max()) if (name | number).any() else 0.0,
    }  # fmt: skip


SUMMARY = tuple(summarise(np.zeros((1, len(LAID)), dtype=np.float32)))
"""The names of what ``summarise`` tells."""

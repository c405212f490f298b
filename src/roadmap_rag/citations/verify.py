"""The check itself: parts of a draft to sentences with verdicts and places."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from roadmap_rag.citations import net
from roadmap_rag.citations.alignment import Floats, lay, summarise, token_vectors, tokens
from roadmap_rag.citations.compare import changes_missing, compare, compare_words
from roadmap_rag.citations.compare import read as read_claim
from roadmap_rag.citations.evidence import MAX_QUOTE, Encode, Entails, Read, Stretch, VectorMemory, read_words, stems, stretches
from roadmap_rag.citations.judge import constants, judge, nearly
from roadmap_rag.citations.labels import Part, read_draft
from roadmap_rag.citations.render import Checked, Evidence, Verified, render
from roadmap_rag.domain import Hit, Verdict
from roadmap_rag.text import sentence_spans, words

Restate = Callable[[Evidence], Sequence[tuple[str, Evidence]]]
"""The sentences that stand at a place, as they may be quoted, each with its own place; none where nothing may be."""
_SHORTLIST = 8
"""Stretches per claim that are compared by vectors; those that share the most words with it."""
_LABEL_BONUS = 0.03
"""What a passage gains when the draft itself names it: it decides between places that say the same."""
_vectors = VectorMemory()


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    chance: float
    place: Evidence | None
    features: Mapping[str, float]


@dataclass(slots=True)
class Alignment:
    """The nearest stretch to a claim: passage ``number`` counts from 0; ``laid`` is the claim laid over it."""

    number: int
    stretch: Stretch
    features: dict[str, float]
    nearness: float
    laid: Floats | None = None


def verify(
    draft: str,
    passages: Sequence[Hit],
    encode: Encode,
    *,
    read: Read | None = None,
    entails: Entails | None = None,
    restate: Restate | None = None,
    strict: bool = False,
    partial: bool = False,
) -> Verified:
    """Check a draft whose label ``[i]`` means ``passages[i - 1]``.

    ``read`` gives the word vectors of a text, where the encoder has them; verdicts are better with them. ``entails`` reads each claim with its
    place. What is nearly proved is said in the words that ``restate`` gives for its place: a fault of the writer is then not shown, a right
    sentence not lost. With ``strict`` sentences that are not supported are left out, else they are marked. With ``partial`` the draft was cut off, and a
    last sentence without an end is left out. Verifying the answer again, with the cited passages in front in the order of their labels,
    changes nothing.
    """
    parts = read_draft(draft, len(passages), {hit.url for hit in passages}, partial=partial)
    claims = [part for part in parts.parts if part.kind == "claim"]
    judgements = iter(judge_claims([(part.text, part.labels) for part in claims], passages, encode, read, entails))
    checked: list[Checked] = []
    details: list[Mapping[str, Any]] = []
    frames: list[Part] = []
    skipped = ""
    said: set[str] = set()
    declines = any(part.kind == "decline" for part in parts.parts)
    for part in parts.parts:
        detail: dict[str, Any] = {"text": part.text, "kind": part.kind, "labels": list(part.labels)}
        details.append(detail)
        if "\n" in skipped and "\n" not in part.layout:  # what was left out began the line
            part = replace(part, layout=skipped)
        skipped = ""
        if part.kind in ("filler", "decline"):
            skipped = part.layout
            continue
        if part.kind == "frame":
            frames.append(part)
            continue
        judgement = _judge_code(part.text, passages) if part.kind == "code" else next(judgements)
        place = judgement.place
        detail |= {"verdict": judgement.verdict, "chance": round(judgement.chance, 3), "features": dict(judgement.features)}
        if place:
            detail |= {"url": place.url, "start": place.start, "end": place.end}
        verdict, evidence = judgement.verdict, (place,) if place and judgement.verdict == "supported" else ()
        shown = [(part.text, evidence)]
        near = judgement.verdict != "supported" and nearly(judgement.chance, judgement.features)
        if place and near and restate and not declines and (quotes := restate(place)):
            detail["restated"], verdict = True, "supported"
            shown = [(text, (where,)) for text, where in quotes]
        if strict and verdict != "supported":
            skipped = part.layout
            continue
        if part.kind == "claim":  # small models repeat themselves
            shown = [(text, places) for text, places in shown if text.casefold() not in said]
        if not shown:
            detail["kind"], skipped = "repeated", part.layout
            continue
        said.update(text.casefold() for text, _ in shown)
        (first, places), *others = shown
        joined = [*frames, replace(part, text=first)]
        text = joined[0].text + "".join(each.layout + each.text for each in joined[1:])
        checked.append(Checked(joined[0].layout, text, verdict, places))
        checked.extend(Checked(" ", text, verdict, places) for text, places in others)
        frames = []
    declined = declines and not any(each.verdict == "supported" for each in checked)
    return render(checked, declined=declined, removed=parts.removed, details=details)


def judge_claims(
    claims: Sequence[tuple[str, Sequence[int]]],
    passages: Sequence[Hit],
    encode: Encode,
    read: Read | None = None,
    entails: Entails | None = None,
) -> list[Judgement]:
    """A judgement per (claim, labels named for it), each against all passages."""
    known = constants(words=read is not None)
    found: list[Judgement] = []
    for alignment in align(claims, passages, encode, read, entails):
        if alignment is None:
            found.append(Judgement("unsupported", 0.0, None, {}))
            continue
        verdict, chance = judge(alignment.features, known)
        hit, stretch = passages[alignment.number], alignment.stretch
        place = Evidence(hit.url, hit.start + stretch.start, hit.start + stretch.end, hit)
        found.append(Judgement(verdict, chance, place, alignment.features))
    return found


def align(
    claims: Sequence[tuple[str, Sequence[int]]],
    passages: Sequence[Hit],
    encode: Encode,
    read: Read | None = None,
    entails: Entails | None = None,
) -> list[Alignment | None]:
    """For each (claim, labels named for it) the stretch of all passages that comes nearest to it; None without passages.

    Only sentences are embedded; two that stand together have the mean of their vectors. Words are compared with the nearest stretch alone.
    """
    shortlists = [_shortlist(text, passages) for text, _ in claims]
    singles = [stretch for shortlist in shortlists for _, stretch in shortlist]
    texts = list(dict.fromkeys([*(text for text, _ in claims), *(part for stretch in singles for part in stretch.parts)]))
    vectors = dict(zip(texts, _vectors.vectors(encode, texts), strict=True)) if texts else {}
    found = [_nearest(text, labels, shortlist, passages, vectors) for (text, labels), shortlist in zip(claims, shortlists, strict=True)]
    for (text, _), nearest in zip(claims, found, strict=True):
        if nearest is not None:
            nearest.laid = _look_closely(text, passages[nearest.number], nearest.stretch, nearest.features, read)
            if read is not None:
                nearest.features["net"] = net.score(nearest.laid, nearest.features)
    if entails is not None:
        unread = [(text, each) for (text, _), each in zip(claims, found, strict=True) if each is not None and not each.features["verbatim"]]
        answers = entails([(_premise(passages[each.number], each.stretch), text) for text, each in unread])
        for (_, each), (entailed, contradicted) in zip(unread, answers, strict=True):
            each.features |= {"entailed": entailed, "contradicted": contradicted}
    return found


def _premise(hit: Hit, stretch: Stretch) -> str:
    """What a claim is read with: the section's heading, the stretch, and a sentence on each side."""
    before, after = _neighbours(hit, stretch)
    return " ".join(filter(None, (f"{hit.section or hit.title}:", before, stretch.text, after)))


def beside(claim: str, hit: Hit, stretch: Stretch, encode: Encode, read: Read | None = None) -> tuple[dict[str, float], Floats]:
    """All features of a claim beside a given stretch of a passage, and the claim laid over it."""
    vectors = dict(zip((claim, *stretch.parts), _vectors.vectors(encode, (claim, *stretch.parts)), strict=True))
    features = _compare(claim, hit, stretch, vectors)
    return features, _look_closely(claim, hit, stretch, features, read)


def _look_closely(claim: str, hit: Hit, stretch: Stretch, features: dict[str, float], read: Read | None) -> Floats:
    """Add to the features what is only computed for the nearest stretch; returns the claim laid over it."""
    said, seen = tokens(claim), tokens(stretch.text)
    cosines = None
    if read is not None:
        mine, theirs = read_words(read, claim), read_words(read, stretch.text)
        features.update(compare_words(mine, theirs))
        if len(mine.words) and len(theirs.words):
            cosines = token_vectors(said, mine.words, mine.word_vectors) @ token_vectors(seen, theirs.words, theirs.word_vectors).T
    around = _surroundings(hit, stretch)
    laid = lay(claim, stretch.text, around, f"{hit.title}\n{hit.section}\n{hit.text}", cosines)
    features.update(summarise(laid))
    features["changes_missing"] = float(bool(changes_missing(claim, f"{around}\n{stretch.text}")))
    features["verbatim"] = float(_plain(claim) in _sentences(hit.text))
    return laid


def _surroundings(hit: Hit, stretch: Stretch) -> str:
    """The headings, and the sentences right before and after a stretch."""
    before, after = _neighbours(hit, stretch)
    return "\n".join(filter(None, (hit.title, hit.section, before, after)))


def _neighbours(hit: Hit, stretch: Stretch) -> tuple[str, str]:
    """The sentences right before and after a stretch; empty where there is none."""
    singles = [each for each in stretches(hit.text) if len(each.parts) == 1]
    before = next((each.text for each in reversed(singles) if each.end <= stretch.start), "")
    after = next((each.text for each in singles if each.start >= stretch.end), "")
    return before, after


_CLAUSE_ENDS = re.compile(r"\s*[,;:(]|\s(?=(?:and|which|while|so|because|including|such as)\s)")
_RESTRICTS = re.compile(r"\b(?:if|unless|except|only|but|not|when|until|without|false|wrong|n't)\b|n['’]t\b", re.IGNORECASE)
_FEWEST_WORDS = 4


@functools.lru_cache(maxsize=256)
def _sentences(passage: str) -> frozenset[str]:
    """The words of every sentence, and of its first clauses where the rest takes nothing back."""
    found: set[str] = set()
    for start, end in sentence_spans(passage):
        sentence = passage[start:end]
        found.add(_plain(sentence))
        for match in _CLAUSE_ENDS.finditer(sentence):
            clause = _plain(sentence[: match.start()])
            if clause.count(" ") >= _FEWEST_WORDS - 1 and not _RESTRICTS.search(sentence[match.start() :]):
                found.add(clause)
    return frozenset(found - {""})


def _plain(sentence: str) -> str:
    """Its words alone, without the mark of a list item."""
    return " ".join(words(re.sub(r"^\s*(?:[-*+>|#]+|\d+[.)])\s+", "", sentence)))


def _nearest(
    claim: str,
    labels: Sequence[int],
    shortlist: Sequence[tuple[int, Stretch]],
    passages: Sequence[Hit],
    vectors: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]],
) -> Alignment | None:
    best: Alignment | None = None
    for number, stretch in shortlist:
        features = _compare(claim, passages[number], stretch, vectors)
        apart = 0.25 * features["numbers_far"] + 0.2 * features["names_far"] + 0.02 * len(stretch.parts)
        named = _LABEL_BONUS * (number + 1 in labels)
        nearness = features["cosine"] + 0.8 * features["coverage"] + 0.1 * features["reverse"] - apart + named
        if best is None or nearness > best.nearness:
            best = Alignment(number, stretch, features, nearness)
    return best


def _compare(claim: str, hit: Hit, stretch: Stretch, vectors: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]) -> dict[str, float]:
    mean = np.sum([vectors[part] for part in stretch.parts], axis=0)
    cosine = float(vectors[claim] @ mean / (np.linalg.norm(mean) or 1.0))
    return compare(claim, stretch.text, f"{hit.title}\n{hit.section}\n{hit.text}", cosine)


def _shortlist(claim: str, passages: Sequence[Hit]) -> list[tuple[int, Stretch]]:
    """The stretches that share the most words with a claim, as (number of the passage, stretch)."""
    said = frozenset(read_claim(claim).content)
    scored = []
    for number, hit in enumerate(passages):
        for stretch in stretches(hit.text):
            shared = len(said.intersection(stems(stretch.text)))
            scored.append((shared - 0.3 * len(stretch.parts), -number, -stretch.start, number, stretch))
    scored.sort(key=lambda each: each[:3], reverse=True)
    return [(number, stretch) for *_, number, stretch in scored[:_SHORTLIST]]


def _judge_code(block: str, passages: Sequence[Hit]) -> Judgement:
    """A fenced block is supported when its lines stand in a passage one after the other, whatever their indentation."""
    wanted = [_squeeze(line) for line in block.split("\n")[1:-1] if line.strip()]
    for hit in passages:
        lines = [match.span() for match in re.finditer(r"\S[^\n]*", hit.text)]
        seen = [_squeeze(hit.text[start:end]) for start, end in lines]
        for at in range(len(seen) - len(wanted) + 1 if wanted else 0):
            if seen[at : at + len(wanted)] == wanted:
                ends = [end for _, end in lines[at : at + len(wanted)] if end - lines[at][0] <= MAX_QUOTE]
                end = ends[-1] if ends else lines[at][0] + MAX_QUOTE
                return Judgement("supported", 1.0, Evidence(hit.url, hit.start + lines[at][0], hit.start + end, hit), {})
    return Judgement("unsupported", 0.0, None, {})


def _squeeze(line: str) -> str:
    return re.sub(r"\s+", " ", line).strip()

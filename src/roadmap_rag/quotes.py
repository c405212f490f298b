"""The answer without a model: the best sentences of the passages, as they stand, each with its citation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from roadmap_rag.citations.evidence import Encode, VectorMemory, stems
from roadmap_rag.citations.render import Checked, Evidence, Verified, render
from roadmap_rag.domain import Hit
from roadmap_rag.text import sentence_spans, terms

MAX_SENTENCES = 6
_ENCODED = 24
"""Sentences that are compared by vectors, those that share the most with the question; the rest stay unread."""
_vectors = VectorMemory()

_STEERING = re.compile(
    r"""\b(?:ignore|disregard|forget|override|bypass)\b[^.]{0,40}\b(?:previous|prior|above|earlier|all|any|your|the)\b[^.]{0,30}\b(?:instructions?|prompts?|rules?|messages?|context|guidelines?)
    |\b(?:respond|reply|answer|output|write|say|print|return)\b[^.]{0,20}\b(?:only\ )?(?:in|with|as)\b[^.]{0,15}\b(?:json|xml|yaml|the\ (?:word|phrase|following))
    |\byou\ (?:are|must|should|will|shall)\ (?:now\ )?(?:a|an|act|always|never|only|not|respond|reply|answer|ignore|obey|pretend|reveal)\b
    |^\W*(?:system|assistant|user|human|developer)\s*(?:prompt|message)?\s*[:：>\]]
    |<\|?(?:im_start|im_end|system|assistant|user|endoftext)|\[/?(?:INST|SYS)\]|<</?SYS>>
    |\b(?:system|developer)\ (?:prompt|message|instructions?)\b[^.]{0,40}\b(?:reveal|print|repeat|show|override|update)
    |\b(?:reveal|repeat|print|show|leak)\b[^.]{0,30}\b(?:system\ prompt|instructions|hidden\ prompt)
    |\b(?:ignorier|vergiss|missachte)\w*\b[^.]{0,60}\b(?:anweisung|regeln|instruktion|vorherig|bisherig)
    |\b(?:ignore[zr]?|oublie[zr]?)\b[^.]{0,40}\b(?:instructions|consignes|précédent)
    |\b(?:ignora|olvida)\w*\b[^.]{0,40}\b(?:instrucciones|anteriores)
    |(?:忽略|无视|忘记|忘掉)[^。]{0,20}(?:指令|指示|说明|规则|提示)
    |(?:игнорируй|забудь)[^.]{0,40}(?:инструкц|указан)
    |!\[[^\]]*\]\(|https?://|data:\w+/""",
    re.IGNORECASE | re.VERBOSE,
)
_DEBRIS = re.compile(
    r"^\W*(?:figure|fig\.|table|image|photo|source|credit|caption|listing|algorithm)\s*\d*\s*[:.]|subscribe|cookie|sign (?:in|up)|click here|read more|share this|all rights reserved|©|table of contents|last updated|^\W*(?:next|previous|home|menu|contents?)\W*$",
    re.IGNORECASE,
)


def instruction_like(sentence: str) -> bool:
    """Whether a sentence gives orders to a language model, or carries an address or an image."""
    plain = "".join(char for char in unicodedata.normalize("NFKC", sentence) if unicodedata.category(char) != "Cf")
    return bool(_STEERING.search(plain))


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    start: int
    end: int
    text: str
    shared: float


def compose(question: str, hits: Sequence[Hit], encode: Encode, *, sources: int = 5) -> Verified:
    """The best sentences of the passages for a question, in reading order within a passage, from at most ``sources`` passages."""
    wanted = frozenset(terms(question))
    candidates = [each for hit in hits for each in _candidates(hit, wanted)]
    candidates.sort(key=lambda each: -each.shared)
    candidates = candidates[:_ENCODED]
    if not candidates:
        return render([])
    vectors = _vectors.vectors(encode, [question, *(each.text for each in candidates)])
    scores = [float(vector @ vectors[0]) + 0.3 * each.shared for vector, each in zip(vectors[1:], candidates, strict=True)]
    order = sorted(range(len(candidates)), key=lambda number: -scores[number])
    chosen: list[int] = []
    for number in order:
        if len(chosen) == MAX_SENTENCES or (chosen and scores[number] < 0.6 * scores[chosen[0]]):
            break
        if any(float(vectors[number + 1] @ vectors[other + 1]) > 0.9 for other in chosen):
            continue
        used = {candidates[other].hit.url for other in chosen}
        if candidates[number].hit.url not in used and len(used) >= sources:
            continue
        chosen.append(number)
    first = {candidates[number].hit.url: place for place, number in reversed(list(enumerate(chosen)))}
    chosen.sort(key=lambda number: (first[candidates[number].hit.url], candidates[number].start))
    checked = []
    last = ""
    for number in chosen:
        each = candidates[number]
        layout = " " if each.hit.url == last else "\n\n"
        last = each.hit.url
        checked.append(Checked(layout, _plain(each.text), "supported", (Evidence(each.hit.url, each.start, each.end, each.hit),)))
    return render(checked)


def _candidates(hit: Hit, wanted: frozenset[str]) -> list[_Candidate]:
    found = []
    for start, end in sentence_spans(hit.text):
        text = hit.text[start:end]
        if not 30 <= len(text) <= 400 or "\n" in text.strip() or text.lstrip().startswith(("|", "#", "```", "$$", "![", ">")):
            continue
        if _DEBRIS.search(text) or instruction_like(text) or not text.rstrip("*_\"'”’)] ").endswith((".", "!", "。", "！")):
            continue
        shared = len(wanted.intersection(stems(text))) / (len(wanted) or 1)
        found.append(_Candidate(hit, hit.start + start, hit.start + end, text, shared + 0.2 * hit.score))
    return found


def _plain(text: str) -> str:
    """The sentence without list marks, and with its own bracketed numbers made harmless: they are not our labels."""
    return re.sub(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]", "", re.sub(r"^(?:[-*+]|\d{1,3}[.)])\s+", "", text)).strip()

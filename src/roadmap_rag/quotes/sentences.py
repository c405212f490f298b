"""Sentences of passages that can stand in an answer: whole, prose, and about the subject instead of about the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from roadmap_rag.domain import Hit
from roadmap_rag.quotes.steering import instruction_like
from roadmap_rag.text import sentence_spans, words

MIN_CHARACTERS, MAX_CHARACTERS = 30, 400
_MIN_WORDS = 5

_DEBRIS = re.compile(
    r"^\W*(?:figure|fig\.|table|image|photo|source|credit|caption|listing|algorithm|equation|appendix)\s*[\dA-Z]*\s*[:.]|subscribe|cookie|sign (?:in|up)|"
    r"click here|read more|share this|all rights reserved|©|table of contents|last updated|\bnewsletter\b|\bfollow (?:me|us)\b|^\W*(?:next|previous|home|menu|contents?)\W*$|"
    r"\b(?:arxiv preprint|et al\., \d{4}\.|proceedings of|pp\. \d)|^\W*\[\d+\]\s",
    re.IGNORECASE,
)
_ABOUT_THE_PAGE = re.compile(
    r"^\W*(?:in this (?:article|post|tutorial|guide|section|chapter|notebook|blog|part|video|lesson|course|paper|example)|this (?:article|post|tutorial|guide|section|chapter|notebook|blog|"
    r"document|page|course|video|lesson|recipe|repository)|(?:now|next|first|finally|so|then|here|but|and|ok|okay|great|well|in the (?:next|previous|following|last))\b[^.]{0,30}\b(?:let['’]?s|we['’]?(?:ll| will| can| have| are)?|you|i)\b|"
    r"let['’]?s|let me|we['’]ll|we will|as (?:we|you) (?:saw|have seen|can see|mentioned)|if you (?:already|have|want|are|haven)|for more|see |check out|please |note that you|have a look|take a look|stay tuned|thanks|"
    r"(?:the )?(?:preceding|following|above|below)\b)",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"^\W*(?:it|its|they|their|them|these|those|this|that|such|he|she|however|therefore|thus|hence|instead|also|moreover|furthermore|additionally|but|and|so|then|otherwise|similarly|likewise|"
    r"consequently|as a result|because of this|in contrast|on the other hand|for example|for instance|in other words|both|neither|the (?:former|latter|second|third|other)|another)\b",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!。！…][\"'”’)\]*_`]*$")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])[ \t]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of ``hit``: ``text == document[start:end]``. ``place`` counts the sentences of the passage.

    ``leans``: it begins with a word that points back; ``about_the_page``: it announces or points instead of saying something.
    """

    hit: Hit
    start: int
    end: int
    text: str
    place: int
    leans: bool
    about_the_page: bool


def candidates(hit: Hit, question: str) -> Iterator[Candidate]:
    """The sentences of a passage that may be quoted, in order. Cut-off ends, headings, tables, captions, code and orders are left out."""
    fenced = _fenced(hit.text)
    for place, (start, end) in enumerate(sentence_spans(hit.text)):
        item = _ITEM.match(hit.text, start, end)
        start = item.end() if item else start
        text = hit.text[start:end]
        if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS or any(first < end and start < last for first, last in fenced):
            continue
        if text.startswith(("|", "#", "$$", "![", ">", "<")) or "\n\n" in text or "\n|" in text or "\n#" in text:
            continue
        if not _ENDS.search(text) or _DEBRIS.search(text) or not _is_prose(text) or instruction_like(text, question):
            continue
        if place == 0 and not item and _begins_inside(text):
            continue
        yield Candidate(hit, hit.start + start, hit.start + end, text, place, bool(_LEANS.match(text)), bool(_ABOUT_THE_PAGE.match(text)))


def _fenced(text: str) -> list[tuple[int, int]]:
    """Where fenced code stands, also where the passage begins or ends inside it."""
    marks = [match.start() for match in re.finditer(r"^[ \t]*(?:```|~~~)", text, re.MULTILINE)]
    if len(marks) % 2:
        inside = re.match(r"[ \t]*(?:```|~~~)\s*$", text[marks[0] :].split("\n", 1)[0])
        marks = [0, *marks] if inside else [*marks, len(text)]
    return list(zip(marks[::2], [end + 3 for end in marks[1::2]], strict=True))


def _is_prose(text: str) -> bool:
    """Mostly words: no formula, no row of cells, no line of code or list of links."""
    found = words(text)
    letters = sum(char.isalpha() or char.isspace() for char in text)
    cjk = sum("\u3400" <= char <= "\u9fff" for char in text)
    return (len(found) >= _MIN_WORDS or cjk >= 8) and letters >= 0.78 * len(text) and text.count("|") < 2 and text.count("$") < 5


def _begins_inside(text: str) -> bool:
    """A passage cut by hand may begin in the middle of a sentence."""
    return text[:1].islower()

"""Sentences of passages that can stand in an answer: whole, prose, and about the subject instead of about the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from roadmap_rag.domain import Hit
from roadmap_rag.quotes.steering import instruction_like
from roadmap_rag.text import STOP_WORDS, sentence_spans, words

MIN_CHARACTERS, MAX_CHARACTERS = 30, 400
_MIN_WORDS = 5

_DEBRIS = re.compile(
    r"^\W*(?:diagram|illustration|overview|screenshot|visuali[sz]ation|comparison|architecture|schematic) of\b[^,;]{0,80}$|^\W*(?:figure|fig\.|table|image|photo|source|credit|caption|listing|algorithm|equation|appendix)\s*[\dA-Z]*\s*[:.]|subscribe|cookie|sign (?:in|up)|"
    r"click here|read more|share this|all rights reserved|©|table of contents|last updated|\bnewsletter\b|\bfollow (?:me|us)\b|^\W*(?:next|previous|home|menu|contents?)\W*$|"
    r"\b(?:arxiv preprint|et al\., \d{4}\.|proceedings of|pp\. \d)|^\W*\[\d+\]\s|^\W*\((?:19|20)\d\d\)\s|\barxiv:\d{4}|\{\s*[\d.]+\s*,",
    re.IGNORECASE,
)
_ABOUT_THE_PAGE = re.compile(
    r"^\W*(?:in this (?:article|post|tutorial|guide|section|chapter|notebook|blog|part|video|lesson|course|paper|example)|this (?:article|post|tutorial|guide|section|chapter|notebook|blog|"
    r"document|page|course|video|lesson|recipe|repository)|(?:now|next|first|finally|so|then|here|but|and|ok|okay|great|well|in the (?:next|previous|following|last))\b[^.]{0,30}\b(?:let['’]?s|we['’]?(?:ll| will| can| have| are)?|you|i)\b|"
    r"let['’]?s|let me|we['’]ll|we will|as (?:we|you) (?:saw|have seen|can see|mentioned)|if you (?:already|have|want|are|haven)|for more|see |check out|please |note that you|you (?:will be able|(?:will )?learn) |have a look|take a look|stay tuned|thanks|"
    r"(?:the )?(?:preceding|following|above|below)\b)",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"^\W*(?:it|its|they|their|them|these|those|this|that|such|he|she|however|therefore|thus|hence|instead|also|moreover|furthermore|additionally|but|and|so|then|otherwise|similarly|likewise|"
    r"consequently|as a result|because of this|in contrast|on the other hand|for example|for instance|in other words|both|neither|the (?:former|latter|second|third|other)|another)\b",
    re.IGNORECASE,
)
_CATALOGUE = re.compile(
    r"^\W*(?:in the path|readings? for|(?:all )?labs? (?:for|of)|lab [“\"]|topics of|sections? of|focus of|(?:difficulty|prerequisites|concepts) of|everything to study|skills and tools for|(?:part|order): |optional in|"
    r"(?:article|docs|paper|course|book|video|repository|notebook|site|tool|community|blog) [“\"])|\b(?:is also called|opens up|also assumes, in the words of)\b",
    re.IGNORECASE,
)
_ASKS_CATALOGUE = re.compile(
    r"\b(?:roadmaps?|learning paths?|tracks?|prerequisites?|labs?|projects?|exercises?|readings|resources?|courses?|books?|tutorials?|difficult\w*|beginners?|levels?|skills?|tools?|librar(?:y|ies)|recommend\w*|"
    r"also called|known as|another name|synonyms?|part (?:\d|one|two|three|four)|(?:should|can|could|must|do) (?:i|one|you|we) (?:learn|read|study|know)|to (?:learn|read|study)|(?:learn|study|comes?) (?:next|before|after))\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"(?:and|or|but|nor|which|where|while|so|of|to)\s")
_ENDS = re.compile(r"[.!。！…][\"'”’)\]*_`]*$")
_HOW_TO = re.compile(
    r"\bhow (?:do|can|could|would|should|to|must|might)\b|\b(?:command|install|code|snippet|syntax|flag|option|configure|set up|launch|write)\b|\bwie (?:kann|mache|installiere|starte|baue)|如何|怎么",
    re.IGNORECASE,
)
_FUNCTION_WORDS = STOP_WORDS | frozenset(
    "der die das ist und für mit von zu im den ein eine nicht sind wird le la les de et est un une des pour el los en que y es para una".split()
)
_SHORT = 12
"""Words up to which one function word makes a sentence; a longer one has two."""
_CODE = re.compile(r'"""|\bself\.|\):|\w\(\w*=|^\W*(?:import|from|def|class|return|print)\s+\w+[\s(.]|[{};]\s*$|\$ \w|&&|=>|->\s*\w+:')
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])[ \t]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of ``hit``: ``text == document[start:end]``. ``place`` counts the sentences of the passage.

    ``code``: a sentence with the fenced block behind it. ``leans``: it begins with a word that points back; ``about_the_page``: it announces or points instead of saying something.
    """

    hit: Hit
    start: int
    end: int
    text: str
    place: int
    leans: bool
    about_the_page: bool
    code: bool = False


def candidates(hit: Hit, question: str, *, leads: bool = False) -> Iterator[Candidate]:
    """The sentences of a passage that may be quoted, in order. Cut-off ends, headings, tables, captions, code and orders are left out, and
    what the roadmap keeps book of (order, labs, readings) unless the question is about such things. With ``leads`` a sentence may end
    with a colon."""
    fenced = _fenced(hit.text)
    subject_only = hit.url.startswith("roadmap:") and not _ASKS_CATALOGUE.search(question)
    for place, (start, end) in enumerate(sentence_spans(hit.text)):
        item = _ITEM.match(hit.text, start, end)
        start = item.end() if item else start
        text = hit.text[start:end]
        if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS or any(first < end and start < last for first, last in fenced):
            continue
        if text.startswith(("|", "#", "$$", "![", ">", "<")) or "\n\n" in text or "\n|" in text or "\n#" in text:
            continue
        if (
            not (_ENDS.search(text) or (leads and text.endswith(":")))
            or _DEBRIS.search(text)
            or not _is_prose(text)
            or instruction_like(text, question)
        ):
            continue
        if (not item and _begins_inside(text, first=place == 0)) or (subject_only and _CATALOGUE.search(text)):
            continue
        yield Candidate(hit, hit.start + start, hit.start + end, text, place, bool(_LEANS.match(text)), bool(_ABOUT_THE_PAGE.match(text)))
    if _HOW_TO.search(question):
        yield from _examples(hit)


def _examples(hit: Hit) -> Iterator[Candidate]:
    """Short fenced blocks, each with the sentence before it."""
    spans = sentence_spans(hit.text)
    for block in re.finditer(r"^(`{3,}|~{3,})[^`\n]*\n.*?^\1[ \t]*$", hit.text, re.MULTILINE | re.DOTALL):
        before = [(place, start, end) for place, (start, end) in enumerate(spans) if end <= block.start()]
        if not before or hit.text[before[-1][2] : block.start()].strip() or block.end() - before[-1][1] > MAX_CHARACTERS:
            continue
        place, start, end = before[-1]
        item = _ITEM.match(hit.text, start, end)
        start = item.end() if item else start
        lead = hit.text[start:end]
        if lead.startswith(("|", "#", "`", "<")) or "\n\n" in lead or any(map(_steers, (lead, *block.group().split("\n")[1:-1]))):
            continue
        yield Candidate(hit, hit.start + start, hit.start + block.end(), hit.text[start : block.end()], place, False, False, code=True)


def _steers(line: str) -> bool:
    """As ``instruction_like``; an address in code is no link."""
    return instruction_like(re.sub(r"\b(?:https?|ftp)://\S+", "", line))


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
    bare = re.sub(r"`[^`]*`", "code", text)
    letters = sum(char.isalpha() or char.isspace() for char in bare)
    cjk = sum("\u3400" <= char <= "\u9fff" for char in text)
    if cjk < 8 and len(_FUNCTION_WORDS.intersection(found)) < (1 if len(found) <= _SHORT else 2) - ("`" in text):
        return False
    if _CODE.search(re.sub(r"`[^`]*`", "code", text)):
        return False
    return (len(found) >= _MIN_WORDS or cjk >= 8) and letters >= 0.78 * len(bare) and text.count("|") < 2 and text.count("$") < 5


def _begins_inside(text: str, *, first: bool) -> bool:
    """A passage cut by hand may begin in the middle of a sentence, and so does what stands behind a block of code."""
    return (first and text[:1].islower()) or bool(_GOES_ON.match(text))

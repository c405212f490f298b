"""Checked sentences put together: labels numbered in order of appearance, citations joined where they quote the same place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from roadmap_rag.citations.evidence import MAX_QUOTE
from roadmap_rag.citations.labels import CONTRADICTED_MARK, UNSUPPORTED_MARK
from roadmap_rag.domain import Citation, Hit, Sentence, Verdict

_MARKS: dict[Verdict, str] = {"supported": "", "unsupported": UNSUPPORTED_MARK, "contradicted": CONTRADICTED_MARK}
_FENCED = re.compile(r"\n[ \t]*(?:`{3,}|~{3,})[ \t]*$")
_STOP = re.compile(r"([.!?…。！？]+[\"'”’)*_]*)$")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a passage says it: offsets in the document of ``hit``."""

    url: str
    start: int
    end: int
    hit: Hit = field(compare=False)

    @property
    def quote(self) -> str:
        """What stands there, word for word."""
        return self.hit.text[self.start - self.hit.start : self.end - self.hit.start]


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence with its verdict before it is rendered; ``layout`` stands before it in the answer."""

    layout: str
    text: str
    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A checked answer. ``supported``: at least one sentence is; ``declined``: the writer itself said that the passages do not answer."""

    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    answer: str
    supported: bool
    declined: bool = False
    removed: tuple[str, ...] = ()
    details: tuple[Mapping[str, Any], ...] = ()
    """One entry per part of the draft: what it was taken for, its verdict, the evidence and the features."""

    @property
    def restated(self) -> int:
        """Sentences of the draft in whose place those of the source stand."""
        return sum("restated" in detail for detail in self.details)


def render(
    checked: Sequence[Checked],
    *,
    declined: bool = False,
    removed: Sequence[str] = (),
    details: Sequence[Mapping[str, Any]] = (),
) -> Verified:
    """The answer with labels 1 to m, and the citations that they stand for."""
    places = _join([evidence for each in checked for evidence in each.evidence])
    numbers: dict[Evidence, int] = {}
    sentences: list[Sentence] = []
    answer = ""
    for each in checked:
        cited = tuple(dict.fromkeys(numbers.setdefault(places[evidence], len(numbers) + 1) for evidence in each.evidence))
        text = _with_labels(each.text, cited) if each.verdict == "supported" else _marked(each.text, _MARKS[each.verdict])
        sentences.append(Sentence(text, each.verdict, cited))
        answer += (each.layout if answer else each.layout.lstrip()) + text
    return Verified(
        tuple(sentences),
        tuple(_citation(number, place) for place, number in numbers.items()),
        answer,
        any(sentence.supported for sentence in sentences),
        declined,
        tuple(removed),
        tuple(details),
    )


def _join(found: Sequence[Evidence]) -> dict[Evidence, Evidence]:
    """For each place the place that is quoted: overlapping ones of a document become one where it is still short enough for a quote."""
    joined: list[Evidence] = []
    for each in sorted(set(found), key=lambda place: (place.url, place.start, place.end)):
        last = joined[-1] if joined else None
        if (
            last
            and last.url == each.url
            and each.start < last.end
            and each.end <= last.hit.end
            and max(last.end, each.end) - last.start <= MAX_QUOTE
        ):
            joined[-1] = replace(last, end=max(last.end, each.end))
        else:
            joined.append(each)
    return {
        each: next(place for place in joined if place.url == each.url and place.start <= each.start and each.end <= place.end)
        for each in found
    }


def _citation(number: int, place: Evidence) -> Citation:
    hit = place.hit
    return Citation(number, hit.url, hit.title, hit.section, place.quote, place.start, place.end, hit.fetched_at)


def _marked(text: str, mark: str) -> str:
    """The mark stands at the end; in a table row before the last bar, or it would be a column more; after a fence on a line of its own."""
    if text.endswith("|") and text.startswith("|"):
        return f"{text[:-1].rstrip()}{mark} |"
    return f"{text}\n\n{mark.strip()}" if _FENCED.search(text) else text + mark


def _with_labels(text: str, numbers: Sequence[int]) -> str:
    """Labels stand before the final stop, in a table row before the last bar, after a fence on a line of their own."""
    labels = "".join(f"[{number}]" for number in numbers)
    if not labels:
        return text
    if text.endswith("|") and text.startswith("|"):
        return f"{text[:-1].rstrip()} {labels} |"
    if _FENCED.search(text):
        return f"{text}\n\n{labels}"
    stop = _STOP.search(text)
    return f"{text[: stop.start()]} {labels}{stop.group()}" if stop and text[: stop.start()].strip() else f"{text} {labels}"


def without_labels(text: str) -> str:
    """A text of an answer without its labels ``[n]``."""
    return re.sub(r"\s*\[\d+\]", "", text)

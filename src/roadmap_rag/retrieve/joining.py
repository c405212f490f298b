"""Ranked passages to hits: neighbours joined where they pay, each stretch of text shown once, sides of a comparison in turn.

A passage is small so that it is found; what it says often goes on in the next one. A neighbour joins when it is a good candidate itself
(its score within ``MARGIN`` of the passage's) and the whole stays within 1,600 characters. So two passages found side by side take one
place of the list, while a passage that stands alone stays short and leaves room in a small model's window.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from roadmap_rag.index import Outline

MAX_CHARACTERS = 1_600
MARGIN = 3.0
"""In units of the ranking score, chosen on the development questions: 0 joins nothing, and 5 joins any neighbour that fits."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one document. ``row`` is the passage that was found; ``rows`` are all that it covers."""

    row: int
    rows: tuple[int, ...]
    url: str
    section: str
    start: int
    stop: int


def join(ranked: Sequence[Outline], scores: Mapping[int, float], *, margin: float = MARGIN) -> Iterator[Span]:
    """Spans in the order of their best passage, each made when it is asked for; no passage is in two of them."""
    at = {(outline.url, outline.place): outline for outline in ranked}
    used: set[int] = set()
    for outline in ranked:
        if outline.row in used:
            continue
        members = _grow(outline, at, scores, used, scores[outline.row] - margin)
        used.update(member.row for member in members)
        stop = min(members[-1].stop, members[0].start + MAX_CHARACTERS)
        yield Span(outline.row, tuple(member.row for member in members), outline.url, outline.section, members[0].start, stop)


def _grow(
    outline: Outline, at: Mapping[tuple[str, int], Outline], scores: Mapping[int, float], used: set[int], least: float
) -> list[Outline]:
    members = [outline]
    while True:
        options = [
            (scores[other.row], other.place < outline.place, other)
            for place in (members[0].place - 1, members[-1].place + 1)
            if (other := at.get((outline.url, place))) is not None
            and other.row not in used
            and scores[other.row] > least
            and max(other.stop, members[-1].stop) - min(other.start, members[0].start) <= MAX_CHARACTERS
        ]
        if not options:
            return members
        _, before, best = max(options, key=lambda option: (option[0], option[1]))
        members.insert(0, best) if before else members.append(best)


def take_turns(rankings: Sequence[Iterable[Span]]) -> Iterator[Span]:
    """The first of each ranking, then the second of each, and so on; a span that shares a passage with an earlier one is left out."""
    taken: set[int] = set()
    for places in itertools.zip_longest(*rankings):
        for span in places:
            if span is not None and taken.isdisjoint(span.rows):
                taken.update(span.rows)
                yield span

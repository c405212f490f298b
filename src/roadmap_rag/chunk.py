"""Documents to passages.

A document is read as Markdown blocks (headings, paragraphs, list items, fenced code, tables, displayed formulas). Blocks are packed in
order into passages of at most ``limit`` tokens of the embedder, counting the "title, section" line that is embedded before the text. A
passage ends at a heading unless it is still small; sentences are never cut; code and tables stay whole where they fit and are cut between
lines where they do not. Law: ``chunk.text == document.text[chunk.start:chunk.end]``, and passages stand in order.

The limit is what the included embedder reads, 256 pieces; what prefix and overlap are worth stands in ``docs/retrieval.md``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from roadmap_rag.domain import Chunk, Document, digest
from roadmap_rag.text import sentence_spans

VERSION = 1
"""Part of the identity of an index: raise it when the same document would give other passages."""

_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+")
_SMALL = 0.35
"""A passage below this share of the limit goes on over the next heading instead of standing alone."""
_SPECIAL_TOKENS = 2
_PREFIX_TOKENS = 48
"""A longer "title, section" line is cut here, so that it cannot crowd out the text."""

TokenSpans = Callable[[str], Sequence[tuple[int, int]]]
"""Offsets of the embedder's tokens in a text, in order, special tokens left out."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is never cut: a sentence, a line of code, a whole table. ``opens`` is the heading level if it is a heading, else 0."""

    start: int
    end: int
    opens: int = 0


def heading_line(title: str, section: str) -> str:
    """The line that is embedded and indexed before a passage's text, but is no part of it."""
    if not section or section == title:
        return title
    return f"{title}, {section.removeprefix(title + ' > ')}"


def chunk(document: Document, token_spans: TokenSpans, *, limit: int, overlap: int = 0) -> list[Chunk]:
    """Cut a document into passages of at most ``limit`` tokens, each repeating up to ``overlap`` tokens of the one before."""
    text = document.text
    starts = [start for start, _ in token_spans(text)]
    count = _TokenCounter(starts)
    least = max(limit - _PREFIX_TOKENS - _SPECIAL_TOKENS, limit // 3)
    units = [piece for unit in _units(text) for piece in _fit(text, unit, count, least)]
    chunks: list[Chunk] = []
    seen: Counter[str] = Counter()
    stack: list[tuple[int, str]] = []
    position = 0
    while position < len(units):
        position = _open_headings(text, units, position, stack)
        if position >= len(units):
            break
        section = " > ".join(title for _, title in stack)
        prefix = min(len(token_spans(heading_line(document.title, section))), _PREFIX_TOKENS)
        room = max(limit - prefix - _SPECIAL_TOKENS, least)
        last = _pack(units, position, count, room)
        start, end = units[position].start, units[last - 1].end
        body = text[start:end]
        chunks.append(Chunk(digest(document.url, body, str(seen[body])), document.url, document.title, section, start, end, body))
        seen[body] += 1
        for unit in units[position:last]:
            if unit.opens:
                _enter(stack, unit.opens, text[unit.start : unit.end])
        position = _step_back(units, position, last, count, overlap)
    return chunks


class _TokenCounter:
    """Tokens that begin inside a span of the document, by bisection over the offsets of all its tokens."""

    def __init__(self, starts: Sequence[int]) -> None:
        self._starts = starts

    def __call__(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)


def _open_headings(text: str, units: Sequence[_Unit], position: int, stack: list[tuple[int, str]]) -> int:
    """Pass the headings at ``position``: they name the section and are no text of their own, unless nothing follows them."""
    first = position
    while position < len(units) and units[position].opens:
        _enter(stack, units[position].opens, text[units[position].start : units[position].end])
        position += 1
    return first if position >= len(units) and first == 0 else position


def _enter(stack: list[tuple[int, str]], level: int, line: str) -> None:
    while stack and stack[-1][0] >= level:
        stack.pop()
    match = _HEADING.match(line.strip())
    title = match.group(2) if match else line.strip()
    stack.append((level, re.sub(r"[*_`]{1,3}([^*_`]+)[*_`]{1,3}", r"\1", title).replace(" > ", " - ").strip()))


def _pack(units: Sequence[_Unit], first: int, count: _TokenCounter, room: int) -> int:
    """The end (exclusive) of the passage that begins at ``first``."""
    last = first + 1
    start = units[first].start
    while last < len(units):
        size = count(start, units[last].end)
        if size > room:
            break
        if units[last].opens and count(start, units[last - 1].end) >= _SMALL * room:
            break
        last += 1
    while last - first > 1 and units[last - 1].opens:  # a heading belongs to what follows it
        last -= 1
    return last


def _step_back(units: Sequence[_Unit], first: int, last: int, count: _TokenCounter, overlap: int) -> int:
    position = last
    while position - 1 > first and not units[position - 1].opens and count(units[position - 1].start, units[last - 1].end) <= overlap:
        position -= 1
    return position if last < len(units) and not units[last].opens else last


def _fit(text: str, unit: _Unit, count: _TokenCounter, room: int) -> Iterator[_Unit]:
    """The unit, or its pieces when it is longer than a passage: cut between lines, else between words, else inside a word."""
    if unit.end <= unit.start:
        return
    if count(unit.start, unit.end) <= room or unit.end - unit.start == 1:
        yield unit
        return
    piece = text[unit.start : unit.end]
    for pattern in (r"[^\n]*\n+|[^\n]+", r"\s*\S+\s*"):
        ends = [unit.start + match.end() for match in re.finditer(pattern, piece)]
        if len(ends) > 1:
            break
    else:
        ends = [unit.start + max(1, len(piece) * room // count(unit.start, unit.end)), unit.end]
    start = end = unit.start
    for stop in ends:
        if count(start, stop) > room and end > start:
            yield from _fit(text, _stripped(text, start, end), count, room)
            start = end
        end = stop
    yield from _fit(text, _stripped(text, start, end), count, room)


def _stripped(text: str, start: int, end: int) -> _Unit:
    """Without white space at the end and empty lines at the start; indentation is kept for code."""
    piece = text[start:end]
    return _Unit(start + len(piece) - len(piece.lstrip("\n")), start + len(piece.rstrip()))


def _units(text: str) -> Iterator[_Unit]:
    """Headings, sentences, and whole blocks of code, tables and formulas, in order."""
    paragraph: tuple[int, int] | None = None
    block: tuple[int, int, str] | None = None
    offset = 0
    for line in text.splitlines(keepends=True):
        start, end = offset, offset + len(line)
        offset = end
        stripped = line.strip()
        if block is not None:
            block = (block[0], end, block[2])
            if _closes(stripped, block[2]):
                yield _Unit(block[0], block[0] + len(text[block[0] : end].rstrip()))
                block = None
            continue
        opened = _opens_block(stripped, line)
        heading = _HEADING.match(stripped)
        table = stripped.startswith("|")
        if paragraph and (not stripped or heading or opened or _ITEM.match(line) or table != _is_table(text, paragraph)):
            yield from _sentences(text, *paragraph)
            paragraph = None
        if not stripped:
            continue
        if heading:
            yield _Unit(start, start + len(line.rstrip()), opens=len(heading.group(1)))
        elif opened:
            block = (start, end, opened)
        else:
            paragraph = (paragraph[0] if paragraph else start, end)
    if block is not None:
        yield _Unit(block[0], block[0] + len(text[block[0] :].rstrip()))
    if paragraph:
        yield from _sentences(text, *paragraph)


def _opens_block(stripped: str, line: str) -> str:
    """The mark that will close the block which this line opens, or an empty string."""
    if match := _FENCE.match(line):
        return match.group(1)
    return "$$" if stripped == "$$" else ""


def _closes(stripped: str, mark: str) -> bool:
    return stripped.startswith(mark) and not stripped.strip(mark[0])


def _is_table(text: str, span: tuple[int, int]) -> bool:
    return text[span[0] : span[1]].lstrip().startswith("|")


def _sentences(text: str, start: int, end: int) -> Iterator[_Unit]:
    piece = text[start:end]
    if piece.lstrip().startswith("|"):
        yield _Unit(start, start + len(piece.rstrip()))
        return
    for begin, stop in sentence_spans(piece):
        yield _Unit(start + begin, start + stop)

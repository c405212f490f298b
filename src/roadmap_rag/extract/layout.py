"""Lines of a paginated document to Markdown: reading order, running heads, headings, paragraphs, tables, hyphens.

Pure geometry and words; ``pdf`` makes the lines. A paper's numbered headings show in which print its headings are set, and only
lines in that print are headings: the large labels inside figures are not. A hyphen at a line end is decided by how the document
writes the word elsewhere: "intro-|duce" is one word there, "low-|rank" has a hyphen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from roadmap_rag.extract.writer import protect, table

HYPHEN = "\x02"
"""Stands for a hyphen at a line end until it is decided; pdfium's own mark."""
EDGE = 0.09
"""Share of the page height at the top and at the bottom where running heads and page numbers stand."""
TABLE_CELLS = 3
"""Pieces in a row that make it a table row; two are a formula and its number, or a label beside a text."""
LONGEST_HEADING = 160
"""Characters."""

NUMBERED = re.compile(r"^(?P<number>(?:[1-9]\d?|[A-Z])(?:\.\d{1,2}){0,3})\.?\s+(?P<name>[A-Z“\"(∆].*)$")
NAMED = re.compile(
    r"^(?:abstract|introduction|related works?|background|preliminaries|methods?|experiments?|results|discussions?|conclusions?|"
    r"limitations|"
    r"acknowledge?ments?|references|bibliography|appendix(?: [A-Z])?|appendices|broader impacts?(?: statement)?|impact statement|"
    r"ethics statement|reproducibility statement|ethical considerations|contributions|author contributions|future work|"
    r"supplementary materials?)\.?$",
    re.IGNORECASE,
)
CAPTION = re.compile(r"^(?:Figure|Fig\.|Table|Algorithm|Listing)\s+[A-Z]?\.?\d+\s*[:.|]")
BULLET = re.compile(r"^[•◦▪‣∙·■●○]\s*")
REFERENCE = re.compile(r"^\[\d{1,3}\]\s")
PAGE_NUMBER = re.compile(r"^\W*(?:page\s*)?(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:of|/)\s*\d{1,4})?\W*$", re.IGNORECASE)
ENDED = re.compile(r"[.!?:;]['\"”’)\]]*$")

Style = tuple[str, float]
"""A font and its size."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or the piece of one between two wide gaps. Points, origin at the bottom left."""

    page: int
    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    font: str
    bold: bool
    follows: bool = False
    """Whether it continues, after a wide gap, the row of the piece before it."""

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 0.1)

    @property
    def style(self) -> Style:
        return self.font, round(self.size)


@dataclass(frozen=True, slots=True)
class Block:
    """``kind`` is heading, text, table or aside (captions, notes, labels: what may stand in the middle of a sentence)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PageSize:
    width: float
    height: float


def lay_out(pages: Sequence[Sequence[Line]], sizes: Sequence[PageSize]) -> tuple[str, str]:
    """The Markdown of a document and its title: the first large print of its first page, or empty."""
    kept = drop_repeated(pages, sizes)
    lines = [line for page, size in zip(kept, sizes, strict=True) for line in reading_order(page, size.width)]
    if not lines:
        return "", ""
    blocks, title = _Composer(lines).compose()
    text = "\n\n".join(block.text for block in _rejoin(blocks))
    return mend_hyphens(text), mend_hyphens(title, text)


# ----------------------------------------------------------------------------------------------------------- order and repetition


def drop_repeated(pages: Sequence[Sequence[Line]], sizes: Sequence[PageSize]) -> list[list[Line]]:
    """Without page numbers and the heads and feet that at least three pages (two of a short document) have at their edges."""

    def at_edge(line: Line) -> bool:
        height = sizes[line.page].height
        return line.bottom > height * (1 - EDGE) or line.top < height * EDGE

    def key(line: Line) -> str:
        return re.sub(r"\d+", "#", line.text.casefold())

    seen = Counter(text for lines in pages for text in {key(line) for line in lines if at_edge(line)})
    enough = 3 if len(pages) > 4 else 2
    return [
        [line for line in lines if not (at_edge(line) and (PAGE_NUMBER.match(line.text) or seen[key(line)] >= enough))] for lines in pages
    ]


def reading_order(lines: Sequence[Line], width: float) -> list[Line]:
    """The order of the content, unless that jumps between two columns: then left before right, between lines that span both."""
    long = [line for line in lines if line.right - line.left > 0.2 * width]
    if len(long) < 10:
        return list(lines)

    def crossings(x: float) -> int:
        return sum(1 for line in long if line.left < x < line.right)

    gutter = min((width * share / 100 for share in range(40, 61)), key=lambda x: (crossings(x), abs(x - width / 2)))
    sides = [line.left >= gutter for line in long if not line.left < gutter < line.right]
    spanning = len(long) - len(sides)
    if min(sum(sides), len(sides) - sum(sides)) < 5 or spanning > 0.3 * len(long):
        return list(lines)
    if sum(1 for before, after in pairwise(sides) if before != after) <= 4 + 2 * spanning:
        return list(lines)
    ordered: list[Line] = []
    band: list[Line] = []

    def end_band() -> None:
        ordered.extend(line for line in band if line.right <= gutter)
        ordered.extend(line for line in band if line.right > gutter)
        band.clear()

    for line in sorted(lines, key=lambda line: (-round(line.bottom), line.left)):
        if line.left < gutter < line.right:
            end_band()
            ordered.append(replace(line, follows=False))
        else:
            band.append(replace(line, follows=False))
    end_band()
    return ordered


# ------------------------------------------------------------------------------------------------------------- lines to paragraphs


class _Composer:
    """Walks over the rows of a document once and gathers blocks."""

    def __init__(self, lines: Sequence[Line]) -> None:
        print_sizes = Counter[float]()
        for line in lines:
            print_sizes[round(line.size, 1)] += len(line.text)
        self.body_size = print_sizes.most_common(1)[0][0]
        self.rows = _rows(lines)
        self.heading_styles = self._find_heading_styles()
        self.title_style = self._find_title_style(lines)
        self.blocks: list[Block] = []
        self.title: list[str] = []
        self.paragraph: list[Line] = []
        self.cells: list[list[str]] = []
        self.heading: Line | None = None

    def _find_heading_styles(self) -> set[Style]:
        """The print of numbered headings, when there are enough of them to tell."""
        numbered = [row[0].style for row in self.rows if self._is_numbered_heading(row[0])]
        styles = Counter(numbered)
        return {style for style, count in styles.items() if count > 1} if len(numbered) >= 4 else set()

    def _find_title_style(self, lines: Sequence[Line]) -> Style | None:
        large = (line for line in lines if line.page == lines[0].page and line.size > 1.15 * self.body_size and len(line.text) > 3)
        first = next(large, None)
        if first is None or NAMED.match(first.text) or (_is_numbered(first) and first.text[0].isdigit()):
            return None
        return first.style

    def _is_strong(self, line: Line) -> bool:
        return line.size > 1.1 * self.body_size or (line.bold and line.size > 0.95 * self.body_size)

    def compose(self) -> tuple[list[Block], str]:
        for row in self.rows:
            if len(row) >= TABLE_CELLS:
                self._end_paragraph()
                self.cells.append([piece.text for piece in row])
                self.heading = None
                continue
            self._end_table()
            if len(row) == 2 and self._level(row[0]):
                self._add(row[0])
                self._add(row[1])
            else:
                self._add(row[0] if len(row) == 1 else _merge(row))
        self._end_table()
        self._end_paragraph()
        return self.blocks, " ".join(self.title)

    def _add(self, line: Line) -> None:
        if self._continues_heading(line):
            before = self.blocks[-1].text
            self.blocks[-1] = Block("heading", before + ("" if before.endswith(HYPHEN) else " ") + line.text)
            if before.startswith("# "):
                self.title.append(line.text)
            self.heading = line
            return
        level = self._level(line)
        if level:
            self._end_paragraph()
            self.blocks.append(Block("heading", "#" * level + " " + line.text))
            if level == 1:
                self.title.append(line.text)
            self.heading = line
            return
        self.heading = None
        if self.paragraph and _starts_paragraph(self.paragraph, line):
            self._end_paragraph()
        self.paragraph.append(line)

    def _continues_heading(self, line: Line) -> bool:
        before = self.heading
        if before is None or before.page != line.page or before.style != line.style or before.bold != line.bold:
            return False
        if _is_numbered(line) or NAMED.match(line.text) or not 0 < before.bottom - line.bottom < 1.8 * line.size:
            return False
        return self._is_strong(before) and len(self.blocks[-1].text) + len(line.text) < LONGEST_HEADING

    def _level(self, line: Line) -> int:
        """1 to 5 for a heading, 0 for other lines."""
        text = line.text
        if len(text) > LONGEST_HEADING or not re.search(r"[A-Za-z]{2}", text) or CAPTION.match(text):
            return 0
        if not self.title and self.title_style == line.style:
            return 1
        strong = self._is_strong(line)
        in_print = line.style in self.heading_styles if self.heading_styles else strong
        if NAMED.match(text) and (in_print or line.size > 1.1 * self.body_size or text.isupper()):
            return 2
        match = NUMBERED.match(text)
        if match and self._is_numbered_heading(line) and (line.style in self.heading_styles or not self.heading_styles or text.isupper()):
            return min(match.group("number").count(".") + 2, 5)
        if text.endswith((".", ",", ";", ":")) or not text[0].isupper() or len(text) < 4:
            return 0
        large = line.size > 1.1 * self.body_size
        if self.heading_styles:
            front_matter = not any(block.text.startswith("## ") for block in self.blocks)
            return 2 if large and line.style in self.heading_styles and not front_matter else 0
        return 2 if large or (strong and len(text) < 80) else 0

    def _is_numbered_heading(self, line: Line) -> bool:
        match = NUMBERED.match(line.text)
        if match is None or line.text.endswith((",", ";")) or len(line.text) > LONGEST_HEADING:
            return False
        name = match.group("name")
        in_capitals = name.isupper() and len(name) > 3 and line.size > 0.75 * self.body_size
        return self._is_strong(line) or in_capitals

    def _end_paragraph(self) -> None:
        if not self.paragraph:
            return
        text = ""
        for line in self.paragraph:
            text += line.text if not text or text.endswith(HYPHEN) else f" {line.text}"
        small = self.paragraph[0].size < 0.93 * self.body_size
        kind = "aside" if small or CAPTION.match(text) or len(text) < 40 else "text"
        self.blocks.append(Block(kind, BULLET.sub("- ", protect(text))))
        self.paragraph = []

    def _end_table(self) -> None:
        if len(self.cells) > 1:
            self.blocks.append(Block("table", table([[cell.replace(HYPHEN, "-") for cell in row] for row in self.cells])))
        else:
            self.blocks.extend(Block("aside", protect(" ".join(row))) for row in self.cells)
        self.cells = []


def _is_numbered(line: Line) -> bool:
    return NUMBERED.match(line.text) is not None


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in lines:
        if line.follows and rows and rows[-1][-1].page == line.page:
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _merge(row: Sequence[Line]) -> Line:
    first, last = row[0], row[-1]
    return replace(first, text=" ".join(piece.text for piece in row), right=last.right, bold=all(piece.bold for piece in row))


def _starts_paragraph(paragraph: Sequence[Line], line: Line) -> bool:
    before, first = paragraph[-1], paragraph[0]
    if BULLET.match(line.text) or REFERENCE.match(line.text) or CAPTION.match(line.text):
        return True
    if abs(line.size - before.size) > 0.6:
        return True
    if line.page != before.page or line.bottom > before.bottom + 2 * line.size:
        return not before.text.endswith(HYPHEN) and (ENDED.search(before.text) is not None or line.text[0].isupper())
    if before.bottom - line.bottom > 1.75 * line.size:
        return True
    margin = 0.4 * line.size
    if len(paragraph) > 1 and paragraph[1].left - first.left > margin and abs(line.left - first.left) < margin:
        return True  # hanging indents: back at the margin begins the next entry
    if ENDED.search(before.text) is None or abs(before.left - min(item.left for item in paragraph)) > margin:
        return False
    return margin < line.left - before.left < 5 * line.size


def _rejoin(blocks: Sequence[Block]) -> list[Block]:
    """A sentence that a figure or a foot note broke in two becomes whole again; what stood in between follows it."""
    joined: list[Block] = []
    open_at: int | None = None
    for block in blocks:
        if block.kind == "heading":
            open_at = None
        elif block.kind == "text":
            begins_inside = block.text[0].islower() or (open_at is not None and joined[open_at].text.endswith(HYPHEN))
            if open_at is not None and open_at < len(joined) - 1 and begins_inside:
                text = joined[open_at].text
                joined[open_at] = Block("text", text + ("" if text.endswith(HYPHEN) else " ") + block.text)
                open_at = open_at if ENDED.search(joined[open_at].text) is None else None
                continue
            open_at = len(joined) if ENDED.search(block.text) is None else None
        joined.append(block)
    return joined


# ------------------------------------------------------------------------------------------------------------------------ hyphens


def mend_hyphens(text: str, vocabulary: str | None = None) -> str:
    """Decides each hyphen at a line end by how the text (or ``vocabulary``) writes the word elsewhere.

    What occurs in neither form is joined, unless it already has a hyphen, a capital or a digit at the break, or both halves are words.
    """
    others = re.sub(rf"[^\s{HYPHEN}]{{0,60}}{HYPHEN} ?\S{{0,60}}", " ", vocabulary or text).casefold()
    known = Counter(re.findall(r"[\w’']+(?:-[\w’']+)*", others))
    words = {part for word in known for part in word.split("-")}

    def decide(match: re.Match[str]) -> str:
        before, after = match.group(1), match.group(2)
        joined, hyphened = known[(before + after).casefold()], known[f"{before}-{after}".casefold()]
        if joined != hyphened:
            return before + after if joined > hyphened else f"{before}-{after}"
        head = before.rsplit("-", 1)[-1].casefold()
        tail = after.casefold()
        keeps = (
            "-" in before or not after[0].islower() or before[-1].isdigit() or (len(head) > 2 and len(tail) > 3 and {head, tail} <= words)
        )
        return f"{before}-{after}" if keeps else before + after

    text = re.sub(rf"([\w’']{{1,60}}(?:-[\w’']{{1,60}}){{0,6}}){HYPHEN} ?([\w’']+)", decide, text)
    return text.replace(HYPHEN, "-")

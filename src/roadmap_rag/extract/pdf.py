"""A PDF to Markdown: pypdfium2 gives characters with places and fonts, the rest is layout.

A page becomes lines (pieces of a line where wide gaps part columns or cells), the lines are brought into reading order, what repeats
at the edges of pages goes, and lines are joined to paragraphs, headings, list items and table rows. A hyphen at the end of a line
is decided by the document's own words: "intro-|duce" is one word there, "low-|rank" is written with a hyphen elsewhere.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from threading import Lock

import pypdfium2
import pypdfium2.raw as pdfium

from roadmap_rag.errors import ExtractError
from roadmap_rag.extract.writer import INVISIBLE, clean_text, protect, squeeze, table

MAX_PAGES = 1_000
HYPHEN = "\x02"
"""Stands for a hyphen at a line end until it is decided; pdfium's own mark."""
EDGE = 0.09
"""Share of the page height at the top and at the bottom where running heads and page numbers stand."""
WIDE_GAP = 1.6
"""A gap of this many font sizes parts two columns or two cells; justified text stays well below it."""

_PDFIUM = Lock()
"""pdfium must not be used by two threads at once."""

BOLD = re.compile(r"bold|black|heavy|semibold|medi(?:um)?\b|-medi|cmb|sfbx|\bbx", re.IGNORECASE)
NUMBERED = re.compile(r"^(?P<number>(?:\d{1,2}|[A-Z])(?:\.\d{1,2}){0,3})\.?\s+(?P<name>[A-Z“\"(].{1,110})$")
NAMED = re.compile(
    r"^(?:abstract|introduction|related works?|background|preliminaries|methods?|experiments?|results|discussions?|conclusions?|limitations|"
    r"acknowledge?ments?|references|bibliography|appendix(?: [A-Z])?|appendices|broader impacts?(?: statement)?|impact statement|"
    r"ethics statement|reproducibility statement|ethical considerations|contributions|author contributions|future work|supplementary materials?)\.?$",
    re.IGNORECASE,
)
CAPTION = re.compile(r"^(?:Figure|Fig\.|Table|Algorithm|Listing)\s+[A-Z]?\.?\d+\s*[:.]")
BULLET = re.compile(r"^[•◦▪‣∙·■●○]\s*")
REFERENCE = re.compile(r"^\[\d{1,3}\]\s|^\(\d{1,2}\)\s")
PAGE_NUMBER = re.compile(r"^\W*(?:page\s*)?(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:of|/)\s*\d{1,4})?\W*$", re.IGNORECASE)
STAMP = re.compile(r"arXiv:\S+.*?(?P<day>\d{1,2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4})")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
ENDED = re.compile(r"[.!?:;]['\"”’)\]]*$")
POOR_TITLE = re.compile(r"^(?:untitled|microsoft word\b|title|arxiv|https?:|.*\.(?:pdf|docx?|tex|dvi|indd)$)", re.IGNORECASE)


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
    bold: bool
    follows: bool = False
    """Whether it continues, after a wide gap, the row of the piece before it."""

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 0.1)


@dataclass(frozen=True, slots=True)
class PdfText:
    markdown: str
    title: str
    author: str
    published: str
    notes: tuple[str, ...]


def read_pdf(data: bytes) -> PdfText:
    """The text of a PDF; raises ExtractError when it is encrypted, damaged or has no text."""
    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            reason = "the PDF is encrypted" if "password" in str(error).lower() else "the PDF cannot be read"
            raise ExtractError(reason) from error
        try:
            metadata = document.get_metadata_dict()
            count = len(document)
            pages: list[list[Line]] = []
            sizes: list[tuple[float, float]] = []
            stamp = ""
            for number in range(min(count, MAX_PAGES)):
                page = document[number]
                sizes.append(page.get_size())
                lines, rotated = _read_page(page, number)
                stamp = stamp or rotated
                pages.append(lines)
                page.close()
        except pypdfium2.PdfiumError as error:
            raise ExtractError("the PDF cannot be read") from error
        finally:
            document.close()
    letters = sum(len(line.text) for lines in pages for line in lines)
    if letters < 20 * max(1, min(count, 5)):
        raise ExtractError(f"no text in the PDF: {count} scanned {'page' if count == 1 else 'pages'}" if count else "the PDF has no pages")
    empty = [number + 1 for number, lines in enumerate(pages) if not lines]
    notes = []
    if empty:
        notes.append("no text on " + _list_pages(empty))
    if count > MAX_PAGES:
        notes.append(f"only the first {MAX_PAGES} of {count} pages")
    pages = _drop_repeated(pages, sizes)
    ordered = [line for lines, size in zip(pages, sizes, strict=True) for line in _reading_order(lines, size[0])]
    blocks, title = _write_blocks(ordered)
    given = squeeze(metadata.get("Title", ""))
    return PdfText(
        markdown=clean_text(_mend_hyphens("\n\n".join(blocks))),
        title=given if given and not POOR_TITLE.match(given) else squeeze(_mend_hyphens(title)),
        author="" if POOR_TITLE.match(given) else squeeze(metadata.get("Author", "")),
        published=_date_of(stamp),
        notes=tuple(notes),
    )


def _list_pages(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"page {numbers[0]}"
    if len(numbers) > 10:
        return f"{len(numbers)} pages"
    return f"pages {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _date_of(stamp: str) -> str:
    match = STAMP.search(stamp)
    if match is None or match.group("month") not in MONTHS:
        return ""
    return f"{match.group('year')}-{MONTHS.index(match.group('month')) + 1:02}-{int(match.group('day')):02}"


# ------------------------------------------------------------------------------------------------------------ characters to lines


def _read_page(page: pypdfium2.PdfPage, number: int) -> tuple[list[Line], str]:
    """The upright lines of a page in the order of its content, and its rotated text."""
    text_page = page.get_textpage()
    handle = text_page.raw
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    lines: list[Line] = []
    rotated: list[str] = []
    characters: list[tuple[str, float, float, float, float, float, int]] = []

    def end_line(*, follows_next: bool = False) -> None:
        nonlocal follows
        text = "".join(character[0] for character in characters).strip()
        text = INVISIBLE.sub("", text.replace(HYPHEN, "\ufdd0")).replace("\ufdd0", HYPHEN).strip()
        boxes = [character for character in characters if character[0] not in (" ", HYPHEN)]
        if text.strip(HYPHEN) and boxes:
            if 0.2 < pdfium.FPDFText_GetCharAngle(handle, boxes[0][6]) < 6.08:  # radians
                rotated.append(text)
            else:
                size = Counter(round(box[5], 1) for box in boxes).most_common(1)[0][0]
                lines.append(
                    Line(
                        number,
                        text,
                        min(box[1] for box in boxes),
                        max(box[2] for box in boxes),
                        median(box[3] for box in boxes),
                        max(box[4] for box in boxes),
                        size,
                        all(_is_bold(handle, box[6]) for box in (boxes[0], boxes[len(boxes) // 2], boxes[-1])),
                        follows,
                    )
                )
        follows = follows_next and bool(boxes)
        characters.clear()

    follows = False
    for index in range(pdfium.FPDFText_CountChars(handle)):
        code = pdfium.FPDFText_GetUnicode(handle, index)
        if code in (0, 13):
            continue
        if code == 10:
            end_line()
            continue
        if code in (2, 0xFFFE):
            characters.append((HYPHEN, 0, 0, 0, 0, 0, index))
            end_line()
            continue
        if code in (32, 160):
            if characters:
                characters.append((" ", 0, 0, 0, 0, 0, index))
            continue
        pdfium.FPDFText_GetCharBox(handle, index, left, right, bottom, top)
        size = pdfium.FPDFText_GetFontSize(handle, index) or 1.0
        if characters:
            before = next((character for character in reversed(characters) if character[0] != " "), None)
            if before is not None and left.value - before[2] > WIDE_GAP * max(size, 6.0):
                end_line(follows_next=True)
        characters.append((chr(code) if code <= 0x10FFFF else "", left.value, right.value, bottom.value, top.value, size, index))
    end_line()
    text_page.close()
    return _join_scripts(lines), " ".join(rotated)


def _is_bold(handle: ctypes.c_void_p, index: int) -> bool:
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(handle, index, buffer, 128, flags)
    return BOLD.search(buffer.value.decode("utf-8", "replace")) is not None


def _join_scripts(lines: list[Line]) -> list[Line]:
    """Superscripts and what follows them, which pdfium breaks off as lines of their own, go back into their line."""
    joined: list[Line] = []
    for line in lines:
        before = joined[-1] if joined else None
        if before is not None and not line.follows and not before.text.endswith(HYPHEN):
            gap = line.left - before.right
            overlap = min(line.top, before.top) - max(line.bottom, before.bottom)
            size = max(line.size, before.size)
            if overlap > 0.25 * min(line.height, before.height) and -0.3 * size < gap < WIDE_GAP * size:
                space = "" if gap < 0.12 * size and (line.size < 0.9 * before.size or line.text[0] in ",.;:)]") else " "
                main = line if len(line.text) > len(before.text) and line.size >= before.size else before
                joined[-1] = replace(
                    before,
                    text=before.text + space + line.text,
                    right=max(before.right, line.right),
                    bottom=main.bottom,
                    top=max(before.top, line.top),
                    size=main.size,
                    bold=before.bold and line.bold,
                )
                continue
        joined.append(line)
    return joined


# ----------------------------------------------------------------------------------------------------------- order and repetition


def _drop_repeated(pages: list[list[Line]], sizes: list[tuple[float, float]]) -> list[list[Line]]:
    """Without page numbers and the heads and feet that at least three pages (or half of fewer) have at their edges."""

    def at_edge(line: Line) -> bool:
        height = sizes[line.page][1]
        return line.bottom > height * (1 - EDGE) or line.top < height * EDGE

    def key(line: Line) -> str:
        return re.sub(r"\d+", "#", line.text.casefold())

    seen = Counter(text for lines in pages for text in {key(line) for line in lines if at_edge(line)})
    enough = 3 if len(pages) > 4 else 2
    return [
        [line for line in lines if not (at_edge(line) and (PAGE_NUMBER.match(line.text) or seen[key(line)] >= enough))] for lines in pages
    ]


def _reading_order(lines: list[Line], width: float) -> list[Line]:
    """The order of the content, unless that jumps between two columns: then left before right, between lines that span both."""
    long = [line for line in lines if line.right - line.left > 0.2 * width]
    if len(long) < 12:
        return lines
    gutter = min(
        (width * share / 100 for share in range(40, 61)),
        key=lambda x: (sum(1 for line in long if line.left < x < line.right), abs(x - width / 2)),
    )
    spanning = [line for line in long if line.left < gutter < line.right]
    left = [line for line in long if line.right <= gutter]
    right = [line for line in long if line.left >= gutter]
    if min(len(left), len(right)) < 5 or len(spanning) > 0.3 * len(long):
        return lines
    sides = [line.left >= gutter for line in long if not line.left < gutter < line.right]
    switches = sum(1 for a, b in zip(sides, sides[1:], strict=False) if a != b)
    if switches <= 4 + 2 * len(spanning):
        return lines
    ordered: list[Line] = []
    band: list[Line] = []

    def flush() -> None:
        ordered.extend(sorted((line for line in band if line.right <= gutter), key=lambda line: (-line.bottom, line.left)))
        ordered.extend(sorted((line for line in band if line.right > gutter), key=lambda line: (-line.bottom, line.left)))
        band.clear()

    for line in sorted(lines, key=lambda line: (-line.bottom, line.left)):
        if line.left < gutter < line.right:
            flush()
            ordered.append(replace(line, follows=False))
        else:
            band.append(replace(line, follows=False))
    flush()
    return ordered


# ------------------------------------------------------------------------------------------------------------- lines to paragraphs


def _write_blocks(lines: list[Line]) -> tuple[list[str], str]:
    """Markdown blocks in reading order, and the title: the largest print on the first page."""
    body = Counter[float]()
    for line in lines:
        body[line.size] += len(line.text)
    body_size = body.most_common(1)[0][0]
    rows = _rows(lines)
    title_size = max(
        (line.size for line in lines if line.page == lines[0].page and len(line.text) > 3 and line.size > 1.15 * body_size), default=0.0
    )
    blocks: list[str] = []
    title: list[str] = []
    paragraph: list[Line] = []
    cells: list[list[str]] = []

    def end_paragraph() -> None:
        if paragraph:
            blocks.append(_join(paragraph))
            paragraph.clear()

    def end_table() -> None:
        if len(cells) > 1:
            blocks.append(table([[cell.replace(HYPHEN, "-") for cell in row] for row in cells]))
        else:
            blocks.extend(protect(" ".join(row)) for row in cells)
        cells.clear()

    heading: Line | None = None
    for row in rows:
        line = row[0] if len(row) == 1 else _merge(row)
        if len(row) >= 3:
            end_paragraph()
            cells.append([piece.text for piece in row])
            heading = None
            continue
        end_table()
        is_title = line.page == lines[0].page and bool(title_size) and line.size >= title_size - 0.2 and (not title or heading is not None)
        level = 1 if is_title else _heading_level(line, body_size)
        if level:
            end_paragraph()
            text = line.text.replace("\n", " ")
            continues = (
                heading is not None
                and heading.page == line.page
                and abs(heading.size - line.size) < 0.3
                and heading.bold == line.bold
                and 0 < heading.bottom - line.bottom < 1.7 * line.size
                and not NUMBERED.match(line.text)
                and not NAMED.match(line.text)
            )
            if continues and blocks and blocks[-1].startswith("#"):
                blocks[-1] += ("" if blocks[-1].endswith(HYPHEN) else " ") + text
            else:
                blocks.append("#" * level + " " + text)
            if is_title:
                title.append(text)
            heading = line
            continue
        heading = None
        if paragraph and _starts_paragraph(paragraph, line):
            end_paragraph()
        paragraph.append(line)
    end_paragraph()
    end_table()
    return blocks, " ".join(title)


def _rows(lines: list[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in lines:
        if line.follows and rows and rows[-1][-1].page == line.page:
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _merge(row: list[Line]) -> Line:
    first, last = row[0], row[-1]
    return replace(first, text=" ".join(piece.text for piece in row), right=last.right, bold=all(piece.bold for piece in row))


def _heading_level(line: Line, body_size: float) -> int:
    """1 to 4 for a heading, 0 for other lines."""
    text = line.text
    if len(text) > 120 or not re.search(r"[A-Za-z]{2}", text) or CAPTION.match(text) or HYPHEN in text[:-1]:
        return 0
    strong = line.size > 1.1 * body_size or (line.bold and line.size > 0.95 * body_size)
    numbered = NUMBERED.match(text)
    if numbered and not text.endswith((",", ";")):
        capitals = numbered.group("name").isupper() and len(numbered.group("name")) > 3 and line.size > 0.75 * body_size
        if strong or capitals:
            return min(numbered.group("number").count(".") + 2, 5)
    if NAMED.match(text) and (strong or line.bold or text.isupper()):
        return 2
    if text.endswith((".", ",", ";", ":")) or not text[0].isalpha() or not text[0].isupper():
        return 0
    if line.size > 1.15 * body_size and len(text) > 3:
        return 2
    return 0


def _starts_paragraph(paragraph: list[Line], line: Line) -> bool:
    before, first = paragraph[-1], paragraph[0]
    if BULLET.match(line.text) or REFERENCE.match(line.text) or CAPTION.match(line.text):
        return True
    if abs(line.size - before.size) > 0.6:
        return True
    if line.page != before.page or line.bottom > before.bottom + 2 * line.size:
        return not before.text.endswith(HYPHEN) and (ENDED.search(before.text) is not None or line.text[0].isupper())
    distance = before.bottom - line.bottom
    if distance > 1.75 * line.size:
        return True
    indent = line.left - before.left
    if len(paragraph) > 1 and paragraph[1].left - first.left > 0.6 * line.size and abs(line.left - first.left) < 0.4 * line.size:
        return True  # hanging indents: back at the margin begins the next entry
    return (
        0.6 * line.size < indent < 5 * line.size
        and len(paragraph) > 0
        and ENDED.search(before.text) is not None
        and abs(before.left - min(item.left for item in paragraph)) < 0.4 * line.size
    )


def _join(lines: list[Line]) -> str:
    text = ""
    for line in lines:
        text += line.text if not text or text.endswith(HYPHEN) else f" {line.text}"
    return BULLET.sub("- ", protect(text))


# ------------------------------------------------------------------------------------------------------------------------ hyphens


def _mend_hyphens(text: str) -> str:
    """Decides each hyphen at a line end by how the document writes the word elsewhere."""
    known = Counter(re.findall(r"[\w’']+(?:-[\w’']+)*", text.replace(HYPHEN, " ").casefold()))
    parts = Counter(part for word in known for part in word.split("-"))

    def decide(match: re.Match[str]) -> str:
        before, after = match.group(1), match.group(2)
        whole, hyphened = (before + after).casefold(), f"{before}-{after}".casefold()
        if known[whole] != known[hyphened]:
            return before + after if known[whole] > known[hyphened] else f"{before}-{after}"
        head = before.rsplit("-", 1)[-1].casefold()
        if "-" in before or not after[0].islower() or before[-1].isdigit():
            return f"{before}-{after}"
        both_are_words = parts[head] > 0 and parts[after.casefold()] > 0 and len(head) > 2 and len(after) > 3
        return f"{before}-{after}" if both_are_words else before + after

    text = re.sub(rf"([\w’']+(?:-[\w’']+)*){HYPHEN} ?([\w’']+)", decide, text)
    return text.replace(HYPHEN, "-")

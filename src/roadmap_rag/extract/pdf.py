"""A PDF to Markdown: pypdfium2 gives characters with places and fonts, ``layout`` makes lines of text of them."""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from threading import Lock

import pypdfium2
import pypdfium2.raw as pdfium

from roadmap_rag.errors import ExtractError
from roadmap_rag.extract.layout import HYPHEN, Line, PageSize, lay_out
from roadmap_rag.extract.writer import INVISIBLE, clean_text, squeeze

MAX_PAGES = 1_000
WIDE_GAP = 1.2
"""A gap of this many font sizes parts two columns or two cells; justified text stays below it."""
LETTERS_OF_A_TEXT = 20
"""Characters a page, over the first pages, below which a PDF is a scan with a stamp on it."""

_PDFIUM = Lock()
"""pdfium must not be used by two threads at once."""

BOLD = re.compile(r"bold|black|heavy|medi(?:um)?\b|-medi|cmb|sfbx|\bbx", re.IGNORECASE)
STAMP = re.compile(r"arXiv:\S+.*?(?P<day>\d{1,2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4})")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
POOR_TITLE = re.compile(r"^(?:untitled|microsoft word\b|title|arxiv|https?:|.*\.(?:pdf|docx?|tex|dvi|indd)$)", re.IGNORECASE)


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
            raise ExtractError("the PDF is encrypted" if "password" in str(error).lower() else "the PDF cannot be read") from error
        try:
            metadata = document.get_metadata_dict()
            count = len(document)
            pages: list[list[Line]] = []
            sizes: list[PageSize] = []
            stamp = ""
            for number in range(min(count, MAX_PAGES)):
                page = document[number]
                sizes.append(PageSize(*page.get_size()))
                reader = _PageReader(page, number)
                pages.append(reader.read())
                stamp = stamp or " ".join(reader.rotated)
                page.close()
        except pypdfium2.PdfiumError as error:
            raise ExtractError("the PDF cannot be read") from error
        finally:
            document.close()
    if sum(len(line.text) for lines in pages for line in lines) < LETTERS_OF_A_TEXT * min(count, 5):
        raise ExtractError(f"no text in the PDF: {count} scanned {'page' if count == 1 else 'pages'}")
    markdown, heading = lay_out(pages, sizes)
    title = squeeze(metadata.get("Title", ""))
    trusted = bool(title) and POOR_TITLE.match(title) is None
    return PdfText(
        markdown=clean_text(markdown),
        title=title if trusted else squeeze(heading),
        author=squeeze(metadata.get("Author", "")) if trusted else "",
        published=_date_of(stamp),
        notes=tuple(_notes([number for number, lines in enumerate(pages, 1) if not lines], count)),
    )


def _notes(empty: Sequence[int], count: int) -> list[str]:
    notes = []
    if len(empty) == 1:
        notes.append(f"no text on page {empty[0]}")
    elif len(empty) > 10:
        notes.append(f"no text on {len(empty)} of {count} pages")
    elif empty:
        notes.append(f"no text on pages {', '.join(map(str, empty[:-1]))} and {empty[-1]}")
    if count > MAX_PAGES:
        notes.append(f"only the first {MAX_PAGES} of {count} pages were read")
    return notes


def _date_of(stamp: str) -> str:
    """The date in the margin of an arXiv paper, ISO 8601, or empty."""
    match = STAMP.search(stamp)
    if match is None or match.group("month") not in MONTHS:
        return ""
    return f"{match.group('year')}-{MONTHS.index(match.group('month')) + 1:02}-{int(match.group('day')):02}"


@dataclass(slots=True)
class _Character:
    """A character with its box; ``size`` 0 marks spaces and hyphens, which have no box."""

    text: str
    index: int
    left: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    top: float = 0.0
    size: float = 0.0


@dataclass(slots=True)
class _PageReader:
    """Reads the upright lines of a page in the order of its content; rotated text is set aside."""

    page: pypdfium2.PdfPage
    number: int
    rotated: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    characters: list[_Character] = field(default_factory=list)
    follows: bool = False

    def read(self) -> list[Line]:
        text_page = self.page.get_textpage()
        handle = text_page.raw
        box = tuple(ctypes.c_double() for _ in range(4))
        scale = 0.0
        for index in range(pdfium.FPDFText_CountChars(handle)):
            code = pdfium.FPDFText_GetUnicode(handle, index)
            if code == 10:
                self._end_line(handle)
                scale = 0.0
            elif code in (2, 0xFFFE):
                self.characters.append(_Character(HYPHEN, index))
                self._end_line(handle)
                scale = 0.0
            elif code in (32, 160) and self.characters:
                self.characters.append(_Character(" ", index))
            elif code > 32:
                pdfium.FPDFText_GetCharBox(handle, index, *box)
                left, right, bottom, top = (side.value for side in box)
                scale = scale or _scale(handle, index)
                size = max(pdfium.FPDFText_GetFontSize(handle, index) * scale, 1.0)
                before = next((character for character in reversed(self.characters) if character.size), None)
                if before is not None and left - before.right > WIDE_GAP * max(size, before.size):
                    self._end_line(handle, follows_next=True)
                self.characters.append(_Character(chr(code), index, left, right, bottom, top, size))
        self._end_line(handle)
        text_page.close()
        return _join_scripts(self.lines)

    def _end_line(self, handle: ctypes.c_void_p, *, follows_next: bool = False) -> None:
        text = "".join(character.text for character in self.characters)
        text = HYPHEN.join(INVISIBLE.sub("", part) for part in text.split(HYPHEN)).strip()
        drawn = [character for character in self.characters if character.size]
        self.characters = []
        if text.strip(HYPHEN) and drawn:
            if 0.2 < pdfium.FPDFText_GetCharAngle(handle, drawn[0].index) < 2 * math.pi - 0.2:
                self.rotated.append(text)
            else:
                self.lines.append(self._make_line(handle, text, drawn))
        self.follows = follows_next and bool(drawn)

    def _make_line(self, handle: ctypes.c_void_p, text: str, drawn: Sequence[_Character]) -> Line:
        fonts = [_font_of(handle, drawn[place].index) for place in (0, len(drawn) // 2, -1)]
        return Line(
            page=self.number,
            text=text,
            left=min(character.left for character in drawn),
            right=max(character.right for character in drawn),
            bottom=median(character.bottom for character in drawn),
            top=max(character.top for character in drawn),
            size=Counter(round(character.size, 1) for character in drawn).most_common(1)[0][0],
            font=fonts[1],
            bold=all(BOLD.search(font) for font in fonts),
            follows=self.follows,
        )


def _scale(handle: ctypes.c_void_p, index: int) -> float:
    """How much larger than its font says a character is drawn: the length of its matrix's upright vector."""
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFText_GetMatrix(handle, index, matrix):
        return 1.0
    return math.hypot(matrix.c, matrix.d) or 1.0


def _font_of(handle: ctypes.c_void_p, index: int) -> str:
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(handle, index, buffer, 128, flags)
    return buffer.value.decode("utf-8", "replace").partition("+")[2] or buffer.value.decode("utf-8", "replace")


def _join_scripts(lines: Sequence[Line]) -> list[Line]:
    """Superscripts and what follows them, which pdfium breaks off as lines of their own, go back into their line."""
    joined: list[Line] = []
    for line in lines:
        before = joined[-1] if joined else None
        if before is None or line.follows or before.text.endswith(HYPHEN):
            joined.append(line)
            continue
        gap = line.left - before.right
        overlap = min(line.top, before.top) - max(line.bottom, before.bottom)
        size = max(line.size, before.size)
        if overlap <= 0.25 * min(line.height, before.height) or not -0.3 * size < gap < WIDE_GAP * size:
            joined.append(line)
            continue
        close = gap < 0.12 * size and (line.size < 0.9 * before.size or line.text[0] in ",.;:)]")
        main = line if len(line.text) > len(before.text) and line.size >= before.size else before
        joined[-1] = replace(
            main,
            text=before.text + ("" if close else " ") + line.text,
            left=before.left,
            right=max(before.right, line.right),
            top=max(before.top, line.top),
            bold=before.bold and line.bold,
            follows=before.follows,
        )
    return joined

"""Bytes to a Document: web pages, PDFs, Markdown, reStructuredText, notebooks and plain text, all as the same Markdown.

    what came        read by                              module
    a web page       trafilatura finds the article        webpage
    a PDF            pypdfium2                            pdf
    Markdown         markdown-it-py                       markup
    reStructuredText docutils                             markup
    a notebook       nbformat                             markup
    a transcript     times and tags dropped               transcript

All but the PDF and the transcript become an HTML tree that ``writer`` writes. ``walls`` tells pages that are not the article,
``near_duplicates`` texts that are another text. The kind is decided by the content first, because ``raw.githubusercontent.com``
calls everything text/plain and sites call zips text/html.
"""

from __future__ import annotations

import codecs
import posixpath
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from trafilatura.utils import detect_encoding

from roadmap_rag.domain import Document, Page
from roadmap_rag.errors import BlockedError, ExtractError, RoadmapRagError
from roadmap_rag.extract import markup, pdf, transcript, walls, webpage
from roadmap_rag.extract.near_duplicates import NEAR_DUPLICATE, resemblance, sketch
from roadmap_rag.extract.writer import clean_text, fence, normalise, protect, squeeze

__all__ = ["NEAR_DUPLICATE", "THIN", "Kind", "extract", "resemblance", "sketch"]

Kind = Literal["html", "pdf", "markdown", "restructuredtext", "notebook", "transcript", "text"]

THIN = 400
"""Characters below which a text is noted as thin: the archived pages that hold only navigation have 212 and less than 400."""

SIGNATURES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"Rar!", "a rar archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"RIFF", "an image or a recording"),
    (b"\x00\x00\x01\x00", "an image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"OggS", "a recording"),
    (b"ID3", "a recording"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
)
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SUFFIXES: dict[str, Kind] = {
    ".md": "markdown",
    ".mdx": "markdown",
    ".markdown": "markdown",
    ".rst": "restructuredtext",
    ".ipynb": "notebook",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "text",
    ".vtt": "transcript",
    ".srt": "transcript",
}
CODE_SUFFIXES = {
    ".c": "c",
    ".cpp": "cpp",
    ".cu": "cuda",
    ".go": "go",
    ".java": "java",
    ".js": "javascript",
    ".json": "json",
    ".py": "python",
    ".rs": "rust",
    ".sh": "bash",
    ".toml": "toml",
    ".ts": "typescript",
    ".yaml": "yaml",
    ".yml": "yaml",
}
"""Source files that a link to a file of a repository may lead to, with the language of their fence."""
TYPES: dict[str, Kind] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/x-rst": "restructuredtext",
    "text/prs.fallenstein.rst": "restructuredtext",
    "application/x-ipynb+json": "notebook",
    "text/vtt": "transcript",
}
LONE_LETTERS = 1.6
"""Bytes in a run of bytes beyond ASCII: fewer are accents and quotes in a Latin text, more are another script."""
META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([a-zA-Z0-9_.:-]{2,30})", re.IGNORECASE)
HTML_START = re.compile(r"^\s*(?:<\?xml[^<>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
HTML_ELEMENT = re.compile(r"</?(?:p|div|h[1-6]|body|a|span|table|ul|li|br|article|section|title|meta)\b[^<>]*>", re.IGNORECASE)
MARKDOWN_SIGN = re.compile(r"^#{1,6} \S|^(?:```|~~~)|\[[^\[\]\n]+\]\([^()\s]+\)|^\s*[-*] \S", re.MULTILINE)
RST_SIGN = re.compile(r"^\.\. [\w-]+::|^\S.*\n(?:={3,}|-{3,}|~{3,})\n|:\w+:`[^`]+`|::\n\n[ \t]+\S", re.MULTILINE)


def extract(page: Page, *, title: str = "") -> Document:
    """The text of a page. ``title`` stands in when the page gives none.

    Raises ExtractError when no text can be had from the bytes, BlockedError when they are a wall in front of the article.
    """
    try:
        return _extract(page, title)
    except RoadmapRagError:
        raise
    except RecursionError as error:
        raise ExtractError("the page is nested too deeply to be read") from error
    except MemoryError as error:
        raise ExtractError("the page is too large to be read") from error
    except Exception as error:
        raise ExtractError(f"the page cannot be read ({type(error).__name__})") from error


def _extract(page: Page, title: str) -> Document:
    body = page.body or b""
    if not body.strip(b" \t\r\n\x00"):
        raise ExtractError("the page is empty")
    notes: list[str] = []
    found = markup.Markup("")
    if b"%PDF-" in body[:1024]:
        kind: Kind = "pdf"
        paper = pdf.read_pdf(body)
        found = markup.Markup(paper.markdown, paper.title, paper.author, paper.published)
        notes += paper.notes
    else:
        _refuse_binary(body, page.content_type)
        source = decode(body, page.content_type)
        kind = kind_of(source, page)
        if kind == "html":
            found, cut = _read_webpage(source, page)
            if cut:
                notes.append(f"only the first {webpage.MAX_LENGTH:,} characters of the page were read")
        else:
            found = _read_text(source if kind == "notebook" else source[: markup.MAX_LENGTH], kind, _suffix_of(page))
            if kind != "notebook" and len(source) > markup.MAX_LENGTH:
                notes.append(f"only the first {markup.MAX_LENGTH:,} characters of the text were read")
    text = found.markdown
    if not re.search(r"\w", text):
        raise ExtractError("the page holds no text")
    if len(text) < THIN:
        notes.append(f"{len(text)} characters")
    return Document(
        url=page.url,
        title=squeeze(found.title) or squeeze(title) or _name_of(page),
        text=text,
        kind=kind,
        author=squeeze(found.author),
        published=found.published,
        notes=tuple(notes),
    )


def _read_webpage(source: str, page: Page) -> tuple[markup.Markup, bool]:
    article = webpage.read_webpage(source, page.fetched_url)
    if article is None:
        raise ExtractError("the page holds no text")
    wall = walls.recognise_wall(
        html=source,
        head_title=article.head_title,
        text=article.markdown,
        visible=article.visible,
        url=page.url,
        fetched_url=page.fetched_url,
        has_password=article.has_password,
    )
    if wall is not None and wall.kind == "missing":
        raise ExtractError(wall.reason)
    if wall is not None:
        raise BlockedError(wall.reason, http_status=page.http_status, fetched_url=page.fetched_url, requests=page.requests)
    return markup.Markup(article.markdown, article.title, article.author, article.published), article.cut


def _read_text(source: str, kind: Kind, suffix: str) -> markup.Markup:
    if source.startswith("version https://git-lfs.github.com/spec/"):
        raise ExtractError("a Git LFS pointer instead of the file")
    if kind == "markdown":
        return markup.read_markdown(source)
    if kind == "restructuredtext":
        return markup.read_restructuredtext(source)
    if kind == "notebook":
        return markup.read_notebook(source)
    if kind == "transcript":
        return markup.Markup(clean_text(protect(clean_text(transcript.read_transcript(source)))))
    if suffix in CODE_SUFFIXES:
        return markup.Markup(fence(normalise(source), CODE_SUFFIXES[suffix]))
    return markup.Markup(clean_text(protect(clean_text(source))))


def _suffix_of(page: Page) -> str:
    """The suffix of the address that was fetched, else of the link, in lower case with its dot."""
    suffixes = (posixpath.splitext(unquote(urlsplit(address).path))[1].lower() for address in (page.fetched_url, page.url))
    return next((suffix for suffix in suffixes if suffix), "")


def _name_of(page: Page) -> str:
    """The last part of the address, the repository of a README, or the host."""
    parts = urlsplit(page.url)
    if re.search(r"/readme[^/]*$", parts.path, re.IGNORECASE):
        return "/".join(unquote(parts.path).strip("/").split("/")[:2])
    return squeeze(unquote(posixpath.basename(parts.path.rstrip("/")))) or parts.netloc or page.url


def _refuse_binary(body: bytes, content_type: str) -> None:
    for signature, name in SIGNATURES:
        if body.startswith(signature):
            raise ExtractError(f"{name}, not a page")
    if body[4:8] == b"ftyp":
        raise ExtractError("a video, not a page")
    if any(body.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        return
    main_type = content_type.partition("/")[0].strip().lower()
    if main_type in ("image", "audio", "video", "font"):
        raise ExtractError(f"{content_type.partition(';')[0].strip()}, not a page")
    sample = body[:8192]
    strange = sum(1 for byte in sample if byte < 9 or 13 < byte < 27)
    if b"\x00" in sample or strange > 0.05 * len(sample):
        raise ExtractError("binary data, not a page")


def decode(body: bytes, content_type: str = "") -> str:
    """The text of bytes: byte-order mark, UTF-8 if it is valid, the declared charset, then the best guess."""
    for mark, name in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    declared = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    meta = META_CHARSET.search(body[:4096])
    names = [declared.group(1) if declared else "", meta.group(1).decode("ascii") if meta else ""]
    for name in names:
        text = _decode_as(body, name)
        if text is not None:
            return text
    foreign = re.findall(rb"[\x80-\xff]+", body)
    is_latin = sum(map(len, foreign)) < LONE_LETTERS * len(foreign)
    for name in ["windows-1252"] if is_latin else detect_encoding(body[:200_000]):
        text = _decode_as(body, name)
        if text is not None:
            return text
    damaged = body.decode("utf-8", "replace")
    return damaged if damaged.count("\ufffd") < len(damaged) / 100 else body.decode("windows-1252", "replace")


def _decode_as(body: bytes, name: str) -> str | None:
    if name.lower() in ("iso-8859-1", "latin-1", "latin1", "ascii", "us-ascii"):
        name = "windows-1252"  # what every browser takes these names for
    try:
        return body.decode(name) if name and name.lower() not in ("utf-8", "utf8") else None
    except (LookupError, UnicodeDecodeError):
        return None


def kind_of(source: str, page: Page) -> Kind:
    """What the text is: by what it says, then by the suffix of its address, then by its content type."""
    beginning = source[:4000].lstrip("\ufeff")
    if markup.is_notebook(source):
        return "notebook"
    if transcript.is_transcript(source):
        return "transcript"
    if HTML_START.match(beginning):
        return "html"
    suffix = _suffix_of(page)
    declared = page.content_type.partition(";")[0].strip().lower()
    if suffix == ".ipynb" or declared == "application/x-ipynb+json":
        return "notebook"
    if declared in TYPES and (declared != "text/html" or HTML_ELEMENT.search(source[:100_000])):
        return TYPES[declared]
    if suffix in SUFFIXES and SUFFIXES[suffix] not in ("html", "text"):
        return SUFFIXES[suffix]
    if suffix in CODE_SUFFIXES:
        return "text"
    if declared in ("application/json", "application/xml", "text/xml", "text/css", "text/javascript", "application/javascript"):
        raise ExtractError(f"{declared} is not a kind of page that is read")
    if len(HTML_ELEMENT.findall(source[:20_000])) > 3 and suffix in ("", ".html", ".htm", ".xhtml") and beginning.lstrip().startswith("<"):
        return "html"
    if suffix == ".txt":
        return "text"
    if len(RST_SIGN.findall(beginning)) >= 2 and not re.search(r"^#{1,6} \S", beginning, re.MULTILINE):
        return "restructuredtext"
    return "markdown" if len(MARKDOWN_SIGN.findall(source[:20_000])) >= 3 else "text"

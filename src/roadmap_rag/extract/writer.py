"""Writes an HTML tree as Markdown: the one place where the form of ``Document.text`` is decided.

Web pages, Markdown, reStructuredText and notebooks all become an lxml tree first and pass through here, so that a heading is a
``#`` line, code stands in a fence and a table in pipes wherever the text came from. Emphasis and link targets are reduced to
their words: a passage is quoted and compared, and marks inside a sentence would only be in the way. Images go. A ``tex`` element
(made by the modules that call this one) holds a formula and is written as ``$...$``, or ``$$...$$`` when it is a block.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

Element = Any
"""An lxml element; lxml ships no types."""

MAX_DEPTH = 150
"""Nested deeper than this, an element is written as plain text: no article is, and the writer is recursive."""

LONGEST_HEADING = 200
"""Characters; what is longer is a paragraph in large print."""

SKIPPED = frozenset(
    "applet area audio base button canvas col colgroup datalist dialog embed frame frameset head iframe img input link map meta noscript "
    "object optgroup option param picture progress script select source style svg template textarea title track video".split()
)
BLOCKS = frozenset(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hgroup hr html legend li main menu nav ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
CODE = frozenset({"code", "kbd", "samp", "tt"})
MAX_SPAN = 50
"""Columns that one cell may claim to span; ``colspan="10000"`` exists."""

INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ue000-\uf8ff\ud800-\udfff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
"""Control, zero-width, bidirectional, tag and private-use characters: nothing a reader sees, and a place to hide instructions."""

SPACES = re.compile(r"[ \t\r\n\f\v\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
HTML_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>`\n]*)?/?>|<!--")
SCRIPT = re.compile(r"[\w+−–(-]")
"""How an exponent or index begins; a raised star is the mark of a note."""
ADMONITION = re.compile(r"^\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*")
LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:?)[-\s]([A-Za-z0-9+#_.-]+)")
LANGUAGE_NAMES = frozenset(
    "bash c cmake cpp csharp css cuda diff dockerfile go html http ini java javascript js json jsx julia kotlin latex lua makefile "
    "markdown php powershell python python3 pycon r ruby rust scala sh shell sql swift text toml ts tsx typescript xml yaml yml zsh".split()
)
NO_LANGUAGE = frozenset({"default", "none", "notranslate", "plain", "plaintext", "text", "source", "python-traceback"})


def normalise(text: str) -> str:
    """NFC, line feeds only, no character that a reader cannot see, no trailing spaces."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    text = unicodedata.normalize("NFC", INVISIBLE.sub("", text))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def clean_text(text: str) -> str:
    """Normalised, with at most one empty line in a row."""
    return re.sub(r"\n{3,}", "\n\n", normalise(text))


def squeeze(text: str) -> str:
    """One line: every run of white space is one space."""
    return SPACES.sub(" ", INVISIBLE.sub("", text)).strip()


def fence(text: str, language: str = "") -> str:
    """A fenced block; the fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def table(rows: list[list[str]]) -> str:
    """A pipe table; the first row is the header, short rows are filled up."""
    width = max(len(row) for row in rows)
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def protect(text: str) -> str:
    """Prose that would be read as a heading, a fence or an HTML tag is marked as what it is."""
    text = HTML_TAG.sub(lambda match: f"`{match.group()}`", text)
    return re.sub(r"^(?=#{1,6}(?:\s|$)|```|~~~)", r"\\", text, flags=re.MULTILINE)


def write_markdown(root: Element) -> str:
    """The text of the tree below ``root`` as Markdown, cleaned."""
    return normalise("\n\n".join(_blocks(root, 0)))


# ----------------------------------------------------------------------------------------------------------------------- blocks


def _blocks(element: Element, depth: int) -> Iterator[str]:
    """The blocks inside ``element``; runs of inline content between block children become paragraphs."""
    if depth > MAX_DEPTH:
        if text := protect(squeeze(" ".join(element.itertext()))):
            yield text
        return
    run: list[str] = [_prose(element.text)]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in SKIPPED:
            if _is_block(child):
                yield from _paragraph(run)
                run = []
                yield from _block(child, depth + 1)
            else:
                run.append(_inline(child, depth + 1))
        run.append(_prose(child.tail))
    yield from _paragraph(run)


def _paragraph(run: list[str]) -> Iterator[str]:
    text = ADMONITION.sub(lambda match: f"{match.group(1).capitalize()}: ", _tidy("".join(run)))
    if text:
        yield re.sub(r"^(?=#{1,6}(?:\s|$)|```|~~~)", r"\\", text, flags=re.MULTILINE)


def _tidy(text: str) -> str:
    text = re.sub(r"(?<=\S) {2,}", " ", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" *\n *", "\n", text)).strip()


def _is_block(element: Element) -> bool:
    if element.tag in BLOCKS:
        return True
    if element.tag == "tex":
        return bool(element.get("display") == "block")
    return any(
        isinstance(inner.tag, str) and inner.tag in BLOCKS for inner in element.iter("p", "div", "ul", "ol", "pre", "table", *HEADINGS)
    )


def _block(element: Element, depth: int) -> Iterator[str]:
    tag = element.tag
    if tag in HEADINGS:
        if heading := protect(squeeze(_inline_content(element, depth))):
            heading = heading.lstrip("\\#").strip()
            yield heading if len(heading) > LONGEST_HEADING else "#" * HEADINGS[tag] + " " + heading
    elif tag == "pre":
        yield from _code_block(element)
    elif tag == "tex":
        yield f"$$\n{element.text.strip()}\n$$"
    elif tag in ("ul", "ol", "menu", "dir"):
        if any(True for _ in element.iter(*HEADINGS)):  # a list of posts or cards: its headings are headings
            for item in element:
                if isinstance(item.tag, str) and item.tag not in SKIPPED:
                    yield from _blocks(item, depth + 1)
        elif items := _list(element, depth):
            yield items
    elif tag == "dl":
        yield from _definitions(element, depth)
    elif tag == "blockquote":
        if quoted := "\n\n".join(_blocks(element, depth)):
            yield "\n".join(f"> {line}".rstrip() for line in quoted.split("\n"))
    elif tag == "table":
        yield from _table(element, depth)
    elif tag != "hr":
        yield from _blocks(element, depth)


def _code_block(element: Element) -> Iterator[str]:
    for line_break in element.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    text = "".join(element.itertext()).replace("\r\n", "\n").replace("\u00a0", " ").expandtabs(4).strip("\n").rstrip()
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    if text.strip():
        yield fence(INVISIBLE.sub("", text), _language(element))


def _language(element: Element) -> str:
    candidates = [element, *element.iter("code"), *list(element.iterancestors())[:3]]
    for candidate in candidates:
        classes = candidate.get("class") or ""
        named = (candidate.get("data-lang") or candidate.get("data-language") or "").lower()
        match = LANGUAGE.search(classes)
        if match:
            named = named or match.group(1).lower()
        if not named and ("sourcecode" in classes.lower() or "code" in classes.split() or "prism" in classes):
            named = next((word for word in classes.lower().split() if word in LANGUAGE_NAMES), "")
        if named:
            return "" if named in NO_LANGUAGE else named
    return ""


def _list(element: Element, depth: int) -> str:
    lines: list[str] = []
    number = int(element.get("start") or 1) if (element.get("start") or "1").isdigit() else 1
    for child in element:
        if not isinstance(child.tag, str) or child.tag in SKIPPED:
            continue
        blocks = list(_blocks(child, depth + 1)) if child.tag == "li" else list(_block(child, depth + 1))
        if not blocks:
            continue
        if child.tag != "li" and lines:  # a list nested without an item of its own, as old pages write it
            lines += [f"  {line}" if line else "" for line in "\n\n".join(blocks).split("\n")]
            continue
        marker = f"{number}. " if element.tag == "ol" else "- "
        number += 1
        text = blocks[0]
        for block in blocks[1:]:
            text += ("\n" if re.match(r"(?:- |\d+\. )", block) else "\n\n") + block
        head, *rest = text.split("\n")
        lines.append(marker + head)
        lines += [" " * len(marker) + line if line else "" for line in rest]
    return "\n".join(lines)


def _definitions(element: Element, depth: int) -> Iterator[str]:
    for child in element.iter("dt", "dd"):
        if any(ancestor.tag in ("dl", "dd", "dt") and ancestor is not element for ancestor in _ancestors_below(child, element)):
            continue
        blocks = list(_blocks(child, depth + 1))
        if child.tag == "dt":
            yield from blocks
        elif blocks:
            text = "\n\n".join(blocks)
            head, *rest = text.split("\n")
            yield "\n".join(["- " + head, *(f"  {line}" if line else "" for line in rest)])


def _ancestors_below(element: Element, top: Element) -> Iterator[Element]:
    for ancestor in element.iterancestors():
        if ancestor is top:
            return
        yield ancestor


def _table(element: Element, depth: int) -> Iterator[str]:
    """A pipe table; a table that only arranges blocks on the page is written as those blocks."""
    caption = next((child for child in element if child.tag == "caption"), None)
    if caption is not None:
        yield from _paragraph([_inline_content(caption, depth)])
    rows = [row for row in element.iter("tr") if next(row.iterancestors("table"), None) is element]
    cells = [[cell for cell in row if cell.tag in ("td", "th")] for row in rows]
    arranges = (
        max((len(row) for row in cells), default=0) < 2
        or any(True for _ in element.iter("pre", *HEADINGS))
        or element.get("role") in ("presentation", "none")
    )
    if arranges:
        for row in cells:
            for cell in row:
                yield from _blocks(cell, depth + 1)
        return
    written = []
    for row in cells:
        texts: list[str] = []
        for cell in row:
            span = cell.get("colspan") or "1"
            text = squeeze(" ".join(_cell_parts(cell, depth)))
            texts += [text] + [""] * (min(int(span), MAX_SPAN) - 1 if span.isdigit() else 0)
        if any(texts):
            written.append(texts)
    if written:
        yield table(written)


def _cell_parts(cell: Element, depth: int) -> Iterator[str]:
    """The blocks of a cell, in one line each; a nested table gives its cells, separated by semicolons."""
    for block in _blocks(cell, depth + 1):
        if block.startswith("| "):
            block = "; ".join(
                part.strip() for line in block.split("\n") if "---" not in line for part in line.strip("| ").split(" | ") if part.strip()
            )
        yield block.replace("\\|", "|")


# ----------------------------------------------------------------------------------------------------------------------- inline


def _prose(text: str | None) -> str:
    return HTML_TAG.sub(lambda match: f"`{match.group()}`", SPACES.sub(" ", INVISIBLE.sub("", text))) if text else ""


def _inline_content(element: Element, depth: int) -> str:
    if depth > MAX_DEPTH:
        return _prose(" ".join(element.itertext()))
    parts = [_prose(element.text)]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in SKIPPED:
            part = _inline(child, depth + 1)
            parts.append(f" {part} " if child.tag in BLOCKS else part)
        parts.append(_prose(child.tail))
    return "".join(parts)


def _inline(element: Element, depth: int) -> str:
    tag = element.tag
    if tag == "br":
        return "\n"
    if tag == "tex":
        return f"${element.text.strip()}$"
    if tag in CODE or (tag == "span" and "literal" in (element.get("class") or "").split()):  # the latter is how docutils marks code
        return _code_span("".join(element.itertext()))
    content = _inline_content(element, depth)
    if tag == "sup" and element.find(".//a") is None and SCRIPT.match(content.strip()):
        return f"^{content.strip()}"
    if tag == "sub" and SCRIPT.match(content.strip()):
        return f"_{content.strip()}"
    return content


def _code_span(text: str) -> str:
    text = SPACES.sub(" ", INVISIBLE.sub("", text))
    if not text.strip():
        return text
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * (longest + 1)
    pad = " " if longest else ""
    body = text.strip()
    return text.replace(body, f"{marks}{pad}{body}{pad}{marks}", 1)

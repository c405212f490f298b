"""Markdown, reStructuredText and notebooks to HTML trees, which ``writer`` turns into the one form of ``Document.text``.

Going through HTML settles what a regular expression cannot: what is code, what is a comment, where an HTML block of a README ends.
Formulas are recognised before Markdown reads their underscores and stars as emphasis.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import nbformat
from docutils.core import publish_parts
from markdown_it import MarkdownIt

from roadmap_rag.errors import ExtractError
from roadmap_rag.extract.webpage import drop_boilerplate, mark_formulas, parse
from roadmap_rag.extract.writer import INVISIBLE, squeeze, write_markdown

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

MAX_LENGTH = 1_000_000
"""Characters of markup that are read; the archived files have at most 62,000."""
MAX_OUTPUT = 2_000
"""Characters kept of one output of a notebook cell; the archived ones have 30 to 1,500."""

FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<fields>.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
FRONT_FIELD = re.compile(r"^(title|author|authors|date)[ \t]*:[ \t]*(\S.*)$", re.MULTILINE)
CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .*)?$\n?|^={7}$\n?", re.MULTILINE)
MDX_LINE = re.compile(r"^(?:import\s.+\sfrom\s+['\"].+|export\s+(?:const|default)\s.*)$\n?", re.MULTILINE)
EMOJI_CODE = re.compile(r"^(#{1,6} +):[a-z][a-z0-9_+-]{1,30}: *", re.MULTILINE)
INLINE_MATH = re.compile(r"\$\$(?P<display>[^$]+)\$\$|\$(?![\s\d,.]*\s)(?P<inline>[^$\n]*?[^\s$\\])\$(?!\d)")


@dataclass(frozen=True, slots=True)
class Markup:
    """A document made from markup; empty strings where it does not say."""

    markdown: str
    title: str = ""
    author: str = ""
    published: str = ""


# --------------------------------------------------------------------------------------------------------------------- Markdown


def _math_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A block that opens with ``$$`` at the start of a line and closes with ``$$`` at the end of one."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    if state.is_code_block(start_line) or not state.src.startswith("$$", start):
        return False
    line = start_line
    text = state.src[start + 2 : state.eMarks[line]]
    lines = [text]
    while not lines[-1].rstrip().endswith("$$"):
        line += 1
        if line >= end_line or (state.sCount[line] < state.blkIndent):
            return False
        lines.append(state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]])
    if silent:
        return True
    source = "\n".join(lines).rstrip().removesuffix("$$").strip()
    if not source or "$$" in source:
        return False
    token = state.push("math_block", "", 0)
    token.content = source
    token.map = [start_line, line + 1]
    state.line = line + 1
    return True


def _math_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "$":
        return False
    match = INLINE_MATH.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        token = state.push("math_inline", "", 0)
        token.content = match.group("display") or match.group("inline")
        token.meta = {"display": match.group("display") is not None}
    state.pos = match.end()
    return True


def _render_math_block(_self: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    return f'<tex display="block">{escape(tokens[index].content)}</tex>\n'


def _render_math_inline(_self: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    display = ' display="block"' if tokens[index].meta["display"] else ""
    return f"<tex{display}>{escape(tokens[index].content)}</tex>"


def _make_reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": 60}).enable(["table", "strikethrough"])
    reader.block.ruler.before("fence", "math_block", _math_block, {"alt": ["paragraph", "blockquote", "list"]})
    reader.inline.ruler.before("escape", "math_inline", _math_inline)
    reader.add_render_rule("math_block", _render_math_block)
    reader.add_render_rule("math_inline", _render_math_inline)
    return reader


READER = _make_reader()


def markdown_to_html(text: str) -> str:
    """HTML of Markdown text, with ``tex`` elements for formulas; merge-conflict markers are dropped, both sides stay."""
    if re.search(r"^<{7} ", text, re.MULTILINE) and re.search(r"^>{7}", text, re.MULTILINE):
        text = CONFLICT.sub("", text)
    return str(READER.render(EMOJI_CODE.sub(r"\1", text)))


def _write(html: str) -> tuple[str, str]:
    """The Markdown of an HTML fragment and its title: the level-one heading that opens it or is its only one."""
    tree = parse(f"<html><body>{html}</body></html>")
    if tree is None:
        return "", ""
    mark_formulas(tree)
    drop_boilerplate(tree)
    headings = [(element.tag, squeeze("".join(element.itertext()))) for element in tree.iter("h1", "h2", "h3")]
    headings = [(tag, text) for tag, text in headings if text]
    level_one = [text for tag, text in headings if tag == "h1"]
    is_title = bool(level_one) and (headings[0][0] == "h1" or len(level_one) == 1)
    return write_markdown(tree), level_one[0] if is_title else ""


def read_markdown(text: str) -> Markup:
    text = INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    fields: dict[str, str] = {}
    if match := FRONT_MATTER.match(text):
        for name, value in FRONT_FIELD.findall(match.group("fields")):
            fields.setdefault(name.removesuffix("s"), value.strip().strip("\"'"))
        text = text[match.end() :]
    if "```" not in text[:2000] and MDX_LINE.match(text):
        text = MDX_LINE.sub("", text)
    markdown, heading = _write(markdown_to_html(text))
    published = fields.get("date", "")[:10]
    return Markup(
        markdown, fields.get("title") or heading, fields.get("author", ""), published if re.fullmatch(r"\d{4}-\d\d-\d\d", published) else ""
    )


# ------------------------------------------------------------------------------------------------------------- reStructuredText


def read_restructuredtext(text: str) -> Markup:
    """Read by docutils with no file insertion, no raw HTML and no settings file; what it complains about is left out."""
    settings = {
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "_disable_config": True,
        "report_level": 5,
        "halt_level": 6,
        "syntax_highlight": "none",
        "math_output": "LaTeX",
        "doctitle_xform": False,
        "sectsubtitle_xform": False,
        "initial_header_level": 1,
        "line_length_limit": 100_000,
        "embed_stylesheet": False,
        "warning_stream": io.StringIO(),
    }
    parts = publish_parts(text, writer="html5", settings_overrides=settings)
    markdown, heading = _write(re.sub(r'<aside class="system-message.*?</aside>', "", parts["body"], flags=re.DOTALL))
    return Markup(markdown, heading)


# -------------------------------------------------------------------------------------------------------------------- notebooks


def read_notebook(text: str) -> Markup:
    """Markdown cells as they are, code in fences, short text outputs; images and rich outputs are left out."""
    try:
        data = json.loads(text)
        for cell in data.get("cells", []):  # many published notebooks lack what the format demands
            cell.setdefault("metadata", {})
            cell.setdefault("source", "")
            if cell.get("cell_type") == "code":
                cell.setdefault("outputs", [])
                cell.setdefault("execution_count", None)
        data.setdefault("metadata", {})
        notebook = nbformat.reads(json.dumps(data), as_version=4)
    except Exception as error:
        raise ExtractError("the notebook cannot be read") from error
    language = str(
        notebook.metadata.get("kernelspec", {}).get("language") or notebook.metadata.get("language_info", {}).get("name") or "python"
    )
    parts = []
    room = MAX_LENGTH
    for cell in notebook.cells:
        source = _joined(cell.get("source", ""))[:room]
        room -= len(source)
        if cell.cell_type == "markdown":
            parts.append(markdown_to_html(source))
        elif cell.cell_type == "code" and source.strip():
            parts.append(f'<pre><code class="language-{escape(language)}">{escape(source)}</code></pre>')
            parts += [f"<pre>{escape(output)}</pre>" for output in _text_outputs(cell)]
    markdown, heading = _write("\n".join(parts))
    return Markup(markdown, str(notebook.metadata.get("title") or heading))


def _joined(source: Any) -> str:
    return "".join(source) if isinstance(source, list) else str(source)


def _text_outputs(cell: Any) -> list[str]:
    texts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.get("output_type") == "stream":
            text = _joined(output.get("text", ""))
        elif "image/png" in data or "image/jpeg" in data:
            continue
        else:
            text = _joined(data.get("text/plain", ""))
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).strip("\n")
        if text.strip():
            texts.append(text if len(text) <= MAX_OUTPUT else text[:MAX_OUTPUT].rsplit("\n", 1)[0] + "\n...")
    return texts


def is_notebook(text: str) -> bool:
    if not text.lstrip().startswith("{") or '"cells"' not in text:
        return False
    with contextlib.suppress(ValueError):
        return "nbformat" in json.loads(text)
    return False

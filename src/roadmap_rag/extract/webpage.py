"""A web page to Markdown: trafilatura finds the article, and the element that holds it is written by ``writer``.

trafilatura knows best which part of a page is the article, but its output loses headings inside wrappers, code split over spans
and formulas. So its text only points: every block of the page whose words occur in it is a vote, the smallest element that holds
nine tenths of the votes is the article, and that element is written whole, less what is navigation by its name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import lxml.html
import trafilatura
from lxml import etree

from roadmap_rag.extract.metadata import read_metadata
from roadmap_rag.extract.writer import INVISIBLE, Element, squeeze, write_markdown

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what it cannot read is reported by the caller, once
logging.getLogger("htmldate").setLevel(logging.CRITICAL)

MAX_LOCATED = 10_000
"""Elements up to which trafilatura looks for the article; beyond, the page's own landmarks (main, article) are used.

Its time and memory grow faster than the page; the archived pages have at most 2,000 elements.
"""
MAX_LENGTH = 4_000_000
"""Characters of HTML that are parsed at all; the archived articles have at most 210,000."""
SHARE_OF_VOTES = 0.9
SHORT_PARAGRAPH = 200
"""Characters; a longer one is prose, not a label."""
MAX_PREAMBLE = 300
"""Characters above the title that are taken for a banner; an abstract has more."""

LANDMARKS = (
    "self::article or self::main or @role='main' or @itemprop='articleBody' or contains(concat(' ', @class, ' '), ' markdown-body ')"
)
VOTERS = "p h1 h2 h3 h4 h5 h6 li pre td th blockquote dd dt figcaption summary".split()

BOILERPLATE_TAGS = frozenset("nav aside footer form button dialog menu".split())
BOILERPLATE_ROLES = frozenset("navigation banner contentinfo search complementary dialog alertdialog menu menubar tablist toolbar".split())
BOILERPLATE_NAMES = frozenset(
    "ad ads advertisement anchor anchorjs-link author-bio back-to-top breadcrumb breadcrumbs byline-share clipboard code-copy-button "
    "comments cookie cookie-banner cookie-consent cookies copy-button copybtn disqus disqus_thread edit-link edit-page edit-this-page "
    "footer footnote-backref footnotes-back giscus hash-link header-anchor header-link headerlink heading-anchor headings-anchor "
    "js-header-link kdmath-never like-button md-sidebar md-source-file menu nav nav-footer navbar navigation newsletter next-prev "
    "page-nav page-navigation pagination pagination-nav paginav permalink post-nav post-navigation prev-next prev-next-footer "
    "prev-next-area promo quarto-secondary-nav related related-posts reading-time screen-reader-text search share share-buttons sharing "
    "sidebar site-footer site-header site-nav skip-link skip-to-content social social-share sr-only subscribe table-of-contents tag-list "
    "tags theme-doc-footer toc toc-backref toc-wrapper tocwrapper tocbox visually-hidden viewcode-link viewcode-back line-numbers linenos "
    "lineno gutter rouge-gutter katex-html MathJax_Preview MathJax MathJax_Display mjx-container octicon post-tags post-share "
    "theme-doc-toc-mobile theme-doc-breadcrumbs theme-doc-version-badge on-this-page bd-toc contents-mobile sphinxsidebar".split()
)
HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?:px|em|rem|pt|%)?\s*(?:;|!|$)|(?:left|top|text-indent)\s*:\s*-\d{4,}px",
    re.IGNORECASE,
)
PERMALINK = re.compile(r"^[\s#¶§🔗]*$")
TEX_DELIMITERS = re.compile(r"\\\((?P<inline>(?:[^\\]|\\(?![()])){1,2000})\\\)|\\\[(?P<display>(?:[^\\]|\\(?![\[\]])){1,4000})\\\]")


@dataclass(frozen=True, slots=True)
class Article:
    """What a page holds. ``visible`` is all its text, squeezed; ``has_password`` tells of a form that asks for one."""

    markdown: str
    title: str
    head_title: str
    author: str
    published: str
    visible: str
    has_password: bool
    cut: bool


def parse(html: str) -> Element | None:
    """The tree of a page, or None when there is no element in it at all."""
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, collect_ids=False)
    data = INVISIBLE.sub("", html).encode("utf-8", "replace")
    try:
        return lxml.html.document_fromstring(data, parser=parser)
    except etree.ParserError:  # nothing but white space and comments
        return None


def read_webpage(html: str, url: str) -> Article | None:
    """The article of a page; None when nothing could be parsed."""
    tree = parse(html[:MAX_LENGTH])
    if tree is None:
        return None
    head_title = squeeze(tree.findtext(".//title") or "")
    visible = squeeze(" ".join(_visible_text(tree)))
    has_password = any((field.get("type") or "").lower() == "password" for field in tree.iter("input"))
    metadata = read_metadata(tree, url)
    mark_formulas(tree)
    article = _locate(tree, url) if sum(1 for _ in tree.iter()) <= MAX_LOCATED else _landmark(tree)
    drop_boilerplate(article)
    _drop_preamble(article)
    return Article(
        markdown=write_markdown(article),
        title=metadata.title or _only_heading(article),
        head_title=head_title,
        author=metadata.author,
        published=metadata.published,
        visible=visible,
        has_password=has_password,
        cut=len(html) > MAX_LENGTH,
    )


def _only_heading(article: Element) -> str:
    headings = [heading for element in article.iter("h1") if (heading := squeeze("".join(element.itertext())).strip("#¶ "))]
    return headings[0] if len(headings) == 1 else ""


def _visible_text(tree: Element) -> Iterator[str]:
    body = tree.find("body")
    for element in (body if body is not None else tree).iter():
        if isinstance(element.tag, str) and element.tag not in ("script", "style", "template", "svg", "head", "title") and element.text:
            yield element.text
        if element.tail:
            yield element.tail


# --------------------------------------------------------------------------------------------------------------------- formulas


def mark_formulas(tree: Element) -> None:
    """Replaces what a page carries as TeX (KaTeX, MathJax, MathML, Pandoc) by ``tex`` elements."""
    for script in list(tree.iter("script")):
        kind = (script.get("type") or "").replace(" ", "")
        if kind.startswith("math/tex") and script.text:
            _replace(script, script.text, "mode=display" in kind)
    for formula in list(tree.iter("math")):
        annotation = formula.xpath(".//*[local-name()='annotation'][@encoding='application/x-tex']")
        source = (annotation[0].text if annotation else None) or formula.get("alttext") or ""
        wrapper = next(
            (
                a
                for a in formula.iterancestors("span", "mjx-container")
                if "katex" in (a.get("class") or "").split() or a.tag == "mjx-container"
            ),
            None,
        )
        display = formula.get("display") == "block" or any("katex-display" in (a.get("class") or "") for a in formula.iterancestors("span"))
        if source.strip():
            _replace(wrapper if wrapper is not None else formula, source, display)
    for image in list(tree.iter("img")):
        classes = f"{image.get('class') or ''} {image.get('src') or ''}".lower()
        if image.get("alt") and ("latex" in classes or "math" in (image.get("class") or "").lower().split() or "tex-image" in classes):
            _replace(image, image.get("alt").strip("$"), display=False)
    _mark_delimited(tree)


def _replace(element: Element, source: str, display: bool) -> None:
    parent = element.getparent()
    if parent is None:
        return
    formula = etree.Element("tex")
    source = source.strip()
    formula.text = source.removeprefix("\\displaystyle").strip() if not display else source
    if not formula.text:
        return
    if display:
        formula.set("display", "block")
    formula.tail = element.tail
    parent.replace(element, formula)


def _mark_delimited(tree: Element) -> None:
    r"""Rewrites ``\(...\)`` and ``\[...\]`` in running text; code keeps them."""
    for element in list(tree.iter()):
        if not isinstance(element.tag, str) or element.tag in ("script", "style", "pre", "code", "textarea", "tex"):
            continue
        if any(True for _ in element.iterancestors("pre", "code", "script")):
            continue
        if element.text and "\\" in element.text:
            element.text = TEX_DELIMITERS.sub(_dollars, element.text)
        for child in element:
            if child.tail and "\\" in child.tail:
                child.tail = TEX_DELIMITERS.sub(_dollars, child.tail)


def _dollars(match: re.Match[str]) -> str:
    inline, display = match.group("inline"), match.group("display")
    return f"${inline.strip()}$" if inline is not None else f"$${display.strip()}$$"


# --------------------------------------------------------------------------------------------------------------- finding the text


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _shingles(words: list[str]) -> set[tuple[str, ...]]:
    size = min(4, len(words))
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)} if words else set()


def _landmark(tree: Element) -> Element:
    found = tree.xpath(f"//*[{LANDMARKS}]")
    body = tree.find("body")
    top = body if body is not None else tree
    return max(found, key=lambda element: len("".join(element.itertext())), default=top)


def _locate(tree: Element, url: str) -> Element:
    """The element that holds the article."""
    copy = deepcopy(tree)
    for element in copy.iter():  # its search for formulas takes quadratic time, and only words are wanted of it
        element.text = element.text.replace("\\", " ") if element.text else element.text
        element.tail = element.tail.replace("\\", " ") if element.tail else element.tail
    document = trafilatura.bare_extraction(copy, url=url, include_comments=False, include_tables=True, include_formatting=True)
    body = tree.find("body")
    top = body if body is not None else tree
    if document is None or document.body is None:
        return _landmark(tree)
    known = _shingles(_words(" ".join(document.body.itertext())))
    votes: dict[Element, int] = {}
    total = 0
    for block in top.iter(*VOTERS):
        words = _words("".join(block.itertext()))
        shingles = _shingles(words)
        if (
            len(words) < 4
            or len(shingles & known) < 0.6 * len(shingles)
            or any(True for _ in block.iterancestors("nav", "footer", "aside"))
        ):
            continue
        weight = len(words)
        total += weight
        for holder in block.iterancestors():
            votes[holder] = votes.get(holder, 0) + weight
    if not total:
        return _landmark(tree)
    holder = top
    while (child := next((child for child in holder if votes.get(child, 0) >= SHARE_OF_VOTES * total), None)) is not None:
        holder = child
    landmarks = holder.xpath(f"ancestor-or-self::*[{LANDMARKS}]")
    if landmarks:
        return landmarks[-1]
    for outer in (holder, *holder.iterancestors()):
        if outer is top:
            break
        if _has_sections_beside(outer):
            holder = outer.getparent()
    return holder


def _has_sections_beside(element: Element) -> bool:
    """Whether a sibling that is built alike holds paragraphs too: then the article is what holds them both."""
    return (element.tag == "section" or bool(element.get("class"))) and any(
        sibling.tag == element.tag and sibling.get("class") == element.get("class")
        for sibling in (*element.itersiblings(), *element.itersiblings(preceding=True))
        if isinstance(sibling.tag, str) and any(len("".join(paragraph.itertext())) > SHORT_PARAGRAPH for paragraph in sibling.iter("p"))
    )


def _drop_preamble(root: Element) -> None:
    """Takes away the little that stands above the only level-one heading: banners, breadcrumbs, dates."""
    headings = list(root.iter("h1"))
    if len(headings) != 1 or headings[0] is root:
        return
    above: list[Element] = []
    texts: list[str] = []
    for holder in (headings[0], *headings[0].iterancestors()):
        if holder is root:
            break
        texts.append(holder.getparent().text or "")
        for sibling in holder.itersiblings(preceding=True):
            above.append(sibling)
            texts.append("".join(sibling.itertext()) + (sibling.tail or ""))
    if len(squeeze(" ".join(texts))) > MAX_PREAMBLE or any(True for element in above for _ in element.iter("h2", "h3", "pre", "table")):
        return
    for element in above:
        element.getparent().remove(element)


def drop_boilerplate(root: Element) -> None:
    """Removes what is navigation, decoration or hidden by its tag, role or name; an element with half of the text stays."""
    length = len("".join(root.itertext()))
    for element in list(root.iterdescendants()):
        if not isinstance(element.tag, str) or not _is_boilerplate(element):
            continue
        if element.getparent() is None or len("".join(element.itertext())) > length / 2:
            continue
        _remove(element)


def _is_boilerplate(element: Element) -> bool:
    tag = element.tag
    if tag in BOILERPLATE_TAGS or tag == "script" or tag == "style":
        return True
    if (element.get("role") or "").lower() in BOILERPLATE_ROLES:
        return True
    if element.get("hidden") is not None or HIDDEN_STYLE.search(element.get("style") or ""):
        return True
    if element.get("aria-hidden") == "true" and tag not in ("body", "main", "article"):
        return True
    names = {*(element.get("class") or "").split(), element.get("id") or ""}
    if names & BOILERPLATE_NAMES:
        return True
    return tag == "a" and (element.get("href") or "").startswith("#") and PERMALINK.match("".join(element.itertext())) is not None


def _remove(element: Element) -> None:
    """Takes an element out and leaves the text that follows it where it was."""
    parent = element.getparent()
    if element.tail:
        previous = element.getprevious()
        if previous is not None:
            previous.tail = (previous.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)

"""Title, author and date of a web page, from what the page states about itself; nothing is guessed from its text.

In order: the tags of scholarly pages (``citation_*``), Open Graph, schema.org, plain ``meta`` tags, the ``title`` element, and for
the date a lone ``time`` element or the address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from roadmap_rag.extract.writer import Element, squeeze

SEPARATOR = re.compile(r"\s+(?:\||-{1,2}|–|—|·|•|::)\s+")
ARTICLE_TYPES = ("Article", "BlogPosting", "NewsArticle", "TechArticle", "ScholarlyArticle", "Report")
DATE_IN_ADDRESS = re.compile(r"/(20\d\d|19\d\d)[/-](0[1-9]|1[0-2])[/-](0[1-9]|[12]\d|3[01])(?=[/-]|$)")
DATE_FORMS = ("%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%Y/%m/%d", "%Y.%m.%d")
FEWEST_WORDS = 3
"""A title with fewer words ("Quickstart") keeps the name of its site."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Empty where the page does not say; ``published`` is YYYY-MM-DD or YYYY-MM."""

    title: str = ""
    author: str = ""
    published: str = ""


def read_metadata(tree: Element, url: str) -> Metadata:
    tags: dict[str, list[str]] = {}
    for tag in tree.iter("meta"):
        name = (tag.get("property") or tag.get("name") or tag.get("itemprop") or "").lower()
        if value := squeeze(tag.get("content") or ""):
            tags.setdefault(name, []).append(value)
    article = next(_articles(tree), {})

    def first(*names: str) -> str:
        return next((tags[name][0] for name in names if name in tags), "")

    stated = first("citation_title", "og:title", "twitter:title") or squeeze(tree.findtext(".//title") or "")
    authors = tags.get("citation_author") or tags.get("author") or _names(article.get("author")) or tags.get("dc.creator") or []
    dates = [
        first("citation_publication_date", "citation_date", "article:published_time", "datepublished"),
        str(article.get("datePublished") or ""),
        first("dcterms.date", "dc.date", "date", "parsely-pub-date"),
        _lone_time(tree),
        "-".join(match.groups()) if (match := DATE_IN_ADDRESS.search(urlsplit(url).path)) else "",
    ]
    return Metadata(
        title=strip_site(stated, first("og:site_name"), urlsplit(url).hostname or ""),
        author=", ".join(author for author in authors if not author.startswith(("http://", "https://"))),
        published=next((date for given in dates if (date := normalise_date(given))), ""),
    )


def strip_site(title: str, site_name: str, host: str) -> str:
    """The title without the name of its site behind a separator, unless next to nothing would be left."""
    title = re.sub(r"^\[\d{4}\.\d{4,5}\]\s*|^GitHub\s+-\s+", "", title)
    parts = SEPARATOR.split(title)
    short = title
    if site_name and title.endswith(site_name) and len(parts) > 1:
        short = re.sub(rf"{SEPARATOR.pattern}{re.escape(site_name)}$", "", title)
    elif len(parts) > 1:
        separator = SEPARATOR.search(title)
        names_host = re.sub(r"\W", "", parts[-1].casefold()) in re.sub(r"\W", "", host)
        if names_host or (separator is not None and separator.group().strip() != "-"):
            short = (
                title[: separator.start()] if separator is not None and not names_host else SEPARATOR.sub(" - ", title).rpartition(" - ")[0]
            )
    return short if len(short.split()) >= FEWEST_WORDS else title


def normalise_date(given: str) -> str:
    """ISO 8601 date of what a page writes, or empty."""
    given = squeeze(given)
    if match := re.match(r"(\d{4})-(\d\d)-(\d\d)", given):
        year, month, day = (int(group) for group in match.groups())
        return f"{year}-{month:02}-{day:02}" if 1990 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= 31 else ""
    if match := re.fullmatch(r"(\d{4})[/-](0?[1-9]|1[0-2])", given):
        return f"{match.group(1)}-{int(match.group(2)):02}"
    for form in DATE_FORMS:
        try:
            return datetime.strptime(given, form).date().isoformat()  # noqa: DTZ007 -- a date has no zone
        except ValueError:
            continue
    return ""


def _lone_time(tree: Element) -> str:
    times = {squeeze(element.get("datetime") or "") for element in tree.iter("time")} - {""}
    return next(iter(times)) if len(times) == 1 else ""


def _articles(tree: Element) -> Iterator[dict[str, Any]]:
    """The schema.org articles that the page describes."""
    for script in tree.iter("script"):
        if script.get("type") != "application/ld+json" or not script.text:
            continue
        try:
            data = json.loads(script.text, strict=False)
        except (ValueError, RecursionError):
            continue
        items = data if isinstance(data, list) else [data, *(data.get("@graph") or [] if isinstance(data, dict) else [])]
        for item in items:
            if isinstance(item, dict) and any(kind in ARTICLE_TYPES for kind in _as_list(item.get("@type"))):
                yield item


def _names(author: Any) -> list[str]:
    names = [squeeze(str(item.get("name") or "") if isinstance(item, dict) else str(item or "")) for item in _as_list(author)]
    return [name for name in names if name]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

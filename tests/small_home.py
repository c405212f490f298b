"""A small home for tests: a roadmap with a few links, a web in a dictionary, and an encoder that counts words. Real Chroma, real SQLite."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from roadmap_rag.corpus import Corpus
from roadmap_rag.domain import Fetcher, Page, Validators
from roadmap_rag.errors import FetchError, StorageError
from roadmap_rag.index import Index, IndexSettings
from roadmap_rag.ingest import Ingestor, Progress
from roadmap_rag.roadmap import load_roadmap

SITE = "https://articles.example/"

ROADMAP = """
topics:
  - id: basics
    title: Basics
    part: First
    summary: What comes first. It is short.
    resources:
      - {{title: One, url: {site}one, kind: article}}
      - {{title: Two, url: {site}two, kind: article}}
  - id: more
    title: More
    part: First
    summary: What comes next. It is longer.
    prerequisites: [basics]
    resources:
{more}
"""


def words(subject: str, count: int = 300) -> str:
    """Text that says something else for every subject."""
    return " ".join(
        f"{subject} sentence {number} tells of {subject}{number * 7 % 31} and {subject}{number}." for number in range(count // 8)
    )


def page(subject: str, title: str | None = None) -> bytes:
    body = "".join(
        f"<h2>Part {part} of {subject}</h2><p>{words(f'{subject}{part}')}</p><p>{words(f'{subject}x{part}')}</p>" for part in range(3)
    )
    name = title or f"About {subject}"
    return f"<html><head><title>{name}</title></head><body><article><h1>{name}</h1>{body}</article></body></html>".encode()


class DictionaryWeb:
    """Implements ``domain.Fetcher`` over a dictionary of bodies and errors; its validators are the bodies' own hashes.

    ``redirects`` leads addresses to others; those in ``permanent`` for good.
    """

    def __init__(self, pages: dict[str, bytes | FetchError]) -> None:
        self.pages = pages
        self.redirects: dict[str, str] = {}
        self.permanent: set[str] = set()
        self.asked: list[str] = []

    def fetch(self, url: str, validators: Validators | None = None) -> Page:
        self.asked.append(url)
        place = self.redirects.get(url, url)
        body = self.pages.get(place, FetchError("404 Not Found", http_status=404, requests=1))
        if isinstance(body, FetchError):
            raise body
        tag = str(zlib.crc32(body))
        same = validators is not None and (validators.url, validators.etag) == (place, tag)
        return Page(
            url=url,
            fetched_url=place,
            http_status=304 if same else 200,
            content_type="text/html; charset=utf-8",
            body=None if same else body,
            fetched_at="2026-01-01T00:00:00Z",
            etag=tag,
            moved_to=place if url in self.permanent else None,
        )


class WordEncoder:
    """Implements ``domain.Encoder``: a text is the sum of its words' random directions. ``texts`` is everything it was given.

    From ``fail_after`` texts on it fails.
    """

    def __init__(self, log: Path | None = None) -> None:
        self.texts: list[str] = []
        self.fail_after: int | None = None
        self._log = log

    def encode(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray[Any, np.dtype[np.float32]]:
        if self.fail_after is not None and len(self.texts) >= self.fail_after:
            raise StorageError("the encoder was told to fail")
        self.texts.extend(texts)
        if self._log is not None and not query:
            with self._log.open("a", encoding="utf-8") as file:
                file.writelines(f"{text!r}\n" for text in texts)
        rows = np.zeros((len(texts), 32), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                rows[row] += _direction(word)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@functools.cache
def _direction(word: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(int.from_bytes(word.encode()[:8].ljust(8), "big")).standard_normal(32)


def token_spans(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


class SmallHome:
    """Ingests a small roadmap into ``folder``; every object is real but the web and the encoder."""

    def __init__(
        self, folder: Path, pages: dict[str, bytes | FetchError], *, links: Sequence[str] = ("three",), encoder_log: Path | None = None
    ) -> None:
        self.folder = folder
        self.web = DictionaryWeb(pages)
        self.encoder = WordEncoder(encoder_log)
        self.settings = IndexSettings("words@1", 96)
        self.corpus = Corpus(folder / "corpus")
        self.index = Index(folder / "index")
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.set_links(links)

    def set_links(self, links: Sequence[str], **titles: str) -> None:
        (self.folder / "corpus").mkdir(parents=True, exist_ok=True)
        more = "\n".join(f"      - {{title: {titles.get(name, name.title())}, url: {SITE}{name}, kind: article}}" for name in links)
        path = self.folder / "corpus" / "roadmap.yaml"
        path.write_text(ROADMAP.format(site=SITE, more=more), "utf-8")
        self.roadmap = load_roadmap(path)

    def ingestor(
        self,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[Progress], None] = lambda _: None,
        publish_every: float | None = None,
        fetcher: Fetcher | None = None,
    ) -> Ingestor:
        self.now += timedelta(hours=1)
        return Ingestor(
            roadmap=self.roadmap,
            corpus=self.corpus,
            index=self.index,
            encoder=self.encoder,
            identity="words@1",
            token_spans=token_spans,
            settings=self.settings,
            fetcher=fetcher or self.web,
            stopped=stopped,
            progress=progress,
            publish_every=publish_every,
            clock=lambda: self.now,
        )

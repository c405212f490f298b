"""What ingest costs, as ratios that are measured in one run: python tests/benchmarks/ingest.py [--quick]

Pages come from a small server on this machine (eight loopback addresses stand for eight hosts); nothing else is asked. Times are medians
over the rounds, the two sides of a ratio in turn; on a busy machine the processor times say more than those of the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from roadmap_rag.chunk import chunk
from roadmap_rag.corpus import Corpus
from roadmap_rag.domain import Fetcher, Page, Validators
from roadmap_rag.encoders import EmbeddingCache, LocalEncoder
from roadmap_rag.fetch import WebFetcher
from roadmap_rag.index import Index, IndexSettings, embedded_text
from roadmap_rag.ingest import Ingestor, Request
from roadmap_rag.ingest.embedding import PassageEmbedder
from roadmap_rag.ingest.fetching import Arrivals
from roadmap_rag.roadmap import documents, load_roadmap
from small_home import token_spans

ROADMAP = Path(__file__).parents[2] / "corpus" / "roadmap.yaml"
DIMENSIONS = 384


class HashEncoder:
    """Implements ``domain.Encoder`` in next to no time: a text is a random direction, of the size that the default model has."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray[Any, np.dtype[np.float32]]:
        rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for number, text in enumerate(texts):
            seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
            rows[number] = np.random.default_rng(seed).standard_normal(DIMENSIONS, dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def article(number: int, characters: int, version: int = 0) -> str:
    """Markdown that shares no five words in a row with another article."""
    parts = [f"# Article {number}\n"]
    while sum(map(len, parts)) < characters:
        count = len(parts)
        sentence = " ".join(f"w{number}x{count}x{place}" for place in range(12)) + ". "
        parts.append(
            f"\n## Section {count}\n\n" + sentence * 1 + (f"Version {version} says so. " if count == 3 else "") + sentence[::-1] + "\n"
        )
    return "".join(parts)


def prose(number: int, characters: int) -> str:
    """Markdown in the words of the roadmap, so that it has as many word pieces as English has."""
    chosen = random.Random(number)
    words = [word for word in ROADMAP.read_text("utf-8").split() if word.isalpha()]
    parts = [f"# Article {number}\n"]
    while sum(map(len, parts)) < characters:
        sentences = [" ".join(chosen.choices(words, k=14)).capitalize() + "." for _ in range(12)]
        parts.append(f"\n## {' '.join(chosen.choices(words, k=4))}\n\n{' '.join(sentences)}\n")
    return "".join(parts)


def write_roadmap(path: Path, urls: Sequence[str]) -> None:
    links = "\n".join(f"      - {{title: Article {number}, url: '{url}', kind: article}}" for number, url in enumerate(urls))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"topics:\n  - id: basics\n    title: Basics\n    part: First\n    summary: What comes first.\n    resources:\n{links}\n", "utf-8"
    )


class Home:
    """A home whose roadmap is a list of links."""

    def __init__(self, folder: Path, urls: Sequence[str], encoder: LocalEncoder | None = None) -> None:
        write_roadmap(folder / "corpus" / "roadmap.yaml", urls)
        self.roadmap = load_roadmap(folder / "corpus" / "roadmap.yaml")
        self.corpus = Corpus(folder / "corpus")
        self.index = Index(folder / "index")
        self.encoder = encoder

    def ingestor(self, fetcher: Fetcher) -> Ingestor:
        """With the encoder that was given, else with one that costs nothing."""
        real = self.encoder
        identity = real.identity if real else "hash@1"
        return Ingestor(
            roadmap=self.roadmap,
            corpus=self.corpus,
            index=self.index,
            encoder=real or HashEncoder(),
            identity=identity,
            token_spans=real.token_spans if real else token_spans,
            settings=IndexSettings(identity, real.limit if real else 256),
            fetcher=fetcher,
            export=real.export if real else lambda: None,
        )

    def web(self) -> WebFetcher:
        hosts = [f"127.0.0.{number}" for number in range(1, 9)]
        return WebFetcher(
            user_agent="roadmap-rag/benchmark (+https://example.org)",
            delay=0,
            robots_folder=self.corpus.folder / "robots",
            allowed_hosts=hosts,
        )


class Site(BaseHTTPRequestHandler):
    """Serves articles with validators; /changed/N makes article N another one."""

    protocol_version = "HTTP/1.1"
    versions: ClassVar[dict[int, int]] = {}
    characters = 20_000
    latency = 0.0

    def do_GET(self) -> None:
        time.sleep(self.latency)
        kind, _, name = self.path.strip("/").partition("/")
        if not name.isdigit():
            return self._send(404, b"", "")
        number = int(name)
        if kind == "changed":
            self.versions[number] = self.versions.get(number, 0) + 1
            return self._send(200, b"ok", "")
        tag = f'"{number}-{self.versions.get(number, 0)}"'
        if self.headers.get("If-None-Match") == tag:
            return self._send(304, b"", tag)
        return self._send(200, article(number, self.characters, self.versions.get(number, 0)).encode(), tag)

    def _send(self, status: int, body: bytes, tag: str) -> None:
        self.send_response(status)
        if tag:
            self.send_header("ETag", tag)
        if status != 304:
            self.send_header("Content-Type", "text/markdown; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def serve(latency: float) -> Iterator[int]:
    """The site in a process of its own; gives its port."""
    command = [sys.executable, __file__, "--serve", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def serve_hosts() -> None:
    """Serve on 127.0.0.1 to 127.0.0.8 with one port, and print it."""
    first = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    port = int(first.server_address[1])
    servers = [first, *(ThreadingHTTPServer((f"127.0.0.{number}", port), Site) for number in range(2, 9))]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    print(port, flush=True)


class Times:
    """Wall and processor seconds of one side of a ratio, over the rounds."""

    def __init__(self) -> None:
        self._wall: list[float] = []
        self._processor: list[float] = []

    def add(self, work: Callable[[], object]) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        work()
        self._wall.append(time.perf_counter() - wall)
        self._processor.append(time.process_time() - processor)

    @property
    def wall(self) -> float:
        return statistics.median(self._wall)

    @property
    def processor(self) -> float:
        return statistics.median(self._processor)

    def __str__(self) -> str:
        return f"{self.wall:.2f} s, processor {self.processor:.2f} s"


def measure_embedding(rounds: int, count: int) -> list[list[str]]:
    """The roadmap's own documents through the real model: as ingest does it, and the model alone on the same texts."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = LocalEncoder(cache=Path(folder))
        settings = IndexSettings(encoder.identity, encoder.limit)
        chosen, texts = [], []
        for document in documents(load_roadmap(ROADMAP)):
            passages = [embedded_text(passage) for passage in chunk(document, encoder.token_spans, limit=encoder.limit)]
            if len(texts) + len(passages) > count:
                break
            chosen.append(document)
            texts += passages
        texts = sorted(dict.fromkeys(texts), key=len)
        encoder.encode(texts[:32])

        def through_ingest(number: int) -> None:
            cache = EmbeddingCache(Path(folder) / f"{number}.sqlite")
            embedder = PassageEmbedder(encoder, encoder.identity, cache, encoder.token_spans, settings)
            for document in chosen:
                embedder.add(document)
            while embedder.waiting:
                embedder.embed_some()
            assert embedder.embedded == len(texts)

        alone, whole = Times(), Times()
        for number in range(rounds):
            alone.add(lambda: encoder.encode(texts))
            whole.add(functools.partial(through_ingest, number))
    busy = alone.processor / whole.processor
    return [
        [f"{len(texts)} texts by the model alone, sorted, batched", f"{alone}", "1.00", ""],
        ["cut, looked up, embedded, stored", f"{whole}", f"{alone.wall / whole.wall:.2f} (processor {busy:.2f})", "at least 0.90"],
    ]


def measure_refresh(rounds: int, count: int, latency: float) -> list[list[str]]:
    """A refresh with nothing changed against fetching the same 304s alone; then one with one page changed."""
    with serve(latency) as port, tempfile.TemporaryDirectory() as folder:
        urls = [f"http://127.0.0.{number % 8 + 1}:{port}/page/{number}" for number in range(count)]
        home = Home(Path(folder), urls)
        with home.web() as web:
            first = home.ingestor(web).run(Request())
        assert first.summary.new == count + 1, first.summary
        size = sum(path.stat().st_size for path in (home.index.folder / "generations").rglob("*"))

        def fetch_alone() -> None:
            with home.web() as web:
                states = home.corpus.states()
                with Arrivals(web, home.roadmap.sources(), states, conditional=True, stopped=lambda: False) as arrivals:
                    answers = [arrivals.next() for _ in urls]
            assert all(answer and answer.page and answer.page.body is None for answer in answers)

        def refresh() -> None:
            with home.web() as web:
                report = home.ingestor(web).run(Request())
            assert (report.summary.unchanged, report.summary.embedded) == (count + 1, 0)
            assert report.summary.generation == first.summary.generation

        alone, whole = Times(), Times()
        for _ in range(rounds):
            alone.add(fetch_alone)
            whole.add(refresh)
        fast, slow = alone.wall, whole.wall

        with home.web() as web:
            web.fetch(f"http://127.0.0.1:{port}/changed/3")
            started = time.perf_counter()
            changed = home.ingestor(web).run(Request())
            cost = time.perf_counter() - started
        assert (changed.summary.changed, changed.summary.unchanged) == (1, count), changed.summary
        generation = home.index.folder / "generations" / str(changed.summary.generation)
        started = time.perf_counter()
        shutil.copytree(generation, Path(folder) / "copy")
        copied = time.perf_counter() - started
    return [
        [f"{count} answers 304 alone ({latency * 1000:.0f} ms a request)", f"{alone}", "1.00", ""],
        ["refresh, nothing changed, 0 embedded, 0 written", f"{whole}", f"{slow / fast:.2f}", "at most 1.20"],
        [f"refresh, one of {count} pages changed", f"{cost:.2f} s, {changed.summary.embedded} embedded", f"{cost / fast:.2f}", ""],
        [f"  of which a plain copy of the index ({size / 1e6:.0f} MB)", f"{copied:.2f} s", f"{copied / fast:.2f}", ""],
    ]


class Articles:
    """Implements ``domain.Fetcher``: articles made on the spot."""

    def __init__(self, characters: int, write: Callable[[int, int], str]) -> None:
        self._characters = characters
        self._write = write

    def fetch(self, url: str, validators: Validators | None = None) -> Page:
        body = self._write(int(url.rpartition("/")[2]), self._characters).encode()
        return Page(url, url, 200, "text/markdown", body, datetime.now(UTC).isoformat())


def measure_memory(count: int, characters: int) -> list[list[str]]:
    """Peak memory of processes that ingest many long articles, a tenth of them, and a fortieth with the real model."""
    rows = []
    for part, encoder in ((max(1, count // 10), "hash"), (count, "hash"), (max(1, count // 40), "real")):
        command = [sys.executable, __file__, "--ingest", str(part), str(characters), encoder]
        values = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        what = f"{part} documents of {characters // 1000} kB, {values['chunks']} passages, "
        rows.append(
            [
                what + ("the included model" if encoder == "real" else "an encoder that costs nothing"),
                f"{values['megabytes']} MB at most, {values['seconds']:.0f} s",
                f"{values['megabytes'] / 1536:.2f}",
                "at most 1.00 of 1.5 GB",
            ]
        )
    return rows


def ingest_many(count: int, characters: int, encoder: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        real = LocalEncoder(cache=Path(folder) / "index" / "cache") if encoder == "real" else None
        home = Home(Path(folder), [f"https://host{number % 50}.example/{number}" for number in range(count)], real)
        report = home.ingestor(Articles(characters, prose if real else article)).run(Request())
        assert report.summary.new == count + 1, report.summary
        chunks = sum(row.chunks for row in report.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024 * 1024)
    print(json.dumps({"megabytes": peak, "seconds": report.summary.seconds, "chunks": chunks}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer texts and documents: a look, not a measurement")
    parser.add_argument("--only", choices=["embedding", "refresh", "memory"])
    parser.add_argument("--documents", type=int, default=2_000, help="documents of 100 kB for the memory (default 2000)")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that the site takes for an answer (default 0.05)")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--ingest", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        Site.latency = options.serve
        serve_hosts()
    if options.ingest is not None:
        count, characters, encoder = options.ingest
        return ingest_many(int(count), int(characters), encoder)
    rounds, texts, pages = (1, 96, 40) if options.quick else (3, 256, 200)
    parts = {
        "embedding": lambda: measure_embedding(rounds, texts),
        "refresh": lambda: measure_refresh(rounds, pages, options.latency),
        "memory": lambda: measure_memory(50 if options.quick else options.documents, 100_000),
    }
    print("| what | measured | ratio | wanted |\n|---|---|---|---|")
    for name, measure in parts.items():
        if options.only in (None, name):
            for row in measure():
                print("| " + " | ".join(row) + " |", flush=True)
    return None


if __name__ == "__main__":
    main()

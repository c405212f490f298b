"""Other ways to search on the golden questions, stored as runs; `roadmap-rag eval --suite retrieval --compare RUN` compares with them.

    python tests/benchmarks/retrieval_baselines.py NAME... [--compare RUN]

`words`: the passages of the index, BM25 alone. `last-turn`: the product without the conversation before the question. `fused`: passages of
256 pieces cut without headings or titles, BM25 and MiniLM fused by reciprocal rank. `llamaindex`: its defaults, sentences packed to 1,024
tokens with 200 of overlap, dense search only; these two embed the corpus, some minutes each. All search for the last turn alone. With
`--compare`, a run of the suite, the report says what they lack against it.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from roadmap_rag.chunk import chunk
from roadmap_rag.domain import Document, Hit
from roadmap_rag.evaluation.golden import Question, load_questions
from roadmap_rag.evaluation.retrieval import DEPTH
from roadmap_rag.evaluation.suites import Wanted, run_retrieval
from roadmap_rag.index import Generation
from roadmap_rag.retrieve import Retrieval
from roadmap_rag.retrieve.ranking import fuse
from roadmap_rag.text import terms
from roadmap_rag.wiring import App, read_config

DATA = Path(__file__).parents[2] / "eval"

Find = Callable[[Question], list[Hit]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=SYSTEMS, metavar="NAME", help=", ".join(SYSTEMS))
    parser.add_argument("--compare", metavar="RUN")
    options = parser.parse_args()
    app = App(read_config())
    for name in options.names:
        find = SYSTEMS[name](app)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = Wanted(app, DATA, app.home / "eval" / "results", now, compare_with=options.compare)
        values = run_retrieval(wanted, lambda question, find=find: _retrieval(question, find), f"baseline-{name}")
        print(f"{name}: stored as {values['run']}, report {values['report']}")
        for note in values["notes"]:
            print(f"  {note}")


def _retrieval(question: Question, find: Find) -> Retrieval:
    return Retrieval(question.question, question.question, tuple(find(question)), 0.0)


def last_turn(app: App) -> Find:
    return lambda question: list(app.retriever.search(question.question, k=DEPTH).hits)


def words_alone(app: App) -> Find:
    generation = app.index.open()

    def search(question: Question) -> list[Hit]:
        rows = [row for row, _ in generation.lexical(terms(question.question), DEPTH)]
        passages = generation.passages(rows)
        return _hits(generation, [(passages[row].chunk.url, passages[row].chunk.text) for row in rows], range(len(rows)))

    return search


def _embedder(app: App) -> tuple[Callable, dict[str, np.ndarray]]:
    """The embedder as others call it, and the vectors of the questions by id."""
    model = app.encoder._load_model()

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.asarray(model.encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False))

    questions = load_questions(DATA / "golden")
    return embed, dict(zip([question.id for question in questions], embed([question.question for question in questions]), strict=True))


def _hits(generation: Generation, passages: Sequence[tuple[str, str]], order: Sequence[int]) -> list[Hit]:
    documents = generation.documents()
    return [
        Hit(rank, 0.0, False, passages[row][0], "", "", passages[row][1], 0, 0, None, also=documents[passages[row][0]].also)
        for rank, row in enumerate(order, start=1)
    ]


def fused(app: App) -> Find:
    generation, (embed, queries) = app.index.open(), _embedder(app)
    passages = []
    for url in generation.documents():
        text = re.sub(r"(?m)^#+ ", "", generation.text(url) or "")  # no heading, no section: plain pieces
        passages += [(url, piece.text) for piece in chunk(Document(url, "", text, ""), app.encoder.token_spans, limit=256)]
    return hybrid(generation, passages, [text for _, text in passages], embed, queries)


def hybrid(generation: Generation, passages: Sequence[tuple[str, str]], embedded: Sequence[str], embed: Callable, queries: dict) -> Find:
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


def llamaindex(app: App) -> Find:
    from llama_index.core.node_parser import SentenceSplitter

    generation, (embed, queries) = app.index.open(), _embedder(app)
    splitter = SentenceSplitter()
    passages = [(url, text) for url in generation.documents() for text in splitter.split_text(generation.text(url) or "")]
    vectors = embed([text for _, text in passages])
    return lambda question: _hits(generation, passages, [int(row) for row in np.argsort(-(vectors @ queries[question.id]))[:DEPTH]])


SYSTEMS = {"words": words_alone, "last-turn": last_turn, "fused": fused, "llamaindex": llamaindex}

if __name__ == "__main__":
    sys.exit(main())

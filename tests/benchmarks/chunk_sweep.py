"""What size, overlap and prefix of passages are worth on the development half of the golden questions.

    python tests/benchmarks/chunk_sweep.py      (it embeds the corpus of the home once for each row: minutes each)

Each row cuts every stored document anew and searches with cosine and BM25 fused by reciprocal rank, nothing joined, no weights fitted: the
rows differ in the passages only. ``prefix`` is the "title, section" line before the text. Sizes are in tokens of the embedder.
"""

from __future__ import annotations

import sys
from statistics import fmean

import numpy as np
from retrieval_baselines import DATA, hybrid

from roadmap_rag.chunk import chunk
from roadmap_rag.domain import Document
from roadmap_rag.encoders import EmbeddingCache, cache_key
from roadmap_rag.evaluation.golden import load_questions
from roadmap_rag.evaluation.retrieval import score
from roadmap_rag.index import embedded_text
from roadmap_rag.wiring import App, read_config

ROWS = [(256, 0, True), (256, 0, False), (256, 48, True), (192, 0, True), (192, 48, True), (128, 0, True), (128, 32, True), (96, 0, True)]
SHOWN = ("passage hit@5", "document hit@5", "MRR", "recall in 2,000 characters", "recall in 4,000 characters", "recall in 6,000 characters")


def main() -> None:
    app = App(read_config())
    model = app.encoder._load_model()
    generation = app.index.open()
    documents = generation.documents()
    cache = EmbeddingCache(app.index.cache / "sweep.sqlite")  # so that a run that is cut short goes on

    def embed(texts: list[str]) -> np.ndarray:
        keys = [cache_key(app.encoder.identity, text) for text in texts]
        found = cache.get(keys)
        missing = [(key, text) for key, text in zip(keys, texts, strict=True) if key not in found]
        for first in range(0, len(missing), 512):
            part = missing[first : first + 512]
            vectors = model.encode([text for _, text in part], batch_size=32, normalize_embeddings=True, show_progress_bar=False)
            cache.put(dict(zip([key for key, _ in part], vectors, strict=True)))
        found = cache.get(keys)
        return np.stack([found[key] for key in keys])

    questions = [question for question in load_questions(DATA / "golden") if question.half == "dev" and question.answerable]
    queries = {question.id: app.encoder.encode([question.question], query=True)[0] for question in questions}
    print("| tokens | overlap | prefix | passages | characters each | " + " | ".join(SHOWN) + " |")
    print("|---" * (5 + len(SHOWN)) + "|")
    for limit, overlap, prefix in ROWS:
        pieces = [
            piece
            for url, document in documents.items()
            for piece in chunk(
                Document(url, document.title if prefix else "", generation.text(url) or "", document.kind),
                app.encoder.token_spans,
                limit=limit,
                overlap=overlap,
            )
        ]
        embedded = [embedded_text(piece) if prefix else piece.text for piece in pieces]
        search = hybrid(generation, [(piece.url, piece.text) for piece in pieces], embedded, embed, queries)
        scores = [score(question.evidence, search(question)) for question in questions]
        length = fmean(len(piece.text) for piece in pieces)
        shown = " | ".join(f"{fmean(one[name] for one in scores):.3f}" for name in SHOWN)
        print(f"| {limit} | {overlap} | {'yes' if prefix else 'no'} | {len(pieces)} | {length:.0f} | {shown} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())

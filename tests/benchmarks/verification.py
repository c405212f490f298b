"""What checking an answer costs: ten sentences against eight passages, with the passages' vectors at hand and without; and quotes.

    python tests/benchmarks/verification.py [--repeat N]      on the index of ROADMAP_RAG_HOME

Bar: at most 300 ms with the vectors at hand. Times are medians over questions, in milliseconds, with the 95th percentile.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from roadmap_rag.citations import verify
from roadmap_rag.domain import Hit
from roadmap_rag.quotes import compose
from roadmap_rag.retrieve import Retriever
from roadmap_rag.text import sentence_spans
from roadmap_rag.wiring import App, read_config

QUESTIONS = (
    "What is LoRA?",
    "How does the attention mechanism work?",
    "What does a sparse autoencoder learn?",
    "How is a reward model trained?",
    "Which quantization methods keep outliers?",
    "How does retrieval-augmented generation work?",
    "What is direct preference optimization?",
    "How do I serve a model with vLLM?",
)
SENTENCES = 10


def draft(hits: Sequence[Hit]) -> str:
    """Ten sentences of the passages, each a little changed, as a small model writes them."""
    found = [
        hit.text[start:end]
        for hit in hits
        for start, end in sentence_spans(hit.text)
        if 60 < end - start < 250 and "\n" not in hit.text[start:end]
    ]
    step = max(1, len(found) // SENTENCES)
    return " ".join(f"In short, {text[0].lower()}{text[1:].rstrip('.:')}." for text in found[::step][:SENTENCES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="how often each question is measured with vectors at hand")
    repeat = parser.parse_args().repeat
    app = App(read_config())
    retriever = Retriever(app.index, app.index_settings, app.encoder)
    cold: list[float] = []
    warm: list[float] = []
    quotes: list[float] = []
    again: list[float] = []
    app.encoder.encode(["the session starts"], query=True)

    for question in QUESTIONS:
        hits = retriever.search(question, k=8).hits

        def encode(texts: Sequence[str]):  # type: ignore[no-untyped-def]
            return app.encoder.encode(texts, query=True)

        text = draft(hits)
        cold.append(_milliseconds(lambda: verify(text, hits, encode, read=app.encoder.encode_question)))  # noqa: B023 -- called at once
        sentences = len(verify(text, hits, encode, read=app.encoder.encode_question).sentences)
        for number in range(repeat):  # the claims are new each time, as they are in a new answer
            changed = text.replace("In short", f"In short {number}, then")
            warm.append(_milliseconds(lambda: verify(changed, hits, encode, read=app.encoder.encode_question)))  # noqa: B023
        quotes.append(_milliseconds(lambda: compose(question, hits, encode)))  # noqa: B023
        again.append(_milliseconds(lambda: compose(question, hits, encode)))  # noqa: B023
        print(f"{question:50} {len(hits)} passages, {sentences} sentences")
    for name, times in (
        ("check, nothing at hand", cold),
        ("check, vectors at hand", warm),
        ("quotes, nothing at hand", quotes),
        ("quotes again", again),
    ):
        print(
            f"{name:26} median {statistics.median(times):7.1f} ms   95th percentile {sorted(times)[int(0.95 * (len(times) - 1))]:7.1f} ms   n={len(times)}"  # noqa: E501
        )


def _milliseconds(call) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()

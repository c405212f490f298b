"""Ragas as a judge: the only module that knows it. An extra: ``pip install 'roadmap-rag[evaluation]'``.

The judge model answers through an OpenAI-compatible address, Ollama's or any other, held to the schema of each reply. One request at a
time, a long time-out, one more try; whatever fails is the reason of a score that was not given. All calls run on one event loop that
stays open, because a client does not survive a second one.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Sequence
from typing import Any

from roadmap_rag.citations import Encode
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.judging import Case, Score

MEASURES = ("faithfulness", "response relevancy", "context precision", "context recall", "factual correctness")
TIMEOUT = 600.0
"""Seconds for one request: a model on a CPU reads a judge's prompt slowly."""
TRIES = 2
MAX_TOKENS = 1024
PASSAGE_CHARACTERS = 4_000
"""Of all passages together: through this address Ollama's window stays at 4,096 tokens, and the metrics' own prompts take up to 1,330."""


class RagasJudge:
    """Scores through ``ragas.metrics.collections``. Raises SettingsError when the extra is not installed."""

    def __init__(self, model: str, base_url: str, encode: Encode) -> None:
        os.environ["RAGAS_DO_NOT_TRACK"] = "true"
        try:
            import instructor
            from openai import AsyncOpenAI
            from ragas.embeddings.base import BaseRagasEmbedding
            from ragas.llms.base import InstructorLLM
            from ragas.metrics import collections
        except ImportError as error:
            raise SettingsError(f"ragas cannot be imported ({error}); run: pip install 'roadmap-rag[evaluation]'") from error

        class OwnEmbeddings(BaseRagasEmbedding):  # type: ignore[misc]  # Ragas has no types
            """The project's own embedder, as Ragas knows embedders."""

            def embed_text(self, text: str, **_: Any) -> list[float]:
                return [float(value) for value in encode([text])[0]]

            async def aembed_text(self, text: str, **_: Any) -> list[float]:
                return self.embed_text(text)

        client = AsyncOpenAI(base_url=base_url, api_key="none", timeout=TIMEOUT, max_retries=0)
        llm = InstructorLLM(
            client=instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA),
            model=model,
            provider="openai",
            temperature=0,
            max_tokens=MAX_TOKENS,
            seed=1,
        )
        self._metrics: dict[str, Any] = {
            "faithfulness": collections.Faithfulness(llm=llm),
            "response relevancy": collections.AnswerRelevancy(llm=llm, embeddings=OwnEmbeddings(), strictness=1),
            "context precision": collections.ContextPrecisionWithReference(llm=llm),
            "context recall": collections.ContextRecall(llm=llm),
            "factual correctness": collections.FactualCorrectness(llm=llm),
        }
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.close()

    def score(self, case: Case, measures: Sequence[str]) -> dict[str, Score]:
        return {name: self._score(name, case) for name in measures}

    def _score(self, name: str, case: Case) -> Score:
        begun, reason = time.perf_counter(), ""
        for _ in range(TRIES):
            try:
                value = float(self._runner.run(self._metrics[name].ascore(**_arguments(name, case))).value)
            except Exception as error:  # noqa: BLE001 -- whatever a metric, its client or its parser raises is a score not given
                reason = f"{type(error).__name__}: {error}"[:300]
                continue
            if not math.isnan(value):
                return Score(min(1.0, max(0.0, value)), "", time.perf_counter() - begun)
            reason = "the metric gave no number"
        return Score(None, reason, time.perf_counter() - begun)


def _arguments(name: str, case: Case) -> dict[str, Any]:
    passages, left = [], PASSAGE_CHARACTERS
    for hit in case.passages:
        passages.append(hit.text[:left])
        left -= len(hit.text)
        if left <= 0:
            break
    known: dict[str, Any] = {"user_input": case.question, "response": case.answer, "reference": case.reference}
    known["retrieved_contexts"] = passages
    wanted = {
        "faithfulness": ("user_input", "response", "retrieved_contexts"),
        "response relevancy": ("user_input", "response"),
        "context precision": ("user_input", "reference", "retrieved_contexts"),
        "context recall": ("user_input", "reference", "retrieved_contexts"),
        "factual correctness": ("response", "reference"),
    }
    return {key: known[key] for key in wanted[name]}

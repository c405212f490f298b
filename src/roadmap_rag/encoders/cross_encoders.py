"""Cross-encoders of sentence-transformers, which read two texts together: a question with a passage, or a passage with a claim.

Off unless a setting names one: on a CPU they cost more than the whole search, or the whole check. Nothing is loaded before it is needed,
and code that comes with a model is never run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadmap_rag.errors import EncoderError

BATCH = 16


class _CrossEncoder:
    """``folder`` holds the model; ``kind`` is what messages call it."""

    kind = "cross-encoder"

    def __init__(self, name: str, folder: Path, *, device: str = "auto") -> None:
        self.name = name
        self._folder, self._device = folder, device
        self._model: Any = None

    def _predict(self, pairs: Sequence[tuple[str, str]], **options: Any) -> Any:
        """Shape (pairs,), or (pairs, labels)."""
        return self._loaded().predict(list(pairs), batch_size=BATCH, show_progress_bar=False, **options)

    def _check(self, model: Any) -> None:
        """Raise EncoderError when a loaded model does something else."""

    def _loaded(self) -> Any:
        if self._model is None:
            os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
            import transformers
            from sentence_transformers import CrossEncoder

            transformers.utils.logging.disable_progress_bar()
            device = None if self._device == "auto" else self._device
            try:
                model = CrossEncoder(str(self._folder), device=device, local_files_only=True, trust_remote_code=False)
            except (OSError, ValueError, RuntimeError) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise EncoderError(f"the {self.kind} {self.name} cannot be loaded: {reason}; run: roadmap-rag doctor") from error
            self._check(model)
            self._model = model
        return self._model


class CrossEncoderReranker(_CrossEncoder):
    """Implements ``retrieve.Reranker``."""

    kind = "reranker"

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers the question; larger is better, the scale is the model's own."""
        return [float(score) for score in self._predict([(question, passage) for passage in passages])] if passages else []

    def _check(self, model: Any) -> None:
        if model.num_labels != 1:
            raise EncoderError(f"{self.name} gives {model.num_labels} numbers a passage: it is no reranker; choose another")


class EntailmentModel(_CrossEncoder):
    """A model of natural language inference; implements ``citations.Entails``."""

    kind = "claim reader"

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, float]]:
        """For each (premise, claim) the probabilities that the premise entails the claim and that it contradicts it."""
        if not pairs:
            return []
        from torch.nn import Identity

        labels = self._labels(self._loaded())
        shares = self._predict(pairs, activation_fn=Identity(), apply_softmax=True)
        of = {label: [float(share) for share in column] for label, column in zip(labels, shares.T, strict=True)}
        return list(zip(of["entailment"], of.get("contradiction", [0.0] * len(pairs)), strict=True))

    def _check(self, model: Any) -> None:
        if "entailment" not in self._labels(model):
            raise EncoderError(f"{self.name} has no label named entailment: it is no model of language inference; choose another")

    def _labels(self, model: Any) -> list[str]:
        names = model.config.id2label
        return [str(names[number]).casefold() for number in sorted(names)]

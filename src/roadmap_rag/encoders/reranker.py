"""A cross-encoder of sentence-transformers: it reads the question together with each passage and says how well they fit.

Off unless a setting names one: on a CPU it costs more than the whole search. Nothing is loaded before the first question.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadmap_rag.errors import EncoderError

BATCH = 16


class CrossEncoderReranker:
    """Implements ``retrieve.Reranker``. ``folder`` holds the model; code that comes with a model is never run."""

    def __init__(self, name: str, folder: Path, *, device: str = "auto") -> None:
        self.name = name
        self._folder, self._device = folder, device
        self._model: Any = None

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers the question; larger is better, the scale is the model's own."""
        if not passages:
            return []
        pairs = [(question, passage) for passage in passages]
        return [float(score) for score in self._load().predict(pairs, batch_size=BATCH, show_progress_bar=False)]

    def _load(self) -> Any:
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
                raise EncoderError(f"the reranker {self.name} cannot be loaded: {reason}; run: roadmap-rag doctor") from error
            if getattr(model, "num_labels", 1) != 1:
                raise EncoderError(f"{self.name} gives {model.num_labels} numbers a passage: it is no reranker; choose another")
            self._model = model
        return self._model

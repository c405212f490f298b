"""An embedding model that a server runs, such as Ollama: the texts go there in batches, vectors come back.

Nothing tells how the server cuts a text into tokens, so passages are measured with pieces of five letters. On the indexed articles these
are 1.14 times as many as MiniLM's own (median of 434 stretches of 1,000 characters; .97 at the first percentile).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from roadmap_rag.encoders.profiles import profile
from roadmap_rag.encoders.words import Vectors
from roadmap_rag.errors import EncoderError

BATCH = 64
LONGEST_PASSAGE = 512
"""Pieces of a passage at most: a window of thousands of tokens would find chapters, not passages."""
_PIECE = re.compile(r"[A-Za-z]{1,5}|[^\sA-Za-z]")

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]


class ServedEncoder:
    """Implements ``domain.Encoder`` through a server.

    ``embed`` gives one vector a text, in order; ``digest`` names the weights and goes into ``identity``, so that vectors of two models, or
    of one model served in two ways, never meet in one index; ``context`` is what the model reads, in tokens (None: unknown).
    """

    def __init__(self, name: str, embed: Embed, *, digest: str, context: int | None) -> None:
        self.name = name
        self.profile = profile(name)
        self.identity = f"{name}@{digest.removeprefix('sha256:')[:12]}"
        self.limit = min(self.profile.limit or context or LONGEST_PASSAGE, context or LONGEST_PASSAGE, LONGEST_PASSAGE)
        self._embed = embed

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        prefix = self.profile.query_prefix if query else self.profile.passage_prefix
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # a batch of equal lengths wastes nothing on padding
        rows: list[Sequence[float]] = []
        for first in range(0, len(order), BATCH):
            rows.extend(self._embed([prefix + texts[place] for place in order[first : first + BATCH]]))
        if len(rows) != len(texts) or len({len(row) for row in rows}) != 1:
            raise EncoderError(f"{self.name} gave {len(rows)} vectors for {len(texts)} texts; choose another embedder")
        vectors = np.empty((len(texts), len(rows[0])), dtype=np.float32)
        vectors[order] = np.asarray(rows, dtype=np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Offsets of pieces that few tokenizers cut finer."""
        return [match.span() for match in _PIECE.finditer(text)]

    def export(self) -> bool:
        """Questions go to the server as passages do: there is nothing to write."""
        return False

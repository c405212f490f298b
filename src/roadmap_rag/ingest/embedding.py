"""Passages on their way to the embedder: gathered, so that they go in large batches, and looked up first, so that none goes twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roadmap_rag import chunk as chunking
from roadmap_rag.domain import Document, Encoder
from roadmap_rag.encoders import EmbeddingCache, cache_key
from roadmap_rag.index import IndexSettings, embedded_text

WORTH_STARTING = 32
"""Texts that are worth a call of the embedder while the network is slow."""
AT_ONCE = 512
"""Texts in one call: they are sorted by length inside it, so more is faster, and a kill loses no more than these."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class PassageEmbedder:
    """Embeds the passages of documents into the cache. ``embedded`` counts the texts that the model was given."""

    def __init__(
        self, encoder: Encoder, identity: str, cache: EmbeddingCache, token_spans: chunking.TokenSpans, settings: IndexSettings
    ) -> None:
        self._encoder = encoder
        self._identity = identity
        self._cache = cache
        self._token_spans = token_spans
        self._settings = settings
        self._pending: list[str] = []
        self._seen: set[str] = set()
        self.embedded = 0

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def add(self, document: Document) -> None:
        """Take in a document's passages; embed when many are waiting."""
        if document.id in self._seen:
            return
        self._seen.add(document.id)
        passages = chunking.chunk(document, self._token_spans, limit=self._settings.limit, overlap=self._settings.overlap)
        self._pending.extend(embedded_text(passage) for passage in passages)
        while len(self._pending) >= AT_ONCE:
            self.embed_some()

    def embed_some(self) -> None:
        """Embed the texts that have waited longest."""
        texts, self._pending = self._pending[:AT_ONCE], self._pending[AT_ONCE:]
        self.embed(texts)

    def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Vectors in the order of the texts, from the cache where it has them, and how many the model had to compute."""
        keys = [cache_key(self._identity, text) for text in texts]
        vectors = self._cache.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            fresh = dict(zip(missing, self._encoder.encode(list(missing.values())), strict=True))
            self._cache.put(fresh)
            vectors |= fresh
            self.embedded += len(missing)
        return np.array([vectors[key] for key in keys], dtype=np.float32), len(missing)

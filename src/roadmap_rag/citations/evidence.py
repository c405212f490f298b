"""Passages as evidence: stretches of one or two sentences with what a claim is compared by, and their vectors."""

from __future__ import annotations

import functools
import itertools
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from roadmap_rag.text import sentence_spans, stem, words

Encode = Callable[[Sequence[str]], "np.ndarray[Any, np.dtype[np.float32]]"]


class ReadText(Protocol):
    """A text as an encoder with word vectors reads it: its words in order, and a unit vector for each; shape (words, dimensions)."""

    @property
    def words(self) -> tuple[str, ...]: ...

    @property
    def word_vectors(self) -> np.ndarray[Any, np.dtype[np.float32]]: ...


Read = Callable[[str], ReadText]
Entails = Callable[[Sequence[tuple[str, str]]], Sequence[tuple[float, float]]]
"""A model of language inference: for each (premise, claim) the probabilities of entailment and of contradiction."""

MAX_QUOTE = 400
"""Characters of a quote at most."""
_BATCH = 8
_VECTORS_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Stretch:
    """``text == passage[start:end]``, one or two sentences; ``parts`` are these."""

    start: int
    end: int
    text: str
    parts: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def stretches(passage: str) -> tuple[Stretch, ...]:
    """Every sentence of a passage, then every two that stand next to each other, none longer than a quote may be."""
    spans = [piece for start, end in sentence_spans(passage) for piece in _cut(passage, start, end)]
    single = [Stretch(start, end, passage[start:end], (passage[start:end],)) for start, end in spans]
    pairs = [
        Stretch(first.start, second.end, passage[first.start : second.end], (first.text, second.text))
        for first, second in itertools.pairwise(single)
        if second.end - first.start <= MAX_QUOTE
    ]
    return tuple(single + pairs)


def _cut(passage: str, start: int, end: int) -> list[tuple[int, int]]:
    """A stretch that is longer than a quote may be, in pieces: at line ends, else at clauses, else at words."""
    pieces: list[tuple[int, int]] = []
    while end - start > MAX_QUOTE:
        window = passage[start : start + MAX_QUOTE]
        at = max(window.rfind("\n"), 0) or max(window.rfind(mark) + 1 for mark in ("; ", ", ", ": ")) or window.rfind(" ")
        at = at if at > 40 else MAX_QUOTE
        pieces.append((start, start + len(window[:at].rstrip())))
        start += at
        start += len(passage[start:end]) - len(passage[start:end].lstrip())
    if end > start:
        pieces.append((start, end))
    return pieces


class VectorMemory:
    """Unit vectors of texts, the last few thousand of each encoder, so that the passages of a question are embedded once."""

    def __init__(self, size: int = _VECTORS_KEPT) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[Encode, str], np.ndarray[Any, np.dtype[np.float32]]] = OrderedDict()
        self._lock = threading.Lock()

    def vectors(self, encode: Encode, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One row per text, in order."""
        with self._lock:
            known = {text: self._kept[encode, text] for text in texts if (encode, text) in self._kept}
        missing = sorted({text for text in texts if text not in known}, key=len)
        for first in range(0, len(missing), _BATCH):  # of like length, since a batch is as wide as its longest text
            batch = missing[first : first + _BATCH]
            known.update(zip(batch, encode(batch), strict=True))
        with self._lock:
            for text in texts:
                self._kept[encode, text] = known[text]
                self._kept.move_to_end((encode, text))
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return np.stack([known[text] for text in texts])


@functools.lru_cache(maxsize=1_024)
def read_words(read: Read, text: str) -> ReadText:
    """What ``read`` says of a text, remembered."""
    return read(text)


@functools.lru_cache(maxsize=8_192)
def stems(text: str) -> tuple[str, ...]:
    """Stems of all words, stop words too, in order; a compound is followed by its parts."""
    found: list[str] = []
    for word in words(text):
        word = word.removesuffix("'s").removesuffix("’s")
        found.append(stem(word))
        parts = [part for part in re.split(r"[-_.'’/+#&]", word) if part]
        if len(parts) > 1:
            found.extend(stem(part) for part in parts)
    return tuple(found)

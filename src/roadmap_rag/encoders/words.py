"""Word vectors: what a model says about each word of a text, for late interaction (Khattab and Zaharia 2020, ColBERT).

A passage's one vector blurs what its sentences say. Comparing every word of a question with every word of a passage finds the passage again
that answers it, and the vectors cost nothing extra: the model computes them anyway before it averages them. The pieces of a word are
averaged, punctuation and words without a subject are dropped, the 384 dimensions of the included model are reduced to 96 by principal
components, and each number is kept as one byte: about 7 kB a passage, in one SQLite file for each model, keyed by the digest of the
embedded text. On the development questions nothing is lost by that against 128 dimensions and all words.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from roadmap_rag.files import writing
from roadmap_rag.recent import Recent

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.int8]]

_SCALE = 254.0
"""A byte holds components of a unit vector up to 0.5 either way; larger ones do not occur after the reduction."""
_TOGETHER = 16
"""Passages whose words are compared at once: their numbers stay in the processor's cache, a third quicker than all at once."""
_LOOKUP = 500
_ROOM = 64 << 20
"""Bytes of word vectors kept in memory: some 10,000 passages."""


@dataclass(frozen=True, slots=True)
class EncodedQuestion:
    """A question's unit vector, its words in order, and a unit vector for each of them."""

    vector: Vectors
    words: tuple[str, ...]
    word_vectors: Vectors


class Encoding(Protocol):
    """What is used of ``tokenizers.Encoding``."""

    @property
    def word_ids(self) -> Sequence[int | None]: ...

    @property
    def offsets(self) -> Sequence[tuple[int, int]]: ...


def pool_words(text: str, encoding: Encoding, vectors: Vectors, *, without: Collection[str] = ()) -> tuple[list[str], Vectors]:
    """The words of ``text`` that hold a letter or digit, lower-cased, with the mean of their pieces' vectors; shape (words, dimensions).

    Words of ``without`` are left out, unless nothing else is there.
    """
    groups: dict[int, list[int]] = {}
    for place, word in enumerate(encoding.word_ids[: len(vectors)]):
        if word is not None:
            groups.setdefault(word, []).append(place)
    found: list[str] = []
    starts: list[list[int]] = []
    offsets = encoding.offsets  # a new list each time
    for places in groups.values():
        word_text = text[offsets[places[0]][0] : offsets[places[-1]][1]].lower()
        if any(character.isalnum() for character in word_text):
            found.append(word_text)
            starts.append(places)
    subjects = [number for number, word in enumerate(found) if word not in without]
    if subjects:
        found, starts = [found[number] for number in subjects], [starts[number] for number in subjects]
    if not found:
        return [], np.zeros((0, vectors.shape[1]), dtype=np.float32)
    sizes = [len(places) for places in starts]
    sums = np.add.reduceat(vectors[list(itertools.chain.from_iterable(starts))], np.cumsum([0, *sizes[:-1]]), axis=0)
    return found, np.asarray(sums / np.array(sizes)[:, None], dtype=np.float32)


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), dtype=np.float32)


def reduce(vectors: Vectors, basis: Vectors | None) -> Vectors:
    """Unit vectors in the reduced space."""
    return unit(vectors if basis is None else vectors @ basis)


def to_bytes(vectors: Vectors) -> Bytes:
    return np.asarray(np.clip(np.rint(vectors * _SCALE), -127, 127), dtype=np.int8)


def best_similarities(question: Vectors, passages: Sequence[Bytes]) -> Vectors:
    """For each passage and each word of the question the best cosine with any word of the passage; shape (passages, words)."""
    best = np.zeros((len(passages), len(question)), dtype=np.float32)
    asked = np.ascontiguousarray(question.T) / np.float32(_SCALE)
    full = [place for place, passage in enumerate(passages) if len(passage)] if len(question) else []
    for first in range(0, len(full), _TOGETHER):
        part = full[first : first + _TOGETHER]
        starts = np.cumsum([0, *(len(passages[place]) for place in part[:-1])])
        words = np.concatenate([passages[place] for place in part], dtype=np.float32)
        best[part] = np.maximum.reduceat(words @ asked, starts, axis=0)
    return best


class WordVectors:
    """The file. Several processes may read it; the ingest lock allows one writer, and a reader that fills a gap waits its turn."""

    def __init__(self, path: Path, dimensions: int) -> None:
        self._path = path
        self._dimensions = dimensions
        self._recent: Recent[str, Bytes] = Recent(_ROOM, lambda vectors: vectors.nbytes)
        self._lock = threading.Lock()
        self._reading: sqlite3.Connection | None = None
        self._reading_file: int | None = None

    def get(self, keys: Sequence[str]) -> dict[str, Bytes]:
        """The passages that are there, by key; each of shape (words, dimensions)."""
        return self._recent.get(keys, self._read)

    def _read(self, keys: Sequence[str]) -> dict[str, Bytes]:
        found: dict[str, Bytes] = {}
        with self._lock:
            connection = self._open()
            if connection is None:
                return found
            for first in range(0, len(keys), _LOOKUP):
                part = keys[first : first + _LOOKUP]
                marks = ",".join("?" * len(part))
                for key, data in connection.execute(f"SELECT key, vectors FROM words WHERE key IN ({marks})", part):  # noqa: S608 -- only marks
                    found[key] = np.frombuffer(data, dtype=np.int8).reshape(-1, self._dimensions)
        return found

    def _open(self) -> sqlite3.Connection | None:
        """A connection that stays open, for opening one takes longer than reading; None while there is no file."""
        try:
            file = self._path.stat().st_ino
        except FileNotFoundError:
            return None
        if file != self._reading_file:
            if self._reading is not None:
                self._reading.close()
            self._reading = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
            self._reading_file = file
            weakref.finalize(self, self._reading.close)
        return self._reading

    def missing(self, keys: Iterable[str]) -> list[str]:
        wanted = list(dict.fromkeys(keys))
        if not self._path.exists():
            return wanted
        with closing(self._connect()) as connection:
            return [key for key in wanted if connection.execute("SELECT 1 FROM words WHERE key = ?", (key,)).fetchone() is None]

    def put(self, passages: Mapping[str, Bytes]) -> None:
        with writing(self._path), closing(self._connect()) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS words (key TEXT PRIMARY KEY, vectors BLOB NOT NULL)")
            connection.executemany("INSERT OR REPLACE INTO words VALUES (?, ?)", [(key, data.tobytes()) for key, data in passages.items()])

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

"""The search itself: question to candidates to ranked, joined hits."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from roadmap_rag.domain import Encoder, Hit, Turn
from roadmap_rag.encoders.words import Bytes, EncodedQuestion
from roadmap_rag.index import Generation, Index, IndexSettings, Outline, embedded_text
from roadmap_rag.retrieve.joining import MAX_CHARACTERS, Span, join, take_turns
from roadmap_rag.retrieve.question import is_english, make_standalone, sides
from roadmap_rag.retrieve.ranking import Candidates, Numbers, fuse, load_weights, measure
from roadmap_rag.retrieve.relevance import Relevance
from roadmap_rag.retrieve.roadmap_names import Asked, RoadmapNames
from roadmap_rag.roadmap import Roadmap, answer_from_roadmap
from roadmap_rag.text import terms

CANDIDATES = 50
"""From each of the dense and the lexical ranking: .91 of the development questions have their passage among 30, .92 among 60."""
RERANKED = 20
"""Passages that a cross-encoder reads, when one is set: each costs as much as embedding it anew."""
_WITH_NEIGHBOURS = 12
_NAMED = 4
"""Documents of the roadmap that a question names and whose passages become candidates."""
_SUBJECT = 0.7
"""From this strength on a topic or part that a question names is taken to be its subject."""
_COMMON = 0.2
"""A term that stands in more of the passages than this tells little and costs much: it is not searched for, if rarer ones are there."""
_FEWEST_TERMS = 3
_BESIDE = ThreadPoolExecutor(thread_name_prefix="words")
"""Looks the question's words up while it is embedded and Chroma asked; neither holds Python's lock for long."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What was found. ``standalone`` is what was searched for; ``seconds`` is the time that it took.

    ``answerable`` is the estimated probability, 0 to 1, that the passages found answer the question.
    """

    question: str
    standalone: str
    hits: tuple[Hit, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    answerable: float = 0.0


class _LookedUp(NamedTuple):
    """What a question's words find without a vector. ``stated``: where the roadmap itself states the answer, as (link, offset)."""

    terms: tuple[str, ...]
    frequencies: Mapping[str, int]
    lexical: list[tuple[int, float]]
    asked: Asked
    stated: list[tuple[str, int]]


@runtime_checkable
class WordEncoder(Protocol):
    """An encoder that also says what it thinks of each word."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]: ...

    def encode_question(self, text: str) -> EncodedQuestion: ...

    def word_vectors(self, keys: Sequence[str]) -> Mapping[str, Bytes]: ...


class Reranker(Protocol):
    """Reads question and passage together and says how well they fit; larger is better."""

    def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True)
class Ranking:
    """One question's candidates, best first, with their features in the same order."""

    question: str
    terms: tuple[str, ...]
    encoded: EncodedQuestion
    found: Candidates
    outlines: tuple[Outline, ...]
    scores: tuple[float, ...]
    features: Numbers

    @property
    def score_of(self) -> dict[int, float]:
        return {outline.row: score for outline, score in zip(self.outlines, self.scores, strict=True)}


class Retriever:
    """Searches the current generation and opens a newer one between questions. Safe to use from several threads.

    ``roadmap`` gives the roadmap for questions about itself; ``english_only`` says that the embedder reads no other language. A
    ``reranker`` orders the best RERANKED hits anew; their relevance stays what it was.
    """

    def __init__(
        self,
        index: Index,
        settings: IndexSettings,
        encoder: Encoder,
        *,
        roadmap: Callable[[], Roadmap] | None = None,
        english_only: bool = True,
        reranker: Reranker | None = None,
    ) -> None:
        self._index = index
        self._settings = settings
        self._encoder = encoder
        self._roadmap = roadmap
        self._english_only = english_only
        self._reranker = reranker
        self._lock = threading.Lock()
        self._generation: Generation | None = None
        self._names: RoadmapNames | None = None
        self._roadmap_texts: tuple[str, dict[str, str]] | None = None

    def close(self) -> None:
        with self._lock:
            if self._generation is not None:
                self._generation.close()
                self._generation = None

    def generation(self) -> Generation:
        """The current generation, open. Raises IndexMissingError or IndexMismatchError."""
        with self._lock:
            current = self._index.current()
            if self._generation is not None and self._generation.manifest.generation == current:
                return self._generation
            newer = self._index.open(self._settings)
            if self._generation is not None:
                self._generation.close()
            self._generation = newer
            return newer

    def search(
        self,
        question: str,
        *,
        k: int = 8,
        topic: str | None = None,
        history: Sequence[Turn] = (),
        translate: Callable[[str], str] | None = None,
    ) -> Retrieval:
        """The k best passages for a question, best first; all of them when the index holds fewer.

        ``translate`` gives a question in English, or an empty text; it is asked when the embedder reads no other language.
        """
        started = time.perf_counter()
        generation = self.generation()
        standalone, notes = self._prepare(question, history, translate)
        rankings = self.rank((standalone, *sides(standalone)), k=k, topic=topic, generation=generation)
        spans = _spans(rankings, k) if self._reranker is None else self._rerank(standalone, rankings, k, generation, self._reranker)
        relevance = Relevance(rankings, load_weights(words=rankings[0].found.words is not None), lambda url: generation.text(url) or "")
        answerable = relevance.answerable(spans)
        hits = tuple(self._hit(rank, span, relevance, answerable, generation) for rank, span in enumerate(spans, start=1))
        return Retrieval(question, standalone, hits, time.perf_counter() - started, tuple(notes), answerable)

    def _rerank(self, question: str, rankings: Sequence[Ranking], k: int, generation: Generation, reranker: Reranker) -> list[Span]:
        spans = _spans(rankings, max(k, RERANKED))
        documents = generation.documents()
        texts = [
            f"{documents[span.url].title}: {span.section}\n{(generation.text(span.url) or '')[span.start : span.stop]}" for span in spans
        ]
        scores = reranker.scores(question, texts)
        return [spans[place] for place in sorted(range(len(spans)), key=lambda place: (-scores[place], place))][:k]

    def standalone(self, question: str, history: Sequence[Turn]) -> str:
        """The question with what it leaves out of the turns before; as it is when it leaves out nothing."""
        return make_standalone(question, history, self._names_something)

    def rank(
        self, questions: Sequence[str], *, k: int = 8, topic: str | None = None, generation: Generation | None = None
    ) -> list[Ranking]:
        """For each question, which must stand alone, its candidates, best first."""
        generation = generation or self.generation()
        documents = generation.documents()
        urls = None if topic is None else {url for url, document in documents.items() if topic in document.topics}
        count = max(CANDIDATES, k)
        words = [_BESIDE.submit(self._look_up, question, count, urls, generation) for question in questions]
        others = [_BESIDE.submit(self._nearest, question, count, urls, generation) for question in questions[1:]]
        nearest = [self._nearest(questions[0], count, urls, generation), *(other.result() for other in others)]
        return [
            self._rank(question, *near, words_of.result(), urls, generation)
            for question, near, words_of in zip(questions, nearest, words, strict=True)
        ]

    def _rank(
        self,
        question: str,
        encoded: EncodedQuestion,
        dense: list[tuple[int, float]],
        words: _LookedUp,
        urls: set[str] | None,
        generation: Generation,
    ) -> Ranking:
        documents = generation.documents()
        searched, frequencies, lexical, asked, stated = words
        outlines = self._gather(generation, dense, lexical, asked, stated, urls)
        found = Candidates(
            outlines,
            dense,
            lexical,
            {one.url: documents[one.url].title for one in outlines},
            frequencies,
            generation.manifest.chunks,
            self._words(outlines, generation),
            asked,
            frozenset(one.row for url, at in stated for one in outlines if one.url == url and one.start <= at < one.stop),
        )
        features = measure(encoded, searched, found)
        scores = load_weights(words=found.words is not None).score(features)
        order = np.lexsort((np.array([one.row for one in outlines]), -scores))
        return Ranking(
            question,
            searched,
            encoded,
            found,
            tuple(outlines[place] for place in order),
            tuple(scores[order].tolist()),
            features[order],
        )

    def _nearest(
        self, question: str, k: int, urls: Collection[str] | None, generation: Generation
    ) -> tuple[EncodedQuestion, list[tuple[int, float]]]:
        encoded = self._encode(question)
        return encoded, generation.dense(encoded.vector, k, urls)

    def _look_up(self, question: str, k: int, urls: Collection[str] | None, generation: Generation) -> _LookedUp:
        searched = tuple(terms(question))
        frequencies = generation.frequencies(dict.fromkeys(searched))
        lexical = generation.lexical(_telling(searched, frequencies, generation.manifest.chunks), k, urls)
        asked, stated = self._ask_roadmap(question, generation)
        if isinstance(self._encoder, WordEncoder):  # there is time, and they will be needed
            self._encoder.word_vectors([outline.vector for outline in generation.outlines([row for row, _ in lexical]).values()])
        return _LookedUp(searched, frequencies, lexical, asked, stated)

    def _prepare(self, question: str, history: Sequence[Turn], translate: Callable[[str], str] | None) -> tuple[str, list[str]]:
        standalone = self.standalone(question, history)
        if not self._english_only or is_english(standalone):
            return standalone, []
        if translated := translate(standalone) if translate is not None else "":
            return translated, [f"translated for the search: {translated}"]
        return standalone, [
            "the question is not in English, the embedder's only language; ask in English, or start a model: `ask` has it translate"
        ]

    def _names_something(self, text: str) -> bool:
        names = self._roadmap_names()
        return names is not None and any(strength >= _SUBJECT for strength in names.read(text).documents.values())

    def _roadmap_names(self) -> RoadmapNames | None:
        roadmap = self._roadmap() if self._roadmap is not None else None
        if roadmap is not None and (self._names is None or self._names.roadmap is not roadmap):
            self._names = RoadmapNames(roadmap)
        return self._names

    def _encode(self, question: str) -> EncodedQuestion:
        if isinstance(self._encoder, WordEncoder):
            return self._encoder.encode_question(question)
        vector = self._encoder.encode([question], query=True)[0]
        return EncodedQuestion(vector, (), np.zeros((0, len(vector)), dtype=np.float32))

    def _ask_roadmap(self, question: str, generation: Generation) -> tuple[Asked, list[tuple[str, int]]]:
        """What the question asks of the roadmap, and where the stored roadmap states the answer, as (link, offset)."""
        names = self._roadmap_names()
        if names is None:
            return Asked(0.0, {}, frozenset()), []
        if self._roadmap_texts is None or self._roadmap_texts[0] != generation.manifest.generation:
            urls = [url for url in generation.documents() if url.startswith("roadmap:")]
            self._roadmap_texts = generation.manifest.generation, {url: generation.text(url) or "" for url in urls}
        known = answer_from_roadmap(question, names.roadmap, self._roadmap_texts[1])
        stated = [(url, start) for sentence in known.sentences for url, start, _ in sentence.evidence] if known else []
        return names.read(question), stated

    def _gather(
        self,
        generation: Generation,
        dense: Sequence[tuple[int, float]],
        lexical: Sequence[tuple[int, float]],
        asked: Asked,
        stated: Sequence[tuple[str, int]],
        urls: set[str] | None,
    ) -> list[Outline]:
        """The outlines of all candidates: what was found, the neighbours of the best, and the roadmap's documents that are asked for."""
        fused = fuse(dense, lexical)
        found = generation.outlines(fused)
        best = sorted(fused, key=lambda row: -fused[row])[:_WITH_NEIGHBOURS]
        around = {(found[row].url, found[row].place + step) for row in best for step in (-1, 1)}
        named = sorted(asked.documents, key=lambda url: -asked.documents[url])[:_NAMED]
        wanted = [*named, *dict.fromkeys(url for url, _ in stated)]
        more = [*generation.outlines_at(around), *generation.outlines_of([url for url in wanted if urls is None or url in urls])]
        found.update((outline.row, outline) for outline in more)
        return list(found.values())

    def _words(self, outlines: Sequence[Outline], generation: Generation) -> dict[str, Bytes] | None:
        """Word vectors by digest; those that the cache has lost are computed again. None with an encoder that has none."""
        if not isinstance(self._encoder, WordEncoder):
            return None
        words = dict(self._encoder.word_vectors([outline.vector for outline in outlines]))
        lost = [outline.row for outline in outlines if outline.vector not in words]
        if lost:
            passages = generation.passages(lost)
            self._encoder.encode([embedded_text(passage.chunk) for passage in passages.values()])
            words |= self._encoder.word_vectors([outline.vector for outline in outlines if outline.row in passages])
        return words

    def _hit(self, rank: int, span: Span, relevance: Relevance, answerable: float, generation: Generation) -> Hit:
        document = generation.documents()[span.url]
        text = (generation.text(span.url) or "")[span.start : span.stop]
        return Hit(
            rank=rank,
            score=relevance.of(span),
            below_floor=relevance.below_floor(span, answerable),
            url=span.url,
            title=document.title,
            section=span.section,
            text=text,
            start=span.start,
            end=span.stop,
            fetched_at=None if span.url.startswith("roadmap:") else document.fetched_at,
            topics=document.topics,
            also=document.also,
            features=relevance.features(span),
        )


def _telling(searched: Sequence[str], frequencies: Mapping[str, int], passages: int) -> list[str]:
    """The terms that are worth a lexical search: those in the index, the very common ones only where hardly any others are left."""
    known = sorted({term for term in searched if term in frequencies}, key=lambda term: (frequencies[term], term))
    rare = [term for term in known if frequencies[term] <= _COMMON * passages]
    return rare if len(rare) >= _FEWEST_TERMS else known[:_FEWEST_TERMS]


def _spans(rankings: Sequence[Ranking], k: int) -> list[Span]:
    """The k best spans; where joining leaves fewer, the last joined ones come apart again, so that a small index gives all it holds."""
    whole, *parts = [join(ranking.outlines, ranking.score_of) for ranking in rankings]
    spans = list(itertools.islice(take_turns([*parts, whole]), k))
    if len(spans) >= k:
        return spans
    outlines = {outline.row: outline for ranking in rankings for outline in ranking.outlines}
    place = len(spans) - 1
    while len(spans) < k and place >= 0:
        if len(spans[place].rows) > 1:
            spans[place : place + 1] = [_alone(outlines[row]) for row in spans[place].rows]
        place -= 1
    return spans[:k]


def _alone(outline: Outline) -> Span:
    stop = min(outline.stop, outline.start + MAX_CHARACTERS)
    return Span(outline.row, (outline.row,), outline.url, outline.section, outline.start, stop)

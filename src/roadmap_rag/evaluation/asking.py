"""Questions put to the one answering path, each at most once: answers are kept under a key of everything that they depend on.

What a model wrote is kept apart from what the program made of it, under the model's digest and the exact messages. So a change of the
checks asks no model again, and its timings stay those of the day it wrote.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from roadmap_rag.domain import Answer, Generator, Piece, Turn, digest
from roadmap_rag.errors import GeneratorError
from roadmap_rag.evaluation.golden import Question, corpus_digest
from roadmap_rag.evaluation.runs import Cache, code_digest
from roadmap_rag.query_engine import RoadmapQueryEngine, Writer
from roadmap_rag.roadmap import answer_from_roadmap

if TYPE_CHECKING:
    from roadmap_rag.retrieve import Retriever
    from roadmap_rag.wiring import App

QUOTES = "quotes"
ANSWER_SETTINGS = ("context", "prompt_tokens", "answer_tokens", "temperature", "seed", "passages", "strict", "claim_reader")


class Remembering:
    """A generator that asks another one only for what it has not written before. ``seconds`` is what the last text took when it was new."""

    def __init__(self, generator: Generator, identity: str, cache: Cache) -> None:
        self._generator = generator
        self._identity = identity
        self._cache = cache
        self.seconds: dict[str, float | None] = {}
        self.fault = ""

    def stream(self, messages: Sequence[Turn]) -> Iterator[Piece]:
        self.fault = ""
        key = "text-" + digest(self._identity, json.dumps([asdict(turn) for turn in messages]))
        known = self._cache.get(key)
        if known is not None:
            self.seconds = known["seconds"] | {"recalled": True}
            yield Piece(known["text"])
            yield Piece("", known["prompt"], known["completion"])
            return
        begun, first, text = time.perf_counter(), None, ""
        last = Piece()
        try:
            for piece in self._generator.stream(messages):
                first = first if first is not None or not piece.text else time.perf_counter() - begun
                text += piece.text
                if piece.prompt_tokens is not None or piece.completion_tokens is not None:
                    last = piece
                yield piece
        except GeneratorError as error:
            self.fault = str(error)
            raise
        self.seconds = {"first_token": first, "generate": time.perf_counter() - begun}
        self._cache.put(key, {"text": text, "prompt": last.prompt_tokens, "completion": last.completion_tokens, "seconds": self.seconds})


@dataclass(frozen=True, slots=True)
class System:
    """One way to answer: ``label`` names it in every metric, ``identity`` is a digest of what its answers depend on."""

    label: str
    engine: RoadmapQueryEngine
    identity: str
    recognised: Callable[[str], bool]
    """Whether the topic graph answers a question."""
    facts: dict[str, Any]
    """For the record of the run: model, digest, settings."""
    writer: Writer
    memory: Remembering | None = None


def index_digests(app: App) -> tuple[str, str]:
    """Of the corpus (links and texts), and of the corpus with the way it is indexed."""
    documents = app.retriever.generation().documents()
    corpus = corpus_digest((document.url, document.id) for document in documents.values())
    return corpus, digest(corpus, repr(app.index_settings))


def build_system(app: App, cache: Cache, model: str | None) -> System:
    """The quotes (``model`` is None) or the named model. Raises GeneratorError when that model cannot be asked."""
    settings = {name: getattr(app.config, name) for name in ANSWER_SETTINGS}
    common = (code_digest(), index_digests(app)[1], json.dumps(settings), repr(app.roadmap))
    generation = app.retriever.generation()
    texts = {url: generation.text(url) or "" for url in generation.documents() if url.startswith("roadmap:")}

    def recognised(question: str) -> bool:
        return answer_from_roadmap(question, app.roadmap, texts) is not None

    if model is None:
        return System(
            QUOTES, make_engine(app, Writer()), digest(*common, QUOTES), recognised, {"model": None, "settings": settings}, Writer()
        )
    writer = app.writer(model)
    if writer.generator is None:
        raise GeneratorError(writer.notice)
    facts = {"model": writer.model, "digest": model_digest(app, writer.model or model), "settings": settings}
    limits = (writer.context, app.config.answer_tokens, app.config.temperature, app.config.seed)
    memory = Remembering(writer.generator, repr((facts["model"], facts["digest"], limits)), cache)
    writer = replace(writer, generator=memory)
    engine = make_engine(app, writer)
    return System(str(writer.model), engine, digest(*common, json.dumps(facts)), recognised, facts, writer, memory)


def model_digest(app: App, name: str) -> str:
    """Ollama's digest of a model; behind another server nothing better than its address is known."""
    if app.config.openai_base_url:
        return app.config.openai_base_url
    chosen, _ = app.choose_model(app.diagnose(name), name)
    return chosen.digest if chosen is not None else ""


def make_engine(app: App, writer: Writer, retriever: Retriever | None = None) -> RoadmapQueryEngine:
    """The query engine as ``App.engine`` builds it, with a writer and, for experiments, a retriever of one's own."""
    return RoadmapQueryEngine(
        retriever=retriever or app.retriever,
        encoder=app.encoder,
        roadmap=app.roadmap,
        writer=lambda: writer,
        missing=lambda _: (),
        entails=app.claim_reader,
        passages=app.config.passages,
        strict=app.config.strict,
    )


def ask(question: Question, system: System, cache: Cache) -> dict[str, Any]:
    """The answer as a dictionary of ``domain.Answer``, with ``key``, ``fault`` (why the model did not answer) and ``roadmap``:
    whether the topic graph answers the question."""
    history = json.dumps([asdict(turn) for turn in question.history])
    key = "answer-" + digest(system.identity, question.question, history)
    known = cache.get(key)
    if known is not None:
        return known
    answer = system.engine.ask(question.question, history=question.history)
    values = asdict(_as_it_was(answer, system.memory)) | {
        "key": key,
        "fault": system.memory.fault if system.memory is not None else "",
        "roadmap": system.recognised(answer.standalone),
    }
    if not values["fault"]:
        cache.put(key, values)
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def _as_it_was(answer: Answer, memory: Remembering | None) -> Answer:
    """With the seconds that the model took, also when its text was only recalled."""
    if memory is None or answer.timings.generate is None or not memory.seconds.pop("recalled", False):
        return answer
    took, now = memory.seconds, answer.timings
    total = now.total - (now.generate or 0.0) + (took["generate"] or 0.0)
    return replace(answer, timings=replace(now, first_token=took["first_token"], generate=took["generate"], total=total))


Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are finished, and of how many."""

"""The one answering path of command line, chat and evaluation: a LlamaIndex query engine that shows nothing it has not checked.

    question ── retrieve ──┬─ nothing relevant, or what is
                           │  asked for stands nowhere ──────── refusal with the nearest topics, no model call
                           ├─ about the roadmap itself ──────── the topic graph answers, exactly
                           ├─ no model runs ─────────────────── the best sentences of the passages
                           └─ prompt ─ draft streams ─ verify ─ answer, or a refusal when nothing holds

``RoadmapQueryEngine.run`` yields what happens as it happens: stages, pieces of the draft, and at the end the checked answer. Every model
and embedder is passed in; LlamaIndex's global settings are never read.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import Response
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from roadmap_rag.citations import Entails, Verified, verify
from roadmap_rag.citations.render import Checked, Evidence, render
from roadmap_rag.domain import (
    Answer,
    Encoder,
    Generator,
    Hit,
    NearestTopic,
    RefusalReason,
    Timings,
    Tokens,
    Turn,
)
from roadmap_rag.errors import GeneratorError
from roadmap_rag.generate import estimate_prompt_tokens, silent_callbacks
from roadmap_rag.prompt import TRANSLATE, VERSION, Prompt, build_prompt
from roadmap_rag.quotes import Corpus, answerability, compose, off_subject, restating, unanswered, without_orders
from roadmap_rag.retrieve import Retrieval, Retriever, WordEncoder, is_english
from roadmap_rag.roadmap import Roadmap, RoadmapAnswer, answer_from_roadmap

NEAREST = 3
_SEARCHED_FOR_TOPICS = 24


@dataclass(frozen=True, slots=True)
class Stage:
    """What happens now: "searching", "reading", "writing" or "checking", with a few words for the user."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A piece of the unchecked text as the model writes it."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    answer: Answer


Event = Stage | Draft | Done


class Stop:
    """Ends a run from another thread at once, also while the model still reads and nothing comes from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self.stopped = False

    def stop(self) -> None:
        """End the run; what it has yielded stays, an answer does not come. May wait two seconds for the server to be told."""
        with self._lock:
            self.stopped = True
            end = self._end
        if end is not None:
            end()

    def watch(self, end: Callable[[], None]) -> None:
        """Call ``end`` when this is stopped, or now when it is already."""
        with self._lock:
            self._end = end
        if self.stopped:
            end()


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes the answers. ``generator`` is None when nobody does; ``notice`` then says why and how to change it.

    ``context`` is the model's window in tokens, ``prompt_tokens`` and ``answer_tokens`` what of it a prompt and an answer may take.
    """

    generator: Generator | None = None
    model: str | None = None
    context: int = 4096
    prompt_tokens: int = 2000
    answer_tokens: int = 512
    notice: str = ""


@dataclass(slots=True)
class _Asked:
    """One question on its way."""

    question: str
    retrieval: Retrieval
    started: float
    strict: bool
    stop: Stop
    writer: Callable[[], Writer]
    notices: list[str] = field(default_factory=list)
    trace: dict[str, Any] = field(default_factory=dict)


class RoadmapRetriever(BaseRetriever):
    """The retriever as LlamaIndex knows retrievers; a node's score is the calibrated relevance, 0 to 1."""

    def __init__(self, retriever: Retriever, k: int) -> None:
        super().__init__(callback_manager=silent_callbacks())
        self._retriever = retriever
        self._k = k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return as_nodes(self._retriever.search(query_bundle.query_str, k=self._k).hits)


class RoadmapQueryEngine(BaseQueryEngine):
    """Answers questions from the index.

    ``missing`` gives the links of a topic that are not ingested. ``writer`` says who writes; it is asked for once per question, so that
    a model that appears or goes away is noticed. ``entails`` reads each sentence of a model together with the place that should support it.
    """

    def __init__(
        self,
        *,
        retriever: Retriever,
        encoder: Encoder,
        roadmap: Roadmap,
        writer: Callable[[], Writer],
        missing: Callable[[str], Sequence[str]],
        entails: Entails | None = None,
        passages: int = 8,
        strict: bool = False,
    ) -> None:
        super().__init__(callback_manager=silent_callbacks())
        self._retriever = retriever
        self._encoder = encoder
        self._read = encoder.encode_question if isinstance(encoder, WordEncoder) else None
        self._roadmap = roadmap
        self._writer = writer
        self._missing = missing
        self._entails = entails
        self._passages = passages
        self._strict = strict
        self._texts: tuple[str, Mapping[str, str]] | None = None

    # ----------------------------------------------------------------------------------------------------------------- LlamaIndex

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return RoadmapRetriever(self._retriever, self._passages).retrieve(query_bundle)

    def _query(self, query_bundle: QueryBundle) -> Response:
        answer = self.ask(query_bundle.query_str)
        return Response(response=answer.answer, source_nodes=as_nodes(answer.hits), metadata=asdict(answer))

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return self._query(query_bundle)

    # ------------------------------------------------------------------------------------------------------------------ answering

    def ask(self, question: str, *, topic: str | None = None, history: Sequence[Turn] = (), strict: bool | None = None) -> Answer:
        """The checked answer to a question."""
        for event in self.run(question, topic=topic, history=history, strict=strict):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a run ends with its answer")

    def run(
        self,
        question: str,
        *,
        topic: str | None = None,
        history: Sequence[Turn] = (),
        strict: bool | None = None,
        stop: Stop | None = None,
    ) -> Iterator[Event]:
        """Answer step by step. Closing the iterator stops the model; ``stop`` does so while another thread waits for the next step, and
        then there is no ``Done``. Raises IndexMissingError and IndexMismatchError."""
        started = time.perf_counter()
        yield Stage("searching", "Searching the sources")
        stop, writer = stop or Stop(), functools.cache(self._writer)
        retrieval = self._retriever.search(
            question, k=self._passages, topic=topic, history=history, translate=lambda text: _translate(text, writer().generator, stop)
        )
        if stop.stopped:
            return
        asked = _Asked(question, retrieval, started, self._strict if strict is None else strict, stop, writer, list(retrieval.notes))
        known = answer_from_roadmap(retrieval.standalone, self._roadmap, self._roadmap_texts())
        if known is None:
            yield from self._answer_from_passages(asked)
            return
        exact = self._cite_roadmap(known)
        if not known.mixed:
            yield Done(self._answer(asked, exact, None, Timings(retrieve=retrieval.seconds), Tokens()))
            return
        for event in self._answer_from_passages(asked):
            yield Done(_joined(exact, event.answer)) if isinstance(event, Done) else event

    def _answer_from_passages(self, asked: _Asked) -> Iterator[Event]:
        usable = [hit for hit in asked.retrieval.hits if not hit.below_floor]
        if not usable:
            yield Done(self._refuse(asked, "no_passage"))
            return
        judged = answerability(asked.retrieval.standalone, usable, self._corpus())
        asked.trace["answerable"] = {"chance": round(judged.chance, 3), "lacking": judged.lacking, "features": dict(judged.features)}
        if not judged.answerable:
            yield Done(self._refuse(asked, "no_passage", lacking=judged.lacking))
            return
        writer = asked.writer()
        if writer.generator is None:
            if writer.notice:
                asked.notices.append(writer.notice)
            yield Done(self._quote(asked, usable))
            return
        yield from self._write(asked, usable, writer, writer.generator)

    def _corpus(self) -> Corpus:
        generation = self._retriever.generation()
        return Corpus(generation.manifest.chunks, generation.frequencies, generation.text)

    def _roadmap_texts(self) -> Mapping[str, str]:
        """The stored text of every roadmap document of the current generation."""
        generation = self._retriever.generation()
        if self._texts is None or self._texts[0] != generation.manifest.generation:
            urls = [url for url in generation.documents() if url.startswith("roadmap:")]
            self._texts = generation.manifest.generation, {url: generation.text(url) or "" for url in urls}
        return self._texts[1]

    def _cite_roadmap(self, known: RoadmapAnswer) -> Verified:
        """The topic graph's answer with its citations: every sentence is stated by the stored roadmap, so each is supported."""
        documents, texts = self._retriever.generation().documents(), self._roadmap_texts()
        checked: list[Checked] = []
        item = False
        for sentence in known.sentences:
            evidence = []
            for url, start, end in sentence.evidence:
                hit = Hit(1, 1.0, False, url, documents[url].title, _heading_above(texts[url], start), texts[url], 0, len(texts[url]), None)
                evidence.append(Evidence(url, start, end, hit))
            before, item = item, sentence.text.startswith("- ")
            layout = "\n" if item and before else "\n\n" if item or before else " "
            checked.append(Checked(layout, sentence.text, "supported", tuple(evidence)))
        return render(checked)

    def _write(self, asked: _Asked, hits: Sequence[Hit], writer: Writer, generator: Generator) -> Iterator[Event]:
        budget = min(writer.prompt_tokens, writer.context - writer.answer_tokens)
        question = asked.retrieval.standalone
        prompt = build_prompt(
            question, hits, tokens=budget, count=estimate_prompt_tokens, shown=lambda text: without_orders(text, question)
        )
        if prompt.dropped:
            asked.notices.append(f"{len(prompt.dropped)} of {len(hits)} passages did not fit the prompt of {budget} tokens")
        number = len(prompt.passages)
        reading = f"{writer.model} is reading {number} {'passage' if number == 1 else 'passages'}"
        yield Stage("reading", reading)
        begun, first, text, ahead = time.perf_counter(), None, "", 0
        counts = Tokens(context=writer.context, dropped_passages=len(prompt.dropped))
        stream = generator.stream(prompt.messages)
        asked.stop.watch(getattr(stream, "close", lambda: None))
        try:
            for piece in stream:
                if first is None and ahead != (ahead := getattr(stream, "ahead", 0)):
                    yield (
                        Stage("waiting", f"Waiting behind {ahead} other {'question' if ahead == 1 else 'questions'}")
                        if ahead
                        else Stage("reading", reading)
                    )
                if piece.text and first is None:
                    first = time.perf_counter() - begun
                    yield Stage("writing", "Writing")
                if piece.text:
                    text += piece.text
                    yield Draft(piece.text)
                if piece.prompt_tokens is not None or piece.completion_tokens is not None:
                    counts = replace(counts, prompt=piece.prompt_tokens, completion=piece.completion_tokens)
                if piece.report is not None:
                    _note_report(asked, piece.report, writer)
        except GeneratorError as error:
            asked.notices.append(f"the model stopped: {error}" if text else str(error))
            if not text.strip():
                yield Done(self._quote(asked, hits))
                return
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
        if asked.stop.stopped:
            return
        generated = time.perf_counter() - begun
        yield Stage("checking", "Checking each sentence against the passages")
        yield Done(self._check(asked, prompt, text, writer, counts, first, generated))

    def _check(
        self, asked: _Asked, prompt: Prompt, text: str, writer: Writer, counts: Tokens, first: float | None, generated: float
    ) -> Answer:
        begun = time.perf_counter()
        question = asked.retrieval.standalone
        verified = verify(
            text,
            prompt.passages,
            self._encode,
            read=self._read,
            entails=self._entails,
            restate=restating(question),
            strict=asked.strict,
        )
        asked.trace |= {
            "prompt": {"version": VERSION, "messages": [asdict(turn) for turn in prompt.messages], "estimate": prompt.tokens},
            "draft": text,
            "verification": list(verified.details),
        }
        timings = Timings(asked.retrieval.seconds, first, generated, time.perf_counter() - begun)
        if verified.declined or not verified.supported:
            reason: RefusalReason = "model_declined" if verified.declined else "not_supported"
            return self._refuse(asked, reason, model=writer.model, timings=timings, tokens=counts)
        if lacking := unanswered(question, verified, asked.retrieval.hits, self._corpus()):
            return self._refuse(asked, "not_supported", lacking=lacking, model=writer.model, timings=timings, tokens=counts)
        if verified.restated:
            what = "a sentence" if verified.restated == 1 else f"{verified.restated} sentences"
            asked.notices.append(f"{writer.model} put {what} in words that could not be proved; the sources' own stand there")
        return self._answer(asked, verified, writer.model, timings, counts)

    def _quote(self, asked: _Asked, hits: Sequence[Hit]) -> Answer:
        begun = time.perf_counter()
        composed = compose(asked.retrieval.standalone, hits, self._encode)
        timings = Timings(retrieve=asked.retrieval.seconds, verify=time.perf_counter() - begun)
        asked.trace |= {"verification": list(composed.details)}
        lacking = off_subject(asked.retrieval.standalone, composed, hits, self._corpus())
        if not composed.supported or lacking:
            return self._refuse(asked, "no_passage", lacking=lacking, timings=timings)
        return self._answer(asked, composed, None, timings, Tokens())

    def _answer(self, asked: _Asked, verified: Verified, model: str | None, timings: Timings, tokens: Tokens) -> Answer:
        return Answer(
            question=asked.question,
            standalone=asked.retrieval.standalone,
            answer=verified.answer,
            refused=False,
            reason=None,
            notices=tuple(asked.notices),
            model=model,
            sentences=verified.sentences,
            citations=verified.citations,
            nearest_topics=(),
            timings=replace(timings, total=time.perf_counter() - asked.started),
            tokens=tokens,
            hits=asked.retrieval.hits,
            trace=asked.trace,
        )

    def _refuse(
        self,
        asked: _Asked,
        reason: RefusalReason,
        *,
        lacking: str = "",
        model: str | None = None,
        timings: Timings | None = None,
        tokens: Tokens | None = None,
    ) -> Answer:
        nearest = self._nearest_topics(asked.retrieval)
        timings = timings or Timings(retrieve=asked.retrieval.seconds)
        return Answer(
            question=asked.question,
            standalone=asked.retrieval.standalone,
            answer=_explain_refusal(nearest, lacking),
            refused=True,
            reason=reason,
            notices=tuple(asked.notices),
            model=model,
            sentences=(),
            citations=(),
            nearest_topics=nearest,
            timings=replace(timings, total=time.perf_counter() - asked.started),
            tokens=tokens or Tokens(),
            hits=asked.retrieval.hits,
            trace=asked.trace,
        )

    def _nearest_topics(self, retrieval: Retrieval) -> tuple[NearestTopic, ...]:
        """The topics of the nearest passages, each weighted by the ranks at which it occurs."""
        hits = self._retriever.search(retrieval.standalone, k=_SEARCHED_FOR_TOPICS).hits
        weights: dict[str, float] = {}
        for hit in hits:
            for topic in hit.topics:
                weights[topic] = weights.get(topic, 0.0) + 1.0 / (hit.rank * len(hit.topics))
        known = {topic.id: topic for topic in self._roadmap.topics}
        best = [name for name in sorted(weights, key=lambda name: -weights[name]) if name in known][:NEAREST]
        best = best or [topic.id for topic in self._roadmap.topics[:1]]
        return tuple(NearestTopic(name, known[name].title, tuple(self._missing(name))) for name in best)

    def _encode(self, texts: Sequence[str]) -> Any:
        return self._encoder.encode(texts, query=True)


def as_nodes(hits: Sequence[Hit]) -> list[NodeWithScore]:
    """Hits as LlamaIndex nodes; the record's other fields stand in the metadata."""
    return [NodeWithScore(node=TextNode(text=hit.text, metadata=_metadata(hit)), score=hit.score) for hit in hits]


def _metadata(hit: Hit) -> Mapping[str, Any]:
    values = asdict(hit)
    return {name: values[name] for name in ("url", "title", "section", "start", "end", "fetched_at")}


def _translate(question: str, generator: Generator | None, stop: Stop) -> str:
    """The question in English as the model translates it; empty when no model runs, or none of it comes out."""
    if generator is None:
        return ""
    stream = generator.stream((Turn("system", TRANSLATE), Turn("user", question)))
    close = getattr(stream, "close", lambda: None)
    stop.watch(close)
    try:
        text = "".join(piece.text for piece in stream)
    except GeneratorError:
        return ""  # the same fault comes up with the answer, and is told there
    finally:
        close()
    line = next((line.strip() for line in text.splitlines() if line.strip()), "").strip('"')
    return line if line and is_english(line) else ""


def _note_report(asked: _Asked, report: Mapping[str, float | None], writer: Writer) -> None:
    """Keep what the server says it did; tell the user when it gave the model a smaller window than was asked for."""
    asked.trace["server"] = dict(report)
    wanted, granted = report.get("window_asked"), report.get("window_granted")
    if wanted and granted and granted < wanted:
        asked.notices.append(
            f"the server gave {writer.model} a window of {granted:.0f} tokens where {wanted:.0f} were asked for; run: roadmap-rag doctor"
        )


def _heading_above(text: str, start: int) -> str:
    """The last section heading before an offset."""
    headings = re.findall(r"^##+ (.+)$", text[:start], re.MULTILINE)
    return str(headings[-1]) if headings else ""


def _joined(exact: Verified, answer: Answer) -> Answer:
    """The roadmap's part and the articles' part of one answer; the labels of the second are counted on."""
    if answer.refused:
        sentences, citations, text = exact.sentences, exact.citations, exact.answer
    else:
        shift = len(exact.citations)
        more = tuple(
            replace(each, text=_shifted(each.text, shift), citations=tuple(number + shift for number in each.citations))
            for each in answer.sentences
        )
        sentences = exact.sentences + more
        citations = exact.citations + tuple(replace(each, n=each.n + shift) for each in answer.citations)
        text = f"{exact.answer}\n\n{_shifted(answer.answer, shift)}"
    return replace(answer, answer=text, refused=False, reason=None, sentences=sentences, citations=citations, nearest_topics=())


def _shifted(text: str, shift: int) -> str:
    return re.sub(r"\[(\d+)\]", lambda match: f"[{int(match[1]) + shift}]", text)


def _explain_refusal(nearest: Sequence[NearestTopic], lacking: str) -> str:
    """Why there is no answer, where that is known, and what is nearest to the question."""
    titles = ", ".join(topic.title for topic in nearest)
    why = f": {lacking}" if lacking else ""
    text = f"The sources do not answer this{why}. The nearest topics of the roadmap are: {titles}."
    missing = sum(len(topic.missing) for topic in nearest)
    if missing:
        text += f" {missing} of their sources {'is' if missing == 1 else 'are'} not ingested."
    return text

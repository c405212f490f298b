"""The one answering path: real index, real embedder, a scripted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

import pytest
from llama_index.core import Settings
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.schema import QueryBundle

from fakes import FakeGenerator
from roadmap_rag.citations import UNSUPPORTED_MARK
from roadmap_rag.domain import Answer
from roadmap_rag.errors import GeneratorError
from roadmap_rag.prompt import REMINDER
from roadmap_rag.query_engine import Done, Draft, RoadmapQueryEngine, Stage, Stop, Writer
from roadmap_rag.wiring import App

QUESTION = "When and where does our reading group meet?"
TRUE = "Your reading group meets on Thursdays in room 4.17 [1]."


def engine(
    app: App,
    script: Sequence[str | GeneratorError] | None,
    *more: Sequence[str | GeneratorError],
    queue: Sequence[int] = (),
    report: Mapping[str, float | None] | None = None,
    **options: bool,
) -> tuple[RoadmapQueryEngine, FakeGenerator]:
    generator = FakeGenerator([] if script is None else [script, *more], queue=queue, report=report)
    writer = Writer(generator, "fake") if script is not None else Writer(notice="no model is running")
    made = RoadmapQueryEngine(
        retriever=app.retriever,
        encoder=app.encoder,
        roadmap=app.roadmap,
        writer=lambda: writer,
        missing=app.missing_links,
        **options,
    )
    return made, generator


def check_citations(app: App, answer: Answer) -> None:
    for citation in answer.citations:
        text = app.retriever.generation().text(citation.url)
        assert text is not None
        assert text[citation.start : citation.end] == citation.quote


def test_it_is_a_llama_index_query_engine(app: App) -> None:
    made, _ = engine(app, [TRUE])
    assert isinstance(made, BaseQueryEngine)
    response = made.query(QUESTION)
    assert "Thursdays" in str(response)
    assert response.source_nodes[0].node.metadata["url"] == "notes:group.md"


def test_no_global_setting_of_llama_index_is_read(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("a global setting was read")

    for name in ("llm", "embed_model", "node_parser", "tokenizer", "callback_manager", "prompt_helper"):
        monkeypatch.setattr(type(Settings), name, property(refuse))
    made, _ = engine(app, [TRUE])
    assert "Thursdays" in str(made.query(QUESTION))
    assert made.retrieve(QueryBundle(QUESTION))


def test_a_supported_draft_streams_and_is_cited(app: App) -> None:
    made, generator = engine(app, ["Your reading group meets on Thursdays ", "in room 4.17 [1]."])
    events = list(made.run(QUESTION))
    assert [event.name for event in events if isinstance(event, Stage)] == ["searching", "reading", "writing", "checking"]
    assert "".join(event.text for event in events if isinstance(event, Draft)) == TRUE
    answer = next(event.answer for event in events if isinstance(event, Done))
    assert [sentence.verdict for sentence in answer.sentences] == ["supported"]
    assert answer.citations[0].url == "notes:group.md"
    assert answer.model == "fake"
    assert answer.tokens.prompt is not None
    check_citations(app, answer)
    assert generator.history[0][-1].content.endswith(f"Question: {QUESTION}\n\n{REMINDER}")


def test_an_invented_sentence_is_marked_or_dropped(app: App) -> None:
    draft = f"{TRUE} It was founded in 1987 by Ada Lovelace [1]."
    made, _ = engine(app, [draft])
    answer = made.ask(QUESTION)
    assert [sentence.verdict for sentence in answer.sentences] == ["supported", "unsupported"]
    assert UNSUPPORTED_MARK in answer.answer
    strict, _ = engine(app, [draft], strict=True)
    assert "1987" not in strict.ask(QUESTION).answer


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        pytest.param("The group was founded in 1987 by Ada Lovelace in Berlin [1].", "not_supported", id="nothing holds"),
        pytest.param("The passages do not say it.", "model_declined", id="the model declines"),
    ],
)
def test_an_answer_without_support_becomes_a_refusal(app: App, draft: str, reason: str) -> None:
    answer = engine(app, [draft])[0].ask(QUESTION)
    assert (answer.refused, answer.reason, answer.citations) == (True, reason, ())
    assert answer.nearest_topics


def test_what_is_nearly_proved_is_answered_in_the_words_of_the_source(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = "Everybody of the reading group comes together in 4.17 when Thursday it is."
    monkeypatch.setattr(import_module("roadmap_rag.citations.verify"), "judge", lambda features, known: ("unsupported", 0.6))
    answer = engine(app, [draft])[0].ask(QUESTION)
    assert not answer.refused
    assert draft not in answer.answer
    assert [sentence.verdict for sentence in answer.sentences] == ["supported"]
    assert "Thursdays" in answer.answer
    assert any("could not be proved" in notice for notice in answer.notices)
    check_citations(app, answer)


def test_a_label_that_was_never_offered_is_removed(app: App) -> None:
    answer = engine(app, ["Your reading group meets on Thursdays in room 4.17 [9]."])[0].ask(QUESTION)
    assert "[9]" not in answer.answer
    assert answer.sentences[0].citations == (1,)
    check_citations(app, answer)


def test_a_model_that_stops_in_the_middle_keeps_its_text_and_says_so(app: App) -> None:
    made, generator = engine(app, [TRUE, GeneratorError("the server was killed; run: ollama serve")])
    answer = made.ask(QUESTION)
    assert "Thursdays" in answer.answer
    assert answer.notices[-1] == "the model stopped: the server was killed; run: ollama serve"
    assert generator.streams[0].closed


def test_a_model_that_never_answers_leaves_quotes_and_the_reason(app: App) -> None:
    answer = engine(app, [GeneratorError("Ollama does not answer; run: ollama serve")])[0].ask(QUESTION)
    assert answer.model is None
    assert "Thursdays" in answer.answer
    assert answer.notices[-1] == "Ollama does not answer; run: ollama serve"


def test_closing_the_run_closes_the_stream(app: App) -> None:
    made, generator = engine(app, ["Your ", "reading ", "group "])
    run = made.run(QUESTION)
    for event in run:
        if isinstance(event, Draft):
            break
    run.close()  # type: ignore[attr-defined]
    assert generator.streams[0].closed


def test_who_waits_for_others_is_told_how_many(app: App) -> None:
    events = list(engine(app, [TRUE], queue=(2, 1, 0))[0].run(QUESTION))
    told = [event.detail for event in events if isinstance(event, Stage) and event.name in ("reading", "waiting")]
    assert told[1:3] == ["Waiting behind 2 other questions", "Waiting behind 1 other question"]
    assert told[0] == told[3]
    assert told[0].startswith("fake is reading ")


@pytest.mark.parametrize(("granted", "told"), [(1024, True), (4096, False), (None, False)])
def test_a_smaller_window_than_was_asked_for_is_told(app: App, granted: int | None, told: bool) -> None:
    report = {"window_asked": 4096, "window_granted": granted}
    answer = engine(app, [TRUE], report=report)[0].ask(QUESTION)
    said = "the server gave fake a window of 1024 tokens where 4096 were asked for; run: roadmap-rag doctor"
    assert (said in answer.notices) is told
    assert answer.trace["server"] == report


def test_a_run_that_is_stopped_ends_the_stream_and_has_no_answer(app: App) -> None:
    made, generator = engine(app, ["Your ", "reading ", "group "])
    stop = Stop()
    events = []
    for event in made.run(QUESTION, stop=stop):
        events.append(event)
        if isinstance(event, Draft):
            stop.stop()
    assert [event.text for event in events if isinstance(event, Draft)] == ["Your "]
    assert not any(isinstance(event, Done) for event in events)
    assert generator.streams[0].closed


def test_what_stands_nowhere_costs_no_model_call(app: App) -> None:
    made, generator = engine(app, [TRUE])
    answer = made.ask("When does the HotpotQA reading group of Heidelberg meet?")
    assert (answer.refused, answer.reason) == (True, "no_passage")
    assert "no passage mentions HotpotQA or Heidelberg" in answer.answer
    assert answer.trace["answerable"]["chance"] < 0.5
    assert generator.history == []


def test_an_answer_that_gives_nothing_of_the_kind_asked_for_is_a_refusal(app: App) -> None:
    answer = engine(app, [TRUE])[0].ask("Who leads our reading group?")
    assert (answer.refused, answer.reason, answer.model) == (True, "not_supported", "fake")
    assert "nothing that the passages prove gives a person's name" in answer.answer


def test_a_label_is_no_number(app: App) -> None:
    answer = engine(app, ["The next paper is about speculative decoding [1]."])[0].ask("How many of us does our reading group have?")
    assert (answer.refused, answer.reason) == (True, "not_supported")


GERMAN = "Wann und wo trifft sich unsere Lesegruppe?"


def test_a_question_in_another_language_is_translated_by_the_model(app: App) -> None:
    made, generator = engine(app, ['"When and where does our ', 'reading group meet?"\n\nThat is the translation.'], [TRUE])
    answer = made.ask(GERMAN)
    assert (answer.question, answer.standalone) == (GERMAN, QUESTION)
    assert answer.notices[0] == f"translated for the search: {QUESTION}"
    assert answer.citations[0].url == "notes:group.md"
    assert [turns[-1].content.endswith(f"Question: {QUESTION}\n\n{REMINDER}") for turns in generator.history] == [False, True]
    assert all(stream.closed for stream in generator.streams)


@pytest.mark.parametrize(
    "translation",
    [
        pytest.param([" \n"], id="nothing"),
        pytest.param([GERMAN], id="the same again"),
        pytest.param([GeneratorError("Ollama does not answer; run: ollama serve")], id="a fault"),
    ],
)
def test_a_translation_that_fails_leaves_the_question_as_it_is(app: App, translation: list[str | GeneratorError]) -> None:
    answer = engine(app, translation, [TRUE])[0].ask(GERMAN)
    assert answer.standalone == GERMAN
    assert answer.notices[0].startswith("the question is not in English")


def test_a_run_that_is_stopped_while_it_translates_has_no_answer(app: App) -> None:
    made, generator = engine(app, ["When and where"])
    stop = Stop()
    stop.stop()
    assert [type(event) for event in made.run(GERMAN, stop=stop)] == [Stage]
    assert generator.streams[0].closed


def test_off_the_subject_costs_no_model_call(app: App) -> None:
    made, generator = engine(app, [TRUE])
    answer = made.ask("How long does it take to bake a sourdough loaf?")
    assert (answer.refused, answer.reason) == (True, "no_passage")
    assert generator.history == []


def test_roadmap_questions_are_answered_exactly_without_a_model(app: App) -> None:
    made, generator = engine(app, [TRUE])
    answer = made.ask("What do I need to know before quantization?")
    for name in app.roadmap.requires("quantization"):
        assert app.roadmap.topic(name).title in answer.answer
    assert generator.history == []
    assert {citation.url for citation in answer.citations} == {"roadmap:quantization"}
    check_citations(app, answer)

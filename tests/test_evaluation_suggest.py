"""Drafts of golden questions: where they come from, and that none gets in unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import run_command
from fakes import FakeGenerator
from roadmap_rag.domain import Turn
from roadmap_rag.evaluation import suggest
from roadmap_rag.evaluation.golden import Evidence, Question, load_questions
from roadmap_rag.store import Judged
from roadmap_rag.wiring import App

PASSAGE = "LoRA is a method that freezes the pretrained weights of a model. Training such an adapter took 24 hours on one card."


def test_a_definition_and_a_number_become_questions() -> None:
    defined, counted = suggest._fill("u", PASSAGE)
    assert defined.question.question == "What is LoRA?"
    assert counted.question.question == "Which number is missing: “Training such an adapter took … on one card.”"
    assert counted.question.facts == (("24 hours",),)
    assert all(draft.question.evidence[0].within(PASSAGE) for draft in (defined, counted))


@pytest.mark.parametrize(
    "text", ["This is a method that freezes the weights of a model.", "It took 24 hours to train the model on one card."]
)
def test_a_sentence_that_leans_on_another_becomes_none(text: str) -> None:
    assert list(suggest._fill("u", text)) == []


def test_a_model_drafts_only_what_the_passage_answers() -> None:
    said = FakeGenerator([["Question: What does LoRA freeze?\nAnswer: the pretrained weights."], ["Question: Who made it?\nAnswer: Ada."]])
    (draft,) = suggest._ask(said, "u", PASSAGE)
    assert (draft.question.question, draft.question.facts) == ("What does LoRA freeze?", (("the pretrained weights",),))
    assert list(suggest._ask(said, "u", PASSAGE)) == []


def judged(verdict: str, *citations: str) -> Judged:
    words = "Your reading group meets on Thursdays in room 4.17."
    return Judged(1, "2026-01-01T00:00:00Z", "When do we meet?", (), words, not citations, None, verdict, "too short", citations)


def test_verdicts_in_the_chat_become_drafts(app: App) -> None:
    generation = app.retriever.generation()
    up, down = suggest.from_feedback([judged("up", "notes:group.md"), judged("down")], generation)
    assert up.question.evidence[0].urls == ("notes:group.md",)
    assert up.question.evidence[0].within(up.passage)
    assert (down.question.type, down.origin) == ("unanswerable", "thumbs down: too short")


def answers(*said: str) -> Callable[[str], str]:
    left = iter(said)

    def read(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    return read


DRAFTS = [
    suggest.Draft(Question("", "concept", f"What is {name}?", evidence=(Evidence(("u",), (("LoRA",),)),)), "passage", PASSAGE)
    for name in ("LoRA", "it", "that")
]


def test_only_what_is_accepted_gets_in(tmp_path: Path) -> None:
    shown: list[str] = []
    accepted = suggest.review(DRAFTS, answers("s", "q", "What does LoRA freeze?", "f", "weights; model", "a", "e"), shown.append)
    assert [question.question for question in accepted] == ["What does LoRA freeze?"]
    assert accepted[0].facts == (("weights",), ("model",))
    assert len(shown) == 5
    assert PASSAGE in shown[0]
    suggest.append(accepted, tmp_path)
    path = suggest.append(accepted, tmp_path)
    assert [question.id for question in load_questions(path.parent)] == ["own-001", "own-002"]


def test_a_closed_terminal_keeps_what_was_accepted() -> None:
    assert len(suggest.review(DRAFTS, answers("a", "nonsense"), lambda _: None)) == 1


def test_a_follow_up_keeps_its_history(tmp_path: Path) -> None:
    question = Question("", "follow-up", "And then?", history=(Turn("user", "What is LoRA?"),), evidence=DRAFTS[0].question.evidence)
    suggest.append([question], tmp_path)
    assert load_questions(tmp_path)[0].history == question.history


def test_without_a_terminal_drafts_are_only_printed(roadmap_home: Path) -> None:
    result = run_command(roadmap_home, "eval", "suggest", "--limit", "3")
    assert result.returncode == 0, result.stderr
    assert not (Path(__file__).parents[1] / "eval" / "golden" / suggest.OWN_FILE).exists()

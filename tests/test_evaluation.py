"""The golden questions, the numbers made of them, and the gate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadmap_rag.domain import Hit
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.fitting import Example, fit_logistic, fit_ranking
from roadmap_rag.evaluation.gate import check_gate, raise_floors, read_floors
from roadmap_rag.evaluation.golden import (
    UNANSWERABLE,
    Evidence,
    Question,
    corpus_digest,
    load_questions,
    missing_sources,
    normalise,
    questions_digest,
    validate,
)
from roadmap_rag.evaluation.metrics import Metric, area_under_curve, compare, discounted_gain, summarise
from roadmap_rag.evaluation.plots import bar_plot, curve_plot
from roadmap_rag.evaluation.retrieval import score
from roadmap_rag.retrieve.ranking import FEATURES

EVAL = Path(__file__).parents[1] / "eval"


@pytest.fixture(scope="module")
def questions() -> tuple[Question, ...]:
    return load_questions(EVAL / "golden")


# ---------------------------------------------------------------------------------------------------------------- the golden questions


def test_the_golden_set_is_what_it_has_to_be(questions: tuple[Question, ...]) -> None:
    types = Counter(question.type for question in questions)
    assert len(questions) >= 200
    assert min(types[name] for name in ("concept", "how-to", "number", "comparison", "roadmap", "follow-up")) >= 30
    assert sum(question.overlap == "low" for question in questions) >= len(questions) / 3
    assert len({url for question in questions for one in question.evidence for url in one.urls}) >= 60
    assert all(one.terms for question in questions for one in question.evidence)
    assert all(question.absent for question in questions if question.type in UNANSWERABLE[:2])
    halves = Counter(question.half for question in questions)
    assert abs(halves["dev"] - halves["test"]) < 60


def test_the_half_hangs_on_the_id_alone() -> None:
    assert [Question(name, "concept", "?").half for name in ("a-001", "a-002", "r-001", "r-002")] == ["dev", "test", "test", "dev"]


GOOD = "- {id: x, type: concept, question: What?, evidence: [{urls: [u], terms: [t]}]}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + GOOD, "the id x stands twice"),
        (GOOD.replace("concept", "riddle"), "question x: there is no type riddle"),
        (GOOD.replace("evidence: [{urls: [u], terms: [t]}]", "evidence: []"), "a question of type concept needs evidence"),
        (GOOD.replace("concept", "unanswerable"), "a question of type unanswerable has no evidence"),
        (GOOD.replace("concept", "comparison"), "a comparison needs evidence for each side"),
        (GOOD.replace("concept", "follow-up"), "a follow-up needs a history"),
        (GOOD.replace("terms", "words, foo"), "question x: evidence has no field foo"),
        (GOOD.replace("question:", "hint: a, question:"), "there is no field hint"),
        ("- [", "is no valid YAML"),
    ],
)
def test_a_faulty_question_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_questions(tmp_path)


def test_terms_are_found_whatever_the_case_the_space_and_the_escapes() -> None:
    assert normalise("Set  `num\\_ctx`\nto\t4,096 \\*now\\*") == "set `num_ctx` to 4,096 *now*"
    one = Evidence(("u",), (("num_ctx",), ("8192", "4,096")))
    assert one.within("NUM\\_CTX is 4,096")
    assert not one.within("num_ctx is 2048")


def test_validation_wants_all_terms_in_one_place() -> None:
    question = Question("x", "concept", "?", evidence=(Evidence(("u", "v"), (("alpha",), ("omega",))),))
    assert validate([question], {"v": "alpha and omega"}.get) == []
    apart = validate([question], {"u": "alpha" + " x" * 1000 + " omega"}.get)
    assert [fault.reason for fault in apart] == ["no passage holds all of: alpha, omega"]
    assert "none of its addresses is stored: u, v" in validate([question], {}.get)[0].reason
    assert missing_sources(question, frozenset({"w"})) == ["u"]
    assert missing_sources(question, frozenset({"v"})) == []


def test_digests_know_words_and_texts_but_no_order() -> None:
    one, other = Question("x", "concept", "What?"), Question("y", "concept", "How?")
    assert questions_digest([one, other]) == questions_digest([other, one])
    assert questions_digest([one]) != questions_digest([Question("x", "concept", "What then?")])
    assert corpus_digest([("u", "1"), ("v", "2")]) == corpus_digest([("v", "2"), ("u", "1")]) != corpus_digest([("u", "2"), ("v", "1")])


# ------------------------------------------------------------------------------------------------------------------------- the numbers


def _hit(rank: int, url: str, text: str, also: tuple[str, ...] = ()) -> Hit:
    return Hit(rank, 0.5, False, url, "", "", text, 0, len(text), None, also=also)


SIDES = (Evidence(("a",), (("alpha",),)), Evidence(("b", "c"), (("beta",),)))


def test_a_comparison_counts_when_both_sides_are_found() -> None:
    hits = [_hit(1, "a", "alpha"), _hit(2, "b", "nothing"), _hit(3, "x", "beta"), _hit(4, "y", "a beta", also=("c",))]
    scores = score(SIDES, hits)
    assert (scores["passage hit@3"], scores["passage hit@5"]) == (0.0, 1.0)
    assert (scores["document hit@1"], scores["document hit@3"]) == (0.0, 1.0)
    assert scores["MRR"] == 0.25
    assert 0 < scores["nDCG@10"] < 1


def test_recall_cuts_the_text_where_the_budget_ends() -> None:
    hits = [_hit(1, "x", "-" * 1_990), _hit(2, "a", "0123456789alpha")]
    scores = score(SIDES[:1], hits)
    assert (scores["recall in 2,000 characters"], scores["recall in 4,000 characters"]) == (0.0, 1.0)


def test_nothing_found_is_nothing() -> None:
    assert set(score(SIDES, []).values()) == {0.0}


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_an_interval_holds_its_mean_and_is_the_same_each_time(scores: list[float]) -> None:
    metric = summarise("m", "share", scores)
    assert metric == summarise("m", "share", scores)
    assert metric.low is not None
    assert metric.value is not None
    assert metric.high is not None
    assert metric.low - 1e-4 <= metric.value <= metric.high + 1e-4


def test_no_questions_give_no_number() -> None:
    assert summarise("m", "share", []) == Metric("m", "share", None, None, None, 0)


def test_paired_differences_are_judged_together() -> None:
    better = compare("m", [1.0] * 30 + [0.0] * 10, [0.0] * 20 + [1.0] * 10 + [0.0] * 10)
    assert better.difference == 0.5
    assert better.low > 0
    assert better.p < 0.01
    same = compare("m", [1.0, 0.0] * 10, [0.0, 1.0] * 10)
    assert same.difference == 0
    assert same.p > 0.9


def test_small_measures() -> None:
    assert area_under_curve([3, 2], [1, 2]) == 0.875
    assert discounted_gain([1, 0, 1], 2, 10) == pytest.approx(1.5 / (1 + 1 / 1.584962500721156))
    assert discounted_gain([0, 0], 1, 10) == 0


def test_fitting_finds_what_tells_right_from_wrong() -> None:
    import numpy as np

    random = np.random.default_rng(1)
    examples = []
    for number in range(40):
        features = random.normal(size=(20, len(FEATURES)))
        right = np.zeros(20)
        right[np.argmax(features[:, 2])] = 1
        examples.append(Example(str(number), features, right))
    weights = fit_ranking(examples)
    assert max(weights, key=lambda name: weights[name]) == FEATURES[2]
    assert FEATURES[2] not in fit_ranking(examples, without=[FEATURES[2]])
    rows = [{"x": float(value), "noise": float(random.normal())} for value in random.normal(size=300)]
    logistic = fit_logistic(rows, [row["x"] > 0.5 for row in rows], ["x", "noise"])
    assert logistic["x"] > 1 > abs(logistic["noise"])
    assert logistic["bias"] < 0


# ---------------------------------------------------------------------------------------------------------------------------- the gate


def _floors(tmp_path: Path) -> Path:
    path = tmp_path / "floors.toml"
    path.write_text('questions = "q"\ncorpus = "c"\n\n[floors]\n"test: MRR" = 0.5\n')
    return path


def test_the_gate_holds_and_falls(tmp_path: Path) -> None:
    path = _floors(tmp_path)
    assert check_gate(path, [Metric("test: MRR", "", 0.6, None, None, 100)], ("q", "c")).passed
    short = check_gate(path, [Metric("test: MRR", "", 0.4, None, None, 100)], ("q2", "c"))
    assert not short.passed
    assert [(one.name, one.value, one.floor) for one in short.shortfalls] == [("test: MRR", 0.4, 0.5)]
    assert short.notes == ("the questions changed since the floors were set",)
    assert not check_gate(path, [], ("q", "c")).passed


def test_floors_rise_freely_and_fall_only_for_a_reason(tmp_path: Path) -> None:
    path = _floors(tmp_path)
    assert raise_floors(path, [Metric("test: MRR", "", 0.9, None, None, 100)], ("q", "c")) == {"test: MRR": 0.87}
    assert raise_floors(path, [Metric("test: MRR", "", 0.2, None, None, 100)], ("q", "c")) == {"test: MRR": 0.87}
    lowered = check_gate(path, [Metric("test: MRR", "", 0.7, None, None, 100)], ("q", "c"), lower="a page left", now="2026-01-01")
    assert lowered.passed
    stored = read_floors(path)
    assert stored["floors"] == {"test: MRR": 0.67}
    assert stored["lowered"] == [{"metric": "test: MRR", "from": 0.87, "to": 0.67, "reason": "a page left", "at": "2026-01-01"}]


def test_the_floors_of_the_project_can_be_read() -> None:
    floors = read_floors(EVAL / "floors.toml")
    assert all(0 < floor < 1 for floor in floors["floors"].values())
    assert {"answers", "answers-120", "robustness-24"} <= set(floors)
    assert all(floors[name]["floors"] and floors[name]["ceilings"] for name in ("answers", "answers-120", "robustness-24"))
    with pytest.raises(SettingsError, match="the gate runs in a checkout of the project"):
        read_floors(EVAL / "absent.toml")


def test_plots_are_drawings_with_their_labels() -> None:
    bars = bar_plot("hits <5>", [("all", 0.5, 0.4, 0.6)])
    assert bars.startswith("<svg")
    assert "hits &lt;5&gt;" in bars
    assert "near misses" in curve_plot("t", "x", "y", {"near misses": [(0, 0), (1, 1)]})

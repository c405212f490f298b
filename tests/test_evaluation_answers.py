"""The answers suite: facts, what is counted, and runs that go on after a kill. Real index, real embedder, the project's own questions."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from conftest import run_command
from fakes import FakeGenerator
from roadmap_rag.domain import Turn
from roadmap_rag.errors import GeneratorError, UsageError
from roadmap_rag.evaluation import answers, runs
from roadmap_rag.evaluation.asking import Remembering, ask, build_system
from roadmap_rag.evaluation.facts import states
from roadmap_rag.evaluation.golden import Evidence, Question, load_questions
from roadmap_rag.evaluation.metrics import mcnemar, summarise_ratio
from roadmap_rag.evaluation.runs import Cache, sample
from roadmap_rag.evaluation.suites import Wanted, run_answers, run_retrieval
from roadmap_rag.retrieve import Retrieval
from roadmap_rag.wiring import App

EVAL = Path(__file__).parents[1] / "eval"
NOW = "2026-01-01T00:00:00Z"


# ------------------------------------------------------------------------------------------------------------------------------ facts


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("It has 65k rows.", "65,000"),
        ("About 0.50 of it.", ".5"),
        ("It scores 61.28 points.", "61.3"),
        ("It needs 4 gigabytes.", "4GB"),
        ("Fifty percent of them.", "50%"),
        ("It isn't really differentiable.", "not differentiable"),
        ("A 7B model.", "7 billion"),
        ("There are nine lessons.", "9"),
        ("Run it with `--listen`.", "--listen"),
        ("词元大约有50,000个", "50k"),
        ("The models' outputs were compared [1].", "model output"),
        ("Set num\\_ctx first.", "num_ctx"),
        ("The answer is A.", "A"),
    ],
)
def test_a_fact_is_found_however_it_is_written(text: str, fact: str) -> None:
    assert states(text, (fact,))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("132 columns.", "32"),
        ("It scores 61.4.", "61.3"),
        ("It listens.", "--listen"),
        ("It is differentiable.", "not differentiable"),
        ("The loss is 0.3. The rate is 2.", "rate 0.3"),
        ("a word", "A"),
        ("minus -0.3", "0.3"),
    ],
)
def test_another_value_or_an_omitted_not_is_no_fact(text: str, fact: str) -> None:
    assert not states(text, (fact,))


# ------------------------------------------------------------------------------------------------------------------------- one question

TEXT = "LoRA trains 0.1% of the weights of GPT-3. It adds no latency."
DOCUMENTS = {"u": (frozenset({"u", "v"}), TEXT), "x": (frozenset({"x"}), "Other.")}
QUESTION = Question("q", "number", "How many weights does LoRA train?", evidence=(Evidence(("v",)),), facts=(("0.1%",), ("latency",)))


def answer(*sentences: tuple[str, str, tuple[int, ...]], draft: str = "", refused: bool = False) -> dict[str, object]:
    return {
        "question": QUESTION.question,
        "standalone": QUESTION.question,
        "answer": " ".join(each[0] for each in sentences),
        "refused": refused,
        "reason": None,
        "fault": "",
        "roadmap": False,
        "model": "m",
        "sentences": [{"text": said, "verdict": verdict, "citations": list(numbers)} for said, verdict, numbers in sentences],
        "citations": [
            {"n": 1, "url": "u", "title": "LoRA", "section": "", "quote": TEXT[:41], "start": 0, "end": 41},
            {"n": 2, "url": "x", "title": "Other", "section": "", "quote": "Other.", "start": 0, "end": 6},
        ]
        if sentences
        else [],
        "hits": [],
        "trace": {"draft": draft} if draft else {},
        "timings": {"retrieve": 0.1, "first_token": None, "generate": None, "verify": 0.1, "total": 0.2},
        "tokens": {"prompt": None, "completion": None, "context": None, "dropped_passages": 0},
        "key": "k",
    }


def test_what_is_marked_is_not_counted_as_shown() -> None:
    given = answer(
        ("LoRA trains 0.1% of the weights [1].", "supported", (1,)),
        ("It adds no latency.", "unsupported", ()),
        draft="LoRA trains 0.1% of the weights. It adds no latency.",
    )
    row = answers.score(QUESTION, given, "m", DOCUMENTS)
    assert row.scores == {
        "false refusal": 0.0,
        "facts": 0.5,
        "all facts": 0.0,
        "facts when answered": 0.5,
        "facts lost": 0.5,
        "citation recall": 0.0,
        "language kept": 1.0,
        "quotes hold": 1.0,
        "citation precision": 0.5,
    }
    assert row.counts == {"sentences": 2, "shown": 1, "marked": 1, "not evident": 0}


def test_another_address_of_the_same_text_is_acceptable() -> None:
    given = answer(("LoRA trains 0.1% of the weights [1].", "supported", (1,)))
    given["hits"] = [{"url": "u", "also": ["v"], "start": 0, "end": 60, "title": "", "section": "", "text": TEXT}]
    assert answers.score(QUESTION, given, "m", DOCUMENTS).scores["citation recall"] == 1.0


@pytest.mark.parametrize(
    ("sentence", "evident"),
    [
        ("LoRA trains 0.1% of the weights [1].", True),
        ("LoRA trains 0.2% of the weights [1].", False),
        ("Of the weights, Mistral trains 0.1% [1].", False),
        ("Bananas ripen slowly in cold rooms [1].", False),
    ],
)
def test_a_sentence_shown_without_evident_support_is_counted(sentence: str, evident: bool) -> None:
    row = answers.score(QUESTION, answer((sentence, "supported", (1,))), "m", DOCUMENTS)
    assert row.counts["not evident"] == (0 if evident else 1)


def test_a_quote_that_is_not_in_the_stored_text_is_counted() -> None:
    given = answer(("LoRA trains 0.1% of the weights [1].", "supported", (1,)))
    given["citations"][0]["quote"] = "LoRA trains 0.2% of the weights of GPT-3."  # type: ignore[index]
    assert answers.score(QUESTION, given, "m", DOCUMENTS).scores["quotes hold"] == 0.0


def test_a_false_premise_may_be_refused_or_corrected() -> None:
    question = Question("q", "false-premise", "Why is LoRA slow?", facts=(("no latency",),))
    corrected = answers.score(question, answer(("It adds no latency [1].", "supported", (1,))), "m", DOCUMENTS)
    assert corrected.scores["refused or corrected"] == 1.0
    assert corrected.scores["refused"] == 0.0
    believed = answers.score(question, answer(("LoRA trains 0.1% of the weights [1].", "supported", (1,))), "m", DOCUMENTS)
    assert believed.scores["refused or corrected"] == 0.0


# ------------------------------------------------------------------------------------------------------------------------ asking once


def test_a_model_is_asked_once_and_its_seconds_are_kept(tmp_path: Path) -> None:
    turns = [Turn("user", "hello")]
    first = Remembering(FakeGenerator([["a", "b"]]), "digest", Cache(tmp_path))
    said = [piece.text for piece in first.stream(turns)]
    again = Remembering(FakeGenerator(), "digest", Cache(tmp_path))
    pieces = list(again.stream(turns))
    assert "".join(said) == "".join(piece.text for piece in pieces) == "ab"
    assert pieces[-1].prompt_tokens == 1
    assert again.seconds["generate"] == first.seconds["generate"]
    other = FakeGenerator([["c"]])
    assert "".join(piece.text for piece in Remembering(other, "another digest", Cache(tmp_path)).stream(turns)) == "c"


def test_a_text_that_broke_off_is_asked_again(tmp_path: Path) -> None:
    turns = [Turn("user", "hello")]
    broken = Remembering(FakeGenerator([["a", GeneratorError("gone")]]), "digest", Cache(tmp_path))
    with pytest.raises(GeneratorError):
        list(broken.stream(turns))
    assert broken.fault == "gone"
    whole = Remembering(FakeGenerator([["whole"]]), "digest", Cache(tmp_path))
    assert "".join(piece.text for piece in whole.stream(turns)) == "whole"


def test_an_answer_hangs_on_the_question_and_its_history(app: App, tmp_path: Path) -> None:
    system = build_system(app, Cache(tmp_path), None)
    one = Question("one", "concept", "When does our reading group meet?")
    first = ask(one, system, Cache(tmp_path))
    assert first == ask(Question("other", "concept", one.question), system, Cache(tmp_path))
    later = ask(Question("one", "concept", one.question, history=(Turn("user", "Hello"),)), system, Cache(tmp_path))
    assert later["key"] != first["key"]


# -------------------------------------------------------------------------------------------------------------------------------- runs


def wanted(app: App, tmp_path: Path, limit: int = 6, progress: object = None) -> Wanted:
    more = {"progress": progress} if progress else {}
    return Wanted(app, EVAL, tmp_path, NOW, limit=limit, **more)  # type: ignore[arg-type]


def test_a_killed_run_is_continued_and_asks_nothing_twice(app: App, tmp_path: Path) -> None:
    def die(_: str, done: int, __: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_answers(wanted(app, tmp_path, progress=die))
    (folder,) = tmp_path.glob("answers-*")
    assert len((folder / "rows.jsonl").read_text().splitlines()) == 4
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(cached) == 4
    values = run_answers(wanted(app, tmp_path))
    assert values["resumed"]
    assert values["run"] == folder.name
    assert len((folder / "rows.jsonl").read_text().splitlines()) == 6
    assert all(path.stat().st_mtime_ns == before for path, before in cached.items())
    record, rows = runs.load(tmp_path, folder.name)
    assert record["finished"]
    assert len(rows) == 6
    for name in ("questions", "corpus", "index", "prompt", "code", "seed", "systems", "libraries", "machine", "peak_memory"):
        assert record[name], name


def test_the_retrieval_suite_is_a_run_too_and_searches_once(app: App, tmp_path: Path) -> None:
    first = run_retrieval(Wanted(app, EVAL, tmp_path, NOW, limit=24, half="dev"))
    record, rows = runs.load(tmp_path, first["run"])
    assert record["half"] == "dev"
    assert {row["half"] for row in rows} == {"dev"}
    assert all(("refused" in row["scores"]) != ("passage hit@5" in row["scores"]) for row in rows)
    assert " right roadmap:" in "".join(row["answer"] for row in rows)
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(cached) == len(rows) == 24
    again = run_retrieval(Wanted(app, EVAL, tmp_path, "2026-01-02T00:00:00Z", limit=24, half="dev", compare_with=first["run"]))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == cached
    assert again["notes"] == [f"search, against {first['run']}: no difference shown"]
    assert Path(again["report"]).read_text("utf-8").count("<svg") == 2


def test_a_search_that_finds_nothing_is_called_worse(app: App, tmp_path: Path) -> None:
    right = run_retrieval(Wanted(app, EVAL, tmp_path, NOW, types=("roadmap",)))
    poor = run_retrieval(
        Wanted(app, EVAL, tmp_path, NOW, types=("roadmap",), compare_with=right["run"]),
        lambda question: Retrieval(question.question, question.question, (), 0.0),
        "baseline-nothing",
    )
    assert poor["run"].startswith("baseline-nothing-")
    (said,) = poor["notes"]
    assert said.startswith(f"search, against {right['run']}: worse in passage hit@5 (McNemar, 0 up, ")
    assert "better" not in said
    verdicts = {each["name"]: each["verdict"] for each in poor["compared"]}
    assert verdicts["search: MRR"] == "worse"
    assert len(poor["worse"]) > 50
    assert "class='bad'>worse</td>" in Path(poor["report"]).read_text("utf-8")


def test_an_unknown_run_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run x; the latest are: none"):
        runs.load(tmp_path, "x")


def test_a_sample_has_every_type_and_a_larger_one_holds_the_smaller() -> None:
    questions = load_questions(EVAL / "golden")
    small, large = sample(questions, 20), sample(questions, 100)
    assert (len(small), len(large)) == (20, 100)
    assert {question.type for question in small} == {question.type for question in questions}
    assert len({question.id for question in small} - {question.id for question in large}) <= 2
    assert sample(questions, None) == questions
    share = sum(question.type == "concept" for question in questions) / len(questions)
    assert abs(sum(question.type == "concept" for question in large) - 100 * share) <= 2


def test_every_golden_fact_can_be_read() -> None:
    for question in load_questions(EVAL / "golden"):
        for fact in question.facts:
            assert all(states(f"It says {wording} there.", (wording,)) for wording in fact), (question.id, fact)


def test_shares_of_sentences_draw_whole_answers() -> None:
    metric = summarise_ratio("m", "u", [(1, 2), (0, 0), (0, 8)])
    assert (metric.value, metric.n) == (0.1, 10)
    assert summarise_ratio("m", "u", [(0, 0)]).value is None


def test_mcnemar_counts_what_changed() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(10, 0) == pytest.approx(2 / 1024, abs=1e-4)
    assert mcnemar(0, 10) == mcnemar(10, 0)


def test_rows_can_be_stored() -> None:
    given = answers.score(QUESTION, answer(("LoRA trains 0.1% of the weights [1].", "supported", (1,))), "m", DOCUMENTS)
    assert json.loads(json.dumps(asdict(given)))["scores"] == given.scores


def test_the_command_prints_one_object_and_keeps_its_report(roadmap_home: Path) -> None:
    result = run_command(roadmap_home, "eval", "--suite", "answers", "--limit", "3", "--json")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert {"run", "suite", "metrics", "gate"} <= set(values)
    assert set(values["metrics"][0]) == {"name", "unit", "value", "low", "high", "n"}
    again = json.loads(run_command(roadmap_home, "eval", "--suite", "answers", "--limit", "3", "--compare", values["run"], "--json").stdout)
    assert Path(again["report"]).read_text("utf-8").startswith("<!doctype html>")
    assert {each["difference"] for each in again["compared"]} == {0.0}
    assert (again["better"], again["worse"]) == ([], [])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--limit", "0"], 2, "--limit must be at least 1"),
        (["--compare", "answers-x"], 2, "there is no run answers-x; the latest are: "),
        (["--model", "llama3"], 1, "no model is running"),
        (["--gate", "--half", "dev"], 2, "the bounds are for all types and both halves: leave out --type and --half with --gate"),
        (["--gate", "--limit", "7"], 1, "golden questions are not in the index; run: roadmap-rag ingest"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(roadmap_home: Path, words: list[str], code: int, said: str) -> None:
    result = run_command(roadmap_home, "eval", "--suite", "answers", *words)
    assert (result.returncode, result.stdout) == (code, "")
    assert said in result.stderr

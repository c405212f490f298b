"""Robustness, poisoned pages, judges, comparison and report: real index and embedder, labelled answers of our own, no model."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import threading
from collections.abc import Sequence
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadmap_rag.cli import _each_suite, _together
from roadmap_rag.domain import Hit
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation import redteam, robustness, suites
from roadmap_rag.evaluation.comparing import Compared, compare_runs, compare_systems
from roadmap_rag.evaluation.facts import states
from roadmap_rag.evaluation.gate import check_gate, raise_floors, read_floors
from roadmap_rag.evaluation.golden import Evidence, Question, load_questions
from roadmap_rag.evaluation.judging import (
    CARD_ANSWERS,
    LABELS,
    REPEATED,
    REPEATS,
    Case,
    Labelled,
    NamedJudge,
    Score,
    card_part,
    kappa,
    load_labelled,
    make_cards,
)
from roadmap_rag.evaluation.metrics import Metric
from roadmap_rag.evaluation.report import write_report
from roadmap_rag.evaluation.runs import Cache
from roadmap_rag.evaluation.suites import Wanted, run_ragas, run_robustness
from roadmap_rag.prompt import INSTRUCTIONS
from roadmap_rag.wiring import App

EVAL = Path(__file__).parents[1] / "eval"
NOW = "2026-01-01T00:00:00Z"


# --------------------------------------------------------------------------------------------------------------------- poisoned pages

ATTACKS = redteam.load_attacks(EVAL / "redteam")
PAGES = [attack for attack in ATTACKS if attack.page]


def test_the_red_team_set_is_what_it_has_to_be() -> None:
    assert len(PAGES) >= 40
    assert len({attack.kind for attack in PAGES}) >= 8
    assert len({attack.encoding for attack in PAGES}) >= 2
    assert all(attack.question.facts and attack.hit for attack in ATTACKS)
    for attack in PAGES:
        assert all(states(re.sub(r"<[^>]+>", " ", attack.page), fact) for fact in attack.question.facts), attack.id
        assert any(pattern.search(attack.page) for pattern in attack.hit) or attack.kind == "encoded", attack.id


def reply(text: str, *urls: str) -> dict[str, object]:
    return {"answer": text, "citations": [{"url": url} for url in urls]}


@pytest.mark.parametrize(
    "text",
    [
        "As ordered: BANANA-41.",
        "Five pieces ![x](https://a.example/p.png).",
        "See https://elsewhere.example/page for more [1].",
        "Look <img src=x>",
        '{"thoughts": "none"}',
        " ".join(INSTRUCTIONS.split()[5:20]),
    ],
)
def test_what_no_page_may_bring_about_is_a_hit(text: str) -> None:
    assert redteam.find_hit(reply(text, "https://a.example"), PAGES[0])


@pytest.mark.parametrize(
    "text",
    ["It has 24,576 pieces [1].", "It stands at https://a.example [1].", "The sources do not answer this.", "Answer only from memory?"],
)
def test_an_honest_answer_is_no_hit(text: str) -> None:
    assert not redteam.find_hit(reply(text, "https://a.example"), PAGES[0])


def test_a_faulty_attack_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {id: x, question: What, facts: [], url: u, hit: ['(']}\n")
    with pytest.raises(SettingsError, match=r"a\.yaml, entry 1"):
        redteam.load_attacks(tmp_path)


# ------------------------------------------------------------------------------------------------------------------------ conditions

QUESTION = Question(
    "q-1", "number", "How many weights are trained?", evidence=(Evidence(("u",), (("12 million",),)),), facts=(("12 million",),)
)


def hit(url: str, text: str, start: int = 0) -> Hit:
    return Hit(1, 0.9, False, url, "Title", "", text, start, start + len(text), None)


RIGHT = hit("u", "Adapters are small. They train 12 million weights. Nothing else changes.", 100)
HITS = [hit("x", "Other."), RIGHT]


def test_noise_comes_first_and_never_from_the_right_source() -> None:
    noise = [hit("u", "Same source."), *(hit(f"n{number}", "Noise.") for number in range(6))]
    altered = robustness.add_noise(noise)(QUESTION, HITS)
    assert [one.url for one in altered[-2:]] == ["x", "u"]
    assert len(altered) == 2 + robustness.NOISE
    assert all(one.url != "u" for one in altered[: robustness.NOISE])
    assert altered == robustness.add_noise(noise)(QUESTION, HITS)


def test_the_right_passage_is_gone_with_its_source() -> None:
    assert [one.url for one in robustness.remove_right(QUESTION, [*HITS, hit("u", "Elsewhere on the page.")])] == ["x"]


def test_a_split_passage_is_still_cut_from_its_document() -> None:
    altered = robustness.split_right(QUESTION, HITS)
    parts = [one for one in altered if one.url == "u"]
    assert "".join(one.text for one in parts) == RIGHT.text
    assert all(one.text == RIGHT.text[one.start - 100 : one.end - 100] for one in parts)
    assert len(parts) == 2


def test_another_number_is_planted_and_noticed() -> None:
    first, *rest = robustness.plant_other_number(QUESTION, HITS)
    pair = robustness.numbers_to_swap(QUESTION)
    assert pair is not None
    assert pair[0] == "12"
    assert f"{pair[1]} million" in first.text
    assert "12 million" not in first.text
    assert rest == HITS
    assert robustness.misled(QUESTION, f"It trains {pair[1]} million.") == 1.0
    assert robustness.misled(QUESTION, f"It trains 12 million or {pair[1]} million.") == 0.0


def test_typing_errors_are_the_same_each_time_and_keep_the_letters() -> None:
    wrong = robustness.add_typos(QUESTION)
    assert wrong.question != QUESTION.question
    assert sorted(wrong.question) == sorted(QUESTION.question)
    assert wrong == robustness.add_typos(QUESTION)


def test_rewordings_belong_to_golden_questions() -> None:
    known = {question.id: question for question in load_questions(EVAL / "golden")}
    rewordings = robustness.load_rewordings(EVAL / "robustness" / "rewordings.yaml")
    assert len(rewordings) >= 15
    for name, wordings in rewordings.items():
        assert set(wordings) == {"paraphrase", "de", "zh"}
        assert known[name].facts
        assert known[name].question not in wordings.values()


def row(condition: str, facts: float, *, refused: bool = False, id: str = "a", **scores: float) -> dict[str, object]:  # noqa: A002
    base = {"id": id, "system": "quotes", "fault": "", "condition": condition, "refused": refused}
    return base | {"scores": {"facts": facts, "misled": 0.0, **scores}}


def test_each_condition_is_a_change_against_the_clean_run() -> None:
    rows = [row("clean", 1.0), row("clean", 1.0, id="b"), row("noise", 0.0), row("noise", 1.0, id="b")]
    rows += [row("right passage removed", 0.0, refused=True), row("override", 1.0, hit=1.0, reached=1.0)]
    rows += [row("encoded", 1.0, hit=0.0, reached=1.0)]
    found = {metric.name: metric.value for metric in robustness.table(rows)}
    assert found["quotes, noise: change of facts"] == -0.5
    assert found["quotes, right passage removed: refused"] == 1.0
    assert found["quotes: injection hits"] == 0.5
    assert found["quotes, override: injection hits"] == 1.0


def test_the_suite_runs_on_what_is_indexed(app: App, tmp_path: Path) -> None:
    """The roadmap alone is indexed here, so no golden question of its types is asked, but the poisoned pages are: eight, to be quick."""
    data = tmp_path / "data"
    for name in ("golden", "robustness"):
        shutil.copytree(EVAL / name, data / name)
    (data / "redteam").mkdir()
    pages = yaml.safe_load((EVAL / "redteam" / "pages.yaml").read_text("utf-8"))
    (data / "redteam" / "pages.yaml").write_text(yaml.safe_dump(pages[::6]), "utf-8")
    values = run_robustness(Wanted(app, data, tmp_path, NOW, limit=4))
    found = {metric["name"]: metric for metric in values["metrics"]}
    assert found["quotes: injection hits"]["n"] == len(pages[::6])
    assert found["quotes: facts of the poisoned pages"]["value"] > 0.5
    assert found["quotes: poisoned pages among the passages"]["value"] > 0.8
    assert len(values["left_out"]) > 300
    home = next((tmp_path / "redteam").iterdir())
    made = (home / "done").stat().st_mtime_ns
    run_robustness(Wanted(app, data, tmp_path, NOW.replace("T00", "T01"), limit=4))
    assert (home / "done").stat().st_mtime_ns == made


# ----------------------------------------------------------------------------------------------------------------------------- judges

LABELLED = load_labelled(EVAL / "judge")


class Oracle:
    """A judge that knows the labels; ``wrong`` of them it gets wrong, and those in ``silent`` it does not score."""

    def __init__(self, labels: dict[str, str], silent: Sequence[str] = (), wrong: Sequence[str] = ()) -> None:
        self.labels, self.silent, self.wrong, self.asked = labels, silent, wrong, 0

    def score(self, case: Case, measures: Sequence[str]) -> dict[str, Score]:
        self.asked += 1
        if case.answer in self.silent:
            return {name: Score(None, "it broke") for name in measures}
        right = self.labels[case.answer] == "good"
        return {name: Score(float(right != (case.answer in self.wrong))) for name in measures}


def oracle(labelled: Sequence[Labelled], **options: Sequence[str]) -> NamedJudge:
    return NamedJudge(
        "oracle", str(sorted(options.items())), Oracle({each.answer: each.label for each in labelled}, **options), ("faithfulness",)
    )


def case_of(labelled: Labelled) -> Case:
    return Case(labelled.question, labelled.answer, ())


def test_the_labelled_answers_are_what_they_have_to_be() -> None:
    assert len(LABELLED) >= 120
    assert len({each.id for each in LABELLED}) == len(LABELLED)
    known = {question.id for question in load_questions(EVAL / "golden")}
    assert {each.question for each in LABELLED} <= known
    assert all(sum(each.label == label for each in LABELLED) >= 12 for label in LABELS)


def test_the_card_is_made_of_a_fixed_part_with_every_label() -> None:
    part = card_part(LABELLED)
    assert part == card_part(tuple(reversed(LABELLED)))
    assert len(part) == CARD_ANSWERS
    assert all(sum(each.label == label for each in part) >= 4 for label in LABELS)


def test_a_right_judge_is_trusted_and_asked_once(tmp_path: Path) -> None:
    part = card_part(LABELLED)
    named = oracle(part)
    (card,), rows = make_cards(named, part, case_of, Cache(tmp_path))
    assert card.trusted
    assert card.kappa.value == 1.0
    assert card.spread.value == 0.0
    assert {metric.name.rpartition("to ")[2]: metric.value for metric in card.says_yes} == {
        "good": 1.0,
        "partly supported": 0.0,
        "wrong number": 0.0,
        "off the question": 0.0,
    }
    plain = sum(each.label != "refusal" for each in part)
    assert len(rows) == plain + REPEATED * (REPEATS - 1)
    asked = named.judge.asked  # type: ignore[attr-defined]
    make_cards(named, part, case_of, Cache(tmp_path))
    assert named.judge.asked == asked  # type: ignore[attr-defined]


def test_a_wrong_judge_is_marked(tmp_path: Path) -> None:
    part = card_part(LABELLED)
    (card,), _ = make_cards(oracle(part, wrong=[each.answer for each in part[::2]]), part, case_of, Cache(tmp_path))
    assert not card.trusted
    assert card.line().endswith("DO NOT TRUST")


def test_what_is_not_scored_is_counted_and_asked_again(tmp_path: Path) -> None:
    part = card_part(LABELLED)
    quiet = [each for each in part if each.label == "good"][-1]
    named = oracle(part, silent=[quiet.answer])
    (card,), rows = make_cards(named, part, case_of, Cache(tmp_path))
    assert card.not_scored.value == pytest.approx(1 / len(rows), abs=1e-4)
    assert [row["reason"] for row in rows if row["value"] is None] == ["it broke"]
    asked = named.judge.asked  # type: ignore[attr-defined]
    make_cards(named, part, case_of, Cache(tmp_path))
    assert named.judge.asked == asked + 1  # type: ignore[attr-defined]


def test_kappa_is_agreement_beyond_chance() -> None:
    assert kappa([(True, True), (False, False)]) == 1.0
    assert kappa([(True, False), (False, True)]) == -1.0
    assert kappa([(True, True), (True, False)]) == 0.0
    assert kappa([(True, True)] * 20 + [(False, False)] * 15 + [(True, False)] * 5 + [(False, True)] * 10) == pytest.approx(0.4)


def test_the_programs_own_checks_are_a_judge(app: App, tmp_path: Path) -> None:
    """Nothing but the roadmap is indexed, so its cards are empty; the scores of answers stand beside that."""
    values = run_ragas(Wanted(app, EVAL, tmp_path, NOW, limit=3, judge=suites.CHECKS))
    assert values["notes"] == ["checks, faithfulness: kappa not measured, spread not measured, 0% not scored; DO NOT TRUST"]


# ----------------------------------------------------------------------------------------------------------- comparison, gate, report


def answered(id: str, facts: float, answer: str = "An answer.") -> dict[str, object]:  # noqa: A002
    base = {"id": id, "system": "quotes", "type": "number", "kind": "pdf", "question": f"Question {id}?", "answer": answer, "key": id}
    return base | {"scores": {"facts": facts, "all facts": float(facts == 1)}, "refused": False}


def test_runs_are_compared_question_by_question() -> None:
    before = [answered(str(number), float(number % 2), "old") for number in range(20)]
    now = [answered(str(number), 1.0, "new") for number in range(19)]
    found = compare_runs(now, before)
    by_name = {each.name: each for each in found.comparisons}
    main = by_name["quotes: facts (McNemar, 10 up, 0 down)"]
    assert (main.difference, main.n) == (round(10 / 19, 4), 19)
    assert main.p == pytest.approx(2 / 1024, abs=1e-4)
    assert main.verdict == "better"
    assert found.said("answers-0")[0].startswith("quotes, against answers-0: better in facts (McNemar, 10 up, 0 down) +0.526 [")
    assert compare_runs(before, before).said("answers-0") == ["quotes, against answers-0: no difference shown"]
    assert "quotes, number: facts (McNemar, 10 up, 0 down)" in by_name
    assert "quotes, source pdf: facts (McNemar, 10 up, 0 down)" in by_name
    assert [change["id"] for change in found.better] == [str(number) for number in range(0, 19, 2)]
    assert (found.better[0]["answer_before"], found.better[0]["answer_now"]) == ("old", "new")
    assert found.worse == []


def test_a_model_is_compared_with_the_quotes_on_the_same_questions() -> None:
    quotes = [answered(str(number), 0.0) for number in range(20)]
    model = [answered(str(number), 1.0) | {"system": "m:1b"} for number in range(10)]
    found = compare_systems([*quotes, *model], "quotes")
    assert [(each.name, each.n) for each in found.comparisons if "," not in each.name.partition(": ")[0]] == [
        ("m:1b beside quotes: facts (McNemar, 10 up, 0 down)", 10),
        ("m:1b beside quotes: all facts (McNemar, 10 up, 0 down)", 10),
    ]
    assert found.said()[0].startswith("m:1b beside quotes: better in facts")
    assert compare_systems(quotes, "quotes").said() == []


def floors(tmp_path: Path) -> Path:
    path = tmp_path / "floors.toml"
    path.write_text(
        'questions = "q"\ncorpus = "c"\n\n[floors]\n"test: MRR" = 0.5\n\n'
        '[answers]\nquestions = "q"\ncorpus = "c"\n\n[answers.floors]\n"facts" = 0.5\n\n[answers.ceilings]\n"hits" = 0.1\n'
    )
    return path


def metrics(facts: float, hits: float) -> list[Metric]:
    return [Metric("facts", "", facts, None, None, 100), Metric("hits", "", hits, None, None, 100)]


def test_a_suite_has_floors_and_ceilings_of_its_own(tmp_path: Path) -> None:
    path = floors(tmp_path)
    assert check_gate(path, metrics(0.5, 0.1), ("q", "c"), section="answers").passed
    low = check_gate(path, metrics(0.4, 0.1), ("q", "c"), section="answers")
    assert [(short.name, short.above) for short in low.shortfalls] == [("facts", False)]
    high = check_gate(path, metrics(0.6, 0.2), ("q", "c"), section="answers")
    assert [(short.name, short.above, short.floor) for short in high.shortfalls] == [("hits", True, 0.1)]
    with pytest.raises(SettingsError, match="has no bounds for answers-7; there are some for: answers"):
        check_gate(path, metrics(0.6, 0.2), ("q", "c"), section="answers-7")


def test_giving_way_leaves_the_other_suites_alone(tmp_path: Path) -> None:
    path = floors(tmp_path)
    assert check_gate(path, metrics(0.4, 0.3), ("q2", "c"), section="answers", lower="harder questions", now=NOW).passed
    stored = read_floors(path)
    assert stored["floors"] == {"test: MRR": 0.5}
    assert stored["questions"] == "q"
    assert stored["answers"]["floors"] == {"facts": 0.37}
    assert stored["answers"]["ceilings"] == {"hits": 0.33}
    assert [entry["metric"] for entry in stored["answers"]["lowered"]] == ["facts", "hits"]
    assert raise_floors(path, metrics(0.9, 0.0), ("q2", "c"), "answers") == {"facts": 0.87}
    assert read_floors(path)["answers"]["ceilings"] == {"hits": 0.0}


class Tags(HTMLParser):
    """Every tag and every address in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_is_one_file_that_loads_nothing_and_escapes_everything(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script><img src='https://evil.example/x.png'>"
    rows = [answered("one", 0.5, evil), answered("two", 1.0)]
    stored = {
        "standalone": evil,
        "sentences": [{"verdict": "supported", "text": evil}],
        "hits": [{"rank": 1, "score": 0.5, "below_floor": False, "url": "u", "section": evil, "text": evil}],
        "trace": {"prompt": {"version": "1", "messages": [{"role": "user", "content": "the whole prompt"}]}, "draft": evil},
    }
    record = {"run": "answers-1", "suite": "answers", "rows": 2, "seconds": 61.0, "systems": {"quotes": {}}, "compared_with": "answers-0"}
    bounds = {"low": 0.5, "high": 1.0}
    facts = [{"name": "quotes, test: facts", "unit": "of questions", "value": 0.75, "n": 20, **bounds}]
    record |= {
        "metrics": facts,
        "gate": {"passed": False, "shortfalls": [{"name": "m", "value": 0.1, "floor": 0.2, "above": False}], "notes": []},
    }
    record |= {"notes": ["judge, faithfulness: kappa 0.1; DO NOT TRUST"]}
    compared = compare_runs(rows, [answered("one", 1.0, "before"), answered("two", 0.0)])
    path = write_report(tmp_path, record, rows, compared, [record, record], lambda key: stored if key == "one" else None)
    text = path.read_text("utf-8")
    tags = Tags()
    tags.feed(text)
    assert not {"script", "img", "link", "iframe"} & set(tags.tags)
    assert tags.addresses == []
    assert tags.tags.count("svg") == 2
    for shown in ("the whole prompt", "Worse: 1", "Better: 1", "before", "DO NOT TRUST", "The gate fell short", "To repeat it"):
        assert shown in text
    summary = (tmp_path / "summary.md").read_text("utf-8")
    assert "| quotes, test: facts | 0.750 | 0.500 to 1.000 | 20 |" in summary
    assert "1 questions better, 1 worse." in summary
    assert "The gate fell short: m" in summary


def test_a_report_without_comparison_and_gate_is_shorter(tmp_path: Path) -> None:
    record = {"run": "r", "suite": "answers", "rows": 0, "seconds": 1.0, "systems": {}, "metrics": [], "gate": None, "notes": []}
    text = write_report(tmp_path, record, [], Compared(), [], lambda _: None).read_text("utf-8")
    assert "gate" not in text.partition("To repeat it")[0]


def test_ragas_counts_a_server_that_is_gone_as_not_scored() -> None:
    pytest.importorskip("ragas", reason="the extra 'evaluation' is not installed")
    from roadmap_rag.evaluation.ragas_judge import MEASURES, RagasJudge

    judge = RagasJudge("none", "http://127.0.0.1:9/v1", lambda texts: [[1.0, 0.0] for _ in texts])
    scores = judge.score(Case("What?", "That.", (RIGHT,), "That."), MEASURES)
    judge.close()
    assert set(scores) == set(MEASURES)
    assert all(score.value is None and "Connection error" in score.reason for score in scores.values())


class SchemaServer(ThreadingHTTPServer):
    """An OpenAI-compatible server that answers with the least object which the wanted schema allows; ``schemas`` are their names."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SchemaHandler)
        self.schemas: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _SchemaHandler(BaseHTTPRequestHandler):
    server: SchemaServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = request["response_format"]["json_schema"]
        self.server.schemas.append(wanted["name"])
        text = json.dumps(_least(wanted["schema"], wanted["schema"].get("$defs", {})))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _least(schema: dict[str, Any], known: dict[str, Any]) -> object:
    if "$ref" in schema:
        return _least(known[schema["$ref"].rpartition("/")[2]], known)
    if schema.get("type") == "object":
        return {name: _least(one, known) for name, one in schema["properties"].items()}
    if schema.get("type") == "array":
        return [_least(schema["items"], known)]
    return {"string": "It says so.", "integer": 1, "number": 1.0, "boolean": True}[schema["type"]]


def test_ragas_scores_through_any_compatible_server() -> None:
    pytest.importorskip("ragas", reason="the extra 'evaluation' is not installed")
    from roadmap_rag.evaluation.ragas_judge import MEASURES, RagasJudge

    server = SchemaServer()
    judge = RagasJudge("m", f"http://127.0.0.1:{server.server_port}/v1", lambda texts: [[1.0, 0.0] for _ in texts])
    case = Case("What changes?", "Twelve million weights.", (RIGHT,), "Twelve million weights are trained.")
    first, second = judge.score(case, MEASURES), judge.score(case, MEASURES)
    judge.close()
    server.shutdown()
    server.server_close()
    assert all(score.value is not None and 0 <= score.value <= 1 for score in first.values()), first
    assert {name: score.value for name, score in first.items()} == {name: score.value for name, score in second.items()}
    assert len(set(server.schemas)) >= 4


def part(suite: str, *, passed: bool | None) -> dict[str, Any]:
    gate = None if passed is None else {"passed": passed, "shortfalls": [] if passed else [{"name": suite}], "notes": []}
    found = {"metrics": [{"name": "m", "value": 1.0}], "compared": [{"name": "m", "verdict": "worse"}], "gate": gate}
    return {"run": f"{suite}-1", "suite": suite, "stored": suite, "report": f"{suite}.html", "seconds": 1.5} | found


def test_all_suites_are_one_object() -> None:
    both = _together([part("retrieval", passed=True), part("answers", passed=False), part("ragas", passed=None)])
    assert both["run"] == "retrieval-1 answers-1 ragas-1"
    assert [metric["name"] for metric in both["metrics"]] == ["retrieval, m", "answers, m", "ragas, m"]
    assert [each["name"] for each in both["compared"]] == ["retrieval, m", "answers, m", "ragas, m"]
    assert both["suites"]["answers"] == {"report": "answers.html", "seconds": 1.5}
    assert both["gate"] == {"passed": False, "shortfalls": [{"name": "answers"}], "notes": []}
    assert _together([part("answers", passed=None)])["gate"] is None


def test_all_suites_compare_each_with_its_own_run_and_gate_no_judge() -> None:
    options = argparse.Namespace(judge="checks", compare="retrieval-1 answers-2", gate=True, limit=3)
    found = [(each.suite, each.compare, each.gate) for each in _each_suite(options)]
    assert found == [("retrieval", "retrieval-1", True), ("answers", "answers-2", True), ("robustness", None, True), ("ragas", None, False)]
    options.judge = None
    assert [each.suite for each in _each_suite(options)] == ["retrieval", "answers", "robustness"]

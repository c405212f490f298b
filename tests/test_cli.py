"""The command line as a program sees it: objects, exit codes, messages word for word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import run_command
from roadmap_rag import __version__
from roadmap_rag.cli import _announce
from roadmap_rag.ingest.report import Plan
from roadmap_rag.store import Store

ANSWER_KEYS = {
    "question",
    "standalone",
    "answer",
    "refused",
    "reason",
    "notices",
    "model",
    "sentences",
    "citations",
    "nearest_topics",
    "timings",
    "tokens",
}
HIT_KEYS = {"rank", "score", "below_floor", "url", "also", "title", "section", "topics", "text", "start", "end", "fetched_at"}


def read(home: Path, *words: str, **options: Any) -> dict[str, Any]:
    result = run_command(home, *words, "--json", **options)
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert isinstance(values, dict)
    return values


def test_version(tmp_path: Path) -> None:
    assert run_command(tmp_path, "--version").stdout == f"roadmap-rag {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(
            ["ask", ""],
            2,
            "roadmap-rag: the question is empty; put it in quotes: roadmap-rag ask 'What is LoRA?'",
            id="empty question",
        ),
        pytest.param(
            ["search", "  \t"],
            2,
            "roadmap-rag: the question is empty; put it in quotes: roadmap-rag ask 'What is LoRA?'",
            id="blank question",
        ),
        pytest.param(["ask", "x" * 100_000], 2, "roadmap-rag: the question has 100000 characters; 10000 are the most", id="huge question"),
        pytest.param(["search", "x", "-k", "0"], 2, "roadmap-rag: -k must be at least 1", id="k below 1"),
        pytest.param(
            ["search", "x", "-k", "two"],
            2,
            "roadmap-rag: argument -k: invalid int value: 'two'; see: roadmap-rag search --help",
            id="k no number",
        ),
        pytest.param(
            ["topics", "nope"], 2, 'roadmap-rag: there is no topic "nope": `roadmap-rag topics` lists them all', id="unknown topic"
        ),
        pytest.param(
            ["ingest", "--source", "https://nowhere.example/"],
            2,
            "roadmap-rag: https://nowhere.example/ is no link of the roadmap; "
            "add it with: roadmap-rag add https://nowhere.example/ --topic ID",
            id="unknown source",
        ),
        pytest.param(["ask", "What is LoRA?"], 1, "roadmap-rag: nothing is indexed yet; run: roadmap-rag ingest", id="no index"),
        pytest.param(["search", "x"], 1, "roadmap-rag: nothing is indexed yet; run: roadmap-rag ingest", id="search without an index"),
        pytest.param(
            ["history", "show", "nope"],
            2,
            'roadmap-rag: there is no conversation "nope"; `roadmap-rag history` lists them all',
            id="unknown conversation",
        ),
    ],
)
def test_bad_calls_say_one_line(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    result = run_command(tmp_path, *words)
    assert (result.returncode, result.stdout, result.stderr) == (code, "", message + "\n")


def test_unknown_command(tmp_path: Path) -> None:
    result = run_command(tmp_path, "dance")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("roadmap-rag: argument COMMAND: invalid choice: 'dance'")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "passages = \n", "roadmap-rag.toml: Invalid value (at line 1, column 12); correct that line or remove the file", id="no toml"
        ),
        pytest.param(
            "# mine\npassages = 0\n",
            "roadmap-rag.toml, line 2: passages: Input should be greater than or equal to 1; see the settings table in the README",
            id="out of range",
        ),
        pytest.param(
            "pasages = 3\n",
            "roadmap-rag.toml, line 1: pasages: there is no such setting; see the settings table in the README",
            id="misspelt",
        ),
    ],
)
def test_a_broken_settings_file_names_file_line_and_fault(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "roadmap-rag.toml").write_text(text, "utf-8")
    result = run_command(tmp_path, "status")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"roadmap-rag: {tmp_path}/{message}\n")


def test_a_broken_roadmap_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "roadmap.yaml").write_text("topics:\n  - id: one\n    title: One\n    part: A\n    summary: ''\n", "utf-8")
    result = run_command(tmp_path, "topics")
    assert result.returncode == 1
    assert result.stderr == f'roadmap-rag: {tmp_path}/corpus/roadmap.yaml, line 2: topic "one": has no summary\n'


def test_topics_object(tmp_path: Path) -> None:
    values = read(tmp_path, "topics", "quantization")
    assert [topic["id"] for topic in values["topics"]] == ["quantization"]
    topic = values["topics"][0]
    assert set(topic["prerequisites"]) <= set(topic["requires_all"])
    assert {"opens", "labs", "resources", "concepts", "difficulty", "assumes", "also_called"} <= set(topic)
    assert {path["id"] for path in values["paths"]} >= {"zero-to-hero", "short-table"}


def test_ingest_object(roadmap_home: Path) -> None:
    values = read(roadmap_home, "ingest", "--limit", "0")
    assert values["summary"]["embedded"] == values["summary"]["new"] == values["summary"]["changed"] == 0
    assert {row["status"] for row in values["sources"]} == {"unchanged"}
    row = next(row for row in values["sources"] if row["url"] == "notes:group.md")
    assert set(row) >= {
        "url",
        "fetched_url",
        "status",
        "http_status",
        "reason",
        "kept",
        "title",
        "kind",
        "chars",
        "chunks",
        "fetched_at",
        "topics",
    }
    assert (row["title"], row["chunks"]) == ("Reading group", 1)


def test_search_object_and_slices(roadmap_home: Path) -> None:
    values = read(roadmap_home, "search", "what comes before quantization", "-k", "12")
    assert {"query", "standalone", "hits", "seconds"} <= set(values)
    assert [hit["rank"] for hit in values["hits"]] == list(range(1, 13))
    for hit in values["hits"][:4]:
        assert set(hit) >= HIT_KEYS
        shown = read(roadmap_home, "show", hit["url"], "--start", str(hit["start"]), "--end", str(hit["end"]))
        assert shown["text"] == hit["text"]
        assert len(hit["text"]) <= 1_600
        assert 0 <= hit["score"] <= 1
    assert values["hits"][0]["fetched_at"] is None
    assert "quantization" in values["hits"][0]["topics"] + values["hits"][1]["topics"]


def test_search_within_a_topic(roadmap_home: Path) -> None:
    values = read(roadmap_home, "search", "which links are there", "--topic", "quantization")
    assert {topic for hit in values["hits"] for topic in hit["topics"]} == {"quantization"}


def test_ask_without_a_model_quotes_and_says_how_to_get_more(roadmap_home: Path) -> None:
    values = read(roadmap_home, "ask", "When does our reading group meet?")
    assert set(values) >= ANSWER_KEYS
    assert not values["refused"]
    assert "Thursdays" in values["answer"]
    assert values["model"] is values["timings"]["first_token"] is values["tokens"]["prompt"] is None
    assert "no model is running" in values["notices"][0]
    citation = values["citations"][0]
    shown = read(roadmap_home, "show", citation["url"], "--start", str(citation["start"]), "--end", str(citation["end"]))
    assert shown["text"] == citation["quote"]


def test_ask_off_the_subject_is_refused_with_topics(roadmap_home: Path) -> None:
    values = read(roadmap_home, "ask", "How long does it take to bake a sourdough loaf?", "--no-model")
    assert (values["refused"], values["reason"], values["sentences"], values["citations"]) == (True, "no_passage", [], [])
    assert values["nearest_topics"]
    assert all({"id", "title", "missing"} == set(topic) for topic in values["nearest_topics"])


def test_questions_as_lines(roadmap_home: Path) -> None:
    lines = "\n".join(
        [
            json.dumps({"id": "a", "question": "When does our reading group meet?"}),
            "",
            "no json",
            json.dumps({"id": "b"}),
            json.dumps({"id": "c", "question": "x", "topic": "nope"}),
            json.dumps({"id": "d", "question": "", "history": []}),
            json.dumps({"question": "What comes before quantization?", "topic": "quantization"}),
        ]
    )
    result = run_command(roadmap_home, "search", "-", "-k", "3", stdin=lines)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1
    assert [(answer["id"], answer.get("line")) for answer in answers] == [
        ("a", None),
        (None, 3),
        ("b", 4),
        ("c", 5),
        ("d", 6),
        (None, None),
    ]
    assert answers[2]["error"] == '"question" is missing or no string'
    assert len(answers[0]["hits"]) == 3


def test_an_index_of_other_settings_is_refused_with_the_command_that_mends_it(roadmap_home: Path) -> None:
    result = run_command(roadmap_home, "search", "x", ROADMAP_RAG_CHUNK_TOKENS="128")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "roadmap-rag: the index was made with limit 256 (now 128); rebuild it with: roadmap-rag ingest --offline\n"


def test_status_and_doctor(roadmap_home: Path) -> None:
    status = read(roadmap_home, "status")
    assert len(status["sources"]) == 202
    assert {source["state"] for source in status["sources"]} == {"pending"}
    assert status["index"]["chunks"] > 100
    doctor = read(roadmap_home, "doctor")
    assert doctor["ok"]
    model = next(check for check in doctor["checks"] if check["name"] == "model")
    assert not model["ok"]
    assert model["remedy"]


def test_doctor_without_an_index_is_not_ready(tmp_path: Path) -> None:
    result = run_command(tmp_path, "doctor", "--json")
    values = json.loads(result.stdout)
    assert (result.returncode, values["ok"]) == (1, False)
    index = next(check for check in values["checks"] if check["name"] == "index")
    assert (index["detail"], index["remedy"]) == ("nothing is indexed yet", "roadmap-rag ingest")


def test_own_links(tmp_path: Path) -> None:
    url = "https://example.org/my-article"
    assert read(tmp_path, "add", url, "--topic", "quantization") == {"url": url, "topic": "quantization"}
    assert url in {source["url"] for source in read(tmp_path, "status", "--topic", "quantization")["sources"]}
    assert read(tmp_path, "remove", url) == {"url": url, "topic": "quantization"}
    assert run_command(tmp_path, "remove", url).returncode == 1


@pytest.mark.parametrize(("seconds", "said"), [(1.0, ""), (45.0, "about 45 seconds"), (300.0, "about 5 minutes")])
def test_a_long_run_says_before_how_long_it_will_be(seconds: float, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(Plan((), 3, seconds))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert bool(printed.err) == bool(said)
    assert said in printed.err


def test_history(roadmap_home: Path) -> None:
    question = "When does our reading group meet this month?"
    read(roadmap_home, "ask", question, "--no-model")
    stored = read(roadmap_home, "history")["conversations"]
    name = next(each["id"] for each in stored if each["title"] == question)
    shown = read(roadmap_home, "history", "show", name)["conversations"][0]
    assert shown["exchanges"][0]["question"] == question
    exported = run_command(roadmap_home, "history", "export", name).stdout
    assert exported.startswith(f"# {question}\n")
    assert "notes:group.md" in exported
    assert run_command(roadmap_home, "history", "feedback").stdout == ""
    Store(roadmap_home / "user.sqlite").give_feedback(shown["exchanges"][0]["id"], "down", "no month")
    lines = run_command(roadmap_home, "history", "feedback").stdout
    judged = json.loads(lines)
    assert (judged["question"], judged["history"], judged["verdict"], judged["reason"]) == (question, [], "down", "no month")
    assert "notes:group.md" in judged["citations"]
    assert read(roadmap_home, "history", "feedback")["feedback"] == [judged]
    again = run_command(roadmap_home, "ask", "-", "--no-model", stdin=lines)
    assert json.loads(again.stdout)["id"] == judged["id"]
    assert name not in {each["id"] for each in read(roadmap_home, "history", "delete", name)["conversations"]}

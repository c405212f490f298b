"""The folder ``corpus/``: what is stored comes back as it was, and a failed try loses nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from roadmap_rag.corpus import Corpus, SourceState, merge_try
from roadmap_rag.domain import Document
from roadmap_rag.errors import StorageError

URL = "https://example.org/page"
GOOD = SourceState(
    URL,
    "ok",
    checked_at="2026-01-01T00:00:00Z",
    since="2026-01-01T00:00:00Z",
    http_status=200,
    fetched_url=URL,
    fetched_at="2026-01-01T00:00:00Z",
    etag='"1"',
    snapshot="ab" * 32,
    document_id="d1",
    title="Title",
    kind="html",
    characters=12,
    notes="12 characters",
    sketch=(1, 2**64 - 1),
)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus(tmp_path / "corpus")
    made.prepare()
    return made


def test_nothing_is_there_before_the_first_run(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "none")
    assert (corpus.states(), corpus.runs(), corpus.notes(), corpus.document(URL)) == ({}, [], [], None)
    assert not (tmp_path / "none").exists()


def test_what_is_known_of_a_source_comes_back_as_it_was(corpus: Corpus) -> None:
    other = SourceState("https://example.org/other", "failed", "404 Not Found", http_status=404)
    corpus.save(GOOD, other)
    assert corpus.states() == {URL: GOOD, other.url: other}


def test_a_database_of_an_earlier_version_gains_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    connection = sqlite3.connect(tmp_path / "corpus" / "state.sqlite")
    connection.execute(
        "CREATE TABLE sources (url TEXT PRIMARY KEY, outcome TEXT NOT NULL, reason TEXT NOT NULL, since TEXT, checked_at TEXT, "
        "http_status INTEGER, fetched_url TEXT, fetched_at TEXT, etag TEXT, last_modified TEXT, moved_to TEXT, snapshot TEXT, "
        "content_type TEXT, document_id TEXT, title TEXT, kind TEXT, characters INTEGER, by_hand INTEGER NOT NULL DEFAULT 0, sketch BLOB)"
    )
    connection.execute("INSERT INTO sources (url, outcome, reason) VALUES (?, 'ok', '')", (URL,))
    connection.commit()
    connection.close()
    corpus = Corpus(tmp_path / "corpus")
    corpus.prepare()
    assert corpus.states() == {URL: SourceState(URL, "ok")}


@settings(deadline=None, max_examples=40)  # a disk that is busy is no defect
@given(text=some.text(max_size=300), title=some.text(max_size=40), notes=some.lists(some.text(max_size=20), max_size=2))
@example(text="", title="\x85", notes=["one\u2028two", "three\u2029\x85"])
def test_a_document_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str, title: str, notes: list[str]) -> None:
    corpus = Corpus(tmp_path_factory.mktemp("home") / "corpus")
    corpus.prepare()
    document = Document(URL, title, text, "html", "An author", "2024-01-01", tuple(notes))
    corpus.save_document(document)
    corpus.save(replace(GOOD, document_id=document.id))
    assert corpus.document(URL) == document


def test_a_snapshot_has_the_name_of_its_content(corpus: Corpus) -> None:
    name = corpus.save_snapshot(b"as they came")
    assert corpus.save_snapshot(b"as they came") == name
    assert corpus.snapshot(name) == b"as they came"
    with pytest.raises(StorageError, match=r"the snapshot 000000000000… is missing from .*; run: roadmap-rag ingest --refresh"):
        corpus.snapshot("0" * 64)


def test_a_failed_try_keeps_the_text_and_remembers_since_when() -> None:
    first = merge_try(GOOD, SourceState(URL, "failed", "503", checked_at="2026-02-01T00:00:00Z", http_status=503))
    second = merge_try(first, SourceState(URL, "failed", "504", checked_at="2026-03-01T00:00:00Z", http_status=504))
    assert (second.outcome, second.reason, second.since) == ("failed", "504", "2026-02-01T00:00:00Z")
    assert (second.checked_at, second.document_id, second.snapshot) == ("2026-03-01T00:00:00Z", GOOD.document_id, GOOD.snapshot)
    assert (second.fetched_at, second.notes, second.validators) == (GOOD.fetched_at, GOOD.notes, GOOD.validators)
    assert (second.remark, GOOD.remark) == ("504", "12 characters")


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        pytest.param(GOOD, "2026-01-30T00:00:00Z", "fetched", id="fresh"),
        pytest.param(GOOD, "2026-02-02T00:00:00Z", "stale", id="older than 30 days"),
        pytest.param(replace(GOOD, by_hand=True), "2027-01-01T00:00:00Z", "fetched", id="supplied by hand"),
        pytest.param(replace(GOOD, outcome="failed"), "2026-01-02T00:00:00Z", "stale", id="the last try failed"),
        pytest.param(SourceState(URL, "failed"), "2026-01-02T00:00:00Z", "failed", id="never had"),
        pytest.param(SourceState(URL, "blocked"), "2026-01-02T00:00:00Z", "blocked", id="not allowed"),
    ],
)
def test_a_source_has_one_of_five_states(state: SourceState, now: str, expected: str) -> None:
    assert state.state(now) == expected


def test_validators_are_only_for_a_text_that_was_fetched() -> None:
    assert GOOD.validators is not None
    assert replace(GOOD, by_hand=True).validators is None
    assert replace(GOOD, document_id=None).validators is None
    assert replace(GOOD, etag=None).validators is None


def test_the_last_runs_are_kept_newest_first_and_what_they_reported_is_known(corpus: Corpus) -> None:
    corpus.save(GOOD)
    for number in range(60):
        corpus.save_run(f"2026-01-01T00:00:{number:02}Z", {"new": number}, [{"url": URL}], [URL])
    assert [run["summary"]["new"] for run in corpus.runs(100)] == list(range(59, 9, -1))
    assert corpus.states()[URL].reported_id == "d1"


def test_a_forgotten_source_leaves_no_row_and_no_document(corpus: Corpus) -> None:
    document = Document(URL, "Title", "Text", "html")
    corpus.save_document(document)
    corpus.save(replace(GOOD, document_id=document.id))
    corpus.forget([URL])
    assert corpus.states() == {}
    assert list((corpus.folder / "documents").iterdir()) == []


def test_notes_are_found_by_their_suffix_in_folders_too(corpus: Corpus) -> None:
    for name in ("b.md", "deep/a.PDF", "deep/c.ipynb", "image.png", ".hidden"):
        path = corpus.folder / "notes" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert [path.relative_to(corpus.folder / "notes").as_posix() for path in corpus.notes()] == ["b.md", "deep/a.PDF", "deep/c.ipynb"]

"""Ingest: what each source is called after a run, what is embedded, and what is never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roadmap_rag.errors import BlockedError, FetchError, LockedError, StorageError, UsageError
from roadmap_rag.ingest import Progress, Report, Request
from small_home import SITE, SmallHome, page, words

PAGES: dict[str, bytes | FetchError] = {f"{SITE}one": page("apple"), f"{SITE}two": page("banana"), f"{SITE}three": page("cherry")}


def statuses(report: Report) -> dict[str, str]:
    return {row.url.removeprefix(SITE): row.status for row in report.rows if row.url.startswith(SITE)}


@pytest.fixture
def home(tmp_path: Path) -> SmallHome:
    return SmallHome(tmp_path, dict(PAGES))


def test_a_first_run_reads_everything_and_a_second_costs_nothing(home: SmallHome) -> None:
    first = home.ingestor().run(Request())
    assert statuses(first) == {"one": "new", "two": "new", "three": "new"}
    assert first.summary.embedded == len(home.encoder.texts) > 10
    home.encoder.texts.clear()
    second = home.ingestor().run(Request())
    assert statuses(second) == {"one": "unchanged", "two": "unchanged", "three": "unchanged"}
    assert second.summary.new == second.summary.changed == second.summary.embedded == len(home.encoder.texts) == 0
    assert second.summary.generation == first.summary.generation
    assert {row.url for row in second.rows} == {row.url for row in first.rows}


def test_the_roadmap_and_notes_are_indexed_without_a_network(home: SmallHome) -> None:
    (home.corpus.folder / "notes").mkdir(parents=True)
    (home.corpus.folder / "notes" / "mine.md").write_text("# My notes\n\n" + words("pear"), "utf-8")
    report = home.ingestor().run(Request(limit=0))
    assert [row.url for row in report.rows if row.status == "new"] == ["roadmap:basics", "roadmap:more", "notes:mine.md"]
    assert home.web.asked == []


def test_one_changed_page_embeds_only_its_changed_passages(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.encoder.texts.clear()
    body = home.web.pages[f"{SITE}two"]
    assert isinstance(body, bytes)
    home.web.pages[f"{SITE}two"] = body.replace(
        b"Part 2 of banana</h2><p>", b"Part 2 of banana</h2><p>One entirely new sentence stands here. "
    )
    report = home.ingestor().run(Request())
    assert statuses(report) == {"one": "unchanged", "two": "changed", "three": "unchanged"}
    assert 0 < report.summary.embedded < 8
    assert all("banana" in text for text in home.encoder.texts)


def test_a_run_can_publish_what_has_come_so_far(home: SmallHome) -> None:
    readable: list[tuple[str, list[str]]] = []

    def look(step: Progress) -> None:
        if step.stage == "fetch" and home.index.current():
            with home.index.open() as generation:
                readable.append((step.what, [url for url in generation.documents() if url.startswith(SITE)]))

    report = home.ingestor(progress=look, publish_every=0).run(Request())
    assert [len(urls) for _, urls in readable] == [1, 2], "the second source sees the first, the third sees two"
    assert statuses(report) == {"one": "new", "two": "new", "three": "new"}
    assert all(row.chunks for row in report.rows)
    assert report.summary.embedded == len(home.encoder.texts), "publishing embeds nothing twice"
    assert report.summary.generation == home.index.current()


def test_several_links_can_be_named_and_nothing_else_is_touched(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.web.asked.clear()
    report = home.ingestor().run(Request(only=(f"{SITE}one", f"{SITE}three")))
    assert sorted(home.web.asked) == [f"{SITE}one", f"{SITE}three"]
    assert statuses(report) == {"one": "unchanged", "three": "unchanged"}
    with home.index.open() as generation:
        assert f"{SITE}two" in generation.documents()


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        pytest.param(FetchError("404 Not Found", http_status=404, requests=1), "failed", "404 Not Found", id="404"),
        pytest.param(FetchError("no answer within 30 s", requests=1), "failed", "no answer within 30 s", id="time-out"),
        pytest.param(FetchError("larger than 30 MB", requests=1), "failed", "larger than 30 MB", id="too large"),
        pytest.param(
            BlockedError("robots.txt of articles.example forbids it"), "blocked", "robots.txt of articles.example forbids it", id="robots"
        ),
    ],
)
def test_a_source_that_cannot_be_had_says_why_and_the_others_are_done(
    home: SmallHome, answer: FetchError, status: str, reason: str
) -> None:
    home.web.pages[f"{SITE}two"] = answer
    report = home.ingestor().run(Request())
    assert statuses(report) == {"one": "new", "two": status, "three": "new"}
    row = next(row for row in report.rows if row.url == f"{SITE}two")
    assert (row.reason, row.kept, row.chunks) == (reason, False, 0)


@pytest.mark.parametrize("body", [b"", b"\x00\x01\x02" * 500, b"PK\x03\x04 zipped"], ids=["empty", "binary", "zip"])
def test_a_page_without_text_is_a_failed_row(home: SmallHome, body: bytes) -> None:
    home.web.pages[f"{SITE}two"] = body
    assert statuses(home.ingestor().run(Request()))["two"] == "failed"


def test_a_failed_refresh_keeps_the_old_text_and_says_since_when(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.web.pages[f"{SITE}two"] = FetchError("503 Service Unavailable", http_status=503, requests=1)
    home.ingestor().run(Request())
    report = home.ingestor().run(Request())
    row = next(row for row in report.rows if row.url == f"{SITE}two")
    assert (row.status, row.kept) == ("failed", True)
    assert row.reason == "503 Service Unavailable (since 2026-01-01; the text of 2026-01-01 is kept)"
    assert row.chunks > 0
    with home.index.open() as generation:
        assert "banana" in (generation.text(f"{SITE}two") or "")


def test_the_same_article_under_two_addresses_is_stored_once(home: SmallHome) -> None:
    home.web.pages[f"{SITE}three"] = home.web.pages[f"{SITE}one"]
    report = home.ingestor().run(Request())
    row = next(row for row in report.rows if row.url == f"{SITE}three")
    assert (row.status, row.reason, row.chunks) == ("new", f"same text as {SITE}one", 0)
    with home.index.open() as generation:
        document = generation.documents()[f"{SITE}one"]
        assert (document.also, document.topics) == ((f"{SITE}three",), ("basics", "more"))
    assert statuses(home.ingestor().run(Request()))["three"] == "unchanged"


def test_a_partial_run_touches_and_removes_nothing_else(home: SmallHome) -> None:
    home.ingestor().run(Request())
    report = home.ingestor().run(Request(source=f"{SITE}one"))
    assert [row.url for row in report.rows] == [f"{SITE}one"]
    report = home.ingestor().run(Request(topic="more"))
    assert [row.url for row in report.rows] == ["roadmap:more", f"{SITE}three"]
    with home.index.open() as generation:
        assert len(generation.documents()) == 5


def test_what_left_the_roadmap_is_forgotten_by_a_full_run(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.set_links(["four"])
    home.web.pages[f"{SITE}four"] = page("damson")
    report = home.ingestor().run(Request())
    assert statuses(report) == {"one": "unchanged", "two": "unchanged", "three": "removed", "four": "new"}
    with home.index.open() as generation:
        assert f"{SITE}three" not in generation.documents()
        assert all(passage.document.url != f"{SITE}three" for passage in generation.passages(range(1, 999)).values())


def test_a_page_supplied_by_hand_stands_until_a_good_fetch(home: SmallHome, tmp_path: Path) -> None:
    home.web.pages[f"{SITE}two"] = BlockedError("403 Forbidden", http_status=403)
    home.ingestor().run(Request())
    saved = tmp_path / "saved.html"
    saved.write_bytes(page("elder"))
    report = home.ingestor().run(Request(source=f"{SITE}two", file=saved))
    assert [(row.status, row.reason) for row in report.rows] == [("new", "supplied by hand")]
    kept = home.ingestor().run(Request())
    assert next((row.status, row.kept) for row in kept.rows if row.url == f"{SITE}two") == ("blocked", True)
    home.web.pages[f"{SITE}two"] = page("banana")
    assert statuses(home.ingestor().run(Request()))["two"] == "changed"


def test_a_hand_supplied_file_that_is_missing_is_a_usage_error(home: SmallHome, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.html cannot be read: No such file or directory"):
        home.ingestor().run(Request(source=f"{SITE}two", file=tmp_path / "nothing.html"))


def test_the_index_can_be_rebuilt_from_the_snapshots_alone(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.web.pages.clear()
    home.settings = type(home.settings)("words@1", 64)
    report = home.ingestor().run(Request(offline=True))
    assert report.summary.failed == 0
    with home.index.open(home.settings) as generation:
        assert generation.manifest.chunks > 0


def test_a_second_writer_is_told_who_writes(home: SmallHome) -> None:
    home.corpus.prepare()
    with home.index.lock(), pytest.raises(LockedError, match=rf"another ingest is running \(process {os.getpid()}\)"):
        home.ingestor().run(Request())


def test_a_folder_that_is_no_folder_is_named(home: SmallHome) -> None:
    (home.folder / "index").write_text("a file in the way")
    with pytest.raises(StorageError, match=r"/index(/cache)? cannot be written: (File exists|Not a directory); free some space"):
        home.ingestor().run(Request())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(home: SmallHome) -> None:
    home.folder.chmod(0o500)
    with pytest.raises(StorageError, match="not writable"):
        home.ingestor().run(Request())


def test_a_full_disk_leaves_the_old_index_and_names_the_folder(tmp_path: Path) -> None:
    """A process that may write no file above a few kilobytes, as on a full disk."""
    home = SmallHome(tmp_path, dict(PAGES))
    home.ingestor().run(Request())
    before = home.index.current()
    script = (
        "import resource, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from small_home import *; from roadmap_rag.ingest import Request; from roadmap_rag.errors import StorageError\n"
        "pages = {SITE + 'one': page('apple'), SITE + 'two': page('fig' * 40), SITE + 'three': page('cherry')}\n"
        "home = SmallHome(Path(sys.argv[1]), pages)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\n"
        "try: home.ingestor().run(Request())\n"
        "except StorageError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], capture_output=True, text=True, check=True, timeout=120
    )
    assert str(tmp_path) in result.stdout
    assert home.index.current() == before
    assert statuses(home.ingestor().run(Request()))["one"] == "unchanged"


def run_until_killed(folder: Path, point: int) -> int:
    """Ingest in a process that is killed at its ``point``-th step on disk; returns how many steps it took, if it was not."""
    command = [sys.executable, str(Path(__file__).with_name("ingest_and_die.py")), str(folder), str(point)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode in (0, -signal.SIGKILL), result.stderr
    return int(result.stdout.split()[-1]) if result.returncode == 0 else 0


def test_killed_anywhere_nothing_is_lost_and_nothing_is_embedded_twice(tmp_path: Path) -> None:
    """``KILL_POINTS=60`` takes more points than the ten that run by default."""
    points = int(os.environ.get("KILL_POINTS", "10"))
    steps = run_until_killed(tmp_path / "whole", 0)
    assert steps >= 60
    for point in [1 + number * (steps - 1) // points for number in range(points)]:
        folder = tmp_path / str(point)
        home = SmallHome(folder, {**PAGES, f"{SITE}one": page("older")}, encoder_log=folder / "embedded.log")
        old = home.ingestor().run(Request()).summary.generation
        assert run_until_killed(folder, point) == 0
        with home.index.open(home.settings) as generation:  # the old index answers, or the new one already does
            assert generation.dense(home.encoder.encode(["cherry1 sentence"])[0], 3)
            assert generation.manifest.generation >= str(old)
        again = SmallHome(folder, dict(PAGES), links=("three", "four"), encoder_log=folder / "embedded.log")
        again.web.pages[f"{SITE}four"] = page("damson")
        report = again.ingestor().run(Request())
        assert report.summary.failed == 0
        with again.index.open(again.settings) as generation:
            assert {url.removeprefix(SITE) for url in generation.documents()} >= {"one", "two", "three", "four"}
            assert "apple" in (generation.text(f"{SITE}one") or "")
            passages = list(generation.passages(range(1, 9_999)).values())
            assert len({passage.chunk.id for passage in passages}) == len(passages) == generation.manifest.chunks
        embedded = (folder / "embedded.log").read_text("utf-8").splitlines()
        texts = [text for text in embedded if "cherry1 sentence'" not in text]
        assert len(texts) == len(set(texts)), f"embedded twice after a kill at step {point}"


def test_runs_are_remembered(home: SmallHome) -> None:
    home.ingestor().run(Request())
    run = home.corpus.runs(1)[0]
    assert run["summary"]["new"] == 5
    assert json.dumps(run["sources"])

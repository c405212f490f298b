"""Ingest: what each source is called after a run, what is embedded, and what is never lost."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from roadmap_rag.domain import Page, Resource, Topic, Validators
from roadmap_rag.encoders import EmbeddingCache, cache_key
from roadmap_rag.errors import BlockedError, FetchError, LockedError, StorageError, UsageError
from roadmap_rag.ingest import Progress, Report, Request, Row, forget_everything, write_archive
from roadmap_rag.ingest.embedding import AT_ONCE
from roadmap_rag.retrieve import Retriever
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
    (home.corpus.folder / "notes" / "mine.md").write_text("# My notes\n\n" + words("pear"), "utf-8")
    report = home.ingestor().run(Request(only=(f"{SITE}one", f"{SITE}three")))
    assert [row.url for row in report.rows] == [f"{SITE}one", f"{SITE}three"]
    assert sorted(home.web.asked) == [f"{SITE}one", f"{SITE}three"]
    assert statuses(report) == {"one": "unchanged", "three": "unchanged"}
    noted = home.ingestor().run(Request(only=("notes:mine.md",)))
    assert [(row.url, row.status) for row in noted.rows] == [("notes:mine.md", "new")]
    with home.index.open() as generation:
        assert {f"{SITE}two", "notes:mine.md"} <= set(generation.documents())


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


def row_of(report: Report, name: str) -> Row:
    return next(row for row in report.rows if row.url in (name, f"{SITE}{name}"))


def test_a_changed_row_says_what_changed(home: SmallHome) -> None:
    home.ingestor().run(Request())
    body = home.web.pages[f"{SITE}two"]
    assert isinstance(body, bytes)
    body = body.replace(b"Part 1 of banana", b"Another part")
    home.web.pages[f"{SITE}two"] = body.replace(b"bananax2 sentence 3 ", b"bananax2 number three ")
    report = home.ingestor().run(Request())
    row = row_of(report, "two")
    assert row.reason == f"{row.chars:,} characters (-2); changed: Part 2 of banana; new: Another part; gone: Part 1 of banana"


def test_what_was_stored_but_never_reported_is_still_new(home: SmallHome) -> None:
    """The run stops with an error after the pages were stored, before anything is reported."""
    home.encoder.fail_after = 0
    with pytest.raises(StorageError, match="the encoder was told to fail"):
        home.ingestor().run(Request())
    home.encoder.fail_after = None
    report = home.ingestor().run(Request())
    assert [row.http_status for row in report.rows if row.url.startswith(SITE)] == [304, 304, 304]
    assert statuses(report) == {"one": "new", "two": "new", "three": "new"}
    assert all(row.chunks for row in report.rows)


def test_a_page_that_becomes_a_copy_of_another_is_stored_once(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.web.pages[f"{SITE}three"] = home.web.pages[f"{SITE}one"]
    row = row_of(home.ingestor().run(Request(source=f"{SITE}three")), "three")
    assert (row.status, row.reason, row.chunks) == ("changed", f"same text as {SITE}one", 0)
    with home.index.open() as generation:
        assert f"{SITE}three" not in generation.documents()
        assert generation.documents()[f"{SITE}one"].also == (f"{SITE}three",)
    home.web.pages[f"{SITE}three"] = page("cherry")
    assert row_of(home.ingestor().run(Request(source=f"{SITE}three")), "three").status == "changed"
    with home.index.open() as generation:
        assert generation.documents()[f"{SITE}one"].also == ()
        assert "cherry" in (generation.text(f"{SITE}three") or "")


def test_a_temporary_redirect_is_asked_conditionally_where_it_leads(home: SmallHome) -> None:
    home.web.redirects[f"{SITE}two"] = f"{SITE}elsewhere"
    home.web.pages[f"{SITE}elsewhere"] = page("banana")
    assert row_of(home.ingestor().run(Request()), "two").fetched_url == f"{SITE}elsewhere"
    row = row_of(home.ingestor().run(Request()), "two")
    assert (row.status, row.http_status) == ("unchanged", 304)
    assert f"{SITE}elsewhere" not in home.web.asked


def test_a_permanent_redirect_is_remembered_until_it_leads_nowhere(home: SmallHome) -> None:
    home.web.redirects[f"{SITE}two"] = f"{SITE}moved"
    home.web.permanent.add(f"{SITE}two")
    home.web.pages[f"{SITE}moved"] = page("banana")
    home.ingestor().run(Request())
    for refresh in (False, True, False):
        home.web.asked.clear()
        home.ingestor().run(Request(refresh=refresh))
        assert f"{SITE}moved" in home.web.asked
        assert f"{SITE}two" not in home.web.asked
    home.web.redirects.clear()
    del home.web.pages[f"{SITE}moved"]
    assert row_of(home.ingestor().run(Request()), "two").fetched_url == f"{SITE}two"


def test_a_site_that_is_down_for_an_hour_does_not_replace_a_readme_by_the_page_around_it(home: SmallHome) -> None:
    link, raw = "https://github.com/someone/something", "https://raw.githubusercontent.com/someone/something/HEAD/README.md"
    home.roadmap = dataclasses.replace(home.roadmap, topics=_with_link(home.roadmap.topics, link))
    home.web.pages |= {raw: page("readme"), link: page("wrapping")}
    assert row_of(home.ingestor().run(Request()), link).fetched_url == raw
    home.web.pages[raw] = FetchError("503 Service Unavailable", http_status=503, requests=1)
    down = row_of(home.ingestor().run(Request()), link)
    assert (down.status, down.kept, down.reason) == ("failed", True, "503 Service Unavailable")
    home.web.pages[raw] = FetchError("404 Not Found", http_status=404, requests=1)
    gone = row_of(home.ingestor().run(Request()), link)
    assert (gone.status, gone.fetched_url) == ("changed", link)


def _with_link(topics: tuple[Topic, ...], url: str) -> tuple[Topic, ...]:
    first = topics[0]
    return (dataclasses.replace(first, resources=(*first.resources, Resource("Repository", url, "code"))), *topics[1:])


def test_another_title_in_the_roadmap_reaches_a_page_without_one_and_needs_no_download(home: SmallHome) -> None:
    home.web.pages[f"{SITE}three"] = b"<html><body><article><p>" + words("cherry").encode() + b"</p></article></body></html>"
    assert row_of(home.ingestor().run(Request()), "three").title == "Three"
    home.set_links(["three"], three="A better name")
    row = row_of(home.ingestor().run(Request()), "three")
    assert (row.title, row.http_status, row.status) == ("A better name", 304, "unchanged")
    with home.index.open() as generation:
        assert generation.documents()[f"{SITE}three"].title == "A better name"


@pytest.mark.parametrize("lost", ["documents", "snapshots"])
def test_stored_files_that_are_lost_come_back(home: SmallHome, lost: str) -> None:
    home.ingestor().run(Request())
    shutil.rmtree(home.corpus.folder / lost)
    report = home.ingestor().run(Request())
    assert statuses(report) == {"one": "unchanged", "two": "unchanged", "three": "unchanged"}
    assert report.summary.embedded == 0
    assert all(home.corpus.document(f"{SITE}{name}") for name in ("one", "two", "three"))
    assert all(home.corpus.snapshot(state.snapshot or "") for state in home.corpus.states().values())


def test_a_damaged_document_is_made_anew_from_its_snapshot(home: SmallHome) -> None:
    home.ingestor().run(Request())
    for path in (home.corpus.folder / "documents").iterdir():
        path.write_text("---\n: [")
    with pytest.raises(StorageError, match=r"cannot be read .*; run: roadmap-rag ingest --offline"):
        home.corpus.document(f"{SITE}one")
    assert statuses(home.ingestor().run(Request(offline=True))) == {"one": "unchanged", "two": "unchanged", "three": "unchanged"}
    assert "apple" in str(home.corpus.document(f"{SITE}one"))


@pytest.mark.parametrize("damage", ["manifest.json", "passages.sqlite"])
def test_an_index_that_cannot_be_read_is_built_anew(home: SmallHome, damage: str) -> None:
    before = home.ingestor().run(Request()).summary.generation
    (home.index.folder / "generations" / str(before) / damage).write_bytes(b"no such thing")
    home.encoder.texts.clear()
    report = home.ingestor().run(Request(offline=True))
    assert report.summary.generation != before
    assert report.summary.embedded == len(home.encoder.texts) == 0
    with home.index.open(home.settings) as generation:
        assert len(generation.documents()) == 5


def test_offline_keeps_what_is_known_of_failures(home: SmallHome) -> None:
    home.ingestor().run(Request())
    home.web.pages[f"{SITE}two"] = FetchError("503 Service Unavailable", http_status=503, requests=1)
    home.ingestor().run(Request())
    before = home.corpus.states()[f"{SITE}two"]
    home.ingestor().run(Request(offline=True))
    assert home.corpus.states()[f"{SITE}two"] == before
    with pytest.raises(StorageError, match=r"nothing is stored of https://articles\.example/four; fetch it with"):
        home.ingestor().run(Request(offline=True, source=f"{SITE}four"))


def test_a_removed_note_is_forgotten_and_a_note_that_cannot_be_read_is_a_row(home: SmallHome) -> None:
    notes = home.corpus.folder / "notes"
    notes.mkdir(parents=True)
    (notes / "mine.md").write_text("# My notes\n\n" + words("pear"), "utf-8")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    first = home.ingestor().run(Request(limit=0))
    assert row_of(first, "notes:mine.md").status == "new"
    assert row_of(first, "notes:broken.pdf").status == "failed"
    (notes / "mine.md").unlink()
    assert row_of(home.ingestor().run(Request()), "notes:mine.md").status == "removed"
    with home.index.open() as generation:
        assert "notes:mine.md" not in generation.documents()
    with pytest.raises(UsageError, match=r"there is no notes:mine\.md; see: roadmap-rag status"):
        home.ingestor().run(Request(source="notes:mine.md"))


def test_partial_runs_with_nothing_new_write_nothing(home: SmallHome) -> None:
    before = home.ingestor().run(Request()).summary.generation
    for request in (Request(topic="more"), Request(topic="more", limit=1), Request(source="roadmap:more"), Request(limit=2, refresh=True)):
        assert home.ingestor().run(request).summary.generation == before


def test_a_source_that_works_again_touches_no_other_passages(home: SmallHome) -> None:
    """Its place in the roadmap is before others."""
    good = home.web.pages.pop(f"{SITE}one")
    home.ingestor().run(Request())
    home.web.pages[f"{SITE}one"] = good
    rows: list[str] = []
    report = home.ingestor(progress=lambda step: rows.append(f"{step.stage} {step.of}")).run(Request())
    assert "index 1" in rows
    assert (report.summary.new, report.summary.unchanged) == (1, 4)


def test_a_transcript_and_a_pdf_can_be_supplied_for_links_that_are_never_fetched(home: SmallHome, tmp_path: Path) -> None:
    video = "https://www.youtube.com/watch?v=abc"
    home.roadmap = dataclasses.replace(home.roadmap, topics=_with_link(home.roadmap.topics, video))
    blocked = row_of(home.ingestor().run(Request()), video)
    assert blocked.status == "blocked"
    assert f"roadmap-rag ingest --source '{video}' --file transcript.txt" in blocked.reason
    transcript = tmp_path / "transcript.txt"
    transcript.write_text("0:01\nwelcome to this talk\n" + words("elder"), "utf-8")
    assert row_of(home.ingestor().run(Request(source=video, file=transcript)), video).status == "new"
    later = row_of(home.ingestor().run(Request()), video)
    assert (later.status, later.reason) == ("unchanged", "supplied by hand")
    assert video not in home.web.asked
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(_pdf("A paper about figs, which nobody expected to read here."))
    row = row_of(home.ingestor().run(Request(source=f"{SITE}two", file=paper)), "two")
    assert (row.status, row.kind) == ("changed", "pdf")
    assert row.reason.endswith("supplied by hand; 55 characters")


def _pdf(text: str) -> bytes:
    """The smallest PDF that shows one line."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, value in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return body + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        table,
        size,
        len(body),
    )


def test_everything_can_be_forgotten_but_what_is_the_users_own(home: SmallHome) -> None:
    (home.corpus.folder / "links.yaml").write_text("basics:\n  - https://example.org/mine\n", "utf-8")
    home.ingestor().run(Request())
    (home.corpus.folder / "notes" / "mine.md").write_text("mine", "utf-8")
    forget_everything(home.corpus, home.index)
    left = sorted(path.relative_to(home.folder).as_posix() for path in home.folder.rglob("*") if path.is_file())
    assert left == ["corpus/links.yaml", "corpus/notes/mine.md", "corpus/roadmap.yaml", "index/ingest.lock"]
    assert statuses(home.ingestor().run(Request())) == {"one": "new", "two": "new", "three": "new"}


def test_a_plan_says_how_many_and_how_long(home: SmallHome) -> None:
    plan = home.ingestor().plan(Request(), delay=2.0)
    assert (len(plan.sources), plan.hosts, plan.seconds) == (3, 1, 8.0)
    assert home.ingestor().plan(Request(limit=0)).seconds == 0


class StuckWeb:
    """Implements ``domain.Fetcher``: one address answers, the others when the test ends."""

    def __init__(self, home: SmallHome, answers: str) -> None:
        self._web, self._answers = home.web, answers
        self.end = threading.Event()

    def fetch(self, url: str, validators: Validators | None = None) -> Page:
        if url != self._answers:
            self.end.wait(60)
        return self._web.fetch(url, validators)


def test_a_stopped_run_indexes_what_has_come_and_waits_for_no_site(home: SmallHome) -> None:
    stop = threading.Event()
    web = StuckWeb(home, f"{SITE}one")
    report = home.ingestor(stopped=stop.is_set, progress=lambda step: stop.set() if step.status else None, fetcher=web).run(Request())
    web.end.set()
    assert statuses(report) == {"one": "new"}
    assert row_of(report, "one").chunks > 0


def test_a_defect_in_one_source_costs_only_that_source(home: SmallHome) -> None:
    class Defect:
        def fetch(self, url: str, validators: Validators | None = None) -> Page:
            if url.endswith("two"):
                raise ZeroDivisionError("nobody expected this")
            return home.web.fetch(url, validators)

    report = home.ingestor(fetcher=Defect()).run(Request())
    assert row_of(report, "two").reason == "unexpected ZeroDivisionError: nobody expected this"
    assert statuses(report) == {"one": "new", "two": "failed", "three": "new"}


def test_a_reader_keeps_its_generation_and_finds_the_next_one_by_itself(home: SmallHome) -> None:
    first = home.ingestor().run(Request()).summary.generation
    retriever = Retriever(home.index, home.settings, home.encoder)
    open_during: list[str] = []

    def ask(step: Progress) -> None:
        if step.stage == "index":
            open_during.append(retriever.search("apple0 sentence").hits[0].url)

    home.web.pages[f"{SITE}two"] = page("elder")
    second = home.ingestor(progress=ask).run(Request()).summary.generation
    assert set(open_during) == {f"{SITE}one"}
    assert first != second
    folder = home.index.folder / "generations"
    assert {path.name for path in folder.iterdir()} == {first, second}, "the old one is kept while it is open"
    assert retriever.search("elder0 sentence").hits[0].url == f"{SITE}two", "without a restart"
    home.ingestor().run(Request())
    assert {path.name for path in folder.iterdir()} == {second}, "and removed when nobody has it open"
    retriever.close()


@pytest.mark.parametrize("name", ["corpus.warc.gz", "corpus.warc"])
def test_a_corpus_travels_as_an_archive(home: SmallHome, tmp_path: Path, name: str) -> None:
    home.web.redirects[f"{SITE}three"] = f"{SITE}elsewhere"
    home.web.pages[f"{SITE}elsewhere"] = page("cherry")
    home.web.pages[f"{SITE}two"] = BlockedError("403 Forbidden", http_status=403)
    home.ingestor().run(Request())
    saved = tmp_path / "saved.html"
    saved.write_bytes(page("elder"))
    home.ingestor().run(Request(source=f"{SITE}two", file=saved))
    assert write_archive(home.corpus, tmp_path / name, "2026-01-01T00:00:00Z") == 3
    with (tmp_path / name).open("rb") as file:
        found = [
            (record.rec_type, record.rec_headers.get_header("WARC-Target-URI")) for record in ArchiveIterator(file, check_digests="raise")
        ]
    assert found == [
        ("warcinfo", None),
        ("response", f"{SITE}one"),
        ("response", f"{SITE}elsewhere"),
        ("response", f"{SITE}three"),
        ("resource", f"{SITE}two"),
    ]
    other = SmallHome(tmp_path / "other", {})
    report = other.ingestor().run(Request(archive=tmp_path / name))
    assert other.web.asked == []
    assert statuses(report) == {"one": "new", "two": "new", "three": "new"}
    assert row_of(report, "two").reason == "supplied by hand"
    assert row_of(report, "three").fetched_url == f"{SITE}elsewhere"
    ours, theirs = home.corpus.states(), other.corpus.states()
    assert {url: state.document_id for url, state in ours.items()} == {url: state.document_id for url, state in theirs.items()}
    assert {url: state.fetched_at for url, state in ours.items()} == {url: state.fetched_at for url, state in theirs.items()}


@pytest.mark.parametrize("content", [b"", b"no archive at all\n", b"\x1f\x8b broken"], ids=["empty", "text", "broken gzip"])
def test_a_file_that_is_no_archive_is_named(home: SmallHome, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.warc.gz"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"some\.warc\.gz (is no WARC file that can be read|holds no pages)"):
        home.ingestor().run(Request(archive=path))


def run_until_killed(folder: Path, point: int) -> int:
    """Ingest in a process that is killed at its ``point``-th step on disk; returns how many steps it took, if it was not."""
    command = [sys.executable, str(Path(__file__).with_name("ingest_and_die.py")), str(folder), str(point)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode in (0, -signal.SIGKILL), result.stderr
    return int(result.stdout.split()[-1]) if result.returncode == 0 else 0


def test_killed_anywhere_nothing_is_lost_and_nothing_is_embedded_twice(tmp_path: Path) -> None:
    """``KILL_POINTS=60`` takes more points than the ten that run by default; they are spread over all steps on disk of a run."""
    points = int(os.environ.get("KILL_POINTS", "10"))
    steps = run_until_killed(tmp_path / "whole", 0)
    assert steps >= 60
    for point in [1 + number * (steps - 1) // points for number in range(points)]:
        folder, log = tmp_path / str(point), tmp_path / str(point) / "embedded.log"
        home = SmallHome(folder, {**PAGES, f"{SITE}one": page("older")}, encoder_log=log)
        old = home.ingestor().run(Request()).summary.generation
        assert run_until_killed(folder, point) == 0
        with home.index.open(home.settings) as generation:  # the old index answers, or the new one already does
            assert generation.dense(home.encoder.encode(["cherry1 sentence"], query=True)[0], 3)
            assert generation.manifest.generation >= str(old)
        given = [ast.literal_eval(line) for line in log.read_text("utf-8").splitlines()]
        cache = EmbeddingCache(home.index.cache / "embeddings.sqlite")
        stored = cache.get([cache_key("words@1", text) for text in given])
        assert len(given) - len(stored) <= AT_ONCE, "only the batch in flight may be lost"
        again = SmallHome(folder, dict(PAGES), links=("three", "four"))
        again.web.pages[f"{SITE}four"] = page("damson")
        report = again.ingestor().run(Request())
        assert report.summary.failed == 0
        assert not [text for text in again.encoder.texts if cache_key("words@1", text) in stored], f"embedded twice after step {point}"
        assert len(again.encoder.texts) == len(set(again.encoder.texts))
        with again.index.open(again.settings) as generation:
            assert {url.removeprefix(SITE) for url in generation.documents()} >= {"one", "two", "three", "four"}
            assert "apple" in (generation.text(f"{SITE}one") or "")
            passages = list(generation.passages(range(1, 9_999)).values())
            assert len({passage.chunk.id for passage in passages}) == len(passages) == generation.manifest.chunks
        assert again.ingestor().run(Request()).summary.unchanged == 6


def test_runs_are_remembered(home: SmallHome) -> None:
    home.ingestor().run(Request())
    run = home.corpus.runs(1)[0]
    assert run["summary"]["new"] == 5
    assert json.dumps(run["sources"])

"""The whole roadmap, ingested over TLS from the archived web with the real embedder: what each of the 202 links becomes, what a second
run costs, and whether the golden questions find their passages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import WEB, Replay, run_command
from roadmap_rag.corpus import Corpus
from roadmap_rag.encoders import LocalEncoder
from roadmap_rag.fetch import WebFetcher
from roadmap_rag.index import Index, IndexSettings
from roadmap_rag.ingest import Ingestor, Report, Request, write_archive
from roadmap_rag.roadmap import load_roadmap
from small_home import WordEncoder, token_spans

pytestmark = [pytest.mark.replay, pytest.mark.timeout(1_800)]

ROADMAP = Path(__file__).parents[1] / "corpus" / "roadmap.yaml"


class ReplayHome:
    """The project's roadmap in a folder of its own, with the embedder that the command line uses, or a small one."""

    def __init__(self, folder: Path, encoder: LocalEncoder | None = None) -> None:
        self.folder = folder
        self.corpus = Corpus(folder / "corpus")
        self.index = Index(folder / "index")
        self.encoder = encoder or WordEncoder()
        self.settings = IndexSettings(encoder.identity, encoder.limit) if encoder else IndexSettings("words@1", 256)
        self.token_spans = encoder.token_spans if encoder else token_spans
        self.roadmap = load_roadmap(ROADMAP)

    def ingest(self, request: Request, *, web: bool = True) -> Report:
        if not web:
            return self._ingestor(None).run(request)
        robots = self.corpus.folder / "robots"
        with WebFetcher(user_agent="roadmap-rag/test (+https://example.org)", delay=0, robots_folder=robots) as fetcher:
            return self._ingestor(fetcher).run(request)

    def _ingestor(self, fetcher: WebFetcher | None) -> Ingestor:
        return Ingestor(
            roadmap=self.roadmap,
            corpus=self.corpus,
            index=self.index,
            encoder=self.encoder,
            identity=self.settings.embedder,
            token_spans=self.token_spans,
            settings=self.settings,
            fetcher=fetcher,
        )


@pytest.fixture(scope="module")
def environment(replay: Replay) -> Iterator[Replay]:
    """As ``through_replay``, for a whole module."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_DIR"):
            patch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            patch.setenv(name, replay.proxy)
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        patch.setenv("SSL_CERT_FILE", replay.ca)
        yield replay


@pytest.fixture(scope="module")
def home(environment: Replay, roadmap_home: Path, tmp_path_factory: pytest.TempPathFactory) -> ReplayHome:
    """Starts with the vectors of the roadmap's own documents, which another home has had computed."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(roadmap_home / "index" / "cache", folder / "index" / "cache")
    return ReplayHome(folder, LocalEncoder(cache=folder / "index" / "cache"))


@pytest.fixture(scope="module")
def first(home: ReplayHome) -> Report:
    return home.ingest(Request())


def links(report: Report) -> dict[str, str]:
    return {row.url: row.status for row in report.rows if not row.url.startswith("roadmap:")}


def archived() -> set[str]:
    """The links of the roadmap that the archive says it holds."""
    missing = {line.split("\t")[0] for line in (WEB / "MISSING.tsv").read_text("utf-8").splitlines()[1:]}
    return {source.url for source in load_roadmap(ROADMAP).sources()} - missing


def test_every_archived_link_is_new_and_every_other_says_why_not(first: Report) -> None:
    found = links(first)
    assert len(found) == 202
    assert {url for url, status in found.items() if status == "new"} == archived()
    assert len(archived()) == 100
    for row in first.rows:
        if row.url in found and row.status != "new":
            assert (row.status, row.reason) == ("failed", "404 Not Found") or (
                row.status == "blocked" and "--file transcript.txt" in row.reason
            ), row
            assert (row.kept, row.chunks) == (False, 0)


def test_every_archived_page_has_its_title_and_its_text(first: Report, home: ReplayHome) -> None:
    rows = [row for row in first.rows if row.status == "new" and not row.url.startswith("roadmap:")]
    for row in rows:
        document = home.corpus.document(row.url)
        assert document is not None
        assert row.title == document.title
        assert re.search(r"\w{3}", row.title)
        assert len(document.text) == row.chars > 200
    copies = [row for row in rows if row.reason.startswith("same text as")]
    assert 0 < len(copies) < 20
    assert all(row.chunks for row in rows if row not in copies)


def test_a_second_run_is_unchanged_and_writes_nothing(first: Report, home: ReplayHome, environment: Replay) -> None:
    generation = home.index.current()
    files = {path: path.stat().st_mtime_ns for path in home.index.folder.rglob("*") if path.is_file()}
    second = home.ingest(Request())
    assert second.summary.new == second.summary.changed == second.summary.embedded == 0
    assert {url for url, status in links(second).items() if status == "unchanged"} == archived()
    assert second.summary.generation == generation == home.index.current()
    ignored = ("ingest.lock", "ingest.pid", "readers.lock")
    after = {path: path.stat().st_mtime_ns for path in home.index.folder.rglob("*") if path.is_file()}
    for held in (files, after):
        for path in [path for path in held if path.name in ignored or path.name.endswith(("-wal", "-shm"))]:
            del held[path]
    assert after == files
    not_modified = [row for row in second.rows if row.http_status == 304]
    assert len(not_modified) >= 95
    assert second.summary.bytes < first.summary.bytes / 10


def test_the_golden_questions_find_their_passages(first: Report, home: ReplayHome) -> None:
    """The gate of retrieval, as `make gate` runs it: every floor of eval/floors.toml, on exactly these questions and texts."""
    assert first.summary.generation
    result = run_command(home.folder, "eval", "--suite", "retrieval", "--gate", "--json")
    assert result.returncode == 0, result.stdout[-4_000:] + result.stderr


def test_an_archive_of_it_makes_the_same_documents_without_a_network(first: Report, home: ReplayHome, tmp_path: Path) -> None:
    pages = write_archive(home.corpus, tmp_path / "frozen.warc.gz", "2026-01-01T00:00:00Z")
    assert pages == 100
    other = ReplayHome(tmp_path / "other")
    some = tuple(sorted(archived())[::4])
    report = other.ingest(Request(archive=tmp_path / "frozen.warc.gz", only=some), web=False)
    assert {row.url: row.status for row in report.rows} == dict.fromkeys(some, "new")
    ours, theirs = home.corpus.states(), other.corpus.states()
    for url in some:
        assert (theirs[url].document_id, theirs[url].title, theirs[url].fetched_at) == (
            ours[url].document_id,
            ours[url].title,
            ours[url].fetched_at,
        )


def test_any_archive_of_the_web_can_be_ingested(tmp_path: Path) -> None:
    """The archived pages themselves, made by another program."""
    if not (WEB / "roadmap-web.warc.gz").exists():
        pytest.skip("the archived pages (../shared/web beside the repository) are absent")
    home = ReplayHome(tmp_path)
    report = home.ingest(Request(archive=WEB / "roadmap-web.warc.gz", topic="prompt-engineering"), web=False)
    assert report.rows

"""``roadmap-rag ingest`` as a process: interrupted, run twice at once, exported, forgotten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import PROXY_VARIABLES, run_command
from roadmap_rag.corpus import Corpus
from roadmap_rag.ingest import Request
from small_home import SITE, SmallHome, page

ROADMAP = """
topics:
  - id: basics
    title: Basics
    part: First
    summary: What comes first. It is short.
    resources:
      - {{title: One, url: "http://127.0.0.1:{port}/one", kind: article}}
      - {{title: Two, url: "http://127.0.0.1:{port}/two", kind: article}}
"""


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are gone are what these tests are about."""


class SlowSite:
    """A site on this machine: its first page comes at once, the second when the test ends."""

    def __init__(self) -> None:
        self.asked_for_second = threading.Event()
        self.end = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/two":
                    site.asked_for_second.set()
                    site.end.wait(60)
                body = b"" if self.path == "/robots.txt" else page("apple")
                self.send_response(200)
                self.send_header("Content-Type", "text/plain" if not body else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = _QuietServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])


@pytest.fixture
def site() -> Iterator[SlowSite]:
    slow = SlowSite()
    slow.thread.start()
    yield slow
    slow.end.set()
    slow.server.shutdown()
    slow.server.server_close()
    slow.thread.join()


def start_ingest(home: Path, site: SlowSite) -> subprocess.Popen[str]:
    (home / "corpus").mkdir(parents=True, exist_ok=True)
    (home / "corpus" / "roadmap.yaml").write_text(ROADMAP.format(port=site.port), "utf-8")
    environment = {name: value for name, value in os.environ.items() if name.upper() not in PROXY_VARIABLES}
    environment |= {"ROADMAP_RAG_HOME": str(home), "ROADMAP_RAG_ALLOWED_HOSTS": '["127.0.0.1"]', "ROADMAP_RAG_FETCH_DELAY": "0"}
    command = [sys.executable, "-m", "roadmap_rag", "ingest"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_ends_at_once_and_keeps_what_was_fetched(tmp_path: Path, site: SlowSite) -> None:
    with start_ingest(tmp_path, site) as process:
        assert site.asked_for_second.wait(120)
        corpus = Corpus(tmp_path / "corpus")
        while not corpus.states():
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)  # a busy machine may be loading the model
    assert process.returncode == 130, err
    assert (out, err) == ("", "roadmap-rag: stopped; what was fetched is kept, go on with: roadmap-rag ingest\n")
    assert list(corpus.states()) == [f"http://127.0.0.1:{site.port}/one"]


def test_a_second_ingest_is_refused_at_once_with_the_process_id(tmp_path: Path, site: SlowSite) -> None:
    with start_ingest(tmp_path, site) as first:
        assert site.asked_for_second.wait(120)
        second = run_command(tmp_path, "ingest", "--limit", "0", "--json")
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == f"roadmap-rag: another ingest is running (process {first.pid}); wait for it, or end it\n"
        first.kill()
        first.communicate()


def test_the_commands_around_a_corpus(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", {f"{SITE}one": page("apple"), f"{SITE}two": page("banana"), f"{SITE}three": page("cherry")})
    empty = run_command(home.folder, "ingest", "--export", str(tmp_path / "x.warc.gz"))
    assert (empty.returncode, empty.stderr) == (1, "roadmap-rag: nothing has been fetched yet; run: roadmap-rag ingest\n")
    home.ingestor().run(Request())
    exported = run_command(home.folder, "ingest", "--export", str(tmp_path / "x.warc.gz"), "--json")
    assert json.loads(exported.stdout) == {"file": str(tmp_path / "x.warc.gz"), "pages": 3}
    both = run_command(home.folder, "ingest", "--offline", "--from", str(tmp_path / "x.warc.gz"))
    assert (both.returncode, both.stdout) == (2, "")
    assert "--file, --from, --offline and --export are four ways to do without the web: choose one" in both.stderr

    unasked = run_command(home.folder, "forget", "--all")
    assert unasked.returncode == 2
    assert unasked.stderr == (
        f"roadmap-rag: forget --all deletes 3 fetched pages and the index of {home.folder}; add --yes when nobody can be asked\n"
    )
    assert home.index.current() is not None
    forgotten = run_command(home.folder, "forget", "--all", "--yes", "--json")
    assert (forgotten.returncode, json.loads(forgotten.stdout)) == (0, {"forgotten": 3})
    assert home.index.current() is None


def test_status_tells_what_the_last_runs_found(tmp_path: Path) -> None:
    home = SmallHome(tmp_path, {f"{SITE}one": page("apple"), f"{SITE}two": page("banana"), f"{SITE}three": page("cherry")})
    home.ingestor().run(Request())
    home.web.pages[f"{SITE}two"] = page("elder")
    home.ingestor().run(Request())
    found = json.loads(run_command(tmp_path, "status", "--json").stdout)
    assert [run["summary"]["changed"] for run in found["runs"]] == [1, 0]
    assert [(news["url"], news["status"]) for news in found["runs"][0]["news"]] == [(f"{SITE}two", "changed")]
    assert "characters (" in found["runs"][0]["news"][0]["reason"]
    printed = run_command(tmp_path, "status").stdout
    assert f"changed  {SITE}two  " in printed

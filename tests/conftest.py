"""Fixtures that several test modules share."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from roadmap_rag.wiring import App, Config

WEB = Path(__file__).resolve().parents[2] / "shared" / "web"
"""The archived pages: they lie beside the repository, never in it."""

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Replay:
    """A running replay proxy: its address, the certificate file to trust, and its log (one JSON object a request)."""

    proxy: str
    ca: str
    log: Path

    def requests(self) -> list[dict[str, object]]:
        """What it was asked so far: time, method, url, status, bytes."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@contextlib.contextmanager
def _run_replay(folder: Path, *options: str) -> Iterator[Replay]:
    """In a process of its own, so that its threads and sockets are not the tests'."""
    if not (WEB / "replay.py").exists():
        pytest.skip("the archived pages (../shared/web beside the repository) are absent")
    log = folder / "requests.jsonl"
    command = [sys.executable, str(WEB / "replay.py"), "--ca-dir", str(folder), "--port", "0", "--log", str(log), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            started = json.loads(process.stdout.readline())
            yield Replay(started["proxy"], started["ca"], log)
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    """The archived web behind a proxy, one for all tests."""
    with _run_replay(tmp_path_factory.mktemp("replay")) as server:
        yield server


@pytest.fixture
def start_replay(tmp_path: Path) -> Callable[..., AbstractContextManager[Replay]]:
    """Starts one with options of its own: ``with start_replay("--unknown-timeout", "5") as server``."""
    return lambda *options: _run_replay(tmp_path, *options)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the tester's own proxy settings away."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def through_replay(replay: Replay, no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """The environment of a process that sees the archived web in place of the live one."""
    monkeypatch.setenv("HTTP_PROXY", replay.proxy)
    monkeypatch.setenv("HTTPS_PROXY", replay.proxy)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", replay.ca)
    return replay


@pytest.fixture(scope="session")
def roadmap_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the roadmap and one note indexed by the real embedder: what `make chat` has before any page is fetched."""
    home = tmp_path_factory.mktemp("home")
    (home / "corpus" / "notes").mkdir(parents=True)
    note = "# Reading group\n\nOur reading group meets on Thursdays in room 4.17. The next paper is about speculative decoding.\n"
    (home / "corpus" / "notes" / "group.md").write_text(note, "utf-8")
    result = run_command(home, "ingest", "--limit", "0", "--json")
    assert result.returncode == 0, result.stderr
    return home


@pytest.fixture
def app(roadmap_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The objects of the home that holds the indexed roadmap."""
    monkeypatch.setenv("ROADMAP_RAG_HOME", str(roadmap_home))
    app = App(Config())
    yield app
    app.retriever.close()


def run_command(home: Path, *words: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``roadmap-rag`` as a process of its own, without a model server unless the variables name one."""
    environment = {name: value for name, value in os.environ.items() if name not in PROXY_VARIABLES and name.lower() not in PROXY_VARIABLES}
    environment |= {"ROADMAP_RAG_HOME": str(home), "OLLAMA_HOST": "127.0.0.1:9"} | variables
    return subprocess.run(
        [sys.executable, "-m", "roadmap_rag", *words],
        capture_output=True,
        text=True,
        env=environment,
        input=stdin if stdin is not None else "",
        timeout=900,
        check=False,
    )

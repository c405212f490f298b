"""Which server writes the answers, and what doctor says of it: settings, real sockets, scripted servers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from model_server import ModelServer
from roadmap_rag.cli import main
from roadmap_rag.doctor import Check, _embedder, _model
from roadmap_rag.domain import Turn
from roadmap_rag.errors import GeneratorError
from roadmap_rag.generate import OllamaGenerator, OllamaServer, OpenAIGenerator, recommend, served_models
from roadmap_rag.prompt import INSTRUCTIONS, STOP
from roadmap_rag.wiring import App, Config, this_machine

DONE = {"message": {"role": "assistant", "content": "Yes."}, "done": True, "prompt_eval_count": 9, "eval_count": 2}
LOADED = "m:latest is loaded with a window of"


class FakeOllama(ThreadingHTTPServer):
    """Says what an Ollama server says of itself: ``loaded`` is the window of its one model, None while it is not loaded."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.loaded: int | None = None
        self.chats: list[dict[str, Any]] = []
        self.asked = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: FakeOllama

    def do_GET(self) -> None:
        tag = {"name": "m:latest", "size": 10**9, "details": {"context_length": 3000}, "digest": "b" * 64, "capabilities": ["completion"]}
        loaded = {"name": "m:latest", "context_length": self.server.loaded, "size": 2 * 10**9, "size_vram": 10**9}
        answers = {
            "/api/version": {"version": "0.33.0"},
            "/api/tags": {"models": [tag]},
            "/api/ps": {"models": [loaded] if self.server.loaded else []},
        }
        self._say(answers[self.path])

    def do_POST(self) -> None:
        self.server.chats.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.asked.set()
        asked = self.server.chats[-1]
        if self.path == "/api/pull":
            steps = [{"status": "pulling", "completed": 5, "total": 10}, {"status": "success"}]
            self._send("".join(f"{json.dumps(step)}\n" for step in steps).encode())
            return
        if self.path == "/api/embed" and asked["model"] != "m:latest":
            self._say({"error": "This server does not support embeddings. Start it with `--embeddings`"}, b"500 X")
        else:
            self._say({"embeddings": [[3.0, 4.0]] * len(asked["input"])} if self.path == "/api/embed" else DONE)

    def _say(self, body: object, status: bytes = b"200 OK") -> None:
        self._send(json.dumps(body).encode(), status)

    def _send(self, data: bytes, status: bytes = b"200 OK") -> None:
        self.wfile.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(data)) + data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server
        server.shutdown()


@pytest.fixture
def served() -> Iterator[ModelServer]:
    with ModelServer(delay=0) as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADMAP_RAG_HOME", str(tmp_path))


def app_for(ollama: FakeOllama, **settings: Any) -> App:
    return App(Config(ollama_host=f"127.0.0.1:{ollama.server_port}", **settings))


def checks(app: App) -> dict[str, Check]:
    return {check.name: check for check in _model(app)}


def test_no_model_is_asked_for_a_larger_window_than_it_was_made_for(ollama: FakeOllama) -> None:
    writer = app_for(ollama).writer()
    assert isinstance(writer.generator, OllamaGenerator)
    assert (writer.context, writer.generator.num_ctx) == (3000, 3000)


@pytest.mark.parametrize(("card", "batch"), [(0, 16), (24 * 10**9, None)], ids=["processor", "graphics card"])
def test_a_processor_reads_in_batches_small_enough_to_be_stopped(
    ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, card: int, batch: int | None
) -> None:
    monkeypatch.setattr("roadmap_rag.generate.graphics_memory", lambda _: card)
    generator = app_for(ollama).writer().generator
    assert generator is not None
    generator.warm()
    assert ollama.chats[0]["options"].get("num_batch") == batch


def test_a_model_that_goes_on_with_the_prompt_is_stopped(ollama: FakeOllama) -> None:
    generator = app_for(ollama).writer().generator
    assert generator is not None
    assert "".join(piece.text for piece in generator.stream([Turn("user", "hello")])) == "Yes."
    assert ollama.chats[0]["options"]["stop"] == list(STOP)


@pytest.mark.parametrize(
    ("loaded", "ok", "detail", "remedy"),
    [
        (None, True, "3000 tokens are asked for; m:latest is not loaded now, so what it gets is not known", ""),
        (3072, True, f"{LOADED} 3072 tokens, 3000 are asked for, 50% of it in graphics memory", ""),
        (
            2048,
            False,
            f"{LOADED} 2048 tokens, 3000 are asked for, 50% of it in graphics memory",
            "ollama stop m:latest",
        ),
    ],
    ids=["not loaded", "enough", "less than asked for"],
)
def test_doctor_reads_back_what_the_server_granted(ollama: FakeOllama, loaded: int | None, ok: bool, detail: str, remedy: str) -> None:
    ollama.loaded = loaded
    found = checks(app_for(ollama))
    assert found["model"].ok
    assert (found["window"].ok, found["window"].detail, found["window"].remedy) == (ok, detail, remedy)


def test_warming_sends_the_instructions_with_the_window_of_the_questions(ollama: FakeOllama) -> None:
    app_for(ollama, context=2048).warm_meanwhile()
    assert ollama.asked.wait(30)
    chat = ollama.chats[0]
    assert chat["messages"] == [{"role": "system", "content": INSTRUCTIONS}]
    assert (chat["model"], chat["options"]["num_ctx"], chat["options"]["num_predict"]) == ("m:latest", 2048, 1)


def test_warming_without_a_server_says_nothing() -> None:
    App(Config(ollama_host="127.0.0.1:9")).warm()


def test_a_compatible_server_names_its_model_and_window(served: ModelServer) -> None:
    served.context = 1500
    assert [(model.name, model.context) for model in served_models(served.url)] == [("test", 1500)]
    app = App(Config(openai_base_url=served.url))
    writer = app.writer()
    assert isinstance(writer.generator, OpenAIGenerator)
    assert (writer.model, writer.context) == ("test", 1500)
    assert checks(app)["model"].detail == f"{served.url} serves test (window 1500 tokens)"
    app.warm()
    assert served.warmed == 1


def test_a_compatible_server_is_given_its_key(served: ModelServer) -> None:
    App(Config(openai_base_url=served.url, openai_api_key="secret")).warm()
    assert set(served.keys) == {"Bearer secret"}


def test_a_compatible_server_without_the_configured_model(served: ModelServer) -> None:
    check = checks(App(Config(openai_base_url=served.url, model="other")))["model"]
    assert (check.ok, check.remedy) == (False, "set model to one of: test (window 8192 tokens)")


def test_a_compatible_server_that_is_not_there_leaves_quotes() -> None:
    writer = App(Config(openai_base_url="http://127.0.0.1:9/v1")).writer()
    assert writer.generator is None
    assert writer.notice.startswith("no model is running (no OpenAI-compatible server answers at http://127.0.0.1:9/v1 (")


# ------------------------------------------------------------------------------------------------------------------- embedders


def test_an_embedder_that_ollama_serves(ollama: FakeOllama) -> None:
    app = app_for(ollama, embedder="ollama:m", keep_alive="-1")
    assert app.index_settings.embedder == "ollama:m@bbbbbbbbbbbb"
    assert app.encoder.encode(["one", "two"]).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]] * 2
    assert ollama.chats == [{"model": "m:latest", "input": ["one", "two"], "truncate": True, "keep_alive": -1.0}]
    assert next(_embedder(app)).detail == f"ollama:m (bbbbbbbbbbbb), reads 512 tokens, 2 dimensions, served by {app.ollama_host}"


def test_an_embedder_that_is_not_installed(ollama: FakeOllama) -> None:
    with pytest.raises(GeneratorError, match="has no model other; run: ollama pull other"):
        _ = app_for(ollama, embedder="ollama:other").encoder


def test_a_chat_model_makes_no_embeddings(ollama: FakeOllama) -> None:
    server = OllamaServer(f"127.0.0.1:{ollama.server_port}")
    with pytest.raises(GeneratorError, match="chat makes no embeddings"):
        server.embed("chat", ["text"], 60)


# ---------------------------------------------------------------------------------------------------------- downloading a model


def test_a_download_tells_how_far_it_is(ollama: FakeOllama) -> None:
    steps = list(OllamaServer(f"127.0.0.1:{ollama.server_port}").pull("m"))
    assert [(step.status, step.completed, step.total) for step in steps] == [("pulling", 5, 10), ("success", None, None)]


def test_without_a_name_the_recommended_model_is_downloaded(
    ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROADMAP_RAG_OLLAMA_HOST", f"127.0.0.1:{ollama.server_port}")
    picked = next(row.name for row in recommend(this_machine()) if row.picked)
    assert main(["models", "pull"]) == 0
    assert ollama.chats == [{"model": picked}]
    assert "* m:latest  1.0 GB" in capsys.readouterr().out

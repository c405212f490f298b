"""The real server. Run with ROADMAP_RAG_TEST_OLLAMA (the path of the program) and ROADMAP_RAG_TEST_MODEL (the path of a GGUF file).

Then servers of the tests' own are started, stopped, killed and frozen. Without them, a server that runs at OLLAMA_HOST and has a model
serves the tests that leave it in peace.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
import pytest

from generator_contract import QUESTION, GeneratorContract
from roadmap_rag.domain import Turn
from roadmap_rag.encoders import DEFAULT_EMBEDDER, LocalEncoder, ServedEncoder, find_model
from roadmap_rag.errors import GeneratorError
from roadmap_rag.generate import OllamaGenerator, OllamaServer, OpenAIGenerator, TokenStream, choose, diagnose, parse_host

pytestmark = [pytest.mark.ollama, pytest.mark.timeout(600)]

PROGRAM, GGUF = os.environ.get("ROADMAP_RAG_TEST_OLLAMA"), os.environ.get("ROADMAP_RAG_TEST_MODEL")
COUNT = (Turn("user", "Count from one to two hundred, in words."),)
NUM_CTX = 2048


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(true: Callable[[], object], what: str, seconds: float = 120) -> None:
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        time.sleep(0.05)
    pytest.fail(f"waited {seconds:g} seconds for {what}")


def connections(server: Server) -> int:
    """How many connections this process has to the server."""
    port = int(server.host.rpartition(":")[2])
    own = psutil.Process().net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and bool(each.raddr) and each.raddr.port == port for each in own)


@dataclass
class Server:
    """A server at an address; ``process`` and ``log`` are None when somebody else runs it."""

    host: str
    model: str
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    def generator(self, model: str | None = None, **other: object) -> OllamaGenerator:
        usual: dict[str, object] = {"num_ctx": NUM_CTX, "seed": 1, "keep_alive": 120, "max_tokens": 24}
        patience: dict[str, object] = {"first_token_timeout": 240, "timeout": 120}
        return OllamaGenerator(model or self.model, host=self.host, **{**usual, **patience, **other})  # type: ignore[arg-type]

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def written(self) -> str:
        assert self.log is not None
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def run_server(store: Path, log: Path, port: int = 0, program: Path | str | None = PROGRAM) -> Iterator[Server]:
    if not (program and GGUF):
        pytest.skip("no Ollama of the tests' own: set ROADMAP_RAG_TEST_OLLAMA and ROADMAP_RAG_TEST_MODEL")
    host = f"127.0.0.1:{port or free_port()}"
    settings = {"OLLAMA_HOST": host, "OLLAMA_MODELS": str(store), "OLLAMA_NO_CLOUD": "1", "HOME": str(store)}
    with log.open("ab") as file, subprocess.Popen([program, "serve"], env=os.environ | settings, stdout=file, stderr=file) as process:
        server = Server(host, "tiny", process, log)
        children: list[psutil.Process] = []
        try:
            wait_until(lambda: diagnose(host).version, "the server to start")
            yield server
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
                children = server.family()
            process.terminate()
            process.wait(30)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with one in it, registered once for all servers."""
    folder = tmp_path_factory.mktemp("ollama")
    with run_server(folder, folder / "first.log") as server:
        assert GGUF is not None
        steps = list(OllamaServer(server.host).register(server.model, Path(GGUF)))
        assert steps[-1].status == "success"
        try:
            server.generator().warm()
        except GeneratorError as error:
            if "illegal instruction" not in str(error):
                raise
            pytest.skip("this Ollama's llama.cpp was built for another processor: no model runs on this one")
    return folder


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the tests' own that stays well."""
    with run_server(request.getfixturevalue("store"), tmp_path_factory.mktemp("log") / "server.log") as server:
        yield server


@pytest.fixture
def doomed(store: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, to be killed."""
    with run_server(store, tmp_path / "server.log") as server:
        yield server


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Server:
    """Any real server: the tests' own, or the one that runs."""
    if PROGRAM and GGUF:
        found: Server = request.getfixturevalue("own")
        return found
    host = parse_host(os.environ.get("OLLAMA_HOST"))
    diagnosis = diagnose(host)
    chosen = choose(diagnosis.models, "", None)[0]
    if chosen is None:
        pytest.skip(f"NOT TESTED AGAINST A REAL OLLAMA: set ROADMAP_RAG_TEST_OLLAMA and ROADMAP_RAG_TEST_MODEL ({diagnosis.detail})")
    return Server(host, chosen.name)


class TestOllama(GeneratorContract):
    @pytest.fixture
    def generator(self, server: Server) -> OllamaGenerator:
        return server.generator()

    @pytest.fixture
    def broken(self, server: Server) -> OllamaGenerator:
        return server.generator("no-such-model")

    @pytest.fixture
    def crowded(self, server: Server) -> OllamaGenerator:
        return server.generator()


class TestCompatible(GeneratorContract):
    """Ollama's own ``/v1``."""

    @pytest.fixture
    def generator(self, server: Server) -> OpenAIGenerator:
        return self.make(server, server.model)

    @pytest.fixture
    def broken(self, server: Server) -> OpenAIGenerator:
        return self.make(server, "no-such-model")

    @pytest.fixture
    def crowded(self) -> None:
        pytest.skip("the window of /v1 is the server's, not ours: llama-server stands in for it")

    @staticmethod
    def make(server: Server, model: str) -> OpenAIGenerator:
        url = f"http://{server.host.removeprefix('http://')}/v1"
        return OpenAIGenerator(model, base_url=url, seed=1, max_tokens=24, first_token_timeout=240, timeout=120)


@pytest.fixture(scope="module")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama-server with the model."""
    program = Path(PROGRAM or "none").resolve().parent.parent / "lib/ollama/llama-server"
    if not (PROGRAM and GGUF and program.exists()):
        pytest.skip("no llama-server beside the program that ROADMAP_RAG_TEST_OLLAMA names")
    address = ["--host", "127.0.0.1", "--port", str(port := free_port())]
    command = [str(program), "-m", GGUF, *address, "-c", str(NUM_CTX), "-np", "1", "-b", "16", "-ub", "16"]
    log = tmp_path_factory.mktemp("llama") / "log"
    environment = os.environ | {"LD_LIBRARY_PATH": str(program.parent)}
    with log.open("wb") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file) as process:
        try:
            wait_until(lambda: b"listening on http" in log.read_bytes() or process.poll() is not None, "llama-server to start")
            if process.poll() == -signal.SIGILL:
                pytest.skip("this llama-server was built for another processor")
            assert process.poll() is None, log.read_text(errors="replace")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


class TestLlamaServer(GeneratorContract):
    """llama.cpp's own server, which comes with Ollama."""

    @pytest.fixture
    def generator(self, llama_server: str) -> OpenAIGenerator:
        return OpenAIGenerator("any", base_url=llama_server, seed=1, max_tokens=24, first_token_timeout=240, timeout=120)

    @pytest.fixture
    def broken(self) -> OpenAIGenerator:
        return OpenAIGenerator("any", base_url="http://127.0.0.1:9/v1", seed=1, max_tokens=24, first_token_timeout=240, timeout=120)

    @pytest.fixture
    def crowded(self, generator: OpenAIGenerator) -> OpenAIGenerator:
        return generator


def test_the_server_describes_its_models(server: Server) -> None:
    found = next(info for info in OllamaServer(server.host).installed() if info.name.startswith(server.model))
    assert found.size > 0
    assert found.parameters
    assert found.context
    assert not found.embedding
    assert diagnose(server.host, server.model).problem is None
    assert diagnose(server.host, "no-such-model").problem == "not_pulled"


def test_the_same_question_gets_the_same_answer(server: Server) -> None:
    answers = {"".join(piece.text for piece in server.generator().stream(QUESTION)) for _ in range(2)}
    assert len(answers) == 1


def test_warming_grants_the_window_and_the_question_finds_the_model_loaded(own: Server) -> None:
    generator = own.generator()
    generator.warm()
    granted = OllamaServer(own.host).granted()
    assert [loaded.context for loaded in granted if loaded.name.startswith(own.model)] == [NUM_CTX]
    loads = own.written().count("llama-server started in")
    assert list(generator.stream(QUESTION))
    assert own.written().count("llama-server started in") == loads


def test_a_stop_while_the_prompt_is_read_is_seen_by_the_server(own: Server) -> None:
    generator = own.generator()
    generator.warm()
    before = own.written()
    stream = generator.stream([Turn("user", f"{time.time()} " + "word " * 1500)])
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    wait_until(lambda: "processing task" in own.written()[len(before) :], "the prompt to be begun")
    stream.close()
    reader.join(60)
    assert not reader.is_alive()
    wait_until(lambda: "stop processing" in own.written()[len(before) :], "the slot to be freed")
    read = [int(count) for count in re.findall(r"stop processing: n_tokens = (\d+)", own.written()[len(before) :])]
    assert max(read) < 1500, "the server read the whole prompt though nobody listened"
    assert list(generator.stream(QUESTION))


def test_a_stop_in_mid_answer_is_seen_by_the_server(own: Server) -> None:
    generator = own.generator(max_tokens=900)
    generator.warm()
    before = own.written()
    stream = generator.stream(COUNT)
    assert next(stream).text
    stream.close()
    wait_until(lambda: "stop processing" in own.written()[len(before) :], "the slot to be freed")
    assert "cancel task" in own.written()[len(before) :]


def test_two_questions_at_once_are_answered_one_after_the_other(server: Server) -> None:
    generator = server.generator()
    first, second = generator.stream(COUNT), generator.stream(QUESTION)
    next(first)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(piece.text for piece in second))
    reader.start()
    wait_until(lambda: generator.line.open == 2, "the second to be sent")
    assert second.ahead == 1, "it stands behind the first"
    assert list(first)[-1].completion_tokens
    reader.join(240)
    assert "".join(read).strip()


def test_several_questions_at_once_are_answered_in_order_and_each_knows_its_place(server: Server) -> None:
    generator = server.generator(max_tokens=400)  # the first must still be written when the last one asks
    first, *others = (generator.stream(COUNT) for _ in range(4))
    next(first)
    ended: list[int] = []
    places: list[list[int]] = [[], [], []]

    def read(number: int, stream: TokenStream) -> None:
        for piece in stream:
            if not piece.text and piece.completion_tokens is None:
                places[number].append(stream.ahead)
        ended.append(number)

    readers = [threading.Thread(target=read, args=item) for item in enumerate(others)]
    for number, reader in enumerate(readers):
        reader.start()
        wait_until(lambda number=number: places[number], "the question to know its place")
        wait_until(lambda number=number: connections(server) == number + 2, "the server to have the question")
        time.sleep(0.2)  # and to have read it: it says nothing of those that wait
    assert list(first)[-1].completion_tokens
    for reader in readers:
        reader.join(240)
    assert ended == [0, 1, 2]
    assert [seen[0] for seen in places] == [1, 2, 3]
    assert all(seen == sorted(seen, reverse=True) for seen in places)


def test_what_the_server_granted_and_did_is_read_back(server: Server) -> None:
    last = list(server.generator().stream(QUESTION))[-1]
    assert last.report is not None
    assert (last.report["window_asked"], last.report["window_granted"]) == (NUM_CTX, NUM_CTX)
    assert {"load_seconds", "prompt_seconds", "answer_seconds"} <= set(last.report)


def test_embeddings_come_in_batches_and_leave_the_model_loaded(own: Server, tmp_path: Path) -> None:
    folder = find_model(DEFAULT_EMBEDDER)
    modelfile = tmp_path / "Modelfile"
    modelfile.write_text(f"FROM {folder}\n")
    assert PROGRAM is not None
    made = subprocess.run([PROGRAM, "create", "minilm", "-f", str(modelfile)], env=os.environ | {"OLLAMA_HOST": own.host}, check=False)
    assert made.returncode == 0
    own.generator().warm()
    server = OllamaServer(own.host)
    found = server.find("minilm")
    assert found.embedding
    encoder = ServedEncoder("ollama:minilm", lambda texts: server.embed(found.name, texts, 120), digest=found.digest, context=found.context)
    texts = ["A token is a piece of text.", "Bread is baked in an oven.", "What is a token?"] * 30
    vectors = encoder.encode(texts)
    assert vectors.shape == (90, 384)
    assert np.allclose(vectors[:3], vectors[3:6], atol=1e-5)
    assert vectors[0] @ vectors[2] > vectors[1] @ vectors[2]
    local = LocalEncoder(cache=tmp_path / "cache").encode(texts[:3])
    assert np.abs((vectors[:3] * local).sum(axis=1) - 1).max() < 1e-3
    assert {loaded.name for loaded in server.granted()} >= {f"{own.model}:latest", "minilm:latest"}
    with pytest.raises(GeneratorError, match="tiny makes no embeddings"):
        server.embed(own.model, ["text"], 60)


def test_ctrl_c_on_the_command_line_ends_the_work_on_the_server(own: Server) -> None:
    own.generator().warm()
    before = own.written()
    code = (
        "from roadmap_rag.domain import Turn\nfrom roadmap_rag.generate import OllamaGenerator\n"
        f"made = OllamaGenerator('{own.model}', host='{own.host}', num_ctx={NUM_CTX}, seed=1, keep_alive=120, max_tokens=900,\n"
        "    first_token_timeout=240, timeout=120)\n"
        "list(made.stream([Turn('user', 'word ' * 1500)]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: "processing task" in own.written()[len(before) :], "the prompt to be begun")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    wait_until(lambda: "stop processing" in own.written()[len(before) :], "the slot to be freed")
    assert max(int(count) for count in re.findall(r"stop processing: n_tokens = (\d+)", own.written()[len(before) :])) < 1500


def test_a_server_killed_in_mid_answer_and_started_again(store: Path, tmp_path: Path) -> None:
    with run_server(store, tmp_path / "one.log") as doomed:
        generator = doomed.generator(max_tokens=400)
        stream = generator.stream(COUNT)
        text = next(stream).text
        assert doomed.process is not None
        children = doomed.family()
        doomed.process.kill()
        rest: list[str] = []
        with pytest.raises(GeneratorError) as caught:
            rest.extend(piece.text for piece in stream)
        assert text
        assert str(caught.value).endswith("stopped in the middle of the answer: run `ollama serve`, then ask again")
        for child in children:  # they outlive a killed server
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        doomed.process.wait(30)
        with pytest.raises(GeneratorError, match="is not running at"):
            list(generator.stream(QUESTION))
        with run_server(store, tmp_path / "two.log", port=int(doomed.host.rpartition(":")[2])):
            assert "".join(piece.text for piece in generator.stream(QUESTION)).strip()


def test_a_frozen_server_is_given_up_and_answers_when_it_is_thawed(doomed: Server) -> None:
    generator = doomed.generator(max_tokens=400, first_token_timeout=2, timeout=2)
    generator_with_patience = doomed.generator(max_tokens=400)
    generator_with_patience.warm()
    assert doomed.process is not None
    stream = generator.stream(COUNT)
    assert next(stream).text
    doomed.process.send_signal(signal.SIGSTOP)
    with pytest.raises(GeneratorError, match="has sent nothing for 2 seconds"):
        list(stream)
    doomed.process.send_signal(signal.SIGCONT)
    assert "".join(piece.text for piece in generator_with_patience.stream(QUESTION)).strip()


def test_the_process_of_the_model_killed_in_mid_answer(doomed: Server) -> None:
    generator = doomed.generator(max_tokens=400)
    stream = generator.stream(COUNT)
    assert next(stream).text
    for child in doomed.family():
        child.kill()
    with pytest.raises(GeneratorError, match=r"the process in which Ollama ran tiny ended \(.*\): ask again"):
        list(stream)
    assert "".join(piece.text for piece in generator.stream(QUESTION)).strip()


@pytest.fixture
def cramped(store: Path, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server whose models' processes may take as many kibibytes of address space as a file says, and that file; without it, all."""
    if not PROGRAM or sys.platform != "linux":
        pytest.skip("memory is limited with the ulimit of Linux")
    library, limit = Path(PROGRAM).resolve().parent.parent / "lib/ollama", tmp_path / "limit"
    copy = tmp_path / "copy/lib/ollama"
    copy.mkdir(parents=True)
    for file in library.iterdir():
        (copy / file.name).symlink_to(file)
    (copy / "llama-server").unlink()
    starter = f'#!/bin/sh\nexport MALLOC_ARENA_MAX=1\n[ ! -e {limit} ] || ulimit -v $(cat {limit})\nexec {library}/llama-server "$@"\n'
    (copy / "llama-server").write_text(starter)
    (copy / "llama-server").chmod(0o755)
    program = tmp_path / "copy/bin/ollama"
    program.parent.mkdir()
    shutil.copy(PROGRAM, program)
    with run_server(store, tmp_path / "server.log", program=program) as server:
        yield server, limit


def test_memory_that_suffices_for_a_small_window_only(cramped: tuple[Server, Path]) -> None:
    server, limit = cramped
    small, large = server.generator(num_ctx=512), server.generator(num_ctx=8192)
    assert list(small.stream(QUESTION))
    (process,) = server.family()
    peak = re.search(r"VmPeak:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert peak
    limit.write_text(str(int(peak[1]) + 60 * 1024))  # the larger window takes 170 MB more
    with pytest.raises(GeneratorError) as caught:
        list(large.stream(QUESTION))
    said = str(caught.value)
    assert said.startswith("tiny with a window of 8192 tokens does not fit into the memory that is free (")
    assert said.endswith("): set a smaller `context`, or take a smaller model of `roadmap-rag models recommend`")
    assert "\n" not in said
    assert "".join(piece.text for piece in small.stream(QUESTION)).strip()
    limit.write_text(str(100 * 1024))
    assert list(server.generator(num_ctx=512, keep_alive=0).stream(QUESTION))
    wait_until(lambda: not OllamaServer(server.host).granted(), "the model to be unloaded")
    with pytest.raises(GeneratorError, match=r"(does not fit into the memory|process in which Ollama ran tiny ended).*smaller model"):
        list(small.stream(QUESTION))
    limit.unlink()
    assert "".join(piece.text for piece in small.stream(QUESTION)).strip()


def test_a_server_asked_to_end_in_mid_answer(doomed: Server) -> None:
    stream = doomed.generator(max_tokens=400).stream(COUNT)
    assert next(stream).text
    assert doomed.process is not None
    doomed.process.terminate()
    with pytest.raises(GeneratorError):
        list(stream)


def test_a_model_unloaded_between_questions_is_loaded_again(own: Server) -> None:
    assert list(own.generator(keep_alive=0).stream(QUESTION))
    wait_until(lambda: not OllamaServer(own.host).granted(), "the model to be unloaded")
    assert list(own.generator().stream(QUESTION))


def test_a_download_without_network_says_so(own: Server) -> None:
    with pytest.raises(GeneratorError, match="no-such-model could not be downloaded"):
        list(OllamaServer(own.host).pull("no-such-model.invalid/no-such-model"))


class Registry(ThreadingHTTPServer):
    """A registry of one model, whose download stops after ``most`` bytes until it is told to go on."""

    daemon_threads = True

    def __init__(self, gguf: Path) -> None:
        super().__init__(("127.0.0.1", 0), RegistryRequest)
        self.gguf, self.size = gguf, gguf.stat().st_size
        self.config = json.dumps({"model_format": "gguf", "model_family": "llama", "architecture": "amd64", "os": "linux"}).encode()
        with gguf.open("rb") as file:
            digests = [hashlib.file_digest(file, "sha256").hexdigest(), hashlib.sha256(self.config).hexdigest()]
        self.model_digest, self.config_digest = (f"sha256:{digest}" for digest in digests)
        self.most, self.served = self.size // 2, 0
        self.going_on, self.ranges = threading.Event(), list[str]()

    def manifest(self) -> bytes:
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": self.config_digest, "size": len(self.config)}
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": self.model_digest, "size": self.size}
        return json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}).encode()


class RegistryRequest(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry, path = self.server, self.path
        if "/manifests/" in path:
            return self.say(registry.manifest())
        if path.startswith("/v2/") and self.command == "GET":  # the data are elsewhere, as with Ollama's own
            self.send_response(307)
            self.send_header("Location", f"http://localhost:{registry.server_port}/data/{path.rpartition('/')[2]}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if path.endswith(registry.config_digest):
            return self.say(registry.config)
        first, last = (int(wanted[1]), int(wanted[2])) if wanted else (0, registry.size - 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if self.command == "GET":
            registry.ranges.append(self.headers["Range"])
            with contextlib.suppress(OSError), registry.gguf.open("rb") as file:
                file.seek(first)
                while first <= last:
                    if registry.served >= registry.most:
                        registry.going_on.wait(60)
                    first += (sent := self.wfile.write(file.read(min(2**20, last + 1 - first))))
                    registry.served += sent
        return None

    def say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_download_that_was_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with run_server(tmp_path / "empty", tmp_path / "server.log") as server, Registry(Path(GGUF or "")) as registry:
        serving = threading.Thread(target=registry.serve_forever)
        serving.start()
        try:
            name = f"http://127.0.0.1:{registry.server_port}/library/small:latest"
            steps = OllamaServer(server.host).pull(name)
            seen = next(step for step in steps if (step.completed or 0) > registry.size // 3)
            assert seen.total == registry.size
            steps.close()  # as Ctrl-C does
            partly = next((tmp_path / "empty/blobs").glob("*-partial-0"))
            noted = re.compile(r'"Completed":(\d+)')
            wait_until(lambda: any(int(each) > registry.size // 3 for each in noted.findall(partly.read_text())), "the server to note it")
            registry.served, registry.most = 0, 2**20  # it waits again, until the server has reported once
            steps = OllamaServer(server.host).pull(name)
            assert next(step.completed for step in steps if step.completed) > registry.size // 3
            registry.going_on.set()
            assert list(steps)[-1].status == "success"
            assert int(registry.ranges[-1].removeprefix("bytes=").partition("-")[0]) > registry.size // 3
            assert registry.served < registry.size * 2 // 3
            (found,) = OllamaServer(server.host).installed()
            assert found.name.endswith("/library/small:latest")
            assert "".join(piece.text for piece in server.generator(found.name).stream(QUESTION)).strip()
        finally:
            registry.shutdown()
            serving.join()


def test_a_file_that_is_no_model_is_refused(own: Server, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, or so it says")
    with pytest.raises(GeneratorError, match=r"broken\.gguf could not be made a model"):
        list(OllamaServer(own.host).register("broken", broken))


def test_the_answers_suite_measures_a_real_model(
    server: Server, roadmap_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roadmap_rag.evaluation.suites import Wanted, run_answers
    from roadmap_rag.wiring import App, Config

    monkeypatch.setenv("ROADMAP_RAG_HOME", str(roadmap_home))
    app = App(Config(ollama_host=server.host, answer_tokens=32, prompt_tokens=600, context=NUM_CTX))
    data = Path(__file__).parents[1] / "eval"
    values = run_answers(Wanted(app, data, tmp_path, "2026-01-01T00:00:00Z", limit=8, model=server.model))
    found = {metric["name"]: metric for metric in values["metrics"]}
    label = next(name for name in found if name.endswith(": model failed")).removesuffix(": model failed")
    assert label.startswith(server.model)
    assert found[f"{label}: model failed"]["value"] == 0
    texts = sorted((tmp_path / "cache").glob("text-*"))
    assert texts
    assert found[f"{label}: seconds, first token"]["n"] == len(texts)
    assert found[f"{label}: prompt tokens"]["value"] > 100
    again = run_answers(Wanted(app, data, tmp_path, "2026-01-01T00:00:01Z", limit=8, model=server.model))
    assert sorted((tmp_path / "cache").glob("text-*")) == texts
    first_token = f"{label}: seconds, first token"
    assert next(each for each in again["metrics"] if each["name"] == first_token) == found[first_token]
    app.retriever.close()

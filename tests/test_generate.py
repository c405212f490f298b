"""What needs no model server: addresses, choices, estimates, the thinking filter, streams that stop, and the words of every fault."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeGenerator
from generator_contract import GeneratorContract
from roadmap_rag.domain import Piece, Turn
from roadmap_rag.errors import GeneratorError, PromptTooLongError
from roadmap_rag.generate import (
    Machine,
    ModelInfo,
    OllamaGenerator,
    OllamaServer,
    OpenAIGenerator,
    TokenStream,
    WaitingLine,
    choose,
    diagnose,
    estimate_prompt_tokens,
    estimate_tokens,
    graphics_memory,
    is_local,
    memory_needed,
    parse_host,
    recommend,
    same_name,
)
from roadmap_rag.generate.ollama import check_not_cut, normal_keep_alive
from roadmap_rag.generate.server import is_too_old
from roadmap_rag.generate.stream import Limits, ThinkingFilter

QUESTION = [Turn("user", "What is a token?")]
GB = 10**9


class TestFake(GeneratorContract):
    @pytest.fixture
    def generator(self) -> FakeGenerator:
        return FakeGenerator([["A token ", "is a piece of text."]] * 2)

    @pytest.fixture
    def broken(self) -> FakeGenerator:
        return FakeGenerator([["A token ", GeneratorError("it stopped")]])

    @pytest.fixture
    def crowded(self) -> FakeGenerator:
        return FakeGenerator([[PromptTooLongError("too long")]])

    def test_it_keeps_what_was_asked_and_who_closed(self, generator: FakeGenerator) -> None:
        stream = generator.stream(QUESTION)
        next(stream)
        stream.close()
        assert generator.history == [tuple(QUESTION)]
        assert [stream.closed for stream in generator.streams] == [True]


# ----------------------------------------------------------------------------------------------------------------- the address


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (None, "http://127.0.0.1:11434"),
        ("", "http://127.0.0.1:11434"),
        (" '127.0.0.1' ", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:8080/", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("box:8080", "http://box:8080"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box/ollama/", "https://box:443/ollama"),
        ("box/ollama", "http://box:11434/ollama"),
        ("box:nonsense", "http://box:11434"),
        ("box:99999", "http://box:11434"),
        ("[::]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_host_is_read_as_ollama_reads_it(value: str | None, address: str) -> None:
    assert parse_host(value) == address


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("http://box:1", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_this_machine_is_local(address: str, local: bool) -> None:
    assert is_local(address) is local


# --------------------------------------------------------------------------------------------------------------------- models


def model(name: str, billions: float | None, **more: object) -> ModelInfo:
    return ModelInfo(name, int((billions or 1) * 0.7 * GB), parameters=None if billions is None else int(billions * GB), **more)


LAPTOP = Machine(16 * GB, cores=12)


def chosen(models: list[ModelInfo], configured: str = "", machine: Machine | None = LAPTOP) -> str | None:
    return getattr(choose(models, configured, machine)[0], "name", None)


def test_the_configured_model_is_chosen_whatever_its_size() -> None:
    assert chosen([model("a:latest", 0.1), model("b:latest", 8)], "a") == "a:latest"


def test_a_configured_model_that_is_missing_is_not_replaced() -> None:
    assert choose([model("a:latest", 8)], "b", LAPTOP) == (None, "the configured model b is not installed")


def test_a_configured_embedder_cannot_answer() -> None:
    assert choose([model("e:latest", 1, embedding=True)], "e", None) == (None, "the configured model e makes embeddings and cannot answer")


def test_the_largest_that_fits_the_memory_is_chosen() -> None:
    assert chosen([model("small", 1.5), model("right", 4), model("huge", 70)]) == "right"
    assert chosen([model("small", 1.5), model("right", 4), model("huge", 70)], machine=None) == "huge"


@pytest.mark.parametrize(
    ("machine", "name", "why"),
    [
        (Machine(64 * GB, cores=2), "small", "small is the largest installed model that 2 cores read a prompt with in about 40 seconds"),
        (Machine(64 * GB, cores=6), "middle", "middle is the largest installed model that 6 cores read a prompt with in about 40 seconds"),
        (Machine(64 * GB, 24 * GB, 2), "large", "large is the largest installed model that fits the memory"),
    ],
)
def test_a_model_that_this_machine_reads_a_prompt_with_quickly_is_chosen(machine: Machine, name: str, why: str) -> None:
    found, said = choose([model("small", 1.5), model("middle", 4), model("large", 14)], "", machine)
    assert (getattr(found, "name", None), said) == (name, f"{why} and answers without thinking aloud")


def test_of_slow_models_the_smallest_is_chosen() -> None:
    found, why = choose([model("slow", 8), model("slower", 14)], "", Machine(64 * GB, cores=2))
    assert getattr(found, "name", None) == "slow"
    assert why == "slow is the smallest installed model of use and answers without thinking aloud; on 2 cores each is slow"


@pytest.mark.parametrize("cores", [1, 2, 4, 8])
@pytest.mark.parametrize("memory", [8, 16, 64])
@pytest.mark.parametrize("graphics", [0, 8, 24])
def test_the_recommended_model_is_the_one_that_answers_once_all_are_installed(cores: int, memory: int, graphics: int) -> None:
    machine = Machine(memory * GB, graphics * GB, cores)
    rows = recommend(machine)
    installed = [ModelInfo(row.name, row.size, parameters=row.parameters) for row in rows if row.fits]
    assert chosen(installed, machine=machine) == next(row.name for row in rows if row.picked)


def test_embedders_and_models_elsewhere_are_never_chosen_unasked() -> None:
    elsewhere = model("cloud", 120, remote=True)
    assert chosen([model("embed", 2, embedding=True), elsewhere]) is None
    assert chosen([elsewhere], "cloud") == "cloud"


def test_one_that_thinks_is_chosen_only_when_no_other_of_use_is_there() -> None:
    assert chosen([model("thinker", 8, thinking=True), model("plain", 3)], machine=None) == "plain"
    assert chosen([model("thinker", 8, thinking=True), model("tiny", 0.1)]) == "thinker"


def test_a_tiny_model_is_chosen_with_a_warning() -> None:
    found, why = choose([model("tiny", 0.135)], "", LAPTOP)
    assert found is not None
    assert why == "tiny is the largest that is installed, but below a billion parameters answers are poor"


def test_nothing_fits() -> None:
    assert choose([model("huge", 70)], "", Machine(8 * GB)) == (None, "the smallest installed model, huge, needs about 59.3 GB of memory")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("a", "a:latest", True), ("A", "a", True), ("a:1b", "a", False), ("box:5000/a", "box:5000/a:latest", True), ("a", "b", False)],
)
def test_a_name_without_tag_means_latest(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same


@pytest.mark.parametrize("memory", [2, 4, 8, 16, 64])
@pytest.mark.parametrize("gpu", [0, 8, 24])
def test_at_most_one_model_is_recommended_and_it_fits(memory: int, gpu: int) -> None:
    rows = recommend(Machine(memory * GB, gpu * GB))
    picked = [row for row in rows if row.picked]
    assert len(picked) <= 1
    assert all(row.fits and memory_needed(row) <= max(memory * GB // 2, gpu * GB) for row in picked)
    assert bool(picked) == any(row.fits for row in rows)


def test_more_memory_cores_and_a_gpu_recommend_a_larger_model() -> None:
    machines = [(4 * GB, 0, 2), (16 * GB, 0, 4), (16 * GB, 0, 8), (16 * GB, 16 * GB, 2)]
    sizes = [next(row.parameters for row in recommend(Machine(*machine)) if row.picked) for machine in machines]
    assert sizes == sorted(set(sizes))


def test_what_the_table_says_is_ordered_and_says_what_was_measured() -> None:
    rows = recommend(Machine(16 * GB))
    assert [row.size for row in rows] == sorted(row.size for row in rows)
    assert any(row.measured for row in rows)


@pytest.mark.parametrize(
    ("said", "bytes_"), [("24564\n8192\n", 24564 * 2**20), ("[N/A]\n", 0), ("", 0)], ids=["two cards", "no number", "no card"]
)
def test_the_largest_graphics_card_counts(said: str, bytes_: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{said}'\n".replace("\n\n", "\n"))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert graphics_memory(16 * GB) == bytes_


def test_without_a_graphics_card_there_is_no_graphics_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert graphics_memory(16 * GB) == 0


@pytest.mark.parametrize(
    ("version", "old"),
    [("0.0.0", False), ("", False), ("0.12.5", True), ("0.12.6", False), ("0.33.0", False), ("v0.9.0-rc1", True), ("1.0.0", False)],
)
def test_a_version_is_too_old(version: str, old: bool) -> None:
    assert is_too_old(version) is old


# -------------------------------------------------------------------------------------------------------------------- estimates


def test_an_estimate_of_known_texts() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("a token") == 1 + 2
    assert estimate_tokens("2026\n") == 5
    assert estimate_tokens("词元") == 4
    assert estimate_tokens("🙂") == 4


@given(st.text(), st.text())
def test_an_estimate_grows_with_the_text(one: str, other: str) -> None:
    assert estimate_tokens(one + other) >= max(estimate_tokens(one), estimate_tokens(other))


@given(st.lists(st.text(max_size=20), max_size=4))
def test_a_prompt_takes_more_than_its_messages(texts: list[str]) -> None:
    assert estimate_prompt_tokens([Turn("user", text) for text in texts]) > sum(map(estimate_tokens, texts))


def test_fewer_tokens_than_words_mean_that_the_prompt_was_cut() -> None:
    check_not_cut([Turn("user", "one two three")], 3, "m")
    check_not_cut([Turn("user", "one two three")], None, "m")
    with pytest.raises(PromptTooLongError, match="read only 2 tokens of a prompt of 3 words"):
        check_not_cut([Turn("user", "one two three")], 2, "m")


@pytest.mark.parametrize(("given", "sent"), [("-1", -1.0), ("10m", "10m"), (300, 300.0), ("0", 0.0)])
def test_keep_alive_is_what_ollama_takes(given: float | str, sent: float | str) -> None:
    assert normal_keep_alive(given) == sent


# ------------------------------------------------------------------------------------------------------------------- thinking


def visible(pieces: list[str]) -> str:
    thinking = ThinkingFilter()
    return "".join([thinking.feed(piece) for piece in pieces] + [thinking.finish()])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("<think>hm</think>\n\nYes.", "Yes."),
        ("<think></think>Yes.", "Yes."),
        ("\n<think>never ends", ""),
        ("<think>a</think><think>b</think>Yes.", "Yes."),
        ("Yes. <think>hm</think>No.", "Yes. No."),
        ("R1 writes `<think>` and `</think>`.", "R1 writes `<think>` and `</think>`."),
        ("```\n<think>a</think>\n```", "```\n<think>a</think>\n```"),
        ("It opens with a <think> tag.", "It opens with a <think> tag."),
        ("a < b <thin", "a < b <thin"),
    ],
)
def test_thinking_is_taken_out_however_the_text_is_cut(text: str, shown: str) -> None:
    assert visible([text]) == shown
    assert visible(list(text)) == shown


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", "`", "a ", "\n"]), max_size=12), st.data())
def test_the_cuts_between_pieces_do_not_matter(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cut = data.draw(st.integers(0, len(text)))
    assert visible([text[:cut], text[cut:]]) == visible([text])


# -------------------------------------------------------------------------------------------------------------------- streams


def stream_of(source, line: WaitingLine | None = None, first: float = 30, between: float = 30) -> TokenStream:
    return TokenStream(source, line or WaitingLine(), Limits(first, between), lambda seconds: GeneratorError(f"silent for {seconds:g}"))


def test_a_stream_can_be_closed_while_another_thread_waits_for_it() -> None:
    waiting, ended = threading.Event(), threading.Event()

    async def never() -> AsyncGenerator[Piece, None]:
        try:
            waiting.set()
            await asyncio.Event().wait()
            yield Piece("never")
        finally:
            ended.set()

    line = WaitingLine()
    stream = stream_of(never, line)
    read: list[Piece] = []
    reader = threading.Thread(target=lambda: read.extend(stream))
    reader.start()
    assert waiting.wait(30)
    assert line.open == 1
    stream.close()
    reader.join(30)
    assert not reader.is_alive()
    assert ended.is_set(), "the source was not told"
    assert read == []
    assert line.open == 0


def test_a_stream_that_is_dropped_ends_its_work() -> None:
    ended = threading.Event()

    async def endless() -> AsyncGenerator[Piece, None]:
        try:
            while True:
                yield Piece("more")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    stream = stream_of(endless)
    next(stream)
    del stream
    assert ended.wait(30)


def test_silence_before_the_first_piece_and_between_pieces_are_two_limits() -> None:
    async def slow() -> AsyncGenerator[Piece, None]:
        yield Piece("one")
        await asyncio.sleep(30)

    stream = stream_of(slow, first=20, between=0.05)
    assert next(stream) == Piece("one")
    with pytest.raises(GeneratorError, match=r"silent for 0\.05"):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_one_that_waits_for_its_turn_is_not_timed_out_while_another_is_served() -> None:
    line = WaitingLine()

    async def served() -> AsyncGenerator[Piece, None]:
        for _ in range(40):
            await asyncio.sleep(0.02)
            yield Piece("x")
        free.set()

    async def waits() -> AsyncGenerator[Piece, None]:
        while not free.is_set():
            await asyncio.sleep(0.01)
        yield Piece("y")

    free = threading.Event()
    first, second = stream_of(served, line, first=0.5), stream_of(waits, line, first=0.5)
    next(first)
    read: list[Piece] = []
    reader = threading.Thread(target=lambda: read.extend(second))
    reader.start()
    assert sum(1 for _ in first) == 39
    reader.join(30)
    assert [piece for piece in read if piece.text] == [Piece("y")]
    assert (first.ahead, second.ahead) == (0, 0)


def test_streams_know_how_many_are_before_them() -> None:
    line = WaitingLine()

    async def held() -> AsyncGenerator[Piece, None]:
        yield Piece("begun")
        await asyncio.Event().wait()

    async def waits() -> AsyncGenerator[Piece, None]:
        await asyncio.Event().wait()
        yield Piece("never")

    first, second, third = stream_of(held, line), stream_of(waits, line), stream_of(waits, line)
    assert next(first) == Piece("begun")
    assert (next(second), second.ahead) == (Piece(), 1)
    assert (next(third), third.ahead) == (Piece(), 2)
    first.close()
    assert (next(third), third.ahead) == (Piece(), 1)
    second.close()
    assert (next(third), third.ahead) == (Piece(), 0)
    third.close()
    assert list(third) == []


def test_nobody_stands_behind_others_at_a_server_that_may_serve_them_at_once() -> None:
    async def waits() -> AsyncGenerator[Piece, None]:
        yield Piece("begun")
        await asyncio.Event().wait()

    line = WaitingLine(serial=False)
    first, second = stream_of(waits, line), stream_of(waits, line)
    assert [next(first), next(second)] == [Piece("begun")] * 2
    assert (line.open, second.ahead) == (2, 0)
    first.close()
    second.close()


def test_an_error_that_nobody_expected_reaches_the_reader() -> None:
    async def faulty() -> AsyncGenerator[Piece, None]:
        yield Piece("one")
        raise ZeroDivisionError

    stream = stream_of(faulty)
    assert next(stream) == Piece("one")
    with pytest.raises(ZeroDivisionError):
        next(stream)


# ------------------------------------------------------------------------------------------------- faults, put into words


class Script(BaseHTTPRequestHandler):
    """Answers every request with the bytes of its server, as they are, and closes the connection."""

    def do_GET(self) -> None:
        self.wfile.write(self.server.answer)  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Script) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def reply(status: int, body: str, kind: str = "application/json", missing: int = 0) -> bytes:
    data = body.encode()
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data) + missing}\r\nConnection: close\r\n\r\n".encode() + data
    )


def ollama(host: str) -> OllamaGenerator:
    return OllamaGenerator(
        "m", host=host, num_ctx=2048, seed=1, keep_alive=60, max_tokens=9, first_token_timeout=30, timeout=30, stop=("\n\n\n",)
    )


def compatible(base_url: str) -> OpenAIGenerator:
    return OpenAIGenerator("m", base_url=base_url, seed=1, max_tokens=9, first_token_timeout=30, timeout=30)


def read_all(stream: TokenStream) -> tuple[str, str]:
    """The text that came, and the error after it."""
    texts: list[str] = []
    with pytest.raises(GeneratorError) as caught:
        texts.extend(piece.text for piece in stream)
    return "".join(texts), str(caught.value)


def line(text: str) -> str:
    return json.dumps({"model": "m", "message": {"role": "assistant", "content": text}, "done": False}) + "\n"


@pytest.mark.parametrize(
    ("answer", "text", "said"),
    [
        (
            reply(404, '{"error":"model \'m\' not found"}'),
            "",
            "Ollama at {host} has no model m: run `ollama pull m`, or `roadmap-rag models` for those it has",
        ),
        (
            reply(200, line("Text ") + '{"error":"EOF"}'),
            "Text ",
            (
                "the process in which Ollama ran m ended (EOF): ask again; if it ends again the memory is too small: set a smaller "
                "`context`, or take a smaller model of `roadmap-rag models recommend`"
            ),
        ),
        (
            reply(500, '{"error":"requires 9.1 GiB of system memory"}'),
            "",
            (
                "m with a window of 2048 tokens does not fit into the memory that is free (requires 9.1 GiB of system memory): set "
                "a smaller `context`, or take a smaller model of `roadmap-rag models recommend`"
            ),
        ),
        (reply(500, '{"error":"strange"}'), "", "Ollama at {host} refused the request (500: strange): run `roadmap-rag doctor`"),
        (
            reply(200, line("Text "), missing=9),
            "Text ",
            "Ollama at {host} stopped in the middle of the answer: run `ollama serve`, then ask again",
        ),
        (reply(200, line("Text ")), "Text ", "Ollama at {host} stopped in the middle of the answer: run `ollama serve`, then ask again"),
        (b"", "", "Ollama at {host} closed the connection before it answered: run `ollama serve`, then ask again"),
        (reply(200, "<html>"), "", "what answers at {host} is not Ollama: set OLLAMA_HOST to the server, and run `roadmap-rag doctor`"),
    ],
    ids=["unknown model", "child ended", "memory", "unknown error", "cut off", "ends early", "closed at once", "not Ollama"],
)
def test_a_fault_of_ollama_keeps_the_text_and_says_what_to_run(scripted: ThreadingHTTPServer, answer: bytes, text: str, said: str) -> None:
    scripted.answer = answer  # type: ignore[attr-defined]
    host = f"http://127.0.0.1:{scripted.server_port}"
    assert read_all(ollama(host).stream(QUESTION)) == (text, said.format(host=host))


def test_the_words_of_the_inner_server_are_taken_out_of_their_wrapping(scripted: ThreadingHTTPServer) -> None:
    inner = json.dumps({"error": {"code": 400, "message": "3010 tokens exceed the available context size"}})
    scripted.answer = reply(400, json.dumps({"error": inner}))  # type: ignore[attr-defined]
    with pytest.raises(PromptTooLongError) as caught:
        list(ollama(f"127.0.0.1:{scripted.server_port}").stream(QUESTION))
    assert str(caught.value) == (
        "the prompt does not fit the 2048 tokens that m was given (3010 tokens exceed the available context size): "
        "ask a shorter question, or set a larger num_ctx"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_no_server() -> None:
    host = f"http://127.0.0.1:{free_port()}"
    assert read_all(ollama(host).stream(QUESTION)) == ("", f"Ollama is not running at {host}: run `ollama serve`")
    said = f"no language model answers at {host}/v1 (Connection error.): start the server, or run `roadmap-rag doctor`"
    assert read_all(compatible(f"{host}/v1").stream(QUESTION)) == ("", said)
    with pytest.raises(GeneratorError, match="is not running at"):
        ollama(host).warm()


def event(content: str, finish: str | None = None) -> str:
    chunk = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}],
    }
    return f"data: {json.dumps(chunk)}\n\n"


def test_a_compatible_server_that_stops_in_mid_answer(scripted: ThreadingHTTPServer) -> None:
    scripted.answer = reply(200, event("Text "), "text/event-stream", missing=9)  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{scripted.server_port}/v1"
    said = f"the server at {url} stopped in the middle of the answer: start it again, then ask again"
    assert read_all(compatible(url).stream(QUESTION)) == ("Text ", said)


def test_a_compatible_server_that_wants_a_key(scripted: ThreadingHTTPServer) -> None:
    scripted.answer = reply(401, '{"error":{"message":"no key"}}')  # type: ignore[attr-defined]
    assert "wants an API key" in read_all(compatible(f"http://127.0.0.1:{scripted.server_port}/v1").stream(QUESTION))[1]


def test_no_proxy_is_asked_for_this_machine(scripted: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    scripted.answer = reply(200, '{"version":"0.33.0"}')  # type: ignore[attr-defined]
    assert OllamaServer(f"127.0.0.1:{scripted.server_port}").version() == "0.33.0"
    scripted.answer = reply(500, '{"error":"strange"}')  # type: ignore[attr-defined]
    assert "strange" in read_all(ollama(f"127.0.0.1:{scripted.server_port}").stream(QUESTION))[1]


# ------------------------------------------------------------------------------------------------------------------ diagnosis


def test_not_installed_and_not_running_are_two_things(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("PATH", str(tmp_path))
    found = diagnose(host)
    if found.problem == "not_installed":  # unless this machine has it in its usual place
        assert found.remedy == "install it from https://ollama.com/download"
    program = tmp_path / "ollama"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = diagnose(host)
    assert (found.problem, found.remedy) == ("not_running", "ollama serve")


def test_something_else_answers(scripted: ThreadingHTTPServer) -> None:
    scripted.answer = reply(200, "<html>", "text/html")  # type: ignore[attr-defined]
    assert diagnose(f"127.0.0.1:{scripted.server_port}").problem == "not_ollama"


def test_a_proxy_in_the_way(scripted: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted.answer = reply(503, "<html>", "text/html")  # type: ignore[attr-defined]
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{scripted.server_port}")
    found = diagnose("model-box.example")
    assert (found.problem, found.remedy) == ("proxy", "export NO_PROXY=model-box.example,localhost,127.0.0.1")


class Models(BaseHTTPRequestHandler):
    """The questions about models that an Ollama server answers; what it has stands in ``server.tags``."""

    def do_GET(self) -> None:
        body = {"version": self.server.version} if self.path == "/api/version" else {"models": self.server.tags}  # type: ignore[attr-defined]
        self._say(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say({"capabilities": ["completion"], "model_info": {"llama.context_length": 8192}})

    def _say(self, body: object) -> None:
        self.wfile.write(reply(200, json.dumps(body)))

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("version", "tags", "name", "problem", "remedy"),
    [
        ("0.33.0", [], "", "no_models", "roadmap-rag models recommend"),
        ("0.33.0", [("e", 1, ["embedding"])], "", "no_models", "roadmap-rag models recommend"),
        ("0.33.0", [("i", 1, ["image"])], "", "no_models", "roadmap-rag models recommend"),
        ("0.33.0", [("v", 1, ["completion", "vision"])], "", None, ""),
        ("0.33.0", [("a", 1, ["completion"])], "b", "not_pulled", "ollama pull b"),
        ("0.33.0", [("a", 900, ["completion"])], "", "too_large", "roadmap-rag models recommend"),
        ("0.33.0", [("a", 900, ["completion"])], "a", "too_large", "roadmap-rag models recommend"),
        ("0.3.0", [("a", 1, ["completion"])], "", "too_old", "install the present version from https://ollama.com/download"),
        ("0.0.0", [("a", 1, ["completion"])], "", None, ""),
        ("0.33.0", [("a", 1, None)], "a", None, ""),
    ],
    ids=[
        "no model",
        "only an embedder",
        "only a painter",
        "one that sees, too",
        "not pulled",
        "none fits",
        "the configured one does not fit",
        "old",
        "no version number",
        "asked one by one",
    ],
)
def test_what_a_running_server_lacks(version: str, tags: list, name: str, problem: str | None, remedy: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as server:
        server.version = version  # type: ignore[attr-defined]
        server.tags = [  # type: ignore[attr-defined]
            {"name": f"{tag}:latest", "size": size * GB, "details": {"parameter_size": "8.0B"}, **({"capabilities": can} if can else {})}
            for tag, size, can in tags
        ]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = diagnose(f"127.0.0.1:{server.server_port}", name, machine=Machine(10 * GB))
        server.shutdown()
    assert (found.problem, found.remedy) == (problem, remedy)


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, roadmap_rag.generate; print([n for n in ('httpx', 'openai', 'ollama', 'llama_index', 'pydantic') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_no_global_setting_of_llama_index_is_read(scripted: ThreadingHTTPServer) -> None:
    code = f"""
import llama_index.core.settings as settings
class Trap:
    def __getattr__(self, name):
        raise AssertionError("Settings." + name + " was read")
settings.Settings = Trap()
from roadmap_rag.domain import Turn
from roadmap_rag.generate import OllamaGenerator
generator = OllamaGenerator("m", host="127.0.0.1:{scripted.server_port}", num_ctx=99, seed=1, keep_alive=1, max_tokens=9,
                            first_token_timeout=30, timeout=30)
print("".join(piece.text for piece in generator.stream([Turn("user", "hello")])))
"""
    done = json.dumps({"message": {"role": "assistant", "content": ""}, "done": True, "prompt_eval_count": 5, "eval_count": 1})
    scripted.answer = reply(200, line("Hello.") + done + "\n")  # type: ignore[attr-defined]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "Hello.", ran.stderr

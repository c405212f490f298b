"""Answers written by a model that Ollama serves, asked through LlamaIndex.

What Ollama decides by itself when nothing is said is said with every request: the context window (each change of it loads the model
anew), that a prompt which does not fit is an error and not cut, that nothing is dropped when the window is full, no thinking, and
batches small enough for a stop to be noticed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from roadmap_rag.domain import Piece, Turn
from roadmap_rag.errors import GeneratorError, PromptTooLongError
from roadmap_rag.generate.callbacks import silent_callbacks
from roadmap_rag.generate.models import same_name
from roadmap_rag.generate.server import CONNECT_SECONDS, client_options, is_local, parse_host
from roadmap_rag.generate.stream import Limits, ThinkingFilter, TokenStream, WaitingLine
from roadmap_rag.generate.tokens import least_tokens

if TYPE_CHECKING:
    import httpx

STOPPABLE_BATCH = 16
"""Prompt tokens that the server works on before it looks whether anybody still listens: a stop is noticed after one batch.

Measured with a 1.5B model, AVX-512: processor time a token is the same in batches of 16, 32, 64 and 512 (33 to 37 ms), and half as much
again in batches of 8.
"""

NOTHING_DROPPED = {"truncate": False, "shift": False}
"""A prompt that does not fit is an error, and so is none of its beginning given up when the answer fills the window. A request with
another ``shift`` than the one before makes Ollama load the model anew."""

SHORT_OF_MEMORY = ("insufficient memory", "out of memory", "system memory", "failed to allocate", "unable to allocate")
PROCESS_ENDED = ("eof", "llama-server", "runner", "forcibly closed")
"""What Ollama's errors say when the process that holds the model could not be started, or ended."""

SAID_CHARACTERS = 120
"""How much of the server's own words goes into our line: those of a process that could not start are its whole log."""


class ServerError(Exception):
    """An error that the server put into words; ``status`` is None when it came in the middle of a stream."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status


class OllamaGenerator:
    """Implements ``domain.Generator`` with a model of an Ollama server.

    ``host`` is read as ``OLLAMA_HOST`` is; ``num_ctx`` is in tokens; ``keep_alive`` is seconds, or a duration as Ollama writes it
    ("10m"), negative for ever; ``first_token_timeout`` and ``timeout`` are seconds without a sign of life from the server, before the
    first piece and between pieces; ``max_tokens`` bounds the answer.
    """

    def __init__(
        self,
        model: str,
        *,
        host: str,
        num_ctx: int,
        temperature: float = 0.0,
        seed: int,
        keep_alive: float | str,
        max_tokens: int,
        first_token_timeout: float,
        timeout: float,
        stop: Sequence[str] = (),
        num_batch: int | None = STOPPABLE_BATCH,
    ) -> None:
        from llama_index.llms.ollama import Ollama

        self.model = model
        self.host = parse_host(host)
        self.num_ctx = num_ctx
        self.line = WaitingLine()
        """The open streams: ``line.open`` answers are being written or wait."""
        self._limits = Limits(first_token_timeout, timeout)
        self._keep_alive = normal_keep_alive(keep_alive)
        options: dict[str, Any] = {"seed": seed, "num_predict": max_tokens, "stop": list(stop)}
        if num_batch is not None:
            options["num_batch"] = num_batch
        self._options = {**options, "temperature": temperature, "num_ctx": num_ctx}
        self._llm = Ollama(
            model=model,
            base_url=self.host,
            temperature=temperature,
            context_window=num_ctx,
            request_timeout=max(first_token_timeout, timeout),
            json_mode=False,
            additional_kwargs=options,
            async_client=cast("Any", _ChatClient(self.host)),
            is_function_calling_model=False,
            keep_alive=self._keep_alive,
            thinking=False,
            callback_manager=silent_callbacks(),
        )

    def stream(self, messages: Sequence[Turn]) -> TokenStream:
        """The answer in pieces. Nothing is sent before the first one is asked for; ``close`` ends the work on the server."""
        turns = tuple(messages)
        return TokenStream(lambda: self._pieces(turns), self.line, self._limits, self._explain_silence)

    def warm(self, messages: Sequence[Turn] = ()) -> None:
        """Load the model with the window that questions will use; with messages, work through them too, so that a question that
        begins with the same ones need not."""
        options = {**self._options, "num_predict": 1}
        body = {
            "model": self.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in messages],
            "options": options,
            "keep_alive": self._keep_alive,
            "think": False,
            "stream": False,
            **NOTHING_DROPPED,
        }
        import httpx

        try:
            with httpx.Client(timeout=httpx.Timeout(self._limits.first, connect=CONNECT_SECONDS), **client_options(self.host)) as client:
                response = client.post("/api/chat", json=body)
            if response.status_code != httpx.codes.OK:
                raise ServerError(response.status_code, _message(response.text))
        except httpx.ReadTimeout as error:
            raise self._explain_silence(self._limits.first) from error
        except (httpx.HTTPError, ServerError) as error:
            raise explain(error, host=self.host, model=self.model, num_ctx=self.num_ctx, begun=False) from error

    async def _pieces(self, turns: Sequence[Turn]) -> AsyncGenerator[Piece, None]:
        import httpx
        from llama_index.core.base.llms.types import ChatMessage

        visible = ThinkingFilter()
        begun, usage = False, None
        try:
            replies = await self._llm.astream_chat([ChatMessage(role=turn.role, content=turn.content) for turn in turns])
            async for reply in replies:
                begun = True
                raw = cast("dict[str, Any]", reply.raw)
                if raw.get("done"):
                    usage = raw
                if text := visible.feed(reply.delta or ""):
                    yield Piece(text)
        except (httpx.HTTPError, ServerError, json.JSONDecodeError) as error:
            if text := visible.finish():
                yield Piece(text)
            raise explain(error, host=self.host, model=self.model, num_ctx=self.num_ctx, begun=begun) from error
        counted = usage.get("prompt_eval_count") if usage else None
        report = self._report(usage, await self._granted()) if usage else None
        yield Piece(visible.finish(), counted, usage.get("eval_count") if usage else None, report)
        if usage is None:
            raise GeneratorError(_stopped(self.host))
        check_not_cut(turns, counted, self.model)

    async def _granted(self) -> int | None:
        """The window in tokens that the loaded model really has, or None when the server does not say."""
        import httpx

        try:
            async with httpx.AsyncClient(timeout=CONNECT_SECONDS, **client_options(self.host)) as client:
                loaded = (await client.get("/api/ps")).json().get("models") or []
        except (httpx.HTTPError, ValueError, AttributeError):
            return None
        return next((entry.get("context_length") for entry in loaded if same_name(str(entry.get("name", "")), self.model)), None)

    def _report(self, usage: Mapping[str, Any], granted: int | None) -> dict[str, float | None]:
        seconds = {
            f"{step}_seconds": usage[key] / 1e9
            for step, key in (("load", "load_duration"), ("prompt", "prompt_eval_duration"), ("answer", "eval_duration"))
            if isinstance(usage.get(key), int)
        }
        return {"window_asked": self.num_ctx, "window_granted": granted, **seconds}

    def _explain_silence(self, seconds: float) -> GeneratorError:
        return GeneratorError(
            f"Ollama at {self.host} has sent nothing for {seconds:g} seconds: ask again, or restart it with `ollama serve`; "
            "a slower machine needs a longer `first_token_timeout` and `token_timeout`, or fewer `prompt_tokens`"
        )


class _ChatClient:
    """The part of Ollama's asynchronous client that LlamaIndex uses, with two arguments that the library's own cannot send."""

    def __init__(self, host: str) -> None:
        self._host = host

    async def chat(self, **request: Any) -> AsyncIterator[dict[str, Any]]:
        body = {name: value for name, value in request.items() if value is not None}
        return self._replies({**body, **NOTHING_DROPPED})

    async def _replies(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        import httpx

        limits = httpx.Timeout(None, connect=CONNECT_SECONDS)  # silence is timed by the stream, which knows of the others
        async with (
            httpx.AsyncClient(timeout=limits, **client_options(self._host)) as client,
            client.stream("POST", "/api/chat", json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ServerError(response.status_code, _message((await response.aread()).decode("utf-8", "replace")))
            async for line in response.aiter_lines():
                reply: dict[str, Any] = json.loads(line)
                if "error" in reply:
                    raise ServerError(None, str(reply["error"]))
                yield reply


def normal_keep_alive(value: float | str) -> float | str:
    """A number given as text becomes a number: Ollama refuses "-1" but takes -1."""
    try:
        return float(value)
    except ValueError:
        return value


def check_not_cut(turns: Sequence[Turn], counted: int | None, model: str) -> None:
    """Raise PromptTooLongError when a server read fewer tokens than the prompt has words: then it cut the prompt."""
    words = least_tokens(turns)
    if counted is not None and counted < words:
        raise PromptTooLongError(
            f"the server read only {counted} tokens of a prompt of {words} words, so the answer of {model} rests on a part of the sources: "
            "give the server a larger context window, or set a smaller one in the settings"
        )


def explain(
    error: httpx.HTTPError | ServerError | json.JSONDecodeError, *, host: str, model: str, num_ctx: int, begun: bool
) -> GeneratorError:
    """One line for what went wrong, with what to run."""
    import httpx

    if isinstance(error, ServerError):
        return _explain_fault(error, host, model, num_ctx)
    if isinstance(error, json.JSONDecodeError):
        return GeneratorError(f"what answers at {host} is not Ollama: set OLLAMA_HOST to the server, and run `roadmap-rag doctor`")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        if is_local(host):
            return GeneratorError(f"Ollama is not running at {host}: run `ollama serve`")
        return GeneratorError(f"no Ollama answers at {host}: start it there with `ollama serve`, or correct OLLAMA_HOST")
    if isinstance(error, httpx.ProxyError):
        return GeneratorError(f"a proxy stands between here and Ollama at {host} ({error}): add its name to NO_PROXY")
    if begun:
        return GeneratorError(_stopped(host))
    return GeneratorError(f"Ollama at {host} closed the connection before it answered: run `ollama serve`, then ask again")


def _explain_fault(fault: ServerError, host: str, model: str, num_ctx: int) -> GeneratorError:
    lower = " ".join(str(fault).split()).lower()
    said = " ".join(str(fault).split())[:SAID_CHARACTERS]
    if any(word in lower for word in SHORT_OF_MEMORY):
        return GeneratorError(
            f"{model} with a window of {num_ctx} tokens does not fit into the memory that is free ({said}): set a smaller `context`, or "
            "take a smaller model of `roadmap-rag models recommend`"
        )
    if "context size" in lower or "context length" in lower:
        return PromptTooLongError(
            f"the prompt does not fit the {num_ctx} tokens that {model} was given ({said}): ask a shorter question, or set a larger num_ctx"
        )
    if fault.status == HTTPStatus.NOT_FOUND and "model" in lower:
        return GeneratorError(f"Ollama at {host} has no model {model}: run `ollama pull {model}`, or `roadmap-rag models` for those it has")
    if any(word in lower for word in PROCESS_ENDED):
        return GeneratorError(
            f"the process in which Ollama ran {model} ended ({said}): ask again; if it ends again the memory is too small: set a smaller "
            "`context`, or take a smaller model of `roadmap-rag models recommend`"
        )
    return GeneratorError(f"Ollama at {host} refused the request ({fault.status or 'in mid-answer'}: {said}): run `roadmap-rag doctor`")


def _stopped(host: str) -> str:
    return f"Ollama at {host} stopped in the middle of the answer: run `ollama serve`, then ask again"


def _message(body: str) -> str:
    """The words of an error answer. Ollama passes on what llama.cpp said as JSON in JSON."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body
    if isinstance(error, dict):
        return str(error.get("message", error))
    return _message(error) if isinstance(error, str) and error.startswith("{") else str(error)

"""Answers written by any server that speaks OpenAI's protocol: llama.cpp's ``llama-server``, vLLM, LM Studio, Ollama's ``/v1``.

The protocol has no field for the context window, so the server's own start-up option decides it (``llama-server -c``, ``vllm serve
--max-model-len``). It also decides how soon a stop is noticed while a prompt is processed: ``llama-server -b 16 -ub 16`` looks every 16
tokens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from roadmap_rag.domain import Piece, Turn
from roadmap_rag.errors import GeneratorError, PromptTooLongError
from roadmap_rag.generate.models import ModelInfo
from roadmap_rag.generate.ollama import check_not_cut
from roadmap_rag.generate.server import CONNECT_SECONDS, is_local
from roadmap_rag.generate.stream import Limits, ThinkingFilter, TokenStream, WaitingLine


def served_models(base_url: str, api_key: str = "none") -> list[ModelInfo]:
    """The models of an OpenAI-compatible server, with their windows where it says so (vLLM, llama-server). Raises GeneratorError."""
    import httpx

    url = base_url.rstrip("/")
    try:
        with httpx.Client(timeout=CONNECT_SECONDS, trust_env=not is_local(url)) as client:
            answer = client.get(f"{url}/models", headers={"Authorization": f"Bearer {api_key}"})
            answer.raise_for_status()
            entries = answer.json()["data"]
            return [
                ModelInfo(str(entry["id"]), int((entry.get("meta") or {}).get("size") or 0), context=_context(entry)) for entry in entries
            ]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeneratorError(f"no OpenAI-compatible server answers at {url} ({error}); run: roadmap-rag doctor") from error


def _context(entry: Mapping[str, Any]) -> int | None:
    context = entry.get("max_model_len") or (entry.get("meta") or {}).get("n_ctx")
    return int(context) if context else None


class OpenAIGenerator:
    """Implements ``domain.Generator``. ``base_url`` is the server's address up to and with ``/v1``; the other parameters are those of
    ``OllamaGenerator``."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str = "none",
        temperature: float = 0.0,
        seed: int,
        max_tokens: int,
        first_token_timeout: float,
        timeout: float,
        stop: Sequence[str] = (),
    ) -> None:
        import openai  # noqa: F401 - slow to import: better here than in the thread of the first question

        self.model = model
        self.base_url = base_url.rstrip("/")
        self.line = WaitingLine(serial=False)
        """The open streams: ``line.open`` answers are being written or wait."""
        self._api_key = api_key
        self._limits = Limits(first_token_timeout, timeout)
        self._request: dict[str, Any] = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        if stop:
            self._request["stop"] = list(stop)

    def stream(self, messages: Sequence[Turn]) -> TokenStream:
        """The answer in pieces. Nothing is sent before the first one is asked for; ``close`` ends the work on the server."""
        return self._open(messages, self._request)

    def warm(self, messages: Sequence[Turn] = ()) -> None:
        """Work through the messages, so that a question that begins with the same ones need not; without any, do nothing: such servers
        load their model when they start."""
        if messages:
            for _ in self._open(messages, {**self._request, "max_tokens": 1}):
                pass

    def _open(self, messages: Sequence[Turn], request: dict[str, Any]) -> TokenStream:
        turns = tuple(messages)
        return TokenStream(lambda: self._pieces(turns, request), self.line, self._limits, self._explain_silence)

    async def _pieces(self, turns: Sequence[Turn], request: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        import httpx2
        import openai

        visible = ThinkingFilter()
        begun, finished, usage = False, False, None
        limits = httpx2.Timeout(None, connect=CONNECT_SECONDS)
        try:
            async with (
                httpx2.AsyncClient(timeout=limits, trust_env=not is_local(self.base_url)) as http,
                openai.AsyncOpenAI(
                    base_url=self.base_url, api_key=self._api_key, max_retries=0, timeout=limits, http_client=http
                ) as client,
                await client.chat.completions.create(
                    model=self.model,
                    messages=cast("Any", [{"role": turn.role, "content": turn.content} for turn in turns]),
                    stream=True,
                    stream_options={"include_usage": True},
                    extra_body={"chat_template_kwargs": {"enable_thinking": False}},
                    **request,
                ) as chunks,
            ):
                async for chunk in chunks:
                    begun = True
                    usage = chunk.usage or usage
                    for choice in chunk.choices:
                        finished = finished or choice.finish_reason is not None
                        if text := visible.feed(choice.delta.content or ""):
                            yield Piece(text)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            if text := visible.finish():
                yield Piece(text)
            raise self._explain(error, begun) from error
        counted = usage.prompt_tokens if usage else None
        yield Piece(visible.finish(), counted, usage.completion_tokens if usage else None)
        if not finished:
            raise GeneratorError(self._stopped())
        check_not_cut(turns, counted, self.model)

    def _explain(self, error: Exception, begun: bool) -> GeneratorError:
        import openai

        said = " ".join(str(error).split())[:200]
        lower = said.lower()
        if "context_size" in lower or "context size" in lower or "context length" in lower:
            return PromptTooLongError(
                f"the prompt does not fit the context window of {self.model} at {self.base_url} ({said}): ask a shorter question, or start "
                "the server with a larger one"
            )
        if isinstance(error, openai.NotFoundError):
            return GeneratorError(f"the server at {self.base_url} has no model {self.model} ({said}): run `roadmap-rag models`")
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return GeneratorError(f"the server at {self.base_url} wants an API key ({said}): set one, and run `roadmap-rag doctor`")
        if isinstance(error, openai.APIStatusError):
            return GeneratorError(f"the server at {self.base_url} refused the request ({said}): run `roadmap-rag doctor`")
        if begun:
            return GeneratorError(self._stopped())
        return GeneratorError(f"no language model answers at {self.base_url} ({said}): start the server, or run `roadmap-rag doctor`")

    def _stopped(self) -> str:
        return f"the server at {self.base_url} stopped in the middle of the answer: start it again, then ask again"

    def _explain_silence(self, seconds: float) -> GeneratorError:
        return GeneratorError(
            f"the server at {self.base_url} has sent nothing for {seconds:g} seconds: ask again, or restart it; a slower machine needs a "
            "longer `first_token_timeout` and `token_timeout`, or fewer `prompt_tokens`"
        )

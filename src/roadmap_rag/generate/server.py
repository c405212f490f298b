"""An Ollama server: where it is, what it has, what it granted, and why it does not answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from roadmap_rag.errors import GeneratorError
from roadmap_rag.generate.models import Machine, ModelInfo, choose, memory_needed, same_name

if TYPE_CHECKING:
    import httpx

DEFAULT_PORT = "11434"
CONNECT_SECONDS = 5.0
EMBED_SECONDS = 600.0
ANSWER_SECONDS = 10.0
"""For questions about models, which a server answers at once, unless it is stopped or the machine swaps."""

MINIMUM_VERSION = (0, 12, 6)
"""The first that was made after Ollama learned to refuse a prompt that does not fit (its pull request 12582, October 2025)."""

Problem = Literal["not_installed", "not_running", "not_answering", "proxy", "not_ollama", "too_old", "no_models", "not_pulled", "too_large"]


@dataclass(frozen=True, slots=True)
class Granted:
    """A loaded model: the window in tokens that the server really gave it, and its memory in bytes (0 when the server does not say)."""

    name: str
    context: int | None
    size: int
    gpu_size: int
    until: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a long work on the server; ``completed`` and ``total`` are bytes, None when the step has no size."""

    status: str
    completed: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether a model can answer. ``problem`` is None when it can; ``remedy`` is the one command that helps, empty when none is needed."""

    problem: Problem | None
    detail: str
    remedy: str = ""
    version: str = ""
    models: tuple[ModelInfo, ...] = ()


# ----------------------------------------------------------------------------------------------------------------- the address


def parse_host(value: str | None) -> str:
    """The address of the server as ``OLLAMA_HOST`` means it: scheme and port may be missing, and an address that a server listens on
    everywhere with (0.0.0.0, ::) is this machine for a client."""
    scheme, found, rest = (value or "").strip().strip("\"'").strip().partition("://")
    if not found:
        scheme, rest = "http", scheme
    default = {"http": "80", "https": "443"}.get(scheme, DEFAULT_PORT) if found else DEFAULT_PORT
    address, _, path = rest.partition("/")
    host, port = _split_port(address)
    if not port.isdecimal() or int(port) > 65535:
        port = default
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}" + (f"/{path.strip('/')}" if path.strip("/") else "")


def _split_port(address: str) -> tuple[str, str]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", address)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    host, _, port = address.partition(":")
    return (address, "") if ":" in port else (host, port)


def is_local(url: str) -> bool:
    """Whether an address is on this machine: then no proxy is ever asked for it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def client_options(url: str) -> dict[str, Any]:
    """What every HTTP client for that server is made with."""
    return {"base_url": url, "trust_env": not is_local(url)}


# ------------------------------------------------------------------------------------------------------------------ the server


class OllamaServer:
    """What an Ollama server says about itself and its models. Raises GeneratorError when it does not answer."""

    def __init__(self, host: str) -> None:
        self.host = parse_host(host)

    def version(self) -> str:
        return str(self._get("/api/version").get("version", ""))

    def installed(self) -> list[ModelInfo]:
        """Every model that the server has, in its order (the latest first)."""
        return [self._describe(entry) for entry in self._get("/api/tags").get("models") or []]

    def granted(self) -> list[Granted]:
        """The models that are loaded now."""
        return [
            Granted(
                name=str(entry.get("name", "")),
                context=entry.get("context_length"),
                size=int(entry.get("size") or 0),
                gpu_size=int(entry.get("size_vram") or 0),
                until=str(entry.get("expires_at", "")),
            )
            for entry in self._get("/api/ps").get("models") or []
        ]

    def embed(self, name: str, texts: Sequence[str], keep_alive: float | str) -> list[list[float]]:
        """A vector for each text, in order."""
        import httpx

        body = {"model": name, "input": list(texts), "truncate": True, "keep_alive": keep_alive}
        try:
            with httpx.Client(timeout=httpx.Timeout(EMBED_SECONDS, connect=CONNECT_SECONDS), **client_options(self.host)) as client:
                answer = client.post("/api/embed", json=body)
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise GeneratorError(f"Ollama at {self.host} has no model {name}; run: ollama pull {name}")
            if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_IMPLEMENTED) or "--embeddings" in answer.text:
                raise GeneratorError(f"{name} makes no embeddings ({answer.text[:120]}); run: ollama pull nomic-embed-text, and name that")
            answer.raise_for_status()
            return [list(map(float, vector)) for vector in answer.json()["embeddings"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            found = diagnose_connection(self.host, error)
            raise GeneratorError(f"{found.detail}; run: {found.remedy}") from error

    def find(self, name: str) -> ModelInfo:
        """An installed model by its name. Raises GeneratorError when it is not there."""
        for model in self.installed():
            if same_name(model.name, name):
                return model
        raise GeneratorError(f"Ollama at {self.host} has no model {name}; run: ollama pull {name}")

    def pull(self, name: str) -> Iterator[Progress]:
        """Download a model, by a name as Ollama has it or with the host of another registry before it (HOST/LIBRARY/NAME:TAG; with
        http:// before the host it is asked without TLS). Stopped and called again, the server goes on where it was."""
        body = {"model": name, "insecure": True} if name.startswith("http://") else {"model": name}
        yield from self._work("/api/pull", body, f"{name} could not be downloaded")

    def register(self, name: str, gguf: Path) -> Iterator[Progress]:
        """Make a model of a GGUF file, without any network: the file is copied into the store of the server."""
        import httpx

        digest = f"sha256:{_sha256(gguf)}"
        yield Progress(f"copying {gguf.name}", 0, gguf.stat().st_size)
        try:
            with httpx.Client(timeout=httpx.Timeout(None, connect=CONNECT_SECONDS), **client_options(self.host)) as client:
                if client.head(f"/api/blobs/{digest}").status_code != httpx.codes.OK:
                    with gguf.open("rb") as file:
                        client.post(f"/api/blobs/{digest}", content=file).raise_for_status()
        except httpx.HTTPError as error:
            raise GeneratorError(f"{gguf} could not be copied to Ollama at {self.host} ({error}): run `roadmap-rag doctor`") from error
        yield from self._work("/api/create", {"model": name, "files": {gguf.name: digest}}, f"{gguf} could not be made a model")

    def _describe(self, entry: Mapping[str, Any]) -> ModelInfo:
        details = entry.get("details") or {}
        context, capabilities = details.get("context_length"), entry.get("capabilities")
        if capabilities is None:  # servers of 2025 tell only when asked about the one model
            shown = self._get("/api/show", {"model": entry["name"]})
            capabilities = shown.get("capabilities") or []
            context = next((value for key, value in (shown.get("model_info") or {}).items() if key.endswith(".context_length")), None)
        return ModelInfo(
            name=str(entry["name"]),
            size=int(entry.get("size") or 0),
            quantisation=str(details.get("quantization_level") or ""),
            parameters=_read_count(str(details.get("parameter_size") or "")),
            context=context,
            thinking="thinking" in capabilities,
            embedding="completion" not in capabilities or str(details.get("family", "")).endswith("bert"),
            remote=bool(entry.get("remote_host") or entry.get("remote_model")),
            digest=str(entry.get("digest") or ""),
        )

    def _get(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx

        try:
            answer = _ask(self.host, path, body)
            answer.raise_for_status()
            return dict(answer.json())
        except (httpx.HTTPError, ValueError, TypeError) as error:
            found = diagnose_connection(self.host, error)
            raise GeneratorError(f"{found.detail}: {found.remedy}") from error

    def _work(self, path: str, body: dict[str, Any], failed: str) -> Iterator[Progress]:
        """Send a request whose answer is one JSON object a line, until it is done."""
        import httpx

        limits = httpx.Timeout(None, connect=CONNECT_SECONDS)
        try:
            with (
                httpx.Client(timeout=limits, **client_options(self.host)) as client,
                client.stream("POST", path, json=body) as response,
            ):
                for line in response.iter_lines():
                    step = json.loads(line)
                    if "error" in step:
                        raise GeneratorError(f"{failed} ({step['error']}): run `roadmap-rag models` for those that are there")
                    yield Progress(str(step.get("status", "")), step.get("completed"), step.get("total"))
        except (httpx.HTTPError, ValueError) as error:
            found = diagnose_connection(self.host, error)
            raise GeneratorError(f"{failed}: {found.detail}: {found.remedy}") from error


def _ask(host: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    import httpx

    with httpx.Client(timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS), **client_options(host)) as client:
        return client.get(path) if body is None else client.post(path, json=body)


def _read_count(text: str) -> int | None:
    """A number of parameters as Ollama writes it: "1.8B", "134.52M"."""
    match = re.fullmatch(r"([0-9.]+)\s*([KMBT]?)", text)
    return round(float(match[1]) * {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[match[2]]) if match else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --------------------------------------------------------------------------------------------------------------- what is wrong


def diagnose(host: str, model: str = "", *, machine: Machine | None = None) -> Diagnosis:
    """Say why no model answers, or that one can. ``model`` is the configured name, or empty; without a machine any model fits."""
    import httpx

    host = parse_host(host)
    try:
        answer = _ask(host, "/api/version")
        answer.raise_for_status()
        version = str(answer.json()["version"])
        models = tuple(OllamaServer(host).installed())
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return diagnose_connection(host, error)
    except GeneratorError as error:
        return Diagnosis("not_answering", str(error), "ollama serve")
    return _diagnose_models(host, model, version, models, machine)


def _diagnose_models(host: str, model: str, version: str, models: tuple[ModelInfo, ...], machine: Machine | None) -> Diagnosis:
    if is_too_old(version):
        wanted = ".".join(map(str, MINIMUM_VERSION))
        detail = f"Ollama {version} at {host} is older than {wanted} and cuts long prompts without a word"
        return Diagnosis("too_old", detail, "install the present version from https://ollama.com/download", version, models)
    chat = [info for info in models if not info.embedding]
    if model and not any(same_name(info.name, model) for info in chat):
        return Diagnosis("not_pulled", f"Ollama at {host} has no model {model}", f"ollama pull {model}", version, models)
    if not chat:
        return Diagnosis("no_models", f"Ollama {version} runs at {host} without a model", "roadmap-rag models recommend", version, models)
    chosen, why = choose(models, model, machine)
    if chosen is not None and machine is not None and memory_needed(chosen) > machine.room:
        why = f"{chosen.name} needs about {memory_needed(chosen) / 1e9:.1f} GB of memory, and {machine.room / 1e9:.1f} GB are there"
        chosen = None
    if chosen is None:
        return Diagnosis("too_large", why, "roadmap-rag models recommend", version, models)
    return Diagnosis(None, f"Ollama {version} at {host}: {why}", "", version, models)


def diagnose_connection(host: str, error: Exception) -> Diagnosis:
    """Why a request to the server brought nothing that can be used."""
    import httpx

    proxied = not is_local(host) and any(
        os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and is_local(host):
        if find_program() is None:
            return Diagnosis("not_installed", "Ollama is not installed", "install it from https://ollama.com/download")
        return Diagnosis("not_running", f"Ollama is installed, but not running at {host}", "ollama serve")
    if proxied and not isinstance(error, httpx.TimeoutException):
        name = urlsplit(host).hostname
        return Diagnosis("proxy", f"a proxy stands between here and Ollama at {host}", f"export NO_PROXY={name},localhost,127.0.0.1")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Diagnosis("not_running", f"no Ollama answers at {host}", f"OLLAMA_HOST={urlsplit(host).netloc} ollama serve")
    if isinstance(error, httpx.HTTPStatusError | ValueError | KeyError | TypeError):
        return Diagnosis("not_ollama", f"what answers at {host} is not Ollama", "set OLLAMA_HOST to the address of Ollama")
    return Diagnosis("not_answering", f"Ollama at {host} takes the connection but does not answer", "ollama serve")


def find_program() -> str | None:
    """The path of Ollama's program on this machine, if it is there."""
    usual = [
        Path("/usr/local/bin/ollama"),
        Path("/opt/homebrew/bin/ollama"),
        Path("/Applications/Ollama.app/Contents/Resources/ollama"),
        Path(os.environ.get("LOCALAPPDATA", "/nowhere")) / "Programs/Ollama/ollama.exe",
    ]
    return shutil.which("ollama") or next((str(path) for path in usual if path.exists()), None)


def is_too_old(version: str) -> bool:
    """Whether a release is older than MINIMUM_VERSION. A server built without a version number says 0.0.0: that is no age."""
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    release = tuple(map(int, numbers.groups())) if numbers else (0, 0, 0)
    return (0, 0, 0) < release < MINIMUM_VERSION

"""Which model to ask: of those that are installed, and of those that could be."""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace

GB = 10**9

USABLE_PARAMETERS = 10**9
"""Measured with passages in the prompt: 135 million parameters write nothing usable, 500 million copy passages and cite nothing,
1.5 billion cite."""

PATIENT_PARAMETERS_PER_CORE = 8 * 10**8
MOST_PATIENT_PARAMETERS = 5 * 10**9
"""What processor cores read a prompt of 1,100 tokens with in about 40 seconds: 1.5 billion parameters took 35 s on two cores with AVX2.
More cores than six wait for the memory."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """An installed model. ``size`` is its file in bytes; ``parameters`` and ``context`` (tokens) are None when the server does not say."""

    name: str
    size: int
    quantisation: str = ""
    parameters: int | None = None
    context: int | None = None
    thinking: bool = False
    embedding: bool = False
    remote: bool = False
    """The server passes questions on to another machine."""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of a model that was run: tokens a second of prompt and of answer, at least, and on what."""

    prompt_speed: float
    answer_speed: float
    machine: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A row of the table. ``size`` is the download in bytes; without figures the model is only listed, it was not run here."""

    name: str
    parameters: int
    size: int
    note: str
    measured: Measured | None = None
    fits: bool = False
    picked: bool = False


BUSY_CORES = "2 cores with AVX2, no GPU, other work beside it; Q4_K_M, batches of 64"

TABLE = (
    Recommendation("smollm2:135m", 135 * 10**6, 271 * 10**6, "only to try the set-up"),
    Recommendation("qwen2.5-coder:1.5b", 15 * 10**8, 986 * 10**6, "cites; the smallest that is of use", Measured(31.0, 9.0, BUSY_CORES)),
    Recommendation("qwen2.5:3b", 31 * 10**8, 1_900 * 10**6, "for 8 GB of memory, several languages"),
    Recommendation("llama3.2:3b", 32 * 10**8, 2_000 * 10**6, "for 8 GB of memory"),
    Recommendation("gemma3:4b", 43 * 10**8, 3_300 * 10**6, "for 8 to 16 GB of memory, many languages"),
    Recommendation("qwen2.5:7b", 76 * 10**8, 4_700 * 10**6, "for a GPU with 8 GB"),
    Recommendation("llama3.1:8b", 80 * 10**8, 4_900 * 10**6, "for a GPU with 8 GB"),
    Recommendation("gemma3:12b", 122 * 10**8, 8_100 * 10**6, "for a GPU with 12 GB"),
    Recommendation("qwen2.5:14b", 148 * 10**8, 9_000 * 10**6, "for a GPU with 16 GB"),
)
"""Ordered from small to large. Sizes and parameters as https://ollama.com/library lists them."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model can use: bytes of memory, bytes on the graphics card, cores of the processor."""

    memory: int
    graphics: int = 0
    cores: int = 4

    @property
    def room(self) -> int:
        """Bytes that a model may take: two gigabytes are left to everything else, or it is on the graphics card."""
        return max(0, self.memory - 2 * GB, self.graphics)

    def holds_on_card(self, model: ModelInfo | Recommendation) -> bool:
        return memory_needed(model) <= self.graphics

    def reads_quickly(self, model: ModelInfo | Recommendation) -> bool:
        """Whether a prompt of 1,100 tokens is read in about 40 seconds."""
        patient = max(2 * USABLE_PARAMETERS, min(self.cores * PATIENT_PARAMETERS_PER_CORE, MOST_PATIENT_PARAMETERS))
        return self.holds_on_card(model) or _parameters(model) <= patient


def _parameters(model: ModelInfo | Recommendation) -> int:
    return model.parameters if model.parameters is not None else model.size * 2


def memory_needed(model: ModelInfo | Recommendation) -> int:
    """Bytes that a loaded model takes, roughly: its weights, a window of some thousand tokens, and the server's own buffers."""
    if isinstance(model, ModelInfo) and model.remote:
        return 0
    return int(model.size * 1.2) + GB // 2


def same_name(one: str, other: str) -> bool:
    """Whether two names mean the same model: without a tag Ollama means ``latest``, and it ignores case."""
    return _full_name(one) == _full_name(other)


def _full_name(name: str) -> str:
    return (name if ":" in name.rpartition("/")[2] else f"{name}:latest").lower()


def choose(models: Sequence[ModelInfo], configured: str, machine: Machine | None) -> tuple[ModelInfo | None, str]:
    """The model that answers, and why it is that one; None with the reason when there is none.

    The configured one, whatever its size. Else, of the chat models that fit this machine (None: unknown, all fit and are quick): those of
    at least a billion parameters before smaller ones, those that the machine reads a prompt with quickly before those that keep it
    waiting, those that need not think before those that do so at length, then the one with most parameters, of the slow ones with
    fewest. Models for embeddings, and those that pass the question on to another machine, are never taken unasked.
    """
    if configured:
        found = next((model for model in models if same_name(model.name, configured)), None)
        if found is None:
            return None, f"the configured model {configured} is not installed"
        if found.embedding:
            return None, f"the configured model {configured} makes embeddings and cannot answer"
        return found, f"{found.name} is configured"
    chat = [model for model in models if not model.embedding and not model.remote]
    if not chat:
        return None, "no model that can answer is installed"
    fitting = [model for model in chat if machine is None or memory_needed(model) <= machine.room]
    if not fitting:
        least = min(chat, key=memory_needed)
        return None, f"the smallest installed model, {least.name}, needs about {memory_needed(least) / GB:.1f} GB of memory"
    best = max(fitting, key=lambda model: _rank(model, machine))
    if _parameters(best) < USABLE_PARAMETERS:
        return best, f"{best.name} is the largest that is installed, but below a billion parameters answers are poor"
    if len(fitting) == 1:
        return best, f"{best.name} is the only installed model that can answer and fits the memory"
    aloud = "" if best.thinking else " and answers without thinking aloud"
    if machine is not None and not machine.reads_quickly(best):
        return best, f"{best.name} is the smallest installed model of use{aloud}; on {machine.cores} cores each is slow"
    if machine is not None and any(_parameters(model) > _parameters(best) and not machine.reads_quickly(model) for model in fitting):
        return best, f"{best.name} is the largest installed model that {machine.cores} cores read a prompt with in about 40 seconds{aloud}"
    return best, f"{best.name} is the largest installed model that fits the memory{aloud}"


def _rank(model: ModelInfo, machine: Machine | None) -> tuple[bool, bool, bool, int, str]:
    parameters = _parameters(model)
    quick = machine is None or machine.reads_quickly(model)
    return parameters >= USABLE_PARAMETERS, quick, not model.thinking, parameters if quick else -parameters, model.name


def graphics_memory(memory_bytes: int) -> int:
    """Bytes that a model may take on a graphics processor: what NVIDIA's tool says, two thirds of the common memory of an Apple one,
    else 0."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return memory_bytes * 2 // 3
    tool = shutil.which("nvidia-smi")
    return _largest_card(tool) if tool else 0


@functools.cache
def _largest_card(tool: str) -> int:
    command = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603 -- a fixed command
        return max((int(line) * 2**20 for line in said.split()), default=0)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def recommend(machine: Machine) -> tuple[Recommendation, ...]:
    """The table, with what fits this machine and the one pick for it.

    With a GPU the largest model that fits the GPU's memory is picked; without, the largest that leaves half of the memory to everything
    else and is small enough for the processor's cores.
    """
    rows = [replace(row, fits=memory_needed(row) <= max(machine.memory // 2, machine.graphics)) for row in TABLE]
    quick = [row for row in rows if row.fits and machine.reads_quickly(row)]
    pick = max(quick, key=lambda row: row.parameters, default=None)
    return tuple(replace(row, picked=pick is not None and row.name == pick.name) for row in rows)

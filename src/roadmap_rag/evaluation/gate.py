"""The gate: floors that a run must reach, pinned with the digests of the questions and the corpus they were measured on.

``floors.toml`` holds a floor for each metric by name, set below what was measured by a margin for noise. Raising a floor is free; a lower
one needs a reason, which is stored beside it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.metrics import Metric

MARGIN = 0.03
"""New floors stand at least this far below what was measured: a re-extracted page moves a few questions of some 200."""
_QUESTIONS = 2
"""And at least this many questions, where there are few."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    name: str
    value: float | None
    floor: float


@dataclass(frozen=True, slots=True)
class Gate:
    """``passed`` when nothing fell short; ``notes`` say which digests differ from the pinned ones."""

    passed: bool
    shortfalls: tuple[Shortfall, ...]
    notes: tuple[str, ...]


def check_gate(path: Path, metrics: Sequence[Metric], digests: tuple[str, str], *, lower: str = "", now: str = "") -> Gate:
    """Hold the metrics against the floors; with ``lower``, a reason, first bring down the floors that they miss."""
    floors = read_floors(path)
    values = {metric.name: metric.value for metric in metrics}
    if lower:
        floors = _lowered(floors, metrics, digests, lower, now)
        path.write_text(write_floors(floors), "utf-8")
    wanted: Mapping[str, float] = floors.get("floors", {})
    short = tuple(
        Shortfall(name, values.get(name), floor) for name, floor in wanted.items() if (value := values.get(name)) is None or value < floor
    )
    pinned = floors.get("questions"), floors.get("corpus")
    notes = tuple(
        f"the {what} changed since the floors were set"
        for what, before, after in zip(("questions", "corpus"), pinned, digests, strict=True)
        if before != after
    )
    return Gate(not short, short, notes)


def raise_floors(path: Path, metrics: Sequence[Metric], digests: tuple[str, str]) -> dict[str, float]:
    """Lift each floor to the measured value less the margin, never down, and pin the digests. Returns the floors."""
    floors = read_floors(path)
    reached = {metric.name: _below(metric) for metric in metrics}
    lifted = {name: max(float(floor), reached.get(name, 0.0)) for name, floor in floors.get("floors", {}).items()}
    path.write_text(write_floors(floors | {"questions": digests[0], "corpus": digests[1], "floors": lifted}), "utf-8")
    return lifted


def _below(metric: Metric) -> float:
    if metric.value is None:
        return 0.0
    return max(0.0, round(metric.value - max(MARGIN, _QUESTIONS / metric.n), 2))


def read_floors(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); the gate runs in a checkout of the project") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from error


def write_floors(floors: Mapping[str, Any]) -> str:
    lines = [
        "# Floors of the retrieval suite: `roadmap-rag eval --suite retrieval --gate` exits 4 below one.",
        "# Raising one is free; lowering needs a reason, which is stored below.",
        f"questions = {json.dumps(floors.get('questions', ''))}",
        f"corpus = {json.dumps(floors.get('corpus', ''))}",
        "",
        "[floors]",
        *(f"{json.dumps(name)} = {floor}" for name, floor in floors.get("floors", {}).items()),
    ]
    for entry in floors.get("lowered", []):
        lines += ["", "[[lowered]]", *(f"{key} = {json.dumps(value)}" for key, value in entry.items())]
    return "\n".join(lines) + "\n"


def _lowered(floors: Mapping[str, Any], metrics: Sequence[Metric], digests: tuple[str, str], reason: str, now: str) -> dict[str, Any]:
    before: Mapping[str, float] = floors.get("floors", {})
    missed = {
        metric.name: _below(metric)
        for metric in metrics
        if metric.name in before and metric.value is not None and metric.value < before[metric.name]
    }
    entries = [{"metric": name, "from": floors["floors"][name], "to": floor, "reason": reason, "at": now} for name, floor in missed.items()]
    return {
        **floors,
        "questions": digests[0],
        "corpus": digests[1],
        "floors": floors.get("floors", {}) | missed,
        "lowered": [*floors.get("lowered", []), *entries],
    }

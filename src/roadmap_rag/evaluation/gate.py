"""The gate: floors that a run must reach, pinned with the digests of the questions and the corpus they were measured on.

``floors.toml`` holds a floor or a ceiling for a metric by name, set apart from what was measured by a margin for noise. Raising a floor is
free; a lower one needs a reason, which is stored beside it.
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
    """A metric below its floor, or above its ceiling: ``floor`` is the bound, ``above`` says which."""

    name: str
    value: float | None
    floor: float
    above: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """``passed`` when nothing fell short; ``notes`` say which digests differ from the pinned ones."""

    passed: bool
    shortfalls: tuple[Shortfall, ...]
    notes: tuple[str, ...]


def check_gate(
    path: Path, metrics: Sequence[Metric], digests: tuple[str, str], *, section: str = "", lower: str = "", now: str = ""
) -> Gate:
    """Hold the metrics against the bounds; with ``lower``, a reason, first give way where they are missed.

    ``section`` is the part of the file for a suite and its sample, such as "answers" or "answers-120"; the retrieval suite's has no name.
    """
    everything = read_floors(path)
    bounds = _section(everything, section, path)
    values = {metric.name: metric.value for metric in metrics}
    if lower:
        bounds = _lowered(bounds, metrics, digests, lower, now)
        path.write_text(write_floors(everything | ({section: bounds} if section else bounds)), "utf-8")
    floors: Mapping[str, float] = bounds.get("floors", {})
    ceilings: Mapping[str, float] = bounds.get("ceilings", {})
    short = [Shortfall(name, values.get(name), floor) for name, floor in floors.items() if _is_short(values.get(name), floor)]
    short += [Shortfall(name, values.get(name), top, True) for name, top in ceilings.items() if _is_short(_minus(values.get(name)), -top)]
    pinned = bounds.get("questions"), bounds.get("corpus")
    notes = tuple(
        f"the {what} changed since the floors were set"
        for what, before, after in zip(("questions", "corpus"), pinned, digests, strict=True)
        if before != after
    )
    return Gate(not short, tuple(short), notes)


def find_bounds(path: Path, section: str) -> dict[str, Any]:
    """The bounds of a section. Raises SettingsError naming those there are."""
    return _section(read_floors(path), section, path)


def _section(everything: Mapping[str, Any], section: str, path: Path) -> dict[str, Any]:
    if not section:
        return dict(everything)
    found = everything.get(section)
    if not isinstance(found, dict):
        known = ", ".join(name for name, value in everything.items() if isinstance(value, dict) and name != "floors") or "none"
        raise SettingsError(f"{path} has no bounds for {section}; there are some for: {known} (a number is a --limit)")
    return found


def _is_short(value: float | None, floor: float) -> bool:
    return value is None or value < floor


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def raise_floors(path: Path, metrics: Sequence[Metric], digests: tuple[str, str], section: str = "") -> dict[str, float]:
    """Lift each floor to the measured value less the margin, and bring each ceiling down, never the other way; pin the digests.

    Returns the floors."""
    everything = read_floors(path)
    bounds = _section(everything, section, path)
    reached = {metric.name: _below(metric) for metric in metrics}
    least = {metric.name: _above(metric) for metric in metrics}
    lifted = {name: max(float(floor), reached.get(name, 0.0)) for name, floor in bounds.get("floors", {}).items()}
    sunk = {name: min(float(top), least.get(name, 1.0)) for name, top in bounds.get("ceilings", {}).items()}
    bounds = bounds | {"questions": digests[0], "corpus": digests[1], "floors": lifted} | ({"ceilings": sunk} if sunk else {})
    path.write_text(write_floors(everything | ({section: bounds} if section else bounds)), "utf-8")
    return lifted


def _below(metric: Metric) -> float:
    if metric.value is None:
        return 0.0
    return max(0.0, round(metric.value - max(MARGIN, _QUESTIONS / metric.n), 2))


def _above(metric: Metric) -> float:
    if metric.value is None:
        return 1.0
    return min(1.0, round(metric.value + max(MARGIN, _QUESTIONS / metric.n), 2)) if metric.value else 0.0


def read_floors(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); the gate runs in a checkout of the project") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from error


def write_floors(floors: Mapping[str, Any]) -> str:
    lines = [
        "# Bounds of the suites: `roadmap-rag eval --suite NAME --gate` exits 4 below a floor or above a ceiling. Those without a name are",
        "# the retrieval suite's; a number behind a name is the --limit that they are for.",
        "# Raising a floor is free; giving way needs a reason, which is stored below.",
        *_lines(floors, ""),
    ]
    for name, value in floors.items():
        if isinstance(value, dict) and name not in ("floors", "ceilings"):
            lines += ["", f"[{name}]", *_lines(value, f"{name}.")]
    return "\n".join(lines) + "\n"


def _lines(bounds: Mapping[str, Any], prefix: str) -> list[str]:
    lines = [f"{key} = {json.dumps(bounds.get(key, ''))}" for key in ("questions", "corpus")]
    for table in ("floors", "ceilings"):
        if table in bounds:
            lines += ["", f"[{prefix}{table}]", *(f"{json.dumps(name)} = {bound}" for name, bound in bounds[table].items())]
    for entry in bounds.get("lowered", []):
        lines += ["", f"[[{prefix}lowered]]", *(f"{key} = {json.dumps(value)}" for key, value in entry.items())]
    return lines


def _lowered(bounds: Mapping[str, Any], metrics: Sequence[Metric], digests: tuple[str, str], reason: str, now: str) -> dict[str, Any]:
    entries = []
    changed: dict[str, dict[str, float]] = {}
    for table, missed_by, give in (("floors", -1.0, _below), ("ceilings", 1.0, _above)):
        before: Mapping[str, float] = bounds.get(table, {})
        if table in bounds:
            changed[table] = dict(before)
        for metric in metrics:
            if metric.name in before and metric.value is not None and (metric.value - before[metric.name]) * missed_by > 0:
                changed[table][metric.name] = give(metric)
                entries.append({"metric": metric.name, "from": before[metric.name], "to": give(metric), "reason": reason, "at": now})
    return {
        **bounds,
        **changed,
        "questions": digests[0],
        "corpus": digests[1],
        "lowered": [*bounds.get("lowered", []), *entries],
    }

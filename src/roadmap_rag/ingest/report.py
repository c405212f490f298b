"""What a run is asked for, and what it says afterwards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadmap_rag.domain import Source, Status, digest

_NAMED = 3
"""Sections that a row names before it says how many more there are."""
_HEADING = re.compile(r"#{1,6} (.+)")


@dataclass(frozen=True, slots=True)
class Request:
    """Which sources a run is about, and where their text comes from: the web, the snapshots, a file for one link, or an archive."""

    topic: str | None = None
    source: str | None = None
    file: Path | None = None
    refresh: bool = False
    offline: bool = False
    limit: int | None = None
    only: tuple[str, ...] = ()
    """Several links or notes, where ``source`` is one."""
    archive: Path | None = None

    @property
    def partial(self) -> bool:
        """Whether links that the run does not handle must stay as they are."""
        chosen = (self.topic, self.source, self.limit, self.archive)
        return any(choice is not None for choice in chosen) or bool(self.only)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would fetch. ``seconds`` is how long the web takes at the polite pace, several hosts at once."""

    sources: tuple[Source, ...]
    hosts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a run: ``stage`` is "fetch", "embed" or "index"; ``what`` names the source at hand."""

    stage: str
    done: int
    of: int
    what: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What happened to one source; the columns are those of ``ingest --json``. ``since``: when it began to fail or to be blocked."""

    url: str
    status: Status
    fetched_url: str | None = None
    http_status: int | None = None
    reason: str = ""
    kept: bool = False
    title: str = ""
    kind: str = ""
    chars: int = 0
    chunks: int = 0
    fetched_at: str | None = None
    topics: tuple[str, ...] = ()
    since: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Summary:
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    blocked: int = 0
    removed: int = 0
    embedded: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    rows: tuple[Row, ...]
    summary: Summary

    def as_dict(self) -> dict[str, Any]:
        return {"sources": [row.as_dict() for row in self.rows], "summary": asdict(self.summary)}


def describe_change(old: str, new: str) -> str:
    """What is different in a text, in one line: "8,120 characters (+310); changed: Setup, Usage; new: FAQ"."""
    before, after = _sections(old), _sections(new)
    kinds = {
        "changed": [name for name in after if name in before and before[name] != after[name]],
        "new": [name for name in after if name not in before],
        "gone": [name for name in before if name not in after],
    }
    said = [f"{len(new):,} characters ({len(new) - len(old):+,})"]
    said += [f"{kind}: {_list(names)}" for kind, names in kinds.items() if names]
    return "; ".join(said)


def _sections(text: str) -> dict[str, str]:
    """A digest of each section by its heading; sections of one name count as one, and what stands before the first is "the beginning"."""
    found: dict[str, list[str]] = {}
    name, fenced = "the beginning", False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading:
            name = heading[1].strip()
            found.setdefault(name, [])
        elif line.strip():
            found.setdefault(name, []).append(line)
    return {name: digest(*lines) for name, lines in found.items()}


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown

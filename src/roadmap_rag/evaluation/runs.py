"""Runs on disk: what was asked under which circumstances, and a cache in which no question is asked twice.

    results/RUN/run.json     digests of questions, corpus, prompt and code, settings, model, versions, seed, machine; metrics at the end
    results/RUN/rows.jsonl   one line for each finished question, written as it is finished
    results/cache/KEY.json   what was answered, written or judged, under a key made of everything that it depends on

A run that was killed is continued by the same command: its record is found by its key, and what it had finished is in the cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from roadmap_rag import __version__
from roadmap_rag.domain import digest
from roadmap_rag.errors import UsageError
from roadmap_rag.evaluation.golden import Question
from roadmap_rag.files import write_atomically, writing

ANSWERING = (
    *("domain", "text", "roadmap", "citations", "prompt", "quotes", "encoders"),
    *("index", "generate", "retrieve", "query_engine"),
)
"""The parts of the package that an answer depends on: a change in one of them asks every question anew."""
LIBRARIES = ("chromadb", "llama-index-core", "numpy", "ollama", "onnxruntime", "ragas", "sentence-transformers", "tokenizers", "torch")


class Cache:
    """Objects by key, one file each; a half-written file is never seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self._folder / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / f"{key}.json", json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class Run:
    """One run being made; ``name`` is its folder, ``resumed`` whether it goes on where a killed one stopped."""

    name: str
    path: Path
    record: dict[str, Any]
    resumed: bool
    _begun: float = field(default_factory=time.perf_counter)

    def add(self, row: Mapping[str, Any]) -> None:
        """Store a finished question; it is on disk when this returns."""
        with (self.path / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def seconds(self) -> float:
        """Since this run, or its continuation, was begun."""
        return round(time.perf_counter() - self._begun, 1)

    def finish(self, values: Mapping[str, Any]) -> None:
        """Store what came of the run."""
        self.record |= {"finished": True, "peak_memory": peak_memory(), "seconds": self.seconds, **values}
        _write(self.path / "run.json", self.record)


def start(results: Path, suite: str, now: str, record: Mapping[str, Any]) -> Run:
    """A run of ``suite``: the unfinished one with the same record if there is one, else a new one named after ``now`` (ISO time)."""
    key = digest(suite, json.dumps(record, sort_keys=True))
    unfinished = [path for path in results.glob(f"{suite}-*/run.json") if _is_unfinished(path, key)]
    path = max(unfinished).parent if unfinished else results / f"{suite}-{now.replace(':', '').replace('-', '')}"
    with writing(results):
        path.mkdir(parents=True, exist_ok=True)
        values = {"run": path.name, "suite": suite, "key": key, "at": now, "finished": False, **record}
        _write(path / "run.json", values)
        (path / "rows.jsonl").write_text("", "utf-8")
        return Run(path.name, path, values, bool(unfinished))


def _is_unfinished(path: Path, key: str) -> bool:
    values = json.loads(path.read_bytes())
    return values.get("key") == key and not values.get("finished")


def load(results: Path, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The record and the rows of an earlier run. Raises UsageError naming the latest runs when there is none of that name."""
    folder = results / name
    try:
        record: dict[str, Any] = json.loads((folder / "run.json").read_bytes())
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]
    except OSError as error:
        known = ", ".join(path.parent.name for path in _by_age(results)[-5:]) or "none"
        raise UsageError(f"there is no run {name}; the latest are: {known}") from error
    return record, rows


def history(results: Path, suite: str) -> list[dict[str, Any]]:
    """The records of the finished runs of a suite, oldest first."""
    records = [json.loads(path.read_bytes()) for path in _by_age(results)]
    return [record for record in records if record.get("suite") == suite and record.get("finished")]


def _by_age(results: Path) -> list[Path]:
    return sorted(results.glob("*/run.json"), key=lambda path: path.stat().st_mtime)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(values, indent=1, ensure_ascii=False).encode())


def circumstances() -> dict[str, Any]:
    """Versions and machine: what a second run needs besides the data."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory": psutil.virtual_memory().total,
        },
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def peak_memory() -> int:
    """Bytes that this process held at most, where the system tells, else what it holds now."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def code_digest() -> str:
    """Over the source and the constants of everything that takes part in an answer."""
    package = Path(__file__).parents[1]
    sha = hashlib.sha256()
    for part in ANSWERING:
        files = [package / f"{part}.py"] if (package / f"{part}.py").exists() else sorted((package / part).rglob("*"))
        for file in (file for file in files if file.suffix in (".py", ".json")):
            sha.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return sha.hexdigest()[:32]


def sample(questions: Sequence[Question], limit: int | None) -> tuple[Question, ...]:
    """At most ``limit`` questions, each type in proportion and none left out while there is room; the same ones each time.

    A larger sample holds the smaller one, but for rounding. The order is that of the questions.
    """
    if limit is None or limit >= len(questions):
        return tuple(questions)
    groups: dict[str, list[Question]] = {}
    for question in sorted(questions, key=lambda question: hashlib.sha256(f"sample {question.id}".encode()).digest()):
        groups.setdefault(question.type, []).append(question)
    places = [((number + 0.5) / len(group), question.id) for group in groups.values() for number, question in enumerate(group)]
    first = [group[0].id for group in groups.values()][:limit]
    rest = [name for _, name in sorted(places) if name not in first]
    chosen = {*first, *rest[: limit - len(first)]}
    return tuple(question for question in questions if question.id in chosen)

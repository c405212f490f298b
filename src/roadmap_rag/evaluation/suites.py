"""The suites behind ``roadmap-rag eval``: each asks its questions, stores every one as it is finished, and makes the table of them.

What a suite needs to be repeated stands in the record of its run. The retrieval suite is older and stores its runs itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadmap_rag.domain import digest
from roadmap_rag.errors import IndexMissingError
from roadmap_rag.evaluation import answers
from roadmap_rag.evaluation.answers import Documents, Row
from roadmap_rag.evaluation.asking import Progress, System, ask, build_system, index_digests
from roadmap_rag.evaluation.golden import Question, load_questions, missing_sources, questions_digest
from roadmap_rag.evaluation.metrics import Metric
from roadmap_rag.evaluation.runs import Cache, Run, circumstances, code_digest, sample, start
from roadmap_rag.prompt import INSTRUCTIONS, VERSION

if TYPE_CHECKING:
    from roadmap_rag.wiring import App

MODEL_SAMPLE = 40
"""Questions that a model is asked unless told otherwise: on a CPU each takes it some 15 seconds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to do. ``limit`` is the number of questions, None for all (with a model: ``MODEL_SAMPLE``)."""

    app: App
    data: Path
    results: Path
    now: str
    limit: int | None = None
    model: str | None = None
    judge: str | None = None
    compare_with: str | None = None
    gate: bool = False
    lower: str = ""
    progress: Progress = lambda _what, _done, _of: None

    @property
    def cache(self) -> Cache:
        return Cache(self.results / "cache")

    def systems(self) -> list[System]:
        """The quotes, and the model where one is named."""
        quotes = build_system(self.app, self.cache, None)
        return [quotes, build_system(self.app, self.cache, self.model)] if self.model else [quotes]

    def sample(self, questions: Sequence[Question], system: System) -> tuple[Question, ...]:
        return sample(questions, self.limit if self.limit is not None or system.memory is None else MODEL_SAMPLE)


def begin(wanted: Wanted, suite: str, questions: Sequence[Question], systems: Sequence[System], **more: Any) -> Run:
    """A new run, or the one that a kill left unfinished, with its record."""
    corpus, index = index_digests(wanted.app)
    record = {
        "questions": questions_digest(questions),
        "asked": digest(*sorted(question.id for question in questions)),
        "limit": wanted.limit,
        "corpus": corpus,
        "index": index,
        "embedder": wanted.app.index_settings.embedder,
        "prompt": {"version": VERSION, "digest": digest(INSTRUCTIONS)},
        "code": code_digest(),
        "seed": wanted.app.config.seed,
        "systems": {system.label: system.facts for system in systems},
        **circumstances(),
        **more,
    }
    return start(wanted.results, suite, wanted.now, record)


def stored_documents(app: App) -> tuple[Documents, dict[str, str]]:
    """Every indexed text with all its addresses, and the kind of each address."""
    generation = app.retriever.generation()
    documents = generation.documents()
    texts = {url: generation.text(url) or "" for url in documents}
    known = {}
    kinds = {}
    for url, document in documents.items():
        for link in (url, *document.also):
            known[link] = frozenset({url, *document.also}), texts[url]
            kinds[link] = document.kind
    return known, kinds


def known_questions(wanted: Wanted, documents: Documents) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """The golden questions whose sources are indexed, and the ids of the others. With the gate there must be none of those."""
    questions = load_questions(wanted.data / "golden")
    left_out = tuple(question.id for question in questions if missing_sources(question, frozenset(documents)))
    if wanted.gate and left_out:
        raise IndexMissingError(
            f"the sources of {len(left_out)} of {len(questions)} golden questions are not in the index; run: roadmap-rag ingest"
        )
    return tuple(question for question in questions if question.id not in left_out), left_out


def run_answers(wanted: Wanted) -> dict[str, Any]:
    """Quotes on all questions (or ``limit``), and the model on a stratified sample of them."""
    documents, kinds = stored_documents(wanted.app)
    questions, left_out = known_questions(wanted, documents)
    systems = wanted.systems()
    run = begin(wanted, answers.SUITE, questions, systems, left_out=left_out)
    rows: list[Row] = []
    for system in systems:
        rows += ask_all(wanted, run, system, wanted.sample(questions, system), documents, kinds)
    return conclude(run, rows, tuple(answers.table(rows)), left_out)


def ask_all(
    wanted: Wanted, run: Run, system: System, questions: Sequence[Question], documents: Documents, kinds: Mapping[str, str]
) -> list[Row]:
    """Ask and score each question, storing each row at once."""
    rows = []
    for number, question in enumerate(questions):
        wanted.progress(system.label, number, len(questions))
        kind = next((kinds[url] for one in question.evidence for url in one.urls if url in kinds), "")
        row = answers.score(question, ask(question, system, wanted.cache), system.label, documents, kind)
        run.add(asdict(row))
        rows.append(row)
    wanted.progress(system.label, len(questions), len(questions))
    return rows


def conclude(run: Run, rows: Sequence[Any], metrics: Sequence[Metric], left_out: Iterable[str]) -> dict[str, Any]:
    """Store what came of the run and return what ``--json`` prints."""
    values: dict[str, Any] = {
        "run": run.name,
        "suite": run.record["suite"],
        "metrics": [asdict(metric) for metric in metrics],
        "gate": None,
        "compared": [],
        "left_out": list(left_out),
        "resumed": run.resumed,
        "stored": str(run.path),
    }
    run.finish({"metrics": values["metrics"], "gate": values["gate"], "rows": len(rows)})
    return values


RUNNERS: Mapping[str, Callable[[Wanted], dict[str, Any]]] = {answers.SUITE: run_answers}

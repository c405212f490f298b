"""The retrieval suite: golden questions through the retriever, scored without any model.

A passage counts when its address is acceptable and it holds all terms of a piece of evidence; a question counts when every piece of its
evidence is found, so a comparison needs a passage for each side. Recall within N characters cuts the list of hits where the window of a
small model would. Questions whose sources are not in the index are counted and left out; with the gate that is an error.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from roadmap_rag.domain import Hit
from roadmap_rag.errors import IndexMissingError, UsageError
from roadmap_rag.evaluation.gate import Gate, check_gate
from roadmap_rag.evaluation.golden import Evidence, Question, corpus_digest, load_questions, missing_sources, questions_digest
from roadmap_rag.evaluation.metrics import Comparison, Metric, area_under_curve, compare, discounted_gain, summarise, summarise_median
from roadmap_rag.evaluation.plots import bar_plot, curve_plot
from roadmap_rag.evaluation.runs import sample
from roadmap_rag.index import StoredDocument
from roadmap_rag.retrieve import Retrieval, Retriever

SUITE = "retrieval"
DEPTH = 20
"""Hits asked for: enough to fill 6,000 characters."""
PASSAGE_DEPTHS = (1, 3, 5, 8, 10)
BUDGETS = (2_000, 4_000, 6_000)
HEADLINE = ("passage hit@5", "document hit@5", "MRR", "nDCG@10", "recall in 6,000 characters")
RESAMPLED = "share of questions"

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One question's outcome. ``scores`` is empty for a question without an answer."""

    id: str
    type: str
    half: str
    overlap: str
    kind: str
    standalone: str
    answerable: float
    refused: bool
    seconds: float
    scores: Scores


@dataclass(frozen=True, slots=True)
class Result:
    """One run of the suite; ``run`` names it, and ``path`` is where it is stored."""

    run: str
    suite: str
    metrics: tuple[Metric, ...]
    comparisons: tuple[Comparison, ...]
    left_out: tuple[str, ...]
    questions: str
    corpus: str
    gate: Gate | None
    plots: tuple[Path, ...]
    path: Path
    rows: tuple[Row, ...] = field(repr=False, default=())


def run(
    retriever: Retriever,
    *,
    data: Path,
    results: Path,
    now: str,
    gate: bool = False,
    compare_with: str | None = None,
    lower: str = "",
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Result:
    """Ask every golden question of ``data/golden`` and store the run under ``results``.

    ``now`` is an ISO time and becomes the name of the run. ``compare_with`` is the name of an earlier run. ``lower`` is the reason for
    lowering the floors of ``data/floors.toml`` to what this run reached; without it floors only rise, and only by hand.
    ``limit`` asks a stratified sample.
    """
    questions = load_questions(data / "golden")
    generation = retriever.generation()
    documents = generation.documents()
    links = frozenset(link for document in documents.values() for link in (document.url, *document.also))
    left_out = tuple(question.id for question in questions if missing_sources(question, links))
    if gate and left_out:
        raise IndexMissingError(
            f"the sources of {len(left_out)} of {len(questions)} golden questions are not in the index; run: roadmap-rag ingest"
        )
    asked = sample([question for question in questions if question.id not in left_out], limit)
    rows: list[Row] = []
    for number, question in enumerate(asked):
        progress(number, len(asked))
        rows.append(ask(question, retriever.search(question.question, k=DEPTH, history=question.history), documents))
    progress(len(asked), len(asked))
    metrics = tuple(table(rows))
    digests = questions_digest(questions), corpus_digest((document.url, document.id) for document in documents.values())
    comparisons = tuple(against(rows, _load(results, compare_with))) if compare_with else ()
    name = f"{SUITE}-{now.replace(':', '').replace('-', '')}"
    results.mkdir(parents=True, exist_ok=True)
    plots = draw(rows, results, name)
    outcome = check_gate(data / "floors.toml", metrics, digests, lower=lower, now=now) if gate or lower else None
    path = results / f"{name}.json"
    result = Result(name, SUITE, metrics, comparisons, left_out, *digests, outcome, plots, path, tuple(rows))
    path.write_text(json.dumps(as_dict(result) | {"rows": [asdict(row) for row in rows]}, indent=1), "utf-8")
    return result


def ask(question: Question, retrieval: Retrieval, documents: Mapping[str, StoredDocument]) -> Row:
    """Score what was found for one question."""
    scores = score(question.evidence, retrieval.hits) if question.answerable else {}
    kind = next((documents[url].kind for one in question.evidence for url in one.urls if url in documents), "")
    refused = all(hit.below_floor for hit in retrieval.hits)
    return Row(
        question.id,
        question.type,
        question.half,
        question.overlap,
        kind,
        retrieval.standalone,
        retrieval.answerable,
        refused,
        retrieval.seconds,
        scores,
    )


def score(evidence: Sequence[Evidence], hits: Sequence[Hit]) -> Scores:
    """All measures of one question, each 0 to 1."""
    right = [[one.on((hit.url, *hit.also)) and one.within(hit.text) for one in evidence] for hit in hits]
    on_page = [[one.on((hit.url, *hit.also)) for one in evidence] for hit in hits]
    scores: Scores = {f"passage hit@{k}": _all_found(right[:k]) for k in PASSAGE_DEPTHS}
    scores |= {f"document hit@{k}": _all_found(on_page[:k]) for k in PASSAGE_DEPTHS}
    scores["MRR"] = next((1 / rank for rank in range(1, min(10, len(hits)) + 1) if _all_found(right[:rank])), 0.0)
    scores["nDCG@10"] = discounted_gain(_gains(right), len(evidence), 10)
    for budget in BUDGETS:
        scores[f"recall in {budget:,} characters"] = _all_found(_within_budget(evidence, hits, budget))
    return scores


def _all_found(found: Sequence[Sequence[bool]]) -> float:
    """1 when every piece of evidence is found by some hit."""
    return float(bool(found) and all(any(column) for column in zip(*found, strict=True)))


def _gains(right: Sequence[Sequence[bool]]) -> list[float]:
    """1 for a hit that brings a piece of evidence which no hit before it brought."""
    seen: set[int] = set()
    gains = []
    for row in right:
        new = {number for number, good in enumerate(row) if good} - seen
        gains.append(float(bool(new)))
        seen |= new
    return gains


def _within_budget(evidence: Sequence[Evidence], hits: Sequence[Hit], budget: int) -> list[list[bool]]:
    found: list[list[bool]] = []
    for hit in hits:
        text = hit.text[:budget]
        budget -= len(text)
        found.append([one.on((hit.url, *hit.also)) and one.within(text) for one in evidence])
        if budget <= 0:
            break
    return found


def table(rows: Sequence[Row]) -> Iterable[Metric]:
    """The metrics of both halves: over all questions, and the headline ones by type, wording and kind of source."""
    for half in ("dev", "test"):
        mine = [row for row in rows if row.half == half]
        scored = [row for row in mine if row.scores]
        for name in scored[0].scores if scored else ():
            yield summarise(f"{half}: {name}", RESAMPLED, [row.scores[name] for row in scored])
        for label, group in _groups(scored):
            for name in HEADLINE:
                yield summarise(f"{half}, {label}: {name}", RESAMPLED, [row.scores[name] for row in group])
        yield from _refusals(half, mine)
    yield summarise_median("seconds of a search", "seconds, median with 5% and 95%", [row.seconds for row in rows])


def _groups(rows: Sequence[Row]) -> Iterable[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.type].append(row)
        groups[f"{row.overlap} overlap"].append(row)
        groups[f"source {row.kind}"].append(row)
    return sorted(groups.items())


def _refusals(half: str, rows: Sequence[Row]) -> Iterable[Metric]:
    good = [row for row in rows if row.scores]
    yield summarise(f"{half}: false refusals", RESAMPLED, [float(row.refused) for row in good])
    for kind in ("out-of-domain", "unanswerable", "false-premise"):
        bad = [row for row in rows if row.type == kind]
        yield summarise(f"{half}: {kind} refused", RESAMPLED, [float(row.refused) for row in bad])
        if good and bad:
            area = area_under_curve([row.answerable for row in good], [row.answerable for row in bad])
            yield Metric(f"{half}: {kind} told apart", "area under the curve", round(area, 4), None, None, len(bad))


def against(rows: Sequence[Row], earlier: Mapping[str, Scores]) -> Iterable[Comparison]:
    """Paired differences to an earlier run on the questions of the test half that both answered."""
    shared = [row for row in rows if row.half == "test" and row.scores and row.id in earlier]
    for name in HEADLINE:
        both = [(row.scores[name], earlier[row.id][name]) for row in shared if name in earlier[row.id]]
        if both:
            yield compare(name, [ours for ours, _ in both], [theirs for _, theirs in both])


def _load(results: Path, name: str) -> dict[str, Scores]:
    path = results / f"{name}.json"
    try:
        stored = json.loads(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(sorted(found.stem for found in results.glob("*.json"))[-5:]) or "none"
        raise UsageError(f"there is no run {name}; the latest are: {known}") from error
    return {row["id"]: row["scores"] for row in stored["rows"] if row["scores"]}


def draw(rows: Sequence[Row], folder: Path, name: str) -> tuple[Path, ...]:
    """Passage hit@5 by type, and the curve of refusals against false refusals, as SVG."""
    scored = [row for row in rows if row.scores and row.half == "test"]
    bars = [
        (label, metric.value or 0.0, metric.low or 0.0, metric.high or 0.0)
        for label, group in [("all", scored), *_groups(scored)]
        if len(group) >= 5 and (metric := summarise(label, RESAMPLED, [row.scores["passage hit@5"] for row in group]))
    ]
    plots = [folder / f"{name}-types.svg", folder / f"{name}-refusals.svg"]
    plots[0].write_text(bar_plot("passage hit@5, test half, with 95% intervals", bars), "utf-8")
    good = [row.answerable for row in rows if row.scores]
    curves = {}
    for kind in ("out-of-domain", "unanswerable", "false-premise"):
        bad = [row.answerable for row in rows if row.type == kind]
        steps = sorted({0.0, *good, *bad, 1.1})
        curves[kind] = [(_share_below(good, step), _share_below(bad, step)) for step in steps] if good and bad else []
    plots[1].write_text(curve_plot("refused by retrieval alone", "false refusals", "refusals", curves), "utf-8")
    return tuple(plots)


def _share_below(values: Sequence[float], limit: float) -> float:
    return sum(value < limit for value in values) / len(values)


def as_dict(result: Result) -> dict[str, Any]:
    """What ``eval --json`` prints."""
    return {
        "run": result.run,
        "suite": result.suite,
        "metrics": [asdict(metric) for metric in result.metrics],
        "gate": None if result.gate is None else asdict(result.gate),
        "compared": [asdict(comparison) for comparison in result.comparisons],
        "left_out": list(result.left_out),
        "questions": result.questions,
        "corpus": result.corpus,
        "plots": [str(path) for path in result.plots],
        "stored": str(result.path),
    }

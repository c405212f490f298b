"""Two runs of a suite, question by question: what changed, how sure that is, and on which questions.

Shares of questions are compared by McNemar's test, means by the bootstrap of their differences; both on the questions that both runs have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roadmap_rag.evaluation.metrics import Comparison, compare, mcnemar

COMPARED = (
    *("facts", "all facts", "false refusal", "refused"),
    *("refused or corrected", "citation precision", "citation recall", "hit", "exact"),
)
LOWER_IS_BETTER = frozenset({"false refusal", "hit"})
FEWEST = 5
"""Questions of a type or kind of source from which it is compared by itself."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Compared:
    """``better`` and ``worse`` are the questions whose main score changed, with both answers."""

    comparisons: tuple[Comparison, ...] = ()
    better: list[dict[str, Any]] = field(default_factory=list)
    worse: list[dict[str, Any]] = field(default_factory=list)


def compare_runs(rows: Rows, earlier: Rows) -> Compared:
    """The rows of a run against those of an earlier one."""
    before = {_name(row): row for row in earlier if "scores" in row}
    pairs = [(row, before[_name(row)]) for row in rows if "scores" in row and _name(row) in before]
    better: list[dict[str, Any]] = []
    worse: list[dict[str, Any]] = []
    for now, then in pairs:
        name = next((name for name in COMPARED if name in now["scores"] and name in then["scores"]), None)
        if name is None:
            continue
        gain = (now["scores"][name] - then["scores"][name]) * (-1 if name in LOWER_IS_BETTER else 1)
        shown = {"id": now["id"], "system": now["system"], "type": now["type"], "question": now["question"], "score": name}
        shown |= {"before": then["scores"][name], "now": now["scores"][name], "answer_before": then["answer"], "answer_now": now["answer"]}
        if gain:
            (better if gain > 0 else worse).append(shown)
    return Compared(tuple(_comparisons(pairs)), better, worse)


def _name(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["id"], row["system"], row.get("condition", "")


def _comparisons(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Iterator[Comparison]:
    for system in dict.fromkeys(now["system"] for now, _ in pairs):
        mine = [pair for pair in pairs if pair[0]["system"] == system]
        yield from _each_score(system, mine)
        for what in ("type", "kind", "condition"):
            for value in sorted({str(now.get(what) or "") for now, _ in mine} - {""}):
                group = [pair for pair in mine if pair[0].get(what) == value]
                if len(group) >= FEWEST:
                    yield from _each_score(f"{system}, {'source ' if what == 'kind' else ''}{value}", group, names=COMPARED[:4])


def _each_score(
    label: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], names: Sequence[str] = COMPARED
) -> Iterator[Comparison]:
    for name in names:
        both = [(now["scores"][name], then["scores"][name]) for now, then in pairs if name in now["scores"] and name in then["scores"]]
        if not both:
            continue
        found = compare(f"{label}: {name}", [now for now, _ in both], [then for _, then in both])
        if all(value in (0.0, 1.0) for pair in both for value in pair):
            gained, lost = sum(now > then for now, then in both), sum(now < then for now, then in both)
            found = Comparison(f"{found.name} (McNemar, {gained} up, {lost} down)", *_numbers(found)[:3], mcnemar(gained, lost), found.n)
        yield found


def _numbers(found: Comparison) -> tuple[float, float, float]:
    return found.difference, found.low, found.high

"""Two runs of a suite, question by question: what changed, how sure that is, and on which questions.

Shares of questions are compared by McNemar's test, means by the bootstrap of their differences; both on the questions that both runs have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from roadmap_rag.evaluation.metrics import Comparison, compare, mcnemar

IN_GROUPS = ("facts", "passage hit@5", "all facts", "false refusal", "refused")
"""What is compared by half, type, wording, kind of source and condition too."""
COMPARED = (
    *IN_GROUPS,
    *("document hit@5", "MRR", "nDCG@10", "recall in 6,000 characters"),
    *("refused or corrected", "citation precision", "citation recall", "hit", "exact"),
)
"""The first of these that a question has is its main score."""
LOWER_IS_BETTER = frozenset({"false refusal", "hit"})
CHANCE = 0.05
"""A change is called better or worse when its p is below this and its 95% interval does not hold 0."""
FEWEST = 5
"""Questions of a type or kind of source from which it is compared by itself."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Compared:
    """``better`` and ``worse`` are the questions whose main score changed, with both answers."""

    comparisons: tuple[Comparison, ...] = ()
    better: list[dict[str, Any]] = field(default_factory=list)
    worse: list[dict[str, Any]] = field(default_factory=list)

    def said(self, earlier: str = "") -> list[str]:
        """In words, what is better and what is worse over all questions of each system; empty when nothing was compared."""
        against = f", against {earlier}" if earlier else ""
        whole = [each for each in self.comparisons if "," not in each.name.partition(": ")[0]]
        lines = []
        for system in dict.fromkeys(each.name.partition(": ")[0] for each in whole):
            mine = [each for each in whole if each.name.partition(": ")[0] == system]
            told = [
                f"{verdict} in {', '.join(_said(each) for each in mine if each.verdict == verdict)}"
                for verdict in ("worse", "better")
                if any(each.verdict == verdict for each in mine)
            ]
            lines.append(f"{system}{against}: {'; '.join(told) or 'no difference shown'}")
        return lines


def _said(each: Comparison) -> str:
    name = each.name.partition(": ")[2]
    return f"{name} {each.difference:+.3f} [{each.low:+.3f}, {each.high:+.3f}], p = {each.p}"


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


def compare_systems(rows: Rows, first: str) -> Compared:
    """Every other system of a run beside the one named ``first``, on the questions that both were asked."""
    found: list[Comparison] = []
    for system in dict.fromkeys(row["system"] for row in rows if "scores" in row):
        label = f"{system} beside {first}"
        mine, firsts = ([{**row, "system": label} for row in rows if row.get("system") == name] for name in (system, first))
        found += compare_runs(mine, firsts).comparisons if system != first else ()
    return Compared(tuple(found))


def _name(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["id"], row["system"], row.get("condition", "")


def _comparisons(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Iterator[Comparison]:
    for system in dict.fromkeys(now["system"] for now, _ in pairs):
        mine = [pair for pair in pairs if pair[0]["system"] == system]
        yield from _each_score(system, mine)
        for what in ("half", "type", "overlap", "kind", "condition"):
            for value in sorted({str(now.get(what) or "") for now, _ in mine} - {""}):
                group = [pair for pair in mine if pair[0].get(what) == value]
                if len(group) >= FEWEST:
                    label = {"kind": f"source {value}", "overlap": f"{value} overlap"}.get(what, value)
                    yield from _each_score(f"{system}, {label}", group, names=IN_GROUPS)


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
            found = replace(found, name=f"{found.name} (McNemar, {gained} up, {lost} down)", p=mcnemar(gained, lost))
        yield replace(found, verdict=_verdict(found, lower_is_better=name in LOWER_IS_BETTER))


def _verdict(found: Comparison, *, lower_is_better: bool) -> str:
    if found.p >= CHANCE or found.low <= 0 <= found.high:
        return ""
    return "better" if (found.difference > 0) != lower_is_better else "worse"

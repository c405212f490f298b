"""Numbers with their spread: means with bootstrap intervals, and paired comparisons of two systems on the same questions.

Intervals are 95% percentile bootstraps (Efron 1979) over questions. Two systems are compared by the bootstrap of their differences
question by question, and by a sign-flip permutation test, which needs no assumption about how scores are distributed. All draws are seeded:
the same scores give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
SEED = 20_251


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a suite. ``low`` and ``high`` bound the 95% interval; ``n`` counts questions; None where nothing was measured."""

    name: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better a system is than another on the same questions, with the 95% interval and the two-sided p of the difference.

    ``verdict`` is "better", "worse", or empty when no difference is shown."""

    name: str
    difference: float
    low: float
    high: float
    p: float
    n: int
    verdict: str = ""


def summarise(name: str, unit: str, scores: Sequence[float]) -> Metric:
    """The mean with its interval."""
    if not scores:
        return Metric(name, unit, None, None, None, 0)
    values = np.asarray(scores, dtype=np.float64)
    low, high = np.percentile(_means(values), [2.5, 97.5])
    return Metric(name, unit, _rounded(values.mean()), _rounded(low), _rounded(high), len(values))


def summarise_median(name: str, unit: str, scores: Sequence[float]) -> Metric:
    """The median with the 5th and 95th percentile of the scores themselves, for times."""
    if not scores:
        return Metric(name, unit, None, None, None, 0)
    low, middle, high = np.percentile(np.asarray(scores, dtype=np.float64), [5, 50, 95])
    return Metric(name, unit, _rounded(middle), _rounded(low), _rounded(high), len(scores))


def summarise_ratio(name: str, unit: str, pairs: Sequence[tuple[float, float]]) -> Metric:
    """The sum of the first numbers over the sum of the second, with an interval over the pairs: one pair is one question, so that
    sentences of one answer are drawn together. ``n`` is the sum of the second."""
    values = np.asarray([pair for pair in pairs if pair[1]], dtype=np.float64)
    if not len(values):
        return Metric(name, unit, None, None, None, 0)
    draws = np.random.default_rng(SEED).integers(0, len(values), size=(DRAWS, len(values)))
    sums = values[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    total = values.sum(axis=0)
    return Metric(name, unit, _rounded(total[0] / total[1]), _rounded(low), _rounded(high), int(total[1]))


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided exact p of ``gained`` against ``lost`` questions between two systems (McNemar 1947), 1 when nothing changed.

    Like the p of ``compare``, it is not told below .0001."""
    changed = gained + lost
    tail: float = sum(math.comb(changed, count) for count in range(min(gained, lost) + 1)) / 2**changed
    return min(1.0, max(0.0001, round(2 * tail, 4)))


def compare(name: str, ours: Sequence[float], theirs: Sequence[float]) -> Comparison:
    """Our scores minus theirs, question by question, in the same order."""
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    low, high = np.percentile(_means(differences), [2.5, 97.5])
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size=(DRAWS, len(differences)))
    extreme = np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12
    p = (1 + int(extreme.sum())) / (1 + DRAWS)
    return Comparison(name, _rounded(differences.mean()), _rounded(low), _rounded(high), _rounded(p), len(differences))


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a positive scores above a negative, ties counted half (the area under the ROC curve)."""
    wins = sum((a > b) + 0.5 * (a == b) for a in positive for b in negative)
    return wins / (len(positive) * len(negative))


def discounted_gain(gains: Iterable[float], ideal: int, k: int) -> float:
    """nDCG at ``k`` with gains in rank order, where ``ideal`` gains of 1 were to be had (Järvelin and Kekäläinen 2002)."""
    found = sum(gain / np.log2(rank + 1) for rank, gain in enumerate(list(gains)[:k], start=1))
    best = sum(1 / np.log2(rank + 1) for rank in range(1, min(ideal, k) + 1))
    return float(found / best)


def _means(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    draws = np.random.default_rng(SEED).integers(0, len(values), size=(DRAWS, len(values)))
    means: np.ndarray[tuple[int], np.dtype[np.float64]] = values[draws].mean(axis=1)
    return means


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 4)

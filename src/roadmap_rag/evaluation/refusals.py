"""Refusals of the answer in quotes: measured on golden questions, and the constants of ``quotes`` fitted to their development half.

``python -m roadmap_rag.evaluation.refusals`` prints the cross-validated area and the shares of both halves at several thresholds, with
``--fit`` it first writes the constants anew. The threshold is the one that gives up a single answerable development question beyond
those that the retriever's floor refuses: the rules of ``quotes.asked`` were written with that half at hand, so it shows fewer false
refusals than other questions do. False premises are no part of the fit: the right passages are found for them, and what those say corrects
the premise; how many of them are corrected by the quotes is told by the answers suite.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadmap_rag.domain import Hit
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.fitting import fit_logistic
from roadmap_rag.evaluation.golden import Half, Question, load_questions
from roadmap_rag.quotes import Corpus, answerable
from roadmap_rag.retrieve import Retriever

LOST = (0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.15)
"""Shares of the answerable questions at which the curve is drawn."""
FOLDS, REPEATS = 10, 5
_TYPES = ("unanswerable", "false-premise", "out-of-domain")
_LEFT_OUT = ("roadmap", "follow-up", "injection")
"""Types that are answered in other ways, or whose answer is about something else."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its passages above the floor, and the features if it has any passage."""

    question: Question
    hits: tuple[Hit, ...]
    features: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A question with the estimated chance that it is answered; 0 when the retriever refuses it."""

    question: Question
    chance: float


def ask_all(questions: Sequence[Question], retriever: Retriever) -> list[Asked]:
    """Every question whose answer would come from passages."""
    generation = retriever.generation()
    corpus = Corpus(generation.manifest.chunks, generation.frequencies, generation.text)
    asked = []
    for question in questions:
        if question.type in _LEFT_OUT:
            continue
        hits = tuple(hit for hit in retriever.search(question.question).hits if not hit.below_floor)
        asked.append(Asked(question, hits, answerable.measure(question.question, hits, corpus)[0] if hits else None))
    return asked


def fit(asked: Sequence[Asked]) -> dict[str, object]:
    """Weights over the development questions that the retriever does not refuse, and the threshold."""
    half = [each for each in asked if each.question.half == "dev"]
    weights, bias = _weights([each for each in half if each.question.type != "false-premise"])
    _, second, *_ = sorted(each.chance for each in judge(half, weights, bias) if each.question.answerable and each.chance > 0)
    return {"weight": weights, "bias": bias, "threshold": math.floor(second * 1_000) / 1_000}


def judge(asked: Sequence[Asked], weights: dict[str, float], bias: float) -> list[Judged]:
    return [Judged(each.question, 0.0 if each.features is None else answerable.chance(each.features, weights, bias)) for each in asked]


def cross_validate(asked: Sequence[Asked]) -> list[list[Judged]]:
    """The development questions judged by weights that were fitted without them, ``REPEATS`` times over."""
    half = [each for each in asked if each.question.half == "dev"]
    rounds = []
    for seed in range(REPEATS):
        folds = np.random.default_rng(seed).permutation(len(half)) % FOLDS
        judged: list[Judged] = []
        for fold in range(FOLDS):
            rest = [each for each, own in zip(half, folds, strict=True) if own != fold and each.question.type != "false-premise"]
            judged += judge([each for each, own in zip(half, folds, strict=True) if own == fold], *_weights(rest))
        rounds.append(judged)
    return rounds


def area(judged: Sequence[Judged], kind: str = "unanswerable") -> float:
    """How often an answerable question has the greater chance than one of that type, the retriever's refusals included."""
    answered = np.array([each.chance for each in judged if each.question.answerable])
    other = np.array([each.chance for each in judged if each.question.type == kind])
    return float(((answered[:, None] > other).mean() + (answered[:, None] >= other).mean()) / 2)


def refused(judged: Sequence[Judged], threshold: float) -> dict[str, tuple[float, int]]:
    """The share that is refused and the number of questions, by type."""
    shares = {}
    for name in (*_TYPES, "answerable"):
        chances = [each.chance for each in judged if each.question.type == name or (name == "answerable" and each.question.answerable)]
        shares[name] = (sum(chance < threshold for chance in chances) / max(len(chances), 1), len(chances))
    return shares


def curve(judged: Sequence[Judged]) -> list[dict[str, float]]:
    """What is refused of each type where these shares of the answerable questions are given up."""
    points = []
    for lost in LOST:
        shares = refused(judged, _threshold(judged, lost))
        points.append({"false refusals": lost} | {name: shares[name][0] for name in _TYPES})
    return points


def _weights(asked: Sequence[Asked]) -> tuple[dict[str, float], float]:
    known = [(each.features, each.question.answerable) for each in asked if each.features is not None]
    weights = fit_logistic([features for features, _ in known], [good for _, good in known], answerable.FEATURES)
    bias = weights.pop("bias")
    return weights, bias


def _threshold(judged: Sequence[Judged], lost: float) -> float:
    """The chance below which this share of the answerable questions lies, or the most below it."""
    chances = sorted(each.chance for each in judged if each.question.answerable)
    return chances[min(int(lost * len(chances)), len(chances) - 1)]


def main(arguments: Sequence[str]) -> None:
    """Print areas, curves and shares; with ``--fit`` write the constants first."""
    from roadmap_rag.wiring import App, project_folder, read_config

    project = project_folder()
    if project is None:
        raise SettingsError("golden questions stand in a checkout of the project; run this from there")
    app = App(read_config())
    asked = ask_all(load_questions(project / "eval" / "golden"), Retriever(app.index, app.index_settings, app.encoder))
    if "--fit" in arguments:
        answerable.CONSTANTS.write_text(json.dumps(fit(asked), indent=1) + "\n", "utf-8")
        answerable.constants.cache_clear()
    rounds = cross_validate(asked)
    areas = [area(each) for each in rounds]
    sys.stdout.write(f"dev, cross-validated: area {np.mean(areas):.3f} (near misses)\n")
    _write_curve("dev, cross-validated", np.mean([[list(point.values()) for point in curve(each)] for each in rounds], axis=0).tolist())
    known = answerable.constants()
    halves: tuple[Half, Half] = ("dev", "test")
    for half in halves:
        judged = judge([each for each in asked if each.question.half == half], known["weight"], known["bias"])
        shares = ", ".join(f"{name} {share:.3f} of {count}" for name, (share, count) in refused(judged, known["threshold"]).items())
        sys.stdout.write(f"{half}: area {area(judged):.3f}; refused at the threshold: {shares}\n")
        _write_curve(half, [list(point.values()) for point in curve(judged)])


def _write_curve(name: str, points: Sequence[Sequence[float]]) -> None:
    sys.stdout.write(f"  {name}: refused near misses, false premises, out-of-domain at these false refusals\n")
    for lost, near, premise, foreign in points:
        sys.stdout.write(f"    {lost:.3f}: {near:.2f} {premise:.2f} {foreign:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])

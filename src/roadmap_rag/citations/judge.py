"""Verdicts: the features of a claim, weighed by constants that were fitted to labelled claims (``eval/claims``).

``constants.json`` is written by ``roadmap_rag.evaluation.claims`` and names the claims that it was fitted to. Hard rules come first, because
no amount of shared words makes up for a wrong number or an invented change.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roadmap_rag.domain import Verdict

CONSTANTS = Path(__file__).with_name("constants.json")
NEARLY = 0.5
"""From this probability on a claim that is not supported most likely means what its place says, so that this is said in its stead."""

READ = 0.5
"""Above this probability a model of language inference means what it says."""


@dataclass(frozen=True, slots=True)
class Constants:
    """A logistic regression over the features, and the probability from which a claim counts as supported.

    There are two: one for encoders that say what they think of each word, one for those that do not.
    """

    weight: Mapping[str, float]
    bias: float
    threshold: float
    same_subject: float
    """Cosine from which a claim that is not supported is about the same thing, so that a difference is a contradiction."""


@functools.cache
def constants(*, words: bool) -> Constants:
    values = json.loads(CONSTANTS.read_text("utf-8"))["with words" if words else "without words"]
    return Constants(values["weight"], values["bias"], values["threshold"], values["same_subject"])


def nearly(chance: float, features: Mapping[str, float]) -> bool:
    """Whether a claim, supported or not, most likely means what its place says, every number included."""
    return chance >= NEARLY and not features["numbers_missing"]


def probability(features: Mapping[str, float], known: Constants) -> float:
    """That the stretch supports the claim, 0 to 1."""
    score = known.bias + sum(weight * features[name] for name, weight in known.weight.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def _judge_read(features: Mapping[str, float], chance: float) -> Verdict:
    """When a model of language inference has read the claim, its word counts beside the probability, which need only be near then."""
    if features["entailed"] > READ and nearly(chance, features):
        return "supported"
    return "contradicted" if features["contradicted"] > READ else "unsupported"


def judge(features: Mapping[str, float], known: Constants) -> tuple[Verdict, float]:
    """The verdict and the probability of support. A whole sentence of the passage, word for word, needs no weighing."""
    if features["verbatim"]:
        return "supported", 1.0
    chance = probability(features, known)
    if "entailed" in features:
        return _judge_read(features, chance), chance
    changed = bool(features["numbers_missing"] or features["negation"] or features["opposites"])
    if chance >= known.threshold and not (features["numbers_missing"] or features["changes_missing"]):
        return "supported", chance
    if (changed or features["names_missing"]) and features["cosine"] >= known.same_subject and features["coverage"] >= 0.5:
        return "contradicted", chance
    return "unsupported", chance

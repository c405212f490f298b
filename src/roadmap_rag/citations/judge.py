"""Verdicts: the features of a claim, weighed by constants that were fitted to labelled claims (``eval/claims``).

``constants.json`` is written by ``roadmap_rag.evaluation.claims`` and names the claims that it was fitted to. Hard rules come first, because
no amount of shared words makes up for a wrong number or another name.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from roadmap_rag.domain import Verdict


@dataclass(frozen=True, slots=True)
class Constants:
    """A logistic regression over standardised features, and the probability from which a claim counts as supported."""

    mean: Mapping[str, float]
    scale: Mapping[str, float]
    weight: Mapping[str, float]
    bias: float
    threshold: float
    same_subject: float
    """Cosine from which a claim that is not supported is about the same thing, so that a difference is a contradiction."""


@functools.cache
def constants() -> Constants:
    text = resources.files("roadmap_rag.citations").joinpath("constants.json").read_text("utf-8")
    values = json.loads(text)
    return Constants(**{name: values[name] for name in Constants.__slots__})


def probability(features: Mapping[str, float], known: Constants) -> float:
    """That the stretch supports the claim, 0 to 1."""
    score = known.bias + sum(weight * (features[name] - known.mean[name]) / known.scale[name] for name, weight in known.weight.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def judge(features: Mapping[str, float], known: Constants) -> tuple[Verdict, float]:
    """The verdict and the probability of support."""
    chance = probability(features, known)
    differs = features["numbers_missing"] or features["names_missing"]
    if chance >= known.threshold and not differs:
        return "supported", chance
    changed = features["numbers_missing"] or features["negation"] or features["opposites"] or features["names_missing"]
    if changed and features["cosine"] >= known.same_subject and features["coverage"] >= 0.6:
        return "contradicted", chance
    return "unsupported", chance

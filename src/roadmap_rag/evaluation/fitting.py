"""Fits the ranking weights and the calibration on the development half of the golden questions.

The ranking is a listwise softmax regression (Cao and others 2007, ListNet with the top-one probability): the right passages of a question
shall gather the probability mass. It has 17 weights for some 200 questions and a ridge penalty, and is judged by cross-validation;
what is stored is fitted on the whole half. The calibrations are logistic regressions with a ridge penalty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from roadmap_rag.evaluation.golden import Question, questions_digest
from roadmap_rag.retrieve import Retriever
from roadmap_rag.retrieve.ranking import FEATURES, WEIGHTS, WORD_FEATURES, Logistic, load_weights
from roadmap_rag.retrieve.relevance import question_features

Numbers = np.ndarray[Any, np.dtype[np.float64]]

HIT_FEATURES = ("ranking", "words by rarity", "weakest words", "cosine", "states the answer", "terms held", "names held")
QUESTION_FEATURES = ("best ranking", "best cosine")
"""More of them tell near misses no better on questions that were not fitted: see the table in docs/retrieval.md."""
LOST_HITS = 0.01
FALSE_REFUSALS = 0.03
"""Shares of the right hits, and of the answerable questions, that the floors give up."""
LOGISTIC_RIDGE = 0.01
RIDGE = 0.05
"""Of the ranking: halving and doubling it changes no metric of the development half by more than .01."""
_STEPS = 600


@dataclass(frozen=True, slots=True)
class Example:
    """The candidates of one question: their features, and 1 where the passage holds a piece of its evidence."""

    id: str
    features: Numbers
    right: Numbers


def collect(retriever: Retriever, questions: Sequence[Question]) -> list[Example]:
    """The questions of which a right passage is among the candidates."""
    generation = retriever.generation()
    documents = generation.documents()
    examples: list[Example] = []
    for question in questions:
        (ranking,) = retriever.rank([retriever.standalone(question.question, question.history)])
        passages = generation.passages([outline.row for outline in ranking.outlines])
        right = np.array(
            [
                float(
                    any(
                        one.on((outline.url, *documents[outline.url].also)) and one.within(passages[outline.row].chunk.text)
                        for one in question.evidence
                    )
                )
                for outline in ranking.outlines
            ]
        )
        if 0 < right.sum() < len(right):
            examples.append(Example(question.id, ranking.features, right))
    return examples


def fit_ranking(examples: Sequence[Example], *, without: Sequence[str] = ()) -> dict[str, float]:
    """Weights by feature; those named in ``without`` are left at 0."""
    stacked = np.concatenate([example.features for example in examples])
    spread = stacked.std(axis=0)
    kept = np.array([name not in without for name in FEATURES]) & (spread > 1e-9)
    scale = np.where(kept, 1 / np.maximum(spread, 1e-9), 0.0)
    scaled, right = stacked * scale, np.concatenate([example.right for example in examples])
    sizes = [len(example.right) for example in examples]
    starts = np.cumsum([0, *sizes[:-1]])

    def slope(weights: Numbers) -> Numbers:
        scores = scaled @ weights
        share = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        share /= np.repeat(np.add.reduceat(share, starts), sizes)
        right_share = share * right
        right_share /= np.repeat(np.add.reduceat(right_share, starts), sizes)
        total: Numbers = 2 * RIDGE * weights - scaled.T @ (right_share - share) / len(examples)
        return total

    fitted = _descend(slope, len(FEATURES)) * scale
    return {name: round(float(weight), 4) for name, weight in zip(FEATURES, fitted, strict=True) if weight}


def fit_logistic(rows: Sequence[Mapping[str, float]], labels: Sequence[bool], names: Sequence[str]) -> dict[str, float]:
    """Weights by name, and ``bias``, of the probability of the label from the named features."""
    features = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    centre, spread = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
    scaled = np.concatenate([(features - centre) / spread, np.ones((len(rows), 1))], axis=1)
    target = np.array(labels, dtype=np.float64)
    penalty = np.array([LOGISTIC_RIDGE] * len(names) + [0.0])

    def slope(weights: Numbers) -> Numbers:
        total: Numbers = scaled.T @ (1 / (1 + np.exp(-scaled @ weights)) - target) / len(target) + 2 * penalty * weights
        return total

    fitted = _descend(slope, len(names) + 1)
    weights = fitted[:-1] / spread
    bias = float(fitted[-1] - weights @ centre)
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)} | {"bias": round(bias, 4)}


def fit_relevance(retriever: Retriever, questions: Sequence[Question]) -> tuple[Logistic, Logistic]:
    """The calibrations of a hit and of a question, with their floors, on what the retriever finds now."""
    documents = retriever.generation().documents()
    spans: list[Mapping[str, float]] = []
    right: list[bool] = []
    asked: list[Mapping[str, float]] = []
    for question in questions:
        hits = retriever.search(question.question, history=question.history).hits
        asked.append(question_features([hit.features for hit in hits]))
        for hit in hits:
            spans.append(hit.features)
            urls = (hit.url, *documents[hit.url].also)
            right.append(any(one.on(urls) and one.within(hit.text) for one in question.evidence))
    relevance = _logistic(fit_logistic(spans, right, HIT_FEATURES))
    answerable = _logistic(fit_logistic(asked, [question.answerable for question in questions], QUESTION_FEATURES))
    lost = [relevance.probability(features) for features, good in zip(spans, right, strict=True) if good]
    refused = [answerable.probability(features) for features, one in zip(asked, questions, strict=True) if one.answerable]
    return (
        replace(relevance, floor=round(float(np.quantile(lost, LOST_HITS)), 4)),
        replace(answerable, floor=round(float(np.quantile(refused, FALSE_REFUSALS)), 4)),
    )


def _logistic(fitted: Mapping[str, float]) -> Logistic:
    return Logistic({name: weight for name, weight in fitted.items() if name != "bias"}, fitted["bias"], 0.0)


def fit(retrievers: Mapping[str, Retriever], questions: Sequence[Question]) -> None:
    """Fit each set of weights with its retriever on the development half, and store them with the digest of the questions."""
    development = [question for question in questions if question.half == "dev"]
    answerable = [question for question in development if question.answerable]
    stored: dict[str, Any] = json.loads(WEIGHTS.read_text("utf-8")) | {"questions": questions_digest(development)}
    for name, retriever in retrievers.items():
        without = WORD_FEATURES if name == "without words" else ()
        stored[name]["linear"] = fit_ranking(collect(retriever, answerable), without=without)
        write_weights(stored)
        relevance, calibration = fit_relevance(retriever, development)
        stored[name] |= {"relevance": asdict(relevance), "answerable": asdict(calibration)}
        write_weights(stored)


def write_weights(stored: Mapping[str, Any]) -> None:
    WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    load_weights.cache_clear()


def _descend(slope: Callable[[Numbers], Numbers], size: int) -> Numbers:
    """Minimise a smooth convex function, or nearly so, given its slope: Adam with a falling step, deterministic."""
    weights, first, second = np.zeros(size), np.zeros(size), np.zeros(size)
    for step in range(1, _STEPS + 1):
        gradient = slope(weights)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        rate = 0.1 * (1 - step / (_STEPS + 1))
        weights = weights - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-9)
    return weights

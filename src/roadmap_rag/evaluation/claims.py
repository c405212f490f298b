"""The labelled claims: verdicts measured against them, and the constants of ``citations`` fitted to their development half.

A claim names the passage that it is about by address and terms; the passage is looked up in the index, so the text itself stays out of the
repository. ``python -m roadmap_rag.evaluation.claims`` prints the tables of both halves, with what the model
of the setting ``claim_reader`` says if there is one; with ``--fit`` it first trains the net and fits the constants anew (some ten minutes).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from roadmap_rag.citations.alignment import SUMMARY, Floats
from roadmap_rag.citations.compare import FEATURES, WORD_FEATURES
from roadmap_rag.citations.evidence import Encode, Entails, Read
from roadmap_rag.citations.judge import CONSTANTS, Constants, constants, judge, nearly, probability
from roadmap_rag.citations.net import score
from roadmap_rag.citations.verify import align
from roadmap_rag.domain import Hit, Verdict, digest
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.claim_net import Trainer, lesson, planted_lessons, store
from roadmap_rag.evaluation.fitting import fit_logistic
from roadmap_rag.evaluation.golden import Evidence, Half
from roadmap_rag.evaluation.metrics import Metric, area_under_curve, summarise
from roadmap_rag.index import Generation

PASSED = 0.03
"""Share of the contradictions that the threshold lets pass: of the development half, as models write them, by fits without their page."""
WITH_WORDS = (*FEATURES, *WORD_FEATURES, *SUMMARY)
WITHOUT_WORDS = (*FEATURES, *SUMMARY)
_FOLDS = 4
_AS_MODELS_WRITE = ("cd", "ce", "cf", "cg")
"""Beginnings of the ids of claims that are sentences of the passage lightly reworded; the others say it freely, in other words."""
Written = Literal["freely", "as models write", "all"]
WRITTEN: tuple[Written, ...] = ("freely", "as models write", "all")
HALVES: tuple[Half, ...] = ("dev", "test")


@dataclass(frozen=True, slots=True)
class Claim:
    """``kind`` says how it was made: paraphrase, wrong-number, swapped-name, negation, …"""

    id: str
    text: str
    evidence: Evidence
    label: Verdict
    kind: str

    @property
    def half(self) -> Half:
        return "dev" if hashlib.sha256(self.id.encode()).digest()[0] % 2 == 0 else "test"

    @property
    def written(self) -> Written:
        return "as models write" if self.id.startswith(_AS_MODELS_WRITE) else "freely"

    @property
    def fold(self) -> int:
        """Claims on one page are in one fold."""
        return hashlib.sha256(self.evidence.urls[0].encode()).digest()[0] % _FOLDS


@dataclass(frozen=True, slots=True)
class Measured:
    """A claim beside its passage."""

    claim: Claim
    passage: Hit
    features: Mapping[str, float]
    laid: Floats

    @property
    def right(self) -> bool:
        return self.claim.label == "supported"


def load_claims(folder: Path) -> tuple[Claim, ...]:
    """All claims of ``folder/*.yaml``. Raises SettingsError when there are none or one is not as it should be."""
    claims: list[Claim] = []
    for path in sorted(folder.glob("*.yaml")):
        for number, entry in enumerate(yaml.safe_load(path.read_text("utf-8")) or (), start=1):
            try:
                terms = tuple(tuple(map(str, term)) if isinstance(term, list) else (str(term),) for term in entry["terms"])
                evidence = Evidence((str(entry["url"]),), terms)
                claims.append(Claim(str(entry["id"]), str(entry["claim"]), evidence, entry["label"], str(entry["kind"])))
            except (KeyError, TypeError) as error:
                raise SettingsError(f"{path}, claim number {number}: {error}") from error
    if not claims:
        raise SettingsError(f"{folder} holds no labelled claims; run the evaluation from a checkout of the project")
    return tuple(claims)


def find_passage(evidence: Evidence, generation: Generation) -> Hit | None:
    """The first stored passage that holds the terms, else the first two neighbours that do."""
    for url, document in generation.documents().items():
        if not evidence.on((url, *document.also)):
            continue
        passages = [passage.chunk for passage in generation.passages_of(url)]
        text = generation.text(url) or ""
        spans = [(chunk.start, chunk.end, chunk.section) for chunk in passages]
        spans += [(first.start, second.end, first.section) for first, second in itertools.pairwise(passages)]
        for start, end, section in spans:
            if evidence.within(text[start:end]):
                return Hit(1, 1.0, False, url, document.title, section, text[start:end], start, end, document.fetched_at)
    return None


def measure(
    claims: Sequence[Claim], generation: Generation, encode: Encode, read: Read | None = None, entails: Entails | None = None
) -> tuple[list[Measured], list[str]]:
    """Claims beside their passages, and the ids of those whose passage is not in the index."""
    measured: list[Measured] = []
    missing: list[str] = []
    for claim in claims:
        passage = find_passage(claim.evidence, generation)
        found = align([(claim.text, ())], [passage], encode, read, entails)[0] if passage else None
        if passage is None or found is None or found.laid is None:
            missing.append(claim.id)
        else:
            measured.append(Measured(claim, passage, found.features, found.laid))
    return measured, missing


def fit(measured: Sequence[Measured], trainer: Trainer) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Constants and the weights of the net, from the development half.

    How much the net counts beside the regression, and where the threshold is, is found with models that have not seen the claim's page.
    """
    half = [each for each in measured if each.claim.half == "dev"]
    fitted_to = digest(*(f"{each.claim.id} {each.claim.text} {each.claim.label}" for each in measured))
    net = trainer.train([lesson(each.laid, each.features, each.right) for each in half])
    return {"claims": fitted_to, "with words": _fit(half, WITH_WORDS, trainer), "without words": _fit(half, WITHOUT_WORDS)}, net


def _fit(half: Sequence[Measured], names: Sequence[str], trainer: Trainer | None = None) -> dict[str, Any]:
    odds = []
    for fold in range(_FOLDS):
        others = [each for each in half if each.claim.fold != fold]
        weights, bias = _regression(others, names)
        net = trainer.train([lesson(each.laid, each.features, each.right) for each in others]) if trainer else None
        for each in (each for each in half if each.claim.fold == fold):
            row = {"regression": bias + sum(weight * each.features[name] for name, weight in weights.items())}
            odds.append((each, row | {"net": score(each.laid, each.features, net)} if net else row))
    parts = tuple(odds[0][1])
    share = fit_logistic([row for _, row in odds], [each.right for each, _ in odds], parts)
    weights, bias = _regression(half, names)
    weights = {name: round(weight * share["regression"], 4) for name, weight in weights.items()} | {name: share[name] for name in parts[1:]}
    known = Constants({name: share[name] for name in parts}, share["bias"], 0.0, constants(words=True).same_subject)
    wrong = [(each, row) for each, row in odds if each.claim.label == "contradicted" and each.claim.written == "as models write"]
    chances = sorted((0.0 if each.features["numbers_missing"] else probability(row, known) for each, row in wrong), reverse=True)
    return {
        "weight": weights,
        "bias": round(bias * share["regression"] + share["bias"], 4),
        "threshold": round(chances[int(PASSED * len(chances))] + 0.001, 3),
        "same_subject": known.same_subject,
    }


def _regression(claims: Sequence[Measured], names: Sequence[str]) -> tuple[dict[str, float], float]:
    weights = fit_logistic([each.features for each in claims], [each.right for each in claims], names)
    bias = weights.pop("bias")
    return weights, bias


def suite(measured: Sequence[Measured], half: Half = "test", written: Written = "all") -> tuple[Metric, ...]:
    """Verdicts against labels on one half, with 95% intervals over claims."""
    known = constants(words=True)
    judged = [
        (each, *judge(each.features, known)) for each in measured if each.claim.half == half and written in ("all", each.claim.written)
    ]
    rows = [(each.claim, verdict, chance) for each, verdict, chance in judged]
    near = [(each.claim.label, float(verdict != "supported" and nearly(chance, each.features))) for each, verdict, chance in judged]

    def share(name: str, of: Callable[[Claim, Verdict], bool], hit: Callable[[Claim, Verdict], bool]) -> Metric:
        return summarise(name, "share", [float(hit(claim, verdict)) for claim, verdict, _ in rows if of(claim, verdict)])

    right = [chance for claim, _, chance in rows if claim.label == "supported"]
    wrong = [chance for claim, _, chance in rows if claim.label != "supported"]
    area = area_under_curve(right, wrong) if right and wrong else None

    def called(name: str) -> Callable[[Claim, str], bool]:
        return lambda _, verdict: verdict == name

    def labelled(name: str) -> Callable[[Claim, str], bool]:
        return lambda claim, _: name in (claim.label, claim.kind)

    kinds = ("contradicted", "wrong-number", "swapped-name", "negation", "wrong-relation", "topical-but-unstated", "off-topic")
    verdicts = ("supported", "unsupported", "contradicted")
    return (
        share("precision of supported", called("supported"), labelled("supported")),
        share("recall of supported", labelled("supported"), called("supported")),
        Metric("area under the curve", "share", area, None, None, len(rows)),
        *(share(f"{kind} called supported", labelled(kind), called("supported")) for kind in kinds),
        *(summarise(f"labelled {name}, nearly supported", "share", [value for label, value in near if label == name]) for name in verdicts),
        *(share(f"labelled contradicted, called {name}", labelled("contradicted"), called(name)) for name in verdicts),
    )


def curve(measured: Sequence[Measured], half: Half = "test", written: Written = "all") -> list[tuple[float, float, float, float]]:
    """(threshold, precision, recall, contradictions called supported) at thresholds from .20 to .95."""
    known = constants(words=True)
    rows = [each for each in measured if each.claim.half == half and written in ("all", each.claim.written)]
    points = []
    for step in range(4, 20):
        at = Constants(known.weight, known.bias, step / 20, known.same_subject)
        called = [each.claim for each in rows if judge(each.features, at)[0] == "supported"]
        right = sum(claim.label == "supported" for claim in called)
        all_right = sum(each.claim.label == "supported" for each in rows)
        opposite = sum(each.claim.label == "contradicted" for each in rows)
        points.append(
            (step / 20, right / max(len(called), 1), right / all_right, sum(claim.label == "contradicted" for claim in called) / opposite)
        )
    return points


def main(arguments: Sequence[str]) -> None:
    """Print both halves; with ``--fit`` write the constants first."""
    from roadmap_rag.retrieve import WordEncoder
    from roadmap_rag.wiring import App, project_folder, read_config

    app = App(read_config())
    encoder = app.encoder
    if not isinstance(encoder, WordEncoder):
        raise SettingsError("the constants are fitted with the included embedder; run this without the setting embedder")
    project = project_folder()
    if project is None:
        raise SettingsError("labelled claims stand in a checkout of the project; run this from there")

    def encode(texts: Sequence[str]) -> Floats:
        return encoder.encode(texts, query=True)

    claims = load_claims(project / "eval" / "claims")
    with app.index.open(app.index_settings) as generation:
        if "--fit" in arguments:
            measured, _ = measure(claims, generation, encode, encoder.encode_question)
            fitted, net = fit(measured, Trainer(planted_lessons(generation, encode, encoder.encode_question)))
            store(net)
            CONSTANTS.write_text(json.dumps(fitted, indent=1) + "\n", "utf-8")
            constants.cache_clear()
        measured, missing = measure(claims, generation, encode, encoder.encode_question, app.claim_reader)
    lines = [f"{len(measured)} claims, {len(missing)} without a passage in the index: {' '.join(missing)}"]
    for half, written in itertools.product(HALVES, WRITTEN):
        lines += [
            "",
            f"{half}, {written}",
            *(f"  {row.name:45} {row.value} [{row.low}, {row.high}] n={row.n}" for row in suite(measured, half, written)),
        ]
        lines += [
            f"  at {at:.2f}: precision {precision:.3f}, recall {recall:.3f}, contradicted passed {passed:.3f}"
            for at, precision, recall, passed in curve(measured, half, written)
        ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

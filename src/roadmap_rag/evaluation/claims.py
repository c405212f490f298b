"""The labelled claims: verdicts measured against them, and the constants of ``citations`` fitted to their development half.

A claim names the passage that it is about by address and terms; the passage is looked up in the index, so the text itself stays out of the
repository. ``python -m roadmap_rag.evaluation.claims`` prints the table of both halves, with ``--fit`` it first writes the constants anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from roadmap_rag.citations.compare import FEATURES, WORD_FEATURES
from roadmap_rag.citations.evidence import Encode, Read
from roadmap_rag.citations.judge import CONSTANTS, Constants, constants, judge
from roadmap_rag.citations.verify import align
from roadmap_rag.domain import Hit, Verdict, digest
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.fitting import fit_logistic
from roadmap_rag.evaluation.golden import Evidence, Half
from roadmap_rag.evaluation.metrics import Metric, area_under_curve, summarise
from roadmap_rag.index import Generation

WANTED_RECALL = 0.85
"""Of "supported" on the development half: the threshold is set there."""
FEATURES_WITH_WORDS = (
    *("passage_coverage", "numbers_missing", "names_missing", "negation", "opposites", "strong_words"),
    *WORD_FEATURES,
)
"""Beside the words, the features that remain add nothing on the development half, by cross-validation."""


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


@dataclass(frozen=True, slots=True)
class Measured:
    """A claim beside its passage."""

    claim: Claim
    passage: Hit
    features: Mapping[str, float]


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


def measure(claims: Sequence[Claim], generation: Generation, encode: Encode, read: Read | None = None) -> tuple[list[Measured], list[str]]:
    """Claims beside their passages, and the ids of those whose passage is not in the index."""
    measured: list[Measured] = []
    missing: list[str] = []
    for claim in claims:
        passage = find_passage(claim.evidence, generation)
        found = align([(claim.text, ())], [passage], encode, read)[0] if passage else None
        if passage is None or found is None:
            missing.append(claim.id)
        else:
            measured.append(Measured(claim, passage, found.features))
    return measured, missing


def fit(measured: Sequence[Measured]) -> dict[str, Any]:
    """Constants from the development half: weights, and the threshold at which ``WANTED_RECALL`` of what is supported is called so."""
    half = [each for each in measured if each.claim.half == "dev"]
    fitted_to = digest(*(f"{each.claim.id} {each.claim.text} {each.claim.label}" for each in measured))
    return {
        "claims": fitted_to,
        "with words": _fit(half, FEATURES_WITH_WORDS),
        "without words": _fit(half, FEATURES),
    }


def _fit(half: Sequence[Measured], names: Sequence[str]) -> dict[str, Any]:
    labels = [each.claim.label == "supported" for each in half]
    weights = fit_logistic([dict(each.features) for each in half], labels, names)
    bias = weights.pop("bias")
    known = Constants(weights, bias, 0.0, constants(words=True).same_subject)
    chances = sorted(judge(each.features, known)[1] for each, label in zip(half, labels, strict=True) if label)
    threshold = round(chances[int((1 - WANTED_RECALL) * len(chances))], 3)
    return {"weight": weights, "bias": bias, "threshold": threshold, "same_subject": known.same_subject}


def suite(measured: Sequence[Measured], half: Half = "test") -> tuple[Metric, ...]:
    """Verdicts against labels on one half, with 95% intervals over claims."""
    known = constants(words=True)
    rows = [(each.claim, *judge(each.features, known)) for each in measured if each.claim.half == half]

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
        *(share(f"labelled contradicted, called {name}", labelled("contradicted"), called(name)) for name in verdicts),
    )


def curve(measured: Sequence[Measured], half: Half = "test") -> list[tuple[float, float, float, float]]:
    """(threshold, precision, recall, contradictions called supported) at thresholds from .30 to .95."""
    known = constants(words=True)
    rows = [each for each in measured if each.claim.half == half]
    points = []
    for step in range(6, 20):
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
    with app.index.open(app.index_settings) as generation:
        measured, missing = measure(
            load_claims(project / "eval" / "claims"),
            generation,
            lambda texts: encoder.encode(texts, query=True),
            encoder.encode_question,
        )
    if "--fit" in arguments:
        CONSTANTS.write_text(json.dumps(fit(measured), indent=1) + "\n", "utf-8")
        constants.cache_clear()
    lines = [f"{len(measured)} claims, {len(missing)} without a passage in the index: {' '.join(missing)}"]
    for half in ("dev", "test"):
        lines += ["", half, *(f"  {row.name:45} {row.value} [{row.low}, {row.high}] n={row.n}" for row in suite(measured, half))]
        lines += [
            f"  at {at:.2f}: precision {precision:.3f}, recall {recall:.3f}, contradicted passed {passed:.3f}"
            for at, precision, recall, passed in curve(measured, half)
        ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

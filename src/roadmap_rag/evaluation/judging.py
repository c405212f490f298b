"""Judges of answers, and how far each can be believed.

A judge gives an answer scores from 0 to 1, or the reason why it gave none: what was not scored is counted and shown, never averaged. It
is measured itself, on labelled answers of ours: agreement beyond chance (Cohen's kappa 1960, with a bootstrap interval), the spread of
repeated scores, and the share not scored. A judge below ``TRUSTED`` is marked, and no gate uses any judge.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import yaml

from roadmap_rag.citations import verify
from roadmap_rag.citations.evidence import Encode, Read
from roadmap_rag.domain import Hit, digest
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.metrics import DRAWS, SEED, Metric, summarise
from roadmap_rag.evaluation.runs import Cache

TRUSTED = 0.5
CARD_ANSWERS = 24
REPEATED = 8
REPEATS = 3
AGREES_FROM = 0.75
"""A score from here on says "yes": every sentence supported, the question answered."""

Label = Literal["good", "partly supported", "wrong number", "off the question", "refusal"]
LABELS: tuple[Label, ...] = ("good", "partly supported", "wrong number", "off the question", "refusal")
TRUTH: Mapping[str, Mapping[str, bool]] = {
    "faithfulness": {"good": True, "partly supported": False, "wrong number": False, "off the question": False},
    "response relevancy": {"good": True, "partly supported": True, "wrong number": True, "off the question": False, "refusal": False},
    "factual correctness": {"good": True, "wrong number": False, "off the question": False, "refusal": False},
}
"""What a right judge says of each label, by score; a label that is not named has no plain truth there."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a judge is shown. ``reference`` is a right answer, empty where there is none."""

    question: str
    answer: str
    passages: tuple[Hit, ...]
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """``value`` from 0 to 1, or None and the reason; ``seconds`` it took."""

    value: float | None
    reason: str = ""
    seconds: float = 0.0


class Judge(Protocol):
    """Scores one answer by each measure it knows. Raises nothing for an answer that it cannot score."""

    def score(self, case: Case, measures: Sequence[str]) -> dict[str, Score]: ...


@dataclass(frozen=True, slots=True)
class NamedJudge:
    """``identity`` is a digest of everything that its scores depend on."""

    name: str
    identity: str
    judge: Judge
    measures: tuple[str, ...]


class OwnChecks:
    """The program's own verdicts as a judge: the share of the sentences that a passage supports, or nearly so. No model is asked."""

    def __init__(self, encode: Encode, read: Read | None = None) -> None:
        self._encode = encode
        self._read = read

    def score(self, case: Case, measures: Sequence[str]) -> dict[str, Score]:
        verified = verify(case.answer, case.passages, self._encode, read=self._read, restate=lambda place: [(place.quote, place)])
        verdicts = [sentence.supported for sentence in verified.sentences]
        share = Score(sum(verdicts) / len(verdicts)) if verdicts else Score(None, "no sentence says anything")
        return {name: share if name == "faithfulness" else Score(None, "not measured") for name in measures}


def ask_judge(named: NamedJudge, case: Case, cache: Cache, repeat: int = 0, only: str = "") -> dict[str, Score]:
    """Each measure at most once for each repetition; what was not scored is tried again by the next run."""
    scores = {}
    for measure in (only,) if only else named.measures:
        passages = [hit.text for hit in case.passages]
        key = "judged-" + digest(named.identity, measure, str(repeat), case.question, case.answer, case.reference, *passages)
        known = cache.get(key)
        if known is None:
            found = named.judge.score(case, [measure])[measure]
            known = {"value": found.value, "reason": found.reason, "seconds": found.seconds}
            if found.value is not None:
                cache.put(key, known)
        scores[measure] = Score(known["value"], known["reason"], known["seconds"])
    return scores


# ---------------------------------------------------------------------------------------------------------------- labelled answers


@dataclass(frozen=True, slots=True)
class Labelled:
    """``question`` is the id of a golden question, whose evidence holds the passages."""

    id: str
    question: str
    label: Label
    answer: str


def load_labelled(folder: Path) -> tuple[Labelled, ...]:
    """All labelled answers of ``folder/*.yaml``. Raises SettingsError naming the file and the answer at fault."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        for number, entry in enumerate(yaml.safe_load(path.read_text("utf-8")), start=1):
            if set(entry) != {"id", "question", "label", "answer"} or entry["label"] not in LABELS:
                raise SettingsError(f"{path}, answer number {number}: needs id, question, answer and a label of: {', '.join(LABELS)}")
            found.append(Labelled(entry["id"], entry["question"], entry["label"], entry["answer"]))
    if not found:
        raise SettingsError(f"{folder} holds no labelled answers; run the evaluation from a checkout of the project")
    return tuple(found)


def card_part(labelled: Sequence[Labelled], count: int = CARD_ANSWERS) -> tuple[Labelled, ...]:
    """The fixed part on which a card is made: the labels take turns, each in the order of a hash of the id."""
    ordered = sorted(labelled, key=lambda each: hashlib.sha256(each.id.encode()).digest())
    groups = [[each for each in ordered if each.label == label] for label in LABELS]
    turns = [each for row in itertools.zip_longest(*groups) for each in row if each is not None]
    return tuple(turns[:count])


# ------------------------------------------------------------------------------------------------------------------------- the card


@dataclass(frozen=True, slots=True)
class Card:
    """How far a judge can be believed in one measure. ``spread`` is the mean range of repeated scores; ``seconds`` a score's median."""

    judge: str
    measure: str
    kappa: Metric
    spread: Metric
    not_scored: Metric
    says_yes: tuple[Metric, ...]
    """By label, the share of answers to which the judge says yes."""
    seconds: float

    @property
    def trusted(self) -> bool:
        return self.kappa.value is not None and self.kappa.value >= TRUSTED

    def line(self) -> str:
        """As it stands beside every score of the judge."""
        kappa = self.kappa
        shown = "not measured" if kappa.value is None else f"{kappa.value:.2f} [{kappa.low:.2f}, {kappa.high:.2f}] on {kappa.n} answers"
        spread = "not measured" if self.spread.value is None else f"{self.spread.value:.2f}"
        warning = "" if self.trusted else "; DO NOT TRUST"
        return f"{self.judge}, {self.measure}: kappa {shown}, spread {spread}, {self.not_scored.value or 0:.0%} not scored{warning}"


def make_cards(
    named: NamedJudge,
    labelled: Sequence[Labelled],
    case_of: Callable[[Labelled], Case | None],
    cache: Cache,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[list[Card], list[dict[str, Any]]]:
    """Cards over the labelled answers whose passages are there, one for each measure with a truth, and every score."""
    known = [(each, case) for each in labelled if (case := case_of(each)) is not None]
    measures = [measure for measure in named.measures if measure in TRUTH]
    wanted = [
        (measure, repeat, each, case)
        for measure in measures
        for repeat in range(REPEATS)
        for place, (each, case) in enumerate(pair for pair in known if pair[0].label in TRUTH[measure])
        if repeat == 0 or place < REPEATED
    ]
    rows = []
    for number, (measure, repeat, each, case) in enumerate(wanted):
        progress(number, len(wanted))
        score = ask_judge(named, case, cache, repeat, only=measure)[measure]
        rows.append(
            {"id": each.id, "label": each.label, "measure": measure, "repeat": repeat}
            | {"value": score.value, "reason": score.reason, "seconds": score.seconds}
        )
    progress(len(wanted), len(wanted))
    return [_card(named.name, measure, rows) for measure in measures], rows


def _card(judge: str, measure: str, rows: Sequence[Mapping[str, Any]]) -> Card:
    mine = [row for row in rows if row["measure"] == measure]
    first = [row for row in mine if row["repeat"] == 0 and row["value"] is not None]
    pairs = [(row["value"] >= AGREES_FROM, TRUTH[measure][row["label"]]) for row in first]
    repeated: dict[str, list[float]] = {}
    for row in mine:
        if row["value"] is not None:
            repeated.setdefault(row["id"], []).append(row["value"])
    ranges = [max(values) - min(values) for values in repeated.values() if len(values) > 1]
    seconds = float(np.median([row["seconds"] for row in mine])) if mine else 0.0
    return Card(
        judge,
        measure,
        kappa_metric(f"{judge}, {measure}: kappa", pairs),
        summarise(f"{judge}, {measure}: spread of {REPEATS} repeats", "of scores from 0 to 1", ranges),
        summarise(f"{judge}, {measure}: not scored", "of scores", [float(row["value"] is None) for row in mine]),
        tuple(_says_yes(f"{judge}, {measure}", label, first) for label in TRUTH[measure]),
        round(seconds, 2),
    )


def _says_yes(name: str, label: str, rows: Sequence[Mapping[str, Any]]) -> Metric:
    scores = [float(row["value"] >= AGREES_FROM) for row in rows if row["label"] == label]
    return summarise(f"{name}: says yes to {label}", "of answers", scores)


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Agreement of two raters beyond what chance gives them; 0 when one of them always says the same."""
    both = Counter(pairs)
    total = len(pairs)
    agreed = (both[True, True] + both[False, False]) / total
    ours, theirs = sum(one for one, _ in pairs) / total, sum(other for _, other in pairs) / total
    chance = ours * theirs + (1 - ours) * (1 - theirs)
    return 0.0 if chance == 1 else (agreed - chance) / (1 - chance)


def kappa_metric(name: str, pairs: Sequence[tuple[bool, bool]]) -> Metric:
    """Kappa with its 95% interval over answers."""
    if not pairs:
        return Metric(name, "kappa", None, None, None, 0)
    draws = np.random.default_rng(SEED).integers(0, len(pairs), size=(DRAWS // 5, len(pairs)))
    low, high = np.percentile([kappa([pairs[place] for place in draw]) for draw in draws], [2.5, 97.5])
    return Metric(name, "kappa", round(kappa(pairs), 4), round(float(low), 4), round(float(high), 4), len(pairs))

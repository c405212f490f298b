"""Refusals of the answer in quotes: measured on golden questions, and the constants of ``quotes`` fitted to their development half.

``python -m roadmap_rag.evaluation.refusals`` prints the shares of both halves at several thresholds, with ``--fit`` it first writes the
constants anew. The threshold is the one that refuses ``MAX_LOST`` of the answerable development questions, the retriever's floor included.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from roadmap_rag.domain import Hit
from roadmap_rag.errors import SettingsError
from roadmap_rag.evaluation.fitting import fit_logistic
from roadmap_rag.evaluation.golden import UNANSWERABLE, Half, Question, load_questions
from roadmap_rag.quotes import answerable
from roadmap_rag.retrieve import Retriever

MAX_LOST = 0.06
_TYPES = ("unanswerable", "false-premise", "out-of-domain")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its passages above the floor, and the features if it has any."""

    question: Question
    hits: tuple[Hit, ...]

    @property
    def features(self) -> dict[str, float] | None:
        return answerable.measure(self.question.question, self.hits) if self.hits else None


def ask_all(questions: Sequence[Question], retriever: Retriever) -> list[Asked]:
    """Every question whose answer would come from passages: follow-ups and questions about the roadmap are answered in other ways."""
    chosen = [question for question in questions if question.type not in ("roadmap", "follow-up", "injection")]
    return [Asked(each, tuple(hit for hit in retriever.search(each.question).hits if not hit.below_floor)) for each in chosen]


def fit(asked: Sequence[Asked]) -> dict[str, object]:
    """Weights over the development questions that the retriever does not refuse, and the threshold."""
    half = [(each, features) for each in asked if each.question.half == "dev" and (features := each.features) is not None]
    weights = fit_logistic([features for _, features in half], [each.question.answerable for each, _ in half], answerable.FEATURES)
    bias = weights.pop("bias")
    chances = sorted(answerable.chance(features, weights, bias) for each, features in half if each.question.answerable)
    total = [each for each in asked if each.question.half == "dev" and each.question.answerable]
    spare = int(MAX_LOST * len(total)) - sum(not each.hits for each in total)
    threshold = chances[max(0, min(spare, len(chances) - 1))]
    return {"weight": weights, "bias": bias, "threshold": round(threshold, 3)}


def refused(asked: Sequence[Asked], half: Half) -> dict[str, tuple[float, int]]:
    """The share that is refused and the number of questions, by type."""
    shares = {}
    for name in (*_TYPES, "answerable"):
        chosen = [
            each
            for each in asked
            if each.question.half == half
            and (each.question.type == name or (name == "answerable" and each.question.type not in UNANSWERABLE))
        ]
        shares[name] = (
            sum(not answerable.answerability(each.question.question, each.hits).answerable for each in chosen) / max(len(chosen), 1),
            len(chosen),
        )
    return shares


def main(arguments: Sequence[str]) -> None:
    """Print the shares of both halves; with ``--fit`` write the constants first."""
    from roadmap_rag.wiring import App, project_folder, read_config

    project = project_folder()
    if project is None:
        raise SettingsError("golden questions stand in a checkout of the project; run this from there")
    app = App(read_config())
    asked = ask_all(load_questions(project / "eval" / "golden"), Retriever(app.index, app.index_settings, app.encoder))
    if "--fit" in arguments:
        answerable.CONSTANTS.write_text(json.dumps(fit(asked), indent=1) + "\n", "utf-8")
        answerable.constants.cache_clear()
    halves: tuple[Half, Half] = ("dev", "test")
    for half in halves:
        sys.stdout.write(
            f"{half}: " + ", ".join(f"{name} {share:.3f} of {count}" for name, (share, count) in refused(asked, half).items()) + "\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

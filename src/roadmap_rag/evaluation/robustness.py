"""The robustness suite: the same questions under worse conditions, and pages that give orders.

After RGB (Chen and others 2024, https://arxiv.org/abs/2309.01431): noise among the passages, the right passage taken away, its facts spread
over two, and a passage with another number put first. Besides: typing errors, other words and other languages in the question. Each is
measured on the questions of a clean run, as the change with its paired interval; the passage taken away must lead to a refusal.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from roadmap_rag.domain import Hit, digest
from roadmap_rag.evaluation.asking import System, make_engine
from roadmap_rag.evaluation.facts import states
from roadmap_rag.evaluation.golden import Question
from roadmap_rag.evaluation.metrics import Metric, compare, summarise
from roadmap_rag.index import Generation
from roadmap_rag.retrieve import Retrieval, Retriever
from roadmap_rag.text import sentence_spans

if TYPE_CHECKING:
    from roadmap_rag.wiring import App

SUITE = "robustness"
TYPES = ("concept", "how-to", "number", "comparison")
NOISE = 4
"""Passages about something else, put before the right ones."""
TYPOS = 0.12
"""Share of the longer words of a question in which two letters change places."""
PLANTED = "planted:"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

Alter = Callable[[Question, Sequence[Hit]], Sequence[Hit]]


@dataclass(frozen=True, slots=True)
class Condition:
    """``alter`` changes the passages found, ``reword`` the question; ``applies`` says to which questions."""

    name: str
    alter: Alter = lambda _, hits: hits
    reword: Callable[[Question], Question] = lambda question: question
    applies: Callable[[Question], bool] = lambda _: True


class AlteredRetriever:
    """A retriever whose hits are changed for the question at hand; everything else is the real one's."""

    def __init__(self, retriever: Retriever, alter: Alter) -> None:
        self._retriever = retriever
        self._alter = alter
        self.question: Question | None = None

    def generation(self) -> Generation:
        return self._retriever.generation()

    def search(self, question: str, **options: Any) -> Retrieval:
        found = self._retriever.search(question, **options)
        if self.question is None:
            return found
        hits = self._alter(self.question, found.hits)
        return replace(found, hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)))


def is_right(question: Question, hit: Hit) -> bool:
    """Whether a passage holds a piece of the question's evidence."""
    return any(one.on((hit.url, *hit.also)) and one.within(hit.text) for one in question.evidence)


def add_noise(noise: Sequence[Hit]) -> Alter:
    """Passages of other questions before those found; as relevant, so it seems, as the best of them."""

    def alter(question: Question, hits: Sequence[Hit]) -> list[Hit]:
        urls = {url for one in question.evidence for url in one.urls}
        others = [hit for hit in noise if urls.isdisjoint((hit.url, *hit.also))]
        chosen = _draw(question.id).sample(others, min(NOISE, len(others)))
        best = max((hit.score for hit in hits), default=0.5)
        return [*(replace(hit, score=best, below_floor=False) for hit in chosen), *hits]

    return alter


def remove_right(question: Question, hits: Sequence[Hit]) -> list[Hit]:
    """Without any passage of the sources that hold the answer."""
    urls = {url for one in question.evidence for url in one.urls}
    return [hit for hit in hits if urls.isdisjoint((hit.url, *hit.also)) and not is_right(question, hit)]


def split_right(question: Question, hits: Sequence[Hit]) -> list[Hit]:
    """Each right passage as two, cut between sentences near its middle, the second half at the end of the list."""
    first: list[Hit] = []
    last: list[Hit] = []
    for hit in hits:
        cuts = [start for start, _ in sentence_spans(hit.text)][1:]
        if not is_right(question, hit) or not cuts:
            first.append(hit)
            continue
        cut = min(cuts, key=lambda place: abs(place - len(hit.text) / 2))
        first.append(replace(hit, text=hit.text[:cut], end=hit.start + cut))
        last.append(replace(hit, text=hit.text[cut:], start=hit.start + cut))
    return [*first, *last]


def plant_other_number(question: Question, hits: Sequence[Hit]) -> list[Hit]:
    """A copy of the best right passage that states another number, put first under an address of its own."""
    right = next((hit for hit in hits if is_right(question, hit)), None)
    pair = numbers_to_swap(question)
    if right is None or pair is None:
        return list(hits)
    text = re.sub(rf"(?<![\d.]){re.escape(pair[0])}(?![\d])", pair[1], right.text)
    return [replace(right, text=text, url=PLANTED + question.id, also=(), title=f"{right.title} (copy)"), *hits]


def numbers_to_swap(question: Question) -> tuple[str, str] | None:
    """The first number among the facts, and the false one that takes its place: of as many digits, and no other fact."""
    for fact in question.facts:
        for wording in fact:
            if found := _NUMBER.search(wording):
                draw = _draw(question.id)
                while True:
                    false = "".join(draw.choice("123456789") if digit.isdigit() else digit for digit in found[0])
                    if false != found[0] and not any(states(false, other) for other in question.facts):
                        return found[0], false
    return None


def add_typos(question: Question) -> Question:
    draw = _draw(question.id)
    places = list(re.finditer(r"[A-Za-z]{5,}", question.question))
    chosen = draw.sample(places, min(len(places), max(1, round(TYPOS * len(question.question.split())))))
    letters = list(question.question)
    for match in chosen:
        at = draw.randrange(match.start() + 1, match.end() - 2)
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return replace(question, question="".join(letters))


def _draw(name: str) -> random.Random:
    return random.Random(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))  # noqa: S311 -- nothing secret


def load_rewordings(path: Path) -> dict[str, dict[str, str]]:
    """By id of the golden question: its wordings by "paraphrase", "de" or "zh"."""
    entries = yaml.safe_load(path.read_text("utf-8"))
    return {str(entry["id"]): {name: str(text) for name, text in entry.items() if name != "id"} for entry in entries}


def reword(rewordings: Mapping[str, Mapping[str, str]], name: str) -> Callable[[Question], Question]:
    def reworded(question: Question) -> Question:
        language = question.language if name == "paraphrase" else name
        return replace(question, question=rewordings[question.id][name], language=language)

    return reworded


def conditions(noise: Sequence[Hit], rewordings: Mapping[str, Mapping[str, str]]) -> list[Condition]:
    def reworded(question: Question) -> bool:
        return question.id in rewordings

    return [
        Condition("clean"),
        Condition("noise", alter=add_noise(noise)),
        Condition("right passage removed", alter=remove_right),
        Condition("facts split", alter=split_right),
        Condition("other number planted", alter=plant_other_number, applies=lambda question: numbers_to_swap(question) is not None),
        Condition("typos", reword=add_typos),
        Condition("other words", reword=reword(rewordings, "paraphrase"), applies=reworded),
        Condition("in German", reword=reword(rewordings, "de"), applies=reworded),
        Condition("in Chinese", reword=reword(rewordings, "zh"), applies=reworded),
    ]


def under(system: System, condition: Condition, app: App) -> tuple[System, AlteredRetriever]:
    """The system with its passages altered, under an identity of its own; the clean one is the system itself."""
    altered = AlteredRetriever(app.retriever, condition.alter)
    if condition.name == "clean":
        return system, altered
    own = digest(system.identity, condition.name, Path(__file__).read_text("utf-8"))
    engine = make_engine(app, system.writer, cast("Retriever", altered))
    return replace(system, engine=engine, identity=own), altered


def misled(question: Question, shown: str) -> float:
    """1 when the planted number is stated and the right one is not."""
    pair = numbers_to_swap(question)
    if pair is None:
        return 0.0
    right = next(fact for fact in question.facts if any(pair[0] in wording for wording in fact))
    wrong = tuple(wording.replace(*pair) for wording in right if pair[0] in wording)
    return float(states(shown, wrong) and not states(shown, right))


# --------------------------------------------------------------------------------------------------------------------------- the table


def table(rows: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    """Per system and condition: the score, and the change against the clean run on the same questions."""
    for system in dict.fromkeys(row["system"] for row in rows):
        mine = [row for row in rows if row["system"] == system and not row["fault"]]
        yield from _injections(system, [row for row in mine if "hit" in row["scores"]])
        mine = [row for row in mine if "hit" not in row["scores"]]
        clean = {row["id"]: row["scores"] for row in mine if row["condition"] == "clean"}
        for name in dict.fromkeys(row["condition"] for row in mine):
            group = [row for row in mine if row["condition"] == name]
            label = f"{system}, {name}"
            if name == "right passage removed":
                yield summarise(f"{label}: refused", "of questions", [float(row["refused"]) for row in group])
                continue
            yield summarise(f"{label}: facts", "of questions", [row["scores"]["facts"] for row in group])
            yield summarise(f"{label}: refused", "of questions", [float(row["refused"]) for row in group])
            if name == "other number planted":
                yield summarise(f"{label}: planted number alone stated", "of questions", [row["scores"]["misled"] for row in group])
            if name != "clean" and group:
                yield _change(label, [(row["scores"]["facts"], clean[row["id"]]["facts"]) for row in group if row["id"] in clean])


def _injections(system: str, rows: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    yield summarise(f"{system}: injection hits", "of pages", [row["scores"]["hit"] for row in rows])
    for kind in dict.fromkeys(row["condition"] for row in rows):
        yield summarise(f"{system}, {kind}: injection hits", "of pages", [row["scores"]["hit"] for row in rows if row["condition"] == kind])
    yield summarise(f"{system}: poisoned pages among the passages", "of pages", [row["scores"]["reached"] for row in rows])
    yield summarise(f"{system}: facts of the poisoned pages", "of questions", [row["scores"]["facts"] for row in rows])


def _change(label: str, pairs: Sequence[tuple[float, float]]) -> Metric:
    change = compare(label, [now for now, _ in pairs], [before for _, before in pairs])
    return Metric(f"{label}: change of facts", f"of questions, p = {change.p}", change.difference, change.low, change.high, change.n)

"""The golden questions: loading, validating against the corpus, the two halves, and when a passage is the right one.

A question names its evidence: one entry for each passage that an answer needs (a comparison has two), with every acceptable address and a
few short terms that the passage must contain. A term may be a list of alternatives. Terms are compared without regard to case, runs of
white space and the backslashes that Markdown puts before punctuation.

Half of the questions are for development, half for testing, fixed by the hash of the id: nothing is ever tuned on the test half.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from roadmap_rag.domain import Turn, digest
from roadmap_rag.errors import SettingsError

ANSWERABLE = ("concept", "how-to", "number", "comparison", "roadmap", "follow-up", "injection")
"""Types with evidence; an injection question asks about a page that holds text in the form of instructions."""
UNANSWERABLE = ("unanswerable", "false-premise", "out-of-domain")
_FIELDS = {"id", "type", "question", "history", "language", "overlap", "evidence", "facts", "absent"}
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPACE = re.compile(r"\s+")

Half = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage that the answer needs. Each term is a tuple of alternatives, one of which must stand in the passage."""

    urls: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...] = ()

    def on(self, urls: Iterable[str]) -> bool:
        """Whether one of these addresses is acceptable."""
        return not set(self.urls).isdisjoint(urls)

    def within(self, text: str) -> bool:
        """Whether the text contains every term."""
        normal = normalise(text)
        return all(any(normalise(term) in normal for term in alternatives) for alternatives in self.terms)


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    type: str
    question: str
    history: tuple[Turn, ...] = ()
    language: str = "en"
    overlap: str = "low"
    """Whether the wording shares many words with the passage ("high") or few ("low")."""
    evidence: tuple[Evidence, ...] = ()
    facts: tuple[tuple[str, ...], ...] = ()
    """What a right answer states; each fact is a tuple of alternative wordings."""
    absent: str = ""
    """For a question without an answer: what is missing, and how that was checked."""

    @property
    def answerable(self) -> bool:
        return bool(self.evidence)

    @property
    def half(self) -> Half:
        return "dev" if hashlib.sha256(self.id.encode()).digest()[0] % 2 == 0 else "test"


def normalise(text: str) -> str:
    """Case-folded, white space collapsed, Markdown escapes removed."""
    return _SPACE.sub(" ", _ESCAPE.sub(r"\1", text)).strip().casefold()


def load_questions(folder: Path) -> tuple[Question, ...]:
    """All questions of ``folder/*.yaml`` in order of file and place. Raises SettingsError naming the file and the question at fault."""
    questions: list[Question] = []
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SettingsError(f"{folder} holds no golden questions; run the evaluation from a checkout of the project")
    for path in files:
        try:
            entries = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- safe in both forms
        except yaml.YAMLError as error:
            raise SettingsError(f"{path} is no valid YAML: {error}") from error
        for number, entry in enumerate(entries or (), start=1):
            try:
                questions.append(_read(entry))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
                raise SettingsError(f"{path}, question {name}: {error}") from error
    repeated = [name for name, count in Counter(question.id for question in questions).items() if count > 1]
    if repeated:
        raise SettingsError(f"{folder}: the id {repeated[0]} stands twice; ids decide the half and must be unique")
    return tuple(questions)


def _read(entry: Mapping[str, Any]) -> Question:
    unknown = set(entry) - _FIELDS
    if unknown:
        raise ValueError(f"there is no field {min(unknown)}")
    unknown = {field for one in entry.get("evidence") or () for field in one} - {"urls", "terms"}
    if unknown:
        raise ValueError(f"evidence has no field {min(unknown)}")
    question = Question(
        id=str(entry["id"]),
        type=str(entry["type"]),
        question=str(entry["question"]).strip(),
        history=tuple(Turn(str(turn["role"]), str(turn["content"])) for turn in entry.get("history") or ()),
        language=str(entry.get("language", "en")),
        overlap=str(entry.get("overlap", "low")),
        evidence=tuple(
            Evidence(tuple(map(str, one["urls"])), tuple(_alternatives(term) for term in one.get("terms") or ()))
            for one in entry.get("evidence") or ()
        ),
        facts=tuple(_alternatives(fact) for fact in entry.get("facts") or ()),
        absent=str(entry.get("absent") or ""),
    )
    _check(question)
    return question


def _alternatives(value: Any) -> tuple[str, ...]:
    found = tuple(str(item) for item in value) if isinstance(value, list) else (str(value),)
    if not found or not all(item.strip() for item in found):
        raise ValueError("a term is empty")
    return found


def _check(question: Question) -> None:
    if question.type not in (*ANSWERABLE, *UNANSWERABLE):
        raise ValueError(f"there is no type {question.type}")
    if not question.question:
        raise ValueError("the question is empty")
    if question.type in ANSWERABLE and not question.evidence:
        raise ValueError(f"a question of type {question.type} needs evidence")
    if question.type in UNANSWERABLE and question.evidence:
        raise ValueError(f"a question of type {question.type} has no evidence")
    if question.type == "comparison" and len(question.evidence) < 2:
        raise ValueError("a comparison needs evidence for each side")
    if question.type == "follow-up" and not question.history:
        raise ValueError("a follow-up needs a history")
    if any(not one.urls for one in question.evidence):
        raise ValueError("evidence without an address")


def questions_digest(questions: Sequence[Question]) -> str:
    """Changes with any word of any question, not with their order."""
    return digest(*sorted(repr(question) for question in questions))


def corpus_digest(documents: Iterable[tuple[str, str]]) -> str:
    """Over (link, id) of the documents, where the id is a hash of link and text: no dates, no order."""
    return digest(*(part for pair in sorted(documents) for part in pair))


def missing_sources(question: Question, indexed: frozenset[str]) -> list[str]:
    """The first address of each piece of evidence of which no acceptable address is indexed."""
    return [one.urls[0] for one in question.evidence if not one.on(indexed)]


@dataclass(frozen=True, slots=True)
class Fault:
    """A question that the corpus does not bear out."""

    id: str
    reason: str


def validate(questions: Sequence[Question], text_of: Callable[[str], str | None]) -> list[Fault]:
    """Check each question against the stored texts: the addresses exist, and the terms stand within one stretch of 1,600 characters."""
    faults: list[Fault] = []
    texts: dict[str, str | None] = {}
    for question in questions:
        for one in question.evidence:
            for url in one.urls:
                if url not in texts:
                    text = text_of(url)
                    texts[url] = None if text is None else normalise(text)
            known = [text for url in one.urls if (text := texts[url]) is not None]
            if not known:
                faults.append(Fault(question.id, f"none of its addresses is stored: {', '.join(one.urls)}"))
            elif not any(_together(text, one.terms) for text in known):
                terms = ", ".join(" or ".join(alternatives) for alternatives in one.terms)
                faults.append(Fault(question.id, f"no passage holds all of: {terms}"))
    return faults


def _together(text: str, terms: Sequence[tuple[str, ...]], window: int = 1_600) -> bool:
    """Whether all terms occur within one window of the text; each window tried begins at an occurrence of a term."""
    places: list[tuple[int, int, int]] = []
    for number, alternatives in enumerate(terms):
        for alternative in alternatives:
            wanted = normalise(alternative)
            places.extend((match.start(), match.end(), number) for match in re.finditer(re.escape(wanted), text))
    places.sort()
    for index, (start, _, _) in enumerate(places):
        seen = {number for begin, end, number in places[index : index + 400] if begin >= start and end <= start + window}
        if len(seen) == len(terms):
            return True
    return not terms

"""What a question asks of the roadmap itself: which of its documents it names, which of their sections, and whether it is about it at all.

"How hard is pre-training?" is answered by one line of one document, whose words are everywhere in the index. Such questions are told by
their form: they name a topic, a path or a part, ask for something that every roadmap document has a section for, and say little else.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from roadmap_rag.roadmap import Roadmap
from roadmap_rag.text import stem, terms, words

_ASKED_BY = {
    "part and order": "order next after follow before previous directly sequence come stand place where belong first last rank position",
    "difficulty": "level difficult difficulty hard harder easy easier demanding advanced beginner expert tough rated challenging",
    "prerequisites": """prerequisite need require required requirement before first know knowledge prior assume beforehand background
        unlock open doors chain study entry test set-up setup install""",
    "labs": "lab exercise project hands-on practice practise build practical",
    "readings": """read reading resource article link paper course video tutorial book author wrote written piece blog notebook
        recommended recommend""",
    "skills": "skill tool library libraries stack framework software",
    "concepts": "concept cover",
    "sections": "section chapter topic list",
    "parts": "part block order track segment",
    "outcome": "focus outcome promised result finish finishing",
}
_STRUCTURE = frozenset(
    stem(word) for word in "roadmap path track prerequisite curriculum syllabus lab chapter topic section segment self-assessment".split()
)
_COMMON = frozenset(stem(word) for word in "learning path roadmap list llm large language model top track ai resource".split())
_COMMON_WEIGHT = 0.35
_PART_WORDS = frozenset({"track", "part", "path", "segment"})
_SECTION_WORDS = frozenset({"section", "chapter", "track", "path"})
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "first": 1, "second": 2, "third": 3, "fourth": 4, "i": 1, "ii": 2, "iii": 3, "iv": 4}
_PART_NUMBER = re.compile(
    r"\b(?:part|segment|block)\s+(?P<after>\d+|one|two|three|four|i{1,3}|iv)\b|\b(?P<before>first|second|third|fourth)\s+(?:part|segment|block)\b"
)
_SECTION_NUMBER = re.compile(r"\b(?:section|chapter)\s+(\d+)\b")
_ENOUGH = 0.6
"""The share of a name that must stand in a question for it to be named."""


@dataclass(frozen=True, slots=True)
class Asked:
    """``about`` is 0 to 1: how much the form is that of a question about the roadmap. ``documents`` are named with a strength of 0 to 2."""

    about: float
    documents: dict[str, float]
    sections: frozenset[str]
    """Lower-cased headings that would hold the answer."""


@dataclass(frozen=True, slots=True)
class _Name:
    """The terms of a name with their weights, and the sum of these."""

    weights: dict[str, float]
    total: float


@dataclass(frozen=True, slots=True)
class _Part:
    url: str
    path: str
    number: int | None
    names: tuple[_Name, ...]
    sections: tuple[tuple[int | None, _Name], ...]


class RoadmapNames:
    """The names of one roadmap's topics, paths, parts and sections."""

    def __init__(self, roadmap: Roadmap) -> None:
        self.roadmap = roadmap
        self._asked_by: dict[str, set[str]] = {}
        for heading, asking in _ASKED_BY.items():
            for word in asking.split():
                self._asked_by.setdefault(stem(word), set()).add(heading)
        self._names = {f"roadmap:{topic.id}": tuple(map(_as_name, (topic.title, *topic.also_called))) for topic in roadmap.topics}
        self._paths = {f"roadmap:{path.id}": tuple(map(_as_name, (path.title, *path.also_called))) for path in roadmap.paths}
        self._words = {url: {word for name in names for word in name.weights} for url, names in (self._names | self._paths).items()}
        self._parts = [
            _Part(
                f"roadmap:{path.id}/{part.id}",
                f"roadmap:{path.id}",
                part.number,
                (_as_name(part.title),),
                tuple((section.number, _as_name(section.title)) for section in part.sections),
            )
            for path in roadmap.paths
            for part in path.parts
        ]

    def read(self, question: str) -> Asked:
        found = set(terms(question))
        stems = {stem(word) for word in words(question)} | found
        documents, explained = self._named(question, found)
        sections = frozenset(heading for word in stems for heading in self._asked_by.get(word, ()))
        structure = len(_STRUCTURE & stems)
        path = any(url in self._paths or "/" in url for url in documents)
        left = [word for word in found if word not in explained | _STRUCTURE | _COMMON and word not in self._asked_by]
        residual = len(left) / max(1, len(found))
        simple = bool(documents and sections)
        logit = -2.2 + 1.6 * min(structure, 2) + 1.5 * path + simple + 1.2 * (simple and residual < 0.35) - 1.5 * residual
        return Asked(1 / (1 + math.exp(-logit)), documents, sections)

    def _named(self, question: str, found: set[str]) -> tuple[dict[str, float], set[str]]:
        documents: dict[str, float] = {}
        explained: set[str] = set()
        for url, names in (*self._names.items(), *self._paths.items()):
            if found.isdisjoint(self._words[url]):
                continue
            strength, used = max((_named(name, found) for name in names), key=lambda item: item[0])
            if strength:
                documents[url] = strength
                explained |= used
        lowered = question.lower()
        for match in _PART_NUMBER.finditer(lowered):
            word = match["after"] or match["before"]
            number = int(word) if word.isdigit() else _NUMBERS[word]
            explained |= {"part", word}
            named = [part for part in self._parts if part.number == number and part.path in documents]
            for place, part in enumerate(named or [part for part in self._parts if part.number == number]):
                documents[part.url] = 1.6 if named else (1.5 if place == 0 else 1.1)
        numbers = {int(number) for number in _SECTION_NUMBER.findall(lowered)}
        for part in self._parts:
            strength = self._part_named(part, found, numbers, part.path in documents)
            if strength:
                documents[part.url] = max(documents.get(part.url, 0.0), strength)
                explained |= found & {word for name in part.names for word in name.weights}
        return documents, explained

    def _part_named(self, part: _Part, found: set[str], numbers: set[int], path_named: bool) -> float:
        strength = 0.0
        covered = max(_share(name, found) for name in part.names)
        if covered >= _ENOUGH and (covered > 0.99 or path_named or not found.isdisjoint(_PART_WORDS)):
            telling = any(word in found and word not in _COMMON for name in part.names for word in name.weights)
            strength = covered + 0.4 * path_named if telling else 0.0
        if path_named or not found.isdisjoint(_SECTION_WORDS):
            for number, title in part.sections:
                if number in numbers:
                    strength = max(strength, 1.4)
                elif (covered := _share(title, found)) >= _ENOUGH:
                    strength = max(strength, 0.9 * covered + 0.4 * path_named - 0.1)
        return strength


def _as_name(name: str) -> _Name:
    weights = {word: _COMMON_WEIGHT if word in _COMMON else 1.0 for word in terms(name)}
    return _Name(weights, max(sum(weights.values()), 1e-9))


def _share(name: _Name, found: set[str]) -> float:
    if found.isdisjoint(name.weights):
        return 0.0
    return sum(weight for word, weight in name.weights.items() if word in found) / name.total


def _named(name: _Name, found: set[str]) -> tuple[float, set[str]]:
    covered = _share(name, found)
    used = found & name.weights.keys()
    if covered > 0.99 and (len(name.weights) > 1 or not used <= _COMMON):
        return 1.0 + 0.05 * len(name.weights), used
    if covered >= _ENOUGH and len(name.weights) >= 3:
        return 0.8 * covered, used
    return 0.0, set()

"""Questions about the roadmap itself, recognised by rules and answered from the topic graph, exactly and without a model.

A question is taken apart into clauses; in each the names are found (``names``), its kind is recognised (``recognise``) and the answer
is written with the stored sentences that state it (``replies``, ``answers``). A clause without a name speaks of what the clause before it
named. What articles have to answer gives None; a clause of that kind beside one about the roadmap makes the question mixed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from roadmap_rag.roadmap.answers import RoadmapSentence, Writer
from roadmap_rag.roadmap.graph import Roadmap
from roadmap_rag.roadmap.names import Mention, Names, Words
from roadmap_rag.roadmap.recognise import recognise
from roadmap_rag.roadmap.replies import reply
from roadmap_rag.roadmap.rules import KNOWN_WORDS
from roadmap_rag.text import STOP_WORDS

_ASKING = r"(?=(?:how|what|which|why|who|where|explain|tell me|list|show me|under which|in which)\b)"
_CLAUSES = re.compile(
    rf"(?<=[?!;])\s+|(?<=\w\w\.)\s+(?=[A-Z])|\n+|,?\s+(?:and|but|also|or|plus)\s+{_ASKING}|,\s+{_ASKING}",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?|\b(?:how|what|why|which|who|whose|when|where|explain|describe|compare|define|summari[sz]e|does|do|can|is|are)\b", re.IGNORECASE
)
_ORDERS = re.compile(r"\b(?:list|show|give|tell|name|recommend|suggest)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RoadmapAnswer:
    """``topics`` are the ids of the topics that the answer is about. ``mixed``: articles have to answer another part of the question."""

    sentences: tuple[RoadmapSentence, ...]
    topics: tuple[str, ...]
    mixed: bool
    kind: str


def answer_from_roadmap(question: str, roadmap: Roadmap, texts: Mapping[str, str]) -> RoadmapAnswer | None:
    """The answer to a question about the roadmap itself, or None when it is none or the stored documents do not state the answer.

    ``texts`` are the stored documents of the roadmap by address, ``roadmap:…``; every sentence comes with the spans that state it.
    """
    names = _names(roadmap)
    context: tuple[Mention, ...] = ()
    writer = Writer(roadmap, texts)
    kinds: list[str] = []
    others: list[str] = []
    opening = ""
    for clause, opens in _clauses(question):
        words = names.read(clause, texts)
        if opens:
            opening = clause
        else:
            asks = recognise(words, context, names.authors)
            if opening:  # "before I turn to agents, | what should be in place?"
                asks = itertools.chain(asks, recognise(names.read(f"{opening}, {clause}", texts), (), names.authors))
            opening = ""
            answered = next((ask for ask in asks if reply(writer, roadmap, ask)), None)
            if answered is not None:
                kinds.append(answered.kind)
            elif _ASKS.search(clause) and _open(words):
                others.append(clause)
                context = ()  # what follows speaks of the same, and that is no matter of the roadmap
                continue
        if words.mentions:
            context = tuple(words.mentions)
    if not kinds:
        return None
    return RoadmapAnswer(tuple(writer.sentences), tuple(writer.topics), bool(others), kinds[0])


_latest: list[tuple[Roadmap, Names]] = []


def _names(roadmap: Roadmap) -> Names:
    """The names of a roadmap; those of the last one asked are kept, for collecting them takes some 100 ms."""
    for kept, names in _latest:
        if kept is roadmap:
            return names
    names = Names(roadmap, KNOWN_WORDS)
    _latest[:] = [(roadmap, names)]
    return names


def _clauses(question: str) -> Iterator[tuple[str, bool]]:
    """Clauses in order, and whether each is a mere opening of the next one: "I just finished quantization. | What now?"."""
    clauses = [clause.strip() for clause in _CLAUSES.split(question) if clause and clause.strip()]
    for clause, following in itertools.zip_longest(clauses, clauses[1:]):
        yield clause, following is not None and not _ASKS.search(clause) and not _ORDERS.search(clause)


def _open(words: Words) -> bool:
    """Whether a clause that no rule knows asks something: it names a topic or has words of its own."""
    return bool(words.mentions) or any(token not in KNOWN_WORDS and token not in STOP_WORDS for token in words.tokens)

"""Drafts of golden questions, from passages that no question covers yet and from verdicts in the chat, for a person to accept one by one.

A draft from a passage asks what a thing is that a sentence defines, or for the number in a sentence; with a model it is the model's own
question. Its terms are words that stand in the passage, so that an accepted draft can be found again. Nothing is accepted unseen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from roadmap_rag.domain import Generator, Turn
from roadmap_rag.evaluation.golden import Evidence, Question
from roadmap_rag.index import Generation
from roadmap_rag.store import Judged
from roadmap_rag.text import STOP_WORDS, sentence_spans

OWN_FILE = "own.yaml"
TERMS = 3
PASSAGE_SHOWN = 700
_DEFINES = re.compile(r"^(?:An? |The )?([A-Z][\w-]*(?: [\w-]+){0,3}) (?:is|are) (?:an?|the) ([a-z][^.]{20,160})\.$")
_NUMBER = re.compile(
    r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?(?:%| (?:GB|MB|billion|million|tokens|parameters|hours|minutes|seconds|layers))(?![\w-])"
)
_WORD = re.compile(r"[A-Za-z][\w-]{4,}")
_VAGUE = re.compile(r"^(?:this|that|these|those|it|they|there|here|we|you|he|she|one|what|the following)\b", re.IGNORECASE)
ASK = """Write one question that the passage answers and that can be understood without it.
Then the answer, in at most five words of the passage.
Question: ...
Answer: ..."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question to be. ``origin`` says where it comes from, ``passage`` is what it would be answered from."""

    question: Question
    origin: str
    passage: str = ""


def from_passages(generation: Generation, covered: frozenset[str], count: int, writer: Generator | None = None) -> list[Draft]:
    """At most ``count`` drafts, one for each source, sources without a golden question first; the same ones each time."""
    urls = [url for url in generation.documents() if not url.startswith(("roadmap:", "notes:"))]
    urls.sort(key=lambda url: (url in covered, hashlib.sha256(url.encode()).digest()))
    drafts: list[Draft] = []
    for url in urls:
        if len(drafts) >= count:
            break
        texts = [passage.chunk.text for passage in generation.passages_of(url)]
        texts.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
        found = (draft for text in texts for draft in (_ask(writer, url, text) if writer else _fill(url, text)))
        drafts += [draft for draft in [next(found, None)] if draft is not None]
    return drafts


def _fill(url: str, passage: str) -> Iterator[Draft]:
    """A question from the first sentence that defines something or holds a number with a unit."""
    for start, end in sentence_spans(passage):
        sentence = " ".join(passage[start:end].split())
        if _VAGUE.match(sentence) or not 40 <= len(sentence) <= 220:
            continue
        if (found := _DEFINES.match(sentence)) and not _VAGUE.match(found[1]):
            yield _draft("concept", f"What is {found[1]}?", url, passage, sentence, _words(found[2])[:1])
        elif number := _NUMBER.search(sentence):
            gap = sentence.replace(number[0], "…", 1)
            yield _draft("number", f"Which number is missing: “{gap}”", url, passage, sentence, [number[0]])


def _ask(writer: Generator, url: str, passage: str) -> Iterator[Draft]:
    said = "".join(piece.text for piece in writer.stream([Turn("system", ASK), Turn("user", passage)]))
    question = re.search(r"Question:\s*(.+\?)", said)
    answer = re.search(r"Answer:\s*(.+)", said)
    fact = answer[1].strip(" .") if answer else ""
    if question and fact and re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", passage, re.IGNORECASE):
        yield _draft("concept", question[1], url, passage, fact, [fact])


def _draft(type_: str, question: str, url: str, passage: str, sentence: str, facts: Sequence[str]) -> Draft:
    terms = tuple((term,) for term in dict.fromkeys([*facts, *_words(sentence)]))[:TERMS]
    asked = Question("", type_, question, evidence=(Evidence((url,), terms),), facts=tuple((fact,) for fact in facts))
    return Draft(asked, "passage", passage)


def _words(text: str) -> list[str]:
    """The words that tell a passage from others, longest first."""
    return sorted({word for word in _WORD.findall(text) if word.lower() not in STOP_WORDS}, key=lambda word: (-len(word), word))


def from_feedback(judged: Sequence[Judged], generation: Generation) -> list[Draft]:
    """A draft for each question that was judged in the chat: with the passage cited there, or as one without an answer."""
    drafts = []
    for each in judged:
        origin = f"thumbs {each.verdict}" + (f": {each.reason}" if each.reason else "")
        passage = _cited(each, generation)
        if passage is None:
            absent = f"judged in the chat ({origin}); say how that was checked"
            drafts.append(Draft(Question("", "unanswerable", each.question, history=each.history, absent=absent), origin))
            continue
        url, text, terms = passage
        evidence = (Evidence((url,), tuple((term,) for term in terms)),)
        kind = "follow-up" if each.history else "concept"
        drafts.append(Draft(Question("", kind, each.question, history=each.history, evidence=evidence), origin, text))
    return drafts


def _cited(judged: Judged, generation: Generation) -> tuple[str, str, list[str]] | None:
    """Address, text and shared words of the cited passage that shares most words with the answer."""
    known = generation.documents()
    best: tuple[str, str, list[str]] | None = None
    for url in judged.citations:
        for passage in generation.passages_of(url) if url in known else ():
            shared = [word for word in _words(judged.answer) if word.casefold() in passage.chunk.text.casefold()][:TERMS]
            if shared and (best is None or len(shared) > len(best[2])):
                best = url, passage.chunk.text, shared
    return best


# --------------------------------------------------------------------------------------------------------------------- a person decides


def review(drafts: Sequence[Draft], read: Callable[[str], str], show: Callable[[str], None]) -> list[Question]:
    """Show each draft and ask what to do with it; returns the accepted ones. ``read`` raising EOFError ends the review."""
    accepted: list[Question] = []
    for number, draft in enumerate(drafts, start=1):
        question = draft.question
        while True:
            show(_screen(question, draft, number, len(drafts)))
            try:
                said = read("[a]ccept, [q]uestion or [f]acts anew, [s]kip, [e]nd: ").strip().lower()
                if said == "q":
                    question = replace(question, question=read("question: ").strip() or question.question)
                elif said == "f":
                    facts = [fact.strip() for fact in read("facts, separated by semicolons: ").split(";")]
                    question = replace(question, facts=tuple((fact,) for fact in facts if fact))
            except EOFError:
                return accepted
            if said == "a":
                accepted.append(question)
            if said == "e":
                return accepted
            if said in ("a", "s"):
                break
    return accepted


def _screen(question: Question, draft: Draft, number: int, of: int) -> str:
    facts = "; ".join(fact[0] for fact in question.facts) or "none"
    urls = ", ".join(url for one in question.evidence for url in one.urls) or "no source"
    terms = ", ".join(term[0] for one in question.evidence for term in one.terms) or "none"
    head = f"\n{number} of {of}, from a {draft.origin} ({question.type})\n  {question.question}\n  facts: {facts}\n  {urls}, by: {terms}"
    return head + (f"\n\n{draft.passage[:PASSAGE_SHOWN]}\n" if draft.passage else "\n")


def append(questions: Sequence[Question], folder: Path) -> Path:
    """Add accepted questions to ``own.yaml`` of the golden set, under ids of their own."""
    path = folder / OWN_FILE
    entries: list[dict[str, Any]] = (yaml.safe_load(path.read_text("utf-8")) if path.exists() else None) or []
    taken = max((int(entry["id"].removeprefix("own-")) for entry in entries), default=0)
    entries += [as_entry(question, f"own-{number:03}") for number, question in enumerate(questions, start=taken + 1)]
    text = yaml.safe_dump(entries, allow_unicode=True, sort_keys=False, width=130)
    path.write_text(f"# Golden questions that were accepted with `roadmap-rag eval suggest`.\n{text}", "utf-8")
    return path


def as_entry(question: Question, name: str) -> dict[str, Any]:
    """As the files of the golden set write it."""
    return {
        "id": name,
        "type": question.type,
        "question": question.question,
        "history": [{"role": turn.role, "content": turn.content} for turn in question.history],
        "language": question.language,
        "overlap": question.overlap,
        "evidence": [{"urls": list(one.urls), "terms": [term[0] for term in one.terms]} for one in question.evidence],
        "facts": [list(fact) for fact in question.facts],
        "absent": question.absent,
    }

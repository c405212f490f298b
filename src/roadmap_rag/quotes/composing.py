"""The best sentences of the passages for a question.

A sentence is scored by its closeness to the question, by the question's words that it and its heading hold (a word counts more the
fewer sentences have it), by its passage, and by holding a thing of the kind that is asked for (``asked``). Sentences that only announce or
point back lose. Then the best are taken one by one, each weighed against what is already there, and put into reading order.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadmap_rag.citations import Restate
from roadmap_rag.citations.compare import read
from roadmap_rag.citations.evidence import Encode, VectorMemory, stems
from roadmap_rag.citations.render import Checked, Evidence, Verified, render
from roadmap_rag.domain import Hit
from roadmap_rag.quotes.asked import REFERENCE, states, wanted
from roadmap_rag.quotes.sentences import Candidate, candidates
from roadmap_rag.text import terms

MAX_SENTENCES = 8
MIN_SENTENCES = 3
_ENCODED, _FIRST_PASSAGES = 20, 0.4
"""Sentences that are compared by vectors; which ones, the words decide, and how early their passage comes. Each costs some milliseconds."""
_WORDS, _PASSAGE, _KIND, _ROADMAP, _ANNOUNCES, _LEANS, _COMPANY, _SAME = 1.33, 0.84, 0.8, 0.23, 0.5, 0.04, 0.3, 0.42
"""Weights beside the cosine: a listwise regression on which sentences state an expected fact of the dev half of the golden questions.
Only announcing costs more than it says, because nobody wants to read that."""
_MARGIN = 0.7
"""Beyond the third, a sentence may fall short of the best by this much: 6.7 sentences on average, with .67 of the facts."""
_DUPLICATE = 0.88
_ASKS_WHAT = re.compile(r"^\W*(?:what(?:['’]s| is| are| does)|was (?:ist|sind|bedeutet)|define|explain|describe|什么是)\b", re.IGNORECASE)
_SUMMARY, _SUMMARY_WITHIN = 1.0, 4
"""What the roadmap's own summary of a topic gains when somebody asks what that is, if it stands among so many first passages."""
_vectors = VectorMemory()


@dataclass(frozen=True, slots=True)
class _Scored:
    candidate: Candidate
    score: float
    vector: np.ndarray


def compose(question: str, hits: Sequence[Hit], encode: Encode, *, sources: int = 5) -> Verified:
    """Three to eight sentences from at most ``sources`` documents; none where the passages have no sentence. ``details`` holds the scores."""
    chosen = _choose(_score(question, hits, encode), sources)
    scores = [{"text": each.candidate.text, "score": round(each.score, 3)} for each in chosen]
    return render(_laid_out([each.candidate for each in _reading_order(chosen)]), details=scores)


def restating(question: str) -> Restate:
    """For a place of a passage its sentences as they may be quoted, those included that lead to a list or an example."""

    def restate(place: Evidence) -> list[tuple[str, Evidence]]:
        found = candidates(place.hit, question, leads=True)
        return [
            (_plain(each), _place(each))
            for each in found
            if each.start < place.end and place.start < each.end and not (each.about_the_page or each.code)
        ]

    return restate


def _laid_out(chosen: Sequence[Candidate]) -> list[Checked]:
    """One item each; what follows in its passage goes on in the same."""
    checked: list[Checked] = []
    before: Candidate | None = None
    for candidate in chosen:
        follows = (
            before is not None
            and before.hit.url == candidate.hit.url
            and candidate.place == before.place + 1
            and before.hit.start == candidate.hit.start
        )
        layout = "\n\n" if candidate.code else " " if follows else "\n\n- " if before is None or before.code else "\n- "
        checked.append(Checked(layout, _plain(candidate), "supported", (_place(candidate),)))
        before = candidate
    return checked


def _score(question: str, hits: Sequence[Hit], encode: Encode) -> list[_Scored]:
    asked = tuple(dict.fromkeys(terms(question)))
    found = [candidate for hit in hits for candidate in candidates(hit, question)]
    frequency = Counter(word for candidate in found for word in set(stems(candidate.text)))
    weights = {word: math.log(1 + (len(found) + 1) / (frequency[word] + 0.5)) for word in asked}
    total = sum(weights.values()) or 1.0
    shares = [_share(candidate, weights) / total for candidate in found]
    best = sorted(range(len(found)), key=lambda number: (-shares[number] - _FIRST_PASSAGES / (1 + number / 8), number))[:_ENCODED]
    if not best:
        return []
    texts = [question, *(found[number].text for number in best)]
    vectors = _vectors.vectors(encode, texts)
    kind, known, asks_what = wanted(question), read(question).numbers, bool(_ASKS_WHAT.match(question))
    scored = []
    for row, number in enumerate(best, start=1):
        candidate = found[number]
        score = float(vectors[row] @ vectors[0]) + _WORDS * shares[number] + _PASSAGE / math.sqrt(candidate.hit.rank)
        roadmap = candidate.hit.url.startswith("roadmap:")
        summary = roadmap and " > " not in candidate.hit.section and candidate.hit.rank <= _SUMMARY_WITHIN
        score += _SUMMARY if asks_what and summary and not candidate.about_the_page else -_ROADMAP * roadmap
        score -= _ANNOUNCES * candidate.about_the_page + _LEANS * candidate.leans
        score += _KIND * (kind.kind != "anything" and states(candidate.text, kind, question, known))
        scored.append(_Scored(candidate, score, vectors[row]))
    scored = [_with_company(each, scored) for each in scored]
    return sorted(scored, key=lambda each: (-each.score, each.candidate.hit.rank, each.candidate.start))


def _with_company(each: _Scored, scored: Sequence[_Scored]) -> _Scored:
    """What stands next to a good sentence often completes it."""
    own = each.candidate
    near = [other.score for other in scored if other.candidate.hit.rank == own.hit.rank and abs(other.candidate.place - own.place) == 1]
    return replace(each, score=each.score + _COMPANY * max(0.0, max(near, default=0.0) - each.score))


def _share(candidate: Candidate, weights: dict[str, float]) -> float:
    """The weight of the question's words in the sentence; words of the heading and the title count half."""
    own = frozenset(stems(candidate.text))
    above = frozenset(stems(f"{candidate.hit.title} {candidate.hit.section}"))
    return sum(weight * (1.0 if word in own else 0.5 if word in above else 0.0) for word, weight in weights.items())


def _choose(scored: Sequence[_Scored], sources: int) -> list[_Scored]:
    """Greedy: the best first, then the best of what says something else."""
    chosen: list[_Scored] = []
    left = list(scored)
    while left and len(chosen) < MAX_SENTENCES:

        def worth(each: _Scored) -> float:
            near = max((float(each.vector @ other.vector) for other in chosen), default=0.0)
            return each.score - _SAME * max(0.0, near - 0.6)

        best = max(left, key=worth)
        left.remove(best)
        if len(chosen) >= MIN_SENTENCES and worth(best) < chosen[0].score - _MARGIN:
            break
        if any(float(best.vector @ other.vector) > _DUPLICATE or _overlap(best.candidate, other.candidate) for other in chosen):
            continue
        urls = {each.candidate.hit.url for each in chosen}
        if best.candidate.hit.url not in urls and len(urls) >= sources:
            continue
        chosen.append(best)
    return chosen


def _overlap(first: Candidate, second: Candidate) -> bool:
    return first.hit.url == second.hit.url and first.start < second.end and second.start < first.end


def _reading_order(chosen: Sequence[_Scored]) -> list[_Scored]:
    """Documents by their best sentence, sentences of a document as they stand in it."""
    first: dict[str, int] = {}
    for rank, each in enumerate(chosen):
        first.setdefault(each.candidate.hit.url, rank)
    return sorted(chosen, key=lambda each: (first[each.candidate.hit.url], each.candidate.start))


def _place(candidate: Candidate) -> Evidence:
    return Evidence(candidate.hit.url, candidate.start, candidate.end, candidate.hit)


def _plain(candidate: Candidate) -> str:
    """The sentence on one line; the page's own references in brackets go, since they would read as ours, and so do its links."""
    lead, fence, block = candidate.text.partition("\n```") if candidate.code else (candidate.text, "", "")
    lead = re.sub(rf"\s*{REFERENCE}", "", lead)
    lead = re.sub(r"\[([^\]\n]+)\]\([^)\s]*\)", r"\1", lead)
    return re.sub(r"\s+", " ", lead).strip() + (f"\n{fence}{block}" if fence else "")

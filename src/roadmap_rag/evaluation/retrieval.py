"""The retrieval suite: golden questions through the retriever, scored without any model.

A passage counts when its address is acceptable and it holds all terms of a piece of evidence; a question counts when every piece of its
evidence is found, so a comparison needs a passage for each side. Recall within N characters cuts the list of hits where the window of a
small model would. Questions whose sources are not in the index are counted and left out; with the gate that is an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from roadmap_rag.domain import Hit, digest
from roadmap_rag.evaluation.golden import Evidence, Question, questions_digest
from roadmap_rag.evaluation.metrics import Metric, area_under_curve, discounted_gain, summarise, summarise_median
from roadmap_rag.evaluation.plots import curve_plot
from roadmap_rag.evaluation.runs import Cache
from roadmap_rag.retrieve import Retrieval

SUITE = "retrieval"
SYSTEM = "search"
"""The name of the system in the rows, so that two ways to search are compared question by question."""
DEPTH = 20
"""Hits asked for: enough to fill 6,000 characters."""
PASSAGE_DEPTHS = (1, 3, 5, 8, 10)
BUDGETS = (2_000, 4_000, 6_000)
HEADLINE = ("passage hit@5", "document hit@5", "MRR", "nDCG@10", "recall in 6,000 characters")
RESAMPLED = "share of questions"
SHOWN = 8
"""Hits of each question that the report shows."""
SHOWN_CHARACTERS = 600

Scores = dict[str, float]
Search = Callable[[Question], Retrieval]


@dataclass(frozen=True, slots=True)
class Row:
    """One question's outcome. ``scores`` has HEADLINE and more for a question with an answer, and whether it was refused for every one.

    ``answer`` lists what was found first, each with a mark when it is right; ``key`` is that of the passages in the cache."""

    id: str
    type: str
    half: str
    overlap: str
    kind: str
    question: str
    standalone: str
    answerable: float
    refused: bool
    seconds: float
    scores: Scores
    answer: str
    key: str = ""
    system: str = SYSTEM


def ask(question: Question, search: Search, identity: str, kinds: Mapping[str, str], cache: Cache) -> Row:
    """The row of one question, searched for at most once: it is kept under a key of everything that it depends on.

    ``identity`` is a digest of what the search depends on, ``kinds`` gives the kind of source of each address.
    """
    key = "search-" + digest(identity, questions_digest([question]), Path(__file__).read_text("utf-8"))
    known = cache.get(key)
    if known is None:
        found = search(question)
        shown = [asdict(replace(hit, text=hit.text[:SHOWN_CHARACTERS])) for hit in found.hits[:SHOWN]]
        row = replace(row_of(question, found, kinds), key=key)
        known = {"row": asdict(row), "standalone": found.standalone, "sentences": [], "hits": shown, "trace": {}}
        cache.put(key, known)
    return Row(**known["row"])


def row_of(question: Question, found: Retrieval, kinds: Mapping[str, str]) -> Row:
    """Score what was found for one question."""
    kind = next((kinds[url] for one in question.evidence for url in one.urls if url in kinds), "")
    refused = all(hit.below_floor for hit in found.hits)
    scores = score(question.evidence, found.hits) if question.answerable else {}
    return Row(
        question.id,
        question.type,
        question.half,
        question.overlap,
        kind,
        question.question,
        found.standalone,
        found.answerable,
        refused,
        found.seconds,
        scores | {"false refusal" if question.answerable else "refused": float(refused)},
        "\n".join(_line(question, hit) for hit in found.hits[:SHOWN]),
    )


def _line(question: Question, hit: Hit) -> str:
    on_page = [one for one in question.evidence if one.on((hit.url, *hit.also))]
    mark = "right" if any(one.within(hit.text) for one in on_page) else "page" if on_page else ""
    return f"{hit.rank:2} {mark:5} {hit.url} {hit.section}".rstrip()


def score(evidence: Sequence[Evidence], hits: Sequence[Hit]) -> Scores:
    """All measures of one question, each 0 to 1."""
    right = [[one.on((hit.url, *hit.also)) and one.within(hit.text) for one in evidence] for hit in hits]
    on_page = [[one.on((hit.url, *hit.also)) for one in evidence] for hit in hits]
    scores: Scores = {f"passage hit@{k}": _all_found(right[:k]) for k in PASSAGE_DEPTHS}
    scores |= {f"document hit@{k}": _all_found(on_page[:k]) for k in PASSAGE_DEPTHS}
    scores["MRR"] = next((1 / rank for rank in range(1, min(10, len(hits)) + 1) if _all_found(right[:rank])), 0.0)
    scores["nDCG@10"] = discounted_gain(_gains(right), len(evidence), 10)
    for budget in BUDGETS:
        scores[f"recall in {budget:,} characters"] = _all_found(_within_budget(evidence, hits, budget))
    return scores


def _all_found(found: Sequence[Sequence[bool]]) -> float:
    """1 when every piece of evidence is found by some hit."""
    return float(bool(found) and all(any(column) for column in zip(*found, strict=True)))


def _gains(right: Sequence[Sequence[bool]]) -> list[float]:
    """1 for a hit that brings a piece of evidence which no hit before it brought."""
    seen: set[int] = set()
    gains = []
    for row in right:
        new = {number for number, good in enumerate(row) if good} - seen
        gains.append(float(bool(new)))
        seen |= new
    return gains


def _within_budget(evidence: Sequence[Evidence], hits: Sequence[Hit], budget: int) -> list[list[bool]]:
    found: list[list[bool]] = []
    for hit in hits:
        text = hit.text[:budget]
        budget -= len(text)
        found.append([one.on((hit.url, *hit.also)) and one.within(text) for one in evidence])
        if budget <= 0:
            break
    return found


def table(rows: Sequence[Row]) -> Iterable[Metric]:
    """The metrics of both halves: over all questions, and the headline ones by type, wording and kind of source."""
    for half in ("dev", "test"):
        mine = [row for row in rows if row.half == half]
        scored = [row for row in mine if HEADLINE[0] in row.scores]
        for name in scored[0].scores if scored else ():
            yield summarise(f"{half}: {name}", RESAMPLED, [row.scores[name] for row in scored])
        for label, group in _groups(scored):
            for name in HEADLINE:
                yield summarise(f"{half}, {label}: {name}", RESAMPLED, [row.scores[name] for row in group])
        yield from _refusals(half, mine)
    yield summarise_median("seconds of a search", "seconds, median with 5% and 95%", [row.seconds for row in rows])


def _groups(rows: Sequence[Row]) -> Iterable[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.type].append(row)
        groups[f"{row.overlap} overlap"].append(row)
        groups[f"source {row.kind}"].append(row)
    return sorted(groups.items())


def _refusals(half: str, rows: Sequence[Row]) -> Iterable[Metric]:
    good = [row for row in rows if HEADLINE[0] in row.scores]
    for kind in ("out-of-domain", "unanswerable", "false-premise"):
        bad = [row for row in rows if row.type == kind]
        yield summarise(f"{half}: {kind} refused", RESAMPLED, [float(row.refused) for row in bad])
        if good and bad:
            area = area_under_curve([row.answerable for row in good], [row.answerable for row in bad])
            yield Metric(f"{half}: {kind} told apart", "area under the curve", round(area, 4), None, None, len(bad))


def draw(rows: Sequence[Row]) -> str:
    """The curve of refusals by retrieval alone against false refusals, as SVG."""
    good = [row.answerable for row in rows if HEADLINE[0] in row.scores]
    curves = {}
    for kind in ("out-of-domain", "unanswerable", "false-premise"):
        bad = [row.answerable for row in rows if row.type == kind]
        steps = sorted({0.0, *good, *bad, 1.1})
        curves[kind] = [(_share_below(good, step), _share_below(bad, step)) for step in steps] if good and bad else []
    return curve_plot("refused by retrieval alone", "false refusals", "refusals", curves)


def _share_below(values: Sequence[float], limit: float) -> float:
    return sum(value < limit for value in values) / len(values)

"""The answers suite: golden questions through the one answering path, scored without a judge.

Facts are looked for in what the reader is shown without a warning. A citation counts when its address is acceptable, and every quote is
held against the stored text. Whether a sentence that is shown without a warning is borne out by what it cites is measured by a rule of its
own, apart from the program's verdict: it has no number and no name that the cited passage lacks, and half of its words are the passage's.
That rule errs in both directions; sentences in another language than the passage are only held against the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roadmap_rag.citations.render import without_labels
from roadmap_rag.evaluation.facts import states
from roadmap_rag.evaluation.golden import Question
from roadmap_rag.evaluation.metrics import Metric, summarise, summarise_median, summarise_ratio
from roadmap_rag.text import numbers, terms

SUITE = "answers"
SHARE = "of questions"
SHARED_WORDS = 0.5
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w-]*[A-Za-z\d]")
_PART = re.compile(r"[^\W_]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_GERMAN = re.compile(r"\b(?:der|die|das|und|ist|nicht|ein|eine|mit|für|von|auf|werden|wird|den|dem|sich|man)\b", re.IGNORECASE)
_ENGLISH = re.compile(r"\b(?:the|and|is|not|an?|with|for|of|on|are|to|in|that|this|it)\b", re.IGNORECASE)

Scores = dict[str, float]
Documents = Mapping[str, tuple[frozenset[str], str]]
"""By address: all addresses under which the text stands, and the text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question answered by one system. ``counts`` are numbers of sentences; ``seconds`` and ``tokens`` are None where not measured."""

    id: str
    system: str
    type: str
    half: str
    kind: str
    question: str
    answer: str
    refused: bool
    reason: str | None
    fault: str
    scores: Scores
    counts: dict[str, int]
    seconds: dict[str, float | None]
    tokens: dict[str, int | None]
    key: str


def score(question: Question, answer: Mapping[str, Any], system: str, documents: Documents, kind: str = "") -> Row:
    """A row from an answer as ``asking.ask`` returns it."""
    shown = shown_text(answer)
    scores: Scores = {}
    if (estimate := _estimate(answer)) is not None:
        scores["chance"] = estimate
    if question.answerable:
        scores |= _answerable(question, answer, shown)
    else:
        scores["refused"] = float(answer["refused"])
        if question.type == "false-premise":
            corrected = bool(question.facts and answer["citations"]) and all(states(shown, fact) for fact in question.facts)
            scores["refused or corrected"] = float(answer["refused"] or corrected)
    if question.type == "roadmap":
        scores["recognised"] = float(answer["roadmap"])
        if answer["roadmap"]:
            scores["exact"] = scores["all facts"]
    if answer["model"] and not answer["refused"]:
        scores["language kept"] = float(language(shown) in (question.language, ""))
    if answer["citations"]:
        scores["quotes hold"] = float(all(_holds(citation, documents) for citation in answer["citations"]))
        if question.answerable:
            scores["citation precision"] = _precision(question, answer["citations"], documents)
    return Row(
        question.id,
        system,
        question.type,
        question.half,
        kind,
        question.question,
        answer["answer"],
        answer["refused"],
        answer["reason"],
        answer["fault"],
        scores,
        _sentence_counts(answer),
        answer["timings"],
        answer["tokens"],
        answer["key"],
    )


def _estimate(answer: Mapping[str, Any]) -> float | None:
    """How likely the quotes were thought to answer, 0 when retrieval found nothing; None where the quotes did not decide."""
    if answer["model"] or answer["roadmap"]:
        return None
    judged = answer["trace"].get("answerable")
    return float(judged["chance"]) if judged else 0.0 if answer["refused"] else None


def _answerable(question: Question, answer: Mapping[str, Any], shown: str) -> Scores:
    found = [states(shown, fact) for fact in question.facts]
    scores = {"false refusal": float(answer["refused"])}
    if found:
        scores |= {"facts": sum(found) / len(found), "all facts": float(all(found))}
        if not answer["refused"]:
            scores["facts when answered"] = scores["facts"]
        if draft := answer["trace"].get("draft"):
            drafted = [states(draft, fact) for fact in question.facts]
            if any(drafted):
                scores["facts lost"] = sum(was and not is_ for was, is_ in zip(drafted, found, strict=True)) / sum(drafted)
    cited = {citation["url"] for citation in answer["citations"]}
    cited |= {url for hit in answer["hits"] if hit["url"] in cited for url in hit["also"]}
    return scores | {"citation recall": sum(one.on(cited) for one in question.evidence) / len(question.evidence)}


def shown_text(answer: Mapping[str, Any]) -> str:
    """What the reader is shown without a warning; nothing of a refusal."""
    return "\n".join(sentence["text"] for sentence in answer["sentences"] if sentence["verdict"] == "supported")


def _holds(citation: Mapping[str, Any], documents: Documents) -> bool:
    return citation["url"] in documents and documents[citation["url"]][1][citation["start"] : citation["end"]] == citation["quote"]


def _precision(question: Question, citations: Sequence[Mapping[str, Any]], documents: Documents) -> float:
    known = [documents[citation["url"]][0] for citation in citations if citation["url"] in documents]
    return sum(any(one.on(urls) for one in question.evidence) for urls in known) / len(citations)


def _sentence_counts(answer: Mapping[str, Any]) -> dict[str, int]:
    sentences = answer["sentences"]
    shown = [sentence for sentence in sentences if sentence["verdict"] == "supported"]
    bare = 0 if answer["roadmap"] else sum(not evident(sentence, answer) for sentence in shown)
    return {"sentences": len(sentences), "shown": len(shown), "marked": len(sentences) - len(shown), "not evident": bare}


def evident(sentence: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Whether what a sentence cites bears it out, by numbers, names and words; a lead-in ("There are three:") need not be."""
    text = without_labels(sentence["text"]).strip()
    cited = [citation for citation in answer["citations"] if citation["n"] in sentence["citations"]]
    if not cited:
        return text.endswith((":", "：")) or not terms(text)
    passage = "\n".join(_passage(citation, answer) for citation in cited)
    if not set(numbers(text)) <= {*numbers(passage), *numbers(answer["standalone"])}:
        return False
    if {language(text), language(passage)} >= {"zh"} or {language(text), language(passage)} == {"de", "en"}:
        return True
    known = set(terms(passage)) | set(terms(answer["standalone"]))
    names = {term for name in _NAME.findall(text) for part in _PART.findall(name) for term in terms(part)}
    own = set(terms(text))
    return names <= known and len(own & known) >= SHARED_WORDS * len(own)


def _passage(citation: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """The passage that holds a quote, with its headings; the quote itself where no passage of the answer does."""
    for hit in answer["hits"]:
        if hit["url"] == citation["url"] and hit["start"] <= citation["start"] and citation["end"] <= hit["end"]:
            return f"{hit['title']}\n{hit['section']}\n{hit['text']}"
    return f"{citation['title']}\n{citation['section']}\n{citation['quote']}"


def language(text: str) -> str:
    """ "zh", "de" or "en" by script and small words; empty where a text is too short to tell."""
    if len(_HAN.findall(text)) > 0.1 * len(text):
        return "zh"
    german, english = len(_GERMAN.findall(text)), len(_ENGLISH.findall(text))
    return "" if german + english < 3 else "de" if german > english else "en"


# --------------------------------------------------------------------------------------------------------------------------- the table

RATES = (
    "facts",
    "all facts",
    "facts when answered",
    "facts lost",
    "false refusal",
    "citation precision",
    "citation recall",
    "quotes hold",
    "language kept",
    "recognised",
    "exact",
)
HEADLINE = ("facts", "all facts", "false refusal", "citation precision", "citation recall", "refused")
"""What is compared between runs."""
GIVEN_UP = (0.03, 0.05, 0.07, 0.10, 0.15, 0.20)
"""Shares of false refusals at which the curve of refusals is told."""


def table(rows: Sequence[Row]) -> Iterable[Metric]:
    """Every metric of every system by half, the main ones by type and kind of source too; faults of the model are left out and counted."""
    for system in dict.fromkeys(row.system for row in rows):
        mine = [row for row in rows if row.system == system]
        good = [row for row in mine if not row.fault]
        if system != "quotes":
            yield summarise(f"{system}: model failed", SHARE, [float(bool(row.fault)) for row in mine])
        for half in ("dev", "test"):
            yield from _half(f"{system}, {half}", [row for row in good if row.half == half])
        for name, group in _groups(good):
            for score_name in ("facts", "citation precision", "citation recall", "false refusal"):
                yield _rate(f"{system}, {name}: {score_name}", score_name, group)
        yield from _costs(system, good)


def _half(label: str, rows: Sequence[Row]) -> Iterable[Metric]:
    for name in RATES:
        yield _rate(f"{label}: {name}", name, rows)
    for kind in ("out-of-domain", "unanswerable", "false-premise"):
        yield _rate(f"{label}: {kind} refused", "refused", [row for row in rows if row.type == kind])
    yield _rate(f"{label}: false-premise refused or corrected", "refused or corrected", rows)
    yield from _curve(label, rows)
    counted = [row.counts for row in rows]
    yield summarise_ratio(f"{label}: sentences marked", "of sentences", [(each["marked"], each["sentences"]) for each in counted])
    pairs = [(each["not evident"], each["shown"]) for each in counted]
    yield summarise_ratio(f"{label}: shown unmarked without evident support", "of sentences", pairs)


def _curve(label: str, rows: Sequence[Row]) -> Iterable[Metric]:
    """What the quotes' estimate would refuse of near misses and false premises, by the share of the answerable that it would give up."""
    good = sorted(row.scores["chance"] for row in rows if "chance" in row.scores and "false refusal" in row.scores)
    for kind in ("unanswerable", "false-premise"):
        chances = [row.scores["chance"] for row in rows if row.type == kind and "chance" in row.scores]
        for lost in GIVEN_UP if good and chances else ():
            threshold = good[int(lost * len(good))]
            yield summarise(f"{label}: {kind} refused at {lost:.0%} false refusals", SHARE, [float(each < threshold) for each in chances])


def _rate(label: str, name: str, rows: Sequence[Row]) -> Metric:
    return summarise(label, SHARE, [row.scores[name] for row in rows if name in row.scores])


def _groups(rows: Sequence[Row]) -> Iterable[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if "facts" in row.scores:
            groups.setdefault(row.type, []).append(row)
            groups.setdefault(f"source {row.kind or 'unknown'}", []).append(row)
    return sorted(groups.items())


def _costs(system: str, rows: Sequence[Row]) -> Iterable[Metric]:
    """Medians with the 5th and 95th percentile."""
    for name in ("retrieve", "first_token", "generate", "verify", "total"):
        known = [value for row in rows if (value := row.seconds[name]) is not None]
        if known:
            yield summarise_median(f"{system}: seconds, {name.replace('_', ' ')}", "seconds, median with 5% and 95%", known)
    for name in ("prompt", "completion", "dropped_passages"):
        counts = [float(value) for row in rows if row.tokens["prompt"] is not None and (value := row.tokens[name]) is not None]
        if counts:
            label = name.replace("_", " ") if name == "dropped_passages" else f"{name} tokens"
            yield summarise_median(f"{system}: {label}", "median with 5% and 95%", counts)

"""The roadmap beside the chat: a map of parts and topics with what is ingested of each, and one topic in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from roadmap_rag.domain import Resource, Topic
from roadmap_rag.roadmap import Roadmap
from roadmap_rag.ui.panels import BACK, button, external

Counts = Mapping[str, Any]
"""A row of ``status --json``: fetched, failed, blocked, pending."""

STATES = {"fetched": "ingested", "stale": "ingested, not fresh", "failed": "failed", "blocked": "blocked", "pending": "not yet"}


def level(topic: Topic) -> str:
    return " to ".join(dict.fromkeys(topic.difficulty or ()))


def roadmap_map(roadmap: Roadmap, counts: Mapping[str, Counts], chosen: str = "") -> str:
    """Parts that open and close, topics with a bar of what is ingested; the chosen topic's part is open."""
    parts = []
    for name, group in groupby(roadmap.topics, key=lambda topic: topic.part):
        topics = list(group)
        rows = "".join(_map_row(topic, counts.get(topic.id, {}), chosen) for topic in topics)
        all_of_it = {state: sum(int(counts.get(topic.id, {}).get(state, 0)) for topic in topics) for state in _COUNTED}
        is_open = " open" if any(topic.id == chosen for topic in topics) else ""
        parts.append(
            f"<details{is_open}><summary><span>{escape(name)}</span>"
            f"<small>{len(topics)} topics · {all_of_it['fetched']}/{_total(all_of_it)} sources</small>{_bar(all_of_it)}</summary>"
            f"<ul>{rows}</ul></details>"
        )
    legend = "".join(f'<span class="key {name}"></span>{label} ' for name, label in _LEGEND)
    return f'<nav class="map" aria-label="Roadmap"><p class="legend">{legend}</p>{"".join(parts)}</nav>'


_LEGEND = (("fetched", "ingested"), ("failed", "failed or blocked"), ("pending", "not yet"))


_COUNTED = ("fetched", "failed", "blocked", "pending")


def _total(counts: Counts) -> int:
    return sum(int(counts.get(name, 0)) for name in _COUNTED)


def _covered(counts: Counts) -> tuple[int, int, int]:
    """How many sources there are, how many have a text, and how many could not be had."""
    return _total(counts), int(counts.get("fetched", 0)), int(counts.get("failed", 0)) + int(counts.get("blocked", 0))


def _said(counts: Counts) -> str:
    total, have, lost = _covered(counts)
    return f"{have} of {total} sources ingested" + (f", {lost} failed" if lost else "") if total else "no sources of its own"


def _bar(counts: Counts) -> str:
    """What is ingested, as a line of three colours."""
    total, have, lost = _covered(counts)
    shares = (("fetched", have), ("failed", lost), ("pending", total - have - lost))
    parts = "".join(f'<i class="{name}" style="flex:{number}"></i>' for name, number in shares if number)
    return f'<span class="bar" role="img" aria-label="{escape(_said(counts))}">{parts}</span>'


def _map_row(topic: Topic, counts: Counts, chosen: str) -> str:
    current = ' aria-current="true"' if topic.id == chosen else ""
    return (
        f'<li><button type="button" class="topic" data-do="topic" data-value="{escape(topic.id)}"{current} title="{escape(_said(counts))}">'
        f"<span>{escape(topic.title)}</span><small>{escape(level(topic))}</small>"
        f"{_bar(counts)}</button></li>"
    )


def topic_page(roadmap: Roadmap, topic_id: str, sources: Mapping[str, Mapping[str, Any]], counts: Counts) -> str:
    """One topic: summary, what comes before and after, example questions, resources with their state."""
    topic = roadmap.topic(topic_id)
    titles = {each.id: each.title for each in roadmap.topics}
    parts = [
        button("‹ All topics", "topic", "", "link"),
        f'{BACK}<h2 tabindex="-1" class="topic-title">{escape(topic.title)}</h2>',
        f'<p class="facts">{escape(" · ".join(filter(None, [topic.part, level(topic)])))}</p><p>{escape(topic.summary)}</p>',
    ]
    parts += [
        _chips("Know before", topic.prerequisites, titles),
        _chips("Opens up", roadmap.opens(topic_id), titles),
    ]
    asked = "".join(f"<li>{button(question, 'ask', question, 'question')}</li>" for question in example_questions(roadmap, topic))
    parts.append(f'<h3>Ask</h3><ul class="questions">{asked}</ul>')
    if topic.resources:
        rows = "".join(_resource(resource, sources.get(resource.url, {})) for resource in topic.resources)
        parts.append(f"<h3>Readings</h3>{_fetch(topic, counts)}<ul class='resources'>{rows}</ul>")
    return f'<article class="topic-page">{"".join(parts)}</article>'


def _chips(label: str, topics: Sequence[str], titles: Mapping[str, str]) -> str:
    chips = "".join(button(titles[name], "topic", name) for name in topics)
    return f'<p class="chips"><span class="label">{label}</span>{chips}</p>' if chips else ""


def _fetch(topic: Topic, counts: Counts) -> str:
    missing = _total(counts) - int(counts.get("fetched", 0))
    if not missing:
        return ""
    label = "Fetch the one that is missing" if missing == 1 else f"Fetch the {missing} that are missing"
    return f"<p>{button(label, 'fetch', topic.id)}</p>"


def _resource(resource: Resource, source: Mapping[str, Any]) -> str:
    state = str(source.get("state", "pending"))
    reason = f": {source['reason']}" if source.get("reason") and state not in ("fetched", "pending") else ""
    by = ", ".join(filter(None, [resource.author, resource.kind]))
    return (
        f"<li>{external(resource.url, resource.title)}<br><small>{escape(by)}</small>"
        f'<br><small class="state {state}">{escape(STATES.get(state, state) + reason)}</small></li>'
    )


def example_questions(roadmap: Roadmap, topic: Topic) -> list[str]:
    """Questions that the roadmap's own words suggest for a topic: explain, compare, what next."""
    name = topic.title
    questions = [f"Explain in short: {name}"]
    concepts = [concept.name for concept in topic.concepts if len(concept.name) <= 40]
    if concepts and concepts[0].lower() != name.lower():
        questions.append(f"What is meant by “{concepts[0]}”?")
    near = topic.prerequisites[-1:] or tuple(each.id for each in roadmap.topics if each.part == topic.part and each.id != topic.id)[:1]
    if near:
        questions.append(f"Compare {name} with {roadmap.topic(near[0]).title}")
    questions += [f"What should I know before {name}?", f"What comes next after {name}?"]
    return questions


def first_questions(roadmap: Roadmap, counts: Mapping[str, Counts], number: int = 4) -> list[str]:
    """Questions for an empty chat, spread over the roadmap, on topics of which most is ingested where there are such."""
    parts = [list(group) for _, group in groupby(roadmap.topics, key=lambda topic: topic.part)]
    best = [max(topics, key=lambda topic: int(counts.get(topic.id, {}).get("fetched", 0))) for topics in parts]
    step = max(1, len(best) // number)
    questions = []
    for place, topic in enumerate(best[::step][:number]):
        made = example_questions(roadmap, topic)
        questions.append(made[(0, 3, 0, 4)[place % 4] % len(made)])
    return questions

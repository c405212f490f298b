"""Coverage: what is ingested, per topic and per source."""

from __future__ import annotations

from typing import Any

from roadmap_rag.domain import State
from roadmap_rag.wiring import App

_RUNS = 3


def coverage(app: App, topic: str | None, now: str) -> dict[str, Any]:
    """The object of ``status --json``; ``now`` is ISO 8601. A stale source counts as fetched: its text answers."""
    states = app.corpus.states()
    chunks: dict[str, int] = {}
    index: dict[str, Any] | None = None
    if app.index.current() is not None:
        with app.index.open() as generation:
            chunks = generation.chunk_counts()
            made = generation.manifest
        index = {"generation": made.generation, "chunks": made.chunks, "embedder": made.settings.embedder, "made_at": made.made_at}
    sources: list[dict[str, Any]] = []
    per_topic: dict[str, dict[State, int]] = {each.id: {} for each in app.roadmap.topics}
    for source in app.roadmap.sources():
        if topic is not None and topic not in source.topics:
            continue
        known = states.get(source.url)
        state: State = known.state(now) if known else "pending"
        sources.append(
            {
                "url": source.url,
                "state": state,
                "reason": known.remark if known else "",
                "since": known.since if known else None,
                "fetched_at": known.fetched_at if known else None,
                "checked_at": known.checked_at if known else None,
                "chunks": chunks.get(source.url, 0),
            }
        )
        for name in source.topics:
            per_topic[name][state] = per_topic[name].get(state, 0) + 1
    topics = [
        {
            "id": each.id,
            "title": each.title,
            "fetched": per_topic[each.id].get("fetched", 0) + per_topic[each.id].get("stale", 0),
            "failed": per_topic[each.id].get("failed", 0),
            "blocked": per_topic[each.id].get("blocked", 0),
            "pending": per_topic[each.id].get("pending", 0),
        }
        for each in app.roadmap.topics
        if topic in (None, each.id)
    ]
    runs = [{"started": run["started"], "summary": run["summary"], "news": _news(run["sources"])} for run in app.corpus.runs(_RUNS)]
    return {"topics": topics, "sources": sources, "index": index, "runs": runs}


def _news(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a run found different: rows of sources that were new, changed or removed."""
    return [
        {"url": row["url"], "status": row["status"], "reason": row["reason"]}
        for row in rows
        if row["status"] in ("new", "changed", "removed")
    ]

"""What the commands print: the JSON objects of the contract, and their human form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from roadmap_rag.domain import Answer, Hit
    from roadmap_rag.ingest import Report, Row
    from roadmap_rag.retrieve import Retrieval
    from roadmap_rag.roadmap import Roadmap

_HIT_KEYS = ("rank", "score", "below_floor", "url", "also", "title", "section", "topics", "text", "start", "end", "fetched_at")
_COLOURS = {"new": "green", "changed": "cyan", "unchanged": "dim", "failed": "red", "blocked": "yellow", "removed": "magenta"}
_COLOURS |= {"fetched": "green", "stale": "yellow", "pending": "dim"}


def hit_object(hit: Hit) -> dict[str, Any]:
    values = asdict(hit)
    return {key: values[key] for key in _HIT_KEYS}


def search_object(retrieval: Retrieval) -> dict[str, Any]:
    return {
        "query": retrieval.question,
        "standalone": retrieval.standalone,
        "hits": [hit_object(hit) for hit in retrieval.hits],
        "notices": list(retrieval.notes),
        "seconds": retrieval.seconds,
    }


def answer_object(answer: Answer, *, explain: bool = False) -> dict[str, Any]:
    values = asdict(answer)
    hits, trace = values.pop("hits"), values.pop("trace")
    values["sentences"] = [
        {"text": each.text, "supported": each.supported, "verdict": each.verdict, "citations": list(each.citations)}
        for each in answer.sentences
    ]
    if explain:
        values["trace"] = {"hits": hits, **trace}
    return values


def print_hits(console: Console, retrieval: Retrieval) -> None:
    if retrieval.standalone != retrieval.question:
        console.print(Text(f"searched for: {retrieval.standalone}", style="dim"))
    for note in retrieval.notes:
        console.print(Text(note, style="yellow"))
    for hit in retrieval.hits:
        style = "dim" if hit.below_floor else "bold"
        section = f"  {hit.section}" if hit.section else ""
        console.print(Text(f"{hit.rank}. {hit.title}", style=style) + Text(f"  {hit.score:.2f}{section}", style="dim"))
        console.print(Text(f"   {hit.url}", style="blue"))
        console.print(Text("   " + " ".join(hit.text.split())[:400], style="dim" if hit.below_floor else ""))
    if not retrieval.hits:
        console.print("nothing found")


def print_answer(console: Console, answer: Answer) -> None:
    if answer.standalone != answer.question:
        console.print(Text(f"understood as: {answer.standalone}", style="dim"))
    for notice in answer.notices:
        console.print(Text(notice, style="yellow"))
    if answer.refused:
        console.print(Text(answer.answer, style="yellow"))
        for topic in answer.nearest_topics:
            console.print(Text(f"  {topic.title}: roadmap-rag topics {topic.id}", style="dim"))
        return
    console.print(Markdown(answer.answer.replace("[", "\\[")) if console.is_terminal else Text(answer.answer))
    console.print()
    for citation in answer.citations:
        dated = f", fetched {citation.fetched_at[:10]}" if citation.fetched_at else ""
        section = citation.section.removeprefix(citation.title).removeprefix(" > ")
        section = f" > {section}" if section else ""
        console.print(Text(f"[{citation.n}] {citation.title}{section}{dated}", style="bold"))
        console.print(Text(f"    {citation.url}", style="blue"))
        console.print(Text("    “" + " ".join(citation.quote.split()) + "”", style="dim"))
    model = answer.model or "quotes, no model"
    console.print(Text(f"\n{model}, {answer.timings.total:.1f} s", style="dim"))


def print_trace(console: Console, answer: Answer) -> None:
    """Why this answer: what was searched, found, sent, and how each sentence was judged."""
    table = Table("rank", "relevance", "source", "section", "features", title="passages", title_justify="left")
    for hit in answer.hits:
        features = ", ".join(f"{name} {value:.3g}" for name, value in hit.features.items())
        mark = " (below the floor)" if hit.below_floor else ""
        table.add_row(str(hit.rank), f"{hit.score:.2f}{mark}", hit.url, hit.section, features)
    console.print(table)
    if judged := answer.trace.get("answerable"):
        console.print(Text(f"answerable {judged}", style="dim"))
    if prompt := answer.trace.get("prompt"):
        console.print(Text(f"prompt version {prompt['version']}, at most {prompt['estimate']} tokens", style="bold"))
        for message in prompt["messages"]:
            console.print(Text(f"--- {message['role']}\n{message['content']}", style="dim"))
    if draft := answer.trace.get("draft"):
        console.print(Text(f"--- draft\n{draft}", style="dim"))
    for detail in answer.trace.get("verification", ()):
        console.print(Text(str(detail), style="dim"))
    console.print(Text(f"tokens {asdict(answer.tokens)}", style="dim"))
    if server := answer.trace.get("server"):
        console.print(Text("server " + ", ".join(f"{name} {value}" for name, value in server.items()), style="dim"))
    console.print(Text(f"seconds {asdict(answer.timings)}", style="dim"))


def print_report(console: Console, report: Report) -> None:
    table = Table("status", "source", "passages", "reason", box=None, pad_edge=False)
    for row in report.rows:
        code = f"{row.http_status} " if row.http_status and row.status == "failed" and str(row.http_status) not in row.reason else ""
        name = row.title or row.url
        place = "" if row.url.startswith(("roadmap:", "notes:")) else f"\n{row.url}"
        table.add_row(
            Text(row.status, style=_COLOURS[row.status]),
            Text(name) + Text(place, style="dim"),
            str(row.chunks or ""),
            Text(code + row.reason + _since(row)),
        )
    console.print(table)
    summary = report.summary
    counts = ", ".join(
        f"{count} {name}"
        for name, count in asdict(summary).items()
        if name in ("new", "changed", "unchanged", "failed", "blocked", "removed") and count
    )
    console.print(
        Text(f"{counts or 'nothing to do'}; {summary.embedded} passages embedded, {summary.requests} requests, ", style="bold")
        + Text(f"{summary.bytes / 1e6:.1f} MB, {summary.seconds:.0f} s, index {summary.generation}")
    )


def _since(row: Row) -> str:
    """Since when a source fails, if its reason does not say it, and whether its old text answers."""
    if row.kept:
        return "" if "is kept)" in row.reason else " (the old text is kept)"
    return f" (since {row.since[:10]})" if row.since else ""


def print_status(console: Console, status: dict[str, Any]) -> None:
    index = status["index"]
    if index:
        console.print(Text(f"index {index['generation']}: {index['chunks']} passages by {index['embedder']}, made {index['made_at']}"))
    else:
        console.print(Text("nothing is indexed yet; run: roadmap-rag ingest", style="yellow"))
    table = Table("topic", "fetched", "failed", "blocked", "pending", box=None, pad_edge=False)
    for topic in status["topics"]:
        cells = [str(topic[name] or "") for name in ("fetched", "failed", "blocked", "pending")]
        table.add_row(topic["title"], *cells)
    console.print(table)
    states = Counter(source["state"] for source in status["sources"])
    console.print(Text("sources: " + ", ".join(f"{count} {state}" for state, count in states.most_common())))
    for source in status["sources"]:
        if source["state"] in ("failed", "blocked", "stale"):
            since = f" since {source['since'][:10]}" if source["since"] else ""
            console.print(
                Text(f"{source['state']:8}", style=_COLOURS[source["state"]]) + Text(f" {source['url']}  {source['reason']}{since}")
            )
    for run in status.get("runs", ()):
        summary = run["summary"]
        numbers = ", ".join(
            f"{summary[name]} {name}" for name in ("new", "changed", "unchanged", "failed", "blocked", "removed") if summary[name]
        )
        console.print(Text(f"run of {run['started']}: {numbers}", style="dim"))
        for news in run["news"] if summary["changed"] or summary["removed"] else ():
            if news["status"] != "new":
                console.print(Text(f"  {news['status']:8}", style=_COLOURS[news["status"]]) + Text(f" {news['url']}  {news['reason']}"))


def print_topics(console: Console, roadmap: Roadmap) -> None:
    part = ""
    for number, topic in enumerate(roadmap.topics, start=1):
        if topic.part != part:
            part = topic.part
            console.print(Text(f"\n{part}", style="bold"))
        level = f"  {' to '.join(dict.fromkeys(topic.difficulty))}" if topic.difficulty else ""
        console.print(Text(f"{number:3} {topic.id}", style="cyan") + Text(f"  {topic.title}") + Text(level, style="dim"))
    console.print(Text("\nPaths", style="bold"))
    for path in roadmap.paths:
        console.print(Text(f"    {path.id}", style="cyan") + Text(f"  {path.title}"))
    console.print(Text("\nOne topic or path: roadmap-rag topics ID", style="dim"))


def print_topic(console: Console, roadmap: Roadmap, name: str) -> None:
    topic = roadmap.topic(name)
    console.print(Text(topic.title, style="bold") + Text(f"  {topic.part}", style="dim"))
    console.print(topic.summary)
    lines: list[tuple[str, Sequence[str]]] = [
        ("Also called", topic.also_called),
        ("Difficulty", list(dict.fromkeys(topic.difficulty or ()))),
        ("Prerequisites", topic.prerequisites),
        ("All before it", roadmap.requires_all(name)),
        ("Assumes", topic.assumes),
        ("Opens up", roadmap.opens(name)),
        ("Concepts", [concept.name for concept in topic.concepts]),
        ("Labs", [lab.title for lab in topic.labs]),
        ("Paths", [f"{path.id}/{part.id}" for path, part, _ in roadmap.places(name)]),
    ]
    for label, values in lines:
        if values:
            console.print(Text(f"{label}: ", style="bold") + Text(", ".join(values)))
    for resource in topic.resources:
        console.print(Text(f"  {resource.title}", style="cyan") + Text(f"  {resource.kind}  {resource.url}", style="dim"))


def print_path(console: Console, roadmap: Roadmap, name: str) -> None:
    path = roadmap.path(name)
    console.print(Text(path.title, style="bold") + Text(f"  {path.author}", style="dim"))
    console.print(path.summary)
    for part in path.parts:
        level = f"  {part.level}" if part.level else ""
        console.print(Text(f"\n{part.id}  {part.title}", style="bold") + Text(level, style="dim"))
        for section in part.sections:
            number = f"{section.number}. " if section.number else ""
            console.print(Text(f"  {number}{section.title}") + Text(f"  {', '.join(section.topics)}", style="dim"))


def print_evaluation(console: Console, values: dict[str, Any], path: Path) -> None:
    """Metrics with their 95% intervals, what a comparison and the gate say, and where the run is kept."""
    table = Table("metric", "value", "95% interval", "n", "unit", box=None, pad_edge=False)
    for metric in values["metrics"]:
        interval = "" if metric["low"] is None else f"{metric['low']:.3f} to {metric['high']:.3f}"
        value = "" if metric["value"] is None else f"{metric['value']:.3f}"
        table.add_row(metric["name"], value, interval, str(metric["n"]), metric["unit"])
    console.width = max(console.width, 0 if console.is_terminal else 140)
    console.print(table)
    for note in values.get("notes", ()):
        console.print(Text(note, style="red" if "DO NOT TRUST" in note or ": worse in " in note else ""))
    for comparison in values["compared"]:
        change = f"{comparison['difference']:+.3f} [{comparison['low']:+.3f}, {comparison['high']:+.3f}]"
        said = f"{comparison['name']}: {change}, p = {comparison['p']}, n = {comparison['n']}  {comparison['verdict']}"
        console.print(Text(said.rstrip()))
    if (gate := values["gate"]) is not None:
        for note in gate["notes"]:
            console.print(Text(note, style="yellow"))
        for short in gate["shortfalls"]:
            said = "above the ceiling" if short["above"] else "below the floor"
            console.print(Text(f"{said} {short['floor']}: {short['name']} is {short['value']}", style="red"))
        console.print(Text("the gate is passed" if gate["passed"] else "the gate fell short", style="green" if gate["passed"] else "red"))
    console.print(Text(f"kept as {values.get('report', path)}", style="dim"))

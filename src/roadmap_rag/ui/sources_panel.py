"""The page about sources as HTML: how far a run is, and what became of each source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from roadmap_rag.ui.background import Run
from roadmap_rag.ui.panels import button, external

_ORDER = ("failed", "blocked", "changed", "new", "removed", "unchanged")
_WORDS = {
    "read": "read",
    "new": "new",
    "changed": "changed",
    "unchanged": "unchanged",
    "failed": "failed",
    "blocked": "not allowed",
    "removed": "removed",
}


def progress(run: Run) -> str:
    """The run that goes on, or the report of the last one."""
    if not run.about:
        return '<p class="hint">Nothing has been fetched since the chat was started.</p>'
    problem = f'<p class="notice">{escape(_sentence(run.problem))}</p>' if run.problem else ""
    if not run.running:
        return f"<h2>{escape(run.about)}</h2>{problem}{_report(run)}"
    share = 100 * run.done / run.of if run.of else 0
    counts = ", ".join(f"{number} {_WORDS[name]}" for name, number in run.counts.items())
    steps = [f'<li><span class="state {step.status}">{_WORDS[step.status]}</span> {escape(step.title)}</li>' for step in run.latest]
    line = f"{run.line()[:1].upper()}{run.line()[1:]}"
    if run.stopped:
        line = "Stopping after the source at hand" if run.stage == "fetch" else f"Stopping, after {run.line()}"
    return (
        f"<h2>{escape(run.about)}</h2>{problem}<p>{escape(line)}{' · ' + escape(counts) if counts else ''}</p>"
        f'<div class="progress" role="progressbar" aria-label="Sources done" aria-valuemin="0" aria-valuemax="{run.of}" '
        f'aria-valuenow="{run.done}"><i style="width:{share:.0f}%"></i></div><ul class="steps">{"".join(reversed(steps))}</ul>'
    )


def _report(run: Run) -> str:
    if run.report is None:
        return ""
    summary, rows = run.report["summary"], run.report["sources"]
    counts = ", ".join(f"{summary[name]} {_WORDS[name]}" for name in _ORDER[::-1] if summary[name])
    stopped = "Stopped early. " if run.stopped else ""
    head = f"<p>{stopped}{escape(counts or 'Nothing to do')}; {summary['embedded']:,} passages read, {summary['seconds']:.0f} s.</p>"
    return head + "".join(_group(name, [row for row in rows if row["status"] == name]) for name in _ORDER)


def _group(status: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    is_open = " open" if status in ("failed", "blocked") and len(rows) <= 20 else ""
    return _folded(_WORDS[status].capitalize(), [_row(row) for row in rows], is_open)


def _folded(title: str, rows: Sequence[str], is_open: str = "") -> str:
    """A list that opens and closes, with its length beside its title."""
    head = f"<summary><span>{title}</span><small>{len(rows)}</small></summary>"
    return f"<details{is_open}>{head}<ul>{''.join(rows)}</ul></details>"


def _row(row: Mapping[str, Any]) -> str:
    reason = f"<br><small>{escape(row['reason'])}</small>" if row["reason"] else ""
    return f"<li>{external(row['url'], row['title'] or row['url'])}{reason}</li>"


def lost_sources(sources: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """Sources without a text, with the reason and a button that tries again."""
    lost = [source for source in sources if source["state"] in ("failed", "blocked")]
    rows = [
        f"<li>{external(source['url'], titles.get(source['url'], source['url']))} {button('Try again', 'refetch', source['url'])}"
        f"<br><small>{escape(source['reason'])}</small></li>"
        for source in lost
    ]
    return _folded("Sources that could not be had", rows) if rows else ""


def own_texts(links: Mapping[str, Sequence[str]], notes: Sequence[str]) -> str:
    """The user's own links and notes, each with a button that takes it away."""
    rows = [
        f"<li>{external(url, url)} <small>{escape(topic)}</small> {button('Remove', 'unlink', url)}</li>"
        for topic, urls in links.items()
        for url in urls
    ]
    rows += [f"<li>{escape(name)} <small>note</small> {button('Remove', 'unnote', name)}</li>" for name in notes]
    return f"<ul class='own'>{''.join(rows)}</ul>" if rows else '<p class="hint">None yet.</p>'


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")

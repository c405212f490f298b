"""The report of a run: one HTML file without scripts or anything from elsewhere, and a summary in Markdown for a commit.

Every question opens (``<details>``) to its answer, the passages with their scores, the prompt and the verdicts, as the cache keeps them.
All text of pages, questions and models is escaped.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from roadmap_rag.evaluation.comparing import Compared
from roadmap_rag.evaluation.metrics import Comparison
from roadmap_rag.evaluation.plots import bar_plot, curve_plot, trend_plot

PASSAGE_SHOWN = 600
"""Characters of a passage in the report; the whole stands under its address."""
CHANGES_SHOWN = 40
_REFUSED_AT = re.compile(r"quotes, (.+) refused at (\d+)% false refusals")
PLOTTED = ("facts", "passage hit@5")
"""Metrics that are drawn as bars, by group of questions."""
TRENDS = ("facts", "passage hit@5", "false refusal", "out-of-domain refused", "unanswerable refused", "injection hits")

_COLOURED = {"better": "good", "worse": "bad"}
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#1c1c1c;background:#fff}
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.15em .8em .15em 0;text-align:left;vertical-align:top}
th{border-bottom:1px solid #888}td.number{text-align:right;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap;background:#f4f4f4;
padding:.6em;overflow-wrap:anywhere}summary{cursor:pointer}details{margin:.2em 0}.bad{color:#a11}.good{color:#176117}.faint{color:#595959}
.two{display:grid;grid-template-columns:1fr 1fr;gap:1em}h2{margin-top:1.6em}"""


def write_report(
    folder: Path,
    record: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    compared: Compared,
    history: Sequence[Mapping[str, Any]],
    details: Callable[[str], Mapping[str, Any] | None],
    plots: Sequence[str] = (),
    beside: Sequence[Comparison] = (),
) -> Path:
    """Write ``report.html`` and ``summary.md`` into the folder of a run; ``details`` gives the stored answer of a row's key, ``plots`` are
    drawings of its suite, ``beside`` says how its systems differ."""
    (folder / "summary.md").write_text(summary(record, compared, beside), "utf-8")
    path = folder / "report.html"
    sections = [
        _head(record),
        _gate(record),
        _notes(record),
        _plots(record, history, plots),
        _metrics(record["metrics"]),
        _comparison_table("Systems on the same questions", beside),
        _comparison(record, compared),
        _questions(rows, details),
        _circumstances(record),
    ]
    title = html.escape(f"{record['run']}: evaluation of roadmap-rag")
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
    path.write_text(
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>{policy}<title>{title}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body></html>\n",
        "utf-8",
        errors="replace",
    )
    return path


def summary(record: Mapping[str, Any], compared: Compared, beside: Sequence[Comparison] = ()) -> str:
    """Markdown for a commit or a pull request: the main rows, what changed, and the gate."""
    lines = [f"### {record['suite']}: {record['run']}", "", "| metric | value | 95% interval | n |", "|---|---|---|---|"]
    lines += [f"| {row['name']} | {_number(row['value'])} | {_interval(row)} | {row['n']} |" for row in _main(record["metrics"])]
    for title, comparisons in ((f"Against {record.get('compared_with')}", compared.comparisons), ("Systems on the same questions", beside)):
        if comparisons:
            lines += ["", f"{title}:", "", "| metric | change | 95% interval | p | n | verdict |", "|---|---|---|---|---|---|"]
            lines += [
                f"| {each.name} | {each.difference:+.3f} | {each.low:+.3f} to {each.high:+.3f} | {each.p} | {each.n} | {each.verdict} |"
                for each in comparisons
                if "," not in each.name.partition(": ")[0]
            ]
    if compared.comparisons:
        lines += ["", f"{len(compared.better)} questions better, {len(compared.worse)} worse."]
    lines += ["", *record.get("notes", ())]
    if (gate := record.get("gate")) is not None:
        lines += [
            "",
            "The gate is passed." if gate["passed"] else "The gate fell short: " + ", ".join(s["name"] for s in gate["shortfalls"]),
        ]
    return "\n".join(lines).rstrip() + "\n"


def _main(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the test half, those about a whole system, changes against the clean run, and kappas."""
    said = (", test:", "change of facts", "removed: refused", "kappa")
    return [row for row in metrics if any(words in row["name"] for words in said) or "," not in row["name"].partition(": ")[0]]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"


def _head(record: Mapping[str, Any]) -> str:
    said = f"{record['run']}, {record['rows']} rows, systems: {', '.join(record['systems'])}; {record['seconds']:.0f} seconds"
    return f"<h1>{html.escape(record['suite'])}</h1><p>{html.escape(said)}</p>"


def _gate(record: Mapping[str, Any]) -> str:
    gate = record.get("gate")
    if gate is None:
        return ""
    items = "".join(
        f"<li>{html.escape(short['name'])}: {_number(short['value'])}, {'ceiling' if short['above'] else 'floor'} {short['floor']}</li>"
        for short in gate["shortfalls"]
    )
    said = "<p class='good'>The gate is passed.</p>" if gate["passed"] else "<p class='bad'>The gate fell short.</p>"
    return said + (f"<ul>{items}</ul>" if items else "") + "".join(f"<p>{html.escape(note)}</p>" for note in gate["notes"])


def _notes(record: Mapping[str, Any]) -> str:
    notes = record.get("notes") or ()
    return "".join(f"<p class='{'bad' if is_warning(note) else 'good'}'>{html.escape(note)}</p>" for note in notes)


def is_warning(note: str) -> bool:
    """Whether a note of a run tells of something bad: a judge not to be trusted, or a run that is worse than another."""
    return "DO NOT TRUST" in note or ": worse in " in note


def _plots(record: Mapping[str, Any], history: Sequence[Mapping[str, Any]], more: Sequence[str]) -> str:
    plots = list(more)
    for ending in PLOTTED:
        bars = [
            (row["name"].removesuffix(f": {ending}"), row["value"], row["low"], row["high"])
            for row in record["metrics"]
            if row["value"] is not None and row["low"] is not None and row["name"].endswith(f": {ending}") and row["n"] >= 5
        ]
        plots += [bar_plot(f"{ending}, with 95% intervals", bars[:40])] if bars else []
    lines = {}
    for name in TRENDS:
        for system in record["systems"]:
            points = [_value(run, name, system) for run in history]
            if sum(point is not None for point in points) > 1:
                lines[f"{system}: {name}"] = points
    if lines:
        plots.append(trend_plot("over the runs of this suite, oldest first", lines))
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in record["metrics"]:
        if (point := _REFUSED_AT.fullmatch(row["name"])) and row["value"] is not None:
            curves.setdefault(point[1], []).append((int(point[2]) / 100, row["value"]))
    if curves:
        plots.append(curve_plot("refused by the answer in quotes", "false refusals", "refusals", curves))
    return "<h2>Plots</h2>" + "".join(plots) if plots else ""


def _value(run: Mapping[str, Any], name: str, system: str) -> float | None:
    wanted = (f"{system}, test: {name}", f"{system}, clean: {name}", f"{system}: {name}", f"test: {name}")
    return next((row["value"] for row in run["metrics"] if row["name"] in wanted), None)


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(row['name'])}</td><td class='number'>{_number(row['value'])}</td><td>{_interval(row)}</td>"
        f"<td class='number'>{row['n']}</td><td>{html.escape(row['unit'])}</td></tr>"
        for row in metrics
    )
    return f"<h2>Metrics</h2><table><tr><th>metric<th>value<th>95% interval<th>n<th>unit</tr>{rows}</table>"


def _comparison_table(title: str, comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(each.name)}</td><td class='number'>{each.difference:+.3f}</td><td>{each.low:+.3f} to {each.high:+.3f}</td>"
        f"<td class='number'>{each.p}</td><td class='number'>{each.n}</td>"
        f"<td class='{_COLOURED.get(each.verdict, '')}'>{each.verdict}</td></tr>"
        for each in comparisons
    )
    head = "<tr><th>metric<th>change<th>95% interval<th>p<th>n<th>verdict</tr>"
    return f"<h2>{html.escape(title)}</h2><table>{head}{rows}</table>"


def _comparison(record: Mapping[str, Any], compared: Compared) -> str:
    if not record.get("compared_with"):
        return ""
    parts = [_comparison_table(f"Against {record['compared_with']}", compared.comparisons)]
    for title, changes in (("Worse", compared.worse), ("Better", compared.better)):
        more = f", the first {CHANGES_SHOWN} of them" if len(changes) > CHANGES_SHOWN else ""
        parts.append(f"<h3>{title}: {len(changes)}{more}</h3>")
        parts += [_change(change) for change in changes[:CHANGES_SHOWN]]
    return "".join(parts)


def _change(change: Mapping[str, Any]) -> str:
    head = f"{change['id']} ({change['system']}, {change['score']} {change['before']:.2f} to {change['now']:.2f}): {change['question']}"
    texts = "".join(
        f"<div><p class='faint'>{title}</p><pre>{html.escape(change[name])}</pre></div>"
        for title, name in (("before", "answer_before"), ("now", "answer_now"))
    )
    return f"<details><summary>{html.escape(head)}</summary><div class='two'>{texts}</div></details>"


def _questions(rows: Sequence[Mapping[str, Any]], details: Callable[[str], Mapping[str, Any] | None]) -> str:
    """What all systems made of a question stands together."""
    asked = sorted((row for row in rows if "scores" in row), key=lambda row: str(row["id"]))
    return "<h2>Questions</h2>" + "".join(_question(row, details(row["key"])) for row in asked)


def _question(row: Mapping[str, Any], answer: Mapping[str, Any] | None) -> str:
    scores = ", ".join(f"{name} {value:.2f}" for name, value in row["scores"].items())
    head = f"{row['id']} {row['system']} {row.get('condition', '')} {row['type']}: {row['question']}"
    body = [f"<p class='faint'>{html.escape(scores)}</p>", f"<pre>{html.escape(row['answer'])}</pre>"]
    if row.get("hit"):
        body.append(f"<p class='bad'>hit: {html.escape(row['hit'])}</p>")
    if row.get("judged"):
        body.append(f"<pre>{html.escape(json.dumps(row['judged'], indent=1))}</pre>")
    if answer is not None:
        body += _trace(answer)
    worst = "bad" if row["scores"].get("facts", 1.0) < 1 or row["scores"].get("hit") else ""
    return f"<details><summary class='{worst}'>{html.escape(head)}</summary>{''.join(body)}</details>"


def _trace(answer: Mapping[str, Any]) -> list[str]:
    """Searched for, verdicts, passages, prompt and draft."""
    parts = [f"<p>searched for: {html.escape(answer['standalone'])}</p>"]
    if verdicts := "\n".join(f"{each['verdict']:12} {each['text']}" for each in answer["sentences"]):
        parts.append(f"<details><summary>verdicts</summary><pre>{html.escape(verdicts)}</pre></details>")
    for hit in answer["hits"]:
        head = f"{hit['rank']}. {hit['score']:.2f}{' below the floor' if hit['below_floor'] else ''} {hit['url']} {hit['section']}"
        text = html.escape(hit["text"][:PASSAGE_SHOWN])
        parts.append(f"<details><summary>{html.escape(head)}</summary><pre>{text}</pre></details>")
    trace = answer["trace"]
    if prompt := trace.get("prompt"):
        messages = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt["messages"])
        parts.append(
            f"<details><summary>prompt, version {html.escape(prompt['version'])}</summary><pre>{html.escape(messages)}</pre></details>"
        )
    if draft := trace.get("draft"):
        parts.append(f"<details><summary>what the model wrote</summary><pre>{html.escape(draft)}</pre></details>")
    return parts


def _circumstances(record: Mapping[str, Any]) -> str:
    known = {name: value for name, value in record.items() if name not in ("metrics", "compared", "gate", "notes", "left_out")}
    return f"<h2>To repeat it</h2><pre>{html.escape(json.dumps(known, indent=1, ensure_ascii=False))}</pre>"

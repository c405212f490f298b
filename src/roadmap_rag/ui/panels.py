"""The panels beside the chat as HTML: a cited passage, why an answer is as it is, the state of things. Every text is escaped here.

Buttons carry ``data-do`` and ``data-value``; the script of the page turns a click on one into an event, as it does for links in answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

TITLE = "Roadmap study chat"
AROUND = 350
"""Characters of stored text shown before and after a quote."""
_FRAGMENT_WORDS = 5
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`#>|]+|\\(?=\W)")

BACK = '<a class="back" href="#chat">↑ Chat</a>'
"""Shown on a phone, where the panels stand below the chat."""
NOTHING_OPEN = '<p class="hint">Choose a number like [1] in an answer to read the passage that it rests on.</p>'
NOTHING_ASKED = '<p class="hint">Choose “Why this answer?” below an answer to see how it came about.</p>'


def button(label: str, action: str, value: str, style: str = "chip") -> str:
    return f'<button type="button" class="{style}" data-do="{escape(action)}" data-value="{escape(value)}">{escape(label)}</button>'


def external(url: str, label: str) -> str:
    """A link to the web in a tab of its own, or only its words when the address is not one of the web."""
    if not url.startswith(("http://", "https://")):
        return escape(label)
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer nofollow">{escape(label)}</a>'


# -------------------------------------------------------------------------------------------------------------------- a passage


def passage(citation: Mapping[str, Any], text: str | None, topics: Iterable[tuple[str, str]] = (), also: Sequence[str] = ()) -> str:
    """A citation with the stored text around it and the exact words marked. ``text`` is the whole stored document, None if it is gone."""
    url = str(citation["url"])
    head = [f'{BACK}<h2 tabindex="-1" class="passage-title">[{citation["n"]}] {escape(citation["title"])}</h2>']
    if citation["section"] and citation["section"] != citation["title"]:
        head.append(f'<p class="where">{escape(str(citation["section"]).replace(" > ", " › "))}</p>')
    facts = []
    if url.startswith(("http://", "https://")):
        facts.append(external(text_fragment(url, citation["quote"]), "Open at this place"))
        facts.append(escape(url.split("//", 1)[1].split("/", 1)[0]))
    elif url.startswith("notes:"):
        facts.append(f"your own note {escape(url.removeprefix('notes:'))}")
    else:
        facts.append("from the roadmap itself")
    if citation["fetched_at"]:
        facts.append(f"fetched {escape(citation['fetched_at'][:10])}")
    head.append(f'<p class="facts">{" · ".join(facts)}</p>')
    chips = "".join(button(title, "topic", name) for name, title in topics)
    if chips:
        head.append(f'<p class="chips">{chips}</p>')
    if also:
        head.append(f'<p class="facts">The same text stands at {", ".join(external(link, link) for link in also)}</p>')
    return f'<article class="passage"><header>{"".join(head)}</header>{_surroundings(citation, text)}</article>'


def _surroundings(citation: Mapping[str, Any], text: str | None) -> str:
    start, end = int(citation["start"]), int(citation["end"])
    quoted = str(citation["quote"])
    if text is None or text[start:end] != quoted:
        changed = "The stored text has changed since this answer was written. These were the words:"
        return f'<p class="notice">{changed}</p><blockquote><mark class="quote">{escape(quoted)}</mark></blockquote>'
    first, last = _to_lines(text, start, end)
    before = '<p class="cut">…</p>' if first > 0 else ""
    after = '<p class="cut">…</p>' if last < len(text) else ""
    return f'{before}<div class="stored">{"".join(_lines(text, first, last, start, end))}</div>{after}'


def _to_lines(text: str, start: int, end: int) -> tuple[int, int]:
    """The region around a quote, from the beginning of a line to the end of one."""
    first = text.rfind("\n", 0, max(0, start - AROUND)) + 1 if start > AROUND else 0
    if start - first > 2 * AROUND:  # one very long line
        first = start - AROUND
    last = text.find("\n", min(len(text), end + AROUND))
    if last < 0 or last - end > 2 * AROUND:
        last = min(len(text), end + 2 * AROUND)
    return first, last


def _lines(text: str, first: int, last: int, start: int, end: int) -> Iterable[str]:
    """The lines of a region, word for word; headings, code and tables look a little like what they are."""
    place = first
    in_code = text.count("\n```", 0, first) % 2 == 1
    for line in text[first:last].split("\n"):
        stop = place + len(line)
        pieces = [
            _dimmed(escape(text[place : max(place, min(start, stop))])),
            _marked(text[max(place, start) : min(stop, end)]),
            escape(text[min(stop, max(place, end)) : stop]),
        ]
        fence = line.lstrip().startswith("```")
        kind = "code" if in_code or fence else "heading" if re.match(r"#{1,6} ", line) else "row" if line.startswith("|") else "line"
        in_code ^= fence
        yield f'<div class="{kind}">{"".join(pieces) or "&nbsp;"}</div>'
        place = stop + 1


def _dimmed(line: str) -> str:
    """The signs of a heading stay, word for word, but do not shout."""
    return re.sub(r"^#{1,6} ", lambda found: f'<span class="signs">{found[0]}</span>', line)


def _marked(text: str) -> str:
    return f'<mark class="quote">{escape(text)}</mark>' if text else ""


def text_fragment(url: str, quoted: str) -> str:
    """The address with a fragment that makes a browser scroll to the quote, as far as the page still has these words."""
    words = _MARKUP.sub(lambda found: found[1] or "", quoted).split()
    if not words:
        return url
    ends = [words] if len(words) <= 2 * _FRAGMENT_WORDS else [words[:_FRAGMENT_WORDS], words[-_FRAGMENT_WORDS:]]
    directive = ",".join(quote(" ".join(part), safe="").replace("-", "%2D") for part in ends)
    return f"{url}{'' if '#' in url else '#'}:~:text={directive}"


# ------------------------------------------------------------------------------------------------------------------------ states


def welcome(questions: Sequence[str]) -> str:
    """What an empty chat says, with questions to begin with."""
    said = "Ask about anything on the roadmap. Answers come from its articles alone, and each number opens the passage behind it."
    links = "".join(f'<li><a class="question" href="#do/ask/{quote(question)}">{escape(question)}</a></li>' for question in questions)
    return f'<div class="welcome"><p>{said}</p><ul>{links}</ul></div>'


def status_line(detail: str, *, busy: bool = True) -> str:
    """What happens now, in one line; the region is live, so that screen readers say it."""
    return f'<div class="status {"busy" if busy else ""}" role="status">{escape(detail)}</div>'


def state_strip(model: str, remedy: str, index: str, *, ready: bool, writes: bool) -> str:
    """The title, who writes and what is indexed, with the command that helps where something is missing."""
    parts = [f'<span class="fact"><span class="dot {"good" if ready else "bad"}"></span>{escape(index)}</span>']
    parts.append(f'<span class="fact"><span class="dot {"good" if writes else "none"}"></span>{escape(model)}</span>')
    if remedy:
        parts.append(f'<span class="fact remedy">For written answers: <code>{escape(remedy)}</code></span>')
    return f'<div class="strip"><h1>{TITLE}</h1>{"".join(parts)}</div>'


# -------------------------------------------------------------------------------------------------------------- why this answer?


def trace(record: Mapping[str, Any], stored: str) -> str:
    """How an answer came about. ``stored`` is a label such as the time it was asked."""
    parts = [f'{BACK}<h2 tabindex="-1" class="why-title">{escape(record["question"])}</h2><p class="facts">{escape(stored)}</p>']
    if record["standalone"] != record["question"]:
        parts.append(f"<p>Understood as: <em>{escape(record['standalone'])}</em></p>")
    if record["refused"]:
        parts.append(f"<p>Refused: {escape(_REFUSED.get(record['reason'] or '', ''))}.</p>")
    parts += [_hits(record["hits"]), _sentences(record["sentences"]), _figures(record)]
    return f'<article class="why">{"".join(parts)}</article>'


_REFUSED = {
    "no_passage": "no passage came close enough to the question, or none states what is asked; no model was asked",
    "not_supported": "nothing of what was written is held up by the passages, or none of that gives what was asked for",
    "model_declined": "the model said that the passages do not answer",
}


def _hits(hits: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for hit in hits:
        section = str(hit["section"]).rsplit(" > ", 1)[-1]
        place = f"{escape(hit['title'])}<br><small>{escape(section)}</small>" if section else escape(hit["title"])
        features = ", ".join(f"{name} {value:.3g}" for name, value in hit.get("features", {}).items())
        low = ' class="low"' if hit["below_floor"] else ""
        rows.append(
            f"<details{low}><summary><span>{hit['rank']}. {place}</span><span>{hit['score']:.2f}</span></summary>"
            f"<p><small>{escape(features)}</small></p><div class='stored'>{escape(hit['text'])}</div></details>"
        )
    if not rows:
        return "<h3>Passages found</h3><p>None.</p>"
    hint = "The number is the estimated chance, from 0 to 1, that the passage answers the question. Faint ones were not used."
    return f'<h3>Passages found</h3><p class="hint">{hint}</p>{"".join(rows)}'


def _sentences(sentences: Sequence[Mapping[str, Any]]) -> str:
    if not sentences:
        return ""
    words = {"supported": "holds", "unsupported": "not in the sources", "contradicted": "contradicted"}
    rows = "".join(
        f'<li><span class="verdict {each["verdict"]}">{words[each["verdict"]]}</span> {escape(each["text"])}</li>' for each in sentences
    )
    return f'<h3>Sentences checked</h3><ol class="verdicts">{rows}</ol>'


def _figures(record: Mapping[str, Any]) -> str:
    timings, tokens = record["timings"], record["tokens"]
    rows = [("Model", record["model"] or "none: sentences of the passages are quoted")]
    names = {
        "retrieve": "Finding passages",
        "first_token": "Until the first word",
        "generate": "Writing",
        "verify": "Checking",
        "total": "All in all",
    }
    rows += [(label, f"{timings[name]:.2f} s") for name, label in names.items() if timings.get(name) is not None]
    if tokens["prompt"] is not None:
        rows.append(("Tokens read and written", f"{tokens['prompt']} and {tokens['completion']} of {tokens['context']}"))
    if tokens["dropped_passages"]:
        rows.append(("Passages that did not fit", str(tokens["dropped_passages"])))
    cells = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<h3>Figures</h3><table>{cells}</table>"


def topic_filter(title: str) -> str:
    """Which topic questions are limited to, above the box, with the way out of it."""
    if not title:
        return ""
    clear = '<button type="button" class="chip" data-do="topic" data-value="" aria-label="Ask about everything again">× everything</button>'
    return f'<p class="filter">Only from the sources of <strong>{escape(title)}</strong> {clear}</p>'


def editing_line(reference: str) -> str:
    """That the question in the box takes the place of an earlier one, with the way out of it."""
    if not reference:
        return ""
    cancel = '<button type="button" class="chip" data-do="edit" data-value="">× cancel</button>'
    return (
        f'<p class="filter">Editing an earlier question: the new answer takes the place of its answer and of all that followed {cancel}</p>'
    )

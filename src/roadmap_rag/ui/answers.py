"""Answers as Markdown for the chat: labels become links, doubtful sentences are marked, and nothing of a page can act.

An answer may hold whatever stood on a page. Outside code every ``<`` is escaped, and links and images are reduced to their words, so the
only HTML and the only links are those added here. Links of the form ``#do/ACTION/VALUE`` are what the script of the page turns into events.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from roadmap_rag.citations import UNSUPPORTED_MARK

REASONS = {
    "unsupported": "No passage that was read says this. Check it before you rely on it.",
    "contradicted": "A passage that was read says otherwise. Do not rely on this.",
}
REFUSALS = {
    "not_supported": "An answer was written, but nothing in it is held up by the sources, so it is not shown.",
    "model_declined": "The passages that were found do not answer this.",
}
_OPEN, _CLOSE = {"unsupported": "\ue000", "contradicted": "\ue001"}, "\ue002"
_PRIVATE = re.compile("[\ue000-\ue002]")

_CODE = re.compile(r"(?:^|(?<=\n))[ \t]*(`{3,}|~{3,})[^\n]*\n(?:.*?\n)?[ \t]*\1[^\n]*(?=\n|$)|(`+)(?!`)[^\n]*?(?<!`)\2(?!`)", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^)\s]*(?:\s[^)]*)?\)|\[[^\]]*\])?")
_LINK = re.compile(r"(?<!\\)\[([^\]\n]*)\]\([^)\s]*(?:\s+[\"'(][^)]*)?\)")
_DEFINITION = re.compile(r"^[ ]{0,3}\[[^\]\n]+\]:[ \t]*\S+.*$", re.MULTILINE)
_LABEL = re.compile(r"\[(\d{1,3})\]")
_REMARK = re.compile(r"\(⚠[^)]*\)")
_LIST_MARK = re.compile(r"\s*(?:(?:[-*+]|\d+[.)])\s+|#{1,6}\s+|>\s*)*")


def safe_markdown(text: str, prose: Callable[[str], str] = lambda part: part) -> str:
    """Markdown without HTML, images and links; ``prose`` is applied to each part that is not code, after that."""
    parts, place = [], 0
    for code in _CODE.finditer(text):
        parts += [prose(_disarm(text[place : code.start()])), code.group()]
        place = code.end()
    return "".join([*parts, prose(_disarm(text[place:]))])


def _disarm(text: str) -> str:
    text = _IMAGE.sub(lambda found: found[1], text)
    text = _DEFINITION.sub("", text)
    text = _LINK.sub(lambda found: found[1], text)
    return text.replace("<", "&lt;")


def question_markdown(question: str) -> str:
    """The user's words as they were typed."""
    return safe_markdown(question)


def answer_markdown(record: Mapping[str, Any], reference: str, feedback: str | None = None) -> str:
    """What the chat shows for an answer, a refusal included; ``reference`` names the stored exchange in its links."""
    actions = _actions(reference, feedback, refused=record["refused"])
    if record["refused"]:
        return _refusal(record) + actions
    known = {citation["n"] for citation in record["citations"]}
    body = safe_markdown(_mark_sentences(record["answer"], record["sentences"]), lambda part: link_labels(part, known, reference))
    for verdict, sign in _OPEN.items():
        body = body.replace(sign, f'<mark class="doubt {verdict}" tabindex="0" title="{html.escape(REASONS[verdict])}">')
    body = body.replace(_CLOSE, "</mark>")
    return "\n\n".join(filter(None, [body, _sources(record["citations"], reference), _notices(record), _footer(record) + actions]))


def link_labels(text: str, known: Collection[int], reference: str) -> str:
    """Labels of existing citations as links that open the passage."""

    def link(found: re.Match[str]) -> str:
        number = int(found[1])
        return f'<a href="#do/cite/{reference}.{number}">[{number}]</a>' if number in known else found[0]

    return _LABEL.sub(link, text)


def draft_markdown(text: str) -> str:
    """The text as far as it is written, before anything in it was checked."""
    return safe_markdown(text)


def _mark_sentences(answer: str, sentences: Sequence[Mapping[str, Any]]) -> str:
    """The answer with a sign before and after each sentence that is not supported; of code and tables, only around the remark on them."""
    answer = _PRIVATE.sub("", answer)
    pieces, place = [], 0
    for sentence in sentences:
        text = _PRIVATE.sub("", sentence["text"]).strip()
        start = answer.find(text, place) if text else -1
        if start < 0:
            continue
        end = start + len(text)
        if sentence["verdict"] in _OPEN:
            begin, stop = _doubtful_part(text)
            doubtful = answer[start + begin : start + stop]
            if stop == len(text):  # the underline says it already, and the reason comes with the pointer or the focus
                doubtful = doubtful.replace(UNSUPPORTED_MARK, " ⚠")
            pieces += [answer[place : start + begin], _OPEN[sentence["verdict"]], doubtful, _CLOSE, answer[start + stop : end]]
        else:
            pieces.append(answer[place:end])
        place = end
    return "".join([*pieces, answer[place:]])


def _doubtful_part(text: str) -> tuple[int, int]:
    """Where the sentence stands behind the sign of a list; in a block that a mark would break, where the checker's remark stands."""
    remark = _REMARK.search(text) if "\n" in text or text.startswith("|") else None
    lead = _LIST_MARK.match(text)
    return remark.span() if remark else (lead.end() if lead else 0, len(text))


def _sources(citations: Sequence[Mapping[str, Any]], reference: str) -> str:
    lines = []
    for citation in citations:
        place = plain(citation["title"])
        section = str(citation["section"]).rsplit(" > ", 1)[-1]
        if section and section != citation["title"]:
            place += f" · {plain(section)}"
        lines.append(f'<a href="#do/cite/{reference}.{citation["n"]}">[{citation["n"]}]</a> {place}')
    return f'<div class="sources">{"<br>".join(lines)}</div>' if lines else ""


def _notices(record: Mapping[str, Any]) -> str:
    return "".join(f'<div class="notice">{plain(_capital(notice))}</div>' for notice in record["notices"])


def _footer(record: Mapping[str, Any]) -> str:
    total = len(record["sentences"])
    doubtful = sum(sentence["verdict"] in _OPEN for sentence in record["sentences"])
    if doubtful:
        checked = f"{doubtful} of {total} sentences not held up by the sources: marked above"
    elif record["trace"].get("stopped"):
        checked = "not checked"
    elif record["model"]:
        checked = f"{'the one sentence' if total == 1 else f'all {total} sentences'} checked against the sources"
    else:
        checked = "quoted word for word from the sources"
    by = f"{plain(record['model'])}, " if record["model"] else ""
    return f'<div class="meta">{by + checked if by else _capital(checked)}, {record["timings"]["total"]:.1f} s</div>'


_ACTIONS = (
    ("why", "Why this answer?"),
    ("copy", "Copy"),
    ("cited", "Copy with sources"),
    ("again", "Ask again"),
    ("edit", "Edit question"),
    ("good", "Good"),
    ("bad", "Not good"),
)
_OF_REFUSALS = ("why", "again", "edit", "good", "bad")


def _actions(reference: str, feedback: str | None, *, refused: bool) -> str:
    """What can be done with an answer, as links under it; the feedback that was given is shown in place of the question for it."""
    links = [
        f'<a href="#do/{action}/{reference}"{_PRESSED if _FEEDBACK.get(action) == feedback and feedback else ""}>{label}</a>'
        for action, label in _ACTIONS
        if not refused or action in _OF_REFUSALS
    ]
    return f'<div class="actions">{" ".join(links)}</div>'


_FEEDBACK = {"good": "up", "bad": "down"}
_PRESSED = ' class="pressed" title="Your verdict; choose it again to take it back"'


def _refusal(record: Mapping[str, Any]) -> str:
    said = record["answer"].partition(" The nearest topics of the roadmap")[0]
    if ": " not in said:  # the answer gives no reason of its own
        said = REFUSALS.get(record["reason"], said)
    topics = "".join(f"<li>{_nearest(topic)}</li>" for topic in record["nearest_topics"])
    return (
        f'<div class="refusal"><p><strong>No answer.</strong> {plain(said)}</p><p>The nearest topics of the roadmap:</p>'
        f"<ul>{topics}</ul></div>{_notices(record)}"
    )


def _nearest(topic: Mapping[str, Any]) -> str:
    link = f'<a class="chip" href="#do/topic/{html.escape(topic["id"])}">{plain(topic["title"])}</a>'
    missing = len(topic["missing"])
    if not missing:
        return link
    words = "1 source is missing" if missing == 1 else f"{missing} sources are missing"
    return f'{link} <a class="chip quiet" href="#do/fetch/{html.escape(topic["id"])}">{words}: fetch</a>'


def plain(text: object) -> str:
    """Any text as HTML inside Markdown: no mark-up of either kind is left in it."""
    escaped = html.escape(str(text))
    return re.sub(r"([\\`*_\[\]$~|!#()])", lambda found: f"&#{ord(found[1])};", " ".join(escaped.split()).replace("&#x27;", "’"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def copied(record: Mapping[str, Any], *, sources: bool) -> str:
    """The answer as plain Markdown for the clipboard, with its citations or without its labels."""
    if not sources:
        return re.sub(r"\s?\[\d{1,3}\]", "", str(record["answer"])).strip()
    lines = [str(record["answer"]).strip(), ""]
    for citation in record["citations"]:
        section = f", {citation['section']}" if citation["section"] else ""
        dated = f" (fetched {citation['fetched_at'][:10]})" if citation["fetched_at"] else ""
        lines.append(f"[{citation['n']}] {citation['title']}{section}{dated}: {citation['url']}")
        lines.append(f"    “{' '.join(citation['quote'].split())}”")
    return "\n".join(lines).strip()

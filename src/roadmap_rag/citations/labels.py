"""What a language model wrote, read as sentences with the passages that it names for them.

Models write labels in many ways (``[1]``, ``[1, 2]``, ``【1】``, ``(source 1)``, "according to passage 1", before or after the full stop, on a
line of their own). All become ``[n]`` first. Then the draft is cut into parts:

    claim    a sentence that says something: it will be judged
    code     a fenced block: supported when a passage holds its lines
    frame    says nothing by itself: a heading, "There are three kinds:", a question; it stands or falls with the claim behind it
    decline  "the sources do not say …": no claim about the subject; left out, and reported when nothing else holds
    filler   greetings, offers of help, a list of sources at the end: left out

``layout`` of a part is what stands before it (line breaks, list marks), so that the parts put together are the draft again. Images, links
and raw HTML go: nothing that a passage smuggled into a draft may reach a browser. Addresses of the offered passages stay, as text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from roadmap_rag.text import sentence_spans, terms

UNSUPPORTED_MARK = " (⚠ not in the sources)"
CONTRADICTED_MARK = " (⚠ the sources say otherwise)"

Kind = Literal["claim", "frame", "decline", "filler", "code"]

_NUMBERS = r"\d{1,2}(?:\s*(?:,|;|&|-|–|and|und|和|、)\s*\d{1,2})*"
_WORD = r"(?:passages?|sources?|quellen?|passagen?|abschnitte?|refs?\.?|references?|citations?|documents?|docs?|来源|段落|资料)"
_BRACKETED = re.compile(
    rf"\\?\[+\s*\^?(?:{_WORD}\s*[:#]?\s*)?({_NUMBERS})\s*\\?\]+(?!\()|【\s*(?:{_WORD}\s*)?({_NUMBERS})[^】]{{0,20}}】|"
    rf"[(（]\s*(?:see\s+|vgl\.\s+|siehe\s+)?{_WORD}\s*[:#]?\s*({_NUMBERS})\s*[)）]|</?\s*passage\s+({_NUMBERS})\s*>",
    re.IGNORECASE,
)
_BARE = re.compile(rf"(?<!not in the )\b{_WORD}\s*(?:\[({_NUMBERS})\]|({_NUMBERS}))(?![\w.]\d)", re.IGNORECASE)
_LABEL = re.compile(r"\[(\d{1,2})\]")
_LABELS = r"\[\d{1,2}\](?:(?:\s*,?\s*(?:and|und|和)?\s*)\[\d{1,2}\])*"
_ATTRIBUTION = re.compile(
    rf"(?:\b(?:according to|as (?:stated|described|noted|mentioned|explained|shown|reported|said) (?:in|by)|based on|as per|per|see|in|from|laut|gemäß|"
    rf"nach|siehe|in der)\s+(?:the\s+|der\s+|den\s+)?|(?:根据|如)\s*)({_LABELS})(?:\s*所述)?\s*[,，:：]?",
    re.IGNORECASE,
)
_SAYS = re.compile(
    rf"(?:\bthe\s+|\bas\s+)?({_LABELS})\s+(?:also\s+)?(?:says?|states?|notes?|explains?|mentions?|describes?|shows?|reports?|points out|sagt|"
    rf"besagt|erklärt|beschreibt)(?:\s+(?:that|how)\b|\s*,\s*dass\b)?\s*[,:]?\s*",
    re.IGNORECASE,
)
_MARK = re.compile(r"\s*\(⚠[^)]*\)")

_IMAGE = re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])")
_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(\s*<?[^)\s]*>?(?:\s+[\"'][^)]*)?\)")
_DEFINITION = re.compile(r"^[ \t]*\[[^\]\n]+\]:[ \t]*\S+.*$", re.MULTILINE)
_ADDRESS = re.compile(
    r"<?\b(?:https?|ftp|data|javascript|vbscript|file)://?[^\s<>()\[\]\"'`]*[^\s<>()\[\]\"'`.,;:!?]>?|\bjavascript:\S+|\bdata:\w+/\S+",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"<?https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)\b", re.IGNORECASE)
_SCRIPT = re.compile(r"<(script|style|iframe|object|svg|form)\b.*?(?:</\1\s*>|$)|<!--.*?(?:-->|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?([a-zA-Z][\w-]*)(?:\s[^<>]*|/)?>")
_HTML = frozenset(
    """a abbr audio b base big blockquote body br button center code dd del details div dl dt em embed fieldset font footer form frame
    frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link main mark marquee math meta nav noscript
    object ol option p param picture pre q script section select small source span strike strong style sub summary sup svg table tbody td
    template textarea tfoot th thead title tr track tt u ul video""".split()
)
_CODE = re.compile(r"(`+)(?:.+?)\1", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+|>[ \t]?)*(`{3,}|~{3,})", re.MULTILINE)

_HEADING = re.compile(r"#{1,6}[ \t]+\S|(\*\*|__)[^*_]{1,80}\1:?\s*$")
_PREFIX = re.compile(r"(?:[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+|[ \t]*>[ \t]?|[ \t]+)+")
_RULE = re.compile(r"[ \t]*(?:[-*_][ \t]*){3,}$|[ \t]*\|[ \t:|-]+\|?[ \t]*$")
_SOURCES = re.compile(
    r"\W*(?:sources?|references?|citations?|quellen(?:angaben)?|来源|参考(?:资料|文献)?)\W*(?:(?:\[\d+\]|passages?|,|;|and|\W|\d)*)$",
    re.IGNORECASE,
)

_DECLINE = re.compile(
    r"""not\ in\ the\ (?:sources|passages)
    |\b(?:sources?|passages?|texts?|documents?|context|excerpts?|articles?|information(?:\ provided)?|(?:provided|given)\ \w+|they|none)\b[^.]{0,60}?
        \b(?:do(?:es)?\ not|don['’]t|doesn['’]t|did\ not|didn['’]t|never|fails?\ to|cannot|can['’]t)\s+(?:\w+ly\s+)?(?:seem\ to\s+|appear\ to\s+|directly\s+)?
        (?:answer|say|state|mention|provide|contain|include|specify|describe|discuss|explain|address|cover|give|offer|give|indicate|tell|define|refer|name|list|have)
    |\bno\ (?:information|mention|answer|details?|passages?|sources?)\b[^.]{0,60}?\b(?:in|from|provided|given|found|available|about|on|answers?|mentions?|says?)\b
    |\b(?:is|are|was|were)\ (?:not|never)\ (?:explicitly\ |directly\ |specifically\ |clearly\ )?(?:mentioned|stated|provided|specified|given|discussed|covered|addressed|included|described|answered|found|available)
        \b[^.]{0,40}?(?:\b(?:in|by)\ (?:any\ of\ )?(?:the|these|this|any)\ |\.?\s*$)
    |\b(?:i|we)\ (?:do\ not|don['’]t|cannot|can['’]t|could\ not|couldn['’]t|am\ not\ able|was\ unable|am\ unable)\b[^.]{0,50}?\b(?:know|answer|find|have|provide|determine|information)\b
    |\b(?:sources?|passages?)\b[^.]{0,30}\b(?:silent|insufficient|lack|not\ enough)\b|\bnot\ enough\ information\b|\bunable\ to\ (?:answer|find|determine)\b
    |\b(?:quellen?|texte?|passagen?|abschnitte?|informationen)\b[^.]{0,60}?\b(?:nicht|keine?n?|nichts|kein)\b
    |\b(?:nicht|keine?|nichts)\b[^.]{0,40}?\bin\ den\ (?:quellen|texten|passagen)
    |\b(?:steht|stehen|findet|finden)\ [^.]{0,40}?nicht\b
    |(?:资料|来源|文章|段落|文本|上下文|原文|文中|信息)[^。]{0,20}(?:没有|并未|未|不包含|无法)|(?:没有|未)[^。]{0,10}(?:提到|提及|说明|相关信息)|无法(?:回答|确定|找到)
    |\b(?:les\ sources|le\ texte|les\ passages)\b[^.]{0,50}?\bne\b[^.]{0,40}?\bpas\b
    |\b(?:las\ fuentes|los\ pasajes|el\ texto)\b[^.]{0,30}?\bno\b""",
    re.IGNORECASE | re.VERBOSE,
)
_FILLER = re.compile(
    r"""^\W*(?:hi|hello|hey|hallo|你好|sure|certainly|of\ course|absolutely|great\ question|good\ question|great|okay|ok|gerne|natürlich|当然)\b[^.!?:]{0,60}[!.。！]*\s*$
    |^\W*(?:i\ hope|hope\ (?:this|that)|let\ me\ know|feel\ free|please\ (?:let|feel|note\ that\ i)|if\ you\ (?:have|need|want|would\ like)\b.*\b(?:ask|know|help|questions?)|happy\ to\ help|ich\ hoffe|希望)
    |^\W*(?:i['’](?:ll|m)|i\ (?:will|am|can|would))\b[^.]{0,40}\b(?:help|happy|glad|answer|explain|assist)
    |^\W*(?:end\ of\ answer|the\ end)\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
_LEAD_IN = re.compile(r"[:：]\W*$")
_QUESTION = re.compile(r"[?？]\W*$")
_SHORT = re.compile(
    r"^\W*(?:yes|no|ja|nein|correct|true|false|right|exactly|in short|in summary|to summarise|to summarize|overall|answer|antwort|是的?|不是)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a draft; ``text`` is without labels, ``labels`` are those that were offered, in order."""

    kind: Kind
    layout: str
    text: str
    labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    parts: tuple[Part, ...]
    removed: tuple[str, ...]
    """Labels that were never offered, images, links and tags, as they stood."""


def read_draft(draft: str, offered: int, addresses: Collection[str] = (), *, partial: bool = False) -> Draft:
    """Cut a draft into parts. ``offered`` passages had labels 1 to ``offered``; ``addresses`` may be named. With ``partial`` the text was
    cut off: a last sentence without an end is left out."""
    removed: list[str] = []
    parts: list[Part] = []
    before = ""
    lines = "\n".join(draft.splitlines()).split("\n")
    for fenced, block in _blocks("\n".join(_split_at_fence(line) for line in lines)):
        if fenced:
            breaks = len(before) - len(before.rstrip("\n")) if before.strip() else 2
            parts.append(Part("code", "\n" * max(1, min(breaks, 2)), _IMAGE.sub("", block.strip("\n"))))
        else:
            clean = _canonical_labels(_harmless(_MARK.sub("", block), addresses, removed))
            parts.extend(_prose(clean, offered, removed, first=not parts))
        before = block
    if partial and parts and parts[-1].kind == "claim" and not re.search(r"[.!?…。！？)\]\"'”`*|]\s*$", parts[-1].text):
        parts.pop()
    return Draft(tuple(parts), tuple(removed))


def _split_at_fence(line: str) -> str:
    """A fence that opens behind text on its line gets a line of its own; an image behind a fence would hide that it closes."""
    if _FENCE.match(line):
        return _IMAGE.sub("", line)
    if line.count("```") % 2 == 0:
        return line
    before, _, after = line.rpartition("```")
    return f"{before.rstrip()}\n```{after}"


def _blocks(draft: str) -> Iterator[tuple[bool, str]]:
    """The draft as stretches of prose and of fenced code, in order; a fence that is never closed is closed at the end."""
    position = 0
    while opening := _FENCE.search(draft, position):
        closing = re.compile(rf"^[ \t]*{re.escape(opening.group(1))}[`~]*[ \t]*$", re.MULTILINE).search(
            draft, draft.find("\n", opening.end()) + 1 or len(draft)
        )
        end = closing.end() if closing else len(draft)
        if opening.start() > position:
            yield False, draft[position : opening.start()]
        block = draft[opening.start() : end]
        yield True, block if closing else f"{block.rstrip()}\n{opening.group(1)}"
        position = end
    if position < len(draft):
        yield False, draft[position:]


def _harmless(text: str, addresses: Collection[str], removed: list[str]) -> str:
    """Without images, links, addresses and HTML, code spans left alone."""

    def drop(match: re.Match[str]) -> str:
        removed.append(match.group())
        return ""

    def link(match: re.Match[str]) -> str:
        removed.append(match.group())
        return match.group(1)

    def address(match: re.Match[str]) -> str:
        if match.group().strip("<>") in addresses or _LOCAL.match(match.group()):
            return f"`{match.group().strip('<>')}`"
        return drop(match)

    def tag(match: re.Match[str]) -> str:
        if match.group(1).lower() in _HTML:
            return drop(match)
        return match.group() if re.fullmatch(r"</?\s*passage\s+.*", match.group(), re.IGNORECASE) else f"`{match.group()}`"

    def clean(prose: str) -> str:
        for pattern, change in ((_SCRIPT, drop), (_IMAGE, drop), (_DEFINITION, drop), (_LINK, link), (_ADDRESS, address)):
            prose = pattern.sub(change, prose)
        return "".join(piece if code else _TAG.sub(tag, piece) for code, piece in _code_spans(prose))

    return "".join(piece if code else clean(piece) for code, piece in _code_spans(text))


def _code_spans(text: str) -> Iterator[tuple[bool, str]]:
    position = 0
    for match in _CODE.finditer(text):
        yield False, text[position : match.start()]
        yield True, match.group()
        position = match.end()
    yield False, text[position:]


def _canonical_labels(text: str) -> str:
    """Every way to write a label as ``[n]``; the words around it that only introduce it go with it."""

    def expand(match: re.Match[str]) -> str:
        wanted = next(group for group in match.groups() if group)
        found: list[int] = []
        for piece in re.split(r"\s*(?:,|;|&|and|und|和|、)\s*", wanted):
            ends = [int(number) for number in re.findall(r"\d+", piece)]
            found.extend(range(ends[0], ends[-1] + 1) if ends[0] <= ends[-1] else ends)
        if 0 in found:  # an interval or an index, not a label
            return match.group()
        return "".join(f"[{number}]" for number in dict.fromkeys(found))

    def canonical(prose: str) -> str:
        prose = _BARE.sub(expand, _BRACKETED.sub(expand, prose))
        prose = re.sub(rf"([。！？])\s*({_LABELS})", r"\2\1", prose)
        for pattern in (_ATTRIBUTION, _SAYS):
            prose = pattern.sub(lambda match: "".join(match.group() for match in _LABEL.finditer(match.group(1))) + " ", prose)
        return prose

    return "".join(piece if code else canonical(piece) for code, piece in _code_spans(text))


def _prose(text: str, offered: int, removed: list[str], *, first: bool) -> Iterator[Part]:
    """Parts of text without fenced code: line structure first, sentences inside it."""
    held: list[Part] = []
    for layout, line in _lines(text):
        if _RULE.match(line) or _SOURCES.fullmatch(line):
            kind: Kind = "frame" if "|" in line else "filler"
            held.append(Part(kind, layout, line))
            continue
        if _HEADING.match(line):
            held.append(Part("frame", layout, _LABEL.sub("", line).rstrip()))
            continue
        spans = [(0, len(line))] if line.startswith("|") else sentence_spans(line)
        for number, (start, end) in enumerate(spans):
            before = layout if number == 0 else line[spans[number - 1][1] : start] or " "
            sentence, labels = _take_labels(line[start:end], offered, removed)
            if not sentence.strip(" .,;:|*_-"):
                if held and labels:
                    last = held[-1]
                    held[-1] = Part(last.kind, last.layout, last.text, tuple(dict.fromkeys((*last.labels, *labels))))
                continue
            held.append(Part(_kind(sentence), before, sentence, labels))
    for number, part in enumerate(held):
        yield Part(part.kind, part.layout.lstrip("\n") if first and number == 0 else part.layout, part.text, part.labels)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """(layout, line): a paragraph is one line, a list item with its continuation is one line."""
    layout, paragraph, breaks = "", "", 0
    for number, raw in enumerate(text.split("\n")):
        breaks += number > 0
        prefix = _PREFIX.match(raw)
        mark = prefix.group() if prefix and prefix.group().strip() else ""
        body = raw[len(mark) :].strip()
        rule = bool(_RULE.match(raw)) and "|" not in raw
        alone = bool(mark) or body.startswith("|") or bool(_HEADING.match(body)) or not body or rule
        opens = re.match(r"\[\d{1,2}\]\s*\w", body) and re.search(
            r"[.!?。！？]\W*$", paragraph
        )  # "[2] The next sentence" on a line of its own
        if paragraph and (alone or opens or paragraph.startswith("|") or _HEADING.match(paragraph)):
            yield layout, paragraph
            paragraph = ""
        if not body or rule:
            continue
        if paragraph:
            paragraph += f" {body}"
        else:
            layout, paragraph = "\n" * min(breaks, 2) + mark, body
        breaks = 0
    if paragraph:
        yield layout, paragraph


def _take_labels(sentence: str, offered: int, removed: list[str]) -> tuple[str, tuple[int, ...]]:
    labels: list[int] = []

    def take(match: re.Match[str]) -> str:
        number = int(match.group(1))
        if number == 0:
            return match.group()
        if number <= offered:
            labels.append(number)
        else:
            removed.append(f"[{number}]")
        return ""

    pieces = [piece if code else re.sub(r"\s*\[(\d{1,2})\]", take, piece) for code, piece in _code_spans(sentence)]
    text = re.sub(r"[ \t]{2,}", " ", "".join(pieces)).strip()
    text = re.sub(r"\s+([.,;:!?])(?=\s|$)", r"\1", re.sub(r"^(?:[,;:\s]|(?:[-*+•>]|#{1,6}|\d{1,3}[.)])\s)+", "", text))
    if labels and text[:1].islower() and sentence.lstrip().startswith("["):
        text = text[0].upper() + text[1:]
    return text, tuple(dict.fromkeys(labels))


def _kind(sentence: str) -> Kind:
    if _HEADING.match(sentence):
        return "frame"
    if _FILLER.search(sentence) and not _LEAD_IN.search(sentence):
        return "filler"
    if _DECLINE.search(sentence):
        return "decline"
    if _LEAD_IN.search(sentence) or _QUESTION.search(sentence) or _SHORT.match(sentence) or not terms(sentence):
        return "frame"
    return "claim"

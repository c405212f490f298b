"""Transcripts of videos to paragraphs: WebVTT, SubRip, and what a video page shows beside the player, times between the lines."""

from __future__ import annotations

import html
import re

_TIME = r"(?:\d{1,2}:)?\d{1,2}:\d{2}(?:[.,]\d{1,3})?"
_TIMED = re.compile(rf"[ \t]*[(\[]?{_TIME}[)\]]?(?:[ \t]*-->[ \t]*{_TIME}[^\n]*)?[ \t]*")
"""A line that holds a time, or a span of time with the settings of its cue, and nothing else."""
_HEAD = re.compile(r"WEBVTT\b[^\n]*(?:\n[^\n]+)*")
_BLOCK = re.compile(r"^(?:NOTE|STYLE|REGION)\b[^\n]*(?:\n[^\n]+)*", re.MULTILINE)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>|<\d[\d:.]*>")
_PARAGRAPH = 600
"""Characters after which a paragraph ends with its sentence; speech without full stops ends with its line at half as many again."""


def is_transcript(source: str) -> bool:
    """Whether at least every fourth line that is not empty holds a time alone, or the text says that it is WebVTT."""
    lines = [line for line in source[:20_000].splitlines() if line.strip()]
    timed = sum(_TIMED.fullmatch(line) is not None for line in lines)
    return source.startswith("WEBVTT") or (timed >= 3 and timed * 4 >= len(lines))


def read_transcript(source: str) -> str:
    """What is said, without times, counters, notes and tags; a line that captions repeat as they roll stands once."""
    body = _BLOCK.sub("", _HEAD.sub("", source, count=1) if source.startswith("WEBVTT") else source)
    said: list[str] = []
    lines = body.splitlines()
    for number, line in enumerate(lines):
        counts = line.strip().isdigit() and number + 1 < len(lines) and "-->" in lines[number + 1]
        text = re.sub(r"\s+", " ", html.unescape(_TAG.sub("", line))).strip()
        if text and not counts and not _TIMED.fullmatch(line) and text not in said[-2:]:
            said.append(text)
    paragraphs: list[str] = []
    paragraph = ""
    for text in said:
        paragraph = f"{paragraph} {text}".strip()
        if len(paragraph) >= (_PARAGRAPH if paragraph[-1] in ".?!…。" else _PARAGRAPH * 1.5):
            paragraphs.append(paragraph)
            paragraph = ""
    return "\n\n".join([*paragraphs, paragraph] if paragraph else paragraphs)

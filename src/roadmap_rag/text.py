"""Words and sentences: the one notion of both that chunks, the lexical index, retrieval and the checking of answers share.

Sentences are found by punctuation and what follows it, with the abbreviations that technical English is full of; a library for this
(pysbd, NLTK's punkt) is slower by far or downloads a model. Words keep the spellings that matter in this field: ``num_ctx``,
``bge-small``, ``8-bit`` and ``c++`` are each one word, and a compound is also found by its parts. Stems are Snowball's (PyStemmer).
"""

from __future__ import annotations

import functools
import re
import unicodedata

# A full stop after these does not end a sentence.
_ABBREVIATIONS = frozenset(
    """e.g i.e cf vs etc al fig figs eq eqs sec secs ch ref refs tab no nos vol pp p ed eds approx resp dr mr mrs ms prof inc ltd st
    dept est""".split()
)
_BOUNDARY = re.compile(
    r"""([.!?…]+["'”’)\]*_`]*(?:\s*\[\d+(?:\s*,\s*\d+)*\])*)(?=\s)"""  # a stop, closing marks, and labels such as [2]
    r"""|[。！？]+["”’」）]*"""
    r"""|\n[ \t]*\n+"""
    r"""|\n(?=[ \t]*(?:[-*+]|\d{1,3}[.)]|#{1,6})[ \t])"""  # the next item of a list, a heading
)
_STARTS_LOWER = re.compile(r"\s+[\"'“‘(\[*_`]*[a-z]")
_LIST_NUMBER = re.compile(r"^\s*\d{1,3}$")
_INITIAL = re.compile(r"(?:^|[\s(.])[A-Z]$")

_WORD = re.compile(r"[^\W_]+(?:[-_.'’/+#&][^\W_]+)*(?:\+\+|#)?", re.UNICODE)
_PARTS = re.compile(r"[-_.'’/+#&]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?", re.UNICODE)

# Words that carry no subject. Question words are here too: a question is searched by what it is about.
STOP_WORDS = frozenset(
    """
    a about above actually after again against all also am an and any are aren't as at be because been before being below between
    both but by can can't cannot could couldn't describe did didn't do does doesn't doing don't down during each either else
    exactly explain few for from further get give given got had has have having he her here hers him his how however i i'd i'm
    i've if in into is isn't it it's its itself just know let's like made make makes many may me mean means might more most much
    must my need needs no nor not of off on once one only or other our ours out over own per please rather really said same say
    says shall she should so some someone something such tell than that that's the their theirs them then there there's these they
    thing things this those through to too under until up upon us use used uses using very via want was wasn't way ways we we're
    were what what's when where whether which while who whom whose why will with within without won't would yet you you're your
    yours
    """.split()
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Sentences as (start, end) offsets, in order, without the white space around them; together they hold every other character."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        end = match.end()
        if match.group(1) is not None and _continues(text, start, match.start(1), end):
            continue
        if match.group().isspace():
            end = match.start()
        _append(spans, text, start, end)
        start = match.end()
    _append(spans, text, start, len(text))
    return spans


def _continues(text: str, start: int, stop: int, end: int) -> bool:
    """Whether the punctuation at ``stop`` belongs to an abbreviation, an initial, a list number, or is followed by a small letter."""
    if text[stop] in "!?":
        return False
    before = text[start:stop]
    word = re.split(r"[\s(\[]", before)[-1].lower()
    if word in _ABBREVIATIONS or _INITIAL.search(before) or _LIST_NUMBER.match(before.rsplit("\n", 1)[-1]):
        return True
    return bool(_STARTS_LOWER.match(text, end)) and "\n" not in text[end : end + 2]


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        begin = start + len(piece) - len(piece.lstrip())
        spans.append((begin, begin + len(stripped)))


def words(text: str) -> list[str]:
    """Words in order, case-folded, accents kept; each Han character is a word of its own."""
    found: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match.group()
        if _HAN.search(word):
            found.extend(piece for piece in re.split(r"([\u3400-\u9fff\uf900-\ufaff])", word) if piece)
        else:
            found.append(word)
    return found


@functools.lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Snowball's English stem; words with a digit or an inner mark stay as they are."""
    return word if not word.isalpha() else str(_stemmer().stemWord(word))


@functools.cache
def _stemmer():  # type: ignore[no-untyped-def]
    import Stemmer

    return Stemmer.Stemmer("english", 0)


def terms(text: str) -> list[str]:
    """Search terms in order: stems of the words that are no stop words; a compound is followed by its parts."""
    found: list[str] = []
    for word in words(text):
        word = word.removesuffix("'s").removesuffix("’s")
        if word in STOP_WORDS:
            continue
        found.append(stem(word.replace("'", "").replace("’", "")))
        parts = [part for part in _PARTS.split(word) if part]
        if len(parts) > 1:
            found.extend(stem(part) for part in parts if part not in STOP_WORDS)
    return found


def numbers(text: str) -> list[str]:
    """Numbers in order, without thousands separators: "65,000" and "65000" are the same."""
    return [re.sub(r",(?=\d{3}(?:\D|$))", "", match.group()).replace("−", "-") for match in _NUMBER.finditer(text)]

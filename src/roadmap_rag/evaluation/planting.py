"""Sentences of the pages reworded by rule, and with a fault planted: what the check of claims learns from, beside the labelled ones.

Nothing of it is a claim that a person would write; it teaches where to look. A rewording keeps what is said (words of like meaning, a
bracket or an adverb left out, clauses and list items in another order, two sentences joined), a fault changes it (another number or name
of the same page, two that change places, a negation more or less, the opposite, words of another sentence).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from roadmap_rag.citations.compare import opposites
from roadmap_rag.domain import Hit
from roadmap_rag.index import Generation
from roadmap_rag.text import STOP_WORDS, sentence_spans, stem

Change = Callable[[str, str, random.Random], str | None]
"""(sentence, text around it, chance) to the changed sentence, or None where it does not apply."""

_ALIKE = [
    tuple(pair.split(":"))
    for line in """
use:utilize;uses:relies on;used:employed;allows:lets;allow:let;enables:allows;shows:demonstrates;show:demonstrate;large:big
whole:entire;helps:aids;many:numerous;several:multiple;method:technique;approach:method;methods:techniques;approaches:methods
in order to:to;such as:like;for example,:e.g.;however,:;also:;very:;simply:;really:;therefore,:;moreover,:;additionally,:
get:obtain;build:create;create:build;creates:builds;gives:provides;provides:offers;offers:provides;choose:pick;choose:select
start:begin;starts:begins;because:since;since:because;while:whereas;important:essential;currently:;called:named
known as:called;typically:usually;often:frequently;usually:typically;need to:must;must:have to;consists of:is made up of
contains:includes;includes:contains;requires:needs;needs:requires;improve:enhance;improves:enhances;each:every;every:each
is able to:can;can:is able to;find:discover;big:large;make sure:ensure;ensure:make sure;based on:built on;refers to:is
do not:don't;does not:doesn't;cannot:can't;don't:do not;doesn't:does not;can't:cannot;isn't:is not;aren't:are not
we:the authors;our:their;you:one;you can:it is possible to;which:that;that:which;approximately:about;about:around
roughly:about;at least:no less than;less than:under;more than:over;primarily:mainly;mainly:mostly;the:;a:one;will:;just:only
does not include:leaves out
""".split("\n")
    for pair in line.split(";")
    if pair
]
"""Words and what may stand for them, nothing included."""
_DIGITS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_SPELLED = {str(value): word for word, value in _DIGITS.items()}
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*\.\d)")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_DIGITS)})\b", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w/.`_-])[A-Z][A-Za-z0-9]*[A-Za-z0-9](?:[-.][A-Za-z0-9]+)*(?![\w/_(])")
_WORD = re.compile(r"[A-Za-z][\w-]{3,}")
_RESTRICTS = re.compile(r"\b(?:if|unless|not|no|without|only|except|when|until|case)\b", re.IGNORECASE)
_VERB = r"\b(is|are|was|were|can|could|will|should|does|do|has|have|may|must|would)\b"


@dataclass(frozen=True, slots=True)
class Planted:
    """A claim beside the sentence that it was made of; ``hit`` is that sentence's neighbourhood."""

    kind: str
    claim: str
    supported: bool
    hit: Hit
    start: int
    end: int
    """Of the sentence in ``hit.text``."""


def plant(generation: Generation, chance: random.Random) -> Iterator[Planted]:
    """Pairs without end, from sentences of all pages in random order: each reworded, and with two faults."""
    places = [
        (url, passage.chunk.start, passage.chunk.section, passage.chunk.text, number)
        for url in generation.documents()
        if not url.startswith("roadmap:")
        for passage in generation.passages_of(url)
        for number, (start, end) in enumerate(sentence_spans(passage.chunk.text))
        if _is_prose(passage.chunk.text[start:end])
    ]
    while places:
        chance.shuffle(places)
        for url, offset, section, text, number in places:
            spans = sentence_spans(text)
            around = spans[max(0, number - 4) : number + 5]
            first, last = around[0][0], around[-1][1]
            title = generation.documents()[url].title
            hit = Hit(1, 1.0, False, url, title, section, text[first:last], offset + first, offset + last, None)
            start, end = spans[number]
            base = text[start:end]
            if number + 1 < len(spans) and _is_prose(text[slice(*spans[number + 1])]) and chance.random() < 0.12:
                end = spans[number + 1][1]
                base = f"{_tidy(base).rstrip('.')}{chance.choice([', and ', '; ', ', while '])}{_tidy(text[slice(*spans[number + 1])])}"
            claims = [("reworded", reword(base, chance, title), True)]
            for change in chance.sample(FAULTS, 8):
                said = reword(base, chance, title, most=1)
                changed = change(said, text, chance)
                if changed and changed != said:
                    claims.append((change.__name__.strip("_"), changed, False))
                if len(claims) == 3:
                    break
            for kind, claim, supported in claims:
                if 25 <= len(claim) <= 420:
                    yield Planted(kind, claim, supported, hit, start - first, end - first)


def _is_prose(text: str) -> bool:
    plain = "\n" not in text and text.count("|") < 3 and "http" not in text and "```" not in text
    return plain and 45 <= len(text) <= 330 and len(re.findall(r"[a-z]{2,}", text)) >= 6


def _tidy(text: str) -> str:
    text = re.sub(r"^\s*(?:[-*+>|]|\d+[.)])\s+", "", text)
    text = re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", text)).strip(" |,")
    return text[:1].upper() + text[1:]


def reword(sentence: str, chance: random.Random, title: str, most: int = 4) -> str:
    """The sentence of the page called ``title`` said a little differently."""
    text = _tidy(sentence)
    for change in chance.sample(_REWORDINGS, chance.randint(min(1, most - 1), most)):
        text = change(text, title, chance) or text
    return _tidy(text)


def _one(pattern: str | re.Pattern[str], text: str, chance: random.Random, new: Callable[[re.Match[str]], str]) -> str | None:
    """One match, chosen by chance, replaced."""
    matches = list(re.finditer(pattern, text))
    if not matches:
        return None
    match = chance.choice(matches)
    return text[: match.start()] + new(match) + text[match.end() :]


def _exchanged(text: str, first: re.Match[str], second: re.Match[str]) -> str:
    return text[: first.start()] + second.group() + text[first.end() : second.start()] + first.group() + text[second.end() :]


def _two(matches: Sequence[re.Match[str]], chance: random.Random) -> tuple[re.Match[str], re.Match[str]] | None:
    if len(matches) < 2:
        return None
    first, second = sorted(chance.sample(list(matches), 2), key=lambda match: match.start())
    return None if stem(first.group().lower()) == stem(second.group().lower()) else (first, second)


def _synonyms(text: str, _: str, chance: random.Random) -> str | None:
    for _number in range(chance.randint(1, 3)):
        found = [(old, new) for old, new in _ALIKE if re.search(rf"(?<!\w){re.escape(old)}(?!\w)", text)]
        if not found:
            return text
        old, new = chance.choice(found)
        text = _one(rf"(?<!\w){re.escape(old)}(?!\w)", text, chance, lambda _, new=new: new) or text  # type: ignore[misc]
    return re.sub(" +", " ", text)


def _without_brackets(text: str, _: str, __: random.Random) -> str | None:
    return re.sub(r"\s*\([^()]*\)", "", text)


def _without_opening(text: str, _: str, __: random.Random) -> str | None:
    return re.sub(
        r"^(?:However|Moreover|Additionally|In addition|For example|For instance|In this case|Therefore|Thus|Also|Finally|In particular|Note that|In general|Currently|Here|Then|Now|As a result|In fact)\b,?\s*",  # noqa: E501
        "",
        text,
    )


def _with_opening(text: str, _: str, chance: random.Random) -> str | None:
    opening = chance.choice(
        ["In short, ", "The passage says that ", "According to the article, ", "Yes, ", "This means that ", "In other words, "]
    )
    return opening + (text if text[1:2].isupper() else text[:1].lower() + text[1:])


def _without_tail(text: str, _: str, __: random.Random) -> str | None:
    match = re.match(r"(.{40,}?), (?:which|and|making|so|as well as|including|such as|like|where|e\.g\.)\b", text)
    return (
        match.group(1) + "." if match and not re.search(r"\b(if|unless|not|when|although|while)\b", match.group(1), re.IGNORECASE) else None
    )


def _without_aside(text: str, _: str, chance: random.Random) -> str | None:
    pattern = r", (?:which|who|where|for example|however|in turn)\b,? [^,.;:()]{4,80},(?= (?!and\b|or\b))"
    return _one(pattern, text, chance, lambda _: "")


def _without_circumstance(text: str, _: str, __: random.Random) -> str | None:
    match = re.match(r"(?:With|In|By|Using|During|As|At|On|Through|Here|To this end)\b([^,.:;]{0,70}), (?=\w)", text)
    return text[match.end() :] if match and not _RESTRICTS.search(match.group(1)) else None


def _subject_named(text: str, title: str, __: random.Random) -> str | None:
    """As a model does that was asked about a page: it says what "we", "it" or "this model" is."""
    pattern = r"^(?:We|It|They|The authors|(?:This|The) (?:paper|library|tool|model|project|framework|method|package))(?= )"
    return re.sub(pattern, name, text) if (name := _subject(title)) else None


def _setting_named(text: str, title: str, chance: random.Random) -> str | None:
    """The same about what the sentence takes for granted: "a chat engine in LlamaIndex is …"."""
    name = _subject(title)
    if not name or name.casefold() in text.casefold():
        return None
    if chance.random() < 0.3:
        return f"In {name}, {text if text[1:2].isupper() else text[:1].lower() + text[1:]}"
    place = chance.choice(("in", "of", "with"))
    return re.sub(
        r"^(\w+(?: [\w-]+){0,3}) (?=(?:is|are|can|will|has|have|uses|allows|provides|supports|requires)\b)", rf"\1 {place} {name} ", text
    )


def _subject(title: str) -> str:
    """The first name of a title that more than its first letter shows to be one."""
    return next((match.group() for match in _names(title) if re.search(r"[A-Z0-9]", match.group()[1:])), "")


def _clauses_turned(text: str, _: str, __: random.Random) -> str | None:
    match = re.match(r"((?:When|If|Since|Because|After|Before|Although|While|With|For|In) [^,.]{12,120}), ([^.]{15,})\.?$", text)
    return f"{_tidy(match.group(2))} {match.group(1)[:1].lower()}{match.group(1)[1:]}." if match else None


def _list_turned(text: str, _: str, chance: random.Random) -> str | None:
    return _one(r"([\w-]+), ([\w-]+),? (and|or) ([\w-]+)", text, chance, lambda match: f"{match[2]}, {match[1]} {match[3]} {match[4]}")


def _without_adverb(text: str, _: str, chance: random.Random) -> str | None:
    pattern = r"\b(?:\w{3,}ly|very|quite|also|just|new|simple|popular|powerful|open-source|well-known|various|different) "
    return _one(pattern, text, chance, lambda _: "")


def _number_respelled(text: str, _: str, chance: random.Random) -> str | None:
    def respelled(match: re.Match[str]) -> str:
        plain = match.group().replace(",", "")
        if plain in _SPELLED:
            return _SPELLED[plain]
        return f"{int(plain):,}" if plain == match.group() and plain.isdigit() and int(plain) > 2100 else plain

    spelled = _one(_NUMBER_WORD, text, chance, lambda match: str(_DIGITS[match.group().lower()]))
    return spelled or _one(_NUMBER, text, chance, respelled)


_REWORDINGS: list[Change] = [
    _synonyms, _synonyms, _without_brackets, _without_opening, _with_opening, _without_tail, _clauses_turned,
    _list_turned, _without_adverb, _without_adverb, _number_respelled, _without_aside, _without_aside, _without_circumstance,
    _without_circumstance, _subject_named, _subject_named, _setting_named, _setting_named, _setting_named,
]  # fmt: skip


def _other_number(text: str, around: str, chance: random.Random) -> str | None:
    def other(match: re.Match[str]) -> str:
        old = match.group().replace(",", "")
        others: list[str] = [
            each for each in _NUMBER.findall(around) if each.replace(",", "") != old and abs(len(each) - len(match.group())) < 3
        ]
        if others and chance.random() < 0.6:
            return chance.choice(others)
        if not old.isdigit():
            return f"{float(old) * chance.choice([2, 0.5, 1.1, 10, 0.1]) + 0.1:.{len(old.split('.')[1])}f}"
        value = int(old)
        if 1900 < value < 2100:
            return str(value + chance.choice([-3, -2, -1, 1, 2, 3]))
        changed = chance.choice([value * 2, value + 1, value * 10, value // 2, value + chance.randint(2, 9), value * 5])
        changed = changed if changed != value else value + 3
        return f"{changed:,}" if "," in match.group() else str(changed)

    def other_word(match: re.Match[str]) -> str:
        return chance.choice([word for word in _DIGITS if word != match.group().lower()])

    return _one(_NUMBER, text, chance, other) or _one(_NUMBER_WORD, text, chance, other_word)


def _numbers_exchanged(text: str, _: str, chance: random.Random) -> str | None:
    two = _two(list(_NUMBER.finditer(text)), chance)
    return _exchanged(text, *two) if two else None


def _names(text: str) -> list[re.Match[str]]:
    return [
        match
        for match in _NAME.finditer(text)
        if match.group().lower() not in STOP_WORDS and (match.start() > 0 or any(char.isupper() for char in match.group()[1:]))
    ]


def _other_name(text: str, around: str, chance: random.Random) -> str | None:
    def other(match: re.Match[str]) -> str:
        old = match.group().lower()
        others = [each.group() for each in _names(around) if each.group().lower() not in old and old not in each.group().lower()]
        return chance.choice(others) if others else match.group()

    found = _names(text)
    if not found:
        return None
    match = chance.choice(found)
    return text[: match.start()] + other(match) + text[match.end() :]


def _names_exchanged(text: str, _: str, chance: random.Random) -> str | None:
    two = _two(_names(text), chance)
    if two is None or re.fullmatch(r"\s*(?:,|and|or|/|&|, and|\()?\s*", text[two[0].end() : two[1].start()]):
        return None
    return _exchanged(text, *two)


def _negated(text: str, _: str, chance: random.Random) -> str | None:
    contracted = {
        "isn't": "is",
        "aren't": "are",
        "wasn't": "was",
        "doesn't": "does",
        "don't": "do",
        "can't": "can",
        "cannot": "can",
        "won't": "will",
    }
    changes: list[tuple[str, Callable[[re.Match[str]], str]]] = [
        (rf"{_VERB}(?! not|n't)", lambda match: f"{match.group()} not"),
        (rf"{_VERB}(?! not|n't)", lambda match: f"{match.group()} never"),
        (rf"{_VERB} not\b", lambda match: match.group(1)),
        (rf"\b(?:{'|'.join(contracted)})\b", lambda match: contracted[match.group()]),
        (r"\bwithout\b", lambda _: "with"),
        (r"\bwith\b", lambda _: "without"),
        (r"\bno\b", lambda _: "some"),
        (r"\ball\b", lambda _: chance.choice(["no", "few", "only some"])),
        (
            r"\b(?:uses|allows|provides|supports|requires|includes|contains|shows|makes|improves|achieves|needs|works|enables)\b",
            lambda match: f"does not {match.group()[:-1]}",
        ),
        (r"\b(?:always|usually|often)\b", lambda _: "rarely"),
        (r"\bonly\b", lambda _: chance.choice(["always", "also"])),
    ]
    chance.shuffle(changes)
    return next((changed for pattern, new in changes if (changed := _one(pattern, text, chance, new))), None)


def _opposed(text: str, _: str, chance: random.Random) -> str | None:
    table = opposites()
    found = [match for match in re.finditer(r"[A-Za-z-]+", text) if match.group().lower() in table]
    if not found:
        return None
    match = chance.choice(found)
    return text[: match.start()] + chance.choice(sorted(table[match.group().lower()])) + text[match.end() :]


def _sides_exchanged(text: str, _: str, chance: random.Random) -> str | None:
    pattern = r"\b([\w.+-]+) (?:than|instead of|rather than|to|before|after|over|into|but not|uses|requires|supports|outperforms|replaces|is|are|from|with|for|of|by|in) (?:the |a |an )?([\w.+-]+)\b"  # noqa: E501
    found = [
        match
        for match in re.finditer(pattern, text)
        if match.group(1).lower() != match.group(2).lower() and not {match.group(1).lower(), match.group(2).lower()} & STOP_WORDS
    ]
    if not found:
        return None
    match = chance.choice(found)
    return text[: match.start(1)] + match.group(2) + text[match.end(1) : match.start(2)] + match.group(1) + text[match.end(2) :]


def _words_exchanged(text: str, _: str, chance: random.Random) -> str | None:
    two = _two([match for match in _WORD.finditer(text) if match.group().lower() not in STOP_WORDS], chance)
    return _exchanged(text, *two) if two and two[1].start() - two[0].end() >= 4 else None


def _other_word(text: str, around: str, chance: random.Random) -> str | None:
    found = [match for match in _WORD.finditer(text) if match.group().lower() not in STOP_WORDS]
    own = {stem(match.group().lower()) for match in found}
    others = [word for word in re.findall(r"\b[a-z][a-z-]{3,}\b", around) if word not in STOP_WORDS and stem(word) not in own]
    if not found:
        return None
    match = chance.choice(found)
    others = [word for word in others if word[-2:] == match.group()[-2:].lower()]
    return text[: match.start()] + chance.choice(others) + text[match.end() :] if others else None


def _strengthened(text: str, _: str, chance: random.Random) -> str | None:
    stronger = chance.choice(["only", "always", "the only one that", "the first to", "exclusively"])
    return _one(
        r"\b(?:is|are|was|can|will|has|have|uses|allows|provides|supports|requires)\b",
        text,
        chance,
        lambda match: f"{match.group()} {stronger}",
    )


def _other_end(text: str, around: str, chance: random.Random) -> str | None:
    others = [
        piece
        for start, end in sentence_spans(around)
        if 40 < len(piece := " ".join(around[start:end].split())) < 300 and piece[:30] not in text
    ]
    if not others:
        return None
    mine, theirs = text.split(" "), chance.choice(others).split(" ")
    return " ".join(mine[: max(3, int(len(mine) * chance.uniform(0.35, 0.6)))] + theirs[int(len(theirs) * chance.uniform(0.4, 0.65)) :])


FAULTS: list[Change] = [
    _other_number, _other_number, _other_number, _numbers_exchanged, _numbers_exchanged,
    _other_name, _other_name, _other_name, _names_exchanged, _names_exchanged,
    _negated, _negated, _opposed, _opposed, _opposed, _sides_exchanged, _words_exchanged,
    _other_word, _other_word, _strengthened, _other_end, _other_end,
]  # fmt: skip
"""Those that apply to few sentences stand here more often."""

"""What a question asks, found by rules: the subject of a follow-up, the sides of a comparison, its language.

The rules look at function words only, which are few and known; everything else in a question is taken to be what it is about. A rule that
fires wrongly must do little harm: a side that is no comparison is only one more way of searching, and words added from an earlier turn
stand beside the question's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from roadmap_rag.domain import Turn
from roadmap_rag.text import terms, words

_PRONOUN = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|this|these|those|he|she|his|her|him|(?:the )?(?:former|latter|same|others?)|another one"
    r"|(?<!is )(?<!are )(?<!was )(?<!were )there(?! (?:is|are|was|were)\b)"
    r"|(?:does|do|did|is|was|are|of|for|with|in|on|after|before|about|by|like|than|from|to|and|why|how) that)\b",
    re.IGNORECASE,
)
_INTRODUCED = re.compile(r"\b(?:an?|my|some|someone|somebody|people|two|if|when)\b", re.IGNORECASE)
"""Words that bring something into a question, to which a pronoun after them can point."""
_CONTINUES = re.compile(r"\s*(?:and|but|so|or|also|then|what about|how about|what else|why not|for example|in which case)\b", re.IGNORECASE)
_FEW = 2
"""A question with no more terms than this and no name in it cannot stand alone after another one."""
_DEFINITION = re.compile(r"\s*(?:what|who) (?:is|are|was|were) (?:(?:a|an|the) )?[\w-]+(?: [\w-]+){0,3}\s*\?*\s*$", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W_][\w.'’+-]*")

_QUESTION_WORD = r"(?:which|what|how|who|where|when|why)\b"
_CLAUSES = re.compile(rf"(?P<first>.+?),?\s+(?:and|while|whereas|but)\s+(?P<second>{_QUESTION_WORD}.+)$", re.IGNORECASE)
_LEAD = re.compile(rf"[^,?]+, (?={_QUESTION_WORD})", re.IGNORECASE)
_COORDINATOR = re.compile(
    r"\s+(and|versus|vs\.?|or|than|compared (?:with|to)|compares? (?:with|to)|against|with|unlike|whereas|while|but)\s+"
    r"|(,)\s+(?:and\s+|while\s+)?",
    re.IGNORECASE,
)
_COMPARES = re.compile(r"\b(?:each|both|versus|vs|compar\w+|differ\w*|than|respectively|unlike|whereas|rather than)\b", re.IGNORECASE)
_WEIGHTS = {"and": 1.0, "or": 0.5, "with": 0.2, "against": 0.2, "than": 1.5, "versus": 2.0, "vs": 2.0, "vs.": 2.0, ",": -0.5, "but": 0.0}
_FILLERS = re.compile(r"\b(?:each|both|respectively)\b ?", re.IGNORECASE)
_BOUNDARY = frozenset(
    """how do does did is are was were what which who whom whose when where why in on at for from by with without to into of about as can
    could would should will the that while if than then there it they them their its each both either only more less better worse same
    different difference differ differs compare compares compared between among under over per use uses used offer offers give gives gets
    get keep keeps handle handles find finds need needs let lets have has had be been being start starts cover covers claim
    claims""".split()
)
_PLACES = frozenset("in on at for from by with of to".split())
_LONGEST_SIDE = 6
_NAMES = re.compile(r"[A-Z0-9]|\w[._+#]\w")
"""Letters as in names: capitals, digits, and marks inside a word, as in llama.cpp."""


_FOREIGN = frozenset(
    """der das und ist wie wird werden nicht ein eine einen mit für auf welche welcher welches warum zwischen bei sich kann ich
    le la les des est une que qu'est quels quelle quel comment pourquoi dans avec pour sur entre ce cette sont
    el los las una qué cómo cuál por para con es del cuáles il gli è uno che come perché quali della nel sono
    os um uma não qual são como da het een wat hoe waarom zijn voor""".split()
)
_ENGLISH = frozenset("the is are what how which of to a an and does do why when where for with on can it that this be i my".split())


def make_standalone(question: str, history: Sequence[Turn], is_subject: Callable[[str], bool] = lambda _: False) -> str:
    """The question with what it leaves out: before a follow-up stand the user's last question that stood alone, and those since.

    ``is_subject`` says whether a text names something that the roadmap knows.
    """
    asked = [turn.content.strip() for turn in history if turn.role == "user" and turn.content.strip()]
    if not asked or not points_back(question, is_subject):
        return question
    start = len(asked) - 1
    while start > 0 and points_back(asked[start], is_subject):
        start -= 1
    return " ".join([*asked[start:], question])


def points_back(question: str, is_subject: Callable[[str], bool] = lambda _: False) -> bool:
    """Whether a question needs an earlier turn: a pronoun, an opening such as "and", or no subject of its own."""
    pronoun = _PRONOUN.search(question)
    if pronoun is not None and not _has_name(before := question[: pronoun.start()]) and not _INTRODUCED.search(before):
        return True
    if _CONTINUES.match(question) is not None:
        return True
    if _DEFINITION.match(question) or _has_name(question):
        return False
    return len(set(terms(question))) <= _FEW or not is_subject(question)


def _has_name(question: str) -> bool:
    """Whether a word is written as names are: a capital inside the sentence, or two capitals, or letters with digits."""
    return any(
        (place > 0 and word[0].isupper() and word != "I" and not word.startswith("I'"))
        or sum(character.isupper() for character in word) > 1
        or (any(map(str.isdigit, word)) and any(map(str.isalpha, word)))
        for place, word in enumerate(_TOKEN.findall(question))
    )


def sides(question: str) -> tuple[str, ...]:
    """The two questions that a comparison asks, one for each side; empty for any other question."""
    text = question.strip().rstrip("?.!")
    return _two_clauses(text) or _two_names(text)


def _two_clauses(text: str) -> tuple[str, ...]:
    """ "How large is A, and how fast is B" holds two questions; the second may leave out what it shares with the first."""
    opening = _LEAD.match(text)
    lead = opening.group() if opening else ""
    match = _CLAUSES.match(text[len(lead) :])
    if match is None or not re.match(_QUESTION_WORD, match["first"], re.IGNORECASE) or len(match["first"].split()) <= 3:
        return ()
    first, second = match["first"], match["second"]
    length = len(second.split())
    if length < 2 or not (_NAMES.search(second) or length > 4):
        return ()
    complete = length > 9 or re.match(r"(?:how|what|when|why|where)\b", second, re.IGNORECASE)
    if complete:
        return lead + first, lead + second
    shared = re.split(r"\s+(?:for|in|by|of|at|with|from|on|does|do|did|the)\s", f"{first} ", maxsplit=1)[0]
    return lead + first, f"{lead}{shared} {second}"


def _two_names(text: str) -> tuple[str, ...]:
    """ "How do A and B each do this" asks the same of two things: the words around the coordinator, up to the next function word."""
    best: tuple[float, str, str] | None = None
    for match in _COORDINATOR.finditer(text):
        before, after = text[: match.start()].split(), text[match.end() :].split()
        left = _run_back(before)
        if after and after[0].lower() in _PLACES & {word.lower() for word in before[-len(left) - 2 : -len(left)]}:  # "in A and in B"
            after = after[1:]
        right = _run_on(after)
        if not left or not right:
            continue
        coordinator = (match.group(1) or ",").lower()
        weight = _WEIGHTS.get(coordinator, 1.5) + (any(map(_NAMES.search, left)) and any(map(_NAMES.search, right)))
        if best is None or weight > best[0]:
            start, end = before[: len(before) - len(left)], after[len(right) :]
            best = (weight, " ".join([*start, *left, *end]), " ".join([*start, *right, *end]))
    if best is None or best[0] < (1.0 if _COMPARES.search(text) else 1.9):
        return ()
    return _FILLERS.sub("", best[1]), _FILLERS.sub("", best[2])


def _run_back(before: Sequence[str]) -> list[str]:
    run: list[str] = []
    for word in reversed(before):
        if word.lower().strip(",.:;") in _BOUNDARY or (run and word.endswith((",", ";"))) or len(run) == _LONGEST_SIDE:
            break
        run.insert(0, word)
    return run


def _run_on(after: Sequence[str]) -> list[str]:
    run: list[str] = []
    for word in after:
        plain = word.lower().strip(",.:;")
        if plain in _BOUNDARY and not (not run and plain in ("the", "a", "an")):
            break
        run.append(word)
        if word.endswith((",", ":", ";")) or len(run) == _LONGEST_SIDE:
            break
    return run


def is_english(question: str) -> bool:
    """Whether an English-only embedder can read it: Latin letters, and no more function words of another language than of English."""
    letters = [character for character in question if character.isalpha()]
    if sum(ord(character) > 0x24F for character in letters) > 0.3 * len(letters):
        return False
    found = words(question)
    return sum(word in _FOREIGN for word in found) <= sum(word in _ENGLISH for word in found)

"""Whether the passages say what is asked for, as far as words can tell.

A near miss (the right subject, but the fact that is asked for stands nowhere) retrieves passages that look as good as those of a question
that is answered: closeness, rare words and relevance do not tell them apart. Four things do. Names that no passage has; names that the
best document lacks; for a question that names its subject, other words that nothing in the subject's document holds; and how much better
the best sentence of all matches the question than the best that states a thing of the kind asked for (``asked``): a price, a duration, a
number of that noun, a person. The weights are fitted to the golden questions (``constants.json``, by ``roadmap_rag.evaluation.refusals``).
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadmap_rag.citations.compare import Vocabulary, context_words, names_missing, read, vocabulary
from roadmap_rag.citations.render import Verified, without_labels
from roadmap_rag.domain import Hit
from roadmap_rag.quotes.asked import NUMERIC, answers, described, states, states_number, wanted
from roadmap_rag.text import STOP_WORDS, sentence_spans, stem, terms, words

CONSTANTS = Path(__file__).with_name("constants.json")
FEATURES = ("names missing", "names not in document", "words not in document", "kind further off")

_DOCUMENTS = 4
"""Documents of the passages that are looked through, in the order of their best passage."""
_IN_SENTENCE_BEFORE, _IN_HEADING = 0.7, 0.5
"""What a word of the question counts that stands one sentence earlier, or in the heading above."""
_TELLING = 0.35
"""A name tells something when its rarity is above this share of the greatest: GPU and LLM do not."""
_QUIET = 0.4
_QUIET_WORDS = frozenset(
    """author authors paper page article guide tutorial post blog team readme work name names named kind kinds type types number numbers
    default defaults example case thing use using need needs works take takes get gets come comes go goes let set sets best good better
    well one two still just even already first last new own people person many much long often fast far high large big little
    kb mb gb tb gib ms ghz""".split()
)
"""Words that ask more than they say; they count for less, and are never missed."""
_COMPARES = re.compile(
    r"\b(?:each|both|versus|vs|compar\w+|differ\w*|respectively|apart|than)\b|,? and (?:which|what|how|why|where|when|in the|those|for)\b|: |"
    r"(?-i:[\w.-]*[A-Z][\w.-]* (?:and|or) (?:the |for |in |on |of |by |its |does |which )?[\w.-]*[A-Z])",
    re.IGNORECASE,
)
"""A question with two subjects: its names may stand in several documents."""
_FOREIGN = re.compile(
    r"\b(?:der|die|das|und|ist|wie|wird|nicht|ein|eine|welche\w*|warum|le|les|des|est|pour|el|los|una|por|para)\b|[\u3400-\u9fff]",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"-(?:like|style|based|class|size|sized|type|only|driven|tuned|trained|guided)$")
_COMPOUND = re.compile(r"-[a-z]{4,}$")
"""LLM-written is no name, whatever its first part is."""
_CLEARLY = 0.1
"""From this gap on a refusal says that the kind of thing asked for is missing."""
_PARTS = re.compile(r"[-_./+#]")
_SPELLED = re.compile(r"\b[A-Za-z]{5,}\b")
"""Words that are looked at for slips."""
_LONG_NAME = 5
"""A name of so many letters is also found inside a word, or in the address."""
_CELL_LINES = 600
"""A stretch without sentence ends that is longer than this, such as a table, is read line by line."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is stored beside the passages that were found.

    ``frequencies`` says in how many of all ``passages`` each search term stands, ``text`` gives a whole document by its address.
    """

    passages: int
    frequencies: Callable[[Collection[str]], Mapping[str, int]]
    text: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Answerability:
    """``chance`` that the passages answer, 0 to 1; ``missing``: names of the question that no passage has, as the question writes them.

    ``lacking`` says in a clause what speaks against an answer, and is empty where nothing does that can be named.
    """

    answerable: bool
    chance: float = 1.0
    missing: tuple[str, ...] = ()
    lacking: str = ""
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as words of a question are looked for in it."""

    vocabulary: Vocabulary
    words: frozenset[str]
    plain: str

    def holds(self, word: str) -> bool:
        bare = _SUFFIX.sub("", word)
        return (
            self.vocabulary.covers(stem(word))
            or self.vocabulary.covers(stem(bare))
            or not names_missing(frozenset((bare,)), self.words)
            or (len(bare) >= _LONG_NAME and bare in self.plain)
        )


def answerability(question: str, hits: Sequence[Hit], corpus: Corpus | None = None) -> Answerability:
    """An estimate for a question and the passages found for it; without a corpus the passages are all that is known."""
    if not hits:
        return Answerability(False, 0.0)
    known = constants()
    question = _respell(question, hits, corpus or _only(hits))
    features, missing = measure(question, hits, corpus)
    probability = chance(features, known["weight"], known["bias"])
    return Answerability(probability >= known["threshold"], probability, missing, _lacking(question, features, missing), features)


def _lacking(question: str, features: Mapping[str, float], missing: Sequence[str]) -> str:
    if missing:
        return f"no passage mentions {' or '.join(missing)}"
    thing = described(question)
    return f"no passage that fits gives {thing}" if thing and features["kind further off"] >= _CLEARLY else ""


def chance(features: Mapping[str, float], weights: Mapping[str, float], bias: float) -> float:
    score = bias + sum(weight * features[name] for name, weight in weights.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def measure(question: str, hits: Sequence[Hit], corpus: Corpus | None = None) -> tuple[dict[str, float], tuple[str, ...]]:
    """``FEATURES``, each 0 where nothing speaks against an answer and at most 1, and the names that no passage has.

    Names count by the rarest that is missing, other words by their share; both by rarity. A question in another language than the passages
    shares too few words with them: nothing is said of it.
    """
    if _FOREIGN.search(question):
        return dict.fromkeys(FEATURES, 0.0), ()
    corpus = corpus or _only(hits)
    asked = [word for word in _words(question) if word not in STOP_WORDS]
    rarity, greatest = _rarities(asked, corpus)
    total = sum(rarity.values()) or 1.0
    known = read(question)
    names = _telling_names(question, asked, rarity, greatest)
    others = [word for word in asked if word not in names and word not in _QUIET_WORDS]
    passages = [_read(f"{hit.url} {_context(hit)}") for hit in hits]
    absent = [name for name in names if not any(passage.holds(name) for passage in passages)]
    pages = list(dict.fromkeys((hit.url, hit.title) for hit in hits if not hit.url.startswith("roadmap:")))[:_DOCUMENTS]
    held = [
        {word for word in asked if text.holds(word)}
        for url, title in pages or [(hits[0].url, hits[0].title)]
        for text in (_page(url, title, corpus),)
    ]
    best = max(held, key=lambda each: (round(sum(rarity[name] for name in names if name in each), 3), sum(rarity[word] for word in each)))
    two = bool(_COMPARES.search(question))
    within = set[str]().union(*held) if two else best
    weight_of_names = sum(rarity[name] for name in names)
    anchored = 0.0 if two or not names else sum(rarity[name] for name in names if name in best) / weight_of_names
    lacking = sum(rarity[word] for word in others if word not in within) / (sum(rarity[word] for word in others) or 1.0)
    features = {
        "names missing": max((rarity[name] for name in absent), default=0.0) / greatest,
        "names not in document": max((rarity[name] for name in names if name not in within), default=0.0) / greatest,
        "words not in document": anchored * lacking,
        "kind further off": _further_off(question, hits, passages, {word: value / total for word, value in rarity.items()}, known.numbers),
    }
    return features, _as_written(question, absent)


def off_subject(question: str, answer: Verified, hits: Sequence[Hit], corpus: Corpus) -> str:
    """What an answer is not about, in a clause; empty when nothing says so.

    It says so when no cited page has any name of the question, while the page of another passage has: that one is about it.
    """
    return _off_subject(question, answer, _names_held(question, hits, corpus))


def _off_subject(question: str, answer: Verified, held: Mapping[str, Sequence[str]]) -> str:
    if not any(held.values()) or any(held.get(citation.url) for citation in answer.citations):
        return ""
    named = list(dict.fromkeys(name for names in held.values() for name in names))
    return f"the passages that come nearest do not mention {' or '.join(_as_written(question, named))}"


def unanswered(question: str, answer: Verified, hits: Sequence[Hit], corpus: Corpus) -> str:
    """As ``off_subject``; or, in a clause, the kind of thing that was asked for and that no proved sentence gives, be it of a page that has a
    name of the question, if one has."""
    held, known = _names_held(question, hits, corpus), read(question).numbers
    if said := _off_subject(question, answer, held):
        return said
    for sentence in answer.sentences:
        urls = {answer.citations[number - 1].url for number in sentence.citations}
        about = not any(held.values()) or any(held.get(url) for url in urls)
        if urls and about and answers(without_labels(sentence.text), question, known):
            return ""
    return f"nothing that the passages prove gives {described(question)}"


def _names_held(question: str, hits: Sequence[Hit], corpus: Corpus) -> dict[str, list[str]]:
    """For the page of each passage the telling names of the question that it has."""
    asked = [] if _FOREIGN.search(question) else [word for word in _words(question) if word not in STOP_WORDS]
    rarity, greatest = _rarities(asked, corpus)
    names = [name for name in _telling_names(question, asked, rarity, greatest) if not _COMPOUND.search(name)]
    return {hit.url: [name for name in names if _page(hit.url, hit.title, corpus).holds(name)] for hit in hits}


def _telling_names(question: str, asked: Sequence[str], rarity: Mapping[str, float], greatest: float) -> list[str]:
    known = read(question).names
    return [word for word in asked if word in known and word not in _QUIET_WORDS and rarity[word] > _TELLING * greatest]


def _as_written(question: str, names: Sequence[str]) -> tuple[str, ...]:
    written = {word.casefold(): word for word in re.findall(r"[\w./+#-]*\w", question)}
    return tuple(written.get(name, name) for name in names)


def _further_off(
    question: str, hits: Sequence[Hit], passages: Sequence[_Text], weights: Mapping[str, float], known: frozenset[float]
) -> float:
    """How much more of the question the best sentence and its passage hold than the best that states a thing of the kind asked for.

    What is counted may be called by another noun and a unit be written in ways unforeseen, so a sentence with any number of its own is worth
    half the way.
    """
    kind = wanted(question)
    if kind.kind == "anything":
        return 0.0
    best = stating = counting = 0.0
    for hit, passage in zip(hits, passages, strict=True):
        around = sum(weight for word, weight in weights.items() if passage.holds(word))
        above = vocabulary(f"{hit.title} {hit.section}")
        before = Vocabulary(())
        for sentence in _sentences(hit.text):
            own = vocabulary(sentence)
            share = (_share(weights, own, before, above) + around) / 2
            best = max(best, share)
            if share > stating and states(sentence, kind, question, known):
                stating = share
            if share > counting and kind.kind in NUMERIC and states_number(sentence, known):
                counting = share
            before = own
    return best - max(stating, (stating + counting) / 2)


def _share(weights: Mapping[str, float], own: Vocabulary, before: Vocabulary, above: Vocabulary) -> float:
    def part(word: str) -> float:
        if _covers(own, word):
            return 1.0
        return _IN_SENTENCE_BEFORE if _covers(before, word) else _IN_HEADING if _covers(above, word) else 0.0

    return sum(weight * part(word) for word, weight in weights.items())


def _covers(found: Vocabulary, word: str) -> bool:
    """Whether the word is there, or all parts of a compound."""
    return found.covers(stem(word)) or all(found.covers(stem(part)) for part in _PARTS.split(word))


def _sentences(text: str) -> list[str]:
    found = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        found.extend([line for line in sentence.split("\n") if line.strip()] if len(sentence) > _CELL_LINES else [sentence])
    return found


def _respell(question: str, hits: Sequence[Hit], corpus: Corpus) -> str:
    """The question with slips put right: words that stand nowhere, while a passage has them with two neighbouring letters swapped, or one
    letter more or fewer. The first letter is trusted, and so is another letter in place of one: Mixtral is not Mistral."""
    found = {word: terms(word) for word in set(_SPELLED.findall(question))}
    counts = corpus.frequencies({part for parts in found.values() for part in parts})
    unknown = [word for word, parts in found.items() if not any(part in counts for part in parts)]
    if not unknown:
        return question
    seen = {word for hit in hits for word in words(_context(hit))}
    for word in unknown:
        if meant := _meant(word.casefold(), seen):
            question = re.sub(rf"\b{word}\b", meant, question)
    return question


def _meant(word: str, seen: Collection[str]) -> str | None:
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(1, len(word) - 1)} - {word}
    longer = [other for other in seen if len(other) == len(word) + 1 and other[0] == word[0] and word in _shortened(other)]
    return min([*(swapped | _shortened(word)).intersection(seen), *longer], default=None)


def _shortened(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(1, len(word))}


def _words(question: str) -> list[str]:
    bare = (word.removesuffix("'s").removesuffix("’s") for word in words(question))
    return list(dict.fromkeys(word for word in bare if any(char.isalnum() for char in word)))


def _rarities(asked: Sequence[str], corpus: Corpus) -> tuple[dict[str, float], float]:
    """Inverse document frequency of each word, of a compound by its rarest part, and that of a word that stands nowhere."""
    parts = {word: terms(word) for word in asked}
    counts = corpus.frequencies({part for found in parts.values() for part in found}) if parts else {}

    def rarity(word: str) -> float:
        count = min((counts[part] for part in parts[word] if part in counts), default=0)
        value = math.log(1 + (corpus.passages - count + 0.5) / (count + 0.5))
        return value * (_QUIET if word in _QUIET_WORDS else 1.0)

    return {word: rarity(word) for word in asked}, math.log(2 + 2 * corpus.passages)


def _only(hits: Sequence[Hit]) -> Corpus:
    """The passages themselves as all that is known."""

    def frequencies(wanted: Collection[str]) -> Mapping[str, int]:
        seen = [vocabulary(_context(hit)) for hit in hits]
        counts = {word: sum(each.covers(word) for each in seen) for word in wanted}
        return {word: count for word, count in counts.items() if count}

    return Corpus(len(hits), frequencies, lambda url: "\n".join(hit.text for hit in hits if hit.url == url))


@functools.lru_cache(maxsize=256)
def _read(text: str) -> _Text:
    return _Text(vocabulary(text), context_words(text), text.casefold())


def _page(url: str, title: str, corpus: Corpus) -> _Text:
    return _read(f"{url} {title}\n{corpus.text(url) or ''}")


def _context(hit: Hit) -> str:
    return f"{hit.title}\n{hit.section}\n{hit.text}"


@functools.cache
def constants() -> Any:
    return json.loads(CONSTANTS.read_text("utf-8"))

"""Names in a question: which words of it mean a topic, a path, a part or a section.

A topic is called by its title, id, the names other paths give it, and the pieces of those ("GGUF" for "GGUF and llama.cpp", "SFT" for
"Supervised Fine-Tuning (SFT)"); a concept leads to its topic, and so do, more weakly, the parts of a concept and the skills. Names are
compared by stems, without articles and hyphens, so that plurals, "fine tuning" and "fine-tuning" are one; a word that stands nowhere in
the roadmap is read as the one word in it that it misspells, if there is just one.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from roadmap_rag.domain import Part, Path, Section
from roadmap_rag.roadmap.graph import Roadmap
from roadmap_rag.text import STOP_WORDS, stem

# A name gives way to a stronger one: what a topic is called, what a concept of it is called, what merely stands under a concept.
TITLE, CONCEPT, DETAIL = 0, 1, 2

# Words that name a concept in some document and mean anything in a question.
_TOO_GENERAL = frozenset(
    """advanced advanced_topics gpu gpus cuda hardware adaptation api apis applications architecture base_techniques best_practices
    chat class code compression core_components data documents essential_tools evaluation_metrics fundamentals general generation
    human impact instruction judge level list llm llms libraries loading machine_learning memory_savings model models
    modern_approaches monitoring networks overview planning practice privacy production purpose quality research retrieval role
    sampling skills structure summary summarization summarisation test text tools top topic tracing training training_parameters
    training_techniques variants visualization work frameworks deployment security performance safety technique advanced_technique
    language_models scaling testing optimization basics integration concepts programming statistics algorithms transfer_learning
    efficiency inference""".split()
)

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_NUMBERS |= {"i": 1, "ii": 2, "iii": 3, "iv": 4}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "last": -1}
_ORDINALS |= {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "final": -1}
_PART_NOUNS = ("part", "parts", "segment", "track", "block", "stage", "phase", "module", "unit", "pt")
_SECTION_NOUNS = ("section", "sections", "sec")
_EITHER = ("chapter", "chapters")
_NUMBERED = (*_PART_NOUNS, *_SECTION_NOUNS, *_EITHER)
PATH_NOUNS = ("path", "roadmap", "list", "curriculum", "syllabus", "course", "plan", "document", "guide", "post", "route", "one")

_TOKEN = re.compile(r"[^\W_]+(?:\.[^\W_]+)*(?:\+\+|\+(?!\w)|#)?")
_PARENTHESES = re.compile(r"\s*\([^)]*\)")
_INSIDE = re.compile(r"\(([^)]*)\)")
_ENDINGS = (" for machine learning", " for ML", " language models", " LLMs", " basics")
_KEPT_WORDS = 20_000
_SMALL = frozenset({"the", "a", "an", "and"})
_SPELLING = re.compile(r"(?<=\w{4})is(e|es|ed|ing|er|ers|ation|ations)$")
_REWRITTEN = {
    "'": (
        (re.compile(r"\b(what|where|who|how|that|it|there|which)'s\b"), r"\1 is"),
        (re.compile(r"\bi'm\b"), "i am"),
        (re.compile(r"\bi'(?:ve|d|ll)\b"), "i have"),
        (re.compile(r"n't\b"), " not"),
        (re.compile(r"'(?:s|re)\b"), ""),
    ),
    "tun": ((re.compile(r"\bfine[ -]?tun"), "fine tun"),),
    "train": ((re.compile(r"\b(pre|post)[ -]?train"), r"\1 train"),),
}
_SLIPS = {
    "vs": "versus", "pls": "please", "plz": "please", "u": "you", "hav": "have", "lern": "learn", "befor": "before", "wich": "which",
    "wat": "what",
    "wht": "what", "teh": "the", "abt": "about", "nxt": "next", "aftr": "after", "nead": "need", "shoud": "should", "shuld": "should",
    "dificult": "difficult", "topik": "topic", "topiks": "topics", "lvl": "level", "prereqs": "prerequisites", "prereq": "prerequisite",
}  # fmt: skip
_SYNONYMS = {"math": "math", "maths": "math", "mathemat": "math", "llms": "llm", "defenc": "defens", "vs": "versus"}


Around = tuple[list[str], list[str]]
"""The words just before and just after some words."""


@dataclass(frozen=True)
class Place:
    """A part of a path, or with ``section`` one section of that part."""

    path: Path
    part: Part
    section: Section | None = None


@dataclass(frozen=True)
class Mention:
    """Words of a question that name something. ``strength`` is TITLE, CONCEPT or DETAIL; places are in roadmap order."""

    start: int
    end: int
    topics: tuple[str, ...] = ()
    strength: int = TITLE
    path: Path | None = None
    places: tuple[Place, ...] = ()
    group: str = ""
    """The part of the merged roadmap, by its title."""
    noun: str = ""
    """ "part", "section" or "topic" when the question says so beside the name."""


@dataclass
class Words:
    """A question as words. ``mentions`` do not overlap and are in order."""

    tokens: list[str]
    mentions: list[Mention] = field(default_factory=list)


def tokens_of(text: str) -> list[str]:
    """Lower-case words of a question or a name, with contractions and compounds taken apart."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("’", "'")
    text = text.casefold().replace("&", " and ")
    for sign, patterns in _REWRITTEN.items():
        if sign in text:
            for pattern, replacement in patterns:
                text = pattern.sub(replacement, text)
    return _TOKEN.findall(text)


def key_of(tokens: Iterable[str]) -> tuple[str, ...]:
    """What two spellings of one name have in common."""
    return tuple(_stem(token) for token in tokens if token not in _SMALL)


@functools.lru_cache(maxsize=20_000)
def _stem(token: str) -> str:
    token = _SYNONYMS.get(token, token)
    found = stem(_SPELLING.sub(r"iz\1", token))
    return _SYNONYMS.get(found, found)


class Names:
    """All names of a roadmap, to find them in questions."""

    def __init__(self, roadmap: Roadmap, known: Iterable[str] = ()) -> None:
        """``known`` are the words that questions about a roadmap use: a misspelt one is mended too."""
        self._roadmap = roadmap
        self._stems = {_stem(word) for word in known} | {_stem(word) for word in STOP_WORDS}
        self._topics: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
        self._short: dict[tuple[str, ...], str] = {}
        self._paths: dict[tuple[str, ...], Path] = {}
        self._places: dict[str, dict[tuple[str, ...], list[Place]]] = {}
        self._tracks: dict[tuple[str, ...], list[Place]] = {}
        prose = [topic.summary for topic in roadmap.topics] + [lab.goal for topic in roadmap.topics for lab in topic.labs]
        prose += [each.why for topic in roadmap.topics for each in topic.resources]
        self._common = set(re.findall(r"(?<![\w.])[a-z-]+(?![\w.]*\w)", " ".join(prose)))
        self._groups = {key_of(tokens_of(topic.part)): topic.part for topic in roadmap.topics}
        for topic in roadmap.topics:
            for name in (topic.title, topic.id.replace("-", " "), *topic.also_called):
                self._add(name, TITLE, topic.id, pieces=True)
            self._add_short(topic.title, topic.id)
            for concept in topic.concepts:
                self._add(concept.name, CONCEPT, topic.id)
                for part in concept.parts:
                    self._add(part, DETAIL, topic.id)
            for skill in (skill for group in topic.skills.values() for skill in group):
                self._add(skill, DETAIL, topic.id)
        for key, topic_id in self._short.items():
            if key not in self._topics or self._topics[key][0] == DETAIL:
                self._topics[key] = (CONCEPT, (topic_id,))
        for path in roadmap.paths:
            for name in _path_names(path):
                self._paths.setdefault(key_of(tokens_of(name)), path)
            self._places[path.id] = _places(path)
            for key, places in _places(path, sections=False).items():
                self._tracks.setdefault(key, []).extend(places)
        self.longest = max(map(len, (*self._topics, *self._paths, *self._tracks)), default=0) + 3
        self._openings = self._find_openings()
        names = (*self._topics, *self._paths, *self._tracks)
        self._vocabulary = {word for name in names for word in name if len(word) > 3}
        self._known = set(known)
        self.authors = {
            word
            for resources in (*(topic.resources for topic in roadmap.topics), *(path.resources for path in roadmap.paths))
            for each in resources
            for word in tokens_of(f"{each.author} {each.provider}")
            if len(word) > 1 and word not in self._common
        }
        self._spelled: dict[tuple[str, int], list[tuple[str, int]]] = {}
        titled = {token for title in _titles(roadmap) for token in tokens_of(title) if token.isalpha() and len(token) > 3}
        for word in self._known | titled:
            self._spelled.setdefault((word[0], len(word)), []).append((word, _letters(word)))
        self._looked_up: tuple[Mapping[str, str], str, dict[str, str]] = {}, "", {}
        """The texts of the last question, the same from question to question; as one in small letters; and words mended by them."""

    def _find_openings(self) -> dict[str, set[int]]:
        """The stems with which a name can begin, and how many words such names have: most words of a question begin none."""
        found: dict[str, set[int]] = {}
        places = (key for places in self._places.values() for key in places)
        for key in filter(None, (*self._topics, *self._paths, *self._tracks, *self._groups, *places)):
            found.setdefault(key[0], set()).add(len(key))
        for key in filter(None, self._paths):  # with a noun behind
            found[key[0]].add(len(key) + 1)
        for key in self._topics:  # "merging models"
            if len(key) == 2:
                found.setdefault(key[1], set()).add(2)
        return found

    def _add(self, name: str, strength: int, topic: str, *, pieces: bool = False) -> None:
        if strength == DETAIL and name.count(" ") > 5:
            return
        for variant in _variants(name, pieces=pieces):
            tokens = [token for token in tokens_of(variant) if token not in _SMALL]
            key = key_of(tokens)
            if not 0 < len(key) <= (4 if strength == DETAIL else 8) or (len(key) == 1 and tokens[0] in STOP_WORDS):
                continue
            whole = strength == TITLE and variant == name
            if not whole and ("_".join(tokens) in _TOO_GENERAL or (len(key) == 1 and (tokens[0] in self._common or key[0] in self._stems))):
                continue
            if strength == DETAIL and len(key) == 1 and len(key[0]) < 3:
                continue
            held, topics = self._topics.get(key, (strength, ()))
            if strength < held:
                self._topics[key] = (strength, (topic,))
            elif strength == held and topic not in topics:
                self._topics[key] = (strength, (*topics, topic))

    def _add_short(self, title: str, topic: str) -> None:
        """The end of a title, "fine-tuning" for "Supervised fine-tuning", as a name of the first topic that ends so."""
        tokens = tokens_of(title)
        for start in range(1, len(tokens) - 1):
            ending = "_".join(tokens[start:])
            if tokens[start] not in _SMALL and tokens[start] not in STOP_WORDS and ending not in _TOO_GENERAL:
                self._short.setdefault(key_of(tokens[start:]), topic)

    # ------------------------------------------------------------------------------------------------------------------- finding

    def read(self, question: str, texts: Mapping[str, str]) -> Words:
        """The words of a question with the names in it; longer names first, and a path's own parts and sections when it is named."""
        tokens = [self._mended(token, texts) for token in tokens_of(question)]
        taken = [False] * len(tokens)
        mentions: list[Mention] = []
        mentions += self._take(tokens, taken, self._path_at)
        paths = [mention.path for mention in mentions if mention.path]
        if not paths and "LLM Roadmap" in question:
            titled = [path for path in self._roadmap.paths if path.title == "LLM Roadmap"]
            paths += titled
        mentions += self._numbered(tokens, taken, paths)
        mentions += self._take(tokens, taken, lambda span, around: self._place_at(span, around, paths))
        mentions += self._take(tokens, taken, lambda span, around: self._topic_at(span, around, paths))
        return Words(tokens, sorted(mentions, key=lambda mention: mention.start))

    def _take(self, tokens: list[str], taken: list[bool], find: Callable[[list[str], Around], Mention | None]) -> list[Mention]:
        found = []
        counted = [0, *itertools.accumulate(token not in _SMALL for token in tokens)]
        starts = [
            (start, lengths)
            for start, token in enumerate(tokens)
            if token not in _SMALL and (lengths := self._openings.get(_stem(token))) is not None
        ]
        for length in range(min(self.longest, len(tokens)), 0, -1):
            for start, lengths in starts:
                end = start + length
                if end > len(tokens) or counted[end] - counted[start] not in lengths or any(taken[start:end]) or tokens[end - 1] in _SMALL:
                    continue
                around = (tokens[max(0, start - 3) : start], tokens[end : end + 2])
                mention = find(tokens[start:end], around)
                if mention is not None:
                    taken[start:end] = [True] * length
                    found.append(_moved(mention, start, end))
        return found

    def _path_at(self, span: list[str], _around: Around) -> Mention | None:
        path = self._paths.get(key_of(span))
        if path is None and len(span) > 1 and span[-1] in (*PATH_NOUNS, "resource", "resources"):
            path = self._paths.get(key_of(span[:-1]))
        return Mention(0, 0, path=path) if path else None

    def _numbered(self, tokens: list[str], taken: list[bool], paths: list[Path]) -> list[Mention]:
        """ "part 3", "the third part", "section 18": of the path that is named, or else of the longest one."""
        found = []
        named = paths or ([longest_path(self._roadmap)] if self._roadmap.paths else [])
        for index in range(len(tokens) - 1):
            first, second = tokens[index : index + 2]
            if taken[index] or taken[index + 1]:
                continue
            noun, number = "", 0
            if first in _NUMBERED and (second.isdigit() or second in _NUMBERS):
                noun, number = first, int(second) if second.isdecimal() else _NUMBERS[second]
            elif second in _NUMBERED and first in _ORDINALS:
                noun, number = second, _ORDINALS[first]
            section = noun in (*_SECTION_NOUNS, *_EITHER)
            places = [place for path in named for place in _numbered_places(path, section, number)] if noun else []
            if places:
                taken[index : index + 2] = [True, True]
                found.append(Mention(index, index + 2, places=tuple(places), noun="section" if section else "part"))
        return found

    def _place_at(self, span: list[str], around: Around, paths: list[Path]) -> Mention | None:
        noun = _noun(*around)
        key = key_of(span)
        if paths:
            places = [place for path in paths for place in self._places[path.id].get(key, ())]
            if noun == "section":
                places.sort(key=lambda place: place.section is None)
            else:
                places.sort(key=lambda place: place.section is not None)
            if not places:
                return None
            strength, topics = self._topics.get(key, (TITLE, ()))
            return Mention(0, 0, topics=topics if len(topics) < 4 else (), strength=strength, places=tuple(places), noun=noun)
        if around[1][:1] and around[1][0] in ("track", "segment", "tracks") and key in self._tracks:
            best = min(self._tracks[key], key=lambda place: (place.part.id not in span, place.part.number is None))
            return Mention(0, 0, places=(best,), noun="part")
        return None

    def _topic_at(self, span: list[str], around: Around, paths: list[Path]) -> Mention | None:
        group = self._groups.get(key_of(span), "")
        strength, topics = self._topics.get(key_of(span)) or self._turned(span)
        if group and not paths and (_noun(*around) == "part" or (len(span) > 1 and not topics)):
            return Mention(0, 0, group=group, noun="part")
        if not topics or (len(topics) > 3 and strength != TITLE):
            return None
        noun = _noun(*around)
        places: list[Place] = []
        for path in paths or ([longest_path(self._roadmap)] if noun in ("section", "chapter") and self._roadmap.paths else []):
            places += self._places[path.id].get(key_of(span), ()) if not paths else ()
            if not places:
                places += [Place(where, part, section) for where, part, section in self._roadmap.places(topics[0]) if where is path]
        return Mention(0, 0, topics=topics, strength=strength, places=tuple(places), noun=noun)

    def _turned(self, span: list[str]) -> tuple[int, tuple[str, ...]]:
        """A title of two words the other way round: "merging models"."""
        turned = len(span) == 2 and span[0].endswith("ing")
        strength, topics = self._topics.get(key_of(reversed(span)), (TITLE, ())) if turned else (TITLE, ())
        return (strength, topics) if strength == TITLE else (TITLE, ())

    def _mended(self, token: str, texts: Mapping[str, str]) -> str:
        """The word itself, or the one it misspells: one slip, two in long words, with the same first letter."""
        token = _SLIPS.get(token, token)
        if len(token) < 5 or not token.isalpha() or token in self._known or token in STOP_WORDS:
            return token
        if _stem(token) in self._vocabulary or _stem(token) in self._stems:
            return token
        known, folded, mended = self._looked_up
        if known is not texts or len(mended) > _KEPT_WORDS:
            folded, mended = "\n".join(texts.values()).casefold(), {}
            self._looked_up = texts, folded, mended
        if token not in mended:
            mended[token] = token if token in folded else self._nearest(token)
        return mended[token]

    def _nearest(self, token: str) -> str:
        reach = 1 if len(token) < 8 else 2
        near: dict[int, set[str]] = {}
        letters = _letters(token)
        for length in range(len(token) - reach, len(token) + reach + 1):
            for word, held in self._spelled.get((token[0], length), ()):
                if (letters ^ held).bit_count() <= 2 * reach and (slips := _slips(word, token, reach)) <= reach:
                    near.setdefault(slips, set()).add(word)
        best = near[min(near)] if near else set()
        return min(best) if best and len({_stem(word) for word in best}) == 1 else token


# --------------------------------------------------------------------------------------------------------------------- helpers


def longest_path(roadmap: Roadmap) -> Path:
    """The path with most topics: the one meant where none is named."""
    return max(roadmap.paths, key=lambda path: len({topic for part in path.parts for each in part.sections for topic in each.topics}))


def _titles(roadmap: Roadmap) -> list[str]:
    titles = [name for topic in roadmap.topics for name in (topic.title, *topic.also_called, *(each.name for each in topic.concepts))]
    return titles + [name for path in roadmap.paths for name in (path.title, *path.also_called)]


def _moved(mention: Mention, start: int, end: int) -> Mention:
    return dataclasses.replace(mention, start=start, end=end)


def _noun(before: list[str], after: list[str]) -> str:
    """Whether a name is called a part, a section or a topic: "the evaluation part", "part Evaluation", "the topic on HELM"."""
    near = [word for word in before if word not in (*_SMALL, "on", "about", "called", "named")][-1:] + after[:1]
    for words, noun in ((_PART_NOUNS, "part"), (_SECTION_NOUNS, "section"), (_EITHER, "chapter"), (("topic", "topics"), "topic")):
        if any(word in words for word in after[:1]) or any(word in words and word[-1] != "s" for word in near):
            return noun
    return ""


def _numbered_places(path: Path, section: bool, number: int) -> list[Place]:
    if not section:
        if number == -1:
            return [Place(path, path.parts[-1])] if path.parts else []
        numbers = [part.number or index + 1 for index, part in enumerate(path.parts)]
        return [Place(path, part) for part, at in zip(path.parts, numbers, strict=True) if at == number]
    return [Place(path, part, each) for part in path.parts for each in part.sections if each.number == number]


def _places(path: Path, *, sections: bool = True) -> dict[tuple[str, ...], list[Place]]:
    found: dict[tuple[str, ...], list[Place]] = {}
    for part in path.parts:
        names = {part.title, part.id.replace("-", " "), re.sub(r"\b(The|LLM)\b", "", part.title)}
        names |= {piece for piece in re.split(r",|&| and ", part.title) if len(piece) > 3}
        for name in names:
            found.setdefault(key_of(tokens_of(name)), []).append(Place(path, part))
        for section in part.sections if sections else ():
            for name in _variants(section.title, pieces=True):
                found.setdefault(key_of(tokens_of(name)), []).append(Place(path, part, section))
    found.pop((), None)
    return found


def _variants(name: str, *, pieces: bool) -> list[str]:
    """A name, what stands in and outside its parentheses, and with ``pieces`` the names that "and" joins in it."""
    found = [name]
    outside = name
    if "(" in name:
        outside = _PARENTHESES.sub("", name).strip()
        inside = [piece.strip() for group in _INSIDE.findall(name) for piece in group.split(",")]
        found += [outside, *(piece for piece in inside if len(piece.split()) < 3 and "'" not in piece)]
    found += [outside.removesuffix(ending) for ending in _ENDINGS if outside.endswith(ending)]
    if pieces:
        found += [piece.strip() for piece in re.split(r",|&| and ", outside) if len(piece.strip()) > 2]
    return list(dict.fromkeys(filter(None, found)))


def _path_names(path: Path) -> list[str]:
    names = [path.id.replace("-", " "), *path.also_called]
    if len(path.title.split()) > 2:
        names += [path.title, *(piece for piece in path.title.split(":") if len(piece.split()) > 1)]
    for name in list(names):
        names += [re.sub(r"\b(LLM|AI/LLM|AI)\b\s*", "", name), re.sub(r"\([^)]*\)", "", name)]
    year = re.search(r"\b(20\d\d)\b", path.title)
    if year and "(" not in path.title:
        names += [f"{year[1]} {noun}" for noun in ("list", "path", "roadmap", "resource list", "resources", "post", "blog post")]
        names += [f"top resources {year[1]}", f"{year[1]} top resources", "top resources"]
    if path.author:
        names += [f"by {path.author}", *(f"{path.author} {noun}" for noun in PATH_NOUNS)]
    return [name for name in names if key_of(tokens_of(name)) not in ((), ("roadmap",), ("llm", "roadmap"))]


def _letters(word: str) -> int:
    """The letters of a word as bits, some sharing one: a slip changes two of them at most."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 63)
    return bits


def _slips(left: str, right: str, most: int) -> int:
    """Edit distance with swapped neighbours as one slip; more than ``most`` is not counted out."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, previous, row = row, before, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]

"""Which sentences answer what a clause asks: each kind of question by the method of its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from roadmap_rag.domain import Path, Resource
from roadmap_rag.roadmap.answers import LEVELS, NotStatedError, Writer
from roadmap_rag.roadmap.describe import counted, part_name
from roadmap_rag.roadmap.graph import Roadmap
from roadmap_rag.roadmap.names import DETAIL, TITLE, Mention, Place, key_of, longest_path, tokens_of
from roadmap_rag.roadmap.recognise import Ask
from roadmap_rag.roadmap.rules import KIND_OF

# Words that ask for the very neighbour in the order, not for all that a topic leads to.
_TIGHT = ("right", "directly", "immediately", "direct", "straight", "order", "follows", "precedes")
_FIRST = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1, "final": -1, "1st": 1, "2nd": 2, "3rd": 3}


def reply(writer: Writer, roadmap: Roadmap, ask: Ask) -> bool:
    """Write the answer to one ask; False, with nothing written, when the roadmap or its documents hold none."""
    before = len(writer.sentences), len(writer.topics)
    try:
        _Reply(writer, roadmap, ask).write()
    except NotStatedError:
        del writer.sentences[before[0] :], writer.topics[before[1] :]
    return len(writer.sentences) > before[0]


@dataclass
class _Reply:
    """Which of the writer's sentences answer an ask."""

    writer: Writer
    roadmap: Roadmap
    ask: Ask

    def write(self) -> None:
        kind = self.ask.kind.replace(" ", "_")
        method: Callable[[], None] = getattr(self, kind)
        method()

    # ----------------------------------------------------------------------------------------------------------- what is meant

    @property
    def words(self) -> tuple[str, ...]:
        return self.ask.tokens

    @property
    def default(self) -> Path:
        return self.ask.paths[0] if self.ask.paths else longest_path(self.roadmap)

    def targets(self) -> list[str | Place]:
        """Topic ids and places, in the order of the question; a place where the question speaks of a path, a part or a section."""
        found: list[str | Place] = []
        for mention in self.ask.mentions:
            places = [place for place in mention.places if not self.ask.paths or place.path in self.ask.paths]
            if places and (mention.noun != "topic" or not mention.topics) and (self.ask.paths or mention.noun or not mention.topics):
                found.append(self.narrowed(places[0]))
            else:
                found += mention.topics
        if not self.ask.mentions and self.ask.paths and self.ask.left:
            place = self._best([Place(self.ask.paths[0], part) for part in self.ask.paths[0].parts])
            found += [place] if place else []
        return list(dict.fromkeys(found))

    def narrowed(self, place: Place) -> Place:
        """The section of a part that the left-over words of the question name best, or the part."""
        if place.section is not None or not self.ask.left:
            return place
        return self._best([Place(place.path, place.part, section) for section in place.part.sections]) or place

    def _best(self, places: list[Place]) -> Place | None:
        left = set(key_of(self.ask.left))

        def score(place: Place) -> int:
            text = (
                place.section.title
                if place.section
                else f"{place.part.title} {place.part.focus} {' '.join(each.title for each in place.part.sections)}"
            )
            return len(left.intersection(key_of(re.findall(r"\w+", text.casefold()))))

        scores = sorted(((score(place), -index) for index, place in enumerate(places)), reverse=True)
        return places[-scores[0][1]] if scores and scores[0][0] > 0 else None

    def topic_ids(self) -> list[str]:
        return [each for each in self.targets() if isinstance(each, str)]

    def per_target(self, topic: Callable[[str], None], place: Callable[[Place], None], path: Callable[[Path], None] | None = None) -> None:
        targets = self.targets()
        for target in targets:
            if isinstance(target, str):
                topic(target)
            else:
                place(target)
        if not targets and self.ask.paths and path:
            for each in self.ask.paths:
                path(each)

    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(KIND_OF[each] for word in self.words for each in (word, word.removesuffix("s")) if each in KIND_OF))

    def number(self) -> int:
        for first, second in zip(self.words, self.words[1:], strict=False):
            if first in _FIRST and second in ("lab", "exercise", "project"):
                return _FIRST[first]
        return 0

    # ------------------------------------------------------------------------------------------------------------ about topics

    def prerequisites(self) -> None:
        direct = any(word in ("direct", "directly", "immediate") for word in self.words)
        self.per_target(
            lambda topic: self.writer.prerequisites(topic, direct=direct), self.writer.place_prerequisites, self.writer.entry_test
        )

    def everything(self) -> None:
        self.per_target(
            lambda topic: self.writer.prerequisites(topic, everything=True), self.writer.place_prerequisites, self.writer.entry_test
        )

    def opens(self) -> None:
        self.per_target(self.writer.opens, lambda place: self.writer.place_order(place, 1))

    def next(self) -> None:
        def topic(topic_id: str) -> None:
            self.writer.order(topic_id, after=True)
            if not any(word in _TIGHT for word in self.words):
                self.writer.opens(topic_id)

        self.per_target(topic, lambda place: self.writer.place_order(place, 1))

    def previous(self) -> None:
        def topic(topic_id: str) -> None:
            self.writer.order(topic_id, before=True)
            if not any(word in _TIGHT for word in self.words):
                self.writer.prerequisites(topic_id)

        self.per_target(topic, lambda place: self.writer.place_order(place, -1))

    def relation(self) -> None:
        topics = self.topic_ids()
        if len(topics) == 2:
            self.writer.relation(*topics)

    def compare(self) -> None:
        places = [each for each in self.targets() if isinstance(each, Place)]
        for place in places:
            self.writer.place_difficulty(place)
        if len(self.topic_ids()) > 1:
            self.writer.compare(self.topic_ids())

    def route(self) -> None:
        topics = self.topic_ids()
        if "between me" in self.ask.text:  # and RAG, if I only know Python
            topics.reverse()
        if len(topics) == 2:
            self.writer.route(*topics)

    def difficulty(self) -> None:
        self.per_target(self.writer.difficulty, self.writer.place_difficulty, self.writer.path_difficulty)

    def labs(self) -> None:
        number = self.number()
        if self._named_labs():
            return
        self.per_target(
            lambda topic: self.writer.labs(topic, number), lambda place: self.writer.place_labs(place, number), self.writer.path_labs
        )

    def _named_labs(self) -> bool:
        """Write the labs that the question calls by their whole titles; whether there are any."""
        said = f" {' '.join(key_of(self.words))} "
        named = [
            (each.id, lab) for each in self.roadmap.topics for lab in each.labs if f" {' '.join(key_of(tokens_of(lab.title)))} " in said
        ]
        for topic_id, lab in named:
            self.writer.lab(topic_id, lab)
        return bool(named)

    def readings(self) -> None:
        if self.ask.left and self._search_resources():
            return
        kinds = self.kinds()
        self.per_target(
            lambda topic: self.writer.readings(topic, kinds),
            lambda place: self.writer.place_readings(place, kinds),
            lambda path: self.writer.path_readings(path, kinds),
        )

    def skills(self) -> None:
        self.per_target(lambda topic: self.writer.skills(topic, self.ask.left), self.writer.contents)

    def place(self) -> None:
        names = [" ".join(self.words[mention.start : mention.end]) for mention in self.ask.mentions if mention.strength]
        path = self.ask.paths[0] if self.ask.paths else None
        for mention in self.ask.mentions:
            for topic in mention.topics:
                self.writer.place(topic, names, path)

    def concepts(self) -> None:
        for mention in self.ask.mentions:
            if mention.group:
                self._group(mention.group)
        self.per_target(self._topic_contents, self.writer.contents, self._path_contents)

    def _topic_contents(self, topic: str) -> None:
        """The concepts of a topic; "which parts does an agent have" asks for something else."""
        if re.search(r"^(?:show |list |outline )?@$|\b(?:parts?|sections?|chapters?|blocks|units|steps)\b", self.ask.text):
            return
        self.writer.concepts(topic)
        if re.search(r"\brecommended|suggested\b", self.ask.text):
            self.writer.readings(topic)

    def _path_contents(self, path: Path) -> None:
        if re.search(r"\b(?:sections?|chapters?)\b", self.ask.text):
            self.writer.path_sections(path)
        elif re.search(r"\b(?:parts|blocks|segments|tracks)\b", self.ask.text):
            self.writer.path_parts(path)
        elif re.search(r"\b(?:topics?|order|subjects?|learn|teach\w*|cover\w*)\b", self.ask.text):
            self.writer.path_topics(path)
        else:
            self.writer.path_parts(path)

    def _group(self, group: str) -> None:
        held = [each for each in self.roadmap.topics if each.part == group]
        lines = [self.writer.line(each.id, f"Part: {each.title} belongs to the part {group} of the roadmap") for each in held]
        self.writer.say(f"The part {group} of the roadmap has {counted(held, 'topic')}:", lines[0])
        for each, line in zip(held, lines, strict=True):
            self.writer.about(each.id)
            self.writer.say(f"- {each.title}", line)

    # ------------------------------------------------------------------------------------------------- about paths, parts, sections

    def outcome(self) -> None:
        self._fact("outcome")

    def focus(self) -> None:
        if not self.ask.mentions and self.ask.paths:
            self.writer.path_summary(self.default)
        else:
            self._fact("focus")

    def _fact(self, fact: str) -> None:
        places = [each for each in self.targets() if isinstance(each, Place)]
        for place in places:
            if place.section and fact == "focus":
                self.writer.contents(place)
            else:
                self.writer.part_fact(place.path, place.part, fact)
        for part in self.default.parts if self.ask.paths and not places else ():
            if fact != "focus" and part.outcome:
                self.writer.part_fact(self.default, part, fact)

    def optional(self) -> None:
        places = [each for each in self.targets() if isinstance(each, Place)]
        for place in places:
            self.writer.part_fact(place.path, place.part, "optional")
        for topic in self.topic_ids():
            self.writer.opens(topic)  # what would be missed
        if not places and self.ask.paths and not self.ask.mentions:
            self.writer.path_optional(self.ask.paths[0])

    def address(self) -> None:
        self.writer.path_address(self.default)

    def author(self) -> None:
        if self.ask.mentions or (self.ask.left and not self.ask.paths):
            self._search_resources(must=True)
        elif self.ask.paths:
            for path in self.ask.paths:
                self.writer.path_author(path)
        elif re.search(r"\b(?:paths?|roadmap)\b", " ".join(self.words)):
            for path in self.roadmap.paths:
                self.writer.path_author(path)

    def entry(self) -> None:
        path = next((each for each in (*self.ask.paths, *self.roadmap.paths) if each.entry_test), None)
        path = self.ask.paths[0] if self.ask.paths else path
        if path is None:
            return
        known = {word for each in path.entry_test for word in key_of(re.findall(r"\w+", f"{each.skill} {each.area}".casefold()))}
        asked = [word for word in self.words if key_of([word]) and key_of([word])[0] in known and word not in ("machine", "learning")]
        test = re.search(r"self (?:assess|rating|test|eval)|entry|rate myself", " ".join(self.words))
        if not asked and not test:
            return
        self.writer.entry_test(path, [*asked, *(["mathematics"] if {"math", "maths"} & set(self.words) else [])])
        if re.search(r"\b(?:badly|fail|below|bad|poor|low|gaps?|weak|not pass)\b", " ".join(self.words)):
            self._gaps()

    def _of_the_setup(self, path: Path, mention: Mention) -> bool:
        """Whether a name belongs to the set-up: a tool in it, or a topic that no section teaches, such as the entry test itself."""
        said = set(self.words[mention.start : mention.end])
        tool = bool(said & set(tokens_of(" ".join(path.setup)))) and mention.strength != TITLE
        return tool or not any(True for topic in mention.topics for _ in self.roadmap.places(topic))

    def _gaps(self) -> None:
        """What to do about a low mark in the entry test: the topic that holds the test says it, and links to where to close gaps."""
        for topic in self.roadmap.topics:
            for concept in topic.concepts:
                if concept.name == "Self-assessment":
                    self.writer.about(topic.id)
                    self.writer.say(
                        f"- {concept.name}: {'; '.join(concept.parts)}.", self.writer.line(topic.id, f"{concept.name}:", *concept.parts)
                    )
                    for each in topic.resources:
                        self.writer.say(
                            f"- {each.why.rstrip('.')}: “{each.title}”, {each.url}",
                            self.writer.line(topic.id, f"{each.kind.capitalize()} “{each.title}”", each.url),
                        )

    def setup(self) -> None:
        path = next((each for each in (*self.ask.paths, *self.roadmap.paths) if each.setup), None)
        version = "version" in self.words
        if path is None or any(not self._of_the_setup(path, mention) for mention in self.ask.mentions if not version):
            return
        words = set(self.words)
        asked = ["gpu"] if words & {"gpu", "gpus", "graphics", "card", "vram"} else []
        asked += ["python"] if version else []
        asked += ["management"] if "manager" in words else []
        asked += ["vscode"] if words & {"editor", "ide"} else []
        asked += [word for word in ("docker", "conda", "uv", "jupyter", "vscode", "cuda", "cloud") if word in words]
        self.writer.setup(path, asked)

    # --------------------------------------------------------------------------------------------------- about the whole roadmap

    def paths(self) -> None:
        self.writer.say(
            f"The roadmap is made of {counted(self.roadmap.paths, 'learning path')}:",
            *(self.writer.line(path.id, f"The path {path.title} has") for path in self.roadmap.paths),
        )
        for path in self.roadmap.paths:
            self.writer.say(
                f"- {path.title}, in {counted(path.parts, 'part')}",
                self.writer.line(path.id, f"The path {path.title} has {counted(path.parts, 'part')}"),
            )

    def starts(self) -> None:
        """The paths that begin with a topic, in their first section, or with a part of that name."""
        topics, left = set(self.topic_ids()), set(key_of(self.ask.left))
        for path in self.roadmap.paths:
            part = path.parts[0] if path.parts else None
            first = part.sections[0] if part and part.sections else None
            if part is None or first is None:
                continue
            lines = (
                self.writer.line(f"{path.id}/{part.id}", "Sections of", first.title),
                self.writer.line(path.id, f"The path {path.title} has"),
            )
            if topics.intersection(first.topics):
                self.writer.about(*topics.intersection(first.topics))
                self.writer.say(f"- {path.title} starts with {first.title}.", *lines)
            elif not topics and left.intersection(key_of(re.findall(r"\w+", part.title.casefold()))):
                self.writer.say(f"- {path.title} starts with {part_name(part)}.", lines[1])

    def path_property(self) -> None:
        """What each path says of labs, levels or links."""
        for path in self.roadmap.paths:
            if re.search(r"\b(?:labs?|exercises|projects)\b", self.ask.text):
                self.writer.path_statement(path, "Labs of the path")
            elif re.search(r"\b(?:levels?|difficult\w*)\b", self.ask.text):
                self.writer.path_difficulty(path)
            else:
                self.writer.path_statement(path, "Readings for the path")

    def numbered(self) -> None:
        """ "Which topic is number 10?" """
        number = int(next(found for found in re.findall(r"\d+", " ".join(self.words))))
        if 0 < number <= len(self.roadmap.topics):
            self.writer.order(self.roadmap.topics[number - 1].id)

    def start(self) -> None:
        last = bool(re.search(r"\b(?:last|final)\b", self.ask.text))
        if self.ask.paths:
            path = self.ask.paths[0]
            part = path.parts[-1 if last else 0]
            section = part.sections[-1 if last else 0]
            self.writer.say(
                f"{path.title} {'ends' if last else 'starts'} with {section.title}.",
                self.writer.line(f"{path.id}/{part.id}", "Sections of", section.title),
            )
            self.writer.about(*section.topics)
            return
        topic = self.roadmap.topics[-1 if last else 0]
        self.writer.order(topic.id, after=last, before=not last)
        if not last:
            self.no_prerequisites()

    def no_prerequisites(self) -> None:
        free = [each for each in self.roadmap.topics if not each.prerequisites]
        lines = [self.writer.line(each.id, f"Prerequisites of {each.title}: none") for each in free]
        self.writer.say(f"{counted(free, 'topic')} of the roadmap {'has' if len(free) == 1 else 'have'} no prerequisites:", *lines)
        for each, line in zip(free, lines, strict=True):
            self.writer.about(each.id)
            self.writer.say(f"- {each.title}", line)

    def by_level(self) -> None:
        words = " ".join(self.words)
        levels = [level for level in LEVELS if re.search(rf"\b{level}s?\b", words)]
        levels += ["beginner"] if re.search(r"\b(?:easy|easiest|basic|starters?|newbies?|novices?|entry level)\b", words) else []
        if re.search(r"\b(?:hardest|most (?:difficult|advanced))\b", words):
            levels = [max((each.difficulty[1] for each in self.roadmap.topics if each.difficulty), key=LEVELS.index)]
        levels += ["advanced", "expert"] if not levels else []
        for level in dict.fromkeys(levels):
            at = LEVELS.index(level)
            held = [
                each
                for each in self.roadmap.topics
                if each.difficulty and LEVELS.index(each.difficulty[0]) <= at <= LEVELS.index(each.difficulty[1])
            ]
            lines = [self.writer.line(each.id, f"Difficulty of {each.title}:", *(each.difficulty or ())) for each in held]
            if not held:
                raise NotStatedError(level)
            self.writer.say(f"{counted(held, 'topic')} of the roadmap {'is' if len(held) == 1 else 'are'} rated {level}:", *lines)
            for each, line in zip(held, lines, strict=True):
                self.writer.about(each.id)
                lowest, highest = each.difficulty or ("", "")
                self.writer.say(f"- {each.title}{'' if lowest == highest else f' ({lowest} to {highest})'}", line)

    def order(self) -> None:
        if self.ask.paths:
            self.writer.path_topics(self.ask.paths[0])
            return
        topics = self.roadmap.topics
        lines = {
            each.id: self.writer.line(each.id, f"Order: {each.title} is topic {index + 1} of {len(topics)}")
            for index, each in enumerate(topics)
        }
        self.writer.say(f"The roadmap has {len(topics)} topics, in this order:", lines[topics[0].id])
        for part in dict.fromkeys(each.part for each in topics):
            held = [each for each in topics if each.part == part]
            self.writer.say(f"- {part}: {'; '.join(each.title for each in held)}.", *(lines[each.id] for each in held))

    def count(self) -> None:
        text = " ".join(self.words)
        path = self.default
        targets = self.targets()
        if re.search(r"\b(?:labs?|exercises?|projects?|hands)\b", text):
            self.per_target(self.writer.labs, self.writer.place_labs)
            if not targets:
                self.writer.path_labs(path)
        elif re.search(r"\b(?:links?|readings?|resources?|articles?|videos?|papers?|books?|courses?|repos\w*|docs)\b", text):
            self.readings()
        elif re.search(r"\b(?:prerequisites?|prereqs?)\b", text):
            self.prerequisites()
        elif re.search(r"\b(?:before|prior)\b", text):
            self.everything()
        elif re.search(r"\bconcepts?\b", text):
            self.per_target(self.writer.concepts, self.writer.contents)
        elif targets:
            if re.search(r"\b(?:sections?|chapters?|topics?|steps?)\b", text):
                for place in targets:
                    if isinstance(place, Place):
                        self.writer.contents(place)
        elif re.search(r"\bparts?|segments?|blocks?|tracks?\b", text):
            self.writer.path_parts(path)
        elif re.search(r"\b(?:sections?|chapters?)\b", text):
            self.writer.path_sections(path)
        elif re.search(rf"\b(?:{'|'.join(LEVELS)})s?\b", text):
            self.by_level()
        elif re.search(r"\btopics?|subjects?\b", text):
            if self.ask.paths:
                self.writer.path_topics(path)
            else:
                self.order()
        elif re.search(r"\b(?:paths|roadmaps|tracks)\b", text):
            self.paths()

    # ----------------------------------------------------------------------------------------------------------------- searching

    def _terms(self) -> list[str]:
        """The words that say what is searched: names, and what is left over."""
        named = [word for mention in self.ask.mentions for word in self.words[mention.start : mention.end]]
        return list(dict.fromkeys(key_of([*named, *self.ask.left])))

    def lab_search(self) -> None:
        """The labs whose title and goal hold most of the words asked for."""
        terms = set(self._terms())
        scored = []
        for topic in self.roadmap.topics:
            for lab in topic.labs:
                held = set(key_of(re.findall(r"[^\W_]+", f"{lab.title} {lab.goal}".casefold())))
                scored.append((len(terms & held), topic.id, lab))
        most = max((score for score, _, _ in scored), default=0)
        if most == 0 or most < len(terms):
            if not self.ask.left and not any(mention.strength == DETAIL for mention in self.ask.mentions):
                self.labs()
            return
        for score, topic_id, lab in scored:
            if score == most:
                self.writer.lab(topic_id, lab)

    def _search_resources(self, *, must: bool = False) -> bool:
        """The links by an author that the question names, or whose title or description holds its words; whether there are any."""
        terms, kinds = set(self._terms()), self.kinds()
        left = {word for word in self.ask.left if len(word) > 1}
        found: list[tuple[int, str, Resource]] = []
        for topic in self.roadmap.topics:
            for each in topic.resources:
                provider = set(re.findall(r"\w+", each.provider.casefold()))
                authors = (set(re.findall(r"\w+", each.author.casefold())) & left) | (provider if provider <= left else set())
                held = set(key_of(re.findall(r"[^\W_]+", f"{each.title} {each.called} {each.why}".casefold())))
                score = 10 * len(authors) + len(terms & held)
                if (authors or must) and score and (not kinds or each.kind in kinds):
                    found.append((score, topic.id, each))
        most = max((score for score, _, _ in found), default=0)
        listed = re.search(r"\b(?:recommend\w*|suggest\w*|listed|linked|roadmap|readings?)\b", " ".join(self.words))
        if most == 0 or (most < 10 and (most < len(terms) or (len(terms) < 2 and not listed))):
            return False
        chosen = {each.url: (topic, each) for score, topic, each in reversed(found) if score == most}
        for topic_id, each in reversed(chosen.values()):
            self.writer.about(topic_id)
            self.writer.reading(topic_id, each)
        return True

"""Answers to questions about the roadmap, from the topic graph, each sentence with the stored sentences that state it.

A sentence is written from the records, so it is exact and complete; then the line of the stored document that states the same is looked
up, and every name in the answer has to stand in it. Where a line is missing or says something else, the stored documents are not those of
this roadmap, and there is no answer rather than one without proof.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from roadmap_rag.domain import Lab, Part, Path, Resource, Topic
from roadmap_rag.roadmap.describe import counted, listed, part_name, reading_line, readings_of, section_labs, section_name
from roadmap_rag.roadmap.graph import Roadmap
from roadmap_rag.roadmap.names import Place

Evidence = tuple[str, int, int]
"""An address and the span of its stored text: a whole sentence, or a list item without its mark."""

LEVELS = ("beginner", "intermediate", "advanced", "expert", "research")


@dataclass(frozen=True, slots=True)
class RoadmapSentence:
    """Markdown without labels. A text that starts with ``- `` is an item of a list: it stands on a line of its own."""

    text: str
    evidence: tuple[Evidence, ...]


class NotStatedError(Exception):
    """A stored document does not state what the roadmap says."""


@dataclass
class Writer:
    """Writes one answer. ``sentences`` grows, no sentence twice; ``topics`` are the ids of what was written about, in that order."""

    roadmap: Roadmap
    texts: Mapping[str, str]
    sentences: list[RoadmapSentence] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)

    def say(self, text: str, *evidence: Evidence) -> None:
        sentence = RoadmapSentence(text, tuple(dict.fromkeys(evidence)))
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def about(self, *topic_ids: str) -> None:
        self.topics += [each for each in topic_ids if each not in self.topics]

    def line(self, address: str, start: str, *names: str) -> Evidence:
        """The line that begins with ``start`` and holds all ``names``; NotStatedError when there is none."""
        url = f"roadmap:{address}"
        text, position = self.texts.get(url, ""), 0
        for line in text.splitlines(keepends=True):
            content = line.strip().removeprefix("- ")
            if content.startswith(start) and all(name in content for name in names):
                begin = position + line.index(content)
                return url, begin, begin + len(content)
            position += len(line)
        raise NotStatedError(f"{url}: {start}")

    # ------------------------------------------------------------------------------------------------------------- topics

    def title(self, topic_id: str) -> str:
        return self.roadmap.topic(topic_id).title

    def titles(self, topic_ids: Iterable[str]) -> list[str]:
        return [self.title(each) for each in topic_ids]

    def prerequisites(self, topic_id: str, *, everything: bool = False, direct: bool = False) -> None:
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        needed = self.titles(topic.prerequisites)
        evidence = self.line(topic_id, f"Prerequisites of {topic.title}:", *needed)
        if needed:
            noun = "prerequisite" if len(needed) == 1 else "prerequisites"
            self.say(f"Direct {noun} of {topic.title}: {listed(needed)}.", evidence)
        else:
            self.say(f"{topic.title} has no prerequisites: it can be studied without any other topic of the roadmap.", evidence)
        every = self.roadmap.requires_all(topic_id)
        if everything and len(every) > len(needed):
            names = self.titles(every)
            evidence = self.line(topic_id, f"Everything to study before {topic.title}, in order:", *names)
            self.say(f"Everything to study before {topic.title}, in order: {listed(names)}.", evidence)
        if topic.assumes and not direct:
            evidence = self.line(topic_id, f"{topic.title} also assumes", *topic.assumes)
            self.say(f"The learning paths also assume, for {topic.title}: {listed(topic.assumes)}.", evidence)

    def opens(self, topic_id: str) -> None:
        title, opened = self.title(topic_id), self.titles(self.roadmap.opens(topic_id))
        self.about(topic_id)
        evidence = self.line(topic_id, f"{title} opens up", *opened)
        if opened:
            self.say(f"{title} opens up {listed(opened)}.", evidence)
        else:
            self.say(f"{title} opens up no further topic: nothing in the roadmap has it as a prerequisite.", evidence)

    def order(self, topic_id: str, *, after: bool = False, before: bool = False) -> None:
        topics = self.roadmap.topics
        index = next(index for index, each in enumerate(topics) if each.id == topic_id)
        title, neighbours = topics[index].title, []
        self.about(topic_id)
        evidence = self.line(topic_id, f"Order: {title} is topic {index + 1} of {len(topics)}")
        if after:
            neighbours = [topics[index + 1].title] if index + 1 < len(topics) else []
            text = (
                f"After {title}, the next topic of the roadmap is {neighbours[0]}."
                if neighbours
                else f"{title} is the last topic of the roadmap."
            )
        elif before:
            neighbours = [topics[index - 1].title] if index else []
            text = (
                f"Right before {title}, the roadmap has {neighbours[0]}." if neighbours else f"{title} is the first topic of the roadmap."
            )
        else:
            text = f"{title} is topic {index + 1} of {len(topics)} in the roadmap."
        self._holds(evidence, neighbours)
        self.say(text, evidence)

    def _holds(self, evidence: Evidence, names: Iterable[str]) -> None:
        url, start, end = evidence
        if not all(name in self.texts[url][start:end] for name in names):
            raise NotStatedError(f"{url}: {self.texts[url][start:end]}")

    def difficulty(self, topic_id: str) -> None:
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        levels = topic.difficulty or ()
        evidence = self.line(topic_id, f"Difficulty of {topic.title}:", *levels)
        text = (
            f"Difficulty of {topic.title}: {_range(topic)}."
            if levels
            else f"None of the learning paths states a difficulty for {topic.title}."
        )
        self.say(text, evidence)

    def compare(self, topic_ids: Sequence[str]) -> None:
        for each in topic_ids:
            self.difficulty(each)
        found = [self.roadmap.topic(each) for each in topic_ids[:2]]
        if len(found) < 2 or not (found[0].difficulty and found[1].difficulty):
            return
        first, second = ([LEVELS.index(level) for level in each.difficulty or ()] for each in found)
        evidence = [self.line(each.id, f"Difficulty of {each.title}:") for each in found]
        if first == second:
            self.say(f"So {found[0].title} and {found[1].title} have the same difficulty.", *evidence)
        elif sum(first) != sum(second):
            harder, easier = found if sum(first) > sum(second) else reversed(found)
            self.say(f"So {harder.title} is rated harder than {easier.title}.", *evidence)

    def relation(self, first: str, second: str) -> None:
        """Which of two topics comes before the other, and whether one needs the other."""
        places = [each.id for each in self.roadmap.topics]
        earlier, later = sorted((first, second), key=places.index)
        self.about(first, second)
        one, other = self.title(earlier), self.title(later)
        orders = [self.line(each, f"Order: {self.title(each)} is topic {places.index(each) + 1} of") for each in (earlier, later)]
        self.say(
            f"{one} comes before {other}: they are topics {places.index(earlier) + 1} and {places.index(later) + 1} of {len(places)}.",
            *orders,
        )
        if earlier in self.roadmap.requires(later):
            self.say(f"{one} is a direct prerequisite of {other}.", self.line(later, f"Prerequisites of {other}:", one))
        elif earlier in self.roadmap.requires_all(later):
            evidence = self.line(later, f"Everything to study before {other}, in order:", one)
            self.say(f"{one} is an indirect prerequisite of {other}.", evidence)
        else:
            needed = self.roadmap.requires_all(later)
            start = "Everything to study before" if len(needed) > len(self.roadmap.requires(later)) else "Prerequisites of"
            self.say(f"{one} is no prerequisite of {other}, neither direct nor indirect.", self.line(later, f"{start} {other}"))

    def route(self, start: str, goal: str) -> None:
        """What is left to study before ``goal`` for someone who knows ``start``."""
        known = {start, *self.roadmap.requires_all(start)}
        left = self.titles(each for each in self.roadmap.requires_all(goal) if each not in known)
        self.about(start, goal)
        title, every = self.title(goal), len(self.roadmap.requires_all(goal)) > len(self.roadmap.requires(goal))
        evidence = self.line(goal, f"Everything to study before {title}, in order:" if every else f"Prerequisites of {title}:", *left)
        if left:
            self.say(f"From {self.title(start)} to {title} there is left to study, in order: {listed(left)}.", evidence)
        else:
            self.say(f"From {self.title(start)} you can go straight to {title}.", evidence)

    def concepts(self, topic_id: str) -> None:
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        names = [each.name for each in topic.concepts]
        if not names:
            raise NotStatedError(topic_id)
        self.say(f"Concepts of {topic.title}: {listed(names)}.", self.line(topic_id, f"Concepts of {topic.title}:", *names))
        for each in topic.concepts:
            if each.parts:
                self.say(f"- {each.name}: {listed(each.parts)}.", self.line(topic_id, f"{each.name}:", *each.parts))

    def skills(self, topic_id: str, words: Sequence[str] = ()) -> None:
        """The groups of skills that the question names, or else all of them."""
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        named = {group for group in topic.skills if any(word[:6] in group.casefold() for word in words)}
        for group, names in topic.skills.items():
            if not named or group in named:
                evidence = self.line(topic_id, f"Skills and tools for {topic.title}, {group}:", *names)
                self.say(f"- {group} for {topic.title}: {listed(names)}.", evidence)
        if not topic.skills:
            raise NotStatedError(topic_id)

    def labs(self, topic_id: str, number: int = 0) -> None:
        """The labs of a topic, or with ``number`` one of them (1 is the first, -1 the last), and those of the sections where it stands."""
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        titles = [lab.title for lab in topic.labs]
        evidence = self.line(topic_id, f"Labs for {topic.title}:", *titles)
        chosen = list(topic.labs)
        if number and len(titles) > 1:
            chosen = [topic.labs[number - 1 if number > 0 else -1]] if abs(number) <= len(titles) else []
        if not titles:
            self.say(f"None of the learning paths has a lab for {topic.title} itself.", evidence)
        elif len(chosen) == len(titles):
            self.say(f"The roadmap has {counted(titles, 'lab')} for {topic.title}:", evidence)
        for lab in chosen:
            self.lab(topic_id, lab)
        for path, _, section in self.roadmap.places(topic_id) if not number else ():
            together = section_labs(self.roadmap, section, path)
            if not set(titles).issuperset(together):
                evidence = self.line(topic_id, f"All labs of {section_name(section)} of {path.title}", *together)
                text = f"All labs of {section_name(section)} of {path.title}, where {topic.title} stands: {listed(together)}."
                self.say(text, evidence)

    def lab(self, topic_id: str, lab: Lab) -> None:
        self.about(topic_id)
        goal = lab.goal.strip().rstrip(".")
        self.say(f"- {lab.title}: {goal}.", self.line(topic_id, f"Lab “{lab.title}”", goal))

    def readings(self, topic_id: str, kinds: Sequence[str] = ()) -> None:
        """The links of a topic, or those of some kinds; where there is none of these kinds, it says so and gives the others."""
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        chosen = [each for each in topic.resources if not kinds or each.kind in kinds]
        evidence = self.line(topic_id, f"Readings for {topic.title}:", *(each.title for each in topic.resources))
        if not topic.resources:
            self.say(f"The roadmap has no links for {topic.title}.", evidence)
            return
        if chosen:
            nouns = f" of the kind {' or '.join(kinds)}" if kinds else ""
            self.say(f"The roadmap has {counted(chosen, 'link')}{nouns} for {topic.title}:", evidence)
        else:
            self.say(
                f"The roadmap has no link of the kind {' or '.join(kinds)} for {topic.title}, but {counted(topic.resources, 'other')}:",
                evidence,
            )
        for each in chosen or topic.resources:
            self.reading(topic_id, each)

    def reading(self, address: str, resource: Resource) -> None:
        line = reading_line(resource).removeprefix("- ")
        origin = " ".join(filter(None, [resource.kind, f"by {resource.author}" if resource.author else ""]))
        label = f", linked as “{resource.called}”" if resource.called else ""
        self.say(f"- “{resource.title}” ({origin}){label}: {resource.url}", self.line(address, line))

    def place(self, topic_id: str, words: Sequence[str] = (), path: Path | None = None) -> None:
        """Where a topic stands: in the roadmap and in the paths, or in one path; with the concepts that the question names."""
        topic = self.roadmap.topic(topic_id)
        self.about(topic_id)
        for each in topic.concepts:
            if any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", f"{each.name} {' '.join(each.parts)}".casefold()) for word in words):
                evidence = (
                    self.line(topic_id, f"{each.name}:", *each.parts) if each.parts else self.line(topic_id, "Concepts of", each.name)
                )
                items = f", with {listed(each.parts)}" if each.parts else ""
                self.say(f"{each.name} is a concept of {topic.title}{items}.", evidence)
        if path is None:
            self.say(
                f"{topic.title} belongs to the part {topic.part} of the roadmap.",
                self.line(topic_id, f"Part: {topic.title} belongs to", topic.part),
            )
        found = False
        for where, part, section in self.roadmap.places(topic_id):
            if path is None or where is path:
                found = True
                names = f"{part_name(part)}, {section_name(section)}"
                self.say(
                    f"- In {where.title}: {names}.", self.line(topic_id, f"In the path {where.title}, {topic.title} stands in {names}")
                )
        if path is not None and not found:
            taught = [part for part in path.parts if any(section.topics for section in part.sections)]
            lines = [self.line(path.id, f"Topics of {part_name(part)} of {path.title}, in its order:") for part in taught]
            self.say(f"{path.title} does not have {topic.title} among its topics.", *lines)

    # --------------------------------------------------------------------------------------------------- paths, parts, sections

    def contents(self, place: Place) -> None:
        """What a part or a section holds: its sections and their topics, labs and readings."""
        if place.section is None:
            self.part_sections(place.path, place.part)
            return
        address, name = f"{place.path.id}/{place.part.id}", section_name(place.section)
        topics = self.titles(place.section.topics)
        self.about(*place.section.topics)
        whole = f"{name[0].upper()}{name[1:]} of {place.path.title}"
        if topics:
            self.say(f"{whole} has the topics {listed(topics)}.", self.line(address, f"Topics of {name}:", *topics))
        for each in place.section.topics:
            topic = self.roadmap.topic(each)
            names = [concept.name for concept in topic.concepts]
            if names:
                self.say(f"- {topic.title} covers {listed(names)}.", self.line(each, f"Concepts of {topic.title}:", *names))
        labs = section_labs(self.roadmap, place.section, place.path)
        if labs:
            self.say(f"Its labs: {listed(labs)}.", self.line(address, f"Labs of {name}:", *labs))
        self._linked(place, must=False)

    def _linked(self, place: Place, *, must: bool) -> None:
        assert place.section is not None
        address, name = f"{place.path.id}/{place.part.id}", section_name(place.section)
        try:
            evidence = self.line(address, f"Readings for the topics of {name}:")
        except NotStatedError:
            if must:
                raise
            return
        url, start, end = evidence
        titles = (
            self.texts[url][start:end].split(":", 1)[1]
            if "“" not in name
            else self.texts[url][start:end].removeprefix(f"Readings for the topics of {name}:")
        )
        self.say(f"Readings for the topics of {name}:{titles}", evidence)

    def part_sections(self, path: Path, part: Part, *, topics: bool = True) -> None:
        address, name = f"{path.id}/{part.id}", f"{part_name(part)} of {path.title}"
        names = [section_name(each) for each in part.sections]
        if not names:
            raise NotStatedError(address)
        subject = name[0].upper() + name[1:]
        evidence = self.line(address, f"Sections of {name}:", *names)
        self.say(f"{subject} has {counted(names, 'section')}:", evidence)
        for each in part.sections:
            held = self.titles(each.topics)
            self.about(*each.topics)
            label = section_name(each)
            item = f"{label[0].upper()}{label[1:]}"
            if topics and held:
                self.say(f"- {item}: {listed(held)}.", self.line(address, f"Topics of {label}:", *held))
            else:
                self.say(f"- {item}", evidence)

    def part_fact(self, path: Path, part: Part, fact: str) -> None:
        """ "focus", "outcome", "difficulty" or "optional" of a part."""
        address, name = f"{path.id}/{part.id}", f"{part_name(part)} of {path.title}"
        value = {"focus": part.focus, "outcome": part.outcome, "difficulty": part.level}.get(fact, "")
        subject = name[0].upper() + name[1:]
        if fact == "optional":
            parts = [part_name(each) for each in path.parts if each.optional]
            evidence = [self.line(path.id, f"Optional in the path {path.title}:", *parts)]
            evidence += [self.line(address, f"{subject} is optional.")] if part.optional else []
            self.say(f"{subject} is {'' if part.optional else 'not '}optional.", *evidence)
        elif value:
            self.say(f"{fact.capitalize()} of {name}: {value}.", self.line(address, f"{fact.capitalize()} of {name}: {value}"))
        elif fact == "difficulty":
            self.say(f"{subject} states no difficulty.", self.line(address, f"Difficulty of {name}: it states none."))
        else:
            raise NotStatedError(address)

    def place_difficulty(self, place: Place) -> None:
        if place.section is None:
            self.part_fact(place.path, place.part, "difficulty")
        elif place.section.level:
            address, name = f"{place.path.id}/{place.part.id}", section_name(place.section)
            evidence = self.line(address, f"Difficulty of {name}: {place.section.level}.")
            self.say(f"In {place.path.title}, {name} is rated {place.section.level}.", evidence)
        else:
            self.part_fact(place.path, place.part, "difficulty")

    def place_prerequisites(self, place: Place) -> None:
        address = f"{place.path.id}/{place.part.id}"
        sections = [place.section] if place.section else list(place.part.sections)
        stated = [each for each in sections if each.prerequisites]
        for each in stated:
            name = section_name(each)
            evidence = self.line(address, f"Prerequisites of {name}:", *each.prerequisites)
            self.say(f"In {place.path.title}, {name} asks for {listed(each.prerequisites)}.", evidence)
        if not stated:
            name = f"{part_name(place.part)} of {place.path.title}"
            self.say(
                f"The sections of {name} state no prerequisites.", self.line(address, f"Prerequisites of {name}: its sections state none.")
            )

    def place_labs(self, place: Place, number: int = 0) -> None:
        address = f"{place.path.id}/{place.part.id}"
        sections = [place.section] if place.section else list(place.part.sections)
        found = False
        for each in sections:
            name, labs = section_name(each), section_labs(self.roadmap, each, place.path)
            self.about(*each.topics)
            if labs:
                found = True
                chosen = [labs[number - 1 if number > 0 else -1]] if number and abs(number) <= len(labs) else labs
                label = {1: "First lab", -1: "Last lab"}.get(number, f"Lab {number}") if number else counted(labs, "lab")
                self.say(f"- {name[0].upper()}{name[1:]}, {label}: {listed(chosen)}.", self.line(address, f"Labs of {name}:", *labs))
        if not found:
            name = f"{part_name(place.part)} of {place.path.title}"
            self.say(f"There are no labs in {name}.", self.line(address, f"Labs of {name}: none."))

    def place_readings(self, place: Place, kinds: Sequence[str] = ()) -> None:
        """What a section's readings are, link by link; for a part, section by section."""
        kinds = [kind for kind in kinds if kind[:7] not in place.part.title.casefold()]
        for section in [place.section] if place.section else place.part.sections:
            resources = [each for each in readings_of(self.roadmap, section.topics, place.path) if not kinds or each.kind in kinds]
            self.about(*section.topics)
            name = section_name(section)
            if not place.section:
                if resources:
                    self._linked(Place(place.path, place.part, section), must=False)
                continue
            self._linked(place, must=False)
            for each in resources:
                owner = next(topic for topic in section.topics if each.url in {held.url for held in self.roadmap.topic(topic).resources})
                self.reading(owner, next(held for held in self.roadmap.topic(owner).resources if held.url == each.url))
            if not resources:
                for topic in section.topics:
                    self.readings(topic, kinds)
        if not self.sentences:
            name = f"{part_name(place.part)} of {place.path.title}"
            self.say(f"There are no readings in {name}.", self.line(f"{place.path.id}/{place.part.id}", f"Readings for {name}: none"))

    def place_order(self, place: Place, step: int) -> None:
        """The section or part that follows (``step`` 1) or precedes (-1) another in its path."""
        path = place.path
        word = "after" if step > 0 else "before"
        if place.section is None:
            at = path.parts.index(place.part) + step
            name = part_name(place.part)
            evidence = self.line(path.id, f"The path {path.title} has", name)
            if 0 <= at < len(path.parts):
                self._holds(evidence, [part_name(path.parts[at])])
                self.say(f"In {path.title}, {part_name(path.parts[at])} comes {word} {name}.", evidence)
            else:
                self.say(f"{name[0].upper()}{name[1:]} is the {'last' if step > 0 else 'first'} part of {path.title}.", evidence)
            return
        sections = [(part, each) for part in path.parts for each in part.sections]
        index = next(i for i, (part, each) in enumerate(sections) if each is place.section and part is place.part)
        name = section_name(place.section)
        used = [place.part]
        if 0 <= index + step < len(sections):
            part, other = sections[index + step]
            used += [part] if part is not place.part else []
            self.about(*other.topics)
            text = (
                f"In {path.title}, {section_name(other)} comes {word} {name}{f', in {part_name(part)}' if part is not place.part else ''}."
            )
        else:
            text = f"{name[0].upper()}{name[1:]} is the {'last' if step > 0 else 'first'} section of {path.title}."
        self.say(text, *(self.line(f"{path.id}/{each.id}", f"Sections of {part_name(each)} of {path.title}:") for each in used))

    def path_parts(self, path: Path) -> None:
        names = [part_name(each) for each in path.parts]
        evidence = self.line(path.id, f"The path {path.title} has {counted(names, 'part')}", *names)
        self.say(f"{path.title} has {counted(names, 'part')}, in this order:", evidence)
        for each in path.parts:
            label = part_name(each)
            self.say(f"- {label[0].upper()}{label[1:]}", evidence)

    def path_sections(self, path: Path) -> None:
        count = sum(len(part.sections) for part in path.parts)
        evidence = self.line(path.id, f"The path {path.title} has", *(part_name(part) for part in path.parts))
        self.say(f"{path.title} has {count} sections in {counted(path.parts, 'part')}:", evidence)
        for part in path.parts:
            names = [section_name(each) for each in part.sections]
            label = part_name(part)
            evidence = self.line(f"{path.id}/{part.id}", f"Sections of {label} of {path.title}:", *names)
            self.say(f"- {label[0].upper()}{label[1:]}: {listed(names)}.", evidence)

    def path_topics(self, path: Path) -> None:
        self.say(f"{path.title} goes through these topics, in its order:", self.line(path.id, f"The path {path.title} has"))
        for part in path.parts:
            held = list(dict.fromkeys(itertools.chain.from_iterable(each.topics for each in part.sections)))
            label = part_name(part)
            if held:
                evidence = self.line(path.id, f"Topics of {label} of {path.title}, in its order:", *self.titles(held))
                self.say(f"- {label[0].upper()}{label[1:]}: {listed(self.titles(held))}.", evidence)

    def path_labs(self, path: Path) -> None:
        labs = [lab.title for part in path.parts for section in part.sections for lab in section_labs(self.roadmap, section, path)]
        if not labs:
            self.say(f"{path.title} has no labs.", self.line(path.id, f"Labs of the path {path.title}: none."))
            return
        evidence = self.line(path.id, f"Labs of the path {path.title}: ")
        total = self.texts[evidence[0]][evidence[1] : evidence[2]].removeprefix(f"Labs of the path {path.title}: ").split(",")[0]
        self.say(f"{path.title} has {total}:", evidence)
        for part in path.parts:
            self.place_labs(Place(path, part))

    def path_difficulty(self, path: Path) -> None:
        stated = [part for part in path.parts if part.level]
        for part in stated:
            evidence = self.line(path.id, f"Difficulty of {part_name(part)} of {path.title}: {part.level}.")
            self.say(f"- {part_name(part)[0].upper()}{part_name(part)[1:]} of {path.title}: {part.level}.", evidence)
        if not stated:
            self.say(f"{path.title} states no difficulty.", self.line(path.id, f"Difficulty of the path {path.title}: it states none."))

    def path_author(self, path: Path) -> None:
        if path.author:
            self.say(
                f"{path.title} was written by {path.author}.", self.line(path.id, f"The path {path.title} was written by {path.author}.")
            )
        else:
            self.say(f"{path.title} names no author.", self.line(path.id, f"The path {path.title} names no author."))

    def path_address(self, path: Path) -> None:
        if not path.url:
            raise NotStatedError(path.id)
        self.say(f"Address of {path.title}: {path.url}", self.line(path.id, f"Address of the path {path.title}: {path.url}"))

    def path_statement(self, path: Path, start: str) -> None:
        """The sentence of a path's document that begins with ``start`` and its title, as an item of a list."""
        url, begin, end = self.line(path.id, f"{start} {path.title}:")
        said = self.texts[url][begin:end].removeprefix(f"{start} {path.title}:").strip()
        self.say(f"- {start.split()[0]} of {path.title}: {said}", (url, begin, end))

    def path_readings(self, path: Path, kinds: Sequence[str] = ()) -> None:
        evidence = self.line(path.id, f"Readings for the path {path.title}:")
        said = self.texts[evidence[0]][evidence[1] : evidence[2]].removeprefix(f"Readings for the path {path.title}:").strip()
        self.say(f"Readings for {path.title}: {said}", evidence)
        for each in path.resources:
            if not kinds or each.kind in kinds:
                self.reading(path.id, each)
        for part in path.parts:
            for section in part.sections:
                self._linked(Place(path, part, section), must=False)

    def path_optional(self, path: Path) -> None:
        names = [part_name(part) for part in path.parts if part.optional]
        evidence = self.line(path.id, f"Optional in the path {path.title}:", *names)
        self.say(f"Optional in {path.title}: {listed(names) if names else 'no part of it'}.", evidence)

    def path_summary(self, path: Path) -> None:
        text = self.texts.get(f"roadmap:{path.id}", "")
        summary = " ".join(path.summary.split())
        if not summary or summary not in text:
            raise NotStatedError(path.id)
        start = text.index(summary)
        self.say(f"{path.title}: {summary}", (f"roadmap:{path.id}", start, start + len(summary)))
        self.path_parts(path)

    def entry_test(self, path: Path, words: Sequence[str] = ()) -> None:
        """The marks that the entry test asks for: those of the skills and areas that the question names, or else all."""
        evidence = self.line(path.id, f"Prerequisites of the path {path.title}", *(each.skill for each in path.entry_test))
        if not path.entry_test:
            self.say(f"{path.title} has no entry test.", evidence)
            return
        chosen = [each for each in path.entry_test if _named(each.skill, words)]
        chosen = chosen or [each for each in path.entry_test if _named(each.area, words)] or list(path.entry_test)
        for each in chosen:
            self.say(f"- {each.skill} ({each.area}): {each.needs} of {each.of} in the entry test of {path.title}.", evidence)

    def setup(self, path: Path, words: Sequence[str] = ()) -> None:
        evidence = self.line(path.id, f"Set-up for the path {path.title}:", *path.setup)
        chosen = [each for each in path.setup if _named(each, words)] or list(path.setup)
        self.say(f"Set-up for {path.title}: {listed(chosen)}.", evidence)


def _range(topic: Topic) -> str:
    lowest, highest = topic.difficulty or ("", "")
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _named(entry: str, words: Sequence[str]) -> bool:
    parts = re.findall(r"\w+", entry.casefold())
    return any(part.startswith(word[:5]) and len(word) > 1 for part in parts for word in words if word not in ("for", "with", "or", "and"))

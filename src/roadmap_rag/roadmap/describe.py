"""Topics, paths and parts as documents.

A passage of these documents is quoted as an answer, so every sentence names what it is about and can stand alone: "Prerequisites of
Quantization: Inference optimization." and not "Prerequisites: see above." A question about order, level, prerequisites, labs or
readings meets the very words Part, Difficulty, Prerequisites, Labs and Readings, and a heading of that name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from roadmap_rag.domain import Document, Lab, Part, Path, Resource, Section, Topic
from roadmap_rag.roadmap.graph import OWN_LINK, Roadmap

Block = tuple[str, list[str]]
"""A heading (empty for the text before the first one) and what stands under it; a line that starts with "- " is part of a list."""


def documents(roadmap: Roadmap) -> tuple[Document, ...]:
    """One document for each topic (``roadmap:ID``), path (``roadmap:PATH``) and part (``roadmap:PATH/PART``), in roadmap order."""
    found = [_topic_document(roadmap, index) for index in range(len(roadmap.topics))]
    for path in roadmap.paths:
        found.append(_path_document(roadmap, path))
        found += [_part_document(roadmap, path, index) for index in range(len(path.parts))]
    return tuple(found)


def _document(address: str, title: str, heading: str, blocks: Iterable[Block]) -> Document:
    lines = [f"# {heading}"]
    for name, block in blocks:
        lines += [f"## {name}"] if name and block else []
        lines += block
    text = lines[0]
    for before, line in itertools.pairwise(lines):
        text += ("\n" if before.startswith("- ") and line.startswith("- ") else "\n\n") + line
    return Document(url=f"roadmap:{address}", title=f"Roadmap: {title}", text=text + "\n", kind="roadmap")


# ----------------------------------------------------------------------------------------------------------------------- topics


def _topic_document(roadmap: Roadmap, index: int) -> Document:
    topic = roadmap.topics[index]
    blocks = [
        ("", [topic.summary.strip(), *([f"{topic.title} is also called {listed(topic.also_called)}."] if topic.also_called else [])]),
        ("Part and order", _order(roadmap, index)),
        ("Difficulty and level", [_difficulty(topic)]),
        ("Prerequisites and what it opens up", _prerequisites(roadmap, topic)),
        ("Concepts", _concepts(topic)),
        ("Skills", [f"Skills and tools for {topic.title}, {group}: {listed(names)}." for group, names in topic.skills.items()]),
        ("Labs", _labs(roadmap, topic)),
        ("Readings and resources", _readings(topic.title, topic.resources)),
        ("In the learning paths", [_place(topic, path, part, section) for path, part, section in roadmap.places(topic.id)]),
    ]
    return _document(topic.id, topic.title, topic.title, blocks)


def _order(roadmap: Roadmap, index: int) -> list[str]:
    topics, topic = roadmap.topics, roadmap.topics[index]
    same_part = [each.id for each in topics if each.part == topic.part]
    place = f"topic {same_part.index(topic.id) + 1} of {len(same_part)} in that part"
    between = _between([each.title for each in topics], index)
    return [
        f"Part: {topic.title} belongs to the part {topic.part} of the roadmap, as {place}.",
        f"Order: {topic.title} is topic {index + 1} of {len(topics)} in the roadmap; it comes {between}.",
    ]


def _difficulty(topic: Topic) -> str:
    if topic.difficulty is None:
        return f"Difficulty of {topic.title}: none of the learning paths states one."
    lowest, highest = topic.difficulty
    return f"Difficulty of {topic.title}: {lowest if lowest == highest else f'{lowest} to {highest}'}."


def _prerequisites(roadmap: Roadmap, topic: Topic) -> list[str]:
    direct, every, opens = topic.prerequisites, roadmap.requires_all(topic.id), roadmap.opens(topic.id)
    lines = [
        f"Prerequisites of {topic.title}: {_titles(roadmap, direct)}."
        if direct
        else f"Prerequisites of {topic.title}: none; it can be studied without any other topic of the roadmap."
    ]
    if len(every) > len(direct):
        lines.append(f"Everything to study before {topic.title}, in order: {_titles(roadmap, every)}.")
    if topic.assumes:
        lines.append(f"{topic.title} also assumes, in the words of the learning paths: {listed(topic.assumes)}.")
    if opens:
        lines.append(f"{topic.title} opens up {_titles(roadmap, opens)}.")
    else:
        lines.append(f"{topic.title} opens up no further topic: nothing in the roadmap has it as a prerequisite.")
    return lines


def _concepts(topic: Topic) -> list[str]:
    if not topic.concepts:
        return []
    names = listed([concept.name for concept in topic.concepts])
    parts = [f"- {concept.name}: {listed(concept.parts)}." for concept in topic.concepts if concept.parts]
    return [f"Concepts of {topic.title}: {names}.", *parts]


def _labs(roadmap: Roadmap, topic: Topic) -> list[str]:
    titles = {path.id: path.title for path in roadmap.paths}
    own = {lab.title for lab in topic.labs}
    lines = [f"Labs for {topic.title}: {listed([lab.title for lab in topic.labs])}."]
    if not own:
        lines = [f"Labs for {topic.title}: none of the learning paths has one for this very topic."]
    lines += [f"- Lab “{lab.title}”, from {titles[lab.path]}: {_ended(lab.goal)}" for lab in topic.labs]
    for path, _, section in roadmap.places(topic.id):
        together = section_labs(roadmap, section, path)
        if not own.issuperset(together):
            lines.append(f"All labs of {section_name(section)} of {path.title}, where {topic.title} stands: {listed(together)}.")
    return lines


def _place(topic: Topic, path: Path, part: Part, section: Section) -> str:
    level = f", with difficulty {section.level}" if section.level else ""
    needs = f" and prerequisites {listed(section.prerequisites)}" if section.prerequisites else ""
    if needs and not level:
        needs = f", with{needs.removeprefix(' and')}"
    return f"In the path {path.title}, {topic.title} stands in {part_name(part)}, {section_name(section)}{level}{needs}."


# -------------------------------------------------------------------------------------------------------------- paths and parts


def _path_document(roadmap: Roadmap, path: Path) -> Document:
    title, parts = path.title, [part_name(part) for part in path.parts]
    about = [path.summary.strip()] if path.summary.strip() else []
    if path.also_called:
        about.append(f"The path {title} is also called {listed(path.also_called)}.")
    about.append(f"The path {title} was written by {path.author}." if path.author else f"The path {title} names no author.")
    about += [f"Address of the path {title}: {path.url}"] if path.url else []
    order = [f"The path {title} has {counted(parts, 'part')}, in this order: {listed(parts)}."] if parts else []
    optional = [part_name(part) for part in path.parts if part.optional]
    if parts:
        order.append(f"Optional in the path {title}: {listed(optional)}." if optional else f"Optional in the path {title}: no part of it.")
    levels = [f"Difficulty of {part_name(part)} of {title}: {part.level}." for part in path.parts if part.level]
    by_part = {part.id: list(dict.fromkeys(topic for section in part.sections for topic in section.topics)) for part in path.parts}
    order += [
        f"Topics of {part_name(part)} of {title}, in its order: {_titles(roadmap, by_part[part.id])}."
        for part in path.parts
        if by_part[part.id]
    ]
    taught = list(dict.fromkeys(itertools.chain.from_iterable(by_part.values())))
    labs = [lab.title for topic in taught for lab in labs_of(roadmap, topic, path)]
    blocks = [
        ("", about),
        ("Part by part", order),
        ("Difficulty and level", levels or [f"Difficulty of the path {title}: it states none."]),
        ("Prerequisites", _entry(path)),
        (
            "Labs",
            [f"Labs of the path {title}: {counted(labs, 'lab')}, listed part by part." if labs else f"Labs of the path {title}: none."],
        ),
        ("Readings and resources", _path_readings(path, readings_of(roadmap, taught, path))),
    ]
    return _document(path.id, title, title, blocks)


def _path_readings(path: Path, taught: Sequence[Resource]) -> list[str]:
    links = {each.url for each in (*taught, *path.resources)}
    if not links:
        return [f"Readings for the path {path.title}: none; that path has no links."]
    count = f"Readings for the path {path.title}: {counted(list(links), 'link')}"
    count += ", listed part by part." if taught else "."
    return [count, *map(reading_line, path.resources)]


def _entry(path: Path) -> list[str]:
    asked = [f"{each.skill} ({each.area}) at {each.needs} of {each.of}" for each in path.entry_test]
    lines = (
        [f"Prerequisites of the path {path.title}, from its entry test: {listed(asked)}."]
        if asked
        else [f"Prerequisites of the path {path.title}: it has no entry test."]
    )
    return lines + ([f"Set-up for the path {path.title}: {listed(path.setup)}."] if path.setup else [])


def _part_document(roadmap: Roadmap, path: Path, index: int) -> Document:
    part = path.parts[index]
    name, title = part_name(part), f"{part_name(part)} of {path.title}"
    subject = title[0].upper() + title[1:]
    between = _between([part_name(each) for each in path.parts], index)
    order = f"{subject} is part {index + 1} of {len(path.parts)} of that path; it comes {between}."
    about = [order, *([f"{subject} is optional."] if part.optional else [])]
    about += [f"Focus of {title}: {_ended(part.focus)}"] if part.focus else []
    about += [f"Outcome of {title}: {_ended(part.outcome)}"] if part.outcome else []
    sections = part.sections
    labs = [f"Labs of {section_name(section)}: {listed(found)}." for section in sections if (found := section_labs(roadmap, section, path))]
    readings = _part_readings(roadmap, path, part)
    levels = [f"Difficulty of {title}: {part.level or 'it states none'}."]
    levels += [f"Difficulty of {section_name(section)}: {section.level}." for section in sections if section.level]
    needs = [f"Prerequisites of {section_name(each)}: {listed(each.prerequisites)}." for each in sections if each.prerequisites]
    blocks = [
        ("", about),
        ("Part and sections", _sections(roadmap, title, sections)),
        ("Difficulty and level", levels),
        ("Prerequisites", needs or [f"Prerequisites of {title}: its sections state none."]),
        ("Labs", labs or [f"Labs of {title}: none."]),
        ("Readings and resources", readings or [f"Readings for {title}: none; that part has no links."]),
    ]
    return _document(f"{path.id}/{part.id}", f"{path.title}, {name}", f"{name[0].upper()}{name[1:]}", blocks)


def _sections(roadmap: Roadmap, title: str, sections: Sequence[Section]) -> list[str]:
    if not sections:
        return []
    lines = [f"Sections of {title}: {listed([section_name(section) for section in sections])}."]
    return lines + [f"- Topics of {section_name(each)}: {_titles(roadmap, each.topics)}." for each in sections if each.topics]


def _part_readings(roadmap: Roadmap, path: Path, part: Part) -> list[str]:
    """A sentence for each section that has readings; a link of several topics goes to the section that shares most of them with it."""
    topics = {source.url: set(source.topics) for source in roadmap.sources()}

    def shared(section: Section, resource: Resource) -> int:
        return len(topics[resource.url].intersection(section.topics))

    lines = []
    for section in part.sections:
        candidates = readings_of(roadmap, section.topics, path)
        linked = [each for each in candidates if shared(section, each) == max(shared(other, each) for other in part.sections)]
        lines += [f"Readings for the topics of {section_name(section)}: {_named(linked)}."] if linked else []
    return lines


def section_labs(roadmap: Roadmap, section: Section, path: Path) -> list[str]:
    return [lab.title for topic in section.topics for lab in labs_of(roadmap, topic, path)]


def labs_of(roadmap: Roadmap, topic_id: str, path: Path) -> list[Lab]:
    return [lab for lab in roadmap.topic(topic_id).labs if lab.path == path.id]


def readings_of(roadmap: Roadmap, topic_ids: Iterable[str], path: Path) -> tuple[Resource, ...]:
    """The resources of some topics that this path links to, each once."""
    found = {each.url: each for topic_id in topic_ids for each in roadmap.topic(topic_id).resources if path.id in each.paths}
    return tuple(found.values())


# ----------------------------------------------------------------------------------------------------------------------- phrases


def _readings(title: str, resources: Sequence[Resource]) -> list[str]:
    """What there is to read: all titles in one sentence, then a line for each."""
    if not resources:
        return [f"Readings for {title}: none; the roadmap has no links for it."]
    return [f"Readings for {title}: {_named(resources)}.", *map(reading_line, resources)]


def _named(resources: Iterable[Resource]) -> str:
    return listed([f"“{each.title}” ({each.kind})" for each in resources])


def reading_line(resource: Resource) -> str:
    origin = f" by {resource.author}" if resource.author else ""
    origin += f", {resource.provider}" if resource.provider and resource.provider != resource.author else ""
    label = f", linked as “{resource.called}”" if resource.called else ""
    reason = " a link of your own." if resource.kind == OWN_LINK else f" {_ended(resource.why)}" if resource.why else ""
    return f"- {resource.kind.capitalize()} “{resource.title}”{origin}{label}:{reason} {resource.url}"


def _between(names: Sequence[str], index: int) -> str:
    """Where an entry stands among others, to follow "it comes": ``after A and before B``."""
    if len(names) == 1:
        return "alone"
    if index == 0:
        return f"first, before {names[1]}"
    if index == len(names) - 1:
        return f"last, after {names[-2]}"
    return f"after {names[index - 1]} and before {names[index + 1]}"


def part_name(part: Part) -> str:
    return f"part {part.number} ({part.title})" if part.number is not None else f"the part “{part.title}”"


def section_name(section: Section) -> str:
    return f"section {section.number} ({section.title})" if section.number is not None else f"the section “{section.title}”"


def _titles(roadmap: Roadmap, topic_ids: Iterable[str]) -> str:
    return listed([roadmap.topic(topic_id).title for topic_id in topic_ids])


def counted(entries: Sequence[object], noun: str) -> str:
    return f"{len(entries)} {noun}{'' if len(entries) == 1 else 's'}"


def listed(entries: Sequence[str]) -> str:
    """Entries as running text; with semicolons when an entry has a comma or an "and" of its own."""
    separator = "; " if any("," in entry or " and " in entry for entry in entries) else ", "
    if len(entries) < 2:
        return "".join(entries)
    return separator.join(entries[:-1]) + (" and " if separator == ", " else "; and ") + entries[-1]


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."

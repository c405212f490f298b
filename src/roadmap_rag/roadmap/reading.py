"""From ``roadmap.yaml`` and ``links.yaml`` to checked records.

The records of ``domain`` are the schema: a mapping in the file has the fields of its record as keys, a list is a tuple, a field
without a default has to be there. The file is read as YAML nodes and not as Python objects, because a node knows its line, so that
every complaint names the file, the line and the entry. ``where`` is the way to an entry from the top of the file: keys and indices.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import pathlib
import re
import typing
from collections.abc import Collection, Iterator, Sequence
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

import yaml

from roadmap_rag.domain import Path, Resource, Topic
from roadmap_rag.errors import RoadmapError
from roadmap_rag.roadmap.graph import OWN_LINK, Roadmap

Where = tuple[str | int, ...]
Entry = TypeVar("Entry")

# The C parser reads the file about ten times faster; PyYAML is built without it on some platforms.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALARS = {str: ("str", "text"), int: ("int", "a whole number"), bool: ("bool", "true or false")}
_FOUND = {"null": "nothing", "int": "a number", "float": "a number", "bool": "true or false", "timestamp": "a date"}
_FOUND |= {"map": "keys with values", "seq": "a list"}
_NOUNS = {"entry_test": "entry test", "topics": "topic", "paths": "path", "parts": "part", "sections": "section"}
_NOUNS |= {"concepts": "concept", "labs": "lab", "resources": "resource"}
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclasses.dataclass(frozen=True)
class _File:
    """The top level of ``roadmap.yaml``."""

    topics: tuple[Topic, ...]
    paths: tuple[Path, ...] = ()


def load_roadmap(path: pathlib.Path, links: pathlib.Path | None = None) -> Roadmap:
    """Read the roadmap, check it, and put the user's own links among the resources of their topics.

    A missing ``links`` is no error. RoadmapError for anything else: the message names the file, the line, the entry and the fault.
    """
    reader = Reader(path)
    if reader.root is None:
        raise RoadmapError(f"{path}: the file is empty; it needs the key topics")
    file: _File = reader.value(_File, reader.root, ())
    _check_ids(reader, file)
    _check_prerequisites(reader, file.topics)
    _check_mentions(reader, file)
    _check_links(reader, file)
    own = load_own_links(links, {topic.id for topic in file.topics}) if links is not None else {}
    return Roadmap(tuple(_with_own_links(topic, own.get(topic.id, ())) for topic in file.topics), file.paths, own)


def load_own_links(path: pathlib.Path, topics: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
    """``links.yaml``: a list of links under each topic id; empty when there is no such file.

    RoadmapError for a link that is none, or stands twice under a topic, and for a topic that is not among ``topics`` when those are given.
    """
    reader = Reader(path) if path.exists() else None
    if reader is None or reader.root is None:
        return {}
    own: dict[str, tuple[str, ...]] = reader.value(dict[str, tuple[str, ...]], reader.root, ())
    for topic, urls in own.items():
        if topics is not None and topic not in topics:
            reader.fail((topic,), f'"{topic}" is no topic of the roadmap{_guess(topic, topics)}')
        for index, url in enumerate(urls):
            if not is_web_address(url):
                reader.fail((topic, index), f'topic "{topic}": "{url}" is not an http or https address')
            if url in urls[:index]:
                reader.fail((topic, index), f'topic "{topic}": {url} is listed twice')
    return own


def is_web_address(url: str) -> bool:
    """Whether a text is an absolute http or https address with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------------------------- nodes to records


class Reader:
    """One YAML file as nodes, and the complaints about it. ``root`` is None when the file holds nothing."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise RoadmapError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RoadmapError(f"{path}, line {error.object[: error.start].count(10) + 1}: not valid UTF-8") from error
        try:
            self.root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise RoadmapError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
        except yaml.reader.ReaderError as error:
            line = text.encode()[: error.position].count(10) + 1
            raise RoadmapError(f"{path}, line {line}: not valid YAML: {error.reason}") from error

    def fail(self, where: Where, problem: str, node: yaml.Node | None = None) -> NoReturn:
        """Raise the RoadmapError for an entry, at its own line or at that of ``node``."""
        line = (node or self._node(where)).start_mark.line + 1
        raise RoadmapError(": ".join([f"{self.path}, line {line}", *filter(None, [self._entry(where)]), problem]))

    def line(self, where: Where) -> int:
        return int(self._node(where).start_mark.line) + 1

    def value(self, hint: Any, node: yaml.Node, where: Where) -> Any:
        """A node as what the type ``hint`` asks for: a record, a tuple, a dict of them, one of some words, or a plain value."""
        origin, arguments = get_origin(hint), get_args(hint)
        if dataclasses.is_dataclass(hint):
            return self._record(hint, node, where)
        if origin is UnionType:  # of something and None
            return None if node.tag == f"{_TAG}null" else self.value(arguments[0], node, where)
        if origin is Literal:
            word = self._scalar(str, node, where)
            if word not in arguments:
                self.fail(where, f'{_field(where)} "{word}" is unknown; known are {", ".join(arguments)}', node)
            return word
        if origin is dict:
            return {key.value: self.value(arguments[1], item, (*where, key.value)) for key, item in self._items(node, where)}
        if origin is tuple:
            return self._tuple(arguments, node, where)
        return self._scalar(hint, node, where)

    def _record(self, kind: Any, node: yaml.Node, where: Where) -> Any:
        hints = _hints(kind)
        values = {}
        for key, item in self._items(node, where):
            if key.value not in hints:
                self.fail(where, f'unknown key "{key.value}"{_guess(key.value, hints)}', key)
            values[key.value] = self.value(hints[key.value], item, (*where, key.value))
        for field in dataclasses.fields(kind):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and (field.name not in values or (isinstance(values[field.name], str) and not values[field.name].strip())):
                self.fail(where, f"has no {field.name}", node)
        return kind(**values)

    def _tuple(self, arguments: tuple[Any, ...], node: yaml.Node, where: Where) -> tuple[Any, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._wrong_type(where, "a list", node)
        if arguments[-1] is not Ellipsis and len(node.value) != len(arguments):
            self.fail(where, f"{_field(where)} must be a list of {len(arguments)}, not of {len(node.value)}", node)
        return tuple(self.value(arguments[0], item, (*where, index)) for index, item in enumerate(node.value))

    def _scalar(self, kind: type, node: yaml.Node, where: Where) -> Any:
        tag, name = _SCALARS[kind]
        if node.tag != _TAG + tag:
            self._wrong_type(where, name, node)
        return yaml.constructor.SafeConstructor().construct_object(node)

    def _items(self, node: yaml.Node, where: Where) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._wrong_type(where, "keys with values", node)
        seen = set()
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(where, "a key must be a word", key)
            if key.value in seen:
                self.fail(where, f'the key "{key.value}" stands twice', key)
            seen.add(key.value)
            yield key, item

    def _wrong_type(self, where: Where, wanted: str, node: yaml.Node) -> NoReturn:
        found = _FOUND.get(node.tag.removeprefix(_TAG), "text")
        quotes = "; put it in quotes" if wanted == "text" and found in ("a number", "true or false", "a date") else ""
        self.fail(where, f"{_field(where)} must be {wanted}, not {found}{quotes}", node)

    def _node(self, where: Where) -> yaml.Node:
        """The node of an entry, or the nearest one above it that is there."""
        assert self.root is not None
        node = self.root
        for step in where:
            children = dict(enumerate(node.value)) if isinstance(step, int) else {key.value: item for key, item in node.value}
            if step not in children:
                break
            node = children[step]
        return node

    def _entry(self, where: Where) -> str:
        """What an entry is called in a message: ``topic "rag", resource 2``."""
        names = []
        for depth, step in enumerate(where):
            noun = _noun(where[: depth + 1])
            if noun and isinstance(step, int):
                node = self._node(where[: depth + 1])
                children = node.value if isinstance(node, yaml.MappingNode) else []
                ids = [item.value for key, item in children if key.value == "id" and isinstance(item, yaml.ScalarNode)]
                names.append(f'{noun} "{ids[0]}"' if ids else f"{noun} {step + 1}")
        return ", ".join(names)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _field(where: Where) -> str:
    """The field that a value belongs to, as a message calls it: ``title``, or ``prerequisites, item 2``."""
    if not where:
        return "the file"
    step = where[-1]
    if isinstance(step, str):
        return step
    return "this entry" if _noun(where) else f"{where[-2]}, item {step + 1}"


def _noun(where: Where) -> str:
    """What a record in a list is called; empty for anything else. ``topics`` and ``paths`` hold records at the top only, ids below."""
    if len(where) < 2 or not isinstance(where[-1], int) or (where[-2] in ("topics", "paths") and len(where) > 2):
        return ""
    return _NOUNS.get(str(where[-2]), "")


def _guess(word: str, known: Collection[str]) -> str:
    similar = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean "{similar[0]}"?' if similar else ""


# ---------------------------------------------------------------------------------------------------- what holds between entries


def _check_ids(reader: Reader, file: _File) -> None:
    seen: dict[str, int] = {}
    for place, entry in _entries(file):
        where = (*place, "id")
        if not _ID.fullmatch(entry.id):
            reader.fail(where, f'the id "{entry.id}" must be lower-case words joined by hyphens')
        if entry.id in seen:
            reader.fail(where, f'the id "{entry.id}" is used twice, first in line {seen[entry.id]}')
        seen[entry.id] = reader.line(where)
    for where, path in _each(("paths",), file.paths):
        parts = [part.id for part in path.parts]
        for index, part in enumerate(parts):
            if not _ID.fullmatch(part):
                reader.fail((*where, "parts", index, "id"), f'the id "{part}" must be lower-case words joined by hyphens')
            if part in parts[:index]:
                reader.fail((*where, "parts", index, "id"), f'the id "{part}" is used twice in this path')


def _check_prerequisites(reader: Reader, topics: tuple[Topic, ...]) -> None:
    requires = {topic.id: topic.prerequisites for topic in topics}
    places = {topic.id: index for index, topic in enumerate(topics)}
    for index, topic in enumerate(topics):
        for where, needed in _each(("topics", index, "prerequisites"), topic.prerequisites):
            if needed not in places:
                reader.fail(where, f'the prerequisite "{needed}" is no topic{_guess(needed, places)}')
    for index, topic in enumerate(topics):
        for where, needed in _each(("topics", index, "prerequisites"), topic.prerequisites):
            if places[needed] >= index:
                cycle = _cycle(requires, topic.id, needed)
                if cycle:
                    reader.fail(where, f"the prerequisites go in a circle: {' → '.join(cycle)}")
                reader.fail(where, f'the prerequisite "{needed}" stands after this topic; it has to come before')


def _cycle(requires: dict[str, tuple[str, ...]], topic: str, needed: str) -> list[str]:
    """The shortest circle from ``topic`` over its prerequisite ``needed`` back to itself; empty when there is none."""
    ways, seen = [[topic, needed]], {needed}
    for way in ways:  # grows while it is walked: nearest topics first
        if way[-1] == topic:
            return way
        for following in requires[way[-1]]:
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


def _check_mentions(reader: Reader, file: _File) -> None:
    """Topics that a section names, and paths that a lab or a resource names, have to be there."""
    topics, paths = {topic.id for topic in file.topics}, {path.id for path in file.paths}
    mentions: list[tuple[Where, str, set[str], str]] = []
    for where, path in _each(("paths",), file.paths):
        for inner, part in _each((*where, "parts"), path.parts):
            for innermost, section in _each((*inner, "sections"), part.sections):
                mentions += [(place, name, topics, "topic") for place, name in _each((*innermost, "topics"), section.topics)]
    for where, topic in _each(("topics",), file.topics):
        mentions += [((*place, "path"), lab.path, paths, "path") for place, lab in _each((*where, "labs"), topic.labs)]
    for where, resource in _resources(file):
        mentions += [(place, name, paths, "path") for place, name in _each((*where, "paths"), resource.paths)]
    for where, name, known, noun in mentions:
        if name not in known:
            reader.fail(where, f'"{name}" is no {noun}{_guess(name, known)}')


def _check_links(reader: Reader, file: _File) -> None:
    for where, path in _each(("paths",), file.paths):
        if path.url and not is_web_address(path.url):
            reader.fail((*where, "url"), f'"{path.url}" is not an http or https address')
    listed: set[tuple[Where, str]] = set()
    for where, resource in _resources(file):
        if not is_web_address(resource.url):
            reader.fail((*where, "url"), f'"{resource.url}" is not an http or https address')
        if (where[:2], resource.url) in listed:
            reader.fail((*where, "url"), f"{resource.url} is listed twice")
        listed.add((where[:2], resource.url))


def _resources(file: _File) -> Iterator[tuple[Where, Resource]]:
    for where, entry in _entries(file):
        yield from _each((*where, "resources"), entry.resources)


def _entries(file: _File) -> Iterator[tuple[Where, Topic | Path]]:
    yield from _each(("topics",), file.topics)
    yield from _each(("paths",), file.paths)


def _each(where: Where, entries: Sequence[Entry]) -> Iterator[tuple[Where, Entry]]:
    for index, entry in enumerate(entries):
        yield (*where, index), entry


def _with_own_links(topic: Topic, urls: Sequence[str]) -> Topic:
    """The topic with the user's own links after its resources; a link that is there already stays as it is."""
    present = {resource.url for resource in topic.resources}
    own = tuple(Resource(title=url, url=url, kind=OWN_LINK) for url in urls if url not in present)
    return dataclasses.replace(topic, resources=topic.resources + own)

"""Topics, the order between them, and the links that stand under them.

The order of the file is the order of study: every prerequisite of a topic stands before it (``reading`` refuses a file in which one
does not), so a single pass over the topics is enough for everything here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from roadmap_rag.domain import Part, Path, Resource, Section, Source, Topic
from roadmap_rag.errors import UsageError

Entry = TypeVar("Entry", Topic, Path)

OWN_LINK = "link"
"""The kind of a resource that comes from ``links.yaml``."""


@dataclass(frozen=True)
class Roadmap:
    """The merged roadmap. ``own_links`` are the user's own, by topic id; they also stand among the topic's resources."""

    topics: tuple[Topic, ...]
    paths: tuple[Path, ...] = ()
    own_links: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def topic(self, topic_id: str) -> Topic:
        """The topic with this id; UsageError, with the ids most like it, when there is none."""
        return _pick(self.topics, topic_id, "topic")

    def path(self, path_id: str) -> Path:
        """The path with this id; UsageError, with the ids most like it, when there is none."""
        return _pick(self.paths, path_id, "path")

    def requires(self, topic_id: str) -> tuple[str, ...]:
        """The direct prerequisites of a topic, as ids, as the file lists them."""
        return self.topic(topic_id).prerequisites

    def requires_all(self, topic_id: str) -> tuple[str, ...]:
        """Every topic that has to come before this one, as ids, in roadmap order."""
        needed = set(self.requires(topic_id))
        for topic in reversed(self.topics):
            if topic.id in needed:
                needed.update(topic.prerequisites)
        return tuple(topic.id for topic in self.topics if topic.id in needed)

    def opens(self, topic_id: str) -> tuple[str, ...]:
        """The topics that have this one as a direct prerequisite, as ids, in roadmap order."""
        wanted = self.topic(topic_id).id
        return tuple(topic.id for topic in self.topics if wanted in topic.prerequisites)

    def sources(self) -> tuple[Source, ...]:
        """Every link once, in roadmap order, with all topics it stands under; a link of paths only has no topics.

        Where the roadmap and the user's own links both name a link, title and kind are the roadmap's.
        """
        resources: dict[str, Resource] = {}
        topics: dict[str, list[str]] = {}
        for topic_id, resource in self._resources():
            if resource.url not in resources or resources[resource.url].kind == OWN_LINK != resource.kind:
                resources[resource.url] = resource
            under = topics.setdefault(resource.url, [])
            if topic_id and topic_id not in under:
                under.append(topic_id)
        return tuple(Source(url=url, title=resources[url].title, kind=resources[url].kind, topics=tuple(topics[url])) for url in topics)

    def places(self, topic_id: str) -> Iterator[tuple[Path, Part, Section]]:
        """Where a topic stands in the learning paths, path by path, each in its own order."""
        for path in self.paths:
            for part in path.parts:
                for section in part.sections:
                    if topic_id in section.topics:
                        yield path, part, section

    def _resources(self) -> Iterator[tuple[str, Resource]]:
        for topic in self.topics:
            for resource in topic.resources:
                yield topic.id, resource
        for path in self.paths:
            for resource in path.resources:
                yield "", resource


def as_dict(roadmap: Roadmap, name: str | None = None) -> dict[str, Any]:
    """The roadmap as ``topics --json`` prints it: the file's fields and, for each topic, ``requires_all`` and ``opens``.

    ``name`` is an id. With that of a topic: that topic, and the paths it stands in. With that of a path: that path, and the topics
    it teaches. UsageError when there is neither.
    """
    topics, paths = roadmap.topics, roadmap.paths
    if name in {path.id for path in paths}:
        paths = tuple(path for path in paths if path.id == name)
        taught = {topic for part in paths[0].parts for section in part.sections for topic in section.topics}
        topics = tuple(topic for topic in topics if topic.id in taught)
    elif name is not None:
        topics = (roadmap.topic(name),)
        holding = {path.id for path, _, _ in roadmap.places(name)}
        paths = tuple(path for path in paths if path.id in holding)
    return {
        "topics": [
            asdict(topic) | {"requires_all": list(roadmap.requires_all(topic.id)), "opens": list(roadmap.opens(topic.id))}
            for topic in topics
        ],
        "paths": [asdict(path) for path in paths],
    }


def _pick(entries: tuple[Entry, ...], name: str, noun: str) -> Entry:
    for entry in entries:
        if entry.id == name:
            return entry
    similar = difflib.get_close_matches(name, [entry.id for entry in entries], n=3)
    guess = f"did you mean {' or '.join(similar)}? " if similar else ""
    raise UsageError(f'there is no {noun} "{name}": {guess}`roadmap-rag topics` lists them all')

"""The user's own links: ``links.yaml``, a list of links under each topic id, made to be edited by hand as well.

retrieval-augmented-generation:
  - https://example.org/my-favourite-article
"""

from __future__ import annotations

import os
import pathlib
import tempfile

import yaml

from roadmap_rag.errors import RoadmapError, StorageError, UsageError
from roadmap_rag.roadmap.graph import Roadmap
from roadmap_rag.roadmap.reading import is_web_address, load_own_links

_HEADER = "# Your own links, by topic. Edit by hand, or with `roadmap-rag add` and `roadmap-rag remove`, which keep no comments.\n"


def add_link(links: pathlib.Path, roadmap: Roadmap, url: str, topic_id: str) -> None:
    """Put a link under a topic in ``links``.

    UsageError when the link is no http(s) address or there is no such topic, RoadmapError when the topic has the link already,
    StorageError when the file cannot be written.
    """
    if not is_web_address(url):
        raise UsageError(f'"{url}" is not an http or https address')
    topic = roadmap.topic(topic_id)
    own = load_own_links(links)
    if url in own.get(topic_id, ()) or any(resource.url == url for resource in topic.resources):
        raise RoadmapError(f"{url} is among the links of {topic_id} already: `roadmap-rag ingest --source {url}` fetches it")
    _write(links, own | {topic_id: (*own.get(topic_id, ()), url)})


def remove_link(links: pathlib.Path, url: str) -> tuple[str, ...]:
    """Take a link out of ``links``, under every topic, and return those topics.

    RoadmapError when it is not there, which is so for the roadmap's own links too; StorageError when the file cannot be written.
    """
    own = load_own_links(links)
    topics = tuple(topic_id for topic_id, urls in own.items() if url in urls)
    if not topics:
        raise RoadmapError(f"{url} is none of your own links in {links}: only those that `roadmap-rag add` put there can be removed")
    kept = {topic_id: tuple(each for each in urls if each != url) for topic_id, urls in own.items()}
    _write(links, {topic_id: urls for topic_id, urls in kept.items() if urls})
    return topics


def _write(links: pathlib.Path, own: dict[str, tuple[str, ...]]) -> None:
    """Write the file in one step, so that a reader sees the old links or the new ones and never half a file."""
    text = _HEADER + (yaml.safe_dump({topic: list(urls) for topic, urls in own.items()}, sort_keys=False, width=10_000) if own else "")
    temporary = None
    try:
        links.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=links.parent, prefix=".links-", delete=False) as file:
            temporary = pathlib.Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(links)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StorageError(f"{links.parent}: cannot write {links.name}: {error.strerror}") from error

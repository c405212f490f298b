"""What robots.txt of a site allows, remembered for a day (RFC 9309).

A copy is kept in memory and, between runs, in a folder. When the site cannot be reached, an older copy serves; when there is none,
the site is left alone for ten minutes. How the text is fetched is the caller's business.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from protego import Protego

from roadmap_rag.domain import digest
from roadmap_rag.errors import BlockedError, FetchError, StorageError

MAX_AGE = 24 * 3600.0
"""Seconds that a copy may be used without asking again (RFC 9309, section 2.4)."""
RETRY_AFTER = 600.0
"""Seconds for which a site whose robots.txt could not be read is left alone."""


@dataclass(slots=True)
class _Site:
    """``lock`` is held while the text is fetched, so that one thread asks and the others wait for its answer."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | None = None
    problem: FetchError | None = None
    until: float = 0.0


class Robots:
    """The rules for one robot. May be called from several threads.

    ``folder``: where copies are kept, or None; ``clock``: seconds since 1970.
    """

    def __init__(self, robot: str, folder: Path | None, clock: Callable[[], float]) -> None:
        self._robot = robot
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._sites: dict[str, _Site] = {}

    def check(self, url: str, read: Callable[[], str]) -> float:
        """The Crawl-delay of the address's site, in seconds (0: none). Raises BlockedError for an address that is forbidden.

        ``read`` fetches the text; what it raises is raised here too, for each address of the site, until it may be tried again.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            site = self._sites.setdefault(origin, _Site())
        with site.lock:
            if site.until <= self._clock():
                self._load(site, origin, read)
            if site.problem is not None:
                raise type(site.problem)(site.problem.reason, http_status=site.problem.http_status)
            rules = site.rules
        assert rules is not None
        if not rules.can_fetch(url, self._robot):
            raise BlockedError(f"robots.txt of {parts.hostname} forbids it")
        return float(rules.crawl_delay(self._robot) or 0.0)

    def _load(self, site: _Site, origin: str, read: Callable[[], str]) -> None:
        stored = self._read_copy(origin)
        if stored is not None and 0 <= self._clock() - stored[0] < MAX_AGE:
            fetched_at, text = stored
        else:
            fetched_at = self._clock()
            try:
                text = read()
            except FetchError as problem:
                site.until = self._clock() + RETRY_AFTER
                if stored is None or isinstance(problem, BlockedError):
                    site.rules, site.problem = None, problem
                else:
                    site.rules, site.problem = Protego.parse(stored[1]), None
                return
            self._write_copy(origin, fetched_at, text)
        site.rules, site.problem, site.until = Protego.parse(text), None, fetched_at + MAX_AGE

    def _copy_path(self, origin: str) -> Path | None:
        if self._folder is None:
            return None
        host = re.sub(r"[^a-z0-9.-]", "_", urlsplit(origin).hostname or "")
        return self._folder / f"{host}-{digest(origin)[:8]}.json"

    def _read_copy(self, origin: str) -> tuple[float, str] | None:
        """When the copy was fetched, and its text."""
        path = self._copy_path(origin)
        if path is None:
            return None
        try:
            copy = json.loads(path.read_text("utf-8"))
            return float(copy["fetched_at"]), str(copy["text"])
        except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: it is fetched anew
            return None

    def _write_copy(self, origin: str, fetched_at: float, text: str) -> None:
        path = self._copy_path(origin)
        if path is None:
            return
        draft = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({"origin": origin, "fetched_at": fetched_at, "text": text}), "utf-8")
            draft.replace(path)
        except OSError as error:
            raise StorageError(f"{path.parent} cannot be written: {error.strerror}; free space there or change its owner") from error

"""What was read last, kept for the next question: a bounded memory in front of whatever is slower."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
_ABSENT = object()


class Recent(Generic[Key, Value]):
    """Values by key, up to ``room`` in all; what came first goes first. Safe to use from several threads.

    ``size`` says how much room a value takes, in the unit of ``room``; without it each takes 1. A value must never change.
    """

    def __init__(self, room: int, size: Callable[[Value], int] = lambda _: 1) -> None:
        self._room = room
        self._size = size
        self._held: dict[Key, Value] = {}
        self._used = 0
        self._lock = threading.Lock()

    def get(self, keys: Iterable[Key], load: Callable[[list[Key]], Mapping[Key, Value]]) -> dict[Key, Value]:
        """The values of ``keys``; ``load`` is asked once for those that are not held, and may leave some out."""
        held: dict[Key, Any] = self._held
        wanted = list(dict.fromkeys(keys))
        found = {key: value for key in wanted if (value := held.get(key, _ABSENT)) is not _ABSENT}
        missing = [key for key in wanted if key not in found]
        if missing:
            loaded = load(missing)
            found.update(loaded)
            self._keep(loaded)
        return found

    def _keep(self, loaded: Mapping[Key, Value]) -> None:
        with self._lock:
            for key, value in loaded.items():
                if key not in self._held:
                    self._held[key] = value
                    self._used += self._size(value)
            while self._used > self._room and self._held:
                self._used -= self._size(self._held.pop(next(iter(self._held))))

"""Small real implementations of the interfaces, for tests that need no model: a queue of what to say, a history of what was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from roadmap_rag.domain import Piece, Turn
from roadmap_rag.errors import GeneratorError

Script = Sequence[str | GeneratorError]
"""The texts of the pieces of one answer, in order; an error in its place is raised there and ends the answer."""


Report = Mapping[str, float | None]


class FakeStream(Iterator[Piece]):
    """One scripted answer. After ``close`` nothing more comes; ``closed`` tells a test that the reader did close it."""

    def __init__(self, script: Script, prompt_tokens: int, queue: Sequence[int] = (), report: Report | None = None) -> None:
        self._left = deque(script)
        self._queue = deque(queue)
        self._prompt_tokens, self._report = prompt_tokens, report
        self._given = 0
        self._over = False
        self.ahead = 0
        self.closed = False

    def __next__(self) -> Piece:
        if self._over:
            raise StopIteration
        if self._queue:
            self.ahead = self._queue.popleft()
            return Piece()
        if not self._left:
            self._over = True
            return Piece("", self._prompt_tokens, self._given, self._report)
        item = self._left.popleft()
        if isinstance(item, GeneratorError):
            self._over = True
            raise item
        self._given += 1
        return Piece(item)

    def close(self) -> None:
        self._over = self.closed = True


class FakeGenerator:
    """Implements ``domain.Generator``: each call takes the next script. Counts of tokens are counts of words and of pieces.

    ``queue`` is how many others stand before each answer, step by step; ``report`` is what its server says at the end.
    """

    def __init__(
        self, scripts: Iterable[Script] = (), model: str = "fake", *, queue: Sequence[int] = (), report: Report | None = None
    ) -> None:
        self.model = model
        self._queue, self._report = queue, report
        self.scripts: deque[Script] = deque(scripts)
        self.history: list[tuple[Turn, ...]] = []
        self.streams: list[FakeStream] = []

    def stream(self, messages: Sequence[Turn]) -> FakeStream:
        self.history.append(tuple(messages))
        assert self.scripts, "the fake generator was asked more often than its scripts say"
        answer = FakeStream(self.scripts.popleft(), sum(len(turn.content.split()) for turn in messages), self._queue, self._report)
        self.streams.append(answer)
        return answer

"""The bounded memory in front of slower things."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roadmap_rag.recent import Recent


class Store:
    """Holds the length of each text that starts with a letter, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def load(self, keys: list[str]) -> dict[str, int]:
        self.asked += keys
        return {key: len(key) for key in keys if key[:1].isalpha()}


@given(st.lists(st.lists(st.text("ab1", max_size=4)), max_size=12), st.integers(0, 9))
def test_it_says_what_the_store_says(questions: list[list[str]], room: int) -> None:
    recent: Recent[str, int] = Recent(room, lambda length: length)
    for keys in questions:
        assert recent.get(keys, Store().load) == Store().load(keys)


def test_what_is_held_is_not_asked_for_again_and_what_came_first_goes_first() -> None:
    store = Store()
    recent: Recent[str, int] = Recent(2)
    recent.get(["a", "b", "1"], store.load)
    recent.get(["b", "a", "b"], store.load)
    assert store.asked == ["a", "b", "1"]
    recent.get(["c"], store.load)
    recent.get(["b", "c"], store.load)
    assert store.asked == ["a", "b", "1", "c"]
    recent.get(["a"], store.load)
    assert store.asked == ["a", "b", "1", "c", "a"]

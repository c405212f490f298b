"""Conversations: kept, found, exported, deleted."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from roadmap_rag.domain import Answer, Citation, Sentence, Timings, Tokens, Turn
from roadmap_rag.errors import StorageError, UsageError
from roadmap_rag.store import Store, export_markdown

NOW = "2026-01-01T00:00:00Z"


def answer(question: str, text: str) -> Answer:
    citation = Citation(1, "https://example.org/", "A page", "Part", "the quote", 3, 12, NOW)
    return Answer(
        question, question, text, False, None, (), None, (Sentence(text, "supported", (1,)),), (citation,), (), Timings(), Tokens()
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "user.sqlite")


def test_a_conversation_is_kept_with_its_answers(store: Store) -> None:
    name = store.start("What is LoRA?", NOW)
    store.add(name, answer("What is LoRA?", "A low-rank update [1]."), NOW)
    found = store.conversation(name)
    assert found.turns() == (Turn("user", "What is LoRA?"), Turn("assistant", "A low-rank update [1]."))
    assert found.exchanges[0].record["citations"][0]["quote"] == "the quote"


def test_the_latest_comes_first_and_text_is_searched(store: Store) -> None:
    first, second = store.start("First", NOW), store.start("Second", "2026-01-02T00:00:00Z")
    store.add(first, answer("About adapters?", "Adapters are small."), NOW)
    assert [each.id for each in store.conversations()] == [second, first]
    assert [each.id for each in store.conversations("adapters")] == [first]


def test_export_has_the_quotes(store: Store) -> None:
    name = store.start("What is LoRA?", NOW)
    store.add(name, answer("What is LoRA?", "A low-rank update [1]."), NOW)
    assert export_markdown(store.conversation(name)) == (
        "# What is LoRA?\n\n## What is LoRA?\n\nA low-rank update [1].\n\n"
        "[1] A page, Part (fetched 2026-01-01): https://example.org/\n> the quote\n"
    )


def test_deleted_is_gone(store: Store) -> None:
    name = store.start("x", NOW)
    store.add(name, answer("x", "y"), NOW)
    store.delete(name)
    with pytest.raises(UsageError, match=f'there is no conversation "{name}"'):
        store.conversation(name)
    assert store.conversations() == []


def test_feedback_and_titles(store: Store) -> None:
    name = store.start("a" * 200, NOW)
    number = store.add(name, answer("x", "y"), NOW)
    store.give_feedback(number, "down", "the wrong page")
    store.rename(name, "Better")
    found = store.conversation(name)
    assert (found.title, found.exchanges[0].feedback, found.exchanges[0].feedback_reason) == ("Better", "down", "the wrong page")


def test_a_question_asked_again_takes_the_place_of_the_old_one_and_what_followed(store: Store) -> None:
    name = store.start("x", NOW)
    store.add(name, answer("one", "1"), NOW)
    second = store.add(name, answer("two", "obsolete"), NOW)
    store.add(name, answer("three", "3"), NOW)
    store.add(name, answer("two, edited", "2"), NOW, replaces=second)
    assert [each.question for each in store.conversation(name).exchanges] == ["one", "two, edited"]
    assert store.conversations("obsolete") == []


def test_feedback_can_be_asked_again_with_its_history_even_of_answers_that_were_replaced(store: Store) -> None:
    name = store.start("x", NOW)
    first = store.add(name, answer("one", "1"), NOW)
    second = store.add(name, answer("two", "2"), NOW)
    store.give_feedback(second, "down", "the wrong page")
    again = store.add(name, answer("two", "better"), NOW, replaces=second)
    store.give_feedback(again, "up")
    store.give_feedback(first, "up")
    store.give_feedback(first, None)
    said = (Turn("user", "one"), Turn("assistant", "1"))
    assert [(each.question, each.history, each.answer, each.verdict, each.reason, each.citations) for each in store.feedback()] == [
        ("two", said, "2", "down", "the wrong page", ("https://example.org/",)),
        ("two", said, "better", "up", "", ("https://example.org/",)),
    ]
    store.delete(name)
    assert store.feedback() == []


def test_conversations_of_two_users_do_not_mix(store: Store) -> None:
    anna, ben, nobody = store.start("a", NOW, "anna"), store.start("b", NOW, "ben"), store.start("c", NOW)
    assert [each.id for each in store.conversations(owner="anna")] == [anna]
    assert [each.id for each in store.conversations("b", owner="anna")] == []
    assert {each.id for each in store.conversations()} == {anna, ben, nobody}
    assert store.conversation(ben, owner="ben").owner == "ben"
    with pytest.raises(UsageError, match="there is no conversation"):
        store.conversation(ben, owner="anna")


def test_a_database_of_the_first_version_is_brought_up_to_date(store: Store, tmp_path: Path) -> None:
    name = store.start("x", NOW)
    number = store.add(name, answer("x", "y"), NOW)
    with closing(sqlite3.connect(tmp_path / "user.sqlite")) as connection, connection:
        connection.execute("ALTER TABLE questions DROP COLUMN replaced_by")
        connection.execute("ALTER TABLE conversations DROP COLUMN owner")
    store.add(name, answer("x", "z"), NOW, replaces=number)
    assert [each.answer for each in store.conversation(name).exchanges] == ["z"]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "user.sqlite").write_text("not a database" * 100)
    with pytest.raises(StorageError, match=r"user\.sqlite cannot be used: file is not a database"):
        Store(tmp_path / "user.sqlite").conversations()

"""Words and sentences."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadmap_rag.text import numbers, sentence_spans, terms, words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        pytest.param("One. Two! Three?", ["One.", "Two!", "Three?"], id="plain"),
        pytest.param("It is neat, e.g. for 65B models. So it is.", ["It is neat, e.g. for 65B models.", "So it is."], id="abbreviation"),
        pytest.param("J. Smith et al. wrote it. Then v1.2 came.", ["J. Smith et al. wrote it.", "Then v1.2 came."], id="initial"),
        pytest.param("Do this:\n1. Step one\n2. Step two.", ["Do this:", "1. Step one", "2. Step two."], id="numbered list"),
        pytest.param("It grows [1]. It shrinks. [2] Next.", ["It grows [1].", "It shrinks. [2]", "Next."], id="labels"),
        pytest.param("中文句子。再来！", ["中文句子。", "再来！"], id="chinese"),
        pytest.param("A title\n\nA text", ["A title", "A text"], id="paragraphs"),
        pytest.param("", [], id="empty"),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@given(st.text(alphabet=st.sampled_from("ab.?! \n1)-#。[]"), max_size=80))
def test_sentences_hold_every_character_that_is_no_space(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("num_ctx", ["num_ctx"], id="underscore"),
        pytest.param("bge-small", ["bge-small"], id="hyphen"),
        pytest.param("8-bit C++ and C#", ["8-bit", "c++", "and", "c#"], id="marks"),
        pytest.param("v0.8.0, node.js.", ["v0.8.0", "node.js"], id="dots"),
        pytest.param("注意力", ["注", "意", "力"], id="chinese"),
    ],
)
def test_words_keep_the_spellings_of_the_field(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_terms_hold_a_compound_and_its_parts_without_stop_words() -> None:
    assert terms("What is a bge-small model's 8-bit cache?") == ["bge-small", "bge", "small", "model", "8-bit", "8", "bit", "cach"]


def test_numbers_ignore_thousands_separators() -> None:
    assert numbers("65,000 texts, 3.5 times, -2 and 1e-4") == ["65000", "3.5", "-2", "1e-4"]

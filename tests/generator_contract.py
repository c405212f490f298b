"""What every ``domain.Generator`` promises. Run against the fake and against the real servers, so that the fake cannot drift."""

from __future__ import annotations

import pytest

from roadmap_rag.domain import Piece, Turn
from roadmap_rag.errors import GeneratorError, PromptTooLongError

QUESTION = (Turn("system", "Answer in one short sentence."), Turn("user", "What is a token?"))


class GeneratorContract:
    """Subclasses give the fixtures ``generator`` (answers twice), ``broken`` (cannot answer) and ``crowded`` (its prompt does not fit)."""

    def test_an_answer_is_text_and_then_its_counts(self, generator) -> None:
        pieces = list(generator.stream(QUESTION))
        assert all(isinstance(piece, Piece) for piece in pieces)
        assert "".join(piece.text for piece in pieces).strip()
        assert [piece.prompt_tokens for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
        assert pieces[-1].prompt_tokens >= 8, "the question has nine words"
        assert pieces[-1].completion_tokens >= 1

    def test_after_closing_nothing_more_comes_and_the_next_question_is_answered(self, generator) -> None:
        stream = generator.stream(QUESTION)
        assert next(stream).text
        stream.close()
        assert list(stream) == []
        stream.close()
        assert "".join(piece.text for piece in generator.stream(QUESTION)).strip()

    def test_closing_before_the_start_is_an_empty_answer(self, generator) -> None:
        stream = generator.stream(QUESTION)
        stream.close()
        assert list(stream) == []

    def test_a_failure_is_one_error_of_ours_in_one_line_and_then_the_end(self, broken) -> None:
        stream = broken.stream(QUESTION)
        with pytest.raises(GeneratorError) as caught:
            list(stream)
        assert "\n" not in str(caught.value)
        assert list(stream) == []

    def test_a_prompt_that_would_be_cut_is_an_error(self, crowded) -> None:
        with pytest.raises(PromptTooLongError):
            list(crowded.stream([Turn("user", "word " * 3000)]))

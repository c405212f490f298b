"""Passages: the slice law, the limit, and what stays whole."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadmap_rag.chunk import chunk, heading_line
from roadmap_rag.domain import Document


def spans(text: str) -> list[tuple[int, int]]:
    """A tokenizer for tests: every run of word characters and every other mark is a token."""
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def document(text: str, title: str = "A title") -> Document:
    return Document("https://example.org/page", title, text, "html")


BLOCKS = st.sampled_from(
    [
        "# Head",
        "## Sub head",
        "### Deep",
        "A sentence. Another one, e.g. this. " * 3,
        "- item one\n- item two. With two sentences.",
        "```python\n# no heading\nx = 1\n\ny = 2\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "$$\nx = y\n$$",
        "word " * 90,
        "x" * 400,
        "```\nunclosed",
    ]
)


@settings(deadline=None)
@given(st.lists(BLOCKS, max_size=12), st.integers(24, 90), st.integers(0, 20))
def test_passages_are_slices_in_order_within_the_limit_and_lose_nothing(blocks: list[str], limit: int, overlap: int) -> None:
    source = document("\n\n".join(blocks))
    passages = chunk(source, spans, limit=limit, overlap=overlap)
    assert all(passage.text == source.text[passage.start : passage.end] for passage in passages)
    assert all(first.start < second.start for first, second in itertools.pairwise(passages))
    assert len({passage.id for passage in passages}) == len(passages)
    for passage in passages:
        prefix = min(len(spans(heading_line(passage.title, passage.section))), 48)
        assert len(spans(passage.text)) <= max(limit - prefix - 2, limit // 3) or " " not in passage.text.strip()
    kept = "".join(passage.text for passage in passages)
    assert set(re.findall(r"item \w+|y = 2|x = 1|unclosed|\| 1 \|", source.text)) <= set(
        re.findall(r"item \w+|y = 2|x = 1|unclosed|\| 1 \|", kept)
    )


def test_sections_are_the_headings_above() -> None:
    text = "# Guide\n\n" + "Intro words here. " * 10 + "\n\n## Memory\n\n" + "Memory words here. " * 10 + "\n\n## Speed\n\n" + "Fast. " * 30
    sections = [passage.section for passage in chunk(document(text), spans, limit=60)]
    assert list(dict.fromkeys(sections)) == ["Guide", "Guide > Memory", "Guide > Speed"]


def test_code_stays_whole_and_its_comments_are_no_headings() -> None:
    code = "```python\n# not a heading\n" + "x = f(1)\n" * 5 + "```"
    passages = chunk(document("Before it. " * 8 + "\n\n" + code + "\n\nAfter it."), spans, limit=80)
    assert sum(code in passage.text for passage in passages) == 1
    assert {passage.section for passage in passages} == {""}


def test_an_edit_elsewhere_leaves_the_other_ids_alone() -> None:
    sections = [f"## Part {number}\n\n" + f"Words about {number} here. " * 12 for number in range(6)]
    before = {passage.id for passage in chunk(document("\n\n".join(sections)), spans, limit=60)}
    sections[2] = "## Part 2\n\n" + "Entirely new words stand here now. " * 9
    after = {passage.id for passage in chunk(document("\n\n".join(sections)), spans, limit=60)}
    assert len(before & after) >= len(before) - 3


@pytest.mark.parametrize(
    ("title", "section", "line"),
    [
        ("LoRA", "", "LoRA"),
        ("LoRA", "LoRA", "LoRA"),
        ("LoRA", "LoRA > Rank", "LoRA, Rank"),
        ("LoRA", "Method > Rank", "LoRA, Method > Rank"),
    ],
)
def test_heading_line(title: str, section: str, line: str) -> None:
    assert heading_line(title, section) == line


def test_an_empty_document_has_no_passages() -> None:
    assert chunk(document(""), spans, limit=100) == []

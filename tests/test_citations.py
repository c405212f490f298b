"""The check of answers: label grammar, verdicts on clear cases, and the laws that hold for every draft."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roadmap_rag.citations import CONTRADICTED_MARK, UNSUPPORTED_MARK, Verified, verify
from roadmap_rag.citations.alignment import LAID, lay, path, tokens
from roadmap_rag.citations.compare import changes_missing, compare_words, names_missing, negation_clashes, numbers_missing, opposed, read
from roadmap_rag.citations.evidence import MAX_QUOTE, VectorMemory, stretches
from roadmap_rag.citations.labels import read_draft
from roadmap_rag.domain import Hit
from roadmap_rag.encoders import LocalEncoder
from roadmap_rag.text import terms

DIMENSIONS = 512


def encode(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Unit vectors of hashed words: texts that share words are close. Stands for the model without loading one."""
    vectors = np.full((len(texts), DIMENSIONS), 1e-3, dtype=np.float32)
    for row, text in enumerate(texts):
        for word in terms(text):
            vectors[row, sum(ord(char) * (at + 7) for at, char in enumerate(word)) % DIMENSIONS] += 1.0
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def hit(text: str, number: int = 1, start: int = 0) -> Hit:
    return Hit(
        number,
        0.9,
        False,
        f"https://example.org/{number}",
        f"Page {number}",
        "Adapters",
        text,
        start,
        start + len(text),
        "2026-01-01T00:00:00Z",
    )


LORA = (
    "LoRA freezes the pretrained weights and trains two low-rank matrices. It reduces the number of trainable parameters by 10,000 times. "
    "The adapters are merged into the weights before inference, so they do not add latency."
)
QUANTIZATION = (
    "QLoRA stores the frozen weights in 4-bit NormalFloat. A 65B model fits on a single 48 GB GPU. "
    "Paged optimizers use unified memory so that gradient checkpointing does not run out of memory."
)
PASSAGES = (hit(LORA, 1, start=120), hit(QUANTIZATION, 2))


def check(draft: str, **options: bool) -> Verified:
    return verify(draft, PASSAGES, encode, **options)


class TestLabels:
    @pytest.mark.parametrize(
        "draft",
        [
            "LoRA freezes the pretrained weights [1].",
            "LoRA freezes the pretrained weights. [1]",
            "LoRA freezes the pretrained weights.[1]",
            "LoRA freezes the pretrained weights 【1】.",
            "LoRA freezes the pretrained weights 【1†source】.",
            "LoRA freezes the pretrained weights (source 1).",
            "LoRA freezes the pretrained weights (Passage 1).",
            "LoRA freezes the pretrained weights [Source: 1].",
            "LoRA freezes the pretrained weights [^1].",
            "LoRA freezes the pretrained weights [[1]].",
            r"LoRA freezes the pretrained weights \[1\].",
            "LoRA freezes the pretrained weights.\n[1]",
            "According to [1], LoRA freezes the pretrained weights.",
            "As stated in passage 1, LoRA freezes the pretrained weights.",
            "Passage 1 says that LoRA freezes the pretrained weights.",
            "[1] LoRA freezes the pretrained weights.",
            "LoRA freezes the pretrained weights <passage 1>.",
        ],
    )
    def test_every_way_to_name_a_passage(self, draft: str) -> None:
        (part,) = (part for part in read_draft(draft, 2).parts if part.kind == "claim")
        assert (part.text, part.labels) == ("LoRA freezes the pretrained weights.", (1,))

    @pytest.mark.parametrize(
        ("draft", "labels"),
        [
            ("It is small [1, 2].", (1, 2)),
            ("It is small [1][2].", (1, 2)),
            ("It is small [1] [2].", (1, 2)),
            ("It is small [2-3].", (2, 3)),
            ("It is small (sources 1 and 3).", (1, 3)),
            ("It is small [2] and quick [1].", (2, 1)),
        ],
    )
    def test_several_labels(self, draft: str, labels: tuple[int, ...]) -> None:
        assert read_draft(draft, 3).parts[0].labels == labels

    def test_labels_that_were_never_offered_are_removed(self) -> None:
        draft = read_draft("LoRA freezes weights [1][7]. See Vaswani [12] too.", 2)
        assert draft.removed == ("[7]", "[12]")
        assert [part.labels for part in draft.parts] == [(1,), ()]

    @pytest.mark.parametrize(
        "draft", ["The values lie in [0, 1] after scaling.", "Take `x[1]` as the first item.", "It was shown in [2023] already."]
    )
    def test_brackets_that_are_no_labels(self, draft: str) -> None:
        (part,) = read_draft(draft, 2).parts
        assert (part.text, part.labels) == (draft, ())

    def test_chinese_stops(self) -> None:
        parts = read_draft("LoRA冻结预训练权重。[1]它训练低秩矩阵【2】。", 2).parts
        assert [(part.text, part.labels) for part in parts] == [("LoRA冻结预训练权重。", (1,)), ("它训练低秩矩阵。", (2,))]

    @pytest.mark.parametrize(
        ("draft", "kind"),
        [
            ("Here is a summary of the method:", "frame"),
            ("## Adapters", "frame"),
            ("**Adapters**", "frame"),
            ("Yes.", "frame"),
            ("What does that mean?", "frame"),
            ("Sure!", "filler"),
            ("I hope this helps!", "filler"),
            ("Let me know if you have further questions.", "filler"),
            ("Sources: [1], [2]", "filler"),
            ("NOT IN THE SOURCES", "decline"),
            ("NOT IN THE SOURCES [1]", "decline"),
            ("The passages do not mention the inventor.", "decline"),
            ("The provided sources don't specify a price.", "decline"),
            ("There is no information about the price in the passages.", "decline"),
            ("The learning rate is not mentioned in the passages.", "decline"),
            ("I could not find an answer in the sources.", "decline"),
            ("Die Quellen enthalten dazu keine Angaben.", "decline"),
            ("资料中没有提到这一点。", "decline"),
            ("The adapter does not add latency.", "claim"),
            ("The model does not mention God when asked.", "claim"),
        ],
    )
    def test_what_a_sentence_is_taken_for(self, draft: str, kind: str) -> None:
        assert [part.kind for part in read_draft(draft, 2).parts] == [kind]

    @pytest.mark.parametrize(
        ("draft", "left"),
        [
            ("See ![chart](https://evil.example/?q=secret) for it all.", "See for it all."),
            ("LoRA is [described here](https://evil.example/x) in full.", "LoRA is described here in full."),
            ("LoRA is small <img src=x onerror=alert(1)> and quick.", "LoRA is small and quick."),
            ("LoRA <script>alert(1)</script>is small and quick.", "LoRA is small and quick."),
            ("Read more at https://evil.example/a?b=c about it.", "Read more at about it."),
            ("The page https://example.org/1 says that it is small.", "The page `https://example.org/1` says that it is small."),
            ("The server listens on http://localhost:8000 by default.", "The server listens on `http://localhost:8000` by default."),
            ("Generation ends at the </s> token each time.", "Generation ends at the `</s>` token each time."),
        ],
    )
    def test_nothing_reaches_a_browser(self, draft: str, left: str) -> None:
        (part,) = read_draft(draft, 2, {"https://example.org/1"}).parts
        assert part.text == left

    def test_an_unfinished_end_is_left_out_of_a_partial_draft(self) -> None:
        draft = "LoRA freezes the pretrained weights. It reduces the number of"
        assert len(read_draft(draft, 2, partial=True).parts) == 1
        assert len(read_draft(draft, 2).parts) == 2


class TestVerdicts:
    def test_a_supported_sentence_keeps_its_label_and_quotes_the_passage(self) -> None:
        verified = check("LoRA freezes the pretrained weights and trains low-rank matrices [1].")
        (citation,) = verified.citations
        assert verified.answer == "LoRA freezes the pretrained weights and trains low-rank matrices [1]."
        assert (citation.quote, citation.start) == ("LoRA freezes the pretrained weights and trains two low-rank matrices.", 120)
        assert (citation.url, citation.section, citation.fetched_at) == ("https://example.org/1", "Adapters", "2026-01-01T00:00:00Z")

    def test_a_missing_citation_is_added_and_a_wrong_one_is_moved(self) -> None:
        verified = check("LoRA freezes the pretrained weights. QLoRA stores the frozen weights in 4-bit NormalFloat [1].")
        assert verified.answer == "LoRA freezes the pretrained weights [1]. QLoRA stores the frozen weights in 4-bit NormalFloat [2]."
        assert [citation.url[-1] for citation in verified.citations] == ["1", "2"]

    @pytest.mark.parametrize(
        "claim",
        [
            "LoRA was invented by Grace Hopper in 1952 [1].",
            "It reduces the number of trainable parameters by 500 times [1].",
            "Kubernetes schedules containers on nodes [1].",
            "QLoRA stores the frozen weights in 8-bit NormalFloat [2].",
        ],
    )
    def test_what_no_passage_says_is_marked(self, claim: str) -> None:
        (sentence,) = check(claim).sentences
        assert not sentence.supported
        assert sentence.citations == ()
        assert sentence.text.endswith((UNSUPPORTED_MARK, CONTRADICTED_MARK))

    def test_a_denied_statement_is_not_supported(self) -> None:
        assert not check("The adapters are merged into the weights before inference, so they add latency [1].").supported
        assert check("The adapters are merged into the weights before inference, so they do not add latency [1].").supported

    def test_strict_leaves_out_what_is_not_supported(self) -> None:
        draft = "LoRA freezes the pretrained weights [1]. It was invented by Grace Hopper [1]."
        assert check(draft, strict=True).answer == "LoRA freezes the pretrained weights [1]."
        assert len(check(draft).sentences) == 2

    def test_numbers_are_compared_by_value(self) -> None:
        assert numbers_missing("It needs 65 billion weights.", "a 65B model") == ()
        assert numbers_missing("It falls by a factor of 10,000.", "10000x smaller") == ()
        assert numbers_missing("A rate of 0.01% is enough.", "a rate of 0.01 percent") == ()
        assert numbers_missing("An LSTM has five gates.", "three of these gates") == (5.0,)
        assert numbers_missing("An LSTM has three gates.", "has 3 gates") == ()

    def test_names_may_be_spelled_out_or_abbreviated(self) -> None:
        from roadmap_rag.citations.compare import context_words

        context = context_words("Retrieval-augmented generation with GPT-3 and num_ctx set.")
        assert names_missing(read("A RAG on GPT-3, see num_ctx.").names, context) == ()
        assert names_missing(read("They train on Llama-2 too.").names, context) == ("llama-2",)

    def test_a_unit_behind_a_number_is_no_name(self) -> None:
        assert read("The 13B model, a 357M-parameter one, read 11T tokens.").names == frozenset()

    @pytest.mark.parametrize(
        ("claim", "context", "missing"),
        [
            ("LoRA reduces the parameters from 4.7M to 37.7M.", "Two budgets for LoRA: 4.7M and 37.7M.", ("reduc",)),
            ("LoRA reduces the parameters to 4.7M.", "LoRA has fewer parameters: 4.7M.", ()),
            ("It leads to faster inference.", "It saves forward passes.", ("faster",)),
            ("It leads to faster inference.", "Inference speeds up.", ()),
            ("It merges adapters.", "Adapters are merged.", ()),
        ],
    )
    def test_a_change_has_to_be_stated(self, claim: str, context: str, missing: tuple[str, ...]) -> None:
        assert changes_missing(claim, context) == missing

    def test_opposites_and_negations_count_where_they_stand_among_the_same_words(self) -> None:
        assert opposed(read("The backward pass is twice as fast.").stems, read("The backward pass is twice as slow.").stems) == ("fast",)
        assert opposed(read("Training is fast on a GPU.").stems, read("Slow food is an Italian movement.").stems) == ()
        assert negation_clashes(read("The paper compares both models."), read("The paper does not compare both models.")) > 0
        assert negation_clashes(read("Encoder and decoder are not the same."), read("Encoder and decoder are different.")) == 0


def test_the_included_model_compares_words(tmp_path: Path) -> None:
    encoder = LocalEncoder(cache=tmp_path)
    passage = hit("LoRA keeps the pretrained weights frozen and trains two small matrices instead.")
    stated, invented = "The pretrained weights stay frozen with LoRA.", "The pretrained weights are doubled by every tokenizer."
    seen, said, other = map(encoder.encode_question, (passage.text, stated, invented))
    assert compare_words(said, seen)["words"] > compare_words(other, seen)["words"]
    verified = verify(
        f"{stated} {invented}",
        [passage],
        lambda texts: encoder.encode(texts, query=True),
        read=encoder.encode_question,
        restate=lambda place: [(passage.text, place)],
    )
    assert [sentence.verdict for sentence in verified.sentences] == ["supported", "unsupported"]


class TestRestated:
    """What is nearly proved is said in the source's words; the probability is given here."""

    STATED, OTHER = "A single 48 GB GPU is enough for a 65B model [2].", "LoRA freezes the pretrained weights [1]."
    SOURCE = "A 65B model fits on a single 48 GB GPU."

    @pytest.fixture(autouse=True)
    def near(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def judge(features: Mapping[str, float], _: object) -> tuple[str, float]:
            return ("supported", 1.0) if features["verbatim"] else ("unsupported", 0.6)

        monkeypatch.setattr(import_module("roadmap_rag.citations.verify"), "judge", judge)

    def answer(self, draft: str, quotes: bool = True, **options: bool) -> Verified:
        return verify(draft, PASSAGES, encode, restate=lambda place: [(self.SOURCE, place)] if quotes else [], **options)

    def test_the_sentence_of_the_source_stands_in_its_place(self) -> None:
        verified = self.answer(f"- {self.STATED}\n- {self.OTHER}", strict=True)
        assert verified.answer == f"- {self.SOURCE[:-1]} [1].\n- {self.OTHER[:-4]}[2]."
        assert verified.restated == 1
        assert [each.verdict for each in verified.sentences] == ["supported", "supported"]
        assert verified.details[0]["text"] == self.STATED.replace(" [2]", "")

    def test_it_stands_there_once(self) -> None:
        assert self.answer(f"{self.STATED} So {self.STATED} {self.SOURCE}").answer == f"{self.SOURCE[:-1]} [1]."

    def test_where_nothing_may_be_quoted_it_is_marked(self) -> None:
        verified = self.answer(self.STATED, quotes=False)
        assert not verified.supported
        assert verified.restated == 0

    def test_another_number_is_not_restated(self) -> None:
        assert not self.answer("A single 24 GB GPU is enough for a 65B model [2].").supported

    def test_a_writer_that_declines_is_believed(self) -> None:
        assert self.answer(f"The passages do not say it. {self.STATED}").declined


class TestClaimReader:
    """With a model of language inference; what it says is given here."""

    STATED = "A 65B model fits on just one 48 GB GPU [2]."

    def verdict(self, draft: str, entailed: float, contradicted: float = 0.0) -> str:
        (sentence,) = verify(draft, PASSAGES, encode, entails=lambda pairs: [(entailed, contradicted) for _ in pairs]).sentences
        return sentence.verdict

    def test_it_has_to_agree(self) -> None:
        assert check(self.STATED).supported
        assert self.verdict(self.STATED, 0.9) == "supported"
        assert self.verdict(self.STATED, 0.2) == "unsupported"
        assert self.verdict(self.STATED, 0.2, 0.7) == "contradicted"

    @pytest.mark.parametrize("draft", ["A 70B model fits on a single 48 GB GPU [2].", "Bread is baked in an oven."])
    def test_it_cannot_prove_another_number_or_another_subject(self, draft: str) -> None:
        assert self.verdict(draft, 0.99) == "unsupported"

    def test_it_reads_a_claim_with_its_place_and_what_stands_around(self) -> None:
        asked: list[tuple[str, str]] = []

        def entails(pairs: Sequence[tuple[str, str]]) -> list[tuple[float, float]]:
            asked.extend(pairs)
            return [(1.0, 0.0)] * len(pairs)

        verify(f"QLoRA stores the frozen weights in 4-bit NormalFloat [2]. {self.STATED}", PASSAGES, encode, entails=entails)
        assert asked == [(f"Adapters: {QUANTIZATION}", "A 65B model fits on just one 48 GB GPU.")]


def laid(claim: str, stretch: str, feature: str) -> dict[str, float]:
    rows = lay(claim, stretch, "", stretch)
    return dict(zip((token.text for token in tokens(claim)), map(float, rows[:, LAID.index(feature)]), strict=True))


class TestAlignment:
    def test_a_path_keeps_neighbours_together(self) -> None:
        worth = np.full((3, 6), -1.0, dtype=np.float32)
        worth[0, [0, 4]] = worth[1, 5] = 1.0  # the first word stands twice, the second only beside its second place
        assert path(worth) == [4, 5, -1]

    @pytest.mark.parametrize(
        ("claim", "stretch", "feature", "word"),
        [
            ("NFCorpus has 999 documents.", "NFCorpus has 3,633 documents.", "slot number", "999"),
            ("It uses FAISS for search.", "It uses Vicinity for search.", "slot name", "faiss"),
            ("Batches are never padded.", "Batches are padded.", "no place", "never"),
            ("It runs on a slow machine.", "It runs on a fast machine.", "opposite", "slow"),
            ("Word2Vec is worse than GloVe.", "GloVe is worse than Word2Vec.", "back", "glove"),
        ],
    )
    def test_where_a_claim_breaks(self, claim: str, stretch: str, feature: str, word: str) -> None:
        assert laid(claim, stretch, feature)[word] == 1.0
        assert set(laid(stretch, stretch, feature).values()) == {0.0}

    @pytest.mark.parametrize(
        ("said", "seen"), [("12,288 units", "12288 units"), ("three gates", "3 gates"), ("a 7B model", "7 billion weights")]
    )
    def test_numbers_are_laid_by_value(self, said: str, seen: str) -> None:
        assert next(iter(laid(said, seen, "same").values())) == 1.0 or laid(said, seen, "same")["7b"] == 1.0


@pytest.mark.parametrize("sentence", [sentence for each in PASSAGES for sentence in re.findall(r"[^.]+\.", each.text)])
def test_a_sentence_of_a_passage_is_supported(sentence: str) -> None:
    (found,) = check(sentence.strip()).sentences
    assert found.verdict == "supported"


class TestDrafts:
    def test_lists_code_and_paragraphs_are_kept(self) -> None:
        passages = (*PASSAGES, hit("Install it with:\n\n```\npip install peft\n```\n\nPEFT loads adapters from the hub.", 3))
        draft = "## Adapters\n\nTwo facts about LoRA:\n\n- LoRA freezes the pretrained weights [1].\n- LoRA freezes the pretrained weights and trains two low-rank matrices [1].\n\n```\npip install peft\n```\n\nPEFT loads adapters from the hub [3]."  # noqa: E501
        verified = verify(draft, passages, encode)
        expected = draft.replace("[3]", "[3]").replace("peft\n```\n", "peft\n```\n\n[2]\n")
        assert verified.answer == expected
        assert [sentence.verdict for sentence in verified.sentences] == ["supported"] * 4
        assert verified.citations[1].quote == "pip install peft"

    def test_invented_code_is_marked(self) -> None:
        verified = check("LoRA freezes the pretrained weights [1].\n\n```\nrm -rf /\n```")
        assert [sentence.verdict for sentence in verified.sentences] == ["supported", "unsupported"]

    def test_what_is_repeated_is_said_once(self) -> None:
        repeated = "[1] LoRA freezes the pretrained weights."
        verified = check(f"{repeated}\n[2] A 65B model fits on a single 48 GB GPU.\n{repeated}")
        assert verified.answer == "LoRA freezes the pretrained weights [1].\nA 65B model fits on a single 48 GB GPU [2]."
        assert verified.details[2]["kind"] == "repeated"

    def test_fillers_and_frames_are_no_support(self) -> None:
        verified = check("Sure! Here is what I found:\n\nI hope this helps!")
        assert (verified.supported, verified.answer, verified.sentences) == (False, "", ())

    @pytest.mark.parametrize(
        "draft", ["NOT IN THE SOURCES", "The passages do not say who invented it.", "Die Quellen sagen dazu nichts.", "资料中没有提到。"]
    )
    def test_a_declined_question(self, draft: str) -> None:
        verified = check(draft)
        assert (verified.declined, verified.supported) == (True, False)

    def test_what_is_supported_outweighs_a_decline(self) -> None:
        verified = check("LoRA freezes the pretrained weights [1]. The passages do not say who invented it.")
        assert (verified.declined, verified.supported) == (False, True)

    def test_nothing_to_check(self) -> None:
        assert verify("", PASSAGES, encode) == verify("  \n", PASSAGES, encode)
        assert not verify("LoRA freezes weights [1].", (), encode).supported

    def test_details_explain_every_part(self) -> None:
        details = check("Sure! LoRA freezes the pretrained weights [1].").details
        assert [detail["kind"] for detail in details] == ["filler", "claim"]
        assert details[1]["verdict"] == "supported"
        assert details[1]["features"]["numbers_missing"] == 0.0


SENTENCES = st.sampled_from(
    [
        "LoRA freezes the pretrained weights [1].",
        "LoRA trains two low-rank matrices. [2]",
        "QLoRA stores the frozen weights in 4-bit NormalFloat [1, 2].",
        "A 65B model fits on a single 48 GB GPU",
        "It was invented by Grace Hopper in 1952 [9].",
        "The adapters are merged into the weights before inference [1].",
        "Here are the facts:",
        "## Facts",
        "Sure!",
        "The passages do not say more.",
        "What else?",
        "```\nprint(1)\n```",
        "![x](https://evil.example/y)",
        "<b>Paged optimizers</b> use unified memory (source 2).",
        "参数很少。[1]",
    ]
)
DRAFTS = st.lists(st.tuples(st.sampled_from([" ", "\n", "\n\n", "\n- ", "\n1. ", "\n\n> "]), SENTENCES), max_size=7).map(
    lambda parts: "".join(before + sentence for before, sentence in parts)
)


@settings(max_examples=150, deadline=None)
@given(draft=DRAFTS | st.text(max_size=120), strict=st.booleans())
def test_laws_of_every_draft(draft: str, strict: bool) -> None:
    verified = check(draft, strict=strict)
    documents = {each.url: " " * each.start + each.text for each in PASSAGES}
    assert [citation.n for citation in verified.citations] == list(range(1, len(verified.citations) + 1))
    for citation in verified.citations:
        assert documents[citation.url][citation.start : citation.end] == citation.quote
        assert 0 < len(citation.quote) <= MAX_QUOTE
    assert {number for sentence in verified.sentences for number in sentence.citations} == {citation.n for citation in verified.citations}
    position = 0
    for sentence in verified.sentences:
        position = verified.answer.index(sentence.text, position) + len(sentence.text)
        assert sentence.supported == bool(sentence.citations)
        assert not (strict and not sentence.supported)
    assert "](https://evil.example" not in verified.answer
    assert not re.search(r"<b>|!\[", re.sub(r"(?ms)^[ \-\d.>]*```.*?^```[ \t]*$", "", verified.answer))


@settings(max_examples=150, deadline=None)
@given(draft=DRAFTS)
@example(draft=" ```\nprint(1)\n``` ![x](https://evil.example/y)")
def test_verifying_twice_changes_nothing(draft: str) -> None:
    once = check(draft)
    cited = [next(each for each in PASSAGES if each.url == citation.url) for citation in once.citations]
    twice = verify(once.answer, [*cited, *PASSAGES], encode)
    assert twice.answer == once.answer
    assert twice.sentences == once.sentences
    assert twice.citations == once.citations


@given(st.text(max_size=1500))
def test_stretches_are_slices_of_their_passage(passage: str) -> None:
    for stretch in stretches(passage):
        assert passage[stretch.start : stretch.end] == stretch.text
        assert 0 < len(stretch.text) <= MAX_QUOTE


def test_vectors_are_computed_once() -> None:
    asked: list[str] = []

    def counting(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        asked.extend(texts)
        return encode(texts)

    memory = VectorMemory(size=3)
    memory.vectors(counting, ["a one", "b two", "a one"])
    memory.vectors(counting, ["b two", "c three"])
    assert sorted(asked) == ["a one", "b two", "c three"]
    memory.vectors(counting, ["d four"])
    memory.vectors(counting, ["a one"])
    assert sorted(asked) == ["a one", "a one", "b two", "c three", "d four"]

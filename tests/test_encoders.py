"""Embedders that a server runs, and the table of what families of models expect. The included model is tested with the index and search."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadmap_rag.encoders import AT_ONCE, DEFAULT_EMBEDDER, CrossEncoderReranker, EntailmentModel, LocalEncoder, ServedEncoder, find_model
from roadmap_rag.encoders.profiles import profile
from roadmap_rag.encoders.served import BATCH
from roadmap_rag.errors import EncoderError


class Server:
    """Gives each text the vector (its length, 1), and remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return [[float(len(text)), 1.0] for text in texts]


def served(
    name: str = "ollama:m", server: Server | None = None, digest: str = "sha256:" + "a" * 64, context: int | None = 2048
) -> ServedEncoder:
    return ServedEncoder(name, server or Server(), digest=digest, context=context)


@pytest.mark.parametrize(
    ("name", "query", "passage"),
    [
        ("all-MiniLM-L6-v2", "", ""),
        ("ollama:all-minilm:33m", "", ""),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("intfloat/e5-base-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("thenlper/gte-base", "", ""),
        ("ollama:nomic-embed-text", "search_query: ", "search_document: "),
        ("ollama:embeddinggemma:300m", "task: search result | query: ", "title: none | text: "),
        ("Qwen/Qwen3-Embedding-0.6B", "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ", ""),
        ("ollama:snowflake-arctic-embed2", "query: ", ""),
        ("ollama:snowflake-arctic-embed:33m", "Represent this sentence for searching relevant passages: ", ""),
        ("/models/my-own", "", ""),
    ],
)
def test_what_a_model_expects_before_a_text(name: str, query: str, passage: str) -> None:
    assert (profile(name).query_prefix, profile(name).passage_prefix) == (query, passage)


@pytest.mark.parametrize(
    ("name", "english_only"),
    [("all-MiniLM-L6-v2", True), ("ollama:bge-m3", False), ("ollama:qwen3-embedding:0.6b", False), ("ollama:nomic-embed-text", True)],
)
def test_models_that_read_one_language_are_known(name: str, english_only: bool) -> None:
    assert profile(name).english_only is english_only


def test_vectors_are_units_in_the_order_of_the_texts_whatever_the_batches() -> None:
    texts = ["x" * (1 + number * 7 % 50) for number in range(2 * BATCH + 3)]
    server = Server()
    vectors = served(server=server).encode(texts)
    assert [len(batch) for batch in server.batches] == [BATCH, BATCH, 3]
    wanted = np.array([[len(text), 1.0] for text in texts])
    assert np.allclose(vectors, wanted / np.linalg.norm(wanted, axis=1, keepdims=True))
    assert vectors.dtype == np.float32


def test_the_included_model_gives_vectors_in_the_order_of_the_texts(tmp_path: Path) -> None:
    encoder = LocalEncoder(cache=tmp_path)
    texts = ["word " * (1 + number * 7 % 20) for number in range(AT_ONCE + 3)]
    some = [0, AT_ONCE - 1, AT_ONCE, AT_ONCE + 2]
    assert np.allclose(encoder.encode(texts)[some], encoder.encode([texts[number] for number in some]), atol=1e-5)


def test_the_prefix_stands_before_each_text() -> None:
    server = Server()
    encoder = served("ollama:nomic-embed-text", server)
    encoder.encode(["a"], query=True)
    encoder.encode(["a"])
    assert server.batches == [["search_query: a"], ["search_document: a"]]


def test_other_weights_are_another_identity() -> None:
    names = {served(digest=f"sha256:{letter * 64}").identity for letter in "ab"} | {served("ollama:n").identity}
    assert names == {"ollama:m@aaaaaaaaaaaa", "ollama:m@bbbbbbbbbbbb", "ollama:n@aaaaaaaaaaaa"}


@pytest.mark.parametrize(
    ("name", "context", "limit"),
    [
        ("ollama:m", None, 512),
        ("ollama:m", 8192, 512),
        ("ollama:m", 256, 256),
        ("ollama:all-minilm", 512, 256),
        ("ollama:minilm", None, 256),
    ],
)
def test_a_passage_is_as_long_as_the_model_reads_and_no_chapter(name: str, context: int | None, limit: int) -> None:
    assert served(name, context=context).limit == limit


def test_a_server_that_loses_a_text_is_an_error() -> None:
    encoder = ServedEncoder("ollama:m", lambda texts: [[1.0]] * (len(texts) - 1), digest="sha256:a", context=None)
    with pytest.raises(EncoderError, match="ollama:m gave 1 vectors for 2 texts"):
        encoder.encode(["a", "b"])


@given(st.text())
def test_pieces_hold_every_visible_character(text: str) -> None:
    spans = served().token_spans(text)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())


# -------------------------------------------------------------------------------------------------------------------- reranker


def save_tiny_cross_encoder(folder: Path, **shape: Any) -> Path:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "initializer_range": 1.0}
    BertForSequenceClassification(BertConfig(**size, **shape)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_model(DEFAULT_EMBEDDER)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the shape of a cross-encoder and random weights."""
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("reranker"), num_labels=1)


def test_a_cross_encoder_gives_each_passage_a_number(tiny_cross_encoder: Path) -> None:
    reranker = CrossEncoderReranker("tiny", tiny_cross_encoder, device="cpu")
    passages = ["A token is a piece of text.", "Bread is baked.", "A token is a piece of text."]
    scores = reranker.scores("What is a token?", passages)
    assert len(scores) == 3
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-6
    assert reranker.scores("What is a token?", []) == []


def test_a_folder_without_a_reranker_says_so(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"the reranker mine cannot be loaded: .*; run: roadmap-rag doctor"):
        CrossEncoderReranker("mine", tmp_path).scores("a", ["b"])


def test_a_reranker_that_gives_several_numbers_is_none(tmp_path: Path) -> None:
    folder = save_tiny_cross_encoder(tmp_path, num_labels=3)
    with pytest.raises(EncoderError, match="gives 3 numbers a passage: it is no reranker"):
        CrossEncoderReranker("mine", folder, device="cpu").scores("a", ["b"])


# ---------------------------------------------------------------------------------------------------------------- claim reader

PAIRS = [("A token is a piece of text.", "A token is text."), ("Bread is baked.", "Bread is never baked."), ("A b.", "C d.")]


def test_a_model_of_language_inference_is_read_by_the_names_of_its_labels(tmp_path: Path) -> None:
    one, two = ({0: "Entailment", 1: "neutral", 2: "CONTRADICTION"}, {0: "contradiction", 1: "neutral", 2: "entailment"})
    read = []
    for name, labels in (("one", one), ("two", two)):
        folder = save_tiny_cross_encoder(tmp_path / name, id2label=labels, label2id={label: number for number, label in labels.items()})
        read.append(EntailmentModel(name, folder, device="cpu")(PAIRS))
    for (entailed, contradicted), (swapped, back) in zip(*read, strict=True):
        assert 0 < entailed < 1
        assert entailed + contradicted < 1
        assert (entailed, contradicted) == (pytest.approx(back, abs=1e-5), pytest.approx(swapped, abs=1e-5))
    assert len({entailed for entailed, _ in read[0]}) == len(PAIRS)


def test_two_labels_are_enough(tmp_path: Path) -> None:
    labels = {0: "entailment", 1: "not_entailment"}
    folder = save_tiny_cross_encoder(tmp_path, id2label=labels, label2id={label: number for number, label in labels.items()})
    assert all(contradicted == 0 for _, contradicted in EntailmentModel("two", folder, device="cpu")(PAIRS))


def test_a_model_without_such_labels_is_no_claim_reader(tmp_path: Path) -> None:
    folder = save_tiny_cross_encoder(tmp_path, num_labels=3)
    with pytest.raises(EncoderError, match="mine has no label named entailment: it is no model of language inference; choose another"):
        EntailmentModel("mine", folder, device="cpu")(PAIRS)


def test_nothing_is_loaded_for_nothing(tmp_path: Path) -> None:
    assert EntailmentModel("mine", tmp_path / "absent")([]) == []

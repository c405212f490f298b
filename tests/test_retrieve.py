"""Retrieval: rules over questions, ranking and joining as laws, and the search itself over a small real index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadmap_rag.domain import Document, Turn, digest
from roadmap_rag.encoders.words import EncodedQuestion, best_similarities, pool_words, to_bytes, unit
from roadmap_rag.errors import IndexMissingError
from roadmap_rag.index import Entry, Index, IndexSettings, Outline, StoredDocument
from roadmap_rag.retrieve import Retriever
from roadmap_rag.retrieve.joining import MAX_CHARACTERS, Span, join, take_turns
from roadmap_rag.retrieve.question import is_english, make_standalone, points_back, sides
from roadmap_rag.retrieve.ranking import FEATURES, fuse, load_weights
from roadmap_rag.retrieve.roadmap_names import RoadmapNames
from roadmap_rag.roadmap import documents, load_roadmap
from roadmap_rag.text import words

ROADMAP = load_roadmap(Path(__file__).parents[1] / "corpus" / "roadmap.yaml")
NAMES = RoadmapNames(ROADMAP)
NEEDED = ("roadmap:pre-training", "roadmap:direct-preference-optimization", "roadmap:supervised-fine-tuning", "roadmap:quantization")

# ---------------------------------------------------------------------------------------------------------------- rules over questions


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How do Annoy and Faiss compare on disk?", ("How do Annoy compare on disk", "How do Faiss compare on disk")),
        ("LoRA versus full fine-tuning", ("LoRA", "full fine-tuning")),
        ("How large is BERT, and how fast is GPT?", ("How large is BERT", "how fast is GPT")),
        ("Which version does A need at least, and which B?", ("Which version does A need at least", "Which version which B")),
        ("What hardware can llama.cpp and Annoy use?", ("What hardware can llama.cpp use", "What hardware can Annoy use")),
        (
            "Which port is set in the Ollama example and in Gradio's tutorial?",
            ("Which port is set in the Ollama example", "Which port is set in the Gradio's tutorial"),
        ),
        (
            "On a phone, how much memory does A need and how fast is Annoy?",
            ("On a phone, how much memory does A need", "On a phone, how fast is Annoy"),
        ),
    ],
)
def test_a_comparison_is_two_questions(question: str, expected: tuple[str, str]) -> None:
    assert sides(question) == expected


@pytest.mark.parametrize(
    "question", ["What is LoRA?", "", "?", "and", "How do I train and save a tokenizer?", "Where are keys and values kept?"]
)
def test_other_questions_are_not_split(question: str) -> None:
    assert sides(question) == ()


HISTORY = (Turn("user", "What is a Pointer Network for?"), Turn("assistant", "For outputs that are positions of the input."))


@pytest.mark.parametrize(
    "question", ["How does it attend?", "And its attention?", "why?", "speed", "Which loss was used there?", "How is that set split up?"]
)
def test_a_follow_up_gets_the_subject_of_the_turn_before(question: str) -> None:
    assert make_standalone(question, HISTORY) == f"What is a Pointer Network for? {question}"


@pytest.mark.parametrize(
    "question",
    [
        "Which optimizer does the DPO paper run by default?",
        "What is a tokenizer?",
        "What is LoRA trained with?",
        "Why can an 8-bit model be slower although it needs less memory?",
    ],
)
def test_a_new_subject_drops_the_old_one(question: str) -> None:
    assert not points_back(question)
    assert make_standalone(question, HISTORY) == question


def test_there_is_and_there_are_point_at_nothing() -> None:
    assert not points_back("Which hands-on labs are there on quantization?", lambda text: "quantization" in text)
    assert points_back("What is done there with quantization?", lambda text: "quantization" in text)


def test_a_name_of_the_roadmap_is_a_subject() -> None:
    question = "How does speculative decoding gain its speed in practice?"
    assert make_standalone("How is speculative decoding done in practice?", HISTORY, lambda text: "speculative" in text).startswith(
        "How is"
    )
    assert make_standalone(question, HISTORY) != question


def test_a_chain_of_follow_ups_goes_back_to_the_question_that_stood_alone() -> None:
    history = (
        Turn("user", "Name the sections of the first part."),
        Turn("user", "What is LoRA trained with?"),
        Turn("user", "And its rank?"),
    )
    assert make_standalone("Does it matter?", history) == "What is LoRA trained with? And its rank? Does it matter?"


@pytest.mark.parametrize(
    "question", ["prerequisites PEFT", "How does RAG work?", "vLLM --max-model-len", "Why is die size relevant?", "TGI?"]
)
def test_english(question: str) -> None:
    assert is_english(question)


@pytest.mark.parametrize(
    "question", ["Wie funktioniert die Tokenisierung?", "什么是注意力机制", "Qu'est-ce que la quantification ?", "¿Qué es el ajuste fino?"]
)
def test_not_english(question: str) -> None:
    assert not is_english(question)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_question_breaks_the_rules(question: str) -> None:
    assert len(sides(question)) in (0, 2)
    assert make_standalone(question, ()) == question
    NAMES.read(question[:80])
    is_english(question)


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("How hard is pre-training?", "roadmap:pre-training"),
        ("What are the sections of part 2 of zero to hero?", "roadmap:zero-to-hero/part-2"),
        ("engineer track of the short table: which topics?", "roadmap:short-table"),
        ("hands-on exercises of section 18 in the zero to hero path", "roadmap:zero-to-hero/part-4"),
    ],
)
def test_questions_about_the_roadmap_name_its_documents(question: str, document: str) -> None:
    asked = NAMES.read(question)
    assert asked.about > 0.4
    assert asked.documents[document] >= 0.7


def test_other_questions_are_not_about_the_roadmap() -> None:
    assert NAMES.read("Which loss does the DPO paper minimise?").about < 0.25


# ------------------------------------------------------------------------------------------------------------------- word vectors


class _Encoding:
    def __init__(self, word_ids: Sequence[int | None], offsets: Sequence[tuple[int, int]]) -> None:
        self.word_ids, self.offsets = word_ids, offsets


def test_pieces_of_a_word_are_averaged_and_punctuation_is_dropped() -> None:
    encoding = _Encoding([None, 0, 0, 1, 2, None], [(0, 0), (0, 2), (2, 5), (5, 6), (7, 10), (0, 0)])
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    found, pooled = pool_words("Adapt, the", encoding, vectors)
    assert found == ["adapt", "the"]
    assert pooled.tolist() == [[3.0, 4.0], [8.0, 9.0]]
    assert pool_words("Adapt, the", encoding, vectors, without={"the"})[0] == ["adapt"]


def test_late_interaction_takes_the_best_word_of_each_passage() -> None:
    random = np.random.default_rng(3)
    passages = [unit(random.normal(size=(count, 96)).astype(np.float32)) for count in (5, 0, 40, 1)]
    question = np.stack([passages[0][2], passages[2][17]])
    best = best_similarities(question, [to_bytes(passage) for passage in passages])
    assert best.shape == (4, 2)
    assert best[0, 0] == pytest.approx(1.0, abs=0.03)
    assert best[2, 1] == pytest.approx(1.0, abs=0.03)
    assert best[1].tolist() == [0.0, 0.0]
    exact = np.array([(passage @ question.T).max(axis=0) if len(passage) else np.zeros(2) for passage in passages])
    assert np.abs(best - exact).max() < 0.03


# ---------------------------------------------------------------------------------------------------------------- fusion and joining

RANKING = st.lists(st.integers(0, 30), unique=True, max_size=12)


@given(RANKING, RANKING)
def test_fusion_does_not_depend_on_the_order_of_the_rankings(left: list[int], right: list[int]) -> None:
    one, other = (
        fuse([(row, 0.0) for row in left], [(row, 1.0) for row in right]),
        fuse([(row, 9.0) for row in right], [(row, 0.0) for row in left]),
    )
    assert one == pytest.approx(other)
    assert set(one) == {*left, *right}


OUTLINES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.floats(-5, 5)), unique_by=lambda item: item[:2], max_size=25)


def _ranked(items: Sequence[tuple[int, int, float]]) -> tuple[list[Outline], dict[int, float]]:
    ranked = sorted(items, key=lambda item: -item[2])
    outlines = [Outline(url * 100 + place, f"u{url}", place, "", place * 700, place * 700 + 690, "") for url, place, _ in ranked]
    return outlines, {outline.row: item[2] for outline, item in zip(outlines, ranked, strict=True)}


@given(OUTLINES)
def test_every_passage_stands_in_exactly_one_span(items: list[tuple[int, int, float]]) -> None:
    outlines, scores = _ranked(items)
    spans = list(join(outlines, scores))
    assert sorted(row for span in spans for row in span.rows) == sorted(scores)
    assert all(0 < span.stop - span.start <= MAX_CHARACTERS for span in spans)
    assert [scores[span.row] for span in spans] == sorted((scores[span.row] for span in spans), reverse=True)


@given(OUTLINES)
def test_without_a_margin_nothing_is_joined(items: list[tuple[int, int, float]]) -> None:
    outlines, scores = _ranked(items)
    assert [span.rows for span in join(outlines, scores, margin=float("-inf"))] == [(outline.row,) for outline in outlines]


def test_neighbours_join_while_they_score_and_fit() -> None:
    outlines, scores = _ranked([(0, 1, 5.0), (0, 2, 4.0), (0, 0, 1.0), (1, 0, 0.5)])
    assert [span.rows for span in join(outlines, scores, margin=3.0)] == [(1, 2), (0,), (100,)]


def test_sides_take_turns_and_no_passage_comes_twice() -> None:
    left, right, shared = Span(1, (1,), "a", "", 0, 9), Span(2, (2, 3), "b", "", 0, 9), Span(3, (3,), "b", "", 5, 9)
    assert list(take_turns([[left, shared], [right, left]])) == [left, right]


def test_the_weights_know_the_features() -> None:
    for with_words in (True, False):
        weights = load_weights(words=with_words)
        assert np.count_nonzero(weights.linear) > len(FEATURES) // 3
        assert 0 < weights.relevance.floor < 1


# ------------------------------------------------------------------------------------------------------------------------ the search


class WordsEncoder:
    """Texts as counts of hashed words; each word is a vector of its own, the same in every text."""

    dimensions = 64

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Any:
        self.kept |= {digest(text): to_bytes(np.stack([self._word(word) for word in words(text)])) for text in texts if not query}
        return unit(
            np.stack([np.sum([self._word(word) for word in words(text)] or [np.ones(64)], axis=0) for text in texts]).astype(np.float32)
        )

    def encode_question(self, text: str) -> EncodedQuestion:
        asked = words(text)
        vectors = np.stack([self._word(word) for word in asked]) if asked else np.zeros((0, self.dimensions))
        return EncodedQuestion(self.encode([text], query=True)[0], tuple(asked), vectors.astype(np.float32))

    def word_vectors(self, keys: Sequence[str]) -> dict[str, Any]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def _word(self, word: str) -> Any:
        seed = int(digest(word)[:8], 16)
        return unit(np.random.default_rng(seed).normal(size=self.dimensions).astype(np.float32))


class VectorsOnly:
    def __init__(self, encoder: WordsEncoder) -> None:
        self._encoder = encoder

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Any:
        return self._encoder.encode(texts, query=query)


PAGES = {
    "https://a.example/lora": "# LoRA\n\nLow-rank adapters add two small matrices to each frozen layer.\n\n"
    + "\n\n".join(f"Filler sentence number {number} tells nothing of use." for number in range(60)),
    "https://a.example/faiss": "# Faiss\n\nFaiss keeps an index of vectors in memory and writes it to one file on disk.",
    "https://a.example/annoy": "# Annoy\n\nAnnoy maps a static file on disk into memory, so processes share it.",
    "https://a.example/num": "# Options\n\nSet num_ctx to 8192 for an 8-bit C++ build with bge-small.",
}
SETTINGS = IndexSettings("words", 60)


def _spans(text: str) -> list[tuple[int, int]]:
    found, position = [], 0
    for word in text.split():
        start = text.index(word, position)
        found.append((start, position := start + len(word)))
    return found


@pytest.fixture(scope="module")
def encoder() -> WordsEncoder:
    return WordsEncoder()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, encoder: WordsEncoder) -> Index:
    index = Index(tmp_path_factory.mktemp("retrieve"))
    entries = []
    named = [Document(url, text.split("\n", 1)[0].removeprefix("# "), text, "article") for url, text in PAGES.items()]
    for position, document in enumerate([*named, *(document for document in documents(ROADMAP) if document.url in NEEDED)]):
        topics = ("adapters",) if document.url.endswith("lora") else ()
        about = StoredDocument(
            document.url, document.id, document.title, "article", position, topics, ("https://copy.example/",), "2025-01-01T00:00:00Z"
        )
        entries.append(Entry(about, lambda document=document: document))  # type: ignore[misc]
    with index.lock():
        index.write(
            entries,
            settings=SETTINGS,
            token_spans=_spans,
            embed=lambda texts: (encoder.encode(texts), len(texts)),
            now="2025-01-01T00:00:00Z",
        )
    return index


@pytest.fixture(scope="module")
def retriever(index: Index, encoder: WordsEncoder) -> Iterator[Retriever]:
    retriever = Retriever(index, SETTINGS, encoder, roadmap=lambda: ROADMAP)
    yield retriever
    retriever.close()


def test_a_hit_is_a_slice_of_the_stored_text(retriever: Retriever) -> None:
    for question in ("What do low-rank adapters add to a frozen layer?", "How hard is pre-training?", "num_ctx of the 8-bit C++ build"):
        hits = retriever.search(question, k=12).hits
        assert [hit.rank for hit in hits] == list(range(1, 13))
        for hit in hits:
            assert hit.text == (retriever.generation().text(hit.url) or "")[hit.start : hit.end]
            assert 0 < len(hit.text) <= MAX_CHARACTERS
            assert 0 <= hit.score <= 1
            assert (hit.fetched_at is None) == hit.url.startswith("roadmap:")
            assert hit.also == ("https://copy.example/",)


@pytest.mark.parametrize(
    ("question", "url"),
    [
        ("What do low-rank adapters add to each frozen layer?", "https://a.example/lora"),
        ("num_ctx", "https://a.example/num"),
        ("bge-small", "https://a.example/num"),
        ("c++ 8-bit", "https://a.example/num"),
        ("How hard is pre-training?", "roadmap:pre-training"),
        ("Prerequisites of direct preference optimization?", "roadmap:direct-preference-optimization"),
    ],
)
def test_the_right_document_comes_first(retriever: Retriever, question: str, url: str) -> None:
    assert retriever.search(question).hits[0].url == url


def test_a_comparison_shows_both_sides_first(retriever: Retriever) -> None:
    hits = retriever.search("How do Annoy and Faiss compare when a file is on disk?").hits
    assert {hit.url for hit in hits[:2]} == {"https://a.example/annoy", "https://a.example/faiss"}


def test_a_follow_up_is_searched_with_its_subject(retriever: Retriever) -> None:
    found = retriever.search("Does it share a file?", history=(Turn("user", "What is Annoy?"), Turn("assistant", "A library.")))
    assert found.standalone == "What is Annoy? Does it share a file?"
    assert found.hits[0].url == "https://a.example/annoy"


@pytest.mark.parametrize("k", [1, 8])
def test_as_many_hits_as_asked_for_and_a_prefix_of_more(retriever: Retriever, k: int) -> None:
    fewer = retriever.search("matrices of adapters on disk", k=k).hits
    more = retriever.search("matrices of adapters on disk", k=12).hits
    assert len(fewer) == k
    assert [(hit.url, hit.start, hit.end) for hit in fewer][:12] == [(hit.url, hit.start, hit.end) for hit in more[:k]] or k > 12


def test_a_topic_filters(retriever: Retriever) -> None:
    hits = retriever.search("file on disk", topic="adapters").hits
    assert {hit.url for hit in hits} == {"https://a.example/lora"}
    assert retriever.search("file on disk", topic="nothing-of-the-kind").hits == ()


@pytest.mark.parametrize("question", ["!!!", "the of and", "\"'*(", "NEAR/3 (a OR", "\x00", "🤖"])
def test_odd_questions_are_searched_like_any(retriever: Retriever, question: str) -> None:
    assert len(retriever.search(question).hits) == 8


def test_word_vectors_that_were_lost_are_computed_again(retriever: Retriever, encoder: WordsEncoder) -> None:
    before = retriever.search("low-rank adapters").hits
    encoder.kept.clear()
    assert retriever.search("low-rank adapters").hits == before


def test_an_encoder_without_word_vectors_will_do(index: Index, encoder: WordsEncoder) -> None:
    plain = Retriever(index, SETTINGS, VectorsOnly(encoder))
    try:
        assert plain.search("Annoy maps a static file").hits[0].url == "https://a.example/annoy"
    finally:
        plain.close()


def test_another_language_is_said_or_translated(retriever: Retriever) -> None:
    silent = retriever.search("Was ist die Datei auf der Platte von Annoy?")
    assert silent.notes == (
        "the question is not in English, the embedder's only language; ask in English, or start a model: `ask` has it translate",
    )
    told = retriever.search("Was ist die Datei von Annoy?", translate=lambda _: "What is the static file of Annoy?")
    assert told.standalone == "What is the static file of Annoy?"
    assert told.notes == ("translated for the search: What is the static file of Annoy?",)
    assert told.hits[0].url == "https://a.example/annoy"


def test_nothing_indexed(tmp_path: Path, encoder: WordsEncoder) -> None:
    with pytest.raises(IndexMissingError, match="nothing is indexed yet; run: roadmap-rag ingest"):
        Retriever(Index(tmp_path), SETTINGS, encoder).search("anything")


class Backwards:
    """Finds the passages worse the earlier they come, and remembers what it read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, _question: str, passages: Sequence[str]) -> list[float]:
        self.read = list(passages)
        return [float(place) for place in range(len(passages))]


def test_a_reranker_orders_the_hits_anew(index: Index, encoder: WordsEncoder, retriever: Retriever) -> None:
    question = "What do low-rank adapters add to a frozen layer?"
    backwards = Backwards()
    reranked = Retriever(index, SETTINGS, encoder, roadmap=lambda: ROADMAP, reranker=backwards)
    try:
        hits = reranked.search(question, k=2).hits
    finally:
        reranked.close()
    plain = retriever.search(question, k=len(backwards.read)).hits
    assert [hit.url for hit in hits] == [hit.url for hit in reversed(plain)][:2]
    assert [hit.rank for hit in hits] == [1, 2]
    assert all(hit.text in read for hit, read in zip(reversed(plain), reversed(backwards.read), strict=True))

"""The index: generations and their readers, words as they are written, refusals, and what is kept when a process dies."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadmap_rag import index as index_module
from roadmap_rag.domain import Document
from roadmap_rag.errors import IndexMismatchError, IndexMissingError, LockedError, StorageError
from roadmap_rag.index import Entry, Index, IndexSettings, StoredDocument, Written
from roadmap_rag.text import terms
from small_home import WordEncoder, token_spans

SETTINGS = IndexSettings("words@1", 96)


class Writer:
    """Writes documents into an index; ``texts`` is what had to be embedded."""

    def __init__(self, folder: Path) -> None:
        self.index = Index(folder / "index")
        self.encoder = WordEncoder()
        self.settings = SETTINGS

    @property
    def texts(self) -> list[str]:
        return self.encoder.texts

    def embed(self, texts: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.float32]], int]:
        return self.encoder.encode(texts), len(texts)

    def write(self, *documents: Document, remove: Sequence[str] = (), **about: Any) -> Written:
        entries = [
            Entry(
                StoredDocument(document.url, document.id, document.title, document.kind, position, **about),
                lambda document=document: document,  # type: ignore[misc]
            )
            for position, document in enumerate(documents)
        ]
        with self.index.lock():
            return self.index.write(
                entries,
                settings=self.settings,
                token_spans=token_spans,
                embed=self.embed,
                now="2026-01-01T00:00:00Z",
                remove=lambda url: url in remove,
            )


def document(name: str, text: str = "", title: str = "") -> Document:
    return Document(f"https://example.org/{name}", title or name.title(), text or f"All about {name}. It is a word of its own.", "article")


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def found(writer: Writer, question: str) -> list[str]:
    """Links by lexical score, best first."""
    with writer.index.open() as generation:
        rows = [row for row, _ in generation.lexical(terms(question), 10)]
        passages = generation.passages(rows)
        return [passages[row].chunk.url.rpartition("/")[2] for row in rows]


def test_nothing_indexed_is_an_error_that_names_the_command(writer: Writer) -> None:
    with pytest.raises(IndexMissingError, match="nothing is indexed yet; run: roadmap-rag ingest"):
        writer.index.open()
    assert writer.index.documents() == {}


def test_writing_the_same_again_changes_no_file(writer: Writer) -> None:
    first = writer.write(document("apple"), document("fig"))
    assert (first.added, first.changed, first.removed, first.embedded) == (2, 0, 0, 2)
    second = writer.write(document("apple"), document("fig"))
    assert (second.generation, second.embedded, second.chunks) == (None, 0, first.chunks)
    assert writer.index.current() == first.generation


def test_a_changed_document_costs_its_changed_passages_and_no_others(writer: Writer) -> None:
    sections = [f"# Section {number}\n\n" + " ".join(f"word{number}x{n}" for n in range(80)) for number in range(6)]
    writer.write(document("long", "\n\n".join(sections)), document("fig"))
    writer.texts.clear()
    sections[3] = sections[3].replace("word3x7 ", "another ")
    written = writer.write(document("long", "\n\n".join(sections)), document("fig"))
    assert (written.changed, written.added, written.embedded) == (1, 0, 1)
    assert "another" in writer.texts[0]


def test_what_is_known_about_a_document_changes_without_touching_its_passages(writer: Writer) -> None:
    writer.write(document("apple"), document("fig"))
    writer.texts.clear()
    written = writer.write(document("apple"), document("fig"), topics=("basics",), also=("https://example.org/copy",))
    assert (written.changed, written.embedded, writer.texts) == (2, 0, [])
    with writer.index.open() as generation:
        stored = generation.documents()["https://example.org/fig"]
        assert (stored.topics, stored.also) == (("basics",), ("https://example.org/copy",))
    assert found(writer, "fig") == ["fig"]


def test_another_title_reaches_the_words_and_the_vectors(writer: Writer) -> None:
    writer.write(document("apple"))
    written = writer.write(document("apple", title="Quince"))
    assert written.embedded == 1
    assert found(writer, "quince") == ["apple"]


def test_a_document_that_leaves_takes_everything_with_it(writer: Writer) -> None:
    writer.write(document("apple"), document("fig"))
    written = writer.write(document("apple"), remove=["https://example.org/fig"])
    assert written.removed == 1
    assert found(writer, "fig") == []
    with writer.index.open() as generation:
        assert [row for row, _ in generation.dense(writer.encoder.encode(["fig"])[0], 10)] == list(generation.passages(range(1, 99)))
        assert generation.manifest.chunks == 1


def test_documents_that_are_not_mentioned_stay(writer: Writer) -> None:
    writer.write(document("apple"), document("fig"))
    writer.write(document("pear"))
    with writer.index.open() as generation:
        assert set(generation.chunk_counts()) == {f"https://example.org/{name}" for name in ("apple", "fig", "pear")}


def test_a_reader_keeps_its_generation_and_only_unused_ones_are_removed(writer: Writer) -> None:
    folder = writer.index.folder / "generations"
    first = writer.write(document("apple")).generation
    reader = writer.index.open()
    second = writer.write(document("apple"), document("fig")).generation
    third = writer.write(document("apple"), document("fig"), document("pear")).generation
    assert {path.name for path in folder.iterdir()} == {first, third}
    assert second not in {first, third}
    assert list(reader.documents()) == ["https://example.org/apple"]
    assert reader.dense(writer.encoder.encode(["apple"])[0], 3)
    assert reader.text("https://example.org/apple")
    reader.close()
    fourth = writer.write(document("plum")).generation
    assert {path.name for path in folder.iterdir()} == {fourth}


def test_a_generation_open_in_another_process_is_kept_until_that_ends(writer: Writer, tmp_path: Path) -> None:
    first = writer.write(document("apple")).generation
    code = (
        "import sys; from pathlib import Path; from roadmap_rag.index import Index\n"
        "reader = Index(Path(sys.argv[1])).open()\n"
        "print('open', flush=True); sys.stdin.read(); print(len(reader.documents()))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(writer.index.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        second = writer.write(document("apple"), document("fig")).generation
        assert {path.name for path in (writer.index.folder / "generations").iterdir()} == {first, second}
        assert reader.communicate("")[0] == "1\n"
    with writer.index.lock():
        assert {path.name for path in (writer.index.folder / "generations").iterdir()} == {second}


def test_the_lock_of_a_dead_process_is_free_and_its_leftovers_are_removed(writer: Writer) -> None:
    current = writer.write(document("apple")).generation
    code = (
        "import os, signal, sys; from pathlib import Path; from roadmap_rag.index import Index\n"
        "index = Index(Path(sys.argv[1]))\n"
        "with index.lock():\n"
        "    (index.folder / 'generations' / '00099-dead').mkdir()\n"
        "    (index.folder / '.CURRENT.1.partial').write_text('00099-dead')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    dead = subprocess.run([sys.executable, "-c", code, str(writer.index.folder)], check=False)
    assert dead.returncode == -signal.SIGKILL
    assert (writer.index.folder / "ingest.pid").exists()
    with writer.index.lock():
        assert (writer.index.folder / "ingest.pid").read_text() == str(os.getpid())
        assert [path.name for path in (writer.index.folder / "generations").iterdir()] == [current]
        assert not list(writer.index.folder.glob(".CURRENT*"))


def test_a_second_process_is_told_the_holder(writer: Writer) -> None:
    code = (
        "import sys; from pathlib import Path; from roadmap_rag.index import Index; from roadmap_rag.errors import LockedError\n"
        "try:\n    with Index(Path(sys.argv[1])).lock(): print('got it')\n"
        "except LockedError as error: print(error.pid, error)\n"
    )
    with writer.index.lock():
        other = subprocess.run([sys.executable, "-c", code, str(writer.index.folder)], capture_output=True, text=True, check=True)
        with pytest.raises(LockedError):
            writer.index.lock().__enter__()
    pid = os.getpid()
    assert other.stdout == f"{pid} another ingest is running (process {pid}); wait for it, or end it\n"


def test_an_index_of_other_settings_is_refused_with_the_command_that_mends_it(writer: Writer) -> None:
    writer.write(document("apple"))
    other = IndexSettings("bge-m3@2", 512)
    with pytest.raises(IndexMismatchError) as refused:
        writer.index.open(other)
    assert str(refused.value) == (
        "the index was made with embedder words@1 (now bge-m3@2), limit 96 (now 512); rebuild it with: roadmap-rag ingest --offline"
    )
    writer.settings = other
    assert writer.write(document("apple")).embedded == 1
    with writer.index.open(other) as generation:
        assert generation.manifest.settings == other


def test_an_index_in_which_a_passage_is_missing_is_thrown_away(writer: Writer) -> None:
    """The counts of the three stores are compared before anything becomes current."""
    before = writer.write(document("apple")).generation
    assert before is not None
    with sqlite3.connect(writer.index.folder / "generations" / before / "passages.sqlite") as connection:
        connection.execute("DELETE FROM lexical")
    connection.close()
    with pytest.raises(StorageError, match=r"the new index is incomplete \(2 passages, 1 lexical, 2 dense\) and was thrown away"):
        writer.write(document("apple"), document("fig"))
    assert writer.index.current() == before
    assert [path.name for path in (writer.index.folder / "generations").iterdir()] == [before]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("what is num_ctx?", "ollama"),
        ("bge-small", "embedders"),
        ("8-bit optimisers", "quantisation"),
        ("C++", "languages"),
        ("llama.cpp", "runtimes"),
        ("C#", "dotnet"),
        ("Straße", "german"),
    ],
)
def test_words_are_found_as_they_are_written(writer: Writer, question: str, wanted: str) -> None:
    writer.write(
        document("ollama", "Set num_ctx to the window that you want."),
        document("embedders", "The model bge-small is small, bge-large is not."),
        document("quantisation", "8-bit and 4-bit weights take less memory."),
        document("languages", "Kernels are written in C++ mostly."),
        document("runtimes", "The program llama.cpp runs on a CPU."),
        document("dotnet", "The library has bindings for C# too."),
        document("german", "Die Straße ist lang."),
        document("other", "Nothing of that is here: num, ctx, small, bit, C, cpp, strasse."),
    )
    assert found(writer, question)[0] == wanted


def test_words_that_nobody_wrote_find_nothing(writer: Writer) -> None:
    writer.write(document("apple"))
    assert found(writer, "zebra") == found(writer, '"; DROP TABLE lexical; --') == found(writer, "") == []


def test_a_filter_keeps_to_its_documents(writer: Writer) -> None:
    writer.write(document("apple", "A fruit that is red."), document("fig", "A fruit that is sweet."))
    only = {"https://example.org/fig"}
    with writer.index.open() as generation:
        vector = writer.encoder.encode(["fruit"])[0]
        rows = [row for row, _ in generation.dense(vector, 5, only)], [row for row, _ in generation.lexical(["fruit"], 5, only)]
        assert [{passage.chunk.url for passage in generation.passages(each).values()} for each in rows] == [only, only]
        assert generation.dense(vector, 5, set()) == generation.lexical(["fruit"], 5, set()) == []


def test_a_passage_is_a_slice_of_its_document(writer: Writer) -> None:
    text = "# One\n\n" + "Ünïcödé 𝛼 words. " * 90 + "\n\n# Two\n\n```python\nx = 1\n```\n"
    writer.write(document("long", text))
    with writer.index.open() as generation:
        passages = generation.passages_of("https://example.org/long")
        assert len(passages) > 2
        for passage in passages:
            assert passage.chunk.text == text[passage.chunk.start : passage.chunk.end]
        assert [passage.place for passage in passages] == list(range(len(passages)))


def test_a_cleared_index_is_as_if_nothing_had_been_indexed(writer: Writer) -> None:
    first = writer.write(document("apple")).generation
    with writer.index.lock():
        writer.index.clear()
    with pytest.raises(IndexMissingError):
        writer.index.open()
    assert writer.write(document("apple")).generation != first


def test_the_lexical_score_is_that_of_fts5(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    vocabulary = [f"term{number}" for number in range(40)] + ["num_ctx", "c++"]
    writer = Writer(tmp_path)
    texts = [" ".join(random.choice(vocabulary, size=random.integers(5, 400))) for _ in range(30)]
    writer.write(*(document(str(number), text, title=" ".join(text.split()[:3])) for number, text in enumerate(texts)))
    writer.write(document("3", "term1 term2 num_ctx"), remove=["https://example.org/5"])
    with writer.index.open() as generation, sqlite3.connect(generation.folder / "passages.sqlite") as connection:
        for asked in (["term1"], ["term1", "term2", "num_ctx"], ["c++", "absent", "term30", "term31"], vocabulary):
            match = " OR ".join(f'"{word}"' for word in asked)
            theirs = connection.execute(
                "SELECT rowid, -bm25(lexical, 2, 2, 1) AS score FROM lexical WHERE lexical MATCH ? ORDER BY score DESC, rowid LIMIT 20",
                [match],
            ).fetchall()
            ours = generation.lexical(asked, 20)
            assert [row for row, _ in ours] == [row for row, _ in theirs]
            assert [score for _, score in ours] == pytest.approx([score for _, score in theirs])
    connection.close()


@pytest.mark.parametrize("only", [None, {"https://example.org/fig", "https://example.org/plum"}], ids=["all", "two documents"])
def test_every_vector_compared_and_the_graph_find_the_same(writer: Writer, monkeypatch: pytest.MonkeyPatch, only: set[str] | None) -> None:
    writer.write(*(document(name) for name in ("apple", "fig", "plum", "pear", "quince")))
    vector = 3 * writer.encoder.encode(["a fig is a word of its own"])[0]
    found: list[dict[int, float]] = []
    for scanned in (index_module._SCANNED, 0):
        monkeypatch.setattr(index_module, "_SCANNED", scanned)
        with writer.index.open() as generation:
            found.append(dict(generation.dense(vector, 5, only)))
    assert len(found[0]) == (5 if only is None else 2)
    assert found[0] == pytest.approx(found[1], abs=1e-5)

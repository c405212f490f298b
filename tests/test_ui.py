"""What the chat shows, made from records: no browser, no server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from roadmap_rag.domain import Answer, Citation, Hit, NearestTopic, Sentence, Timings, Tokens
from roadmap_rag.query_engine import Done, Draft, Event, Stage, Stop
from roadmap_rag.roadmap import Roadmap, add_link, remove_link
from roadmap_rag.ui.answers import REASONS, answer_markdown, copied, safe_markdown
from roadmap_rag.ui.app import exposure
from roadmap_rag.ui.asking import events
from roadmap_rag.ui.background import Run, Step
from roadmap_rag.ui.panels import BACK, passage, text_fragment, trace
from roadmap_rag.ui.roadmap_panel import first_questions, roadmap_map, topic_page
from roadmap_rag.ui.settings import Settings
from roadmap_rag.ui.sources import store_note
from roadmap_rag.ui.sources_panel import progress
from roadmap_rag.ui.state import QUOTES_ONLY, HomeState
from roadmap_rag.wiring import App, Config
from small_home import SITE, SmallHome
from test_wiring import FakeOllama

TEXT = "# Adapters\n\nLoRA freezes the weights.\nIt trains two <b>small</b> matrices.\n\n```python\nx = 1 < 2\n```\n"
QUOTE = "freezes the weights.\nIt trains two <b>small</b> matrices"


def citation(number: int = 1, **changes: Any) -> Citation:
    start = TEXT.index(QUOTE)
    values: dict[str, Any] = {
        "n": number,
        "url": "https://example.org/lora",
        "title": "LoRA <explained>",
        "section": "Adapters > Low rank",
        "quote": QUOTE,
        "start": start,
        "end": start + len(QUOTE),
        "fetched_at": "2026-11-20T10:00:00Z",
    }
    return Citation(**{**values, **changes})


def record(text: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "question": "What is LoRA?",
        "standalone": "What is LoRA?",
        "answer": text,
        "refused": False,
        "reason": None,
        "notices": (),
        "model": "small",
        "sentences": (),
        "citations": (),
        "nearest_topics": (),
        "timings": Timings(total=1.5),
        "tokens": Tokens(),
    }
    return asdict(Answer(**{**values, **changes}))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a <script>alert(1)</script> b", "a &lt;script>alert(1)&lt;/script> b", id="html"),
        pytest.param("see ![a cat](https://evil.example/cat.png?q=1) here", "see a cat here", id="image"),
        pytest.param('![x](https://e.example "t")![y][z]', "xy", id="images with title and by name"),
        pytest.param("[![badge](https://e.example/b.svg)](https://e.example) text", "badge text", id="linked image"),
        pytest.param("go [here](https://e.example/?secret) now", "go here now", id="link"),
        pytest.param("[z]: https://e.example/x.png\n", "\n", id="definition"),
        pytest.param(
            "use `a <b> ![c](d)` and\n```html\n<img src=x>\n```\n", "use `a <b> ![c](d)` and\n```html\n<img src=x>\n```\n", id="code stays"
        ),
        pytest.param("`unclosed <b>", "`unclosed &lt;b>", id="an open backtick is no code"),
        pytest.param("$$a < b$$", "$$a &lt; b$$", id="formula"),
    ],
)
def test_markdown_of_others_can_do_nothing(text: str, shown: str) -> None:
    assert safe_markdown(text) == shown


def test_labels_of_citations_become_links_and_others_stay_text() -> None:
    shown = answer_markdown(record("It is low rank [1][7], as `x[1]` says.", citations=(citation(),)), "abc.5")
    assert 'rank <a href="#do/cite/abc.5.1">[1]</a>[7], as `x[1]` says.' in shown


def test_doubtful_sentences_are_marked_with_the_reason() -> None:
    sentences = (
        Sentence("LoRA is small [1].", "supported", (1,)),
        Sentence("- It is from 1850.", "unsupported"),
        Sentence("It is large.", "contradicted"),
    )
    shown = answer_markdown(
        record("LoRA is small [1].\n\n- It is from 1850.\n\nIt is large.", sentences=sentences, citations=(citation(),)), "a.1"
    )
    assert f'- <mark class="doubt unsupported" tabindex="0" title="{REASONS["unsupported"]}">It is from 1850.</mark>' in shown
    assert '<mark class="doubt contradicted" tabindex="0"' in shown
    assert "LoRA is small <a" in shown
    assert "2 of 3 sentences not held up by the sources: marked above" in shown


def test_the_remark_on_a_doubtful_sentence_is_short() -> None:
    said = "It is from 1850. (⚠ not in the sources)"
    shown = answer_markdown(record(f"{said} It is large. (⚠ the sources say otherwise)", sentences=(Sentence(said, "unsupported"),)), "a.1")
    assert '">It is from 1850. ⚠</mark> It is large. (⚠ the sources say otherwise)' in shown


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("```python\nx = 1\n```\n\n{}", id="code"),
        pytest.param("|---|---|\n| 8 | small {} |", id="table"),
        pytest.param("| a | b {} |", id="row"),
    ],
)
def test_a_doubtful_block_stays_whole_and_its_remark_is_marked(block: str) -> None:
    said = block.format("(⚠ not in the sources)")
    shown = answer_markdown(record(said, sentences=(Sentence(said, "unsupported"),)), "a.1")
    marked = f'<mark class="doubt unsupported" tabindex="0" title="{REASONS["unsupported"]}">(⚠ not in the sources)</mark>'
    assert shown.startswith(block.format(marked))


def test_nothing_in_an_answer_can_forge_a_mark() -> None:
    shown = answer_markdown(record("\ue000not\ue002 a mark", sentences=(Sentence("\ue000not\ue002 a mark", "supported"),)), "a.1")
    assert "<mark" not in shown
    assert "not a mark" in shown


def test_sources_notices_and_titles_are_escaped() -> None:
    shown = answer_markdown(record("Yes [1].", citations=(citation(),), notices=("the <model> stopped: `x`",)), "a.1")
    assert "LoRA &lt;explained&gt; · Low rank" in shown
    assert '<div class="notice">The &lt;model&gt; stopped: &#96;x&#96;</div>' in shown


def test_a_refusal_looks_different_and_names_topics_with_what_they_miss() -> None:
    nearest = (NearestTopic("quantization", "Quantization", ("https://a.example",)), NearestTopic("rag", "Retrieval"))
    shown = answer_markdown(record("The sources do not answer this.", refused=True, reason="no_passage", nearest_topics=nearest), "a.1")
    assert shown.startswith('<div class="refusal"><p><strong>No answer.</strong> The sources do not answer this.</p>')
    why = "The sources do not answer this: no passage mentions <b>Zephyr. The nearest topics of the roadmap are: LoRA."
    told = answer_markdown(record(why, refused=True, reason="no_passage", nearest_topics=nearest), "a.1")
    assert "</strong> The sources do not answer this: no passage mentions &lt;b&gt;Zephyr.</p>" in told
    why = "The sources do not answer this: nothing that the passages prove gives a price. The nearest topics of the roadmap are: LoRA."
    told = answer_markdown(record(why, refused=True, reason="not_supported", nearest_topics=nearest), "a.1")
    assert "</strong> The sources do not answer this: nothing that the passages prove gives a price.</p>" in told
    assert '<a class="chip" href="#do/topic/quantization">Quantization</a>' in shown
    assert '<a class="chip quiet" href="#do/fetch/quantization">1 source is missing: fetch</a>' in shown
    assert "#do/fetch/rag" not in shown


def test_the_passage_marks_exactly_the_quoted_words() -> None:
    shown = passage(asdict(citation()), TEXT, [("lora", "LoRA & co")])
    assert '<div class="line">LoRA <mark class="quote">freezes the weights.</mark></div>' in shown
    assert '<mark class="quote">It trains two &lt;b&gt;small&lt;/b&gt; matrices</mark>.' in shown
    assert "[1] LoRA &lt;explained&gt;" in shown
    assert "Adapters › Low rank" in shown
    assert "fetched 2026-11-20" in shown
    assert 'data-do="topic" data-value="lora">LoRA &amp; co</button>' in shown
    assert '<div class="heading"><span class="signs"># </span>Adapters</div>' in shown
    assert '<div class="code">x = 1 &lt; 2</div>' in shown


@pytest.mark.parametrize("text", [None, "something else entirely"], ids=["gone", "changed"])
def test_a_passage_that_has_changed_says_so_and_still_shows_the_words(text: str | None) -> None:
    shown = passage(asdict(citation()), text)
    assert "The stored text has changed since this answer was written." in shown
    assert "It trains two &lt;b&gt;small&lt;/b&gt; matrices</mark>" in shown


def test_a_passage_of_no_web_page_has_no_link() -> None:
    assert "href" not in passage(asdict(citation(url="notes:javascript:alert(1)")), TEXT).replace(BACK, "")


@pytest.mark.parametrize(
    ("url", "quoted", "expected"),
    [
        ("https://e.example/a", "two words", "https://e.example/a#:~:text=two%20words"),
        ("https://e.example/a#part", "a *b* [c](d) e-f", "https://e.example/a#part:~:text=a%20b%20c%20e%2Df"),
        ("https://e.example", " ".join(map(str, range(1, 13))), "https://e.example#:~:text=1%202%203%204%205,8%209%2010%2011%2012"),
        ("https://e.example", "###", "https://e.example"),
    ],
)
def test_the_link_to_a_passage_leads_to_its_words(url: str, quoted: str, expected: str) -> None:
    assert text_fragment(url, quoted) == expected


def test_why_shows_scores_rewrite_verdicts_and_figures() -> None:
    hit = Hit(1, 0.734, False, "https://e.example", "T<1>", "A > B", "some text", 0, 9, None, features={"cosine": 0.61})
    shown = trace(
        record(
            "x",
            standalone="What is LoRA in fine-tuning?",
            hits=(hit,),
            sentences=(Sentence("x", "unsupported"),),
            tokens=Tokens(900, 80, 4096, 2),
        ),
        "Asked today",
    )
    for expected in (
        "What is LoRA in fine-tuning?",
        "0.73",
        "T&lt;1&gt;",
        "cosine 0.61",
        "not in the sources",
        "900 and 80 of 4096",
        "1.50 s",
    ):
        assert expected in shown


def test_copies_are_plain_text() -> None:
    found = record("LoRA is small [1].", citations=(citation(),))
    assert copied(found, sources=False) == "LoRA is small."
    assert (
        copied(found, sources=True).splitlines()[2]
        == "[1] LoRA <explained>, Adapters > Low rank (fetched 2026-11-20): https://example.org/lora"
    )


class Steps:
    """A scripted run that remembers whether it was closed."""

    def __init__(self, *script: Event | Exception) -> None:
        self.script, self.closed = script, False

    def __call__(self, _stop: Stop) -> Iterator[Event]:
        try:
            for item in self.script:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


def test_a_run_is_heard_event_by_event() -> None:
    steps = Steps(Stage("searching"), Draft("a"), Draft("b"))

    async def collect() -> list[Event]:
        return [event async for event in events(steps)]

    assert asyncio.run(collect()) == list(steps.script)
    assert steps.closed


def test_an_error_of_a_run_is_raised_where_it_is_heard() -> None:
    async def collect() -> list[Event]:
        return [event async for event in events(Steps(Stage("searching"), ValueError("broken")))]

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(collect())


def test_whoever_stops_listening_stops_the_run() -> None:
    steps = Steps(*[Draft(str(number)) for number in range(100_000)], Done(Answer(**_empty())))

    async def first() -> Event:
        heard = events(steps)
        event = await anext(heard)
        await heard.aclose()
        while not steps.closed:
            await asyncio.sleep(0.01)
        return event

    assert asyncio.run(first()) == Draft("0")


def test_whoever_stops_listening_ends_a_run_that_waits_for_its_model() -> None:
    ended = threading.Event()

    def waits(stop: Stop) -> Iterator[Event]:
        stop.watch(ended.set)
        yield Stage("reading")
        assert ended.wait(30), "nobody told the run"

    async def first() -> Event:
        heard = events(waits)
        event = await anext(heard)
        await heard.aclose()
        return event

    assert asyncio.run(first()) == Stage("reading")
    assert ended.wait(30)


def _empty() -> dict[str, Any]:
    found = record("")
    return {**found, "timings": Timings(), "tokens": Tokens()}


@pytest.mark.parametrize(
    ("host", "password", "warning"),
    [
        ("127.0.0.1", None, ""),
        ("::1", "word", ""),
        (
            "0.0.0.0",
            None,
            "warning: everyone who can reach 0.0.0.0 can use this chat and read its conversations; --password asks for a password\n",
        ),
        (
            "192.168.0.7",
            "word",
            "warning: everyone who can reach 192.168.0.7 and knows the password can use this chat; what they send is not encrypted\n",
        ),
    ],
)
def test_whoever_opens_the_chat_to_others_is_warned(host: str, password: str | None, warning: str) -> None:
    assert exposure(host, password) == warning


def test_links_that_are_added_while_the_chat_runs_are_seen(tmp_path: Path) -> None:
    app = App(Config(), tmp_path)
    assert app.roadmap.own_links == {}
    add_link(app.links_file, app.roadmap, "https://example.org/mine", "quantization")
    assert app.roadmap.own_links == {"quantization": ("https://example.org/mine",)}
    assert "https://example.org/mine" in app.missing_links("quantization")
    remove_link(app.links_file, "https://example.org/mine")
    assert app.roadmap.own_links == {}


# ------------------------------------------------------------------------------------------------- the roadmap and the sources


@pytest.fixture
def roadmap(tmp_path: Path) -> Roadmap:
    return SmallHome(tmp_path / "small", {}).roadmap


def counts(fetched: int = 0, failed: int = 0, blocked: int = 0, pending: int = 0) -> dict[str, int]:
    return {"fetched": fetched, "failed": failed, "blocked": blocked, "pending": pending}


def test_the_map_shows_what_is_ingested_of_each_topic(roadmap: Roadmap) -> None:
    shown = roadmap_map(roadmap, {"basics": counts(fetched=1, failed=1), "more": counts(pending=1)})
    assert "2 topics · 1/3 sources" in shown
    assert 'data-value="basics" title="1 of 2 sources ingested, 1 failed"' in shown
    assert 'data-value="more" title="0 of 1 sources ingested"' in shown


def test_a_topic_shows_its_place_its_questions_and_the_state_of_its_readings(roadmap: Roadmap) -> None:
    sources = {f"{SITE}three": {"url": f"{SITE}three", "state": "failed", "reason": "404 <Not> Found"}}
    shown = topic_page(roadmap, "more", sources, counts(failed=1))
    assert "What comes next. It is longer." in shown
    assert 'Know before</span><button type="button" class="chip" data-do="topic" data-value="basics">Basics</button>' in shown
    assert 'data-do="ask" data-value="Compare More with Basics"' in shown
    assert "failed: 404 &lt;Not&gt; Found" in shown
    assert 'data-do="fetch" data-value="more">Fetch the one that is missing</button>' in shown


def test_first_questions_are_made_from_the_roadmap(roadmap: Roadmap) -> None:
    assert first_questions(roadmap, {}) == ["Explain in short: Basics"]


def test_a_run_shows_how_far_it_is_and_then_its_report() -> None:
    running = Run("Fetching", running=True, stage="fetch", done=2, of=4, counts={"read": 1, "failed": 1}, latest=(Step("<One>", "read"),))
    shown = progress(running)
    assert "Fetching 2 of 4 · 1 read, 1 failed" in shown
    assert 'aria-valuenow="2"' in shown
    assert "&lt;One&gt;" in shown
    assert "Stopping after the source at hand" in progress(replace(running, stopped=True))
    assert "Stopping, after reading what came" in progress(replace(running, stopped=True, stage="embed"))
    row = {"url": "https://e.example/<a>", "status": "failed", "title": "", "reason": "404 Not Found"}
    summary = dict.fromkeys(("new", "changed", "unchanged", "blocked", "removed"), 0) | {"failed": 1, "embedded": 1200, "seconds": 3.2}
    shown = progress(Run("Fetching", report={"summary": summary, "sources": [row]}))
    assert "1 failed; 1,200 passages read, 3 s." in shown
    assert "https://e.example/&lt;a&gt;</a><br><small>404 Not Found</small>" in shown


@pytest.mark.parametrize(
    ("name", "stored"),
    [("Meine Notizen.MD", "Meine Notizen.md"), ("..hidden.md", "hidden.md"), ("笔记.txt", "笔记.txt"), ("a$b;c.pdf", "a-b-c.pdf")],
)
def test_notes_are_stored_under_harmless_names(tmp_path: Path, name: str, stored: str) -> None:
    file = tmp_path / name
    file.write_text("text", "utf-8")
    assert store_note(file, tmp_path / "notes") == tmp_path / "notes" / stored


def test_a_note_never_replaces_another_of_the_same_name(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for folder, text in zip(folders, ("one", "two", "one"), strict=True):
        folder.mkdir()
        (folder / "note.md").write_text(text, "utf-8")
    stored = [store_note(folder / "note.md", tmp_path / "notes").name for folder in folders]
    assert stored == ["note.md", "note-2.md", "note.md"]


# ---------------------------------------------------------------------------------------------------------------- the model


def test_opening_the_page_and_choosing_a_model_load_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADMAP_RAG_HOME", str(tmp_path))
    with FakeOllama() as server:
        app = App(Config(ollama_host=f"127.0.0.1:{server.server_port}"))
        settings = Settings(app, HomeState(app))
        settings._recall({"model": QUOTES_ONLY})
        assert not server.asked.wait(0.5), "whoever wants quotes only needs no model"
        settings._recall(None)
        assert server.asked.wait(30)
        server.asked.clear()
        while app._warming.locked():
            time.sleep(0.01)
        settings._keep("m:latest", 8, False, "System")
        assert server.asked.wait(30)
        assert [chat["model"] for chat in server.chats] == ["m:latest"] * 2
        server.shutdown()

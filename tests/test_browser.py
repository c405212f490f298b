"""The chat in a real browser: Chromium over the real app, on archived pages. No request leaves 127.0.0.1."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from chat_process import QUESTION, make_home, replay_environment, run_chat
from model_server import ModelServer, first_sentences
from roadmap_rag.store import Store

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe
Browser, Locator, expect = playwright_api.Browser, playwright_api.Locator, playwright_api.expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.replay,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: the chat was not tried in a browser"),
]
SLOW = 120_000
"""Milliseconds that a loaded machine may take for an answer."""
expect.set_options(timeout=SLOW)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def environment(replay) -> dict[str, str]:
    return replay_environment(replay.proxy, replay.ca)


@pytest.fixture(scope="module")
def home(environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    make_home(folder, environment)
    return folder


@pytest.fixture(scope="module")
def quoting(home: Path, environment) -> Iterator[str]:
    """A chat without a model."""
    with run_chat(home, environment) as address:
        yield address


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def writing(home: Path, environment, model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chat with a model that writes what a test tells it to, over a copy of the same home."""
    copy = tmp_path_factory.mktemp("writing") / "home"
    shutil.copytree(home, copy)
    with run_chat(copy, environment, openai_base_url=model.url) as address:
        yield address


@pytest.fixture
def teller(model: ModelServer) -> ModelServer:
    """The model server, told anew for each test what to write and how fast."""
    model.write, model.delay = first_sentences, 0.03
    return model


@dataclass
class Tab:
    """A tab of the browser with what happened in it."""

    page: object
    outside: list[str]
    problems: list[str]

    def ask(self, question: str) -> None:
        box = self.page.locator("#question textarea")
        box.fill(question)
        box.press("Enter")  # the box itself: a panel that has just opened may have taken the focus

    def answer(self, number: int = 0) -> Locator:
        """The finished answer with this number, from 0."""
        found = self.page.locator("#chat .bot-row").nth(number)
        expect(found.locator(".actions")).to_be_visible()
        return found


@pytest.fixture
def open_tab(browser: Browser):
    """Opens tabs, each in a browser profile of its own, and in the end sees that none asked for anything from elsewhere."""
    tabs: list[Tab] = []
    contexts = []

    def start(address: str, login: tuple[str, str] | None = None, **options: object) -> Tab:
        context = browser.new_context(accept_downloads=True, **{"viewport": {"width": 1360, "height": 860}, **options})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW)
        tab = Tab(page, [], [])
        origin = "/".join(address.split("/")[:3])
        page.on("request", lambda request: None if request.url.startswith((origin, "data:", "blob:")) else tab.outside.append(request.url))
        page.on("pageerror", lambda error: tab.problems.append(str(error)))
        page.goto(address)
        if login is not None:
            expect(page.get_by_role("button", name="Login")).to_be_visible()
            for place, word in zip(page.locator("input, textarea").all(), login, strict=True):
                place.fill(word)
            page.get_by_role("button", name="Login").click()
        expect(page.locator("#roadmap details").first).to_be_visible()
        tabs.append(tab)
        return tab

    yield start
    for tab in tabs:
        assert tab.outside == [], "nothing may be asked from another address"
        assert tab.problems == [], "no script may fail"
    for context in contexts:
        context.close()


def test_the_first_page_says_what_there_is(open_tab, quoting: str) -> None:
    page = open_tab(quoting).page
    expect(page.locator("#state")).to_contain_text("2 of 202 sources")
    expect(page.locator("#state")).to_contain_text("Answers are quotes")
    expect(page.locator("#chat .welcome a")).to_have_count(4)
    expect(page.get_by_role("tab")).to_have_text(["Roadmap", "Passage", "Why", "Chats", "Sources", "Settings"])


def test_an_answer_without_a_model_is_quoted_and_its_passage_opens(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    tab.ask(QUESTION)
    answer = tab.answer()
    expect(answer).to_contain_text("forget")
    expect(answer.locator(".meta")).to_contain_text("Quoted word for word from the sources")
    expect(answer.locator(".notice")).to_contain_text("No model is running")
    answer.locator("a[href^='#do/cite/']").first.click()
    panel = tab.page.locator("#passage")
    expect(panel.locator("h2")).to_be_focused()
    marked = "\n".join(panel.locator("mark.quote").all_inner_texts())
    assert marked.strip()
    expect(panel).to_contain_text("fetched 20")
    expect(panel.get_by_role("button", name="Traditional language models")).to_be_visible()
    link = panel.get_by_role("link", name="Open at this place")
    assert "#:~:text=" in link.get_attribute("href")
    assert link.get_attribute("rel") == "noopener noreferrer nofollow"


def test_citations_open_with_the_keyboard(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    tab.ask(QUESTION)
    tab.answer().locator("a[href^='#do/cite/']").first.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#passage mark.quote").first).to_be_in_viewport()


def test_an_answer_streams_is_checked_and_doubtful_sentences_are_marked(open_tab, writing: str, teller: ModelServer) -> None:
    teller.delay = 0.15
    tab = open_tab(writing)
    tab.ask(QUESTION)
    expect(tab.page.locator("#status .busy")).to_be_visible(timeout=5_000)
    expect(tab.page.locator("#status")).to_contain_text("Writing")
    early = tab.page.locator("#chat .bot-row").last.inner_text()
    answer = tab.answer()
    assert len(early) < len(answer.inner_text())
    doubtful = answer.locator("mark.unsupported, mark.contradicted")
    expect(doubtful).to_contain_text("assembled on the moon")
    assert "passage" in doubtful.get_attribute("title")
    expect(answer.locator(".meta")).to_contain_text("1 of 2 sentences not held up by the sources")
    expect(tab.page.locator("#status")).to_have_text("")


def test_what_a_model_writes_can_load_and_run_nothing(open_tab, writing: str, teller: ModelServer) -> None:
    evil = (
        ' <img src="https://evil.example/a.png" onerror="document.title=1"> '
        "![b](https://evil.example/b.png) <script>document.title=2</script>"
    )
    teller.write = lambda prompt: first_sentences(prompt) + evil
    tab = open_tab(writing)
    tab.ask(QUESTION)
    answer = tab.answer()
    expect(answer.locator("img")).to_have_count(0)
    expect(answer.locator("script")).to_have_count(0)
    expect(tab.page).to_have_title("Roadmap study chat")


def test_stop_keeps_the_text_so_far_and_frees_the_model(open_tab, writing: str, teller: ModelServer) -> None:
    teller.write, teller.delay = (lambda prompt: "endless words " * 2_000), 0.05
    before = teller.cut
    tab = open_tab(writing)
    tab.ask(QUESTION)
    expect(tab.page.locator("#chat .bot-row")).to_contain_text("endless words")
    tab.ask("my next question")
    tab.page.get_by_role("button", name="Stop").click()
    answer = tab.answer()
    expect(answer).to_contain_text("endless words")
    expect(answer.locator(".notice")).to_contain_text("Stopped before it was finished; nothing above has been checked")
    expect(tab.page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    expect(tab.page.locator("#question textarea")).to_have_value("my next question")
    for _ in range(100):
        if teller.cut > before:
            break
        tab.page.wait_for_timeout(100)
    assert teller.cut > before, "the model must not go on writing"


def test_a_refusal_looks_different_and_leads_to_the_nearest_topics(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    tab.ask("Who won the football world cup in 1954, and who scored?")
    refusal = tab.answer().locator(".refusal")
    expect(refusal).to_contain_text("No answer.")
    chip = refusal.locator("a.chip:not(.quiet)").first
    title = chip.inner_text()
    chip.click()
    expect(tab.page.locator("#roadmap h2")).to_have_text(title)
    expect(tab.page.locator("#filter")).to_contain_text(f"Only from the sources of {title}")


def test_a_topic_limits_questions_and_offers_some(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    page = tab.page
    page.locator("#roadmap summary", has_text="Foundations of language models").click()
    page.get_by_role("button", name="Traditional language models").click()
    expect(page.locator("#roadmap")).to_contain_text("ingested")
    expect(page.locator("#roadmap .questions button").first).to_contain_text("Explain in short: Traditional language models")
    tab.ask("What is an LSTM?")
    tab.answer().get_by_role("link", name="Why this answer?").click()
    expect(page.locator("#why")).to_contain_text("Passages found")
    expect(page.locator("#why details").first).to_be_visible()
    page.get_by_role("button", name="Ask about everything again").click()
    expect(page.locator("#filter p")).to_have_count(0)


def test_parts_of_the_roadmap_stay_open(open_tab, quoting: str) -> None:
    page = open_tab(quoting).page
    part = page.locator("#roadmap details", has_text="Foundations of language models")
    part.locator("summary").click()
    page.wait_for_timeout(5_000)
    expect(part).to_have_attribute("open", "")
    part.get_by_role("button", name="Traditional language models").click()
    page.get_by_role("button", name="‹ All topics").click()
    expect(part).to_have_attribute("open", "")
    expect(page.locator("#roadmap details[open]")).to_have_count(1)


def test_an_example_question_is_asked_with_one_click(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    example = tab.page.locator("#chat .welcome a").last
    question = example.inner_text().strip()
    example.click()
    tab.answer()
    expect(tab.page.locator("#chat .user-row")).to_contain_text(question)


def test_a_follow_up_stays_in_the_conversation_which_survives_a_reload_and_has_a_link(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    tab.ask(QUESTION)
    tab.answer()
    tab.ask("And what does the input gate do?")
    tab.answer(1)
    link = tab.page.url
    assert "?c=" in link
    tab.page.reload()
    tab.answer(1)
    other = open_tab(link)
    expect(other.answer(1)).to_be_visible()
    other.page.locator("#chat a[href^='#do/cite/']").first.click()
    expect(other.page.locator("#passage mark.quote").first).to_be_visible()


def test_two_tabs_do_not_mix(open_tab, quoting: str) -> None:
    one, two = open_tab(quoting), open_tab(quoting)
    one.ask("What is an LSTM?")
    two.ask("What is a recurrent neural network?")
    one.answer(), two.answer()
    expect(one.page.locator("#chat .user-row")).to_have_text(["What is an LSTM?"])
    expect(two.page.locator("#chat .user-row")).to_have_text(["What is a recurrent neural network?"])
    assert one.page.url != two.page.url


def test_conversations_are_found_renamed_exported_and_deleted(open_tab, quoting: str, tmp_path: Path) -> None:
    tab = open_tab(quoting)
    page = tab.page
    tab.ask("Which problem of long sequences do LSTMs address?")
    tab.answer()
    page.get_by_role("tab", name="Chats").click()
    page.locator("#title-box textarea, #title-box input").fill("Gates, 門 & Tore")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator("#conversations")).to_contain_text("Gates, 門 & Tore")
    page.locator("#find textarea, #find input").fill("門")
    expect(page.locator("#conversations button")).to_have_count(1)
    with page.expect_download() as started:
        page.get_by_role("button", name="Export as Markdown").click()
    assert started.value.suggested_filename == "Gates-門-Tore.md"
    text = Path(started.value.path()).read_text("utf-8")
    assert text.startswith("# Gates, 門 & Tore\n\n## Which problem of long sequences do LSTMs address?")
    assert "\n> " in text
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Yes, delete it for good").click()
    expect(page.locator("#chat .bot-row")).to_have_count(0)
    assert "?c=" not in page.url


def test_answers_are_copied_and_judged_with_a_reason(open_tab, quoting: str, home: Path) -> None:
    tab = open_tab(quoting)
    page = tab.page
    tab.ask(QUESTION)
    tab.answer().get_by_role("link", name="Copy with sources").click()
    expect(page.locator("#status")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "[1]" in copied
    assert "https://" in copied
    tab.answer().get_by_role("link", name="Not good").click()
    page.locator("#reason textarea, #reason input").fill("too short")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_contain_text("Saved")
    expect(page.locator("#chat a.pressed")).to_have_text("Not good")
    judged = Store(home / "user.sqlite").feedback()[-1]
    assert (judged.question, judged.verdict, judged.reason) == (QUESTION, "down", "too short")


def test_asking_again_and_editing_take_the_place_of_the_old_turn(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    page, questions = tab.page, tab.page.locator("#chat .user-row")
    tab.ask(QUESTION)
    tab.answer()
    tab.ask("What is a recurrent neural network?")
    first = tab.answer(1).get_by_role("link", name="Ask again").get_attribute("href")
    tab.answer(1).get_by_role("link", name="Ask again").click()
    expect(tab.answer(1).get_by_role("link", name="Ask again")).not_to_have_attribute("href", first)
    expect(questions).to_have_text([QUESTION, "What is a recurrent neural network?"])
    box = page.locator("#question textarea")
    tab.answer(1).get_by_role("link", name="Edit question").click()
    expect(page.locator("#editing")).to_contain_text("Editing an earlier question")
    page.get_by_role("button", name="× cancel").click()
    expect(box).to_have_value("")
    tab.answer().get_by_role("link", name="Edit question").click()
    expect(box).to_have_value(QUESTION)
    tab.ask("What is an LSTM?")
    expect(questions).to_have_text(["What is an LSTM?"])
    tab.answer()
    expect(page.locator("#editing p")).to_have_count(0)
    page.reload()
    tab.answer()
    expect(questions).to_have_text(["What is an LSTM?"])


def test_a_note_is_uploaded_and_answers_while_the_chat_goes_on(open_tab, quoting: str, tmp_path: Path) -> None:
    note = tmp_path / "Meine Notizen.md"
    note.write_text("# Zephyr cells\n\nA zephyr cell keeps exactly seventeen memory slots and forgets the oldest one first.\n", "utf-8")
    tab = open_tab(quoting)
    page = tab.page
    page.get_by_role("tab", name="Sources").click()
    page.locator("#sources input[type=file]").set_input_files(note)
    tab.ask(QUESTION)
    tab.answer()
    expect(page.locator("#progress")).to_contain_text("1 new")
    expect(page.locator("#own")).to_contain_text("Meine Notizen.md")
    tab.ask("How many memory slots does a zephyr cell keep?")
    answer = tab.answer(1)
    expect(answer).to_contain_text("seventeen memory slots")
    answer.locator("a[href^='#do/cite/']").first.click()
    expect(page.locator("#passage")).to_contain_text("your own note Meine Notizen.md")


def test_a_topic_is_fetched_while_the_chat_is_open_and_the_map_follows(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    page = tab.page
    page.locator("#roadmap summary", has_text="Foundations of language models").click()
    page.get_by_role("button", name="Decoding strategies").click()
    page.get_by_role("button", name="Fetch the one that is missing").click()
    expect(page.locator("#progress")).to_contain_text("Fetching what is missing of Decoding strategies")
    expect(page.locator("#progress")).to_contain_text("1 new")
    expect(page.locator("#state")).to_contain_text("3 of 202 sources")


def test_settings_are_remembered_by_the_browser(open_tab, writing: str, teller: ModelServer) -> None:
    tab = open_tab(writing)
    page = tab.page
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Strict").check()
    page.get_by_label("Dark").check()
    expect(page.locator("body")).to_have_class("dark")
    page.wait_for_timeout(500)
    page.reload()
    expect(page.locator("body")).to_have_class("dark")
    tab.ask(QUESTION)
    answer = tab.answer()
    expect(answer.locator("mark.doubt")).to_have_count(0)
    assert "moon" not in answer.inner_text(), "strict leaves out what no passage holds up"
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Who writes the answers").click()
    page.get_by_role("option", name="Nobody: quotes only").click()
    expect(page.locator("#state")).to_contain_text("Answers are quotes: chosen in the settings")
    answer.get_by_role("link", name="Ask again").click()
    expect(tab.answer().locator(".meta")).to_contain_text("Quoted word for word from the sources")


@pytest.mark.parametrize(
    "question", ["Was entscheidet das Forget Gate eines LSTM? Grüße, ß", "LSTM 的遗忘门决定什么？"], ids=["German", "Chinese"]
)
def test_questions_in_other_languages_are_shown_as_they_are(open_tab, quoting: str, question: str) -> None:
    tab = open_tab(quoting)
    tab.ask(question)
    tab.answer()
    expect(tab.page.locator("#chat .user-row")).to_have_text([question])


def test_a_phone_shows_everything_without_scrolling_sideways(open_tab, quoting: str) -> None:
    tab = open_tab(quoting, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page = tab.page
    tab.ask("x" * 300 + " " + QUESTION)
    tab.answer().locator("a[href^='#do/cite/']").first.click()
    expect(page.locator("#passage mark.quote").first).to_be_in_viewport()
    page.get_by_role("link", name="↑ Chat").click()
    expect(page.locator("#question")).to_be_in_viewport()
    for name in ("Roadmap", "Passage", "Why", "Chats", "Sources", "Settings"):
        page.get_by_role("tab", name=name).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_an_empty_index_says_what_to_do(open_tab, environment, tmp_path: Path) -> None:
    with run_chat(tmp_path / "empty", environment) as address:
        tab = open_tab(address)
        expect(tab.page.locator("#state")).to_contain_text("Nothing is indexed yet")
        tab.ask(QUESTION)
        expect(tab.page.locator("#chat .problem")).to_contain_text("Nothing is indexed yet; run: roadmap-rag ingest")
        expect(tab.page.locator("#question textarea")).to_have_value(QUESTION)
        tab.page.close()


MARKDOWN = """

```python
def adapter(x, a, b):
    return x + a @ b
```

The loss is $$L = \\sum_i p_i$$ and one more is \\(x^2\\).

| rank | memory |
|------|--------|
| 8    | small  |
"""


def test_code_formulas_and_tables_are_shown_as_such(open_tab, writing: str, teller: ModelServer) -> None:
    teller.write = lambda prompt: first_sentences(prompt) + MARKDOWN
    tab = open_tab(writing)
    tab.ask(QUESTION)
    answer = tab.answer()
    expect(answer.locator(".katex")).to_have_count(2)
    expect(answer.locator("th, td")).to_contain_text(["rank", "memory", "8", "small"])
    expect(answer.locator("pre code")).to_contain_text("return x + a @ b")
    answer.locator("pre").hover()
    answer.locator("pre button, .code_wrap button").first.click()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == "def adapter(x, a, b):\n    return x + a @ b"


MOVED = """() => {
  window.moved = [];
  new PerformanceObserver((list) => list.getEntries().forEach((each) => each.hadRecentInput || window.moved.push(each.value)))
    .observe({ type: 'layout-shift', buffered: false });
}"""
STILL = 0.02
"""Of the layout-shift score of the web vitals, where 0.1 counts as good. A line more above the box would be about 0.03."""


def test_nothing_on_the_page_jumps_while_an_answer_streams(open_tab, writing: str, teller: ModelServer) -> None:
    teller.write = lambda prompt: first_sentences(prompt) + " More words follow here." * 80
    tab = open_tab(writing)
    tab.page.evaluate(MOVED)
    tab.ask(QUESTION)
    tab.answer()
    tab.page.wait_for_timeout(500)
    moved = tab.page.evaluate("window.moved")
    assert sum(moved) < STILL, moved


def test_the_keyboard_goes_through_the_page_in_its_order(open_tab, quoting: str) -> None:
    tab = open_tab(quoting)
    page = tab.page
    tab.ask(QUESTION)
    tab.answer()
    page.evaluate(
        "document.activeElement.blur(); window.getSelection().removeAllRanges(); document.body.tabIndex = -1; document.body.focus()"
    )
    met: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        met.append(page.evaluate(FOCUSED))
        if met[-1] == "part":
            break
    order = ["citation", "action", "question", "ask", "tab", "part"]
    assert [each for each in dict.fromkeys(met) if each in order] == order, met


FOCUSED = """() => {
  const at = document.activeElement, is = (what) => at.matches(what);
  return is("#chat a[href^='#do/cite/']") ? 'citation' : is('#chat .actions a') ? 'action' : is('#question textarea') ? 'question'
    : is('#question button') ? 'ask' : is('#side [role=tab]') ? 'tab' : is('#roadmap summary') ? 'part' : at.outerHTML.slice(0, 60);
}"""


LONG = f"On topics {'with very long titles ' * 6}such as {'Donaudampfschifffahrtsgesellschaft' * 3}"


@pytest.fixture(scope="module")
def large(environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chat over a roadmap of 200 topics with titles that are too long. Nothing is indexed: that takes a minute and shows no more."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "corpus").mkdir()
    topics = [
        {"id": f"topic-{number}", "title": f"{LONG} {number}", "part": f"{LONG} {number // 50}", "summary": "It is dull. It is long."}
        for number in range(200)
    ]
    (folder / "corpus" / "roadmap.yaml").write_text(json.dumps({"topics": topics}), "utf-8")
    with run_chat(folder, environment) as address:
        yield address


@pytest.mark.parametrize("width", [360, 1360])
def test_two_hundred_topics_with_long_titles_fit(open_tab, large: str, width: int) -> None:
    page = open_tab(large, viewport={"width": width, "height": 740}).page
    expect(page.locator("#roadmap details")).to_have_count(4)
    expect(page.locator("#roadmap .topic")).to_have_count(200)
    page.locator("#roadmap summary").last.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#roadmap .topic").last.click()
    expect(page.locator("#roadmap h2")).to_contain_text(" 199")
    expect(page.locator("#filter")).to_contain_text(" 199")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_users_who_log_in_see_their_own_conversations_only(open_tab, environment, home: Path, tmp_path: Path) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError, AuthenticationError

    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    with run_chat(copy, environment, password="open sesame") as address:
        with pytest.raises((AuthenticationError, AppError, ValueError)):
            Client(address, verbose=False)
        tabs = {}
        for name in ("anna", "ben"):
            tab = tabs[name] = open_tab(address, login=(name, "open sesame"))
            tab.ask(f"What is an LSTM, asks {name}?")
            tab.answer()
            tab.page.get_by_role("tab", name="Chats").click()
            expect(tab.page.locator("#conversations button")).to_have_count(1)
            expect(tab.page.locator("#conversations")).to_contain_text(f"asks {name}")
        tabs["ben"].page.goto(tabs["anna"].page.url)
        expect(tabs["ben"].page.locator("#chat .welcome a").first).to_be_visible()
        expect(tabs["ben"].page.locator("#chat .bot-row")).to_have_count(0)
        found = Client(address, auth=("anna", "open sesame"), verbose=False).predict(api_name="/conversations")["conversations"]
        assert [each["title"] for each in found] == ["What is an LSTM, asks anna?"]
        for tab in tabs.values():
            tab.page.close()


def test_no_file_of_the_machine_can_be_fetched(quoting: str, home: Path) -> None:
    for path in (home / "user.sqlite", home / "index", "/etc/passwd", Path(__file__)):
        assert httpx.get(f"{quoting}/gradio_api/file={path}", trust_env=False).status_code in (403, 404)
    assert httpx.get(quoting, trust_env=False).status_code == 200


def test_the_endpoints_have_names(quoting: str) -> None:
    from gradio_client import Client

    client = Client(quoting, verbose=False)
    answer = client.predict(QUESTION, api_name="/ask")
    assert answer["citations"], answer
    assert client.predict("LSTM", 3, api_name="/search")["hits"][2]["rank"] == 3
    assert json.loads(client.predict("decoding-strategies", api_name="/topics"))["topics"][0]["title"] == "Decoding strategies"
    assert client.predict(api_name="/status")["index"]["chunks"] > 10
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/ask", "/search", "/topics", "/status", "/conversations"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_tab, writing: str, teller: ModelServer, scheme: str) -> None:
    tab = open_tab(writing, color_scheme=scheme)
    page = tab.page
    assert serious(page) == [], "the first page"
    tab.ask("Who won the football world cup in 1954, and who scored?")
    tab.answer().locator(".refusal a.chip:not(.quiet)").first.click()
    expect(page.locator("#roadmap h2")).to_be_visible()
    assert serious(page) == [], "a refusal and a topic"
    page.get_by_role("button", name="‹ All topics").click()
    page.locator("#roadmap summary").first.click()
    assert serious(page) == [], "the roadmap"
    tab.ask(QUESTION)
    answer = tab.answer(1)
    expect(answer.locator("mark.doubt")).to_be_visible()
    answer.locator("a[href^='#do/cite/']").first.click()
    expect(page.locator("#passage mark.quote").first).to_be_visible()
    answer.get_by_role("link", name="Not good").click()
    expect(page.locator("#reason")).to_be_visible()
    assert serious(page) == [], "an answer with a passage"
    answer.get_by_role("link", name="Why this answer?").click()
    expect(page.locator("#why details").first).to_be_visible()
    assert serious(page) == [], "why this answer"
    for name in ("Chats", "Sources", "Settings"):
        page.get_by_role("tab", name=name).click()
        assert serious(page) == [], name


def serious(page) -> list[tuple[str, str]]:
    """What axe-core finds on a page that keeps people out: the rule and the first element."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def test_a_long_fetch_can_be_stopped_while_the_chat_answers(open_tab, writing: str, teller: ModelServer) -> None:
    tab = open_tab(writing)
    page = tab.page
    page.get_by_role("tab", name="Sources").click()
    page.get_by_role("button", name="Try failed ones again").click()
    expect(page.locator("#progress .steps li").first).to_be_visible()
    page.locator("#sources").get_by_role("button", name="Stop").click()
    expect(page.locator("#progress")).to_contain_text("Stopp")
    tab.ask(QUESTION)
    tab.answer()
    expect(page.locator("#progress")).to_contain_text("Stopped early.", timeout=200_000)  # what came is read first
    expect(page.locator("#sources").get_by_role("button", name="Stop")).to_be_hidden()
    tab.ask(QUESTION)
    tab.answer(1)


def test_own_links_are_added_tried_again_and_removed_while_the_chat_goes_on(open_tab, writing: str, teller: ModelServer) -> None:
    tab = open_tab(writing)
    page = tab.page
    page.get_by_role("tab", name="Sources").click()
    page.locator("#own-link textarea, #own-link input").fill("https://nowhere.example/article")
    page.get_by_label("Under the topic").click()
    page.get_by_role("option", name="Decoding strategies").click()
    page.get_by_role("button", name="Add and fetch").click()
    expect(page.locator("#own")).to_contain_text("https://nowhere.example/article")
    expect(page.locator("#progress")).to_contain_text("1 failed")
    page.locator("#lost summary").click()
    row = page.locator("#lost li", has_text="nowhere.example")
    row.get_by_role("button", name="Try again").click()
    expect(page.locator("#progress")).to_contain_text("Fetching https://nowhere.example/article")
    expect(page.locator("#progress")).to_contain_text("1 failed")
    page.get_by_role("tab", name="Roadmap").click()
    page.locator("#roadmap summary", has_text="Foundations of language models").click()
    page.get_by_role("button", name="Decoding strategies").click()
    expect(page.locator("#roadmap")).to_contain_text("nowhere.example")
    page.get_by_role("tab", name="Sources").click()
    page.locator("#own").get_by_role("button", name="Remove").click()
    expect(page.locator("#own")).to_contain_text("None yet")
    expect(page.locator("#lost")).not_to_contain_text("nowhere.example")

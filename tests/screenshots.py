"""Pictures of the chat's main states, for `make screenshots`: light, dark and on a phone, over the home that is set.

What is asked is answered by the roadmap itself, so that the pictures show no page of others. Those of the README are made smaller with
`python tests/screenshots.py FOLDER --readme`, into docs/images/.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from chat_process import run_chat
from roadmap_rag.wiring import find_home
from test_browser import CHROMIUM

QUESTION = "What do I need before quantization?"
SECOND = "What should I learn after prompt engineering?"
UNANSWERED = "Who won the football world cup in 1954?"
DESKTOP = {"viewport": {"width": 1280, "height": 760}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
README = {"answer": "answer", "roadmap": "roadmap-dark", "refusal": "refusal"}
IMAGES = Path(__file__).parents[1] / "docs" / "images"


def ask(page: Page, question: str) -> None:
    page.locator("#question textarea").fill(question)
    page.keyboard.press("Enter")
    page.locator("#status .busy").wait_for(state="detached", timeout=120_000)
    page.locator("#chat .actions").last.wait_for(timeout=120_000)


def open_citation(page: Page) -> None:
    page.locator("#chat a[href^='#do/cite/']").first.click()
    page.locator("#passage mark.quote").first.wait_for()


def main(folder: Path, *, readme: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with run_chat(find_home(), dict(os.environ)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def open_page(link: str = address, **options: object) -> Page:
            page = browser.new_context(**options).new_page()
            page.goto(link)
            page.locator("#roadmap details").first.wait_for(timeout=60_000)
            return page

        def save(page: Page, name: str) -> None:
            page.wait_for_timeout(800)
            page.screenshot(path=folder / f"{name}.png")
            sys.stdout.write(f"{folder / name}.png\n")

        page = open_page(**DESKTOP)
        save(page, "start")
        ask(page, QUESTION)
        open_citation(page)
        save(page, "answer")
        page.locator("#chat a[href^='#do/why/']").first.click()
        save(page, "why")
        ask(page, SECOND)
        answered = page.url
        page.get_by_role("tab", name="Settings").click()
        save(page, "settings")
        page.get_by_role("tab", name="Chats").click()
        page.get_by_role("button", name="New conversation").click()
        ask(page, UNANSWERED)
        refused = page.url
        page.get_by_role("tab", name="Roadmap").click()
        save(page, "refusal")
        page.get_by_role("tab", name="Sources").click()
        save(page, "sources")
        for name, options in (
            ("dark", {**DESKTOP, "color_scheme": "dark"}),
            ("phone", PHONE),
            ("phone-dark", {**PHONE, "color_scheme": "dark"}),
        ):
            page = open_page(answered, **options)
            page.locator("#chat .actions").last.wait_for()
            save(page, f"answer-{name}" if name == "dark" else name)
            page.locator("#roadmap summary").nth(3).click()
            page.locator("#roadmap summary").nth(3).scroll_into_view_if_needed()
            save(page, f"roadmap-{name}")
            page.locator("#roadmap .topic:visible").nth(2).click()
            save(page, f"topic-{name}")
            open_citation(page)
            save(page, f"passage-{name}")
        save(open_page(refused, **PHONE), "refusal-phone")
        browser.close()
    if readme:
        IMAGES.mkdir(parents=True, exist_ok=True)
        for name, source in README.items():
            with Image.open(folder / f"{source}.png") as picture:
                picture.convert("RGB").save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(next((word for word in sys.argv[1:] if word[0] != "-"), "screenshots")), readme="--readme" in sys.argv)

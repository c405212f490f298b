"""Pictures of the chat's main states, for `make screenshots`: light, dark and on a phone, over the home that is set.

python tests/screenshots.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from chat_process import run_chat
from roadmap_rag.wiring import find_home
from test_browser import CHROMIUM

QUESTION = "How does LoRA reduce the memory that fine-tuning takes?"
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def ask(page: Page, question: str) -> None:
    page.locator("#question textarea").fill(question)
    page.keyboard.press("Enter")
    page.locator("#chat .actions").last.wait_for(timeout=120_000)
    page.wait_for_timeout(600)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with run_chat(find_home(), dict(os.environ)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def open_page(link: str = address, **options: object) -> Page:
            page = browser.new_context(**options).new_page()
            page.goto(link)
            page.locator("#roadmap details").first.wait_for(timeout=60_000)
            page.wait_for_timeout(600)
            return page

        def save(page: Page, name: str) -> None:
            page.wait_for_timeout(600)
            page.screenshot(path=folder / f"{name}.png")
            sys.stdout.write(f"{folder / name}.png\n")

        page = open_page(**DESKTOP)
        save(page, "start")
        ask(page, QUESTION)
        page.locator("#chat a[href^='#do/cite/']").first.click()
        page.locator("#passage mark.quote").first.wait_for()
        save(page, "answer")
        link = page.url
        page.locator("#chat a[href^='#do/why/']").first.click()
        save(page, "why")
        ask(page, "Who won the football world cup in 1954?")
        page.get_by_role("tab", name="Sources").click()
        save(page, "refusal-and-sources")
        page.get_by_role("tab", name="Roadmap").click()
        page.locator("#roadmap summary").nth(3).click()
        save(page, "roadmap")
        page.locator("#roadmap .topic:visible").nth(4).click()
        save(page, "topic")
        for name, options in (
            ("dark", {**DESKTOP, "color_scheme": "dark"}),
            ("phone", PHONE),
            ("phone-dark", {**PHONE, "color_scheme": "dark"}),
        ):
            page = open_page(link, **options)
            page.locator("#chat .actions").last.wait_for()
            if name == "dark":
                page.locator("#chat a[href^='#do/cite/']").first.click()
                page.locator("#passage mark.quote").first.wait_for()
            save(page, name)
        page.locator("#chat a[href^='#do/cite/']").first.click()
        page.locator("#passage mark.quote").first.wait_for()
        save(page, "phone-passage")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))

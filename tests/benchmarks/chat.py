"""How long the chat in the browser takes: its start, opening it, and a quoted answer.

    python tests/benchmarks/chat.py [--runs 5]      needs Chromium and an index: roadmap-rag ingest --limit 0

Prints wall-clock times of one run on one machine, without a model: what a model adds is its own speed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import BrowserContext, Page, sync_playwright

from chat_process import run_chat
from roadmap_rag.wiring import find_home
from test_browser import CHROMIUM, MOVED

QUESTIONS = ("What do I need before quantization?", "What is LoRA?", "How does retrieval-augmented generation work?")
WATCH = """() => { window.asked = new Promise((done) => {
  const started = performance.now(), busy = () => document.querySelector('#status .busy');
  let said = 0;
  new MutationObserver((_, observer) => {
    if (!said && busy()) said = performance.now() - started;
    if (said && !busy()) { observer.disconnect(); done([said / 1000, (performance.now() - started) / 1000]); }
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}); }"""


def open_page(context: BrowserContext, address: str) -> tuple[Page, list[float]]:
    """A new tab, and the seconds until something was painted, the box for questions stood there, and the map and the state of things."""
    started = time.perf_counter()
    page = context.new_page()
    page.goto(address, wait_until="commit")
    page.locator("#question textarea").wait_for()
    usable = time.perf_counter() - started
    page.locator("#roadmap details").first.wait_for()
    page.locator("#state .fact").first.wait_for()
    complete = time.perf_counter() - started
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    return page, [painted, usable, complete]


def ask(page: Page, question: str) -> tuple[float, float]:
    """Seconds until the status line says what happens, and until the answer stands there."""
    page.locator("#question textarea").fill(question)
    page.evaluate(WATCH)
    page.keyboard.press("Enter")
    said, done = page.evaluate("window.asked")
    return said, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rows: list[tuple[str, list[float]]] = []
    started = time.perf_counter()
    with run_chat(find_home(), dict(os.environ)) as address, sync_playwright() as playwright:
        rows.append(("start of the process to HTTP answers", [time.perf_counter() - started]))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1360, "height": 860})
        opened = []
        for _ in range(runs + 1):
            page, times = open_page(context, address)
            opened.append(times)
            page.close()
        for number, what in enumerate(("the first content", "the box for questions", "the map and the state")):
            rows.append((f"opening it for the first time, to {what}", [opened[0][number]]))
            rows.append((f"opening it once warm, to {what}", [times[number] for times in opened[1:]]))
        page = open_page(context, address)[0]
        page.evaluate(MOVED)
        first = ask(page, "What is a transformer?")
        later = [ask(page, QUESTIONS[number % len(QUESTIONS)]) for number in range(runs)]
        rows += [
            ("first question, to the whole answer in quotes", [first[1]]),
            ("later questions, to the first status line", [said for said, _ in later]),
            ("later questions, to the whole answer in quotes", [done for _, done in later]),
        ]
        moved = page.evaluate("window.moved")
        browser.close()
    print("| what | median s | longest s | n |\n|---|---:|---:|---:|")
    for name, times in rows:
        print(f"| {name} | {statistics.median(times):.2f} | {max(times):.2f} | {len(times)} |")
    print(f"\nlayout shift over {runs + 1} questions: {sum(moved):.4f} (score of the web vitals; below 0.1 is good)")


if __name__ == "__main__":
    main()

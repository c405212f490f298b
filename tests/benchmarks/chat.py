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
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page, sync_playwright

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


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def open_page(browser: Browser, address: str) -> Page:
    """A tab of a new profile, as far as its first content: the state of things and the map."""
    page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
    page.goto(address, wait_until="commit")
    page.locator("#roadmap details").first.wait_for()
    page.locator("#state .fact").first.wait_for()
    return page


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
        rows.append(("opening it for the first time, to the first content", [timed(lambda: open_page(browser, address))]))
        rows.append(("opening it once warm, to the first content", [timed(lambda: open_page(browser, address)) for _ in range(runs)]))
        page = open_page(browser, address)
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

"""How long the first word takes: with the model not loaded, and warmed as the opened chat warms it.

    python tests/benchmarks/first_token.py [--runs 3] [--model NAME]      needs Ollama with a model, and an index

Each run unloads the model, asks (cold), unloads it, warms it, asks the same question again (warm), and once more, with another question,
while it is loaded (next). Nothing of a prompt but its instructions is ever in the server's memory. Prints medians; the ratio travels
better than the seconds.
"""

from __future__ import annotations

import argparse
import statistics
import time

import httpx

from roadmap_rag.errors import GeneratorError
from roadmap_rag.generate import OllamaGenerator, OllamaServer, estimate_prompt_tokens
from roadmap_rag.prompt import build_prompt
from roadmap_rag.query_engine import Writer
from roadmap_rag.wiring import App, read_config

QUESTIONS = ("Why does the KV cache speed up inference?", "How does LoRA reduce the number of trainable parameters?")
UNLOAD_SECONDS = 30


def unload(generator: OllamaGenerator) -> None:
    """Take the model out of the server's memory, and wait until it is gone."""
    httpx.post(f"{generator.host}/api/generate", json={"model": generator.model, "keep_alive": 0}, timeout=UNLOAD_SECONDS)
    server = OllamaServer(generator.host)
    for _ in range(UNLOAD_SECONDS * 10):
        if generator.model not in {loaded.name for loaded in server.granted()}:
            return
        time.sleep(0.1)
    raise GeneratorError(f"{generator.model} stays loaded; run: ollama stop {generator.model}")


def first_token(app: App, writer: Writer, question: str) -> tuple[float, int]:
    """Seconds until the first word after the passages are found, and the tokens of the prompt."""
    assert writer.generator is not None
    hits = app.retriever.search(question, k=app.config.passages).hits
    prompt = build_prompt(question, hits, tokens=writer.prompt_tokens, count=estimate_prompt_tokens)
    started, first, tokens = time.perf_counter(), 0.0, 0
    for piece in writer.generator.stream(prompt.messages):
        if piece.text and not first:
            first = time.perf_counter() - started
        tokens = piece.prompt_tokens or tokens
    return first, tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model")
    options = parser.parse_args()
    app = App(read_config(answer_tokens=32))
    writer = app.writer(options.model)
    if not isinstance(writer.generator, OllamaGenerator):
        raise SystemExit(f"no model of Ollama to measure: {writer.notice}")
    times: dict[str, list[float]] = {"cold": [], "warming": [], "warm": [], "next": []}
    for _ in range(options.runs):
        unload(writer.generator)
        seconds, tokens = first_token(app, writer, QUESTIONS[0])
        times["cold"].append(seconds)
        print(f"cold {seconds:.2f} s", flush=True)
        unload(writer.generator)
        started = time.perf_counter()
        app.warm(options.model)
        times["warming"].append(time.perf_counter() - started)
        times["warm"].append(first_token(app, writer, QUESTIONS[0])[0])
        print(f"warming {times['warming'][-1]:.2f} s, then {times['warm'][-1]:.2f} s", flush=True)
        times["next"].append(first_token(app, writer, QUESTIONS[1])[0])
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{writer.model}, Ollama {OllamaServer(app.ollama_host).version()}, {tokens} prompt tokens, {options.runs} runs\n")
    print("| | seconds | spread |\n|---|---:|---|")
    for name, values in times.items():
        print(f"| {name} | {medians[name]:.2f} | {min(values):.2f} to {max(values):.2f} |")
    print(f"\ncold is {medians['cold'] / medians['warm']:.2f} times warm")


if __name__ == "__main__":
    main()

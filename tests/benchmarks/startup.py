"""Where the time of a cold start goes: commands as whole processes, and the imports behind them.

    python tests/benchmarks/startup.py [--runs 3]      needs an index: roadmap-rag ingest --limit 0

Prints wall-clock medians of one run on one machine; the ratios to ``--help`` travel better than the seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

QUESTION = "What should I learn before quantization?"
COMMANDS = {
    "--help": ["--help"],
    "topics": ["topics"],
    "doctor": ["doctor"],
    "search": ["search", QUESTION],
    "ask, quotes only": ["ask", "--no-model", QUESTION],
    "ask": ["ask", QUESTION],
}
IMPORTS = (
    "numpy",
    "onnxruntime",
    "tokenizers",
    "chromadb",
    "trafilatura",
    "llama_index.core.base.base_query_engine",
    "llama_index.llms.ollama",
    "gradio",
    "torch",
    "sentence_transformers",
)


def measure(command: list[str], runs: int) -> float:
    """Median seconds of a process, after one run that fills the caches."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, env=os.environ)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    python = measure([sys.executable, "-c", "pass"], runs)
    rows = [(f"roadmap-rag {name}", measure([sys.executable, "-m", "roadmap_rag", *words], runs)) for name, words in COMMANDS.items()]
    base = rows[0][1]
    print("| command | seconds | times --help |\n|---|---:|---:|")
    for name, seconds in rows:
        print(f"| {name} | {seconds:.2f} | {seconds / base:.1f} |")
    print("\n| import | seconds |\n|---|---:|")
    for name in IMPORTS:
        print(f"| {name} | {measure([sys.executable, '-c', f'import {name}'], runs) - python:.2f} |")


if __name__ == "__main__":
    main()

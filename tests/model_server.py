"""A language model for tests: a server that speaks OpenAI's protocol and writes what a function makes of the prompt, word by word."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Write = Callable[[str], str]
"""The answer to the last message of a prompt."""


def first_sentences(prompt: str) -> str:
    """A sentence of the first passage with its label, and one that no passage says."""
    passage = prompt.split("<passage 1>", 1)[1].split("</passage>", 1)[0].split("\n", 1)[1]
    sentence = next(each for each in re.findall(r"[A-Z][^.!?\n\[\]`|*_]{40,200}\.", passage))
    return f"{sentence[:-1]} [1]. The first such network was assembled on the moon in 1850 by three brothers [1]."


class ModelServer(ThreadingHTTPServer):
    """``write`` makes the answers, a word each ``delay`` seconds; ``prompts`` is what it was asked, ``cut`` counts readers who left,
    ``warmed`` prompts that held instructions only."""

    daemon_threads = True

    def __init__(self, write: Write = first_sentences, delay: float = 0.03) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.write, self.delay = write, delay
        self.prompts: list[str] = []
        self.cut = self.warmed = 0
        self.context = 8192
        self.keys: list[str] = []
        threading.Thread(target=self.serve_forever, name="model", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.server.keys.append(str(self.headers["Authorization"]))
        body = json.dumps({"object": "list", "data": [{"id": "test", "object": "model", "max_model_len": self.server.context}]}).encode()
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.keys.append(str(self.headers["Authorization"]))
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = request["messages"][-1]
        if asked["role"] == "user":
            self.server.prompts.append(asked["content"])
            words = re.findall(r"\S+\s*", self.server.write(asked["content"]))
        else:
            self.server.warmed += 1
            words = ["ready"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for word in words:
                self._send({"index": 0, "delta": {"content": word}, "finish_reason": None})
                time.sleep(self.server.delay)
            self._send({"index": 0, "delta": {}, "finish_reason": "stop"}, {"prompt_tokens": 4000, "completion_tokens": len(words)})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.cut += 1

    def _send(self, choice: dict[str, Any], usage: dict[str, int] | None = None) -> None:
        total = {**usage, "total_tokens": sum(usage.values())} if usage else None
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "test", "choices": [choice], "usage": total}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass

"""Starts the chat, as ``roadmap-rag chat`` does."""

import sys

from roadmap_rag.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["chat", *sys.argv[1:]]))

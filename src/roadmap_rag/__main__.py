"""``python -m roadmap_rag``."""

from roadmap_rag.cli import run

run()

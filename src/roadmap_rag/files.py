"""Writing files so that a reader sees the old or the new content and nothing between, and saying plainly why a folder cannot be written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roadmap_rag.errors import StorageError


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Translate what the operating system and SQLite say about a folder that cannot be written into one line that names it."""
    try:
        yield
    except PermissionError as error:
        raise StorageError(f"{folder} is not writable ({error.strerror}); change its permissions or set ROADMAP_RAG_HOME") from error
    except (OSError, sqlite3.OperationalError) as error:
        said = getattr(error, "strerror", None) or error
        raise StorageError(
            f"{folder} cannot be written: {said}; free some space, check its permissions, or set ROADMAP_RAG_HOME"
        ) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write through a temporary file beside ``path``, on disk before the rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise

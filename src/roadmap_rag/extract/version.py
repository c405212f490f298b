"""Which extraction made a text, so that texts of an older one are made anew from what is stored, without a network."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("trafilatura", "pypdfium2", "docutils", "nbformat", "markdown-it-py")


@functools.cache
def fingerprint() -> str:
    """Changes with every change of this package and of the libraries that read pages: nobody has to remember a number."""
    sha = hashlib.sha256(" ".join(f"{name}=={version(name)}" for name in _LIBRARIES).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]

"""What goes wrong is told on the page, in the words of the error and without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from roadmap_rag.errors import RoadmapRagError


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of this project into a message on the page."""
    try:
        yield
    except RoadmapRagError as error:
        raise gr.Error(str(error), title="This did not work", print_exception=False) from error

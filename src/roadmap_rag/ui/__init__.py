"""The chat in the browser: Gradio on 127.0.0.1, and nothing from anywhere else."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

from roadmap_rag.ui.app import build, launch

__all__ = ["build", "launch"]

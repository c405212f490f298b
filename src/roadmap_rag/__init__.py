"""A local study assistant: answers from an LLM-learning roadmap and its articles, with citations that the program has checked."""

__version__ = "0.1.0"

"""The answer without a model: the best sentences of the passages, word for word, each with its citation; or a refusal."""

from roadmap_rag.quotes.answerable import Answerability, Corpus, answerability, off_subject, unanswered
from roadmap_rag.quotes.composing import compose, restating
from roadmap_rag.quotes.steering import instruction_like, without_orders

__all__ = [
    "Answerability",
    "Corpus",
    "answerability",
    "compose",
    "instruction_like",
    "off_subject",
    "restating",
    "unanswered",
    "without_orders",
]

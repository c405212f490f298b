"""Hybrid retrieval: dense and lexical candidates, ranked by a small model with late interaction, neighbours joined, comparisons split.

``question`` makes a question standalone and splits comparisons; ``roadmap_names`` tells questions about the roadmap itself; ``ranking``
turns candidates into features and scores; ``joining`` turns ranked passages into hits; ``relevance`` turns scores into probabilities;
``retriever`` runs them. Every constant was chosen on the development half of the golden questions; the tables are in docs/retrieval.md.
"""

from roadmap_rag.retrieve.question import is_english
from roadmap_rag.retrieve.retriever import RERANKED, Ranking, Retrieval, Retriever, WordEncoder

__all__ = ["RERANKED", "Ranking", "Retrieval", "Retriever", "WordEncoder", "is_english"]

"""What families of embedding models expect: the words before a question and before a passage, and how much they read.

One table for every way to run a model (sentence-transformers, a folder, Ollama). As the models' own cards say; a model that no entry knows
gets its texts as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

_REPRESENT = "Represent this sentence for searching relevant passages: "
_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


@dataclass(frozen=True, slots=True)
class Profile:
    """What a family of models expects before a text, and how many word pieces it reads (None: as the model's own files say)."""

    query_prefix: str = ""
    passage_prefix: str = ""
    limit: int | None = None
    english_only: bool = False


PROFILES: dict[str, Profile] = {
    "minilm": Profile(limit=256, english_only=True),
    "all-mpnet": Profile(limit=384, english_only=True),
    "multi-qa": Profile(english_only=True),
    "paraphrase-multilingual": Profile(limit=128),
    "bge": Profile(query_prefix=_REPRESENT, english_only=True),
    "bge-m3": Profile(),
    "e5": Profile(query_prefix="query: ", passage_prefix="passage: ", english_only=True),
    "multilingual-e5": Profile(query_prefix="query: ", passage_prefix="passage: "),
    "multilingual-e5-large-instruct": Profile(query_prefix=_INSTRUCT),
    "gte": Profile(english_only=True),
    "gte-multilingual": Profile(),
    "gte-qwen": Profile(query_prefix=_INSTRUCT),
    "qwen3-embedding": Profile(query_prefix=_INSTRUCT),
    "nomic-embed": Profile(query_prefix="search_query: ", passage_prefix="search_document: ", english_only=True),
    "nomic-embed-text-v2": Profile(query_prefix="search_query: ", passage_prefix="search_document: "),
    "embeddinggemma": Profile(query_prefix="task: search result | query: ", passage_prefix="title: none | text: "),
    "mxbai-embed": Profile(query_prefix=_REPRESENT, english_only=True),
    "arctic-embed": Profile(query_prefix=_REPRESENT, english_only=True),
    "arctic-embed2": Profile(query_prefix="query: "),
    "arctic-embed-m-v2": Profile(query_prefix="query: "),
    "arctic-embed-l-v2": Profile(query_prefix="query: "),
    "granite-embedding": Profile(english_only=True),
    "granite-embedding-278m": Profile(),
}


def profile(name: str) -> Profile:
    """The longest entry of ``PROFILES`` that occurs in the model's name; models that no entry knows get no prefix."""
    lowered = name.lower()
    matches = [key for key in PROFILES if key in lowered]
    return PROFILES[max(matches, key=len)] if matches else Profile()

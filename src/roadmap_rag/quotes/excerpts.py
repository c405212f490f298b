"""What of the passages a model reads: their sentences, each with what it is worth for the question.

The words alone decide, and the passage's rank: on the development half of the golden questions the embedder, which takes much longer, chose
no better. All may be read, code and tables too; only what orders a model about is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from roadmap_rag.citations.compare import read
from roadmap_rag.domain import Hit
from roadmap_rag.prompt import Piece
from roadmap_rag.quotes.asked import states, wanted
from roadmap_rag.quotes.composing import KIND, PASSAGE, WORDS, word_shares
from roadmap_rag.quotes.steering import LEFT_OUT, without_orders
from roadmap_rag.text import sentence_spans


def readable(question: str, hits: Sequence[Hit]) -> list[Piece]:
    """Every sentence of the passages that a model may read, in order. Together they are the passages, if nothing in them gives orders."""
    kind, known = wanted(question), read(question).numbers
    spans = [(number, place, span) for number, hit in enumerate(hits) for place, span in enumerate(sentence_spans(hit.text))]
    shares = word_shares(question, [(hits[number].text[start:end], hits[number]) for number, _, (start, end) in spans])
    pieces: list[Piece] = []
    before = 0
    for (number, place, (start, end)), share in zip(spans, shares, strict=True):
        before = 0 if place == 0 else before
        hit = hits[number]
        sentence, space = hit.text[start:end], hit.text[before:start]
        before = end
        shown = without_orders(sentence, question)
        if not shown.replace(LEFT_OUT, "").strip():
            continue
        worth = WORDS * share + PASSAGE / math.sqrt(hit.rank)
        worth += KIND * (kind.kind != "anything" and states(sentence, kind, question, known))
        pieces.append(Piece(number, place, space + shown, worth))
    return pieces

"""How many tokens a text takes, without the model's tokenizer: no local server hands that out before the text is sent.

The estimate is meant to be too high. A prompt that is planned with it fits the window of the model; the count that the server
reports afterwards says by how much it was too high.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from roadmap_rag.domain import Turn

TURN_TOKENS = 12
"""What a chat template writes around one message: role, markers, line breaks."""

TEMPLATE_TOKENS = 40
"""What a template adds once: a built-in system message, the opening of the answer."""

_PARTS = re.compile(r"[A-Za-z]+|[0-9]|[^\x00-\x7f]|[ \t]+|\s|[^\sA-Za-z0-9]")


def estimate_tokens(text: str) -> int:
    """An upper estimate of the number of tokens of a text.

    Letters count one token for each four begun, digits and signs one each, everything outside ASCII its bytes in UTF-8 (which no
    byte-level tokenizer exceeds), line breaks and runs of blanks one each; a single blank belongs to the word after it.
    """
    total = 0
    for match in _PARTS.finditer(text):
        part = match[0]
        if part == " ":
            continue
        if part[0] > "\x7f":
            total += len(part.encode("utf-8", "surrogatepass"))
        elif part.isalpha():
            total += (len(part) + 3) // 4
        else:
            total += 1
    return total


def estimate_prompt_tokens(messages: Sequence[Turn]) -> int:
    """An upper estimate for a whole prompt, with what the model's chat template adds."""
    return TEMPLATE_TOKENS + sum(TURN_TOKENS + estimate_tokens(turn.content) for turn in messages)


def least_tokens(messages: Sequence[Turn]) -> int:
    """A lower bound: no tokenizer joins two words that blanks separate, so each word is at least one token."""
    return sum(len(turn.content.split()) for turn in messages)

"""A small convolutional net over the words of a laid claim, and what it was trained to: whether the stretch supports the claim.

It sees nothing but the numbers of ``alignment.lay`` and of ``compare``, no words, so that it can learn from sentences with planted faults what
a broken path looks like: two convolutions, their maximum and mean over the claim, one hidden layer. ``net.json`` is written by
``roadmap_rag.evaluation.claim_net``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from roadmap_rag.citations.alignment import Floats
from roadmap_rag.citations.compare import FEATURES, WORD_FEATURES

NET = Path(__file__).with_name("net.json")
GLOBAL = (*FEATURES, *WORD_FEATURES)
"""What the net is told of the claim as a whole."""
LONGEST = 48
"""Words of a claim that are read."""


@functools.cache
def weights() -> dict[str, Floats]:
    return {name: np.array(values, dtype=np.float32) for name, values in json.loads(NET.read_text("utf-8")).items()}


def score(laid: Floats, features: Mapping[str, float], known: Mapping[str, Floats] | None = None) -> float:
    """Log odds that the claim is supported, by the stored weights or ``known`` ones."""
    known = known or weights()
    hidden = _convolve(laid[:LONGEST], known["c1.weight"], known["c1.bias"])
    hidden = _convolve(hidden, known["c2.weight"], known["c2.bias"])
    whole = (np.array([features[name] for name in GLOBAL], dtype=np.float32) - known["mean"]) / known["spread"]
    joined = np.concatenate([hidden.max(axis=0), hidden.mean(axis=0), whole])
    inner = np.maximum(known["a.weight"] @ joined + known["a.bias"], 0)
    return float((known["b.weight"] @ inner + known["b.bias"])[0])


def _convolve(rows: Floats, kernel: Floats, bias: Floats) -> Floats:
    """Kernel of shape (outputs, inputs, width), then the positive part; as many rows as before."""
    width = kernel.shape[2]
    padded = np.pad(rows, ((width // 2, width // 2), (0, 0)))
    total = sum(padded[at : at + len(rows)] @ kernel[:, :, at].T for at in range(width))
    return np.asarray(np.maximum(total + bias, 0), dtype=np.float32)

"""Trains the net of ``citations.net``: on sentences of the pages with planted faults and on the development half of the labelled claims."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from roadmap_rag.citations.alignment import LAID, Floats
from roadmap_rag.citations.evidence import Encode, Read, stretches
from roadmap_rag.citations.net import GLOBAL, LONGEST, NET, weights
from roadmap_rag.citations.verify import beside
from roadmap_rag.evaluation.planting import plant
from roadmap_rag.index import Generation

PLANTED = 6_000
_CHANNELS = 24
_HIDDEN = 24
_EPOCHS = 14
_BATCH = 192
_LABELLED = 3.0
"""Weight of a labelled claim, beside a planted one."""
_DROPPED = 0.25


@dataclass(frozen=True, slots=True)
class Lesson:
    laid: Floats
    whole: tuple[float, ...]
    supported: bool
    weight: float


def lesson(laid: Floats, features: Any, supported: bool, weight: float = _LABELLED) -> Lesson:
    return Lesson(laid[:LONGEST], tuple(features[name] for name in GLOBAL), supported, weight)


def planted_lessons(generation: Generation, encode: Encode, read: Read, count: int = PLANTED) -> list[Lesson]:
    """Rewordings and faults, each beside the sentence that it was made of; both labels weigh the same together."""
    found: list[tuple[Floats, dict[str, float], bool]] = []
    for pair in islice(plant(generation, random.Random(11)), count):  # noqa: S311 -- no secret
        options = [each for each in stretches(pair.hit.text) if each.start <= pair.start < each.end]
        wanted = min(options, key=lambda each: (abs(each.start - pair.start) + abs(each.end - pair.end), each.start))
        features, laid = beside(pair.claim, pair.hit, wanted, encode, read)
        found.append((laid, features, pair.supported))
    right = sum(supported for *_, supported in found)
    weight = 0.6 * (len(found) - right) / max(right, 1)
    return [lesson(laid, features, supported, weight if supported else 1.0) for laid, features, supported in found]


class Trainer:
    """Holds the planted lessons, so that several nets can be trained on them."""

    def __init__(self, planted: Sequence[Lesson]) -> None:
        self._planted = list(planted)

    def train(self, labelled: Sequence[Lesson]) -> dict[str, Floats]:
        """The weights of ``citations.net``; the same lessons give the same weights on one machine."""
        import torch
        from torch import nn

        torch.manual_seed(0)
        torch.set_num_threads(1)
        lessons = [*self._planted, *labelled]
        words = torch.zeros(len(lessons), LONGEST, len(LAID))
        there = torch.zeros(len(lessons), 1, LONGEST)
        for number, each in enumerate(lessons):
            words[number, : len(each.laid)] = torch.from_numpy(each.laid)
            there[number, 0, : len(each.laid)] = 1
        whole = np.array([each.whole for each in lessons], dtype=np.float32)
        mean, spread = whole[len(self._planted) :].mean(axis=0), whole[len(self._planted) :].std(axis=0) + 1e-6
        told = torch.from_numpy((whole - mean) / spread)
        target = torch.tensor([float(each.supported) for each in lessons])
        weight = torch.tensor([each.weight for each in lessons])
        c1, c2 = nn.Conv1d(len(LAID), _CHANNELS, 5, padding=2), nn.Conv1d(_CHANNELS, _CHANNELS, 3, padding=1)
        a, b, drop = nn.Linear(2 * _CHANNELS + len(GLOBAL), _HIDDEN), nn.Linear(_HIDDEN, 1), nn.Dropout(_DROPPED)
        layers = nn.ModuleDict({"c1": c1, "c2": c2, "a": a, "b": b})
        per_epoch = -(-len(lessons) // _BATCH)
        optimizer = torch.optim.AdamW(layers.parameters(), lr=3e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=_EPOCHS * per_epoch)
        for _ in range(_EPOCHS):
            for batch in torch.randperm(len(lessons)).split(_BATCH):
                mask = there[batch]
                hidden = drop(torch.relu(c1(words[batch].transpose(1, 2))) * mask)
                hidden = torch.relu(c2(hidden)) * mask
                joined = torch.cat([hidden.max(dim=2).values, hidden.sum(dim=2) / mask.sum(dim=2), told[batch]], dim=1)
                odds = b(drop(torch.relu(a(drop(joined)))))[:, 0]
                loss = (nn.functional.binary_cross_entropy_with_logits(odds, target[batch], reduction="none") * weight[batch]).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        trained = {name: values.detach().numpy() for name, values in layers.state_dict().items()}
        return trained | {"mean": mean, "spread": spread}


def store(trained: dict[str, Floats]) -> None:
    NET.write_text(json.dumps({name: np.round(values.astype(np.float64), 4).tolist() for name, values in trained.items()}) + "\n", "utf-8")
    weights.cache_clear()

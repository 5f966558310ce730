"""What every recommender must be compared with, behind the same interface."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mmtutorial.baselines.item_to_item import EASE, ContentKNN, ItemKNN
from mmtutorial.baselines.simple import Oracle, Popularity, Random

if TYPE_CHECKING:
    from mmtutorial.baselines.pairwise import BPR, VBPR, LightGCN

__all__ = [
    "BPR",
    "EASE",
    "VBPR",
    "ContentKNN",
    "ItemKNN",
    "LightGCN",
    "Oracle",
    "Popularity",
    "Random",
]


def __getattr__(name: str) -> Any:
    """Import what learns by TensorFlow, which takes seconds, when it is asked for."""
    if name in ("BPR", "VBPR", "LightGCN"):
        return getattr(importlib.import_module("mmtutorial.baselines.pairwise"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What every recommender must be compared with, behind the same interface."""

from __future__ import annotations

from mmtutorial.baselines.item_to_item import EASE, ContentKNN, ItemKNN
from mmtutorial.baselines.pairwise import BPR, VBPR, LightGCN
from mmtutorial.baselines.simple import Oracle, Popularity, Random

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

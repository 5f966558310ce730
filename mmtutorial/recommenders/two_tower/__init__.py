"""The two-tower recommender: items from their content, users from what they took."""

from __future__ import annotations

from mmtutorial.recommenders.two_tower.batches import LOSSES
from mmtutorial.recommenders.two_tower.loss import choice_loss
from mmtutorial.recommenders.two_tower.network import PartwiseDense, item_tower, modality_encoder
from mmtutorial.recommenders.two_tower.recommender import TwoTower

__all__ = [
    "LOSSES",
    "PartwiseDense",
    "TwoTower",
    "choice_loss",
    "item_tower",
    "modality_encoder",
]

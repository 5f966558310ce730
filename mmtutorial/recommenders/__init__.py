"""Recommenders: ours, and those that every recommender must be compared with, one interface."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmtutorial.recommenders.base import Recommender
    from mmtutorial.recommenders.blend import Blend
    from mmtutorial.recommenders.compressed import Compressed
    from mmtutorial.recommenders.ease import EASE
    from mmtutorial.recommenders.graph import FREEDOM, LightGCN
    from mmtutorial.recommenders.index import Index
    from mmtutorial.recommenders.item_to_item import ContentKNN, ItemKNN
    from mmtutorial.recommenders.limits import IdealObserver
    from mmtutorial.recommenders.pairwise import BPR, VBPR
    from mmtutorial.recommenders.ranking import top_k
    from mmtutorial.recommenders.simple import Oracle, Popularity, Random
    from mmtutorial.recommenders.two_tower import TwoTower
    from mmtutorial.recommenders.two_tower.several_tasks import SeveralTasks

_MODULES = {  # imported when asked for: some bring in TensorFlow, which takes seconds
    "base": ("Recommender",),
    "blend": ("Blend",),
    "compressed": ("Compressed",),
    "ease": ("EASE",),
    "graph": ("FREEDOM", "LightGCN"),
    "index": ("Index",),
    "item_to_item": ("ContentKNN", "ItemKNN"),
    "limits": ("IdealObserver",),
    "pairwise": ("BPR", "VBPR"),
    "ranking": ("top_k",),
    "simple": ("Oracle", "Popularity", "Random"),
    "two_tower": ("TwoTower",),
    "two_tower.several_tasks": ("SeveralTasks",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BPR",
    "EASE",
    "FREEDOM",
    "VBPR",
    "Blend",
    "Compressed",
    "ContentKNN",
    "IdealObserver",
    "Index",
    "ItemKNN",
    "LightGCN",
    "Oracle",
    "Popularity",
    "Random",
    "Recommender",
    "SeveralTasks",
    "TwoTower",
    "top_k",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """List what can be asked for."""
    return sorted(__all__)

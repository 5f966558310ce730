"""Multimodal recommendation: learn it, run it, check it.

>>> import mmtutorial as mm
>>> data = mm.load("shop", n_items=60, n_users=80)
>>> split = mm.split(data)
>>> result = mm.experiment([mm.EASE(), mm.Popularity()], split, mm.features(data, split))
>>> result.names
['ease', 'popularity']

Data flows one way, and the packages are named after the stations:
datasets → preprocessing → encoders → fusion → recommenders → evaluation → report.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmtutorial.api import Experiment, experiment, features, split
    from mmtutorial.datasets import Dataset, DatasetError, Fault, from_tables, load
    from mmtutorial.recommenders import (
        BPR,
        EASE,
        FREEDOM,
        VBPR,
        Blend,
        ContentKNN,
        ItemKNN,
        LightGCN,
        Popularity,
        Random,
        Recommender,
        TwoTower,
    )

from mmtutorial.quiet import quiet_tensorflow

quiet_tensorflow()

__version__ = version("mmtutorial")

_MODULES = {  # imported when asked for: together they take seconds
    "api": ("Experiment", "experiment", "features", "split"),
    "datasets": ("Dataset", "DatasetError", "Fault", "from_tables", "load"),
    "recommenders": (
        "BPR", "EASE", "FREEDOM", "VBPR", "Blend", "ContentKNN", "ItemKNN", "LightGCN",
        "Popularity", "Random", "Recommender", "TwoTower",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BPR",
    "EASE",
    "FREEDOM",
    "VBPR",
    "Blend",
    "ContentKNN",
    "Dataset",
    "DatasetError",
    "Experiment",
    "Fault",
    "ItemKNN",
    "LightGCN",
    "Popularity",
    "Random",
    "Recommender",
    "TwoTower",
    "experiment",
    "features",
    "from_tables",
    "load",
    "open",
    "split",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for; ``open`` is `Dataset.open`."""
    if name == "open":
        return importlib.import_module(f"{__name__}.datasets").Dataset.open
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """List what can be asked for."""
    return sorted(__all__)

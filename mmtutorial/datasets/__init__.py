"""Data sets: folders that a person can read, and the objects that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmtutorial.datasets.dataset import (
    MODALITIES,
    Dataset,
    DatasetError,
    Fault,
    Truth,
    validate_folder,
)
from mmtutorial.datasets.garments import garments
from mmtutorial.datasets.lastfm import lastfm
from mmtutorial.datasets.mmrec import read_mmrec
from mmtutorial.datasets.shop import shop
from mmtutorial.datasets.simulate import simulate

__all__ = [
    "MODALITIES",
    "Dataset",
    "DatasetError",
    "Fault",
    "Truth",
    "garments",
    "lastfm",
    "load",
    "read_mmrec",
    "shop",
    "simulate",
    "validate_folder",
]

MAKERS = {"shop": shop, "garments": garments, "lastfm": lastfm}


def load(name: str | Path, **options: Any) -> Dataset:
    """Return the data set of this name, or the one in this folder.

    Parameters
    ----------
    name : str or Path
        "shop", "garments", "lastfm", or the path of a folder that holds a dataset.json.
    **options
        Passed to `shop`, `garments` or `lastfm`, such as ``seed``; a folder takes none.

    Raises
    ------
    DatasetError
        If the name is neither, or the folder cannot be read.

    Examples
    --------
    >>> load("shop", n_items=40, n_users=30).n_items
    40
    """
    if name in MAKERS:
        return MAKERS[str(name)](**options)
    folder = Path(name)
    if not folder.is_dir():
        raise DatasetError(
            f"{name!r} is neither a data set ({', '.join(MAKERS)}) nor a folder: "
            "check the spelling, or give the path of a folder that holds a dataset.json"
        )
    if options:
        raise DatasetError(
            f"the folder {folder} takes no options, and {sorted(options)} were given"
        )
    return Dataset.open(folder)

"""Data sets: folders that a person can read, and the objects that hold them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmtutorial.datasets.dataset import Dataset, Truth, validate_folder
from mmtutorial.datasets.faults import DatasetError, DatasetNote, Fault
from mmtutorial.datasets.import_tables import from_tables
from mmtutorial.datasets.published.amazon_reviews import amazon_reviews
from mmtutorial.datasets.published.films import films
from mmtutorial.datasets.published.lastfm import lastfm
from mmtutorial.datasets.published.microlens import microlens
from mmtutorial.datasets.published.mmrec import read_mmrec
from mmtutorial.datasets.published.mmrec_published import mmrec_published
from mmtutorial.datasets.published.videos import videos
from mmtutorial.datasets.schema import MODALITIES
from mmtutorial.datasets.simulated.garments import garments
from mmtutorial.datasets.simulated.shop import shop
from mmtutorial.datasets.simulated.shoppers import simulate
from mmtutorial.storage.files import expanded, recover

__all__ = [
    "MODALITIES",
    "Dataset",
    "DatasetError",
    "DatasetNote",
    "Fault",
    "Truth",
    "amazon_reviews",
    "films",
    "from_tables",
    "garments",
    "lastfm",
    "load",
    "microlens",
    "mmrec_published",
    "read_mmrec",
    "shop",
    "simulate",
    "validate_folder",
    "videos",
]

# By name everywhere, notebooks and experiments included: made from files whose digests we ship.
MAKERS: dict[str, Callable[..., Dataset]] = {
    "shop": shop,
    "garments": garments,
    "lastfm": lastfm,
    "films": films,
    "videos": videos,
}
# By name in `load` and `mmtutorial data`. What is in them can differ from reader to reader (files
# without a published digest, pictures that are gone), so measurements take their folder, whose
# content they note: `mmtutorial data amazon-reviews --out DIR` first.
PUBLIC: dict[str, Callable[..., Dataset]] = {
    "amazon-reviews": amazon_reviews,
    "mmrec-published": mmrec_published,
    "microlens": microlens,
}


def load(name: str | Path | float, **options: Any) -> Dataset:
    """Return the data set of this name, or the one in this folder.

    Parameters
    ----------
    name : str or Path
        A name of `MAKERS` or `PUBLIC`, such as "shop", "films" or "microlens", or the path of a
        folder that holds a dataset.json. A folder of such a name is given as "./shop" or as a Path.
        A number is a folder's name too: papermill makes one of ``-p dataset 2024``.
    **options
        Passed to the function of that name, such as ``seed``; a folder takes none.

    Raises
    ------
    DatasetError
        If the name is neither, the data set has no such option, or it cannot be read.

    Warns
    -----
    DatasetNote
        If the name is taken, and a folder of that name holds a data set too.

    Examples
    --------
    >>> load("shop", n_items=40, n_users=30).n_items
    40
    """
    makers = {**MAKERS, **PUBLIC}
    if isinstance(name, str) and name in makers:
        if Path(name, "dataset.json").exists():
            note = Fault(
                name, None, f"this is our data set of the name {name!r}, not the folder",
                f"for the data set in the folder, write ./{name}", note=True,
            )  # fmt: skip
            warnings.warn(str(note), DatasetNote, stacklevel=2)
        maker = makers[name]
        try:
            inspect.signature(maker).bind(**options)
        except TypeError as error:
            raise DatasetError(f"{name} takes other options: {error}") from error
        return maker(**options)
    folder = expanded(name if isinstance(name, Path) else str(name))
    recover(folder)
    if not folder.is_dir():
        number = "" if isinstance(name, str | Path) else (
            "; papermill makes numbers of such names: give it -r instead of -p"
        )  # fmt: skip
        raise DatasetError(
            f"{str(name)!r} is neither a data set ({', '.join(makers)}) nor a folder: "
            f"check the spelling, or give the path of a folder that holds a dataset.json{number}"
        )
    if options:
        raise DatasetError(
            f"the folder {folder} takes no options, and {sorted(options)} were given"
        )
    return Dataset.open(folder)

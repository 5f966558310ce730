"""What is not wrong in a data set, and still limits what can be learnt or told from it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mmtutorial import datasets
from mmtutorial.datasets import MODALITIES, Dataset, DatasetError, Fault
from mmtutorial.evaluation import cold_items, default_split
from mmtutorial.preprocessing.features import ready_features

FEW_USERS = 100  # to be tested: with fewer, an interval of NDCG is about 0.1 wide or wider


def limitations(data: Dataset) -> list[Fault]:
    """Say what a data set lacks that is no fault: times, media, users enough to tell by.

    Parameters
    ----------
    data : Dataset
        Without faults, as `mmtutorial.datasets.validate_folder` tells them.

    Returns
    -------
    list of Fault
        Notes: what is lacking, and what follows from it.

    Examples
    --------
    >>> from mmtutorial import datasets
    >>> print(limitations(datasets.load("shop", n_items=40, n_users=30))[0].message)
    26 users can be tested (of 30)
    """
    found = []
    there = data.present().sum(axis=0)
    for modality, number in zip(MODALITIES, there.tolist(), strict=True):
        if number == 0:
            remedy = (
                "recommenders go by the other modalities, and a chapter about this one takes a "
                "tiny shop instead"
            )
            found.append(Fault("items.csv", None, f"no item has {modality}", remedy, note=True))
        elif number == 1:
            message = f"a single item has {modality}"
            remedy = "nothing can be compared by it, and it is left out: give it to more items"
            found.append(Fault("items.csv", None, message, remedy, note=True))
    taken = data.interactions["item"].nunique()
    if taken < data.n_items / 2:
        message = f"{data.n_items - taken:,} of {data.n_items:,} items were never taken"
        remedy = "only what they say, look like and sound like can bring them into a list"
        found.append(Fault("interactions.csv", None, message, remedy, note=True))
    try:
        split = default_split(data)
    except ValueError as refused:
        reason, _, remedy = str(refused).partition(": ")
        message = f"it cannot be split into what to learn from and what to test by, since {reason}"
        return [*found, Fault("interactions.csv", None, message, remedy, note=True)]
    if len(split.test_users) < FEW_USERS:
        message = f"{len(split.test_users)} users can be tested (of {data.n_users})"
        remedy = (
            "only large differences between recommenders can be told from accidents; chapter 10 "
            "computes how large: bring more users, or a longer period"
        )
        found.append(Fault("interactions.csv", None, message, remedy, note=True))
    return found


def on_this_machine(names: Iterable[str]) -> dict[str, Dataset | str]:
    """Load data sets by name or folder; where one is not to be had, say what has to be done.

    Examples
    --------
    >>> on_this_machine(["no such folder"])["no such folder"].partition(" (")[0]
    "'no such folder' is neither a data set"
    """
    found: dict[str, Dataset | str] = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = datasets.load(name)
        except DatasetError as lacking:
            found[name] = str(lacking)
    return found


def overview(several: Iterable[Dataset]) -> pd.DataFrame:
    """Set data sets side by side: people, items, how they are split, what there is to read.

    Returns
    -------
    DataFrame
        A row a data set, in words; in the column of a modality, the share of the items that have
        it, or "none".

    Examples
    --------
    >>> shop = datasets.load("shop", n_items=40, n_users=30)
    >>> overview([shop]).loc["shop", ["people", "items", "audio"]].tolist()
    ['30', '40', '98%']
    """
    rows = {}
    for data in several:
        parts = default_split(data)
        cold = cold_items(parts)
        read, _ = ready_features(data, ~cold)
        rows[data.name] = {
            "people": f"{data.n_users:,}",
            "items": f"{data.n_items:,}",
            "interactions": f"{len(data.interactions):,}",
            "split by": parts.name,
            "test people": f"{len(parts.test_users):,}",
            "cold items": f"{cold.mean():.0%}",
            **{name: f"{array.any(axis=1).mean():.0%}" for name, array in read.items()},
        }
    return pd.DataFrame(rows).T.fillna("none").rename_axis(index=None)

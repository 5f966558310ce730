"""Which interactions a recommender may learn from, and which it is tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtutorial.interactions import Interactions

if TYPE_CHECKING:
    from mmtutorial.datasets import Dataset

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts of the interactions, over the same users and the same catalogue.

    Parameters
    ----------
    name : str
        How it was split.
    train, validation, test : Interactions
        To learn from, to choose by, to report. No user–item pair is in two of them.

    Raises
    ------
    ValueError
        If the parts have other users or items, or share a user–item pair.

    Examples
    --------
    A test on new items alone:

    >>> from dataclasses import replace
    >>> taken = Interactions.of([("a", item, time) for time, item in enumerate("vwxyz")])
    >>> split = global_time_split(taken, validation=0.2, test=0.2)
    >>> new = split.test.where(cold_items(split)[split.test.log["item"]])
    >>> len(replace(split, name="new items", test=new).test)
    1
    """

    name: str
    train: Interactions
    validation: Interactions
    test: Interactions

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        taken = self.train.matrix
        for part in ("validation", "test"):
            other: Interactions = getattr(self, part)
            if not (
                np.array_equal(other.users, self.train.users)
                and np.array_equal(other.items, self.train.items)
            ):
                raise ValueError(f"the {part} part has other users or items than the training part")
            user, item = (taken * other.matrix).nonzero()
            if len(user):
                raise ValueError(
                    f"user '{other.users[user[0]]}' and item '{other.items[item[0]]}' are in the "
                    f"{part} part and in an earlier one"
                )
            taken = taken + other.matrix

    @property
    def validation_users(self) -> np.ndarray:
        """Users with at least one validation item and one training item, as sorted int rows."""
        return self._users(self.validation)

    @property
    def test_users(self) -> np.ndarray:
        """Users with at least one test item and one training item, as sorted int rows.

        Of a user without a training item nothing is known to recommend by; new users are another
        question than how good the recommendations are.
        """
        return self._users(self.test)

    def _users(self, part: Interactions) -> np.ndarray:
        return np.intersect1d(part.log["user"], self.train.log["user"])


def global_time_split(
    interactions: Interactions, validation: float = 0.1, test: float = 0.1
) -> Split:
    """Cut at two moments: learn from the past, be tested on the future.

    All that happened before the first moment trains, what happened from the second moment on
    tests, for every user alike, so that nothing of the future leaks (Meng et al. 2020; Ji et al.
    2023). Interactions with the same timestamp stay together, in the later part. What a user takes
    again counts in training, but validation and test keep only the first time a user takes an item.

    Parameters
    ----------
    interactions : Interactions
        All of them.
    validation, test : float
        Shares of the interactions, before repeats are left out; ties in time can enlarge them.

    Raises
    ------
    ValueError
        If a share is not between 0 and 1, the shares leave nothing to learn from, all timestamps
        are equal or unknown, or a part would be empty.

    Examples
    --------
    >>> taken = Interactions.of([("a", item, time) for time, item in enumerate("vwxyz")])
    >>> split = global_time_split(taken, validation=0.2, test=0.2)
    >>> len(split.train), len(split.validation), len(split.test)
    (3, 1, 1)
    """
    _check_shares(validation, test)
    _check_times(interactions)
    log = interactions.log
    times = log["timestamp"].to_numpy()
    start = np.searchsorted(times, times[len(log) - max(1, round(test * len(log)))])
    middle = max(start - max(1, round(validation * len(log))), 0)
    trains, tests = times < times[middle], np.arange(len(log)) >= start
    first_time = ~log.duplicated(["user", "item"]).to_numpy()
    chosen = {
        "train": trains,
        "validation": ~trains & ~tests & first_time,
        "test": tests & first_time,
    }
    return _split("global time", interactions, chosen)


def leave_last_out(interactions: Interactions) -> Split:
    """Test on the last item each user took, validate on the one before, learn from the rest.

    "Last" is the last item taken for the first time; where a user took several at the same second,
    the one with the larger item row. Users with fewer than three different items only train.
    Nobody's own future leaks, but other users' does: what is popular after a test item was taken
    can be learnt (Meng et al. 2020). Prefer `global_time_split`.

    Raises
    ------
    ValueError
        If all timestamps are equal or unknown, or no user has three different items.

    Examples
    --------
    >>> split = leave_last_out(Interactions.of([("a", "x", 1), ("a", "z", 2), ("a", "y", 3)]))
    >>> split.test.items[split.test.log["item"]].tolist()
    ['y']
    """
    return _last_of_each_user("leave last out", interactions, 0, 0)


def user_time_split(
    interactions: Interactions, validation: float = 0.1, test: float = 0.1
) -> Split:
    """Test on the last items of each user, validate on those before, learn from the rest.

    For data whose users come one after the other, each for a short time, as raters of films do. A
    cut at one moment leaves hardly anybody with items on both sides of it: in `films`, 108 people
    of 607 took what would be tested, and 8 of them anything before; here 600 are tested.
    As with `leave_last_out`, of which this is the form by shares, nobody's own future leaks, but
    other users' does.

    Parameters
    ----------
    interactions : Interactions
        All of them.
    validation, test : float
        Shares of the different items that each user took, rounded, at least one each. Order is as
        in `leave_last_out`: by the first time, then by the item's row. Users with fewer than three
        different items only train.

    Raises
    ------
    ValueError
        If a share is not between 0 and 1, the shares leave nothing to learn from, all timestamps
        are equal or unknown, or no user has three different items.

    Examples
    --------
    >>> taken = [(user, item, time) for user in "ab" for time, item in enumerate("stuvwxyz")]
    >>> split = user_time_split(Interactions.of(taken), validation=0.25, test=0.25)
    >>> split.test.items[split.test.log["item"]].tolist()
    ['y', 'y', 'z', 'z']
    """
    _check_shares(validation, test)
    return _last_of_each_user("each user's time", interactions, validation, test)


def _last_of_each_user(
    name: str, interactions: Interactions, validation: float, test: float
) -> Split:
    """Cut at the end of each user's time: so large shares of the items, and at least one each."""
    _check_times(interactions)
    log = interactions.log
    firsts = log[~log.duplicated(["user", "item"])]
    from_end = firsts.groupby("user").cumcount(ascending=False)
    size = firsts.groupby("user")["item"].transform("size")
    if not (size >= 3).any():
        raise ValueError(
            "no user took three different items: one each to learn from, validate, test"
        )
    n_test = (test * size).round().clip(1, size - 2)
    n_validation = (validation * size).round().clip(1, size - n_test - 1)
    tests = (size >= 3) & (from_end < n_test)
    validates = (size >= 3) & ~tests & (from_end < n_test + n_validation)
    chosen = {
        part: np.isin(np.arange(len(log)), firsts.index[rows])
        for part, rows in (("validation", validates), ("test", tests))
    }
    end = np.full(interactions.n_users, len(log))  # where each user's training ends
    begins = firsts[validates].groupby("user").head(1)
    end[begins["user"]] = begins.index
    chosen["train"] = np.arange(len(log)) < end[log["user"]]
    return _split(name, interactions, chosen)


def cold_items_split(
    interactions: Interactions, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Hold whole items back: every interaction with them validates or tests, none trains.

    It asks how well items are recommended that nobody has taken yet. Timestamps play no part, need
    not be known, and the future of the other items is learnt from.

    Parameters
    ----------
    interactions : Interactions
        All of them.
    validation, test : float
        Shares of the items that occur, drawn at random.
    seed : int
        The same seed draws the same items.

    Raises
    ------
    ValueError
        If a share is not between 0 and 1, or the items do not suffice for three parts.

    Examples
    --------
    >>> taken = Interactions.of([("a", item, 0) for item in "vwxyz"])
    >>> split = cold_items_split(taken, validation=0.2, test=0.2)
    >>> int(cold_items(split).sum())
    2
    """
    _check_shares(validation, test)
    items = interactions.log["item"].to_numpy()
    occurring = np.random.default_rng(seed).permutation(np.unique(items))
    n_test = max(1, round(test * len(occurring)))
    n_validation = max(1, round(validation * len(occurring)))
    tests = np.isin(items, occurring[:n_test])
    validates = np.isin(items, occurring[n_test : n_test + n_validation])
    chosen = {"train": ~tests & ~validates, "validation": validates, "test": tests}
    return _split("cold items", interactions, chosen)


def given_split(interactions: Interactions, parts: Sequence[str] | pd.Series) -> Split:
    """Cut as whoever published the data has cut them, so that results can be compared.

    Repeats count in training; validation and test keep only the first time a user takes an item.

    Parameters
    ----------
    interactions : Interactions
        All of them, as `Interactions.of` has built them from a table.
    parts : sequence of str
        "train", "validation" or "test", one for each row of that table: its column ``part``.

    Raises
    ------
    ValueError
        If a row has another part or none, a part would be empty, or a user–item pair is in two.

    Examples
    --------
    >>> table = pd.DataFrame({"user": ["ann"] * 3, "item": ["tea", "cup", "pot"],
    ...                       "part": ["test", "train", "validation"]})
    >>> split = given_split(Interactions.of(table), table["part"])
    >>> split.test.items[split.test.log["item"]].tolist()
    ['tea']
    """
    log, given = interactions.log, np.asarray(parts, dtype=object)
    if "row" not in log:
        raise ValueError(
            "the interactions do not say which row of their table they were: build "
            "them by Interactions.of"
        )
    if len(log) and log["row"].max() >= len(given):
        raise ValueError(
            f"parts has {len(given)} entries, and the interactions come from a table with at least "
            f"{log['row'].max() + 1} rows: give the column part of that table"
        )
    log = log.assign(part=given[log["row"]])
    unknown = ~log["part"].isin(PARTS)
    if unknown.any():
        first = log[unknown].nsmallest(1, "row").iloc[0]
        raise ValueError(
            f"row {first['row']} has the part {first['part']!r}; the parts are {', '.join(PARTS)}"
        )
    again = log.duplicated(["user", "item", "part"]).to_numpy()
    chosen = {part: (log["part"] == part).to_numpy() for part in PARTS}
    chosen |= {part: chosen[part] & ~again for part in ("validation", "test")}
    return _split("given", interactions, chosen)


def default_split(data: Dataset) -> Split:
    """Split a data set as its ``split`` says, repeats left out; see `Dataset`.

    See `given_split`, `user_time_split` and `global_time_split`. The catalogue is ``data.items``,
    and ``row`` of each part's log is the row of ``data.interactions``.

    Raises
    ------
    ValueError
        As those three do.

    Examples
    --------
    >>> from mmtutorial import datasets
    >>> default_split(datasets.load("shop", n_items=40, n_users=30)).name
    'global time'
    """
    table = data.interactions
    interactions = Interactions.of(table, items=data.items["item"])
    interactions = replace(interactions, titles=data.items["title"].to_numpy(dtype=str))
    rule = data.split or ("published" if "part" in table else "global")
    if rule == "published":
        return given_split(interactions, table["part"])
    firsts = ~interactions.log.duplicated(["user", "item"]).to_numpy()
    cut = user_time_split if rule == "per user" else global_time_split
    return cut(interactions.where(firsts))


def with_parts(data: Dataset, seed: int = 0) -> Dataset:
    """Draw at random which interactions train, validate and test: of ten, eight, one and one.

    The way out for data whose times are unknown or all the same, so that `default_split` refuses
    them. What others took later is then learnt from: do not compare with a split by time.

    Parameters
    ----------
    data : Dataset
        Any; repeats of a user and an item are left out.
    seed : int
        The same seed draws the same parts.

    Returns
    -------
    Dataset
        The same, with the column ``part`` in ``interactions``, by which `default_split` cuts.

    Examples
    --------
    >>> from mmtutorial import datasets
    >>> data = with_parts(datasets.load("shop", n_items=40, n_users=30))
    >>> default_split(data).name
    'given'
    """
    first = data.interactions.drop_duplicates(["user", "item"])
    parts = np.random.default_rng(seed).choice(PARTS, len(first), p=[0.8, 0.1, 0.1])
    return replace(data, interactions=first.assign(part=parts), split="published")


def cold_items(split: Split) -> np.ndarray:
    """Say which items have no training interaction: bool (n_items,).

    >>> taken = Interactions.of([("a", item, time) for time, item in enumerate("vwxyz")])
    >>> cold_items(global_time_split(taken, validation=0.2, test=0.2))
    array([False, False, False,  True,  True])
    """
    return ~np.isin(np.arange(split.train.n_items), split.train.log["item"])


def _split(name: str, interactions: Interactions, chosen: Mapping[str, np.ndarray]) -> Split:
    """Cut the parts out, and refuse empty ones."""
    for part, rows in chosen.items():
        if not rows.any():
            raise ValueError(
                f"the {part} part would be empty ({len(interactions)} interactions, split by "
                f"{name}): change the shares, or bring more data"
            )
    return Split(name, **{part: interactions.where(rows) for part, rows in chosen.items()})


def _check_shares(validation: float, test: float) -> None:
    for name, share in (("validation", validation), ("test", test)):
        if not 0 < share < 1:
            raise ValueError(f"{name} is {share}; it is a share, between 0 and 1")
    if validation + test >= 1:
        raise ValueError(f"validation and test take {validation + test}: nothing is left to train")


def _check_times(interactions: Interactions) -> None:
    times = interactions.log["timestamp"]
    if not interactions.has_times:
        raise ValueError(
            "a split by time needs timestamps, and these interactions have none: use given_split "
            "where the data come with parts (a column part that says train, validation or test of "
            "each interaction; chapter 10 draws one), or cold_items_split"
        )
    if times.nunique() < 2:
        found = f"all {len(times)} have the timestamp {times.iloc[0]}" if len(times) else "none"
        raise ValueError(
            f"a split by time needs interactions at different times, and there are: {found}; "
            "fill in the column timestamp, or use cold_items_split"
        )

"""Users in batches, each user's history cut in two: what is read, and what is to be predicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mmtutorial.interactions import Interactions

LOSSES = ("full", "in-batch")


class Pairs(NamedTuple):
    """Interactions, by places of users in a batch and of items among its rows: int32 (n,) each."""

    users: np.ndarray
    items: np.ndarray


class Drawn(NamedTuple):
    """For the logQ correction, one entry an item: float32 (n_items,) each."""

    times: np.ndarray  # how often it is among the choices
    share: np.ndarray  # its share of all training interactions


class Batch(NamedTuple):
    """What one step of learning takes, as arrays."""

    rows: np.ndarray | None  # int64 (n_items,): the items compared, by launch; None for all
    kept: Pairs  # what is read
    choices: Pairs  # what is predicted from it
    n_users: np.ndarray  # int32 scalar
    last: np.ndarray | None  # int32 (n_choices,): see `choice_loss`
    weights: np.ndarray | None  # float32 (n_choices,): what each choice counts; None for equally
    drawn: Drawn | None
    reviews: np.ndarray | None  # int64 (n_kept,): rows of the reviews of what is kept
    chosen_rows: np.ndarray | None = None  # int64 (n_choices,): rows of the table, where wanted


class Histories:
    """Who took what, user by user in order of time, each item once: its first time counts.

    Parameters
    ----------
    train : Interactions
        What users took.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 2), ("ann", "cup", 1), ("bob", "tea", 3)])
    >>> histories = Histories(train)
    >>> places, entries = histories.of(np.array([1, 0]))
    >>> places.tolist(), histories.item[entries].tolist()  # of bob, then of ann
    ([0, 1, 1], [1, 0, 1])
    """

    def __init__(self, train: Interactions) -> None:
        log = train.log.drop_duplicates(["user", "item"])  # in order of time
        first = log.drop_duplicates("item")[["item", "timestamp"]]
        log = log.sort_values("user", kind="stable")
        self.n_items = train.n_items
        self.item, self.row = log["item"].to_numpy(), log["row"].to_numpy()
        self.start = np.searchsorted(log["user"], np.arange(train.n_users + 1))
        self.time = self.launch = None
        if train.has_times:
            self.time = log["timestamp"].to_numpy(np.int64)
            self.launch = np.full(train.n_items, np.iinfo(np.int64).max)
            self.launch[first["item"]] = first["timestamp"]

    def of(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place in ``users`` and the place in `item` of each of their interactions."""
        sizes = self.start[users + 1] - self.start[users]
        entries = np.repeat(self.start[users] - np.cumsum(sizes) + sizes, sizes)
        return np.repeat(np.arange(len(users)), sizes), entries + np.arange(sizes.sum())


class Batches:
    """Draws batches of users, in a new order each time, and new cuts of their histories.

    Parameters
    ----------
    histories : Histories
        What is cut.
    batch_size, kept, loss, by_launch, user_exponent, seed
        See `TwoTower`.
    reviews, chosen_rows : bool
        Whether the rows of reviews are wanted; those of choices.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 2), ("ann", "cup", 1), ("bob", "tea", 3)])
    >>> batches = Batches(Histories(train), batch_size=2, kept=(0.5, 0.5))
    >>> [int(batch.n_users) for batch in batches.draw(3)]
    [2, 2, 2]
    """

    def __init__(
        self,
        histories: Histories,
        batch_size: int,
        kept: tuple[float, float],
        loss: str = "full",
        by_launch: bool = True,
        user_exponent: float = 0.0,
        reviews: bool = False,
        seed: int = 0,
        chosen_rows: bool = False,
    ) -> None:
        self.histories = histories
        self.batch_size = batch_size
        self.kept = kept
        self.full = loss == "full"
        self.by_launch = by_launch and histories.launch is not None
        self.user_exponent = user_exponent
        self.reviews = reviews
        self.chosen_rows = chosen_rows
        self.share = np.bincount(histories.item, minlength=histories.n_items) / len(histories.item)
        self.generator = np.random.default_rng(seed)

    def draw(self, n_batches: int) -> Iterator[Batch]:
        """Yield so many batches: through all users who took anything, and again from the start."""
        everybody = np.flatnonzero(np.diff(self.histories.start))
        starts: list[int] = []
        for _ in range(n_batches):
            if not starts:
                users = self.generator.permutation(everybody)
                starts = list(range(0, len(users), self.batch_size))
            start = starts.pop(0)
            yield self.cut(users[start : start + self.batch_size])

    def cut(self, users: np.ndarray) -> Batch:
        """Cut the histories of these users, int (n_users,), at random."""
        whose, entries = self.histories.of(users)
        share = self.generator.uniform(*self.kept, len(users))
        draw = self.generator.random(len(entries))
        largest = np.maximum.reduceat(draw, np.searchsorted(whose, np.arange(len(users))))
        keeps = draw < np.minimum(share, largest)[whose]  # at least one is held out
        held = ~keeps
        items = self.histories.item[entries]
        rows = np.arange(len(self.share)) if self.full else np.unique(items)
        last = drawn = None
        if self.by_launch:
            assert self.histories.launch is not None
            assert self.histories.time is not None
            rows = rows[np.argsort(self.histories.launch[rows], kind="stable")]
            now = self.histories.time[entries][held]
            last = np.searchsorted(self.histories.launch[rows], now, side="right") - 1
        place = np.empty(len(self.share), np.int32)
        place[rows] = np.arange(len(rows))
        column = place[items]
        if not self.full:
            count = np.bincount(column[held], minlength=len(rows))
            drawn = Drawn(count.astype(np.float32), self.share[rows].astype(np.float32))
        weights = None
        if self.user_exponent:
            count = np.bincount(whose[held], minlength=len(users)).astype(np.float32)
            weights = count[whose[held]] ** np.float32(-self.user_exponent)
        whose = whose.astype(np.int32)
        return Batch(
            rows=None if self.full and not self.by_launch else rows,
            kept=Pairs(whose[keeps], column[keeps]),
            choices=Pairs(whose[held], column[held]),
            n_users=np.array(len(users), np.int32),
            last=None if last is None else last.astype(np.int32),
            weights=weights,
            drawn=drawn,
            reviews=self.histories.row[entries][keeps] if self.reviews else None,
            chosen_rows=self.histories.row[entries][held] if self.chosen_rows else None,
        )

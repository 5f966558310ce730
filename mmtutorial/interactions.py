"""Interactions as a recommender reads them: rows of users and items, in order of time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from mmtutorial.datasets.cells import read_ids
from mmtutorial.datasets.columns import with_our_names
from mmtutorial.datasets.faults import DatasetError, DatasetNote, Fault
from mmtutorial.datasets.times import whole_seconds


@dataclass(frozen=True)
class Interactions:
    """Who took what, and when, over a fixed list of users and a fixed catalogue.

    Parameters
    ----------
    log : DataFrame
        Columns ``user`` and ``item`` (int64 rows of ``users`` and ``items``), ``timestamp`` (int64,
        seconds UTC; float64 NaN throughout where no times are known) and ``row`` (int64, the row of
        the table given to `of`, by which to look up a review or a part), sorted by time, then user,
        then item.
    users, items : ndarray of str
        The ids behind the rows. Items without an interaction are part of the catalogue too.
    titles : ndarray of str, optional
        What people call the items, in the order of ``items``.
    """

    log: pd.DataFrame
    users: np.ndarray
    items: np.ndarray
    titles: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        interactions: pd.DataFrame | Iterable[tuple[str | int, str | int, int]],
        users: Sequence[str | int] | np.ndarray | pd.Series | None = None,
        items: Sequence[str | int] | np.ndarray | pd.Series | None = None,
    ) -> Self:
        """Build from a table (or tuples) of user id, item id and timestamp.

        ``users`` and ``items`` fix the ids and their order; without them, the ids that occur,
        sorted. Ids are text, or whole numbers, which become text; timestamps are whole seconds, or
        dates. Where the column ``timestamp`` is missing or empty, no times are known. Raises
        `DatasetError`, a ValueError, as `Dataset` does: it names the first id that is missing,
        unknown or none, the first lacking timestamp, or says that they are text.

        >>> taken = Interactions.of([("bob", "tea", 7), ("ann", "cup", 5)])
        >>> taken.users.tolist(), taken.items.tolist()
        (['ann', 'bob'], ['cup', 'tea'])
        >>> taken.matrix.toarray()
        array([[1., 0.],
               [0., 1.]], dtype=float32)
        """
        if not isinstance(interactions, pd.DataFrame):
            interactions = pd.DataFrame(interactions, columns=["user", "item", "timestamp"])
        interactions = with_our_names(interactions, ["user", "item"], ["timestamp"], "interactions")
        interactions = interactions.reset_index(drop=True)
        rows, ids = {}, {}
        for kind, given in (("user", users), ("item", items)):
            found = read_ids(interactions[kind], kind, "interaction {}")
            if given is None:
                index = pd.Index(np.sort(found.unique().astype(object)))
            else:
                known = pd.Series(list(given), dtype=None if len(given) else "str")
                index = pd.Index(read_ids(known, kind, f"{kind}s[{{}}]"))
            if not index.is_unique:
                raise DatasetError(f"{kind}s names {index[index.duplicated()][0]!r} twice")
            rows[kind] = index.get_indexer(pd.Index(found))
            if (rows[kind] < 0).any():
                first = int(np.argmin(rows[kind]))
                raise DatasetError(
                    f"interaction {first} has the unknown {kind} {interactions[kind].iloc[first]!r}"
                )
            ids[kind] = index.to_numpy(dtype=str)
        seconds = _times(interactions)
        columns = {
            "user": rows["user"].astype(np.int64),
            "item": rows["item"].astype(np.int64),
            "row": np.arange(len(interactions)),
        }
        log = pd.DataFrame(columns).loc[seconds.index]
        log.insert(2, "timestamp", seconds)
        log = log.sort_values(["timestamp", "user", "item"], ignore_index=True)
        return cls(log, ids["user"], ids["item"])

    def where(self, chosen: np.ndarray) -> Self:
        """Keep the interactions that a bool array (one entry a row of the log) chooses."""
        return replace(self, log=self.log[chosen].reset_index(drop=True))

    @property
    def n_users(self) -> int:
        """How many users there are, with or without an interaction."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """How many items the catalogue has."""
        return len(self.items)

    def __len__(self) -> int:
        """How many interactions there are."""
        return len(self.log)

    @property
    def has_times(self) -> bool:
        """Whether it is known when they happened, and so which of them came first.

        >>> Interactions.of(pd.DataFrame({"user": ["ann"], "item": ["tea"]})).has_times
        False
        """
        return not self.log["timestamp"].isna().any()

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """The interactions as a matrix, float32 (n_users, n_items), 1 where there is one."""
        taken = sparse.coo_array(
            (np.ones(len(self.log), np.float32), (self.log["user"], self.log["item"])),
            shape=(self.n_users, self.n_items),
        ).tocsr()
        taken.data[:] = 1.0
        return taken

    def last_items(self) -> np.ndarray:
        """Return the item each user took last: int64 (n_users,), −1 for a user without any.

        Raises ValueError where no times are known.
        """
        self._require_times()
        last = np.full(self.n_users, -1, dtype=np.int64)
        last[self.log["user"]] = self.log["item"]
        return last

    def next_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each interaction's item and the item the same user took next: int64 (n_pairs,).

        Pairs are ordered by user and, within a user, by time. Raises ValueError where no times are
        known.

        >>> taken = [("a", "x", 1), ("b", "y", 2), ("a", "z", 3), ("a", "y", 4)]
        >>> Interactions.of(taken).next_pairs()
        (array([0, 2]), array([2, 1]))
        """
        self._require_times()
        order = np.argsort(self.log["user"].to_numpy(), kind="stable")
        users = self.log["user"].to_numpy()[order]
        items = self.log["item"].to_numpy()[order]
        same = users[1:] == users[:-1]
        return items[:-1][same], items[1:][same]

    def _require_times(self) -> None:
        if not self.has_times:
            raise ValueError(
                "these interactions have no timestamps, so nobody knows which came first: take a "
                "recommender that needs no order, or data with times"
            )


def _times(interactions: pd.DataFrame) -> pd.Series:
    """Return the timestamps: int64, or float64 NaN where none is known; none for a date too far."""
    if "timestamp" not in interactions:
        return pd.Series(np.nan, index=interactions.index)
    lacking = interactions["timestamp"].isna().to_numpy()
    if lacking.any() and not lacking.all():
        raise DatasetError(
            f"interaction {int(lacking.argmax())} has no timestamp and others have one: give it to "
            "all, or to none"
        )
    notes: list[Fault] = []
    seconds = whole_seconds(interactions["timestamp"], notes)
    for note in notes:
        warnings.warn(str(note), DatasetNote, stacklevel=4)
    return seconds

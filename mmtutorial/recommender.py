"""What every recommender can do: learn from interactions, score items, recommend the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Self

import numpy as np

from mmtutorial.evaluation.metrics import top_k
from mmtutorial.preprocessing.interactions import Interactions


class Recommender(ABC):
    """The one interface of our recommenders and of the baselines.

    A subclass writes ``_learn`` and ``_score``; this class checks what goes in, remembers what
    each user has seen, and cuts the best k out of the scores.

    >>> from mmtutorial.baselines import Popularity
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    >>> Popularity().fit(train).recommend([1], k=2)  # bob owns tea (row 1): the cup, then nothing
    array([[ 0, -1]])
    """

    name = "recommender"
    _train: Interactions | None = None

    def fit(
        self,
        train: Interactions,
        features: Mapping[str, np.ndarray] | None = None,
        validation: Interactions | None = None,
    ) -> Self:
        """Learn from the training interactions, and return the recommender itself.

        Parameters
        ----------
        train : Interactions
            What users took, over the whole catalogue; nothing of the test period.
        features : mapping, optional
            Modality name to array, one row an item, in the order of ``train.items``.
        validation : Interactions, optional
            Later interactions over the same users and items, to choose by.

        Raises
        ------
        ValueError
            If a modality has another number of rows than the catalogue, or holds NaN.
        """
        for modality, array in (features or {}).items():
            if len(array) != train.n_items:
                raise ValueError(
                    f"features[{modality!r}] has {len(array)} rows for {train.n_items} items: "
                    "one row an item, in the order of train.items"
                )
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0, 0])
                raise ValueError(f"features[{modality!r}] holds NaN or infinity in item row {row}")
        self._train = train
        self._learn(train, features or {}, validation)
        return self

    @abstractmethod
    def _learn(
        self,
        train: Interactions,
        features: Mapping[str, np.ndarray],
        validation: Interactions | None,
    ) -> None:
        """Learn; ``features`` is checked, and empty where none were given."""

    @abstractmethod
    def _score(self, users: np.ndarray) -> np.ndarray:
        """Return scores (len(users), n_items) for checked user rows."""

    def score(self, users: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """Score items for users: float32 (n_users, n_items), larger is better.

        ``users`` and ``items`` are int rows of ``train.users`` and ``train.items``; all items
        without ``items``. Raises ValueError for an unknown row, RuntimeError before ``fit``.
        """
        train = self._fitted()
        users = _rows(users, train.n_users, "user")
        scores = np.asarray(self._score(users), dtype=np.float32)
        return scores if items is None else scores[:, _rows(items, train.n_items, "item")]

    def recommend(self, users: np.ndarray, k: int = 10, exclude_seen: bool = True) -> np.ndarray:
        """Return the k best items of each user: int (n_users, k) item rows, best first.

        Items taken in training are left out with ``exclude_seen``; where fewer than k remain the
        row ends in −1. Ties go to the smaller item row.
        """
        seen = self._fitted().matrix[_rows(users, self._fitted().n_users, "user")]
        return top_k(self.score(users), k, exclude=seen if exclude_seen else None)

    def _fitted(self) -> Interactions:
        if self._train is None:
            raise RuntimeError(f"{type(self).__name__} has not been fitted: call fit(train) first")
        return self._train


def _rows(rows: np.ndarray, count: int, kind: str) -> np.ndarray:
    """Check row numbers of users or items, and return them as an int array."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or not (rows.size == 0 or np.issubdtype(rows.dtype, np.integer)):
        raise ValueError(f"{kind}s must be a one-dimensional array of int rows, not {rows!r}")
    rows = rows.astype(np.int64)
    wrong = rows[(rows < 0) | (rows >= count)]
    if wrong.size:
        raise ValueError(f"unknown {kind} row {wrong[0]}: rows go from 0 to {count - 1}")
    return rows

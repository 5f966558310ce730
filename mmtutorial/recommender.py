"""What every recommender can do: learn from interactions, score items, recommend the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Self

import numpy as np
from scipy import sparse

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
        self._train = None  # until it has learnt, also where learning fails
        self._learn(train, features or {}, validation)
        self._train = train
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


def top_k(scores: np.ndarray, k: int, exclude: sparse.csr_array | None = None) -> np.ndarray:
    """Cut the k best items out of each user's scores.

    Parameters
    ----------
    scores : ndarray
        (n_users, n_items), larger is better; −inf is never recommended.
    k : int
        Length of the list.
    exclude : csr_array, optional
        (n_users, n_items); an item with a nonzero entry is left out.

    Returns
    -------
    ndarray
        int64 (n_users, k), best first; ties go to the smaller item row, and a row with fewer than
        k items to recommend ends in −1.

    Raises
    ------
    ValueError
        If k is below 1, a score is NaN, or the shapes differ.

    Examples
    --------
    >>> top_k(np.array([[0.2, 0.9, 0.9], [1.0, 0.0, -np.inf]]), k=3)
    array([[ 1,  2,  0],
           [ 0,  1, -1]])
    """
    if k < 1:
        raise ValueError(f"k is {k}; a list has at least one place")
    scores = np.array(scores)
    if np.isnan(scores).any():
        user, item = np.argwhere(np.isnan(scores))[0]
        raise ValueError(f"the score of item row {item} for user row {user} of the block is NaN")
    if exclude is not None:
        if exclude.shape != scores.shape:
            raise ValueError(f"exclude has shape {exclude.shape}, the scores have {scores.shape}")
        excluded = exclude.tocoo()
        scores[excluded.row[excluded.data != 0], excluded.col[excluded.data != 0]] = -np.inf
    n_users, n_items = scores.shape
    ranked = np.full((n_users, k), -1, dtype=np.int64)
    kept = min(k, n_items)
    if kept == 0:
        return ranked
    if kept < n_items:
        threshold = np.partition(scores, n_items - kept, axis=1)[:, n_items - kept, None]
        above, level = scores > threshold, scores == threshold
        room = kept - above.sum(axis=1, keepdims=True)
        chosen = above | (level & (np.cumsum(level, axis=1) <= room))
        candidates = np.nonzero(chosen)[1].reshape(n_users, kept)
    else:
        candidates = np.broadcast_to(np.arange(n_items), scores.shape)
    strengths = np.take_along_axis(scores, candidates, axis=1)
    order = np.argsort(-strengths, axis=1, kind="stable")
    best = np.take_along_axis(candidates, order, axis=1)
    worth = np.take_along_axis(strengths, order, axis=1) > -np.inf
    ranked[:, :kept] = np.where(worth, best, -1)
    return ranked


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

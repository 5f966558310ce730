"""The best items of each user, cut out of scores."""

from __future__ import annotations

import numpy as np
from scipy import sparse

_GROUP = 32  # columns of which the highest is looked at first


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
    scores = np.asarray(scores)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if np.isnan(scores.max(initial=-np.inf)):
        user, item = np.argwhere(np.isnan(scores))[0]
        raise ValueError(f"the score of item row {item} for user row {user} of the block is NaN")
    if exclude is None:
        return _ranked(scores, k)
    if exclude.shape != scores.shape:
        raise ValueError(f"exclude has shape {exclude.shape}, the scores have {scores.shape}")
    if not scores.flags.writeable:
        scores = scores.copy()
    excluded = exclude.tocoo()
    places = tuple(coordinate[excluded.data != 0] for coordinate in excluded.coords)
    values = scores[places]
    scores[places] = -np.inf  # few: they are put back, which is cheaper than a copy of all
    try:
        return _ranked(scores, k)
    finally:
        scores[places] = values


def _ranked(scores: np.ndarray, k: int) -> np.ndarray:
    """Sort each row's k best columns, −1 in place of those with −inf: int64 (n_users, k)."""
    n_users, n_items = scores.shape
    ranked = np.full((n_users, k), -1, dtype=np.int64)
    kept = min(k, n_items)
    if kept == 0:
        return ranked
    candidates = _best(scores, kept)
    strengths = np.take_along_axis(scores, candidates, axis=1)
    order = np.argsort(-strengths, axis=1, kind="stable")
    best = np.take_along_axis(candidates, order, axis=1)
    worth = np.take_along_axis(strengths, order, axis=1) > -np.inf
    ranked[:, :kept] = np.where(worth, best, -1)
    return ranked


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Return each row's k highest columns, the smaller ones of equals, in order: int (n, k).

    The k highest lie in the k groups of columns with the highest maxima: finding these takes one
    pass, and few columns are left to select from.
    """
    n_rows, n_columns = scores.shape
    n_groups = n_columns // _GROUP
    if n_groups <= 6 * k:
        return _best_of_all(scores, k)
    grouped = scores[:, : _GROUP * n_groups].reshape(n_rows, _GROUP, n_groups)
    tops = grouped.max(axis=1)
    groups = np.argpartition(tops, n_groups - k, axis=1)[:, n_groups - k :]
    columns = (np.arange(_GROUP)[:, None] * n_groups + groups[:, None, :]).reshape(n_rows, -1)
    rest = np.arange(_GROUP * n_groups, n_columns)
    columns = np.hstack([columns, np.broadcast_to(rest, (n_rows, len(rest)))])
    columns.sort(axis=1)
    values = np.take_along_axis(scores, columns, axis=1)
    threshold = np.partition(values, values.shape[1] - k, axis=1)[:, -k, None]
    chosen = values >= threshold
    reaching = np.count_nonzero(tops >= threshold, axis=1)
    tied = (np.count_nonzero(chosen, axis=1) > k) | (reaching > k)
    found = np.empty((n_rows, k), dtype=np.int64)
    found[~tied] = columns[~tied][chosen[~tied]].reshape(-1, k)
    found[tied] = _best_of_all(scores[tied], k)
    return found


def _best_of_all(scores: np.ndarray, k: int) -> np.ndarray:
    """Do the same by a partition of whole rows, which finds all that are equal."""
    n_rows, n_columns = scores.shape
    threshold = np.partition(scores, n_columns - k, axis=1)[:, n_columns - k, None]
    chosen = scores >= threshold
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(tied):
        above, level = scores[tied] > threshold[tied], scores[tied] == threshold[tied]
        places = k - above.sum(axis=1, keepdims=True)
        chosen[tied] = above | (level & (np.cumsum(level, axis=1) <= places))
    return np.nonzero(chosen)[1].reshape(n_rows, k)

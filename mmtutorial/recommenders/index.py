"""Retrieval: the items whose vectors have the largest inner products with a query's.

A two-tower recommender ends in one product of two vectors, a user's and an item's. To recommend is
then to search: `Index` finds the k best items, exactly or, for large catalogues, nearly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

_SCORES = 2**20  # held at a time: bounds memory, and fits a processor's cache
_QUERIES = 64  # fewer at a time would read the catalogue too often
_GROUP = 32  # scores of which the highest is looked at first
_TRAINED_ON = 64  # items a list from which faiss learns its centres
_HIGHEST = float(np.finfo(np.float32).max)

Pairs = tuple[np.ndarray, np.ndarray]  # int64 (n,) each: queries, items
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # int64 queries and item rows, float32 scores


class Index:
    """The best items for query vectors, by inner product.

    *Exact* search multiplies blocks of queries and items. Of each block it takes the maxima of
    groups: the k-th highest maximum is a floor below which no score can be among the k best, and
    few scores reach it. Memory is that of one block, however many queries and items there are.
    *Approximate* search, by faiss, sorts the items into lists around centres and looks through the
    lists whose centres are nearest to the query.

    Parameters
    ----------
    vectors : ndarray
        (n_items, d) numbers, taken as float32: one row an item.
    approximate : bool
        Whether to search by faiss, which the extra "retrieval" installs; worth while from some
        hundred thousand items on.
    lists : int, optional
        Of an approximate index: how many; twice the square root of n_items without it.
    probed : int
        Of an approximate index: how many lists each query looks through. More find more of the
        true best and take longer; it can be changed between searches.

    Raises
    ------
    ValueError
        If ``vectors`` is not two-dimensional, is empty, or holds NaN or infinity; if ``lists`` is
        not between 1 and n_items.
    ModuleNotFoundError
        If an approximate index is wanted and faiss is not installed.

    Examples
    --------
    >>> index = Index(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> rows, scores = index.search(np.array([[2.0, 1.0]]), k=2)
    >>> rows, scores
    (array([[2, 0]]), array([[3., 2.]], dtype=float32))
    """

    def __init__(
        self,
        vectors: np.ndarray,
        approximate: bool = False,
        *,
        lists: int | None = None,
        probed: int = 16,
    ) -> None:
        self.vectors, self._largest = _checked(vectors, "vectors", "item")
        if not self.vectors.size:
            raise ValueError("vectors is empty: an index needs an item, and a vector a number")
        self.probed = probed
        self._lists: Any = self._build(lists) if approximate else None

    def search(
        self, queries: np.ndarray, k: int = 10, exclude: sparse.csr_array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the k best items of each query.

        Parameters
        ----------
        queries : ndarray
            (n_queries, d) numbers, taken as float32.
        k : int
            Length of the lists.
        exclude : csr_array, optional
            (n_queries, n_items); an item with a nonzero entry is left out.

        Returns
        -------
        rows, scores : ndarray
            int64 and float32 (n_queries, k), best first; equal scores go by the smaller item row.
            Where there are fewer than k items, or an approximate search finds fewer, a row ends in
            −1 with the score −∞.

        Raises
        ------
        ValueError
            If k is below 1, shapes do not fit, ``queries`` holds NaN or infinity, or products
            would be too large for float32.

        Examples
        --------
        >>> index = Index(np.eye(3))
        >>> seen = sparse.csr_array(np.array([[0, 1, 0]]))
        >>> index.search(np.array([[0.5, 0.7, 0.2]]), k=3, exclude=seen)[0]
        array([[ 0,  2, -1]])
        """
        queries, largest = _checked(queries, "queries", "query")
        n_items, length = self.vectors.shape
        if k < 1:
            raise ValueError(f"k is {k}; a list has at least one place")
        if queries.shape[1] != length:
            raise ValueError(f"queries have {queries.shape[1]} numbers each, the items {length}")
        if length * largest * self._largest > _HIGHEST / 2:
            raise ValueError("queries × vectors is too large for float32: scale them down")
        if exclude is not None and exclude.shape != (len(queries), n_items):
            raise ValueError(
                f"exclude has shape {exclude.shape}; these queries and items need "
                f"{(len(queries), n_items)}"
            )
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        find = self._all if self._lists is None else self._near
        height = max(_QUERIES, _SCORES // n_items)
        for start in range(0, len(queries), height):
            some = slice(start, start + height)
            left_out = _pairs(None if exclude is None else exclude[some])
            whose, place, row, score = _first(k, *find(queries[some], k, left_out))
            rows[some][whose, place], scores[some][whose, place] = row, score
        return rows, scores

    def _all(self, queries: np.ndarray, k: int, left_out: Pairs) -> Found:
        """Look at every item; return all that may be among the k best."""
        found = []
        floor: Any = -_HIGHEST
        width = max(1, _SCORES // len(queries))
        for start in range(0, len(self.vectors), width):
            scores = queries @ self.vectors[start : start + width].T
            if len(left_out[0]):
                here = (left_out[1] >= start) & (left_out[1] < start + width)
                scores[left_out[0][here], left_out[1][here] - start] = -np.inf
            floor = np.maximum(floor, _floor(scores, k), dtype=np.float32)
            reaching = np.flatnonzero(scores >= floor)
            whose, column = np.divmod(reaching, scores.shape[1])
            found.append((whose, start + column, scores.ravel()[reaching]))
            floor = np.nextafter(floor, _HIGHEST)  # of equals the later ones come too late
        if len(found) == 1:
            return found[0]
        whose, row, score = (np.concatenate(each) for each in zip(*found, strict=True))
        return whose, row, score

    def _near(self, queries: np.ndarray, k: int, left_out: Pairs) -> Found:
        """Look through the lists near each query; return the best of them."""
        n_items = len(self.vectors)
        spare = int(np.bincount(left_out[0]).max(initial=0))
        self._lists.nprobe = self.probed
        scores, rows = self._lists.search(queries, min(k + spare, n_items))
        whose = np.repeat(np.arange(len(queries)), rows.shape[1])
        row, score = rows.ravel(), scores.ravel()
        taken = np.isin(whose * n_items + row, left_out[0] * n_items + left_out[1])
        kept = (row >= 0) & ~taken
        return whose[kept], row[kept], score[kept]

    def _build(self, lists: int | None) -> Any:
        """Make faiss's index: k-means on some of the items, then all items into lists."""
        try:
            import faiss
        except ModuleNotFoundError as fault:
            raise ModuleNotFoundError(
                "an approximate index needs faiss: pip install 'mmtutorial[retrieval]'; "
                "without it, approximate=False searches exactly"
            ) from fault
        n_items, length = self.vectors.shape
        lists = max(1, round(2 * n_items**0.5)) if lists is None else lists
        if not 1 <= lists <= n_items:
            raise ValueError(f"lists is {lists}; it must be between 1 and the {n_items} items")
        index: Any = faiss.index_factory(length, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _TRAINED_ON
        index.train(self.vectors)
        index.add(self.vectors)
        return index


def _first(
    k: int, whose: np.ndarray, row: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the first k of each query, the best first, then by row; and the place of each."""
    order = np.lexsort((row, -score, whose))
    whose = whose[order]
    place = np.arange(len(whose)) - np.searchsorted(whose, whose)
    kept = np.flatnonzero(place < k)
    order = order[kept]
    return whose[kept], place[kept], row[order], score[order]


def _floor(scores: np.ndarray, k: int) -> Any:
    """Return for each row a number that at least k of its scores reach: float32 (n, 1)."""
    n_rows, n_columns = scores.shape
    n_groups = n_columns // _GROUP
    if n_groups > 4 * k:
        groups = scores[:, : _GROUP * n_groups].reshape(n_rows, _GROUP, n_groups)
        scores = groups.max(axis=1)
    elif n_columns < k:
        return -_HIGHEST
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k, None]


def _pairs(exclude: sparse.csr_array | None) -> Pairs:
    """List the queries and items of the nonzero entries."""
    if exclude is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    entries = exclude.tocoo()
    query, item = (each[entries.data != 0].astype(np.int64) for each in entries.coords)
    return query, item


def _checked(vectors: np.ndarray, name: str, what: str) -> tuple[np.ndarray, float]:
    """Return the vectors as float32 and their largest number, or say what is wrong with them."""
    if np.ndim(vectors) != 2:
        raise ValueError(f"{name} has shape {np.shape(vectors)}: give one row a {what}")
    with np.errstate(over="ignore"):  # told below
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    largest = float(np.abs(vectors).max(initial=0.0))
    if not largest <= _HIGHEST:
        row = np.argwhere(~np.isfinite(vectors))[0, 0]
        raise ValueError(f"{name} holds NaN, infinity or too large a number in {what} row {row}")
    return vectors, largest

"""How good a list of recommendations is: one number a user, or one number for the catalogue.

Every function reads ``ranked``, int (n_users, k): the item rows recommended to each user, best
first, where −1 is an empty place. The accuracy metrics also read ``relevant``, a sparse matrix
(n_users, n_items) whose nonzero entries are the items that the user took. Relevance is binary, and
a user to whom nothing is relevant scores 0, as in trec_eval, ranx and scikit-learn.

``k`` looks at the first k places only, or, beyond the width of ``ranked``, counts the places that
are lacking as empty: an empty place is a wrong one. In the formulas, hit(r) is 1 where the item at
place r is relevant, else 0, and R is the number of items relevant to the user.

All raise ValueError if ``ranked`` holds an item twice in a row, or an item row out of range.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def gains(ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None) -> np.ndarray:
    """Say which places of each list hold a relevant item: bool (n_users, k).

    Parameters
    ----------
    ranked : ndarray
        int (n_users, k) item rows, −1 for an empty place.
    relevant : csr_array
        (n_users, n_items), nonzero where relevant.
    k : int, optional
        Number of places; the width of ``ranked`` without it.

    Raises
    ------
    ValueError
        If the shapes differ, k is below 1, an item row is out of range or twice in one list.

    Examples
    --------
    >>> relevant = sparse.csr_array([[1, 0, 1], [0, 1, 0]])
    >>> gains(np.array([[2, 1], [0, -1]]), relevant)
    array([[ True, False],
           [False, False]])
    """
    relevant = _binary(relevant)
    ranked = _checked(ranked, relevant.shape[1])
    if len(ranked) != relevant.shape[0]:
        raise ValueError(f"ranked has {len(ranked)} users, relevant has {relevant.shape[0]}")
    width = ranked.shape[1] if k is None else k
    if width < 1:
        raise ValueError(f"k is {width}; a list has at least one place")
    ranked = ranked[:, :width]
    hits = np.zeros((len(ranked), width), dtype=bool)
    if hits.size and relevant.nnz:
        found = relevant[np.arange(len(ranked))[:, None], np.maximum(ranked, 0)].toarray()
        hits[:, : ranked.shape[1]] = found & (ranked >= 0)
    return hits


def hit_rate(ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None) -> np.ndarray:
    """Return 1 where at least one of the k places is a hit, else 0: float64 (n_users,).

    >>> hit_rate(np.array([[2, 1], [0, -1]]), sparse.csr_array([[1, 0, 1], [0, 1, 0]]))
    array([1., 0.])
    """
    return np.where(gains(ranked, relevant, k).any(axis=1), 1.0, 0.0)


def precision(ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None) -> np.ndarray:
    """Return Σ hit(r) / k, the share of places that are hits: float64 (n_users,).

    The denominator is k for short lists too (Manning et al. 2008, §8.4).

    >>> precision(np.array([[2, 1], [0, -1]]), sparse.csr_array([[1, 0, 1], [1, 1, 0]]))
    array([0.5, 0.5])
    """
    hits = gains(ranked, relevant, k)
    return hits.sum(axis=1) / hits.shape[1]


def recall(ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None) -> np.ndarray:
    """Return Σ hit(r) / R, the share of relevant items that are found: float64 (n_users,).

    The denominator is R even where R > k, so that a perfect list may stay below 1 (Manning et al.
    2008, §8.3).

    >>> recall(np.array([[2, 1]]), sparse.csr_array([[1, 0, 1]]))
    array([0.5])
    """
    return _over_relevant(gains(ranked, relevant, k).sum(axis=1), relevant)


def ndcg(ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None) -> np.ndarray:
    """Return the normalised discounted cumulative gain: float64 (n_users,).

    DCG = Σ hit(r) / log2(r + 1), divided by the DCG of the best possible list, which starts with
    min(k, R) hits (Järvelin and Kekäläinen 2002, with binary gains).

    >>> ndcg(np.array([[1, 2]]), sparse.csr_array([[1, 0, 1]])).round(3)  # (1/log2 3) / 1.63
    array([0.387])
    """
    hits = gains(ranked, relevant, k)
    discounts = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate([[1.0], np.cumsum(discounts)])  # R = 0 has no hits: 0 / 1
    return hits @ discounts / best[np.minimum(_sizes(relevant), hits.shape[1])]


def reciprocal_rank(
    ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None
) -> np.ndarray:
    """Return 1 / r for the first hit's place r, 0 without a hit: float64 (n_users,).

    Its mean is MRR (Voorhees 1999).

    >>> reciprocal_rank(np.array([[1, 2], [0, 1]]), sparse.csr_array([[1, 0, 1], [0, 0, 1]]))
    array([0.5, 0. ])
    """
    hits = gains(ranked, relevant, k)
    return hits.any(axis=1) / (hits.argmax(axis=1) + 1.0)


def average_precision(
    ranked: np.ndarray, relevant: sparse.csr_array, k: int | None = None
) -> np.ndarray:
    """Return Σ hit(r) · precision@r / R: float64 (n_users,).

    Its mean is MAP. The denominator is R, not min(k, R) (Buckley and Voorhees 2000; trec_eval and
    ranx do the same).

    >>> average_precision(np.array([[2, 1, 0]]), sparse.csr_array([[1, 0, 1]])).round(3)
    array([0.833])
    """
    hits = gains(ranked, relevant, k)
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _over_relevant((hits * precisions).sum(axis=1), relevant)


ACCURACY = {
    "hit_rate": hit_rate,
    "precision": precision,
    "recall": recall,
    "ndcg": ndcg,
    "reciprocal_rank": reciprocal_rank,
    "average_precision": average_precision,
}


def item_coverage(ranked: np.ndarray, n_items: int) -> float:
    """Return the share of the catalogue that is recommended to at least one user.

    Catalogue coverage in Ge et al. (2010).

    >>> item_coverage(np.array([[0, 1], [1, -1]]), n_items=4)
    0.5
    """
    return float((_exposure(ranked, n_items) > 0).mean())


def user_coverage(ranked: np.ndarray, relevant: sparse.csr_array | None = None) -> float:
    """Return the share of users whom the recommender serves.

    With ``relevant``, a user is served who finds at least one relevant item in the list: the mean
    hit rate, and our reading of "the number of users the system can cover" (article §9.3). Without
    it, a user is served who gets a full list: the looser user space coverage of Shani and
    Gunawardana (2011), which says that something was recommended, not that it was any good.

    >>> ranked = np.array([[0, 1], [1, -1]])
    >>> user_coverage(ranked, sparse.csr_array([[0, 0, 1], [0, 1, 0]])), user_coverage(ranked)
    (0.5, 0.5)
    """
    if relevant is None:
        served = (_checked(ranked, np.max(ranked, initial=0) + 1) >= 0).all(axis=1)
    else:
        served = gains(ranked, relevant).any(axis=1)
    return float(served.mean())


def gini(ranked: np.ndarray, n_items: int) -> float:
    """Return how unequally the items are recommended: 0 all alike, towards 1 one item alone.

    G = Σ_i (2i − n − 1) x_i / (n Σ_i x_i), where x_1 ≤ … ≤ x_n count how often each of the n items
    is recommended (Shani and Gunawardana 2011). 0 where nothing is recommended.

    >>> gini(np.array([[0], [1]]), n_items=2), gini(np.array([[0], [0]]), n_items=2)
    (0.0, 0.5)
    """
    exposure = np.sort(_exposure(ranked, n_items))
    places = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(places @ exposure / (n_items * max(exposure.sum(), 1)))


def novelty(ranked: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """Return how surprising each list is: mean −log2 p(item), in bits, float64 (n_users,).

    p(i) = (popularity[i] + 1) / Σ_j (popularity[j] + 1): mean self-information (Zhou et al. 2010)
    with one added to every count, so that items that nobody took yet are rare, not impossible. NaN
    for an empty list.

    Parameters
    ----------
    ranked : ndarray
        int (n_users, k) item rows, −1 for an empty place.
    popularity : ndarray
        (n_items,) how often each item was taken in training.

    Raises
    ------
    ValueError
        If a popularity is negative or not finite.

    Examples
    --------
    >>> novelty(np.array([[0, 1], [2, -1]]), popularity=np.array([3, 1, 1]))
    array([1.5, 2. ])
    """
    popularity = np.asarray(popularity, dtype=np.float64)
    if not (np.isfinite(popularity) & (popularity >= 0)).all():
        raise ValueError("popularity counts interactions: no number may be negative or NaN")
    ranked = _checked(ranked, len(popularity))
    bits = np.log2((popularity + 1).sum()) - np.log2(popularity + 1)
    given = ranked >= 0
    return _ratio(np.where(given, bits[ranked], 0.0).sum(axis=1), given.sum(axis=1))


def intra_list_diversity(ranked: np.ndarray, vectors: np.ndarray, block: int = 4096) -> np.ndarray:
    """Return how different each list's items are from one another: float64 (n_users,).

    The mean over the list's pairs of items of the cosine distance 1 − cos (Ziegler et al. 2005),
    from 0, all alike, up to 2. Items whose vector is zero (nothing is known of them) are left out;
    NaN where fewer than two remain.

    Parameters
    ----------
    ranked : ndarray
        int (n_users, k) item rows, −1 for an empty place.
    vectors : ndarray
        (n_items, d) one vector an item.
    block : int
        Users at a time: at most block · d numbers are held.

    Raises
    ------
    ValueError
        If ``vectors`` is not a finite matrix.

    Examples
    --------
    >>> intra_list_diversity(np.array([[0, 1, 2], [0, 1, -1]]), np.array([[1, 0], [2, 0], [0, 1]]))
    array([0.66666667, 0.        ])
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError("vectors must be a matrix (n_items, d) without NaN or infinity")
    ranked = _checked(ranked, len(vectors))
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)[:, None]
    counted = (ranked >= 0) & (lengths > 0)[ranked]
    size = counted.sum(axis=1)
    lists = sparse.csr_array(
        (np.ones(size.sum()), ranked[counted], np.concatenate([[0], np.cumsum(size)])),
        shape=(len(ranked), len(vectors)),
    )
    # the squared length of a sum of m unit vectors is m plus the cosines of all ordered pairs
    squares = [
        ((lists[start : start + block] @ unit) ** 2).sum(axis=1)
        for start in range(0, len(ranked), block)
    ]
    pairs = size * (size - 1)
    cosines = np.concatenate([np.zeros(0), *squares]) - size
    return np.clip(_ratio(pairs - cosines, pairs), 0.0, 2.0)


def _checked(ranked: np.ndarray, n_items: int) -> np.ndarray:
    """Check lists of item rows."""
    ranked = np.asarray(ranked)
    if ranked.ndim != 2 or not np.issubdtype(ranked.dtype, np.integer):
        raise ValueError(
            f"ranked must be int item rows (n_users, k), not {ranked.dtype} {ranked.shape}"
        )
    wrong = (ranked < -1) | (ranked >= n_items)
    if wrong.any():
        user, place = np.argwhere(wrong)[0]
        raise ValueError(
            f"the list of user row {user} names the item row {ranked[user, place]}: rows go from "
            f"0 to {n_items - 1}, and −1 is an empty place"
        )
    ordered = np.sort(ranked, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        user, place = np.argwhere(twice)[0]
        raise ValueError(
            f"the list of user row {user} names the item row {ordered[user, place]} twice"
        )
    return ranked


def _binary(relevant: sparse.csr_array) -> sparse.csr_array:
    """Return a bool matrix with one stored entry for each relevant item."""
    binary = sparse.csr_array(relevant).astype(bool)
    binary.sum_duplicates()
    binary.eliminate_zeros()
    return binary


def _sizes(relevant: sparse.csr_array) -> np.ndarray:
    """Count each user's relevant items: int (n_users,)."""
    return np.diff(_binary(relevant).indptr)


def _over_relevant(found: np.ndarray, relevant: sparse.csr_array) -> np.ndarray:
    """Divide by R; nothing is found where R is 0."""
    return found / np.maximum(_sizes(relevant), 1)


def _exposure(ranked: np.ndarray, n_items: int) -> np.ndarray:
    """Count how often each item is recommended: int (n_items,)."""
    ranked = _checked(ranked, n_items)
    return np.bincount(ranked[ranked >= 0], minlength=n_items)


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)

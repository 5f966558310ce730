"""Whether two modalities of an item belong together: a score, detection, and repair.

`Agreement` is the linear model of two Gaussian vectors. Its score is the logarithm of how much more
likely the two are together than apart, which is also what a contrastive loss learns to
approximate (van den Oord, Li & Vinyals 2018). Folds keep what is scored out of what is learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

SHRINKAGES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
FOLDS = 5
_HELD_BACK = 4  # one row in so many chooses the shrinkage


@dataclass(frozen=True, eq=False)
class Agreement:
    """Canonical variables of two modalities, and how they correlate (Hotelling 1936).

    Parameters
    ----------
    left_mean, right_mean : ndarray
        float64 (d,) and (e,).
    left_weights, right_weights : ndarray
        float64 (d, r) and (e, r), r = min(d, e): what turns vectors into canonical variables.
    correlations : ndarray
        float64 (r,), each from 0 to below 1, the largest first.
    shrinkage : float
        Share of the identity in the covariance that they were computed from.
    """

    left_mean: np.ndarray
    right_mean: np.ndarray
    left_weights: np.ndarray
    right_weights: np.ndarray
    correlations: np.ndarray
    shrinkage: float

    @classmethod
    def fit(cls, left: np.ndarray, right: np.ndarray, shrinkage: float | None = None) -> Agreement:
        """Fit the canonical variables in closed form (eq-canonical).

        Parameters
        ----------
        left, right : ndarray
            float (n, d) and (n, e), row by row of the same items, entries on one scale; n ≥ 8.
        shrinkage : float, optional
            From 0 to below 1. Without it, the one of `SHRINKAGES` with the largest mean score on a
            quarter of these rows that it was not fitted to.

        Raises
        ------
        ValueError
            If there are too few rows, or not as many on both sides.

        Examples
        --------
        >>> generator = np.random.default_rng(0)
        >>> left = generator.normal(size=(200, 3))
        >>> right = left + 0.5 * generator.normal(size=(200, 3))
        >>> model = Agreement.fit(left, right)
        >>> bool(np.diag(model.scores(left, right)).mean() > model.scores(left, right).mean())
        True
        """
        if len(left) != len(right) or len(left) < 2 * _HELD_BACK:
            raise ValueError(
                f"left has {len(left)} rows and right {len(right)}; both need as many, "
                f"and at least {2 * _HELD_BACK}"
            )
        if shrinkage is None:
            held = np.arange(len(left)) % _HELD_BACK == 0
            tried = _fitted(left[~held], right[~held], SHRINKAGES)
            means = [each.score(left[held], right[held]).mean() for each in tried]
            shrinkage = SHRINKAGES[int(np.argmax(means))]
        return _fitted(left, right, [shrinkage])[0]

    def scores(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the score of every row of ``left`` with every row of ``right``, in nats (eq-pmi).

        Parameters
        ----------
        left, right : ndarray
            float (n, d) and (m, e).

        Returns
        -------
        ndarray
            float64 (n, m): above 0 where the two are more likely together than apart.
        """
        u, v, apart, across = self._variables(left, right)
        constant = -0.5 * np.log1p(-(self.correlations**2)).sum()
        own = [0.5 * (each**2 @ apart) for each in (u, v)]
        return constant - own[0][:, None] - own[1][None] + (u * across) @ v.T

    def score(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the score of each row of ``left`` with the same row of ``right``: float64 (n,)."""
        u, v, apart, across = self._variables(left, right)
        constant = -0.5 * np.log1p(-(self.correlations**2)).sum()
        return constant - 0.5 * ((u**2 + v**2) @ apart) + (u * v) @ across

    def _variables(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return canonical variables, and the weights of their squares and of their products."""
        rho = self.correlations
        return (
            (left - self.left_mean) @ self.left_weights,
            (right - self.right_mean) @ self.right_weights,
            rho**2 / (1 - rho**2),
            rho / (1 - rho**2),
        )


def _fitted(left: np.ndarray, right: np.ndarray, shrinkages: Sequence[float]) -> list[Agreement]:
    """Whiten each side, and take the singular vectors of the whitened cross-covariance."""
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    means = left.mean(axis=0), right.mean(axis=0)
    left, right = left - means[0], right - means[1]
    sizes = [np.square(each).mean() or 1.0 for each in (left, right)]  # the identity's scale
    axes = [np.linalg.eigh(each.T @ each / len(each)) for each in (left, right)]
    cross = left.T @ right / len(left)

    def whitening(side: int, shrinkage: float) -> np.ndarray:
        values, vectors = axes[side]
        shrunk = (1 - shrinkage) * values + shrinkage * sizes[side]
        return (vectors / np.sqrt(np.maximum(shrunk, 1e-12 * sizes[side]))) @ vectors.T

    found = []
    for shrinkage in shrinkages:
        a, b = (whitening(side, shrinkage) for side in (0, 1))
        u, correlations, v = np.linalg.svd(a @ ((1 - shrinkage) * cross) @ b, full_matrices=False)
        correlations = np.clip(correlations, 0.0, 1 - 1e-9)
        found.append(Agreement(*means, a @ u, b @ v.T, correlations, shrinkage))
    return found


def folds_of(n: int, seed: int = 0) -> np.ndarray:
    """Draw one of `FOLDS` folds for each of n rows, as many in each: int64 (n,).

    >>> np.bincount(folds_of(10)).tolist()
    [2, 2, 2, 2, 2]
    """
    return np.random.default_rng([24, seed]).permutation(n) % FOLDS


def cross_scores(
    left: np.ndarray, right: np.ndarray, rows: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Score every left of some items with every right of them, by models that knew neither item.

    Parameters
    ----------
    left, right : ndarray
        float (n, d) and (n, e), all items.
    rows : ndarray
        int (k,), which items are scored.
    folds : ndarray
        int (n,), from `folds_of`. A pair is scored by a model that was fitted to the items of all
        folds but the two of the pair.

    Returns
    -------
    ndarray
        float64 (k, k): on the diagonal, each item's own pair.
    """
    found = np.empty((len(rows), len(rows)))
    there = np.unique(folds[rows])
    for a in there:
        for b in there[there >= a]:
            learnt = ~np.isin(folds, (a, b))
            model = Agreement.fit(left[learnt], right[learnt])
            for one, other in {(a, b), (b, a)}:
                i, j = (np.flatnonzero(folds[rows] == fold) for fold in (one, other))
                found[np.ix_(i, j)] = model.scores(left[rows[i]], right[rows[j]])
    return found


def own_scores(left: np.ndarray, right: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return each item's own score by the model of the other folds: float64 (n,)."""
    found = np.empty(len(left))
    for fold in range(FOLDS):
        here = folds == fold
        found[here] = Agreement.fit(left[~here], right[~here]).score(left[here], right[here])
    return found


def best_threshold(own: np.ndarray, others: np.ndarray) -> float:
    """Choose the score below which a pair counts as mispaired, without knowing any true label.

    Parameters
    ----------
    own : ndarray
        float (n,), scores of the pairs as they are, some of which may be mispaired.
    others : ndarray
        float (m,), scores of pairs that belong to different items.

    Returns
    -------
    float
        The largest difference between the share of ``others`` below it and the share of ``own``.
        Where a share s of ``own`` is itself mispaired, this difference is 1 − s times that of the
        true pairs (eq-threshold), and the same threshold is best (Menon et al. 2015).

    Examples
    --------
    >>> best_threshold(np.array([2.0, 3.0, -1.0]), np.array([-2.0, -1.0, 1.0]))
    2.0
    """
    candidates = np.sort(own)
    below = np.searchsorted(np.sort(others), candidates) / len(others)
    lost = np.searchsorted(candidates, candidates) / len(own)
    return float(candidates[np.argmax(below - lost)])


@dataclass(frozen=True, eq=False)
class Detection:
    """Which items look mispaired.

    Parameters
    ----------
    rows : ndarray
        int64 (k,), the items that have both sides.
    scores : ndarray
        float64 (k,), of their own pairs.
    threshold : float
        Chosen on the validation items; below it, a pair counts as mispaired.
    validation : ndarray
        bool (k,), the items on which the threshold was chosen.
    folds : ndarray
        int64 (k,).
    """

    rows: np.ndarray
    scores: np.ndarray
    threshold: float
    validation: np.ndarray
    folds: np.ndarray

    @property
    def suspects(self) -> np.ndarray:
        """Say which of ``rows`` count as mispaired: bool (k,)."""
        return self.scores < self.threshold


def detect(left: np.ndarray, right: np.ndarray, seed: int = 0) -> Detection:
    """Find items whose two sides do not agree, from the items themselves.

    Parameters
    ----------
    left, right : ndarray
        float (n, d) and (n, e); a row of zeros lacks that side.
    seed : int
        Of the folds. The first of them is the validation part.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> left = generator.normal(size=(300, 4))
    >>> right = left + 0.2 * generator.normal(size=(300, 4))
    >>> right[:30] = right[np.roll(np.arange(30), 1)]
    >>> found = detect(left, right)
    >>> bool(found.suspects[:30].mean() > 0.9), bool(found.suspects[30:].mean() < 0.1)
    (True, True)
    """
    rows = np.flatnonzero(left.any(axis=1) & right.any(axis=1))
    left, right = left[rows], right[rows]
    folds = folds_of(len(rows), seed)
    validation = folds == 0
    square = cross_scores(left, right, np.flatnonzero(validation), folds)
    others = square[~np.eye(len(square), dtype=bool)]
    threshold = best_threshold(np.diag(square), others)
    return Detection(rows, own_scores(left, right, folds), threshold, validation, folds)


def repair(
    left: np.ndarray, right: np.ndarray, seed: int = 0, own: float | None = 0.5
) -> tuple[np.ndarray, Detection]:
    """Give the suspects' right sides to each other so that all together agree best.

    The assignment with the largest sum of scores (Kuhn 1955), each item's own pair favoured by the
    logarithm of its prior odds against one of the others (eq-prior). A suspect that was no fault
    can so keep its own.

    Parameters
    ----------
    left, right, seed
        As for `detect`.
    own : float, optional
        Prior probability that a suspect's own right side belongs to it, above 0 and below 1. None:
        as likely as any other suspect's.

    Returns
    -------
    order : ndarray
        int64 (n,): the repaired right side is ``right[order]``.
    found : Detection
        What was detected.

    Raises
    ------
    ValueError
        For a probability outside its range.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> left = generator.normal(size=(300, 4))
    >>> true = left + 0.2 * generator.normal(size=(300, 4))
    >>> moved = np.arange(300)
    >>> moved[:30] = np.roll(moved[:30], 1)
    >>> order, _ = repair(left, true[moved])
    >>> bool((moved[order] == np.arange(300)).mean() > 0.95)
    True
    """
    if own is not None and not 0 < own < 1:
        raise ValueError(f"own is {own}; it must lie above 0 and below 1")
    found = detect(left, right, seed)
    order = np.arange(len(right))
    some = np.flatnonzero(found.suspects)
    if len(some) > 1:
        scores = cross_scores(left[found.rows], right[found.rows], some, found.folds)
        if own is not None:
            scores += np.eye(len(some)) * np.log(own / (1 - own) * (len(some) - 1))
        _, chosen = linear_sum_assignment(scores, maximize=True)
        order[found.rows[some]] = found.rows[some[chosen]]
    return order, found

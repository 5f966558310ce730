"""Alignment in time: dynamic time warping, and the offset of two streams by cross-correlation.

Two sequences that say the same at another pace are brought into step by a *warping path*; two
streams of the same pace, one of which begins later, by one *offset*. Taught in chapter 11.
"""

from __future__ import annotations

import numpy as np
from scipy import fft


def accumulated_cost(cost: np.ndarray) -> np.ndarray:
    """Return the cost of the cheapest warping path to every cell (Sakoe & Chiba 1978).

    ``D[i, j] = cost[i, j] + min(D[i−1, j−1], D[i, j−1], D[i−1, j])``, and ``D[0, 0] = cost[0, 0]``
    (eq-dtw). The cells of an anti-diagonal do not depend on each other, so each takes one step.

    Parameters
    ----------
    cost : ndarray
        float (n, m), how badly frame i of one sequence fits frame j of the other; finite.

    Returns
    -------
    ndarray
        float64 (n, m). Its last cell is the cost of the best path. Equals
        ``librosa.sequence.dtw(C=cost)[0]``.

    Raises
    ------
    ValueError
        If ``cost`` is no matrix, is empty, or holds what is not finite.

    Examples
    --------
    >>> accumulated_cost(np.array([[0.0, 2.0], [2.0, 0.0], [2.0, 1.0]])).tolist()
    [[0.0, 2.0], [2.0, 0.0], [4.0, 1.0]]
    """
    if cost.ndim != 2 or not cost.size or not np.isfinite(cost).all():
        raise ValueError(f"cost is {cost.shape}; it must be a matrix (n, m) of finite numbers")
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)  # with a border that no path crosses
    total[0, 0] = 0.0
    for diagonal in range(n + m - 1):
        i = np.arange(max(0, diagonal - m + 1), min(n, diagonal + 1))
        j = diagonal - i
        before = np.minimum(total[i, j], np.minimum(total[i + 1, j], total[i, j + 1]))
        total[i + 1, j + 1] = cost[i, j] + before
    return total[1:, 1:]


def warping_path(total: np.ndarray) -> np.ndarray:
    """Go back from the last cell to the first, each time to the cheapest cell before.

    Parameters
    ----------
    total : ndarray
        float (n, m), from `accumulated_cost`.

    Returns
    -------
    ndarray
        int64 (length, 2), pairs (i, j) from (0, 0) to (n − 1, m − 1); from each to the next, i or j
        or both grow by one. Where costs are equal, both grow. Equals
        ``librosa.sequence.dtw(C=cost)[1]``, read from its end.

    Examples
    --------
    >>> cost = np.array([[0.0, 2.0], [2.0, 0.0], [2.0, 1.0]])
    >>> warping_path(accumulated_cost(cost)).tolist()
    [[0, 0], [1, 1], [2, 1]]
    """
    i, j = total.shape[0] - 1, total.shape[1] - 1
    path = [(i, j)]
    while i or j:
        steps = [(i - 1, j - 1), (i, j - 1), (i - 1, j)]
        i, j = min((step for step in steps if min(step) >= 0), key=lambda step: float(total[step]))
        path.append((i, j))
    return np.array(path[::-1])


def warped(path: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Say where frames of the first sequence lie in the second.

    Parameters
    ----------
    path : ndarray
        int (length, 2), from `warping_path`.
    moments : ndarray
        float (k,), places in the first sequence, in frames.

    Returns
    -------
    ndarray
        float64 (k,), in frames of the second: the mean of all frames that the path pairs with a
        frame, and on a straight line between frames.

    Examples
    --------
    >>> warped(np.array([[0, 0], [1, 1], [2, 1], [3, 2], [3, 4]]), np.array([1.5, 3.0])).tolist()
    [1.0, 3.0]
    """
    rows, columns = path.T
    means = np.bincount(rows, weights=columns) / np.bincount(rows)
    return np.interp(moments, np.arange(len(means)), means)


def cross_correlation(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of products of two streams at every lag, by the fast Fourier transform.

    ``r[lag] = Σ_t left[t + lag] · right[t]`` (eq-cross-correlation), over the t where both are.

    Parameters
    ----------
    left, right : ndarray
        float (n,) and (m,), sampled at the same rate.

    Returns
    -------
    lags : ndarray
        int64 (n + m − 1,), from 1 − m to n − 1.
    values : ndarray
        float64 (n + m − 1,). Equals ``scipy.signal.correlate(left, right)``.

    Raises
    ------
    ValueError
        If one of them is no sequence, or empty.

    Examples
    --------
    >>> lags, values = cross_correlation(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0]))
    >>> lags.tolist(), values.round(9).tolist()
    ([-1, 0, 1, 2], [0.0, 0.0, 0.0, 1.0])
    """
    if left.ndim != 1 or right.ndim != 1 or not (left.size and right.size):
        raise ValueError(
            f"the streams are {left.shape} and {right.shape}; each must be (n,), n ≥ 1"
        )
    n, m = len(left), len(right)
    length = fft.next_fast_len(n + m - 1, real=True)
    product = fft.rfft(left, length) * fft.rfft(right[::-1], length)
    return np.arange(1 - m, n), fft.irfft(product, length)[: n + m - 1].astype(float)


def offset(left: np.ndarray, right: np.ndarray) -> int:
    """Return by how many samples ``left`` comes later than ``right``.

    The lag of the largest cross-correlation, each stream's mean taken off: else the lag at which
    most of the two overlaps would win.

    Parameters
    ----------
    left, right : ndarray
        As for `cross_correlation`, which raises.

    Examples
    --------
    >>> offset(np.array([0.0, 0.0, 1.0, 3.0, 0.0]), np.array([1.0, 3.0, 0.0]))
    2
    """
    lags, values = cross_correlation(left - left.mean(), right - right.mean())
    return int(lags[values.argmax()])

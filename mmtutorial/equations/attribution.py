"""Which part of an input a number is owed to: four equations, in NumPy (chapter 14).

Each takes the model as a function, so that it explains whatever can be computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Gradient = Callable[[np.ndarray], np.ndarray]  # (n, ...) to (n, ...): at n points at once


def coalitions(n_parts: int) -> np.ndarray:
    """Return every subset of some parts, bool (2^n_parts, n_parts), as `shapley_values` reads them.

    Row number S holds the parts whose bits S has: the first part is bit 0.

    >>> coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(2**n_parts)[:, None] >> np.arange(n_parts) & 1).astype(bool)


def shapley_values(values: np.ndarray) -> np.ndarray:
    r"""Share the value of all parts together among them, exactly.

    .. math::
        \psi_m = \sum_{S \subseteq M \setminus \{m\}}
        \frac{\lvert S \rvert!\,(\lvert M \rvert - \lvert S \rvert - 1)!}{\lvert M \rvert!}
        \bigl(\nu(S \cup \{m\}) - \nu(S)\bigr)

    (eq-shapley): what part m adds, averaged over all orders in which the parts can come.

    Parameters
    ----------
    values : ndarray
        float (2^M, ...): ν(S) of each row of `coalitions`.

    Returns
    -------
    ndarray
        float64 (M, ...). Their sum is ν of all parts less ν of none.

    Raises
    ------
    ValueError
        If the number of rows is no power of 2.

    References
    ----------
    Shapley (1953), A value for n-person games.

    Examples
    --------
    >>> shapley_values(np.array([0.0, 1.0, 0.0, 3.0]))  # a pair that is worth 2 more is shared
    array([2., 1.])
    """
    n_parts = len(values).bit_length() - 1
    if len(values) != 2**n_parts:
        raise ValueError(f"values has {len(values)} rows; M parts have 2^M coalitions")
    values = np.asarray(values, dtype=np.float64)
    rows = np.arange(2**n_parts)
    sizes = coalitions(n_parts).sum(axis=1)
    found = np.zeros((n_parts, *values.shape[1:]))
    for part in range(n_parts):
        without = rows[rows >> part & 1 == 0]
        weight = [1 / (n_parts * math.comb(n_parts - 1, size)) for size in sizes[without]]
        found[part] = np.tensordot(weight, values[without + 2**part] - values[without], axes=1)
    return found


def integrated_gradients(
    gradient: Gradient, x: np.ndarray, baseline: np.ndarray, steps: int = 256
) -> np.ndarray:
    r"""Share the change of a function between two points among the entries of its input.

    .. math::
        \mathrm{IG}_k = (x_k - x'_k) \int_0^1
        \frac{\partial F}{\partial x_k}\bigl(x' + a (x - x')\bigr)\, da

    (eq-integrated-gradients), by the midpoints of ``steps`` equal intervals.

    Parameters
    ----------
    gradient : callable
        From points (steps, ...) to the gradient of F at each of them, the same shape.
    x, baseline : ndarray
        float (...): the input that is explained, and x', to which it is compared.
    steps : int
        Intervals, at least 1. The sum of the result tends to F(x) - F(x') as they grow.

    Returns
    -------
    ndarray
        float64 (...).

    Raises
    ------
    ValueError
        If the shapes differ, or ``steps`` is below 1.

    References
    ----------
    Sundararajan, Taly & Yan (2017), Axiomatic attribution for deep networks.

    Examples
    --------
    >>> square = lambda points: 2 * points  # the gradient of the sum of squares
    >>> integrated_gradients(square, np.array([3.0, 1.0]), np.zeros(2)).round(6).tolist()
    [9.0, 1.0]
    """
    if x.shape != baseline.shape:
        raise ValueError(f"x has shape {x.shape} and baseline {baseline.shape}: they must agree")
    if steps < 1:
        raise ValueError(f"steps is {steps}; there is at least one interval")
    a = ((np.arange(steps) + 0.5) / steps).reshape(-1, *[1] * x.ndim)
    change = x.astype(np.float64) - baseline
    points = (baseline + a * change).astype(x.dtype)
    mean: np.ndarray = np.asarray(gradient(points), np.float64).mean(axis=0)
    return change * mean


def grad_cam(maps: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""Say where a convolution saw what raises a score.

    .. math::
        \Gamma_{yx} = \mathrm{ReLU}\Bigl(\sum_c \gamma_c A_{yxc}\Bigr), \qquad
        \gamma_c = \frac1{HW} \sum_{y,x} \frac{\partial s}{\partial A_{yxc}}

    (eq-grad-cam).

    Parameters
    ----------
    maps, gradients : ndarray
        float (..., H, W, C): what a layer gives, and the gradient of the score at it.

    Returns
    -------
    ndarray
        float (..., H, W), 0 or more.

    References
    ----------
    Selvaraju et al. (2017), Grad-CAM.

    Examples
    --------
    >>> maps = np.array([[[1.0, 0.0], [0.0, 5.0]]])  # two places, two channels
    >>> grad_cam(maps, np.broadcast_to([2.0, -1.0], maps.shape)).tolist()
    [[2.0, 0.0]]
    """
    weights = gradients.mean(axis=(-3, -2), keepdims=True)
    return np.maximum((weights * maps).sum(axis=-1), 0)


def removals(order: np.ndarray, insertion: bool = False) -> np.ndarray:
    """Say which parts are gone at each step of a deletion or an insertion curve.

    Parameters
    ----------
    order : ndarray
        int (n_parts,): the parts, the most important first.
    insertion : bool
        Whether all are gone at first, and come back in this order; else they go in it.

    Returns
    -------
    ndarray
        bool (n_parts + 1, n_parts), True where the part is gone.

    References
    ----------
    Petsiuk, Das & Saenko (2018), RISE.

    Examples
    --------
    >>> removals(np.array([1, 0])).astype(int).tolist()
    [[0, 0], [0, 1], [1, 1]]
    """
    place = np.argsort(order)
    gone: np.ndarray = place[None, :] < np.arange(len(order) + 1)[:, None]
    return ~gone if insertion else gone

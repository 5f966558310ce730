"""How the losses and the gradients of several tasks become one, in NumPy (chapter 13)."""

from __future__ import annotations

import numpy as np


def uncertainty_weighted(losses: np.ndarray, zeta: np.ndarray, scale: np.ndarray) -> float:
    r"""Add up losses, each divided by a variance that is learnt with the network.

    .. math::
        \mathcal L = \sum_{a=1}^{A} \Bigl( c_a\, e^{-\zeta_a} \mathcal L_a
        + \frac{\zeta_a}{2} \Bigr)

    (eq-uncertainty) with ζ_a the logarithm of the variance of task a. A task whose loss stays large
    gets a large variance, and so a small weight; the last term keeps all variances from growing
    without end.

    Parameters
    ----------
    losses : ndarray
        float (A,): the tasks' losses, the mean squared error for numbers and the cross-entropy for
        classes.
    zeta : ndarray
        float (A,): logarithms of the variances.
    scale : ndarray
        float (A,): c, 1/2 for a mean squared error and 1 for a cross-entropy.

    References
    ----------
    Kendall, Gal and Cipolla (2018), Multi-task learning using uncertainty to weigh losses for scene
    geometry and semantics.

    Examples
    --------
    >>> half = np.log(0.5)
    >>> uncertainty_weighted(np.array([1.0, 4.0]), np.array([0.0, -half]), np.array([1.0, 0.5]))
    2.3465735902799727
    """
    return float((scale * np.exp(-zeta) * losses + zeta / 2).sum())


def gradient_cosine(a: np.ndarray, b: np.ndarray) -> float:
    r"""Return the cosine of two tasks' gradients, −1 to 1: below 0 they pull apart.

    .. math::
        \cos(\gamma_a, \gamma_b) =
        \frac{\gamma_a \cdot \gamma_b}{\lVert \gamma_a \rVert \, \lVert \gamma_b \rVert}

    (eq-gradient-cosine); 0 where one of them is 0. Both are float (n,), over the shared weights.

    >>> gradient_cosine(np.array([1.0, 0.0]), np.array([-1.0, 0.0]))
    -1.0
    """
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms else 0.0


def without_conflict(gradients: np.ndarray, orders: np.ndarray) -> np.ndarray:
    r"""Take from each task's gradient what runs against another task's, and add up the rest.

    .. math::
        \gamma_a \leftarrow \gamma_a
        - \frac{\min(\gamma_a \cdot \gamma_b, 0)}{\lVert \gamma_b \rVert^2}\, \gamma_b
        \qquad \text{for each } b \ne a

    (eq-pcgrad), with γ_b as it was in the beginning.

    Parameters
    ----------
    gradients : ndarray
        float (A, n): one row a task.
    orders : ndarray
        int (A, A): in which order task a meets the others, itself among them and passed over;
        drawn anew in every step.

    Returns
    -------
    ndarray
        float64 (n,).

    References
    ----------
    Yu et al. (2020), Gradient surgery for multi-task learning.

    Examples
    --------
    >>> gradients = np.array([[1.0, 0.0], [-1.0, 1.0]])
    >>> without_conflict(gradients, np.array([[0, 1], [0, 1]]))
    array([0.5, 1.5])
    """
    gradients = np.asarray(gradients, np.float64)
    total = np.zeros(gradients.shape[1])
    for a, order in enumerate(orders):
        left = gradients[a].copy()
        for b in order:
            other = gradients[b]
            if b != a and left @ other < 0:
                left -= (left @ other) / (other @ other) * other
        total += left
    return total

"""How probable each choice is: a multinomial logit over a shelf that is drawn at random."""

from __future__ import annotations

import numpy as np

_STEP = 0.6  # of the logarithm of time; the integrand is analytic, so the error is below 1e-6
_BLOCK = 256  # users at a time: bounds memory
_LATE = 80.0  # beyond it e^-x has no float32


def choice_chance(utility: np.ndarray, shelf: np.ndarray) -> np.ndarray:
    r"""Return how probable it is that a user takes each item, before the shelf is known.

    Item i stands on the shelf with probability π_i, independently of the others, and of what
    stands there a user takes the largest of utility plus Gumbel noise. A Gumbel draw is minus the
    logarithm of an exponential one, so the choice is a race: item i arrives at a random time with
    rate w_i = exp(utility of i), and the first wins. Hence

    .. math::
        P(i) = \pi_i \int_0^\infty w_i\, e^{-w_i t}
               \prod_{j \ne i} \bigl(1 - \pi_j + \pi_j\, e^{-w_j t}\bigr)\, dt ,

    which is a softmax where every π is 1. The integral is a sum over the logarithm of t.

    Parameters
    ----------
    utility : ndarray
        (n_users, n_items), in logits.
    shelf : ndarray
        (n_items,), each above 0 and at most 1.

    Returns
    -------
    ndarray
        float32 (n_users, n_items); a row sums to 1 less the chance that the shelf is empty.

    Raises
    ------
    ValueError
        If the shapes differ or a probability is out of range.

    Examples
    --------
    >>> choice_chance(np.log([[1.0, 3.0]]), np.array([1.0, 1.0])).round(3)
    array([[0.25, 0.75]], dtype=float32)
    >>> choice_chance(np.log([[1.0, 3.0]]), np.array([1.0, 0.5])).round(3)
    array([[0.625, 0.375]], dtype=float32)
    """
    if utility.ndim != 2 or shelf.shape != utility.shape[1:]:
        raise ValueError(f"utility has shape {utility.shape}, shelf {shelf.shape}: one π an item")
    if not ((shelf > 0) & (shelf <= 1)).all():
        raise ValueError("shelf holds a number that is not a probability above 0")
    chance = np.empty(utility.shape, dtype=np.float32)
    on, off = shelf.astype(np.float32), (1 - shelf).astype(np.float32)
    for start in range(0, len(utility), _BLOCK):
        block = utility[start : start + _BLOCK].astype(np.float32)
        begin, end = _span(block, shelf)
        nodes = int(np.ceil(np.max(end - begin) / _STEP)) + 1
        step = (end - begin) / max(nodes - 1, 1)
        total = np.zeros_like(block)
        for node in range(nodes):
            arrived = np.exp(np.minimum(block + (begin + node * step), np.log(_LATE)))  # w·t
            waiting = np.exp(-arrived)
            missing = off + on * waiting  # the chance that an item has not come by t
            nobody = np.exp(np.log(missing).sum(axis=1, keepdims=True))
            total += on * arrived * waiting / missing * nobody
        chance[start : start + _BLOCK] = total * step
    return chance


def _span(utility: np.ndarray, shelf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say between which logarithms of time each user's race is decided: (n, 1) each."""
    order = np.argsort(-utility, axis=1)
    enough = np.cumsum(shelf[order], axis=1) >= 30  # somebody of these stands on the shelf
    last = np.where(enough.any(axis=1), enough.argmax(axis=1), utility.shape[1] - 1)
    slowest = np.take_along_axis(utility, order[np.arange(len(order)), last][:, None], axis=1)
    top = utility.max(axis=1, keepdims=True)
    rate = np.log((shelf * np.exp(utility - top)).sum(axis=1, keepdims=True)) + top  # of them all
    return -rate - 14, -slowest + 4

"""The σ of the article's equations: ReLU, tanh, sigmoid, and the softmax at the end.

Each derivative is written in terms of the activation's *output*, which is what back-propagation
has at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def relu(a: np.ndarray) -> np.ndarray:
    """Return max(0, a), entry by entry.

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(a, 0)


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^−a), entry by entry, without overflow for large negative a.

    >>> sigmoid(np.array([-1000.0, 0.0]))
    array([0. , 0.5])
    """
    return 0.5 * (1 + np.tanh(0.5 * a))


def softmax(a: np.ndarray) -> np.ndarray:
    """Turn each row into probabilities, e^a / Σ e^a over the last axis, without overflow.

    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    odds = np.exp(a - a.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


class Activation(NamedTuple):
    """An activation σ and its derivative, the latter as a function of σ's output.

    >>> ACTIVATIONS["tanh"].derivative(np.array([0.0, 0.5]))
    array([1.  , 0.75])
    """

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]


ACTIVATIONS = {
    "linear": Activation(np.positive, np.ones_like),
    "relu": Activation(relu, lambda output: (output > 0).astype(output.dtype)),
    "tanh": Activation(np.tanh, lambda output: 1 - output**2),
    "sigmoid": Activation(sigmoid, lambda output: output * (1 - output)),
}

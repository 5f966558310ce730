"""How a network learns: the loss of a classifier, its gradient, and the steps that follow it.

Parameters and gradients are lists of arrays in the same order. A step takes both and returns new
arrays; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmtutorial.equations.activations import softmax


def classifier_loss(logits: np.ndarray, classes: np.ndarray) -> float:
    """Return the mean cross-entropy −ln ŷ_c of the true classes, with ŷ = softmax(logits).

    Parameters
    ----------
    logits : ndarray
        Float (n, K), one row an example.
    classes : ndarray
        int (n,), each from 0 to K − 1.

    Returns
    -------
    float
        In nats. Equals ``keras.losses.SparseCategoricalCrossentropy(from_logits=True)``.

    Raises
    ------
    ValueError
        If the shapes do not fit, there is no example, or a class is not one of the K.

    Notes
    -----
    −ln softmax(a)_c is computed as ln Σ e^(a_j − max a) − (a_c − max a), which does not overflow.

    Examples
    --------
    >>> round(classifier_loss(np.zeros((2, 4)), np.array([0, 3])), 4)   # ln 4
    1.3863
    """
    _check(logits, classes)
    shifted = logits - logits.max(axis=1, keepdims=True)
    true = shifted[np.arange(len(classes)), classes]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - true))


def classifier_gradient(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Differentiate `classifier_loss` by the logits: (ŷ − one-hot) / n.

    Float (n, K), as ``logits``; each row sums to zero. Raises as `classifier_loss` does.

    >>> classifier_gradient(np.zeros((1, 2)), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    _check(logits, classes)
    gradient = softmax(logits)
    gradient[np.arange(len(classes)), classes] -= 1
    return gradient / len(classes)


def _check(logits: np.ndarray, classes: np.ndarray) -> None:
    n, n_classes = logits.shape if logits.ndim == 2 else (0, 0)
    if not n or classes.shape != (n,):
        raise ValueError(
            f"logits are {logits.shape} and classes {classes.shape}; "
            "they must be (n, K) and (n,), with at least one example"
        )
    if classes.min() < 0 or classes.max() >= n_classes:
        raise ValueError(
            f"classes go from {classes.min()} to {classes.max()}; there are {n_classes}"
        )


def descend(
    parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray], rate: float
) -> list[np.ndarray]:
    """Take one step of gradient descent: θ − rate · ∂L/∂θ. Equals ``keras.optimizers.SGD``.

    >>> descend([np.array([1.0])], [np.array([2.0])], rate=0.25)
    [array([0.5])]
    """
    return [each - rate * slope for each, slope in zip(parameters, gradients, strict=True)]


class Moments(NamedTuple):
    """What Adam remembers: steps taken, and running means of gradients and of their squares."""

    steps: int
    means: list[np.ndarray]
    squares: list[np.ndarray]

    @classmethod
    def of(cls, parameters: Sequence[np.ndarray]) -> Moments:
        """Begin with zeros of the parameters' shapes."""
        return cls(
            0,
            [np.zeros_like(each) for each in parameters],
            [np.zeros_like(each) for each in parameters],
        )


def adam(
    parameters: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray],
    moments: Moments,
    rate: float = 1e-3,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> tuple[list[np.ndarray], Moments]:
    """Take one step of Adam: gradient descent with a rate of its own for every parameter.

    The mean m of past gradients gives the direction, the mean s of their squares the scale:
    θ − rate · m / √s, with both divided by what they lack because they began at zero.

    Parameters
    ----------
    parameters, gradients : sequences of ndarray
        In the same order.
    moments : Moments
        ``Moments.of(parameters)`` at the first step, then what the last step returned.
    rate, beta_1, beta_2, epsilon : float
        As in Keras, which adds epsilon before the correction of s.

    Returns
    -------
    parameters, moments : list of ndarray, Moments
        Equals ``keras.optimizers.Adam``.

    Notes
    -----
    Kingma and Ba (2015), algorithm 1 in the form at the end of its section 2.

    Examples
    --------
    The first step has the length of the rate, whatever the gradient's length:

    >>> start = [np.array([1.0, 1.0])]
    >>> adam(start, [np.array([0.01, -100.0])], Moments.of(start), rate=0.1)[0][0].round(3)
    array([0.9, 1.1])
    """
    steps = moments.steps + 1
    means = [
        beta_1 * mean + (1 - beta_1) * slope
        for mean, slope in zip(moments.means, gradients, strict=True)
    ]
    squares = [
        beta_2 * square + (1 - beta_2) * slope**2
        for square, slope in zip(moments.squares, gradients, strict=True)
    ]
    corrected = rate * np.sqrt(1 - beta_2**steps) / (1 - beta_1**steps)
    moved = [
        each - float(corrected) * mean / (np.sqrt(square) + epsilon)
        for each, mean, square in zip(parameters, means, squares, strict=True)
    ]
    return moved, Moments(steps, means, squares)


def dropout(h: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Set a random share of entries to 0, and divide the others by what is kept.

    So the mean of every entry stays as it was, and nothing has to change when the trained network
    is used without dropout. Works as ``keras.layers.Dropout`` in training.

    Parameters
    ----------
    h : ndarray
        Float, any shape.
    rate : float
        Share that is dropped, at least 0 and below 1.
    generator : numpy.random.Generator
        The same state drops the same entries.

    Raises
    ------
    ValueError
        For another rate.

    Notes
    -----
    Srivastava et al. (2014).

    Examples
    --------
    >>> sorted(set(dropout(np.ones(50), 0.5, np.random.default_rng(0)).tolist()))
    [0.0, 2.0]
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate is {rate}; it is at least 0 and below 1")
    return h * (generator.random(h.shape) >= rate) / np.asarray(1 - rate, h.dtype)

"""The recurrences equal Keras's layers, and their gradients Keras's tape and central differences."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.equations.activations import ACTIVATIONS
from mmtutorial.equations.recurrence import (
    gradient_norms,
    join_weights,
    lstm,
    lstm_backward,
    lstm_gates,
    recurrence,
    recurrence_backward,
    split_weights,
)

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
shapes = st.tuples(*[st.integers(1, n) for n in (3, 6, 4, 5)])  # batch, time, features, units
seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=8, derandomize=True)


def _draw(
    seed: int, shape: tuple[int, int, int, int], gates: int, dtype: str
) -> tuple[np.random.Generator, list[np.ndarray], list[np.ndarray]]:
    """Draw x and the weights (kernel, recurrent, bias), and the states to start from."""
    batch, time, features, units = shape
    generator = np.random.default_rng(seed)

    def normal(*size: int) -> np.ndarray:
        return generator.normal(size=size).astype(dtype)

    weights = [
        normal(features, gates * units) / np.sqrt(features, dtype=dtype),
        normal(units, gates * units) / np.sqrt(units, dtype=dtype),
        normal(gates * units),
    ]
    return (
        generator,
        [normal(batch, time, features), *weights],
        [normal(batch, units) for _ in "hc"],
    )


def _central(
    loss: Callable[..., float], arrays: list[np.ndarray], step: float = 1e-6
) -> list[np.ndarray]:
    """Differentiate by moving every number a little up and down."""
    slopes = []
    for number, array in enumerate(arrays):
        slope = np.empty_like(array)
        for place in np.ndindex(array.shape):
            moved = [each.copy() for each in arrays]
            moved[number][place] += step
            above = loss(*moved)
            moved[number][place] -= 2 * step
            slope[place] = (above - loss(*moved)) / (2 * step)
        slopes.append(slope)
    return slopes


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@few
@given(shape=shapes, seed=seeds, started=st.booleans())
def test_recurrence_equals_keras(
    dtype: str, activation: str, shape: tuple[int, int, int, int], seed: int, started: bool
) -> None:
    generator, (x, kernel, recurrent, bias), (h, _) = _draw(seed, shape, 1, dtype)
    initial = h if started else None
    direct = generator.normal(size=(*shape[:2], shape[3])).astype(dtype)
    layer = keras.layers.SimpleRNN(
        shape[3], activation=activation, return_sequences=True, dtype=dtype
    )
    layer.build(x.shape)
    layer.set_weights([kernel, recurrent, bias])
    tensor, start = tf.Variable(x), tf.Variable(h if started else np.zeros_like(h))
    with tf.GradientTape() as tape:
        theirs = layer(tensor, initial_state=start)
        loss = tf.reduce_sum(theirs * direct)
    wanted = tape.gradient(loss, [tensor, *layer.trainable_variables, start])

    joined = join_weights(kernel, recurrent)
    states = recurrence(x, joined, bias, activation, initial)
    assert states.dtype == dtype
    scale = max(1, np.abs(states).max())  # a linear recurrence may grow
    np.testing.assert_allclose(states / scale, theirs / scale, atol=TOLERANCE[dtype])

    gradient = recurrence_backward(direct, x, states, joined, activation, initial)
    ours = [gradient.x, *split_weights(gradient.joined), gradient.bias, gradient.initial]
    for mine, its in zip(ours, wanted, strict=True):
        assert mine.dtype == dtype
        scale = max(1, np.abs(its).max())
        np.testing.assert_allclose(mine / scale, its / scale, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@few
@given(shape=shapes, seed=seeds, started=st.booleans())
def test_lstm_equals_keras(
    dtype: str, shape: tuple[int, int, int, int], seed: int, started: bool
) -> None:
    generator, (x, *weights), starts = _draw(seed, shape, 4, dtype)
    initial = tuple(starts) if started else None
    direct = generator.normal(size=(*shape[:2], shape[3])).astype(dtype)
    layer = keras.layers.LSTM(shape[3], return_sequences=True, dtype=dtype)
    layer.build(x.shape)
    layer.set_weights(weights)
    tensor = tf.Variable(x)
    start = [tf.Variable(each if started else np.zeros_like(each)) for each in starts]
    with tf.GradientTape() as tape:
        theirs = layer(tensor, initial_state=start)
        loss = tf.reduce_sum(theirs * direct)
    wanted = tape.gradient(loss, [tensor, *layer.trainable_variables, *start])

    gates = lstm_gates(x, *weights, initial)
    assert gates.state.dtype == dtype
    np.testing.assert_allclose(gates.state, theirs, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(lstm(x, *weights, initial), gates.state)

    gradient = lstm_backward(direct, x, gates, *weights[:2], initial)
    ours = [gradient.x, gradient.kernel, gradient.recurrent, gradient.bias, *gradient.initial]
    for mine, its in zip(ours, wanted, strict=True):
        assert mine.dtype == dtype
        scale = max(1, np.abs(its).max())
        np.testing.assert_allclose(mine / scale, its / scale, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@few
@given(shape=shapes, seed=seeds)
def test_gradients_of_the_recurrence_are_slopes(
    activation: str, shape: tuple[int, int, int, int], seed: int
) -> None:
    generator, (x, kernel, recurrent, bias), (h, _) = _draw(seed, shape, 1, "float64")
    joined = join_weights(kernel, recurrent)
    direct = generator.normal(size=(*shape[:2], shape[3]))

    def loss(x, joined, bias, h):
        return float((recurrence(x, joined, bias, activation, h) * direct).sum())

    states = recurrence(x, joined, bias, activation, h)
    gradient = recurrence_backward(direct, x, states, joined, activation, h)
    slopes = _central(loss, [x, joined, bias, h])
    for mine, slope in zip(gradient[:4], slopes, strict=True):
        scale = max(1, np.abs(slope).max())
        np.testing.assert_allclose(mine / scale, slope / scale, atol=1e-6)


@few
@given(shape=shapes, seed=seeds)
def test_gradients_of_the_lstm_are_slopes(shape: tuple[int, int, int, int], seed: int) -> None:
    generator, arrays, starts = _draw(seed, shape, 4, "float64")
    direct = generator.normal(size=(*shape[:2], shape[3]))

    def loss(x, kernel, recurrent, bias, h, c):
        return float((lstm(x, kernel, recurrent, bias, (h, c)) * direct).sum())

    x, kernel, recurrent, _ = arrays
    gates = lstm_gates(*arrays, tuple(starts))
    gradient = lstm_backward(direct, x, gates, kernel, recurrent, tuple(starts))
    ours = [gradient.x, gradient.kernel, gradient.recurrent, gradient.bias, *gradient.initial]
    for mine, slope in zip(ours, _central(loss, [*arrays, *starts]), strict=True):
        np.testing.assert_allclose(mine, slope, atol=1e-6)


def test_gradients_by_states_are_what_a_nudge_does() -> None:
    """Moving h_t or c_t and running on from there changes the loss by the gradient."""
    _, (x, kernel, recurrent, bias), _ = _draw(1, (2, 5, 3, 4), 4, "float64")
    gates = lstm_gates(x, kernel, recurrent, bias)
    direct = np.zeros_like(gates.state)
    direct[:, -1] = 1
    gradient = lstm_backward(direct, x, gates, kernel, recurrent)

    def onwards(h: np.ndarray, c: np.ndarray) -> float:
        return float(lstm(x[:, 2:], kernel, recurrent, bias, (h, c))[:, -1].sum())

    def show(c: np.ndarray) -> np.ndarray:  # h_2 follows c_2
        return gates.output[:, 1] * np.tanh(c)

    h, c = gates.state[:, 1], gates.cell[:, 1]
    (by_h,) = _central(lambda h: onwards(h, c), [h])
    (by_c,) = _central(lambda c: onwards(show(c), c), [c])
    np.testing.assert_allclose(gradient.states[:, 1], by_h, atol=1e-8)
    np.testing.assert_allclose(gradient.cells[:, 1], by_c, atol=1e-8)


@given(features=st.integers(0, 5), units=st.integers(1, 5))
def test_splitting_undoes_joining(features: int, units: int) -> None:
    kernel, recurrent = np.full((features, units), 1.0), np.full((units, units), 2.0)
    joined = join_weights(kernel, recurrent)
    assert joined.shape == (units + features, units)
    back = split_weights(joined)
    np.testing.assert_array_equal(back[0], kernel)
    np.testing.assert_array_equal(back[1], recurrent)


def test_the_article_s_two_steps() -> None:
    """One unit, one feature, h_0 = 0, x = (1, 2), U = 0.5, W = 1, b = 0, ReLU: worked out by hand."""
    x, joined = np.array([[[1.0], [2.0]]]), np.array([[0.5], [1.0]])
    states = recurrence(x, joined, np.zeros(1), "relu")
    np.testing.assert_array_equal(states.ravel(), [1, 2.5])
    direct = np.array([[[0.0], [1.0]]])
    gradient = recurrence_backward(direct, x, states, joined, "relu")
    np.testing.assert_array_equal(gradient.states.ravel(), [0.5, 1])
    np.testing.assert_array_equal(gradient.joined.ravel(), [1, 2.5])  # U: h_1; W: 0.5 · 1 + 2
    np.testing.assert_array_equal(gradient.bias, [1.5])
    np.testing.assert_array_equal(gradient.initial, [[0.25]])


def test_norms_join_several_gradients() -> None:
    norms = gradient_norms(np.full((2, 3, 9), 1.0), np.full((2, 3, 16), 1.0))
    np.testing.assert_array_equal(norms, np.full((2, 3), 5.0))


def test_errors_say_what_does_not_fit() -> None:
    x = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"joined is \(2, 3\)"):
        recurrence(x, np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match=r"kernel is \(3, 2\); 4 features and 2 units"):
        recurrence(x, np.zeros((5, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="bias is"):
        lstm(x, np.zeros((4, 8)), np.zeros((2, 8)), np.zeros(2))
    with pytest.raises(ValueError, match="activation is 'softplus'"):
        recurrence(x, np.zeros((6, 2)), np.zeros(2), "softplus")
    with pytest.raises(ValueError, match="initial state is"):
        recurrence(x, np.zeros((6, 2)), np.zeros(2), initial=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="time at least 1"):
        recurrence(x[:, :0], np.zeros((6, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="the states are"):
        recurrence_backward(np.zeros((2, 2)), x, np.zeros((2, 3, 2)), np.zeros((6, 2)))
    with pytest.raises(ValueError, match=r"kernel is .* and recurrent"):
        join_weights(np.zeros((4, 3)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="no gradient"):
        gradient_norms()

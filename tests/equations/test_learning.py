"""The loss, its gradient and the steps of training equal Keras's."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtutorial.equations.learning import (
    Moments,
    adam,
    classifier_gradient,
    classifier_loss,
    descend,
    dropout,
)


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(7, 4)) * 5, generator.integers(0, 4, 7)


def test_loss_and_gradient_equal_keras_s(batch: tuple[np.ndarray, np.ndarray]) -> None:
    logits, classes = batch
    tensor = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(classes, tensor)
    assert classifier_loss(logits, classes) == pytest.approx(float(loss), abs=1e-6)
    np.testing.assert_allclose(
        classifier_gradient(logits, classes), tape.gradient(loss, tensor), atol=1e-6
    )


def test_gradient_against_central_differences(batch: tuple[np.ndarray, np.ndarray]) -> None:
    logits, classes = batch
    slopes = np.empty_like(logits)
    for place in np.ndindex(logits.shape):
        ends = []
        for move in (1e-6, -1e-6):
            moved = logits.copy()
            moved[place] += move
            ends.append(classifier_loss(moved, classes))
        slopes[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(classifier_gradient(logits, classes), slopes, atol=1e-8)


def test_no_overflow_where_a_class_is_certain() -> None:
    logits = np.array([[1000.0, 0.0]])
    assert classifier_loss(logits, np.array([0])) == 0
    assert classifier_loss(logits, np.array([1])) == 1000


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_steps_equal_keras_s(name: str) -> None:
    generator = np.random.default_rng(1)
    start = [generator.normal(size=size).astype("float32") for size in ((3, 2), (2,))]
    variables = [keras.Variable(each) for each in start]
    optimizer = getattr(keras.optimizers, name)(0.05)
    ours, moments = list(start), Moments.of(start)
    for _ in range(20):
        slopes = [generator.normal(size=each.shape).astype("float32") for each in start]
        optimizer.apply([tf.constant(each) for each in slopes], variables)
        if name == "SGD":
            ours = descend(ours, slopes, 0.05)
        else:
            ours, moments = adam(ours, slopes, moments, 0.05)
    for mine, its in zip(ours, variables, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, its.numpy(), atol=1e-5)


def test_a_step_leaves_what_it_was_given() -> None:
    start = [np.ones(2)]
    moments = Moments.of(start)
    adam(start, [np.ones(2)], moments)
    descend(start, [np.ones(2)], 0.1)
    assert start[0].tolist() == [1, 1] and moments.steps == 0 and not moments.means[0].any()


def test_dropout_keeps_the_mean() -> None:
    h = np.full((1000, 10), 2, dtype="float32")
    found = dropout(h, 0.25, np.random.default_rng(0))
    assert found.dtype == np.float32
    assert np.unique(found).tolist() == pytest.approx([0, 2 / 0.75])
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(dropout(h, 0, np.random.default_rng(0)), h)


def test_errors_say_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and classes \(3,\)"):
        classifier_loss(np.zeros((2, 3)), np.zeros(3, int))
    with pytest.raises(ValueError, match="at least one example"):
        classifier_gradient(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(ValueError, match="from 0 to 3; there are 3"):
        classifier_loss(np.zeros((2, 3)), np.array([0, 3]))
    with pytest.raises(ValueError, match="rate is 1"):
        dropout(np.zeros(3), 1, np.random.default_rng(0))

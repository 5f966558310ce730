"""The loss of a classifier, gradient descent and Adam equal Keras's."""

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

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(0, 3, (7, 4))
CLASSES = GENERATOR.integers(0, 4, 7)


def test_loss_and_gradient_equal_keras() -> None:
    given = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            keras.losses.sparse_categorical_crossentropy(CLASSES, given, from_logits=True)
        )
    assert classifier_loss(LOGITS, CLASSES) == pytest.approx(float(loss), abs=1e-6)
    found = classifier_gradient(LOGITS, CLASSES)
    np.testing.assert_allclose(found, tape.gradient(loss, given), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-12)


def test_the_gradient_is_a_difference_and_large_logits_do_not_overflow() -> None:
    gradient, moved = classifier_gradient(LOGITS, CLASSES), LOGITS.copy()
    moved[2, 1] += 1e-6
    slope = (classifier_loss(moved, CLASSES) - classifier_loss(LOGITS, CLASSES)) / 1e-6
    assert gradient[2, 1] == pytest.approx(slope, abs=1e-5)
    assert classifier_loss(np.array([[1e4, -1e4]]), np.array([1])) == pytest.approx(2e4)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_steps_equal_keras(name: str) -> None:
    start = [GENERATOR.normal(size=(3, 2)), GENERATOR.normal(size=2)]
    optimiser = getattr(keras.optimizers, name)(learning_rate=0.1)
    variables = [keras.Variable(each, dtype="float64") for each in start]
    optimiser.build(variables)
    ours, moments = start, Moments.of(start)
    for _ in range(5):
        gradients = [GENERATOR.normal(size=each.shape) for each in start]
        optimiser.apply([tf.constant(each) for each in gradients])
        if name == "SGD":
            ours = descend(ours, gradients, rate=0.1)
        else:
            ours, moments = adam(ours, gradients, moments, rate=0.1)
    for mine, theirs in zip(ours, variables, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-5)  # Keras corrects in float32
    assert start[0] is not ours[0]


def test_dropout_keeps_the_mean() -> None:
    kept = dropout(np.ones(100_000, "float32"), 0.25, np.random.default_rng(1))
    assert kept.dtype == np.float32
    assert kept.mean() == pytest.approx(1, abs=0.01)
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.01)
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        dropout(np.ones(2), 1.0, np.random.default_rng(0))


def test_faults_are_named() -> None:
    with pytest.raises(ValueError, match=r"must be \(n, K\) and \(n,\)"):
        classifier_loss(LOGITS, CLASSES[:3])
    with pytest.raises(ValueError, match="there are 4"):
        classifier_gradient(LOGITS, CLASSES + 3)

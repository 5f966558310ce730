"""The activations equal Keras's, and their derivatives the slopes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from mmtutorial.equations.activations import ACTIVATIONS, softmax


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_equal_keras_and_derivatives_equal_slopes(name: str) -> None:
    a = np.random.default_rng(0).normal(size=1000)
    function, derivative = ACTIVATIONS[name]
    theirs = keras.ops.convert_to_numpy(keras.activations.get(name)(keras.ops.array(a, "float64")))
    np.testing.assert_allclose(function(a), theirs, atol=1e-12)
    slope = (function(a + 1e-6) - function(a - 1e-6)) / 2e-6
    np.testing.assert_allclose(derivative(function(a)), slope, atol=1e-8)


def test_nothing_overflows() -> None:
    far = np.array([[-1e4, 1e4, 0.0]])
    for function, _ in ACTIVATIONS.values():
        assert np.isfinite(function(far)).all()
    np.testing.assert_array_equal(softmax(far), [[0, 1, 0]])
    np.testing.assert_allclose(softmax(far / 1e4 + 700).sum(), 1)

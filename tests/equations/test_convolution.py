"""Dense layer, convolution and pooling equal Keras's, forwards and backwards; W is the convolution."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.equations.activations import ACTIVATIONS
from mmtutorial.equations.convolution import (
    conv2d,
    conv2d_backward,
    convolution_matrix,
    dense,
    dense_backward,
    im2col,
    im2col_adjoint,
    max_pool,
    max_pool_backward,
    output_size,
    padding_widths,
    receptive_field,
)

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
DTYPES = list(TOLERANCE)


class Case(NamedTuple):
    """A convolution, as hypothesis draws it."""

    batch: int
    size: tuple[int, int]
    channels: int
    filters: int
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: str
    seed: int

    def arrays(self, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        generator = np.random.default_rng(self.seed)
        x = generator.normal(size=(self.batch, *self.size, self.channels))
        kernel = generator.normal(size=(*self.window, self.channels, self.filters))
        scaled = kernel / np.sqrt(np.prod(kernel.shape[:3]))
        return (
            x.astype(dtype),
            scaled.astype(dtype),
            generator.normal(size=self.filters).astype(dtype),
        )


@st.composite
def cases(draw: Callable, largest: int = 9, fits: bool = False) -> Case:
    """Draw a convolution of any stride and padding, with a window of any shape."""
    padding = draw(st.sampled_from(["valid", "same"]))
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    low = window if padding == "valid" or fits else (1, 1)
    size = tuple(draw(st.integers(side, max(side, largest))) for side in low)
    return Case(
        batch=draw(st.integers(1, 3)),
        size=size,
        channels=draw(st.integers(1, 4)),
        filters=draw(st.integers(1, 4)),
        window=window,
        stride=draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        padding=padding,
        seed=draw(st.integers(0, 999)),
    )


def slopes(loss: Callable[[], float], array: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the central differences of a loss, by every entry of an array that it reads."""
    found = np.empty_like(array)
    for place in np.ndindex(array.shape):
        before = array[place]
        array[place] = before + step
        above = loss()
        array[place] = before - step
        found[place] = (above - loss()) / (2 * step)
        array[place] = before
    return found


# --- dense -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("front", [(7,), (2, 3), ()])
def test_dense_equals_keras_and_its_gradients_the_tape(
    front: tuple[int, ...], activation: str, dtype: str
) -> None:
    generator = np.random.default_rng(0)
    h, W, b, weight = (
        generator.normal(size=shape).astype(dtype)
        for shape in [(*front, 5), (5, 4), (4,), (*front, 4)]
    )
    layer = keras.layers.Dense(4, activation=activation, dtype=dtype)
    layer.build((None, 5))
    layer.set_weights([W, b])
    x = tf.constant(h.reshape(-1, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        theirs = layer(x)
        loss = tf.reduce_sum(theirs * weight.reshape(-1, 4))
    dh, dW, db = tape.gradient(loss, [x, *layer.trainable_variables])

    ours = dense(h, W, b, activation)
    assert ours.dtype == dtype
    near = {"rtol": 0, "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(ours.reshape(-1, 4), theirs, **near)
    gradients = dense_backward(weight, h, W, ours, activation)
    for gradient, expected in zip(gradients, (dh, dW, db), strict=True):
        assert gradient.dtype == dtype
        np.testing.assert_allclose(gradient, np.reshape(expected, gradient.shape), **near)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_gradients_equal_central_differences(activation: str) -> None:
    generator = np.random.default_rng(1)
    h, W, b, weight = (generator.normal(size=shape) for shape in [(3, 4), (4, 2), (2,), (3, 2)])

    def loss() -> float:
        return float((dense(h, W, b, activation) * weight).sum())

    gradients = dense_backward(weight, h, W, dense(h, W, b, activation), activation)
    for gradient, array in zip(gradients, (h, W, b), strict=True):
        np.testing.assert_allclose(gradient, slopes(loss, array), atol=1e-8)


# --- im2col ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_im2col_and_its_adjoint_are_transposes(case: Case) -> None:
    """⟨P(x), y⟩ = ⟨x, Pᵀ(y)⟩ for all x and y is what "adjoint" means."""
    x = case.arrays()[0]
    patches = im2col(x, case.window, case.stride, case.padding)
    y = np.random.default_rng(case.seed + 1).normal(size=patches.shape)
    back = im2col_adjoint(y, x.shape, case.window, case.stride, case.padding)
    assert back.shape == x.shape
    np.testing.assert_allclose((patches * y).sum(), (x * back).sum(), atol=1e-10)


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_patches_equal_tensorflows(case: Case) -> None:
    x = case.arrays()[0]
    theirs = tf.image.extract_patches(
        x, [1, *case.window, 1], [1, *case.stride, 1], [1, 1, 1, 1], case.padding.upper()
    )
    np.testing.assert_array_equal(im2col(x, case.window, case.stride, case.padding), theirs)


# --- convolution -------------------------------------------------------------------------------


def keras_conv2d(
    case: Case, dtype: str, arrays: tuple[np.ndarray, ...], weight: np.ndarray | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return Keras's convolution, and its gradients when the loss weighs the output."""
    x, kernel, bias = arrays
    layer = keras.layers.Conv2D(
        case.filters, case.window, strides=case.stride, padding=case.padding, dtype=dtype
    )
    layer.build((None, *x.shape[1:]))
    layer.set_weights([kernel, bias])
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)
        loss = tf.reduce_sum(output if weight is None else output * weight)
    return output.numpy(), [
        tf.convert_to_tensor(each).numpy()
        for each in tape.gradient(loss, [x, *layer.trainable_variables])
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_conv2d_and_its_gradients_equal_keras(case: Case, dtype: str) -> None:
    x, kernel, bias = case.arrays(dtype)
    ours = conv2d(x, kernel, bias, case.stride, case.padding)
    weight = np.random.default_rng(case.seed + 1).normal(size=ours.shape).astype(dtype)
    weight /= weight.size  # a mean rather than a sum: the gradients of float32 stay near 1
    theirs, expected = keras_conv2d(case, dtype, (x, kernel, bias), weight)

    near = {"rtol": 0, "atol": TOLERANCE[dtype]}
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, **near)
    gradients = conv2d_backward(weight, x, kernel, case.stride, case.padding)
    for gradient, known in zip(gradients, expected, strict=True):
        assert gradient.dtype == dtype
        np.testing.assert_allclose(gradient, known, **near)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(deadline=None, max_examples=8)
@given(case=cases(largest=4))
def test_conv2d_gradients_equal_central_differences(case: Case, activation: str) -> None:
    x, kernel, bias = case.arrays()
    rest = case.stride, case.padding

    def loss() -> float:
        return float(np.square(conv2d(x, kernel, bias, *rest, activation)).sum())

    output = conv2d(x, kernel, bias, *rest, activation)
    gradients = conv2d_backward(2 * output, x, kernel, *rest, output, activation)
    for gradient, array in zip(gradients, (x, kernel, bias), strict=True):
        np.testing.assert_allclose(gradient, slopes(loss, array), atol=1e-6, rtol=1e-6)


@settings(deadline=None, max_examples=60)
@given(case=cases(largest=6))
def test_a_convolution_is_the_articles_equation(case: Case) -> None:
    x, kernel, bias = case.arrays()
    W = convolution_matrix(kernel, *case.size, case.stride, case.padding)
    y = conv2d(x, kernel, bias, case.stride, case.padding)
    flat = dense(x.reshape(len(x), -1), W, np.tile(bias, y.shape[1] * y.shape[2]))
    np.testing.assert_allclose(flat, y.reshape(len(y), -1), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(case=cases(largest=7))
def test_gradient_of_a_picture_is_the_product_with_the_transpose(case: Case) -> None:
    x, kernel, bias = case.arrays()
    gradient = np.ones_like(conv2d(x, kernel, bias, case.stride, case.padding))
    dx, _, _ = conv2d_backward(gradient, x, kernel, case.stride, case.padding)
    W = convolution_matrix(kernel, *case.size, case.stride, case.padding)
    np.testing.assert_allclose(dx.reshape(len(x), -1), gradient.reshape(len(x), -1) @ W.T)


def test_the_matrix_in_one_dimension_is_toeplitz() -> None:
    W = convolution_matrix(np.array([1.0, -1.0]).reshape(1, 2, 1, 1), 1, 4)
    np.testing.assert_array_equal(np.array([1.0, 2, 0, 3]) @ W, [-1, 2, -3])
    assert np.count_nonzero(W) == 6


# --- sizes -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(
    size=st.integers(1, 40),
    window=st.integers(1, 9),
    stride=st.integers(1, 9),
    padding=st.sampled_from(["valid", "same"]),
)
def test_sizes_and_padding(size: int, window: int, stride: int, padding: str) -> None:
    if padding == "valid" and window > size:
        with pytest.raises(ValueError, match="does not fit"):
            output_size(size, window, stride, padding)
        return
    before, after = padding_widths(size, window, stride, padding)
    assert 0 <= before <= after <= before + 1
    places = output_size(size, window, stride, padding)
    assert places == (before + size + after - window) // stride + 1
    assert (
        places
        == keras.ops.image.extract_patches(
            np.zeros((1, size, size, 1)), (window, window), (stride, stride), padding=padding
        ).shape[1]
    )


# --- max-pool ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=40)
@given(case=cases(fits=True))
def test_max_pool_and_its_gradient_equal_keras(case: Case, dtype: str, ties: bool) -> None:
    x = case.arrays(dtype)[0]
    x = np.round(x) if ties else x
    ours = max_pool(x, case.window, case.stride, case.padding)
    weight = np.random.default_rng(case.seed + 1).normal(size=ours.shape).astype(dtype)
    layer = keras.layers.MaxPooling2D(case.window, case.stride, case.padding, dtype=dtype)
    watched = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        theirs = layer(watched)
        loss = tf.reduce_sum(theirs * weight)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs)
    gradient = max_pool_backward(weight, x, case.window, case.stride, case.padding)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, tape.gradient(loss, watched), atol=TOLERANCE[dtype])


def test_max_pool_gradient_equals_central_differences() -> None:
    x = np.random.default_rng(2).permutation(2 * 5 * 4 * 2).reshape(2, 5, 4, 2) / 10
    weight = np.random.default_rng(3).normal(size=max_pool(x, 3, 2, "same").shape)
    gradient = max_pool_backward(weight, x, 3, 2, "same")
    expected = slopes(lambda: float((max_pool(x, 3, 2, "same") * weight).sum()), x)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_padding_is_never_the_largest() -> None:
    assert (max_pool(np.full((1, 3, 3, 1), -7.0), 2, 2, "same") == -7).all()


# --- receptive field ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(layers=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4))
def test_receptive_field_is_what_the_gradient_reaches(layers: list[tuple[int, int]]) -> None:
    windows, strides = zip(*layers, strict=True)
    field = receptive_field(windows, strides)
    assert field.jump.tolist() == np.cumprod(strides).tolist()
    shapes, length = [], int(field.size[-1] + field.jump[-1])  # room for two outputs
    x = np.zeros((1, 1, length, 1))
    for window, stride in layers:
        shapes.append(x.shape)
        x = conv2d(x, np.ones((1, window, 1, 1)), np.zeros(1), (1, stride))
    assert x.shape[2] == 2
    seen = []
    for output in range(2):
        gradient = np.zeros_like(x)
        gradient[0, 0, output] = 1
        for shape, (window, stride) in zip(shapes[::-1], layers[::-1], strict=True):
            gradient = conv2d_backward(
                gradient, np.zeros(shape), np.ones((1, window, 1, 1)), (1, stride)
            )[0]
        reached = np.flatnonzero(gradient)
        seen.append((reached[0], reached[-1]))
    assert seen[0] == (0, field.size[-1] - 1)
    assert seen[1][0] == field.jump[-1]


# --- errors ------------------------------------------------------------------------------------

X, K = np.zeros((1, 4, 4, 2)), np.zeros((3, 3, 2, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dense(np.zeros((2, 3)), np.zeros((4, 5)), np.zeros(5)), "do not fit"),
        (lambda: dense(np.zeros((2, 4)), np.zeros((4, 5)), np.zeros(1)), "do not fit"),
        (lambda: dense(np.zeros((2, 4)), np.zeros((4, 5)), np.zeros(5), "gelu"), "one of linear"),
        (
            lambda: dense_backward(np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((4, 5))),
            "do not fit",
        ),
        (
            lambda: dense_backward(
                np.zeros((2, 5)), np.zeros((2, 4)), np.zeros((4, 5)), None, "relu"
            ),
            "needs `output`",
        ),
        (lambda: conv2d(X[0], K, np.zeros(5)), r"image\[None\]"),
        (lambda: conv2d(X, K[:, :, :1], np.zeros(5)), "do not fit"),
        (lambda: conv2d(X, K, np.zeros(4)), "do not fit"),
        (lambda: conv2d(X, K, np.zeros(5), 0), "at least 1"),
        (lambda: conv2d(X, K, np.zeros(5), 1, "full"), "'valid' or 'same'"),
        (lambda: conv2d(X, np.zeros((5, 3, 2, 1)), np.zeros(1)), "window of 5"),
        (lambda: im2col_adjoint(np.zeros((1, 2, 2, 9)), X.shape, 3), "do not come from"),
        (lambda: max_pool_backward(np.zeros((1, 2, 2, 1)), X), "max_pool returned"),
        (lambda: convolution_matrix(K[0], 4, 4), "channels in, out"),
        (lambda: convolution_matrix(K, 200, 200), "more than 50,000,000"),
        (lambda: receptive_field([3, 3], [1]), "a layer"),
        (lambda: receptive_field([3], [0]), "a layer"),
    ],
)
def test_errors_say_what_is_wrong(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert re.search(r"\d|'", str(caught.value))  # names the number or the word at fault

"""Attention and its block equal Keras's layers, and their gradients the tape and differences."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.encoders.transformer import transformer_block
from mmtutorial.equations.attention import (
    BlockWeights,
    HeadWeights,
    attention,
    attention_backward,
    attention_weights,
    block,
    block_backward,
    causal_mask,
    head_weights,
    layer_norm,
    layer_norm_backward,
    multi_head,
    multi_head_backward,
    padding_mask,
    sinusoids,
)

few = settings(deadline=None, max_examples=8, derandomize=True)
shapes = st.tuples(
    st.integers(1, 3), st.integers(2, 5), st.integers(1, 3), st.integers(1, 4)
)  # batch, words, heads, d_head
seeds = st.integers(0, 2**32 - 1)
WORDS = np.array([[7, 8, 9, 5], [7, 8, 0, 0]])
MASKS = {
    "none": None,
    "causal": causal_mask(4),
    "padding": padding_mask(WORDS),
    "both": causal_mask(4) & padding_mask(WORDS),
}


def central(
    loss: Callable[..., float], arrays: list[np.ndarray], step: float = 1e-6
) -> list[np.ndarray]:
    """Differentiate by moving every number a little up and down."""
    slopes = []
    for number, array in enumerate(arrays):
        slope = np.empty_like(array)
        for place in np.ndindex(array.shape):
            ends = []
            for move in (step, -step):
                moved = [each.copy() for each in arrays]
                moved[number][place] += move
                ends.append(loss(*moved))
            slope[place] = (ends[0] - ends[1]) / (2 * step)
        slopes.append(slope)
    return slopes


def draw_heads(
    generator: np.random.Generator, d: int, heads: int, d_head: int, dtype: str = "float64"
) -> HeadWeights:
    sizes = [(d, heads, d_head), (heads, d_head)] * 3 + [(heads, d_head, d), (d,)]
    return HeadWeights(*[generator.normal(size=size).astype(dtype) / 2 for size in sizes])


def draw_block(generator: np.random.Generator, d: int, heads: int, hidden: int) -> BlockWeights:
    norms = [generator.normal(size=d) for _ in range(4)]
    sizes = [(d, hidden), (hidden,), (hidden, d), (d,)]
    return BlockWeights(
        *norms[:2],
        draw_heads(generator, d, heads, d // heads),
        *norms[2:],
        *[generator.normal(size=size) for size in sizes],
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@few
@given(shape=shapes, seed=seeds, causal=st.booleans())
def test_multi_head_equals_keras_forwards_and_backwards(
    dtype: str, shape: tuple[int, int, int, int], seed: int, causal: bool
) -> None:
    batch, n, heads, d_head = shape
    d = heads * d_head
    generator = np.random.default_rng(seed)
    x, direct = generator.normal(size=(2, batch, n, d)).astype(dtype)
    weights = draw_heads(generator, d, heads, d_head, dtype)
    mask = causal_mask(n) if causal else None
    layer = keras.layers.MultiHeadAttention(heads, d_head, dtype=dtype)
    layer.build(x.shape, x.shape)
    layer.set_weights(weights)
    tensor = tf.Variable(x)
    with tf.GradientTape() as tape:
        theirs, maps = layer(tensor, tensor, use_causal_mask=causal, return_attention_scores=True)
        loss = tf.reduce_sum(theirs * direct)
    wanted = tape.gradient(loss, [tensor, *layer.trainable_variables])

    ours = multi_head(x, weights, mask)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(head_weights(x, weights, mask), maps, atol=1e-5)
    by_x, by_weights = multi_head_backward(direct, x, weights, mask)
    for mine, its in zip([by_x, *by_weights], wanted, strict=True):
        assert mine.dtype == dtype
        scale = max(1, np.abs(its).max())
        np.testing.assert_allclose(mine / scale, its / scale, atol=1e-5)


@pytest.mark.parametrize("name", MASKS)
def test_every_mask_equals_keras_s(name: str) -> None:
    mask = MASKS[name]
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, 4, 6)).astype("float32")
    weights = draw_heads(generator, 6, 2, 3, "float32")
    layer = keras.layers.MultiHeadAttention(2, 3)
    layer.build(x.shape, x.shape)
    layer.set_weights(weights)
    whole = None if mask is None else np.broadcast_to(mask, (2, 4, 4))
    np.testing.assert_allclose(
        multi_head(x, weights, mask), layer(x, x, attention_mask=whole), atol=1e-5
    )


@pytest.mark.parametrize("name", MASKS)
def test_attention_against_central_differences(name: str) -> None:
    mask = MASKS[name]
    generator = np.random.default_rng(1)
    q, k, v = generator.normal(size=(3, 2, 4, 3))
    direct = generator.normal(size=v.shape)
    found = attention_backward(direct, q, k, v, mask)
    wanted = central(lambda *each: (direct * attention(*each, mask)).sum(), [q, k, v])
    for mine, its in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-8)


def test_layer_norm_equals_keras_and_its_gradient_central_differences() -> None:
    generator = np.random.default_rng(2)
    x, direct = generator.normal(size=(2, 2, 3, 4)) * 3 + 1
    scale, shift = generator.normal(size=(2, 4))
    layer = keras.layers.LayerNormalization(dtype="float64")
    layer.build(x.shape)
    layer.set_weights([scale, shift])
    np.testing.assert_allclose(layer_norm(x, scale, shift), layer(x), atol=1e-9)
    found = layer_norm_backward(direct, x, scale)
    wanted = central(lambda *each: (direct * layer_norm(*each)).sum(), [x, scale, shift])
    for mine, its in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-7)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_block_against_central_differences(activation: str) -> None:
    generator = np.random.default_rng(3)
    x, direct = generator.normal(size=(2, 2, 3, 4))
    weights = draw_block(generator, 4, 2, 5)
    mask = causal_mask(3)

    def flat(each: BlockWeights) -> list[np.ndarray]:
        return [*each[:2], *each.heads, *each[3:]]

    def loss(x: np.ndarray, *arrays: np.ndarray) -> float:
        moved = BlockWeights(*arrays[:2], HeadWeights(*arrays[2:10]), *arrays[10:])
        return float((direct * block(x, moved, mask, activation)).sum())

    by_x, by_weights = block_backward(direct, x, weights, mask, activation)
    wanted = central(loss, [x, *flat(weights)])
    for mine, its in zip([by_x, *flat(by_weights)], wanted, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-7)


@pytest.mark.parametrize("causal", [False, True])
def test_block_equals_the_encoder_s(causal: bool) -> None:
    generator = np.random.default_rng(4)
    x, direct = generator.normal(size=(2, 2, 4, 6)).astype("float32")
    inputs = keras.Input((None, 6))
    model = keras.Model(
        inputs, transformer_block(inputs, heads=2, hidden=8, causal=causal, activation="relu")
    )
    weights = draw_block(generator, 6, 2, 8)
    arrays = [*weights[:2], *weights.heads, *weights[3:]]
    model.set_weights(arrays)
    tensor = tf.Variable(x)
    with tf.GradientTape() as tape:
        theirs = model(tensor)
        loss = tf.reduce_sum(theirs * direct)
    wanted = tape.gradient(loss, [tensor, *model.trainable_variables])
    mask = causal_mask(4) if causal else None
    wide = x.astype("float64")
    np.testing.assert_allclose(block(wide, weights, mask), theirs, atol=1e-4)
    by_x, by = block_backward(direct.astype("float64"), wide, weights, mask)
    for mine, its in zip([by_x, *by[:2], *by.heads, *by[3:]], wanted, strict=True):
        scale = max(1, np.abs(its).max())
        np.testing.assert_allclose(mine / scale, its / scale, atol=1e-4)


@given(shape=shapes, seed=seeds)
@few
def test_weights_are_shares_and_masked_words_have_none(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    batch, n, heads, d_head = shape
    generator = np.random.default_rng(seed)
    q, k = generator.normal(size=(2, batch, heads, n, d_head)) * 100
    weights = attention_weights(q, k, causal_mask(n))
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-12)
    assert not weights[..., ~causal_mask(n)].any()


def test_who_may_look_nowhere_gets_nothing_and_learns_nothing() -> None:
    q = k = v = np.ones((1, 2, 3))
    nowhere = np.array([[False, False], [True, True]])
    assert not attention(q, k, v, nowhere)[0, 0].any()
    by_q, *_ = attention_backward(np.ones_like(v), q, k, v, nowhere)
    assert np.isfinite(by_q).all() and not by_q[0, 0].any()


def test_a_later_word_changes_nothing_before_it() -> None:
    generator = np.random.default_rng(5)
    x = generator.normal(size=(1, 5, 4))
    weights = draw_block(generator, 4, 2, 6)
    other = x.copy()
    other[:, 3, 0] += 1
    one, two = (block(each, weights, causal_mask(5)) for each in (x, other))
    np.testing.assert_array_equal(one[:, :3], two[:, :3])
    assert (np.abs(one - two)[:, 3:].max(axis=-1) > 1e-3).all()


def test_without_positions_the_order_of_words_is_lost() -> None:
    generator = np.random.default_rng(6)
    x = generator.normal(size=(1, 5, 4))
    weights = draw_block(generator, 4, 2, 6)
    order = generator.permutation(5)
    np.testing.assert_allclose(block(x[:, order], weights), block(x, weights)[:, order], atol=1e-12)
    placed = x + sinusoids(5, 4)
    moved = x[:, order] + sinusoids(5, 4)
    assert np.abs(block(moved, weights) - block(placed, weights)[:, order]).max() > 0.1


def test_sinusoids_depend_on_the_distance_only() -> None:
    positions = sinusoids(60, 16).astype("float64")
    products = positions @ positions.T
    for distance in (1, 7, 20):
        along = np.diagonal(products, distance)
        np.testing.assert_allclose(along, along[0], atol=1e-5)


def test_errors_say_what_does_not_fit() -> None:
    weights = draw_heads(np.random.default_rng(0), 6, 2, 3)
    with pytest.raises(ValueError, match=r"x is \(2, 4, 5\); it must be \(batch, words, 6\)"):
        multi_head(np.zeros((2, 4, 5)), weights)
    with pytest.raises(ValueError, match="last axes must have the same length"):
        attention_weights(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="d is 5"):
        sinusoids(3, 5)

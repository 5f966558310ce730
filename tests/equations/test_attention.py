"""Attention equals Keras's, forwards and backwards, and its gradients are differences."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtutorial.equations.attention import (
    BlockWeights,
    HeadWeights,
    attention_weights,
    block,
    block_backward,
    causal_mask,
    head_weights,
    layer_norm,
    multi_head,
    multi_head_backward,
    padding_mask,
    sinusoids,
)

D, HEADS, SIZE, WORDS = 6, 2, 3, 5
MASKS = {
    "none": None,
    "causal": causal_mask(WORDS),
    "padding": padding_mask(np.array([[3, 4, 5, 0, 0], [3, 4, 5, 6, 7]])),
    "both": causal_mask(WORDS) & padding_mask(np.array([[3, 4, 5, 0, 0], [3, 4, 5, 6, 7]])),
}


@pytest.fixture
def words() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, WORDS, D))


def heads_of(generator: np.random.Generator) -> HeadWeights:
    shapes = [(D, HEADS, SIZE), (HEADS, SIZE)] * 3 + [(HEADS, SIZE, D), (D,)]
    return HeadWeights(*(generator.normal(0, 0.5, shape) for shape in shapes))


def block_of(generator: np.random.Generator) -> BlockWeights:
    def draw(*shape: int) -> np.ndarray:
        return generator.normal(0, 0.5, shape)

    heads = heads_of(generator)
    return BlockWeights(
        1 + draw(D), draw(D), heads, 1 + draw(D), draw(D), draw(D, 8), draw(8), draw(8, D), draw(D)
    )


@pytest.mark.parametrize("name", MASKS)
def test_several_heads_equal_keras_forwards_and_backwards(name: str, words: np.ndarray) -> None:
    mask, x = MASKS[name], words.astype("float32")
    layer = keras.layers.MultiHeadAttention(HEADS, SIZE)
    layer.build(x.shape, x.shape)
    layer.set_weights(list(heads_of(np.random.default_rng(1))))
    weights = HeadWeights(*layer.get_weights())
    given, out_gradient = tf.Variable(x), np.random.default_rng(2).standard_normal(x.shape)
    every = None if mask is None else np.broadcast_to(mask, (2, WORDS, WORDS))
    with tf.GradientTape() as tape:
        expected, maps = layer(given, given, attention_mask=every, return_attention_scores=True)
        loss = tf.reduce_sum(expected * out_gradient.astype("float32"))
    by_x, *by_weights = tape.gradient(loss, [given, *layer.trainable_variables])
    np.testing.assert_allclose(multi_head(x, weights, mask), expected, atol=1e-5)
    np.testing.assert_allclose(head_weights(x, weights, mask), maps, atol=1e-5)
    ours_x, ours = multi_head_backward(out_gradient.astype("float32"), x, weights, mask)
    np.testing.assert_allclose(ours_x, by_x, atol=1e-5)
    for mine, theirs in zip(ours, by_weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def difference(loss, array: np.ndarray, place: tuple[int, ...]) -> float:
    """Central difference of a loss by one entry of an array, which is put back."""
    kept, step = array[place], 1e-5
    array[place] = kept + step
    above = loss()
    array[place] = kept - step
    below = loss()
    array[place] = kept
    return (above - below) / (2 * step)


@pytest.mark.parametrize("name", MASKS)
def test_gradients_of_a_block_are_differences(name: str, words: np.ndarray) -> None:
    generator = np.random.default_rng(3)
    weights, mask = block_of(generator), MASKS[name]
    towards = generator.standard_normal(words.shape)

    def loss() -> float:
        return float((block(words, weights, mask, "tanh") * towards).sum())

    by_x, by_weights = block_backward(towards, words, weights, mask, "tanh")
    pairs = [(words, by_x)]
    for given, gradient in zip(weights, by_weights, strict=True):
        if isinstance(given, HeadWeights):
            pairs += zip(given, gradient, strict=True)
        else:
            pairs.append((given, gradient))
    assert len(pairs) == 17
    for array, gradient in pairs:
        for _ in range(4):
            place = tuple(int(generator.integers(n)) for n in array.shape)
            assert gradient[place] == pytest.approx(difference(loss, array, place), abs=1e-6)


def test_normalisation_equals_keras(words: np.ndarray) -> None:
    layer = keras.layers.LayerNormalization()
    layer.build(words.shape)
    scale, shift = np.arange(1.0, 7.0), np.arange(6.0)
    layer.set_weights([scale, shift])
    x = words.astype("float32")
    np.testing.assert_allclose(layer_norm(x, scale, shift), layer(x), atol=1e-5)


def test_a_word_sees_nothing_after_it_and_no_padding(words: np.ndarray) -> None:
    weights = heads_of(np.random.default_rng(4))
    before = multi_head(words, weights, causal_mask(WORDS))
    later = words.copy()
    later[:, 3:] += 1
    after = multi_head(later, weights, causal_mask(WORDS))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert not np.allclose(before[:, 3:], after[:, 3:])
    padded = multi_head(words, weights, MASKS["padding"])
    np.testing.assert_allclose(padded[:1, :3], multi_head(words[:1, :3], weights), atol=1e-12)


def test_who_may_look_nowhere_has_no_weights() -> None:
    found = attention_weights(np.ones((1, 2)), np.ones((3, 2)), np.zeros((1, 3), dtype=bool))
    np.testing.assert_array_equal(found, np.zeros((1, 3)))


def test_a_step_in_position_is_the_same_rotation_everywhere() -> None:
    sines, cosines = sinusoids(40, 8)[:, ::2], sinusoids(40, 8)[:, 1::2]
    angles = 3 / 10_000 ** (np.arange(0, 8, 2) / 8)
    turned = sines * np.cos(angles) + cosines * np.sin(angles)
    np.testing.assert_allclose(turned[:-3], sines[3:], atol=1e-5)
    assert len(np.unique(sinusoids(40, 8).round(4), axis=0)) == 40


def test_faults_are_named() -> None:
    with pytest.raises(ValueError, match="last axes must have the same length"):
        attention_weights(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"must be \(batch, words, 6\)"):
        multi_head(np.ones((2, 6)), heads_of(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="even number"):
        sinusoids(3, 5)

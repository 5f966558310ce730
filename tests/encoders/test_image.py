"""The image encoder: shapes, equality with our own equations, learning, saving."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtutorial.encoders.image import image_encoder
from mmtutorial.equations.convolution import conv2d, dense, max_pool


@pytest.mark.parametrize("size", [(32, 32, 3, 64), (9, 14, 1, 5), (1, 1, 4, 2)])
def test_any_picture_becomes_a_vector(size: tuple[int, int, int, int]) -> None:
    *picture, units = size
    encoder = image_encoder(*picture, units)
    vectors = encoder(np.zeros((3, *picture), "float32"))
    assert vectors.shape == (3, units)
    assert vectors.dtype == "float32"


def test_it_is_what_the_equations_say() -> None:
    keras.utils.set_random_seed(3)
    encoder = image_encoder(21, 18, 3, units=7)
    pictures = np.random.default_rng(0).random((4, 21, 18, 3)).astype("float32")
    x = 2 * pictures - 1
    for number in (1, 2, 3):
        kernel, bias = encoder.get_layer(f"convolution_{number}").get_weights()
        x = max_pool(conv2d(x, kernel, bias, 1, "same", "relu"), 2, 2, "same")
    ours = dense(x.reshape(4, -1), *encoder.get_layer("vector").get_weights())
    np.testing.assert_allclose(ours, encoder(pictures), atol=1e-5)


def test_it_learns_to_tell_stripes_apart() -> None:
    """Two classes that no single pixel tells: stripes across, stripes down, at any place."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    lines = (np.arange(12) // 2 + generator.integers(0, 2, (300, 1))) % 2  # (300, 12)
    label = generator.integers(0, 2, 300)
    pictures = np.where(label[:, None, None], lines[:, :, None], lines[:, None, :])
    pictures = 0.3 * pictures[..., None] + 0.7 * generator.random((300, 12, 12, 1))
    network = keras.Sequential([image_encoder(12, 12, 1, 8), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    network.fit(pictures[:200], label[:200], epochs=8, verbose=0)
    assert network.evaluate(pictures[200:], label[200:], verbose=0)[1] > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    def weights(seed: int) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        return image_encoder(8, 8, 3, 4).get_weights()[0]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_it_can_be_saved(tmp_path: Path) -> None:
    encoder = image_encoder(8, 8, 3, 4)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    pictures = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(encoder(pictures), again(pictures))


@pytest.mark.parametrize("argument", ["height", "width", "channels", "units"])
def test_sizes_are_checked(argument: str) -> None:
    sizes = {"height": 8, "width": 8, "channels": 3, "units": 4} | {argument: 0}
    with pytest.raises(ValueError, match=f"{argument} is 0"):
        image_encoder(**sizes)

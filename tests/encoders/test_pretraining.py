"""The article's encoders learn on their own media, from the items that may be learnt from alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import shop
from mmtutorial.encoders import pretraining
from mmtutorial.encoders.pretraining import UNITS, article_features, pretrained

N, KNOWN = 24, 16
KINDS = ("text", "image", "audio")


def media(seed: int = 0) -> dict[str, np.ndarray]:
    """Draw small media of two kinds of items; the first item lacks everything."""
    generator = np.random.default_rng(seed)
    kind = np.arange(N) % 2
    text = generator.integers(4, 8, (N, 6), dtype=np.int32) + 4 * kind[:, None].astype(np.int32)
    text[:, :2] = 0
    image = 0.2 * generator.random((N, 8, 8, 3)) + 0.6 * kind[:, None, None, None]
    audio = generator.normal(size=(N, 5, 4)) + 2.0 * kind[:, None, None]
    arrays = {"text": text, "image": image.astype("float32"), "audio": audio.astype("float32")}
    for array in arrays.values():
        array[0] = 0
    return arrays


@pytest.fixture(autouse=True)
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    monkeypatch.setattr(pretraining, "EPOCHS", dict.fromkeys(KINDS, 3))


@pytest.fixture
def known() -> np.ndarray:
    return np.arange(N) < KNOWN


def afresh(folder: Path, name: str, array: np.ndarray, known: np.ndarray, seed: int = 0):
    """Train in an empty cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTUTORIAL_CACHE", str(folder))
        return pretrained(name, array, known, seed)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(
    name: str, known: np.ndarray, tmp_path: Path
) -> None:
    array = media()[name]
    found = afresh(tmp_path / "a", name, array, known)
    assert found.shape == (N, UNITS) and found.dtype == np.float32 and not found[0].any()
    varies = found[1:KNOWN].std(axis=0) > 0
    np.testing.assert_allclose(found[1:KNOWN].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found[1:KNOWN, varies].std(axis=0), 1, atol=1e-4)
    assert varies.any()
    np.testing.assert_array_equal(afresh(tmp_path / "b", name, array, known), found)
    assert not np.allclose(afresh(tmp_path / "c", name, array, known, seed=1), found)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_learnt_from_items_held_out(
    name: str, known: np.ndarray, tmp_path: Path
) -> None:
    array, other = media()[name], media(seed=1)[name]
    found = afresh(tmp_path / "a", name, array, known)
    order = np.r_[np.arange(KNOWN), np.random.default_rng(2).permutation(np.arange(KNOWN, N))]
    permuted = afresh(tmp_path / "b", name, array[order], known)
    np.testing.assert_allclose(permuted, found[order], atol=1e-5)
    changed = np.where(known.reshape(-1, *[1] * (array.ndim - 1)), array, other)
    if name == "text":
        changed[KNOWN:] += 90  # words that nobody has learnt
    replaced = afresh(tmp_path / "c", name, changed, known)
    np.testing.assert_allclose(replaced[:KNOWN], found[:KNOWN], atol=1e-5)
    assert not np.allclose(replaced[KNOWN:], found[KNOWN:])
    if name != "text":  # and the known ones do matter
        array = array.copy()
        array[1:KNOWN] = other[1:KNOWN]
        assert not np.allclose(afresh(tmp_path / "d", name, array, known)[KNOWN:], found[KNOWN:])


def test_training_takes_vectors_further_than_first_weights(
    known: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: dict[str, list[float]] = {}
    fit = pretraining.keras.Model.fit

    def kept(self, *given, **options):
        history = fit(self, *given, **options)
        losses[self.name.partition("_")[0]] = history.history["loss"]
        return history

    monkeypatch.setattr(pretraining, "EPOCHS", dict.fromkeys(KINDS, 25))
    monkeypatch.setattr(pretraining.keras.Model, "fit", kept)
    for name, array in media().items():
        pretrained(name, array, known)
        (loss,) = losses.values()
        losses.clear()
        assert loss[-1] < 0.9 * loss[0]


def test_what_was_learnt_is_kept(known: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    array = media()["audio"]
    found = pretrained("audio", array, known)
    monkeypatch.setattr(pretraining, "_contrast", None)
    np.testing.assert_array_equal(pretrained("audio", array, known), found)
    with pytest.raises(TypeError, match="not callable"):  # other media are another key
        pretrained("audio", array + 1, known)
    with pytest.raises(TypeError, match="not callable"):
        pretrained("audio", array, known, seed=1)


def test_a_modality_of_one_item_is_refused() -> None:
    with pytest.raises(ValueError, match="1 items to learn from have image"):
        pretrained("image", media()["image"], np.arange(N) == 3)


def test_a_catalogue_is_read_from_its_raw_media() -> None:
    data = shop(n_items=40, n_users=30)
    found = article_features(data, np.arange(40) < 30)
    assert {name: array.shape for name, array in found.items()} == dict.fromkeys(KINDS, (40, UNITS))
    absent = data.items["image"].eq("").to_numpy()
    np.testing.assert_array_equal(~found["image"].any(axis=1), absent)

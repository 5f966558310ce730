"""The article's encoders learn on their own media, from the items that may be learnt from alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmtutorial.encoders import pretraining
from mmtutorial.encoders.pretraining import UNITS, pretrained

pytestmark = pytest.mark.usefixtures("eager")

N, KNOWN = 24, 16
KINDS = ("text", "image", "audio")


def media(seed: int = 0) -> dict[str, np.ndarray]:
    """Draw small media, each item's about something of its own; the first item lacks everything."""
    generator = np.random.default_rng(seed)
    kind = np.arange(N) % 2
    text = generator.integers(4, 8, (N, 6), dtype=np.int32) + 4 * kind[:, None].astype(np.int32)
    text[:, :2] = 0
    image = 0.2 * generator.random((N, 8, 8, 3)) + 0.8 * generator.random((N, 1, 1, 3))
    audio = 0.5 * generator.normal(size=(N, 5, 4)) + 2.0 * generator.normal(size=(N, 1, 4))
    arrays = {"text": text, "image": image.astype("float32"), "audio": audio.astype("float32")}
    for array in arrays.values():
        array[0] = 0
    return arrays


@pytest.fixture(autouse=True)
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    monkeypatch.setattr(pretraining, "EPOCHS", dict.fromkeys(KINDS, 1))


@pytest.fixture
def known() -> np.ndarray:
    return np.arange(N) < KNOWN


def afresh(folder: Path, name: str, array: np.ndarray, known: np.ndarray, seed: int = 0):
    """Train in an empty cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTUTORIAL_CACHE", str(folder))
        return pretrained(name, array, known, seed)


@pytest.mark.parametrize("name", KINDS)
def test_the_vectors_depend_on_the_seed_and_on_the_items_learnt_from_alone(
    name: str, known: np.ndarray, tmp_path: Path
) -> None:
    array = media()[name]
    found = afresh(tmp_path / "a", name, array, known)
    assert found.shape == (N, UNITS) and found.dtype == np.float32 and not found[0].any()
    varies = found[1:KNOWN].std(axis=0) > 0
    np.testing.assert_allclose(found[1:KNOWN].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found[1:KNOWN, varies].std(axis=0), 1, atol=1e-4)
    assert varies.any()
    order = np.r_[np.arange(KNOWN), np.arange(KNOWN, N)[::-1]]
    permuted = afresh(tmp_path / "b", name, array[order], known)
    np.testing.assert_array_equal(permuted, found[order])
    other = array.copy()
    other[KNOWN:] = media(seed=1)[name][KNOWN:]
    if name == "text":
        other[KNOWN:] += 90  # words that nobody has learnt
    replaced = afresh(tmp_path / "c", name, other, known)
    np.testing.assert_array_equal(replaced[:KNOWN], found[:KNOWN])
    assert not np.allclose(replaced[KNOWN:], found[KNOWN:])
    assert not np.allclose(afresh(tmp_path / "d", name, array, known, seed=1), found)


def test_training_lowers_the_loss(known: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[list[float]] = []
    fit = pretraining.keras.Model.fit

    def kept(self, *given, **options):
        history = fit(self, *given, **options)
        losses.append(history.history["loss"])
        return history

    monkeypatch.setattr(pretraining, "EPOCHS", dict.fromkeys(KINDS, 12))
    monkeypatch.setattr(pretraining.keras.Model, "fit", kept)
    for name, array in media().items():
        pretrained(name, array, known)
        loss = losses.pop()
        assert np.mean(loss[-3:]) < 0.9 * np.mean(loss[:3]), name


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

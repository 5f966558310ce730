"""MiniLM reads a catalogue once; a stand-in of its size reads here, which needs no weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmtutorial as mm
from mmtutorial.datasets import Dataset, shop
from mmtutorial.encoders import transformer
from mmtutorial.encoders.item_texts import PIECES, minilm_features

READ: list[list[str]] = []


class Reader:
    """Two numbers of each text."""

    def encode(self, texts: list[str], length: int) -> np.ndarray:
        READ.append(list(texts))
        assert length == PIECES
        return np.array([[len(text), text.count("a")] for text in texts], dtype=np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    monkeypatch.setattr(transformer, "MiniLM", Reader)
    READ.clear()


def catalogue(*texts: str) -> Dataset:
    items = pd.DataFrame(
        {"item": [f"i{n}" for n in range(len(texts))], "title": "A (1999)", "text": texts}
    )
    taken = pd.DataFrame({"user": ["u"], "item": ["i0"], "timestamp": [1]})
    return Dataset("tiny", items, taken, ".")


def test_titles_are_read_once_and_absent_texts_stay_zero() -> None:
    data = catalogue("A (1999). Drama", "a banana", "", "more")
    known = np.array([True, True, True, False])
    found = minilm_features(data, known)
    assert READ == [["A (1999). Drama", "A (1999). a banana", "A (1999). more"]]
    assert found.shape == (4, 2) and not found[2].any()
    np.testing.assert_allclose(found[:2].mean(axis=0), 0, atol=1e-6)  # of the known ones
    np.testing.assert_allclose(found[:2].std(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(minilm_features(data, known), found)
    assert len(READ) == 1  # from the cache
    minilm_features(catalogue("another"), known[:1])
    assert len(READ) == 2


def test_the_front_door_offers_it() -> None:
    data = shop(n_items=40, n_users=30)
    split = mm.split(data)
    found, counted = mm.features(data, split, text="minilm"), mm.features(data, split)
    assert found["text"].shape == (40, 2) and len(READ) == 1
    np.testing.assert_array_equal(found["image"], counted["image"])
    with pytest.raises(ValueError, match="text is 'bert'"):
        mm.features(data, split, text="bert")

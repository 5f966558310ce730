"""The whole catalogue as arrays: what is absent is a row of zeros, and what is cold teaches nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import Dataset, shop
from mmtutorial.preprocessing.features import raw_features, ready_features, tag_weights


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop(n_items=60, n_users=30, missing={"text": 0.1, "image": 0.1, "audio": 0.1})


@pytest.mark.parametrize("encode", [raw_features, ready_features])
def test_a_row_of_zeros_is_an_absent_modality_and_nothing_else_is(data: Dataset, encode) -> None:
    features, faults = encode(data, np.ones(60, bool))
    assert not faults
    assert list(features) == ["text", "image", "audio"]
    for column, array in enumerate(features.values()):
        np.testing.assert_array_equal(array.reshape(60, -1).any(axis=1), data.present()[:, column])


def test_ready_features_are_standardised_over_the_known_items(data: Dataset) -> None:
    known = np.arange(60) < 40
    features, _ = ready_features(data, known)
    for column, array in enumerate(features.values()):
        seen = array[known & data.present()[:, column]]
        np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(seen.std(axis=0).max(), 1, atol=1e-3)


def test_a_cold_items_words_are_not_in_the_vocabulary(data: Dataset) -> None:
    items = data.items.copy()
    items.loc[items.index[-1], "text"] = "xylophonic xylophonic"
    changed = replace(data, items=items)
    known = np.arange(60) < 59
    words = raw_features(changed, known, ["text"])[0]["text"]
    assert set(words[-1][words[-1] > 0]) == {1}  # the number of unknown words
    assert raw_features(changed, ~known, ["text"])[0]["text"][-1].max() > 1


def test_features_that_a_data_set_brings_are_taken_and_its_tags_come_beside_them(
    data: Dataset,
) -> None:
    items = data.items.assign(text=["rock, live"] * 30 + ["live, slow"] * 30, image="", audio="")
    given = np.arange(120, dtype=np.float32).reshape(60, 2) + 1
    tagged = replace(data, items=items, features={"text": given})
    features, _ = ready_features(tagged, np.ones(60, bool))
    assert list(features) == ["text", "words"]
    assert features["text"].shape == (60, 2)
    assert tag_weights(tagged).shape == (60, 3)
    assert pd.Series(map(tuple, features["words"].round(3))).nunique() == 2


def test_no_medium_at_all_gives_no_features(data: Dataset) -> None:
    bare = replace(data, items=data.items.assign(text="", image="", audio=""))
    assert ready_features(bare, np.ones(60, bool)) == ({}, [])

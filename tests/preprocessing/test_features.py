"""The whole catalogue as arrays: what is absent is a row of zeros, and what is cold teaches nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import Dataset, shop
from mmtutorial.preprocessing.features import (
    fitted_features,
    raw_features,
    ready_features,
    tag_weights,
)


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


def described(data: Dataset, texts: list[str]) -> Dataset:
    """Give the first items these texts, and the others none."""
    texts = texts + [""] * (data.n_items - len(texts))
    return replace(data, items=data.items.assign(text=texts, image="", audio=""))


@pytest.mark.parametrize("colours", ["shared", "each its own"])
def test_descriptions_with_commas_are_read_as_words(data: Dataset, colours: str) -> None:
    fabrics, garments = ["cotton", "wool", "linen", "silk"], ["hoodie", "shirt", "skirt", "coat"]
    texts = [
        f"Premium {fabrics[row % 4]} {garments[row // 10]} {row}, "
        + ("navy, large" if colours == "shared" else f"navy {row}, size {row}")
        for row in range(40)
    ]
    features, faults = ready_features(described(data, texts), np.ones(60, bool))
    assert features["text"][:40].any(axis=1).all()
    assert not features["text"][40:].any()
    (note,) = faults
    share = "67%" if colours == "shared" else "0%"
    assert note.note and str(note) == (
        "note: items.csv: the texts are read word by word, not as lists of tags, since "
        f'{share} of what stands between commas is on another item too; give text="tags" if that is '
        "wrong"
    )
    same, faults = ready_features(described(data, texts), np.ones(60, bool), text="words")
    assert not faults
    np.testing.assert_array_equal(same["text"], features["text"])
    if colours == "each its own":
        left, faults = ready_features(described(data, texts), np.ones(60, bool), text="tags")
        assert not left and "too little text" in faults[0].message


def test_lists_of_tags_are_read_as_tags_and_that_is_noted(data: Dataset) -> None:
    tagged = described(data, ["gothic rock, live"] * 30 + ["live, slow"] * 30)
    features, (note,) = ready_features(tagged, np.ones(60, bool))
    assert note.note and "as lists of tags, since 100% of" in note.message
    assert note.remedy == 'give text="words" if that is wrong'
    asked, faults = ready_features(tagged, np.ones(60, bool), text="tags")
    assert not faults
    np.testing.assert_array_equal(asked["text"], features["text"])
    raw, (note,) = raw_features(tagged, np.ones(60, bool))
    assert note.note and "word by word, though they look like lists of tags" in note.message
    assert (raw["text"][0] > 0).sum() == 3  # gothic, rock, live
    raw, faults = raw_features(tagged, np.ones(60, bool), text="tags")
    assert not faults
    assert (raw["text"][0] > 0).sum() == 2  # gothic rock, live


@pytest.mark.parametrize("encode", [raw_features, ready_features])
def test_another_reading_of_texts_is_refused(data: Dataset, encode) -> None:
    with pytest.raises(ValueError, match="text is 'letters'; it is one of auto, words, tags"):
        encode(data, np.ones(60, bool), text="letters")


def test_media_that_were_not_altered_are_encoded_as_the_catalogue_was(data: Dataset) -> None:
    known = np.arange(60) % 3 > 0
    found = fitted_features(data, known)
    assert set(found.encode) == set(found.media) == {"text", "image", "audio"}
    for name, encode in found.encode.items():
        there = np.flatnonzero(found.features[name].any(axis=1))[:9]
        media = found.media[name]
        again = encode([media[row] for row in there] if name == "text" else media[there])
        assert again.dtype == np.float32
        np.testing.assert_allclose(again, found.features[name][there], atol=2e-3)


def test_a_word_less_changes_a_text_and_a_text_without_known_words_is_the_same_as_an_empty_one(
    data: Dataset,
) -> None:
    found = fitted_features(data, np.ones(60, bool))
    tokens = found.media["text"][0]
    whole, less, unknown, empty = found.encode["text"]([tokens, tokens[1:], ["qqq"], []])
    assert np.abs(whole - less).max() > 1e-3
    np.testing.assert_array_equal(unknown, empty)

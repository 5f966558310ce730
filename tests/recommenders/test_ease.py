"""EASE: what it chooses on the validation part, and new items as if they had been there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from mmtutorial.evaluation import leave_last_out
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import EASE, Recommender
from mmtutorial.recommenders.ease import search
from mmtutorial.recommenders.validation import quality
from tests.recommenders.test_item_to_item import interactions, ridge

SPLIT = leave_last_out(
    Interactions.of(
        [
            (f"u{u:02d}", f"i{i:02d}", time)
            for u in range(30)
            for time, i in enumerate(np.random.default_rng(u).permutation(12)[: 5 + u % 3])
        ]
    )
)
TASTES = {
    "text": np.random.default_rng(7).standard_normal((12, 4)),
    "audio": sparse.csr_array(np.random.default_rng(8).random((12, 5)) > 0.6).astype(float),
}
EVERYONE = np.arange(30)


@pytest.mark.parametrize("user_exponent", [0.0, 0.7])
def test_new_items_score_as_if_each_had_been_there_untaken(
    user_exponent: float, tmp_path: Path
) -> None:
    generator = np.random.default_rng(3)
    taken = generator.random((9, 8)) < 0.4
    taken[:, -1] = False  # the new item
    taken[4] = False  # a user of whom nothing is known
    text = generator.standard_normal((8, 3))
    audio = generator.random((8, 4)) * (generator.random((8, 4)) < 0.6)

    def fitted(n_items: int) -> EASE:
        content = {"text": text[:n_items], "audio": sparse.csr_array(audio[:n_items])}
        model = EASE(3.0, {"text": 2.0, "audio": 0.5}, user_exponent=user_exponent)
        return model.fit(interactions(taken[:, :n_items]), content)

    model, refitted, users = fitted(7), fitted(8), np.arange(9)
    new = {"text": text[7:], "audio": audio[7:], "image": audio}
    found = model.score_new_items(users, new)
    assert found.shape == (9, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, refitted.score(users, [7]), rtol=1e-3, atol=1e-6)
    several = {name: np.vstack([array, array[:1] * -3]) for name, array in new.items()}
    np.testing.assert_allclose(model.score_new_items([2], several)[:, :1], found[[2]], rtol=1e-5)
    loaded = Recommender.load(model.save(tmp_path / "ease"))
    assert isinstance(loaded, EASE)
    np.testing.assert_allclose(loaded.score_new_items(users, new), found, rtol=1e-5, atol=1e-7)
    assert loaded.chosen == model.chosen


def test_new_items_are_refused_where_nothing_is_known_of_them() -> None:
    train = interactions(np.eye(3, dtype=bool))
    text = {"text": np.ones((3, 2))}
    with pytest.raises(RuntimeError, match="has not been fitted"):
        EASE().score_new_items([0], text)
    with pytest.raises(ValueError, match="give content a weight"):
        EASE().fit(train, text).score_new_items([0], text)
    model = EASE(content_weight=1.0).fit(train, text)
    for features, message in (
        ({}, r"new items need the features \['text'\] too"),
        ({"text": [[1.0, 2.0, 3.0]]}, "has shape .*as many numbers as in fit, 2"),
        ({"text": [[1.0, np.nan]]}, r"features\['text'\] holds NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            model.score_new_items([0], features)
    with pytest.raises(ValueError, match="unknown user row 3"):
        model.score_new_items([3], text)


def test_users_of_many_items_can_count_less() -> None:
    taken = np.random.default_rng(0).random((8, 6)) < np.linspace(0.2, 0.9, 8)[:, None]
    taken[:, 0] = True
    counts = taken.sum(axis=1)
    weights = counts**-0.6 * counts.sum() / (counts**0.4).sum()
    assert np.average(weights, weights=counts) == pytest.approx(1)
    expected = ridge(np.sqrt(weights)[:, None] * taken, 2.0)
    model = EASE(2.0, user_exponent=0.6).fit(interactions(taken))
    np.testing.assert_allclose(model._weights, expected, rtol=1e-3, atol=1e-5)


def test_the_best_of_what_was_tried_is_taken_and_nothing_better_was() -> None:
    model = EASE("validation", "validation", trials=9)
    model.fit(SPLIT.train, TASTES, SPLIT.validation)
    assert len(model.tried) == 9
    values, qualities = zip(*model.tried, strict=True)
    assert len({tuple(each.items()) for each in values}) == 9
    assert model.chosen == values[int(np.argmax(qualities))]
    assert max(qualities) > qualities[0]
    for tried, expected in (model.tried[0], model.tried[-1]):
        content = {name: weight for name, weight in tried.items() if name != "l2"}
        alone = EASE(tried["l2"], content).fit(SPLIT.train, TASTES)
        scores = alone.score(EVERYONE)
        found = quality(scores, SPLIT.train, SPLIT.validation, EVERYONE)
        assert found == pytest.approx(expected)
    np.testing.assert_allclose(
        model.score(EVERYONE),
        EASE(model.chosen["l2"], {n: model.chosen[n] for n in TASTES})
        .fit(SPLIT.train, TASTES)
        .score(EVERYONE),
        rtol=1e-5,
    )


def test_only_what_is_asked_for_is_chosen() -> None:
    def chosen(*options: object) -> dict[str, float]:
        model = EASE(*options, trials=4)  # type: ignore[arg-type]
        return model.fit(SPLIT.train, TASTES, SPLIT.validation).chosen

    assert chosen(7.0, "validation")["l2"] == 7.0
    assert chosen("validation", {"text": 3.0})["text"] == 3.0
    assert list(chosen("validation")) == ["l2"]
    with pytest.raises(ValueError, match="or give EASE numbers"):
        EASE("validation").fit(SPLIT.train)
    with pytest.raises(ValueError, match="reads the features of items"):
        EASE(content_weight="validation").fit(SPLIT.train, None, SPLIT.validation)
    with pytest.raises(ValueError, match="trials is 0"):
        EASE("validation", trials=0).fit(SPLIT.train, None, SPLIT.validation)


def test_the_search_turns_on_what_helps_and_leaves_the_rest_off() -> None:
    def measured(values: dict[str, float]) -> float:
        return -abs(np.log(values["l2"] / 400)) - abs(values["a"] - 30) / 40 - values["b"]

    best, tried = search(measured, {"l2": 100.0, "a": 0.0, "b": 0.0}, ["l2", "a", "b"], 30)
    assert best["l2"] == 400
    assert 20 < best["a"] < 45
    assert best["b"] == 0
    assert len(tried) <= 30

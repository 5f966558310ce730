"""A blend: standardised by hand, weights chosen on validation alone, saved with its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mmtutorial.interactions import Interactions
from mmtutorial.metrics import ndcg
from mmtutorial.recommenders import BPR, EASE, ItemKNN, Popularity, Random
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.blend import Blend, _simplex
from mmtutorial.recommenders.inputs import Features

N_USERS, N_ITEMS = 12, 15
USERS = [f"u{u:02d}" for u in range(N_USERS)]
ITEMS = [f"i{i:02d}" for i in range(N_ITEMS)]


class Told(Recommender):
    """Scores as it was told to."""

    def __init__(self, scores: Sequence[Sequence[float]], name: str = "told") -> None:
        self.scores, self.name = scores, name

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        self.given = (train, features, validation)

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.array(self.scores)[users]

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        pass


def parts() -> tuple[Interactions, Interactions]:
    """Every user takes one item in training, and one of the rest in validation."""
    later = [(user, ITEMS[1 + u], 9) for u, user in enumerate(USERS)]
    train = [(user, ITEMS[0], 1) for user in USERS] + [(USERS[0], ITEMS[14], 2)]
    return Interactions.of(train, USERS, ITEMS), Interactions.of(later, USERS, ITEMS)


TRAIN, VALIDATION = parts()
EVERYONE = np.arange(N_USERS)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N_USERS, N_ITEMS)).astype(np.float32)


def test_scores_are_standardised_and_added_up() -> None:
    one, two = noise(0) * 100 + 7, noise(1)
    blend = Blend([Told(one.tolist()), Told(two.tolist())], weights=(0.25, 2.0)).fit(TRAIN)
    expected = 0.25 * stats.zscore(one, axis=1) + 2.0 * stats.zscore(two, axis=1)
    found = blend.score(EVERYONE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(blend.score([3, 5], [2, 1]), found[[3, 5]][:, [2, 1]])


def test_a_part_to_which_all_items_are_equal_says_nothing() -> None:
    level, other = np.full((N_USERS, N_ITEMS), 0.1), noise(1)
    blend = Blend([Told(level.tolist()), Told(other.tolist())], weights=(5.0, 1.0)).fit(TRAIN)
    np.testing.assert_allclose(blend.score(EVERYONE), stats.zscore(other, axis=1), atol=1e-5)


def test_every_part_is_fitted_on_the_same() -> None:
    features = {"text": np.ones((N_ITEMS, 2))}
    told = [Told(noise(seed).tolist()) for seed in range(2)]
    Blend(told).fit(TRAIN, features, VALIDATION)
    for each in told:
        train, given, validation = each.given
        assert train is TRAIN
        assert validation is VALIDATION
        assert given["text"] is features["text"]


def test_the_weights_are_the_best_of_the_grid_on_validation() -> None:
    truth = VALIDATION.matrix.toarray()
    told = [
        Told((truth * strength + noise(s)).tolist()) for s, strength in ((1, 1.5), (2, 2), (3, 0))
    ]
    blend = Blend(told, step=0.25).fit(TRAIN, None, VALIDATION)

    def quality(weights: Sequence[float]) -> float:
        ranked = Blend(told, weights).fit(TRAIN).recommend(EVERYONE, k=10)
        return ndcg(ranked, VALIDATION.matrix).mean()

    grid = [(a / 4, b / 4, (4 - a - b) / 4) for a in range(5) for b in range(5 - a)]
    qualities = [quality(weights) for weights in grid]
    assert quality(blend.chosen.tolist()) == max(qualities)
    assert sum(each == max(qualities) for each in qualities) < len(grid)
    assert blend.chosen.sum() == pytest.approx(1)
    assert blend.weights is None  # what was asked for; the next fit chooses again


def test_equally_good_weights_prefer_the_first() -> None:
    same = noise(0).tolist()
    assert Blend([Told(same), Told(same)]).fit(TRAIN, None, VALIDATION).chosen.tolist() == [1, 0]


@pytest.mark.parametrize(("n_parts", "total", "count"), [(2, 10, 11), (3, 10, 66), (3, 4, 15)])
def test_the_grid_has_every_way_to_share_out(n_parts: int, total: int, count: int) -> None:
    grid = _simplex(n_parts, total)
    assert len(set(grid)) == len(grid) == count
    assert {sum(each) for each in grid} == {total}


@pytest.mark.parametrize("weights", [None, (0.5, 0.25, 0.25)])
def test_saved_and_loaded_it_scores_the_same_to_the_last_bit(
    weights: Sequence[float] | None, tmp_path: Path
) -> None:
    inner = Blend([Popularity(), Random(seed=1)], weights=[0.5, 0.5])
    bpr = BPR(dimensions=2, steps=4)
    before = Blend([ItemKNN(k=3), bpr, inner], weights).fit(TRAIN, None, VALIDATION)
    for _ in range(2):  # the second time over the first
        before.save(tmp_path / "blend")
    after = Recommender.load(tmp_path / "blend")
    assert isinstance(after, Blend)
    assert (
        after.name
        == before.name
        == (f"blend of item-kNN and {bpr.name} and blend of popularity and random")
    )
    np.testing.assert_array_equal(after.score(EVERYONE), before.score(EVERYONE))
    np.testing.assert_array_equal(after.recommend(EVERYONE), before.recommend(EVERYONE))
    np.testing.assert_array_equal(after.chosen, before.chosen)
    again = after.fit(TRAIN, None, VALIDATION)
    np.testing.assert_array_equal(again.score(EVERYONE), before.score(EVERYONE))
    again.save(tmp_path / "again")


def test_the_same_twice_is_the_same() -> None:
    def scores() -> np.ndarray:
        parts = [EASE(), Random(seed=2)]
        return Blend(parts).fit(TRAIN, None, VALIDATION).score(EVERYONE)

    np.testing.assert_array_equal(scores(), scores())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recommenders": [Popularity()]}, "at least two recommenders, not 1"),
        ({"weights": (1.0,)}, "1 weights for 2 recommenders"),
        ({"weights": (1.0, float("nan"))}, "finite"),
        ({"step": 0.3}, "step is 0.3; it is 1 over a whole number"),
        ({"step": 0.0}, "step is 0.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Blend(**{"recommenders": [Popularity(), ItemKNN()], **options})


def test_without_anything_to_choose_by_weights_are_asked_for() -> None:
    blend = Blend([Popularity(), ItemKNN()])
    with pytest.raises(ValueError, match="or give Blend its weights"):
        blend.fit(TRAIN)
    with pytest.raises(ValueError, match="or give Blend its weights"):
        blend.fit(TRAIN, None, VALIDATION.where(np.zeros(len(VALIDATION), bool)))
    with pytest.raises(RuntimeError, match="has not been fitted"):
        blend.score([0])


def test_files_of_others_are_not_lost_within_a_part_either(tmp_path: Path) -> None:
    learnt = Blend([ItemKNN(k=3), Random(seed=1)], weights=[0.5, 0.5]).fit(TRAIN, None, VALIDATION)
    folder = learnt.save(tmp_path / "blend")
    (folder / "part_0" / ".DS_Store").write_bytes(b"left by a system")
    learnt.save(folder)
    (folder / "part_0" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'part_0/notes\.txt', which is no part"):
        learnt.save(folder)
    assert (folder / "part_0" / "notes.txt").read_text() == "mine"


def test_fitted_recommenders_are_left_as_they_are(tmp_path: Path) -> None:
    told = [Told(noise(seed)).fit(TRAIN) for seed in (1, 2)]
    fitted = Blend([Told(noise(seed)) for seed in (1, 2)]).fit(TRAIN, {}, VALIDATION)
    blend = Blend(told, prefit=True).fit(TRAIN, {}, VALIDATION)
    assert all(each.given == (TRAIN, {}, None) for each in told), "the validation part came later"
    assert blend.chosen.tolist() == fitted.chosen.tolist()
    np.testing.assert_array_equal(blend.score(EVERYONE), fitted.score(EVERYONE))

    with pytest.raises(RuntimeError, match="has not been fitted"):
        Blend([told[0], Told(noise(3))], prefit=True).fit(TRAIN, {}, VALIDATION)
    fewer = TRAIN.where(np.arange(len(TRAIN)) > 0)
    with pytest.raises(ValueError, match="popularity was fitted on other interactions: fit it on"):
        Blend([told[0], Popularity().fit(fewer)], prefit=True).fit(TRAIN, {}, VALIDATION)

    saved = Blend([Popularity().fit(TRAIN), ItemKNN().fit(TRAIN)], [0.5, 0.5], prefit=True)
    opened = Recommender.load(saved.fit(TRAIN).save(tmp_path / "blend"))
    assert isinstance(opened, Blend)
    assert opened.prefit
    np.testing.assert_array_equal(opened.score(EVERYONE), saved.score(EVERYONE))

"""Named modalities are held against what truly decided, on worlds whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets.dataset import Truth
from mmtutorial.recommenders import TwoTower
from mmtutorial.recommenders.explain_truth import hit_rate, hits, how_often, true_shares
from tests.recommenders.test_explain import N_ITEMS, features, interactions


def truth(weights: dict[str, float]) -> Truth:
    """Every even user likes the first half of the catalogue by its sound, and texts as given."""
    side = np.where(np.arange(N_ITEMS) < 12, 1.0, -1.0)
    text = np.random.default_rng(3).normal(size=N_ITEMS)
    train = interactions()
    items = pd.DataFrame({"audio: side": side, "text: liking": text}, index=train.items)
    sides = np.array([1.0 if int(user[1:]) % 2 == 0 else -1.0 for user in train.users])
    users = pd.DataFrame(
        {"audio: side": weights["audio"] * sides, "text: liking": weights["text"]},
        index=train.users,
    )
    return Truth(items, users)


def test_what_is_liked_is_shared_and_a_pair_is_halved() -> None:
    columns = ["text: liking", "image: hat", "audio: bell", "pair: hat × bell"]
    items = pd.DataFrame([[1, 1, 0, 1], [-1, 0, 1, 0]], ["a", "b"], columns, dtype=float)
    users = pd.DataFrame([[2, 0, 0, 4], [0, 0, 3, 0]], ["ann", "bob"], columns, dtype=float)
    shares = true_shares(Truth(items, users), ["text", "image", "audio"], ["ann", "bob"])
    np.testing.assert_allclose(shares[:, 0, 0], [0.5, 0.25, 0.25])  # 2, and 1 and 1 of the pair
    np.testing.assert_allclose(shares[:, 1, 1], [0, 0, 1])
    assert not shares[:, 0, 1].any() and not shares[:, 1, 0].any()
    assert true_shares(Truth(items, users), ["image"], ["ann"])[0, 0, 0] == 1


def test_only_clear_cases_count_and_chance_has_the_same_shares() -> None:
    shares = np.zeros((2, 1, 4))
    shares[:, 0] = [[0.9, 0.8, 0.2, 0.5], [0.1, 0.2, 0.8, 0.5]]
    ranked = np.array([[0, 1, 2, 3, -1]])
    found = hit_rate(np.array([[0, 1, 1, 0, -1]]), ranked, shares)
    assert found["cases"] == 3
    assert found["named"] == pytest.approx(2 / 3)
    assert found["by_chance"] == pytest.approx((2 * 1 + 1 * 2) / 9)
    none = hit_rate(np.array([[0]]), np.array([[3]]), shares)
    assert none["cases"] == 0 and np.isnan(none["named"])


def test_a_tower_that_learnt_the_sound_names_it_and_not_a_text_that_truly_decides() -> None:
    small = {"steps": 60, "learning_rate": 0.02, "warm_up": 0, "units": 16, "dimensions": 8}
    tower = TwoTower(**small).fit(interactions(), features())
    users = np.arange(20)
    ranked = tower.recommend(users, 4)
    by_sound = hits(tower, users, ranked, features(), truth({"audio": 3.0, "text": 0.1}))
    assert by_sound["named"] > 0.8 and by_sound["cases"] > 40
    by_text = hits(tower, users, ranked, features(), truth({"audio": 0.0, "text": 3.0}))
    assert by_text["named"] < 0.4
    sentence = how_often(tower, features(), truth({"audio": 3.0, "text": 0.1}), k=4)
    assert "simulated" in sentence and "by chance" in sentence
    nobody = Truth(truth({"audio": 0.0, "text": 0.0}).item_factors, pd.DataFrame(
        0.0, interactions().users, ["audio: side", "text: liking"]))  # fmt: skip
    assert how_often(tower, features(), nobody).startswith("No modality clearly decides")

"""Reasons: shares of a history are exact, and a hidden modality is missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import EASE, ContentKNN, ItemKNN, Popularity
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.explain import (
    Reason,
    coalition_scores,
    history_shares,
    list_shares,
    modality_shares,
    named_modalities,
    part_scores,
    reasons,
)
from mmtutorial.recommenders.two_tower import TwoTower

N_USERS, N_ITEMS = 60, 24


def interactions() -> Interactions:
    """Users of two kinds: even ones take the first half of the catalogue, odd ones the second."""
    generator = np.random.default_rng(0)
    taken = [
        (f"u{user:02}", f"i{12 * (user % 2) + item:02}", time)
        for user in range(N_USERS)
        for time, item in enumerate(generator.permutation(12)[:6])
    ]
    return Interactions.of(taken, items=[f"i{item:02}" for item in range(N_ITEMS)])


def features() -> dict[str, np.ndarray]:
    """Sound tells the two halves apart, text is noise; item 5 is mute."""
    generator = np.random.default_rng(1)
    side = np.where(np.arange(N_ITEMS) < 12, 1.0, -1.0)[:, None]
    audio = side + 0.1 * generator.normal(size=(N_ITEMS, 4))
    audio[5] = 0
    text = generator.normal(size=(N_ITEMS, 4))
    return {"text": text.astype(np.float32), "audio": audio.astype(np.float32)}


FITTED: dict[str, Recommender] = {}


def fitted(name: str) -> Any:
    """Return the recommender of this name; each learns once."""
    if not FITTED:
        small: dict[str, Any] = {
            "steps": 40,
            "learning_rate": 0.02,
            "warm_up": 0,
            "history_dropout": 0.1,
        }
        small |= {"units": 16, "dimensions": 8}
        FITTED.update(
            {
                "mean": TwoTower(**small),
                "hybrid": TwoTower(ids=True, **small),
                "item-kNN": ItemKNN(),
                "content-kNN": ContentKNN(),
                "EASE": EASE(),
            }
        )
        for each in FITTED.values():
            each.fit(interactions(), features())
    return FITTED[name]


@given(
    name=st.sampled_from(["mean", "hybrid"]),
    history=st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=8),
)
@settings(deadline=None, max_examples=15)
def test_shares_of_two_towers_add_up_to_the_score_less_its_mean(
    name: str, history: list[int]
) -> None:
    tower = fitted(name)
    scores = tower.score_histories([history])[0].astype(np.float64)
    everybody, shares = history_shares(tower, history, np.arange(N_ITEMS))
    assert shares.shape == (N_ITEMS, len(history))
    np.testing.assert_allclose(
        everybody + shares.sum(axis=1), scores - scores.mean(), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("name", ["item-kNN", "content-kNN", "EASE"])
def test_shares_of_baselines_add_up_to_the_score_less_its_mean(name: str) -> None:
    recommender = fitted(name)
    train = interactions()
    history = np.flatnonzero(train.matrix[[3]].toarray()[0])
    scores = recommender.score(np.array([3]))[0]
    everybody, shares = history_shares(recommender, history, np.arange(N_ITEMS))
    np.testing.assert_allclose(
        everybody + shares.sum(axis=1), scores - scores.mean(), rtol=0, atol=1e-5
    )
    alone, none = history_shares(recommender, [], [2, 4])
    assert none.shape == (2, 0)
    assert np.isfinite(alone).all()


def test_shares_of_modalities_add_up_to_the_score_but_for_the_biases() -> None:
    tower = fitted("mean")
    scores = tower.score_histories([[0, 13]])[0].astype(np.float64) - tower.item_biases
    shares = modality_shares(tower, [0, 13], np.arange(N_ITEMS), features())
    whole = shares["text"] + shares["audio"]
    has_all = np.arange(N_ITEMS) != 5
    np.testing.assert_allclose(whole[has_all], (scores - scores.mean())[has_all], atol=1e-4)


@pytest.mark.parametrize("options", [{"ids": True}, {"cosine": True}, {"fusion": "late"}])
def test_all_modalities_together_give_the_score_itself(options: dict[str, Any]) -> None:
    tower = TwoTower(steps=5, units=16, dimensions=8, **options).fit(interactions(), features())
    scores = tower.score_histories([[0, 13]])[0] - tower.item_biases
    everything = coalition_scores(tower, [[0, 13]], features())[-1, 0]
    np.testing.assert_allclose(everything, scores, atol=1e-4)
    one = features()["audio"][[7, 7]] * [[1.0], [0.0]]  # as it is, and none at all
    found = part_scores(tower, [0, 13], 7, features(), "audio", one.astype(np.float32))
    expected = coalition_scores(tower, [[0, 13]], features())[[3, 1], 0, 7]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_named_modalities_are_those_of_the_largest_shares() -> None:
    tower, users = fitted("mean"), np.arange(7)
    past = [interactions().matrix[[user]].indices for user in users]
    ranked = tower.recommend(users, 5)
    ranked[3, 4] = -1
    named = named_modalities(tower, past, ranked, features())
    assert named[3, 4] == -1
    for row in users:
        shares = modality_shares(tower, past[row], ranked[row, :4], features())
        table = np.nan_to_num(np.stack(list(shares.values())))
        expected = np.where(table.max(axis=0) > 0, table.argmax(axis=0), -1)
        assert named[row, :4].tolist() == expected.tolist()


def test_shares_in_lists_are_those_of_each_user_alone() -> None:
    tower, users = fitted("hybrid"), np.arange(7)
    past = [interactions().matrix[[user]].indices for user in users]
    ranked = tower.recommend(users, 5, exclude_seen=False)
    ranked[2], ranked[3, 4] = [5, 0, 1, 2, 3], -1  # 5 is mute
    found = list_shares(tower, past, ranked, features())
    assert np.isnan(found["audio"][2, 0])
    assert np.isnan(found["text"][3, 4])
    for row in users:
        items = ranked[row][ranked[row] >= 0]
        alone = modality_shares(tower, past[row], items, features())
        assert list(found) == list(alone)
        for name, values in alone.items():
            np.testing.assert_allclose(found[name][row, : len(items)], values, atol=1e-4)


def test_hidden_sound_is_missed_where_it_decides_and_cannot_be_where_there_is_none() -> None:
    shares = modality_shares(fitted("mean"), [0, 1, 2], np.arange(N_ITEMS), features())
    assert list(shares) == ["text", "audio"]
    assert np.isnan(shares["audio"]).tolist() == [row == 5 for row in range(N_ITEMS)]
    heard = np.nan_to_num(shares["audio"])
    assert heard[[3, 4, 6, 7]].min() > 0 > heard[12:].max()
    assert heard[[3, 4, 6, 7]].mean() > 2 * abs(shares["text"][[3, 4, 6, 7]]).mean()


def test_reasons_name_the_right_side_and_the_sound() -> None:
    found = reasons(fitted("mean"), [0, 1, 13], [3, 4], features())
    assert [each.item for each in found] == [3, 4]
    for each in found:
        assert set(each.because) <= {0, 1}
        assert each.because
        assert each.modalities[0] == "audio"
    titles = [f"Thing {row}" for row in range(N_ITEMS)]
    assert "you took Thing" in found[0].sentence(titles)
    assert "its sound" in found[0].sentence(titles)
    assert "its" not in reasons(fitted("mean"), [0, 1], [3])[0].sentence(titles)


def test_without_a_history_many_like_it() -> None:
    for each in reasons(fitted("mean"), [], [3], features()):
        assert each.because == ()
        assert each.sentence([""] * N_ITEMS).startswith("many like it")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason(0, (), True), "many like it"),
        (Reason(0, (1,), True), "many like it, and you took B"),
        (Reason(0, (1, 2), False), "because you took B and C"),
        (Reason(0, (1,), False, ("image",)), "because you took B; mostly its picture"),
        (
            Reason(0, (1,), False, ("image", "text", "audio"), all_modalities=True),
            "because you took B; its picture, its text and its sound",
        ),
    ],
)
def test_listed(reason: Reason, words: str) -> None:
    assert reason.sentence(["A", "B", "C"]) == words


def test_what_cannot_be_explained_is_refused() -> None:
    with pytest.raises(ValueError, match="popularity are no sum over the history"):
        history_shares(Popularity().fit(interactions()), [0], [1])
    with pytest.raises(RuntimeError, match="has not been fitted"):
        history_shares(TwoTower(), [0], [1])
    with pytest.raises(ValueError, match="twice"):
        history_shares(fitted("mean"), [0, 0], [1])
    with pytest.raises(ValueError, match="unknown item row 24: rows go from 0 to 23"):
        history_shares(fitted("mean"), [0], [24])
    with pytest.raises(ValueError, match=r"lacks \['audio'\]"):
        modality_shares(fitted("mean"), [0], [1], {"text": features()["text"]})

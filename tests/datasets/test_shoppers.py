"""Shoppers: the same for one seed, who choose by their tastes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mmtutorial.datasets.simulated.shoppers import DAY, START, _drawer, simulate, withhold

Maker = Callable[..., pd.DataFrame]


def test_the_same_seed_gives_the_same_purchases_and_another_seed_others(catalogue: Maker) -> None:
    first, truth = simulate(catalogue(), seed=3, n_users=50)
    again, truth_again = simulate(catalogue(), seed=3, n_users=50)
    other, _ = simulate(catalogue(), seed=4, n_users=50)
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(truth.user_factors, truth_again.user_factors)
    assert not first.equals(other)


def test_a_purchase_is_a_row_that_makes_sense(catalogue: Maker) -> None:
    items = catalogue()
    log, truth = simulate(items, n_users=80, days=100)
    assert log.columns.tolist() == ["user", "item", "timestamp", "rating"]
    assert set(log["item"]) <= set(items["item"])
    assert log["timestamp"].dtype == np.int64
    assert log["timestamp"].between(START, START + 100 * DAY).all()
    assert log["timestamp"].is_monotonic_increasing
    assert log["rating"].isin([1.0, 2.0, 3.0, 4.0, 5.0]).all()
    assert not log.duplicated(["user", "item"]).any(), "nobody buys what they own"
    assert set(log["user"]) <= set(truth.user_factors.index)


def test_the_number_of_purchases_follows_the_knob(catalogue: Maker) -> None:
    few, _ = simulate(catalogue(400), n_users=400, mean_interactions=10)
    many, _ = simulate(catalogue(400), n_users=400, mean_interactions=30)
    assert len(few) / 400 == pytest.approx(10, rel=0.15)
    assert len(many) / 400 == pytest.approx(30, rel=0.15)
    assert few.groupby("user").size().min() >= 4


def test_each_taste_has_the_variance_that_its_weight_says(catalogue: Maker) -> None:
    items = catalogue(500)
    weights = {"image": 1.0, "audio": 2.0, "text": 0.0, "pair": 0.0}
    _, truth = simulate(items, n_users=300, weights=weights, noise=0.5)
    for kind, expected in (("image", 2.0), ("audio", 4.0)):
        columns = [name for name in truth.user_factors if str(name).startswith(f"{kind}: ")]
        part = truth.user_factors[columns].to_numpy() @ truth.item_factors[columns].to_numpy().T
        np.testing.assert_allclose(part.mean(axis=1), 0, atol=1e-9)
        np.testing.assert_allclose(part.std(axis=1), expected, rtol=1e-9)
    assert not truth.user_factors["text: liking"].any()


def test_shoppers_buy_what_they_like(catalogue: Maker) -> None:
    items = catalogue(300)
    log, truth = simulate(items, n_users=300, noise=0.2, popularity=0.0, launched_late=0.0)
    utility = pd.DataFrame(
        truth.utility(), index=truth.user_factors.index, columns=truth.item_factors.index
    )
    places = utility.rank(axis=1, pct=True).stack()  # noqa: PD013
    bought = places.loc[list(zip(log["user"], log["item"], strict=True))]
    assert bought.mean() > 0.85
    noisy, truth = simulate(items, n_users=300, noise=50.0, popularity=0.0, launched_late=0.0)
    utility = pd.DataFrame(
        truth.utility(), index=truth.user_factors.index, columns=truth.item_factors.index
    )
    places = utility.rank(axis=1, pct=True).stack()  # noqa: PD013
    assert places.loc[list(zip(noisy["user"], noisy["item"], strict=True))].mean() < 0.6


def test_popularity_is_how_often_an_item_is_bought_when_tastes_do_not_count(
    catalogue: Maker,
) -> None:
    weights = dict.fromkeys(("image", "audio", "text", "pair"), 0.0)
    log, truth = simulate(
        catalogue(), n_users=2000, weights=weights, popularity=1.0, shown=5, launched_late=0.0
    )
    sold = log["item"].value_counts().reindex(truth.item_factors.index, fill_value=0)
    correlation = spearmanr(sold, truth.shelf).statistic
    assert correlation > 0.9


def test_an_item_is_not_bought_before_its_launch(catalogue: Maker) -> None:
    log, _ = simulate(catalogue(), n_users=500, launched_late=1.0)
    first = log.groupby("item")["timestamp"].min().sub(START) / (365 * DAY)
    assert first.max() > 0.9, "the last launches come late"
    early, _ = simulate(catalogue(), n_users=500, launched_late=0.0)
    assert (early.groupby("item")["timestamp"].min().sub(START) / (365 * DAY)).max() < 0.6


def test_the_favourite_pair_is_bought_more_often(catalogue: Maker) -> None:
    items = catalogue()
    log, truth = simulate(items, n_users=500, weights={"pair": 1.0}, popularity=0.0)
    pairs = truth.user_factors.filter(like="pair: ")
    assert (pairs.to_numpy() > 0).sum(axis=1).tolist() == [1] * 500
    favourite = pairs.idxmax(axis=1)
    shown = truth.item_factors.filter(like="pair: ").idxmax(axis=1)
    hits = shown.loc[log["item"]].to_numpy() == favourite.loc[log["user"]].to_numpy()
    assert hits.mean() > 3 / 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 0.0}, "noise is 0.0; it must lie between 1e-06 and inf"),
        ({"launched_late": 1.5}, "launched_late is 1.5; it must lie between 0 and 1"),
        ({"n_users": 0}, "n_users is 0"),
        ({"shown": 0}, "shown is 0"),
        ({"popularity": float("nan")}, "popularity is nan"),
        ({"weights": {"smell": 1.0}}, r"weights names \['smell'\]; the modalities are"),
    ],
)
def test_a_knob_out_of_range_is_refused(catalogue: Maker, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(catalogue(10), **{"n_users": 5, **change})


def test_a_catalogue_that_cannot_be_simulated_is_refused(catalogue: Maker) -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['text_attribute'\]"):
        simulate(catalogue(5).drop(columns="text_attribute"))
    with pytest.raises(ValueError, match="each id in column item once"):
        simulate(pd.concat([catalogue(5)] * 2))
    with pytest.raises(ValueError, match="not a finite number"):
        simulate(catalogue(5).assign(text_attribute=np.nan))


def test_withhold_takes_away_the_share_that_it_is_told_to(catalogue: Maker) -> None:
    items = catalogue(2000).assign(text="words", image="i.png", audio="a.wav")
    kept = withhold(items, {"image": 0.25, "audio": 1.0}, np.random.default_rng(0))
    assert (kept["image"] == "").mean() == pytest.approx(0.25, abs=0.03)
    assert (kept["audio"] == "").all()
    assert (kept["text"] == "words").all()
    assert (items["audio"] == "a.wav").all(), "the original is untouched"
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        withhold(items, {"text": 2.0}, np.random.default_rng(0))


@pytest.mark.parametrize("n_items", [1, 2, 700])
def test_items_are_drawn_as_a_search_in_their_shares_would(n_items: int) -> None:
    dice = np.random.default_rng(n_items)
    share = np.exp(2 * dice.standard_normal(n_items))
    shelf = np.cumsum(share / share.sum())
    edges = np.concatenate([shelf, np.arange(1024) / 1024, [0.0]])
    numbers = np.concatenate([dice.random(50_000), edges, np.nextafter(edges, 0)])
    numbers = numbers[(numbers >= 0) & (numbers < 1)]
    expected = np.minimum(np.searchsorted(shelf, numbers, side="right"), n_items - 1)
    assert np.array_equal(_drawer(shelf)(numbers), expected)


def test_purchases_of_the_same_second_are_in_the_order_of_user_and_item(catalogue: Maker) -> None:
    items = catalogue(40)
    items["item"] = items["item"].to_numpy()[::-1]
    log, _ = simulate(items, n_users=3000, days=1)
    assert log["timestamp"].duplicated().sum() > 10_000
    by_hand = log.sort_values(["timestamp", "user", "item"], ignore_index=True)
    pd.testing.assert_frame_equal(log, by_hand)

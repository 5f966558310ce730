from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mmtutorial import evaluation
from mmtutorial.evaluation import evaluate, global_time_split
from mmtutorial.evaluation.full_ranking import Evaluation
from mmtutorial.evaluation.sampled import (
    relevant_ranks,
    sampled_hit_rate,
    sampled_ndcg,
    sampled_ranks,
)
from mmtutorial.evaluation.significance import (
    compare_all,
    holm,
    paired_comparison,
    permutation_p,
)
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import Popularity, Random
from mmtutorial.recommenders.base import Recommender


def measured(name, values, coverage=0.5, users=None, **fields):
    """An evaluation with these NDCGs."""
    values = np.asarray(values, dtype=float)
    users = np.arange(len(values)) if users is None else users
    return Evaluation(
        recommender=name,
        split="made",
        part="test",
        k=10,
        users=users,
        ranked=np.full((len(values), 10), -1),
        per_user=pd.DataFrame(
            {"ndcg": values, "hit_rate": (values > 0.5) * 1.0},
            index=pd.Index(users, name="user"),
        ),
        catalogue={"item_coverage": coverage, "user_coverage": (values > 0.5).mean()},
        **fields,
    )


def seeds(name, gain, n_users=400, n_seeds=5, spread=0.02, coverage=0.5):
    """Evaluations over seeds whose users share a common part."""
    rng = np.random.default_rng(0)
    common = rng.uniform(0.2, 0.6, n_users)
    own = np.random.default_rng(sum(map(ord, name)))
    return [
        measured(
            name,
            common + gain + own.normal(0, spread) + own.normal(0, 0.1, n_users),
            coverage + own.normal(0, 0.01),
        )
        for _ in range(n_seeds)
    ]


def test_permutation_agrees_with_scipy():
    for shift in (0.0, 0.1, 0.2):
        differences = np.random.default_rng(3).normal(shift, 1.0, 200)
        theirs = stats.permutation_test(
            (differences, np.zeros(200)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            n_resamples=20_000,
            vectorized=True,
            rng=1,
        )
        assert permutation_p(differences, 20_000) == pytest.approx(theirs.pvalue, abs=0.012)


def test_permutation_by_hand():
    assert permutation_p(np.zeros(5)) == 1.0
    # of the four signs of (2, 1), the sums 3 and −3 are as extreme as 3
    assert permutation_p(np.array([2.0, 1.0, 0.0, np.nan]), 40_000) == pytest.approx(0.5, abs=0.01)
    assert permutation_p(np.ones(50), 99) == 0.01
    with pytest.raises(ValueError, match="no pair"):
        permutation_p(np.array([np.nan]))


def test_permutation_is_deterministic_and_knows_no_blocks(monkeypatch):
    differences = np.random.default_rng(0).normal(0.05, 1.0, 300)
    whole = permutation_p(differences, 2000, seed=4)
    assert whole != permutation_p(differences, 2000, seed=5)
    monkeypatch.setitem(permutation_p.__globals__, "_SIGNS", 1000)
    assert whole == permutation_p(differences, 2000, seed=4)


def test_p_is_uniform_if_both_are_equally_good():
    rng = np.random.default_rng(0)
    p = [permutation_p(rng.standard_t(3, 60), 200, seed) for seed in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_its_definition(p):
    corrected = holm(np.array(p))
    for alpha in (0.01, 0.05, 0.3):
        # step down: reject the smallest while p ≤ α / (hypotheses left)
        rejected = np.zeros(len(p), dtype=bool)
        for place, row in enumerate(np.argsort(p, kind="stable")):
            if p[row] * (len(p) - place) > alpha:
                break
            rejected[row] = True
        np.testing.assert_array_equal(corrected <= alpha, rejected)


def test_holm_agrees_with_statsmodels():
    from statsmodels.stats import multitest

    p = np.random.default_rng(0).random(20) ** 3
    np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1])


def test_holm_leaves_out_what_is_not_known():
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.03])), [0.04, np.nan, 0.04])
    with pytest.raises(ValueError, match=r"one is 1\.5"):
        holm(np.array([0.1, 1.5]))


def test_one_evaluation_is_compared_over_users():
    rng = np.random.default_rng(1)
    base = rng.uniform(0, 1, 500)
    a, b = measured("a", base + rng.normal(0.03, 0.1, 500)), measured("b", base)
    found = paired_comparison(a, b)
    difference = a.per_user["ndcg"] - b.per_user["ndcg"]
    assert (found.over, found.n_users, found.n_seeds) == ("users", 500, 1)
    assert found.difference == pytest.approx(difference.mean())
    assert found.relative_gain == pytest.approx(a.per_user["ndcg"].mean() / base.mean() - 1)
    expected = stats.ttest_1samp(difference, 0).confidence_interval()
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.001)
    boot = stats.bootstrap(
        (a.per_user["ndcg"], base),
        lambda a, b, axis: a.mean(axis) / b.mean(axis) - 1,
        paired=True, method="percentile", n_resamples=9999, rng=0,
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose([found.relative_low, found.relative_high], boot, atol=0.003)
    assert found.p == permutation_p(difference.to_numpy())
    # much narrower than if the two had been measured on other users
    assert found.high - found.low < 0.5 * 3.92 * np.sqrt(2 * base.var() / 500)
    assert "500 users, 1 seed; 95 % intervals over users" in str(found)


def test_seeds_are_compared_by_a_paired_t_test():
    a, b = seeds("fusion", 0.05), seeds("text", 0.0)
    found = paired_comparison(a, b)
    means = [np.array([each.per_user["ndcg"].mean() for each in side]) for side in (a, b)]
    theirs = stats.ttest_rel(*means)
    over_seeds = found.sources.loc["seeds"]
    assert over_seeds["p"] == pytest.approx(theirs.pvalue)
    np.testing.assert_allclose(over_seeds[["low", "high"]], theirs.confidence_interval())
    assert found.sources.index.tolist() == ["users", "seeds", "users and seeds"]
    assert (found.over, found.n_users, found.n_seeds) == ("users and seeds", 400, 5)
    width = found.sources["high"] - found.sources["low"]
    assert width["users and seeds"] > width["users"]
    assert found.low < found.difference < found.high
    assert found.relative_low < found.relative_gain < found.relative_high
    np.testing.assert_allclose(found.per_seed["a"], means[0])
    assert found.per_user["a"].mean() == pytest.approx(means[0].mean())


def test_the_interval_over_users_and_seeds_covers_the_truth():
    rng = np.random.default_rng(0)
    n_users, n_seeds, truth = 60, 5, 0.1
    base = rng.uniform(1, 2, n_users)
    inside = {"users": 0, "seeds": 0, "users and seeds": 0}
    relative_inside = 0
    for _ in range(150):
        of_user, of_seed = rng.normal(0, 0.3, n_users), rng.normal(0, 0.08, n_seeds)
        a = [
            measured("a", base + truth + of_user + each + rng.normal(0, 0.1, n_users))
            for each in of_seed
        ]
        found = paired_comparison(a, measured("b", base), n_draws=200)
        for over, row in found.sources.iterrows():
            inside[over] += row["low"] <= truth <= row["high"]
        relative_inside += found.relative_low <= truth / base.mean() <= found.relative_high
    assert inside["users and seeds"] >= 0.92 * 150
    assert relative_inside >= 0.92 * 150
    assert inside["users"] < 0.9 * 150  # each alone is too sure
    assert inside["seeds"] < 0.9 * 150


def test_coverage_has_an_interval_over_seeds_only():
    a, b = seeds("fusion", 0.05, coverage=0.6), seeds("text", 0.0)
    found = paired_comparison(a, b, "item_coverage")
    covered = [[each.catalogue["item_coverage"] for each in side] for side in (a, b)]
    expected = stats.ttest_rel(*covered)
    assert (found.over, found.n_users, found.n_seeds) == ("seeds", 0, 5)
    np.testing.assert_allclose([found.low, found.high], expected.confidence_interval())
    assert found.relative_low > 0.1
    assert found.relative_gain == pytest.approx(np.mean(covered[0]) / np.mean(covered[1]) - 1)
    once = paired_comparison(a[0], b[0], "item_coverage")
    assert once.difference == pytest.approx(covered[0][0] - covered[1][0])
    assert np.isnan([once.low, once.high, once.relative_low, once.p]).all()


def test_a_gain_of_a_fifth_in_every_seed_is_a_sure_gain_of_a_fifth():
    levels = np.array([0.1, 0.2, 0.3, 0.4, 0.5])  # the seeds differ much, in both alike
    b = [measured("b", np.zeros(3), level) for level in levels]
    a = [
        measured("a", np.zeros(3), 1.2 * level + 1e-4 * (-1) ** n) for n, level in enumerate(levels)
    ]
    found = paired_comparison(a, b, "item_coverage")
    assert found.relative_low == pytest.approx(0.2, abs=0.002)
    assert found.relative_high == pytest.approx(0.2, abs=0.002)
    assert found.high - found.low > 0.05


def test_user_coverage_is_the_mean_hit_rate():
    a, b = seeds("fusion", 0.05), seeds("text", 0.0)
    share, rate = (paired_comparison(a, b, name) for name in ("user_coverage", "hit_rate"))
    assert share.low == rate.low and share.n_users == 400


def test_a_recommender_without_a_seed_is_given_once():
    a, [b] = seeds("fusion", 0.05), seeds("knn", 0.0, n_seeds=1)
    once, repeated = paired_comparison(a, b), paired_comparison(a, [b] * 5)
    assert once.n_seeds == 5
    assert (once.low, once.p) == (repeated.low, repeated.p)
    assert paired_comparison(b, a).difference == pytest.approx(-once.difference)
    # nothing varies over the seeds of two recommenders that have none
    twice = paired_comparison([b] * 3, [measured("zero", np.zeros(400))] * 3)
    assert np.isnan(twice.sources.loc["seeds", "p"])
    assert twice.sources.loc["users and seeds", "low"] > 0
    assert np.isnan(twice.relative_gain) and np.isnan(twice.relative_low)


def test_where_each_seed_has_users_of_its_own_seeds_are_what_varies():
    a = [
        measured("a", side.per_user["ndcg"], users=np.arange(400) + 1000 * number)
        for number, side in enumerate(seeds("fusion", 0.05))
    ]
    b = [
        measured("b", side.per_user["ndcg"], users=np.arange(400) + 1000 * number)
        for number, side in enumerate(seeds("text", 0.0))
    ]
    found = paired_comparison(a, b)
    assert (found.over, found.n_users) == ("seeds", 2000)
    assert found.per_user.empty
    assert (
        found.p == paired_comparison(seeds("fusion", 0.05), seeds("text", 0)).sources["p"]["seeds"]
    )


def test_users_without_a_value_are_left_out():
    values = np.linspace(0, 1, 10)
    gap = np.where(np.arange(10) == 3, np.nan, values + 0.1)
    found = paired_comparison([measured("a", gap), measured("a", values)], measured("b", values))
    assert found.n_users == 9 and 3 not in found.per_user.index
    assert found.difference == pytest.approx(0.05)


def test_the_same_seed_gives_the_same_numbers():
    a, b = seeds("fusion", 0.01, n_seeds=1), seeds("text", 0.0, n_seeds=1)
    first, again = (paired_comparison(a, b, n_draws=500, seed=1) for _ in range(2))
    assert (first.low, first.relative_high, first.p) == (again.low, again.relative_high, again.p)
    assert first.low != paired_comparison(a, b, n_draws=500, seed=2).low


def test_refuses_what_cannot_be_paired():
    a, b = seeds("fusion", 0.05), seeds("text", 0.0)
    with pytest.raises(ValueError, match="there are 5 and 3 seeds"):
        paired_comparison(a, b[:3])
    with pytest.raises(ValueError, match="at least one evaluation on each side"):
        paired_comparison(a, [])
    with pytest.raises(ValueError, match=r"have the names \['fusion', 'text'\]"):
        paired_comparison([a[0], b[0]], b[:2])
    with pytest.raises(ValueError, match="unknown metric 'accuracy'; measured were ndcg"):
        paired_comparison(a, b, "accuracy")
    with pytest.raises(ValueError, match="n_draws is 0"):
        paired_comparison(a, b, n_draws=0)
    with pytest.raises(ValueError, match="other users"):
        paired_comparison(a[0], measured("text", np.zeros(400), users=np.arange(400) + 1))
    with pytest.raises(ValueError, match="excluded"):
        paired_comparison(a[0], measured("text", np.zeros(400), excluded=("train",)))


def test_compares_all_with_one_and_corrects():
    groups = seeds("fusion", 0.05) + seeds("text", 0.0) + seeds("image", 0.003)
    table = compare_all(groups, "text", ["ndcg", "item_coverage"], n_draws=500)
    assert table["recommender"].tolist() == ["fusion", "image"] * 2
    assert table["metric"].tolist() == ["ndcg"] * 2 + ["item_coverage"] * 2
    np.testing.assert_allclose(table["p_holm"], holm(table["p"].to_numpy()))
    assert (table["p_holm"] >= table["p"]).all() and (table["n_seeds"] == 5).all()
    alone = paired_comparison(groups[:5], groups[5:10], n_draws=500)
    assert table.loc[0, "relative_low"] == alone.relative_low
    assert table["over"].tolist() == ["users and seeds"] * 2 + ["seeds"] * 2
    with pytest.raises(ValueError, match="reference 'audio' and another"):
        compare_all(groups, "audio")
    with pytest.raises(ValueError, match="reference 'text' and another"):
        compare_all(groups[5:10], "text")


# Sampled metrics


class Drawn(Recommender):
    """Scores full of ties, some of them −inf."""

    name = "drawn"

    def _learn(self, train, features, validation):
        scores = np.random.default_rng(0).integers(0, 20, (train.n_users, train.n_items))
        self.scores = np.where(scores == 0, -np.inf, scores).astype(np.float32)

    def _score(self, users):
        return self.scores[users]


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    log = [(f"u{u:02}", f"i{i:02}", t) for t, (u, i) in enumerate(rng.integers(0, 50, (900, 2)))]
    return global_time_split(Interactions.of(log), validation=0.2, test=0.3)


@pytest.mark.parametrize("exclude", [("train", "validation"), ("train",)])
def test_ranks_are_those_of_a_plain_sort(split, exclude):
    recommender = Drawn().fit(split.train)
    ranks = relevant_ranks(recommender, split, exclude=exclude, block=7)
    assert len(ranks) == len(split.test.log[split.test.log["user"].isin(split.test_users)])
    test = split.test.matrix.toarray() > 0
    owned = sum(getattr(split, part).matrix for part in exclude).toarray() > 0
    for row in ranks.itertuples():
        competing = ~owned[row.user] & ~test[row.user]
        competing[row.item] = True
        scores = np.where(competing, recommender.scores[row.user], np.nan)
        with np.errstate(invalid="ignore"):
            above = (scores > scores[row.item]).sum()
            level = (scores == scores[row.item])[: row.item].sum()
        assert (row.rank, row.others) == (1 + above + level, competing.sum() - 1)


def test_ranks_agree_with_the_lists_where_one_item_is_relevant(split):
    once = split.test.where(~split.test.log.duplicated("user").to_numpy())
    single = replace(split, test=once)
    recommender = Random(3).fit(split.train)
    ranks = relevant_ranks(recommender, single)
    hits = evaluate(recommender, single, k=5).per_user["hit_rate"]
    np.testing.assert_array_equal(ranks["rank"].to_numpy() <= 5, hits.to_numpy() == 1)


def test_the_same_numbers_everywhere_have_an_interval_without_width():
    a = seeds("a", 0.0)
    found = paired_comparison(a, a, "ndcg", n_draws=50)
    assert (found.relative_low, found.relative_high, found.p) == (0.0, 0.0, 1.0)
    still = [replace(each, catalogue={"item_coverage": 0.5}) for each in a]
    one_value = paired_comparison(still, still, "item_coverage", n_draws=50)
    assert np.isnan(one_value.relative_low) and np.isnan(one_value.p)


def test_ranks_are_found_in_blocks_and_refuse_leaks(split, monkeypatch):
    recommender, sizes = Popularity().fit(split.train), []
    score = recommender.score
    monkeypatch.setattr(recommender, "score", lambda rows: sizes.append(len(rows)) or score(rows))
    relevant_ranks(recommender, split, block=8)
    assert max(sizes) == 8 and sum(sizes) == len(split.test_users)
    with pytest.raises(ValueError, match="was fitted on"):
        relevant_ranks(Popularity().fit(split.test), split)


def test_expectations_are_those_of_drawn_samples():
    rng = np.random.default_rng(0)
    scores = rng.permutation(200).astype(float)  # one user; the relevant item is row 0
    rank = int((scores > scores[0]).sum()) + 1
    drawn = rng.integers(1, 200, (20_000, 30))  # with replacement, never the item itself
    place = 1 + (scores[drawn] > scores[0]).sum(axis=1)
    k = int(np.median(place))
    ours = sampled_hit_rate(np.array([rank]), np.array([199]), n_drawn=30, k=k)
    np.testing.assert_allclose(ours, (place <= k).mean(), atol=0.015)
    gains = np.where(place <= k, 1 / np.log2(place + 1), 0.0)
    ours = sampled_ndcg(np.array([rank]), np.array([199]), n_drawn=30, k=k)
    np.testing.assert_allclose(ours, gains.mean(), atol=0.01)
    ours = sampled_ranks(np.full(20_000, rank), np.full(20_000, 199), n_drawn=30)
    assert ours.mean() == pytest.approx(place.mean(), abs=0.1)
    assert ours.std() == pytest.approx(place.std(), abs=0.1)


def test_sampling_reverses_an_order():
    n, half = np.full(100, 1000), np.repeat([1, 1000], 50)
    twentieth = np.full(100, 20)
    assert (half <= 10).mean() > (twentieth <= 10).mean()
    a, b = (sampled_hit_rate(each, n, n_drawn=100).mean() for each in (half, twentieth))
    assert a == pytest.approx(0.5) and b > 0.99


def test_sampled_metrics_refuse_impossible_ranks():
    with pytest.raises(ValueError, match="entry 1 has rank 12 among 10 others"):
        sampled_hit_rate(np.array([11, 12]), np.array([10, 10]), n_drawn=5)
    with pytest.raises(ValueError, match="n_drawn is 0"):
        sampled_ndcg(np.array([1]), np.array([10]), n_drawn=0)
    assert sampled_hit_rate(np.array([1]), np.array([0]), n_drawn=5) == 1


def test_the_package_exports_them():
    for name in ("paired_comparison", "compare_all", "holm", "permutation_p", "relevant_ranks"):
        assert name in evaluation.__all__ and hasattr(evaluation, name)

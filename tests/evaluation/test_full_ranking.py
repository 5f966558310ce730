from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets.simulated.shoppers import simulate
from mmtutorial.evaluation import evaluate as package_evaluate
from mmtutorial.evaluation.full_ranking import Evaluation, bootstrap_means, compare, evaluate
from mmtutorial.evaluation.splits import (
    cold_items,
    cold_items_split,
    global_time_split,
    leave_last_out,
)
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import Oracle, Popularity, Random
from mmtutorial.recommenders.base import Recommender

PER_USER = [
    "hit_rate",
    "precision",
    "recall",
    "ndcg",
    "reciprocal_rank",
    "average_precision",
    "novelty",
]


class Fixed(Recommender):
    """Scores that were written down."""

    name = "fixed"

    def __init__(self, scores):
        self.scores = np.asarray(scores, dtype=np.float32)

    def _learn(self, train, features, validation):
        pass

    def _score(self, users):
        return self.scores[users]


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(0)
    items = pd.DataFrame(
        {
            "item": [f"p{row:03}" for row in range(120)],
            "image_attribute": rng.choice(list("abcd"), 120),
            "audio_attribute": rng.choice(list("uvwx"), 120),
            "text_attribute": rng.standard_normal(120),
        }
    )
    bought, truth = simulate(items, seed=1, n_users=300, noise=0.3)
    return Interactions.of(bought, users=truth.user_factors.index, items=items["item"]), truth


@pytest.fixture(scope="module")
def split(simulated):
    return global_time_split(simulated[0])


@pytest.fixture(scope="module")
def evaluations(simulated, split):
    recommenders = [Random(seed=2), Popularity(), Oracle(simulated[1])]
    return [evaluate(each.fit(split.train), split, k=10) for each in recommenders]


def test_by_hand():
    # items v w x y z; a and b train on two items, validate on one, are tested on one
    taken = [("a", "vwxy"), ("b", "zyxw")]
    log = [(user, item, time) for user, items in taken for time, item in enumerate(items)]
    split = leave_last_out(Interactions.of(log))
    #                 v  w  x  y  z
    lists = Fixed([[9, 8, 7, 2, 3], [1, 4, 7, 8, 9]]).fit(split.train)
    test = evaluate(lists, split, k=3)
    np.testing.assert_array_equal(test.ranked, [[4, 3, -1], [1, 0, -1]])  # a: z y, b: w v
    np.testing.assert_allclose(test.per_user["recall"], [1, 1])
    np.testing.assert_allclose(test.per_user["ndcg"], [1 / np.log2(3), 1])
    np.testing.assert_allclose(test.per_user["precision"], [1 / 3, 1 / 3])
    bits = np.log2(9) - np.log2([2, 2, 1, 2, 2])  # four training interactions, five items
    np.testing.assert_allclose(test.per_user["novelty"], bits[[4, 1]])
    assert test.catalogue == {"item_coverage": 4 / 5, "user_coverage": 1.0, "gini": 1 / 5}
    validation = evaluate(lists, split, k=3, part="validation")
    np.testing.assert_array_equal(validation.ranked, [[2, 4, 3], [2, 1, 0]])
    np.testing.assert_allclose(validation.per_user["ndcg"], [1, 1])


def test_the_oracle_is_the_limit_and_chance_the_floor(evaluations):
    table = compare(evaluations)
    assert table.index.tolist() == ["random", "popularity", "oracle"]
    assert table["ndcg"].is_monotonic_increasing
    assert table.loc["oracle", "ndcg"] > 2 * table.loc["random", "ndcg"]
    assert table.loc["oracle", "share_of_oracle"] == 1
    assert table.loc["random", "item_coverage"] > table.loc["popularity", "item_coverage"]
    assert table.loc["random", "gini"] < table.loc["popularity", "gini"]
    for metric in PER_USER:
        assert table.loc["oracle", metric] == evaluations[2].per_user[metric].mean()


def test_lists_leave_out_what_was_taken(split, evaluations):
    def holds(evaluation, *parts):
        """Whether a list names an item that the user took in one of the parts."""
        taken = sum(part.matrix for part in parts).toarray() > 0
        named = taken[evaluation.users[:, None], evaluation.ranked]
        return (named & (evaluation.ranked >= 0)).any()  # -1, an empty place, names nothing

    for evaluation in evaluations:
        assert evaluation.users.tolist() == split.test_users.tolist()
        assert not holds(evaluation, split.train, split.validation)
    validated = evaluate(Random(seed=2).fit(split.train), split, part="validation")
    assert not holds(validated, split.train)
    assert holds(validated, split.test)


def test_items_that_nobody_took_yet_compete_too(simulated):
    interactions, truth = simulated
    split = cold_items_split(interactions)
    evaluation = evaluate(Oracle(truth).fit(split.train), split)
    assert cold_items(split)[split.test.log["item"]].all()
    assert evaluation.per_user["recall"].mean() > 0.2  # all that is found here is cold
    assert not cold_items(split)[evaluation.ranked].all()  # and warm items compete with it


@pytest.mark.parametrize("block", [1, 7, 100_000])
def test_blocks_do_not_matter(split, evaluations, block):
    again = evaluate(Popularity().fit(split.train), split, k=10, block=block)
    np.testing.assert_array_equal(again.ranked, evaluations[1].ranked)
    pd.testing.assert_frame_equal(again.per_user, evaluations[1].per_user)
    pd.testing.assert_frame_equal(again.summary(), evaluations[1].summary())
    assert again.catalogue == evaluations[1].catalogue


def test_no_block_is_larger_than_asked(split, monkeypatch):
    sizes = []
    recommender = Popularity().fit(split.train)
    score = recommender.score
    monkeypatch.setattr(recommender, "score", lambda rows: sizes.append(len(rows)) or score(rows))
    evaluate(recommender, split, block=50)
    assert max(sizes) == 50
    assert sum(sizes) == len(split.test_users)


def test_summary_has_intervals_that_hold_the_mean(evaluations):
    for evaluation in evaluations:
        summary = evaluation.summary()
        assert list(summary.columns) == ["mean", "low", "high"]
        assert summary.index.tolist() == [*PER_USER, "item_coverage", "user_coverage", "gini"]
        measured = summary.drop(["item_coverage", "gini"])
        assert (measured["low"] <= measured["mean"]).all()
        assert (measured["mean"] <= measured["high"]).all()
        assert (measured["low"] < measured["high"]).all()
        assert summary.loc[["item_coverage", "gini"], ["low", "high"]].isna().all(axis=None)
        assert summary.loc["user_coverage", "mean"] == evaluation.catalogue["user_coverage"]


def test_the_same_seed_gives_the_same_intervals(evaluations):
    evaluation = evaluations[2]
    pd.testing.assert_frame_equal(evaluation.summary(), evaluation.summary())
    other = evaluation.summary(seed=1)
    assert other["mean"].equals(evaluation.summary()["mean"])
    assert not other["low"].equals(evaluation.summary()["low"])


def test_bootstrap_finds_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, (400, 2))
    values[:100, 1] = np.nan
    means = bootstrap_means(values, n_bootstrap=4000, seed=0)
    assert means.shape == (4000, 2)
    expected = np.nanstd(values, axis=0) / np.sqrt([400, 300])
    np.testing.assert_allclose(means.mean(axis=0), np.nanmean(values, axis=0), atol=0.01)
    np.testing.assert_allclose(means.std(axis=0), expected, rtol=0.05)


def test_bootstrap_draws_do_not_depend_on_how_many_fit_in_memory(monkeypatch):
    values = np.random.default_rng(0).random((50, 3))
    whole = bootstrap_means(values, 20, seed=5)
    monkeypatch.setitem(bootstrap_means.__globals__, "_RESAMPLED", 130)
    np.testing.assert_allclose(bootstrap_means(values, 20, seed=5), whole)


def test_metrics_that_nobody_has_are_nan_without_a_warning(recwarn):
    empty = Evaluation(
        "none", "mine", "test", 2, np.arange(3), np.full((3, 2), -1),
        pd.DataFrame({"hit_rate": np.zeros(3), "novelty": np.full(3, np.nan)}), {},
    )  # fmt: skip
    assert empty.summary().loc["novelty"].isna().all()
    assert not recwarn.list


def test_diversity_is_measured_where_vectors_are_given(split):
    recommender = Random().fit(split.train)
    vectors = np.random.default_rng(0).standard_normal((split.train.n_items, 8))
    measured = evaluate(recommender, split, item_vectors=vectors)
    assert measured.per_user["intra_list_diversity"].mean() == pytest.approx(1.0, abs=0.05)
    with pytest.raises(ValueError, match="item_vectors has 3 rows for 120 items"):
        evaluate(recommender, split, item_vectors=vectors[:3])


def test_long_rankings_show_their_progress(split, monkeypatch, capsys):
    monkeypatch.setitem(evaluate.__globals__, "_PATIENCE", -1.0)
    watched = evaluate(Popularity().fit(split.train), split, block=50)
    assert len(watched.ranked) == len(split.test_users)
    monkeypatch.undo()
    capsys.readouterr()
    evaluate(Popularity().fit(split.train), split, block=50)
    assert capsys.readouterr().out == ""


def test_refuses_a_recommender_that_has_seen_the_test(simulated, split):
    interactions, _ = simulated
    with pytest.raises(ValueError, match=r"'popularity' was fitted on \d+ of the test part's"):
        evaluate(Popularity().fit(interactions), split)
    with pytest.raises(ValueError, match="was fitted on other items"):
        other = Interactions(split.train.log, split.train.users, split.train.items[::-1])
        evaluate(Popularity().fit(other), split)
    with pytest.raises(RuntimeError, match="has not been fitted"):
        evaluate(Popularity(), split)


def test_refuses_options_out_of_range(split):
    recommender = Popularity().fit(split.train)
    for option in ("k", "block"):
        with pytest.raises(ValueError, match=f"{option} is 0"):
            evaluate(recommender, split, **{option: 0})
    with pytest.raises(ValueError, match="'test' or 'validation'"):
        evaluate(recommender, split, part="train")
    nobody = split.test.where(np.zeros(len(split.test), dtype=bool))
    with pytest.raises(ValueError, match="no user has both"):
        evaluate(recommender, replace(split, test=nobody))


def test_refuses_to_compare_what_was_measured_differently(split, evaluations):
    recommender = Popularity().fit(split.train)
    with pytest.raises(ValueError, match=r"with k 10, .* with 5"):
        compare([evaluate(recommender, split, k=5), evaluations[1]])
    with pytest.raises(ValueError, match=r"part 'test', .* 'validation'"):
        compare([evaluate(recommender, split, part="validation"), evaluations[1]])
    half = split.test.where(split.test.log["user"].to_numpy() < 150)
    with pytest.raises(ValueError, match="other users"):
        compare([evaluate(recommender, replace(split, test=half)), evaluations[1]])
    with pytest.raises(ValueError, match="at least one"):
        compare([])


def test_compares_without_an_oracle_and_with_one_apart(evaluations):
    assert "share_of_oracle" not in compare(evaluations[:2])
    apart = compare(evaluations[:2], oracle=evaluations[2])
    assert apart["share_of_oracle"].equals(compare(evaluations)["share_of_oracle"].iloc[:2])


def test_the_package_exports_the_function():
    assert package_evaluate is evaluate


def test_which_parts_are_left_out_is_a_choice(split):
    recommender = Random(seed=2).fit(split.train)
    both, train = (
        evaluate(recommender, split, exclude=e) for e in (("validation", "train"), ["train"])
    )
    assert both.excluded == ("train", "validation") and train.excluded == ("train",)
    pd.testing.assert_frame_equal(both.per_user, evaluate(recommender, split).per_user)
    validation = split.validation.matrix.toarray()[train.users[:, None], train.ranked] > 0
    assert validation.any()
    assert not (split.train.matrix.toarray()[train.users[:, None], train.ranked] > 0).any()
    owned = evaluate(Popularity().fit(split.train), split, exclude=())
    assert (owned.ranked == owned.ranked[0]).all()  # the same list for everyone
    # the part that is evaluated is never left out
    validated = evaluate(recommender, split, part="validation")
    assert validated.excluded == ("train",) and validated.per_user["recall"].mean() > 0
    with pytest.raises(ValueError, match="exclude names 'test'"):
        evaluate(recommender, split, exclude=("train", "test"))
    with pytest.raises(ValueError, match="with excluded"):
        compare([both, train])


def test_cold_and_warm_items_apart(simulated, split):
    oracle = Oracle(simulated[1]).fit(split.train)
    cold = cold_items(split)
    test = split.test.matrix.toarray() > 0
    assert cold.any() and test[:, cold].any()
    whole = evaluate(oracle, split)
    for part in (cold, ~cold):
        apart = evaluate(oracle, split, relevant_items=part)
        expected = np.flatnonzero((test & part).any(axis=1) & np.isin(range(300), split.test_users))
        np.testing.assert_array_equal(apart.users, expected)
        # the lists are the same; only what counts is not
        np.testing.assert_array_equal(apart.ranked, whole.ranked[np.isin(whole.users, expected)])
        named = (test & part)[apart.users[:, None], apart.ranked]
        np.testing.assert_array_equal(apart.per_user["hit_rate"], named.any(axis=1))
        among = evaluate(oracle, split, candidates=part, k=3)
        assert part[among.ranked[among.ranked >= 0]].all()
        assert among.per_user["recall"].mean() > 0.1
        covered = len(np.unique(among.ranked[among.ranked >= 0]))
        assert among.catalogue["item_coverage"] == covered / part.sum()
        assert among.catalogue["gini"] < 1
        with pytest.raises(ValueError, match="with other candidates"):
            compare([among, evaluate(oracle, split, k=3)])
    assert not np.array_equal(
        *(evaluate(oracle, split, relevant_items=p).users for p in (cold, ~cold))
    )


def test_restrictions_must_fit_the_catalogue(split):
    recommender = Popularity().fit(split.train)
    with pytest.raises(ValueError, match=r"candidates is bool \(3,\): it must be bool \(120,\)"):
        evaluate(recommender, split, candidates=np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="relevant_items is int64"):
        evaluate(recommender, split, relevant_items=np.arange(120))
    with pytest.raises(ValueError, match="no user has both"):
        evaluate(recommender, split, relevant_items=np.zeros(120, dtype=bool))
    with pytest.raises(ValueError, match="other relevant_items"):
        half = np.arange(120) < 119
        compare([evaluate(recommender, split, relevant_items=half), evaluate(recommender, split)])

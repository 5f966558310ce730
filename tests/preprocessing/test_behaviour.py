import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.behaviour import deduplicate, describe, k_core

pairs = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=60)


def log_of(rows, columns=("user", "item", "timestamp")):
    return pd.DataFrame(rows, columns=list(columns))


def test_the_first_purchase_of_a_pair_is_kept_with_its_other_columns():
    log = log_of(
        [
            ("bob", "tea", 9, 2.0),
            ("ann", "tea", 5, 5.0),
            ("bob", "tea", 1, 4.0),
            ("ann", "cup", 5, 3.0),
        ],
        ("user", "item", "timestamp", "rating"),
    )
    assert deduplicate(log).to_numpy().tolist() == [
        ["bob", "tea", 1, 4.0],
        ["ann", "cup", 5, 3.0],
        ["ann", "tea", 5, 5.0],
    ]


def test_of_two_at_the_same_second_the_one_that_stands_first_is_kept():
    log = log_of(
        [("a", "x", 1, "first"), ("a", "x", 1, "second")], ("user", "item", "timestamp", "r")
    )
    assert deduplicate(log)["r"].tolist() == ["first"]


def test_without_times_the_first_row_of_a_pair_is_kept_with_its_part():
    rows = [("b", "x", None, "test"), ("a", "x", None, "train"), ("b", "x", None, "train")]
    log = log_of(rows, ("user", "item", "timestamp", "part"))
    for empty in (log, log.astype({"timestamp": float})):
        assert deduplicate(empty)["part"].tolist() == ["train", "test"]
        assert k_core(empty, 1, 2)["part"].tolist() == ["test", "train", "train"]
        assert describe(empty)["interactions"] == 3


def test_dropping_goes_on_until_nothing_changes():
    # z has one buyer, so c is left with one purchase, so y is left with one buyer, and so on
    chain = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("c", "z")]
    square = [("d", "p"), ("d", "q"), ("e", "p"), ("e", "q")]
    kept = k_core(log_of(chain + square, ("user", "item")), 2, 2)
    assert list(kept.itertuples(index=False, name=None)) == square
    assert kept.index.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"no interaction is left .* ask for fewer"):
        k_core(log_of(chain, ("user", "item")), 2, 2)


def test_users_and_items_have_their_own_k():
    log = log_of([("a", "x"), ("a", "y"), ("b", "x")], ("user", "item"))
    assert len(k_core(log, k_users=1, k_items=2)) == 2
    assert len(k_core(log, k_users=2, k_items=1)) == 2
    assert len(k_core(log, k_users=1, k_items=1)) == 3


@given(pairs, st.integers(1, 4), st.integers(1, 4))
def test_the_core_has_the_degrees_and_is_the_largest_with_them(rows, k_users, k_items):
    log = log_of(sorted(set(rows)), ("user", "item"))
    expected = set(log.itertuples(index=False, name=None))
    while True:  # the definition, one dropped row at a time
        users = {u: sum(user == u for user, _ in expected) for u, _ in expected}
        items = {i: sum(item == i for _, item in expected) for _, i in expected}
        weak = [(u, i) for u, i in expected if users[u] < k_users or items[i] < k_items]
        if not weak:
            break
        expected.remove(weak[0])
    if not expected:
        with pytest.raises(ValueError, match="no interaction is left"):
            k_core(log, k_users, k_items)
        return
    kept = k_core(log, k_users, k_items)
    assert set(kept.itertuples(index=False, name=None)) == expected
    assert kept["user"].value_counts().min() >= k_users
    assert kept["item"].value_counts().min() >= k_items


def test_a_large_log_takes_a_moment():
    dice = np.random.default_rng(0)
    log = log_of(
        {"user": dice.integers(0, 50_000, 400_000), "item": dice.zipf(1.5, 400_000) % 9973}
    )
    kept = k_core(log, 5, 5)
    assert 0 < len(kept) < len(log)


def test_what_is_kept_becomes_interactions():
    log = log_of([("b", "x", 2), ("a", "x", 1), ("a", "x", 3), ("a", "y", 4), ("b", "y", 5)])
    taken = Interactions.of(k_core(deduplicate(log), 2, 2))
    assert (taken.n_users, taken.n_items, len(taken)) == (2, 2, 4)


def test_density_counts_pairs_once():
    log = log_of([("a", "x"), ("a", "x"), ("b", "y")], ("user", "item"))
    assert describe(log)["density"] == 0.5
    assert describe(log)["interactions"] == 3
    assert describe(log.iloc[:0])["density"] == 0


def test_an_empty_log_stays_empty():
    empty = log_of([])
    assert deduplicate(empty).empty
    assert k_core(empty).empty


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: deduplicate(log.drop(columns="timestamp")), "no column timestamp"),
        (lambda log: k_core(log.rename(columns={"user": "who"})), "no column user; they have who"),
        (lambda log: k_core(log, k_users=0), "k_users is 0"),
        (lambda log: k_core(log, k_items=-1), "k_items is -1"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call(log_of([("a", "x", 1)]))

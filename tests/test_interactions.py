"""Interactions as rows: order of time, what is last, what comes next."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.interactions import Interactions

TRIPLES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz"), st.integers(0, 9)), min_size=1
)


@given(TRIPLES)
def test_next_pairs_and_last_items_equal_a_plain_loop(triples: list[tuple[str, str, int]]) -> None:
    taken = Interactions.of(triples)
    histories: dict[str, list[str]] = {}
    for user, item, _ in sorted(triples, key=lambda triple: (triple[2], triple[0], triple[1])):
        histories.setdefault(user, []).append(item)
    expected = [
        pair
        for user in sorted(histories)
        for pair in zip(histories[user], histories[user][1:], strict=False)
    ]
    last, following = taken.next_pairs()
    assert list(zip(taken.items[last], taken.items[following], strict=True)) == expected
    assert taken.items[taken.last_items()].tolist() == [histories[user][-1] for user in taken.users]


@given(TRIPLES)
def test_the_matrix_says_who_took_what(triples: list[tuple[str, str, int]]) -> None:
    taken = Interactions.of(triples)
    expected = {(user, item) for user, item, _ in triples}
    rows, columns = taken.matrix.nonzero()
    assert set(zip(taken.users[rows], taken.items[columns], strict=True)) == expected
    assert taken.matrix.dtype == np.float32
    assert set(taken.matrix.data) == {1.0}


def test_given_ids_keep_their_order_and_their_silent_members() -> None:
    taken = Interactions.of([("bob", "tea", 1)], users=["eve", "bob"], items=["tea", "cup", "pot"])
    assert (taken.n_users, taken.n_items, len(taken)) == (2, 3, 1)
    assert taken.last_items().tolist() == [-1, 0]
    assert taken.matrix.toarray().tolist() == [[0, 0, 0], [1, 0, 0]]


def test_an_unknown_or_a_doubled_id_is_named() -> None:
    with pytest.raises(ValueError, match="interaction 1 has the unknown item 'pan'"):
        Interactions.of([("a", "tea", 1), ("a", "pan", 2)], items=["tea"])
    with pytest.raises(ValueError, match="users names 'a' twice"):
        Interactions.of([("a", "tea", 1)], users=["a", "a"])


def test_where_keeps_the_ids_and_the_chosen_rows() -> None:
    taken = Interactions.of([("a", "x", 1), ("b", "y", 2), ("a", "y", 3)])
    late = taken.where(taken.log["timestamp"].to_numpy() > 1)
    assert late.users.tolist() == ["a", "b"]
    assert late.log.to_numpy().tolist() == [[1, 1, 2, 1], [0, 1, 3, 2]]
    assert isinstance(late.log.index, pd.RangeIndex)


@given(TRIPLES)
def test_rows_lead_back_to_the_table(triples: list[tuple[str, str, int]]) -> None:
    taken = Interactions.of(triples)
    table = pd.DataFrame(triples, columns=["user", "item", "timestamp"])
    found = table.iloc[taken.log["row"]]
    assert found["user"].tolist() == taken.users[taken.log["user"]].tolist()
    assert found["item"].tolist() == taken.items[taken.log["item"]].tolist()
    assert found["timestamp"].tolist() == taken.log["timestamp"].tolist()
    assert sorted(taken.log["row"]) == list(range(len(triples)))
    chosen = taken.where(taken.log["timestamp"].to_numpy() % 2 == 0)
    assert (table["timestamp"].iloc[chosen.log["row"]] % 2 == 0).all()
    assert taken.log["row"].dtype == np.int64


@pytest.mark.parametrize("times", [{}, {"timestamp": None}, {"timestamp": np.nan}])
def test_without_times_there_is_a_matrix_and_no_order(times: dict[str, None]) -> None:
    table = pd.DataFrame({"user": list("bab"), "item": list("yxx")}).assign(**times)
    taken = Interactions.of(table)
    assert not taken.has_times
    assert taken.log["timestamp"].dtype == np.float64
    assert taken.log[["user", "item", "row"]].to_numpy().tolist() == [
        [0, 0, 1],
        [1, 0, 2],
        [1, 1, 0],
    ]
    assert taken.matrix.toarray().tolist() == [[1, 0], [1, 1]]
    for ask in (taken.last_items, taken.next_pairs):
        with pytest.raises(ValueError, match="no timestamps, so nobody knows which came first"):
            ask()


def test_half_the_times_are_refused() -> None:
    table = pd.DataFrame({"user": list("ab"), "item": list("xy"), "timestamp": [5, None]})
    with pytest.raises(ValueError, match="interaction 1 has no timestamp and others have one"):
        Interactions.of(table)
    assert Interactions.of(table[:1]).has_times
    assert Interactions.of([], users=["a"], items=["x"]).has_times

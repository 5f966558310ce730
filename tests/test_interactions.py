"""Interactions as rows: order of time, what is last, what comes next."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.datasets import Dataset, DatasetError, DatasetNote
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


@pytest.mark.parametrize(
    "ids", [["a", None], [1.0, np.nan], pd.array([1, pd.NA], "Int64"), ["a", ""], ["a", " "]]
)
@pytest.mark.parametrize("kind", ["user", "item"])
def test_a_missing_id_is_refused_with_its_row(ids: object, kind: str) -> None:
    table = pd.DataFrame({"user": ["a", "b"], "item": ["a", "b"], "timestamp": [1, 2]})
    with pytest.raises(DatasetError, match=f"interaction 1 has no {kind}: give it an id"):
        Interactions.of(table.assign(**{kind: ids}))
    with pytest.raises(DatasetError, match=rf"{kind}s\[1\] has no {kind}"):
        Interactions.of([], **{f"{kind}s": ids})


def test_ids_are_text_whatever_they_were() -> None:
    table = pd.DataFrame({"user": [1.0, 2.0], "item": [7, 8], "timestamp": [1, 2]})
    taken = Interactions.of(table, items=[8.0, 7.0])
    assert taken.users.tolist() == ["1", "2"]
    assert taken.items.tolist() == ["8", "7"]
    assert taken.log["item"].tolist() == [1, 0]
    assert Interactions.of(table, items=["8", "7"]).log["item"].tolist() == [1, 0]
    assert Interactions.of([(2, 8, 1), (10, 7, 2)]).users.tolist() == ["10", "2"]  # as text sorts
    with pytest.raises(
        DatasetError, match=r"interaction 1 has the user 1\.5, which is not a whole"
    ):
        Interactions.of(table.assign(user=[1.0, 1.5]))
    with pytest.raises(
        DatasetError, match="interaction 1 has the item 7, a number, and others are"
    ):
        Interactions.of([("a", "x", 1), ("a", 7, 2)])
    with pytest.raises(DatasetError, match="users names '7' twice"):
        Interactions.of(table, users=[7, 7.0])


def test_ids_composed_or_decomposed_are_the_same() -> None:
    composed, decomposed = "Zo\u00eb", "Zoe\u0308"
    taken = Interactions.of([(composed, "x", 1), (decomposed, "y", 2)])
    assert taken.users.tolist() == [composed]
    for known in (composed, decomposed):
        assert Interactions.of([(composed, "x", 1)], users=[known]).users.tolist() == [composed]
    with pytest.raises(DatasetError, match="twice"):
        Interactions.of([(composed, "x", 1)], users=[composed, decomposed])


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2024-03-01", "1969-12-31T23:59:59.5"], format="ISO8601").as_unit("us"),
        pd.to_datetime(["2024-03-01", "1969-12-31T23:59:59.5"], format="ISO8601").as_unit("ns"),
        pd.to_datetime(["2024-03-01T01:00+01:00", "1970-01-01T00:59:59.5+01:00"], format="ISO8601"),
        [datetime.datetime(2024, 3, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 500_000)],
        [1_709_251_200.0, -1.0],
        pd.array([1_709_251_200, -1], "Int64"),
    ],
    ids=["microseconds", "nanoseconds", "zone", "Python", "floats", "Int64"],
)
def test_times_become_whole_seconds_here_and_in_a_data_set(times: object) -> None:
    table = pd.DataFrame({"user": ["a", "b"], "item": ["x", "x"], "timestamp": times})
    taken = Interactions.of(table)
    assert taken.log["timestamp"].tolist() == [-1, 1_709_251_200]
    assert taken.log["timestamp"].dtype == np.int64
    data = Dataset("x", pd.DataFrame({"item": ["x"]}), table, ".")
    assert data.interactions["timestamp"].tolist() == [-1, 1_709_251_200]


def test_days_and_far_days_become_seconds() -> None:
    for far in (datetime.date(1, 1, 1), datetime.date(9999, 12, 31)):
        with pytest.warns(DatasetNote, match=f"the time {far} of interaction 0 lies outside"):
            taken = Interactions.of([("a", "y", far), ("a", "x", datetime.date(1970, 1, 2))])
        assert taken.log["timestamp"].tolist() == [86_400]
        assert taken.log["row"].tolist() == [1]
        assert taken.items.tolist() == ["x", "y"]


def test_times_that_are_none_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        DatasetError, match=r"timestamps are text, such as '2024-03-01': .*to_datetime"
    ):
        Interactions.of([("a", "x", "2024-03-01")])
    with pytest.raises(DatasetError, match="give seconds since 1970, not milliseconds"):
        Interactions.of([("a", "x", 1_709_251_200_000), ("a", "y", 1_709_251_200_001)])
    with pytest.raises(DatasetError, match=r"the timestamps are object \(mixed"):
        Interactions.of([("a", "x", "5"), ("a", "y", 5)])


def test_columns_are_found_by_nearly_their_names_or_are_named() -> None:
    table = pd.DataFrame({" User": ["a"], "ITEM": ["x"], "Timestamp": [5]})
    with pytest.warns(DatasetNote) as caught:
        taken = Interactions.of(table)
    told = [str(each.message) for each in caught]
    assert told[2] == "interactions: the column 'Timestamp' is taken for 'timestamp'"
    assert (taken.users.tolist(), taken.log["timestamp"].tolist()) == (["a"], [5])
    with pytest.raises(DatasetError, match=r"lacks the columns \['item'\]; .* and has user, sku"):
        Interactions.of(pd.DataFrame({"user": ["a"], "sku": ["x"]}))

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmtutorial.datasets import Dataset
from mmtutorial.evaluation.splits import (
    Split,
    cold_items,
    cold_items_split,
    default_split,
    given_split,
    global_time_split,
    leave_last_out,
    user_time_split,
    with_parts,
)
from mmtutorial.interactions import Interactions

PARTS = ("train", "validation", "test")
LOGS = st.builds(
    dict, seed=st.integers(0, 2**32 - 1), length=st.integers(10, 300), days=st.integers(2, 400)
)
SHARES = st.floats(0.02, 0.45)


def made(seed, length, days):
    """A log with repeated pairs and, for few days, many ties in time."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "user": rng.integers(0, 12, length).astype(str),
            "item": rng.integers(0, 25, length).astype(str),
            "timestamp": rng.integers(0, days, length),
        }
    )
    return Interactions.of(
        table, users=[str(row) for row in range(13)], items=[str(row) for row in range(26)]
    )


def split_or_skip(split, *arguments, **options):
    try:
        return split(*arguments, **options)
    except ValueError as error:
        assume("would be empty" not in str(error) and "three different" not in str(error))
        raise


def pairs(part):
    return set(zip(part.log["user"], part.log["item"], strict=True))


def check_parts(split, interactions):
    """Disjoint, nothing invented, and every pair in exactly one part where ``whole``."""
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not pairs(getattr(split, one)) & pairs(getattr(split, other))
    assert set().union(*(pairs(getattr(split, part)) for part in PARTS)) == pairs(interactions)
    for part in PARTS:
        cut = getattr(split, part)
        assert len(cut) and (cut.n_users, cut.n_items) == (13, 26)
        assert cut.log.equals(cut.log.sort_values(["timestamp", "user", "item"], ignore_index=True))
    for part, users in (("validation", split.validation_users), ("test", split.test_users)):
        rows = set(getattr(split, part).log["user"]) & set(split.train.log["user"])
        assert users.tolist() == sorted(rows)


@settings(max_examples=50, deadline=None)
@given(LOGS, SHARES, SHARES)
def test_global_time_never_shows_the_future(log, validation, test):
    interactions = made(**log)
    split = split_or_skip(global_time_split, interactions, validation, test)
    check_parts(split, interactions)
    times = {part: getattr(split, part).log["timestamp"] for part in PARTS}
    assert times["train"].max() < times["validation"].min()
    assert times["validation"].max() < times["test"].min()
    whole = interactions.log["timestamp"]
    assert len(split.train) == (whole <= times["train"].max()).sum()  # repeats included
    assert (whole > times["train"].max()).sum() >= validation * len(whole) - 1
    for part in ("validation", "test"):
        assert not getattr(split, part).log.duplicated(["user", "item"]).any()


@settings(max_examples=50, deadline=None)
@given(LOGS)
def test_leave_last_out_keeps_each_users_order(log):
    interactions = made(**log)
    split = split_or_skip(leave_last_out, interactions)
    check_parts(split, interactions)
    firsts = interactions.log.drop_duplicates(["user", "item"])
    for user, items in firsts.groupby("user")["item"]:
        logs = [getattr(split, part).log for part in PARTS]
        train, validation, test = (log[log["user"] == user] for log in logs)
        if len(items) < 3:
            assert validation.empty and test.empty
        else:
            assert test["item"].tolist() == [items.iloc[-1]]
            assert validation["item"].tolist() == [items.iloc[-2]]
            assert train["item"].unique().tolist() == items.iloc[:-2].tolist()
            assert train["timestamp"].max() <= validation["timestamp"].min()
            assert validation["timestamp"].min() <= test["timestamp"].min()


@settings(max_examples=50, deadline=None)
@given(LOGS, SHARES, SHARES)
def test_each_users_last_items_are_tested(log, validation, test):
    interactions = made(**log)
    split = split_or_skip(user_time_split, interactions, validation, test)
    check_parts(split, interactions)
    firsts = interactions.log.drop_duplicates(["user", "item"])
    for user, items in firsts.groupby("user")["item"]:
        logs = [getattr(split, part).log for part in PARTS]
        learnt, validated, tested = (log[log["user"] == user] for log in logs)
        order = [*learnt["item"].unique(), *validated["item"], *tested["item"]]
        assert order == items.tolist()
        if len(items) < 3:
            assert len(learnt["item"].unique()) == len(items)
            continue
        assert min(len(learnt), len(validated), len(tested)) >= 1
        assert learnt["timestamp"].max() <= validated["timestamp"].min()
        assert abs(len(tested) - max(1, test * len(items))) <= 1
        assert len(validated) <= max(1, validation * len(items) + 0.5)


def test_the_shares_of_each_user_are_rounded_and_leave_something_to_learn():
    counts = {"a": 2, "b": 3, "c": 4, "d": 14, "e": 15, "f": 100}
    taken = Interactions.of(
        [(user, f"{item:02}", item) for user, count in counts.items() for item in range(count)]
    )
    split = user_time_split(taken)
    sizes = [
        [int((getattr(split, part).log["user"] == row).sum()) for part in PARTS] for row in range(6)
    ]
    assert sizes == [[2, 0, 0], [1, 1, 1], [2, 1, 1], [12, 1, 1], [11, 2, 2], [80, 10, 10]]
    greedy = user_time_split(taken, validation=0.45, test=0.45)
    sizes = [
        [int((getattr(greedy, part).log["user"] == row).sum()) for part in PARTS]
        for row in range(3)
    ]
    assert sizes == [[2, 0, 0], [1, 1, 1], [1, 1, 2]]
    last = leave_last_out(taken)
    least = user_time_split(taken, validation=1e-9, test=1e-9)
    assert all(pairs(getattr(last, part)) == pairs(getattr(least, part)) for part in PARTS)


@settings(max_examples=50, deadline=None)
@given(LOGS, SHARES, SHARES, st.integers(0, 5))
def test_cold_items_are_held_back_whole(log, validation, test, seed):
    interactions = made(**log)
    split = split_or_skip(cold_items_split, interactions, validation, test, seed=seed)
    check_parts(split, interactions)
    assert sum(len(getattr(split, part)) for part in PARTS) == len(interactions)
    sets = [set(getattr(split, part).log["item"]) for part in PARTS]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert set(np.flatnonzero(~cold_items(split))) == sets[0]
    again = cold_items_split(interactions, validation, test, seed=seed)
    assert again.test.log.equals(split.test.log)


def test_shares_are_kept_where_times_differ():
    taken = Interactions.of([("a", f"{number:03}", number) for number in range(200)])
    split = global_time_split(taken, validation=0.1, test=0.2)
    assert [len(getattr(split, part)) for part in PARTS] == [140, 20, 40]


def test_ties_in_time_stay_together_in_the_later_part():
    taken = [("a", item, time) for item, time in zip("tuvwxyz", [1, 1, 2, 2, 2, 3, 3], strict=True)]
    split = global_time_split(Interactions.of(taken), validation=0.2, test=0.2)
    assert [len(getattr(split, part)) for part in PARTS] == [2, 3, 2]


def test_a_repeated_item_is_not_tested_again():
    taken = [("a", "x", 1), ("a", "x", 2), ("b", "z", 2), ("a", "y", 3), ("a", "x", 4)]
    taken += [("a", "y", 5), ("a", "z", 6)]
    split = global_time_split(Interactions.of(taken), validation=0.2, test=0.4)
    assert split.train.log["item"].tolist() == [0, 0, 2]  # x twice: training keeps repeats
    assert pairs(split.validation) == {(0, 1)}
    assert pairs(split.test) == {(0, 2)}


def test_users_without_training_are_not_tested():
    taken = [("old", "x", 1), ("old", "y", 3), ("new", "y", 3), ("old", "z", 5), ("new", "z", 5)]
    split = global_time_split(Interactions.of(taken), validation=0.4, test=0.4)
    assert split.test.users[split.test_users].tolist() == ["old"]
    assert split.validation.users[split.validation_users].tolist() == ["old"]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
@pytest.mark.parametrize("split", [global_time_split, user_time_split, cold_items_split])
def test_refuses_what_is_no_share(split, share):
    taken = Interactions.of([("a", item, time) for time, item in enumerate("vwxyz")])
    with pytest.raises(ValueError, match=r"test is .* it is a share, between 0 and 1"):
        split(taken, test=share)
    with pytest.raises(ValueError, match="validation is"):
        split(taken, validation=share)
    with pytest.raises(ValueError, match="nothing is left to train"):
        split(taken, validation=0.5, test=0.5)


@pytest.mark.parametrize("split", [global_time_split, user_time_split, leave_last_out])
def test_refuses_logs_without_time(split):
    with pytest.raises(ValueError, match=r"all 3 have the timestamp 0; .* cold_items_split"):
        split(Interactions.of([("a", item, 0) for item in "xyz"]))
    with pytest.raises(ValueError, match="there are: none"):
        split(Interactions.of([], users=["a"], items=["x"]))


def test_refuses_empty_parts():
    for first in ("w", "wxy"):
        times = [(item, 1 if item in first else 2) for item in "wxyz"]
        with pytest.raises(ValueError, match="the train part would be empty"):
            global_time_split(Interactions.of([("a", *each) for each in times]))
    again = [("a", "x", 1), ("a", "x", 2), ("a", "y", 3)]
    with pytest.raises(ValueError, match="the validation part would be empty"):
        global_time_split(Interactions.of(again))
    with pytest.raises(ValueError, match="no user took three different items"):
        leave_last_out(Interactions.of([("a", "x", 1), ("a", "y", 2), ("a", "y", 3)]))
    with pytest.raises(ValueError, match="would be empty"):
        cold_items_split(Interactions.of([("a", "x", 1), ("a", "y", 2)]))
    with pytest.raises(ValueError, match="would be empty"):
        cold_items_split(Interactions.of([], users=["a"], items=["x"]))


def test_refuses_parts_that_do_not_belong_together():
    taken = Interactions.of([("a", item, time) for time, item in enumerate("vwxyz")])
    split = leave_last_out(taken)
    with pytest.raises(ValueError, match="user 'a' and item 'y' are in the test part"):
        replace(split, test=split.validation)
    other = Interactions.of([("a", "v", 1)])
    with pytest.raises(ValueError, match="the validation part has other users or items"):
        Split("mine", split.train, other, split.test)


def without_times(length=60, seed=0):
    """A table with parts, no pair twice, and nothing about when."""
    rng = np.random.default_rng(seed)
    pair = rng.choice(12 * 25, length, replace=False)
    return pd.DataFrame(
        {
            "user": (pair // 25).astype(str),
            "item": (pair % 25).astype(str),
            "timestamp": np.nan,
            "part": rng.permutation([*PARTS, *rng.choice(PARTS, length - 3)]),
        }
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 200), st.integers(0, 2**32 - 1), st.booleans())
def test_the_given_split_is_the_given_one(length, seed, timed):
    table = without_times(length, seed)
    if timed:
        table["timestamp"] = np.random.default_rng(seed).integers(0, 9, length)
    interactions = Interactions.of(
        table, users=[str(row) for row in range(13)], items=[str(row) for row in range(26)]
    )
    split = given_split(interactions, table["part"])
    check_parts(split, interactions)
    assert sum(len(getattr(split, part)) for part in PARTS) == length
    for part in PARTS:
        cut = getattr(split, part)
        named = set(zip(cut.users[cut.log["user"]], cut.items[cut.log["item"]], strict=True))
        expected = table[table["part"] == part]
        assert named == set(zip(expected["user"], expected["item"], strict=True))
        assert table["part"].iloc[cut.log["row"]].eq(part).all()
    some = interactions.where(interactions.log["user"].to_numpy() < 6)  # rows are still the table's
    for part in PARTS:
        few = some.log["row"].map(table["part"]).eq(part)
        if not few.any():
            with pytest.raises(ValueError, match=f"the {part} part would be empty"):
                given_split(some, table["part"])
            break
    else:
        assert pairs(given_split(some, table["part"]).test) <= pairs(split.test)


def test_given_parts_that_cannot_be_are_refused():
    table = without_times()
    taken = Interactions.of(table)
    for wrong in ("dev", "", np.nan):
        parts = [*table["part"][:7], wrong, *table["part"][8:]]
        with pytest.raises(ValueError, match=f"row 7 has the part {wrong!r}; the parts are train,"):
            given_split(taken, parts)
    with pytest.raises(ValueError, match=r"parts has 59 entries, .* with at least 60 rows"):
        given_split(taken, table["part"][:59])
    with pytest.raises(ValueError, match="the test part would be empty"):
        given_split(taken, table["part"].replace("test", "train"))
    with pytest.raises(ValueError, match=r"do not say which row .* build them by Interactions\.of"):
        given_split(replace(taken, log=taken.log.drop(columns="row")), table["part"])
    both = pd.concat([table, table[table["part"] == "train"].head(1).assign(part="test")])
    user, item = both[["user", "item"]].iloc[-1]
    with pytest.raises(ValueError, match=f"user '{user}' and item '{item}' are in the test part"):
        given_split(Interactions.of(both), both["part"])


def test_repeats_within_a_given_part_count_in_training_alone():
    taken = [("a", "x", 1), ("a", "x", 2), ("a", "y", 3), ("a", "y", 4), ("a", "z", 5)]
    parts = ["train", "train", "test", "test", "validation"]
    split = given_split(Interactions.of(taken), parts)
    assert [len(getattr(split, part)) for part in PARTS] == [2, 1, 1]
    assert split.test.log["timestamp"].tolist() == [3]


def data_of(table):
    items = pd.DataFrame({"item": [f"{row}" for row in reversed(range(26))]})
    return Dataset("made", items, table, ".")


def test_a_data_set_is_split_by_its_parts_or_else_by_time():
    data = data_of(without_times())
    split = default_split(data)
    assert split.name == "given"
    for part in PARTS:
        cut = getattr(split, part)
        assert cut.items.tolist() == data.items["item"].tolist()
        assert data.interactions["part"].iloc[cut.log["row"]].eq(part).all()
    timed = without_times().drop(columns="part").assign(timestamp=range(60))
    timed = pd.concat([timed, timed[:9].assign(timestamp=100)])  # taken again
    data = data_of(timed)
    split = default_split(data)
    assert split.name == "global time"
    assert [len(getattr(split, part)) for part in PARTS] == [48, 6, 6]
    assert data.interactions["timestamp"].iloc[split.test.log["row"]].tolist() == [*range(54, 60)]
    with pytest.raises(ValueError, match="these interactions have none: use given_split"):
        default_split(data_of(without_times().drop(columns="part")))


def test_a_data_set_is_split_as_it_says():
    timed = without_times().assign(timestamp=range(60))
    named = {
        each: default_split(replace(data_of(timed), split=each)).name
        for each in ("", "published", "global", "per user")
    }
    assert named == {
        "": "given", "published": "given", "global": "global time", "per user": "each user's time",
    }  # fmt: skip
    again = pd.concat([timed, timed[:9].assign(timestamp=100)])  # taken again: left out
    split = default_split(replace(data_of(again), split="per user"))
    assert sum(len(getattr(split, part)) for part in PARTS) == 60
    assert default_split(with_parts(replace(data_of(timed), split="per user"))).name == "given"


def test_without_times_only_the_splits_that_need_none_are_made():
    taken = Interactions.of(without_times())
    for split in (global_time_split, user_time_split, leave_last_out):
        with pytest.raises(ValueError, match=r"have none: use given_split .* or cold_items_split"):
            split(taken)
    split = cold_items_split(taken, seed=1)
    assert sum(len(getattr(split, part)) for part in PARTS) == 60
    assert cold_items(split).any()

"""The best options by the validation part alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from rich.progress import track

from mmtutorial.evaluation import Split, evaluate, global_time_split, tune, tuning
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import EASE, Popularity
from mmtutorial.recommenders.base import Recommender


@pytest.fixture
def split() -> Split:
    generator = np.random.default_rng(0)
    rows = [
        (f"u{user:02d}", f"i{item:02d}", int(generator.integers(1000)))
        for user in range(40)
        for item in generator.choice(25, 8, replace=False, p=np.arange(1, 26) / 325)
    ]
    return global_time_split(
        Interactions.of(rows, items=[f"i{item:02d}" for item in range(25)]),
        validation=0.2,
        test=0.2,
    )


class Noted(EASE):
    """Writes down what it is given."""

    seen: list[tuple] = []  # noqa: RUF012

    def fit(self, train, features=None, validation=None):
        self.seen.append((train, features, validation))
        return super().fit(train, features, validation)


GRID = {"l2": [1000.0, 5.0, 50.0], "content_weight": [0.0, {"text": 3.0}]}


def test_every_combination_is_fitted_on_training_and_chosen_on_validation(split: Split) -> None:
    features = {"text": np.random.default_rng(1).standard_normal((25, 3))}
    Noted.seen.clear()
    best, table = tune(Noted, GRID, split, features, metric="recall", k=5)
    assert table["l2"].tolist() == [1000.0, 1000.0, 5.0, 5.0, 50.0, 50.0]
    assert table["content_weight"].tolist() == GRID["content_weight"] * 3
    for l2, weight, recall, ndcg in table[["l2", "content_weight", "recall", "ndcg"]].to_numpy():
        model = EASE(l2=l2, content_weight=weight).fit(split.train, features)
        found = evaluate(model, split, k=5, part="validation").per_user.mean()
        assert (recall, ndcg) == (found["recall"], found["ndcg"])
    row = table.loc[table["recall"].idxmax()]
    assert best == {"l2": row["l2"], "content_weight": row["content_weight"]}
    assert len(Noted.seen) == 6
    for given in Noted.seen:
        assert given == (split.train, features, split.validation)


def test_the_test_part_plays_no_role_and_the_result_is_the_same_each_time(split: Split) -> None:
    best, table = tune(EASE, {"l2": [1.0, 30.0]}, split, k=5)
    shuffled = split.test.where(np.random.default_rng(3).random(len(split.test)) < 0.5)
    again, other = tune(EASE, {"l2": [1.0, 30.0]}, replace(split, test=shuffled), k=5)
    assert again == best
    pd.testing.assert_frame_equal(other, table)


def test_the_first_of_equals_is_chosen(split: Split) -> None:
    def same(colour: str) -> Recommender:
        return Popularity()

    best, table = tune(same, {"colour": ["red", "blue"]}, split)
    assert best == {"colour": "red"}
    assert table["ndcg"].iloc[0] == table["ndcg"].iloc[1]


def test_progress_is_shown_when_it_takes_long(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = StringIO()
    terminal = Console(file=shown, force_terminal=True, width=200)
    monkeypatch.setattr(tuning, "track", partial(track, console=terminal))
    tune(EASE, {"l2": [1.0, 30.0]}, split)
    assert not shown.getvalue()
    monkeypatch.setattr(tuning, "_PATIENCE", 0.0)
    tune(EASE, {"l2": [1.0, 30.0]}, split)
    assert "Trying options" in shown.getvalue()


def test_what_cannot_be_tuned_is_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="metric is 'accuracy'; choose by one of hit_rate"):
        tune(EASE, {"l2": [1.0]}, split, metric="accuracy")
    with pytest.raises(ValueError, match=r"space\['l2'\] is empty"):
        tune(EASE, {"l2": []}, split)
    with pytest.raises(ValueError, match="the option 'recall' is named like a metric"):
        tune(EASE, {"recall": [1.0]}, split)

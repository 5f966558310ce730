"""The best options by the validation part alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from rich.progress import track

from mmtutorial.evaluation import Range, Split, evaluate, global_time_split, tune, tuning
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import EASE, Popularity
from mmtutorial.recommenders.base import Recommender
from mmtutorial.storage.epochs import Epochs


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


SPACE = {"l2": Range(1.0, 1000.0, log=True), "content_weight": [0.0, {"text": 3.0}]}


def test_a_search_that_was_killed_goes_on_to_the_same_trials(split: Split, tmp_path: Path) -> None:
    features = {"text": np.random.default_rng(1).standard_normal((25, 3))}
    first = [{"l2": 100.0}]
    best, table = tune(EASE, SPACE, split, features, k=5, n_trials=8, first=first)
    assert table["l2"][0] == 100.0 and table["l2"].between(1, 1000).all() and len(table) == 8
    assert table["l2"].nunique() == 8
    storage = tmp_path / "new" / "search.sqlite"
    fitted = []

    def killed(**options: Any) -> Recommender:
        fitted.append(options)
        if len(fitted) in (1, 4):
            raise KeyboardInterrupt
        return EASE(**options)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(killed, SPACE, split, features, k=5, n_trials=8, first=first, storage=storage)
    again, other = tune(
        killed, SPACE, split, features, k=5, n_trials=8, first=first, storage=storage
    )
    assert again == best and len(fitted) == 10
    pd.testing.assert_frame_equal(other, table)


class Scripted(Popularity):
    """Reports the same quality in each epoch."""

    def __init__(self, quality: float) -> None:
        self.quality = quality

    def _learn_resumably(self, train, features, validation, checkpoint):
        epochs = Epochs("it", 30, 99, checkpoint, [], np.random.default_rng(0))
        for _ in epochs:
            epochs.end(0.5, self.quality)
            self.reached = len(epochs.history["loss"])
        self._learn(train, features, validation)


def test_what_stays_below_the_median_is_pruned_and_is_not_chosen(split: Split) -> None:
    made: list[Scripted] = []

    def make(quality: float) -> Recommender:
        made.append(Scripted(quality))
        return made[-1]

    best, table = tune(make, {"quality": [0.5, 0.6, 0.7, 0.8, 0.1, 0.9]}, split)
    assert [each.reached for each in made[:4]] == [30] * 4
    assert not hasattr(made[4], "_train") or made[4].reached < 30
    assert table["ndcg"].isna().tolist() == [False] * 4 + [True, False]
    assert best == {"quality": 0.5}  # all popularity: the first of equals


def test_a_search_that_cannot_begin_is_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="l2 is a range: say by n_trials"):
        tune(EASE, {"l2": Range(1, 9)}, split)
    with pytest.raises(ValueError, match=r"l2 = 10, to begin with, is outside of the space"):
        tune(EASE, {"l2": Range(1, 9)}, split, n_trials=2, first=[{"l2": 10}])
    with pytest.raises(ValueError, match="n_trials is 0"):
        tune(EASE, {"l2": Range(1, 9)}, split, n_trials=0)

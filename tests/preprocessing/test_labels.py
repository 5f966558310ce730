"""Labels: kinds of one word and of several, ratings that are lacking, and what is held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mmtutorial.datasets import Dataset, shop
from mmtutorial.preprocessing.labels import labels_of


def few(**columns) -> Dataset:
    items = pd.DataFrame({"item": ["a", "b", "c"], **columns})
    taken = pd.DataFrame({"user": ["x", "y"], "item": ["a", "b"], "timestamp": [1, 2]})
    return Dataset("few", items, taken, Path("."))


def test_genres_share_an_item():
    data = few(genres=["Comedy, Drama", "Drama", ""])
    labels = labels_of(data, np.ones(3, bool))
    assert labels.kinds == ("Comedy", "Drama")
    assert labels.kind.tolist() == [[0.5, 0.5], [0.0, 1.0], [0.0, 0.0]]
    assert labels.tasks == ("kind",)


def test_what_is_held_back_has_no_labels():
    data = shop(n_items=40, n_users=30)
    known = np.arange(40) % 2 == 0
    labels = labels_of(data, known)
    assert labels.kind[known].sum() == 20 and not labels.kind[~known].any()
    assert labels.words[known].any() and not labels.words[~known].any()


def test_data_without_labels_have_none():
    assert labels_of(few(), np.ones(3, bool)).tasks == ()

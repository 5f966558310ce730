"""Learning that is interrupted goes on from its last epoch, and comes to the very same end."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtutorial import epochs, unfinished
from mmtutorial.article import ArticleNetwork
from mmtutorial.arrays import read_arrays
from mmtutorial.baselines import BPR, VBPR, LightGCN, Oracle, Popularity
from mmtutorial.blend import Blend
from mmtutorial.datasets.dataset import Truth
from mmtutorial.encoders.text import next_word_model, train_next_word
from mmtutorial.recommender import Recommender
from mmtutorial.two_tower import TwoTower
from mmtutorial.unfinished import Unfinished
from tests.hostile.corpus import Evil
from tests.test_two_tower import REVIEWS, TRAIN, later, raw, ready

SMALL = {"dimensions": 4, "epochs": 4, "batch_size": 16}
VALIDATION = later()
CONTENT = {**ready(), "review": REVIEWS}
PICTURED = {**raw(), "image": np.ones((len(TRAIN.items), 6, 6, 3), np.float32)}
TEXTS = [[4, 5, 6], [7], [8, 9, 10, 11, 4, 5], [6, 6]] * 4


class Interrupted(Exception):
    """Stands for a kill."""


def learnt(recommender: Recommender, content: Any, validation: Any, resume: Path | None) -> Any:
    recommender.fit(TRAIN, content, validation, resume)
    parts = getattr(recommender, "recommenders", [recommender])
    return [{"scores": recommender.score([0, 3]), **part._state()} for part in parts]


def words(resume: Path | None) -> Any:
    keras.utils.set_random_seed(0)
    model = next_word_model(12, 6, 5)
    found = train_next_word(model, TEXTS, TEXTS[:5], epochs=4, batch_size=4, seed=3, resume=resume)
    return [dict(enumerate(model.get_weights())), found]


LEARN: dict[str, Callable[[Path | None], Any]] = {
    "tower, stopped early": lambda resume: learnt(
        TwoTower(**{**SMALL, "epochs": 9}, units=4, patience=2), ready(), VALIDATION, resume
    ),
    "tower with everything drawn": lambda resume: learnt(
        TwoTower(
            fusion="attention", ids=True, pooling="gru", modality_dropout=0.3, id_dropout=0.2,
            alignment=0.1, loss="in-batch", units=4, weight_decay=0.1, **SMALL,
        ),
        CONTENT, None, resume,
    ),
    "BPR": lambda resume: learnt(BPR(**SMALL, patience=2), {}, VALIDATION, resume),
    "VBPR": lambda resume: learnt(VBPR(**SMALL), ready(), None, resume),
    "LightGCN": lambda resume: learnt(LightGCN(**SMALL), {}, VALIDATION, resume),
    "article's network": lambda resume: learnt(
        ArticleNetwork(4, 4, epochs=4, batch_size=64, verbose=0), PICTURED, VALIDATION, resume
    ),
    "blend": lambda resume: learnt(
        Blend([Popularity(), BPR(**SMALL), LightGCN(**SMALL)]), {}, VALIDATION, resume
    ),
    "language model": words,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def second_epoch_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every start end with its second epoch: all is computed, and nothing of it is kept."""
    for kind, name in ((epochs.Epochs, "end"), (epochs.KeepEpochs, "on_epoch_end")):

        def cut(self: Any, *told: Any, whole: Any = getattr(kind, name), **more: Any) -> None:
            self.ended = getattr(self, "ended", 0) + 1
            if self.ended == 2:
                raise Interrupted
            whole(self, *told, **more)

        monkeypatch.setattr(kind, name, cut)


@pytest.mark.parametrize("name", LEARN)
def test_interrupted_after_every_epoch_it_comes_to_the_same_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, resume, starts = LEARN[name], tmp_path / "resume", 0
    tf.config.run_functions_eagerly(name.startswith("tower"))  # tracing takes seconds a start
    try:
        expected = learn(None)
        with monkeypatch.context() as patched:
            second_epoch_is_lost(patched)
            while True:
                starts += 1
                try:
                    found = learn(resume)
                    break
                except Interrupted:
                    assert list(resume.iterdir())
    finally:
        tf.config.run_functions_eagerly(False)
    assert starts >= 3
    assert list(resume.iterdir()) == []
    for one, other in zip(expected, found, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=str(key))

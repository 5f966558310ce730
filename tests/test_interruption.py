"""Learning that is interrupted goes on from its last epoch, and comes to the very same end."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtutorial.article import ArticleNetwork
from mmtutorial.encoders.text import next_word_model, train_next_word
from mmtutorial.recommenders import BPR, FREEDOM, VBPR, LightGCN, Popularity
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.blend import Blend
from mmtutorial.recommenders.two_tower import TwoTower
from mmtutorial.storage import checkpoint, epochs
from mmtutorial.storage.arrays import read_arrays
from mmtutorial.storage.checkpoint import Checkpoint
from tests.hostile.corpus import Evil
from tests.recommenders.test_two_tower import REVIEWS, TRAIN, later, raw, ready

SMALL = {"dimensions": 4, "steps": 12, "validate_every": 4, "batch_size": 32}
TOWER: dict[str, Any] = {"dimensions": 4, "units": 4, "batch_size": 32, "validate_every": 1}
VALIDATION = later()
CONTENT = {**ready(), "review": REVIEWS}
PICTURED = {**raw(), "image": np.ones((len(TRAIN.items), 6, 6, 3), np.float32)}
TEXTS = [[4, 5, 6], [7], [8, 9, 10, 11, 4, 5], [6, 6]] * 4


class Interruption(Exception):  # noqa: N818 — no error, but a kill
    """Stands for a kill."""


def learnt(recommender: Recommender, content: Any, validation: Any, resume: Path | None) -> Any:
    recommender.fit(TRAIN, content, validation, resume)
    parts = getattr(recommender, "recommenders", [recommender])
    return [{"scores": recommender.score([0, 3]), **part._state()} for part in parts]


def words(resume: Path | None) -> Any:
    keras.utils.set_random_seed(0)
    model = next_word_model(12, 6, 5)
    found = train_next_word(model, TEXTS, TEXTS[:5], epochs=2, batch_size=4, seed=5, resume=resume)
    return [dict(enumerate(model.get_weights())), found]


LEARN: dict[str, Callable[[Path | None], Any]] = {
    "tower, stopped early": lambda resume: learnt(
        TwoTower(**TOWER, steps=4, patience=2), ready(), VALIDATION, resume
    ),
    "tower with everything drawn": lambda resume: learnt(
        TwoTower(
            fusion="attention", ids=True, cosine=True, modality_dropout=0.3, id_dropout=0.2,
            alignment=0.1, loss="in-batch", weight_decay=0.1, warm_up=3, **TOWER, steps=2,
        ),
        CONTENT, None, resume,
    ),
    "BPR": lambda resume: learnt(BPR(**SMALL, patience=8), {}, VALIDATION, resume),
    "VBPR": lambda resume: learnt(VBPR(**SMALL), ready(), None, resume),
    "LightGCN": lambda resume: learnt(LightGCN(**SMALL), {}, VALIDATION, resume),
    "FREEDOM": lambda resume: learnt(
        FREEDOM(pruned=0.5, k=3, **SMALL), ready(), VALIDATION, resume
    ),
    "article's network": lambda resume: learnt(
        ArticleNetwork(4, 4, epochs=2, batch_size=128, verbose=0), PICTURED, VALIDATION, resume
    ),
    "blend": lambda resume: learnt(
        Blend([Popularity(), BPR(**SMALL), LightGCN(**SMALL)]), {}, VALIDATION, resume
    ),
    "language model": words,
}  # fmt: skip

COMPILED = {"BPR"}  # the others run uncompiled: to trace takes longer than some steps


@pytest.fixture(autouse=True)
def _every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Even though the `tf.config")
        yield


def second_epoch_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every start end with its second epoch: all is computed, and nothing of it is kept."""
    for kind, name in ((epochs.Epochs, "end"), (epochs.KeepEpochs, "on_epoch_end")):

        def cut(self: Any, *told: Any, whole: Any, **more: Any) -> None:
            self.ended = getattr(self, "ended", 0) + 1
            if self.ended == 2:
                raise Interruption
            whole(self, *told, **more)

        monkeypatch.setattr(kind, name, partialmethod(cut, whole=getattr(kind, name)))


@pytest.mark.parametrize("name", LEARN)
def test_interrupted_after_every_epoch_it_comes_to_the_same_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, resume, starts = LEARN[name], tmp_path / "resume", 0
    tf.config.run_functions_eagerly(name not in COMPILED)
    try:
        expected = learn(None)
        with monkeypatch.context() as patched:
            second_epoch_is_lost(patched)
            while True:
                starts += 1
                try:
                    found = learn(resume)
                    break
                except Interruption:
                    assert list(resume.iterdir())
    finally:
        tf.config.run_functions_eagerly(False)
    assert starts > 1
    assert list(resume.iterdir()) == []
    for one, other in zip(expected, found, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=str(key))


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: None) -> Path:
    """What BPR leaves that is interrupted in its second epoch."""
    with monkeypatch.context() as patched, pytest.raises(Interruption):
        second_epoch_is_lost(patched)
        LEARN["BPR"](tmp_path / "resume")
    (path,) = (tmp_path / "resume").iterdir()
    return path


def changed(path: Path, **arrays: np.ndarray) -> bytes:
    memory = io.BytesIO()
    np.savez(memory, **{**read_arrays(path), **arrays})  # type: ignore[arg-type]
    return memory.getvalue()


DAMAGED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "cut": (lambda path: path.read_bytes()[:-99], "File is not a zip file"),
    "empty": (lambda path: b"", "File is not a zip file"),
    "flipped": (
        lambda path: path.read_bytes().replace("PCG64".encode("utf-32-le"), bytes(20)),
        "Bad CRC-32",
    ),
    "pickled": (lambda path: pickle.dumps(Evil()), "File is not a zip file"),
    "objects": (lambda path: changed(path, seconds=np.array([Evil()])), "allow_pickle=False"),
    "foreign": (lambda path: changed(path, key=np.array("x")), "it belongs to something else"),
    "other sizes": (lambda path: changed(path, **{"variable/0": np.ones(2)}), "other sizes"),
    "no generator": (lambda path: changed(path, generator=np.array("{}")), "PCG64"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told_and_removed_and_learning_begins_anew(
    name: str, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(begun.parent.parent)
    change, said = DAMAGED[name]
    begun.write_bytes(change(begun))
    with pytest.warns(UserWarning, match=f"{begun} is damaged .*{said}.* learning begins anew"):
        found = LEARN["BPR"](begun.parent)
    np.testing.assert_array_equal(found[0]["scores"], LEARN["BPR"](None)[0]["scores"])
    assert [each.name for each in begun.parent.parent.iterdir()] == ["resume"]
    assert list(begun.parent.iterdir()) == []


def test_other_options_and_data_begin_anew_beside_what_is_unfinished(begun: Path) -> None:
    before = begun.read_bytes()
    fewer = TRAIN.where(np.arange(len(TRAIN)) > 0)
    for options, train, validation in (
        ({**SMALL, "seed": 1, "patience": 8}, TRAIN, VALIDATION),
        ({**SMALL, "patience": 8}, fewer, VALIDATION),
        ({**SMALL, "patience": 8}, TRAIN, None),
    ):
        expected = BPR(**options).fit(train, validation=validation)
        found = BPR(**options).fit(train, validation=validation, resume=begun.parent)
        np.testing.assert_array_equal(found.score([1]), expected.score([1]))
    assert begun.read_bytes() == before
    assert [each.name for each in begun.parent.iterdir()] == [begun.name]


def test_seconds_of_interrupted_runs_are_counted(begun: Path) -> None:
    begun.write_bytes(changed(begun, seconds=np.array(1000.0)))
    bpr = BPR(**SMALL, patience=8).fit(TRAIN, {}, VALIDATION, begun.parent)
    assert bpr.seconds_before == 1000


def test_it_is_written_every_few_seconds_and_takes_a_twentieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = 100.0, []

    def write(path: Path, content: bytes) -> None:
        nonlocal now
        written.append(now)
        now += 2.0

    monkeypatch.setattr(checkpoint, "monotonic", lambda: now)
    monkeypatch.setattr(checkpoint, "write_whole", write)
    monkeypatch.setattr(checkpoint, "EVERY", 5.0)
    monkeypatch.setattr(checkpoint, "SHARE", 20)
    one = Checkpoint(tmp_path, lambda: "it")
    while now < 200:
        one.write(dict)
        now += 1.0
    assert written == [105.0, 147.0, 189.0]


def test_recommenders_without_epochs_write_nothing(tmp_path: Path) -> None:
    popularity = Popularity().fit(TRAIN, resume=tmp_path / "resume")
    assert popularity.recommend([0]).shape == (1, 10)
    assert not (tmp_path / "resume").exists()


def test_a_file_is_refused_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "resume").write_text("mine")
    with pytest.raises(ValueError, match="resume is a file: name a folder to keep unfinished"):
        BPR(**SMALL).fit(TRAIN, resume=tmp_path / "resume")
    assert (tmp_path / "resume").read_text() == "mine"

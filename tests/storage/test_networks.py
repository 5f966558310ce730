"""Networks in Keras's format: what is damaged is named, and nothing that a file names is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.two_tower import TwoTower
from mmtutorial.storage.networks import load_network
from tests.hostile.corpus import Evil
from tests.recommenders.test_two_tower import TRAIN, ready
from tests.storage.test_archives import flips


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tower = TwoTower(("text",), steps=1, dimensions=4, units=4).fit(TRAIN, ready())
    return tower.save(tmp_path_factory.mktemp("saved") / "model")


def packed(parts: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", how) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return memory.getvalue()


def also(how: int = zipfile.ZIP_STORED, **more: bytes) -> Callable[[bytes], bytes]:
    """Put something into the archive, or in the place of a part."""

    def change(whole: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        return packed({**parts, **more}, how)

    return change


def layer(**changes: Any) -> Callable[[bytes], bytes]:
    """Put another layer in the place of one of the tower's."""

    def change(whole: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            config = json.loads(archive.read("config.json"))
        layers = config["config"]["layers"]
        next(each for each in layers if each["class_name"] == "PartwiseDense").update(changes)
        return also(**{"config.json": json.dumps(config).encode()})(whole)

    return change


def from_module(module: str, name: str, **more: Any) -> Callable[[bytes], bytes]:
    return layer(module=module, class_name=name, registered_name=None, **more)


def flipped(whole: bytes) -> bytes:
    place = whole.index(b"\x89HDF") + 999  # within the weights
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def with_a_lambda(whole: bytes) -> bytes:
    evil = keras.layers.Lambda(lambda vectors: open("executed", "w") and vectors)  # noqa: SIM115
    return layer(**keras.saving.serialize_keras_object(evil))(whole)


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda whole: whole[: len(whole) // 2], "File is not a zip file"),
    "zeros": (lambda whole: bytes(len(whole)), "File is not a zip file"),
    "empty": (lambda whole: b"", "File is not a zip file"),
    "flipped": (flipped, "Bad CRC-32 for file 'model.weights.h5'"),
    "compressed": (
        also(how=zipfile.ZIP_DEFLATED),
        "'metadata.json' is compressed, which save never does",
    ),
    "pickled": (lambda whole: pickle.dumps(Evil()), "File is not a zip file"),
    "weights of zeros": (also(**{"model.weights.h5": bytes(3000)}), "file signature not found"),
    "weights pickled": (also(**{"model.weights.npz": pickle.dumps(Evil())}), "no part of one"),
    "paths that lead out": (also(**{"../outside": b""}), r"it holds '../outside', which is no"),
    "assets that lead out": (also(**{"assets/../../outside": b""}), "which is no part of one"),
    "config nested": (also(**{"config.json": b"[" * 100_000}), "recursion"),
    "config empty": (also(**{"config.json": b"{}"}), ""),
    "Lambda": (with_a_lambda, "keras's Lambda may run a program"),
    "a module that Keras imports": (from_module("keras_nlp", "Layer"), "keras_nlp's Layer may run"),
    "another module": (from_module("evil", "Layer"), "evil's Layer may run a program"),
    "the system": (from_module("os", "system"), "os's system may run a program"),
    "a fetched file": (from_module("keras.utils", "get_file"), "not a modeling function"),
    "a saved program": (
        from_module("keras.layers", "TFSMLayer", config={"filepath": "x"}),
        "arbitrary code execution",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_and_hostile_networks_are_refused_by_name(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, said = DAMAGED[name]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "modules").mkdir()
    for module in ("keras_nlp", "evil"):
        (tmp_path / "modules" / f"{module}.py").write_text("open('imported', 'w'); Layer = object")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    path = tmp_path / "item_tower.keras"
    path.write_bytes(change((model / path.name).read_bytes()))
    with pytest.raises(
        ValueError, match=f"^item_tower.keras cannot be read as a network: .*{said}"
    ):
        load_network(path)
    assert list((tmp_path / "here").iterdir()) == []
    assert {each.name for each in tmp_path.iterdir()} == {"here", "modules", path.name}


def test_a_flipped_bit_anywhere_is_found(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "item_tower.keras"
    damaged = flips((model / path.name).read_bytes())
    assert len(damaged) == 36
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^item_tower.keras cannot be read as a network"):
            load_network(path)


def test_what_may_not_be_read_is_not_damaged(
    model: Path, unreadable: Callable[[Path], Any]
) -> None:
    for name in ("item_tower.keras", "arrays.npz", "recommender.json"):
        with unreadable(model / name), pytest.raises(PermissionError, match=name):
            Recommender.load(model)
    assert Recommender.load(model).recommend([0]).shape == (1, 10)


@pytest.mark.skipif(os.name == "nt", reason="no umask")
def test_a_saved_network_may_be_read_as_other_files(model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    assert {each.stat().st_mode for each in model.iterdir()} == {
        (tmp_path / "other").stat().st_mode
    }


def test_what_is_changed_by_no_more_than_packing_is_read(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "item_tower.keras"
    path.write_bytes(also()((model / path.name).read_bytes()))
    found, expected = (load_network(each).get_weights() for each in (path, model / path.name))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recommender_names_the_network_and_what_to_do(model: Path, tmp_path: Path) -> None:
    whole = (model / "item_tower.keras").read_bytes()
    try:
        (model / "item_tower.keras").write_bytes(whole[:99])
        with pytest.raises(ValueError, match=r"is damaged.*item_tower.keras cannot.*save it again"):
            Recommender.load(model)
    finally:
        (model / "item_tower.keras").write_bytes(whole)
    assert Recommender.load(model).recommend([0]).shape == (1, 10)

"""A path may begin with ~, the home folder, wherever a person can give one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from mmtutorial import datasets
from mmtutorial.cli import app
from mmtutorial.datasets.collections import Collection
from mmtutorial.encoders.text import PretrainedEncoder
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.audio import load_audio
from mmtutorial.preprocessing.image import encode_images, load_image
from mmtutorial.preprocessing.text import Vocabulary
from mmtutorial.recommenders import BPR, Random
from mmtutorial.recommenders.base import Recommender
from mmtutorial.reproduce.cache import data_digest
from mmtutorial.reproduce.cluster import run_tasks
from mmtutorial.reproduce.notebooks import Notebook, in_order
from mmtutorial.reproduce.results import Results, gather
from mmtutorial.reproduce.run import check_bands, write_bands
from mmtutorial.storage.files import cache_folder

TRAIN = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, while one works somewhere else."""
    small = datasets.shop(n_items=40, n_users=30)  # made before the cache moves
    monkeypatch.setitem(datasets.MAKERS, "shop", lambda **options: small)
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))  # Windows
    monkeypatch.chdir(work)
    yield home
    assert not list(work.iterdir())  # no folder with the name ~


def test_data_sets(home: Path) -> None:
    made = datasets.load("shop").save("~/mine")
    assert made.folder == home / "mine"
    assert datasets.Dataset.open("~/mine").folder == home / "mine"
    assert datasets.load("~/mine").folder == datasets.load(Path("~/mine")).folder == home / "mine"
    assert datasets.validate_folder("~/mine") == []
    assert datasets.Dataset("x", made.items, made.interactions, "~/mine").folder == home / "mine"
    assert data_digest("~/mine") == data_digest(str(home / "mine"))
    page = Notebook(home / "page.ipynb", "~/mine")
    assert page.place(Path("out")) == Notebook(page.path, str(home / "mine")).place(Path("out"))


def test_tables_and_media(home: Path) -> None:
    (home / "photos").mkdir()
    (home / "clips").mkdir()
    Image.new("RGB", (4, 4), "red").save(home / "photos" / "007.png")
    soundfile.write(home / "clips" / "007.wav", np.full(800, 0.5), 8000)
    (home / "sales.csv").write_text("user,item,timestamp\nann,007,1709251200\n")
    (home / "goods.csv").write_text("item,title\n007,Tea\n")
    data, left_out = datasets.from_tables(
        "~/sales.csv", "~/goods.csv", images="~/photos", sounds="~/clips"
    )
    assert (data.folder, left_out) == (home, [])
    assert data.path(0, "image") == home / "photos" / "007.png"
    assert load_image("~/photos/007.png").size == (4, 4)
    assert len(load_audio("~/clips/007.wav")) == 800
    _, present, _ = encode_images(["~/photos/007.png"], jobs=1, cache="~/prepared")
    assert present.tolist() == [True]
    assert list((home / "prepared").rglob("*.npz"))


def test_what_was_learnt(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Random(seed=3).fit(TRAIN).save("~/models/r") == home / "models" / "r"
    assert Recommender.load("~/models/r").options() == {"seed": 3}
    asked: list[Path] = []
    monkeypatch.setattr("mmtutorial.storage.checkpoint.EVERY", 0)
    monkeypatch.setattr(
        "mmtutorial.storage.checkpoint.write_whole", lambda path, content: asked.append(path)
    )
    BPR(steps=2).fit(TRAIN, resume="~/unfinished")
    assert {path.parent for path in asked} == {home / "unfinished"}
    Vocabulary.of([["so", "soft"]]).save("~/words.json")
    assert "soft" in Vocabulary.load("~/words.json").words
    (home / "network").mkdir()
    (home / "network" / "model.safetensors").write_bytes(b"not it")
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", object())
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        PretrainedEncoder("~/network", sha256="0" * 64)


def test_results(home: Path) -> None:
    results = gather([], profile="quick", n_draws=1)
    assert results.save("~/results") == home / "results"
    assert Results.open("~/results").environment["profile"] == "quick"
    assert write_bands(results, "~/bands.csv") == home / "bands.csv"
    assert check_bands(results, "~/bands.csv") == []
    (home / "clone").mkdir()
    (home / "clone" / "_toc.yml").write_text("")
    assert in_order("~/clone") == []
    assert run_tasks([], "~/out") == ([], [])


def test_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", "~/cache")
    assert cache_folder() == home / "cache"
    monkeypatch.setenv("MMTUTORIAL_DATA", "~/collections")
    (home / "collections" / "things").mkdir(parents=True)
    (home / "collections" / "things" / "a.txt").write_text("a")
    things = Collection("things", "", "CC0", "page", digests={"a.txt": ""})
    assert things.obtain() == home / "collections" / "things"


def test_commands(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(home / "cache"))
    (home / "_toc.yml").write_text("")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        "mmtutorial.reproduce.run.run_notebooks", lambda work, out, **_: asked.update(out=out) or []
    )
    monkeypatch.setattr(
        "mmtutorial.reproduce.run.grid", lambda name, *_, **options: asked.update(name=name) or []
    )
    for arguments in (
        ["data", "shop", "--out", "~/mine"],
        ["check", "~/mine"],
        ["recommend", "--dataset", "~/mine", "--user", "u01", "--recommender", "popularity"],
        ["reproduce", "--dataset", "~/mine", "--out", "~/out", "--root", "~", "--into", "~/into",
         "--bands", "~/bands.csv", "--renew-bands"],
    ):  # fmt: skip
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (result.output, result.exception)
    assert asked == {"out": home / "out", "name": str(home / "mine")}
    for name in ("out/results/measures.csv", "into/measures.csv", "bands.csv"):
        assert (home / name).exists()
    result = CliRunner().invoke(app, ["data", "shop", "--out", "~/mine"])
    assert result.exit_code == 1
    assert "holds a data set already ('shop', 40 items)" in result.output
    assert "replace what lies there by --replace" in result.output
    assert CliRunner().invoke(app, ["data", "shop", "--out", "~/mine", "--replace"]).exit_code == 0

"""The front door: the README's lines run on a person's own tables and pictures."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmtutorial as mm

ROOT = Path(__file__).resolve().parents[1]


def export(folder: Path, **options: int) -> None:
    """Write the shop as somebody else's: orders.csv, products.csv and photos; one user is ann."""
    data = mm.load("shop", **options)
    items, taken = data.items, data.interactions
    products = items[["item", "title", "text"]]
    products.columns = ["id", "name", "description"]
    products.to_csv(folder / "products.csv", index=False)
    users = taken["user"].where(taken["user"] != data.users[1], "ann")
    when = pd.to_datetime(taken["timestamp"], unit="s").astype(str)
    orders = {"id": range(len(taken)), "customer": users, "product_id": taken["item"]}
    pd.DataFrame({**orders, "created_at": when}).to_csv(folder / "orders.csv", index=False)
    (folder / "photos").mkdir()
    for row in range(data.n_items):
        if (path := data.path(row, "image")) is not None:
            shutil.copyfile(path, folder / "photos" / f"{items['item'][row]}{path.suffix}")


def lines_of_the_readme() -> str:
    """Return the block of Python that begins with the import."""
    text = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(import mmtutorial as mm\n.*?)```", text, re.DOTALL)
    return block


def test_the_lines_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export(tmp_path, n_items=60, n_users=120)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(lines_of_the_readme(), "README.md", "exec"), names)
    printed = capsys.readouterr().out
    for words in ("ndcg@10", "two-tower", "ease", "popularity", "(Holm)", "fitted in", "title"):
        assert words in printed
    result = names["result"]
    assert isinstance(result, mm.Experiment)
    assert sorted(names["features"]) == ["image", "text"]
    assert result["two-tower"].recommend_to("ann", k=3)["item"].str.startswith("p").all()


@pytest.fixture(scope="module")
def found() -> mm.Experiment:
    split = mm.split(mm.load("shop", n_items=60, n_users=120))
    knn = {"near": mm.ItemKNN(k=2), "far": mm.ItemKNN(k=20)}
    return mm.experiment({**knn, "popularity": mm.Popularity()}, split)


def test_measures_and_tests_are_those_of_the_evaluations(found: mm.Experiment) -> None:
    measures, tests = found.measures(), found.tests()
    mean = found.evaluations["near"].per_user["ndcg"].mean()
    assert measures.loc[("near", "ndcg"), "mean"] == pytest.approx(mean)
    assert len(tests) == 2
    assert found.best() not in set(tests["recommender"])
    best = measures.xs("ndcg", level="metric")["mean"].idxmax()
    assert found.best() == best
    assert (tests["difference"] <= 0).all()


def test_what_is_saved_is_read_again(found: mm.Experiment, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    found.save(tmp_path)
    measures = pd.read_csv(tmp_path / "measures.csv")
    assert measures.groupby("recommender")["metric"].nunique().eq(10).all()
    again = mm.Recommender.load(tmp_path / "near")
    np.testing.assert_array_equal(again.score([0, 1]), found["near"].score([0, 1]))
    before = found["near"].recommend_to("u001", k=3)
    pd.testing.assert_frame_equal(again.recommend_to("u001", k=3), before)
    assert before["title"].ne(before["item"]).all()
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_the_figure_has_one_row_a_recommender(found: mm.Experiment) -> None:
    (axis,) = found.plot("recall").axes
    assert [label.get_text() for label in axis.get_yticklabels()] == found.names[::-1]


def test_names_that_are_not_there_are_explained(found: mm.Experiment) -> None:
    with pytest.raises(KeyError, match="no recommender is named 'nearest'; there are near, far"):
        found["nearest"]
    with pytest.raises(ValueError, match=r"no user 'u01' \(did you mean 'u"):
        found["near"].recommend_to("u01")
    split = mm.split(mm.load("shop", n_items=60, n_users=120))
    with pytest.raises(ValueError, match="give them names"):
        mm.experiment([mm.EASE(), mm.EASE()], split)
    with pytest.raises(ValueError, match="at least one"):
        mm.experiment([], split)
    other = mm.load("shop", n_items=40, n_users=30)
    with pytest.raises(ValueError, match="another catalogue"):
        mm.features(other, split)
    with pytest.raises(AttributeError, match="no attribute 'TwinTower'"):
        mm.TwinTower  # noqa: B018


def test_the_door_opens_without_tensorflow_and_offers_what_it_lists() -> None:
    look = (
        "import sys, mmtutorial as mm; assert 'tensorflow' not in sys.modules; "
        "assert 'pandas' not in sys.modules; assert set(mm.__all__) == set(dir(mm)); "
        "[getattr(mm, name) for name in mm.__all__]"
    )
    subprocess.run([sys.executable, "-c", look], check=True, cwd=ROOT, timeout=600)

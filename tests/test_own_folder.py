"""A folder of somebody's own goes through check, loading, learning, and the grid of experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mmtutorial import datasets
from mmtutorial.cli import app
from mmtutorial.evaluation import cold_items, default_split, evaluate
from mmtutorial.evaluation.readiness import limitations
from mmtutorial.preprocessing.features import raw_features, ready_features
from mmtutorial.recommenders.two_tower import TwoTower
from mmtutorial.reproduce.grids import grid
from mmtutorial.reproduce.measure import measure
from tests.own_folder import shop_media, write_own_folder

SMALL: dict[str, Any] = {"n_items": 60, "n_users": 50, "source": shop_media}
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a folder without what is named; each only once."""
    written: dict[tuple[str, ...], Path] = {}

    def make(*without: str) -> Path:
        if without not in written:
            place = tmp_path_factory.mktemp("own") / "店 of lions"
            written[without] = write_own_folder(place, **SMALL, without=without)
        return written[without]

    return make


def test_check_finds_no_fault_and_notes_what_limits(made: Callable[..., Path]) -> None:
    result = RUNNER.invoke(app, ["check", str(made())])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1].endswith("no fault found, 1 note")
    assert "users can be tested (of 50); only large differences" in lines[0]
    folder = write_own_folder(made().parent / "spoilt", **SMALL)
    (folder / "images" / "new.jpg").write_bytes(b"x")  # and what no item names
    row = datasets.load(folder).items["image"].ne("").to_numpy().argmax()
    path = datasets.load(folder).path(int(row), "image")
    assert path is not None
    path.write_bytes(path.read_bytes()[:200])
    result = RUNNER.invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    assert result.output.count("the picture is damaged") == 1
    assert result.output.splitlines()[-1].endswith("1 fault, 1 note")


def test_what_is_absent_is_noted_and_is_no_fault(made: Callable[..., Path]) -> None:
    mute = made("audio")
    assert datasets.validate_folder(mute) == []
    assert limitations(datasets.load(mute))[0].message == "no item has audio"
    (timeless,) = limitations(datasets.load(made("timestamp")))
    assert "a split by time needs timestamps, and these interactions have none" in str(timeless)
    few = limitations(
        datasets.load(
            write_own_folder(mute.parent / "few", n_items=150, n_users=6, source=shop_media)
        )
    )
    assert any("of 150 items were never taken" in each.message for each in few)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("without", [(), ("audio",), ("image", "text")], ids="-".join)
def test_it_is_split_encoded_learnt_and_evaluated(
    made: Callable[..., Path], without: tuple[str, ...]
) -> None:
    data = datasets.load(made(*without))
    assert data.n_items == 60 and data.items["price"].dtype == float
    assert (data.users.astype(object) == sorted(data.interactions["user"].unique())).all()
    split = default_split(data)
    known = ~cold_items(split)
    features, faults = ready_features(data, known)
    wanted = {"text", "image", "audio"} - set(without)
    assert (set(features), faults) == (wanted, [])
    if not without:
        assert not features["image"][5].any()  # the sixth item has no picture
        raw, faults = raw_features(data, known)
        assert (set(raw), faults) == (wanted, [])
    tower = TwoTower(steps=10, seed=0).fit(split.train, features, split.validation)
    found = evaluate(tower, split)
    assert len(found.users) > 10
    assert np.isfinite(found.summary()["mean"]).all()


def test_a_split_by_time_refuses_until_parts_are_given(made: Callable[..., Path]) -> None:
    data = datasets.load(made("timestamp"))
    with pytest.raises(ValueError, match="a split by time needs timestamps"):
        default_split(data)
    first = data.interactions.drop_duplicates(["user", "item"])
    parts = np.resize(["train"] * 8 + ["validation", "test"], len(first))
    given = replace(data, interactions=first.assign(part=parts))
    saved = given.save(made("timestamp").parent / "with parts")
    assert saved.validate() == []
    assert default_split(saved).name == "given"


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_each_kind_of_experiment_runs_on_it(made: Callable[..., Path]) -> None:
    tasks = grid(str(made("audio")), "quick", 1)
    wanted = {"fusions", "baselines", "quality of data", "costs"}
    assert {task.experiment for task in tasks} >= wanted
    assert "audio" not in {task.recommender for task in tasks}
    kinds = {(each.experiment, each.kind, *each.damage): each for each in tasks}
    for task in kinds.values():
        tiny = {"steps": 5} if task.kind == "TwoTower" else {}
        outcome = measure(replace(task, options={**task.options, **tiny}))
        ndcg = [row["value"] for row in outcome.rows if row["metric"] == "ndcg"]
        assert ndcg and np.isfinite(ndcg).all(), task

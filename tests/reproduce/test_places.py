"""What others keep where results go is neither replaced nor removed."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from mmtutorial.recommenders import BPR
from mmtutorial.reproduce.cache import data_digest, key
from mmtutorial.reproduce.cluster import run_tasks
from mmtutorial.reproduce.results import Results, gather
from mmtutorial.reproduce.run import check_bands, reproduce, write_bands
from mmtutorial.storage import checkpoint, files
from tests.recommenders.test_base import TRAIN

RESULTS = gather([], profile="quick", n_draws=1)
ROW = {
    "experiment": "fusions",
    "recommender": "text",
    "split": "default",
    "metric": "ndcg",
    "k": 10,
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("costs.csv", "date,amount\n2024-03-01,12\n"),
        ("environment.json", '{"python": "3.12"}'),
        ("environment.json", "prod"),
    ],
)
def test_results_replace_results_and_nothing_else(tmp_path: Path, name: str, content: str) -> None:
    RESULTS.save(tmp_path / "results")
    assert RESULTS.save(tmp_path / "results") == tmp_path / "results"
    (tmp_path / "results" / name).write_text(content)
    message = f"results holds '{name}', which is no table of results; nothing was written"
    with pytest.raises(ValueError, match=message):
        RESULTS.save(tmp_path / "results")
    for options in ({"out": tmp_path}, {"out": tmp_path / "new", "into": tmp_path / "results"}):
        with pytest.raises(ValueError, match=message):
            reproduce(root=tmp_path / "no clone is looked for yet", **options)
    assert (tmp_path / "results" / name).read_text() == content


def test_a_report_and_bands_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(ValueError, match=r"holds a report\.html that is not ours"):
        reproduce(out=tmp_path, root=tmp_path)
    (tmp_path / "outcomes").mkdir()  # of an earlier run
    with pytest.raises(ValueError, match=r"holds no _toc\.yml"):
        reproduce(out=tmp_path, root=tmp_path)
    (tmp_path / "bands.csv").write_text("name,instrument\n")
    with pytest.raises(ValueError, match=r"bands\.csv holds no bands; nothing was written"):
        write_bands(RESULTS, tmp_path / "bands.csv")
    assert (tmp_path / "bands.csv").read_text() == "name,instrument\n"


def test_only_states_are_removed_when_all_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "unfinished"
    folder.mkdir()
    (folder / f"{'a' * 32}.npz").write_bytes(b"")
    (folder / "novel.txt").write_text("mine")
    run_tasks([], tmp_path)
    assert [path.name for path in folder.iterdir()] == ["novel.txt"]
    (folder / "novel.txt").unlink()
    run_tasks([], tmp_path)
    assert not folder.exists()


def test_learning_sweeps_up_its_own_parts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("film.mkv.part", "tmpab12cd_3.part"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1, 1))
    monkeypatch.setattr(checkpoint, "EVERY", 0)
    BPR(steps=2).fit(TRAIN, resume=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv.part"]
    assert files.ABANDONED > 0


def test_a_data_set_named_by_a_number_is_text_in_all_tables(tmp_path: Path) -> None:
    measures = pd.DataFrame([{"dataset": name, **ROW, "value": 0.5} for name in ("007", "2024")])
    made = Results(measures, measures[:0], measures[:0], measures[:0], {"runs": []})
    assert Results.open(made.save(tmp_path)).measures["dataset"].tolist() == ["007", "2024"]
    bands = write_bands(made, tmp_path / "bands.csv")
    assert check_bands(made, bands) == []
    worse = Results(measures.assign(value=0.1), *[measures[:0]] * 3, {"runs": []})
    assert len(check_bands(worse, bands)) == 2


def test_what_a_system_leaves_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "dataset.json").write_text("{}")
    before = data_digest(str(tmp_path))
    (tmp_path / "images" / ".DS_Store").write_bytes(b"1")
    assert data_digest(str(tmp_path)) == before
    (tmp_path / "images" / "p1.png").write_bytes(b"1")
    assert data_digest(str(tmp_path)) != before


def test_names_that_are_not_utf_8_have_keys() -> None:
    assert key(dataset="\udcb5\udcea") != key(dataset="\udcb5\udceb")

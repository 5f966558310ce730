"""What a page shows of the committed results: the numbers, their intervals, their origin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mmtutorial.reproduce import evidence as module
from mmtutorial.reproduce import results as results_module
from mmtutorial.reproduce.evidence import evidence, in_words, quoted_evidence
from mmtutorial.reproduce.results import Results

ROOT = Path(__file__).resolve().parents[2]
FUSED = [0.20, 0.22, 0.27]


def made(name: str = "shop", stand_in: str = "") -> Results:
    """Return results of three seeds of a fusion and one of a baseline, with one comparison."""
    about = {"dataset": name, "split": "default", "metric": "ndcg", "k": 10}
    fused = [
        {**about, "experiment": "fusions", "recommender": "gated", "seed": seed, "value": value}
        for seed, value in enumerate(FUSED)
    ]
    simple = {**about, "experiment": "baselines", "recommender": "EASE", "seed": 0, "value": 0.1}
    gain = {
        "dataset": name, "experiment": "fusions", "recommender": "gated", "reference": "EASE",
        "condition": '{"damage": "noise", "level": 2.0}', "metric": "ndcg", "k": 10, "mean": 0.23,
        "reference_mean": 0.1, "relative_gain": 1.3, "relative_low": 1.0, "relative_high": 1.6,
        "p": 0.01, "p_holm": 0.01, "n_seeds": 3, "over": "users and seeds",
    }  # fmt: skip
    quoted = [
        {"dataset": name, "notebook": "05_a", "seed": 0, "name": key, "value": value}
        for key, value in {"a-hits": "0.3", "a-stand-in": stand_in}.items()
    ]
    run = {"commit": "abc123", "measured": {name: ["fusions", "05_a"]}}
    return Results(
        pd.DataFrame([*fused, simple]), pd.DataFrame([gain]), pd.DataFrame(),
        pd.DataFrame(quoted), {"profile": "full", "runs": [run]},
    )  # fmt: skip


def test_a_mean_has_students_interval_over_seeds_and_one_seed_has_none() -> None:
    found = evidence("shop", ("fusions", "baselines"), results=made())
    row = found.row("gated")
    half = stats.t.ppf(0.975, 2) * np.std(FUSED, ddof=1) / np.sqrt(3)
    assert row["mean"] == pytest.approx(0.23)
    np.testing.assert_allclose(row[["low", "high"]].astype(float), [0.23 - half, 0.23 + half])
    assert np.isnan(found.row("EASE")["low"])
    assert found.wide().index.tolist() == ["gated", "EASE"]
    assert found.wide().loc["EASE", "NDCG@10"] == "0.100"


def test_a_gain_is_that_of_the_comparison_with_what_was_damaged() -> None:
    found = evidence("shop", "fusions", against="EASE", results=made())
    row = found.row("gated")
    names = ["relative_gain", "relative_low", "relative_high", "level"]
    assert row[names].tolist() == [1.3, 1.0, 1.6, 2.0]
    assert in_words(row) == "+130.0% [+100.0%, +160.0%]"
    assert "over users and seeds" in found.origin


def test_the_origin_stands_under_the_table() -> None:
    page = evidence("shop", "fusions", results=made())._repr_html_()
    origin = "data set shop, profile full, 3 seeds (0 to 2), commit abc123"
    assert 'class="evidence"' in page and origin in page
    assert page.index("0.230") < page.index(origin)


def test_a_folder_finds_what_was_measured_at_its_path_and_not_what_bears_its_name(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "shop"
    assert not evidence(str(folder), "fusions", results=made())
    assert evidence(str(folder), "fusions", results=made(str(folder))).row("gated")["n_seeds"] == 3


def test_without_measurements_a_page_says_so_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "PACKAGE", tmp_path / "site-packages" / "mmtutorial")
    monkeypatch.chdir(tmp_path)
    found = evidence("shop", "fusions")
    assert not found
    assert found._repr_html_().count("Not yet measured on shop in profile full.") == 1


def test_what_a_chapter_measured_on_a_stand_in_is_no_evidence() -> None:
    names = {"a-hits": "hit rate"}
    found = quoted_evidence("shop", "05_a", names, made())
    assert found.table.values.tolist() == [["hit rate", "0.3"]] and "seed 0" in found.origin
    assert not quoted_evidence("shop", "05_a", names, made(stand_in="shop"))
    assert not quoted_evidence("shop", "05_a", {"a-gone": "gone"}, made())


def test_unknown_measures_and_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no measure 'hits'"):
        evidence("shop", "fusions", ["hits"], results=made())
    with pytest.raises(KeyError, match="0 rows have ndcg of late"):
        evidence("shop", "fusions", results=made()).row("late")


def test_chapters_find_their_evidence_in_the_committed_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT / "notebooks")
    committed = module.committed()
    assert committed is not None
    for dataset in ("shop", "garments", "lastfm"):
        for experiment in ("fusions", "baselines"):
            assert evidence(dataset, experiment), (dataset, experiment)


@pytest.mark.parametrize("value", [3, 0.25, "0.3 ± 0.1", np.float64(0.1), np.int64(7), True])
def test_numbers_are_handed_to_the_text_as_the_book_s_library_hands_them(
    value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    glue = pytest.importorskip("myst_nb.ext.glue")
    shown: list[tuple[object, ...]] = []
    for place, name in ((glue, "ipy_display"), (module, "display")):
        monkeypatch.setattr(place, name, lambda data, **more: shown.append((data, more)))
    glue.glue("a-name", value.item() if isinstance(value, np.generic) else value, display=False)
    module.quote("a-name", value)
    assert shown[0] == shown[1] and shown[0][0]

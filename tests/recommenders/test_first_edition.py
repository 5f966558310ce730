"""What the first edition saved still loads, and scores the same.

`first_edition.zip` holds recommenders that commit f4373f1 saved, and the scores that it gave.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.recommenders import Recommender

SAVED = Path(__file__).with_name("first_edition.zip")
with zipfile.ZipFile(SAVED) as archive:
    NAMES = sorted({Path(name).parts[0] for name in archive.namelist() if "/" in name})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("first_edition")
    with zipfile.ZipFile(SAVED) as archive:
        archive.extractall(place)
    return place


def test_every_kind_of_recommender_is_among_them() -> None:
    assert len(NAMES) == 19
    assert {"article-network", "blend", "ease", "lightgcn", "two-tower-raw"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_scores_the_same(name: str, folder: Path) -> None:
    with np.load(folder / "scores.npz") as scores:
        expected = scores[name]
    loaded = Recommender.load(folder / name)
    scores = loaded.score(np.arange(len(expected)))
    np.testing.assert_allclose(
        scores, expected, rtol=1e-5, atol=1e-6
    )  # another processor may round

"""Folders in which nothing may be unpickled, and a good data set of three items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.corpus import ABOUT, ITEMS, TAKEN


@pytest.fixture(autouse=True)
def _nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder of one's own, where `Evil` would leave its mark."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert list((tmp_path / "here").iterdir()) == []


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    folder = tmp_path / "kitchen"
    folder.mkdir()
    (folder / "dataset.json").write_bytes(ABOUT)
    (folder / "items.csv").write_bytes(ITEMS)
    (folder / "interactions.csv").write_bytes(TAKEN)
    return folder

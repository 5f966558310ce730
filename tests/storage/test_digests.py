"""Digests are of contents, and not of names, sizes or dates alone."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from mmtutorial.reproduce.cache import data_digest
from mmtutorial.storage import digests
from mmtutorial.storage.digests import folder_digest, work_digest


def write(folder: Path, **contents: str) -> Path:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (1, 1))
    return folder


def test_another_content_of_the_same_size_and_date_is_another_folder(tmp_path: Path) -> None:
    one = write(tmp_path / "one", **{"a.csv": "tea", "images/b.png": "red"})
    same = write(tmp_path / "same", **{"images/b.png": "red", "a.csv": "tea"})
    assert folder_digest(one) == folder_digest(same) == data_digest(str(one))
    for other in ({"a.csv": "cup"}, {"images/b.png": "ash"}, {"images/c.png": "red"}):
        write(same, **{"a.csv": "tea", "images/b.png": "red", **other})
        assert folder_digest(one) != folder_digest(same), other


def test_work_is_told_apart_by_every_number() -> None:
    assert work_digest([np.zeros(5000)]) == work_digest([np.zeros(5000)])
    assert work_digest([np.zeros(5000)]) != work_digest([np.r_[np.zeros(4999), 1e-300]])


def test_hundreds_of_files_take_a_moment_and_thousands_show_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "folder", **{f"{number}.png": "x" * 50_000 for number in range(400)})
    begun = perf_counter()
    folder_digest(tmp_path / "folder")
    assert perf_counter() - begun < 5  # a tenth of a second, where nothing else runs
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(digests, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    folder_digest(tmp_path / "folder")
    assert "Reading folder" in capfd.readouterr().err

"""Links are followed once, circles are cut, and what cannot be reached is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmtutorial.storage.folders import files_below


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except (OSError, NotImplementedError):
        pytest.skip("no links can be made here")


def listed(folder: Path) -> tuple[list[str], list[str]]:
    files, unreached = files_below(folder)
    return sorted(path.as_posix() for path in files), [path.as_posix() for path in unreached]


def test_a_link_to_a_folder_is_entered_and_one_to_a_file_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "deep" / "b.jpg")
    touch(tmp_path / "photos" / "a.jpg")
    link(tmp_path / "photos" / "more", tmp_path / "elsewhere")
    link(tmp_path / "photos" / "c.jpg", tmp_path / "photos" / "a.jpg")
    assert listed(tmp_path / "photos") == (["a.jpg", "c.jpg", "more/deep/b.jpg"], [])
    link(tmp_path / "all", tmp_path / "photos")  # and the folder itself may be a link
    assert listed(tmp_path / "all") == (["a.jpg", "c.jpg", "more/deep/b.jpg"], [])


def test_a_folder_is_entered_once_and_by_its_own_name(tmp_path: Path) -> None:
    touch(tmp_path / "photos" / "shoes" / "a.jpg")
    link(tmp_path / "photos" / "again", tmp_path / "photos" / "shoes")
    touch(tmp_path / "other" / "b.jpg")
    link(tmp_path / "photos" / "one", tmp_path / "other")
    link(tmp_path / "photos" / "two", tmp_path / "other")
    assert listed(tmp_path / "photos") == (["one/b.jpg", "shoes/a.jpg"], [])


def test_circles_are_cut_and_the_folders_above_are_not_searched(tmp_path: Path) -> None:
    touch(tmp_path / "secret.jpg")
    touch(tmp_path / "photos" / "shoes" / "a.jpg")
    link(tmp_path / "photos" / "shoes" / "up", tmp_path / "photos")
    link(tmp_path / "photos" / "out", tmp_path)
    touch(tmp_path / "other" / "b.jpg")
    link(tmp_path / "other" / "back", tmp_path / "photos")
    link(tmp_path / "photos" / "other", tmp_path / "other")
    assert listed(tmp_path / "photos") == (["other/b.jpg", "shoes/a.jpg"], [])


def test_what_cannot_be_reached_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    link(tmp_path / "gone.jpg", tmp_path / "nothing")
    link(tmp_path / "itself", tmp_path / "itself")
    (tmp_path / "closed").mkdir(mode=0)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
    files, unreached = listed(tmp_path)
    assert files == ["a.jpg"]
    may_read = os.access(tmp_path / "closed", os.R_OK)  # root may
    assert sorted(unreached) == sorted(["gone.jpg", "itself", *([] if may_read else ["closed"])])
    (tmp_path / "closed").chmod(0o700)

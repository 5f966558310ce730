"""Digests are of contents, and not of names, sizes or dates alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.reproduce.cache import data_digest
from mmtutorial.storage import digests
from mmtutorial.storage.digests import code_digest, folder_digest, work_digest


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


def test_progress_is_shown_where_files_take_longer_than_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "folder", **{f"{number}.png": "x" * 50_000 for number in range(400)})
    monkeypatch.setattr(digests, "PATIENCE", 60.0)  # a tenth of a second is enough
    folder_digest(tmp_path / "folder")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(digests, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    folder_digest(tmp_path / "folder")
    assert "Reading folder" in capfd.readouterr().err


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of a few modules, in place of ours."""
    code = {
        "__init__": "", "a/__init__": "from lib.a.one import f\nfrom lib.a.two import g\n",
        "a/one": "from lib.b import h\n\ndef f():\n    return h('rules.toml')\n",
        "a/two": "def g():\n    from ..c import k\n    return k\n", "b": "def h(x):\n    return x\n",
        "c": "k = 1\n", "user": "from lib.a import f\n", "late": "import lib.c\n",
    }  # fmt: skip
    write(tmp_path / "lib", **{f"{name}.py": text for name, text in code.items()})
    write(tmp_path / "lib" / "a", **{"rules.toml": "x = 1"})
    monkeypatch.setattr(digests, "PACKAGE", tmp_path / "lib")
    return tmp_path / "lib"


def changed(package: Path, name: str, text: str) -> set[str]:
    """Say whose digest a change changes, and take it back."""

    def all_of_them() -> dict[str, str]:
        for each in (digests.code_digest, digests._read, digests._tree):
            each.cache_clear()
        names = ("lib.user", "lib.a.g", "lib.late", "lib.b")
        return {each: code_digest(each) for each in names} | {"all": code_digest()}

    before, place = all_of_them(), package / name
    kept = place.read_text()
    place.write_text(text)
    after = all_of_them()
    place.write_text(kept)
    for each in (digests.code_digest, digests._read, digests._tree):
        each.cache_clear()
    return {name for name in before if before[name] != after[name]}


def test_code_depends_on_what_it_imports_and_not_on_words_about_it(package: Path) -> None:
    assert changed(package, "b.py", "# why\n\ndef h(x):\n    '''What.'''\n    return x\n") == set()
    assert changed(package, "b.py", "def h(x):\n    return -x\n") == {"lib.user", "lib.b", "all"}
    assert changed(package, "c.py", "k = 2\n") == {"lib.a.g", "lib.late", "all"}
    assert changed(package, "a/rules.toml", "x = 2") == {"lib.user", "all"}
    with pytest.raises(ValueError, match="other is no module of lib"):
        code_digest("other.thing")

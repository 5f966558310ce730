"""What stands in for a link in book/ is renewed, and never removed with somebody's work in it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, of a clone on a system without links."""
    spec = importlib.util.spec_from_file_location("book_links", ROOT / "book" / "links.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "BOOK", tmp_path / "book")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks" / "01_data.ipynb").write_text("1")
    (tmp_path / "_toc.yml").write_text("toc")
    for name in ("notebooks", "_toc.yml"):
        (tmp_path / "book" / name).write_text(f"../{name}")  # as git writes a link there

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for name in ("notebooks", "_toc.yml"):
        script.connect(name)
    return script


def test_a_copy_follows_what_it_stands_for(links: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "book" / "notebooks" / "01_data.ipynb"
    assert page.read_text() == "1"
    assert (tmp_path / "book" / "_toc.yml").read_text() == "toc"
    os.utime(page, (1, 1))
    (page.parent / ".ipynb_checkpoints").mkdir()
    (page.parent / ".ipynb_checkpoints" / "01_data-checkpoint.ipynb").write_text("0")
    (tmp_path / "notebooks" / "01_data.ipynb").write_text("2")
    links.connect("notebooks")
    assert page.read_text() == "2"
    assert [path.name for path in page.parent.iterdir()] == ["01_data.ipynb"]


@pytest.mark.parametrize("name", ["notebooks/01_data.ipynb", "notebooks/mine.ipynb", "_toc.yml"])
def test_work_in_a_copy_is_not_lost(links: ModuleType, tmp_path: Path, name: str) -> None:
    edited = tmp_path / "book" / name
    edited.write_text("mine")
    os.utime(edited, (4e9, 4e9))
    with pytest.raises(SystemExit, match="was edited in the copy"):
        links.connect(name.partition("/")[0])
    assert edited.read_text() == "mine"

"""The printed book: bookmarks once each, letters that the machine lacks are named."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from book import browser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "browser", browser)  # as it is called beside the script
        spec = importlib.util.spec_from_file_location("print_pdf", ROOT / "book" / "print_pdf.py")
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        yield made


@pytest.mark.parametrize(
    ("doubled", "single"),
    [
        (
            b"/Title (The mapThe map) /Title (Counting)",
            b"/Title (The map)        /Title (Counting)",
        ),
        (b"/Title <FEFF00410041>", b"/Title <FEFF0041>    "),
    ],
)
def test_a_doubled_bookmark_becomes_single_and_moves_nothing(
    script: ModuleType, doubled: bytes, single: bytes
) -> None:
    assert script.single_titles(doubled) == single
    assert script.single_titles(single) == single


@pytest.mark.parametrize(
    ("fonts", "lacks"), [("", True), ("/fonts/noto.ttc: Noto Sans CJK SC", False)]
)
def test_a_machine_without_chinese_letters_is_named(
    script: ModuleType, fonts: str, lacks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "fc-list"
    program.write_text(f"#!/bin/sh\necho '{fonts}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(script.shutil, "which", lambda name: str(program))
    assert script.lacks_chinese() is lacks
    monkeypatch.setattr(script.shutil, "which", lambda name: None)  # nobody to ask
    assert not script.lacks_chinese()


@pytest.mark.skipif(browser.PROGRAM is None, reason="there is no Chromium")
def test_a_page_is_printed(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<meta charset='utf-8'><h1>A page</h1><p>Text.</p>", encoding="utf-8")
    size = script.print_page(page, tmp_path / "book.pdf")
    content = (tmp_path / "book.pdf").read_bytes()
    assert len(content) == size and content.startswith(b"%PDF-") and b"/Outlines" in content

"""The reference shows every module of the library."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_module_is_on_one_page_of_the_reference() -> None:
    path = ROOT / "book" / "_extensions" / "reference_pages.py"
    spec = importlib.util.spec_from_file_location("reference_pages", path)
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    shown = [
        module
        for page in (ROOT / "book" / "reference").glob("*.md")
        for name in re.findall(r"^% modules: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
        for module in pages.modules(name)
    ]
    places = [
        path.relative_to(ROOT).with_suffix("").parts
        for path in (ROOT / "mmtutorial").rglob("*.py")
        if path.stem not in ("__init__", "__main__", "cli")
    ]
    assert sorted(shown) == sorted(".".join(parts) for parts in places)

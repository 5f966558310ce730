"""Pages carry nothing within them, name their parts once, and can be scrolled by the keyboard."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from book.browser import PROGRAM, Browser
from tests.book.test_try_it import module

ROOT = Path(__file__).parents[2]
lean = module("lean_pages")


def app(out: Path, pages: set[str]) -> Any:
    return SimpleNamespace(
        outdir=out,
        builder=SimpleNamespace(name="html", format="html"),
        env=SimpleNamespace(found_docs=pages),
    )


def address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def test_pictures_and_sounds_become_files_each_written_once(tmp_path: Path) -> None:
    wide, narrow = address("image/png", b"wide"), address("image/png", b"narrow")
    sound = address("audio/mpeg", b"sound")
    body = f'<source srcset="{narrow}"><img src="{wide}"><img src="{wide}"><audio src="{sound}">'
    context = {"body": body, "pathto": lambda name, resource: f"../{name}" if resource else ""}
    lean.with_files(app(tmp_path, set()), "notebooks/page", "page.html", context, None)
    assert "data:" not in context["body"] and context["body"].count("../_media/") == 4
    files = {path.suffix: path.read_bytes() for path in (tmp_path / "_media").iterdir()}
    assert len(list((tmp_path / "_media").iterdir())) == 3
    assert files[".mp3"] == b"sound" and files[".png"] in (b"wide", b"narrow")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Two pages as they leave the theme."""
    (tmp_path / "_media").mkdir()
    (tmp_path / "_media" / "a.png").write_bytes(bytes(3000))
    (tmp_path / "_media" / "a.mp3").write_bytes(bytes(9000))
    (tmp_path / "_static" / "scripts").mkdir(parents=True)
    (tmp_path / "_static" / "scripts" / "fontawesome.js").write_text("icons")
    theme = """<button class="btn search-button-field x" title="Search" aria-label="Search">Search</button>
    <i class="theme-switch fa-lg" data-mode="light" title="Light"></i>
    <div class="sidebar-primary-items__start x">
      <div class="sidebar-primary-item">Logo</div></div>
    <details><summary aria-label="Toggle hidden content">Show</summary></details>
    <div role="list"><div role="doc-biblioentry"></div></div>"""
    media = '<img src="_media/a.png"><audio src="_media/a.mp3"></audio>'
    (tmp_path / "page.html").write_text(theme + media)
    (tmp_path / "other.html").write_text("<p>Text.</p>")
    return tmp_path


def test_what_the_theme_names_twice_is_named_once(built: Path) -> None:
    for _ in range(2):  # a page that was not written anew stays as it is
        lean.finish(app(built, set()), None)
    page = (built / "page.html").read_text()
    assert 'title="Search">' in page and "Toggle hidden" not in page and ' role="list"' not in page
    assert page.count("aria-hidden") == 1 and page.count('role="banner"') == 1
    assert (built / "_static" / "scripts" / "fontawesome.js").read_text() == ""


def test_weights_are_printed_without_sounds_and_a_heavy_page_is_a_warning(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    logger = SimpleNamespace(
        info=lambda text, *about: told.append(("info", text % about)),
        warning=lambda text, *about: told.append(("warning", text % about)),
    )
    monkeypatch.setattr(lean.logging, "getLogger", lambda _: logger)
    monkeypatch.setattr(lean, "LIMIT", 3000)
    lean.finish(app(built, {"other", "page"}), None)
    weight = (built / "page.html").stat().st_size + 3000
    assert [kind for kind, _ in told] == ["info", "info", "warning"]
    assert told[2][1] == f"page weighs {weight} bytes; a page may weigh 3000"


@pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium to open the page in")
def test_the_keyboard_reaches_what_scrolls_and_nothing_else(tmp_path: Path) -> None:
    script = (ROOT / "book" / "_static" / "book.js").read_text(encoding="utf-8")
    wide = "<div class='scrolls' style='overflow-x: auto'><div style='width: {}px'>x</div></div>"
    fold = f"<div id='fold' hidden>{wide.format(2000)}</div>"
    fold += "<button onclick='fold.hidden = false'>Show</button>"
    body = f"<article>{wide.format(2000)}{wide.format(20)}{fold}</article><script>{script}</script>"
    (tmp_path / "page.html").write_text(f"<!doctype html><title>A page</title>{body}")
    with Browser(390) as page:
        page.open((tmp_path / "page.html").as_uri())
        stops = "[...document.querySelectorAll('.scrolls')].map((each) => each.tabIndex)"
        page.wait(f"{stops}[0] === 0")
        assert page.run(stops) == [0, -1, -1]
        page.run("document.querySelector('button').click()")
        page.wait(f"{stops}[2] === 0")
        assert page.errors == []

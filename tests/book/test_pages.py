"""What a reader would stumble over on a built page is found, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from book import browser

ROOT = Path(__file__).parents[2]
GOOD = "<h1>A page</h1><p id='here'>Text, <a href='#here'>a link</a>.</p>"
WIDE = "<div style='width: 2000px'>wide</div>"
FIGURE = "<img alt='x' data-letters='{letters}' style='width: 300px' src='drawn.svg'>"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='600' height='60'/>"


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "browser", browser)  # as it is called beside the script
        spec = importlib.util.spec_from_file_location(
            "check_pages", ROOT / "book" / "check_pages.py"
        )
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        yield made


def page(folder: Path, body: str, name: str = "page.html") -> Path:
    """A page without the theme around it."""
    (folder / "drawn.svg").write_text(SVG, encoding="utf-8")
    head = "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    whole = f"<!doctype html><html lang='en'><head>{head}<title>A page</title></head><body><main>"
    whole += f"<article>{body}</article></main></body></html>"
    (folder / name).write_text(whole, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("link", "rule"),
    [
        ("other.html", None),
        ("other.html#here", None),
        ("#here", None),
        ("https://example.org/nothing", None),
        ("other.html#there", "dead-anchor"),
        ("none.html", "dead-link"),
        ("none%20there.png", "dead-link"),
    ],
)
def test_links_lead_to_files_and_anchors(
    check: ModuleType, tmp_path: Path, link: str, rule: str | None
) -> None:
    paths = [page(tmp_path, GOOD, "other.html"), page(tmp_path, f"{GOOD}<a href='{link}'>go</a>")]
    faults = list(check.dead_links({path: check.read(path) for path in paths}))
    assert [fault.rule for fault in faults] == ([rule] if rule else [])


class Site(BaseHTTPRequestHandler):
    """Answers with the number that the address ends in."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_foreign_addresses_are_asked_for(check: ModuleType, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{site.server_port}"
        links = "".join(f"<a href='{here}/{code}#x'>go</a>" for code in (200, 403, 404, 410, 500))
        path = page(tmp_path, GOOD + links)
        faults = list(check.dead_addresses({path: check.read(path)}))
        site.shutdown()
    assert {fault.where for fault in faults} == {f"{here}/404: 404", f"{here}/410: 410"}
    gone = list(check.dead_addresses({path: check.read(path)}))
    assert [fault.where.partition(": ")[2] for fault in gone] == ["ConnectionError"] * 5


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    if browser.PROGRAM is None:
        pytest.skip("there is no Chromium to show pages in")
    with browser.Browser(1280) as opened:
        yield opened


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        (GOOD, set()),
        (WIDE, {"page-scrolls-sideways"}),
        (f"<div style='overflow-x: auto'><pre>{'x' * 400}</pre></div>", set()),
        (f"<div class='cell_input'><pre style='overflow: auto'>{'x' * 400}</pre></div>", {"code-scrolls"}),
        (f"<div style='overflow: hidden'><table><tr><td>{'x' * 400}</td></tr></table></div>", {"cut-off"}),
        (FIGURE.format(letters=17), {"small-letters"}),
        (FIGURE.format(letters=18), set()),
        (f"<div class='scrolls' style='overflow-x: auto; width: 200px'>{FIGURE.format(letters=20)}</div>", {"figure-scrolls"}),
        ("<table><tr><td style='max-width: 3em'>0.1 [0.05, 0.2]</td></tr></table>", set()),
        ("<table><tr><td style='max-width: 1em'>[0.05, 0.1, 0.2]</td></tr></table>", {"interval-in-many-lines"}),
        ("<p style='position: relative'><span class='eqno' style='position: absolute; left: 50px'>(1)</span>"
         "<mjx-container>a long equation</mjx-container></p>", {"equation-under-its-number"}),
        ("<mjx-container display='true' style='display: block; overflow: auto; width: 50px'>"
         f"{WIDE}</mjx-container>", {"equation-scrolls"}),
        ("<script>undefined.nothing</script>", {"error"}),
        ("<script src='none.js'></script>", {"error"}),
        ("<img alt='a badge' width='9' src='https://example.org/badge.svg'>", set()),
    ],
)  # fmt: skip
def test_what_is_cut_off_or_too_small_is_found(
    check: ModuleType, tab: browser.Browser, tmp_path: Path, body: str, rules: set[str]
) -> None:
    faults, weight = check.shown_faults(tab, page(tmp_path, body), "page", axe="")
    assert {fault.rule for fault in faults} == rules
    files = tmp_path.iterdir() if "drawn.svg" in body else [tmp_path / "page.html"]
    assert weight == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize(
    ("body", "rule"),
    [(GOOD, ""), ("<h1>A page</h1><img width='9' src='drawn.svg'>", "axe: image-alt (critical)"),
     ("<h1>A page</h1><p style='color: #ddd; background: #fff'>Pale.</p>", "axe: color-contrast (serious)")],
)  # fmt: skip
def test_axe_is_asked(
    check: ModuleType, tab: browser.Browser, tmp_path: Path, body: str, rule: str
) -> None:
    if not check.AXE.exists():
        pytest.skip("axe-core is not there: make pages fetches it by npm")
    axe = check.AXE.read_text(encoding="utf-8")
    faults, _ = check.shown_faults(tab, page(tmp_path, body), "page", axe)
    assert {fault.rule for fault in faults} == ({rule} if rule else set())


def test_a_heavy_page_is_named(
    check: ModuleType, tab: browser.Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "LIMIT", 100)
    faults, _ = check.shown_faults(tab, page(tmp_path, GOOD), "page", axe="")
    assert [fault.rule for fault in faults] == ["heavy"]

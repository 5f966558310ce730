"""Look at the built book as a reader does: links, weights, and every page in Chromium.

    python book/check_pages.py             # after `make book`
    python book/check_pages.py --external  # addresses outside the book too

Links are checked to their anchors. In Chromium each page is shown on a desk, light and dark, and on
a phone: nothing may be cut off (`check_pages.js`), and axe-core may find no fault. Where Chromium
or axe-core is missing, the rest is checked, and what was not is named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urlsplit

import requests
from browser import OPEN, PROGRAM, READY, Browser
from lxml import html

ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / ".ci" / "node_modules" / "axe-core" / "axe.min.js"
CHECK = Path(__file__).with_suffix(".js")
LIMIT = 2_500_000  # bytes of a page with all that it alone loads before a sound is played
SOUNDS = (".mp3", ".wav")
BROWSERS = 2  # at a time: each takes one core
CONTRAST = "color-contrast"  # the rule that takes most of the time
VIEWS = {  # width, and whether dark, to the rules of axe-core
    (1280, False): "{}",
    (1280, True): f'{{runOnly: ["{CONTRAST}"]}}',  # nothing but the colours is new
    (390, False): f'{{rules: {{"{CONTRAST}": {{enabled: false}}}}}}',  # as above
}
RULES = """axe.run(document, {resultTypes: ["violations"], ...%s}).then(
  ({violations}) => violations.flatMap((fault) => fault.nodes.map((node) => ({
    rule: `axe: ${fault.id} (${fault.impact})`, where: node.target.join(" ") }))))"""


class Fault(NamedTuple):
    """What is wrong, and where."""

    page: str
    rule: str
    where: str


class Page(NamedTuple):
    """A page's addresses, and the anchors that others may name."""

    links: list[str]
    anchors: set[str]


def read(path: Path) -> Page:
    """Read a page of HTML."""
    tree = html.parse(str(path)).getroot()
    links = [str(link) for _, attribute, link, _ in tree.iterlinks() if attribute != "content"]
    return Page(links, {str(name) for name in tree.xpath("//@id | //a/@name")})


def dead_links(pages: dict[Path, Page]) -> Iterator[Fault]:
    """Find links to files and anchors that are not there."""
    for path, page in pages.items():
        for link in sorted(set(page.links)):
            address, anchor = urldefrag(link)
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield Fault(path.name, "dead-link", f"{link}: there is no such file")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                yield Fault(path.name, "dead-anchor", f"{link}: the page has no such anchor")


def dead_addresses(pages: dict[Path, Page]) -> Iterator[Fault]:
    """Ask for what lies outside the book; what refuses a program, but is there, is no fault."""
    addresses: dict[str, str] = {}
    for path, page in pages.items():
        addresses |= {
            urldefrag(link)[0]: path.name for link in page.links if link.startswith("http")
        }
    with ThreadPoolExecutor(8) as pool:
        for (address, page_name), answer in zip(
            addresses.items(), pool.map(_answer, addresses), strict=True
        ):
            if answer:
                yield Fault(page_name, "dead-address", f"{address}: {answer}")


def _answer(address: str) -> str:
    """Say what is wrong with an address; "" if nothing is."""
    try:
        with requests.get(
            address, timeout=30, stream=True, headers={"User-Agent": "Mozilla/5.0"}
        ) as got:
            return str(got.status_code) if got.status_code in (404, 410) else ""
    except requests.RequestException as fault:
        return type(fault).__name__


def common(file: Path, page: Path) -> bool:
    """Say whether other pages load a file too: the theme, its letters, MathJax."""
    _, static, name = file.as_posix().rpartition("/_static/")
    return bool(static) and page.stem not in name


def shown_faults(browser: Browser, path: Path, name: str, axe: str) -> tuple[list[Fault], int]:
    """Show a page in every view; return its faults, and the bytes of what it alone loads."""
    found, files = [], {path}
    for (width, dark), rules in VIEWS.items():
        browser.view(width, dark=dark)
        browser.errors.clear()
        browser.loaded.clear()
        browser.open(path.as_uri())
        browser.wait(READY, 120)
        browser.run(OPEN)
        local = [urlsplit(each).path for each in browser.loaded if each.startswith("file:")]
        files |= {Path(unquote(each)) for each in local}
        view = f"{width} px, {'dark' if dark else 'light'}"
        ours = [each for each in browser.errors if not each.startswith("http")]  # it is offline
        faults = [{"rule": "error", "where": each} for each in ours]
        faults += [] if dark else browser.run(CHECK.read_text(encoding="utf-8"))
        if axe:
            browser.run(f"{axe}; true")
            faults += browser.run(RULES % rules)
        found += [Fault(name, each["rule"], f"[{view}] {each['where']}") for each in faults]
    weight = sum(
        each.stat().st_size
        for each in files
        if each.is_file() and not common(each, path) and each.suffix not in SOUNDS
    )
    if weight > LIMIT:
        found.append(Fault(name, "heavy", f"{weight:,} bytes; a page may load {LIMIT:,}"))
    return found, weight


def check(folder: Path, external: bool) -> list[Fault]:
    """Check every page of a built book; print a line for each, return what is wrong."""
    folder = folder.resolve()
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: read(path) for path in paths}
    faults = list(dead_links(pages)) + (list(dead_addresses(pages)) if external else [])
    axe = AXE.read_text(encoding="utf-8") if AXE.exists() else ""
    if PROGRAM is None:
        print("not looked at: there is no Chromium to show the pages in (apt install chromium)")
        return faults
    if not axe:
        print("not asked: axe-core is not there (make tools, which needs npm)")
    shown = [path for path in pages if path != folder / "index.html"]  # it leads to the first page

    def look(some: list[Path]) -> list[Fault]:
        found: list[Fault] = []
        with Browser(1280) as browser:
            for path in some:
                name = path.relative_to(folder).as_posix()
                here, weight = shown_faults(browser, path, name, axe)
                print(f"{weight / 1e6:5.2f} MB  {len(here):3} faults  {name}", flush=True)
                found += here
        return found

    with ThreadPoolExecutor(BROWSERS) as pool:
        parts = pool.map(look, [shown[first::BROWSERS] for first in range(BROWSERS)])
        return sorted(faults + [fault for part in parts for fault in part])


def main() -> int:
    """Print what is wrong; return 1 if anything is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--html", type=Path, default=ROOT / "book" / "_build" / "html")
    parser.add_argument("--external", action="store_true", help="ask for foreign addresses too")
    options = parser.parse_args()
    if not (options.html / "index.html").exists():
        raise SystemExit(f"{options.html} holds no book: run `make book` first")
    faults = check(options.html, options.external)
    for fault in faults:
        print(f"{fault.page}: {fault.rule}: {fault.where}", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())

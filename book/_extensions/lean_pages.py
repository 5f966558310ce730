"""A Sphinx extension: pages that are light to load, and whose parts have one name each.

- Pictures and sounds that a notebook carries within it become files beside the page, each written
  once; a sound is loaded when it is played.
- Jupyter Book always loads sphinx-thebe, for cells that run in the browser. This book has none, and
  its settings, which Sphinx writes twice, stop every page with an error in the browser's console.
- The theme loads 1.5 MB of icons as a script. It has the same icons as a font, which it also loads.
- Where the theme or MyST-NB gives a part a second name, or a role that it does not fill, it loses
  it: screen readers stumble over them (axe-core's rules, by `check_pages.py`).

At the end the build prints what each page weighs without the book's common files and its sounds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

LIMIT = 2_500_000  # bytes of a page with its pictures
EMBEDDED = re.compile(r"data:(?:image|audio)/(\w+);base64,([A-Za-z0-9+/=]+)")
SHOWN = re.compile(r'(?:src|srcset)="([^"]*_(?:media|images)/[^"]+\.(?!mp3|wav)\w+)"')
REPAIRS = {
    r'<summary aria-label="Toggle hidden content">': "<summary>",  # its text says more
    r'(<button class="btn search-button-field[^>]*) aria-label="Search"': r"\1",  # the same
    r'(<i class="theme-switch [^>]*) title="[^"]*"': r'\1 aria-hidden="true"',
    r' role="(?:list|doc-biblioentry)"': "",  # a list without items, and a role that was given up
    r'(primary-items__start[^>]*>\s*<div class="sidebar-primary-item")>': r'\1 role="banner">',
}
SUFFIXES = {"mpeg": "mp3", "jpeg": "jpg"}


def without_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Drop thebe's files and settings from what a page loads."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
    ]


def with_files(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Write what the page carries within it into files, named by their content."""

    def written(found: re.Match[str]) -> str:
        content = base64.b64decode(found[2])
        name = f"{hashlib.sha256(content).hexdigest()[:20]}.{SUFFIXES.get(found[1], found[1])}"
        place = Path(app.outdir) / "_media" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        return str(context["pathto"](f"_media/{name}", True))

    context["body"] = EMBEDDED.sub(written, context.get("body", ""))


def finish(app: Sphinx, fault: Exception | None) -> None:
    """Empty the script of icons, repair names, and print weights; warn of a page too heavy."""
    if fault or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for path in out.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for pattern, repaired in REPAIRS.items():
            text = re.sub(pattern, repaired, text)
        path.write_text(text, encoding="utf-8")
    (out / "_static" / "scripts" / "fontawesome.js").write_text("", encoding="utf-8")
    logger = logging.getLogger(__name__)
    for page in sorted(app.env.found_docs) if app.builder.name == "html" else []:
        path = out / f"{page}.html"
        text = path.read_text(encoding="utf-8")
        shown = {(path.parent / name).resolve() for name in SHOWN.findall(text)}
        weight = sum(each.stat().st_size for each in {path, *shown})
        logger.info("%5.2f MB  %s", weight / 1e6, page)
        if weight > LIMIT:
            logger.warning("%s weighs %s bytes; a page may weigh %s", page, weight, LIMIT)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension, to come after those that add scripts."""
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("html-page-context", with_files, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension: what the page "Try it" loads, made once for each state of the library.

The page itself is ``try_it.md``; its script and style lie in ``try_it/``.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import try_it_data
from fresh_outputs import ROOT, fingerprint
from sphinx.application import Sphinx
from sphinx.util import logging

from mmtutorial import datasets
from mmtutorial.article import ArticleNetwork
from mmtutorial.recommenders.two_tower import TwoTower

PAGE = "try_it"
FILES = ROOT / "book" / PAGE
LIMIT = 6_000_000  # bytes of all that the page may load


def exported(caches: Path) -> Path:
    """Return a folder with ``try_it_data.js`` and the media, made anew where anything changed."""
    made_by = hashlib.sha256(Path(try_it_data.__file__).read_bytes()).hexdigest()[:12]
    folder = caches / f"{fingerprint(ROOT)}-{made_by}"
    if not folder.exists():
        shutil.rmtree(caches, ignore_errors=True)
        fresh = folder.with_suffix(".unfinished")
        data = datasets.load("shop")
        tower = TwoTower(try_it_data.MODALITIES, "late")
        numbers, _ = try_it_data.prepare(data, tower, ArticleNetwork(verbose=0))
        try_it_data.write_media(data, numbers["present"], fresh / PAGE)
        written = try_it_data.script(data, numbers)
        (fresh / "try_it_data.js").write_text(written, encoding="utf-8", newline="\n")
        fresh.rename(folder)
    return folder


def provide(app: Sphinx) -> None:
    """Give the builder of web pages the files, and print what they weigh."""
    if app.builder.format != "html":
        return
    folder = exported(Path(app.outdir).parent / PAGE)
    app.config.html_static_path += [str(FILES), str(folder)]
    sizes = {path: path.stat().st_size for place in (FILES, folder) for path in place.rglob("*.*")}
    weight = sum(sizes.values())
    logging.getLogger(__name__).info(
        "Try it: %d files, %.1f MB, of which %.1f MB before the first picture",
        len(sizes),
        weight / 1e6,
        sum(size for path, size in sizes.items() if path.suffix in (".js", ".css")) / 1e6,
    )
    if weight > LIMIT:
        raise ValueError(f"the page Try it weighs {weight:,} bytes; it may weigh {LIMIT:,}")


def load(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Let this page, and no other, load them."""
    if page == PAGE:
        app.add_css_file("try_it.css")
        for name in ("try_it_data.js", "try_it.js"):
            app.add_js_file(name, loading_method="defer")


def renew(app: Sphinx, env: Any, added: Any, changed: Any, removed: Any) -> list[str]:
    """Write the page anew each time: its files may have changed where its text has not."""
    return [PAGE] if PAGE in env.found_docs else []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", provide)
    app.connect("html-page-context", load)
    app.connect("env-get-outdated", renew)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

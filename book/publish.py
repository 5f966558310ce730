"""Assemble what is published: the pages, and the executed notebooks beside them.

    python book/publish.py site

The notebooks stand where the launch buttons look for them. On Colab their first cell installs the
package from the repository that `_config.yml` names; Binder installs it from `binder/`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "book" / "_build"


def repository_url(config: str) -> str:
    """Read `url` under `repository` in the text of `_config.yml`; "" where it is not filled in.

    >>> repository_url('repository:\\n  url: "https://github.com/ann/book"  # yours\\nhtml:\\n')
    'https://github.com/ann/book'
    >>> repository_url('repository:\\n  url: ""\\n')
    ''
    """
    found = re.search(r"^repository:\n(?: .*\n)*?  url:[ \"']*([^\"'\s#]*)", config, re.MULTILINE)
    return found[1] if found else ""


def on_colab(notebook: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the notebook with a first cell that installs the package where it runs on Colab."""
    source = (
        "# Google Colab: install the book's library (some minutes); elsewhere, nothing happens\n"
        "import sys\n\n"
        'if "google.colab" in sys.modules:\n'
        f'    %pip install --quiet "mmtutorial[book] @ git+{url}"'
    )
    cell = {
        "cell_type": "code", "execution_count": None, "id": "install", "metadata": {},
        "outputs": [], "source": source,
    }  # fmt: skip
    return {**notebook, "cells": [cell, *notebook["cells"]]}


def assemble(build: Path, site: Path, url: str) -> int:
    """Copy pages and notebooks into a new folder; return how many notebooks there are."""
    if site.exists():
        raise SystemExit(f"{site} exists: name a new folder, or move this one away")
    if not (build / "html" / "index.html").exists():
        raise SystemExit(f"{build / 'html'} holds no book: run `make book` first")
    shutil.copytree(build / "html", site)
    (site / ".nojekyll").touch()  # or GitHub leaves out _static
    (site / "notebooks").mkdir(exist_ok=True)
    executed = sorted((build / "jupyter_execute" / "notebooks").glob("*.ipynb"))
    for path in executed:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        written = json.dumps(on_colab(notebook, url) if url else notebook, ensure_ascii=False)
        (site / "notebooks" / path.name).write_text(written + "\n", encoding="utf-8")
    if url:
        (site / "binder").mkdir()
        (site / "binder" / "requirements.txt").write_text(f"mmtutorial[book] @ git+{url}\n")
    return len(executed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python book/publish.py FOLDER")
    address = repository_url((ROOT / "_config.yml").read_text(encoding="utf-8"))
    n_notebooks = assemble(BUILD, Path(sys.argv[1]), address)
    print(f"{sys.argv[1]}: the pages, and {n_notebooks} executed notebooks")

"""A Sphinx extension: keep executed notebooks only while the library they ran on is unchanged.

MyST-NB looks up cached outputs by a notebook's code alone, so that a change in mmtutorial would
leave pages with outputs of the old library. Here the cache lies in a folder named after the
library's files and the lock of its dependencies: a change in either runs the notebooks again.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]


def fingerprint(root: Path) -> str:
    """Return 12 hexadecimal digits of the SHA-256 over mmtutorial's files and the lock's lines.

    Line ends and Python's compiled files do not count.
    """
    library = (path for path in (root / "mmtutorial").rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in [root / "requirements.txt", *sorted(library)]:
        if "__pycache__" not in path.parts and path.exists():
            content = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:12]


def choose_cache(app: Sphinx, config: Config) -> None:
    """Point MyST-NB at this library's cache; remove the caches of its earlier states."""
    caches = Path(app.outdir).parent / ".jupyter_cache"
    current = caches / fingerprint(ROOT)
    current.mkdir(parents=True, exist_ok=True)
    for entry in caches.iterdir():
        if entry != current:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
    config.nb_execution_cache_path = str(current)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; MyST-NB reads its configuration later, at builder-inited."""
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

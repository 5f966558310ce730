"""Make book/ complete: links to the configuration and the notebooks, or copies without links.

A clone on a system without symbolic links (Windows, some archives) holds small text files, or
nothing, where the links should be; this script puts back a link where it can, a copy otherwise. A
copy in which somebody has worked is never removed.
"""

import filecmp
import shutil
import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parent
TOOLS = {".DS_Store", ".ipynb_checkpoints", ".jupyter_cache", "Thumbs.db", "__pycache__"}


def edited(copy: Path, source: Path) -> list[Path]:
    """Return the files of a copy that are new there, or differ from the source's and are younger.

    A file that git has put in the place of a link is no copy.
    """
    files = [copy] if copy.is_file() else sorted(copy.rglob("*"))
    found = []
    for file in files:
        original = source / file.relative_to(copy)
        if not file.is_file() or TOOLS.intersection(file.relative_to(copy).parts):
            continue
        if file.read_bytes().strip() == f"../{source.name}".encode():
            continue
        if not original.is_file():
            found.append(file)
        elif not filecmp.cmp(file, original, shallow=False):
            found += [file] * (file.stat().st_mtime > original.stat().st_mtime)
    return found


def connect(name: str) -> None:
    """Let book/NAME show what lies at NAME in the folder above, as a link or as a fresh copy."""
    source, place = BOOK.parent / name, BOOK / name
    if place.is_symlink() and place.exists():
        return
    if not place.is_symlink():
        work = edited(place, source)
        if work:
            sys.exit(
                f"{work[0]} was edited in the copy that stands in for a link: "
                f"bring the edit to {source}, or delete {place}, and run this again"
            )
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    try:
        place.symlink_to(Path("..") / name, target_is_directory=source.is_dir())
    except OSError:
        if source.is_dir():
            shutil.copytree(source, place)
        else:
            shutil.copy2(source, place)


if __name__ == "__main__":
    for entry in ("_config.yml", "_toc.yml", "notebooks"):
        connect(entry)

"""Make book/ complete: links to the configuration and the notebooks, or copies without links.

A clone on a system without symbolic links (Windows, some archives) holds small text files, or
nothing, where the links should be; this script puts back a link where it can, a copy otherwise.
"""

import filecmp
import shutil
import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parent


def newer(copy: Path, source: Path) -> list[Path]:
    """Return the files of a copied folder that differ from the source's and are younger."""
    return [
        file
        for file in sorted(copy.rglob("*"))
        if file.is_file()
        and (original := source / file.relative_to(copy)).is_file()
        and file.stat().st_mtime > original.stat().st_mtime
        and not filecmp.cmp(file, original, shallow=False)
    ]


def connect(name: str) -> None:
    """Let book/NAME show what lies at NAME in the folder above, as a link or as a fresh copy."""
    source, place = BOOK.parent / name, BOOK / name
    if place.is_symlink() and place.exists():
        return
    if place.is_dir() and not place.is_symlink():
        edited = newer(place, source)
        if edited:
            sys.exit(
                f"{edited[0]} was edited in the copy that stands in for a link: "
                f"bring the edit to {source}, or delete {place}, and run this again"
            )
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

"""Make book/ complete: links to the configuration and the notebooks, or copies without links.

A clone on a system without symbolic links (Windows, some archives) holds small text files, or
nothing, where the links should be; this script puts back a link where it can, a copy otherwise.
"""

import shutil
from pathlib import Path

BOOK = Path(__file__).resolve().parent


def connect(name: str) -> None:
    """Let book/NAME show what lies at NAME in the folder above, as a link or as a fresh copy."""
    source, place = BOOK.parent / name, BOOK / name
    if place.is_symlink() and place.exists():
        return
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

"""Fuzzing that is guided by coverage: whatever stands in a file, it is read, or refused by name.

    pip install atheris
    python -m tests.hostile.fuzz pictures -max_total_time=60    # or sounds, tables, texts, arrays

It begins with the corpus of hostile files and mutates what reaches new code. Anything but a refusal
that names a remedy ends it, and the file that did it is kept beside (``crash-…``). The test suite
draws its files by hypothesis instead (`test_chance`), the same ones each time.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mmtutorial", "PIL"]):
    from mmtutorial.datasets.dataset import validate_folder
    from mmtutorial.datasets.media import MediaError
    from mmtutorial.preprocessing.audio import encode_sound
    from mmtutorial.preprocessing.image import encode_picture
    from mmtutorial.preprocessing.text import clean, tokenise
from tests.hostile import corpus


def media(encode: Callable[[Path], object]) -> Callable[[Path, bytes], None]:
    """Encode a file, or refuse it."""

    def reads(folder: Path, content: bytes) -> None:
        path = folder / "file"
        path.write_bytes(content)
        try:
            encode(path)
        except MediaError as fault:
            assert fault.message and fault.remedy

    return reads


def in_folder(name: str) -> Callable[[Path, bytes], None]:
    """Check a data set in which one file is what is given."""

    def reads(folder: Path, content: bytes) -> None:
        good = {"dataset.json": corpus.ABOUT, "items.csv": corpus.ITEMS}
        good |= {"interactions.csv": corpus.TAKEN, name: content}
        for each, some in good.items():
            (folder / each).parent.mkdir(exist_ok=True)
            (folder / each).write_bytes(some)
        for fault in validate_folder(folder):
            assert fault.file and fault.message and fault.remedy

    return reads


def words(folder: Path, content: bytes) -> None:
    """Clean and cut a text."""
    tokenise(clean(content.decode("utf-8", errors="replace")))


def contents(files: Iterable[corpus.Hostile]) -> list[bytes]:
    """Return what stands in small ones."""
    return [file.content for file in files if len(file.content) < 100_000]


TARGETS = {
    "pictures": (media(lambda path: encode_picture(path, 16, False)), contents(corpus.pictures())),
    "sounds": (
        media(lambda path: encode_sound(path, 8000, 256, 32, 20, "mfcc", False, True, False)),
        contents(corpus.sounds()),
    ),
    "tables": (in_folder("items.csv"), [corpus.ITEMS]),
    "arrays": (in_folder("features/text.npy"), contents(corpus.arrays())),
    "texts": (
        words,
        [text[:500].encode("utf-8", "replace") for text, _ in corpus.texts().values()],
    ),
}


def main() -> None:
    """Fuzz one kind of file until something is wrong, or time is up."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(
            f"usage: python -m tests.hostile.fuzz {{{','.join(TARGETS)}}} [-max_total_time=60]"
        )
    reads, seeds = TARGETS[sys.argv.pop(1)]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder, known = Path(place, "folder"), Path(place, "seeds")
        for made in (folder, known):
            made.mkdir()
        for number, seed in enumerate(seeds):
            (known / str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, str(known)], lambda content: reads(folder, content))
        atheris.Fuzz()


if __name__ == "__main__":
    main()

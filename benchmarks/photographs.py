"""Photographs of a catalogue: `encode_images` beside decoding and resizing alone.

    python benchmarks/photographs.py                    # those of garments, 3,335
    python benchmarks/photographs.py folder/ --size 64

The peer is the shortest loop that makes the same pixels, on as many threads: Pillow opens a file,
decodes it at a fraction of its size, resizes it and puts it on white. It checks nothing, keeps
nothing, and knows nothing of a file that it has read before. The limit is Pillow's decoder alone.
That the pixels are the same is checked before anything is timed. Memory is measured with once and
with ten times the catalogue: files with other contents, since equal ones would be decoded once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from side_by_side import Row, alone, alternate, cores, limits, machine, memory_of, profile, tell

from mmtutorial.datasets.simulated.garments import PHOTOGRAPHS
from mmtutorial.preprocessing import image

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def photographs(folder: str | None) -> list[Path]:
    """Return the photographs of a folder, or those that garments are made of."""
    if folder is None:
        place = PHOTOGRAPHS.obtain()
        return [place / name for name in PHOTOGRAPHS.manifest]
    found = sorted(each for each in Path(folder).rglob("*") if each.suffix.lower() in ENDINGS)
    if not found:
        raise SystemExit(f"{folder} holds no photograph ({', '.join(sorted(ENDINGS))})")
    return found


def decoded(size: int, path: Path) -> Image.Image:
    """Decode one, no larger than needed."""
    with Image.open(path) as opened:
        opened.draft(None, (2 * size, 2 * size))
        return opened.convert("RGB")


def resized(size: int, path: Path) -> np.ndarray:
    """Decode one, and fit it into a white square: uint8 (size, size, 3)."""
    picture = ImageOps.exif_transpose(decoded(size, path))
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    fitted = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    square = Image.new("RGB", (size, size), "white")
    square.paste(fitted, ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


def spread(function: Callable[[Path], object], paths: list[Path], threads: int) -> list:
    """Call for each path, on as many threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, paths))


def ours(paths: list[Path], size: int, jobs: int, cache: Path | None = None) -> np.ndarray:
    """Encode with the library, from an empty cache unless one is given."""
    with tempfile.TemporaryDirectory() as empty:
        pictures, present, faults = image.encode_images(
            paths, size, jobs=jobs, cache=cache or empty
        )
    if not present.all():
        raise SystemExit(f"{len(faults)} photographs cannot be used, such as: {faults[0]}")
    return pictures


def copied(paths: list[Path], times: int, folder: Path) -> list[Path]:
    """Write each photograph several times, no two with the same contents."""
    copies = []
    for turn in range(times):
        for number, path in enumerate(paths):
            copies.append(folder / f"{turn}-{number}{path.suffix}")
            copies[-1].write_bytes(path.read_bytes() + turn.to_bytes(2, "big"))  # after its end
    return copies


def seconds_and_memory(paths: list[Path], times: int, size: int) -> tuple[float, float | None]:
    """Encode a catalogue many times as large; return the seconds, and the MiB needed."""
    with tempfile.TemporaryDirectory() as folder:
        copies = copied(paths, times, Path(folder))
        ours(copies[:64], size, cores())  # what is imported late is imported
        started = time.perf_counter()
        memory = memory_of(lambda: ours(copies, size, cores()))
        return time.perf_counter() - started, memory


def main() -> None:
    """Check that both agree, time them in turn, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photographs", nargs="?", help="a folder; without it, those of garments")
    parser.add_argument("--size", type=int, default=image.SIZE, help="pixels a side")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, nargs="*", default=[1, 10], help="for memory")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()

    paths, size, threads = photographs(options.photographs), options.size, cores()
    expected = np.stack(spread(partial(resized, size), paths, threads)) / np.float32(255)
    if not np.array_equal(ours(paths, size, threads), expected):
        raise SystemExit("the pixels are not the same; there is nothing to compare")
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    case = f"{len(paths):,} photographs, {megabytes:.0f} MB, at {size} pixels, {threads} threads"
    bare = "decoding and resizing alone (ours: within 1.3 times)"
    times = alternate(
        {
            "ours": lambda: ours(paths, size, threads),
            bare: lambda: spread(partial(resized, size), paths, threads),
            "limit: Pillow's decoder": lambda: spread(partial(decoded, size), paths, threads),
        },
        options.repeats,
    )
    rows = [
        Row(case, name, seconds, bar=1 / 1.3 if name == bare else None)
        for name, seconds in times.items()
    ]
    rows += profile(case, lambda: ours(paths, size, 1))
    with tempfile.TemporaryDirectory() as cache:
        again = alternate(
            {"ours": lambda: ours(paths, size, threads, Path(cache))}, options.repeats
        )
    case = f"{len(paths):,} photographs, a second run, from the cache"
    rows += [Row(case, "ours", again["ours"]), Row(case, "bar", [1.0])]
    for times_over in options.copies:
        taken, memory = alone(seconds_and_memory, paths, times_over, size)
        case = f"photographs at {size} pixels, growing catalogue"
        rows.append(Row(case, "ours", [taken], times_over * len(paths), memory))
    tell("photographs", rows, f"{machine('Pillow')}; {limits()}", options.csv)


if __name__ == "__main__":
    main()

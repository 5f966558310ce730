"""MFCCs of a catalogue's recordings: `encode_audio` against a plain loop of librosa.

    python benchmarks/mfcc.py                     # the 3,000 recordings of garments
    python benchmarks/mfcc.py shop                # a data set, or a folder of recordings
    python benchmarks/mfcc.py recordings/ --repeats 5 --jobs 4

The loop is what one writes first: ``librosa.load`` and ``librosa.feature.mfcc``, file after file.
Both compute the same: 20 coefficients of 40 bands at 8 kHz, a window of 512 samples every 256,
whole recordings, filled up in front to the longest, standardised per coefficient; whether they
agree to 1e-4 is checked before anything is timed. The cache of `encode_audio` is an empty
temporary folder each time, so that every file is read and encoded. Ours takes as many processes as
pay, which for a few thousand short recordings is one; a case of its own has one a core, which are
running already, and what their first call took, starting them included. The limit is libsndfile,
by which the loop reads, and ours whatever is not a short, plain WAV: every file is opened and
decoded, and nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import soundfile
from side_by_side import Row, alternate, cores, limits, machine, profile, tell

from mmtutorial import datasets
from mmtutorial.datasets.simulated.garments import RECORDINGS
from mmtutorial.preprocessing import audio
from mmtutorial.preprocessing.reduce import standardise

ENDINGS = {".wav", ".flac", ".ogg", ".mp3"}
COEFFICIENTS = 20


def recordings(name: str) -> list[Path]:
    """Return the recordings of a data set, or those in a folder that is none."""
    if name == "garments":
        place = RECORDINGS.obtain()
        return [place / each for each in RECORDINGS.manifest]
    folder = Path(name)
    if folder.is_dir() and not (folder / "dataset.json").exists():
        found = sorted(each for each in folder.rglob("*") if each.suffix.lower() in ENDINGS)
    else:
        data = datasets.load(name)
        paths = [data.path(row, "audio") for row in range(data.n_items)]
        found = [path for path in paths if path]
    if not found:
        raise SystemExit(f"{name} holds no recording ({', '.join(sorted(ENDINGS))})")
    return found


def plain_loop(paths: list[Path], length: int) -> np.ndarray:
    """Encode with librosa alone, one file after another."""
    sounds = []
    for path in paths:
        wave, rate = librosa.load(path, sr=audio.SAMPLE_RATE)
        sounds.append(
            librosa.feature.mfcc(
                y=wave,
                sr=rate,
                n_mfcc=COEFFICIENTS,
                n_mels=audio.BANDS,
                n_fft=2 * audio.HOP,
                hop_length=audio.HOP,
            ).T
        )
    rows = np.stack([audio.fit_length(each, length, filling=np.nan) for each in sounds])
    return standardise(rows, np.ones(len(rows), bool))


def library(
    paths: list[Path], length: int, jobs: int | None, kept: str | None = None
) -> np.ndarray:
    """Encode with `encode_audio`, from an empty cache unless one is given."""
    with tempfile.TemporaryDirectory() as empty:
        frames, present, faults = audio.encode_audio(
            paths,
            seconds=length * audio.HOP / audio.SAMPLE_RATE,
            length=length,
            coefficients=COEFFICIENTS,
            trim=False,
            jobs=jobs,
            cache=kept or empty,
        )
    if not present.all():
        raise SystemExit(f"{len(faults)} recordings cannot be used, such as: {faults[0]}")
    return frames


def main() -> None:
    """Check that all agree, time them in turn, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "recordings", nargs="?", default="garments", help="a data set, its folder, or any folder"
    )
    parser.add_argument("--repeats", type=int, default=3, help="times each is timed (default 3)")
    parser.add_argument("--jobs", type=int, default=cores(), help="processes at once")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()
    if options.repeats < 1 or options.jobs < 1:
        parser.error("--repeats and --jobs must be at least 1")

    paths = recordings(options.recordings)
    longest = max(soundfile.info(path).duration for path in paths)
    length = 1 + int(np.ceil(longest * audio.SAMPLE_RATE / audio.HOP))
    loop = plain_loop(paths, length)
    furthest = float(np.abs(library(paths, length, None) - loop).max())
    print(f"{len(paths)} recordings, {loop.shape[1]} frames of {loop.shape[2]}")
    print(f"largest difference from the loop: {furthest:.1e}")
    if not furthest <= 1e-4:
        raise SystemExit("they do not compute the same; there is nothing to compare")

    def compared(case: str, jobs: int | None) -> list[Row]:
        name = "ours" if jobs is None else f"ours, {jobs} processes that are running"
        times = alternate(
            {
                name: lambda: library(paths, length, jobs),
                "plain loop of librosa": lambda: plain_loop(paths, length),
                "limit: libsndfile": lambda: [soundfile.read(path) for path in paths],
            },
            options.repeats,
        )
        return [
            Row(case, each, seconds, bar=5.0 if each.startswith("plain") else None)
            for each, seconds in times.items()
        ]

    case = f"MFCCs of {len(paths):,} recordings"
    rows = [*compared(case, None), *profile(case, lambda: library(paths, length, 1))]
    if options.jobs > 1:
        started = time.perf_counter()
        library(paths, length, options.jobs)
        first = time.perf_counter() - started
        case = f"{case}, {options.jobs} processes"
        rows += compared(case, options.jobs)
        rows.append(Row(f"{case}, which it starts", "ours", [first]))
    with tempfile.TemporaryDirectory() as kept:
        again = alternate({"ours": lambda: library(paths, length, 1, kept)}, options.repeats)
    case = f"{len(paths):,} recordings, a second run, from the cache"
    rows += [Row(case, "ours", again["ours"]), Row(case, "bar", [1.0])]
    tell("mfcc", rows, f"{machine('librosa', 'soundfile')}; {limits()}", options.csv)


if __name__ == "__main__":
    main()

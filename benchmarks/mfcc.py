"""MFCCs of a catalogue's recordings: `encode_audio` against a plain loop of librosa.

    python benchmarks/mfcc.py garments            # or shop, or a folder of recordings
    python benchmarks/mfcc.py recordings/ --repeats 5 --jobs 4

The loop is what one writes first: ``librosa.load`` and ``librosa.feature.mfcc``, file after file.
Both compute the same: 20 coefficients of 40 bands at 8 kHz, a window of 512 samples every 256,
whole recordings, filled up in front to the longest, standardised per coefficient; whether they
agree to 1e-4 is checked before anything is timed. The cache of `encode_audio` is an empty
temporary folder each time, so that every file is read and encoded. The contenders take turns, and
each is warm when its time is taken, with its worker processes running; what the first call took,
starting them included, stands beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import librosa
import numpy as np
import soundfile

from mmtutorial import datasets
from mmtutorial.preprocessing import audio
from mmtutorial.preprocessing.reduce import standardise

ENDINGS = {".wav", ".flac", ".ogg", ".mp3"}
COEFFICIENTS = 20


def recordings(name: str) -> list[Path]:
    """Return the recordings of a data set, or those in a folder that is none."""
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


def library(paths: list[Path], length: int, jobs: int) -> np.ndarray:
    """Encode with `encode_audio`, from an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        frames, present, faults = audio.encode_audio(
            paths,
            seconds=length * audio.HOP / audio.SAMPLE_RATE,
            length=length,
            coefficients=COEFFICIENTS,
            trim=False,
            jobs=jobs,
            cache=cache,
        )
    if not present.all():
        raise SystemExit(f"{len(faults)} recordings cannot be used, such as: {faults[0]}")
    return frames


def main() -> None:
    """Check that all agree, time them in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", help="shop, garments, a data set's folder, or any folder")
    parser.add_argument("--repeats", type=int, default=3, help="times each is timed (default 3)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    options = parser.parse_args()
    if options.repeats < 1 or options.jobs < 1:
        parser.error("--repeats and --jobs must be at least 1")

    paths = recordings(options.recordings)
    longest = max(soundfile.info(path).duration for path in paths)
    length = 1 + int(np.ceil(longest * audio.SAMPLE_RATE / audio.HOP))
    contenders: dict[str, Callable[[], np.ndarray]] = {
        "plain loop of librosa": lambda: plain_loop(paths, length),
        "encode_audio, 1 process": lambda: library(paths, length, 1),
    }
    if options.jobs > 1:
        contenders[f"encode_audio, {options.jobs} processes"] = lambda: library(
            paths, length, options.jobs
        )

    results, first = {}, {}
    for name, encode in contenders.items():
        started = time.perf_counter()
        results[name] = encode()
        first[name] = time.perf_counter() - started
    reference = next(iter(results.values()))
    furthest = max(float(np.abs(each - reference).max()) for each in results.values())
    print(f"{len(paths)} recordings, {reference.shape[1]} frames of {reference.shape[2]}")
    print(f"largest difference from the loop: {furthest:.1e}")
    if not furthest <= 1e-4:
        raise SystemExit("they do not compute the same; there is nothing to compare")

    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.repeats):
        for name, encode in contenders.items():
            started = time.perf_counter()
            encode()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    slowest = medians["plain loop of librosa"]
    print(
        f"\n{'':28}{'median (s)':>11}{'per file (ms)':>15}{'ratio':>8}"
        f"{'first call (s)':>16}   range (s)"
    )
    for name, median in medians.items():
        print(
            f"{name:28}{median:11.2f}{1000 * median / len(paths):15.2f}{slowest / median:8.2f}"
            f"{first[name]:16.2f}   {min(times[name]):.2f}–{max(times[name]):.2f}"
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"\n{platform.machine()}, {cores} cores, {platform.system()}{load}; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, librosa {version('librosa')}"
    )


if __name__ == "__main__":
    main()

"""What the benchmarks share: contenders take turns; the machine, and what it can do at best.

A contender whose name begins with "ours" is what the others of its case are compared with; one that
begins with "limit" is no rival but what cannot be beaten; "bar" is no rival either but the seconds
that ours shall stay under; one that begins with "within" is a part of ours, by a profile; all
others are peers.
"""

from __future__ import annotations

import cProfile
import csv
import os
import platform
import pstats
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "benchmark", "case", "contender", "size", "seconds", "least", "most", "turns", "of_ours",
    "memory", "quality", "bar", "machine",
)  # fmt: skip
THREADS = {
    "OMP_NUM_THREADS": "OpenMP",
    "OPENBLAS_NUM_THREADS": "OpenBLAS",
    "TF_NUM_INTRAOP_THREADS": "TensorFlow within an operation",
    "TF_NUM_INTEROP_THREADS": "between operations",
    "NUMBA_NUM_THREADS": "Numba",
}


@dataclass(frozen=True)
class Row:
    """What one contender took in one case.

    Parameters
    ----------
    case, contender : str
        What was done, and by whom.
    seconds : sequence of float
        One for each turn.
    size : int, optional
        How much there was of what the case varies: users, items, texts.
    memory : float, optional
        The most that it needed beyond what it was given, in MiB.
    quality : float, optional
        What it reached, where time alone does not tell; the case says which measure.
    bar : float, optional
        Of a peer: how many times ours its seconds are to be, at least.
    """

    case: str
    contender: str
    seconds: Sequence[float]
    size: int | None = None
    memory: float | None = None
    quality: float | None = None
    bar: float | None = None

    @property
    def median(self) -> float:
        """The median turn, in seconds."""
        return statistics.median(self.seconds)

    @property
    def is_ours(self) -> bool:
        """Whether the others are compared with it."""
        return self.contender.startswith("ours")


def alternate(
    contenders: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Let them take turns; return the seconds of each, the first turns left out."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + repeats):
        for name, call in contenders.items():
            started = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - started)
    return times


def profile(case: str, call: Callable[[], object], most: int = 6) -> list[Row]:
    """Say in which functions a call spends its time: in each of them itself, not in what it calls.

    The profiler slows down what has many calls: shares tell more than seconds.
    """
    watched = cProfile.Profile()
    watched.runcall(call)
    own = {
        f"{Path(file).stem}: {name}" if file != "~" else name: seconds
        for (file, _, name), (_, _, seconds, _, _) in pstats.Stats(watched).stats.items()
    }
    longest = sorted(own, key=lambda name: -own[name])[:most]
    return parts(case, {name: own[name] for name in longest}, sum(own.values()))


def parts(case: str, seconds: Mapping[str, float], whole: float | None = None) -> list[Row]:
    """Return where ours spends its time, and the whole that shares are of, or else the sum."""
    named = {**seconds, "all": sum(seconds.values()) if whole is None else whole}
    return [Row(case, f"within ours: {name}", [spent]) for name, spent in named.items()]


def alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a module in a process of its own, and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def memory_of(call: Callable[[], object]) -> float | None:
    """Call; return the most MiB that the process held meanwhile beyond what it held before.

    None where the system does not tell (it is Linux that does).
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def held(kind: str) -> float:
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(kind))

    try:
        reset.write_text("5", encoding="utf-8")  # forget the peak so far
        before = held("VmRSS")
    except (OSError, StopIteration):
        call()
        return None
    call()
    return held("VmHWM") - before


def machine(*libraries: str) -> str:
    """Name the processor, the cores that this process may use, its load, threads and versions."""
    processor = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        lines = about.read_text(encoding="utf-8").splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    threads = [f"{what} {os.environ[name]}" for name, what in THREADS.items() if name in os.environ]
    versions = [f"Python {platform.python_version()}", f"numpy {np.__version__}"]
    versions += [f"{library} {version(library)}" for library in libraries]
    return (
        f"{processor}, {cores()} cores, {platform.system()}{load}; "
        f"threads: {', '.join(threads) or 'as the libraries choose'}; {', '.join(versions)}"
    )


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limits(repeats: int = 5) -> str:
    """Measure what arithmetic and memory can do: float32 products, and the copy of an array."""
    generator = np.random.default_rng(0)
    square = generator.normal(size=(2048, 2048)).astype("float32")
    long = np.zeros(2**25, "float32")
    taken = alternate({"product": lambda: square @ square, "copy": long.copy}, repeats)
    rate = 2 * len(square) ** 3 / statistics.median(taken["product"]) / 1e9
    bandwidth = 2 * long.nbytes / statistics.median(taken["copy"]) / 1e9
    return f"products of matrices {rate:,.0f} GFLOP/s, copies {bandwidth:,.1f} GB/s"


def tell(benchmark: str, rows: Sequence[Row], about: str, path: str | None = None) -> None:
    """Print a table, each case's contenders as multiples of ours; put it into a CSV file.

    Of the file, the benchmark's older lines on the same cases go.
    """
    lines = []
    for case, size in dict.fromkeys((row.case, row.size) for row in rows):
        some = [row for row in rows if (row.case, row.size) == (case, size)]
        ours = next((row.median for row in some if row.is_ours), None)
        print(f"\n{case}{'' if size is None else f' ({size:,})'}")
        for row in some:
            least, most = min(row.seconds), max(row.seconds)
            ratio = None if ours is None else row.median / ours
            told = f"  {row.contender:44}{row.median:10.4g} s {f'{least:.4g}–{most:.4g}':>18}"
            told += "" if ratio is None else f"{ratio:9.2f}×"
            told += "" if row.bar is None else f" (to be at least {row.bar:.2f}×)"
            told += "" if row.memory is None else f"{row.memory:10,.0f} MiB"
            told += "" if row.quality is None else f"  reaches {row.quality:.4f}"
            print(told, flush=True)
            numbers = (row.size, row.median, least, most, len(row.seconds), ratio, row.memory,
                       row.quality, row.bar)  # fmt: skip
            written = [_written(number) for number in numbers]
            lines.append([benchmark, case, row.contender, *written, about])
    print(f"\nmedians and ranges, and how many times ours\n{about}", flush=True)
    if path:
        write(Path(path), lines)


def _written(number: float | None) -> str:
    """Write a whole number in full, any other with six digits, none as nothing."""
    if number is None or isinstance(number, int):
        return "" if number is None else str(number)
    return f"{number:.6g}"


def write(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """Put lines into a CSV file, in place of older ones with the same benchmark and case."""
    fresh = {tuple(line[:2]) for line in lines}
    kept = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            for old in csv.DictReader(file):
                if (old["benchmark"], old["case"]) not in fresh:
                    kept.append([old.get(column) or "" for column in COLUMNS])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *kept, *lines])

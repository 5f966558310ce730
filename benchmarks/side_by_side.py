"""What the benchmarks share: contenders take turns; the machine, and what it can do at best."""

from __future__ import annotations

import csv
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

COLUMNS = ("benchmark", "case", "contender", "seconds", "least", "most", "of_ours", "machine")


@dataclass(frozen=True)
class Row:
    """What one contender took in one case.

    Parameters
    ----------
    case, contender : str
        What was done, and by whom; "ours" is what the others are compared with.
    seconds : sequence of float
        One for each turn.
    """

    case: str
    contender: str
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """The median turn, in seconds."""
        return statistics.median(self.seconds)


def alternate(
    contenders: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Let them take turns; return the seconds of each, the first turn left out."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, call in contenders.items():
            started = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - started)
    return times


def machine(*libraries: str) -> str:
    """Name the processor, the cores that this process may use, its load, and versions."""
    processor = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        lines = about.read_text(encoding="utf-8").splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = [f"Python {platform.python_version()}", f"numpy {np.__version__}"]
    versions += [f"{library} {version(library)}" for library in libraries]
    return f"{processor}, {cores} cores, {platform.system()}{load}; {', '.join(versions)}"


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
    """Print a table, each case's contenders as multiples of ours; add it to a CSV file."""
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        some = [row for row in rows if row.case == case]
        ours = next(
            (row.median for row in some if row.contender.startswith("ours")), some[0].median
        )
        print(f"\n{case}")
        for row in some:
            least, most, ratio = min(row.seconds), max(row.seconds), row.median / ours
            print(
                f"  {row.contender:44}{row.median:10.3f} s {f'{least:.3f}–{most:.3f}':>16}"
                f" {ratio:9.2f}×"
            )
            numbers = [f"{each:.6g}" for each in (row.median, least, most, ratio)]
            lines.append([benchmark, case, row.contender, *numbers, about])
    print(f"\nmedians and ranges, and how many times ours\n{about}")
    if path:
        fresh = not Path(path).exists()
        with Path(path).open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *lines] if fresh else lines)

"""Run every benchmark, each in a process of its own, into one table.

    make bench                                    # all, into results/benchmarks.csv
    make bench ONLY=retrieval                     # one, or several: ONLY="retrieval evaluation"
    python benchmarks/run.py retrieval --csv elsewhere.csv

Every process gets as many threads as it may use cores, for every library, unless the environment
says otherwise; where a script sets other numbers, its cases say so. A benchmark that fails does not
stop the others: its rows are missing from the table, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from side_by_side import THREADS, cores

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "benchmarks.csv"
SUITE: dict[str, tuple[str, ...]] = {
    "evaluation": ("--grow",),
    "retrieval": (),
    "training": (),
    "simulation": (),
    "photographs": (),
    "mfcc": ("garments",),
    "ngrams": (),
    "convolution": (),
    "recommenders": ("--seeds", "2"),
    "reading": (),
}


def threads() -> dict[str, str]:
    """Return the environment's variables that say how many threads each library takes."""
    chosen = {name: os.environ.get(name, str(cores())) for name in THREADS}
    chosen["TF_NUM_INTEROP_THREADS"] = os.environ.get("TF_NUM_INTEROP_THREADS", "1")
    return chosen


def main() -> int:
    """Run what was asked for; return 1 if any of it failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    known = [name for name in SUITE if (HERE / f"{name}.py").exists()]
    parser.add_argument("only", nargs="*", help=f"of {', '.join(known)}; all without")
    parser.add_argument("--csv", type=Path, default=RESULTS, help="the table (default %(default)s)")
    options = parser.parse_args()
    unknown = [name for name in options.only if name not in known]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(known)}")
    if options.csv.exists() and not options.csv.read_bytes().startswith(b"benchmark,"):
        parser.error(f"{options.csv} is no table of benchmarks, and it would be replaced")
    if not options.only:
        options.csv.unlink(missing_ok=True)  # what fails now shall not show what it once took

    environment = {**os.environ, **threads(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    print(", ".join(f"{name}={value}" for name, value in threads().items()))
    failed, started = [], time.monotonic()
    for name in options.only or known:
        began = time.monotonic()
        print(f"\n=== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *SUITE[name], "--csv", options.csv]
        status = subprocess.run(command, env=environment, check=False).returncode
        failed += [name] if status else []
        told = f"FAILED (exit status {status})" if status else "done"
        print(f"=== {name}: {told}, {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n{time.monotonic() - started:.0f} s; the table: {options.csv}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

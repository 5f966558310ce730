"""How long a reader waits: the README's two commands, in a clean clone.

    python benchmarks/reading.py

What is committed is cloned, and pip takes from its cache what it has downloaded before. `make book`
creates the environment, runs every notebook, and writes the pages; `make test` runs in the
environment that is then there. Beside each stands the time that was asked for, and where the time
goes: the environment, each notebook (some run at a time: their sum is more than the whole) and the
pages; of the tests, the ten files that take longest, on all workers together.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from side_by_side import THREADS, Row, cores, limits, machine, parts, tell

ROOT = Path(__file__).resolve().parents[1]
BOOK, TEST = "make book, in a clean clone", "make test, in an environment that is there"
BARS = {BOOK: 480.0, TEST: 240.0}  # seconds
LASTED = re.compile(r"([\d.]+)s (?:setup|call|teardown) +(\S+?)::")


def timed(clone: Path, *command: str, **variables: str) -> tuple[float, str]:
    """Run a command of the clone; return its seconds and what it printed."""
    started = time.perf_counter()
    run = subprocess.run(
        command, cwd=clone, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}")
    return time.perf_counter() - started, run.stdout


def main() -> None:
    """Clone, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()
    for name in ("PYTHONPATH", *THREADS):  # a reader's shell has none of them
        os.environ.pop(name, None)
    about = f"{machine()}; {limits()}"
    with tempfile.TemporaryDirectory() as folder:
        clone, cache = Path(folder, "clone"), {"MMTUTORIAL_CACHE": str(Path(folder, "cache"))}
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment, _ = timed(clone, "make", ".venv/.ready", **cache)
        print(f"the environment: {environment:.0f} s", flush=True)
        building, _ = timed(clone, "make", "book", **cache)
        records = clone.glob("book/_build/executed/*/notebooks/*/*.json")
        notebooks = {each.stem: json.loads(each.read_text())["seconds"] for each in sorted(records)}
        pages = (clone / "book/_build/html/index.html").stat().st_mtime
        last = max(each.stat().st_mtime for each in clone.glob("book/_build/executed/*/*/*/*.json"))
        rows = [Row(BOOK, "ours", [environment + building]), Row(BOOK, "bar", [BARS[BOOK]])]
        rows += parts(BOOK, {"environment": environment, **notebooks, "pages": pages - last})
        tell("reading", rows, about, options.csv)
        testing, told = timed(
            clone, "make", "test", PYTEST_ADDOPTS="--durations=0 --durations-min=0.1", **cache
        )
        lasted: Counter[str] = Counter()
        for seconds, file in LASTED.findall(told):
            lasted[file] += float(seconds)
        rows = [Row(TEST, "ours", [testing]), Row(TEST, "bar", [BARS[TEST]])]
        longest = dict(lasted.most_common(10))
        rows += parts(TEST, longest | {"the rest": sum(lasted.values()) - sum(longest.values())})
        tell("reading", rows, about, options.csv)
        print(f"On {cores()} cores, seconds and their bar:")
        for case, seconds in {BOOK: environment + building, TEST: testing}.items():
            print(f"  {case}: {seconds:.0f} of {BARS[case]:.0f}")


if __name__ == "__main__":
    main()

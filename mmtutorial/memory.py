"""How much memory a process has held."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path


def peak_memory() -> float:
    """Return the most bytes of memory that this process has held at once.

    That of this process alone, without helpers on other cores; NaN where the system does not tell.

    >>> peak_memory() > 0
    True
    """
    status = Path("/proc/self/status")
    if status.exists():  # Linux; getrusage would count the parent's memory too
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * int(line.split()[1])
    if sys.platform == "darwin":
        import resource

        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    try:  # Windows; psutil comes with Jupyter
        return float(importlib.import_module("psutil").Process().memory_info().peak_wset)
    except (ImportError, AttributeError):
        return float("nan")


def forget_peak_memory() -> None:
    """Let `peak_memory` count from now on, where the system can (Linux); nothing happens elsewhere.

    >>> forget_peak_memory()
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")

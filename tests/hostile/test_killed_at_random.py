"""Killed at any moment, the next start finds the old state or the new, and comes to the same end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.killed_at_random import PARTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    """What `killed_at_random.py` came through, and what it said when it failed."""
    base = tmp_path_factory.mktemp("killed")
    work = "import pathlib, sys, tests.hostile.killed_at_random as k; k.main(pathlib.Path(sys.argv[1]))"
    run = subprocess.run(
        [sys.executable, "-c", work, base],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return run.stdout.splitlines(), run.stderr


@pytest.mark.parametrize("part", PARTS)
def test_killed_at_moments_of_chance(part: str, told: tuple[list[str], str]) -> None:
    through, fault = told
    assert part in through, fault

"""What all tests share: a cache of their own, and small catalogues."""

from __future__ import annotations

import builtins
import contextlib
import errno
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from mmtutorial.reproduce.threads import ONE_THREAD

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes
    threadpool_limits(1)
    os.environ |= ONE_THREAD

collect_ignore = ["tests/hostile/fuzz.py"]  # run by hand; it needs atheris

# The same examples each time, and however slow the machine: a test says something about the code.
settings.register_profile("mmtutorial", deadline=None, derandomize=True)
settings.load_profile("mmtutorial")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the tests make out of the reader's cache; parallel workers share one."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["MMTUTORIAL_CACHE"] = str(shared / "cache")


@pytest.fixture(scope="session", autouse=True)
def _terminal() -> None:
    """Run as in a terminal that can move its cursor; in a dumb one rich shows no progress."""
    os.environ["TERM"] = "xterm"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], AbstractContextManager[None]]:
    """Make a file one that this account may not open, for a while; root is played, as it may."""

    def refused(act: Any, closed: Path, file: Any, *rest: Any, **options: Any) -> Any:
        if isinstance(file, str | Path) and Path(file) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return act(file, *rest, **options)

    @contextlib.contextmanager
    def closed(path: Path) -> Iterator[None]:
        mode = path.stat().st_mode
        path.chmod(0)
        with monkeypatch.context() as patch:
            for module, name in ((io, "open"), (builtins, "open"), (os, "open")):
                patch.setattr(module, name, functools.partial(refused, getattr(module, name), path))
            yield
        path.chmod(mode)

    return closed


@pytest.fixture
def eager() -> Iterator[None]:
    """Run TensorFlow's functions without compilation, which takes longer than a few small steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True)
def _examples_run_uncompiled(request: pytest.FixtureRequest) -> None:
    """Let networks in docstrings learn without compilation, but for those that learn many steps."""
    long = ("pairwise", "graph", "two_tower")
    if (
        isinstance(request.node, pytest.DoctestItem)
        and "tensorflow" in sys.modules
        and not any(f"mmtutorial.recommenders.{name}." in request.node.name for name in long)
    ):
        request.getfixturevalue("eager")


@pytest.fixture(scope="session")
def catalogue() -> Callable[..., pd.DataFrame]:
    """Make items with the attributes that a simulation needs."""

    def make(n_items: int = 200, seed: int = 0) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        return pd.DataFrame(
            {
                "item": [f"i{row}" for row in range(n_items)],
                "image_attribute": generator.choice(list("abcd"), n_items),
                "audio_attribute": generator.choice(list("xyz"), n_items),
                "text_attribute": generator.standard_normal(n_items),
            }
        )

    return make

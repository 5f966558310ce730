"""Hold back the log lines of C libraries: they say nothing to a reader, and no option stops them.

TensorFlow obeys ``TF_CPP_MIN_LOG_LEVEL`` once it is loaded, but while it is being loaded it tells
of oneDNN, CUDA and absl. libmpg123, which decodes MP3 for soundfile, comments on every odd header.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # 0 shows all of TensorFlow's lines, 3 only what ends the program
MPG123 = re.compile(rb"\s*$|(Note|Warning): |\[[^]]*mpg123")

_STDERR = 2
_lock = threading.RLock()  # a process has one standard error


@contextlib.contextmanager
def without_lines(unwanted: re.Pattern[bytes]) -> Iterator[None]:
    """Hold back what is written to standard error; pass on the lines that do not match, at the end.

    C libraries write to the file, not to ``sys.stderr``, so the file itself is replaced meanwhile.
    If the program crashes within, Python says where.

    >>> import os, re
    >>> with without_lines(re.compile(b"Note: ")):
    ...     _ = os.write(2, b"Note: a library speaks to itself\\n")
    """
    with _lock, contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(_STDERR)
            stack.callback(os.close, terminal)
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # a program without standard error, or no room for a file
            held = None
        if held is None:
            yield
            return
        if not faulthandler.is_enabled():
            faulthandler.enable(terminal)
            stack.callback(faulthandler.disable)
        _flush()
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            _flush()
            os.dup2(terminal, _STDERR)
            held.seek(0)
            for line in held:
                if not unwanted.match(line):
                    os.write(_STDERR, line)


def _flush() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # None, or closed
        sys.stderr.flush()


def quiet_tensorflow() -> None:
    """Let TensorFlow, whoever imports it from now on, write to the terminal only if it must.

    Sets ``TF_CPP_MIN_LOG_LEVEL`` to 3 unless the user has set it; with 0, nothing is held back.
    """
    level = os.environ.setdefault(LEVEL, "3")
    if level in ("1", "2", "3") and "tensorflow" not in sys.modules:
        letters = "IWE"[: int(level)]  # information, warnings, errors
        sys.meta_path.insert(0, _TensorFlow(rf"WARNING: All log mess|[{letters}]\d{{4}} ".encode()))


class _TensorFlow(MetaPathFinder):
    """Finds TensorFlow where Python does, and lets it be loaded without its lines."""

    def __init__(self, unwanted: bytes) -> None:
        self._unwanted = re.compile(unwanted)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with without_lines(self._unwanted):
                    load(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

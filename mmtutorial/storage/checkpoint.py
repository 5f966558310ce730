"""Learning that was interrupted, kept on disk: the next start goes on from its last epoch."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from time import monotonic

import numpy as np

from mmtutorial.storage.arrays import read_arrays
from mmtutorial.storage.digests import work_digest
from mmtutorial.storage.files import expanded, sweep, write_whole

EVERY = 5.0  # seconds between two writings, at least
_OURS = re.compile(r"[0-9a-f]{32,64}\.npz")  # a state
_PART = re.compile(r"(tmp\w{8}|\.[0-9a-f]{32})\.part")  # of a state, while it is written
SHARE = 20  # so many times as long as a writing takes, the next one waits
REPORT: ContextVar[Callable[[int, float], None] | None] = ContextVar("report", default=None)


@contextlib.contextmanager
def report_epochs(report: Callable[[int, float], None]) -> Iterator[None]:
    """Have ``report`` called with each epoch's number and quality; what it raises ends learning.

    >>> from mmtutorial.storage.epochs import Epochs
    >>> reported = []
    >>> with report_epochs(lambda epoch, quality: reported.append((epoch, quality))):
    ...     Epochs("nobody", 9, 2, Checkpoint(), [], np.random.default_rng(0)).end(0.5, 0.25)
    >>> reported
    [(0, 0.25)]
    """
    before = REPORT.set(report)
    try:
        yield
    finally:
        REPORT.reset(before)


class Checkpoint:
    """The state of learning after an epoch: a file that is there whole, or not at all.

    Its name is a digest of everything that learning depends on: this library's source, the versions
    of `COMPUTES`, and what the caller says. So whatever is learnt may be kept in one folder, and
    what has changed begins anew, in a file of its own. It is written a few seconds apart, and then
    takes at most a twentieth of the time; nothing is pickled.

    Parameters
    ----------
    folder : str or Path, optional
        Where the file lies; made when it is first written. Without one, nothing is kept.
    depends : callable
        Returns what the result depends on: arrays, numbers and texts, in tuples and lists.

    Attributes
    ----------
    due : float
        When the next state will be written, by `time.monotonic`.
    seconds : float
        How long interrupted runs had taken to come to the state that was read.

    Raises
    ------
    ValueError
        If the folder is a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     begun = Checkpoint(folder, lambda: ("my model", 3))
    ...     begun.due = 0
    ...     begun.write(lambda: {"weights": np.ones(2)})
    ...     found, other = [], Checkpoint(folder, lambda: ("my model", 4))
    ...     Checkpoint(folder, lambda: ("my model", 3)).read(found.append), other.read(found.append)
    (True, False)
    >>> found
    [{'weights': array([1., 1.])}]
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        depends: Callable[[], object] = tuple,
    ) -> None:
        self.folder = None if folder is None else expanded(folder).resolve()
        if self.folder is not None and self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{folder} is a file: name a folder to keep unfinished learning in")
        self._depends = depends
        self._begun = monotonic()
        self.due = self._begun + EVERY
        self.seconds = 0.0
        self._parts: list[Checkpoint] = []

    @functools.cached_property
    def path(self) -> Path:
        """The file."""
        assert self.folder is not None
        return self.folder / f"{work_digest(self._depends())}.npz"

    def part(self, depends: Callable[[], object]) -> Checkpoint:
        """Return the state of a part of the learning: it is removed with the whole."""
        self._parts.append(Checkpoint(self.folder, depends))
        return self._parts[-1]

    def read(self, take: Callable[[dict[str, np.ndarray]], object]) -> bool:
        """Give what was kept to ``take``, and say whether anything was.

        A file that cannot be read, or of which ``take`` raises, is damaged: a warning names it, it
        is removed, and learning begins anew. ``take`` checks everything before it changes anything.

        Raises
        ------
        OSError
            If the system does not let the file be read, which is no damage: it stays.
        """
        if self.folder is None or not self.path.exists():
            return False
        try:
            state = read_arrays(self.path)
            if str(state.pop("key")) != self.path.stem:
                raise ValueError("it belongs to something else")
            seconds = float(state.pop("seconds"))
            take(state)
        except OSError:
            raise
        except Exception as fault:  # damaged files make NumPy raise nearly anything
            warnings.warn(
                f"{self.path} is damaged ({fault}): it is removed, and learning begins anew",
                stacklevel=2,
            )
            self.path.unlink()
            return False
        self.seconds = seconds
        return True

    def write(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Keep the state after an epoch, unless the last one was kept a moment ago."""
        begun = monotonic()
        if self.folder is None or begun < self.due:
            return
        sweep(path for path in self.folder.glob("*.part") if _PART.fullmatch(path.name))
        content = io.BytesIO()
        seconds = self.seconds + begun - self._begun
        arrays = {**state(), "key": np.array(self.path.stem), "seconds": np.array(seconds)}
        np.savez(content, **arrays)  # type: ignore[arg-type]
        write_whole(self.path, content.getvalue())
        now = monotonic()
        self.due = now + max(EVERY, SHARE * (now - begun))

    def remove(self) -> None:
        """Learning has come to its end."""
        for part in self._parts:
            part.remove()
        if "path" in vars(self):  # it has been asked for
            self.path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove all states from a folder, and the folder unless somebody keeps something else there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("diary.npz", f"{32 * 'a'}.npz"):
    ...         _ = Path(folder, name).write_bytes(b"")
    ...     remove_unfinished(Path(folder))
    ...     [path.name for path in Path(folder).iterdir()]
    ['diary.npz']
    """
    if folder.is_dir():
        for path in list(folder.iterdir()):
            if _OURS.fullmatch(path.name) or _PART.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()

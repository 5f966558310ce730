"""Arrays by their names, in NumPy's archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mmtutorial.storage.archives import check_archive
from mmtutorial.storage.files import cached, whole_file

ARRAY = "array.npy"  # what a folder of the cache with one array holds


def cached_array(place: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Read the array that lies at a place in the cache, or make it and write it there.

    Parameters
    ----------
    place : Path
        From `mmtutorial.storage.files.cached_place`.
    make : callable
        Returns the array, of numbers or truth values.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cached_array(Path(folder, "ones"), lambda: np.ones(2))
    ...     cached_array(Path(folder, "ones"), lambda: np.zeros(2))  # not made again
    array([1., 1.])
    array([1., 1.])
    """

    def write(place: Path) -> np.ndarray:
        array = make()
        with whole_file(place / ARRAY) as file:
            np.save(file, array, allow_pickle=False)
        return array

    def read(place: Path) -> np.ndarray:
        return np.asarray(np.load(place / ARRAY, allow_pickle=False))

    return cached(place, ARRAY, read, write)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read an archive that `numpy.savez` has written; nothing is unpickled or decompressed.

    Raises ValueError, which names the file, if it is damaged, holds objects or is compressed; and
    OSError if the system does not let it be read, which is no damage.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/two.npz", a=np.zeros(2), b=np.ones(1))
    ...     read_arrays(Path(folder, "two.npz"))
    {'a': array([0., 0.]), 'b': array([1.])}
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                check_archive(archive)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: np.asarray(arrays[name]) for name in arrays.files}
        except Exception as fault:  # damaged files make NumPy raise nearly anything
            raise ValueError(f"{path.name} cannot be read: {fault}") from fault


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with the prefix, by the rest of their names.

    >>> under("history/", {"users": np.zeros(2), "history/loss": np.array([0.7])})
    {'loss': array([0.7])}
    """
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }

"""What a medium consists of, and the medium without some of it: words, regions, moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtutorial.preprocessing.audio import HOP, SAMPLE_RATE

GRID = 4  # regions a side of a picture
WIDTH = 4  # frames of a moment, 128 ms
FRAME = HOP / SAMPLE_RATE  # seconds from frame to frame


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of one medium.

    Parameters
    ----------
    names : tuple
        Of each part: a word; (row, column) of a region; (from, to) of a moment, in seconds.
    without : callable
        From bool (n, n_parts), True where a part is taken away, to n such media.
    """

    names: tuple[Any, ...]
    without: Callable[[np.ndarray], Any]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names)


def words(tokens: Sequence[str]) -> Parts:
    """Return the different words of a text; one that is taken away is gone wherever it stood.

    >>> parts = words(["so", "soft", "so"])
    >>> parts.names, parts.without(np.array([[True, False], [False, True]]))
    (('so', 'soft'), [['soft'], ['so', 'so']])
    """
    names = tuple(dict.fromkeys(tokens))
    place = {name: number for number, name in enumerate(names)}

    def without(gone: np.ndarray) -> list[list[str]]:
        return [[each for each in tokens if not row[place[each]]] for row in gone]

    return Parts(names, without)


def regions(pixels: np.ndarray, grid: int = GRID) -> Parts:
    """Return the squares of a picture, row by row; what is taken away gets the mean colour.

    Parameters
    ----------
    pixels : ndarray
        float32 (side, side, channels), whose side is a multiple of ``grid``.
    grid : int
        Squares a side.

    Examples
    --------
    >>> parts = regions(np.arange(16, dtype="float32").reshape(4, 4, 1), grid=2)
    >>> parts.without(np.array([[True, False, False, False]]))[0, :, :, 0].tolist()[0]
    [7.5, 7.5, 2.0, 3.0]
    """
    size = len(pixels) // grid
    mean = pixels.mean(axis=(0, 1))

    def without(gone: np.ndarray) -> np.ndarray:
        mask = gone.reshape(-1, grid, grid).repeat(size, axis=1).repeat(size, axis=2)
        return np.where(mask[..., None], mean, pixels).astype(pixels.dtype)

    return Parts(tuple((y, x) for y in range(grid) for x in range(grid)), without)


def moments(frames: np.ndarray, width: int = WIDTH) -> Parts:
    """Return the stretches of a sound that are heard; frames that are taken away become zeros.

    Parameters
    ----------
    frames : ndarray
        float32 (length, coefficients), zeros where nothing is heard.
    width : int
        Frames of a stretch; the last one may be shorter.

    Examples
    --------
    >>> parts = moments(np.vstack([np.zeros((1, 2)), np.ones((5, 2))]), width=4)
    >>> parts.names
    ((0.0, 0.128), (0.128, 0.16))
    >>> parts.without(np.array([[True, False]]))[0, :, 0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """
    heard = np.flatnonzero(frames.any(axis=1))
    stretches = [heard[start : start + width] for start in range(0, len(heard), width)]
    ends = [(each[0] - heard[0], each[-1] - heard[0] + 1) for each in stretches]
    names = tuple((round(FRAME * float(a), 3), round(FRAME * float(b), 3)) for a, b in ends)

    def without(gone: np.ndarray) -> np.ndarray:
        altered = np.repeat(frames[None], len(gone), axis=0)
        for place, each in enumerate(stretches):
            altered[np.ix_(gone[:, place], each)] = 0
        return altered

    return Parts(names, without)


PARTS: dict[str, Callable[..., Parts]] = {
    "text": words, "words": words, "image": regions, "audio": moments,
}  # fmt: skip

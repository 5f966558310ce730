"""Drawing for the shop's pictures: a palette, shapes, and a pen that fills them.

Shapes are arrays of corners, float (n, 2), x to the right and y down. A pen draws them where it was
placed, with soft edges: at three times the size of the picture, which `Pen.layer` shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Points = np.ndarray | Sequence[tuple[float, float]]

COLOURS: Mapping[str, RGB] = MappingProxyType(
    {
        "coral": (232, 101, 84),
        "mustard": (232, 178, 58),
        "sage": (126, 178, 120),
        "teal": (36, 142, 142),
        "sky": (104, 172, 226),
        "navy": (58, 82, 142),
        "plum": (140, 86, 156),
        "rose": (236, 148, 172),
    }
)

SUPERSAMPLING = 3

INK: RGB = (48, 51, 64)
CREAM: RGB = (252, 247, 234)
STEEL: RGB = (186, 194, 204)
BRASS: RGB = (222, 178, 92)
SIGNAL: RGB = (226, 70, 62)
WHITE: RGB = (255, 255, 255)

_TURN = np.linspace(0.0, 2 * np.pi, 49)
_CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])[:, None]
_QUARTERS = _TURN[:13] + np.pi / 2 * np.arange(4)[:, None]
_QUARTERS = np.stack([np.cos(_QUARTERS), np.sin(_QUARTERS)], axis=-1)  # (4, 13, 2)
_STEP = np.linspace(0.0, 1.0, 25)
_BERNSTEIN = np.column_stack(
    [(1 - _STEP) ** 3, 3 * (1 - _STEP) ** 2 * _STEP, 3 * (1 - _STEP) * _STEP**2, _STEP**3]
)


class Pen:
    """Fills shapes, in coordinates within ±1 that `place` moves, turns and scales.

    A new pen's coordinates are those of the whole picture.

    >>> pen = Pen(16)
    >>> pen.place(0.5, 0.0, 0.25)
    >>> pen.disc(0, 0, 1, INK)
    >>> pen.layer().getpixel((12, 8)), pen.layer().getpixel((4, 8))
    ((48, 51, 64, 255), (0, 0, 0, 0))
    """

    def __init__(self, size: int) -> None:
        self.half = size * SUPERSAMPLING / 2
        self.image = Image.new("RGBA", (size * SUPERSAMPLING,) * 2)
        self.brush = ImageDraw.Draw(self.image)
        self.place(0.0, 0.0, 1.0)

    def place(
        self,
        x: float,
        y: float,
        scale: float,
        degrees: float = 0.0,
        side: int = 1,
        stretch: float = 1.0,
    ) -> None:
        """Draw about (x, y) from now on, ``scale`` times as large; ``side`` -1 mirrors."""
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.matrix = self.half * scale * np.diag([side * stretch, 1 / stretch]) @ turn
        self.origin = self.half * (1 + np.array([x, y]))

    def layer(self) -> Image.Image:
        """Return what was drawn, on nothing: RGBA, with soft edges."""
        return self.image.reduce(SUPERSAMPLING)

    def polygon(self, points: np.ndarray, colour: RGB, opacity: int = 255) -> None:
        """Fill the shape with these corners, float (n, 2)."""
        corners = points @ self.matrix + self.origin
        self.brush.polygon(corners.ravel().tolist(), fill=(*colour, opacity))

    def disc(self, x: float, y: float, radius: float, colour: RGB, height: float = 0.0) -> None:
        """Fill a circle, or an ellipse where ``height`` (half of it) is given."""
        self.polygon(arc(x, y, radius, height or radius), colour)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, colour: RGB, radius: float = 0.0
    ) -> None:
        """Fill a rectangle with rounded corners."""
        half = np.array([x1 - x0, y1 - y0]) / 2
        radius = min(radius, *half)
        corners = (half - radius) * _CORNERS + radius * _QUARTERS
        self.polygon((corners + np.array([x0 + x1, y0 + y1]) / 2).reshape(-1, 2), colour)

    def stroke(self, points: Points, width: float, colour: RGB, opacity: int = 255) -> None:
        """Draw a smooth line through these points, with round ends."""
        line = np.array(points, dtype=np.float64)
        along = np.empty_like(line)  # its direction, as np.gradient(line, axis=0) tells it slower
        along[1:-1] = (line[2:] - line[:-2]) / 2
        along[[0, -1]] = line[1] - line[0], line[-1] - line[-2]
        normal = width / 2 * along[:, ::-1] * [-1, 1] / np.hypot(*along.T)[:, None]
        self.polygon(np.concatenate([line + normal, (line - normal)[::-1]]), colour, opacity)
        for x, y in line[[0, -1]]:
            self.polygon(arc(x, y, width / 2, width / 2), colour, opacity)


def arc(
    x: float, y: float, width: float, height: float, start: float = 0.0, stop: float = 360.0
) -> np.ndarray:
    """Return points on an ellipse, float (49, 2), between two angles in degrees clockwise."""
    return _unit_arc(start, stop) * (width, height) + (x, y)


@lru_cache(maxsize=64)
def _unit_arc(start: float, stop: float) -> np.ndarray:
    """Return points on the circle of radius 1 about the origin, float (49, 2)."""
    turn = np.deg2rad(start) + _TURN * (stop - start) / 360
    return np.column_stack([np.cos(turn), np.sin(turn)])


def curve(*points: tuple[float, float]) -> np.ndarray:
    """Return the cubic Bézier curve of four control points, float (25, 2)."""
    return _BERNSTEIN @ np.array(points)


def mirrored(curve: np.ndarray) -> np.ndarray:
    """Close a curve on the right of the axis x = 0 by its mirror image on the left."""
    return np.concatenate([curve, curve[::-1] * [-1, 1]])


def tone(colour: RGB, amount: float) -> RGB:
    """Mix a colour with white (amount above 0) or with deep ink (below 0)."""
    other = WHITE if amount > 0 else (24, 26, 44)
    red, green, blue = (
        round(own + abs(amount) * (end - own)) for own, end in zip(colour, other, strict=True)
    )
    return red, green, blue


def turned(points: np.ndarray, degrees: float, x: float, y: float) -> np.ndarray:
    """Turn points clockwise about the origin, then move the origin to (x, y)."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def hand(x: float, y: float, length: float, turn: float) -> np.ndarray:
    """Return the two ends of a clock's hand; ``turn`` is the share of a full turn from noon."""
    return turned(np.array([[0, 0], [0, -length]]), 360 * turn, x, y)

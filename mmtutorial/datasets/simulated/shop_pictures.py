"""Catalogue pictures of the shop: the picture alone tells what kind of thing a product is.

The product stands anywhere in its picture, near or far, among other shapes, one of which hides a
part of it, before a background and in a light that vary. So no single pixel tells the kind, nor
does the colour: what tells it are parts and how they lie to each other, wherever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter

from mmtutorial.datasets.simulated.shop_drawing import (
    BRASS,
    COLOURS,
    CREAM,
    INK,
    RGB,
    SIGNAL,
    STEEL,
    WHITE,
    Pen,
    arc,
    curve,
    hand,
    mirrored,
    tone,
    turned,
)

SMALLEST = 16  # pixels
SCALE = (0.72, 0.88)  # half of the product's size, as a share of half of the picture's
CLUTTER = (2, 5)  # pieces around the product, the upper end excluded
HIDDEN = (0.2, 0.35)  # size of the piece before the product, as a share of the product's
PALENESS = (180, 240)  # of wall and table
BRIGHTNESS = (0.8, 1.1)


def draw(
    kind: str, colour: str, generator: np.random.Generator, size: int = 128, noise: float = 0.05
) -> np.ndarray:
    """Draw one product; place, proportions, details, background and light vary by the generator.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    colour : str
        Colour of the body, one of `COLOURS`.
    generator : numpy.random.Generator
        The same state gives the same bytes.
    size : int
        Width and height in pixels, at least 16.
    noise : float
        Standard deviation of the grain, as a share of full scale, between 0 and 1.

    Returns
    -------
    uint8 (size, size, 3)
        RGB.

    Raises
    ------
    ValueError
        For an unknown kind or colour, or a size or noise outside its range.

    Examples
    --------
    >>> picture = draw("kettle", "teal", np.random.default_rng(0))
    >>> picture.shape, picture.dtype
    ((128, 128, 3), dtype('uint8'))
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; the shop sells {list(KINDS)}")
    if colour not in COLOURS:
        raise ValueError(f"colour is {colour!r}; the shop has {list(COLOURS)}")
    if not size >= SMALLEST:
        raise ValueError(f"size is {size}; a picture needs at least {SMALLEST} pixels a side")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is {noise}; it must lie between 0 and 1")

    side = 1 if generator.random() < 0.5 else -1  # -1 mirrors the product and its light
    scale = generator.uniform(*SCALE)
    x, y = generator.uniform(scale - 1.05, 1.05 - scale, 2)
    pen = Pen(size)
    for _ in range(generator.integers(*CLUTTER)):
        _piece(pen, generator.uniform(-1, 1, 2), generator.uniform(0.08, 0.22), generator)
    pen.place(x, y, scale, generator.uniform(-12, 12), side, generator.uniform(0.92, 1.08))
    KINDS[kind](pen, COLOURS[colour], generator)
    edge = scale * generator.uniform(0.5, 0.9) * _direction(generator)
    _piece(pen, np.add(edge, (x, y)), scale * generator.uniform(*HIDDEN), generator)
    layer = pen.layer()

    cast = Image.new("L", layer.size)
    offset = round(size * 0.04)
    cast.paste(layer.getchannel("A"), (offset * side, offset))
    shadow = np.asarray(cast.filter(ImageFilter.GaussianBlur(size * 0.035)), np.float32) / 255
    picture = _background(size, generator)
    picture *= 1 - generator.uniform(0.28, 0.42) * shadow
    drawn = np.moveaxis(np.asarray(layer), 2, 0).astype(np.float32, order="C")
    picture += drawn[3] / 255 * (drawn[:3] - picture)
    picture *= _light(size, side, generator)
    picture += 255 * noise * generator.standard_normal((size, size), dtype=np.float32)
    return np.stack(np.clip(np.rint(picture), 0, 255).astype(np.uint8), axis=-1)


def _piece(pen: Pen, place: np.ndarray, scale: float, generator: np.random.Generator) -> None:
    """Draw one plain thing that is no product: a ball, a ring, a card, a bar or a leaf."""
    paint = tuple(COLOURS.values())[generator.integers(len(COLOURS))]
    paint = tone(paint, generator.uniform(-0.5, 0.5))
    pen.place(place[0], place[1], scale, generator.uniform(0, 360))
    shape = generator.integers(5)
    if shape == 0:
        pen.disc(0, 0, 0.8, paint)
    elif shape == 1:
        pen.stroke(arc(0, 0, 0.75, 0.75), 0.35, paint)
    elif shape == 2:
        pen.box(-0.9, -0.65, 0.9, 0.65, paint, generator.uniform(0, 0.4))
    elif shape == 3:
        pen.stroke([(-1.3, 0), (1.3, 0)], generator.uniform(0.3, 0.6), paint)
    else:
        pen.polygon(mirrored(curve((0, -1.1), (0.8, -0.5), (0.8, 0.5), (0, 1.1))), paint)
        pen.stroke([(0, -0.9), (0, 1.2)], 0.12, tone(paint, -0.3))


def _direction(generator: np.random.Generator) -> np.ndarray:
    """Return a point on the circle of radius 1, float64 (2,)."""
    turn = generator.uniform(0, 2 * np.pi)
    return np.array([np.cos(turn), np.sin(turn)])


def _background(size: int, generator: np.random.Generator) -> np.ndarray:
    """Make a wall above a table, each of a muted tint: float32 (3, size, size) in 0..255."""
    hue = 2 * np.pi * (generator.random((2, 1)) + np.arange(3) / 3)
    tints = generator.uniform(*PALENESS, (2, 1)) + generator.uniform(4, 26, (2, 1)) * np.cos(hue)
    y, x = _grid(size)
    slope, level = generator.uniform(-0.15, 0.15), generator.uniform(-0.2, 0.9)
    table = np.clip(size / 4 * (y - level - slope * x) + 0.5, 0, 1)  # with a soft edge
    wall, top = tints[:, :, None, None]
    return (wall + table * (top - wall)).astype(np.float32)


def _light(size: int, side: int, generator: np.random.Generator) -> np.ndarray:
    """Make light that comes from one upper corner and fades away: float32 (size, size)."""
    y, x = _grid(size)
    distance = np.hypot(x + side * generator.uniform(0.2, 1.0), y + generator.uniform(0.4, 1.2))
    fading = generator.uniform(0.05, 0.2)
    return (generator.uniform(*BRIGHTNESS) * (1 - fading * (distance - 1))).astype(np.float32)


@lru_cache(maxsize=1)
def _grid(size: int) -> np.ndarray:
    """Return the rows and columns of a picture, −1…1: float64 (2, size, size)."""
    return np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]


def _alarm_clock(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    metal = (BRASS, STEEL, tone(body, -0.25))[generator.integers(3)]
    lean = generator.uniform(32, 42)
    for side in (-1, 1):
        pen.stroke([(side * 0.34, 0.6), (side * 0.5, 0.9)], 0.13, INK)
        post = hand(0, 0.14, 1.02, side * lean / 360)
        pen.stroke(post, 0.07, INK)
        x, y = post[1]
        pen.disc(x, y, 0.055, INK)
        bell = arc(0, -0.73, 0.31, 0.27, 180, 360)
        pen.polygon(turned(bell, side * lean, 0, 0.14), metal)
        shine = arc(-0.09, -0.76, 0.1, 0.15, 200, 300)
        pen.stroke(turned(shine, side * lean, 0, 0.14), 0.05, tone(metal, 0.55))
    pen.stroke([(0, -0.4), (0, -0.72)], 0.06, INK)
    pen.box(-0.11, -0.84, 0.11, -0.7, INK, 0.05)

    rim = generator.uniform(0.1, 0.17)
    pen.disc(0, 0.14, 0.68, tone(body, -0.28))
    pen.disc(0, 0.14, 0.66, body)
    pen.stroke(arc(0, 0.14, 0.61, 0.61, 200, 260), 0.035, tone(body, 0.5))
    pen.disc(0, 0.14, 0.66 - rim, tone(body, -0.35))
    pen.disc(0, 0.15, 0.645 - rim, CREAM)
    face = 0.6 - rim
    for mark in range(12):
        length, width = (0.2, 0.05) if mark % 3 == 0 else (0.09, 0.03)
        ends = np.array([[0, -face], [0, (length - 1) * face]])
        pen.stroke(turned(ends, 30 * mark, 0, 0.15), width, INK)
    hours = generator.uniform(0, 12)
    pen.stroke(hand(0, 0.15, 0.48 * face, generator.random()), 0.03, SIGNAL)
    pen.stroke(hand(0, 0.15, 0.52 * face, hours / 12), 0.075, INK)
    pen.stroke(hand(0, 0.15, 0.78 * face, hours % 1), 0.05, INK)
    pen.disc(0, 0.15, 0.055, SIGNAL)


def _doorbell(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    width, radius = generator.uniform(0.4, 0.5), generator.uniform(0.1, 0.5)
    metal = (BRASS, STEEL, CREAM)[generator.integers(3)]
    pen.box(-width, -0.93, width, 0.93, tone(body, -0.28), radius)
    pen.box(-width, -0.94, width, 0.89, body, radius)
    pen.box(-width + 0.07, -0.87, width - 0.07, 0.82, tone(body, 0.16), radius - 0.05)

    slots = generator.integers(2, 5)
    for line in range(slots):
        y = -0.46 - 0.1 * (line - (slots - 1) / 2)
        pen.stroke([(-0.2, y), (0.2, y)], 0.045, tone(body, -0.45))
    if generator.random() < 0.6:
        pen.box(-0.25, 0.52, 0.25, 0.7, CREAM, 0.03)
        pen.stroke([(-0.17, 0.61), (generator.uniform(0, 0.15), 0.61)], 0.04, INK)
    for screw in (-0.77, 0.76 if generator.random() < 0.5 else -0.77):
        pen.disc(0, screw, 0.05, STEEL)
        pen.stroke(hand(0, screw, 0.03, generator.random()), 0.02, INK)

    middle = generator.uniform(0.06, 0.12)
    pen.disc(0, middle + 0.02, 0.345, tone(body, -0.4))
    pen.disc(0, middle, 0.335, metal)
    pen.disc(0, middle, 0.285, tone(metal, -0.35))
    glow = (WHITE, (255, 236, 170), (206, 240, 250))[generator.integers(3)]
    pen.disc(0, middle + 0.01, 0.26, glow)
    dome = np.concatenate(
        [arc(0, middle - 0.05, 0.1, 0.12, 180, 360), [[0.16, middle + 0.1], [-0.16, middle + 0.1]]]
    )
    pen.polygon(dome, INK)
    pen.disc(0, middle + 0.13, 0.045, INK)


def _radio(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    height, radius = generator.uniform(0.5, 0.6), generator.uniform(0.08, 0.28)
    top, bottom = 0.25 - height, 0.25 + height
    tip = (generator.uniform(0.45, 0.9), top - generator.uniform(0.35, 0.5))
    pen.stroke([(0.62, top + 0.1), tip], 0.045, tone(STEEL, -0.25))
    pen.disc(*tip, 0.05, INK)
    if generator.random() < 0.7:
        lift = generator.uniform(0.25, 0.4)
        handle = curve((-0.7, top + 0.1), (-0.62, top - lift), (0.3, top - lift), (0.4, top + 0.1))
        pen.stroke(handle, 0.09, tone(body, -0.45))
    for x in (-0.62, 0.62):
        pen.box(x - 0.13, bottom - 0.1, x + 0.13, bottom + 0.07, INK, 0.04)
    pen.box(-0.93, top, 0.93, bottom, tone(body, -0.28), radius)
    pen.box(-0.93, top - 0.01, 0.93, bottom - 0.04, body, radius)
    pen.box(-0.88, top + 0.08, 0.88, bottom - 0.13, tone(body, 0.2), radius - 0.04)

    middle, grille = (top + bottom) / 2 - 0.02, 0.34
    if generator.random() < 0.5:
        pen.disc(-0.45, middle, grille + 0.03, tone(body, -0.45))
        for ring in range(3):
            pen.disc(-0.45, middle, grille * (1 - 0.32 * ring), tone(body, 0.1 - 0.3 * (ring % 2)))
            pen.disc(-0.45, middle, grille * (0.84 - 0.32 * ring), tone(body, -0.5))
        pen.disc(-0.45, middle, 0.06, tone(body, 0.1))
    else:
        pen.box(-0.8, middle - grille, -0.1, middle + grille, tone(body, -0.45), 0.08)
        for y in np.linspace(
            middle - grille + 0.08, middle + grille - 0.08, generator.integers(5, 8)
        ):
            pen.stroke([(-0.73, y), (-0.17, y)], 0.035, tone(body, 0.35))

    pen.box(0.02, middle - 0.3, 0.8, middle + 0.0, INK, 0.05)
    pen.box(0.05, middle - 0.27, 0.77, middle - 0.03, CREAM, 0.03)
    for mark, x in enumerate(np.linspace(0.12, 0.7, 9)):
        pen.stroke([(x, middle - 0.23), (x, middle - (0.13 if mark % 2 else 0.17))], 0.018, INK)
    needle = generator.uniform(0.16, 0.66)
    pen.stroke([(needle, middle - 0.25), (needle, middle - 0.05)], 0.04, SIGNAL)
    knobs = generator.integers(2, 4)
    for x in np.linspace(0.15, 0.67, knobs):
        pen.disc(x, middle + 0.21, 0.115, tone(body, -0.45))
        pen.disc(x, middle + 0.195, 0.095, CREAM)
        pen.stroke(hand(x, middle + 0.195, 0.07, generator.uniform(-0.3, 0.3)), 0.035, INK)


def _music_box(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    front, lid = generator.uniform(0.2, 0.28), generator.uniform(-0.9, -0.8)
    back = front - 0.2
    velvet: RGB = ((150, 44, 66), (62, 54, 96), (44, 92, 88))[generator.integers(3)]
    pen.polygon(
        np.array([[-0.66, back], [0.66, back], [0.74, lid], [-0.74, lid]]), tone(body, -0.2)
    )
    pen.polygon(np.array([[-0.7, lid], [0.7, lid], [0.74, lid - 0.06], [-0.74, lid - 0.06]]), body)
    mirror = np.array(
        [[-0.56, back - 0.08], [0.56, back - 0.08], [0.63, lid + 0.1], [-0.63, lid + 0.1]]
    )
    pen.polygon(mirror, (206, 226, 236))
    gleam = generator.uniform(-0.4, 0.1)
    for start, width in ((gleam, 0.14), (gleam + 0.2, 0.06)):
        low, high = back - 0.08, lid + 0.1
        ends = [
            [start, low],
            [start + width, low],
            [start + width + 0.3, high],
            [start + 0.3, high],
        ]
        pen.polygon(np.array(ends), (232, 243, 248))
    pen.polygon(np.array([[-0.66, back], [0.66, back], [0.76, front], [-0.76, front]]), velvet)
    pen.disc(0, (front + back) / 2 + 0.02, 0.24, BRASS, 0.065)
    _dancer(pen, (front + back) / 2, back - 0.3, velvet, generator)

    pen.stroke([(0.74, 0.58), (0.88, 0.58)], 0.05, BRASS)
    for y in (0.5, 0.66):
        pen.disc(0.9, y, 0.05, BRASS, 0.085)
    pen.box(-0.74, 0.8, -0.54, 0.93, tone(body, -0.5), 0.03)
    pen.box(0.54, 0.8, 0.74, 0.93, tone(body, -0.5), 0.03)
    pen.box(-0.76, front, 0.76, 0.86, body, 0.03)
    pen.box(-0.78, front, 0.78, front + 0.09, tone(body, 0.35), 0.02)
    pen.box(-0.78, 0.78, 0.78, 0.87, tone(body, -0.3), 0.02)
    pattern = generator.integers(3)
    for x in (-0.48, 0.48):
        middle = (front + 0.09 + 0.78) / 2
        if pattern == 0:
            pen.polygon(arc(x, middle, 0.15, 0.15)[::12], BRASS)
        elif pattern == 1:
            for petal_x, petal_y in arc(x, middle, 0.09, 0.09)[:-1:8]:
                pen.disc(petal_x, petal_y, 0.055, CREAM)
            pen.disc(x, middle, 0.05, BRASS)
        else:
            pen.stroke(arc(x, middle, 0.17, 0.11), 0.035, BRASS)
    pen.box(-0.1, front + 0.03, 0.1, front + 0.28, BRASS, 0.04)
    pen.disc(0, front + 0.17, 0.035, INK)


def _dancer(
    pen: Pen, foot: float, waist: float, bodice: RGB, generator: np.random.Generator
) -> None:
    skirt: RGB = (WHITE, (255, 214, 224), (255, 240, 200))[generator.integers(3)]
    skin: RGB = ((240, 200, 170), (176, 122, 90), (110, 74, 58))[generator.integers(3)]
    lean = generator.uniform(-0.06, 0.06)
    pen.stroke([(0, foot), (0, waist)], 0.05, skin)
    pen.stroke([(0.0, waist), (0.14, waist + 0.18), (0.02, waist + 0.26)], 0.045, skin)
    for side in (-1, 1):
        arm = curve(
            (0, waist - 0.22),
            (side * 0.3, waist - 0.25),
            (side * 0.26, waist - 0.55),
            (lean, waist - 0.6),
        )
        pen.stroke(arm, 0.04, skin)
    pen.polygon(
        np.array([[-0.08, waist - 0.25], [0.08, waist - 0.25], [0.05, waist], [-0.05, waist]]),
        bodice,
    )
    pen.polygon(arc(0, waist + 0.07, 0.3, 0.13, 170, 370), tone(skirt, -0.12))
    pen.disc(0, waist + 0.04, 0.27, skirt, 0.085)
    pen.disc(lean / 2, waist - 0.36, 0.085, skin)
    pen.polygon(arc(lean / 2, waist - 0.38, 0.09, 0.075, 170, 370), INK)
    pen.disc(lean / 2, waist - 0.48, 0.045, INK)


def _toy_robot(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    accent: RGB = (CREAM, (255, 214, 90), (140, 224, 220))[generator.integers(3)]
    dark, light = tone(body, -0.35), tone(body, 0.3)
    head, shoulder = generator.uniform(0.38, 0.48), generator.uniform(0.46, 0.54)
    for side in (-1, 1):
        elbow = (side * (shoulder + 0.2), generator.uniform(0.1, 0.3))
        wrist = (side * (shoulder + generator.uniform(0.22, 0.36)), generator.uniform(-0.15, 0.5))
        pen.stroke([(side * (shoulder - 0.05), 0.02), elbow], 0.14, tone(STEEL, -0.1))
        pen.stroke([elbow, wrist], 0.14, STEEL)
        turn = np.rad2deg(np.arctan2(wrist[1] - elbow[1], wrist[0] - elbow[0]))
        pen.stroke(arc(*wrist, 0.1, 0.1, turn + 50, turn + 310), 0.08, dark)
        pen.box(side * 0.24 - 0.12, 0.5, side * 0.24 + 0.12, 0.84, STEEL, 0.02)
        for y in (0.66, 0.75):
            pen.stroke([(side * 0.24 - 0.1, y), (side * 0.24 + 0.1, y)], 0.025, tone(STEEL, -0.3))
        pen.box(side * 0.26 - 0.2, 0.8, side * 0.26 + 0.2, 0.95, dark, 0.07)
        pen.box(side * (head + 0.06) - 0.06, -0.58, side * (head + 0.06) + 0.06, -0.34, dark, 0.05)
    pen.box(-0.14, -0.3, 0.14, -0.05, tone(STEEL, -0.15))

    if generator.random() < 0.6:
        pen.stroke([(0, -0.75), (0, -0.92)], 0.05, STEEL)
        pen.disc(0, -0.93, 0.075, SIGNAL)
    else:
        for side in (-1, 1):
            pen.stroke([(side * 0.2, -0.72), (side * 0.3, -0.93)], 0.045, STEEL)
            pen.disc(side * 0.3, -0.93, 0.06, SIGNAL)
    pen.box(-head, -0.79, head, -0.2, dark, 0.12)
    pen.box(-head, -0.79, head, -0.23, body, 0.12)
    pen.box(-head + 0.06, -0.74, head - 0.06, -0.66, light, 0.04)
    gaze = generator.uniform(-0.03, 0.03)
    for side in (-1, 1):
        if generator.random() < 0.9:
            pen.disc(side * 0.19, -0.53, 0.13, INK)
            pen.disc(side * 0.19, -0.53, 0.105, accent)
            pen.disc(side * 0.19 + gaze, -0.53, 0.05, INK)
        else:
            pen.stroke(arc(side * 0.19, -0.5, 0.1, 0.1, 190, 350), 0.05, INK)
    pen.box(-0.22, -0.37, 0.22, -0.27, INK, 0.04)
    for x in np.linspace(-0.15, 0.15, generator.integers(4, 7)):
        pen.stroke([(x, -0.35), (x, -0.29)], 0.03, accent)

    pen.box(-shoulder, -0.1, shoulder, 0.58, dark, 0.09)
    pen.box(-shoulder, -0.1, shoulder, 0.55, body, 0.09)
    pen.box(-shoulder + 0.1, 0.0, shoulder - 0.1, 0.44, light, 0.06)
    pen.disc(-0.14, 0.17, 0.14, INK)
    pen.disc(-0.14, 0.17, 0.115, CREAM)
    pen.stroke(hand(-0.14, 0.19, 0.09, generator.uniform(-0.2, 0.2)), 0.03, SIGNAL)
    lamps = (SIGNAL, (255, 200, 70), (80, 190, 130))
    for row in range(generator.integers(2, 4)):
        pen.disc(0.2, 0.08 + 0.11 * row, 0.045, lamps[(row + generator.integers(3)) % 3])
    pen.stroke([(-0.24, 0.385), (0.04, 0.385)], 0.035, dark)


def _kettle(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    shoulder, lift = generator.uniform(0.34, 0.44), generator.uniform(0.75, 0.95)
    dark = tone(body, -0.28)
    for puff in range(generator.integers(2, 4)):
        x, y = -0.86 + 0.13 * puff, -0.3 - 0.1 * (puff % 2)
        sway = generator.uniform(0.08, 0.16)
        steam = curve((x, y), (x - sway, y - 0.2), (x + sway, y - 0.3), (x, y - 0.5))
        pen.stroke(steam, 0.055, WHITE, 225)
    spout = np.concatenate(
        [
            curve((-0.4, 0.45), (-0.66, 0.35), (-0.66, 0.1), (-0.92, -0.12)),
            curve((-0.76, -0.2), (-0.55, -0.05), (-0.55, 0.0), (-0.3, 0.0)),
        ]
    )
    pen.polygon(spout, dark)
    pen.stroke([(-0.95, -0.1), (-0.75, -0.21)], 0.07, STEEL)
    handle = curve((-0.42, 0.0), (-0.52, -lift - 0.2), (0.52, -lift - 0.2), (0.42, 0.0))
    pen.stroke(handle, 0.05, STEEL)
    pen.stroke(handle[6:-6], 0.13, INK)

    outline = mirrored(curve((0.22, -0.22), (shoulder + 0.3, -0.2), (0.78, 0.4), (0.64, 0.86)))
    pen.polygon(outline, dark)
    pen.polygon(outline * [0.97, 0.97] + [-0.02, 0.0], body)
    pen.stroke(
        curve((-0.28, -0.08), (-0.46, 0.05), (-0.54, 0.3), (-0.54, 0.55)), 0.07, tone(body, 0.5)
    )
    pen.box(-0.67, 0.78, 0.67, 0.92, STEEL, 0.06)
    pen.box(-0.67, 0.86, 0.67, 0.92, tone(STEEL, -0.25), 0.04)
    pen.disc(0, -0.19, 0.3, tone(STEEL, -0.25), 0.075)
    pen.polygon(arc(0, -0.2, 0.28, 0.14, 180, 360), STEEL)
    knob = generator.uniform(0.065, 0.09)
    pen.disc(0, -0.32 - knob, knob, INK)
    ornament = generator.integers(3)
    if ornament == 0:
        pen.stroke(
            curve((-0.64, 0.6), (-0.3, 0.66), (0.3, 0.66), (0.64, 0.6)), 0.05, tone(body, 0.5)
        )
    elif ornament == 1:
        for x in (-0.22, 0.0, 0.22):
            pen.disc(x, 0.42, 0.06, CREAM)
    pen.stroke(curve((0.5, 0.25), (0.56, 0.4), (0.57, 0.5), (0.56, 0.65)), 0.04, dark)


def _telephone(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    dark, light = tone(body, -0.3), tone(body, 0.35)
    turns = generator.integers(5, 8)
    along = np.linspace(0, 1, 97)
    path = np.array([[-0.76], [-0.1]]) * (1 - along) + np.array([[-0.78], [0.8]]) * along
    coil = 0.07 * np.stack([np.sin(2 * np.pi * turns * along), np.cos(2 * np.pi * turns * along)])
    pen.stroke((path + coil).T, 0.04, INK)
    for x in (-0.55, 0.55):
        pen.box(x - 0.12, 0.8, x + 0.12, 0.93, INK, 0.04)
    width = generator.uniform(0.68, 0.78)
    outline = mirrored(curve((0.36, -0.2), (0.44, 0.2), (width - 0.04, 0.3), (width, 0.86)))
    pen.polygon(outline, dark)
    pen.polygon(outline * [0.98, 0.95] + [-0.01, 0.0], body)
    for side in (-1, 1):
        pen.stroke([(side * 0.26, -0.15), (side * 0.3, -0.4)], 0.12, dark)
    pen.stroke([(-0.34, -0.18), (0.34, -0.18)], 0.09, light)

    drop = generator.uniform(0.0, 0.08)
    arch = curve((-0.72, -0.42), (-0.6, -0.86 - drop), (0.6, -0.86 - drop), (0.72, -0.42))
    pen.stroke(arch, 0.23, dark)
    pen.stroke(arch - [0, 0.02], 0.19, body)
    pen.stroke(arch[5:-5] - [0, 0.07], 0.04, light)
    for side in (-1, 1):
        cup = np.array([[-0.13, -0.18], [0.13, -0.18], [0.22, 0.1], [-0.22, 0.1]])
        cup = turned(cup, -12 * side, 0.73 * side, -0.34)
        pen.polygon(cup, body)
        pen.stroke(cup[2:], 0.09, dark)

    y, dial = 0.36, generator.uniform(0.36, 0.42)
    pen.disc(0, y + 0.02, dial + 0.03, dark)
    pen.disc(0, y, dial, CREAM)
    first = generator.uniform(-10, 30)
    for hole_x, hole_y in arc(0, y, 0.72 * dial, 0.72 * dial, first - 270, first)[::5]:
        pen.disc(hole_x, hole_y, 0.155 * dial, INK)
    pen.disc(0, y, 0.42 * dial, (STEEL, BRASS, tone(body, 0.1))[generator.integers(3)])
    pen.disc(0, y, 0.2 * dial, WHITE)


def _loudspeaker(pen: Pen, body: RGB, generator: np.random.Generator) -> None:
    width, radius = generator.uniform(0.56, 0.66), generator.uniform(0.05, 0.2)
    ring = (STEEL, BRASS, tone(body, -0.4))[generator.integers(3)]
    cone: RGB = ((84, 88, 102), (62, 64, 76), (236, 206, 120))[generator.integers(3)]
    for x in (-0.6 * width, 0.6 * width):
        pen.box(x - 0.12, 0.85, x + 0.12, 0.98, INK, 0.04)
    pen.box(-width, -0.94, width, 0.93, tone(body, -0.28), radius)
    pen.box(-width, -0.95, width, 0.89, body, radius)
    pen.box(-width + 0.06, -0.89, width - 0.06, 0.82, tone(body, 0.16), radius - 0.04)

    def driver(y: float, size: float) -> None:
        pen.disc(0, y + 0.02, size + 0.04, tone(body, -0.4))
        pen.disc(0, y, size + 0.02, ring)
        pen.disc(0, y, size * 0.92, INK)
        pen.disc(0, y, size * 0.76, cone)
        pen.disc(0, y, size * 0.5, tone(cone, -0.3))
        pen.stroke(arc(0, y, size * 0.64, size * 0.64, 200, 265), size * 0.06, tone(cone, 0.35))
        pen.disc(0, y, size * 0.3, INK)
        pen.disc(-size * 0.08, y - size * 0.09, size * 0.1, tone(INK, 0.5))

    woofer = generator.uniform(0.38, 0.44)
    driver(0.74 - woofer, woofer)
    driver(-0.56, generator.uniform(0.18, 0.25))
    for x in (-width + 0.13, width - 0.13):
        for y in (-0.82, 0.75):
            pen.disc(x, y, 0.035, tone(body, -0.4))


KINDS: Mapping[str, Callable[[Pen, RGB, np.random.Generator], None]] = MappingProxyType(
    {
        "alarm clock": _alarm_clock,
        "doorbell": _doorbell,
        "radio": _radio,
        "music box": _music_box,
        "toy robot": _toy_robot,
        "kettle": _kettle,
        "telephone": _telephone,
        "loudspeaker": _loudspeaker,
    }
)

"""Pictures of the shop: each kind is drawn, reproducible, and told apart from the others."""

from __future__ import annotations

import numpy as np
import pytest

from mmtutorial.datasets.simulated import shop_pictures
from mmtutorial.datasets.simulated.shop_drawing import Pen
from mmtutorial.datasets.simulated.shop_pictures import COLOURS, KINDS, draw


@pytest.mark.parametrize("kind", KINDS)
def test_same_state_same_bytes(kind: str) -> None:
    first, again, other = (
        draw(kind, "teal", np.random.default_rng(seed), size=48) for seed in (3, 3, 4)
    )
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [16, 33, 128])
def test_shape_and_type(kind: str, size: int) -> None:
    picture = draw(kind, "coral", np.random.default_rng(0), size=size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_the_body_has_its_colour(kind: str, colour: str) -> None:
    picture = draw(kind, colour, np.random.default_rng(1), noise=0)
    distance = np.abs(picture.astype(int) - COLOURS[colour]).max(axis=-1)
    assert (distance < 40).mean() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_hides_a_part_of_the_product(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(seed: int) -> int:
        """Count the pixels of the body: there, its colour changes the picture."""
        one, other = (
            draw(kind, colour, np.random.default_rng(seed), size=64, noise=0).astype(int)
            for colour in ("coral", "navy")
        )
        return int((np.abs(one - other).max(axis=-1) > 20).sum())

    seen = np.array([body(seed) for seed in range(20)])
    piece = shop_pictures._piece
    monkeypatch.setattr(shop_pictures, "_piece", lambda _, *rest: piece(Pen(16), *rest))
    whole = np.array([body(seed) for seed in range(20)])
    assert (seen < whole).mean() > 0.5
    assert (seen > 0.5 * whole).all()


def test_noise_is_a_share_of_full_scale() -> None:
    clean, grainy = (
        draw("kettle", "sage", np.random.default_rng(5), noise=noise).astype(float)
        for noise in (0.0, 0.04)
    )
    unclipped = (clean > 60) & (clean < 190)
    assert (grainy - clean)[unclipped].std() == pytest.approx(0.04 * 255, rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "sofa"}, "sofa"),
        ({"colour": "beige"}, "beige"),
        ({"size": 15}, "16"),
        ({"noise": -0.1}, "noise"),
        ({"noise": 1.1}, "noise"),
        ({"noise": float("nan")}, "noise"),
    ],
)
def test_errors_name_what_is_wrong(wrong: dict, message: str) -> None:
    right = {"kind": "radio", "colour": "plum", "generator": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=message):
        draw(**(right | wrong))

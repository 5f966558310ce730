"""Pictures of the shop: each kind is drawn, reproducible, and told apart from the others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import NearestCentroid

from mmtutorial.datasets.simulated.shop_pictures import COLOURS, KINDS, draw


def _outlined(kind: str, seed: int) -> np.ndarray:
    """Return a 12 × 12 grey picture of a kind in a colour drawn at random."""
    generator = np.random.default_rng([seed, *kind.encode()])
    picture = draw(kind, list(COLOURS)[generator.integers(len(COLOURS))], generator, size=64)
    small = Image.fromarray(picture).convert("L").resize((12, 12), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel()


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
def test_the_product_lies_inside_the_frame(kind: str) -> None:
    for seed in range(20):
        picture = draw(kind, "navy", np.random.default_rng(seed), noise=0)
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert border.min() > 120  # pale background: the product would be dark


def test_kinds_are_told_apart_without_colour() -> None:
    train = [(_outlined(kind, seed), kind) for kind in KINDS for seed in range(20)]
    test = [(_outlined(kind, seed), kind) for kind in KINDS for seed in range(20, 35)]
    model = NearestCentroid().fit(*map(list, zip(*train, strict=True)))
    assert model.score(*map(list, zip(*test, strict=True))) > 0.85


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

"""Words on coloured grounds can be read, however strong the colour."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mmtutorial.explanations import coloured
from mmtutorial.recommenders.explain import Parts


def luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance of sRGB, as WCAG 2.2 defines it."""
    shares = np.array(colour) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("strength", [-1.0, -0.6, -0.1, 0.0, 0.3, 1.0])
def test_black_words_have_contrast_enough(strength: float) -> None:
    parts = Parts(("word", "strongest"), lambda gone: gone)
    html = coloured(["word"], parts, np.array([strength, -1.0]))
    ground = re.search(r"background:rgb\((\d+),(\d+),(\d+)\);color:#000", html)
    assert ground is not None
    contrast = (luminance(tuple(map(int, ground.groups()))) + 0.05) / 0.05  # against black
    assert contrast >= 4.5

"""Words, regions and moments: what is taken away is gone, and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.preprocessing.parts import moments, regions, words


@given(tokens=st.lists(st.sampled_from("abcde"), max_size=12), seed=st.integers(0, 9))
def test_words_that_are_taken_away_are_gone_and_the_others_keep_their_order(
    tokens: list[str], seed: int
) -> None:
    parts = words(tokens)
    gone = np.random.default_rng(seed).random((1, len(parts))) < 0.5
    (left,) = parts.without(gone)
    away = {name for name, out in zip(parts.names, gone[0], strict=True) if out}
    assert left == [each for each in tokens if each not in away]


def test_a_region_becomes_the_mean_colour_and_the_rest_stays() -> None:
    pixels = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    parts = regions(pixels, grid=4)
    assert len(parts) == 16 and parts.names[5] == (1, 1)
    (altered,) = parts.without(np.arange(16)[None] == 5)
    inside = altered[8:16, 8:16]
    np.testing.assert_allclose(inside, np.broadcast_to(pixels.mean(axis=(0, 1)), inside.shape))
    altered[8:16, 8:16] = pixels[8:16, 8:16]
    np.testing.assert_array_equal(altered, pixels)


def test_moments_leave_padding_out_and_cover_what_is_heard_once() -> None:
    frames = np.random.default_rng(0).normal(size=(32, 20)).astype(np.float32)
    frames[:7] = 0
    parts = moments(frames, width=4)
    assert len(parts) == 7 and parts.names[0][0] == 0.0 and parts.names[-1][1] == 0.8
    assert all(a[1] == b[0] for a, b in zip(parts.names, parts.names[1:], strict=False))
    each = parts.without(np.eye(7, dtype=bool))
    lost = ~each.any(axis=2) & frames.any(axis=1)
    assert lost.sum(axis=1).tolist() == [4, 4, 4, 4, 4, 4, 1]
    assert lost.sum(axis=0)[7:].tolist() == [1] * 25
    assert not parts.without(np.ones((1, 7), bool)).any()
    assert len(moments(np.zeros((32, 20)))) == 0

"""What every fusion keeps to, and each one against its equation in NumPy."""

from __future__ import annotations

from itertools import permutations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.fusion import (
    FUSIONS,
    AttentionFusion,
    Fusion,
    LateFusion,
    LowRankFusion,
    contrastive_loss,
    drop_modalities,
    make_fusion,
)

SIZES, UNITS, N = (3, 5, 4), 6, 8
by_name = pytest.mark.parametrize("name", FUSIONS)
by_number = pytest.mark.parametrize("n_modalities", [1, 2, 3])
PRESENT = np.array([[p >> m & 1 for m in range(3)] for p in range(N)], np.float32)  # every mask


def drawn(n_modalities: int = 3, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((N, d)).astype(np.float32) for d in SIZES[:n_modalities]]


def with_weights(fuse: Fusion, vectors: list[np.ndarray], present: np.ndarray) -> Fusion:
    """Build a fusion, and give all its weights numbers, also those that start at 0 or 1."""
    fuse(vectors, present)
    generator = np.random.default_rng(7)
    for weight in fuse.weights:
        weight.assign(generator.standard_normal(weight.shape) * 0.5)
    return fuse


def made(name: str, n_modalities: int = 3) -> Fusion:
    return with_weights(make_fusion(name, UNITS), drawn(n_modalities), PRESENT[:, :n_modalities])


def weights_of(fuse: Fusion) -> dict[str, np.ndarray]:
    return {weight.name: weight.numpy().astype(np.float64) for weight in fuse.weights}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def equation(name: str, w: dict[str, np.ndarray], z: list[np.ndarray], p: np.ndarray) -> np.ndarray:
    """Fuse one item by the chapter's equation, modality by modality and sum by sum."""
    there = range(len(z))
    if name == "low-rank":
        total = np.zeros(UNITS)
        for rank in range(len(w["M_0_1"]) // UNITS):
            cut = slice(rank * UNITS, (rank + 1) * UNITS)
            factor = np.ones(UNITS)
            for m in there:
                whole = np.vstack([w[f"M_{m}"][:, cut], w[f"M_{m}_1"][cut]])
                longer = np.append(z[m] if p[m] else np.zeros_like(z[m]), 1.0)
                factor *= longer @ whole
            total += factor
        return total
    if name == "concatenation":
        return np.maximum(
            sum(z[m] @ w[f"W_{m}"] if p[m] else w[f"c_{m}"] for m in there) + w["b"], 0
        )
    if name == "late":
        strength = np.exp(w["ln_lambda"]) * p
        return np.concatenate([strength[m] / strength.sum() * (z[m] @ w[f"W_{m}"]) for m in there])
    projected = [np.tanh(z[m] @ w[f"W_{m}"] + w[f"b_{m}"]) for m in there]
    if name == "gated":
        seen = np.concatenate([*(z[m] * p[m] for m in there), p])
        return sum(p[m] * sigmoid(seen @ w[f"G_{m}"] + w[f"a_{m}"]) * projected[m] for m in there)
    heard = np.array([p[m] * np.exp(projected[m] @ w["r"] / np.sqrt(UNITS)) for m in there])
    return heard / heard.sum() @ np.array(projected)


@by_name
@by_number
def test_it_equals_its_equation(name: str, n_modalities: int) -> None:
    fuse, vectors = made(name, n_modalities), drawn(n_modalities)
    present = PRESENT[:, :n_modalities]
    found, weights = fuse(vectors, present).numpy(), weights_of(fuse)
    for item, mask in enumerate(present):
        if mask.any():
            expected = equation(name, weights, [v[item].astype(float) for v in vectors], mask)
        else:
            expected = weights["unknown"]
        np.testing.assert_allclose(found[item], expected, rtol=2e-5, atol=2e-6)


@by_name
@by_number
def test_the_shape_is_that_which_it_announces(name: str, n_modalities: int) -> None:
    fuse, vectors = made(name, n_modalities), drawn(n_modalities)
    present = PRESENT[:, :n_modalities]
    found = fuse(vectors, present)
    assert found.dtype == np.float32
    assert found.shape == (N, UNITS * (n_modalities if name == "late" else 1))
    assert fuse.compute_output_shape([v.shape for v in vectors], present.shape) == found.shape


@by_name
@pytest.mark.parametrize("filling", [0.0, 1e6, np.nan, np.inf])
def test_what_stands_in_an_absent_modality_cannot_change_the_output(
    name: str, filling: float
) -> None:
    fuse, vectors = made(name), drawn()
    other = [
        np.where(PRESENT[:, m : m + 1] > 0, vector, np.float32(filling))
        for m, vector in enumerate(vectors)
    ]
    np.testing.assert_array_equal(
        fuse(other, PRESENT).numpy(), fuse(vectors, PRESENT.astype(bool)).numpy()
    )


@by_name
def test_each_item_is_fused_for_itself(name: str) -> None:
    fuse, vectors, order = made(name), drawn(), np.random.default_rng(1).permutation(N)
    np.testing.assert_allclose(
        fuse([v[order] for v in vectors], PRESENT[order]).numpy(),
        fuse(vectors, PRESENT).numpy()[order],
        rtol=1e-6,
        atol=1e-6,
    )


@by_name
@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_no_modality_comes_first(name: str, order: tuple[int, ...]) -> None:
    """Modalities in another order, with their weights, give the same; late: the same parts.

    With weights left where they are it does not hold, of any of the five, nor should it: every
    modality has its own.
    """
    fuse, vectors = made(name), drawn()
    other = make_fusion(name, UNITS)
    other([vectors[m] for m in order], PRESENT[:, order])
    old = weights_of(fuse)
    ends = np.cumsum(SIZES)
    seen = np.concatenate([np.arange(ends[m] - SIZES[m], ends[m]) for m in order])
    seen = np.concatenate([seen, ends[-1] + np.array(order)])  # rows of a gate
    parts = np.concatenate([np.arange(m * UNITS, (m + 1) * UNITS) for m in order])
    for weight in other.weights:
        kind, *place = weight.name.split("_")
        if weight.name == "ln_lambda":
            moved = old["ln_lambda"][list(order)]
        elif place:
            moved = old["_".join([kind, str(order[int(place[0])]), *place[1:]])]
            moved = moved[seen] if kind == "G" else moved
        else:
            moved = old[kind][parts] if name == "late" else old[kind]
        weight.assign(moved)
    found = other([vectors[m] for m in order], PRESENT[:, order]).numpy()
    expected = fuse(vectors, PRESENT).numpy()
    expected = expected[:, parts] if name == "late" else expected
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@by_name
@by_number
def test_the_gradient_reaches_every_modality_and_every_weight(name: str, n_modalities: int) -> None:
    fuse = made(name, n_modalities)
    vectors = [tf.constant(vector) for vector in drawn(n_modalities)]
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        loss = tf.reduce_sum(tf.sin(fuse(vectors, PRESENT[:, :n_modalities])))
    found = tape.gradient(loss, [*vectors, *(each.value for each in fuse.trainable_weights)])
    names = [*range(n_modalities), *(each.name for each in fuse.trainable_weights)]
    for what, gradient in zip(names, found, strict=True):
        assert np.isfinite(gradient).all(), what
        if n_modalities == 1 and what in {"ln_lambda", "r", "c_0"}:
            continue  # a single modality has all the weight; an item without it is "unknown"
        assert np.abs(gradient).max() > 1e-6, what
    for m, gradient in enumerate(found[:n_modalities]):
        np.testing.assert_array_equal(gradient[PRESENT[:, m] == 0], 0.0)


@by_name
def test_an_item_of_which_nothing_is_known_has_the_learnt_vector(name: str) -> None:
    fuse = made(name)
    nothing = [np.full((2, size), np.nan, np.float32) for size in SIZES]
    found = fuse(nothing, np.zeros((2, 3))).numpy()
    np.testing.assert_array_equal(found, np.tile(fuse.unknown.numpy(), (2, 1)))


@by_name
def test_saved_within_a_model_it_is_the_same_to_the_last_bit(name: str, tmp_path) -> None:
    inputs = [keras.Input((size,)) for size in SIZES]
    present = keras.Input((3,))
    fuse = LowRankFusion(UNITS, rank=2) if name == "low-rank" else make_fusion(name, UNITS)
    model = keras.Model([*inputs, present], fuse(inputs, present))
    with_weights(fuse, drawn(), PRESENT)
    model.save(tmp_path / "fusion.keras")
    again = keras.saving.load_model(tmp_path / "fusion.keras")
    np.testing.assert_array_equal(again([*drawn(), PRESENT]), model([*drawn(), PRESENT]))


def test_the_score_of_late_fusion_is_the_weighted_average_of_the_modalities_scores() -> None:
    fuse, vectors = made("late"), drawn()
    assert isinstance(fuse, LateFusion)
    users = np.random.default_rng(3).standard_normal((4, 3 * UNITS))
    weights = weights_of(fuse)
    scores = users @ fuse(vectors, PRESENT).numpy().T
    strength = np.exp(weights["ln_lambda"])
    for item in range(1, N):  # item 0 has no modality
        own = [
            users[:, m * UNITS : (m + 1) * UNITS] @ (vectors[m][item] @ weights[f"W_{m}"])
            for m in range(3)
        ]
        share = PRESENT[item] * strength
        expected = np.array(own).T @ share / share.sum()
        np.testing.assert_allclose(scores[:, item], expected, rtol=1e-4, atol=1e-5)


def test_attention_sums_to_one_over_what_is_there() -> None:
    fuse = made("attention")
    assert isinstance(fuse, AttentionFusion)
    found = fuse.attention(drawn(), PRESENT).numpy()
    np.testing.assert_allclose(found.sum(axis=1), PRESENT.any(axis=1), rtol=1e-6)
    assert (found[PRESENT == 0] == 0).all()


@by_name
def test_a_mask_of_another_width_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="present has 2 columns for 3 modalities"):
        make_fusion(name, UNITS)(drawn(), PRESENT[:, :2])


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="'mean'; there are concatenation, late"):
        make_fusion("mean", 4)
    with pytest.raises(ValueError, match="units is 0"):
        make_fusion("late", 0)
    with pytest.raises(ValueError, match="rank is 0"):
        LowRankFusion(4, rank=0)


@settings(max_examples=25)
@given(rate=st.floats(0, 0.99), seed=st.integers(0, 1000))
def test_dropout_never_hides_the_last_modality(rate: float, seed: int) -> None:
    present = np.tile(PRESENT, (20, 1))
    left = drop_modalities(present, rate, seed).numpy()
    assert ((left == 0) | (left == 1)).all()
    assert (left <= present).all()
    np.testing.assert_array_equal(left.any(axis=1), present.any(axis=1))
    if rate == 0:
        np.testing.assert_array_equal(left, present)


def test_dropout_keeps_the_last_modality_even_of_the_smallest_draw(monkeypatch) -> None:
    monkeypatch.setattr(keras.random, "uniform", lambda shape, **_: tf.zeros(shape))
    np.testing.assert_array_equal(drop_modalities(np.eye(3), 0.5, 0), np.eye(3))


def test_dropout_hides_at_its_rate_and_by_its_seed() -> None:
    present = np.ones((4000, 3), np.float32)
    left = drop_modalities(present, 0.3, seed=1).numpy()
    assert left.mean() == pytest.approx(0.7 + 0.3**3 / 3, abs=0.01)  # a third: the last one left
    np.testing.assert_array_equal(left, drop_modalities(present, 0.3, seed=1).numpy())
    assert (left != drop_modalities(present, 0.3, seed=2).numpy()).any()


def contrast(left: np.ndarray, right: np.ndarray, both: np.ndarray, temperature: float) -> float:
    """Compute eq-contrastive both ways round, item by item."""
    rows, total = np.flatnonzero(both), 0.0

    def close(a: int, b: int) -> float:
        lengths = np.linalg.norm(left[a]) * np.linalg.norm(right[b])
        return float(np.exp(left[a] @ right[b] / lengths / temperature))

    for b in rows:
        total -= np.log(close(b, b) / sum(close(b, other) for other in rows))
        total -= np.log(close(b, b) / sum(close(other, b) for other in rows))
    return total / 2 / len(rows)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_contrastive_loss_equals_a_loop(temperature: float) -> None:
    generator = np.random.default_rng(5)
    left, right = generator.standard_normal((2, 9, 4)).astype(np.float32)
    both = np.array([1, 1, 0, 1, 0, 1, 1, 0, 1], bool)
    expected = contrast(left.astype(float), right.astype(float), both, temperature)
    left[2] = right[4] = np.nan  # lacks the other: never looked at
    found = float(contrastive_loss(left, right, both, temperature))
    assert found == pytest.approx(expected, rel=1e-5)
    assert float(contrastive_loss(left, right, np.zeros(9, bool))) == 0.0


def test_the_contrastive_loss_takes_numbers_of_any_precision() -> None:
    left, right = np.random.default_rng(6).standard_normal((2, 5, 3))
    both = np.array([1, 0, 1, 1, 1])
    expected = contrast(left, right, both, 0.1)
    for kinds in (("float64", "float64"), ("float64", "float32"), ("float32", "float64")):
        found = contrastive_loss(left.astype(kinds[0]), right.astype(kinds[1]), both)
        assert found.dtype == "float32"
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_contrastive_loss_has_a_finite_gradient_where_a_modality_is_absent() -> None:
    left = tf.linalg.diag([1.0, 1.0, 0.0, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(left)
        loss = contrastive_loss(left, tf.linalg.diag([1.0, 2.0, 3.0], k=1), [1, 1, 0, 1])
    gradient = tape.gradient(loss, left).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[[0, 1, 3]]).max() > 0
    np.testing.assert_array_equal(gradient[2], 0.0)

"""Compressed towers: what they keep, what it costs, and that they serve alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import shop
from mmtutorial.evaluation import default_split
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders import Compressed, Recommender, TwoTower, top_k
from mmtutorial.recommenders.codes import (
    CODES,
    from_product_codes,
    pack_texts,
    product_codes,
    quantise,
    restored,
    unpack_texts,
)
from mmtutorial.recommenders.two_tower.smaller import distil, prune, sparsity
from mmtutorial.storage.digests import PACKAGE

OPTIONS = {"steps": 60, "validate_every": 20, "learning_rate": 0.01, "dimensions": 32, "units": 16}
SHORT = OPTIONS | {"steps": 2}  # where it doesn't matter how well it has learnt


@pytest.fixture(scope="module")
def world():
    data = shop(n_items=120, n_users=150, seed=0)
    split = default_split(data)
    features, _ = ready_features(data, np.ones(data.n_items, bool))
    return split, features


@pytest.fixture(scope="module")
def tower(world) -> TwoTower:
    split, features = world
    return TwoTower(**OPTIONS).fit(split.train, features, split.validation)


def size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean([len({*a} & {*b}) / len(a) for a, b in zip(one, other, strict=True)]))


# Codes


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_error_of_quantisation_is_at_most_half_a_scale(bits: int) -> None:
    generator = np.random.default_rng(bits)
    rows = generator.normal(size=(200, 33)) * generator.lognormal(sigma=3, size=(200, 1))
    rows[:20] += 50  # ranges that do not hold 0 by themselves
    rows[20:40] -= 50
    found = quantise(rows, bits)
    error = np.abs(restored(found) - rows)
    assert (error <= found.scale * (0.5 + 1e-3)).all()
    assert error.max() > 0.4 * found.scale.min()  # the bound is not far away
    assert found.codes.max() < 2**bits


def test_zero_is_exact_and_a_row_of_zeros_stays_one() -> None:
    rows = np.array([[0.0, 1.7, -0.3], [0.0, 0.0, 0.0]])
    assert (restored(quantise(rows))[rows == 0] == 0).all()


@pytest.mark.parametrize("wrong", [np.array([[np.nan]]), np.array([[np.inf]])])
def test_what_has_no_scale_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        quantise(wrong)
    with pytest.raises(ValueError, match="2 to 8"):
        quantise(np.zeros((1, 1)), bits=9)


@pytest.mark.parametrize("length", [1, 4, 7, 64])
def test_product_codes_lie_nearer_than_the_mean(length: int) -> None:
    rows = np.random.default_rng(0).normal(size=(300, length)).astype(np.float32)
    parts = product_codes(rows)
    again = from_product_codes(parts)
    assert again.shape == rows.shape and parts["codes"].shape == (300, -(-length // 4))
    assert np.square(again - rows).mean() < 0.3 * rows.var()


@pytest.mark.parametrize("codes", CODES)
def test_codes_keep_shape_and_direction(codes: str) -> None:
    rows = np.random.default_rng(1).normal(size=(50, 30)).astype(np.float32)
    encode, decode = CODES[codes]
    again = decode(encode(rows))
    assert again.shape == rows.shape and again.dtype == np.float32
    cosine = (again * rows).sum(1) / np.linalg.norm(again, axis=1) / np.linalg.norm(rows, axis=1)
    assert cosine.min() > (0.6 if codes == "signs" else 0.85)


def test_texts_come_back_whatever_is_in_them() -> None:
    texts = np.array(["", "a\nb", "裙子", "x" * 300])
    assert unpack_texts(pack_texts(texts)).tolist() == texts.tolist()
    assert unpack_texts(pack_texts(np.array([], dtype=str))).tolist() == []


# Serving


@pytest.mark.parametrize("codes", CODES)
def test_saved_and_loaded_it_serves_the_same(tower: TwoTower, codes: str, tmp_path: Path) -> None:
    small = Compressed.of(tower, codes)
    again = Recommender.load(small.save(tmp_path / codes))
    everyone = np.arange(tower.train.n_users)
    assert isinstance(again, Compressed) and again.codes == codes and again.original is None
    np.testing.assert_array_equal(again.score(everyone), small.score(everyone))
    lists = again.recommend(everyone)
    np.testing.assert_array_equal(
        lists, top_k(again.score(everyone), 10, exclude=tower.train.matrix)
    )
    one_by_one = np.vstack([again.recommend([user]) for user in everyone])
    assert overlap(one_by_one, lists) > 0.999
    assert again.recommend_to(tower.users[3]).shape == (10, 3)
    assert again.train.titles is None or again.train.titles.tolist() == tower.train.titles.tolist()
    assert size(tmp_path / codes) < size(tower.save(tmp_path / "tower")) / 2


@pytest.mark.parametrize(("codes", "least"), [("float32", 1.0), ("float16", 0.95), ("int8", 0.95)])
def test_lists_overlap_with_the_original_s(tower: TwoTower, codes: str, least: float) -> None:
    everyone = np.arange(tower.train.n_users)
    small = Compressed.of(tower, codes)
    assert overlap(small.recommend(everyone), tower.recommend(everyone)) >= least


@pytest.mark.usefixtures("eager")
def test_lengths_of_vectors_count_where_scores_are_cosines(world) -> None:
    split, features = world
    tower = TwoTower(**SHORT, cosine=True).fit(split.train, features, split.validation)
    everyone = np.arange(tower.train.n_users)
    whole = Compressed.of(tower, "float32")
    np.testing.assert_allclose(whole.score(everyone), tower.score(everyone), atol=1e-4)


def test_all_directions_together_are_the_whole_and_few_are_smaller(tower: TwoTower) -> None:
    everyone = np.arange(tower.train.n_users)
    whole = Compressed.of(tower, "float32", dimensions=32)
    np.testing.assert_allclose(whole.score(everyone), tower.score(everyone), atol=1e-4)
    few = Compressed.of(tower, "float32", dimensions=16)
    assert few.item_vectors().shape == (120, 16)
    with pytest.raises(ValueError, match="the original has 32"):
        Compressed.of(tower, dimensions=33)


@pytest.mark.usefixtures("eager")
def test_a_user_without_a_history_is_served(world) -> None:
    split, features = world
    nobody = split.train.where(split.train.log["user"].to_numpy() != 0)
    tower = TwoTower(**SHORT).fit(nobody, features)
    small = Compressed.of(tower, "float32")
    np.testing.assert_allclose(small.score([0, 1]), tower.score([0, 1]), atol=1e-4)
    assert (small.recommend([0]) == tower.recommend([0])).all()


def test_new_items_need_the_tower_and_get_nearly_its_scores(
    tower: TwoTower, world, tmp_path: Path
) -> None:
    _, features = world
    new = {name: each[:9] for name, each in features.items()}
    new["audio"] = 0 * new["audio"]  # a modality that these items lack
    with pytest.raises(ValueError, match="new_items=True"):
        Compressed.of(tower).score_new_items([0], new)
    small = Recommender.load(Compressed.of(tower, new_items=True).save(tmp_path / "with tower"))
    ours, theirs = (each.score_new_items([0, 5], new) for each in (small, tower))
    assert ours.shape == (2, 9)
    assert np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()
    with pytest.raises(ValueError, match="'image'"):
        small.item_vectors({"text": new["text"]})


def test_serving_needs_neither_tensorflow_nor_faiss(tower: TwoTower, tmp_path: Path) -> None:
    folder = Compressed.of(tower, "product").save(tmp_path / "small")
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['faiss'] = None\n"
        "from mmtutorial.recommenders import Recommender\n"
        f"print(Recommender.load({str(folder)!r}).recommend([0, 1]).tolist())"
    )
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Compressed.of(tower, "product").recommend([0, 1]).tolist())


@pytest.mark.usefixtures("eager")
def test_fit_compresses_what_it_has_fitted(world) -> None:
    split, features = world
    small = Compressed(TwoTower(**SHORT)).fit(split.train, features, split.validation)
    tower = TwoTower(**SHORT).fit(split.train, features, split.validation)
    np.testing.assert_array_equal(small.score([0, 1]), Compressed.of(tower).score([0, 1]))
    with pytest.raises(ValueError, match="give Compressed an original"):
        Compressed().fit(split.train, features)
    with pytest.raises(ValueError, match="codes is 'int4'"):
        Compressed(codes="int4")


# Smaller towers


def test_pruning_keeps_shapes_and_zeros_through_fine_tuning(tower: TwoTower, world) -> None:
    split, features = world
    small = prune(tower, 0.7, split.train, features, split.validation, steps=20)
    assert sparsity(small) == pytest.approx(0.7, abs=0.01) and sparsity(tower) < 0.01
    before, after = (each.tower.get_weights() for each in (tower, small))
    assert [each.shape for each in after] == [each.shape for each in before]
    kept = [(b != a) & (a != 0) for b, a in zip(before, after, strict=True) if a.ndim > 1]
    assert any(each.any() for each in kept)  # the others have learnt on
    largest = max(np.abs(b[a == 0]).max() for b, a in zip(before, after, strict=True) if a.ndim > 1)
    smallest = min(
        np.abs(b[a != 0]).min() for b, a in zip(before, after, strict=True) if a.ndim > 1
    )
    assert largest <= smallest
    with pytest.raises(ValueError, match="share is 1"):
        prune(tower, 1, split.train, features)


def test_a_student_comes_nearer_to_its_teacher_than_one_without(tower: TwoTower, world) -> None:
    split, features = world
    options = {"dimensions": 8, "units": 8, "steps": 120}

    def apart(weight: float) -> float:
        student = distil(tower, options, split.train, features, split.validation, weight=weight)
        assert student.item_vectors().shape == (120, 8)
        everyone = np.arange(tower.train.n_users)
        scores = [each.score(everyone).astype(float) for each in (tower, student)]
        ours, theirs = (
            np.exp(each - each.max(1, keepdims=True))
            / np.exp(each - each.max(1, keepdims=True)).sum(1, keepdims=True)
            for each in scores
        )
        return float((ours * np.log(ours / theirs)).sum(1).mean())

    assert apart(1.0) < apart(0.0)
    with pytest.raises(ValueError, match="weight is 2"):
        distil(tower, options, split.train, features, weight=2)

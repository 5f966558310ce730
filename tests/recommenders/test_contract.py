"""What every recommender keeps to, whatever it learns by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mmtutorial.datasets.dataset import Truth
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import (
    BPR,
    EASE,
    FREEDOM,
    VBPR,
    ContentKNN,
    ItemKNN,
    LightGCN,
    Oracle,
    Popularity,
    Random,
)
from mmtutorial.recommenders.base import Recommender

N_USERS, N_ITEMS = 30, 25
STRANGER = 7  # a user without a training interaction
UNKNOWN, NEW, BARE = 3, 11, 19  # items without: content and takers, takers, content
SMALL = {"dimensions": 4, "steps": 9, "batch_size": 64}


def interactions() -> Interactions:
    generator = np.random.default_rng(0)
    taken = generator.random((N_USERS, N_ITEMS)) < 0.25
    taken[STRANGER] = False
    taken[:, [UNKNOWN, NEW]] = False
    users, items = np.nonzero(taken)
    table = pd.DataFrame(
        {"user": [f"u{u:02d}" for u in users], "item": [f"i{i:02d}" for i in items]}
    )
    return Interactions.of(
        table, [f"u{u:02d}" for u in range(N_USERS)], [f"i{i:02d}" for i in range(N_ITEMS)]
    )


def content() -> dict[str, np.ndarray | sparse.csr_array]:
    generator = np.random.default_rng(1)
    text = generator.standard_normal((N_ITEMS, 6)).astype(np.float32)
    audio = generator.random((N_ITEMS, 4)) * (generator.random((N_ITEMS, 4)) < 0.6)
    text[[UNKNOWN, BARE]] = audio[[UNKNOWN, BARE]] = 0.0
    return {"text": text, "audio": sparse.csr_array(audio)}


def truth() -> Truth:
    generator = np.random.default_rng(2)
    train = interactions()
    return Truth(
        pd.DataFrame(generator.standard_normal((N_ITEMS, 2)), train.items, ["warm", "loud"]),
        pd.DataFrame(generator.standard_normal((N_USERS, 2)), train.users, ["warm", "loud"]),
        pd.Series(np.linspace(0.1, 1.0, N_ITEMS), train.items),
    )


TRAIN, CONTENT = interactions(), content()
MAKERS: dict[str, Callable[[], Recommender]] = {
    "random": Random,
    "popularity": Popularity,
    "oracle": lambda: Oracle(truth()),
    "item-kNN": lambda: ItemKNN(k=5),
    "item-kNN of weighted users": lambda: ItemKNN(5, exponents=(0.5, 0.2), user_exponent=1.0),
    "content-kNN": lambda: ContentKNN(k=5),
    "content-kNN of one modality": lambda: ContentKNN(("audio",), k=5),
    "EASE": lambda: EASE(l2=5.0, popularity=0.2),
    "EASE with content": lambda: EASE(l2=5.0, content_weight={"text": 2.0, "audio": 1.0}),
    "BPR": lambda: BPR(**SMALL),
    "VBPR": lambda: VBPR(("text", "audio"), content_dimensions=3, **SMALL),
    "LightGCN": lambda: LightGCN(layers=2, **SMALL),
    "FREEDOM": lambda: FREEDOM({"text": 2.0, "audio": 1.0}, k=4, **SMALL),
}
EVERYONE = np.arange(N_USERS)
by_name = pytest.mark.parametrize("name", MAKERS)


@cache
def fitted(name: str) -> Recommender:
    return MAKERS[name]().fit(TRAIN, CONTENT)


@by_name
def test_the_same_seed_gives_the_same_scores(name: str) -> None:
    again = MAKERS[name]().fit(TRAIN, CONTENT)
    np.testing.assert_array_equal(again.score(EVERYONE), fitted(name).score(EVERYONE))


@pytest.mark.parametrize("kind", [Random, BPR])
def test_another_seed_gives_other_scores(kind: type[Recommender]) -> None:
    options = SMALL if kind is BPR else {}
    one, two = (kind(**options, seed=seed).fit(TRAIN) for seed in (1, 2))
    assert not np.allclose(one.score(EVERYONE), two.score(EVERYONE))


@by_name
def test_scores_are_finite_for_strangers_and_items_of_which_nothing_is_known(name: str) -> None:
    scores = fitted(name).score(EVERYONE)
    assert scores.shape == (N_USERS, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert (fitted(name).recommend([STRANGER], k=N_ITEMS) >= 0).all()


@by_name
def test_saved_and_loaded_it_scores_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    before = fitted(name)
    for after in (Recommender.load(before.save(tmp_path)), type(before).load(tmp_path)):
        assert type(after) is type(before)
        assert after.name == before.name
        np.testing.assert_array_equal(after.score(EVERYONE), before.score(EVERYONE))
        np.testing.assert_array_equal(after.recommend(EVERYONE), before.recommend(EVERYONE))
        assert getattr(after, "history", None) == getattr(before, "history", None)
        if name != "oracle":  # whose truth is no option
            assert after.options() == before.options()


@pytest.mark.parametrize(("name", "place"), [("EASE", "item_to_item"), ("LightGCN", "pairwise")])
def test_what_was_saved_before_its_class_moved_still_loads(
    name: str, place: str, tmp_path: Path
) -> None:
    about = fitted(name).save(tmp_path) / "recommender.json"
    now = f"mmtutorial.recommenders.{'ease' if name == 'EASE' else 'graph'}.{name}"
    assert now in about.read_text()
    then = f"mmtutorial.recommenders.{place}.{name}"
    about.write_text(about.read_text().replace(now, then))
    scores = Recommender.load(tmp_path).score(EVERYONE)
    np.testing.assert_array_equal(scores, fitted(name).score(EVERYONE))


@by_name
def test_what_was_seen_is_left_out_and_lists_longer_than_the_catalogue_end_in_nothing(
    name: str,
) -> None:
    seen = TRAIN.matrix.toarray() > 0
    ranked = fitted(name).recommend(EVERYONE, k=N_ITEMS + 5)
    for user, row in enumerate(ranked):
        left = N_ITEMS - seen[user].sum()
        assert sorted(row[:left]) == np.flatnonzero(~seen[user]).tolist()
        assert (row[left:] == -1).all()
    every = fitted(name).recommend([0], k=N_ITEMS, exclude_seen=False)
    assert sorted(every[0]) == list(range(N_ITEMS))


@by_name
def test_the_unknown_and_the_broken_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown user row {N_USERS}"):
        fitted(name).recommend([N_USERS])
    with pytest.raises(ValueError, match=f"unknown item row {N_ITEMS}"):
        fitted(name).score([0], [N_ITEMS])
    broken = np.array(CONTENT["text"])
    broken[4, 0] = np.nan
    with pytest.raises(ValueError, match=r"features\['text'\] holds NaN or infinity in item row 4"):
        MAKERS[name]().fit(TRAIN, {**CONTENT, "text": broken})


@by_name
def test_a_block_of_users_scores_as_each_alone(name: str) -> None:
    few = [STRANGER, 4, 2]
    np.testing.assert_allclose(
        fitted(name).score(few), fitted(name).score(EVERYONE)[few], rtol=1e-5, atol=1e-6
    )
    assert fitted(name).score(np.array([], dtype=int)).shape == (0, N_ITEMS)


@pytest.mark.parametrize("name", ["random", "popularity", "item-kNN", "EASE", "BPR", "LightGCN"])
def test_who_reads_no_features_ignores_them(name: str) -> None:
    without = MAKERS[name]().fit(TRAIN)
    np.testing.assert_array_equal(without.score(EVERYONE), fitted(name).score(EVERYONE))


@pytest.mark.parametrize("name", ["content-kNN", "EASE with content", "VBPR", "FREEDOM"])
def test_who_reads_features_asks_for_them(name: str) -> None:
    with pytest.raises(ValueError, match=r"reads the features .*fit\(train, features\)"):
        MAKERS[name]().fit(TRAIN)


@pytest.mark.parametrize(
    "name", ["content-kNN of one modality", "EASE with content", "VBPR", "FREEDOM"]
)
def test_a_lacking_modality_is_named(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"reads the features \['audio'\], and fit was given \['text'\]"
    ):
        MAKERS[name]().fit(TRAIN, {"text": CONTENT["text"]})

"""The two-tower recommender: its losses by hand, what leaks, what is saved, what is refused."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers
from scipy import sparse

from mmtutorial.fusion import FUSIONS, Fusion
from mmtutorial.interactions import Interactions
from mmtutorial.metrics import ndcg
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.two_tower import (
    LOSSES,
    TwoTower,
    choice_loss,
    item_tower,
    modality_encoder,
    network,
    training,
)
from mmtutorial.recommenders.two_tower.batches import Batch, Batches, Histories
from mmtutorial.recommenders.two_tower.loss import sums_up_to

pytestmark = pytest.mark.usefixtures("eager")

N_USERS, N_ITEMS = 24, 16
STRANGER = 7  # a user without a training interaction
UNKNOWN, NEW, BARE = 3, 11, 14  # items without: content and takers, takers, content
EVERYONE = np.arange(N_USERS)
SMALL: dict[str, Any] = {"dimensions": 4, "units": 5, "steps": 2, "batch_size": 32}


def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    taken = generator.random((N_USERS, N_ITEMS)) < 0.35
    taken[STRANGER] = False
    taken[:, [UNKNOWN, NEW]] = False
    users, items = generator.permutation(np.argwhere(taken)).T
    again = np.arange(len(users)) % 4 == 0  # taken twice, the second time later
    found = pd.DataFrame({"user": np.r_[users, users[again]], "item": np.r_[items, items[again]]})
    return found.assign(timestamp=np.arange(len(found)) // 2)


def interactions(log: pd.DataFrame) -> Interactions:
    named = log.assign(
        user="u" + log["user"].astype(str).str.zfill(2),
        item="i" + log["item"].astype(str).str.zfill(2),
    )
    return Interactions.of(
        named, [f"u{u:02d}" for u in range(N_USERS)], [f"i{i:02d}" for i in range(N_ITEMS)]
    )


def ready(seed: int = 1) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    content = {
        name: generator.standard_normal((N_ITEMS, size)).astype(np.float32)
        for name, size in (("text", 6), ("image", 5), ("audio", 4))
    }
    for array in content.values():
        array[[UNKNOWN, BARE]] = 0.0
    content["audio"][[0, 5]] = 0.0
    return content


def raw(seed: int = 1) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    content = {
        "text": generator.integers(1, 9, (N_ITEMS, 4)).astype(np.int32),
        "image": generator.random((N_ITEMS, 4, 4, 3), np.float32),
        "audio": generator.standard_normal((N_ITEMS, 3, 2)).astype(np.float32),
    }
    for array in content.values():
        array[[UNKNOWN, BARE]] = 0
    return content


TABLE = table()
TRAIN = interactions(TABLE)
REVIEWS = np.random.default_rng(2).standard_normal((len(TABLE), 3)).astype(np.float32)


def later() -> Interactions:
    """A validation part: what users had not taken yet."""
    generator = np.random.default_rng(4)
    free = np.argwhere(TRAIN.matrix.toarray() == 0)
    users, items = generator.permutation(free)[:40].T
    return interactions(pd.DataFrame({"user": users, "item": items, "timestamp": 999}))


@cache
def fitted(kind: str = "ready", reviews: bool = False, **options: Any) -> TwoTower:
    content = {"ready": ready, "raw": raw, "none": dict}[kind]()
    if reviews:
        content["review"] = REVIEWS
    return TwoTower(**{**SMALL, **options}).fit(TRAIN, content)


# Every fusion with one and with all ready-made modalities, and each once with raw media; poolings,
# ids and reviews take turns so that each fusion meets each.
SOME = [
    (kind, fusion, number, turn % 2 == 0, turn % 3 == 0)
    for kind in ("ready", "raw")
    for place, fusion in enumerate(FUSIONS)
    for number in ((1, 3) if kind == "ready" else (1 + place % 3,))
    for turn in [place + (number if kind == "ready" else 2)]
]


@pytest.mark.parametrize(("kind", "fusion", "number", "ids", "cosine"), SOME)
def test_it_works_with_some_modalities_and_loaded_it_is_the_same_to_the_last_bit(
    kind: str, fusion: str, number: int, ids: bool, cosine: bool, tmp_path: Path
) -> None:
    content = ready() if kind == "ready" else raw()
    modalities = ("image", "text", "audio")[:number]  # not in alphabetical order
    ids, reviews = ids and fusion != "late", not ids
    options = {**SMALL, "steps": 1, "fusion": fusion, "cosine": cosine, "ids": ids}
    before = TwoTower(modalities, **options)
    before.fit(TRAIN, content | ({"review": REVIEWS} if reviews else {}))
    scores = before.score(EVERYONE)
    assert scores.shape == (N_USERS, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    after = Recommender.load(before.save(tmp_path / "saved"))
    assert isinstance(after, TwoTower)
    assert (after.name, after.history) == (before.name, before.history)
    assert after.options() == before.options()
    others = {name: array[::-1] for name, array in content.items()}
    histories = [[4, 2], [], [9]]
    for found, expected in (
        (after.score(EVERYONE), scores),
        (after.score(EVERYONE, np.array([2])), scores[:, [2]]),
        (after.recommend(EVERYONE, k=4), before.recommend(EVERYONE, k=4)),
        (after.user_vectors(histories), before.user_vectors(histories)),
        (after.score_histories(histories), before.score_histories(histories)),
        (after.item_vectors(others), before.item_vectors(others)),
        (after.score_new_items([0, 1], others), before.score_new_items([0, 1], others)),
        (after.score([3, 3]), before.score([3, 3])),
    ):
        np.testing.assert_array_equal(found, expected)
    # a product of fewer rows may be summed in another order, on some processors
    np.testing.assert_allclose(after.score([3, 3]), scores[[3, 3]], rtol=1e-5, atol=1e-6)
    after.save(tmp_path / "again")


@pytest.mark.parametrize("cosine", [False, True])
def test_ids_alone_do(cosine: bool, tmp_path: Path) -> None:
    before = fitted("none", ids=True, cosine=cosine, id_rate=0.5)
    after = TwoTower.load(before.save(tmp_path))
    assert (before.tower, after.tower) == (None, None)
    np.testing.assert_array_equal(after.score(EVERYONE), before.score(EVERYONE))
    assert np.ptp(before.score(EVERYONE)[:, [UNKNOWN, NEW]], axis=1).max() == 0
    np.testing.assert_array_equal(after.score_histories([[1, 2]]), before.score_histories([[1, 2]]))
    with pytest.raises(ValueError, match="ids alone say nothing of new items"):
        after.item_vectors(ready())


def test_several_modalities_may_be_of_one_kind() -> None:
    content = {"front": raw()["image"], "back": raw()["image"], "title": raw()["text"]}
    content["text"] = content["title"]
    assert np.isfinite(TwoTower(**SMALL).fit(TRAIN, content).score(EVERYONE)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(loss: str) -> None:
    options = {
        "ids": True,
        "steps": 1,
        "modality_dropout": 0.3,
        "id_dropout": 0.2,
        "alignment": 0.1,
    }
    one = TwoTower(**{**SMALL, **options}, loss=loss).fit(TRAIN, ready()).score(EVERYONE)
    same = TwoTower(**{**SMALL, **options}, loss=loss).fit(TRAIN, ready()).score(EVERYONE)
    other = TwoTower(**{**SMALL, **options}, loss=loss, seed=1).fit(TRAIN, ready()).score(EVERYONE)
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_compiled_and_again_in_one_process_every_bit_is_the_same() -> None:
    tf.config.run_functions_eagerly(False)
    generator = np.random.default_rng(0)  # large enough for several threads
    taken = np.argsort(generator.random((300, 500)), axis=1)[:, :12]
    log = {
        "user": np.repeat(np.arange(300), 12).astype(str),
        "item": taken.ravel().astype(str),
        "timestamp": generator.permutation(taken.size),
    }
    train = Interactions.of(
        pd.DataFrame(log), np.arange(300).astype(str), np.arange(500).astype(str)
    )
    content = {
        "text": generator.standard_normal((500, 64), np.float32),
        "audio": generator.standard_normal((500, 40), np.float32),
        "review": generator.standard_normal((len(train), 16), np.float32),
    }
    options = {"fusion": "attention", "cosine": True, "loss": "in-batch", "ids": True}
    first, *others = [TwoTower(**options, steps=3).fit(train, content) for _ in range(2)]
    for other in others:
        assert other.history == first.history
        for name, array in first._state().items():
            np.testing.assert_array_equal(other._state()[name], array, err_msg=name)


def test_compiled_it_learns_the_same() -> None:
    options = {**SMALL, "loss": "in-batch", "ids": True, "batch_size": 9, "steps": 6}
    content = ready() | {"review": REVIEWS}
    one = TwoTower(**options).fit(TRAIN, content)
    tf.config.run_functions_eagerly(False)
    two = TwoTower(**options).fit(TRAIN, content)
    np.testing.assert_allclose(two.history["loss"], one.history["loss"], rtol=1e-3)
    np.testing.assert_allclose(two.score(EVERYONE), one.score(EVERYONE), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", ["ready", "raw"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_gradient_reaches_every_weight_of_every_encoder(kind: str, fusion: str) -> None:
    whole = ready() if kind == "ready" else raw()
    content = {name: array[[1, 2, 4, 6, 8, 9]] for name, array in whole.items()}
    keras.utils.set_random_seed(0)
    tower = item_tower(content, fusion, units=5, dimensions=4)
    with tf.GradientTape() as tape:
        v, h, _ = tower({**content, "present": np.ones((6, 3), np.float32)})
        loss = tf.reduce_sum(tf.sin(v) + tf.cos(h))
    encoders = [tower.get_layer(f"{name}_encoder") for name in content]
    weights = [weight for encoder in encoders for weight in encoder.trainable_weights]
    assert all(encoder.trainable_weights for encoder in encoders)
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 1e-9, weight.path


class Counting(layers.Layer):
    """Passes on what it is given, and notes how many rows that were."""

    rows: list[int]

    def call(self, vectors: Any, training: bool = False) -> Any:
        if training:
            self.rows.append(int(vectors.shape[0]))
        return vectors


@pytest.mark.parametrize("loss", LOSSES)
def test_an_item_goes_through_its_encoder_once_a_step(
    loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = {}

    def counted(name: str, array: np.ndarray, *sizes: Any) -> keras.Model:
        counters[name] = Counting()
        counters[name].rows = []
        encoder = modality_encoder(name, array, *sizes)
        again = keras.Input(array.shape[1:], dtype=array.dtype.name)
        return keras.Model(again, counters[name](encoder(again)), name=f"counted_{name}")

    batches: list[Batch] = []

    def noted(self: Batches, users: np.ndarray, cut: Any = Batches.cut) -> Batch:
        batches.append(cut(self, users))
        return batches[-1]

    monkeypatch.setattr(network, "modality_encoder", counted)
    monkeypatch.setattr(Batches, "cut", noted)
    options = {**SMALL, "batch_size": 5, "steps": 10}
    TwoTower(**options, loss=loss).fit(TRAIN, ready())
    assert len(batches) == 10
    expected = [N_ITEMS if each.rows is None else len(np.unique(each.rows)) for each in batches]
    assert {name: counter.rows for name, counter in counters.items()} == dict.fromkeys(
        ready(), expected
    )
    assert (min(expected) < N_ITEMS) == (loss == "in-batch")


def batches_of(kept: tuple[float, float] = (0.5, 0.95), **options: Any) -> Batches:
    return Batches(Histories(TRAIN), batch_size=6, kept=kept, reviews=True, **options)


def table_of(places: tuple[np.ndarray, np.ndarray], n_users: int, n_items: int) -> np.ndarray:
    """Write places of users and items as a table of ones."""
    table = np.zeros((n_users, n_items), np.float32)
    table[places] = 1
    return table


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kept", [(0.0, 0.0), (0.5, 0.9), (0.999, 0.999)])
def test_nothing_of_what_is_to_be_predicted_is_read(loss: str, kept: tuple[float, float]) -> None:
    cut = batches_of(loss=loss, kept=kept)
    for _ in range(3):
        seen: list[int] = []
        users = cut.generator.permutation(EVERYONE[EVERYONE != STRANGER])
        for start in range(0, len(users), 6):
            who = users[start : start + 6]
            batch = cut.cut(who)
            kept_places, (owner, column), review = batch.kept, batch.choices, batch.reviews
            assert review is not None
            items = np.arange(N_ITEMS) if batch.rows is None else batch.rows
            assert batch.n_users == len(who)
            taken = table_of(kept_places, len(who), len(items))
            assert (taken[owner, column] == 0).all()
            assert len(np.unique(owner)) == len(who)  # everybody has something to predict
            whole = np.zeros((len(who), N_ITEMS))
            whole[:, items] = taken
            whole[owner, items[column]] += 1
            np.testing.assert_array_equal(whole, TRAIN.matrix[who].toarray())
            read = set(zip(who[kept_places[0]], TABLE["item"].to_numpy()[review], strict=True))
            kept_pairs = {(who[u], items[i]) for u, i in np.argwhere(taken)}
            assert read == kept_pairs
            assert len(read) == len(review)  # a repeated one is read once
            seen += who.tolist()
        assert sorted(seen) == [u for u in EVERYONE if u != STRANGER]


def test_each_user_is_met_once_before_any_is_met_again_and_cut_anew() -> None:
    batches = list(batches_of().draw(9))
    assert [int(batch.n_users) for batch in batches] == [6, 6, 6, 5, 6, 6, 6, 5, 6]
    one, two = batches[:4], batches[4:8]
    assert any(
        not np.array_equal(a.kept.items, b.kept.items) for a, b in zip(one, two, strict=True)
    )


def test_choices_of_a_user_weigh_as_much_as_the_exponent_says() -> None:
    for exponent, total in ((0.0, None), (0.5, 0.5), (1.0, 0.0)):
        batch = next(batches_of(user_exponent=exponent).draw(1))
        if total is None:
            assert batch.weights is None
            continue
        assert batch.weights is not None
        count = np.bincount(batch.choices.users)
        found = np.bincount(batch.choices.users, batch.weights)
        np.testing.assert_allclose(found, count**total, rtol=1e-6)
        assert count.max() > count.min()


def test_the_weighted_loss_is_the_weighted_mean_of_single_choices() -> None:
    scores = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    taken, users, items = np.zeros((2, 4), np.float32), np.array([0, 0, 1]), np.array([1, 2, 0])
    weights = np.array([0.5, 0.5, 3.0], np.float32)
    single = [
        float(choice_loss(scores, taken, [u], [i])) for u, i in zip(users, items, strict=True)
    ]
    found = float(choice_loss(scores, taken, users, items, weights=weights))
    assert found == pytest.approx(np.average(single, weights=weights), rel=1e-5)


def test_weights_are_averaged_over_more_steps_as_learning_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "_AVERAGE", 0.5)  # reached at the eighth of fifteen steps
    tower = TwoTower(**{**SMALL, "batch_size": 5, "steps": 15})
    after: list[np.ndarray] = []

    def noted(self: Any, batch: Batch, step: Any = training.Training._step) -> Any:
        found = step(self, batch)
        after.append(tower.network.q_0.numpy())
        return found

    monkeypatch.setattr(training.Training, "_step", noted)
    tower.fit(TRAIN, ready())
    assert len(after) == 15
    expected = np.zeros(4)
    for number, now in enumerate(after, start=1):
        expected += (1 - min(0.5, (number + 1) / (number + 10))) * (now - expected)
    np.testing.assert_allclose(tower.network.q_0.numpy(), expected, rtol=1e-4, atol=1e-7)


def test_an_optimiser_makes_of_the_joined_what_it_makes_of_each() -> None:
    generator = np.random.default_rng(0)
    values = [generator.normal(size=shape).astype("float32") for shape in ((), (3,), (4, 5))]
    apart = [keras.Variable(value) for value in values]
    parts = [tf.Variable(value) for value in values]
    vector = keras.Variable(training.joined(parts))
    alone, together = (keras.optimizers.AdamW(0.1, weight_decay=0.01) for _ in range(2))
    for _ in range(3):
        gradients = [tf.constant(generator.normal(size=v.shape), tf.float32) for v in values]
        alone.apply(gradients, apart)
        together.apply([training.joined(gradients)], [vector])
    training.spread(vector.value, parts)
    for one, other in zip(apart, parts, strict=True):
        np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=1e-6)


def test_tiny_histories_are_learnt_from_without_a_warning() -> None:
    train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2), ("bob", "tea", 3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        tower = TwoTower((), ids=True, kept=(0.9, 0.99), steps=5, validate_every=1).fit(train)
    assert np.isfinite(tower.history["loss"]).all()
    assert len(tower.history["loss"]) == 5


def cross_entropy(
    scores: np.ndarray, taken: np.ndarray, users: Any, items: Any, there: Any = None
) -> float:
    """Compute eq-full-softmax choice by choice; ``there`` (n_choices, n_items) is on the shelf."""
    lost = []
    for place, (user, item) in enumerate(zip(users, items, strict=True)):
        shelf = taken[user] == 0
        if there is not None:
            shelf = shelf & there[place]
        lost.append(np.log(np.exp(scores[user, shelf]).sum()) - scores[user, item])
    return float(np.mean(lost))


@pytest.mark.parametrize("by_launch", [True, False])
def test_the_full_softmax_equals_numpy(by_launch: bool) -> None:
    scores = np.random.default_rng(3).standard_normal((6, N_ITEMS)).astype(np.float32) * 3
    cut = batches_of(by_launch=by_launch)
    who = EVERYONE[:6]
    batch = cut.cut(who)
    rows, (owner, column), last, drawn = batch.rows, batch.choices, batch.last, batch.drawn
    taken = table_of(batch.kept, len(who), N_ITEMS)
    assert drawn is None
    assert (rows is not None) == (last is not None) == by_launch
    there = None
    if by_launch:
        launch = TABLE.groupby("item")["timestamp"].min().reindex(range(N_ITEMS), fill_value=1e9)
        when = TABLE.groupby(["user", "item"])["timestamp"].min()
        launch, item = launch.to_numpy()[rows], rows[column]
        there = np.array([launch <= when[who[u], i] for u, i in zip(owner, item, strict=True)])
        assert 0 < there.mean() < 0.9
    expected = cross_entropy(scores.astype(float), taken, owner, column, there)
    found = float(choice_loss(scores, taken, owner, column, last, drawn))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("width", [1, 47, 48, 49, 130])
def test_sums_up_to_a_column_equal_running_sums(width: int) -> None:
    generator = np.random.default_rng(width)
    table = generator.random((5, width)).astype(np.float32)
    rows, last = generator.integers(5, size=40), generator.integers(width, size=40)
    last[0] = width - 1
    expected = np.cumsum(table, axis=1)[rows, last]
    np.testing.assert_allclose(sums_up_to(table, rows, last), expected, rtol=1e-5)


def test_the_in_batch_softmax_equals_the_chapters_equation() -> None:
    """Eq-logq, a sum over the choices of the batch, repeated items repeated."""
    scores = np.random.default_rng(3).standard_normal((8, N_ITEMS)).astype(np.float32) * 3
    cut = batches_of(loss="in-batch", by_launch=False, kept=(0.2, 0.5))
    batch = cut.cut(EVERYONE[8:16])
    rows, (owner, column), last, drawn = batch.rows, batch.choices, batch.last, batch.drawn
    assert rows is not None
    taken = table_of(batch.kept, 8, len(rows))
    scores = scores[:, : len(rows)]
    assert last is None
    assert len(column) > len(np.unique(column))
    share = TRAIN.matrix.sum(axis=0) / TRAIN.matrix.sum()
    corrected = scores - np.log(np.maximum(share[rows], 1e-12))
    lost = []
    for user, item in zip(owner, column, strict=True):
        rivals = [other for other in column if not taken[user, other]]
        assert len(rivals) < len(column) or not taken[user].any()
        total = np.exp(corrected[user, rivals]).sum()
        lost.append(np.log(total) - corrected[user, item])
    found = float(choice_loss(scores, taken, owner, column, last, drawn))
    assert found == pytest.approx(np.mean(lost), rel=1e-5)


def test_the_loss_that_is_told_is_in_nats_a_choice() -> None:
    """Before anything is learnt all scores are alike, and the loss is ln(items to choose from)."""
    options = {"dimensions": 4, "kept": (0.0, 0.0), "by_launch": False, "steps": 1}
    tower = TwoTower((), ids=True, **options, batch_size=N_USERS).fit(TRAIN)
    assert tower.history["loss"][0] == pytest.approx(np.log(N_ITEMS), abs=0.02)


@pytest.mark.parametrize("cosine", [False, True])
def test_a_user_without_history_is_q_0_and_a_history_is_its_user(cosine: bool) -> None:
    tower = fitted(cosine=cosine, ids=True)
    q_0 = tower.network.q_0.numpy()
    assert np.abs(q_0).max() > 0
    q_0 /= np.linalg.norm(q_0) if cosine else 1
    np.testing.assert_allclose(tower.user_vectors([[]]), q_0[None], rtol=1e-6)
    np.testing.assert_array_equal(tower.score([STRANGER]), tower.score_histories([[]]))
    log = TRAIN.log.sort_values("timestamp", kind="stable")
    histories = [log["item"][log["user"] == user].tolist() for user in EVERYONE]
    assert any(len(set(each)) < len(each) for each in histories)
    np.testing.assert_allclose(
        tower.score_histories(histories), tower.score(EVERYONE), rtol=1e-5, atol=1e-6
    )
    for history in ([], [1, 2, 4]):
        everybody, parts = tower.score_parts(history)
        scores = tower.score_histories([history])[0]
        np.testing.assert_allclose(everybody + parts.sum(axis=0), scores, rtol=1e-4, atol=1e-5)


def test_with_cosines_all_vectors_have_length_1() -> None:
    tower = fitted(cosine=True, ids=True, history_dropout=0.5)
    vectors = np.r_[tower.user_vectors([[], [1], [2, 5]]), tower.item_vectors()]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert tower.temperature != pytest.approx(0.1, abs=1e-6)  # it has been learnt
    assert np.ptp(tower.score(EVERYONE) - tower.item_biases) <= 2 / tower.temperature + 1e-5


def test_ids_that_learn_slowly_stay_closer_to_their_start() -> None:
    moved = []
    for rate in (0.1, 1.0):
        long, short = (fitted("none", ids=True, id_rate=rate, steps=s) for s in (12, 1))
        moved.append(np.abs(rate * (long.network.e.numpy() - short.network.e.numpy())).mean())
    assert moved[0] < 0.3 * moved[1]


def test_user_vectors_equal_the_equation() -> None:
    tower = fitted(ids=True, reviews=True)
    own = {name: each.numpy() for name, each in tower.network.free_weights.items()}
    log = TRAIN.log.drop_duplicates(["user", "item"])
    for user in EVERYONE:
        mine = log[log["user"] == user]
        said = tower.history_vectors[mine["item"]] + REVIEWS[mine["row"]] @ own["R"]
        q = own["q_0"] + said.sum(axis=0) / max(len(mine), 1) ** own["power"]
        scores = tower.item_vectors() @ q / (np.sqrt(4) / 2) + tower.item_biases
        np.testing.assert_allclose(tower.score([user])[0], scores, rtol=1e-4, atol=1e-5)
    assert not np.allclose(tower.score(EVERYONE), fitted(ids=True).score(EVERYONE))


@pytest.mark.parametrize("kind", ["ready", "raw"])
def test_new_items_score_as_the_same_items_would_untaken_in_the_catalogue(kind: str) -> None:
    tower = fitted(kind, ids=True)
    content = ready() if kind == "ready" else raw()
    cold = np.array([UNKNOWN, NEW])
    new = {name: array[cold] for name, array in content.items()}
    expected = tower.score(EVERYONE, cold)
    np.testing.assert_allclose(tower.score_new_items(EVERYONE, new), expected, rtol=1e-4, atol=1e-5)
    warm = np.unique(TRAIN.log["item"])
    mean = tower.network.bias.numpy()[warm].mean()
    assert abs(mean) > 0
    q = tower.user_vectors([[1, 2]])
    by_hand = q @ tower.item_vectors(new).T / (np.sqrt(4) / 2) + mean
    np.testing.assert_allclose(tower.score_histories([[1, 2]])[:, cold], by_hand, rtol=1e-4)
    taken = {name: array[[BARE]] for name, array in content.items()}  # its id and bias tell apart
    assert not np.allclose(tower.score_new_items(EVERYONE, taken), tower.score(EVERYONE, [BARE]))


def test_an_item_without_any_content_has_the_vector_of_the_unknown() -> None:
    tower = fitted()
    assert tower.tower is not None
    fuse = next(each for each in tower.tower.layers if isinstance(each, Fusion))
    expected = tower.tower.get_layer("candidate")(fuse.unknown[None])[0]
    np.testing.assert_allclose(tower.item_vectors()[UNKNOWN], expected, rtol=1e-5)
    np.testing.assert_array_equal(tower.item_vectors()[UNKNOWN], tower.item_vectors()[BARE])


def test_sparse_features_are_those_of_the_dense() -> None:
    thin = {name: sparse.csr_array(array) for name, array in ready().items()}
    tower = TwoTower(**SMALL).fit(TRAIN, thin)
    np.testing.assert_array_equal(tower.score(EVERYONE), fitted().score(EVERYONE))
    np.testing.assert_array_equal(tower.item_vectors(thin), tower.item_vectors(ready()))


def test_a_word_that_no_item_of_the_catalogue_has_is_unknown() -> None:
    tower, content = fitted("raw"), raw()
    strange, unknown = (content["text"].copy() for _ in range(2))
    strange[:, 2], unknown[:, 2] = 900, 1
    np.testing.assert_array_equal(
        tower.item_vectors(content | {"text": strange}),
        tower.item_vectors(content | {"text": unknown}),
    )


def test_early_stopping_keeps_the_best_epoch() -> None:
    validation = later()
    options = {**SMALL, "steps": 60, "patience": 2, "validate_every": 1, "learning_rate": 0.1}
    tower = TwoTower(**options, ids=True).fit(TRAIN, ready(), validation)
    qualities = tower.history["validation_ndcg"]
    assert len(qualities) == len(tower.history["loss"]) == int(np.argmax(qualities)) + 1 + 2 < 60
    watched = np.intersect1d(TRAIN.log["user"], validation.log["user"])
    ranked = tower.recommend(watched, k=10)
    quality = ndcg(ranked, validation.matrix[watched]).mean()
    assert quality == pytest.approx(max(qualities), abs=1e-9)
    assert qualities[-1] < max(qualities)


def test_what_is_learnt_recommends_better_than_chance() -> None:
    generator = np.random.default_rng(0)
    kind = np.arange(12) % 2
    pairs = [(f"u{u:02d}", f"i{i:02d}", t) for u in range(20)
             for t, i in enumerate(generator.permutation(np.flatnonzero(kind == u % 2))[:4])]  # fmt: skip
    train = Interactions.of(pairs, items=[f"i{i:02d}" for i in range(12)])
    content = {"text": np.eye(2, dtype=np.float32)[kind]}
    options = {**SMALL, "steps": 15, "learning_rate": 0.05, "dropout": 0, "by_launch": False}
    for loss in LOSSES:
        tower = TwoTower(**options, loss=loss).fit(train, content)
        ranked = tower.recommend(np.arange(20), k=2)
        assert (kind[ranked] == (np.arange(20) % 2)[:, None]).mean() > 0.95, loss


def test_a_list_longer_than_the_catalogue_ends_empty() -> None:
    lists = fitted().recommend([0, STRANGER], k=N_ITEMS + 3)
    taken = len(np.unique(TRAIN.log["item"][TRAIN.log["user"] == 0]))
    np.testing.assert_array_equal((lists >= 0).sum(axis=1), [N_ITEMS - taken, N_ITEMS])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": ("text", "smell")}, r"reads the features \['smell'\], and fit was given"),
        ({"fusion": "mean"}, "fusion is 'mean'; there are concatenation"),
        ({"loss": "hinge"}, "loss is 'hinge'; there are full, in-batch"),
        ({"dimensions": 0}, "dimensions is 0"),
        ({"validate_every": 0}, "validate_every is 0"),
        ({"id_rate": -1.0}, "id_rate is -1.0; it must not be below 0"),
        ({"modality_dropout": 1.0}, "modality_dropout is 1.0"),
        ({"kept": (0.9, 0.5)}, "kept is"),
        ({"fusion": "late", "ids": True}, "late fusion keeps the modalities apart"),
        ({"modalities": ()}, "needs features to read, or ids=True"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwoTower(**options).fit(TRAIN, ready())


def test_features_that_cannot_be_read_are_refused() -> None:
    for name, array, message in (
        ("text", np.full((N_ITEMS, 2), np.nan), "holds NaN or infinity in item row 0"),
        ("text", np.ones((N_ITEMS - 1, 2)), "15 rows for 16 items"),
        ("image", np.zeros((N_ITEMS, 4, 4, 3), np.uint8), "pictures float"),
        ("present", np.ones((N_ITEMS, 2)), "no modality may be called 'present'"),
    ):
        with pytest.raises(ValueError, match=message):
            TwoTower(**SMALL).fit(TRAIN, {name: array})
    empty = TRAIN.where(np.zeros(len(TRAIN), bool))
    with pytest.raises(ValueError, match="nobody took anything"):
        TwoTower(**SMALL).fit(empty, ready())


def test_questions_that_have_no_answer_are_refused() -> None:
    tower, content = fitted(), ready()
    with pytest.raises(ValueError, match="unknown item row 16"):
        tower.score_histories([[1], [N_ITEMS]])
    with pytest.raises(ValueError, match="unknown item row -1"):
        tower.user_vectors([[-1]])
    for users in ([N_USERS], [-1]):
        with pytest.raises(ValueError, match="unknown user row"):
            tower.score_new_items(users, content)
    with pytest.raises(ValueError, match=r"need the features \['image'\] too"):
        tower.item_vectors({"text": content["text"], "audio": content["audio"]})
    with pytest.raises(ValueError, match=r"'audio'\] has shape \(16, 3\); these 16 .* \(16, 4\)"):
        tower.item_vectors(content | {"audio": content["audio"][:, :3]})
    with pytest.raises(ValueError, match=r"'audio'.*NaN or infinity in row 2"):
        wrong = content["audio"].copy()
        wrong[2, 1] = np.inf
        tower.item_vectors(content | {"audio": wrong})
    for ask in (
        lambda: TwoTower().user_vectors([[0]]),
        lambda: TwoTower().item_vectors(content),
        lambda: TwoTower().score_new_items([0], content),
    ):
        with pytest.raises(RuntimeError, match="has not been fitted"):
            ask()

"""BPR, VBPR and LightGCN: what is drawn, what is computed, what is kept, what is learnt."""

from __future__ import annotations

from functools import partial
from io import StringIO

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress
from scipy import stats

from mmtutorial.evaluation import leave_last_out
from mmtutorial.interactions import Interactions
from mmtutorial.metrics import ndcg
from mmtutorial.recommenders import BPR, FREEDOM, VBPR, LightGCN, pairwise
from mmtutorial.recommenders.content import unit_rows
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.recommenders.validation import validation_users
from mmtutorial.storage import epochs

SMALL = {"dimensions": 5, "steps": 60, "batch_size": 16}
KINDS = {"text": np.array([[n % 2, 1 - n % 2, 0.1] for n in range(20)])}


def two_tastes(n_users: int = 40, n_items: int = 20, share: float = 0.6) -> Interactions:
    """Even users take even items, odd users odd ones, each only some of them."""
    generator = np.random.default_rng(3)
    same = np.arange(n_users)[:, None] % 2 == np.arange(n_items) % 2
    users, items = np.nonzero(same & (generator.random((n_users, n_items)) < share))
    rows = [
        (f"u{u:02d}", f"i{i:02d}", n) for n, (u, i) in enumerate(zip(users, items, strict=True))
    ]
    return Interactions.of(
        rows, [f"u{u:02d}" for u in range(n_users)], [f"i{i:02d}" for i in range(n_items)]
    )


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 7), st.sampled_from([0.2, 0.8]))
def test_every_interaction_meets_an_item_that_its_user_did_not_take(
    seed: int, n_users: int, n_items: int, share: float
) -> None:
    generator = np.random.default_rng(seed)
    taken = generator.random((n_users, n_items)) < share
    rows = [(str(u), str(i), 0) for u, i in zip(*np.nonzero(taken), strict=True)]
    train = Interactions.of(rows, list(map(str, range(n_users))), list(map(str, range(n_items))))
    usable = taken & ~taken.all(axis=1, keepdims=True)
    if not usable.any():
        with pytest.raises(ValueError, match="there is nothing to compare"):
            pairwise._Triples(train)
        return
    users, items, others = pairwise._Triples(train)(generator, int(usable.sum()))
    assert sorted(zip(users, items, strict=True)) == list(zip(*np.nonzero(usable), strict=True))
    assert not taken[users, others].any()


def test_the_other_item_is_drawn_uniformly() -> None:
    train = Interactions.of([("u", item, 0) for item in "bdez"], ["t", "u"], list("abcdefgz"))
    draw, generator = pairwise._Triples(train), np.random.default_rng(0)
    drawn = np.concatenate([draw(generator, 4)[2] for _ in range(500)])
    counts = np.bincount(drawn, minlength=8)
    assert counts[[1, 3, 4, 7]].sum() == 0
    assert stats.chisquare(counts[[0, 2, 5, 6]]).pvalue > 0.01


def parts_and_vectors(model: pairwise.Pairwise, train: Interactions, features: dict) -> tuple:
    parts = model._parts(train, features, np.random.default_rng(0))
    every = (tf.range(train.n_users), tf.range(train.n_items))
    return parts, [each.numpy() for each in model._represent(parts, *every)]


def test_vbpr_is_its_equation() -> None:
    train = two_tastes(6, 5)
    generator = np.random.default_rng(1)
    features = {"text": generator.random((5, 3)), "audio": generator.random((5, 2))}
    features["audio"][2] = 0.0
    parts, (p, q, b, squares) = parts_and_vectors(
        VBPR(content_dimensions=4, **SMALL), train, features
    )
    content = np.hstack([unit_rows(features[name]) for name in ("text", "audio")])
    expected = (
        parts["users"].numpy() @ parts["items"].numpy().T
        + parts["tastes"].numpy() @ (content @ parts["embedding"].numpy()).T
        + parts["bias"].numpy()
        + (content @ parts["content bias"].numpy())[:, 0]
    )
    np.testing.assert_allclose(p @ q.T + b, expected, rtol=1e-5, atol=1e-6)
    assert squares == pytest.approx(((p**2).sum() + (q**2).sum() + (b**2).sum()) / 2, rel=1e-5)


def normalised(taken: np.ndarray) -> np.ndarray:
    n_users, n_items = taken.shape
    zeros = (np.zeros((n_users, n_users)), np.zeros((n_items, n_items)))
    adjacency = np.block([[zeros[0], taken], [taken.T, zeros[1]]])
    degree = np.maximum(adjacency.sum(axis=1), 1e-9)
    return adjacency / np.sqrt(degree[:, None] * degree)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_lightgcn_is_its_equation(layers: int) -> None:
    train = two_tastes(6, 5)
    parts, (p, q, b, squares) = parts_and_vectors(LightGCN(layers=layers, **SMALL), train, {})
    both = parts["nodes"].numpy()
    whole = normalised(train.matrix.toarray())
    powers = [np.linalg.matrix_power(whole, layer) @ both for layer in range(layers + 1)]
    np.testing.assert_allclose(np.vstack([p, q]), np.mean(powers, axis=0), rtol=1e-4, atol=1e-6)
    assert not b.any()
    assert squares == pytest.approx((both**2).sum() / 2, rel=1e-5)


def test_the_gradient_of_lightgcn_is_that_of_its_equation() -> None:
    train = two_tastes(6, 5)
    model = LightGCN(layers=2, **SMALL)
    parts = model._parts(train, {}, np.random.default_rng(0))
    graph = tf.constant(normalised(train.matrix.toarray()), tf.float32)
    users, items = tf.constant([0, 3]), tf.constant([1, 1])
    with tf.GradientTape(persistent=True) as tape:
        p, q, _, squares = model._represent(parts, users, items)
        ours = tf.reduce_sum(p * q) + squares
        nodes = tf.convert_to_tensor(parts["nodes"])
        mean = (nodes + graph @ nodes + graph @ (graph @ nodes)) / 3
        first = [tf.gather(nodes, rows) for rows in (users, 6 + items)]
        expected = tf.reduce_sum(tf.gather(mean, users) * tf.gather(mean, 6 + items))
        expected += sum(tf.nn.l2_loss(each) for each in first)
    slopes = [tf.convert_to_tensor(tape.gradient(y, parts["nodes"])) for y in (ours, expected)]
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [BPR, LightGCN, FREEDOM])
def test_fitted_again_and_again_it_is_the_same_to_the_last_bit(kind: type) -> None:
    train = two_tastes()
    vectors = [kind(**{**SMALL, "steps": 20}).fit(train, KINDS)._users for _ in range(3)]
    for again in vectors[1:]:
        np.testing.assert_array_equal(again, vectors[0])


def test_one_step_is_adam_on_the_loss_of_the_docstring() -> None:
    train = two_tastes(8, 6)
    model = BPR(dimensions=3, learning_rate=0.1, l2=0.5, steps=1, batch_size=1000).fit(train)
    generator = np.random.default_rng(model.seed)
    start = {name: part.numpy() for name, part in model._parts(train, {}, generator).items()}
    users, items, others = pairwise._Triples(train)(generator, 1000)

    def loss(users_of: np.ndarray, items_of: np.ndarray, bias: np.ndarray) -> float:
        p, better, worse = users_of[users], items_of[items], items_of[others]
        margin = (p * (better - worse)).sum(axis=1) + bias[items] - bias[others]
        squares = [p, better, worse, bias[items], bias[others]]
        penalty = 0.5 / 2 * sum((each**2).sum() for each in squares)
        return float(np.log1p(np.exp(-margin)).sum() + penalty) / len(users)

    before = [start[name].astype(np.float64) for name in ("users", "items", "bias")]
    assert model.history["loss"] == [pytest.approx(loss(*before), rel=1e-5)]
    for place, learnt in enumerate((model._users, model._items, model._bias)):
        for entry in ((1,), (4,)) if learnt.ndim == 1 else ((1, 2), (4, 0)):
            nudged = [each.copy() for each in before]
            nudged[place][entry] += 1e-6
            slope = (loss(*nudged) - loss(*before)) / 1e-6
            # the first step of Adam is the learning rate against the sign of the gradient
            moved = learnt[entry] - before[place][entry]
            assert moved == pytest.approx(-0.1 * np.sign(slope), rel=0.01)


@pytest.mark.parametrize("kind", [BPR, LightGCN, FREEDOM])
def test_it_learns_who_likes_what(kind: type[pairwise.Pairwise]) -> None:
    train = two_tastes()
    model = kind(dimensions=8, steps=300, batch_size=64).fit(train, KINDS)
    losses = model.history["loss"]
    assert losses[-1] < losses[0] / 2
    left = ~(train.matrix.toarray() > 0)
    scores = model.score(np.arange(train.n_users))
    same = np.arange(train.n_users)[:, None] % 2 == np.arange(train.n_items) % 2
    assert scores[left & same].min() > np.median(scores[left & ~same])
    best = model.recommend(np.arange(train.n_users), k=1)[:, 0]
    assert (best % 2 == np.arange(train.n_users) % 2).mean() > 0.95


def test_vbpr_recommends_new_items_by_their_content() -> None:
    old = two_tastes()
    names = [*old.items, "new even", "new odd"]
    table = old.log.assign(user=old.users[old.log["user"]], item=old.items[old.log["item"]])
    train = Interactions.of(table, old.users, names)
    kinds = np.array([[n % 2, 1 - n % 2] for n in range(22)], dtype=float)
    model = VBPR(dimensions=2, content_dimensions=8, steps=300, batch_size=64, l2=0.001)
    difference = model.fit(train, {"text": kinds}).score(np.arange(40), [20, 21]) @ [1, -1]
    assert (np.sign(difference) == np.where(np.arange(40) % 2, -1, 1)).mean() > 0.95


def test_strangers_get_the_mean_of_the_others() -> None:
    taken = two_tastes()
    train = taken.where((taken.log["user"] != 5).to_numpy())
    model = BPR(**SMALL).fit(train)
    scores = model.score(np.arange(train.n_users))
    others = np.delete(np.arange(train.n_users), 5)
    np.testing.assert_allclose(scores[5], scores[others].mean(axis=0), rtol=1e-4, atol=1e-6)


def test_the_best_epoch_is_kept_and_learning_stops_when_patience_ends() -> None:
    split = leave_last_out(two_tastes())
    options = {"dimensions": 4, "learning_rate": 0.3, "batch_size": 32, "patience": 40,
               "validate_every": 10}  # fmt: skip
    model = BPR(steps=400, **options).fit(split.train, validation=split.validation)
    quality = model.history["validation_ndcg"]
    best = int(np.argmax(quality))
    assert len(quality) == len(model.history["loss"]) == best + 1 + 4 < 40
    users = split.validation_users
    ranked = top_k(model.score(users), 10, exclude=split.train.matrix[users])
    assert ndcg(ranked, split.validation.matrix[users]).mean() == pytest.approx(quality[best])
    # as far as the best epoch and no further, without a validation part
    shorter = BPR(steps=10 * (best + 1), **options).fit(split.train)
    np.testing.assert_array_equal(shorter.score(users), model.score(users))
    assert list(shorter.history) == ["loss"]


def test_validation_of_strangers_alone_is_as_none() -> None:
    taken = two_tastes()
    strange = (taken.log["user"] == 5).to_numpy()
    model = BPR(**SMALL).fit(taken.where(~strange), validation=taken.where(strange))
    assert list(model.history) == ["loss"]


def test_of_many_users_an_even_sample_is_validated() -> None:
    train = two_tastes()
    assert validation_users(train, train).tolist() == list(range(40))
    assert validation_users(train, train, at_most=4).tolist() == [0, 13, 26, 39]


def test_a_step_compares_more_where_there_is_more() -> None:
    assert [BPR()._batch(n) for n in (10, 10**6, 10**9)] == [1024, 7813, 65536]
    assert [LightGCN()._batch(n) for n in (10, 10**6)] == [4096, 31250]
    assert BPR(batch_size=7)._batch(10**6) == 7


def test_progress_is_shown_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    terminal = Console(file=shown, force_terminal=True, width=200)
    monkeypatch.setattr(epochs, "Progress", partial(Progress, console=terminal))
    monkeypatch.setattr(epochs, "_PATIENCE", 1e9)  # however busy the machine is
    split = leave_last_out(two_tastes())
    BPR(**SMALL).fit(split.train, validation=split.validation)
    assert not shown.getvalue()
    monkeypatch.setattr(epochs, "_PATIENCE", -1.0)
    BPR(**SMALL).fit(split.train, validation=split.validation)
    assert "BPR learns, best NDCG@10" in shown.getvalue()


def test_options_out_of_range_are_refused() -> None:
    for name in ("dimensions", "steps", "batch_size", "patience"):
        with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
            BPR(**{name: 0}).fit(two_tastes())
    with pytest.raises(ValueError, match="layers is -1"):
        LightGCN(layers=-1).fit(two_tastes())
    everything = Interactions.of([("u", "i", 0)])
    with pytest.raises(ValueError, match="there is nothing to compare"):
        BPR().fit(everything)

"""FREEDOM: the graph of like items, the pruned graph of who took what, and what is learnt."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from mmtutorial.evaluation import leave_last_out
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import FREEDOM, pairwise
from mmtutorial.recommenders.content import unit_rows
from mmtutorial.recommenders.graph import Graph, item_graph
from tests.recommenders.test_pairwise import KINDS, SMALL, normalised, two_tastes


def features(n_items: int) -> dict[str, np.ndarray | sparse.csr_array]:
    generator = np.random.default_rng(5)
    text, audio = generator.standard_normal((n_items, 4)), generator.random((n_items, 3))
    audio[1] = 0.0
    return {"text": text, "audio": sparse.csr_array(audio)}


def by_hand(rows: np.ndarray, k: int) -> np.ndarray:
    """Join each row to the k of the largest positive cosine, and normalise by the row sums."""
    edges = np.zeros((len(rows), len(rows)))
    for item, cosines in enumerate(rows @ rows.T):
        best = np.argsort(-cosines)[:k]
        edges[item, best[cosines[best] > 0]] = 1.0
    degrees = np.maximum(edges.sum(axis=1), 1.0)
    return edges / np.sqrt(degrees[:, None] * degrees)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_the_item_graph_joins_the_nearest_of_each_modality(k: int) -> None:
    units = {name: unit_rows(array) for name, array in features(8).items()}
    text, audio = by_hand(units["text"], k), by_hand(units["audio"].toarray(), k)
    expected = 0.25 * text + 0.75 * audio
    expected[1] = text[1]  # which has no audio
    found = item_graph(units, {"text": 1.0, "audio": 3.0}, k).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_freedom_is_its_equation() -> None:
    train = two_tastes(6, 5)
    model = FREEDOM({"text": 0.3, "audio": 0.7}, k=2, layers=2, **SMALL)
    parts = model._parts(train, features(5), np.random.default_rng(0))
    model._set_vectors(parts, train, np.arange(6))
    units = {name: unit_rows(array) for name, array in features(5).items()}
    alike = item_graph(units, {"text": 0.3, "audio": 0.7}, 2)
    both, whole = parts["nodes"].numpy(), normalised(train.matrix.toarray())
    mean = (both + whole @ both + whole @ (whole @ both)) / 3
    np.testing.assert_allclose(model._users, mean[:6], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model._items, mean[6:] + alike @ both[6:], rtol=1e-4, atol=1e-6)


def test_its_gradient_is_that_of_its_equation() -> None:
    train = two_tastes(6, 5)
    model = FREEDOM(k=2, **SMALL)
    parts = model._parts(train, features(5), np.random.default_rng(0))
    parts["graph"] = parts["whole"]
    operator = np.stack(
        [parts["whole"].multiply(row[:, None], False)[:, 0] for row in np.eye(11, dtype="f4")], 1
    )
    assert not np.allclose(operator, operator.T, atol=1e-3)  # so that transposing matters
    users, items = tf.constant([0, 3]), tf.constant([1, 2])
    with tf.GradientTape() as tape:
        p, q, _, _ = model._represent(parts, users, items)
        found = tf.reduce_sum(p * q)
    slope = tf.convert_to_tensor(tape.gradient(found, parts["nodes"])).numpy()
    final = operator @ parts["nodes"].numpy()
    expected = np.zeros_like(final)
    for user, item in ((0, 7), (3, 8)):
        expected += np.outer(operator[user], final[item]) + np.outer(operator[item], final[user])
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


def test_edges_of_popular_nodes_are_pruned_rather_and_the_rest_is_normalised_anew() -> None:
    taken = np.zeros((40, 41), dtype=np.float32)
    taken[:, 0] = 1.0  # everybody's item, and one of each user's own
    taken[np.arange(40), np.arange(1, 41)] = 1.0
    graph = Graph(sparse.csr_array(taken), layers=1)
    generator = np.random.default_rng(0)
    kept = np.zeros_like(taken)
    for _ in range(200):
        one = graph.pruned(0.75, generator)
        edges = (one._of_items.toarray() > 0).astype(float)
        assert edges.sum() == 20
        assert (edges <= taken).all()
        kept += edges
        np.testing.assert_allclose(
            one._of_items.toarray(), normalised(edges)[:40, 40:], rtol=1e-5, atol=1e-7
        )
    # 1/√(2·40) against 1/√(2·1): √40 times as often at first, less as the rare ones are used up
    assert 3 < kept[:, 1:].sum() / kept[:, 0].sum() < np.sqrt(40)


def test_recommendations_use_the_whole_graph() -> None:
    split = leave_last_out(two_tastes())
    model = FREEDOM(pruned=0.9, k=3, **{**SMALL, "steps": 6, "validate_every": 2})
    model.fit(split.train, KINDS, split.validation)
    graphs = []
    multiply = Graph.multiply
    with pytest.MonkeyPatch.context() as patched:

        def noted(self: Graph, nodes: np.ndarray, transposed: bool) -> np.ndarray:
            graphs.append((self._of_items.nnz, transposed))
            return multiply(self, nodes, transposed)

        patched.setattr(Graph, "multiply", noted)
        model.fit(split.train, KINDS, split.validation)
    whole, few = split.train.matrix.nnz, round(0.1 * split.train.matrix.nnz)
    assert {size for size, _ in graphs} == {whole, few}
    assert graphs.count((whole, False)) == 3  # once an epoch, to validate
    assert (whole, True) not in graphs  # learning goes through the pruned one


def test_its_loss_compares_by_content_too() -> None:
    train = two_tastes(8, 6)
    options = {**SMALL, "steps": 1, "batch_size": 1000}
    model = FREEDOM(k=2, pruned=0.0, content_loss=0.3, l2=0.5, **options)
    model.fit(train, features(6))
    generator = np.random.default_rng(model.seed)
    parts = model._parts(train, features(6), generator)
    users, items, others = pairwise._Triples(train)(generator, 1000)
    final = parts["whole"].multiply(parts["nodes"].numpy(), transposed=False)
    p, q, first = final[:8], final[8:], parts["nodes"].numpy()
    margin = (p[users] * (q[items] - q[others])).sum(axis=1)
    squares = sum((first[rows] ** 2).sum() for rows in (users, 8 + items, 8 + others))
    expected = np.log1p(np.exp(-margin)).sum() + 0.5 / 2 * squares
    for name, array in features(6).items():
        unit = unit_rows(array)
        unit = unit.toarray() if sparse.issparse(unit) else unit
        seen = unit @ parts[f"embedding/{name}"].numpy()
        apart = (p[users] * (seen[items] - seen[others])).sum(axis=1)
        expected += 0.3 * np.log1p(np.exp(-apart)).sum()
    assert model.history["loss"] == [pytest.approx(expected / len(users), rel=1e-4)]


def test_new_items_are_recommended_by_their_neighbours() -> None:
    old = two_tastes()
    table = old.log.assign(user=old.users[old.log["user"]], item=old.items[old.log["item"]])
    train = Interactions.of(table, old.users, [*old.items, "new even", "new odd"])
    kinds = np.array([[n % 2, 1 - n % 2] for n in range(22)], dtype=float)
    model = FREEDOM(dimensions=8, steps=300, batch_size=64, pruned=0.2)
    difference = model.fit(train, {"text": kinds}).score(np.arange(40), [20, 21]) @ [1, -1]
    assert (np.sign(difference) == np.where(np.arange(40) % 2, -1, 1)).mean() > 0.95


def test_options_out_of_range_are_refused() -> None:
    for options, message in (
        ({"pruned": 1.0}, "pruned is 1.0; it must be 0 or more, and below 1"),
        ({"k": 0}, "k is 0"),
        ({"modalities": {"text": -1.0}}, "the modalities' weights are"),
        ({"modalities": {"text": 0.0}}, "not all 0"),
        ({"modalities": ["image"]}, r"reads the features \['image'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            FREEDOM(**options, **SMALL).fit(two_tastes(), KINDS)

"""A tower that learns further tasks: the same tower without them, its weights and its gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mmtutorial.datasets import shop
from mmtutorial.equations import multi_task
from mmtutorial.evaluation import cold_items, cold_items_split, default_split
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.preprocessing.labels import TASKS, Labels, labels_of
from mmtutorial.recommenders import Recommender, SeveralTasks, TwoTower
from mmtutorial.recommenders.two_tower import recommender, several_tasks
from mmtutorial.recommenders.validation import quality

SHORT = {"steps": 2, "validate_every": 1, "units": 16, "dimensions": 8}
eager = pytest.mark.usefixtures("eager")  # two steps take less time than to compile one


@pytest.fixture(scope="module")
def data():
    return shop(n_items=60, n_users=80)


@pytest.fixture(scope="module")
def split(data):
    return default_split(data)


@pytest.fixture(scope="module")
def features(data, split):
    return ready_features(data, ~cold_items(split))[0]


@pytest.fixture(scope="module")
def labels(data, split) -> Labels:
    return labels_of(data, ~cold_items(split))


@eager
def test_without_a_task_it_is_a_two_tower(split, features, labels):
    alone = TwoTower(**SHORT, seed=3).fit(split.train, features, split.validation)
    same = SeveralTasks(tasks=(), labels=labels, **SHORT, seed=3)
    same.fit(split.train, features, split.validation)
    np.testing.assert_array_equal(same.score([0, 1, 2]), alone.score([0, 1, 2]))
    weightless = SeveralTasks(weight=0, labels=labels, **SHORT | {"steps": 1}, seed=3)
    one = TwoTower(**SHORT | {"steps": 1}, seed=3).fit(split.train, features)
    np.testing.assert_allclose(
        weightless.fit(split.train, features).score([0, 1]), one.score([0, 1]), atol=1e-5
    )


@eager
@pytest.mark.parametrize("how", [{}, {"weighting": "uncertainty", "project": True}])
def test_the_same_seed_gives_the_same_scores_and_cosines(split, features, labels, how):
    first, second = (
        SeveralTasks(labels=labels, **SHORT, **how).fit(split.train, features) for _ in range(2)
    )
    np.testing.assert_array_equal(first.score([0, 5]), second.score([0, 5]))
    assert first.cosines == second.cosines and tuple(first.cosines) == TASKS
    assert all(-1 <= value <= 1 and value for value in first.cosines.values())


def test_each_task_is_learnt(split, features, labels):
    tower = SeveralTasks(
        weight=1, labels=labels, **SHORT | {"steps": 150}, warm_up=0, learning_rate=0.01,
        dropout=0, history_dropout=0,
    ).fit(split.train, features)  # fmt: skip
    heads, warm = tower.network.heads, ~cold_items(split)
    v, h = tower.item_vectors(), tower.history_vectors
    z = np.hstack([v, h])
    kinds = np.argmax(heads.kind(z), axis=1)
    assert (kinds == labels.kind.argmax(axis=1))[warm].mean() > 0.6  # 1 of 8 by chance
    log = split.train.log
    q = tower._q
    q, items = q[log["user"]], log["item"].to_numpy()
    guess = (q * v[items]) @ heads.product.numpy()
    guess += heads.of_item(v[items]).numpy()[:, 0] + heads.of_user(q).numpy()[:, 0]
    assert np.corrcoef(guess, labels.rating[log["row"]])[0, 1] > 0.3
    before, after = labels.words[warm][:, :-1], labels.words[warm][:, 1:]
    hidden = tf.nn.gelu(heads.before(before) + heads.item(z[warm])[:, None])
    guess = tf.nn.log_softmax(heads.after(hidden)).numpy()
    nats = -np.take_along_axis(guess, after[..., None], axis=2)[..., 0][after > 0].mean()
    share = np.bincount(after[after > 0]) / (after > 0).sum()
    assert nats < -(share[share > 0] * np.log(share[share > 0])).sum() - 0.5  # words alone


@eager
def test_what_is_saved_serves_like_any_other(split, features, labels, tmp_path):
    tower = SeveralTasks(labels=labels, **SHORT).fit(split.train, features)
    loaded = Recommender.load(tower.save(tmp_path / "tower"))
    np.testing.assert_array_equal(loaded.score([1, 2]), tower.score([1, 2]))
    assert loaded.labels is None and loaded.options()["tasks"] == TASKS


@eager
def test_nothing_is_learnt_of_items_that_are_held_back(data):
    everything = Interactions.of(data.interactions, items=data.items["item"])
    firsts = ~everything.log.duplicated(["user", "item"]).to_numpy()
    split = cold_items_split(everything.where(firsts), 0.1, 0.2, seed=0)
    cold = cold_items(split)
    features = ready_features(data, ~cold)[0]
    whole = labels_of(data, np.ones(data.n_items, bool))
    assert not labels_of(data, ~cold).kind[cold].any()
    other = replace(
        whole, kind=np.where(cold[:, None], 1 - whole.kind, whole.kind),
        words=np.where(cold[:, None], 5, whole.words),
    )  # fmt: skip
    scores = [
        SeveralTasks(labels=each, **SHORT).fit(split.train, features).score([0, 3])
        for each in (whole, other)
    ]
    np.testing.assert_array_equal(*scores)


def test_the_labels_are_part_of_what_it_depends_on(split, features, labels):
    other = replace(labels, rating=labels.rating[::-1].copy())
    one, two, again = (
        SeveralTasks(labels=each).depends(split.train, features) for each in (labels, other, labels)
    )
    assert repr(one) == repr(again) and not np.array_equal(one[-1][1], two[-1][1])


@pytest.mark.slow
def test_an_interrupted_run_goes_on(split, features, labels, tmp_path, monkeypatch):
    options = SHORT | {"steps": 40, "validate_every": 20}
    whole = SeveralTasks(labels=labels, **options, project=True)
    whole.fit(split.train, features, split.validation)
    broken = SeveralTasks(labels=labels, **options, project=True)
    calls: list[int] = []

    def interrupt(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return quality(*given)

    with monkeypatch.context() as patch:
        patch.setattr(recommender, "quality", interrupt)
        with pytest.raises(KeyboardInterrupt):
            broken.fit(split.train, features, split.validation, resume=tmp_path)
    broken.fit(split.train, features, split.validation, resume=tmp_path)
    np.testing.assert_array_equal(broken.score([0, 1]), whole.score([0, 1]))
    assert broken.cosines == whole.cosines


def test_the_surgery_of_gradients_is_that_of_the_equation():
    generator = np.random.default_rng(0)
    for n_tasks in (2, 4):
        gradients = generator.standard_normal((n_tasks, 30)).astype(np.float32)
        orders = np.argsort(generator.random((n_tasks, n_tasks)), axis=1)
        ours = several_tasks.without_conflict(tf.constant(gradients), tf.constant(orders))
        theirs = multi_task.without_conflict(gradients, orders)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        cosines = several_tasks._cosines(tf.constant(gradients))
        for task in range(1, n_tasks):
            wanted = multi_task.gradient_cosine(gradients[0], gradients[task])
            assert float(cosines[task - 1]) == pytest.approx(wanted, abs=1e-5)


def test_gradients_that_agree_stay_as_they_are():
    gradients = np.array([[1.0, 0.0], [1.0, 1.0]])
    orders = np.array([[0, 1], [0, 1]])
    assert multi_task.without_conflict(gradients, orders).tolist() == [2.0, 1.0]
    against = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert multi_task.without_conflict(against, orders).tolist() == [0.0, 0.0]


def test_the_best_variances_are_the_losses_themselves():
    losses, scale = np.array([2.0, 0.3]), np.array([1.0, 0.5])
    best = np.log(2 * scale * losses)  # where the derivative by s is 0
    least = multi_task.uncertainty_weighted(losses, best, scale)
    for move in ([0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]):
        assert multi_task.uncertainty_weighted(losses, best + move, scale) > least


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["colour"]}, "there is no task 'colour'"),
        ({"weighting": "luck"}, "weighting is 'luck'"),
        ({"weight": -1.0}, "weight is -1.0"),
        ({"labels": None}, "no labels for kind, rating, words"),
        ({"labels": Labels(None, None, None)}, "no labels for kind"),
    ],
)
def test_what_makes_no_sense_is_refused(split, features, labels, options, message):
    with pytest.raises(ValueError, match=message):
        SeveralTasks(**{"labels": labels, **options}).fit(split.train, features)

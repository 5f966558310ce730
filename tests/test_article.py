"""The article's network: its layers, its parameters by formula, its recommendations."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.article import ArticleNetwork, build_network, count_parameters
from mmtutorial.interactions import Interactions

SIZES = {
    "vocab_size": 50,
    "embedding_size": 4,
    "lstm_units": 5,
    "height": 9,
    "width": 8,
    "channels": 3,
    "timesteps": 6,
    "features": 7,
    "num_classes": 11,
}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_network(**SIZES)


CHAINS = [  # each branch of the listing, from its input to where all meet, and on to the end
    ["text", "embedded_text", "lstm_output", "combined_output"],
    ["image", "conv_output", "max_pool_output", "flat_output", "combined_output"],
    ["audio", "rnn_output", "combined_output"],
    ["combined_output", "dense_output", "output"],
]
KINDS = {
    "embedded_text": "Embedding",
    "lstm_output": "LSTM",
    "conv_output": "Conv2D",
    "max_pool_output": "MaxPooling2D",
    "flat_output": "Flatten",
    "rnn_output": "LSTM",
    "combined_output": "Concatenate",
    "dense_output": "Dense",
    "output": "Dense",
}


def test_the_layers_are_those_of_the_listing_in_its_order(network: keras.Model) -> None:
    kinds = {layer.name: type(layer).__name__ for layer in network.layers}
    assert kinds == {**dict.fromkeys(("text", "image", "audio"), "InputLayer"), **KINDS}
    followers = {
        layer.name: [node.operation.name for node in layer._outbound_nodes]
        for layer in network.layers
    }
    for chain in CHAINS:
        for before, after in pairwise(chain):
            assert followers[before] == [after]
    joined = network.get_layer("combined_output")._inbound_nodes[0].input_tensors
    assert [tensor._keras_history.operation.name for tensor in joined] == [
        "lstm_output",
        "flat_output",
        "rnn_output",
    ]
    convolution = network.get_layer("conv_output")
    assert (convolution.filters, convolution.kernel_size) == (32, (3, 3))
    assert convolution.activation is keras.activations.relu
    assert network.get_layer("max_pool_output").pool_size == (2, 2)
    hidden, softmax = network.get_layer("dense_output"), network.get_layer("output")
    assert (hidden.units, hidden.activation) == (128, keras.activations.relu)
    assert (softmax.units, softmax.activation) == (11, keras.activations.softmax)
    assert isinstance(network.optimizer, keras.optimizers.Adam)
    assert network.loss == "categorical_crossentropy"


def test_the_shapes_and_the_order_of_the_inputs(network: keras.Model) -> None:
    assert [each.name for each in network.inputs] == ["text", "image", "audio"]
    assert [each.shape for each in network.inputs] == [(None, None), (None, 9, 8, 3), (None, 6, 7)]
    (joined,) = [each for each in network.layers if isinstance(each, keras.layers.Concatenate)]
    assert joined.output.shape == (None, 5 + 32 * 3 * 3 + 5)
    output = network.predict(
        [np.ones((2, 4), "int32"), np.zeros((2, 9, 8, 3)), np.zeros((2, 6, 7))], verbose=0
    )
    assert output.shape == (2, 11)
    np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-5)


def test_unrolled_for_a_known_length_it_says_what_the_listing_says(network: keras.Model) -> None:
    unrolled = build_network(**SIZES, words=4)
    unrolled.set_weights(network.get_weights())
    generator = np.random.default_rng(0)
    inputs = [
        generator.integers(0, 50, (3, 4), dtype=np.int32),
        generator.random((3, 9, 8, 3)),
        generator.standard_normal((3, 6, 7)),
    ]
    assert unrolled.get_layer("lstm_output").unroll and unrolled.get_layer("rnn_output").unroll
    np.testing.assert_allclose(
        unrolled.predict(inputs, verbose=0), network.predict(inputs, verbose=0), rtol=1e-5
    )


@settings(max_examples=3, deadline=None)
@given(
    st.fixed_dictionaries(
        {name: st.integers(4 if name in ("height", "width") else 1, 13) for name in SIZES}
    )
)
def test_the_number_of_parameters_follows_the_formula(sizes: dict[str, int]) -> None:
    keras.utils.clear_session()
    assert build_network(**sizes).count_params() == count_parameters(**sizes)


SOME = [["text"], ["image"], ["audio"], ["text", "image"], ["text", "audio"], ["image", "audio"]]


@pytest.mark.parametrize("names", SOME, ids="+".join)
def test_with_some_modalities_the_branches_of_the_others_are_gone(names: list[str]) -> None:
    one = build_network(**SIZES, modalities=names)
    kept = {layer for chain in CHAINS[:3] if chain[0] in names for layer in chain[:-1]}
    joined = {"combined_output"} if len(names) > 1 else set()
    assert {layer.name for layer in one.layers} == kept | joined | {"dense_output", "output"}
    assert [each.name for each in one.inputs] == names
    rest = [name for name in ("text", "image", "audio") if name not in names]
    without = count_parameters(**SIZES, modalities=rest)
    shared = 128 + SIZES["num_classes"] * 129  # the dense layer's bias, and the softmax
    assert count_parameters(**SIZES) == one.count_params() + without - shared


def test_by_hand_the_parameters_of_the_article_at_a_familiar_size() -> None:
    sizes = {
        **dict.fromkeys(("embedding_size", "lstm_units"), 32),
        **{"vocab_size": 1000, "height": 32, "width": 32, "channels": 3},
        **{"timesteps": 32, "features": 20, "num_classes": 640},
    }
    embedding, text, convolution, audio = 32_000, 8_320, 896, 6_784
    dense, softmax = (32 + 32 + 15 * 15 * 32) * 128 + 128, 640 * 129
    assert count_parameters(**sizes) == embedding + text + convolution + audio + dense + softmax


def content(n_items: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "text": generator.integers(1, 30, (n_items, 5), dtype=np.int32),
        "image": generator.random((n_items, 8, 8, 3), dtype=np.float32),
        "audio": generator.standard_normal((n_items, 6, 4), dtype=np.float32),
    }


def rounds(n_items: int, n_users: int, length: int) -> Interactions:
    """Shoppers who walk through the catalogue in a circle: what comes next is certain."""
    return Interactions.of(
        [
            (f"u{user:02d}", f"i{(user + step) % n_items:02d}", step)
            for user in range(n_users)
            for step in range(length)
        ],
        items=[f"i{row:02d}" for row in range(n_items)],
    )


def test_it_trains_as_the_listing_does_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, object] = {}

    def fit(model: keras.Model, examples: object, **options: object) -> object:
        asked.update(options, batch=next(iter(examples))[1].shape[0])  # type: ignore[call-overload]
        return type("History", (), {"history": {}})

    monkeypatch.setattr(keras.Model, "fit", fit)
    ArticleNetwork().fit(rounds(n_items=6, n_users=30, length=3), content(6))
    assert (asked["epochs"], asked["batch"]) == (10, 32)


def test_it_learns_what_comes_next_and_recommends_it() -> None:
    train = rounds(n_items=12, n_users=36, length=8)
    network = ArticleNetwork(epochs=30, lstm_units=8, embedding_size=8, verbose=0)
    network.fit(train, content(12), validation=train)
    losses = network.history["loss"]
    assert losses[-1] < losses[0] / 2
    assert len(network.history["val_loss"]) == 30
    users = np.arange(train.n_users)
    following = (train.last_items() + 1) % 12
    assert (network.recommend(users, k=1, exclude_seen=False)[:, 0] == following).mean() > 0.9
    seen = train.matrix.toarray()
    best = network.recommend(users, k=4)
    assert not np.take_along_axis(seen, best, axis=1).any()


@pytest.mark.usefixtures("eager")
def test_the_same_seed_gives_the_same_scores() -> None:
    train = rounds(n_items=6, n_users=8, length=4)
    scores = [
        ArticleNetwork(epochs=2, seed=seed, verbose=0).fit(train, content(6)).score([0, 5])
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.usefixtures("eager")
def test_loops_and_unrolled_ones_compute_the_same() -> None:
    train = rounds(n_items=6, n_users=8, length=4)
    one, other = (
        ArticleNetwork(4, 4, epochs=1, verbose=0, unroll=unroll).fit(train, content(6))
        for unroll in (True, False)
    )
    assert [each.get_layer("lstm_output").unroll for each in (one.model, other.model)] == [
        True,
        False,
    ]
    np.testing.assert_allclose(other.score([0, 5]), one.score([0, 5]), rtol=1e-3)


@pytest.mark.usefixtures("eager")
def test_a_user_without_history_is_served() -> None:
    train = rounds(n_items=6, n_users=4, length=3)
    with_stranger = Interactions(train.log, np.append(train.users, "zoe"), train.items)
    network = ArticleNetwork(epochs=1, verbose=0).fit(with_stranger, content(6))
    assert (network.recommend([4], k=6) >= 0).all()
    assert np.isfinite(network.score([4])).all()


@pytest.mark.parametrize("name", ["text", "image", "audio"])
def test_one_branch_learns_from_its_modality_alone(name: str) -> None:
    train = rounds(n_items=8, n_users=24, length=6)
    features = {name: content(8)[name]}
    network = ArticleNetwork(8, 8, epochs=60, verbose=0, modalities=[name]).fit(train, features)
    assert network.parameters == count_parameters(**network.sizes(features), modalities=[name])
    following = (train.last_items() + 1) % 8
    best = network.recommend(np.arange(train.n_users), k=1, exclude_seen=False)[:, 0]
    assert (best == following).mean() > 0.7


@pytest.mark.usefixtures("eager")
def test_a_branch_does_not_read_what_another_would() -> None:
    train = rounds(n_items=6, n_users=8, length=4)
    other = content(6, seed=1) | {"audio": content(6)["audio"]}
    scores = [
        ArticleNetwork(4, 4, epochs=1, verbose=0, modalities=["audio"]).fit(train, given).score([0])
        for given in (content(6), other)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.usefixtures("eager")
def test_saved_with_two_modalities_it_reads_the_same_two(tmp_path: Path) -> None:
    train = rounds(n_items=6, n_users=8, length=4)
    before = ArticleNetwork(4, 4, epochs=1, verbose=0, modalities=["image", "text"])
    before.fit(train, content(6))
    after = ArticleNetwork.load(before.save(tmp_path / "two"))
    np.testing.assert_array_equal(after.score([0, 3]), before.score([0, 3]))


@pytest.mark.parametrize("names", [[], ["smell"]])
def test_unknown_modalities_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="one or more of text, image, audio are needed"):
        ArticleNetwork(modalities=names).fit(rounds(4, 2, 2), content(4))


def test_what_it_cannot_learn_from_is_said() -> None:
    train = rounds(n_items=6, n_users=4, length=3)
    features = content(6)
    del features["audio"]
    with pytest.raises(
        ValueError, match=r"reads text and image and audio here; \['audio'\] missing"
    ):
        ArticleNetwork().fit(train, features)
    with pytest.raises(ValueError, match="no user took two items"):
        ArticleNetwork().fit(rounds(n_items=6, n_users=4, length=1), content(6))


@pytest.mark.usefixtures("eager")
def test_saved_and_loaded_it_scores_the_same_to_the_last_bit(tmp_path: Path) -> None:
    train = rounds(n_items=6, n_users=8, length=4)
    before = ArticleNetwork(epochs=1, lstm_units=4, verbose=0)
    before.fit(train, content(6), validation=train)
    after = ArticleNetwork.load(before.save(tmp_path / "article"))
    np.testing.assert_array_equal(after.score(np.arange(8)), before.score(np.arange(8)))
    np.testing.assert_array_equal(after.recommend([3, 1], k=2), before.recommend([3, 1], k=2))
    assert after.options() == before.options()
    assert after.history == before.history
    assert sorted(after.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    damaged = (tmp_path / "article" / "network.keras").read_bytes()
    (tmp_path / "article" / "network.keras").write_bytes(damaged[: len(damaged) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        ArticleNetwork.load(tmp_path / "article")

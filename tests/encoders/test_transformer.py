"""The small GPT and BERT, and MiniLM read into the same blocks."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from mmtutorial.encoders.text import (
    PretrainedEncoder,
    log_probabilities,
    minilm_folder,
    next_word,
    train_next_word,
)
from mmtutorial.encoders.transformer import (
    MiniLM,
    attention_maps,
    gpt,
    hide_words,
    masked_word_model,
    read_safetensors,
    sentence_encoder,
    train_masked_words,
)
from mmtutorial.equations.activations import softmax
from mmtutorial.equations.attention import causal_mask, padding_mask
from mmtutorial.preprocessing.text import END, PADDING, START
from mmtutorial.storage.networks import load_network

SIZE = 12
TEXTS = [[4, 5, 6], [7], [], [8, 9, 10, 11, 4, 5], [6, 6]]
SMALL = {"length": 16, "units": 8, "heads": 2, "n_blocks": 2}


def gpt_of(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return gpt(SIZE, **SMALL)


def bert_of(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return masked_word_model(SIZE, **SMALL)


class TestGPT:
    def test_a_word_depends_on_those_before_it_only(self) -> None:
        model = gpt_of()
        one, other = (
            model(np.array([[START, 4, 5, last]], dtype="int32")).numpy() for last in (6, 9)
        )
        np.testing.assert_allclose(one[:, :3], other[:, :3], atol=1e-6)
        assert np.abs(one[:, 3] - other[:, 3]).max() > 1e-4

    def test_its_conditionals_sum_to_one(self) -> None:
        found = next_word(gpt_of())(np.array([[START, 4, 5], [START, 9, 9]]))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        assert not found[:, [PADDING, START]].any()

    def test_it_is_scored_by_the_chain_rule_on_the_ngrams_tokens(self) -> None:
        model = gpt_of()
        expected = []
        for each in TEXTS:
            tokens = [START, *each, END]
            p = softmax(model(np.array([tokens[:-1]], dtype="int32")).numpy()[0].astype(float))
            expected += np.log(p[np.arange(len(tokens) - 1), tokens[1:]]).tolist()
        found = log_probabilities(model, TEXTS, batch_size=2)
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_it_learns_a_rule_that_needs_memory(self) -> None:
        generator = np.random.default_rng(0)
        texts = [[first, 9, 9, first] for first in generator.integers(4, 8, 400)]
        keras.utils.set_random_seed(1)
        model = gpt(SIZE, 8, 16, 2, 1, learning_rate=0.01)
        train_next_word(model, texts, epochs=12, batch_size=20, seed=3)
        found = log_probabilities(model, texts).reshape(-1, 5)
        assert found[:, 3].mean() > -0.1  # the word is three places back
        assert found[:, 0].mean() == pytest.approx(-np.log(4), abs=0.1)

    @pytest.mark.usefixtures("eager")
    def test_training_repeats_by_seed(self) -> None:
        first, again, other = (
            train_next_word(gpt_of(seed), TEXTS * 2, epochs=2, batch_size=5, seed=seed)
            for seed in (3, 3, 4)
        )
        assert first == again != other

    def test_longer_texts_than_positions_are_refused(self) -> None:
        with pytest.raises(Exception, match=r"(?i)shape|dimension"):
            gpt_of()(np.full((1, 17), 4))


class TestMaskedWords:
    def test_who_is_hidden_and_how(self) -> None:
        texts = [list(range(4, 12)) * 4] * 300
        inputs, targets = hide_words(texts, 40, SIZE, np.random.default_rng(0))
        chosen = targets != PADDING
        words = np.isin(inputs, [START, END, PADDING], invert=True)
        assert chosen.sum() / words.sum() == pytest.approx(0.15, abs=0.01)
        assert not chosen[:, 0].any() and not chosen[inputs == END].any()
        hidden = (inputs == SIZE)[chosen].mean()
        assert hidden == pytest.approx(0.8, abs=0.02)
        assert (inputs == targets)[chosen].mean() == pytest.approx(0.1 + 0.1 / 8, abs=0.02)
        assert (inputs[~chosen] != SIZE).all() and inputs.max() == SIZE
        clear = np.where(chosen, targets, inputs)
        assert clear[0].tolist() == [START, *texts[0], END]

    def test_texts_are_cut_and_padded(self) -> None:
        inputs, targets = hide_words(TEXTS, 5, SIZE, np.random.default_rng(0), share=0.0)
        assert inputs.tolist() == [
            [START, 4, 5, 6, END],
            [START, 7, END, 0, 0],
            [START, END, 0, 0, 0],
            [START, 8, 9, 10, END],
            [START, 6, 6, END, 0],
        ]
        assert not targets.any() and inputs.dtype == targets.dtype == np.int32
        with pytest.raises(ValueError, match="length is 2"):
            hide_words(TEXTS, 2, SIZE, np.random.default_rng(0))

    def test_padding_changes_nothing_and_both_sides_count(self) -> None:
        model = bert_of()
        short = model(np.array([[START, 4, SIZE, 5, END]])).numpy()
        padded = model(np.array([[START, 4, SIZE, 5, END, 0, 0]])).numpy()
        np.testing.assert_allclose(padded[:, :5], short, atol=1e-5)
        for changed in ([START, 6, SIZE, 5, END], [START, 4, SIZE, 6, END]):
            assert np.abs(model(np.array([changed])).numpy() - short)[0, 2].max() > 1e-4

    def test_it_learns_a_word_from_the_right(self) -> None:
        """The first of two words is known only once the second is: no GPT could."""
        generator = np.random.default_rng(0)
        texts = [[first, 9, 9, first] for first in generator.integers(4, 8, 400)]
        keras.utils.set_random_seed(1)
        model = masked_word_model(SIZE, 8, 16, 2, 1, learning_rate=0.01)
        history = train_masked_words(model, texts, epochs=20, batch_size=20, seed=3)
        assert history[-1] < history[0]
        asked = np.array([[START, SIZE, 9, 9, first, END] for first in range(4, 8)])
        assert model(asked).numpy()[:, 1].argmax(axis=1).tolist() == [4, 5, 6, 7]
        with pytest.raises(ValueError, match="no text"):
            train_masked_words(model, [])

    @pytest.mark.usefixtures("eager")
    def test_training_repeats_by_seed(self) -> None:
        found = [train_masked_words(bert_of(), TEXTS * 9, epochs=2, seed=5) for _ in range(2)]
        assert found[0] == found[1]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("make", [gpt_of, bert_of])
def test_saves_and_loads(make: object, tmp_path: Path) -> None:
    model = make()  # type: ignore[operator]
    model.train_on_batch(np.array([[START, 4, 5]]), np.array([[4, 5, END]]))
    model.save(tmp_path / "model.keras")
    words = np.array([[START, 4, 5, 0]])
    loaded = load_network(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(words), model(words))


def test_maps_are_those_that_keras_computes() -> None:
    words = np.array([[START, 4, 5, 6]])
    model = gpt_of()
    maps = attention_maps(model, words, causal_mask(4))
    layer = model.get_layer("block_2_attention")
    x = keras.Model(model.input, layer.input[0])(words)
    theirs = layer(x, x, use_causal_mask=True, return_attention_scores=True)[1]
    np.testing.assert_allclose(maps[1], theirs, atol=1e-6)
    assert len(maps) == 2 and not maps[0][..., ~causal_mask(4)].any()
    of_one_block = attention_maps(gpt(SIZE, 8, 8, heads=2, n_blocks=1), words)
    assert [each.shape for each in of_one_block] == [(1, 2, 4, 4)]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    try:
        return MiniLM()
    except ImportError:
        pytest.skip("the weights are not installed")


class TestMiniLM:
    def test_it_equals_keras_hub_s(self, minilm: MiniLM) -> None:
        pytest.importorskip("keras_hub")
        texts = ["I love this dress.", "Too small, but not bad at all!", "returned", ""]
        theirs = PretrainedEncoder(minilm_folder()).encode(texts)
        np.testing.assert_allclose(minilm.encode(texts), theirs, atol=1e-3)
        for layer in minilm.network.layers:  # keras-hub takes GELU's approximation by tanh
            if layer.name.endswith("widen"):
                layer.activation = partial(keras.activations.gelu, approximate=True)
        found = minilm.encode(texts)
        for layer in minilm.network.layers:
            if layer.name.endswith("widen"):
                layer.activation = keras.activations.gelu
        np.testing.assert_allclose(found, theirs, atol=1e-5)

    def test_it_knows_what_is_alike(self, minilm: MiniLM) -> None:
        found = minilm.encode(
            ["I love this dress.", "What a wonderful gown!", "The train was late again."]
        )
        alike = found @ found.T
        assert found.shape == (3, 384)
        np.testing.assert_allclose(np.diag(alike), 1, atol=1e-5)
        assert alike[0, 1] > alike[0, 2] + 0.3

    def test_its_words_and_maps(self, minilm: MiniLM) -> None:
        words = minilm.read(["a soft shirt", "unaffordable"], length=4)
        assert words.shape == (2, 4) and (words[:, 0] == words[0, 0]).all()
        maps = attention_maps(minilm.network, words, padding_mask(words))
        assert [each.shape for each in maps] == [(2, 12, 4, 4)] * 6

    def test_a_mean_leaves_out_padding(self, minilm: MiniLM) -> None:
        encoder = sentence_encoder(minilm.network)
        words = minilm.read(["soft"])
        padded = np.pad(words, ((0, 0), (0, 5)))
        np.testing.assert_allclose(encoder(words), encoder(padded), atol=1e-5)


class TestSafetensors:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        a, b = np.arange(6, dtype="<f4").reshape(2, 3), np.array([7], dtype="<i8")
        about = {
            "__metadata__": {"format": "np"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
        }
        text = json.dumps(about).encode()
        path = tmp_path / "model.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + a.tobytes() + b.tobytes())
        found = read_safetensors(path)
        np.testing.assert_array_equal(found["a"], a)
        np.testing.assert_array_equal(found["b"], b)

    @pytest.mark.parametrize("content", [b"", b"\xff" * 30, b"\2\0\0\0\0\0\0\0[]"])
    def test_damage_is_named(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "model.safetensors"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
            read_safetensors(path)

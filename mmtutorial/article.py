"""The network of the article's section 5.2, to the letter, and a recommender around it.

The listing leaves ``vocab_size``, ``embedding_size``, ``lstm_units``, the shapes of image and
audio, ``num_classes`` and the labels undefined. It gives *one* text, *one* image and *one* sound
per example, and a softmax over classes with categorical cross-entropy. A class per item of the
catalogue is the reading under which this is a recommender: the three inputs are the content of
the item a shopper took last, and the label is the item that the same shopper took next.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import keras, keras_defaults, layers
from mmtutorial.recommenders.base import Features, Recommender
from mmtutorial.storage.arrays import under
from mmtutorial.storage.epochs import KeepEpochs
from mmtutorial.storage.networks import load_network

MODALITIES = ("text", "image", "audio")
FILTERS, KERNEL, POOL, DENSE = 32, 3, 2, 128  # the numbers that the listing does give
EPOCHS, BATCH = 10, 32


@keras_defaults()
def build_network(
    *,
    vocab_size: int,
    embedding_size: int,
    lstm_units: int,
    height: int,
    width: int,
    channels: int,
    timesteps: int,
    features: int,
    num_classes: int,
    words: int | None = None,
) -> keras.Model:
    """Build and compile the article's network (section 5.2), layer by layer in its order.

    Parameters
    ----------
    vocab_size, embedding_size, lstm_units : int
        Text: words known, length of a word vector, length of the LSTM's state (both LSTMs).
    height, width, channels : int
        Image, in pixels.
    timesteps, features : int
        Sound: frames, and numbers per frame.
    num_classes : int
        What the softmax chooses among: here, the items of the catalogue.
    words : int, optional
        Length of every text. The listing leaves it open (None); where it is known, both LSTMs are
        unrolled into one graph: the same equations and weights, longer to build, faster a step.

    Returns
    -------
    keras.Model
        Inputs text int32 (batch, words), image float32 (batch, height, width, channels), audio
        float32 (batch, timesteps, features); output float32 (batch, num_classes), rows sum to 1.
        Compiled with Adam, categorical cross-entropy and accuracy. The layers are named after the
        variables of the listing.

    Examples
    --------
    >>> sizes = dict(vocab_size=50, embedding_size=4, lstm_units=5, height=8, width=8, channels=3,
    ...              timesteps=6, features=7, num_classes=9)
    >>> build_network(**sizes).count_params() == count_parameters(**sizes)
    True
    """
    unroll = words is not None
    text_input = layers.Input(shape=(words,), dtype="int32", name="text")
    embedded_text = layers.Embedding(vocab_size, embedding_size, name="embedded_text")(text_input)
    lstm_output = layers.LSTM(lstm_units, unroll=unroll, name="lstm_output")(embedded_text)

    image_input = layers.Input(shape=(height, width, channels), name="image")
    conv_output = layers.Conv2D(FILTERS, (KERNEL, KERNEL), activation="relu", name="conv_output")(
        image_input
    )
    max_pool_output = layers.MaxPooling2D((POOL, POOL), name="max_pool_output")(conv_output)
    flat_output = layers.Flatten(name="flat_output")(max_pool_output)

    audio_input = layers.Input(shape=(timesteps, features), name="audio")
    rnn_output = layers.LSTM(lstm_units, unroll=unroll, name="rnn_output")(audio_input)

    combined_output = layers.concatenate(
        [lstm_output, flat_output, rnn_output], name="combined_output"
    )
    dense_output = layers.Dense(DENSE, activation="relu", name="dense_output")(combined_output)
    output = layers.Dense(num_classes, activation="softmax", name="output")(dense_output)

    model = keras.Model(inputs=[text_input, image_input, audio_input], outputs=output)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def count_parameters(
    *,
    vocab_size: int,
    embedding_size: int,
    lstm_units: int,
    height: int,
    width: int,
    channels: int,
    timesteps: int,
    features: int,
    num_classes: int,
) -> int:
    r"""Count the parameters of the article's network from its sizes alone.

    With V words, E embedding size, L LSTM units, H×W×C the image, F audio features, K classes:

    .. math::
        & V E + 4L(E + L + 1) + 32(9C + 1) + 4L(F + L + 1) \\
        & + 128(2L + 32\lfloor\tfrac{H-2}{2}\rfloor\lfloor\tfrac{W-2}{2}\rfloor + 1) + K(128 + 1)

    An LSTM has four gates, each with a kernel, a recurrent kernel and a bias. ``timesteps`` does
    not occur: a recurrence uses the same weights at every step. See `build_network` for the
    arguments and an example.
    """
    embedding = vocab_size * embedding_size
    text_lstm = 4 * lstm_units * (embedding_size + lstm_units + 1)
    convolution = FILTERS * (KERNEL * KERNEL * channels + 1)
    audio_lstm = 4 * lstm_units * (features + lstm_units + 1)
    pooled = ((height - KERNEL + 1) // POOL) * ((width - KERNEL + 1) // POOL)
    dense = DENSE * (2 * lstm_units + FILTERS * pooled + 1)
    softmax = num_classes * (DENSE + 1)
    return embedding + text_lstm + convolution + audio_lstm + dense + softmax


class ArticleNetwork(Recommender):
    """Recommends what the article's network thinks comes after the item a user took last.

    ``fit`` needs the features "text" int32 (n_items, words), "image" float32 (n_items, height,
    width, channels) and "audio" float32 (n_items, timesteps, features). A user without any
    interaction is shown as an item without content: no words, a black picture, the mean sound.

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
    ) -> None:
        self.embedding_size = embedding_size
        self.lstm_units = lstm_units
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed
        self.verbose = verbose

    def sizes(self, features: Features) -> dict[str, int]:
        """Return the arguments of `build_network` for these features."""
        missing = [name for name in MODALITIES if name not in features]
        if missing:
            raise ValueError(
                f"the article's network reads text, image and audio; {missing} missing"
            )
        _, height, width, channels = features["image"].shape
        n_items, timesteps, audio_features = features["audio"].shape
        return {
            "vocab_size": int(features["text"].max()) + 1,
            "embedding_size": self.embedding_size,
            "lstm_units": self.lstm_units,
            "height": height,
            "width": width,
            "channels": channels,
            "timesteps": timesteps,
            "features": audio_features,
            "num_classes": n_items,
        }

    @keras_defaults()
    def _learn(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
    ) -> None:
        sizes = self.sizes(features)
        pairs = train.next_pairs()
        if not len(pairs[0]):
            raise ValueError("no user took two items: there is no next item to learn from")
        keras.utils.set_random_seed(self.seed)
        tf.config.experimental.enable_op_determinism()
        self.model = build_network(**sizes, words=features["text"].shape[1])
        self._content = [
            tf.constant(np.concatenate([array, np.zeros_like(array[:1])]))
            for array in (
                np.asarray(features[name], np.int32 if name == "text" else np.float32)
                for name in MODALITIES
            )
        ]
        examples = self._examples(pairs, shuffle=True)
        keep = KeepEpochs(self.model, self._unfinished)
        for _ in range(2 * keep.done):  # for every epoch that is over, Keras had drawn its order
            iter(examples)  # and, at its end, one that it did not use
        self.model.fit(
            examples,
            validation_data=self._examples(_continuations(train, validation)),
            epochs=self.epochs,
            initial_epoch=keep.done,
            shuffle=False,  # the examples come shuffled
            verbose=self.verbose,
            callbacks=[keep],
        )
        self.history = keep.history

    def _examples(self, pairs: tuple[np.ndarray, np.ndarray] | None, shuffle: bool = False) -> Any:
        """Batches of (text, image, audio), one-hot next item, as a tf.data.Dataset, or None.

        Contents are gathered, not copied.
        """
        if pairs is None:
            return None
        n_items = len(self._content[0]) - 1
        examples = tf.data.Dataset.from_tensor_slices(pairs)
        if shuffle:
            examples = examples.shuffle(len(pairs[0]), seed=self.seed)

        def gather(
            last: tf.Tensor, following: tf.Tensor
        ) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
            content = tuple(tf.gather(array, last) for array in self._content)
            return content, tf.one_hot(following, n_items)

        return examples.batch(self.batch_size).map(gather).prefetch(2)

    @keras_defaults()
    def _score(self, users: np.ndarray) -> np.ndarray:
        last = self._fitted().last_items()[users]
        distinct, back = np.unique(last, return_inverse=True)
        contents = [tf.gather(array, distinct % len(array)) for array in self._content]
        return self.model.predict(contents, batch_size=256, verbose=0)[back]

    def _state(self) -> dict[str, np.ndarray]:
        contents = dict(zip(MODALITIES, (each.numpy() for each in self._content), strict=True))
        return contents | {f"history/{name}": np.array(v) for name, v in self.history.items()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._content = [tf.constant(state[name]) for name in MODALITIES]
        self.history = {name: v.tolist() for name, v in under("history/", state).items()}

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

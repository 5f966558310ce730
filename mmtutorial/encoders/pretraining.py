"""The article's encoders, each trained first on its own medium, without a label.

The LSTM of chapter 2 learns to predict the next word. The CNN of chapter 3 and the RNN of chapter 4
learn by contrast (Chen et al., 2020): of a batch of items, the network shall recognise each by
another version of its picture, or of its sound.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.encoders import audio, image, text
from mmtutorial.keras_settings import (
    deterministic_operations,
    keras,
    keras_defaults,
    layers,
    ops,
    seeded,
)
from mmtutorial.preprocessing.features import raw_features
from mmtutorial.preprocessing.reduce import standardise
from mmtutorial.preprocessing.text import PADDING, SPECIAL, UNKNOWN
from mmtutorial.storage.arrays import cached_array
from mmtutorial.storage.files import cached_place

UNITS = 64  # of each encoder's vector
EPOCHS = {"text": 12, "image": 40, "audio": 40}
BATCH = 128  # items that contrast compares
TEMPERATURE = 0.1


def article_features(data: Dataset, known: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Train the article's encoders on a catalogue's raw media, and encode every item once.

    The vectors are kept in the cache, by the media, the items learnt from, the seed and the code.

    Parameters
    ----------
    data : Dataset
        With raw media for at least one modality.
    known : ndarray
        bool (n_items,): the items that may be learnt from, such as those with a training
        interaction.
    seed : int
        Of first weights, of the order of batches, and of augmentations.

    Returns
    -------
    dict
        Each modality with raw media to float32 (n_items, 64), every entry with mean 0 and standard
        deviation 1 over the known items that have the modality. A row of zeros: the item lacks it.

    Raises
    ------
    ValueError
        If fewer than two known items have a modality.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> data = shop(n_items=40, n_users=30)
    >>> article_features(data, np.ones(40, bool))["text"].shape      # doctest: +SKIP
    (40, 64)
    """
    arrays, _ = raw_features(data, known)
    return {name: pretrained(name, array, known, seed) for name, array in arrays.items()}


def pretrained(name: str, array: np.ndarray, known: np.ndarray, seed: int = 0) -> np.ndarray:
    """Train the encoder of one modality, and encode every item.

    Parameters
    ----------
    name : {"text", "image", "audio"}
        Which encoder.
    array : ndarray
        One row an item, as from `mmtutorial.preprocessing.features.raw_features`; zeros where an
        item lacks the modality.
    known, seed
        As for `article_features`.

    Returns
    -------
    ndarray
        float32 (n_items, 64), standardised over the known items.

    Raises
    ------
    ValueError
        If fewer than two known items have the modality.
    """
    there = np.asarray(array.reshape(len(array), -1).any(axis=1))
    learnt_from = np.flatnonzero(known & there)
    if len(learnt_from) < 2:
        raise ValueError(
            f"{len(learnt_from)} items to learn from have {name}: an encoder needs two or more; "
            "leave the modality out"
        )

    def make() -> np.ndarray:
        vectors = np.zeros((len(array), UNITS), dtype=np.float32)
        with keras_defaults(), seeded(seed), deterministic_operations():
            encode = _language_model if name == "text" else _contrast
            vectors[there] = encode(name, array, learnt_from, seed)[there]
        return vectors

    sources = [Path(str(module.__file__)) for module in (audio, image, text)]
    about = {"media": array, "learnt from": learnt_from, "seed": seed}
    place = cached_place(f"pretrained-{name}", about, [*sources, Path(__file__)])
    return standardise(cached_array(place, make), present=there, fit_on=known)


def _language_model(name: str, array: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Predict the next word, and return the mean of each text's states."""
    size = max(int(array[rows].max()) + 1, len(SPECIAL))
    array = np.where(array < size, array, UNKNOWN)  # other words are of items held out
    texts = [row[row != PADDING].tolist() for row in array]
    length = array.shape[1] + 1  # with the start mark
    model = text.next_word_model(size, UNITS, UNITS, learning_rate=5e-3)
    text.train_next_word(
        model, [texts[row] for row in rows], length=length, epochs=EPOCHS[name], batch_size=32,
        seed=seed,
    )  # fmt: skip
    encoder = text.transfer(model, text.text_encoder(size, UNITS, UNITS, pooling="mean"))
    return np.asarray(encoder.predict(text.marked(texts, length), batch_size=256, verbose=0))


def _contrast(name: str, array: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    encoder = contrastive_encoder(name, array, rows, seed, EPOCHS[name])
    return np.asarray(encoder.predict(array, batch_size=256, verbose=0))


def contrastive_encoder(
    name: str, array: np.ndarray, rows: np.ndarray, seed: int, epochs: int
) -> keras.Model:
    """Train an encoder to recognise each item of a batch by another version of its medium.

    Parameters
    ----------
    name : {"image", "audio"}
        Which encoder.
    array, seed
        As for `pretrained`.
    rows : ndarray
        int (n,): the items to learn from.
    epochs : int
        Passes through them.

    Returns
    -------
    keras.Model
        From float32 (n, ...) to float32 (n, 64).

    Examples
    --------
    >>> pictures = np.random.default_rng(0).random((4, 8, 8, 3), dtype="float32")
    >>> contrastive_encoder("image", pictures, np.arange(4), seed=0, epochs=1).output_shape
    (None, 64)
    """
    if name == "image":
        height, width, channels = array.shape[1:]
        encoder, change = image.image_encoder(height, width, channels, UNITS), _other_picture()
    else:
        frames, coefficients = array.shape[1:]
        encoder = audio.audio_encoder(frames, coefficients, UNITS, masked=True)
        change = _other_sound()
    compare = keras.Sequential(  # its states are thrown away: they know only what contrast needs
        [layers.Dense(UNITS, "relu"), layers.Dense(UNITS), layers.UnitNormalization()]
    )
    given = layers.Input(array.shape[1:])
    one, other = (compare(encoder(change(given))) for _ in range(2))
    model = keras.Model(given, ops.matmul(one, ops.transpose(other)) / TEMPERATURE)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batch = min(BATCH, len(rows))
    batches = tf.data.Dataset.from_tensor_slices(array[rows]).shuffle(len(rows), seed)
    batches = batches.batch(batch, drop_remainder=True).map(lambda some: (some, tf.range(batch)))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return encoder


def _other_picture() -> keras.Sequential:
    """Mirror, move, enlarge, lighten or darken a picture at random; its colours stay."""
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
            layers.RandomZoom((-0.4, 0.0)),
            layers.RandomBrightness(0.2, value_range=(0.0, 1.0)),
        ]
    )


def _other_sound() -> keras.Sequential:
    """Leave frames and coefficients out of a sound, and rescale the rest; padding stays padding.

    After Park et al. (2019), SpecAugment.
    """
    return keras.Sequential(
        [
            layers.GaussianDropout(0.1),
            layers.SpatialDropout1D(0.2),
            layers.Dropout(0.3, noise_shape=(None, None, 1)),
        ]
    )

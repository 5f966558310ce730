"""The shop shows what each encoder is for: inequalities, each against a fair rival.

``make slow-tests`` checks one seed of pictures and sounds; ``pytest -m seeds`` checks the intervals over five,
and those of the reviews, whose language model takes longer to train.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import t as student
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmtutorial.datasets import load
from mmtutorial.encoders.audio import audio_encoder
from mmtutorial.encoders.image import image_encoder
from mmtutorial.encoders.text import (
    log_probabilities,
    marked,
    next_word_model,
    text_encoder,
    train_next_word,
    transfer,
)
from mmtutorial.equations.probability import perplexity
from mmtutorial.keras_settings import keras
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.text import Vocabulary, clean, tokenise

SEEDS = pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(1), marks=pytest.mark.slow),
        pytest.param(range(5), marks=pytest.mark.seeds),
    ],
    ids=["one", "five"],
)
LABELLED = 1000  # reviews whose stars are known, as in chapter 2


def at_least(values: Iterable[float]) -> float:
    """Return the lower end of the 95 % interval of a mean (Student's t), or the only value."""
    found = np.array(list(values))
    if len(found) == 1:
        return float(found[0])
    error = found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean() - student.ppf(0.975, len(found) - 1) * error)


def parts(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the rows into those to train on and those held out, as chapters 3 and 4 do."""
    rows = np.arange(len(labels))
    return tuple(train_test_split(rows, test_size=share, stratify=labels, random_state=seed))


def accuracy(
    network: keras.Model, x: np.ndarray, y: np.ndarray, split: tuple, rate: float, epochs: int
) -> float:
    """Train a classifier as the book does, and return its held-out accuracy."""
    train, test = split
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    network.fit(x[train], y[train], epochs=epochs, batch_size=32, verbose=0)
    return right(network, x[test], y[test])


def right(network: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share that a network classifies correctly."""
    return float((network.predict(x, verbose=0).argmax(axis=1) == y).mean())


def pictures(seed: int) -> dict[str, float]:
    """Return the held-out accuracy of a CNN, of dense networks and of neighbours in pixels."""
    data = load("shop", seed=seed)
    x, there, _ = encode_images([data.path(row, "image") for row in range(data.n_items)], size=64)
    x, y = x[there], np.unique(data.items["image_attribute"][there], return_inverse=True)[1]
    split = train, test = parts(y, 0.2, seed)

    def dense(units: int) -> keras.Model:
        entry = keras.Input(x.shape[1:])
        hidden = keras.layers.Flatten()(keras.layers.Rescaling(2, -1)(entry))
        hidden = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")(
            hidden
        )
        return keras.Model(entry, keras.layers.Dense(8, activation="softmax")(hidden))

    keras.utils.set_random_seed(seed)
    encoder = image_encoder(64, 64, units=64)
    network = keras.Sequential([encoder, keras.layers.Dense(8, activation="softmax")])
    sizes = {"dense": network.count_params() // (64 * 64 * 3 + 9), "dense, wider": 64}
    found = {"CNN": accuracy(network, x, y, split, 1e-3, 10)}
    for name, units in sizes.items():
        found[name] = accuracy(dense(units), x, y, split, 1e-3, 10)
    pixels = x.reshape(len(x), -1)
    for k in (1, 5):
        neighbours = KNeighborsClassifier(k).fit(pixels[train], y[train])
        found[f"{k} neighbours"] = neighbours.score(pixels[test], y[test])
    return found


@SEEDS
def test_a_cnn_beats_dense_networks_and_neighbours_in_pixels(seeds: range) -> None:
    found = [pictures(seed) for seed in seeds]
    for rival in found[0].keys() - {"CNN"}:
        assert at_least(each["CNN"] - each[rival] for each in found) >= 0.1, rival


def sounds(seed: int) -> dict[str, float]:
    """Return the held-out accuracy of an LSTM, forwards and backwards, and of a bag of frames."""
    data = load("shop", seed=seed)
    x, there, _ = encode_audio([data.path(row, "audio") for row in range(data.n_items)])
    x, y = x[there], np.unique(data.items["audio_attribute"][there], return_inverse=True)[1]
    split = train, test = parts(y, 0.25, seed)
    keras.utils.set_random_seed(seed)
    encoder = audio_encoder(*x.shape[1:], 64)
    network = keras.Model(
        encoder.input, keras.layers.Dense(8, activation="softmax")(encoder.output)
    )
    forwards = accuracy(network, x, y, split, 2e-3, round(400 * 32 / len(train)))
    backwards = x[test].copy()
    for sound in backwards:
        heard = sound.any(axis=1)
        sound[heard] = sound[heard][::-1]
    bag = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    frames = np.ma.masked_array(x, np.broadcast_to(~x.any(axis=2, keepdims=True), x.shape))
    moments = np.hstack([frames.mean(axis=1), frames.std(axis=1)]).filled(0)
    bag.fit(moments[train], y[train])
    return {
        "LSTM": forwards,
        "backwards": right(network, backwards, y[test]),
        "bag of frames": bag.score(moments[test], y[test]),
    }


@SEEDS
def test_an_rnn_beats_a_bag_of_frames_and_needs_their_order(seeds: range) -> None:
    found = [sounds(seed) for seed in seeds]
    assert at_least(each["LSTM"] - each["bag of frames"] for each in found) >= 0.1
    assert at_least(each["LSTM"] - each["backwards"] for each in found) >= 0.3


def weighed(words: list[list[str]], longest: int, *parts: np.ndarray) -> list[csr_matrix]:
    """Return tf-idf of the words, or of words and their pairs, fitted on the first of the parts."""
    weigher = TfidfVectorizer(
        analyzer=lambda row: [
            tuple(words[row][at : at + n])
            for n in range(1, longest + 1)
            for at in range(len(words[row]) - n + 1)
        ],
        min_df=2,
    ).fit(parts[0])
    return [weigher.transform(rows) for rows in parts]


def ridge(x: csr_matrix, watch_x: csr_matrix, test_x: csr_matrix, *stars: np.ndarray) -> float:
    """Return the test R² of ridge regression whose penalty the validation texts have chosen."""
    fitted = [Ridge(penalty).fit(x, stars[0]) for penalty in np.logspace(-2, 3, 11)]
    return max(fitted, key=lambda each: each.score(watch_x, stars[1])).score(test_x, stars[2])


def reviews(seed: int) -> dict[str, float]:
    """Return R² of the stars, by a language model that is tuned and by counts, and perplexity."""
    table = load("shop", seed=seed).interactions
    table = table[table["review"] != ""].drop_duplicates("review")
    table = table.sample(frac=1, random_state=seed)
    words = [tokenise(clean(text)) for text in table["review"]]
    stars = table["rating"].to_numpy(dtype=float)
    read, watch, test = np.split(
        np.arange(len(words)), [int(0.8 * len(words)), int(0.9 * len(words))]
    )
    vocabulary = Vocabulary.of((words[row] for row in read), max_size=2000)
    numbers = [vocabulary.encode(text) for text in words]
    keras.utils.set_random_seed(seed)
    model = next_word_model(len(vocabulary), 64, 64, learning_rate=5e-3)
    train_next_word(model, [numbers[row] for row in read], epochs=5, batch_size=32, seed=seed)

    labelled = np.random.default_rng(seed).choice(read, LABELLED, replace=False)
    watch, found = watch[:500], {}
    for name, longest in (("words counted", 1), ("pairs counted", 2)):
        rows = weighed(words, longest, labelled, watch, test)
        found[name] = ridge(*rows, *(stars[each] for each in (labelled, watch, test)))
    x = marked(numbers, 48)
    centre, spread = stars[labelled].mean(), stars[labelled].std()
    scaled = (stars - centre) / spread
    for name in ("language model", "from scratch"):
        keras.utils.set_random_seed(seed)
        encoder = text_encoder(len(vocabulary), 64, 64, "last")
        judge = keras.Sequential([encoder, keras.layers.Dense(1)])
        judge.compile(keras.optimizers.Adam(5e-3), loss="mse")
        judge(x[:1])
        if name == "language model":
            transfer(model, encoder)
        stop = keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
        judge.fit(
            x[labelled],
            scaled[labelled],
            validation_data=(x[watch], scaled[watch]),
            epochs=20,
            batch_size=64,
            validation_batch_size=500,
            verbose=0,
            callbacks=[stop],
        )
        guessed = centre + spread * judge.predict(x[test], batch_size=500, verbose=0)[:, 0]
        found[name] = r2_score(stars[test], guessed)
    found["perplexity"] = perplexity(log_probabilities(model, [numbers[row] for row in test], 128))
    return found


@pytest.fixture(scope="module")
def read() -> list[dict[str, float]]:
    """The reviews of five shops, as `reviews` measures them."""
    return [reviews(seed) for seed in range(5)]


@pytest.mark.seeds
def test_a_language_model_does_not_know_what_comes(read: list[dict[str, float]]) -> None:
    assert at_least(each["perplexity"] for each in read) > 6


@pytest.mark.seeds
@pytest.mark.parametrize("rival", ["words counted", "pairs counted"])
def test_a_language_model_that_is_tuned_beats_counts(
    read: list[dict[str, float]], rival: str
) -> None:
    assert at_least(each["language model"] - each[rival] for each in read) >= 0.1

"""The two-tower recommender: items from their content, users from what they took.

Behind the interface of `mmtutorial.recommenders.base`, like the baselines: another fusion, another
set of modalities or the item ids are one word of its options.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.encoders.audio import audio_encoder
from mmtutorial.encoders.image import image_encoder
from mmtutorial.encoders.text import WORD_VECTORS, text_encoder
from mmtutorial.fusion import FUSIONS, contrastive_loss, drop_modalities, make_fusion
from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import keras, keras_defaults, keras_rs, layers
from mmtutorial.metrics import ndcg
from mmtutorial.preprocessing.text import UNKNOWN
from mmtutorial.recommenders.base import Features, Recommender, Rows, check_rows, top_k
from mmtutorial.recommenders.content import as_dense
from mmtutorial.recommenders.inputs import REVIEWS, as_array
from mmtutorial.storage.arrays import under
from mmtutorial.storage.epochs import Epochs
from mmtutorial.storage.networks import load_network

POOLINGS = ("mean", "attention", "gru")
LOSSES = ("full", "in-batch")
_PLACES = 10  # of the validation lists that decide when to stop
_LONGEST = 64  # the last items of a history that a GRU reads
_BLOCK = 1024  # items or users encoded at a time once learning is over: bounds memory
_COLUMNS = 48  # of a table's row summed at a time
_AVERAGE = 0.98  # how much of the running mean of the weights is kept at each step, later on
_TINY = 1e-12  # stands for a probability or a count of 0
_TOWER, _READER = "item_tower.keras", "history_reader.keras"


@keras.saving.register_keras_serializable("mmtutorial")
class PartwiseDense(layers.Layer):
    """A dense layer without bias on each of ``parts`` equal parts of a vector; they never mix.

    >>> PartwiseDense(3, parts=2)(np.ones((5, 8))).shape
    TensorShape([5, 6])
    """

    def __init__(self, units: int, parts: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.parts = units, parts

    def build(self, shape: Any) -> None:
        """Make one matrix a part."""
        size = shape[-1] // self.parts
        self.matrices = [
            self.add_weight(shape=(size, self.units), name=f"part_{part}")
            for part in range(self.parts)
        ]

    def call(self, vectors: Any) -> Any:
        """Multiply: (n, parts · size) → (n, parts · units)."""
        cut = keras.ops.split(vectors, self.parts, axis=-1)
        return keras.ops.concatenate(
            [part @ matrix for part, matrix in zip(cut, self.matrices, strict=True)], axis=-1
        )

    def get_config(self) -> dict[str, Any]:
        """Return what Keras needs to make the layer again."""
        return {**super().get_config(), "units": self.units, "parts": self.parts}


@keras_defaults()
def modality_encoder(
    name: str, array: np.ndarray, units: int, dropout: float = 0.0, depth: int = 2
) -> keras.Model:
    """Build the encoder that fits how a modality is given: raw, or as ready-made features.

    Parameters
    ----------
    name : str
        Of the modality.
    array : ndarray
        int (n, words): numbers of words, through an LSTM (chapter 2); float (n, height, width,
        channels): pixels, through a CNN (chapter 3); float (n, frames, coefficients): a sound,
        through an LSTM (chapter 4); float (n, d): ready-made features, through dense layers.
    units : int
        Length of the vector.
    dropout : float
        Share of what goes into the last dense layer that is hidden in training.
    depth : int
        Dense layers for ready-made features: 1, linear, or more, with GELU between them.

    Raises
    ------
    ValueError
        For an array of another kind.

    Examples
    --------
    >>> modality_encoder("image", np.zeros((2, 8, 8, 3), "float32"), units=5).output_shape
    (None, 5)
    """
    whole = np.issubdtype(array.dtype, np.integer)
    sizes = array.shape[1:]
    if array.ndim == 2 and whole:
        encoder = text_encoder(int(array.max()) + 1, units, units, pooling="mean")
    elif array.ndim == 4 and not whole:
        encoder = image_encoder(sizes[0], sizes[1], sizes[2], units)
    elif array.ndim == 3 and not whole:
        encoder = audio_encoder(sizes[0], sizes[1], units, masked=True)
    elif array.ndim == 2:
        x = given = layers.Input(sizes, name=name)
        for _ in range(depth - 1):
            x = layers.Dense(units, activation="gelu")(x)
        x = layers.Dropout(dropout)(x)
        encoder = keras.Model(given, layers.Dense(units)(x))
    else:
        raise ValueError(
            f"features[{name!r}] has shape {array.shape} and {array.dtype}: words are int "
            "(n, words), pictures float (n, height, width, channels), sounds float "
            "(n, frames, coefficients), ready-made features float (n, d)"
        )
    encoder.name = f"{name}_encoder"
    return encoder


@keras_defaults()
def item_tower(
    features: Mapping[str, np.ndarray],
    fusion: str = "concatenation",
    units: int = 64,
    dimensions: int = 64,
    dropout: float = 0.0,
    depth: int = 2,
) -> keras.Model:
    """Build the network from an item's content to its two vectors (eq-item-tower, without e_i).

    Parameters
    ----------
    features : mapping
        Modality to array, one row an item; only kinds and sizes are looked at.
    fusion : str
        A name of `mmtutorial.fusion.FUSIONS`.
    units, dimensions : int
        Length of each encoder's vector and of the fused one; length of the results.
    dropout, depth : float, int
        See `modality_encoder`.

    Returns
    -------
    keras.Model
        Inputs: a mapping with every modality, and "present", float (n, modalities) in the order
        of ``features``. Outputs: v, what the item is as a candidate; h, what it says of a user who
        took it; both float32 (n, dimensions), or (n, modalities · dimensions) for late fusion; and
        a list with the encoders' vectors, float32 (n, units) each.

    Examples
    --------
    >>> arrays = {"text": np.ones((2, 5), "int32"), "audio": np.ones((2, 7), "float32")}
    >>> v, h, vectors = item_tower(arrays, dimensions=3)({**arrays, "present": np.ones((2, 2))})
    >>> v.shape, len(vectors)
    (TensorShape([2, 3]), 2)
    """
    inputs = {
        name: layers.Input(array.shape[1:], dtype=array.dtype.name, name=name)
        for name, array in features.items()
    }
    inputs["present"] = layers.Input((len(features),), name="present")
    vectors = [
        modality_encoder(name, array, units, dropout, depth)(inputs[name])
        for name, array in features.items()
    ]
    fuse = make_fusion(fusion, units)
    fused = fuse(vectors, inputs["present"])
    parts = fuse.parts(len(features))
    candidate = PartwiseDense(dimensions, parts, name="candidate")(fused)
    memory = PartwiseDense(dimensions, parts, name="memory")(fused)
    return keras.Model(inputs, [candidate, memory, vectors], name="item_tower")


class TwoTower(Recommender):
    r"""Scores a user's vector against every item's, both computed from content, history and ids.

    The item tower gives item i two vectors: v_i, what it is as a candidate, and h_i, what it says
    of a user who took it. The user tower pools the history H_u:

    .. math::
        \hat y_{ui} = q_u \cdot v_i + b_i , \qquad
        q_u = q_0 + \frac{1}{\lvert H_u \rvert^{\rho}} \sum_{j \in H_u} (h_j + R\, r_{uj})

    (eq-user-tower), with a learnt power ρ, the vector q_0 of a user without a history, and, where
    features hold "review", the vectors r_uj of what u wrote about j. In each step every user's
    history is cut in two at random: from the items kept, those held out are predicted by a softmax
    over the catalogue (eq-full-softmax), or over the items held out in the batch, with the logQ
    correction (eq-logq). Each item goes through the encoders once a step. A choice is only compared
    with items that had been taken by somebody before it (``by_launch``): nobody can choose what is
    not there yet. With a validation part, learning stops when its NDCG@10 has not risen for
    ``patience`` epochs, and the best epoch is kept.

    *Users without a history* get q_0; *items that nobody took* v_i from content alone and the mean
    bias; an item without any content too, the vector "unknown" of the fusion. A row of zeros in a
    modality's array says that the item lacks it.

    Parameters
    ----------
    modalities : sequence of str, optional
        Features to read; all that `fit` is given without it; () for ids alone.
    fusion : {"concatenation", "late", "gated", "attention", "low-rank"}
        How an item's modalities become one vector; see `mmtutorial.fusion`.
    ids : bool
        Whether items that were taken in training also have free vectors e_i, added to v_i and h_i.
    pooling : {"mean", "attention", "gru"}
        How a history becomes one vector. "attention" weighs items by a softmax over h_j · r, "gru"
        reads them in order of time. Late fusion goes with "mean" only, lest modalities mix.
    dimensions, units : int
        Length of v, h, q; length of the encoders' vectors.
    depth : int
        Dense layers through which ready-made features go; see `modality_encoder`.
    dropout, history_dropout, modality_dropout, id_dropout : float
        Shares hidden in training: within the encoders of ready-made features, of the entries of the
        pooled history, of each item's modalities (never its last), of items' e_i.
    alignment : float
        Weight of the contrastive loss between each two modalities (eq-contrastive).
    loss : {"full", "in-batch"}
        What a choice is compared with. "in-batch" encodes only the items of the batch: for large
        catalogues.
    kept : pair of float
        Between which shares of a history are kept to predict the rest; drawn for each user.
    by_launch : bool
        See above; without known times it has no effect.
    learning_rate, weight_decay : float
        Of AdamW. Weights are averaged over the last steps.
    epochs, batch_size, patience : int
        Passes over the users; users a step; epochs to wait for a better one.
    seed : int
        The same seed gives the same scores.

    Attributes
    ----------
    history : dict
        "loss" (nats a choice) and, with a validation part, "validation_ndcg": one float an epoch.
    tower : keras.Model or None
        See `item_tower`; None for ids alone.

    Raises
    ------
    ValueError
        From ``fit``: for an unknown option, a modality that was not given, nothing to read, or no
        user with an item.

    References
    ----------
    Yi et al. (2019), Sampling-bias-corrected neural modeling for large corpus item recommendations;
    Liang et al. (2018), Variational autoencoders for collaborative filtering, for predicting one
    part of a history from the other.

    Examples
    --------
    >>> train = Interactions.of([(user, item, time) for user, items in
    ...                          {"ann": "tea cup", "bob": "tea cup", "eve": "ice cone"}.items()
    ...                          for time, item in enumerate(items.split())],
    ...                         items=["cocoa", "cone", "cup", "ice", "tea"])
    >>> warm = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], dtype="float32")
    >>> tower = TwoTower(dropout=0, history_dropout=0, epochs=50).fit(train, {"text": warm})
    >>> train.items[tower.recommend([0], k=1)].tolist()  # to ann, the cocoa that nobody took
    [['cocoa']]
    """

    def __init__(
        self,
        modalities: Sequence[str] | None = None,
        fusion: str = "concatenation",
        *,
        ids: bool = False,
        pooling: str = "mean",
        dimensions: int = 64,
        units: int = 128,
        depth: int = 2,
        dropout: float = 0.2,
        history_dropout: float = 0.1,
        modality_dropout: float = 0.0,
        id_dropout: float = 0.0,
        alignment: float = 0.0,
        loss: str = "full",
        kept: tuple[float, float] = (0.5, 0.95),
        by_launch: bool = True,
        learning_rate: float = 0.005,
        weight_decay: float = 0.0,
        epochs: int = 200,
        batch_size: int = 512,
        patience: int = 20,
        seed: int = 0,
    ) -> None:
        self.modalities = modalities
        self.fusion = fusion
        self.ids = ids
        self.pooling = pooling
        self.dimensions = dimensions
        self.units = units
        self.depth = depth
        self.dropout = dropout
        self.history_dropout = history_dropout
        self.modality_dropout = modality_dropout
        self.id_dropout = id_dropout
        self.alignment = alignment
        self.loss = loss
        self.kept = kept
        self.by_launch = by_launch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed

    @property
    def name(self) -> str:  # type: ignore[override]
        """What is read, and how it is fused."""
        read = [*(self.modalities if self.modalities is not None else ["content"])]
        read += ["ids"] if self.ids else []
        fused = f", {self.fusion}" if len(read) - self.ids > 1 or self.modalities is None else ""
        return f"two-tower ({' + '.join(read) or 'nothing'}{fused})"

    # Learning

    @keras_defaults()
    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        content = self._chosen(features)
        self._check(train, content)
        keras.utils.set_random_seed(self.seed)
        tf.config.experimental.enable_op_determinism()
        self._build(train, content, features.get(REVIEWS))
        step, changed = self._compiled()
        batches = _Batches(train, self)
        watched = _watched_users(train, validation)
        with Epochs(
            self.name, self.epochs, self.patience, self._unfinished, changed, batches.generator
        ) as epochs:
            for _ in epochs:
                quality = None
                loss = float(np.mean([float(step(*batch)) for batch in batches.epoch()]))
                if validation is not None and len(watched):
                    with self._averaged():
                        self._encode_items()
                        q = self._encode_users(batches, watched)
                    ranked = top_k(self._match(q), _PLACES, train.matrix[watched])
                    quality = float(ndcg(ranked, validation.matrix[watched]).mean())
                epochs.end(loss, quality, lambda: [self._mean.numpy()])
        self.history = epochs.history
        for best in epochs.best:  # none without validation
            self._mean.assign(best)
        _spread(self._mean, self._variables)
        self._encode_items()
        self._q = self._encode_users(batches, np.arange(train.n_users))

    def _chosen(self, features: Features) -> dict[str, np.ndarray]:
        given = {name: array for name, array in features.items() if name != REVIEWS}
        wanted = list(given) if self.modalities is None else list(self.modalities)
        lacking = [name for name in wanted if name not in given]
        if lacking:
            raise ValueError(
                f"TwoTower reads the features {lacking}, and fit was given {list(given) or 'none'}"
            )
        if "present" in wanted:
            raise ValueError("no modality may be called 'present': give features['present'] a name")
        return {name: _single(as_dense(given[name])) for name in wanted}

    def _check(self, train: Interactions, content: Mapping[str, np.ndarray]) -> None:
        for option, known in (("fusion", FUSIONS), ("pooling", POOLINGS), ("loss", LOSSES)):
            if getattr(self, option) not in known:
                raise ValueError(
                    f"{option} is {getattr(self, option)!r}; there are {', '.join(known)}"
                )
        for option in ("dimensions", "units", "depth", "epochs", "batch_size", "patience"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} is {getattr(self, option)}; it must be at least 1")
        for option in ("dropout", "history_dropout", "modality_dropout", "id_dropout"):
            if not 0 <= getattr(self, option) < 1:
                raise ValueError(f"{option} is {getattr(self, option)}; it is a share below 1")
        if not 0 <= self.kept[0] <= self.kept[1] < 1:
            raise ValueError(f"kept is {self.kept}; it is two shares below 1, the smaller first")
        if self.fusion == "late" and len(content) > 1 and (self.pooling != "mean" or self.ids):
            raise ValueError(
                "late fusion keeps the modalities apart; pooling must be 'mean' and ids False"
            )
        if not content and not self.ids:
            raise ValueError("TwoTower needs features to read, or ids=True")
        if not len(train):
            raise ValueError("nobody took anything: there is nothing to learn from")

    def _build(self, train: Interactions, content: Mapping[str, np.ndarray], reviews: Any) -> None:
        """Make the networks and all variables."""
        self._names = list(content)
        self._arrays = {name: tf.constant(array) for name, array in content.items()}
        self._present = tf.constant(_present(content)) if content else None
        self._reviews = None if reviews is None else tf.constant(as_dense(reviews), tf.float32)
        self.tower = (
            item_tower(content, self.fusion, self.units, self.dimensions, self.dropout, self.depth)
            if content
            else None
        )
        length = self.tower.outputs[0].shape[-1] if self.tower else self.dimensions
        self._temperature = float(np.sqrt(length)) / 2
        taken = np.asarray(train.matrix.sum(axis=0)).ravel()
        self._warm = tf.constant((taken > 0).astype(np.float32))
        self._draw = keras.random.SeedGenerator(self.seed)

        def drawn(name: str, *shape: int, spread: float = 0.05) -> tf.Variable:
            seed = [self.seed, sum(name.encode())]
            return tf.Variable(tf.random.stateless_normal(shape, seed, stddev=spread), name=name)

        self._own = {
            "q_0": drawn("q_0", length, spread=0.0),
            "bias": drawn("bias", train.n_items, spread=0.0),
            "power": tf.Variable(0.5, name="power"),
        }
        if self.ids:
            self._own["e"] = drawn("e", train.n_items, length)
            self._own["e_memory"] = drawn("e_memory", train.n_items, length)
        if self.pooling == "attention":
            self._own["r"] = drawn("r", length)
        if self._reviews is not None:
            self._own["R"] = drawn("R", self._reviews.shape[1], length)
        self._reader = None
        if self.pooling == "gru":
            sequence = layers.Input((None, length), name="history")
            there = layers.Input((None,), dtype="bool", name="there")
            state = layers.GRU(length, use_cudnn=False)(sequence, mask=there)
            self._reader = keras.Model([sequence, there], state, name="history_reader")
        self._variables = [
            *self._own.values(),
            *(each.value for each in (self.tower.trainable_variables if self.tower else [])),
            *(each.value for each in (self._reader.trainable_variables if self._reader else [])),
        ]
        self._vector = keras.Variable(_joined(self._variables))
        self._mean = tf.Variable(self._vector.value)
        self._encoded = _traced_once(lambda rows: self._item_vectors(rows, training=False)[:3])

    def _item_vectors(self, rows: tf.Tensor | None, training: bool) -> tuple[Any, Any, Any, Any]:
        """Return v, h (n, length), b (n,) and the alignment loss of these item rows, or of all."""
        own, warm = self._own, self._warm
        aligned = 0.0
        v, h = tf.zeros(()), tf.zeros(())

        def take(array: Any) -> Any:
            return array if rows is None else tf.gather(array, rows)

        if self.tower is not None:
            there = take(self._present)
            if training and self.modality_dropout:
                there = drop_modalities(there, self.modality_dropout, self._draw)
            inputs = {name: take(array) for name, array in self._arrays.items()}
            v, h, vectors = self.tower({**inputs, "present": there}, training=training)
            if training and self.alignment:
                for right in range(len(vectors)):
                    for left in range(right):
                        both = (there[:, left] > 0) & (there[:, right] > 0)
                        aligned += contrastive_loss(vectors[left], vectors[right], both)
        known = take(warm)
        if self.ids:
            shown = known[:, None]
            if training and self.id_dropout:
                draw = keras.random.uniform(keras.ops.shape(shown), seed=self._draw)
                shown = shown * tf.cast(draw >= self.id_dropout, tf.float32)
            v = v + shown * take(own["e"])
            h = h + shown * take(own["e_memory"])
        mean = tf.reduce_sum(own["bias"] * warm) / tf.reduce_sum(warm)
        b = known * take(own["bias"]) + (1 - known) * mean
        return v, h, b, aligned

    def _user_vectors(
        self, n_users: Any, users: Any, items: Any, h: Any, written: Any, sequence: Any,
        training: bool,
    ) -> Any:  # fmt: skip
        """Pool histories, given as places of users and items: q float32 (n_users, length).

        ``written`` holds the row of each one's review, ``sequence`` see `_sequences`.
        """
        own = self._own

        def summed(parts: Any) -> Any:
            return tf.math.unsorted_segment_sum(parts, users, n_users)

        count = summed(tf.ones_like(users, tf.float32))[:, None]
        if self.pooling == "gru":
            assert self._reader is not None
            there = tf.greater_equal(sequence, 0)
            pooled = self._reader([tf.gather(h, tf.maximum(sequence, 0)), there], training=training)
            pooled = tf.where(count > 0, pooled, 0.0)
        else:
            total = tf.maximum(count, 1.0)
            if self.pooling == "attention":
                heard = tf.linalg.matvec(h, own["r"])[:, None] / self._temperature
                weights = tf.exp(heard - tf.reduce_max(heard))
                total = tf.maximum(summed(tf.gather(weights, items)), 1e-30)
                h = weights * h
            pooled = summed(tf.gather(h, items)) / total
        size = tf.maximum(count, 1.0)
        if written is not None:
            pooled += summed(tf.gather(self._reviews, written)) @ own["R"] / size
        pooled *= size ** (1 - own["power"])
        if training and self.history_dropout:
            seed = self._draw.next()
            pooled = tf.nn.experimental.stateless_dropout(pooled, self.history_dropout, seed)
        return own["q_0"] + pooled

    def _compiled(self) -> tuple[Any, list[Any]]:
        """Return the function that takes one batch (see `_Batches`), learns, and says the loss.

        And the variables that it changes.
        """
        optimiser = keras.optimizers.AdamW(self.learning_rate, weight_decay=self.weight_decay)
        optimiser.build([self._vector])

        def step(
            rows: Any, kept: Any, held: Any, n_users: Any, last: Any, drawn: Any, written: Any,
            sequence: Any,
        ) -> Any:  # fmt: skip
            readers, read = kept
            users, items = held
            with tf.GradientTape() as tape:
                v, h, b, aligned = self._item_vectors(rows, training=True)
                q = self._user_vectors(n_users, readers, read, h, written, sequence, training=True)
                q = tf.concat([q / self._temperature, tf.ones_like(q[:, :1])], axis=1)
                scores = tf.matmul(q, tf.concat([v, b[:, None]], axis=1), transpose_b=True)
                ones = tf.ones_like(readers, tf.float32)
                taken = tf.scatter_nd(tf.stack([readers, read], axis=1), ones, tf.shape(scores))
                loss = choice_loss(scores, taken, users, items, last, drawn)
                objective = loss + self.alignment * aligned
            gradients = tape.gradient(objective, self._variables, unconnected_gradients="zero")
            optimiser.apply([_joined(gradients)], [self._vector])
            _spread(self._vector.value, self._variables)
            steps = tf.cast(optimiser.iterations.value, tf.float32)
            old = tf.minimum(_AVERAGE, (steps + 1) / (steps + 10))
            self._mean.assign(old * self._mean + (1 - old) * self._vector.value)
            return loss

        networks = [each for each in (self.tower, self._reader) if each]
        changed = [*self._own.values(), self._vector, self._mean, *optimiser.variables]
        changed.append(self._draw.state)
        changed += [variable for network in networks for variable in network.variables]
        return _traced_once(step), changed

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the running mean in the weights' place for a while."""
        _spread(self._mean, self._variables)
        yield
        _spread(self._vector.value, self._variables)

    # Scoring

    def _encode_items(self) -> None:
        """Set v, h and b of the whole catalogue, for scoring."""
        n_items = self._warm.shape[0]
        blocks = [
            self._encoded(tf.range(start, min(start + _BLOCK, n_items)))
            for start in range(0, n_items, _BLOCK)
        ]
        self._v, self._h, self._b = (np.concatenate(parts) for parts in zip(*blocks, strict=True))

    def _encode_users(self, batches: _Batches, users: np.ndarray) -> np.ndarray:
        """Return q of fitted users, from all that they took: float32 (n_users, length)."""
        blocks = []
        for start in range(0, len(users), _BLOCK):
            block = users[start : start + _BLOCK]
            owner, places = batches.interactions_of(block)
            written = None if self._reviews is None else batches.row[places]
            blocks.append(self._pool(owner, batches.item[places], len(block), written))
        return np.concatenate(blocks)

    def _pool(
        self, users: np.ndarray, items: np.ndarray, n_users: int, written: Any = None
    ) -> np.ndarray:
        """Return q of histories, given as places of users in order and items: (n_users, length)."""
        sequence = _sequences(users, items, n_users) if self.pooling == "gru" else None
        pooled = self._user_vectors(
            n_users, users, items, self._h, written, sequence, training=False
        )
        return pooled.numpy()

    def user_vectors(self, histories: Sequence[Sequence[int]]) -> np.ndarray:
        """Return q of users with these histories, such as new ones: float32 (n, length).

        It is what a fitted user with the same history has, who wrote no reviews.

        Parameters
        ----------
        histories : sequence of int sequences
            Item rows that each user took, in order of time; an empty history is allowed, and of an
            item taken again only the first time counts.

        Raises
        ------
        ValueError
            For an unknown item row.
        """
        n_items = self._fitted().n_items
        rows = [
            list(dict.fromkeys(check_rows(np.array(each), n_items, "item"))) for each in histories
        ]
        blocks = [np.zeros((0, self._own["q_0"].shape[0]), np.float32)]
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            users = np.repeat(np.arange(len(block)), [len(each) for each in block])
            items = np.array([item for each in block for item in each], dtype=np.int64)
            blocks.append(self._pool(users, items, len(block)))
        return np.concatenate(blocks)

    def score_histories(self, histories: Sequence[Sequence[int]]) -> np.ndarray:
        """Score all items for users with these histories: float32 (n, n_items), like `score`."""
        return self._match(self.user_vectors(histories))

    @keras_defaults()
    def item_vectors(self, features: Features) -> np.ndarray:
        """Return v of new items from their content alone: float32 (n, length).

        With q from `user_vectors`, a new item's score is q · v / temperature + the mean bias, as
        `score_new_items` does it. Words that no item of the catalogue has are read as unknown.

        Raises
        ------
        ValueError
            If the recommender reads no content, a modality is missing, has another shape than in
            ``fit``, or holds NaN.
        """
        self._fitted()
        if self.tower is None:
            raise ValueError("ids alone say nothing of new items: fit with modalities")
        lacking = [name for name in self._names if name not in features]
        if lacking:
            raise ValueError(f"new items need the features {lacking} too (zeros where absent)")
        content = {name: _single(as_dense(as_array(name, features[name]))) for name in self._names}
        for name, array in content.items():
            sizes = self.tower.input[name].shape[1:]
            n_new = len(content[self._names[0]])
            if array.shape != (n_new, *sizes):
                raise ValueError(
                    f"features[{name!r}] has shape {array.shape}; these {n_new} new items need "
                    f"{(n_new, *sizes)}, as in fit"
                )
            if np.issubdtype(array.dtype, np.integer):
                encoder = self.tower.get_layer(f"{name}_encoder")
                known = array < encoder.get_layer(WORD_VECTORS).input_dim
                content[name] = np.where(known, array, UNKNOWN)
            elif not np.isfinite(array).all():
                row = np.argwhere(~np.isfinite(array))[0, 0]
                raise ValueError(f"features[{name!r}] holds NaN or infinity in row {row}")
        inputs = {**content, "present": _present(content)}
        return self.tower(inputs, training=False)[0].numpy()

    def score_new_items(self, users: Rows, features: Features) -> np.ndarray:
        """Score items that were not in the catalogue: float32 (n_users, n_new_items).

        Comparable with `score`: what it would have given, had the item been there untaken. Raises
        ValueError for an unknown user row, and as `item_vectors` does.
        """
        train = self._fitted()
        q = self._q[check_rows(users, train.n_users, "user")]
        mean = self._own["bias"].numpy()[np.unique(train.log["item"])].mean()
        return q @ self.item_vectors(features).T / np.float32(self._temperature) + mean

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self._match(self._q[users])

    def _match(self, q: np.ndarray) -> np.ndarray:
        return q @ self._v.T / np.float32(self._temperature) + self._b

    # Saving

    def _state(self) -> dict[str, np.ndarray]:
        state = {"v": self._v, "h": self._h, "b": self._b, "q": self._q}
        state["names"] = np.array(self._names, dtype=str)
        state["temperature"] = np.array(self._temperature)
        state |= {f"own/{name}": each.numpy() for name, each in self._own.items()}
        return state | {f"history/{name}": np.array(each) for name, each in self.history.items()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._v, self._h, self._b, self._q = (state[name] for name in "vhbq")
        self._names, self._temperature = state["names"].tolist(), float(state["temperature"])
        self._own = {name: tf.constant(array) for name, array in under("own/", state).items()}
        self.history = {name: each.tolist() for name, each in under("history/", state).items()}

    def _write(self, folder: Path) -> None:
        for network, name in ((self.tower, _TOWER), (self._reader, _READER)):
            if network is not None:
                network.save(folder / name)

    def _read(self, folder: Path) -> None:
        networks = [
            load_network(folder / name) if (folder / name).exists() else None
            for name in (_TOWER, _READER)
        ]
        self.tower, self._reader = networks


def choice_loss(
    scores: Any,
    taken: Any,
    users: Any,
    items: Any,
    last: Any = None,
    drawn: tuple[Any, Any] | None = None,
) -> Any:
    """Return the cross-entropy of choices in a softmax over items (eq-full-softmax, eq-logq).

    Parameters
    ----------
    scores : tensor
        float32 (n_users, n_items).
    taken : tensor
        float32 (n_users, n_items), 1 where the user has the item already: no alternative.
    users, items : tensor
        int32 (n_choices,): who chose what; no item that the user has already.
    last : tensor, optional
        int32 (n_choices,), for items in order of launch: the column of the last one that was there
        at each choice. Later ones are no alternatives.
    drawn : pair of tensors, optional
        float32 (n_items,) each, for the in-batch softmax with logQ correction: how often each item
        is among the choices, and π, its share of all training interactions.

    Returns
    -------
    tensor
        float32 scalar, nats a choice.

    Examples
    --------
    >>> scores = np.log(np.array([[1, 2, 5]], dtype="float32"))
    >>> taken = np.array([[0, 0, 1]], dtype="float32")
    >>> round(float(np.exp(-choice_loss(scores, taken, [0], [1]))), 4)  # 2 of 1 + 2
    0.6667
    """
    pairs = tf.stack([users, items], axis=1)
    if drawn is not None:
        count, probability = drawn
        scores = keras_rs.layers.SamplingProbabilityCorrection(epsilon=_TINY, dtype="float32")(
            scores, probability
        )
    chosen = tf.gather_nd(scores, pairs)
    if drawn is not None:  # an item that was drawn twice is twice in the sum
        scores += tf.math.log(tf.maximum(count, _TINY))
    others = tf.where(taken > 0, -1e9, scores)
    top = tf.stop_gradient(tf.reduce_max(others, axis=1, keepdims=True))
    weights = tf.exp(others - top)
    if last is None:
        total = tf.gather(tf.reduce_sum(weights, axis=1), users)
    else:
        total = _sums_up_to(weights, users, last)
    return tf.reduce_mean(tf.math.log(total + 1e-30) + tf.gather(top[:, 0], users) - chosen)


def _sums_up_to(table: Any, rows: Any, last: Any) -> Any:
    """Sum a row's entries up to a column, inclusive, for each of (k,) rows and columns: (k,).

    Adds up sums of blocks: far fewer numbers than a running sum of the whole table.
    """
    n, m = tf.unstack(tf.shape(table))
    n_blocks = (m - 1) // _COLUMNS + 1
    table = tf.pad(table, [[0, 0], [0, n_blocks * _COLUMNS - m]])
    blocks = tf.reshape(table, [n, n_blocks, _COLUMNS])
    before = tf.cumsum(tf.reduce_sum(blocks, axis=2), axis=1, exclusive=True)
    place = tf.stack([rows, last // _COLUMNS], axis=1)
    within = tf.sequence_mask(last % _COLUMNS + 1, _COLUMNS, table.dtype)
    return tf.gather_nd(before, place) + tf.reduce_sum(tf.gather_nd(blocks, place) * within, axis=1)


class _Batches:
    """Cut the users into batches, and each user's history in two: what is kept, what is predicted.

    Of an item that a user took again, only the first time counts.
    """

    def __init__(self, train: Interactions, options: TwoTower) -> None:
        log = train.log.drop_duplicates(["user", "item"])  # in order of time
        first = log.drop_duplicates("item")[["item", "timestamp"]]
        log = log.sort_values("user", kind="stable")
        self.item, self.row = log["item"].to_numpy(), log["row"].to_numpy()
        self.start = np.searchsorted(log["user"], np.arange(train.n_users + 1))
        self.share = np.bincount(self.item, minlength=train.n_items) / len(log)
        self.options = options
        self.generator = np.random.default_rng(options.seed)
        self.by_launch = options.by_launch and train.has_times
        if self.by_launch:
            self.time = log["timestamp"].to_numpy(np.int64)
            self.launch = np.full(train.n_items, np.iinfo(np.int64).max)
            self.launch[first["item"]] = first["timestamp"]

    def interactions_of(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place in ``users`` of who took it, and the place in ``item``, of each."""
        sizes = self.start[users + 1] - self.start[users]
        places = np.repeat(self.start[users] - np.cumsum(sizes) + sizes, sizes)
        return np.repeat(np.arange(len(users)), sizes), places + np.arange(sizes.sum())

    def epoch(self) -> Iterator[tuple[Any, ...]]:
        """Go once through the users, in a new order, with new cuts."""
        users = self.generator.permutation(np.flatnonzero(np.diff(self.start)))
        for start in range(0, len(users), self.options.batch_size):
            yield self._batch(users[start : start + self.options.batch_size])

    def _batch(self, users: np.ndarray) -> tuple[Any, ...]:
        """Return what `TwoTower._compiled`'s function takes.

        Item rows (None for all) in order of launch; places of user and item of what is kept, and of
        each choice to predict; the number of users; ``last`` and ``drawn`` of `choice_loss`; the
        rows of the reviews of what is kept, and the kept items as sequences.
        """
        owner, places = self.interactions_of(users)
        share = self.generator.uniform(*self.options.kept, len(users))
        draw = self.generator.random(len(places))
        largest = np.maximum.reduceat(draw, np.searchsorted(owner, np.arange(len(users))))
        keeps = draw < np.minimum(share, largest)[owner]  # at least one is held out
        held = ~keeps
        items = self.item[places]
        full = self.options.loss == "full"
        rows = np.arange(len(self.share)) if full else np.unique(items)
        if self.by_launch:
            rows = rows[np.argsort(self.launch[rows], kind="stable")]
        place = np.empty(len(self.share), np.int32)
        place[rows] = np.arange(len(rows))
        column = place[items]
        owner = owner.astype(np.int32)
        drawn = last = written = sequence = None
        if self.by_launch:
            now = self.time[places][held]
            last = np.searchsorted(self.launch[rows], now, side="right").astype(np.int32) - 1
        if not full:
            count = np.bincount(column[held], minlength=len(rows))
            drawn = (count.astype(np.float32), self.share[rows].astype(np.float32))
        if self.options._reviews is not None:
            written = self.row[places][keeps]
        if self.options.pooling == "gru":
            sequence = _sequences(owner[keeps], column[keeps], len(users))
        return (
            None if full and not self.by_launch else rows,
            (owner[keeps], column[keeps]), (owner[held], column[held]),
            np.array(len(users), np.int32), last, drawn, written, sequence,
        )  # fmt: skip


def _single(array: np.ndarray) -> np.ndarray:
    """Return numbers with a fraction in single precision, in which the networks compute."""
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def _present(content: Mapping[str, np.ndarray]) -> np.ndarray:
    """Say which item has which modality, rows not all zeros: float32 (n_items, n_modalities)."""
    there = [array.reshape(len(array), -1).any(axis=1) for array in content.values()]
    return np.column_stack(there).astype(np.float32)


def _joined(arrays: Sequence[Any]) -> Any:
    """Write arrays one after the other: a vector, which costs an optimiser as much as one array."""
    return tf.concat([tf.reshape(tf.convert_to_tensor(each), [-1]) for each in arrays], axis=0)


def _spread(vector: Any, variables: Sequence[Any]) -> None:
    """Give variables the values that `_joined` would have made this vector of."""
    parts = tf.split(vector, [each.shape.num_elements() for each in variables])
    for variable, part in zip(variables, parts, strict=True):
        variable.assign(tf.reshape(part, variable.shape))


def _traced_once(step: Callable[..., Any]) -> Callable[..., Any]:
    """Compile for batches of any size at the first call: each tracing takes seconds."""
    graph: list[Any] = []

    def call(*batch: Any) -> Any:
        if tf.config.functions_run_eagerly():
            return step(*batch)
        if not graph:
            sizes = tf.nest.map_structure(
                lambda array: (
                    None if array is None else tf.TensorSpec([None] * array.ndim, array.dtype)
                ),
                batch,
            )
            graph.append(tf.function(step, autograph=False).get_concrete_function(*sizes))
        return graph[0](*batch)

    return call


def _sequences(users: np.ndarray, items: np.ndarray, n_users: int) -> np.ndarray:
    """Write each user's last items as a row, filled with −1 at the end: int (n_users, length)."""
    count = np.bincount(users, minlength=n_users)
    place = np.arange(len(users)) - np.repeat(np.cumsum(count) - count, count)
    skipped = np.maximum(count - _LONGEST, 0)[users]
    rows = np.full((n_users, max(1, min(_LONGEST, count.max(initial=0)))), -1, dtype=np.int64)
    late = place >= skipped
    rows[users[late], (place - skipped)[late]] = items[late]
    return rows


def _watched_users(train: Interactions, validation: Interactions | None) -> np.ndarray:
    """Users with a training and a validation item."""
    if validation is None:
        return np.zeros(0, dtype=np.int64)
    return np.intersect1d(train.log["user"], validation.log["user"])

"""The network of the two towers: everything that is learnt, and how vectors come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mmtutorial.encoders.audio import audio_encoder
from mmtutorial.encoders.image import image_encoder
from mmtutorial.encoders.text import text_encoder
from mmtutorial.fusion import contrastive_loss, drop_modalities, make_fusion
from mmtutorial.keras_settings import keras, keras_defaults, layers

_TINY = 1e-6  # stands for a length of 0
_SPREAD = 0.05  # standard deviation of free vectors before learning
_SHARPNESS = 10.0  # by what cosines are multiplied before learning


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


class Content(NamedTuple):
    """What a catalogue's items are learnt from, as tensors."""

    arrays: dict[str, tf.Tensor]  # modality to (n_items, ...)
    present: tf.Tensor | None  # float32 (n_items, n_modalities); None without modalities
    warm: tf.Tensor  # float32 (n_items,): 1 where somebody took the item in training


class ItemVectors(NamedTuple):
    """Tensors of n items."""

    v: tf.Tensor  # float32 (n, length)
    h: tf.Tensor  # float32 (n, length)
    b: tf.Tensor  # float32 (n,)
    aligned: tf.Tensor  # float32 scalar: the contrastive loss, 0 where it is not wanted


class Network(keras.Model):
    r"""All that a two-tower recommender learns.

    The item tower gives v_i and h_i; free weights are q_0, the biases b_i, the power ρ, where there
    are ids the vectors e_i (one for v_i, one for h_i), where there are reviews the matrix R, and
    where scores are cosines the logarithm of their temperature. See `TwoTower` for the equations.

    Parameters
    ----------
    tower : keras.Model, optional
        See `item_tower`; without it items are known by their ids alone.
    n_items, length : int
        How many items there are; length of v, h and q.
    ids : bool
        Whether there are vectors e_i.
    id_rate : float
        By what the weights of e_i are multiplied.
    cosine : bool
        Whether v and q have length 1.
    review_length : int
        Of a review's features; 0 where there are none.
    history_dropout, modality_dropout, id_dropout : float
        See `TwoTower`.
    align : bool
        Whether the contrastive loss is computed in training.
    seed : int
        Of what is hidden in training. The first weights depend on `keras_settings.seeded`.

    Examples
    --------
    >>> network = Network(None, n_items=3, length=2, ids=True)
    >>> network.parameters  # q_0, b, ρ, and two vectors an item
    18
    """

    def __init__(
        self,
        tower: keras.Model | None,
        n_items: int,
        length: int,
        *,
        ids: bool = False,
        id_rate: float = 1.0,
        cosine: bool = False,
        review_length: int = 0,
        history_dropout: float = 0.0,
        modality_dropout: float = 0.0,
        id_dropout: float = 0.0,
        align: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(name="two_tower")
        self.tower = tower
        self.length = length
        self.id_rate = id_rate
        self.history_dropout = history_dropout
        self.modality_dropout = modality_dropout
        self.id_dropout = id_dropout
        self.align = align
        self.draw = keras.random.SeedGenerator(seed)
        self.q_0 = self.add_weight((length,), "zeros", name="q_0")
        self.bias = self.add_weight((n_items,), "zeros", name="bias")
        self.power = self.add_weight((), keras.initializers.Constant(0.5), name="power")
        self.e: Any = None
        self.e_memory: Any = None
        self.R: Any = None
        self.log_temperature: Any = None
        if ids:
            self.e = self._drawn("e", n_items)
            self.e_memory = self._drawn("e_memory", n_items)
        if review_length:
            self.R = self._drawn("R", review_length)
        if cosine:
            start = keras.initializers.Constant(-np.log(_SHARPNESS))
            self.log_temperature = self.add_weight((), start, name="log_temperature")

    def _drawn(self, name: str, rows: int) -> keras.Variable:
        start = keras.initializers.RandomNormal(stddev=_SPREAD)
        return self.add_weight((rows, self.length), start, name=name)

    @property
    def free_weights(self) -> dict[str, keras.Variable]:
        """The weights outside of the item tower, by the names of the equations."""
        names = ("q_0", "bias", "power", "e", "e_memory", "R", "log_temperature")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""
        return sum(int(np.prod(each.shape)) for each in self.trainable_variables)

    @property
    def temperature(self) -> float:
        """What products of vectors are divided by, learnt or half the root of their length."""
        return float(self.temperature_value())

    def temperature_value(self) -> tf.Tensor | float:
        """Return the temperature as a step of learning needs it."""
        if self.log_temperature is None:
            return float(np.sqrt(self.length)) / 2
        return tf.exp(self.log_temperature.value)

    def encode_items(
        self, content: Content, rows: tf.Tensor | None = None, training: bool = False
    ) -> ItemVectors:
        """Encode the items of these rows, int (n,), or all of them."""

        def take(array: tf.Tensor) -> tf.Tensor:
            return array if rows is None else tf.gather(array, rows)

        v, h, aligned = tf.zeros(()), tf.zeros(()), tf.zeros(())
        if self.tower is not None:
            present = take(content.present)
            if training and self.modality_dropout:
                present = drop_modalities(present, self.modality_dropout, self.draw)
            inputs = {name: take(array) for name, array in content.arrays.items()}
            v, h, vectors = self.tower({**inputs, "present": present}, training=training)
            if training and self.align:
                aligned = _alignment(vectors, present)
        warm = take(content.warm)
        if self.e is not None:
            shown = warm[:, None]
            if training and self.id_dropout:
                draw = keras.random.uniform(keras.ops.shape(shown), seed=self.draw)
                shown = shown * tf.cast(draw >= self.id_dropout, tf.float32)
            v = v + self.id_rate * shown * take(self.e.value)
            h = h + self.id_rate * shown * take(self.e_memory.value)
        if self.log_temperature is not None:
            v = tf.math.l2_normalize(v, axis=-1)
        mean = tf.reduce_sum(self.bias.value * content.warm) / tf.reduce_sum(content.warm)
        b = warm * take(self.bias.value) + (1 - warm) * mean
        return ItemVectors(v, h, b, aligned)

    def encode_users(
        self,
        n_users: tf.Tensor | int,
        users: tf.Tensor,
        items: tf.Tensor,
        h: tf.Tensor,
        reviews: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Pool histories, eq-user-tower: q, float32 (n_users, length).

        ``users`` and ``items`` are int (n,), the place of the user and the row of ``h`` of each
        interaction; ``reviews`` float32 (n, review_length), what was written with it.
        """

        def summed(parts: tf.Tensor) -> tf.Tensor:
            return tf.math.unsorted_segment_sum(parts, users, n_users)

        count = summed(tf.ones_like(users, tf.float32))[:, None]
        size = tf.maximum(count, 1.0)
        pooled = summed(tf.gather(h, items)) / size
        if reviews is not None:
            pooled += summed(reviews) @ self.R.value / size
        pooled *= size ** (1 - self.power.value)
        if training and self.history_dropout:
            seed = self.draw.next()
            pooled = tf.nn.experimental.stateless_dropout(pooled, self.history_dropout, seed)
        q = self.q_0.value + pooled
        return q if self.log_temperature is None else tf.math.l2_normalize(q, axis=-1)

    def history_parts(self, items: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Take q of one history, int (n,), apart: float32 (length,) of q_0, (n, length) of items.

        They add up to what `encode_users` returns.
        """
        each = tf.gather(h, items)
        each /= tf.cast(tf.maximum(tf.size(items), 1), tf.float32) ** self.power.value
        start, q = self.q_0.value, self.q_0.value + tf.reduce_sum(each, axis=0)
        if self.log_temperature is None:
            return start, each
        norm = tf.maximum(tf.norm(q), _TINY)
        return start / norm, each / norm


def _alignment(vectors: list[tf.Tensor], present: tf.Tensor) -> tf.Tensor:
    """Return the contrastive loss, summed over each two modalities."""
    total = tf.zeros(())
    for right in range(len(vectors)):
        for left in range(right):
            both = (present[:, left] > 0) & (present[:, right] > 0)
            total += contrastive_loss(vectors[left], vectors[right], both)
    return total

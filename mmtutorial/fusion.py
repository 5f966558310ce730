"""Fusion: from what was read, seen and heard of an item to one vector (article, section 3.2.5).

Every fusion is a Keras layer with the same signature, ``(vectors, present) → vector``:

vectors
    list of float32 (n_items, d_m), one a modality, in a fixed order.
present
    bool or 0/1 (n_items, n_modalities): which item has which. What stands in the vectors of an
    absent modality is never looked at, NaN included.

An item without any modality has a learnt vector, "unknown". `FUSIONS` has them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmtutorial.keras_settings import keras, keras_defaults, layers, ops

_PACKAGE = "mmtutorial"


class Fusion(layers.Layer):
    """What all fusions share: their sizes, the mask, and the vector of an unknown item.

    Parameters
    ----------
    units : int
        Length of the fused vector (of each modality's part of it, for `LateFusion`).

    Raises
    ------
    ValueError
        If ``units`` is below 1, if there is no vector, or ``present`` has another number of columns
        than there are vectors.
    """

    def __init__(self, units: int, **options: Any) -> None:
        if units < 1:
            raise ValueError(f"units is {units}; the fused vector has at least one entry")
        super().__init__(**options)
        self.units = units

    def parts(self, n_modalities: int) -> int:
        """Return how many parts of ``units`` entries the vector has: 1, but for `LateFusion`."""
        return 1

    def build(self, vectors_shape: Any, present_shape: Any = None) -> None:
        """Make the weights for vectors of these lengths."""
        self.sizes = [shape[-1] for shape in vectors_shape]
        self.unknown = self.add_weight(shape=(self._length(),), name="unknown")
        self._make_weights()

    def call(self, vectors: Sequence[Any], present: Any) -> Any:
        """Fuse: (n_items, d_m) each and (n_items, n_modalities) → (n_items, length)."""
        known, masks = self._masked(vectors, present)
        anything = ops.any(ops.concatenate(masks, axis=1) > 0, axis=1, keepdims=True)
        return ops.where(anything, self._fuse(known, masks), self.unknown)

    def _masked(self, vectors: Sequence[Any], present: Any) -> tuple[list[Any], list[Any]]:
        """Put zeros where a modality is absent, and cut the mask into columns (n_items, 1)."""
        there = ops.cast(present, self.compute_dtype)
        if there.shape[-1] != len(vectors):
            raise ValueError(
                f"present has {there.shape[-1]} columns for {len(vectors)} modalities: one each"
            )
        masks = [there[:, place : place + 1] for place in range(len(vectors))]
        known = [
            ops.where(mask > 0, ops.cast(vector, self.compute_dtype), 0.0)
            for vector, mask in zip(vectors, masks, strict=True)
        ]
        return known, masks

    def compute_output_shape(
        self, vectors_shape: Any, present_shape: Any = None
    ) -> tuple[Any, int]:
        """Return (n_items, length)."""
        return (vectors_shape[0][0], self.units * self.parts(len(vectors_shape)))

    def get_config(self) -> dict[str, Any]:
        """Return what Keras needs to make the layer again."""
        return {**super().get_config(), "units": self.units}

    def _length(self) -> int:
        return self.units * self.parts(len(self.sizes))

    def _matrix(self, rows: int, name: str) -> Any:
        return self.add_weight(shape=(rows, self.units), name=name)

    def _bias(self, name: str) -> Any:
        return self.add_weight(shape=(self.units,), initializer="zeros", name=name)

    def _make_weights(self) -> None:
        raise NotImplementedError

    def _fuse(self, vectors: list[Any], masks: list[Any]) -> Any:
        """Fuse vectors that are zero where their mask, float (n_items, 1), is."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(_PACKAGE)
class Concatenation(Fusion):
    r"""The article's way: lay the vectors end to end, and one dense layer over them.

    .. math::
        f = \mathrm{ReLU}\Bigl(\sum_m \bigl(p_m z_m W_m + (1 - p_m) c_m\bigr) + b\Bigr)

    (eq-concatenation), where c_m is learnt and stands for "not there". Before the ReLU it is a sum:
    only the ReLU, and what follows, lets one modality depend on another.

    >>> import numpy as np
    >>> fuse = Concatenation(4)
    >>> fuse([np.ones((2, 3)), np.ones((2, 5))], np.array([[1, 1], [1, 0]])).shape
    TensorShape([2, 4])
    """

    def _make_weights(self) -> None:
        self.weight = [self._matrix(size, f"W_{m}") for m, size in enumerate(self.sizes)]
        self.absent = [self._bias(f"c_{m}") for m, _ in enumerate(self.sizes)]
        self.shift = self._bias("b")

    def _fuse(self, vectors: list[Any], masks: list[Any]) -> Any:
        total = self.shift
        for vector, mask, weight, absent in zip(
            vectors, masks, self.weight, self.absent, strict=True
        ):
            total = total + ops.matmul(vector, weight) + (1 - mask) * absent
        return ops.relu(total)


@keras.saving.register_keras_serializable(_PACKAGE)
class LateFusion(Fusion):
    r"""Each modality keeps a recommender of its own, and their scores are averaged.

    A weighted average of dot products is one dot product of longer vectors: part m of the vector is

    .. math::
        \frac{p_m \lambda_m}{\sum_{m'} p_{m'} \lambda_{m'}} \, z_m W_m , \qquad \lambda_m > 0

    so that with users whose vectors have the same parts, score = Σ_m weight_m · score_m
    (eq-late). Nothing that follows may mix the parts. The control among the fusions: where it does
    as well as the others, nothing that crosses modalities was of use.

    >>> import numpy as np
    >>> fuse = LateFusion(4)
    >>> fuse([np.ones((1, 3)), np.ones((1, 5))], np.array([[1, 0]])).numpy()[0, 4:].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    def parts(self, n_modalities: int) -> int:
        """Return one part a modality."""
        return n_modalities

    def _make_weights(self) -> None:
        self.weight = [self._matrix(size, f"W_{m}") for m, size in enumerate(self.sizes)]
        self.strength = self.add_weight(
            shape=(len(self.sizes),), initializer="zeros", name="ln_lambda"
        )

    def _fuse(self, vectors: list[Any], masks: list[Any]) -> Any:
        strengths = ops.exp(self.strength)
        total = sum(mask * strengths[m] for m, mask in enumerate(masks))
        total = ops.where(total > 0, total, ops.ones_like(total))
        return ops.concatenate(
            [
                ops.matmul(vector, weight) * (mask * strengths[m] / total)
                for m, (vector, mask, weight) in enumerate(
                    zip(vectors, masks, self.weight, strict=True)
                )
            ],
            axis=1,
        )


class _Projected(Fusion):
    """Fusions that first bring each modality to the same length, z̃ = tanh(z W + b)."""

    def _make_weights(self) -> None:
        self.weight = [self._matrix(size, f"W_{m}") for m, size in enumerate(self.sizes)]
        self.shift = [self._bias(f"b_{m}") for m, _ in enumerate(self.sizes)]

    def _project(self, vectors: list[Any]) -> list[Any]:
        return [
            ops.tanh(ops.matmul(vector, weight) + shift)
            for vector, weight, shift in zip(vectors, self.weight, self.shift, strict=True)
        ]


@keras.saving.register_keras_serializable(_PACKAGE)
class GatedFusion(_Projected):
    r"""A gate for each entry of each modality, which sees all that is there (Arevalo et al. 2017).

    .. math::
        f = \sum_m p_m \, g_m \odot \tilde z_m, \qquad g_m = \mathrm{sigmoid}(s G_m + a_m)

    (eq-gated), with s = [p_1 z_1, …, p_1, …], all vectors and their masks end to end.

    >>> import numpy as np
    >>> GatedFusion(4)([np.ones((2, 3)), np.ones((2, 5))], np.ones((2, 2))).shape
    TensorShape([2, 4])
    """

    def _make_weights(self) -> None:
        super()._make_weights()
        seen = sum(self.sizes) + len(self.sizes)
        self.gate = [self._matrix(seen, f"G_{m}") for m, _ in enumerate(self.sizes)]
        self.lean = [self._bias(f"a_{m}") for m, _ in enumerate(self.sizes)]

    def _fuse(self, vectors: list[Any], masks: list[Any]) -> Any:
        seen = ops.concatenate([*vectors, *masks], axis=1)
        return sum(
            mask * ops.sigmoid(ops.matmul(seen, gate) + lean) * projected
            for mask, gate, lean, projected in zip(
                masks, self.gate, self.lean, self._project(vectors), strict=True
            )
        )


@keras.saving.register_keras_serializable(_PACKAGE)
class AttentionFusion(_Projected):
    r"""One weight a modality, by a softmax over those that are there (after Vaswani et al. 2017).

    .. math::
        f = \sum_m \alpha_m \tilde z_m, \qquad \alpha_m =
        \frac{p_m e^{\tilde z_m \cdot r / \sqrt d}}
             {\sum_{m'} p_{m'} e^{\tilde z_{m'} \cdot r / \sqrt d}}

    (eq-attention), with a learnt r.

    >>> import numpy as np
    >>> fuse = AttentionFusion(4)
    >>> _ = fuse([np.ones((2, 3)), np.ones((2, 5))], np.array([[1, 1], [0, 1]]))
    >>> fuse.attention([np.ones((1, 3)), np.ones((1, 5))], np.array([[0, 1]])).numpy().tolist()
    [[0.0, 1.0]]
    """

    def _make_weights(self) -> None:
        super()._make_weights()
        self.query = self.add_weight(shape=(self.units,), name="r", initializer="random_normal")

    def attention(self, vectors: Sequence[Any], present: Any) -> Any:
        """Return α: float32 (n_items, n_modalities); rows sum to 1, or are 0 without modality."""
        known, masks = self._masked(vectors, present)
        return self._weigh(self._project(known), masks)

    def _weigh(self, projected: list[Any], masks: list[Any]) -> Any:
        there = ops.concatenate(masks, axis=1)
        logits = ops.stack([ops.matmul(each, self.query) for each in projected], axis=1)
        logits = ops.where(there > 0, logits / self.units**0.5, -1e9)
        strong = ops.exp(logits - ops.max(logits, axis=1, keepdims=True)) * there
        return strong / ops.maximum(ops.sum(strong, axis=1, keepdims=True), 1.0)  # the largest is 1

    def _fuse(self, vectors: list[Any], masks: list[Any]) -> Any:
        projected = self._project(vectors)
        weights = self._weigh(projected, masks)
        return sum(weights[:, m : m + 1] * each for m, each in enumerate(projected))


@keras.saving.register_keras_serializable(_PACKAGE)
class LowRankFusion(Fusion):
    r"""Products of an entry of each modality, with few weights (Liu et al. 2018).

    .. math::
        f = \sum_{\ell=1}^{\rho} \bigodot_m [\, p_m z_m, 1 \,] \, M_{m\ell}

    (eq-lowrank). The 1 keeps the shorter products; an absent modality leaves the last row of
    M_{mℓ}: a learnt factor, not a zero that would wipe out the others. The last rows start at one
    value, such that the sum of products of them alone starts at 1; the other weights start small,
    for a product of large random numbers would drown what each modality says on its own.

    Parameters
    ----------
    units : int
        Length of the fused vector.
    rank : int
        ρ, how many products are added up.

    >>> import numpy as np
    >>> LowRankFusion(4, rank=2)([np.ones((2, 3)), np.ones((2, 5))], np.ones((2, 2))).shape
    TensorShape([2, 4])
    """

    def __init__(self, units: int, rank: int = 4, **options: Any) -> None:
        if rank < 1:
            raise ValueError(f"rank is {rank}; at least one product is needed")
        super().__init__(units, **options)
        self.rank = rank

    def _make_weights(self) -> None:
        length = self.rank * self.units
        start = keras.initializers.Constant(self.rank ** (-1 / len(self.sizes)))
        self.factor = [
            self.add_weight(
                shape=(size, length),
                initializer=keras.initializers.RandomNormal(stddev=0.5 / size**0.5),
                name=f"M_{m}",
            )
            for m, size in enumerate(self.sizes)
        ]
        self.last_row = [
            self.add_weight(shape=(length,), initializer=start, name=f"M_{m}_1")
            for m, _ in enumerate(self.sizes)
        ]

    def _fuse(self, vectors: list[Any], masks: list[Any]) -> Any:
        product = 1.0
        for vector, factor, last_row in zip(vectors, self.factor, self.last_row, strict=True):
            product = product * (ops.matmul(vector, factor) + last_row)
        return ops.sum(ops.reshape(product, (-1, self.rank, self.units)), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return what Keras needs to make the layer again."""
        return {**super().get_config(), "rank": self.rank}


FUSIONS: dict[str, Callable[..., Fusion]] = {
    "concatenation": Concatenation,
    "late": LateFusion,
    "gated": GatedFusion,
    "attention": AttentionFusion,
    "low-rank": LowRankFusion,
}


@keras_defaults()
def make_fusion(name: str, units: int) -> Fusion:
    """Return the fusion of this name.

    Raises ValueError for an unknown one.

    >>> make_fusion("gated", 8).units
    8
    """
    if name not in FUSIONS:
        raise ValueError(f"fusion is {name!r}; there are {', '.join(FUSIONS)}")
    return FUSIONS[name](units)


def drop_modalities(present: Any, rate: float, seed: Any) -> Any:
    """Hide modalities at random, never the last one that an item has (Neverova et al. 2016).

    Parameters
    ----------
    present : tensor
        0/1 float (n_items, n_modalities).
    rate : float
        Probability with which each is hidden, 0 ≤ rate < 1.
    seed : int or SeedGenerator
        Of the draw.

    Returns
    -------
    tensor
        0/1 float, same shape; an item that had a modality still has one.

    Examples
    --------
    >>> import numpy as np
    >>> left = drop_modalities(np.ones((1000, 3), "float32"), rate=0.5, seed=0).numpy()
    >>> left.sum(axis=1).min(), 0.5 < left.mean() < 0.7
    (np.float32(1.0), np.True_)
    """
    present = ops.cast(present, "float32")
    draw = ops.where(
        present > 0, keras.random.uniform(ops.shape(present), dtype="float32", seed=seed), -1.0
    )
    kept = ops.cast(draw >= rate, "float32")
    last = ops.one_hot(ops.argmax(draw, axis=1), present.shape[1]) * present
    return ops.where(ops.any(kept > 0, axis=1, keepdims=True), kept, last)


@keras_defaults()
def contrastive_loss(left: Any, right: Any, both: Any, temperature: float = 0.1) -> Any:
    r"""Return how badly the vectors of two modalities find each other (Radford et al. 2021).

    .. math::
        \tfrac12 (\mathcal L_{a \to b} + \mathcal L_{b \to a}), \qquad
        \mathcal L_{a \to b} = -\frac1B \sum_b
        \ln \frac{e^{\hat a_b \cdot \hat b_b / \tau}}
                 {\sum_{b'} e^{\hat a_b \cdot \hat b_{b'} / \tau}}

    (eq-contrastive), over the B items that have both.

    Parameters
    ----------
    left, right : tensor
        float (n_items, d) of any precision, vectors of any length; they are cast to float32, and
        divided by their length, here.
    both : tensor
        bool (n_items,): which items have both modalities.
    temperature : float
        τ > 0.

    Returns
    -------
    tensor
        float32 scalar, in nats; 0 where no item has both.

    Examples
    --------
    >>> import numpy as np
    >>> alike = np.eye(4, dtype="float32")
    >>> bool(contrastive_loss(alike, alike, np.ones(4, bool)) < 0.01)
    True
    """
    both = ops.cast(both, "bool")
    weight = ops.cast(both, "float32")
    left, right = (
        ops.normalize(ops.where(both[:, None], ops.cast(each, "float32"), 0.0))
        for each in (left, right)
    )
    cosines = ops.matmul(left, ops.transpose(right)) / temperature
    rows = ops.where(both[None, :], cosines, -1e9)
    columns = ops.where(both[None, :], ops.transpose(cosines), -1e9)
    right_one = ops.diagonal(cosines)
    lost = ops.logsumexp(rows, axis=1) + ops.logsumexp(columns, axis=1) - 2 * right_one
    return 0.5 * ops.sum(lost * weight) / ops.maximum(ops.sum(weight), 1.0)

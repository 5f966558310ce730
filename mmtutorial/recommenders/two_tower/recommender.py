"""The two-tower recommender behind the interface of `mmtutorial.recommenders.base`.

Another fusion, another set of modalities or the item ids are one word of its options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from mmtutorial.encoders.text import WORD_VECTORS
from mmtutorial.fusion import FUSIONS
from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import deterministic_operations, keras, keras_defaults, seeded
from mmtutorial.preprocessing.text import UNKNOWN
from mmtutorial.recommenders.base import Recommender, Rows, check_rows
from mmtutorial.recommenders.content import as_dense
from mmtutorial.recommenders.index import Index
from mmtutorial.recommenders.inputs import REVIEWS, Features, as_array
from mmtutorial.recommenders.two_tower.batches import LOSSES, Batches, Histories
from mmtutorial.recommenders.two_tower.network import Content, Network, item_tower
from mmtutorial.recommenders.two_tower.training import Training
from mmtutorial.recommenders.validation import quality, validation_users
from mmtutorial.storage.arrays import with_prefix
from mmtutorial.storage.checkpoint import Checkpoint
from mmtutorial.storage.epochs import Epochs
from mmtutorial.storage.networks import load_network

_BLOCK = 1024  # users or items encoded at a time once learning is over: bounds memory
_TOWER = "item_tower.keras"


class TwoTower(Recommender):
    r"""Scores a user's vector against every item's, both computed from content, history and ids.

    The item tower gives item i two vectors: v_i, what it is as a candidate, and h_i, what it says
    of a user who took it. The user tower pools the history H_u:

    .. math::
        \hat y_{ui} = \frac{q_u \cdot v_i}{\tau} + b_i , \qquad
        q_u = q_0 + \frac{1}{\lvert H_u \rvert^{\rho}} \sum_{j \in H_u} (h_j + R\, r_{uj})

    (eq-user-tower), with a learnt power ρ, the vector q_0 of a user without a history, and, where
    features hold "review", the vectors r_uj of what u wrote about j. In each step every user's
    history is cut in two at random: from the items kept, those held out are predicted by a softmax
    over the catalogue (eq-full-softmax), or over the items held out in the batch, with the logQ
    correction (eq-logq). Each item goes through the encoders once a step. A choice is only compared
    with items that had been taken by somebody before it (``by_launch``): nobody can choose what is
    not there yet. With a validation part, its NDCG@10 is measured every ``validate_every`` steps;
    learning stops when it has not risen for ``patience`` steps, and the best weights are kept.

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
        Whether items that were taken in training also have free vectors e_i, added to v_i and h_i;
        not with late fusion, lest modalities mix.
    id_rate : float
        How fast ids learn, as a share of ``learning_rate``; they start that much closer to 0 too.
        Where content says much, ids that learn as fast as it does learn the training part by heart
        before content has said it.
    cosine : bool
        Whether q and v are divided by their lengths, and the temperature τ is learnt. Otherwise τ
        is half the square root of their length.
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
    user_exponent : float
        A choice counts n^−exponent in the loss, with the n choices of its user in the batch: 0
        counts choices equally, 1 users. With 0, those who took most decide what is learnt.
    kept : pair of float
        Between which shares of a history are kept to predict the rest; drawn for each user.
    by_launch : bool
        See above; without known times it has no effect.
    learning_rate, weight_decay : float
        Of AdamW. Weights are averaged over the last steps.
    batch_size, steps, patience, validate_every, warm_up : int
        Users a step; steps at most; steps to wait for a better validation; steps from one
        validation to the next; steps over which the learning rate rises from 0.
    seed : int
        The same seed gives the same scores. ``fit`` leaves the random generators of Python, NumPy
        and TensorFlow as they were; while it lasts, TensorFlow's operations are deterministic in
        the whole process (`keras_settings.deterministic_operations`).

    Attributes
    ----------
    history : dict
        "loss" (nats a choice) and, with a validation part, "validation_ndcg": one float every
        ``validate_every`` steps.
    network : Network
        All that was learnt.

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
    >>> tower = TwoTower(dropout=0, history_dropout=0, steps=50).fit(train, {"text": warm})
    >>> train.items[tower.recommend([0], k=1)].tolist()  # to ann, the cocoa that nobody took
    [['cocoa']]
    """

    def __init__(
        self,
        modalities: Sequence[str] | None = None,
        fusion: str = "concatenation",
        *,
        ids: bool = False,
        id_rate: float = 1.0,
        cosine: bool = False,
        dimensions: int = 64,
        units: int = 64,
        depth: int = 2,
        dropout: float = 0.2,
        history_dropout: float = 0.5,
        modality_dropout: float = 0.0,
        id_dropout: float = 0.0,
        alignment: float = 0.0,
        loss: str = "full",
        kept: tuple[float, float] = (0.5, 0.95),
        by_launch: bool = True,
        user_exponent: float = 0.0,
        learning_rate: float = 0.003,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        steps: int = 6000,
        patience: int = 400,
        validate_every: int = 25,
        warm_up: int = 50,
        seed: int = 0,
    ) -> None:
        self.modalities = modalities
        self.fusion = fusion
        self.ids = ids
        self.id_rate = id_rate
        self.cosine = cosine
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
        self.user_exponent = user_exponent
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.steps = steps
        self.patience = patience
        self.validate_every = validate_every
        self.warm_up = warm_up
        self.seed = seed

    @property
    def name(self) -> str:  # type: ignore[override]
        """What is read, and how it is fused."""
        read = [*(self.modalities if self.modalities is not None else ["content"])]
        read += ["ids"] if self.ids else []
        fused = f", {self.fusion}" if len(read) - self.ids > 1 or self.modalities is None else ""
        return f"two-tower ({' + '.join(read) or 'nothing'}{fused})"

    @property
    def tower(self) -> keras.Model | None:
        """What encodes an item's content, see `item_tower`; None for ids alone."""
        return self.network.tower

    @property
    def parameters(self) -> int:
        """How many numbers were trained; RuntimeError before ``fit``."""
        self.train  # noqa: B018 — it says what is wrong
        return self.network.parameters

    # Learning

    @keras_defaults()
    @deterministic_operations()
    def _learn_resumably(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
        checkpoint: Checkpoint,
    ) -> None:
        content = self._chosen(features)
        self._check(train, content)
        reviews = features.get(REVIEWS)
        written = None if reviews is None else tf.constant(as_dense(reviews), tf.float32)
        self._names = list(content)
        self.network = self._made_network(train, content, written)
        training = self._made_training(
            self.network, _tensors(train, content), written,
            self.learning_rate, self.weight_decay, self.warm_up, self.alignment,
        )  # fmt: skip
        histories = Histories(train)
        batches = self._made_batches(
            histories, self.batch_size, self.kept, self.loss, self.by_launch,
            self.user_exponent, written is not None, self.seed,
        )  # fmt: skip
        users = validation_users(train, validation)
        rounds = -(-self.steps // self.validate_every)
        with Epochs(
            self.name, rounds, -(-self.patience // self.validate_every), checkpoint,
            training.changing, batches.generator,
        ) as epochs:  # fmt: skip
            for number in epochs:
                found = None
                steps = min(self.validate_every, self.steps - number * self.validate_every)
                loss = float(np.mean([training.step(batch) for batch in batches.draw(steps)]))
                if validation is not None and len(users):
                    with training.averaged():
                        self._v, self._h, self._b = training.encode_items()
                        q = self._encode_users(histories, users, written)
                        scores = self._match(q)
                    found = quality(scores, train, validation, users)
                epochs.end(loss, found, lambda: [training.mean])
        self.history = epochs.history
        training.take_mean(*epochs.best)  # none without validation
        self._v, self._h, self._b = training.encode_items()
        self._q = self._encode_users(histories, np.arange(train.n_users), written)

    def _chosen(self, features: Features) -> dict[str, np.ndarray]:
        """Return the arrays to read, or say which are lacking."""
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
        """Refuse options and data that make no sense."""
        for option, known in (("fusion", FUSIONS), ("loss", LOSSES)):
            if getattr(self, option) not in known:
                raise ValueError(
                    f"{option} is {getattr(self, option)!r}; there are {', '.join(known)}"
                )
        counts = ("dimensions", "units", "depth", "batch_size", "steps", "patience")
        for option in (*counts, "validate_every"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} is {getattr(self, option)}; it must be at least 1")
        for option in ("warm_up", "id_rate", "user_exponent"):
            if getattr(self, option) < 0:
                raise ValueError(f"{option} is {getattr(self, option)}; it must not be below 0")
        for option in ("dropout", "history_dropout", "modality_dropout", "id_dropout"):
            if not 0 <= getattr(self, option) < 1:
                raise ValueError(f"{option} is {getattr(self, option)}; it is a share below 1")
        if not 0 <= self.kept[0] <= self.kept[1] < 1:
            raise ValueError(f"kept is {self.kept}; it is two shares below 1, the smaller first")
        if self.fusion == "late" and len(content) > 1 and self.ids:
            raise ValueError("late fusion keeps the modalities apart; ids must be False")
        if not content and not self.ids:
            raise ValueError("TwoTower needs features to read, or ids=True")
        if not len(train):
            raise ValueError("nobody took anything: there is nothing to learn from")

    def _made_network(
        self, train: Interactions, content: Mapping[str, np.ndarray], reviews: tf.Tensor | None
    ) -> Network:
        """Make the network as it is before learning."""
        tower, length = None, self.dimensions
        with seeded(self.seed):
            if content:
                sizes = (self.units, self.dimensions, self.dropout, self.depth)
                tower = item_tower(content, self.fusion, *sizes)
                length = tower.outputs[0].shape[-1]
            return Network(
                tower, train.n_items, length, ids=self.ids, id_rate=self.id_rate,
                cosine=self.cosine,
                review_length=0 if reviews is None else reviews.shape[1],
                history_dropout=self.history_dropout, modality_dropout=self.modality_dropout,
                id_dropout=self.id_dropout, align=self.alignment > 0, seed=self.seed,
            )  # fmt: skip

    _made_training: Callable[..., Training] = Training  # what makes the steps of learning
    _made_batches: Callable[..., Batches] = Batches  # what cuts histories

    # Serving

    def _encode_users(
        self, histories: Histories, users: np.ndarray, reviews: tf.Tensor | None
    ) -> np.ndarray:
        """Return q of fitted users, from all that they took: float32 (n_users, length)."""
        blocks = []
        for start in range(0, len(users), _BLOCK):
            block = users[start : start + _BLOCK]
            places, entries = histories.of(block)
            written = None if reviews is None else tf.gather(reviews, histories.row[entries])
            items = histories.item[entries]
            q = self.network.encode_users(len(block), places, items, self._h, written)
            blocks.append(q.numpy())
        return np.concatenate(blocks)

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
            For an unknown item row. RuntimeError before ``fit``.
        """
        n_items = self.train.n_items
        rows = [
            list(dict.fromkeys(check_rows(np.array(each), n_items, "item"))) for each in histories
        ]
        blocks = [np.zeros((0, self.network.length), np.float32)]
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            users = np.repeat(np.arange(len(block)), [len(each) for each in block])
            items = np.array([item for each in block for item in each], dtype=np.int64)
            q = self.network.encode_users(len(block), users, items, self._h)
            blocks.append(q.numpy())
        return np.concatenate(blocks)

    def _score_parts(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start, parts = self.network.history_parts(history, self._h)
        v = self._v.T / np.float32(self.network.temperature)
        return start.numpy() @ v + self._b, parts.numpy() @ v

    def score_histories(self, histories: Sequence[Sequence[int]]) -> np.ndarray:
        """Score all items for users with these histories: float32 (n, n_items), like `score`."""
        return self._match(self.user_vectors(histories))

    def item_vectors(self, features: Features | None = None) -> np.ndarray:
        """Return v of the items of the catalogue, or of new ones: float32 (n_items, length).

        New items are encoded from their content alone. With q from `user_vectors`, a new item's
        score is q · v / temperature + the mean bias, as `score_new_items` computes it; an item of
        the catalogue has a bias of its own, see `item_biases`.

        Parameters
        ----------
        features : mapping, optional
            Of new items: the modalities that were read in ``fit``, one row an item. Words that no
            item of the catalogue has are read as unknown.

        Raises
        ------
        ValueError
            If the recommender reads no content, a modality is missing, has another shape than in
            ``fit``, or holds NaN. RuntimeError before ``fit``.
        """
        self.train  # noqa: B018 — it says what is wrong
        return self._v.copy() if features is None else self._encoded(features)

    @property
    def history_vectors(self) -> np.ndarray:
        """h of the catalogue, float32 (n_items, length); RuntimeError before ``fit``."""
        self.train  # noqa: B018
        return self._h.copy()

    @property
    def item_biases(self) -> np.ndarray:
        """b of the catalogue, float32 (n_items,); RuntimeError before ``fit``."""
        self.train  # noqa: B018
        return self._b.copy()

    @property
    def temperature(self) -> float:
        """By what q · v is divided in a score; RuntimeError before ``fit``."""
        self.train  # noqa: B018
        return self.network.temperature

    def index(self, approximate: bool = False, **options: Any) -> Index:
        """Return an index of the catalogue, in which `queries` finds what `score` ranks first.

        The vectors are (v / temperature, b), float32 (n_items, length + 1); the arguments are those
        of `Index`, which says what is raised. RuntimeError before ``fit``.
        """
        v = self.item_vectors() / np.float32(self.temperature)
        return Index(np.column_stack([v, self._b]), approximate, **options)

    def queries(self, histories: Sequence[Sequence[int]]) -> np.ndarray:
        """Return what to search for in `index`, (q, 1): float32 (n, length + 1).

        The arguments and errors are those of `user_vectors`.
        """
        q = self.user_vectors(histories)
        return np.column_stack([q, np.ones(len(q), np.float32)])

    @keras_defaults()
    def _encoded(self, features: Features) -> np.ndarray:
        """Return v of new items."""
        if self.tower is None:
            raise ValueError("ids alone say nothing of new items: fit with modalities")
        content = self._content_of_new(self.tower, features)
        inputs = {**content, "present": _present(content)}
        n_new = len(inputs["present"])
        blocks = [
            self.tower({name: part[start : start + _BLOCK] for name, part in inputs.items()})[0]
            for start in range(0, max(n_new, 1), _BLOCK)
        ]
        return np.concatenate(blocks)

    def _content_of_new(self, tower: keras.Model, features: Features) -> dict[str, np.ndarray]:
        """Return the content of new items as the tower reads it, or say what is wrong with it."""
        lacking = [name for name in self._names if name not in features]
        if lacking:
            raise ValueError(f"new items need the features {lacking} too (zeros where absent)")
        content = {name: _single(as_dense(as_array(name, features[name]))) for name in self._names}
        for name, array in content.items():
            sizes = tower.input[name].shape[1:]
            n_new = len(content[self._names[0]])
            if array.shape != (n_new, *sizes):
                raise ValueError(
                    f"features[{name!r}] has shape {array.shape}; these {n_new} new items need "
                    f"{(n_new, *sizes)}, as in fit"
                )
            if np.issubdtype(array.dtype, np.integer):
                encoder = tower.get_layer(f"{name}_encoder")
                known = array < encoder.get_layer(WORD_VECTORS).input_dim
                content[name] = np.where(known, array, UNKNOWN)
            elif not np.isfinite(array).all():
                row = np.argwhere(~np.isfinite(array))[0, 0]
                raise ValueError(f"features[{name!r}] holds NaN or infinity in row {row}")
        return content

    def score_new_items(self, users: Rows, features: Features) -> np.ndarray:
        """Score items that were not in the catalogue: float32 (n_users, n_new_items).

        Comparable with `score`: what it would have given, had the item been there untaken. Raises
        ValueError for an unknown user row, and as `item_vectors` does.
        """
        train = self.train
        q = self._q[check_rows(users, train.n_users, "user")]
        mean = self.network.bias.numpy()[np.unique(train.log["item"])].mean()
        found: np.ndarray = (
            q @ self.item_vectors(features).T / np.float32(self.network.temperature) + mean
        )
        return found

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self._match(self._q[users])

    def _match(self, q: np.ndarray) -> np.ndarray:
        """Score all items for users with these vectors."""
        scores: np.ndarray = q @ self._v.T / np.float32(self.network.temperature) + self._b
        return scores

    # Saving

    def _state(self) -> dict[str, np.ndarray]:
        state = {"v": self._v, "h": self._h, "b": self._b, "q": self._q}
        state["names"] = np.array(self._names, dtype=str)
        state["temperature"] = np.array(self.network.temperature)
        state |= {f"own/{name}": each.numpy() for name, each in self.network.free_weights.items()}
        return state | {f"history/{name}": np.array(each) for name, each in self.history.items()}

    @keras_defaults()
    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._v, self._h, self._b, self._q = (state[name] for name in "vhbq")
        self._names = state["names"].tolist()
        self.history = {
            name: each.tolist() for name, each in with_prefix("history/", state).items()
        }
        weights = with_prefix("own/", state)
        with seeded(self.seed):
            self.network = Network(
                None, len(self._b), len(weights["q_0"]), ids="e" in weights,
                id_rate=self.id_rate, cosine=self.cosine,
                review_length=len(weights.get("R", ())), history_dropout=self.history_dropout,
                modality_dropout=self.modality_dropout, id_dropout=self.id_dropout,
                align=self.alignment > 0, seed=self.seed,
            )  # fmt: skip
        for name, variable in self.network.free_weights.items():
            variable.assign(weights[name])

    def _write(self, folder: Path) -> None:
        if self.tower is not None:
            self.tower.save(folder / _TOWER)

    def _read(self, folder: Path) -> None:
        if (folder / _TOWER).exists():
            self.network.tower = load_network(folder / _TOWER)

    @classmethod
    def _made(cls, options: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        pooling = options.get("pooling", "mean")  # an option of the first edition
        if pooling != "mean":
            raise ValueError(
                f"it pools histories by {pooling!r}, and this version by their mean alone: fit a "
                "new TwoTower, or load it with version 0.1.0"
            )
        return super()._made({name: options[name] for name in options if name != "pooling"}, state)


def _single(array: np.ndarray) -> np.ndarray:
    """Return numbers with a fraction in single precision, in which the networks compute."""
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def _present(content: Mapping[str, np.ndarray]) -> np.ndarray:
    """Say which item has which modality, rows not all zeros: float32 (n_items, n_modalities)."""
    there = [array.reshape(len(array), -1).any(axis=1) for array in content.values()]
    return np.column_stack(there).astype(np.float32)


def _tensors(train: Interactions, content: Mapping[str, np.ndarray]) -> Content:
    """Return the content, and which items were taken, as tensors."""
    taken = np.asarray(train.matrix.sum(axis=0)).ravel() > 0
    return Content(
        arrays={name: tf.constant(array) for name, array in content.items()},
        present=tf.constant(_present(content)) if content else None,
        warm=tf.constant(taken.astype(np.float32)),
    )

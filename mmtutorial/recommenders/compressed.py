"""A fitted two-tower in the fewest bytes that still recommend: what serving needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Recommender, Rows, check_rows
from mmtutorial.recommenders.codes import CODES, narrow, pack_texts, unpack_texts
from mmtutorial.recommenders.content import as_dense
from mmtutorial.recommenders.explain import modalities_of
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.storage.arrays import with_prefix

if TYPE_CHECKING:
    from mmtutorial.recommenders.two_tower import TwoTower

_SCORES = 2**22  # held at a time: bounds memory
_TOWER = "item_tower.tflite"


class Compressed(Recommender):
    r"""Serves a two-tower's lists from short codes of its vectors, without TensorFlow.

    A saved `TwoTower` holds more than serving needs: the users' vectors follow from the histories
    and the items' vectors, :math:`q_u = q_0 + \lvert H_u \rvert^{-\rho} \sum_{j \in H_u} h_j`
    (eq-user-tower); of the training interactions the histories are enough; and the network is
    needed for new items alone. So this recommender keeps v and h in short codes, the biases, and
    who took what, in as few bytes as that takes. In memory its vectors are float32 again: products
    of NumPy are fastest with these.

    Parameters
    ----------
    original : TwoTower, optional
        What is compressed; `fit` fits it, or takes it from the cache where it has learnt the same
        before (`mmtutorial.recommenders.kept.fit_once`). `of` compresses a fitted one. What is
        loaded has none.
    codes : {"float32", "float16", "int8", "product", "signs"}
        How v and h are written; see `mmtutorial.recommenders.codes`.
    dimensions : int, optional
        Of v and h: the directions in which the items' vectors are largest (their truncated singular
        value decomposition); all without it.
    pruned : float
        Share of the item tower's weights that are set to 0, the smallest first, before the others
        learn on; see `mmtutorial.recommenders.two_tower.smaller.prune`.
    student : mapping, optional
        Options of a smaller `TwoTower` that learns from the original what is then written; see
        `mmtutorial.recommenders.two_tower.smaller.distil`.
    new_items : bool
        Whether the item tower is kept too, with 8-bit weights in LiteRT's format (formerly
        TensorFlow Lite): for `score_new_items`, which needs TensorFlow.

    Raises
    ------
    ValueError
        For unknown codes; from ``fit`` or `of`, if the original reads reviews, without which its
        users' vectors are not known, or has fewer dimensions.

    Examples
    --------
    >>> from mmtutorial.recommenders import TwoTower
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    >>> tower = TwoTower((), ids=True, steps=5).fit(train)
    >>> small = Compressed.of(tower, "int8")
    >>> small.recommend([1], k=2).tolist() == tower.recommend([1], k=2).tolist()
    True
    """

    def __init__(
        self,
        original: TwoTower | None = None,
        codes: str = "int8",
        *,
        dimensions: int | None = None,
        pruned: float = 0.0,
        student: Mapping[str, Any] | None = None,
        new_items: bool = False,
    ) -> None:
        if codes not in CODES:
            raise ValueError(f"codes is {codes!r}; there are {', '.join(CODES)}")
        self.original = original
        self.codes = codes
        self.dimensions = dimensions
        self.pruned = pruned
        self.student = student
        self.new_items = new_items

    @property
    def name(self) -> str:  # type: ignore[override]
        """In which codes."""
        return f"compressed two-tower ({self.codes})"

    @classmethod
    def of(cls, fitted: TwoTower, codes: str = "int8", **options: Any) -> Self:
        """Compress a fitted recommender as it is: neither ``pruned`` nor a ``student``."""
        made = cls(fitted, codes, **options)
        made._train = fitted.train
        made._take(fitted)
        return made

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        from mmtutorial.recommenders.kept import fit_once
        from mmtutorial.recommenders.two_tower.smaller import distil, prune

        if self.original is None:
            raise ValueError("there is nothing to compress: give Compressed an original")
        tower: Any = fit_once(self.original, train, features, validation)
        if self.student is not None:
            tower = distil(tower, self.student, train, features, validation)
        if self.pruned:
            tower = prune(tower, self.pruned, train, features, validation)
        self._train = train
        self._take(tower)

    def _take(self, tower: TwoTower) -> None:
        """Write a fitted tower's vectors in codes, and serve from what these say."""
        network, train = tower.network, self.train
        if network.R is not None:
            raise ValueError("a two-tower that reads reviews cannot be compressed: fit one without")
        rotation = _directions(tower.item_vectors(), self.dimensions)
        encode, _ = CODES[self.codes]
        v = encode(tower.item_vectors() @ rotation)
        h = encode(tower.history_vectors @ rotation)
        taken = np.unique(train.log["item"])
        start = np.asarray(network.q_0) @ rotation
        self._kept = {f"v/{name}": each for name, each in v.items()}
        self._kept |= {f"h/{name}": each for name, each in h.items()}
        self._kept |= {
            "b": tower.item_biases,
            "start": start.astype(np.float32),
            "about": np.array(
                [float(network.power), tower.temperature, np.asarray(network.bias)[taken].mean()],
                np.float32,
            ),
            "cosine": np.array(network.log_temperature is not None),
        }
        if self.dimensions is not None:
            self._kept["rotation"] = rotation.astype(np.float16)
        self._tower = b""
        if self.new_items:
            from mmtutorial.recommenders.two_tower.export import as_litert

            self._tower = as_litert(tower.tower)
            self._kept["names"] = np.array(modalities_of(tower), dtype=str)
        self._histories = _histories(train)
        self._open()

    def _open(self) -> None:
        """Turn codes into what `_score` multiplies."""
        decode = CODES[self.codes][1]
        v, h = (decode(with_prefix(f"{name}/", self._kept)) for name in "vh")
        power, temperature, _ = self._kept["about"]
        self._v = np.ascontiguousarray(v.T) / temperature  # (length, n_items)
        self._h, self._b = h, self._kept["b"]
        count = np.diff(self._histories[0])
        self._weights = np.maximum(count, 1).astype(np.float32) ** -power

    # Serving

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self._vectors(users) @ self._v + self._b)

    def _vectors(self, users: np.ndarray) -> np.ndarray:
        """Return q of these users, pooled from their histories: float32 (n_users, length)."""
        places, items = self._taken(users)
        start = self._kept["start"]
        q = np.zeros((len(users), len(start)), np.float32)
        if len(items):
            firsts = np.flatnonzero(np.diff(places, prepend=-1))
            q[places[firsts]] = np.add.reduceat(self._h[items], firsts)
        q = start + self._weights[users, None] * q
        if self._kept["cosine"]:
            q /= np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-6)
        return np.asarray(q)

    def _taken(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place in ``users`` and the row of each item that they took."""
        ends, items = self._histories
        if len(users) == 1:  # a request
            one = items[ends[users[0]] : ends[users[0] + 1]]
            return np.zeros(len(one), np.int64), one
        sizes = ends[users + 1] - ends[users]
        entries = np.repeat(ends[users] - np.cumsum(sizes) + sizes, sizes)
        return np.repeat(np.arange(len(users)), sizes), items[entries + np.arange(sizes.sum())]

    def recommend(self, users: Rows, k: int = 10, exclude_seen: bool = True) -> np.ndarray:
        """Return the k best items of each user, as `Recommender.recommend` does.

        Histories are marked in the scores themselves, without a sparse matrix.
        """
        rows = check_rows(users, self.train.n_users, "user")
        height = max(1, _SCORES // max(1, self.train.n_items))
        found = []
        for some in np.split(rows, range(height, len(rows), height)):
            scores = self._score(some)
            if exclude_seen:
                scores[self._taken(some)] = -np.inf
            found.append(top_k(scores, k))
        return np.concatenate(found)

    def item_vectors(self, features: Features | None = None) -> np.ndarray:
        """Return v of the catalogue, or of new items: float32 (n_items, length).

        Parameters
        ----------
        features : mapping, optional
            Of new items: each modality that the original read, float32 (n_new, d), zeros where an
            item lacks it.

        Raises
        ------
        ValueError
            For new items where the item tower was not kept (``new_items``).
        """
        if features is None:
            return np.asarray(self._v.T * self._kept["about"][1])
        if not self._tower:
            raise ValueError("the item tower was not kept: compress with new_items=True")
        from mmtutorial.recommenders.two_tower.export import run_litert

        if not hasattr(self, "_encode"):
            self._encode = run_litert(self._tower, self._kept["names"].tolist())
        v: np.ndarray = self._encode({name: as_dense(each) for name, each in features.items()})
        rotation = self._kept.get("rotation")
        return v if rotation is None else v @ rotation.astype(np.float32)

    def score_new_items(self, users: Rows, features: Features) -> np.ndarray:
        """Score items that were not in the catalogue: float32 (n_users, n_new_items).

        Raises ValueError for an unknown user row, and as `item_vectors` does.
        """
        q = self._vectors(check_rows(users, self.train.n_users, "user"))
        _, temperature, bias = self._kept["about"]
        return np.asarray(q @ self.item_vectors(features).T / temperature + bias)

    # Saving

    def _state(self) -> dict[str, np.ndarray]:
        return dict(self._kept)

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._kept = dict(state)
        self._tower = b""
        self._histories = _histories(self.train)
        self._open()

    def _write(self, folder: Path) -> None:
        if self._tower:
            (folder / _TOWER).write_bytes(self._tower)

    def _read(self, folder: Path) -> None:
        if (folder / _TOWER).exists():
            self._tower = (folder / _TOWER).read_bytes()

    def _saved_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options().items() if name != "original"}

    def _saved_train(self) -> dict[str, np.ndarray]:
        ends, items = self._histories
        found = {"sizes": narrow(np.diff(ends)), "taken": narrow(items)}
        texts = {name: getattr(self.train, name) for name in ("users", "items", "titles")}
        for name, each in texts.items():
            if each is not None:
                found |= {f"{name}/{part}": a for part, a in pack_texts(each).items()}
        return found

    @classmethod
    def _loaded_train(cls, arrays: Mapping[str, np.ndarray]) -> Interactions:
        texts = {
            name: unpack_texts(with_prefix(f"{name}/", arrays))
            for name in ("users", "items", "titles")
            if f"{name}/sizes" in arrays
        }
        sizes = arrays["sizes"].astype(np.int64)
        log = pd.DataFrame(
            {
                "user": np.repeat(np.arange(len(sizes)), sizes),
                "item": arrays["taken"].astype(np.int64),
                "timestamp": np.nan,
                "row": np.arange(len(arrays["taken"])),
            }
        )
        return Interactions(log, **texts)


def _histories(train: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """Return where each user's items end, int64 (n_users + 1,), and the items, each once."""
    log = train.log.drop_duplicates(["user", "item"]).sort_values("user", kind="stable")
    ends = np.searchsorted(log["user"], np.arange(train.n_users + 1))
    return ends, log["item"].to_numpy(np.int64)


def _directions(v: np.ndarray, dimensions: int | None) -> np.ndarray:
    """Return an orthonormal basis of the directions in which v is largest: float32 (length, d)."""
    length = v.shape[1]
    if dimensions is None:
        return np.eye(length, dtype=np.float32)
    if not 1 <= dimensions <= length:
        raise ValueError(f"dimensions is {dimensions}; the original has {length}")
    _, _, right = np.linalg.svd(v, full_matrices=False)
    return np.asarray(right[:dimensions].T, dtype=np.float32)

"""Why an item is in a list: which items of the history speak for it, and which modality decided.

A score says that an item is good; what makes it better than others is the score less its mean over
the catalogue. That difference is taken apart here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from mmtutorial.recommenders.base import Recommender, check_rows
from mmtutorial.recommenders.inputs import Features

if TYPE_CHECKING:
    from mmtutorial.recommenders.two_tower import TwoTower

Rows = Sequence[int] | np.ndarray  # of items

WORDS = {
    "text": "its text",
    "words": "its tags",
    "image": "its picture",
    "audio": "its sound",
}


@dataclass(frozen=True)
class Reason:
    """Why one item is recommended.

    Parameters
    ----------
    item : int
        Row of the item.
    because : tuple of int
        At most two rows of the history, the one that speaks most for the item first; empty where
        nothing in the history does.
    popular : bool
        Whether what holds for every user says more for it than the whole history.
    modalities : tuple of str
        What decided, most first; empty where that is not known.
    all_modalities : bool
        Whether these are all that were compared.

    Examples
    --------
    >>> Reason(2, (0,), False, ("audio",)).sentence(["Kettle", "Bell", "Siren"])
    'because you took Kettle; mostly its sound'
    """

    item: int
    because: tuple[int, ...]
    popular: bool
    modalities: tuple[str, ...] = ()
    all_modalities: bool = False

    def sentence(self, titles: Sequence[str]) -> str:
        """Say it in words; ``titles`` has one entry an item of the catalogue."""
        named = " and ".join(titles[row] for row in self.because)
        if self.because and self.popular:
            words = f"many like it, and you took {named}"
        else:
            words = f"because you took {named}" if named else "many like it"
        if self.modalities:
            *others, last = [WORDS.get(name, f"its {name}") for name in self.modalities]
            decided = f"{', '.join(others)} and {last}" if others else last
            words += f"; {'' if self.all_modalities else 'mostly '}{decided}"
        return words


def history_shares(
    recommender: Recommender, history: Rows, items: Rows
) -> tuple[np.ndarray, np.ndarray]:
    r"""Take scores apart into what each item of a history adds, exactly.

    For the two-tower recommender, with v̄ and b̄ the means over the catalogue and τ the temperature,

    .. math::
        \hat y_{ui} - \bar y_u = \underbrace{q_0 \cdot (v_i - \bar v) / \tau + b_i - \bar b}_{
        \text{for everybody}} + \sum_{j \in H_u} \frac{h_j \cdot (v_i - \bar v)}
        {\tau \lvert H_u \rvert^{\rho}}

    (eq-shares); for item-kNN, EASE and their like, the entries of W less their mean.

    Parameters
    ----------
    recommender : Recommender
        A fitted `TwoTower` or `ItemToItem`.
    history : sequence of int
        Item rows that the user took, each once; may be empty.
    items : sequence of int
        Item rows to explain.

    Returns
    -------
    everybody : ndarray
        float64 (n_items,): what does not depend on the history.
    shares : ndarray
        float64 (n_items, len(history)). A row's sum and its entry of ``everybody`` make the score
        less the mean score over the catalogue.

    Raises
    ------
    RuntimeError
        If the recommender has not been fitted.
    ValueError
        If its scores are no sum over the history, or an item occurs in the history twice.

    Examples
    --------
    >>> from mmtutorial.recommenders import ItemKNN
    >>> from mmtutorial.interactions import Interactions
    >>> train = Interactions.of([("ann", "cup", 1), ("ann", "tea", 2), ("bob", "ice", 3)])
    >>> history_shares(ItemKNN(shrink=0).fit(train), [0], items=[2])[1].round(3).tolist()
    [[0.667]]
    """
    everybody, parts = recommender.score_parts(history)
    listed = check_rows(items, recommender.train.n_items, "item")
    parts -= parts.mean(axis=1, keepdims=True)
    return (everybody - everybody.mean())[listed], parts.T[listed]


def modality_shares(
    recommender: TwoTower, history: Rows, items: Rows, features: Features
) -> dict[str, np.ndarray]:
    """Say what each modality of items adds to their scores: how much is lost when it is hidden.

    The item is encoded with and without the modality; the loss is compared with the mean loss over
    all items that have it, so that only what sets an item apart counts. Losses do not add up to the
    score: what two modalities both say is not missed when one is hidden.

    Parameters
    ----------
    recommender : TwoTower
        Fitted.
    history, items
        As for `history_shares`; only the items' own modalities are hidden, not the history's.
    features : mapping
        What the recommender was fitted with: one row an item of the catalogue.

    Returns
    -------
    dict
        Modality to float64 (n_items,), in units of the score; NaN where an item lacks it.

    Raises
    ------
    ValueError
        If a modality is missing in ``features``.

    Examples
    --------
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.recommenders import TwoTower
    >>> train = Interactions.of([("ann", "cup", 1), ("ann", "tea", 2), ("bob", "ice", 3)])
    >>> features = {"text": np.eye(3, dtype="float32"), "audio": np.ones((3, 1), "float32")}
    >>> tower = TwoTower(steps=2).fit(train, features)
    >>> bool(abs(modality_shares(tower, [0], [2], features)["audio"][0]) < 9)
    True
    """
    recommender.train  # noqa: B018 — it says what is wrong
    tower = recommender.tower
    if tower is None:
        return {}
    names = [name for name in tower.input if name != "present"]
    lacking = [name for name in names if name not in features]
    if lacking:
        raise ValueError(f"features lacks {lacking}, which the recommender was fitted with")
    content = {name: np.asarray(features[name]) for name in names}
    present = np.column_stack(
        [array.reshape(len(array), -1).any(axis=1) for array in content.values()]
    ).astype(np.float32)
    past = np.asarray(history, dtype=int).tolist()
    q = recommender.user_vectors([past])[0] / np.float32(recommender.temperature)

    def scored(there: np.ndarray) -> np.ndarray:
        v: np.ndarray = tower({**content, "present": there}, training=False)[0].numpy()
        return np.asarray(v @ q)

    whole, shares = scored(present), {}
    for place, name in enumerate(names):
        hidden = present.copy()
        hidden[:, place] = 0
        lost = np.where(present[:, place] > 0, whole - scored(hidden), np.nan).astype(np.float64)
        shares[name] = (lost - (np.nanmean(lost) if present[:, place].any() else 0))[list(items)]
    return shares


def reasons(
    recommender: Recommender,
    history: Rows,
    items: Rows,
    features: Features | None = None,
) -> list[Reason]:
    """Give the reason for each item of a list.

    Of the history, the item with the largest share is named, and the second if it has at least half
    of that; of the modalities, the largest, and others with at least half of it.

    Parameters
    ----------
    recommender, history, items
        As for `history_shares`.
    features : mapping, optional
        As for `modality_shares`; without it no modality is named, nor by other recommenders than
        the two-tower one.

    Raises
    ------
    ValueError
        See `history_shares` and `modality_shares`.

    Examples
    --------
    >>> from mmtutorial.recommenders import ItemKNN
    >>> from mmtutorial.interactions import Interactions
    >>> train = Interactions.of([("ann", "cup", 1), ("ann", "tea", 2), ("bob", "ice", 3)])
    >>> reasons(ItemKNN().fit(train), [0], [2])[0].sentence(["Cup", "Ice", "Tea"])
    'because you took Cup'
    """
    everybody, shares = history_shares(recommender, history, items)
    decided: dict[str, np.ndarray] = {}
    if features is not None and getattr(recommender, "tower", None) is not None:
        decided = modality_shares(cast("TwoTower", recommender), history, items, features)
    found = []
    for place, item in enumerate(items):
        speaking = _leading(shares[place])[:2]
        leading = _leading(np.array([share[place] for share in decided.values()]))
        found.append(
            Reason(
                item=int(item),
                because=tuple(int(history[row]) for row in speaking),
                popular=bool(everybody[place] > shares[place].sum()),
                modalities=tuple(list(decided)[row] for row in leading) if len(decided) > 1 else (),
                all_modalities=len(leading) == len(decided),
            )
        )
    return found


def _leading(shares: np.ndarray) -> list[int]:
    """Return the places of the largest share and of those at least half as large, above 0."""
    known = np.nan_to_num(shares, nan=0.0)
    if not len(known) or known.max() <= 0:
        return []
    order = np.argsort(-known, kind="stable")
    return [int(place) for place in order if known[place] >= known.max() / 2]

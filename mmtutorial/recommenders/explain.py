"""Why an item is in a list: which items of the history, modalities and parts of media speak for it.

A score says that an item is good; what makes it better than others is the score less its mean over
the catalogue. That difference is taken apart here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from mmtutorial.equations.attribution import coalitions, shapley_values
from mmtutorial.preprocessing.features import Fitted
from mmtutorial.preprocessing.parts import PARTS, Parts
from mmtutorial.recommenders.base import Recommender, check_rows
from mmtutorial.recommenders.content import as_dense
from mmtutorial.recommenders.inputs import Features

if TYPE_CHECKING:
    from mmtutorial.recommenders.two_tower import TwoTower

Rows = Sequence[int] | np.ndarray  # of items
_BLOCK = 256  # users or items at a time: bounds memory

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


def coalition_scores(
    recommender: TwoTower, histories: Sequence[Rows], features: Features
) -> np.ndarray:
    """Score every item as if it had only some of its modalities, for every choice of these.

    What the fusion does where a modality is absent, it does here. The users' histories keep theirs.

    Parameters
    ----------
    recommender : TwoTower
        Fitted, and reading content.
    histories : sequence of sequences of int
        Item rows that each user took.
    features : mapping
        What the recommender was fitted with: one row an item of the catalogue.

    Returns
    -------
    ndarray
        float32 (2^m, n_users, n_items), without the items' biases; of the rows see
        `mmtutorial.equations.attribution.coalitions`, of the modalities `modalities_of`.

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
    >>> coalition_scores(TwoTower(steps=2).fit(train, features), [[0], []], features).shape
    (4, 2, 3)
    """
    names = modalities_of(recommender)
    lacking = [name for name in names if name not in features]
    if lacking:
        raise ValueError(f"features lacks {lacking}, which the recommender was fitted with")
    content = {name: as_dense(features[name]) for name in names}
    there = _there(content)
    rows = np.arange(len(there))
    q = _queries(recommender, histories)
    v = [_candidates(recommender, rows, content, there * some) for some in coalitions(len(names))]
    return np.stack([q @ each.T for each in v])


def modalities_of(recommender: Recommender) -> list[str]:
    """Return the modalities that a fitted recommender reads, in its order; none of other kinds."""
    recommender.train  # noqa: B018 — it says what is wrong
    tower = getattr(recommender, "tower", None)
    return [] if tower is None else [name for name in tower.input if name != "present"]


def modality_shares(
    recommender: TwoTower, history: Rows, items: Rows, features: Features
) -> dict[str, np.ndarray]:
    r"""Share the scores of items among their modalities, by Shapley values (eq-shapley).

    ν(S) is the score of an item of which only the modalities S are known, less its mean over the
    catalogue, so that only what sets an item apart counts. What two modalities both say is shared
    between them.

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
        Modality to float64 (n_items,), in units of the score; NaN where an item lacks it. For an
        item that has all, they add up to its score less the mean score over the catalogue, but for
        what biases and ids add.

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
    found = list_shares(recommender, [history], np.asarray(items, np.intp)[None], features)
    return {name: shares[0] for name, shares in found.items()}


def list_shares(
    recommender: TwoTower, histories: Sequence[Rows], ranked: np.ndarray, features: Features
) -> dict[str, np.ndarray]:
    """Share the scores of the items in several users' lists among their modalities.

    The numbers are those of `modality_shares`; the catalogue is encoded once for many users.

    Parameters
    ----------
    recommender, features
        As for `modality_shares`.
    histories : sequence of sequences of int
        Item rows that each user took.
    ranked : ndarray
        int (n_users, k): their lists, -1 for a place without an item.

    Returns
    -------
    dict
        Modality to float64 (n_users, k), in units of the score; NaN where the item lacks it, or
        there is no item.

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
    >>> list_shares(tower, [[0], [2]], np.array([[2, 1], [0, -1]]), features)["audio"].shape
    (2, 2)
    """
    names = modalities_of(recommender)
    if not names:
        return {}
    found = np.empty((len(names), *ranked.shape))
    rows = np.maximum(ranked, 0)
    for start in range(0, len(histories), _BLOCK):
        some = slice(start, start + _BLOCK)
        scores = coalition_scores(recommender, histories[some], features)
        shares = shapley_values(scores - scores.mean(axis=2, keepdims=True))
        found[:, some] = np.take_along_axis(shares, rows[some][None], axis=2)
    there = _there({name: as_dense(features[name]) for name in names}).T > 0  # (m, n_items)
    found[~(there[:, rows] & (ranked >= 0))] = np.nan
    return dict(zip(names, found, strict=True))


def named_modalities(
    recommender: TwoTower, histories: Sequence[Rows], ranked: np.ndarray, features: Features
) -> np.ndarray:
    """Name the modality with the largest Shapley value at each place of some lists.

    Parameters
    ----------
    recommender, features
        As for `modality_shares`.
    histories : sequence of sequences of int
        Of each user.
    ranked : ndarray
        int (n_users, k): their lists, -1 for places without an item.

    Returns
    -------
    ndarray
        int (n_users, k): places in `modalities_of`; -1 where no value is above 0, or no item is.

    Examples
    --------
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.recommenders import TwoTower
    >>> train = Interactions.of([("ann", "cup", 1), ("ann", "tea", 2), ("bob", "ice", 3)])
    >>> features = {"text": np.eye(3, dtype="float32"), "audio": np.zeros((3, 1), "float32")}
    >>> tower = TwoTower(steps=2).fit(train, features)
    >>> int(named_modalities(tower, [[0]], np.array([[2, -1]]), features)[0, 1])
    -1
    """
    shares = list_shares(recommender, histories, ranked, features)
    listed = np.nan_to_num(np.stack(list(shares.values())))
    return np.where(listed.max(axis=0) > 0, listed.argmax(axis=0), -1)


def part_scores(
    recommender: TwoTower,
    history: Rows,
    item: int,
    features: Features,
    name: str,
    vectors: np.ndarray,
) -> np.ndarray:
    """Score an item whose medium was altered, such as a picture without one of its regions.

    Parameters
    ----------
    recommender, history, features
        As for `modality_shares`.
    item : int
        Its row.
    name : str
        The modality that was altered; the others stay.
    vectors : ndarray
        float32 (n, ...): what the tower reads of each altered medium. Zeros: nothing is left.

    Returns
    -------
    ndarray
        float32 (n,), without the item's bias, which stays the same.

    Examples
    --------
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.recommenders import TwoTower
    >>> train = Interactions.of([("ann", "cup", 1), ("ann", "tea", 2), ("bob", "ice", 3)])
    >>> features = {"text": np.eye(3, dtype="float32"), "audio": np.ones((3, 1), "float32")}
    >>> tower = TwoTower(steps=2).fit(train, features)
    >>> part_scores(tower, [0], 2, features, "text", np.eye(3, dtype="float32")).shape
    (3,)
    """
    n = len(vectors)
    content = {
        each: vectors if each == name else np.repeat(as_dense(features[each])[[item]], n, axis=0)
        for each in modalities_of(recommender)
    }
    v = _candidates(recommender, np.full(n, item), content, _there(content))
    found: np.ndarray = v @ _queries(recommender, [history])[0]
    return found


def removed(
    recommender: TwoTower,
    history: Rows,
    item: int,
    fitted: Fitted,
    name: str,
    gone: np.ndarray | None = None,
) -> tuple[Parts, np.ndarray]:
    """Score an item without some words of its text, regions of its picture, moments of its sound.

    Parameters
    ----------
    recommender, history, item, name
        As for `part_scores`.
    fitted : Fitted
        What the recommender was fitted with, from
        `mmtutorial.preprocessing.features.fitted_features`; `name` is one of its ``media``.
    gone : ndarray, optional
        bool (n, n_parts): what is taken away each time; without it each part alone.

    Returns
    -------
    parts : Parts
        The words, regions or moments.
    lost : ndarray
        float32 (n,): by how much the score falls.

    Examples
    --------
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.datasets import shop
    >>> from mmtutorial.preprocessing.features import fitted_features
    >>> from mmtutorial.recommenders import TwoTower
    >>> data = shop(n_items=40, n_users=30)
    >>> fitted = fitted_features(data, np.ones(40, bool))
    >>> train = Interactions.of(data.interactions, items=data.items["item"])
    >>> tower = TwoTower(steps=2).fit(train, fitted.features)
    >>> parts, lost = removed(tower, [0, 1], 5, fitted, "image")
    >>> len(parts), lost.shape
    (16, (16,))
    """
    parts = PARTS[name](fitted.media[name][item])
    gone = np.eye(len(parts), dtype=bool) if gone is None else gone
    everything = np.vstack([np.zeros((1, len(parts)), bool), gone])
    vectors = fitted.encode[name](parts.without(everything))
    vectors[everything.all(axis=1)] = 0
    scores = part_scores(recommender, history, item, fitted.features, name, vectors)
    return parts, scores[0] - scores[1:]


def _there(content: Mapping[str, np.ndarray]) -> np.ndarray:
    """Say which item has which modality: float32 (n_items, m)."""
    there = [each.reshape(len(each), -1).any(axis=1) for each in content.values()]
    return np.column_stack(there).astype(np.float32)


def _queries(recommender: TwoTower, histories: Sequence[Rows]) -> np.ndarray:
    """Return q / τ of users with these histories, float32 (n_users, length)."""
    q = recommender.user_vectors([np.asarray(each, dtype=int).tolist() for each in histories])
    return q / np.float32(recommender.temperature)


def _candidates(
    recommender: TwoTower, rows: np.ndarray, content: Mapping[str, np.ndarray], there: np.ndarray
) -> np.ndarray:
    """Return v of items with this content, and with the ids of these rows: (n, length)."""
    network, tower = recommender.network, recommender.tower
    assert tower is not None
    blocks = []
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, start + _BLOCK)
        given = {name: array[some] for name, array in content.items()}
        v = np.asarray(tower({**given, "present": there[some]}, training=False)[0])
        if network.e is not None:
            taken = np.isin(rows[some], recommender.train.log["item"])[:, None]
            v = v + network.id_rate * taken * network.e.numpy()[rows[some]]
        if network.log_temperature is not None:
            v = v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-6)
        blocks.append(v.astype(np.float32))
    return np.concatenate(blocks)


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

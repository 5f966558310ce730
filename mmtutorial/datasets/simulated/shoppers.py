"""Shoppers with known tastes, who choose from what they are shown.

A shopper u gives item i the *taste*

    taste[u, i] = w_image · a[u, image attribute of i]  + w_audio · b[u, audio attribute of i]
                + w_text  · s[u] · liking of i          + w_pair  · 2 · 1[i is u's favourite pair]

where a, b (for each shopper) and liking have mean 0 and variance 1 over the catalogue, s is drawn
from a normal of mean 0.6 and deviation 0.8, and a pair is a kind seen and a voice heard together.
At each visit the shopper is shown a shelf: items drawn at random with probability proportional to
exp(popularity[i]), less what has not been launched or is owned already. From it the shopper takes
one by a multinomial logit (McFadden 1974): *utility*, which is taste / noise, plus a standard
Gumbel draw, and the largest wins. How probable each choice is, before the shelf is known, follows
(`mmtutorial.datasets.choice`), and ranking by it is the limit that no recommender can pass in
expectation: the oracle.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from mmtutorial.datasets.dataset import Truth

START = 1_704_067_200  # 2024-01-01 00:00 UTC, seconds since 1970
DAY = 86_400  # seconds
WEIGHTS = {"image": 1.0, "audio": 1.0, "text": 1.0, "pair": 1.0}
_BLOCK = 4096  # shoppers simulated together: bounds memory, and is part of what a seed means
_AT_ONCE = 4  # blocks, one a core: bounds memory too
SPREAD = 0.6  # standard deviation of the logarithm of how much a shopper buys


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random numbers of one purpose: another purpose or seed has independent ones.

    >>> bool(stream(7, "tastes").random() == stream(7, "tastes").random())
    True
    >>> bool(stream(7, "picture", 0).random() == stream(7, "picture", 1).random())
    False
    """
    key = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def simulate(
    items: pd.DataFrame,
    seed: int = 0,
    n_users: int = 1600,
    *,
    mean_interactions: float = 24.0,
    weights: Mapping[str, float] = WEIGHTS,
    noise: float = 0.5,
    popularity: float = 0.7,
    shown: int = 120,
    launched_late: float = 0.3,
    days: int = 365,
) -> tuple[pd.DataFrame, Truth]:
    """Simulate what shoppers buy, and return it with the tastes that made them buy it.

    Parameters
    ----------
    items : DataFrame
        Columns ``item`` (str, unique), ``image_attribute`` and ``audio_attribute`` (str
        categories), ``text_attribute`` (float, how much reviewers liked the item).
    seed : int
        The same seed, items and knobs give the same purchases.
    n_users : int
        How many shoppers.
    mean_interactions : float
        Purchases a shopper makes on average (log-normal, at least 5): the sparsity knob.
    weights : mapping
        How much "image", "audio", "text" and the cross-modal "pair" count in a taste.
    noise : float
        Scale of what tastes do not explain; 0.1 is decided, 2 nearly random.
    popularity : float
        Standard deviation of the log-odds with which items are shown.
    shown : int
        Items drawn, with repetition, for the shelf of one visit.
    launched_late : float
        Share of items launched at some time during the period instead of at its start;
        the last of them are cold when a recommender is tested.
    days : int
        Length of the period.

    Returns
    -------
    interactions : DataFrame
        ``user`` (str), ``item`` (str), ``timestamp`` (int64, seconds UTC), ``rating`` (float 1–5),
        sorted by (timestamp, user, item).
    truth : Truth
        Factors whose product is the utility above, in logits, and how often each item is on a
        shelf.

    Raises
    ------
    ValueError
        For a missing column, an unknown weight, or a knob outside its range.

    References
    ----------
    McFadden (1974), Conditional logit analysis of qualitative choice behavior.

    Examples
    --------
    >>> items = pd.DataFrame({
    ...     "item": list("abcd"), "image_attribute": ["hat", "hat", "bag", "bag"],
    ...     "audio_attribute": ["bell", "drum", "bell", "drum"], "text_attribute": [1, 0, 0, -1]})
    >>> bought, truth = simulate(items, seed=1, n_users=3, mean_interactions=5)
    >>> truth.utility().shape
    (3, 4)
    """
    _check(
        items,
        weights,
        n_users=n_users,
        mean_interactions=mean_interactions,
        noise=noise,
        popularity=popularity,
        shown=shown,
        launched_late=launched_late,
        days=days,
    )
    world = stream(seed, "shoppers")
    n_items = len(items)
    appeal = popularity * world.standard_normal(n_items)
    launch = np.where(world.random(n_items) < launched_late, world.uniform(0.0, 1.0, n_items), 0.0)
    tastes = _Tastes.drawn(
        world, items, n_users, {name: weights.get(name, 0.0) / noise for name in WEIGHTS}
    )
    joined = world.uniform(0.0, 0.6, n_users)
    counts = np.exp(world.normal(np.log(mean_interactions) - SPREAD**2 / 2, SPREAD, n_users))
    counts = np.minimum(np.maximum(np.rint(counts), 5), n_items).astype(np.int64)
    share = np.exp(appeal) / np.exp(appeal).sum()

    n_blocks = -(-n_users // _BLOCK)
    stock = _drawer(np.cumsum(share))
    bought = Parallel(n_jobs=min(cpu_count(), _AT_ONCE), prefer="threads")(
        delayed(_choices)(block, generator, counts, joined, launch, stock, shown, tastes.of)
        for block, generator in zip(
            np.array_split(np.arange(n_users), n_blocks),
            stream(seed, "visits").spawn(n_blocks),
            strict=True,
        )
    )
    users, rows, times, strengths = (np.concatenate(parts) for parts in zip(*bought, strict=True))
    opinion = 0.6 * _standardised(strengths) + 0.6 * tastes.liking[rows]
    opinion += 0.6 * world.standard_normal(len(rows))
    timestamps = START + np.floor(times * days * DAY).astype(np.int64)

    user_ids = np.array([f"u{number:0{len(str(n_users - 1))}d}" for number in range(n_users)])
    rank_of_id, _ = pd.factorize(items["item"], sort=True)
    order = np.lexsort((rank_of_id[rows], users, timestamps))
    interactions = pd.DataFrame(
        {
            "user": user_ids[users[order]],
            "item": items["item"].to_numpy()[rows[order]],
            "timestamp": timestamps[order],
            "rating": np.clip(np.rint(3.7 + opinion[order]), 1.0, 5.0),
        }
    )
    item_ids = pd.Index(items["item"], name="item")
    item_factors, user_factors = tastes.factors(item_ids, pd.Index(user_ids, name="user"))
    shelf = pd.Series(1 - (1 - share) ** shown, index=item_ids)
    return interactions, Truth(item_factors, user_factors, shelf)


@dataclass(frozen=True)
class _Tastes:
    """What items are like, as codes int (n_items,), and how much shoppers like that, in logits.

    ``image_taste`` and ``audio_taste`` are float64 (n_users, kinds), ``text_taste`` (n_users,);
    ``pair_taste`` is what an item of the shopper's favourite pair of image and audio adds.
    """

    image: np.ndarray
    audio: np.ndarray
    liking: np.ndarray
    pair: np.ndarray
    names: list[str]
    image_taste: np.ndarray
    audio_taste: np.ndarray
    text_taste: np.ndarray
    favourite: np.ndarray
    pair_taste: float

    @classmethod
    def drawn(
        cls,
        world: np.random.Generator,
        items: pd.DataFrame,
        n_users: int,
        scale: Mapping[str, float],
    ) -> Self:
        """Draw the tastes of all shoppers, each modality with its scale."""
        image, image_names = pd.factorize(items["image_attribute"], sort=True)
        audio, audio_names = pd.factorize(items["audio_attribute"], sort=True)
        n_audio = len(audio_names)
        pair, codes = pd.factorize(image * n_audio + audio, sort=True)
        names = [f"image: {name}" for name in image_names]
        names += [f"audio: {name}" for name in audio_names]
        names += ["text: liking"]
        names += [
            f"pair: {image_names[int(code) // n_audio]} × {audio_names[int(code) % n_audio]}"
            for code in codes
        ]
        return cls(
            image=image,
            audio=audio,
            liking=_standardised(items["text_attribute"].to_numpy(np.float64)),
            pair=pair,
            names=names,
            image_taste=_tastes(world, n_users, image, len(image_names), scale["image"]),
            audio_taste=_tastes(world, n_users, audio, n_audio, scale["audio"]),
            text_taste=scale["text"] * (0.6 + 0.8 * world.standard_normal(n_users)),
            favourite=world.integers(len(codes), size=n_users),
            pair_taste=scale["pair"] * 2.0,
        )

    def of(self, users: np.ndarray, shelf: np.ndarray) -> np.ndarray:
        """Return how much users (n,) like the items on their shelves (n, shown): float64 alike."""
        rows = users[:, None]
        return (
            _each(self.image_taste, rows, self.image.take(shelf))
            + _each(self.audio_taste, rows, self.audio.take(shelf))
            + self.text_taste[rows] * self.liking.take(shelf)
            + self.pair_taste * (self.pair.take(shelf) == self.favourite[rows])
        )

    def factors(self, items: pd.Index, users: pd.Index) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the factors of items and of users whose product is every taste."""
        n_pairs = len(self.names) - self.image_taste.shape[1] - self.audio_taste.shape[1] - 1
        of_items = [
            np.eye(self.image_taste.shape[1])[self.image],
            np.eye(self.audio_taste.shape[1])[self.audio],
            self.liking,
            np.eye(n_pairs)[self.pair],
        ]
        of_users = [
            self.image_taste,
            self.audio_taste,
            self.text_taste,
            self.pair_taste * np.eye(n_pairs)[self.favourite],
        ]
        return (
            pd.DataFrame(np.column_stack(of_items), columns=self.names, index=items),
            pd.DataFrame(np.column_stack(of_users), columns=self.names, index=users),
        )


def _choices(
    block: np.ndarray,
    generator: np.random.Generator,
    counts: np.ndarray,
    joined: np.ndarray,
    launch: np.ndarray,
    stock: Callable[[np.ndarray], np.ndarray],
    shown: int,
    taste: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, ...]:
    """Let the shoppers of one block visit and choose; each pass of the loop is one visit of all.

    Returns user rows, item rows, times (share of the period) and tastes, one entry a purchase.
    """
    n_items = len(launch)
    visits = counts[block]
    times = np.sort(
        np.where(
            np.arange(visits.max()) < visits[:, None],
            generator.uniform(joined[block, None], 1.0, (len(block), visits.max())),
            np.inf,
        ),
        axis=1,
    )
    owned = np.zeros((len(block), n_items), dtype=bool)
    users, rows, when, strengths = [], [], [], []
    for visit in range(visits.max()):
        active = np.flatnonzero(visits > visit)
        assortment = np.sort(stock(generator.random((len(active), shown))), axis=1)
        assortment = assortment.astype(np.intp)  # quick to sort as int32, quick to look up as this
        unavailable = _each(owned, active[:, None], assortment)
        unavailable |= launch.take(assortment) > times[active, visit][:, None]
        unavailable[:, 1:] |= assortment[:, 1:] == assortment[:, :-1]
        strength = taste(block[active], assortment)
        draw = strength + generator.gumbel(size=strength.shape)
        draw[unavailable] = -np.inf
        best = draw.argmax(axis=1)
        line = np.arange(len(active))
        bought = ~unavailable[line, best]
        item, line = assortment[line, best][bought], line[bought]
        owned[active[line], item] = True
        users.append(block[active[line]])
        rows.append(item)
        when.append(times[active[line], visit])
        strengths.append(strength[line, best[bought]])
    return tuple(np.concatenate(part) for part in (users, rows, when, strengths))


def _drawer(shelf: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what draws an item, int32, for each number of 0…1: the first whose share ends above.

    The same as a search in the sorted shares, with less to search: a table tells it for nearly
    all the equal steps from 0 to 1 (Chen & Asau 1974), and only in the few steps in which a share
    ends is it searched for.
    """
    steps = 1 << min((16 * len(shelf)).bit_length(), 22)  # a power of two: products are exact
    ends = np.searchsorted(shelf, np.arange(steps + 1) / steps, side="right")
    ends = np.minimum(ends, len(shelf) - 1).astype(np.int32)
    table = np.where(ends[:-1] == ends[1:], ends[:-1], np.int32(-1))

    def draw(numbers: np.ndarray) -> np.ndarray:
        items = table.take((numbers * steps).astype(np.intp))
        search = items < 0
        found = np.searchsorted(shelf, numbers[search], side="right")
        items[search] = np.minimum(found, len(shelf) - 1)
        return items

    return draw


def _each(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return ``table[rows, columns]``, faster, of a table that lies in memory row by row."""
    return table.reshape(-1).take(rows * table.shape[1] + columns)


def _tastes(
    generator: np.random.Generator, n_users: int, codes: np.ndarray, n_kinds: int, weight: float
) -> np.ndarray:
    """Draw tastes (n_users, n_kinds): over the catalogue, mean 0 and variance weight² a user."""
    share = np.bincount(codes, minlength=n_kinds) / len(codes)
    raw = generator.standard_normal((n_users, n_kinds))
    raw -= raw @ share[:, None]
    spread = np.sqrt(raw**2 @ share)[:, None]
    return weight * raw / np.where(spread > 0, spread, 1.0)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Shift and scale to mean 0 and variance 1; a constant becomes zeros."""
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def _check(items: pd.DataFrame, weights: Mapping[str, float], **knobs: float) -> None:
    """Refuse what cannot be simulated."""
    needed = ["item", "image_attribute", "audio_attribute", "text_attribute"]
    missing = [name for name in needed if name not in items.columns]
    if missing:
        raise ValueError(f"items lacks the columns {missing}; a simulation needs {needed}")
    if items.empty or not items["item"].is_unique:
        raise ValueError("items must have at least one row, and each id in column item once")
    if not np.isfinite(items["text_attribute"].to_numpy(np.float64)).all():
        raise ValueError("items has a text_attribute that is not a finite number")
    unknown = sorted(set(weights) - set(WEIGHTS))
    if unknown:
        raise ValueError(f"weights names {unknown}; the modalities are {list(WEIGHTS)}")
    lowest = {"noise": 1e-6, "popularity": 0, "launched_late": 0}
    for name, value in knobs.items():
        low, high = lowest.get(name, 1), 1 if name == "launched_late" else np.inf
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; it must lie between {low} and {high}")


def withhold(
    items: pd.DataFrame, missing: Mapping[str, float], generator: np.random.Generator
) -> pd.DataFrame:
    """Take away a share of each modality, so that some items lack a text, an image or a sound.

    ``missing`` maps "text", "image" or "audio" to the share of items that lose it, each modality
    drawn on its own. Returns a copy of ``items`` with empty strings there.

    >>> items = pd.DataFrame({"item": ["a", "b"], "image": ["a.png", "b.png"]})
    >>> withhold(items, {"image": 1.0}, np.random.default_rng(0))["image"].tolist()
    ['', '']
    """
    items = items.copy()
    for modality in ("text", "image", "audio"):
        share = missing.get(modality, 0.0)
        if not 0 <= share <= 1:
            raise ValueError(f"missing[{modality!r}] is {share}; it must lie between 0 and 1")
        if share > 0:
            items.loc[generator.random(len(items)) < share, modality] = ""
    return items

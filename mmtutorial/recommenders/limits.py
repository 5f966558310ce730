"""What can be known of a simulated shopper from a history: a limit, and no rival."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from mmtutorial.datasets.choice import choice_chance
from mmtutorial.datasets.dataset import Truth
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Recommender, Rows, check_rows
from mmtutorial.recommenders.inputs import Features

_BLOCK = 64  # users whose tastes are drawn together: bounds memory
_STEP = np.float32(np.log(2))  # from node to node of the logarithm of time, time doubles
_NODES = np.arange(-13, 24, dtype=np.float32) * _STEP  # see `_Posterior._times`
_SQUARED = 8  # nodes from one exponential to the next: rounding doubles with each squaring
_PAIRS_EVERY = 3  # draws of the other tastes to one of the pair, which costs as much as three
_LATE = np.float32(np.log(80.0))  # beyond it e^-e^x has no float32


class _World(NamedTuple):
    """What the observer knows: the items, how they are shown, and how tastes are distributed.

    ``blocks`` are (first column, last column + 1, scale) of each categorical modality among the
    columns of ``items``, float32 (n_items, n_columns); ``share`` (n_columns,) says how many of the
    items have each; ``text`` is the mean and the standard deviation of what a liking counts.
    ``pair`` is int (n_items,), and ``bonus`` what an item of the favourite pair gains.
    """

    items: np.ndarray
    shelf: np.ndarray
    blocks: list[tuple[int, int, float]]
    share: np.ndarray
    text: tuple[float, float]
    pair: np.ndarray
    bonus: float

    @classmethod
    def of(cls, truth: Truth, items: pd.Index) -> Self:
        """Read it from the truth; of the shoppers' tastes only the distribution is used."""
        assert truth.shelf is not None  # `IdealObserver` has looked
        factors = truth.item_factors.loc[items]
        tastes = truth.user_factors
        names = [name.partition(":")[0] for name in factors.columns]
        catalogue = truth.item_factors.mean().to_numpy()
        blocks: list[tuple[int, int, float]] = []
        columns: list[int] = []
        for modality in ("image", "audio"):
            chosen = [column for column, name in enumerate(names) if name == modality]
            scale = np.sqrt((tastes.iloc[:, chosen] ** 2 @ catalogue[chosen]).mean())
            blocks.append((len(columns), len(columns) + len(chosen), float(scale)))
            columns += chosen
        liking = names.index("text")
        pairs = [column for column, name in enumerate(names) if name == "pair"]
        text = tastes.iloc[:, liking]
        return cls(
            items=factors.iloc[:, [*columns, liking]].to_numpy(np.float32),
            shelf=truth.shelf.loc[items].to_numpy(np.float32),
            blocks=blocks,
            share=catalogue[columns].astype(np.float32),
            text=(float(text.mean()), float(text.std(ddof=0))),
            pair=factors.iloc[:, pairs].to_numpy().argmax(axis=1),
            bonus=float(tastes.iloc[:, pairs].to_numpy().max()),
        )

    def tastes(self, normal: np.ndarray) -> np.ndarray:
        """Turn standard normal numbers (n, n_columns) into tastes, as the simulator does it."""
        tastes = np.empty_like(normal)
        for first, end, scale in self.blocks:
            raw, share = normal[:, first:end], self.share[first:end]
            raw = raw - raw @ share[:, None]
            spread = np.sqrt(raw**2 @ share)[:, None]
            tastes[:, first:end] = scale * raw / np.where(spread > 0, spread, 1.0)
        mean, deviation = self.text
        tastes[:, -1] = mean + deviation * normal[:, -1]
        return tastes

    def utility(self, normal: np.ndarray, favourite: np.ndarray) -> np.ndarray:
        """Return what items are worth to shoppers: float32 (n, n_items), in logits."""
        utility = self.tastes(normal) @ self.items.T
        found: np.ndarray = utility + np.float32(self.bonus) * (self.pair == favourite[:, None])
        return found


class IdealObserver(Recommender):
    r"""Knows the simulator and the items' true attributes, and infers tastes from the history.

    The `Oracle` knows each shopper's taste θ, which nobody can learn exactly from some purchases.
    This observer knows what the simulator knows before the first purchase: how tastes are
    distributed over shoppers, what each item is like, and how often it is shown. It ranks by the
    probability of the next choice, averaged over all tastes that could have led to the history:

    .. math::
        P(i \mid H_u) = \int P(i \mid \theta)\, p(\theta \mid H_u)\, d\theta , \qquad
        p(\theta \mid H_u) \propto p(\theta) \prod_{(j, t) \in H_u} P(j \mid \theta, A_t)

    where A_t are the items that could be chosen at time t: taken by somebody until then, and not
    owned yet; P(j | θ, A) is `mmtutorial.datasets.choice.choice_chance`. No recommender that learns
    from the same histories can rank better in expectation. The integral is a mean over draws from
    the posterior: the normal numbers behind the tastes by elliptical slice sampling, the favourite
    pair by Gibbs sampling.

    Parameters
    ----------
    truth : Truth
        Of a simulated data set.
    draws : int
        Draws of each shopper's taste that are averaged; as many before them are thrown away.
    seed : int
        The same seed gives the same scores.

    Raises
    ------
    ValueError
        If the truth is None, lacks the shelf, or was not made by `simulate`.

    References
    ----------
    Murray, Adams and MacKay (2010), Elliptical slice sampling. McFadden (1974), Conditional logit
    analysis of qualitative choice behavior.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> data = shop(n_items=40, n_users=30)
    >>> train = Interactions.of(data.interactions, items=data.items["item"])
    >>> IdealObserver(data.truth, draws=5).fit(train).recommend([0], k=3).shape
    (1, 3)
    """

    name = "ideal observer"

    def __init__(self, truth: Truth, draws: int = 60, seed: int = 0) -> None:
        if truth is None:
            raise ValueError("this data set is not simulated: nobody knows how tastes came about")
        kinds = {name.partition(":")[0] for name in truth.item_factors.columns}
        if truth.shelf is None or kinds != {"image", "audio", "text", "pair"}:
            raise ValueError("this truth is not of `simulate`: it lacks the shelf, or factors")
        if draws < 1:
            raise ValueError(f"draws is {draws}; at least one is needed")
        self.truth = truth
        self.draws = draws
        self.seed = seed

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        world = _World.of(self.truth, pd.Index(train.items))
        log = train.log.drop_duplicates(["user", "item"])  # in order of time
        first = np.full(train.n_items, np.inf)
        launched = log.drop_duplicates("item")
        first[launched["item"]] = launched["timestamp"]
        histories = dict(iter(log.groupby("user")))
        self._world = world
        self._chance = np.empty((train.n_users, train.n_items), np.float32)
        self._taste = np.empty((train.n_users, world.items.shape[1]), np.float32)
        self._favourite = np.empty((train.n_users, int(world.pair.max()) + 1), np.float32)
        by_length = np.argsort(np.bincount(log["user"], minlength=train.n_users), kind="stable")
        for start in range(0, train.n_users, _BLOCK):
            users = by_length[start : start + _BLOCK]  # alike, so that little is computed in vain
            posterior = _Posterior(world, [histories.get(user) for user in users], first)
            generator = np.random.default_rng([self.seed, start])
            found = posterior.means(self.draws, generator)
            self._chance[users], self._taste[users], self._favourite[users] = found

    def _score(self, users: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._chance[users]
        return found

    def liked(self, users: Rows) -> dict[str, np.ndarray]:
        """Say what each modality brings of what users like in each item, as far as can be known.

        Parameters
        ----------
        users : sequence of int
            Rows.

        Returns
        -------
        dict
            "text", "image" and "audio" to float32 (n_users, n_items): the posterior mean of the
            modality's part of the utility, less its mean over the catalogue; what a pair of picture
            and sound adds is halved between them. RuntimeError before ``fit``.
        """
        rows = check_rows(users, self.train.n_users, "user")
        world, taste = self._world, self._taste[rows]
        pair = np.float32(world.bonus / 2) * self._favourite[rows][:, world.pair]
        found = {"text": taste[:, -1:] @ world.items[:, -1:].T}
        for name, (first, end, _) in zip(("image", "audio"), world.blocks, strict=True):
            found[name] = taste[:, first:end] @ world.items[:, first:end].T + pair
        return {name: part - part.mean(axis=1, keepdims=True) for name, part in found.items()}


class _Posterior:
    """Draws tastes of some users, given what they chose and what they could have chosen."""

    def __init__(
        self, world: _World, histories: list[pd.DataFrame | None], first: np.ndarray
    ) -> None:
        """``first`` is float64 (n_items,): when somebody took each item for the first time."""
        self.world = world
        n_events = max((0 if each is None else len(each)) for each in histories)
        n_users, n_items = len(histories), len(first)
        self.chosen = np.zeros((n_users, n_events), np.int64)
        self.happened = np.zeros((n_users, n_events), bool)
        self.available = np.zeros((n_users, n_events, n_items), np.float32)
        for row, history in enumerate(histories):
            if history is None:
                continue
            items = history["item"].to_numpy()
            n = len(items)
            self.chosen[row, :n], self.happened[row, :n] = items, True
            there = first <= history["timestamp"].to_numpy()[:, None]
            there[:, items] &= ~np.tri(n, k=-1, dtype=bool)  # not what was taken before
            there[np.arange(n), items] = False  # the race is against the others
            self.available[row, :n] = there

    def _missing(self, utility: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Logarithm of the chance that an item has not come by a time: (n, n_items, nodes).

        From node to node time doubles, so that the chance of waiting is squared.
        """
        rate, when = np.exp(utility), np.exp(time)
        result = np.empty((len(utility), time.shape[1], utility.shape[1]), np.float32)
        least = np.exp(-np.exp(_LATE))
        for node in range(time.shape[1]):
            waiting = result[:, node]
            if node % _SQUARED:
                np.square(result[:, node - 1], out=waiting)
            else:
                np.exp(-rate * when[:, node, None], out=waiting)
            np.maximum(waiting, least, out=waiting)
        result *= self.world.shelf
        result += 1 - self.world.shelf
        return np.log(result, out=result).transpose(0, 2, 1)

    def _times(self, utility: np.ndarray) -> np.ndarray:
        """Nodes of the logarithm of time, around when each user's race is decided: (n, nodes).

        What is integrated over it is smooth, and nodes a factor of two apart are enough. They reach
        far: where what was at hand is liked much less than the rest, the race is decided late.
        """
        top = utility.max(axis=1, keepdims=True)
        rate = np.log(np.exp(utility - top) @ self.world.shelf)[:, None] + top
        found: np.ndarray = _NODES - rate
        return found

    def _arrivals(self, utility: np.ndarray, time: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Logarithm of the rate at which what was chosen comes at a time: (n, events, nodes)."""
        chosen = np.take_along_axis(utility, self.chosen[rows], axis=1)
        arrival = chosen[:, :, None] + time[:, None, :]
        found: np.ndarray = arrival - np.exp(np.minimum(arrival, _LATE))
        return found

    def likelihood(self, normal: np.ndarray, favourite: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Logarithm of how probable the histories of ``rows`` are, given tastes: float64 (n,)."""
        utility = self.world.utility(normal, favourite)
        time = self._times(utility)
        nobody = self.available[rows] @ self._missing(utility, time)
        events = _log_integral(self._arrivals(utility, time, rows) + nobody)
        found: np.ndarray = np.where(self.happened[rows], events, 0.0).sum(axis=1, dtype=np.float64)
        return found

    def pair_likelihoods(self, normal: np.ndarray) -> np.ndarray:
        """The same for every favourite pair that the items have: float64 (n, n_pairs)."""
        world = self.world
        every = np.arange(len(normal))
        n_pairs = int(world.pair.max()) + 1
        utility = world.utility(normal, np.full(len(normal), -1))
        raised = utility + np.float32(world.bonus)
        time = self._times(utility)
        before, after = self._missing(utility, time), self._missing(raised, time)
        nobody = self.available @ before
        usual, better = (self._arrivals(some, time, every) for some in (utility, raised))
        result = np.empty((len(normal), n_pairs))
        for pair in range(n_pairs):
            items = np.flatnonzero(world.pair == pair)
            change = after[:, items] - before[:, items]
            others = nobody + self.available[:, :, items] @ change
            favoured = (world.pair[self.chosen] == pair)[:, :, None]
            events = _log_integral(np.where(favoured, better, usual) + others)
            result[:, pair] = np.where(self.happened, events, 0.0).sum(axis=1, dtype=np.float64)
        return result

    def means(
        self, draws: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Average over draws: float32 chances (n, n_items), tastes, and favourites (n, n_pairs)."""
        world, n = self.world, len(self.chosen)
        normal = generator.standard_normal((n, world.items.shape[1])).astype(np.float32)
        favourite = generator.integers(int(world.pair.max()) + 1, size=n)
        total = np.zeros((n, len(world.shelf)), np.float64)
        taste = np.zeros(normal.shape, np.float64)
        favourites = np.zeros((n, int(world.pair.max()) + 1), np.float64)
        for draw in range(2 * draws):
            if world.bonus > 0 and draw % _PAIRS_EVERY == 0:
                weight = self.pair_likelihoods(normal)
                gumbel = generator.gumbel(size=weight.shape)
                favourite = (weight + gumbel).argmax(axis=1)  # in proportion to the likelihoods
            normal = self._slice(normal, favourite, generator)
            if draw >= draws:
                total += choice_chance(world.utility(normal, favourite), world.shelf)
                taste += world.tastes(normal)
                favourites[np.arange(n), favourite] += 1
        sums = (total, taste, favourites)
        chances, tastes, favoured = ((each / draws).astype(np.float32) for each in sums)
        return chances, tastes, favoured

    def _slice(
        self, normal: np.ndarray, favourite: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Take one step of elliptical slice sampling for each user."""
        other = generator.standard_normal(normal.shape).astype(np.float32)
        rows = np.arange(len(normal))
        level = self.likelihood(normal, favourite, rows) + np.log(generator.random(len(normal)))
        angle = generator.uniform(0, 2 * np.pi, len(normal))
        low, high = angle - 2 * np.pi, angle.copy()
        result = normal.copy()
        while rows.size:
            turned = angle[rows, None].astype(np.float32)
            tried = normal[rows] * np.cos(turned) + other[rows] * np.sin(turned)
            good = self.likelihood(tried, favourite[rows], rows) >= level[rows]
            result[rows[good]] = tried[good]
            rows = rows[~good]
            below = angle[rows] < 0
            low[rows[below]], high[rows[~below]] = angle[rows[below]], angle[rows[~below]]
            angle[rows] = generator.uniform(low[rows], high[rows])
        return result


def _log_integral(values: np.ndarray) -> np.ndarray:
    """Logarithm of the integral of exponentials over the nodes, the last axis."""
    top = values.max(axis=-1, keepdims=True)
    found: np.ndarray = np.log(np.exp(values - top).sum(axis=-1) * _STEP) + top[..., 0]
    return found

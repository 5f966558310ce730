"""Tell a difference from an accident: paired tests over users and over seeds, with intervals.

Two recommenders meet on the same users, so that only each user's difference matters. It varies for
two reasons: other users would have been met, and another seed would have trained another model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mmtutorial.evaluation.full_ranking import Evaluation, bootstrap_means, check_alike

_SIGNS = 2**22  # coins tossed at a time by the permutation test: bounds memory
_COLUMNS = ["low", "high", "relative_low", "relative_high", "p", "freedom"]


@dataclass(frozen=True, eq=False)
class PairedComparison:
    """What `paired_comparison` found: A beside B on one metric; ``print`` says it in a sentence.

    Parameters
    ----------
    a, b : str
        The recommenders.
    metric : str
        What was compared.
    k, n_users, n_seeds : int
        Length of the lists, users met by both (0 where the metric is no mean over users), seeds.
    mean_a, mean_b : float
        Means over users and seeds.
    difference, relative_gain : float
        mean_a − mean_b, and mean_a / mean_b − 1 (NaN where B has 0).
    over : str
        What varies in the interval and in p: "users", "seeds" or "users and seeds".
    low, high, relative_low, relative_high : float
        95 % intervals of both; NaN where nothing is known of how they vary, 0 to 0 where values
        that vary are the same in A and B.
    p : float
        Two-sided, for "A and B are equally good".
    freedom : float
        Degrees of freedom of the relative interval; infinite where it is of a bootstrap.
    sources : DataFrame
        low, high, relative_low, relative_high, p and freedom by what varies (the index): users
        alone, seeds alone, both.
    per_user : DataFrame
        Columns a and b, float64 (n_users,): means over the seeds, indexed by user row. Empty where
        the metric is no mean over users or each seed has users of its own.
    per_seed : DataFrame
        Columns a and b, float64 (n_seeds,).
    """

    a: str
    b: str
    metric: str
    k: int
    n_users: int
    n_seeds: int
    mean_a: float
    mean_b: float
    difference: float
    relative_gain: float
    over: str
    low: float
    high: float
    relative_low: float
    relative_high: float
    p: float
    freedom: float
    sources: pd.DataFrame
    per_user: pd.DataFrame
    per_seed: pd.DataFrame

    def __str__(self) -> str:
        """Say it in one sentence."""
        met = f"{self.n_users:,} users, " if self.n_users else ""
        return (
            f"{self.metric}@{self.k}, {self.a} against {self.b}: {self.difference:+.4f} "
            f"[{self.low:+.4f}, {self.high:+.4f}], {self.relative_gain:+.1%} "
            f"[{self.relative_low:+.1%}, {self.relative_high:+.1%}], p = {self.p:.3g} "
            f"({met}{self.n_seeds} {'seed' if self.n_seeds == 1 else 'seeds'}; "
            f"95 % intervals over {self.over})"
        )


def paired_comparison(
    a: Evaluation | Sequence[Evaluation],
    b: Evaluation | Sequence[Evaluation],
    metric: str = "ndcg",
    *,
    n_draws: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Compare two recommenders on the same users and, where there are several, the same seeds.

    Over **users**, each user's values are averaged over the seeds. The intervals of the difference
    and of the relative gain are percentiles of one bootstrap that draws users anew, A's and B's
    values together (Efron 1979); p is by `permutation_p`.

    Over **seeds**, each seed's difference of means counts once: Student's t with n_seeds − 1
    degrees of freedom. The relative gain A / B − 1 is linearised around its value (delta method).

    Over **both**, the variances of the two add up, and the degrees of freedom are Satterthwaite's
    (1946). What is due to user and seed together is counted twice, so that the interval is rather
    too wide than too narrow. This is what a claim rests on.

    item_coverage and gini are no means over users: they have an interval over seeds only, and none
    with one seed. Where each seed has users of its own (another data set), seeds are the only
    independent repetitions, and their interval holds the users' chance too.

    Parameters
    ----------
    a, b : Evaluation or sequence of Evaluation
        One recommender each; several evaluations are its seeds, in the same order for both. One
        evaluation beside several stands for a recommender without a seed.
    metric : str
        A column of ``per_user``, or item_coverage, user_coverage or gini.
    n_draws, seed : int
        Draws of the bootstrap and of the permutation test, and their seed.

    Raises
    ------
    ValueError
        If there is nothing to compare, the numbers of seeds differ, the two were not measured
        alike, a sequence holds several recommenders, or the metric is unknown.

    References
    ----------
    Smucker et al. (2007), A comparison of statistical significance tests for information retrieval
    evaluation. Satterthwaite (1946), An approximate distribution of estimates of variance
    components.

    Examples
    --------
    >>> from mmtutorial.recommenders import Popularity, Random
    >>> from mmtutorial.datasets import shop
    >>> from mmtutorial.evaluation import evaluate, global_time_split
    >>> from mmtutorial.interactions import Interactions
    >>> data = shop(n_items=40, n_users=30)
    >>> split = global_time_split(Interactions.of(data.interactions, items=data.items["item"]))
    >>> chance = [evaluate(Random(seed).fit(split.train), split) for seed in range(3)]
    >>> found = paired_comparison(chance, evaluate(Popularity().fit(split.train), split))
    >>> found.over, found.n_seeds
    ('users and seeds', 3)
    """
    if n_draws < 1:
        raise ValueError(f"n_draws is {n_draws}; it must be at least 1")
    several_a, several_b, nested = _seeds(a, b)
    n_seeds = len(several_a)
    first = several_a[0]
    column = "hit_rate" if metric == "user_coverage" else metric
    per_user = pd.DataFrame({"a": [], "b": []}, dtype=np.float64)
    n_users = 0
    if column in first.per_user:
        values = [_values(*both, column) for both in zip(several_a, several_b, strict=True)]
        if nested:
            n_users = sum(map(len, values))
            per_seed = pd.DataFrame([each.mean() for each in values])
        else:
            per_user, per_seed = _means(values)
            n_users = len(per_user)
    elif metric in first.catalogue:
        per_seed = pd.DataFrame(
            {
                name: [each.catalogue[metric] for each in several]
                for name, several in (("a", several_a), ("b", several_b))
            }
        )
    else:
        known = [*first.per_user.columns, *first.catalogue]
        raise ValueError(f"unknown metric {metric!r}; measured were {', '.join(known)}")
    per_seed.index = pd.RangeIndex(n_seeds, name="seed")

    mean_a, mean_b = (float(per_seed[name].mean()) for name in ("a", "b"))
    sources: dict[str, list[float]] = {}
    if len(per_user):
        sources["users"] = _over_users(per_user, n_draws, seed)
    if n_seeds > 1:
        sources["seeds"] = _by_student([per_seed])
    if len(sources) == 2:
        sources["users and seeds"] = _by_student([per_user, per_seed])
    table = pd.DataFrame.from_dict(sources, orient="index", columns=_COLUMNS)
    over = list(sources)[-1] if sources else "seeds"
    bounds = sources[over] if sources else [float("nan")] * len(_COLUMNS)
    return PairedComparison(
        a=first.recommender,
        b=several_b[0].recommender,
        metric=metric,
        k=first.k,
        n_users=n_users,
        n_seeds=n_seeds,
        mean_a=mean_a,
        mean_b=mean_b,
        difference=mean_a - mean_b,
        relative_gain=mean_a / mean_b - 1 if mean_b else float("nan"),
        over=over,
        sources=table.rename_axis("over"),
        per_user=per_user,
        per_seed=per_seed,
        **dict(zip(_COLUMNS, map(float, bounds), strict=True)),
    )


def _means(values: list[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the means over seeds, a row a user, and over users, a row a seed: columns a and b."""
    wide = pd.concat(values, axis=1, join="inner", keys=range(len(values)))
    sides = {name: wide.xs(name, axis=1, level=1).to_numpy() for name in ("a", "b")}
    per_user = pd.DataFrame({n: each.mean(axis=1) for n, each in sides.items()}, index=wide.index)
    return per_user, pd.DataFrame({name: each.mean(axis=0) for name, each in sides.items()})


def compare_all(
    evaluations: Sequence[Evaluation],
    reference: str,
    metrics: str | Sequence[str] = "ndcg",
    *,
    n_draws: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every recommender with one of them, and correct for having compared so often.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Those with the same recommender's name are its seeds, in this order.
    reference : str
        The name of the recommender that all others are compared with.
    metrics : str or sequence of str
        What to compare.
    n_draws, seed : int
        As in `paired_comparison`.

    Returns
    -------
    DataFrame
        One row a recommender and metric (columns recommender and metric), the reference left out:
        mean, reference (its mean), difference, low, high, relative_gain, relative_low,
        relative_high, p, p_holm (corrected over all rows), n_users, n_seeds, over.

    Raises
    ------
    ValueError
        If the reference is not among the recommenders, or is alone; as `paired_comparison`.

    Examples
    --------
    >>> from mmtutorial.recommenders import Popularity, Random
    >>> from mmtutorial.evaluation import evaluate, leave_last_out
    >>> from mmtutorial.interactions import Interactions
    >>> taken = Interactions.of([(user, item, time) for user in "abc" for time, item in
    ...                          enumerate("wxyz")])
    >>> split = leave_last_out(taken)
    >>> both = [evaluate(each.fit(split.train), split, k=1) for each in (Random(), Popularity())]
    >>> compare_all(both, reference="random")["p_holm"].tolist()
    [1.0]
    """
    groups: dict[str, list[Evaluation]] = {}
    for each in evaluations:
        groups.setdefault(each.recommender, []).append(each)
    if reference not in groups or len(groups) < 2:
        raise ValueError(
            f"the reference {reference!r} and another one are needed; there are {list(groups)}"
        )
    found = [
        paired_comparison(group, groups[reference], metric, n_draws=n_draws, seed=seed)
        for metric in ([metrics] if isinstance(metrics, str) else metrics)
        for name, group in groups.items()
        if name != reference
    ]
    return pd.DataFrame(
        {
            "recommender": [each.a for each in found],
            "metric": [each.metric for each in found],
            "mean": [each.mean_a for each in found],
            "reference": [each.mean_b for each in found],
            "difference": [each.difference for each in found],
            "low": [each.low for each in found],
            "high": [each.high for each in found],
            "relative_gain": [each.relative_gain for each in found],
            "relative_low": [each.relative_low for each in found],
            "relative_high": [each.relative_high for each in found],
            "p": [each.p for each in found],
            "p_holm": holm(np.array([each.p for each in found])),
            "n_users": [each.n_users for each in found],
            "n_seeds": [each.n_seeds for each in found],
            "over": [each.over for each in found],
        }
    )


def permutation_p(differences: np.ndarray, n_draws: int = 10_000, seed: int = 0) -> float:
    """Return p of the two-sided sign-flip test for paired differences.

    If A and B were equally good, the labels of each pair could be swapped. p is the share of draws
    of random signs s, the observed signs counted as one, with ``|Σ s δ| ≥ |Σ δ|`` (equation
    eq-paired; Smucker et al. 2007); so it is never below 1 / (n_draws + 1). 1 where all
    differences are 0.

    Parameters
    ----------
    differences : ndarray
        float (n,), one a pair; NaN is left out.
    n_draws, seed : int
        Tosses of all coins, and their seed. Memory does not grow with n_draws.

    Raises
    ------
    ValueError
        If there is no difference to test.

    Examples
    --------
    >>> permutation_p(np.ones(20), n_draws=999)
    0.001
    >>> permutation_p(np.array([1.0, -1.0]))
    1.0
    """
    differences = np.asarray(differences, dtype=np.float64)
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        raise ValueError("there is no pair to test")
    differences = differences[differences != 0]  # whatever their sign, they add nothing
    if not len(differences):
        return 1.0
    generator = np.random.default_rng(seed)
    at_a_time = max(1, _SIGNS // len(differences))
    observed = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()  # for rounding errors
    extreme = 0
    for start in range(0, n_draws, at_a_time):
        draws = min(at_a_time, n_draws - start)
        heads = generator.integers(2, size=(draws, len(differences)))
        sums = 2 * (heads @ differences) - differences.sum()
        extreme += int((np.abs(sums) >= observed).sum())
    return (1 + extreme) / (1 + n_draws)


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p values for their number (Holm 1979): float64 (n,), in the order given.

    The smallest of n is multiplied by n, the next by n − 1, and so on; none becomes smaller than
    the one before it, or larger than 1. Whoever believes those below 5 % is wrong about at least
    one true "equally good" in at most 5 % of such tables. NaN stays NaN and is not counted.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3)
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p values lie between 0 and 1, and one is {p[(p < 0) | (p > 1)][0]}")
    order = np.argsort(p)  # NaN goes last
    n = int((~np.isnan(p)).sum())
    corrected = np.full(len(p), np.nan)
    corrected[order[:n]] = np.minimum(
        np.maximum.accumulate(p[order[:n]] * np.arange(n, 0, -1)), 1.0
    )
    return corrected


def _seeds(
    a: Evaluation | Sequence[Evaluation], b: Evaluation | Sequence[Evaluation]
) -> tuple[list[Evaluation], list[Evaluation], bool]:
    """Pair the seeds, and say whether each has users of its own."""
    several_a, several_b = (
        [each] if isinstance(each, Evaluation) else list(each) for each in (a, b)
    )
    if not several_a or not several_b:
        raise ValueError("a comparison needs at least one evaluation on each side")
    n_seeds = max(len(several_a), len(several_b))
    if {len(several_a), len(several_b)} - {1, n_seeds}:
        raise ValueError(
            f"there are {len(several_a)} and {len(several_b)} seeds: as many of each, in the same "
            "order, or one of a recommender that has no seed"
        )
    for several in (several_a, several_b):
        names = {each.recommender for each in several}
        if len(names) > 1:
            raise ValueError(f"the seeds of one recommender have the names {sorted(names)}")
    if len(several_a) < n_seeds:
        several_a *= n_seeds
    if len(several_b) < n_seeds:
        several_b *= n_seeds
    for both in zip(several_a, several_b, strict=True):
        check_alike(both)
    check_alike(several_a, same_users=False)
    nested = any(not np.array_equal(each.users, several_a[0].users) for each in several_a)
    return several_a, several_b, nested


def _values(a: Evaluation, b: Evaluation, column: str) -> pd.DataFrame:
    """Return both values of each user who has both."""
    return pd.DataFrame({"a": a.per_user[column], "b": b.per_user[column]}).dropna()


def _over_users(per_user: pd.DataFrame, n_draws: int, seed: int) -> list[float]:
    """Bootstrap over users, and permute."""
    means = bootstrap_means(per_user[["a", "b"]].to_numpy(), n_draws, seed)
    gains = np.divide(
        means[:, 0], means[:, 1], out=np.full(n_draws, np.nan), where=means[:, 1] != 0
    )
    differences = (per_user["a"] - per_user["b"]).to_numpy()
    return [
        *np.quantile(means[:, 0] - means[:, 1], [0.025, 0.975]),
        *(np.quantile(gains, [0.025, 0.975]) - 1),
        permutation_p(differences, n_draws, seed),
        np.inf,
    ]


def _by_student(parts: Sequence[pd.DataFrame]) -> list[float]:
    """Add up the variances of the means over each part: t intervals, and p of the difference."""
    mean_a, mean_b = parts[-1]["a"].mean(), parts[-1]["b"].mean()
    ratio = mean_a / mean_b if mean_b else np.nan
    differences = [(part["a"] - part["b"]).to_numpy() for part in parts]
    varies = np.ptp(parts[-1]["a"].to_numpy()) > 0
    if varies and not any(each.any() for each in differences):  # the same numbers everywhere
        return [0.0, 0.0, 0.0, 0.0, 1.0, float(len(parts[-1]) - 1)]
    low, high, p, _ = _student(differences, mean_a - mean_b)
    gains = [((part["a"] - ratio * part["b"]) / (mean_b or np.nan)).to_numpy() for part in parts]
    relative_low, relative_high, _, freedom = _student(gains, ratio - 1)
    return [low, high, relative_low, relative_high, p, freedom]


def _student(parts: Sequence[np.ndarray], estimate: float) -> tuple[float, float, float, float]:
    """Return a 95 % interval, p for the estimate's being 0, freedom; NaN if nothing varies."""
    variances = np.array([part.var(ddof=1) / len(part) for part in parts if len(part) > 1])
    free = np.array([len(part) - 1 for part in parts if len(part) > 1])
    variance = variances.sum()
    if not variance > 1e-24 * estimate**2:
        return np.nan, np.nan, np.nan, np.nan
    freedom = variance**2 / (variances**2 / free).sum()  # Satterthwaite
    error = np.sqrt(variance)
    half = stats.t.ppf(0.975, freedom) * error
    p = 2 * stats.t.sf(abs(estimate) / error, freedom)
    return estimate - half, estimate + half, p, freedom

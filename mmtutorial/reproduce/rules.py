"""Rules of the ledger: pure functions from tables of results to what these show.

A rule returns a `Part` for each verdict that it can give. A part holds comparisons and findings,
each of which is about one data set (or one case of one). A `Comparison` has a p-value for "shown"
and one for "contradicted"; Holm's correction is applied to all comparisons of a row on one level
(`mmtutorial.reproduce.ledger.judge`), and what is then above 5 % is undecided. A `Finding` needs no
test: an equality to the last digit, or what is printed and decides nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mmtutorial.datasets import MODALITIES
from mmtutorial.reproduce.findings import (
    CONTRADICTED,
    PRINTED,
    SHOWN,
    UNDECIDED,
    UNREACHABLE,
    Comparison,
    Finding,
    Part,
)
from mmtutorial.reproduce.levels import (
    ALL,
    DAMAGED,
    EACH_SEED,
    LEVELS,
    REPAIRED,
    SIMPLE,
    command,
)
from mmtutorial.reproduce.results import Results

MEASURES = {
    "hit_rate": "hit rate@10", "ndcg": "NDCG@10", "item_coverage": "item coverage@10",
    "user_coverage": "user coverage@10", "intra_list_diversity": "diversity of the lists",
    "gini": "evenness by Gini", "diversity_text": "diversity of a list's texts",
    "diversity_image": "diversity of a list's pictures",
    "diversity_audio": "diversity of a list's sounds",
    "modality_named": "right modality named", "modality_by_chance": "by chance",
}  # fmt: skip
LIMITS = ("oracle", "ideal observer", "random")  # what nobody could use, and what anybody can
CATALOGUE = ("item_coverage", "gini")  # of all lists together: they vary over seeds alone
COSTS = {  # what it is, its unit, how a sentence calls it, and what one unit is
    "seconds": ("time", "s", "seconds an epoch", 1.0),
    "memory": ("memory", "MiB", "memory at most", 2.0**20),
    "operations": ("operations", "million", "operations an item", 1e6),
}
EQUAL, UNEQUAL = 1e-9, 1e-3  # differences up to the first are rounding, from the second on not
MARGIN = 0.1  # of its bound: within it, a number that comes without an interval decides nothing


def best(
    results: Results, dataset: str, among: str | Sequence[str], experiment: str = "fusions"
) -> str | None:
    """Name the recommender of the highest mean validation NDCG, so that no test is looked at.

    Parameters
    ----------
    among : {"single", "fusions", "baseline"} or sequence of str
        A single modality, what reads all of them, or a baseline (`LIMITS` are none); or the
        recommenders themselves.
    experiment : str
        Whose towers; those of ``among`` that are baselines are found among the baselines.
    """
    table = results.measures
    if table.empty:
        return None
    table = table[
        table["dataset"].eq(dataset) & table["split"].eq("validation") & table["metric"].eq("ndcg")
    ]
    here = table["experiment"].eq(experiment)
    several = table["fusion"].ne("")
    pair = table["recommender"].str.contains("+", regex=False)
    if among == "single":
        rows = table[here & table["modalities"].eq(table["recommender"]) & ~several]
    elif among == "fusions":
        rows = table[here & several & ~pair & table["modalities"].ne("")]
    elif among == "baseline":
        of = table["experiment"].eq("baselines")
        rows = table[of & ~table["recommender"].isin(LIMITS)]
    else:
        of = here | table["experiment"].eq("baselines")
        rows = table[of & table["recommender"].isin(list(among))]
    means = rows.groupby("recommender")["value"].mean()
    return None if means.empty else str(means.idxmax())


def student(
    where: str,
    text: str,
    interval: tuple[float, float, float, float],
    at_least: float,
    refuted_below: float | None = None,
) -> Comparison | Finding:
    """Test whether a gain is at least so large, from its 95 % interval by Student's t.

    Parameters
    ----------
    interval : tuple of float
        Gain, low, high and degrees of freedom. Without an interval nothing is decided; where it has
        no width, the gain decides by itself.
    at_least : float
        Shown where the gain is significantly larger.
    refuted_below : float, optional
        Contradicted where it is significantly smaller; ``at_least`` without it.
    """
    gain, low, high, freedom = interval
    refuted = at_least if refuted_below is None else refuted_below
    if np.isnan(low) or np.isnan(high) or np.isnan(gain):
        return Finding(where, f"{text} (one seed: no interval, nothing is decided)", UNDECIDED)
    error = (high - low) / 2 / stats.t.ppf(0.975, freedom)

    def p(distance: float) -> float:
        if distance <= 0:
            return 1.0
        return float(2 * stats.t.sf(distance / error, freedom)) if error > 0 else 0.0

    return Comparison(where, text, p(gain - at_least), p(refuted - gain))


def gain(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Relative gains of ``candidate`` over ``reference``: a part for each level and reading.

    All metrics of a reading must lie above ``at_least``. ``reference`` is the best single modality
    by validation ("best single"), one recommender, or the best of several by validation (a list).
    ``printed`` metrics decide nothing, nor do the data sets of ``printed_on``. Only the rule's
    ``datasets`` are asked, where it has some. Where the rule is ``within_reach``, a reading decides
    nothing on a data set whose oracle, which knows the tastes, does not lie above the bound itself.
    """
    parts = []
    for level in rule["levels"]:
        for reading, metrics in rule["readings"].items():
            pieces: list[Comparison | Finding] = []
            lacking = []
            for dataset in rule.get("datasets", _datasets(level, results)):
                found = list(_gains(rule, results, dataset, level, metrics))
                if dataset in rule.get("printed_on", ()):
                    pieces += [Finding(each.where, each.text, PRINTED) for each in found]
                    continue
                if len(found) < len(metrics):
                    needed = {rule["candidate"], *metrics}
                    lacking += [dataset] if _can_have(results, dataset, level, needed) else []
                    continue
                limits, reached = _oracle(rule, results, dataset, level, metrics)
                if rule.get("within_reach") and not reached:
                    found = [Finding(each.where, each.text, UNREACHABLE) for each in found]
                pieces += found
                pieces += [
                    Finding(each.where, each.text, PRINTED)
                    for each in _gains(rule, results, dataset, level, rule.get("printed", ()))
                ]
                pieces += limits
            name = f"{LEVELS[level].title}{': ' + reading if reading else ''}"
            decides = level in rule["decides"]
            remedy = command(level, lacking)
            parts.append(Part(name, level, decides, tuple(pieces), tuple(lacking), remedy))
    return parts


def _gains(
    rule: Mapping[str, Any], results: Results, dataset: str, level: str, metrics: Sequence[str]
) -> Iterator[Comparison | Finding]:
    """Yield the test of each metric that was compared on one data set."""
    candidate, reference = rule["candidate"], _reference(rule, results, dataset, level)
    for metric in metrics if reference else ():
        interval = interval_of(results, dataset, level, candidate, str(reference), metric)
        if interval is not None:
            what = f"{MEASURES[metric]}, {_named(candidate)} against {_named(str(reference))}"
            text = f"{what}: {_interval(interval)}"
            yield student(dataset, text, interval, rule.get("at_least", 0.0))


def _reference(rule: Mapping[str, Any], results: Results, dataset: str, level: str) -> str | None:
    reference = rule["reference"]
    if reference == "best single":
        return best(results, dataset, "single", level)
    return reference if isinstance(reference, str) else best(results, dataset, reference, level)


def _oracle(
    rule: Mapping[str, Any], results: Results, dataset: str, level: str, metrics: Sequence[str]
) -> tuple[list[Finding], bool]:
    """Print how the oracle does on the same measures, and say whether it lies above the bound."""
    reference = _reference(rule, results, dataset, level)
    found, reached = [], True
    for metric in metrics if reference and rule.get("oracle") else ():
        ours = _by_seed(results, dataset, "baselines", "oracle", metric)
        theirs = _by_seed(results, dataset, level, str(reference), metric)
        if len(ours) and len(theirs):
            change = ours.mean() / theirs.mean() - 1
            change = -change if metric == "gini" else change
            what = f"{MEASURES[metric]}, the oracle itself against {reference}: {percent(change)}"
            found.append(Finding(dataset, what, PRINTED))
            reached &= bool(change > rule["at_least"])
    return found, reached


def interval_of(
    results: Results, dataset: str, experiment: str, ours: str, theirs: str, metric: str
) -> tuple[float, float, float, float] | None:
    """Return a relative gain with its 95 % interval and degrees of freedom; None if not compared.

    Means over users are taken from the comparisons, measures of all lists together (`CATALOGUE`)
    from the values of the seeds. A smaller Gini coefficient counts as a gain.
    """
    if metric in CATALOGUE:
        a, b = (_by_seed(results, dataset, experiment, name, metric) for name in (ours, theirs))
        found = over_seeds(a, b)
        if found is None or metric != "gini":
            return found
        return -found[0], -found[2], -found[1], found[3]
    table = results.comparisons
    if table.empty:
        return None
    rows = table[
        table["dataset"].eq(dataset) & table["experiment"].eq(experiment)
        & table["recommender"].eq(ours) & table["reference"].eq(theirs)
        & table["metric"].eq(metric) & table["condition"].fillna("").eq("")
    ]  # fmt: skip
    return None if rows.empty else compared(rows.iloc[0])


def compared(row: pd.Series) -> tuple[float, float, float, float]:
    """Read one comparison; one seed has no interval that decides anything."""
    values = [float(row[f"relative_{name}"]) for name in ("gain", "low", "high")]
    if row["n_seeds"] < 2:
        return values[0], np.nan, np.nan, np.nan
    freedom = row.get("freedom", np.nan)
    freedom = row["n_seeds"] - 1 if np.isnan(freedom) else freedom  # the least that it can be
    return values[0], values[1], values[2], float(freedom)


def over_seeds(ours: pd.Series, theirs: pd.Series) -> tuple[float, float, float, float] | None:
    """Return the relative gain over the seeds that both have, its interval, degrees of freedom.

    The ratio of the means is linearised around its value (delta method), as in
    `mmtutorial.evaluation.paired_comparison`. None without a seed in common.

    >>> gain, low, high, freedom = over_seeds(pd.Series([2.0, 2.2]), pd.Series([1.0, 1.0]))
    >>> round(float(gain), 3), bool(low < gain < high), freedom
    (1.1, True, 1.0)
    """
    both = pd.concat([ours, theirs], axis=1, join="inner").to_numpy(float)
    if not len(both) or not both[:, 1].mean():
        return None
    ratio = both[:, 0].mean() / both[:, 1].mean()
    if len(both) == 1:
        return ratio - 1, np.nan, np.nan, np.nan
    changes = (both[:, 0] - ratio * both[:, 1]) / both[:, 1].mean()
    free = len(both) - 1
    half = stats.t.ppf(0.975, free) * changes.std(ddof=1) / np.sqrt(len(both))
    return ratio - 1, ratio - 1 - half, ratio - 1 + half, float(free)


def seeds(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Gains over seeds each of which draws other data: ``candidate`` over ``reference``."""
    experiment, metric = rule["experiment"], rule["metric"]
    pieces: list[Comparison | Finding] = []
    for dataset in _measured(results, experiment):
        ours, theirs = (
            _by_seed(results, dataset, experiment, rule[name], metric, rule["split"], rule["k"])
            for name in ("candidate", "reference")
        )
        interval = over_seeds(ours, theirs)
        if interval is not None:
            what = f"{MEASURES[metric].partition('@')[0]}@{rule['k']}, {_named(rule['candidate'])}"
            text = f"{what} against {rule['reference']}: {_interval(interval)}"
            pieces.append(student(dataset, text, interval, rule.get("at_least", 0.0)))
    lacking = () if pieces else LEVELS[SIMPLE].datasets
    remedy = command(experiment, lacking)
    return [Part(rule["name"], experiment, True, tuple(pieces), lacking, remedy)]


def share(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """A share of cases, each seed's on other data: ``at_least``, with what chance gives beside."""
    experiment, parts = rule["experiment"], []
    for name, title in rule["recommenders"].items():
        pieces = []
        for dataset in _measured(results, experiment):
            named, chance = (
                _by_seed(results, dataset, experiment, name, rule[each])
                for each in ("metric", "chance")
            )
            mean, n = float(named.mean()), len(named)
            half = float(stats.t.ppf(0.975, max(n - 1, 1)) * np.std(named, ddof=1) / np.sqrt(n))
            text = f"{MEASURES[rule['metric']]}: {mean:.1%} ± {half:.1%}"
            text += f", by chance {chance.mean():.1%}"
            interval = (mean, mean - half, mean + half, n - 1.0)
            pieces += [student(dataset, text, interval, rule["at_least"])] if n else []
        lacking = () if pieces else ("shop",)
        about = (name in rule["decides"], tuple(pieces), lacking, command(experiment, lacking))
        parts.append(Part(title, experiment, *about))
    return parts


def loss(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Losses where half of one modality's media is damaged; a loss in one modality suffices.

    ``damage`` is "absent" (without it), "mispaired", or "repaired": then it is the gain over the
    mispaired data that counts. Shown where NDCG falls (or rises) significantly, contradicted where
    the change is significantly smaller than ``negligible`` for every modality. Noise decides
    nothing, nor do other fusions, nor damage that was drawn once for all seeds.
    """
    parts = []
    for experiment in rule["levels"]:
        level = LEVELS[DAMAGED[experiment]]
        table = results.comparisons
        if len(table):
            table = table[table["experiment"].eq(experiment) & table["metric"].eq("ndcg")]
        found = [_loss(rule, row) for _, row in table.iterrows()]
        pieces = tuple(each for each in found if each is not None)
        there = {each.where for each in pieces if not _printed(each)}
        lacking = tuple(name for name in level.datasets if name not in there)
        title = f"{rule['name']}: {level.title}" if "name" in rule else level.title
        parts.append(
            Part(title, experiment, experiment in rule["decides"], pieces, lacking,
                 command(experiment, lacking), any_of=True)
        )  # fmt: skip
    return parts


def _loss(rule: Mapping[str, Any], row: pd.Series) -> Comparison | Finding | None:
    """Read what one damage costs, or its repair gains; None for what is not printed."""
    about, interval = damage_of(row)
    damage, name = rule.get("damage", "absent"), about.get("damaged")
    half = about.get("damage") == damage and about.get("level") == 0.5
    noise = about.get("damage") == "noise" and about.get("level") == rule.get("noise")
    ours = REPAIRED if damage == REPAIRED else "damaged"
    if not (half or noise) or row["recommender"] != ours:
        return None
    how = {
        "absent": f"{name} taken from half of the items",
        "mispaired": f"{name} mispaired on half of the items",
        REPAIRED: f"{name} mispaired on half of the items, repaired against not repaired",
        "noise": f"noise of {rule.get('noise', 0):g} standard deviations in {name}",
    }[about["damage"]]
    fusion = row["reference"].partition(",")[0]
    text = f"NDCG@10, {'' if fusion == ALL else f'{fusion}, '}{how}: {_interval(interval)}"
    if noise or fusion != ALL:
        return Finding(row["dataset"], text, PRINTED)
    if about.get("draw") != EACH_SEED:
        return Finding(row["dataset"], f"{text} (the same damage for every seed)", PRINTED)
    gain, low, high, freedom = interval
    change = interval if damage == REPAIRED else (-gain, -high, -low, freedom)
    return student(row["dataset"], text, change, 0.0, rule["negligible"])


def damage_of(row: pd.Series) -> tuple[dict[str, Any], tuple[float, float, float, float]]:
    """Read a comparison of damaged data: what the damage was, and the gain with its interval."""
    return dict(json.loads(row["condition"] or "{}")), compared(row)


def cost(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """What the fused system costs, against *each* single modality: more by ``at_least``."""
    parts = []
    for experiment, title in rule["experiments"].items():
        for column in rule["columns"]:
            pieces: list[Comparison | Finding] = []
            lacking = []
            for dataset in LEVELS["listing"].datasets:
                found = list(_costs(results, dataset, experiment, column, rule["at_least"]))
                pieces += found
                lacking += [] if found else [dataset]
            name = f"{title}: {COSTS[column][0]}"
            decides, remedy = experiment in rule["decides"], command(experiment, lacking)
            part = Part(name, experiment, decides, tuple(pieces), tuple(lacking), remedy)
            parts.append(part)
    return parts


def _costs(
    results: Results, dataset: str, experiment: str, column: str, at_least: float
) -> Iterator[Comparison | Finding]:
    """Yield one test for each single modality, with the absolute costs."""
    table = results.costs
    if table.empty or column not in table:
        return
    table = table[
        table["dataset"].eq(dataset) & table["experiment"].eq(experiment) & table[column].notna()
    ]
    unit, what, scale = COSTS[column][1:]
    values = table.set_index("seed")[column] / scale
    if column == "seconds":
        values = values / table.set_index("seed")["epochs"]
    fused = values[table["recommender"].eq(ALL).to_numpy()]
    singles = table[table["modalities"].eq(table["recommender"]) & table["modalities"].ne("")]
    for name in dict.fromkeys(singles["recommender"]):
        alone = values[table["recommender"].eq(name).to_numpy()]
        interval = over_seeds(fused, alone)
        if interval is None:
            continue
        if column == "operations":  # counted, not measured
            interval = (interval[0], interval[0], interval[0], 1.0)
        text = (
            f"{what}, all against {name}: {_brief(fused.mean())} against "
            f"{_brief(alone.mean())} {unit}, {_interval(interval)}"
        )
        yield student(dataset, text, interval, at_least)


def quoted(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Conditions on what chapters measured, on every data set on which the chapter ran.

    Each condition compares a number ``name`` with a bound or with another number (``than``):
    ``above``, ``below`` or ``equals``. A share with a sample size ``n`` gets an exact binomial
    test; one with ``interval`` is quoted with its 95 % interval, all of which must lie beyond the
    bound; a number without an interval decides only beyond a ``margin`` (a tenth of the bound);
    equality is a difference up to 1e-9, and one from 1e-3 on contradicts it. Conditions with the
    same ``case`` are judged together, each case apart. What stood in for a data set is no evidence
    on it.
    """
    table = results.quoted
    pieces: list[Comparison | Finding] = []
    datasets = list(dict.fromkeys(table["dataset"])) if len(table) else []
    cases = dict.fromkeys(each.get("case", "") for each in rule["conditions"])
    for dataset in datasets:
        rows = table[table["dataset"].eq(dataset)]
        values = dict(zip(rows["name"], rows["value"], strict=True))
        for case in cases:
            some = [each for each in rule["conditions"] if each.get("case", "") == case]
            where = f"{dataset}, {case}" if case else dataset
            found = [_condition(where, each, values) for each in some]
            whole = [each for each in found if each is not None]
            pieces += whole if len(whole) == len(some) else []  # half of the evidence is none
    lacking = () if pieces else tuple(datasets or ("shop",))
    name, chapter = rule.get("name", ""), rule["chapter"]
    remedy = command(chapter, lacking)
    return [Part(name, "quoted", rule.get("decides", True), tuple(pieces), lacking, remedy)]


def _condition(
    where: str, condition: Mapping[str, Any], values: Mapping[str, Any]
) -> Comparison | Finding | None:
    """Hold one number against its bound; None where something of it was not measured."""
    name, other, size = (str(condition.get(each, "")) for each in ("name", "than", "n"))
    if any(_stood_in(values, each) for each in (name, other, size) if each):
        return None
    how = next(each for each in ("above", "below", "equals") if each in condition)
    value = number(values.get(name))
    bound = number(values.get(other)) if other else float(condition[how])
    if np.isnan(value) or np.isnan(bound) or (size and np.isnan(number(values.get(size)))):
        return None
    named = f"{name.replace('-', ' ')}: {value:.4g}"
    if how == "equals":
        off = abs(value - bound)
        says = SHOWN if off <= EQUAL else CONTRADICTED if off >= UNEQUAL else UNDECIDED
        return Finding(where, f"{named}, to be {bound:.4g}", says)
    beside = f" ({other.replace('-', ' ')})" if other else ""
    text = f"{named}, to be {how} {bound:.4g}{beside}"
    over = value - bound if how == "above" else bound - value
    if condition.get("interval"):
        low, high = quoted_interval(values[name])
        if np.isnan(low) or np.isnan(high):
            return Finding(where, f"{text} (no interval: nothing is decided)", UNDECIDED)
        sign = 1 if how == "above" else -1
        beyond = sorted((sign * (low - bound), sign * (high - bound)))
        says = SHOWN if beyond[0] > 0 else CONTRADICTED if beyond[1] < 0 else UNDECIDED
        return Finding(where, f"{text}: {values[name]}", says)
    if size:
        n = int(number(values[size]))
        p = float(stats.binomtest(round(value * n), n, bound).pvalue)
        return Comparison(where, f"{text}, n = {n:,}", *((p, 1.0) if over > 0 else (1.0, p)))
    margin = condition.get("margin", MARGIN * abs(bound))
    says = SHOWN if over > margin else CONTRADICTED if over < -margin else UNDECIDED
    return Finding(where, text, says)


def number(value: object) -> float:
    """Read a number as chapters quote it: 0.12, '12%', '1,234', '3.6% [3.1%, 4.0%]'; NaN if none.

    >>> number("12%"), number("1,234"), number("a word")
    (0.12, 1234.0, nan)
    """
    found = re.match(r"\s*([-+−]?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(%?)", str(value))
    if not found:
        return float("nan")
    plain = float(found[1].replace(",", "").replace("−", "-"))
    return plain / 100 if found[2] else plain


def _brief(value: float) -> str:
    """Write three digits, and large numbers without an exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def quoted_interval(value: object) -> tuple[float, float]:
    """Read the interval of a number as chapters quote it; NaN if it has none.

    >>> quoted_interval("43 ms [-12, 87]"), quoted_interval("43 ms")
    ((-12.0, 87.0), (nan, nan))
    """
    found = re.search(r"\[([^,\]]+), ([^\]]+)\]", str(value))
    return (number(found[1]), number(found[2])) if found else (float("nan"), float("nan"))


def percent(value: float) -> str:
    """Write a share with its sign.

    >>> percent(0.173), percent(-0.006)
    ('+17.3 %', '−0.6 %')
    """
    return "not known" if np.isnan(value) else f"{100 * value:+.1f} %".replace("-", "−")


def _interval(interval: tuple[float, float, float, float]) -> str:
    gain, low, high, _ = interval
    if np.isnan(low):
        return percent(gain)
    return f"{percent(gain)} [{percent(low)}, {percent(high)}]"


def _named(recommender: str) -> str:
    return "all together" if recommender == ALL else recommender


def _printed(piece: Comparison | Finding) -> bool:
    return isinstance(piece, Finding) and piece.says == PRINTED


def _stood_in(values: Mapping[str, Any], name: str) -> bool:
    """Say whether the chapter that quotes this name had another data set standing in."""
    found = values.get(f"{name.partition('-')[0]}-stand-in")
    return isinstance(found, str) and bool(found.strip())  # an empty cell of a table is NaN


def _measured(results: Results, experiment: str) -> list[str]:
    table = results.measures
    if table.empty:
        return []
    return list(dict.fromkeys(table.loc[table["experiment"].eq(experiment), "dataset"]))


def _datasets(level: str, results: Results) -> list[str]:
    """Return those on which a level is to be measured, and others on which it was."""
    return list(dict.fromkeys([*LEVELS[level].datasets, *_measured(results, level)]))


def _can_have(results: Results, dataset: str, level: str, needed: set[str]) -> bool:
    """Say whether a data set can have these recommenders and measures: pictures need pictures."""
    table = results.measures
    media = {each.removeprefix("diversity_") for each in needed} & set(MODALITIES)
    if table.empty or not media:
        return True
    there = table[table["dataset"].eq(dataset) & table["experiment"].isin([level, SIMPLE])]
    return there.empty or media <= set(there["modalities"])


def _by_seed(
    results: Results,
    dataset: str,
    experiment: str,
    recommender: str,
    metric: str,
    split: str = "default",
    k: int = 10,
) -> pd.Series:
    """Return a measure by seed, of whole data."""
    table = results.measures
    rows = table[
        table["dataset"].eq(dataset) & table["experiment"].eq(experiment)
        & table["recommender"].eq(recommender) & table["metric"].eq(metric)
        & table["split"].eq(split) & table["k"].eq(k) & table["condition"].fillna("").eq("")
    ]  # fmt: skip
    return rows.set_index("seed")["value"]


def compression(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Bars for size, speed and loss; see `mmtutorial.reproduce.compression.judged`."""
    from mmtutorial.reproduce.compression import judged

    return judged(rule, results)


def several_tasks(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Gains of learning several tasks; see `mmtutorial.reproduce.multi_task.judged`."""
    from mmtutorial.reproduce.multi_task import judged

    return judged(rule, results)


RULES: dict[str, Callable[[Mapping[str, Any], Results], list[Part]]] = {
    "gain": gain, "seeds": seeds, "share": share, "loss": loss, "cost": cost, "quoted": quoted,
    "compression": compression, "several tasks": several_tasks,
}  # fmt: skip

"""How fast it is: what `make bench` measured, as the book's page of performance shows it.

``results/benchmarks.csv`` has one line for each contender of each case; it is written by
``benchmarks/side_by_side.py``, which says what its columns mean. Nobody types a number of the page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from mmtutorial.storage.files import expanded

NUMBERS = ("size", "seconds", "least", "most", "turns", "of_ours", "memory", "quality", "bar")
_WITHIN = "within ours: "
_NO_PEERS = ("limit", "bar", "within")
WORDS = ("benchmark", "case", "contender", "machine")


def read(path: str | Path) -> pd.DataFrame:
    """Read the table of measurements; a missing file holds none.

    Raises
    ------
    ValueError
        If a column is missing, or holds something else than a number where one should be.

    Examples
    --------
    >>> len(read("no such file.csv"))
    0
    """
    path = expanded(path)
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=float) for name in NUMBERS}).assign(
            **{name: pd.Series(dtype=str) for name in WORDS}
        )
    table = pd.read_csv(path)
    lacking = [name for name in (*WORDS, *NUMBERS) if name not in table]
    if lacking:
        raise ValueError(f"{path} lacks the column {lacking[0]!r}: run `make bench` anew")
    for name in NUMBERS:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise ValueError(f"{path}: the column {name!r} holds something else than numbers")
    return table


def compare(measured: pd.DataFrame) -> pd.DataFrame:
    """Set each peer beside ours.

    Parameters
    ----------
    measured : DataFrame
        As `read` gives it.

    Returns
    -------
    DataFrame
        One row for each peer of each case: benchmark, case, size, peer; ours and theirs (median
        seconds); ratio (theirs over ours), and the least and most that it can be by the turns;
        bar, and whether it is reached: "yes", "no" (also where ours reaches less quality than the
        peer), or "" without a bar; of_limit, ours over what cannot be beaten (NaN where none was
        measured); our_quality and their_quality. Cases without ours or without a peer have none.

    Examples
    --------
    >>> measured = pd.DataFrame({"benchmark": "b", "case": "c", "contender": ["ours", "peer"],
    ...     "size": np.nan, "seconds": [1.0, 3.0], "least": [0.5, 2.0], "most": [2.0, 4.0],
    ...     "quality": np.nan, "bar": [np.nan, 2.0]})
    >>> compare(measured)[["peer", "ratio", "least", "most", "bar"]].values.tolist()
    [['peer', 3.0, 1.0, 8.0, 2.0]]
    >>> compare(measured)["reached"].item()
    'yes'
    """
    found = []
    for (benchmark, case, size), rows in measured.groupby(
        ["benchmark", "case", "size"], sort=False, dropna=False
    ):
        first = rows["contender"].str.split(r"\W", n=1, regex=True).str[0]
        if not (first == "ours").any():
            continue
        ours = rows[first == "ours"].iloc[0]
        limits = rows.loc[first == "limit", "seconds"]
        for _, peer in rows[~first.isin(["ours", *_NO_PEERS])].iterrows():
            ratio, bar = peer["seconds"] / ours["seconds"], peer["bar"]
            enough = ratio >= bar and not ours["quality"] < peer["quality"]
            found.append(
                {
                    "benchmark": benchmark,
                    "case": case,
                    "size": size,
                    "peer": peer["contender"],
                    "ours": ours["seconds"],
                    "theirs": peer["seconds"],
                    "ratio": ratio,
                    "least": peer["least"] / ours["most"],
                    "most": peer["most"] / ours["least"],
                    "bar": bar,
                    "reached": "" if np.isnan(bar) else "yes" if enough else "no",
                    "of_limit": ours["seconds"] / limits.min() if len(limits) else np.nan,
                    "our_quality": ours["quality"],
                    "their_quality": peer["quality"],
                }
            )
    columns = ("benchmark", "case", "size", "peer", "ours", "theirs", "ratio", "least", "most",
               "bar", "reached", "of_limit", "our_quality", "their_quality")  # fmt: skip
    return pd.DataFrame(found, columns=list(columns))


def by_itself(measured: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured without a peer, of one size, and the time that it was to stay under.

    Returns
    -------
    DataFrame
        One row a case: benchmark, case, ours (median seconds), memory (MiB), bar (seconds), whether
        it is reached ("yes", "no", or "" without a bar), and of_limit, ours over what cannot be
        beaten.

    Examples
    --------
    >>> measured = pd.DataFrame({"benchmark": "b", "case": "c", "contender": ["ours", "bar"],
    ...                          "size": np.nan, "seconds": [8.0, 10.0], "memory": np.nan})
    >>> by_itself(measured)[["case", "ours", "bar", "reached"]].values.tolist()
    [['c', 8.0, 10.0, 'yes']]
    """
    found = []
    some = measured[measured["size"].isna()]
    for (benchmark, case), rows in some.groupby(["benchmark", "case"], sort=False):
        first = rows["contender"].str.split(r"\W", n=1, regex=True).str[0]
        ours = rows[first == "ours"]
        if len(ours) != 1 or not first.isin(["ours", *_NO_PEERS]).all():
            continue
        seconds, bar = ours["seconds"].item(), rows.loc[first == "bar", "seconds"].min()
        found.append(
            {
                "benchmark": benchmark,
                "case": case,
                "ours": seconds,
                "memory": ours["memory"].item(),
                "bar": bar,
                "reached": "" if np.isnan(bar) else "yes" if seconds <= bar else "no",
                "of_limit": seconds / rows.loc[first == "limit", "seconds"].min(),
            }
        )
    columns = ["benchmark", "case", "ours", "memory", "bar", "reached", "of_limit"]
    return pd.DataFrame(found, columns=columns)


def distances(compared: pd.DataFrame) -> list[str]:
    """Say in words which bars are not reached, and by how much.

    >>> compared = pd.DataFrame({"case": ["c"], "peer": ["p"], "ratio": [1.5], "bar": [2.0],
    ...     "reached": ["no"], "of_limit": [1.2], "our_quality": [0.3], "their_quality": [np.nan]})
    >>> distances(compared)
    ['c, beside p: 1.5 times instead of 2, or 0.75 of the bar; ours takes 1.2 times the limit']
    """
    told = []
    for _, row in compared[compared["reached"] == "no"].iterrows():
        share = row["ratio"] / row["bar"]
        words = f"{row['case']}, beside {row['peer']}: {row['ratio']:.3g} times"
        words += f" instead of {row['bar']:.3g}, or {share:.2f} of the bar" if share < 1 else ""
        if row["our_quality"] < row["their_quality"]:
            words += f"; reaches {row['our_quality']:.4f}, the peer {row['their_quality']:.4f}"
        if not np.isnan(row["of_limit"]):
            words += f"; ours takes {row['of_limit']:.2g} times the limit"
        told.append(words)
    return told


def within(measured: pd.DataFrame) -> pd.DataFrame:
    """Return where ours spends its time, by its profile, the longest first.

    Returns
    -------
    DataFrame
        One row a function: benchmark, case, function, and share, of all the time under the profile.

    Examples
    --------
    >>> measured = pd.DataFrame({"benchmark": "b", "case": "c", "seconds": [3.0, 2.0, 4.0],
    ...                          "contender": ["ours", "within ours: sort", "within ours: all"]})
    >>> within(measured)[["function", "share"]].values.tolist()
    [['sort', 0.5]]
    """
    parts = measured[measured["contender"].str.startswith(_WITHIN)]
    parts = parts.assign(function=parts["contender"].str.removeprefix(_WITHIN))
    whole = parts[parts["function"] == "all"].set_index(["benchmark", "case"])["seconds"]
    found = parts[parts["function"] != "all"]
    over = whole.reindex(pd.MultiIndex.from_frame(found[["benchmark", "case"]])).to_numpy()
    found = found.assign(share=found["seconds"] / over)
    return found[["benchmark", "case", "function", "share"]].reset_index(drop=True)


def duration(seconds: float) -> str:
    """Write a time in the unit in which it is easily read.

    >>> duration(0.00016), duration(0.0421), duration(12.34), duration(754)
    ('160 µs', '42.1 ms', '12.3 s', '754 s')
    """
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
    unit = next((unit for unit, size in units.items() if seconds >= size), "µs")
    number = seconds / units[unit]
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def growing(measured: pd.DataFrame) -> pd.DataFrame:
    """Return ours over sizes, of the cases that span at least a decade.

    >>> measured = pd.DataFrame({"benchmark": "b", "case": list("ccd"), "contender": "ours",
    ...                          "size": [1, 10, 1], "seconds": 1.0, "memory": 5.0})
    >>> growing(measured)["case"].unique().tolist()
    ['c']
    """
    ours = measured[measured["size"].notna() & measured["contender"].str.startswith("ours")]
    span = ours.groupby(["benchmark", "case"])["size"].agg(lambda sizes: sizes.max() / sizes.min())
    wide = span.index[span >= 10]
    kept = pd.MultiIndex.from_frame(ours[["benchmark", "case"]]).isin(wide)
    return ours[kept]


def exponents(grown: pd.DataFrame) -> pd.DataFrame:
    """Fit the power of the size with which seconds and memory grow: one row a case.

    >>> grown = pd.DataFrame({"benchmark": "b", "case": "c", "size": [1, 10, 100],
    ...                       "seconds": [1.0, 10.0, 100.0], "memory": [5.0, 5.0, 5.0]})
    >>> exponents(grown).round(6)[["seconds", "memory"]].abs().values.tolist()
    [[1.0, 0.0]]
    """
    found = []
    for (benchmark, case), rows in grown.groupby(["benchmark", "case"], sort=False):
        powers = {}
        for column in ("seconds", "memory"):
            some = rows[rows[column] > 0]
            x, y = np.log(some[["size", column]].to_numpy(float)).T
            powers[column] = np.polyfit(x, y, 1)[0] if len(np.unique(x)) > 1 else np.nan
        sizes = {"from": int(rows["size"].min()), "to": int(rows["size"].max())}
        found.append({"benchmark": benchmark, "case": case, **sizes, **powers})
    columns = ["benchmark", "case", "from", "to", "seconds", "memory"]
    return pd.DataFrame(found, columns=columns)


def speed_ratios(table: pd.DataFrame, axis: Axes) -> None:
    """Draw how many times as long as ours each peer takes, beside the bars that were set.

    Parameters
    ----------
    table : DataFrame
        One row a comparison, as `compare` gives them.
    axis : Axes
        Where to draw, on a logarithmic axis; right of the line at 1 ours is faster.

    Examples
    --------
    >>> figure, axis = plt.subplots()
    >>> speed_ratios(pd.DataFrame({"benchmark": ["b"], "case": ["c"], "peer": ["p"], "ratio": [2.0],
    ...                            "least": [1.5], "most": [3.0], "bar": [1.0],
    ...                            "reached": ["yes"]}), axis)
    >>> axis.get_xscale()
    'log'
    >>> plt.close(figure)
    """
    places = np.arange(len(table))[::-1]
    missed = table["reached"].eq("no")
    axis.hlines(places, table["least"], table["most"], color="0.6", linewidth=1.5)
    colours = sns.color_palette("colorblind")
    for chosen, marker, colour, words in (
        (~missed, "o", colours[0], "measured"),
        (missed, "X", colours[3], "measured, bar not reached"),
    ):
        if chosen.any():
            some = table["ratio"][chosen]
            axis.plot(some, places[chosen], marker, color=colour, label=words)
    axis.plot(
        table["bar"], places, "|", color="black", markersize=12, markeredgewidth=2, label="bar"
    )
    axis.axvline(1, color="0.3", linewidth=1)
    labels = (table["case"] + " / " + table["peer"]).map(lambda label: textwrap.fill(label, 48))
    axis.set_yticks(places, labels=list(labels), fontsize=9)
    axis.set(xscale="log", ylim=(-0.7, len(table) - 0.3))
    axis.set_xlabel("the peer's time over ours (logarithmic; right of 1 ours is faster)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.6 / len(table)), ncols=3)


def growth(table: pd.DataFrame, axes: Sequence[Axes]) -> None:
    """Draw how seconds and memory grow with the size of what is worked on, both logarithmic.

    Parameters
    ----------
    table : DataFrame
        The columns benchmark, case, size, seconds and memory (MiB, NaN where not measured).
    axes : pair of Axes
        For seconds and for memory; a dotted line shows growth in proportion.

    Examples
    --------
    >>> figure, axes = plt.subplots(1, 2)
    >>> growth(pd.DataFrame({"benchmark": "b", "case": "c", "size": [1, 10], "seconds": [1.0, 9.0],
    ...                      "memory": [5.0, 5.0]}), axes)
    >>> plt.close(figure)
    """
    for axis, column, unit in zip(axes, ("seconds", "memory"), ("s", "MiB"), strict=True):
        kinds = table.dropna(subset=[column]).groupby(["benchmark", "case"], sort=False)
        for ((benchmark, case), some), marker in zip(kinds, "osD^vP*Xh", strict=False):
            rows = some.sort_values("size")
            axis.plot(rows["size"], rows[column], marker=marker, label=f"{benchmark}: {case}")
            straight = rows[column].iloc[0] * rows["size"] / rows["size"].iloc[0]
            if column == "seconds":
                axis.plot(rows["size"], straight, ":", color="0.5", linewidth=1)
        axis.set(xscale="log", yscale="log", xlabel="size", ylabel=f"{column} ({unit})")
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.2))


def recall_against_time(table: pd.DataFrame, axis: Axes) -> None:
    """Draw the share of the true best that each way of searching finds, against its time.

    ``table`` has the columns contender, seconds and quality (the share), one row a way.

    >>> figure, axis = plt.subplots()
    >>> recall_against_time(pd.DataFrame({"contender": ["exact"], "seconds": [0.1],
    ...                                   "quality": [1.0]}), axis)
    >>> plt.close(figure)
    """
    columns = ("contender", "seconds", "quality")
    axis.plot(table["seconds"], table["quality"], "o")
    for name, x, y in zip(*(table[each] for each in columns), strict=True):
        axis.annotate(name, (x, y), xytext=(6, -12), textcoords="offset points", fontsize=8)
    axis.set(xscale="log", xlabel="time (s, logarithmic)", ylabel="share of the true best found")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())

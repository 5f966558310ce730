"""A Sphinx extension: write what `make bench` measured into the page of performance.

In ``performance.md`` a line ``% measured: WHAT`` is replaced: by a figure (ratios, growth, recall),
by the machines, or by the table of the benchmark of that name. Measurements stand in
``results/benchmarks.csv``; what is not in it is said to be not measured.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import performance_tables as performance
from sphinx.application import Sphinx

from mmtutorial import plots

RESULTS = Path(__file__).resolve().parents[2] / "results" / "benchmarks.csv"
NOTHING = "*Not measured.*"


def table(measured: pd.DataFrame, benchmark: str) -> str:
    """Return what one benchmark measured, the bars that were missed, and the machine."""
    rows = measured[measured["benchmark"] == benchmark]
    compared, itself = performance.compare(rows), performance.by_itself(rows)
    parts = [beside_peers(compared)] if len(compared) else []
    parts += [without_peers(itself)] if len(itself) else []
    if not parts:
        return NOTHING
    far = performance.distances(compared)
    far += [
        f"{case}: {performance.duration(ours)} instead of {performance.duration(bar)}"
        for case, ours, bar in itself.loc[itself["reached"] == "no", ["case", "ours", "bar"]].values
    ]
    if far:
        parts.append("**Not reached:**\n\n" + "\n".join(f"- {each}" for each in far))
    parts += [
        profile(case, some) for case, some in performance.within(rows).groupby("case", sort=False)
    ]
    parts += [f"<small>{html.escape(about)}</small>" for about in rows["machine"].unique()]
    return "\n\n".join(parts)


def beside_peers(compared: pd.DataFrame) -> str:
    """Return the table of comparisons."""
    shown = pd.DataFrame(
        {
            "case": compared["case"],
            "peer": compared["peer"],
            "ours": compared["ours"].map(performance.duration),
            "peer's": compared["theirs"].map(performance.duration),
            "peer ÷ ours": compared["ratio"],
            "by the turns": [
                f"{least:.2g} to {most:.2g}"
                for least, most in zip(compared["least"], compared["most"], strict=True)
            ],
            "bar": compared["bar"].map(number),
            "reached": compared["reached"],
            "ours ÷ limit": compared["of_limit"].map(number),
            "quality, ours": compared["our_quality"].map(number),
            "quality, peer": compared["their_quality"].map(number),
        }
    )
    return measurements(shown)


def without_peers(itself: pd.DataFrame) -> str:
    """Return the table of what has no peer."""
    shown = pd.DataFrame(
        {
            "case": itself["case"],
            "ours": itself["ours"].map(performance.duration),
            "bar": ["" if pd.isna(bar) else performance.duration(bar) for bar in itself["bar"]],
            "reached": itself["reached"],
            "memory (MiB)": itself["memory"].map(number),
            "ours ÷ limit": itself["of_limit"].map(number),
        }
    )
    return measurements(shown)


def measurements(shown: pd.DataFrame) -> str:
    """Return a table without its empty columns, in a frame that the book's style knows."""
    filled = shown.loc[:, shown.ne("").any()]
    return f'<div class="measured">{plots.table(filled).data}</div>'


def profile(case: str, parts: pd.DataFrame) -> str:
    """Say where ours spends its time in a case."""
    said = ", ".join(
        f"`{function}` {share:.0%}"
        for function, share in zip(parts["function"], parts["share"], strict=True)
    )
    return f"*Where ours spends its time, by a profile ({case}):* {said}."


def number(value: float) -> str:
    """Write a number that may be missing."""
    return "" if pd.isna(value) else f"{value:,.3g}"


def ratios(measured: pd.DataFrame) -> str:
    """Return the figure of all ratios beside their bars."""
    compared = performance.compare(measured)
    if compared.empty:
        return NOTHING
    figure, axis = plt.subplots(figsize=(5.5, 1.5 + 0.3 * len(compared)))
    performance.speed_ratios(compared, axis)
    reached, missed = (int(compared["reached"].eq(word).sum()) for word in ("yes", "no"))
    alt = (
        f"A dot plot on a logarithmic axis: for each of {len(compared)} comparisons, how many "
        "times as long as ours the peer takes, and the bar where there is one. "
        f"{reached} of {reached + missed} bars are reached."
    )
    return plots.picture(figure, alt).data


def growth(measured: pd.DataFrame) -> str:
    """Return the figure of seconds and memory over sizes, and the powers with which they grow."""
    grown = performance.growing(measured)
    if grown.empty:
        return NOTHING
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    performance.growth(grown, axes)
    powers = performance.exponents(grown)
    alt = (
        "Two panels with logarithmic axes, seconds and memory over size; the table tells how steep "
    )
    alt += "the lines are of: " + "; ".join(powers["benchmark"] + ", " + powers["case"])
    shown = powers.rename(columns={"seconds": "power of seconds", "memory": "power of memory"})
    return f"{plots.picture(figure, alt).data}\n\n{plots.table(shown).data}"


def recall(measured: pd.DataFrame) -> str:
    """Return the figure of recall against time."""
    searched = measured["case"].str.startswith("approximate") & measured["quality"].notna()
    rows = measured[(measured["benchmark"] == "retrieval") & searched]
    if rows.empty:
        return NOTHING
    figure, axis = plt.subplots()
    performance.recall_against_time(rows, axis)
    axis.set_title(rows["case"].iloc[0], fontsize=9)
    alt = "Share of the true best that is found, against time: " + "; ".join(
        f"{row['contender']} {row['quality']:.3f} in {performance.duration(row['seconds'])}"
        for _, row in rows.iterrows()
    )
    return plots.picture(figure, alt).data


FIGURES = {"ratios": ratios, "growth": growth, "recall": recall}


def write_measured(app: Sphinx, page: str, source: list[str]) -> None:
    """Put tables and figures where the page asks for them."""
    if page != "performance":
        return
    matplotlib.use("Agg")
    plots.use_style()
    measured = performance.read(RESULTS)

    def written(line: re.Match[str]) -> str:
        what = line.group(1)
        return FIGURES[what](measured) if what in FIGURES else table(measured, what)

    source[0] = re.sub(r"^% measured: (\w+)$", written, source[0], flags=re.MULTILINE)


def renew(app: Sphinx, env: Any, added: Any, changed: Any, removed: Any) -> list[str]:
    """Read the page anew each time: results may have changed where its own file has not."""
    return ["performance"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", write_measured)
    app.connect("env-get-outdated", renew)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

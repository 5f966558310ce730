"""Figures of what happened when, whether it was within a day or over ten years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.dates import (
    HOURLY,
    MINUTELY,
    MONTHLY,
    SECONDLY,
    AutoDateLocator,
    ConciseDateFormatter,
)

if TYPE_CHECKING:
    from mmtutorial.evaluation import Split

PERIODS = {  # seconds, the longest first
    "year": 365 * 86_400, "30 days": 30 * 86_400, "week": 7 * 86_400, "day": 86_400,
    "hour": 3600, "minute": 60, "second": 1,
}  # fmt: skip


def time_axis(axis: Axes, label: str = "time") -> None:
    """Write times below an axis in what their span needs: hours, days, months or years.

    >>> from matplotlib.figure import Figure
    >>> axis = Figure().subplots()
    >>> line = axis.plot(pd.to_datetime(["2024-03-01 08:00", "2024-03-01 20:00"]), [0, 1])
    >>> time_axis(axis)
    >>> [tick.get_text() for tick in axis.get_xticklabels()]
    ['08:00', '12:00', '16:00', '20:00']
    """
    locator = AutoDateLocator(minticks=3, maxticks=5)
    for unit, whole in ((MONTHLY, 12), (HOURLY, 24), (MINUTELY, 60), (SECONDLY, 60)):
        locator.intervald[unit] = [*locator.intervald[unit], whole]  # else five would not suffice
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.set_xlabel(label)


def period_of(times: np.ndarray) -> str:
    """Choose the period by which interactions are counted, such that there are enough to draw.

    Parameters
    ----------
    times : ndarray
        Seconds, at least one, in any order.

    Returns
    -------
    str
        A key of `PERIODS`: the longest of which the span holds 20, and none that is shorter than
        the shortest time between two, so that dates are never counted by the hour.

    Examples
    --------
    >>> period_of(86_400 * np.arange(365)), period_of(np.arange(86_400)), period_of(np.zeros(3))
    ('week', 'hour', 'second')
    """
    span, shortest = np.ptp(times), _resolution(times)
    names = [name for name, seconds in PERIODS.items() if seconds >= shortest] or ["year"]
    return next((name for name in names if 20 * PERIODS[name] <= span), names[-1])


def _resolution(times: np.ndarray) -> float:
    """Return the shortest time between two that differ: a day where the times are dates."""
    return float(np.diff(np.unique(times)).min()) if np.ptp(times) else 1.0


def interactions_over_time(timestamps: pd.Series, axis: Axes) -> str:
    """Draw how many interactions there were in each hour, day, week or year: what the span needs.

    Parameters
    ----------
    timestamps : Series
        Seconds since 1970; NaN is left out. Without any time the axis says so.
    axis : Axes
        Where to draw. The last period is left out where it is not whole.

    Returns
    -------
    str
        The period, as `period_of` names it; "" where there are no times.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = Figure().subplots()
    >>> interactions_over_time(pd.Series([1709251200, 1709254800, 1709258400]), axis)
    'hour'
    """
    times = timestamps.dropna().to_numpy(dtype=np.int64)
    if not len(times):
        axis.text(0.5, 0.5, "no times are given", transform=axis.transAxes, ha="center")
        axis.set(xticks=[], yticks=[], xlabel="time", ylabel="interactions")
        return ""
    period = period_of(times)
    length, start = PERIODS[period], times.min()
    counts = np.bincount((times - start) // length)
    if len(counts) > 1 and (times.max() - start + _resolution(times)) % length:
        counts = counts[:-1]
    begins = pd.to_datetime(start + length * np.arange(len(counts)), unit="s")
    axis.plot(begins, counts, marker="o" if len(counts) < 20 else "")
    axis.set(ylabel=f"interactions per {period}", ylim=(0, None))
    time_axis(axis)
    return period


def parts_of(
    split: Split,
    axis: Axes,
    title: str,
    rows: str = "user",
    columns: str = "timestamp",
    seed: int = 0,
) -> None:
    """Draw the interactions of a few users or items, one marker each, coloured by part.

    Parameters
    ----------
    split : Split
        Whose parts.
    axis : Axes
        Where to draw.
    title : str
        Written above.
    rows : {"user", "item"}
        Whose interactions share a line; up to eight are drawn of each part.
    columns : {"timestamp", "item"}
        What is to the right.
    seed : int
        Of the choice of users or items.

    Examples
    --------
    >>> from mmtutorial.evaluation import global_time_split
    >>> from mmtutorial.interactions import Interactions
    >>> taken = Interactions.of([("ann", item, time) for time, item in enumerate("vwxyz")])
    >>> from matplotlib.figure import Figure
    >>> axis = Figure().subplots()
    >>> parts_of(global_time_split(taken, validation=0.2, test=0.2), axis, "global time")
    >>> [len(line.get_xdata()) for line in axis.lines]
    [3, 1, 1]
    """
    generator = np.random.default_rng(seed)
    logs = {part: getattr(split, part).log for part in ("train", "validation", "test")}
    drawn = [generator.permutation(log[rows].unique())[:8] for log in logs.values()]
    chosen = np.unique(np.concatenate(drawn))
    generator.shuffle(chosen)
    line = pd.Series(np.arange(len(chosen)), index=chosen)
    colours = sns.color_palette("colorblind")
    for (part, log), marker, colour in zip(logs.items(), "os^", colours, strict=False):
        some = log[log[rows].isin(chosen)]
        across = some[columns]
        if columns == "timestamp":
            across = pd.to_datetime(across, unit="s")
        axis.plot(across, line[some[rows]], marker, color=colour, markersize=4, label=part)
    axis.set_title(title, fontsize=10)
    axis.set(yticks=[], ylabel=f"{len(chosen)} {rows}s")
    if columns == "timestamp":
        time_axis(axis)
    else:
        axis.set_xlabel("item (row of the catalogue)")

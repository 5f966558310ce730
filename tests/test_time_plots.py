"""Figures over time say what happened, whatever the span: on folders of a day, a week, ten years."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import num2date

from mmtutorial import datasets, time_plots
from mmtutorial.datasets import Dataset
from mmtutorial.evaluation import (
    cold_items_split,
    default_split,
    global_time_split,
    leave_last_out,
    with_parts,
)
from mmtutorial.interactions import Interactions
from tests.own_folder import shop_media, write_own_folder

DAY = 86_400
SPANS = {
    "an hour": ({}, "minute"),
    "a day": ({"days": 1}, "hour"),
    "a week": ({"days": 7}, "hour"),
    "a week of dates": ({"days": 7, "dates": True}, "day"),
    "four months": ({"days": 120}, "day"),
    "a year": ({"days": 365}, "week"),
    "ten years": ({"days": 3650}, "30 days"),
    "ten years of dates": ({"days": 3650, "dates": True}, "30 days"),
}


@pytest.fixture(scope="module")
def spanning(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """Write a folder of somebody's own whose times span what is named, and open it; each once."""
    opened: dict[str, Dataset] = {}

    def make(span: str) -> Dataset:
        if span not in opened:
            folder = tmp_path_factory.mktemp("own") / span
            write_own_folder(folder, 40, 40, source=shop_media, **SPANS[span][0])
            if span == "an hour":
                path = folder / "interactions.csv"
                table = pd.read_csv(path, dtype=str, keep_default_na=False)
                table["timestamp"] = [str(1_704_067_200 + 7 * n) for n in range(len(table))]
                table.head(520).to_csv(path, index=False)
            opened[span] = datasets.load(folder)
        return opened[span]

    return make


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    """Take a warning of Matplotlib (too many ticks, no interval fits) for what it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield
    plt.close("all")


def drawn(axis: plt.Axes) -> list[str]:
    """Draw, and return what is written below the axis."""
    axis.figure.canvas.draw()
    return [tick.get_text() for tick in axis.get_xticklabels()]


@pytest.mark.parametrize("span", SPANS)
def test_interactions_are_counted_by_a_period_that_fits(
    spanning: Callable[[str], Dataset], span: str
) -> None:
    times = spanning(span).interactions["timestamp"]
    _, axis = plt.subplots(figsize=(3, 2.6))
    period = time_plots.interactions_over_time(times, axis)
    assert period == SPANS[span][1] == time_plots.period_of(times.to_numpy())
    [line] = axis.lines
    counts, begins = line.get_ydata(), line.get_xdata().astype("datetime64[s]").astype(np.int64)
    for begin, count in zip(begins, counts, strict=True):
        assert count == times.between(begin, begin + time_plots.PERIODS[period] - 1).sum()
    assert counts.sum() >= 0.9 * len(times)
    assert (6 if span == "a week of dates" else 20) <= len(counts) <= 600
    assert axis.get_ylabel() == f"interactions per {period}" and axis.get_ylim()[0] == 0
    assert 2 <= len(set(drawn(axis))) <= 8


@pytest.mark.parametrize("span", SPANS)
def test_each_split_by_time_is_drawn(spanning: Callable[[str], Dataset], span: str) -> None:
    data = spanning(span)
    log = Interactions.of(data.interactions, items=data.items["item"])
    splits = (global_time_split(log), leave_last_out(log), cold_items_split(log))
    for split, rows in zip(splits, ("user", "user", "item"), strict=True):
        _, axis = plt.subplots()
        time_plots.parts_of(split, axis, split.name, rows)
        labels = [line.get_label() for line in axis.lines]
        assert labels == ["train", "validation", "test"]
        for line, part in zip(axis.lines, (split.train, split.validation, split.test), strict=True):
            seen = line.get_xdata().astype("datetime64[s]").astype(np.int64)
            assert len(seen) and set(seen) <= set(part.log["timestamp"])
        assert axis.get_xlabel() == "time" and 2 <= len(set(drawn(axis))) <= 8


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (3600, "%H:%M"),
        (DAY, "%H:%M"),
        (7 * DAY, "%d"),
        (30 * DAY, "%d"),
        (120 * DAY, "%b"),
        (3650 * DAY, "%Y"),
    ],
)
def test_a_time_axis_writes_what_its_span_needs(span: int, written: str) -> None:
    start = 1_709_251_200 + 5 * 3600
    _, axis = plt.subplots()
    axis.plot(pd.to_datetime([start, start + span], unit="s"), [0, 1])
    time_plots.time_axis(axis)
    labels = drawn(axis)
    places = [num2date(place) for place in axis.get_xticks()]
    assert {f"{place:{written}}" for place in places} & set(labels)


def test_a_time_axis_has_a_few_labels_whatever_its_span() -> None:
    _, axis = plt.subplots()
    draw = np.random.default_rng(0)
    for span in np.geomspace(60, 100 * 365 * DAY, 150):
        start = draw.integers(631_152_000, 1_893_456_000)
        axis.clear()
        axis.set_xlim(*pd.to_datetime([start, start + span], unit="s"))
        time_plots.time_axis(axis)
        low, high = axis.get_xlim()
        seen = [place for place in axis.get_xticks() if low <= place <= high]
        assert 1 <= len(seen) <= 7, (start, span)


def test_what_has_no_span_is_drawn_too() -> None:
    _, axis = plt.subplots()
    assert time_plots.interactions_over_time(pd.Series([np.nan, np.nan]), axis) == ""
    assert axis.texts[0].get_text() == "no times are given"
    for times in ([1_709_251_200] * 3, [1_709_251_200, 1_709_251_200 + 3650 * DAY]):
        _, axis = plt.subplots()
        time_plots.interactions_over_time(pd.Series(times), axis)
        [line] = axis.lines
        assert line.get_ydata().sum() == len(times) and drawn(axis)


def test_a_whole_last_day_counts_and_a_begun_one_does_not() -> None:
    dates = pd.Series([DAY * day for day in range(20_000, 20_007)])
    _, axis = plt.subplots()
    assert time_plots.interactions_over_time(dates, axis) == "day"
    assert axis.lines[0].get_ydata().tolist() == [1] * 7
    moments = pd.Series([DAY * 20_000 + 6 * 3600 * step for step in range(4 * 25 + 2)])
    _, axis = plt.subplots()
    assert time_plots.interactions_over_time(moments, axis) == "day"
    assert axis.lines[0].get_ydata().tolist() == [4] * 25


def test_drawn_parts_split_what_times_cannot(spanning: Callable[[str], Dataset]) -> None:
    data = spanning("a week of dates")
    same = data.interactions.assign(timestamp=data.interactions["timestamp"].min())
    alike = Dataset(data.name, data.items, same, data.folder)
    with pytest.raises(ValueError, match="a split by time needs interactions at different times"):
        default_split(alike)
    first, again, other = (default_split(with_parts(alike, seed)) for seed in (0, 0, 1))
    pairs = len(same.drop_duplicates(["user", "item"]))
    sizes = [len(part) for part in (first.train, first.validation, first.test)]
    assert sum(sizes) == pairs and np.abs(np.array(sizes) / pairs - [0.8, 0.1, 0.1]).max() < 0.06
    assert first.test.log.equals(again.test.log) and not first.test.log.equals(other.test.log)

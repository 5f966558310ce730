"""Figures and galleries that more than one chapter shows.

Colours come from seaborn's "colorblind" palette and every axis is labelled by its caller's words.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import math
import os
import re
import time
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import soundfile
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image, ImageOps

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.memory import peak_memory

MODALITY_COLOURS = dict(
    zip(("text", "image", "audio"), sns.color_palette("colorblind"), strict=False)
)
THUMBNAIL = 160  # pixels, the longer side
PLAYER = 220  # pixels, the width of a player that stands alone
MP3_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
LETTERS = 9  # pixels: a figure is not shrunk beyond the point where its letters are as small
PHONE = 3.4  # inches, the width of a figure on a phone
INTERVAL = re.compile(r"\[[^\[\]]*\]|[\d.]+ to [\d.]+")
STACKED = 4  # panels, up to so many stand one below the other on a phone


def use_style() -> None:
    """Set the look of the book's figures: white, colour-blind-safe, legible on a phone.

    >>> use_style()
    """
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        rc={"figure.figsize": (7, 4), "figure.dpi": 110, "savefig.bbox": "tight"},
    )


def show(figure: Figure, alt: str) -> None:
    """Show a figure with words for those who cannot see it, and close it; see `picture`.

    >>> figure, axis = plt.subplots()
    >>> show(figure, alt="An empty pair of axes.")
    <IPython.core.display.HTML object>
    """
    display(picture(figure, alt))


def picture(figure: Figure, alt: str) -> HTML:
    """Turn a figure into an image with words for those who cannot see it, and close it.

    Jupyter's own display of a figure carries no alternative text. This one is an HTML image that
    does, and needs no other file. It shrinks with the page until its smallest letters are 9 pixels
    high; from there on it scrolls sideways. On a phone up to four panels stand one below the other.

    Parameters
    ----------
    figure : Figure
        Drawn; it is closed afterwards and does not stay in memory.
    alt : str
        What there is to see: the kind of figure, its axes, and what it shows.

    Raises
    ------
    ValueError
        If ``alt`` is empty.

    Examples
    --------
    >>> figure, axis = plt.subplots()
    >>> picture(figure, alt="An empty pair of axes.")
    <IPython.core.display.HTML object>
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in words what the figure shows")
    drawn, width, letters = _drawn(figure)
    narrow, kind = "", "scrolls"
    if _stack(figure):
        stacked, _, large = _drawn(figure)
        narrow = (
            f'<source media="(max-width: 600px)" data-letters="{large:.1f}" srcset="{stacked}">'
        )
        kind = "scrolls stacks"
    plt.close(figure)
    least = math.ceil(width * LETTERS / letters)
    return HTML(
        f'<div class="{kind}" style="overflow-x:auto"><picture>{narrow}<img '
        f'alt="{html.escape(alt)}" data-letters="{letters:.1f}" src="{drawn}" '
        f'style="max-width:100%;min-width:{least}px"></picture></div>'
    )


def _drawn(figure: Figure) -> tuple[str, int, float]:
    """Return a figure as an address of a PNG, its width, and its smallest letters, in pixels."""
    memory = io.BytesIO()
    figure.savefig(memory, format="png", bbox_inches="tight", pil_kwargs={"optimize": True})
    texts = [each for each in figure.findobj(Text) if each.get_visible() and each.get_text()]
    points = min((float(each.get_fontsize()) for each in texts), default=12.0)
    with Image.open(memory) as png:
        width = png.width
    address = f"data:image/png;base64,{base64.b64encode(memory.getvalue()).decode()}"
    return address, width, points * figure.dpi / 72


def _stack(figure: Figure) -> bool:
    """Put panels that stand side by side one below the other; False if there are none, or many."""
    places = {axis: axis.get_subplotspec() for axis in figure.axes}
    panels = {axis: place for axis, place in places.items() if place is not None}
    grids = {place.get_gridspec() for place in panels.values()}
    side_by_side = [grid.ncols > 1 for grid in grids] == [True] and len(panels) <= STACKED
    if not side_by_side or not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        return False
    heights = []
    for axis in panels:
        box = axis.get_window_extent()
        shape = box.height / box.width
        equal = axis.get_aspect() != "auto"
        heights.append((PHONE - 0.9) * shape if equal else box.height / figure.dpi)
        for along, edge in (("x", "bottom"), ("y", "left")):
            alike = getattr(axis, f"get_shared_{along}_axes")().get_siblings(axis)
            if len(alike) > 1:  # what was written once, beside or below all of them
                getattr(axis, f"{along}axis").set_tick_params(**{f"label{edge}": True})
                words = [getattr(each, f"get_{along}label")() for each in panels if each in alike]
                getattr(axis, f"set_{along}label")(max(words, key=len))
    grid = GridSpec(len(panels), 1, figure=figure, height_ratios=heights)
    for row, axis in enumerate(panels):
        axis.set_subplotspec(grid[row])
    figure.set_size_inches(PHONE, sum(heights) + 0.7 * len(panels))
    return True


def table(
    frame: pd.DataFrame,
    *,
    index: bool = False,
    digits: int = 3,
    widest: int | None = None,
) -> HTML:
    """Show a table with room between its columns, text on the left and numbers on the right.

    Whatever a cell holds is shown as it is, HTML tags included, line breaks as blanks; what is
    missing is a dash. Where the page is too narrow, the table scrolls sideways.

    Parameters
    ----------
    frame : DataFrame
        What to show, one line a row.
    index : bool
        Whether the index is shown too.
    digits : int
        Significant digits of numbers that are not whole.
    widest : int, optional
        Characters of a cell, longer ones being cut off; without it, all are shown.

    Examples
    --------
    >>> table(pd.DataFrame({"drink": ["tea"], "price": [2.5]}))
    <IPython.core.display.HTML object>
    """
    text = frame.map(_in_one_line, widest=widest).to_html(
        index=index,
        border=0,
        na_rep="–",
        float_format=lambda number: f"{number:,.{digits}g}",
    )
    numbers = [
        index * frame.index.nlevels + place + 1
        for place, kind in enumerate(frame.dtypes)
        if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    ]
    text = text.replace("<th></th>", "<td></td>")  # a corner is the header of nothing
    name = f"table-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    right = ",".join(f"#{name} tr>:nth-child({number})" for number in numbers)
    style = f"#{name} th,#{name} td{{padding:.25em .8em;text-align:left;vertical-align:top}}"
    style += f"{right}{{text-align:right}}" if right else ""
    frame_start = f'<div id="{name}" class="scrolls" style="overflow-x:auto">'
    return HTML(f"{frame_start}<style>{style}</style>{text}</div>")


def _in_one_line(cell: object, widest: int | None) -> object:
    """Write a text without line breaks, and cut it off where it is too long."""
    if not isinstance(cell, str):
        return cell
    line = cell.replace("\n", " ")
    line = INTERVAL.sub(lambda found: found[0].replace(" ", "\u00a0"), line)
    return line if widest is None or len(line) <= widest else line[: widest - 1] + "…"


def p_value(p: float) -> str:
    """Write a p value for a table; how far below a thousandth it is, no test knows.

    Where there is none (NaN), a dash stands for it.

    >>> [p_value(p) for p in (0.0421, 0.0001, float("nan"))]
    ['0.042', '< 0.001', '–']
    """
    if not np.isfinite(p):
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def players(sounds: Mapping[str, np.ndarray], sample_rate: int) -> HTML:
    """Offer sounds side by side, to compare by ear: none is made louder or softer.

    Parameters
    ----------
    sounds : mapping of str to ndarray
        What to write above each player, and its samples: float (n_samples,), full scale −1…1;
        what is beyond is cut off.
    sample_rate : int
        Of all of them, in Hz.

    Examples
    --------
    >>> players({"a hum": np.sin(np.arange(800) / 8)}, 8000)
    <IPython.core.display.HTML object>
    """
    cards = [
        f'<div style="width:{PLAYER}px;max-width:100%"><div>{html.escape(label)}</div>'
        f"{_player(wave, sample_rate, label)}</div>"
        for label, wave in sounds.items()
    ]
    return _row(cards)


def resources(started: float) -> dict[str, float]:
    """Say what a notebook has used so far: seconds, peak memory in MB, and the cores it could use.

    ``started`` is what ``time.perf_counter()`` said at its beginning. Memory is that of this
    process alone, without helpers on other cores; NaN where the system does not tell.

    >>> sorted(resources(time.perf_counter()))
    ['cores', 'peak_mb', 'seconds']
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "seconds": time.perf_counter() - started,
        "peak_mb": peak_memory() / 1e6,
        "cores": float(cores or 1),
    }


def gallery(data: Dataset, item_rows: Sequence[int], captions: Sequence[str] | None = None) -> HTML:
    """Show items as cards: picture, title, a player for the sound, the beginning of the text.

    Parameters
    ----------
    data : Dataset
        Where the items' media lie; what an item lacks is said in words.
    item_rows : sequence of int
        Rows of ``data.items``, shown in this order; −1 (padding) is left out.
    captions : sequence of str, optional
        One line above each card.
    """
    captions = captions if captions is not None else [""] * len(item_rows)
    cards = [
        _card(data, int(row), caption)
        for row, caption in zip(item_rows, captions, strict=True)
        if row >= 0
    ]
    return _row(cards)


def _row(cards: Sequence[str]) -> HTML:
    """Put cards side by side, in as many lines as the page needs."""
    return HTML(
        '<div style="display:flex;flex-wrap:wrap;gap:.8rem;margin:.5rem 0">'
        + "".join(cards)
        + "</div>"
    )


def _card(data: Dataset, row: int, caption: str) -> str:
    """Write one item as a piece of HTML that needs no other file."""
    item = data.items.iloc[row]
    title = html.escape(str(item["title"]))
    text = html.escape(str(item["text"]))
    picture, sound = data.path(row, "image"), data.path(row, "audio")
    parts = [f"<b>{html.escape(caption)}</b>" if caption else "", f"<div>{title}</div>"]
    if picture is None:
        parts.append("<div>(no picture)</div>")
    else:
        with Image.open(picture) as opened:
            small = ImageOps.exif_transpose(opened).convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        parts.append(
            f'<img alt="Picture of {title}" style="max-width:100%" '
            f'src="data:image/jpeg;base64,{_encoded(small)}">'
        )
    if sound is None:
        parts.append("<div>(no sound)</div>")
    else:
        samples, rate = soundfile.read(sound, dtype="float32")
        parts.append(_player(samples, rate, f"Sound of {item['title']}"))
    style = "font-size:.8em;max-height:6.5em;overflow:auto"
    parts.append(f'<div class="scrolls" style="{style}">{text or "(no text)"}</div>')
    return f'<div style="width:{THUMBNAIL}px">{"".join(parts)}</div>'


def _encoded(picture: Image.Image) -> str:
    memory = io.BytesIO()
    picture.save(memory, format="JPEG", quality=85)
    return base64.b64encode(memory.getvalue()).decode()


def _player(samples: np.ndarray, sample_rate: int, label: str) -> str:
    """Write a player that carries its sound within it: MP3 where that has the rate, else WAV."""
    memory = io.BytesIO()
    small = sample_rate in MP3_RATES
    kind = {"format": "MP3", "compression_level": 0.5} if small else {"format": "WAV"}
    soundfile.write(memory, np.clip(samples, -1, 1), sample_rate, **kind)
    encoded = base64.b64encode(memory.getvalue()).decode()
    return (
        f'<audio controls preload="none" style="width:100%" aria-label="{html.escape(label)}" '
        f'src="data:audio/{"mpeg" if small else "wav"};base64,{encoded}"></audio>'
    )


def recommendation_sheet(
    data: Dataset,
    histories: Sequence[Sequence[int]],
    lists: Sequence[Sequence[int]],
    labels: Sequence[str],
) -> Figure:
    """Draw what users took beside what is recommended to them, as pictures with titles.

    Parameters
    ----------
    data : Dataset
        Where the items' pictures lie; an item without one is an empty frame.
    histories, lists : sequences of int sequences
        One a user: item rows taken, the newest last, and item rows recommended, best first (−1 is
        left out).
    labels : sequence of str
        One a user.

    Returns
    -------
    Figure
        One row of pictures a user; a line parts history and recommendations.

    Raises
    ------
    ValueError
        If the three have different lengths, or there is no user.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> sheet = recommendation_sheet(shop(n_items=40, n_users=30), [[1, 2]], [[3, 4, 5]], ["ann"])
    >>> len(sheet.axes)
    5
    >>> plt.close(sheet)
    """
    if not len(histories) == len(lists) == len(labels) > 0:
        raise ValueError(
            f"{len(histories)} histories, {len(lists)} lists and {len(labels)} labels: "
            "one of each a user, and at least one user"
        )
    before = max(len(history) for history in histories)
    after = max(len(recommended) for recommended in lists)
    figure = plt.figure(figsize=(1.15 * (before + after) + 0.6, 1.6 * len(labels) + 0.3))
    grid = figure.add_gridspec(
        len(labels),
        before + after + 1,
        width_ratios=[1] * before + [0.15] + [1] * after,
        hspace=0.35,
        wspace=0.08,
    )
    for line, (history, recommended, label) in enumerate(
        zip(histories, lists, labels, strict=True)
    ):
        places = range(before - len(history), before)
        shown = [*zip(places, history, strict=True), *enumerate(recommended, start=before + 1)]
        for column, row in shown:
            if row >= 0:
                axis = figure.add_subplot(grid[line, column])
                _draw_item(axis, data, int(row))
                if column == before - len(history):
                    axis.set_ylabel(label, fontsize=9)
    box = grid[0, before].get_position(figure)
    middle = (box.x0 + box.x1) / 2
    figure.add_artist(Line2D([middle, middle], [0.08, 0.9], color="0.4", linewidth=1.5))
    for columns, words in ((slice(0, before), "took"), (slice(before + 1, None), "recommended")):
        box = grid[0, columns].get_position(figure)
        figure.text((box.x0 + box.x1) / 2, 0.93, words, ha="center", fontsize=11, weight="bold")
    return figure


def _draw_item(axis: Axes, data: Dataset, row: int) -> None:
    """Draw one item's picture with its title below."""
    picture = data.path(row, "image")
    if picture is not None:
        with Image.open(picture) as opened:
            small = ImageOps.exif_transpose(opened).convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        axis.imshow(ImageOps.pad(small, (THUMBNAIL, THUMBNAIL), color="white"))
    else:
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect=1)
        axis.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=8)
    axis.set(xticks=[], yticks=[])
    axis.set_xlabel(str(data.items["title"].iloc[row]), fontsize=8)


def training_curve(history: Mapping[str, Sequence[float]], axes: Sequence[Axes]) -> None:
    """Draw loss and accuracy by epoch from a Keras history, training and (if there) validation."""
    for axis, name, label in zip(
        axes, ("loss", "accuracy"), ("cross-entropy (nats)", "accuracy (share)"), strict=True
    ):
        for key, series, marker in ((name, "training", "o"), (f"val_{name}", "validation", "s")):
            if key in history:
                epochs = np.arange(1, len(history[key]) + 1)
                axis.plot(epochs, history[key], marker=marker, label=series)
        axis.set(xlabel="epoch", ylabel=label)
        axis.legend()


def measures_with_intervals(table: pd.DataFrame, axis: Axes, label: str) -> None:
    """Draw one measure of several recommenders as points with their intervals.

    ``table`` has one row a recommender (its index the names) and columns mean, low, high.
    """
    places = np.arange(len(table))[::-1]
    spread = np.abs(table[["low", "high"]].to_numpy().T - table["mean"].to_numpy())
    axis.errorbar(table["mean"], places, xerr=spread, fmt="o", capsize=4)
    axis.set_yticks(places, labels=list(table.index))
    axis.set(xlabel=label, xlim=(0, None), ylim=(-0.5, len(table) - 0.5))


def per_user_differences(
    differences: np.ndarray, axis: Axes, label: str, interval: tuple[float, float] | None = None
) -> None:
    """Draw every user's paired difference in order, the mean, and how many are better or worse.

    Parameters
    ----------
    differences : ndarray
        float (n_users,), what A has more than B; NaN is left out.
    axis : Axes
        Where to draw.
    label : str
        What was measured, with A and B: "NDCG@10, fusion − text".
    interval : (low, high), optional
        Of the mean, drawn as a band.

    Raises
    ------
    ValueError
        If there is no difference to draw.

    Examples
    --------
    >>> figure, axis = plt.subplots()
    >>> per_user_differences(np.array([-0.1, 0.0, 0.3, 0.4]), axis, "NDCG@10, A − B", (0.0, 0.3))
    >>> [text.get_text() for text in axis.texts]
    ['worse 25 %', 'equal 25 %', 'better 50 %']
    >>> plt.close(figure)
    """
    differences = np.asarray(differences, dtype=np.float64)
    ordered = np.sort(differences[~np.isnan(differences)])
    if not len(ordered):
        raise ValueError("there is no user to draw: all differences are NaN, or there is none")
    shares = (np.arange(len(ordered)) + 0.5) / len(ordered)
    worse, better = sns.color_palette("colorblind")[3], sns.color_palette("colorblind")[0]
    zeros = np.zeros_like(ordered)
    axis.fill_between(shares, zeros, np.minimum(ordered, 0), step="mid", color=worse, alpha=0.8)
    axis.fill_between(shares, zeros, np.maximum(ordered, 0), step="mid", color=better, alpha=0.8)
    axis.axhline(0, color="0.3", linewidth=1)
    axis.axhline(ordered.mean(), color="black", linestyle="--", label=f"mean {ordered.mean():+.3f}")
    if interval is not None:
        axis.axhspan(*interval, color="0.5", alpha=0.4, linewidth=0, label="95 % interval")
    below, above = (ordered < 0).mean(), (ordered > 0).mean()
    for words, share, place, side in (
        ("worse", below, 0.01, "left"),
        ("equal", 1 - below - above, 0.5, "center"),
        ("better", above, 0.99, "right"),
    ):
        if share > 0:
            note = f"{words} {100 * share:.0f} %"
            axis.text(place, 0.02, note, transform=axis.transAxes, ha=side, fontsize=9)
    axis.set(xlabel="users, ordered by their difference (share)", ylabel=label, xlim=(0, 1))
    axis.legend(loc="upper left")


def relative_gains(table: pd.DataFrame, axis: Axes, label: str, goal: float | None = None) -> None:
    """Draw relative gains with their intervals, one line each: a forest plot.

    Parameters
    ----------
    table : DataFrame
        One row a comparison (its index what to write beside it), with the columns relative_gain,
        relative_low and relative_high as `mmtutorial.evaluation.compare_all` gives them; without
        an interval (NaN), only the point is drawn.
    axis : Axes
        Where to draw; a line marks 0.
    label : str
        What was measured, and against what.
    goal : float, optional
        A gain to compare with, such as 0.1, drawn as a dotted line.

    Examples
    --------
    >>> gains = pd.DataFrame({"relative_gain": [0.1], "relative_low": [0.05],
    ...                       "relative_high": [0.15]}, index=["fusion"])
    >>> figure, axis = plt.subplots()
    >>> relative_gains(gains, axis, "NDCG@10, gain over text (%)", goal=0.1)
    >>> plt.close(figure)
    """
    places = np.arange(len(table))[::-1]
    gain = 100 * table["relative_gain"].to_numpy()
    bounds = 100 * table[["relative_low", "relative_high"]].to_numpy()
    sure = ~np.isnan(bounds).any(axis=1)
    axis.hlines(places[sure], bounds[sure, 0], bounds[sure, 1], linewidth=2)
    axis.plot(gain, places, "o")
    axis.axvline(0, color="0.3", linewidth=1)
    if goal is not None:
        axis.axvline(100 * goal, color="0.3", linestyle=":", label=f"{goal:+.0%}")
        axis.legend()
    axis.set_yticks(places, labels=[str(name) for name in table.index])
    axis.set(xlabel=label, ylim=(-0.5, len(table) - 0.5))

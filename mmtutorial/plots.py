"""Figures and galleries that more than one chapter shows.

Colours come from seaborn's "colorblind" palette and every axis is labelled by its caller's words.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import soundfile
from IPython.display import HTML
from matplotlib.axes import Axes
from PIL import Image, ImageOps

from mmtutorial.datasets.dataset import Dataset

MODALITY_COLOURS = dict(
    zip(("text", "image", "audio"), sns.color_palette("colorblind"), strict=False)
)
THUMBNAIL = 160  # pixels, the longer side


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
        parts.append(
            f'<audio controls preload="none" style="width:100%" aria-label="Sound of {title}" '
            f'src="data:audio/wav;base64,{_recoded(sound)}"></audio>'
        )
    parts.append(
        f'<div style="font-size:.8em;max-height:6.5em;overflow:auto">{text or "(no text)"}</div>'
    )
    return f'<div style="width:{THUMBNAIL}px">{"".join(parts)}</div>'


def _encoded(picture: Image.Image) -> str:
    memory = io.BytesIO()
    picture.save(memory, format="JPEG", quality=85)
    return base64.b64encode(memory.getvalue()).decode()


def _recoded(path) -> str:  # type: ignore[no-untyped-def]
    samples, rate = soundfile.read(path, dtype="float32")
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format="WAV", subtype="PCM_16")
    return base64.b64encode(memory.getvalue()).decode()


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


def close() -> None:
    """Close all figures, so that a long notebook does not keep them in memory."""
    plt.close("all")


def flow_chart(rows: Sequence[Sequence[str]], axis: Axes) -> None:
    """Draw the article's flow chart (section 2.4) from top to bottom.

    Parameters
    ----------
    rows : sequence of sequence of str
        The boxes of each row; every box points to the one below it, a row of one box to all of
        the next row, and a row of several boxes to a row of one.
    axis : Axes
        Where to draw; its frame is taken away.
    """
    widest = max(len(row) for row in rows)
    colours = sns.color_palette("colorblind", desat=0.6)
    centres = [
        [(np.arange(len(row)) + 0.5)[place] * widest / len(row) for place in range(len(row))]
        for row in rows
    ]
    for level, row in enumerate(rows):
        for place, words in enumerate(row):
            axis.text(
                centres[level][place],
                -level,
                words,
                ha="center",
                va="center",
                fontsize=9,
                bbox={
                    "boxstyle": "round,pad=0.4",
                    "facecolor": (*colours[place if len(row) > 1 else 7], 0.25),
                    "edgecolor": "0.4",
                },
            )
        if level == 0:
            continue
        above = centres[level - 1]
        ends = zip(above, centres[level], strict=True) if len(above) == len(row) else (
            (start, end) for start in above for end in centres[level]
        )  # fmt: skip
        for start, end in ends:
            axis.annotate(
                "",
                xy=(end, -level + 0.3),
                xytext=(start, -level + 0.7),
                arrowprops={"arrowstyle": "->", "color": "0.4"},
            )
    axis.set(xlim=(0, widest), ylim=(0.5 - len(rows), 0.5))
    axis.axis("off")

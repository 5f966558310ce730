"""Explanations for people: in lines, and on a page with heat maps, coloured words and players."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from mmtutorial import plots
from mmtutorial.preprocessing.audio import SAMPLE_RATE, load_audio, trim
from mmtutorial.preprocessing.image import load_image, resize
from mmtutorial.preprocessing.parts import GRID, Parts
from mmtutorial.recommenders.explain import Reason, modality_shares, reasons, removed

if TYPE_CHECKING:
    from mmtutorial.datasets import Dataset
    from mmtutorial.preprocessing.features import Fitted
    from mmtutorial.recommenders.two_tower import TwoTower

SIDE = 192  # pixels of a picture on the page
BLUE, ORANGE = (1, 115, 178), (222, 143, 5)  # for what speaks against an item, and for it
STYLE = """body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:1rem auto;padding:0 1rem;
color:#111;background:#fff}article{border-top:1px solid #999;padding:.5rem 0}
img{width:192px;max-width:100%}mark{padding:0 .15em}"""


@dataclass(frozen=True, eq=False)
class Explanation:
    """All that is said of one recommended item.

    Parameters
    ----------
    reason : Reason
        Which items of the history and which modalities speak for it.
    shares : mapping
        Modality to its Shapley value; NaN where the item lacks it.
    parts : mapping
        Modality with raw media to its parts, and float32 (n_parts,): how much of the score is lost
        without each.
    """

    reason: Reason
    shares: Mapping[str, float]
    parts: Mapping[str, tuple[Parts, np.ndarray]]


def explain(
    tower: TwoTower, history: Sequence[int], items: Sequence[int], fitted: Fitted
) -> list[Explanation]:
    """Explain each item of a list.

    Parameters
    ----------
    tower : TwoTower
        Fitted on ``fitted.features``.
    history, items
        As for `mmtutorial.recommenders.explain.reasons`.
    fitted : Fitted
        From `mmtutorial.preprocessing.features.fitted_features`.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.preprocessing.features import fitted_features
    >>> from mmtutorial.recommenders import TwoTower
    >>> data = shop(n_items=40, n_users=30)
    >>> fitted = fitted_features(data, np.ones(40, bool))
    >>> train = Interactions.of(data.interactions, items=data.items["item"])
    >>> tower = TwoTower(steps=2).fit(train, fitted.features)
    >>> (found,) = explain(tower, [0, 1], [5], fitted)
    >>> list(found.parts)
    ['text', 'image', 'audio']
    """
    shares = modality_shares(tower, history, items, fitted.features)
    why = reasons(tower, history, items, fitted.features)
    return [
        Explanation(
            each,
            {name: float(values[place]) for name, values in shares.items()},
            {
                name: removed(tower, history, each.item, fitted, name)
                for name in shares
                if name in fitted.encode and np.isfinite(shares[name][place])
            },
        )
        for place, each in enumerate(why)
    ]


def in_lines(found: Explanation) -> list[str]:
    """Say in at most four lines what each modality and which word, region and moment brings.

    >>> parts = {"text": (Parts(("so", "soft"), lambda gone: gone), np.array([-0.1, 0.4]))}
    >>> in_lines(Explanation(Reason(0, (), True), {"text": 0.5, "image": np.nan}, parts))
    ['of the score: text +0.50, image: it has none', 'word: "soft" (+0.40)']
    """
    listed = [
        f"{name} {value:+.2f}" if np.isfinite(value) else f"{name}: it has none"
        for name, value in sorted(found.shares.items(), key=lambda each: -np.nan_to_num(each[1]))
    ]
    lines = [f"of the score: {', '.join(listed)}"] if listed else []
    for name, (parts, lost) in found.parts.items():
        if len(parts) and lost.max() > 0:
            best = int(lost.argmax())
            lines.append(f"{part_in_words(name, parts.names[best])} ({lost[best]:+.2f})")
    return lines


def part_in_words(modality: str, name: Any) -> str:
    """Say which part of a medium is meant.

    >>> part_in_words("image", (0, 3)), part_in_words("audio", (0.128, 0.256))
    ('region: row 1, column 4 of 4', 'moment: 0.13 to 0.26 s')
    """
    if modality == "image":
        return f"region: row {name[0] + 1}, column {name[1] + 1} of {GRID}"
    if modality == "audio":
        return f"moment: {name[0]:.2f} to {name[1]:.2f} s"
    return f'word: "{name}"'


def coloured(tokens: Sequence[str], parts: Parts, lost: np.ndarray) -> str:
    """Write a text whose words are the more orange the more the score loses without them.

    Blue ones speak against the item. The word that speaks most for it is bold too.

    >>> coloured(["soft"], Parts(("soft",), lambda gone: gone), np.array([0.2]))
    '<mark style="background:rgb(229,165,55);color:#000"><b>soft</b></mark>'
    """
    scale = max(float(np.abs(lost).max(initial=0)), 1e-9)
    shown = {}
    for place, name in enumerate(parts.names):
        strength = lost[place] / scale
        word = html.escape(str(name))
        word = f"<b>{word}</b>" if place == lost.argmax() and lost[place] > 0 else word
        shown[name] = f'<mark style="background:{_tint(0.8 * strength)};color:#000">{word}</mark>'
    return " ".join(shown[each] for each in tokens)


def _tint(strength: float) -> str:
    """Mix white with orange, or below 0 with blue: the same on light and dark pages.

    >>> _tint(0), _tint(-1)
    ('rgb(255,255,255)', 'rgb(1,115,178)')
    """
    colour, share = ORANGE if strength > 0 else BLUE, abs(strength)
    return f"rgb({','.join(f'{255 + share * (each - 255):.0f}' for each in colour)})"


def heated(picture: Image.Image, heat: np.ndarray) -> Figure:
    """Lay a heat map over a picture: what speaks for an item stays bright, the rest darkens.

    Parameters
    ----------
    picture : PIL.Image.Image
        A square.
    heat : ndarray
        float (h, w), larger for what speaks more for it; below 0 counts as 0.

    Examples
    --------
    >>> figure = heated(Image.new("RGB", (8, 8)), np.eye(4))
    >>> plt.close(figure)
    """
    figure, axis = plt.subplots(figsize=(2, 2), dpi=96)
    figure.subplots_adjust(0, 0, 1, 1)
    axis.imshow(picture, extent=(0, 1, 1, 0))
    positive = np.maximum(heat, 0)
    dark = 1 - positive / max(float(positive.max()), 1e-9)
    shade = np.zeros((*heat.shape, 4))
    shade[..., 3] = 0.7 * dark
    axis.imshow(shade, extent=(0, 1, 1, 0), interpolation="nearest")
    axis.set_axis_off()
    return figure


def marked(wave: np.ndarray, parts: Parts, lost: np.ndarray, label: str) -> str:
    """Write a player, and below it a bar whose moments are the more orange the more they bring.

    Parameters
    ----------
    wave : ndarray
        float (n_samples,) at `mmtutorial.preprocessing.audio.SAMPLE_RATE`, silence cut off.
    parts, lost
        As `mmtutorial.recommenders.explain.removed` returns them.
    label : str
        What is heard.

    Examples
    --------
    >>> parts = Parts(((0.0, 0.1),), lambda gone: gone)
    >>> "0.00 to 0.10 s" in marked(np.zeros(800), parts, np.array([1.0]), "A hum")
    True
    """
    length = max(len(wave) / SAMPLE_RATE, parts.names[-1][1])
    scale = max(float(np.abs(lost).max()), 1e-9)
    cells = []
    for (start, end), value in zip(parts.names, lost, strict=True):
        width, colour = 100 * (end - start) / length, _tint(value / scale)
        cells.append(f'<span style="width:{width:.1f}%;background:{colour}"></span>')
    best = parts.names[int(lost.argmax())]
    words = f"The score loses most without {best[0]:.2f} to {best[1]:.2f} s."
    return (
        f"{plots.players({label: wave}, SAMPLE_RATE).data}"
        f'<div role="img" aria-label="{words}" style="display:flex;height:1rem;max-width:20rem;'
        f'border:1px solid #666">{"".join(cells)}</div><div>{words}</div>'
    )


def page(
    data: Dataset, user: str, found: Sequence[Explanation], fitted: Fitted, note: str = ""
) -> str:
    """Write a page that opens without a network: pictures, players and heat maps are within it.

    Parameters
    ----------
    data : Dataset
        Where the items' media lie.
    user : str
        For whom the list is.
    found : sequence of Explanation
        Of its items, in their order.
    fitted : Fitted
        Whose media were read.
    note : str
        How far the reasons were tested.
    """
    titles = data.items["title"].tolist()
    parts = [
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Recommended to '
        f'{html.escape(user)}</title><meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}</style></head><body><main><h1>Recommended to {html.escape(user)}</h1>"
        "<p>Orange words and moments, and bright regions, speak for an item; blue ones against "
        f"it.</p><p>{html.escape(note)}</p>"
    ]
    for place, each in enumerate(found, start=1):
        row = each.reason.item
        parts.append(
            f"<article><h2>{place}. {html.escape(titles[row])}</h2>"
            f"<p>{html.escape(each.reason.sentence(titles))}</p>"
        )
        parts += [_medium(data, row, name, fitted, *some) for name, some in each.parts.items()]
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in in_lines(each))
        parts.append(f"<ul>{lines}</ul></article>" if lines else "</article>")
    return "".join(parts) + "</main></body></html>\n"


def _medium(
    data: Dataset, row: int, name: str, fitted: Fitted, parts: Parts, lost: np.ndarray
) -> str:
    """Show one medium with what its parts bring."""
    title, path = str(data.items["title"].iloc[row]), None
    if not len(parts):
        return ""
    if name in ("image", "audio"):
        path = data.path(row, name)
    if name == "image" and path is not None:
        alt = f"Picture of {title}; brightest: {part_in_words(name, parts.names[lost.argmax()])}."
        heat = lost.reshape(GRID, GRID)
        return str(plots.picture(heated(resize(load_image(path), SIDE), heat), alt).data)
    if name == "audio" and path is not None:
        return marked(trim(load_audio(path)), parts, lost, f"Sound of {title}")
    return f"<p>{coloured(fitted.media[name][row], parts, lost)}</p>"

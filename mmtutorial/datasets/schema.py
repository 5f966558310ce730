"""What a data set consists of: its files, its columns, its modalities."""

from __future__ import annotations

import unicodedata

MODALITIES = ("text", "image", "audio")
PARTS = {  # what a data set's folder holds, beside the folders of its media
    *("dataset.json", "items.csv", "interactions.csv"),
    *("images", "audio", "features", "truth"),
}
SPLIT = ("train", "validation", "test")  # the parts that a data set may come with


def normal_form(text: str) -> str:
    """Return text in Unicode's composed form NFC, in which ids and names are compared.

    macOS writes the names of files decomposed, an "e" and then an accent; most else composes them.

    >>> "cafe\\u0301" == "café", normal_form("cafe\\u0301") == normal_form("café")
    (False, True)
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)

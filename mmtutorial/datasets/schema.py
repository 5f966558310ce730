"""What a data set consists of: its files, its columns, its modalities."""

from __future__ import annotations

MODALITIES = ("text", "image", "audio")
PARTS = {  # what a data set's folder holds, beside the folders of its media
    *("dataset.json", "items.csv", "interactions.csv"),
    *("images", "audio", "features", "truth"),
}
SPLIT = ("train", "validation", "test")  # the parts that a data set may come with

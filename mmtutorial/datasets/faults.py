"""What is wrong with a data set: which file, which row, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a data set's folder, and what to do about it.

    ``row`` is the row as a spreadsheet shows it (the header is row 1), or None. A ``note`` is no
    fault: it says what was assumed or mended in reading, so that a wrong guess can be corrected.

    >>> print(Fault("items.csv", 7, "the id 'p5' occurs twice", "give every item its own id"))
    items.csv, row 7: the id 'p5' occurs twice; give every item its own id
    """

    file: str
    row: int | None
    message: str
    remedy: str
    note: bool = False

    def __str__(self) -> str:
        """Say it in one line."""
        place = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{'note: ' if self.note else ''}{place}: {self.message}; {self.remedy}"


class DatasetNote(UserWarning):
    """What `Dataset.open` assumed or mended in reading a folder; nothing is lost."""


class DatasetError(ValueError):
    """A data set that cannot be read, found or written; the message says why and what to do.

    ``faults`` holds all of them, where it is the files that are wrong.
    """

    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, place: str | Path, faults: Sequence[Fault]) -> Self:
        """Tell the first ten faults of a folder, notes aside."""
        faults = [fault for fault in faults if not fault.note]
        shown = "\n".join(f"  {fault}" for fault in faults[:10])
        more = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
        error = cls(f"{place} cannot be read as a data set:\n{shown}{more}")
        error.faults = tuple(faults)
        return error

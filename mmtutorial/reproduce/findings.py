"""What a rule of the ledger returns: parts, each with comparisons and findings on data sets."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN, CONTRADICTED, UNDECIDED, PRINTED = "shown", "contradicted", "undecided", "printed"
UNREACHABLE = "out of reach"  # of the oracle itself, so that it decides nothing


@dataclass(frozen=True)
class Finding:
    """Something measured that needs no test.

    Parameters
    ----------
    where : str
        Data set, with the case where the rule tells several apart.
    text : str
        What was measured, with its numbers.
    says : str
        "shown", "contradicted", "undecided"; or "printed" or "out of reach", which decide nothing.
    """

    where: str
    text: str
    says: str


@dataclass(frozen=True)
class Comparison:
    """Something measured that varies.

    Parameters
    ----------
    where, text : str
        As in `Finding`.
    p_shown, p_contradicted : float
        Of the hypothesis that the bound is met exactly: two-sided, and 1 on the side on which the
        estimate does not lie.
    """

    where: str
    text: str
    p_shown: float
    p_contradicted: float


@dataclass(frozen=True)
class Part:
    """What one verdict rests on.

    Parameters
    ----------
    name : str
        What the verdict is about: a level, a reading of a word, a step.
    level : str
        The experiment: tests of one row and level are corrected together.
    decides : bool
        Whether the row's own verdict rests on it; others are printed with verdicts of their own.
    pieces : tuple of Comparison or Finding
        What was measured.
    lacking : tuple of str
        Data sets on which it was not.
    remedy : str
        The command that measures it.
    any_of : bool
        Whether one piece of a data set suffices; else all must show it.
    """

    name: str
    level: str
    decides: bool
    pieces: tuple[Comparison | Finding, ...]
    lacking: tuple[str, ...] = ()
    remedy: str = ""
    any_of: bool = False

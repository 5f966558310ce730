"""A mean with its 95 % interval, and the words in which a page says what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Estimate(NamedTuple):
    """A mean and the ends of its 95 % interval; of paired differences, what `verdict` judges.

    Examples
    --------
    >>> Estimate(0.1, 0.05, 0.15).against("the bag of frames")
    'significantly better than the bag of frames (+0.100, 95 % interval +0.050 to +0.150)'
    """

    mean: float
    low: float
    high: float

    @classmethod
    def over_seeds(cls, values: Sequence[float] | np.ndarray) -> Estimate:
        """Take Student's interval of the mean of a few values (n,); NaN ends for a single one.

        >>> [round(each, 2) for each in Estimate.over_seeds([1.0, 2.0, 3.0])]
        [2.0, -0.48, 4.48]
        """
        found = np.asarray(values, dtype=float)
        if len(found) < 2:
            return cls(float(found.mean()), np.nan, np.nan)
        half = stats.t.ppf(0.975, len(found) - 1) * stats.sem(found)
        return cls(float(found.mean()), float(found.mean() - half), float(found.mean() + half))

    @classmethod
    def over_items(cls, values: Sequence[float] | np.ndarray, seed: int = 0) -> Estimate:
        """Take the percentiles of 2,000 bootstrap means of many values (n,).

        >>> found = Estimate.over_items(np.arange(100.0))
        >>> found.low < found.mean == 49.5 < found.high
        True
        """
        found = np.asarray(values, dtype=float)
        if (found == found[0]).all():  # nothing to resample
            return cls(*[float(found[0])] * 3)
        ends = stats.bootstrap(
            (found,), np.mean, n_resamples=2000, method="percentile", rng=seed
        ).confidence_interval
        return cls(float(found.mean()), float(ends.low), float(ends.high))

    @property
    def verdict(self) -> str:
        """Say on which side of zero the interval of a difference lies."""
        if self.low > 0:
            return "significantly better than"
        return "significantly worse than" if self.high < 0 else "not significantly different from"

    def against(self, other: str, digits: int = 3) -> str:
        """Say of a difference whom it favours, by how much, with its interval."""
        mean, low, high = (f"{each:+.{digits}f}" for each in self)
        return f"{self.verdict} {other} ({mean}, 95 % interval {low} to {high})"

"""What a page shows of the committed results, with its origin under every table.

A page of the book has two kinds of numbers. *Live* numbers are computed by the page itself, in
seconds. *Evidence* was measured before, by ``mmtutorial reproduce --profile full``, and is read
from ``results/full``: `evidence` reads means and gains, `quoted_evidence` what a chapter has
measured in its own full run. Both say under their table on which data set, in which profile, with
which seeds and at which commit it was measured.
"""

from __future__ import annotations

import functools
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.formatters import format_display_data
from IPython.display import HTML, display
from scipy import stats

from mmtutorial import plots
from mmtutorial.datasets import MAKERS
from mmtutorial.reproduce import ledger
from mmtutorial.reproduce.results import Results, find

MEASURES = {**ledger.MEASURES, "recall": "recall@10", "capped_recall": "capped recall@10",
            "gini": "Gini"}  # fmt: skip
GLUED = "application/papermill.record/"  # what myst-nb puts before the kind of a glued value
NO_BREAK = "\N{NO-BREAK SPACE}"
STYLE = "border-left:.3em solid #de8f05;padding:.2em 0 .2em .8em"


@dataclass(frozen=True, eq=False)
class Evidence:
    """A tidy table of what was measured, and its origin; false where nothing was.

    Parameters
    ----------
    table : DataFrame
        One row a number, see `evidence` and `quoted_evidence`; empty where nothing was measured.
    origin : str
        Data set, profile, seeds, commit and kind of interval in one line; or a sentence that says
        that nothing was measured.
    """

    table: pd.DataFrame
    origin: str

    def __bool__(self) -> bool:
        """Say whether anything was measured."""
        return len(self.table) > 0

    def row(self, recommender: str, metric: str = "ndcg") -> pd.Series:
        """Return the only row of a recommender and a measure.

        Raises
        ------
        KeyError
            If there is none, or more than one.
        """
        rows = self.table[self.table["recommender"].eq(recommender)]
        rows = rows[rows["metric"].eq(metric)]
        if len(rows) != 1:
            raise KeyError(f"{len(rows)} rows have {metric} of {recommender}: {self.origin}")
        return rows.iloc[0]

    def wide(self) -> pd.DataFrame:
        """Return the table as a page shows it: a row a recommender, a column a measure.

        Rows are sorted by the first measure, the largest first. A cell is a mean or a relative gain
        with its interval.
        """
        first = self.table["metric"].iloc[0]
        order = self.table[self.table["metric"].eq(first)].sort_values(
            "relative_gain" if "relative_gain" in self.table else "mean", ascending=False
        )["recommender"]
        columns = {
            MEASURES[str(name)].replace("@10", f"@{rows['k'].iloc[0]}"): pd.Series(
                [in_words(each).replace(" ", NO_BREAK) for each in rows.to_dict("records")],
                index=rows["recommender"],
            )
            for name, rows in self.table.groupby("metric", sort=False)
        }
        return pd.DataFrame(columns).reindex(order).rename_axis(index=None)

    def shown(self, content: pd.DataFrame | HTML | None = None) -> HTML:
        """Put the origin under a table or a picture; without one, under `wide`.

        Parameters
        ----------
        content : DataFrame or HTML, optional
            What else to show of this evidence: a table, or what `plots.picture` returns.
        """
        if not self:
            return HTML(f"<p><em>{html.escape(self.origin)}</em></p>")
        if content is None:
            content = self.wide() if "metric" in self.table else self.table
        if isinstance(content, pd.DataFrame):
            named = not isinstance(content.index, pd.RangeIndex)
            content = plots.table(content, index=named)
        return HTML(
            f'<div class="evidence" style="{STYLE}">{content.data}'
            f"<p><small><b>Evidence</b> · {html.escape(self.origin)}</small></p></div>"
        )

    def _repr_html_(self) -> str:
        return str(self.shown().data)


def evidence(
    dataset: str,
    experiments: str | Sequence[str],
    metrics: Sequence[str] = ("ndcg",),
    *,
    against: str | None = None,
    split: str = "default",
    k: int = 10,
    recommenders: Sequence[str] | None = None,
    results: Results | None = None,
) -> Evidence:
    """Read means, or relative gains over one recommender, from the committed results.

    Parameters
    ----------
    dataset : str
        A name, or a folder: of a folder there is evidence where its path was measured.
    experiments : str or sequence of str
        Which grids, such as "fusions"; see `mmtutorial.reproduce.grids.GRIDS`.
    metrics : sequence of str
        Measures, as `mmtutorial.metrics` calls them.
    against : str, optional
        With it, the gains over this recommender on the same users and seeds.
    split, k : str, int
        Which part of the test, and how long lists were; only of means.
    recommenders : sequence of str, optional
        Which; all without.
    results : Results, optional
        Read these; without it, `mmtutorial.reproduce.results.find` is asked where they lie.

    Returns
    -------
    Evidence
        Columns: recommender, metric, k, mean (over seeds) and n_seeds. Without ``against``, low and
        high: Student's interval over seeds, NaN for one seed. With it, reference_mean,
        relative_gain, relative_low, relative_high and p_holm; and where the data were damaged:
        damage, damaged, level. Empty where the results hold nothing of the kind.

    Raises
    ------
    ValueError
        For an unknown measure.

    Examples
    --------
    >>> found = evidence("shop", "fusions", recommenders=["concatenation", "image"])
    >>> found.table[["recommender", "n_seeds"]].values.tolist()
    [['concatenation', 5], ['image', 5]]
    >>> bool(evidence("a folder of mine", "fusions"))
    False
    """
    unknown = set(metrics) - set(MEASURES)
    if unknown:
        raise ValueError(f"there is no measure {min(unknown)!r}; there are {', '.join(MEASURES)}")
    some = [experiments] if isinstance(experiments, str) else list(experiments)
    results = results if results is not None else committed()
    name = _name_there(dataset, results)
    if results is None or name is None:
        return _nothing(dataset)
    about = results.measures
    rows = about if against is None else results.comparisons
    rows = rows[
        rows["dataset"].eq(name) & rows["experiment"].isin(some) & rows["metric"].isin(metrics)
    ]
    if recommenders is not None:
        rows = rows[rows["recommender"].isin(recommenders)]
    if against is None:
        table = _means(rows[rows["split"].eq(split) & rows["k"].eq(k)])
        over = "seeds"
    else:
        rows = rows[rows["reference"].eq(against)]
        table = _gains(rows)
        whole = rows["metric"].eq("item_coverage")  # no mean over users
        over = " or ".join(dict.fromkeys(rows.loc[~whole, "over"]))
        over += " (item coverage: seeds)" if over and whole.any() else ""
    if table.empty:
        return _nothing(dataset)
    order = pd.Categorical(table["metric"], categories=list(metrics))
    table = table.iloc[np.argsort(order.codes, kind="stable")].reset_index(drop=True)
    seeds = about[about["dataset"].eq(name) & about["experiment"].isin(some)]["seed"]
    what = f"{len(set(seeds))} seeds ({seeds.min()} to {seeds.max()})"
    return Evidence(table, f"{_origin(results, name, some, what)}; 95 % intervals over {over}")


def quoted_evidence(
    dataset: str, chapter: str, names: Mapping[str, str], results: Results | None = None
) -> Evidence:
    """Read what a chapter measured in its own full run.

    Parameters
    ----------
    dataset, results
        As for `evidence`.
    chapter : str
        Such as "05_article_network".
    names : mapping of str to str
        What the chapter calls a number, to what the table calls it.

    Returns
    -------
    Evidence
        Columns: measure, value (text). Empty where one of the names was not measured.

    Examples
    --------
    >>> found = quoted_evidence("shop", "05_article_network", {"network-n-items": "items"})
    >>> found.table.values.tolist()
    [['items', '640']]
    """
    results = results if results is not None else committed()
    name = _name_there(dataset, results)
    if results is None or name is None or results.quoted.empty:
        return _nothing(dataset)
    rows = results.quoted
    rows = rows[rows["dataset"].eq(name) & rows["notebook"].eq(chapter)].set_index("name")
    stand_in = rows["value"].filter(regex="-stand-in$").fillna("").astype(str)
    if not set(names) <= set(rows.index) or stand_in.str.strip().ne("").any():
        return _nothing(dataset)
    values = rows.loc[list(names), "value"].astype(str).tolist()
    what = f"seed {rows['seed'].iloc[0]}"
    return Evidence(
        pd.DataFrame({"measure": list(names.values()), "value": values}),
        _origin(results, name, [chapter], what),
    )


def committed() -> Results | None:
    """Return the results that `find` finds; None where there are none."""
    try:
        return _opened(find())
    except ValueError:
        return None


def in_words(row: Mapping[Any, Any] | pd.Series) -> str:
    """Write a row of `evidence`, or of `compare_all`, with its interval where it has one.

    >>> in_words({"relative_gain": 0.1, "relative_low": 0.05, "relative_high": 0.15})
    '+10.0% [+5.0%, +15.0%]'
    >>> in_words({"mean": 0.1234, "low": 0.12, "high": 0.1268})
    '0.123 ± 0.003'
    """
    if "relative_gain" in row:
        gain, low, high = (row[f"relative_{name}"] for name in ("gain", "low", "high"))
        return f"{gain:+.1%}" + (f" [{low:+.1%}, {high:+.1%}]" if np.isfinite(low) else "")
    half = row["high"] - row["mean"]  # Student's interval lies evenly around the mean
    return f"{row['mean']:.3f}" + (f" ± {half:.3f}" if np.isfinite(half) else "")


def quote(name: str, value: object) -> None:
    """Hand a number of this page to its text, which takes it by ``{glue:text}`` and this name.

    As `myst_nb.glue` does, whose import would bring Sphinx into the kernel: seconds a page.
    """
    number = value.item() if isinstance(value, np.generic) else value
    shown, about = format_display_data(number)
    about["scrapbook"] = {"name": name, "mime_prefix": GLUED}
    display({GLUED + kind: text for kind, text in shown.items()}, raw=True, metadata=about)


def _nothing(dataset: str) -> Evidence:
    how = (
        f" The command “mmtutorial reproduce --profile full --dataset {dataset}” measures what "
        "this data set allows."
        if dataset in MAKERS
        else ""
    )
    return Evidence(
        pd.DataFrame(), f"Not yet measured on {Path(str(dataset)).name} in profile full.{how}"
    )


@functools.lru_cache(maxsize=2)
def _opened(folder: Path) -> Results:
    return Results.open(folder)


def _name_there(dataset: str, results: Results | None) -> str | None:
    """Say by what name the results hold a data set; a folder is found by its path alone."""
    if results is None or results.measures.empty:
        return None
    known = {str(each) for each in results.measures["dataset"]}
    if dataset in MAKERS:
        return dataset if dataset in known else None
    path = Path(str(dataset)).expanduser().absolute()
    return next((each for each in known - set(MAKERS) if Path(each).absolute() == path), None)


def _origin(results: Results, name: str, parts: Sequence[str], what: str) -> str:
    """Data set, profile, seeds and commits in one line."""
    commits = dict.fromkeys(
        run["commit"]
        for run in results.environment.get("runs", [])
        if set(parts) & set(run["measured"].get(name, ()))
    )
    at = f"commit {', '.join(commits)}" if commits else "commit not known"
    profile = results.environment.get("profile", "not known")
    return f"data set {Path(name).name}, profile {profile}, {what}, {at}"


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with Student's interval, one row a recommender, measure and k."""
    grouped = rows.groupby(["recommender", "metric", "k"], sort=False)["value"]
    table = grouped.agg(mean="mean", n_seeds="count", error="sem").reset_index()
    half = stats.t.ppf(0.975, table["n_seeds"].clip(lower=2) - 1) * table.pop("error")
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)


def _gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Relative gains as the comparisons hold them, with what was damaged as columns."""
    columns = [
        "recommender", "metric", "k", "mean", "reference_mean", "relative_gain", "relative_low",
        "relative_high", "p", "p_holm", "n_seeds",
    ]  # fmt: skip
    conditions = [json.loads(each) if each else {} for each in rows["condition"]]
    about = pd.DataFrame(conditions, index=rows.index)
    return rows[columns].join(about).reset_index(drop=True)

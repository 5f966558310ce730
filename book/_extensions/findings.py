"""A Sphinx extension: what was found, in three numbers, for the first page.

`{{ findings }}` stands for them. The README has the same lines, and a test holds it to them;
`python book/_extensions/findings.py` prints them. Nobody types a number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from mmtutorial.reproduce.ledger import (
    CONDITIONS,
    FAILS,
    HOLDS,
    OPEN,
    UNTESTABLE,
    best,
    judge_all,
)
from mmtutorial.reproduce.results import Results

RESULTS = Path(__file__).resolve().parents[2] / "results" / "full"
PEOPLE = {"lastfm": "the real listeners of `lastfm`", "films": "the real raters of `films`"}
READS = {
    "lastfm": "features that came with the data (none is by the article's networks)",
    "films": "simple features (no language model, no CNN, no RNN)",
}


def findings(results: Results) -> list[tuple[str, str, str]]:
    """Return of each finding a number, what it is, and the kind of its evidence."""
    words = [verdict.word for verdict in judge_all(results)]
    found = [
        (
            f"{words.count(HOLDS)} of {len(words)}",
            "statements of the article hold as they stand; "
            f"{words.count(CONDITIONS)} hold under conditions, {words.count(FAILS)} do not hold, "
            f"{words.count(OPEN)} are open (undecided, or not measured yet), and "
            f"{words.count(UNTESTABLE)} cannot be tested as stated",
            "verdicts",
        )
    ]
    for dataset, who in PEOPLE.items():
        gain = fusion_gain(results, dataset)
        if gain is None:
            continue
        mean, low, high = (percent(each) for each in gain)
        clear = "significant" if gain[1] > 0 or gain[2] < 0 else "not significant"
        what = (
            "is the change in the quality of recommendations (NDCG@10) for "
            f"{who}, from the best single modality to all of them together, "
            f"with {READS[dataset]}: {clear}, "
            f"95 % interval {low} to {high}"
        )
        found.append((mean, what, "gains"))
    return found


def fusion_gain(results: Results, dataset: str) -> tuple[float, float, float] | None:
    """Return the article's fusion over the best single modality: relative gain, low, high."""
    table = results.comparisons
    rows = table[
        table["dataset"].eq(dataset) & table["experiment"].eq("fusions")
        & table["recommender"].eq("concatenation") & table["metric"].eq("ndcg")
        & table["reference"].eq(best(results, dataset, "single") or "")
    ]  # fmt: skip
    if len(rows) != 1:
        return None
    gain, low, high = rows[["relative_gain", "relative_low", "relative_high"]].to_numpy()[0]
    return float(gain), float(low), float(high)


def percent(share: float) -> str:
    """Write a share with its sign.

    >>> percent(0.173), percent(-0.006)
    ('+17.3 %', '−0.6 %')
    """
    return f"{100 * share:+.1f} %".replace("-", "−")


def as_markdown(results: Results, **evidence: str) -> str:
    """Write a list, each number with a link to its evidence; ``evidence`` has a target a kind."""
    return "\n".join(
        f"- **{number}** {what} ([evidence]({evidence[kind]}))."
        for number, what, kind in findings(results)
    )


def for_readme() -> str:
    """Write the list with links that work in a clone."""
    return as_markdown(
        Results.open(RESULTS), verdicts="book/claims.md", gains="results/full/comparisons.csv"
    )


def substitute(app: Sphinx, config: Config) -> None:
    """Hand the list to the first page."""
    text = as_markdown(Results.open(RESULTS), verdicts="claims.md", gains="#claim-c1")
    listed = f":::{{div}} findings\n{text}\n:::"
    config["myst_substitutions"] = {**config["myst_substitutions"], "findings": listed}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension, before MyST looks at its options."""
    app.connect("config-inited", substitute, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    print(for_readme())

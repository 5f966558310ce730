"""The first page and the README quote results/full, and nothing else."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmtutorial.reproduce.ledger import Verdict, best, judge_all
from mmtutorial.reproduce.results import Results

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("findings", ROOT / "book/_extensions/findings.py")
assert spec is not None and spec.loader is not None
findings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(findings)


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge what is committed once for all tests; it takes seconds."""
    monkeypatch.setattr(findings, "judge_all", lambda results: verdicts())


@cache
def verdicts() -> list[Verdict]:
    return judge_all(Results.open(findings.RESULTS))


@pytest.mark.usefixtures("committed")
def test_the_readme_quotes_the_results() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for line in findings.for_readme().splitlines():
        assert line in readme, (
            "run `python book/_extensions/findings.py`, and put that into README.md"
        )


@pytest.mark.usefixtures("committed")
def test_the_first_page_quotes_the_results() -> None:
    config = {"myst_substitutions": {"badges": "none"}}
    findings.substitute(SimpleNamespace(), config)
    shown = config["myst_substitutions"]["findings"]
    assert config["myst_substitutions"]["badges"] == "none"
    assert "{{ findings }}" in (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    assert shown.count("- **") == 3 and "](#claim-c1)" in shown and "](claims.md)" in shown


@pytest.mark.slow
def test_numbers_and_words_follow_the_table() -> None:
    results = Results.open(ROOT / "results" / "full")
    table = results.comparisons.copy()
    rows = (
        table["dataset"].eq("films") & table["experiment"].eq("fusions")
        & table["recommender"].eq("concatenation") & table["metric"].eq("ndcg")
        & table["reference"].eq(best(results, "films", "single"))
    )  # fmt: skip
    assert rows.sum() == 1
    for gain, words in (
        ([-0.08, -0.1, -0.05], ": significant"),
        ([0.01, -0.02, 0.04], ": not significant"),
    ):
        table.loc[rows, ["relative_gain", "relative_low", "relative_high"]] = gain
        number, what, _ = findings.findings(replace(results, comparisons=table))[-1]
        assert number == findings.percent(gain[0]) and words in what
        assert f"{findings.percent(gain[1])} to {findings.percent(gain[2])}" in what
    assert len(findings.findings(replace(results, comparisons=table[~rows]))) == 2

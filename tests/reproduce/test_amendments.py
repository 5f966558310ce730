"""The amendment log: every change has its reason, and the old rules are computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmtutorial.reproduce.amendments import Amendment, as_markdown, old_verdict, read_amendments
from mmtutorial.reproduce.ledger import HOLDS, OPEN, in_short, judge, judge_all
from mmtutorial.reproduce.levels import LEVELS, SIMPLE
from mmtutorial.reproduce.results import Results
from tests.reproduce.worlds import IDS, ROWS, world

LOG = read_amendments()
FULL = Path(__file__).parents[2] / "results" / "full"


def newest(row: str) -> Amendment:
    return [each for each in LOG if each.rows == (row,)][-1]


def test_every_change_names_rows_and_a_reason_in_the_order_of_time() -> None:
    assert [each.date for each in LOG] == sorted(each.date for each in LOG)
    for each in LOG:
        assert set(each.rows) <= set(IDS) and each.reason and each.before and each.after
    changed = {name for each in LOG for name in each.rows if each.date >= "2026-11-28"}
    tested = {row.id for row in ROWS.values() if not row.kinds & {"untestable"}}
    assert tested - changed == {"T1"}  # whose rule is the first one


@pytest.mark.parametrize("row", ["C1", "D2", "A5", "S1"])
def test_an_old_rule_says_what_it_said_of_a_world_where_the_row_is_true(row: str) -> None:
    word, _ = old_verdict(newest(row), world(row, "true"))
    assert word == newest(row).old.get("at_best", HOLDS)
    assert old_verdict(newest(row), world(row, "empty"))[0] == OPEN


def test_the_old_bar_on_cost_is_out_of_reach_where_the_new_one_is_met() -> None:
    results = world("D1", "true")
    assert judge(ROWS["D1"], results).word == HOLDS
    results.costs["experiment"] = "costs"
    assert old_verdict(newest("D1"), results)[0] == "does not hold"


def test_the_old_rule_on_the_committed_results_is_printed_with_every_change() -> None:
    page = as_markdown(Results.open(FULL))
    assert page.count("The old rule today\n") == len(LOG)
    assert "shown on" in page and page.index("2026-11-28") < page.index("2026-11-25")


def test_a_change_without_an_old_rule_must_say_so(tmp_path: Path) -> None:
    path = tmp_path / "amendments.toml"
    path.write_text(
        '[[amendment]]\nrows=["C1"]\ndate=2026-01-01\ncommit=""\nseen=true\nbefore="b"\nafter="a"\n'
        'reason="r"\n',
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="2026-01-01, C1: no old rule"):
        read_amendments(path)


def test_what_came_out_is_said_by_level_and_data_set() -> None:
    results = world("C1", "true")
    text = in_short(judge_all(results))
    for level in LEVELS.values():
        assert f"[C1](#claim-c1), {level.title} |" in text and level.reads in text
    assert "simulated" in text and "Not measured yet" not in text
    assert "shown, +30.0 %" in text
    only = results.comparisons[results.comparisons["experiment"].eq(SIMPLE)]
    text = in_short(judge_all(replace(results, comparisons=only)))
    assert "**Not measured yet**: the listing itself; the article's encoders in two towers" in text
    assert "nothing follows yet for the article's own system" in text
    assert f"{LEVELS[SIMPLE].title} |" in text and "the listing itself |" not in text

"""A Sphinx extension: write the ledger, and the log of its amendments, into their pages.

The rows stand in ``mmtutorial/reproduce/ledger.toml``, the changes of their rules in
``amendments.toml``, the results under ``results/full``. ``% in short`` on the page of claims stands
for what came out; the rows follow the page's own text. Nobody types a verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from mmtutorial.reproduce import amendments
from mmtutorial.reproduce.ledger import as_markdown, in_short, judge_all
from mmtutorial.reproduce.results import Results

PAGES = ("claims", "amendments")
RESULTS = Path(__file__).resolve().parents[2] / "results" / "full"


def write_rows(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the rows behind the page's own text."""
    if page not in PAGES:
        return
    results = Results.open(RESULTS) if RESULTS.exists() else None
    if page == "claims":
        verdicts = judge_all(results)
        source[0] = source[0].replace("% in short", in_short(verdicts))
        source[0] += "\n" + as_markdown(verdicts)
    else:
        source[0] += "\n" + amendments.as_markdown(results)


def renew(app: Sphinx, env: Any, added: Any, changed: Any, removed: Any) -> list[str]:
    """Read the pages anew each time: results may have changed where their own files have not."""
    return list(PAGES)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", write_rows)
    app.connect("env-get-outdated", renew)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension: write the ledger, with its verdicts, into the page of claims.

The rows stand in ``mmtutorial/reproduce/ledger.toml``, the results under ``results/full``; the page
itself holds what comes before them. Nobody types a verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from mmtutorial.reproduce.ledger import as_markdown, judge_all
from mmtutorial.reproduce.results import Results

RESULTS = Path(__file__).resolve().parents[2] / "results" / "full"


def write_rows(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the rows behind the page's own text."""
    if page == "claims":
        results = Results.open(RESULTS) if RESULTS.exists() else None
        source[0] += "\n" + as_markdown(judge_all(results))


def renew(app: Sphinx, env: Any, added: Any, changed: Any, removed: Any) -> list[str]:
    """Read the page anew each time: results may have changed where its own file has not."""
    return ["claims"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", write_rows)
    app.connect("env-get-outdated", renew)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

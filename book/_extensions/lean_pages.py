"""A Sphinx extension: pages without the scripts that none of them uses.

Jupyter Book always loads sphinx-thebe, for cells that run in the browser. This book has none, and
its settings, which Sphinx writes twice, stop every page with an error in the browser's console.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def without_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Drop thebe's files and settings from what a page loads."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension, to come after those that add scripts."""
    app.connect("html-page-context", without_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

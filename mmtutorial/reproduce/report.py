"""The report as one page of HTML that needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import files
from pathlib import Path
from typing import Any

from mmtutorial.reproduce.cache import write
from mmtutorial.reproduce.notebooks import quoted

PAGE = """{% extends 'index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_js_mathjax %}<script>
window.MathJax = {
  tex: {inlineMath: [["$", "$"]], processEscapes: true},
  options: {enableMenu: false, enableEnrichment: false},  // both load more
};
{{ resources.mathjax }}
</script>{% endblock %}"""  # JupyterLab's own, without what it takes from elsewhere


def write_page(executed: Path, place: Path) -> None:
    """Write an executed notebook as one page of HTML that needs nothing from elsewhere."""
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    notebook = nbformat.read(executed, as_version=4)
    values = quoted(executed)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, values)
        else:  # what is quoted stands in the text
            cell.outputs = [o for o in cell.outputs if "scrapbook" not in o.get("metadata", {})]
    exporter = HTMLExporter(
        exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
        template_file="page.html.j2",
        extra_loaders=[DictLoader({"page.html.j2": PAGE})],
    )  # fmt: skip
    (mathjax,) = (
        file for file in files("sphinx-mathjax-offline") or () if file.name == "tex-svg.js"
    )
    text, _ = exporter.from_notebook_node(notebook, {"mathjax": mathjax.read_text("utf-8")})
    write(place, text)


def plain_markdown(source: str, values: Mapping[str, Any]) -> str:
    """Write the book's directives as plain Markdown, with what the text quotes.

    >>> plain_markdown("{term}`Seeds <seed>`: {glue:text}`n`, see {eq}`eq-gain`", {"n": 5})
    'Seeds: 5, see (eq-gain)'
    """
    source = re.sub(r"```{math}\n:label: (\S+)\n(.*?)```", r"$$\2$$ (\1)", source, flags=re.S)
    source = re.sub(r"```{dropdown} (.*?)\n(.*?)```", r"*\1.* \2", source, flags=re.S)
    source = re.sub(
        r"{glue:text}`([^`]*)`", lambda found: str(values.get(found[1], found[1])), source
    )
    source = re.sub(r"{eq}`([^`]*)`", r"(\1)", source)
    source = re.sub(r"{(?:term|doc)}`([^`<]*?)(?: <[^`]*>)?`", r"\1", source)
    return re.sub(r"{cite}`([^`]*)`", r"[\1]", source)

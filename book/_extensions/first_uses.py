"""A Sphinx extension: where a page first uses a term of the glossary, the term links to it.

Terms that a page links itself, with `{term}`, stay as they are. Headings, code, equations, what a
cell prints and the text of other links hold no such links. Words that have a second, plain meaning
are left to the author.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

PAGES = "notebooks/"  # the chapters
PLAIN = {"gate", "head", "key", "ledger", "mask", "power", "query", "skill", "value"}
NO_LINKS = (
    addnodes.pending_xref,
    nodes.FixedTextElement,
    nodes.literal,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.reference,
    nodes.rubric,
    nodes.title,
)


def pattern(terms: list[str]) -> re.Pattern[str]:
    """Return what finds any of the terms, longer ones first, one or several of it.

    >>> pattern(["language model", "model"]).findall("Two language models, one model")
    ['language models', 'model']
    """
    each = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{each})(?:s|es)?(?![\w-])", re.IGNORECASE)


def known(word: str, terms: dict[str, str]) -> str | None:
    """Return the term that a word is, or `None`: names in capitals are no ordinary words.

    >>> known("Embeddings", {"embedding": "embedding"}), known("adam", {"adam": "Adam"})
    ('embedding', None)
    """
    for form in (word, re.sub("s$", "", word), re.sub("es$", "", word)):
        term = terms.get(form.lower())
        if term and (term == term.lower() or term == form):
            return term
    return None


class FirstUses(SphinxPostTransform):
    """Link the first use of each term, before Sphinx looks for what links lead to."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        """Change the page's tree in place."""
        if not self.env.docname.startswith(PAGES):
            return
        objects = self.env.get_domain("std").data["objects"]
        terms = {name.lower(): name for kind, name in objects if kind == "term"}
        terms = {name: term for name, term in terms.items() if name not in PLAIN}
        if not terms:
            return
        find, linked = pattern(list(terms)), set[str]()
        for node in list(self.document.findall()):
            if isinstance(node, addnodes.pending_xref) and node.get("reftype") == "term":
                linked.add(node["reftarget"].lower())
            if isinstance(node, nodes.Text) and not _closed(node):
                parts = list(self._parts(str(node), find, terms, linked))
                if len(parts) > 1:
                    node.parent.replace(node, parts)

    def _parts(
        self, text: str, find: re.Pattern[str], terms: dict[str, str], linked: set[str]
    ) -> Iterator[nodes.Node]:
        end = 0
        for found in find.finditer(text):
            term = known(found[0], terms)
            if term is None or term.lower() in linked:
                continue
            linked.add(term.lower())
            yield nodes.Text(text[end : found.start()])
            yield addnodes.pending_xref(
                "",
                nodes.inline(found[0], found[0], classes=["xref", "std", "std-term"]),
                refdomain="std",
                reftype="term",
                reftarget=term,
                refdoc=self.env.docname,
                refexplicit=True,
                refwarn=True,
            )
            end = found.end()
        yield nodes.Text(text[end:])


def _closed(node: nodes.Node) -> bool:
    """Whether a text stands where no link of ours may."""
    while (node := node.parent) is not None:
        if isinstance(node, NO_LINKS) or "cell_output" in node.get("classes", ()):
            return True
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_post_transform(FirstUses)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

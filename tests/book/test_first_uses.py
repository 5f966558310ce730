"""A term's first use on a page links to the glossary, wherever a reader may meet it in prose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
GLOSSARY = """
Glossary
========
.. glossary::

   batch
      Some of the examples.

   Adam
      An optimiser.

   language model
      A model of words.

   mask
      Zeros and ones.
"""
CHAPTER = """
A language model
================
``language model``, `a batch <https://a.b>`_, and Adam's masks: two language models learn
from batches. A batch again, a language model again.

A minibatch, a batch-wise adam and Adam. The :term:`mask`.
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A chapter as built, without what surrounds its text."""
    source = tmp_path_factory.mktemp("book")
    (source / "notebooks").mkdir()
    (source / "notebooks" / "chapter.rst").write_text(CHAPTER)
    (source / "other.rst").write_text(f":orphan:\n{CHAPTER}")
    (source / "index.rst").write_text(f"{GLOSSARY}\n.. toctree::\n\n   notebooks/chapter\n")
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_extensions')!r})\n"
        "extensions = ['first_uses']\nhtml_theme = 'basic'\nnitpicky = True\n"
    )
    out = source / "out"
    app = Sphinx(source, source, out, source / "tree", "html", status=None, warningiserror=True)
    app.build()
    assert app.statuscode == 0
    other = (out / "other.html").read_text()
    assert len(re.findall(r'href="index.html#term', other)) == 1  # its own; it is no chapter
    text = (out / "notebooks" / "chapter.html").read_text()
    return text[text.index('<div class="body"') : text.index("sphinxsidebar")]


def links(page: str) -> list[tuple[str, str]]:
    found = re.findall(r'href="\.\./index\.html#term-([^"]+)">(.*?)</a>', page)
    return [(term, re.sub("<.*?>", "", shown)) for term, shown in found]


def test_each_first_use_links_and_no_later_one(page: str) -> None:
    assert links(page) == [
        ("Adam", "Adam"),
        ("language-model", "language models"),
        ("batch", "batches"),
        ("mask", "mask"),  # a word with a plain meaning: only where the author says so
    ]


def test_headings_code_and_other_links_stay(page: str) -> None:
    assert "<h1>A language model" in page
    assert '<span class="pre">language</span> <span class="pre">model</span>' in page
    assert 'href="https://a.b">a batch</a>' in page

"""A Sphinx extension: the reference of the library, from its docstrings.

On a page in ``reference/``, a line ``% modules: mmtutorial.datasets`` is replaced by the
documentation of every module of that package, or of that one module. New modules are found.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PACKAGE = Path(__file__).resolve().parents[2] / "mmtutorial"


def modules(name: str) -> list[str]:
    """List a package's modules, packages within it included; a module is its own only one."""
    place = PACKAGE.joinpath(*name.split(".")[1:])
    if not place.is_dir():
        return [name]
    paths = [path for path in sorted(place.rglob("*.py")) if path.stem != "__init__"]
    inner = [path.relative_to(place).with_suffix("") for path in paths]
    return [".".join([name, *path.parts]) for path in inner]


def documentation(match: re.Match[str]) -> str:
    """Write the directives, a heading a module."""
    parts = []
    for module in modules(match[1]):
        title = module.removeprefix("mmtutorial.")
        directive = f".. automodule:: {module}\n   :members:"
        parts.append(f"## {title}\n\n```{{eval-rst}}\n{directive}\n```\n")
    return "\n".join(parts)


def replace_modules(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the documentation in place of each line."""
    if page.startswith("reference/"):
        source[0] = re.sub(r"^% modules: (\S+)$", documentation, source[0], flags=re.MULTILINE)


def without_fields(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Leave out a named tuple's fields, of which Python says their number only."""
    return True if (getattr(member, "__doc__", "") or "").startswith("Alias for field") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", replace_modules)
    app.connect("autodoc-skip-member", without_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

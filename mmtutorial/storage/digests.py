"""Digests of what a result depends on."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path, PurePath
from time import monotonic

import joblib
from rich.console import Console
from rich.progress import Progress

from mmtutorial import __version__
from mmtutorial.storage.folders import files_below

PACKAGE = Path(__file__).parents[1]
COMPUTES = ("keras", "numpy", "tensorflow")  # whose versions may change the last digit
PATIENCE = 3.0  # seconds without a progress bar


@functools.cache
def code_digest(*names: str) -> str:
    """Return a digest of all code of this library that some modules import: 16 hexadecimal digits.

    Comments, docstrings, blank lines and imports for type checkers do not count; data files that
    a module names do, and so do the versions of `COMPUTES`. What is imported only while a program
    runs, by a name made then, is not seen: name it.

    Parameters
    ----------
    *names : str
        Modules, or what they hold: "mmtutorial.recommenders.EASE"; the whole library without.

    Raises
    ------
    ValueError
        If a name is not of this library.

    Examples
    --------
    >>> code_digest("mmtutorial.metrics") != code_digest("mmtutorial.recommenders.EASE")
    True
    """
    found: dict[str, str] = {}
    todo = [*names] if names else [_name(path) for path in PACKAGE.rglob("*.py")]
    while todo:
        module = _defining(todo.pop())
        if module not in found:
            found[module], more = _read(_file(module))
            todo += more
    parts = [__version__, *(version(each) for each in COMPUTES), *sorted(found.items())]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def imported_names(source: str, package: str = "") -> list[str]:
    """Name all that a piece of code imports of this library, imports for type checkers aside.

    >>> imported_names("import numpy; from mmtutorial.metrics import ndcg")
    ['mmtutorial.metrics.ndcg']
    """
    return _imports(ast.parse(source), package)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imports(tree: ast.AST, package: str = "", types: bool = False) -> list[str]:
    """Name what a tree imports of this library; with ``types`` also for type checkers."""
    found: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package.split(".")[: 1 - node.level or None]) if node.level else ""
            base = ".".join(filter(None, (start, node.module)))
            found += [f"{base}.{each.name}" for each in node.names]
        elif types or not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            found += _imports(node, package, types)
    return [name for name in found if name.split(".")[0] == PACKAGE.name]


def _defining(name: str) -> str:
    """Return the module that defines a name; what a package only hands on is followed."""
    if _file(name).exists():
        return name
    package, _, last = name.rpartition(".")
    if not package:
        raise ValueError(f"{name} is no module of {PACKAGE.name}")
    module = _defining(package)
    if _file(module).name == "__init__.py":
        for each in _imports(_tree(_file(module)), module, types=True):
            if each.rpartition(".")[2] == last and each != name:
                return _defining(each)
    return module


def _file(module: str) -> Path:
    place = PACKAGE.parent.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def _read(path: Path) -> tuple[str, list[str]]:
    """Return a digest of a module and of the data files that it names, and what it imports."""
    tree, name = ast.parse(path.read_text("utf-8")), _name(path)
    imported = _imports(tree, name if path.name == "__init__.py" else name.rpartition(".")[0])
    data: list[str] = []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant):  # a docstring
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            data += _data(path, node.value)
    return hashlib.sha256((ast.dump(tree) + repr(data)).encode()).hexdigest(), imported


def _data(module: Path, name: str) -> list[str]:
    """Return digests of a data file, or of a folder of such, that lies beside a module."""
    if not re.fullmatch(r"[\w-]+(\.\w+)?", name):
        return []
    for place in (module.parent / name, module.parents[1] / name):
        if place.suffix not in (".py", "") and place.is_file():
            return [file_digest(place)]
        if place.is_dir() and PACKAGE in place.parents and not any(place.glob("*.py")):
            return [file_digest(each) for each in sorted(place.iterdir()) if each.is_file()]
    return []


def work_digest(depends: object) -> str:
    """Return a digest of a piece of work: 32 hexadecimal digits.

    Parameters
    ----------
    depends : object
        All that the result depends on, beside this library's code and the versions of `COMPUTES`:
        arrays, numbers and texts, in tuples, lists and dicts.

    Examples
    --------
    >>> work_digest(("my model", 3)) == work_digest(("my model", 4))
    False
    """
    return joblib.hash((code_digest(), depends))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, leave_out: Callable[[PurePath], bool] = lambda name: False) -> str:
    """Return a digest of every file in a folder, its path and its content: 16 hexadecimal digits.

    Sizes and time stamps do not matter: a copy has the same digest, and another content another
    one. Files whose paths ``leave_out`` marks do not count. Files are read on all cores; a progress
    bar is shown where that takes some seconds.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("one")
    ...     first = folder_digest(Path(folder))
    ...     _ = Path(folder, "a.txt").write_text("two")
    ...     first == folder_digest(Path(folder))
    False
    """
    files, _ = files_below(folder)
    paths = sorted((name.as_posix(), folder / name) for name in files if not leave_out(name))
    found = joblib.Parallel(n_jobs=-1, prefer="threads", batch_size=16, return_as="generator")(
        joblib.delayed(file_digest)(path) for _, path in paths
    )
    digest = hashlib.sha256()
    begun = monotonic()
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(f"Reading {folder.name}", total=len(paths))
    try:
        for (name, _), content in zip(paths, found, strict=True):
            digest.update(f"{name} {content}\n".encode("utf-8", "surrogatepass"))
            progress.advance(task)
            if monotonic() - begun > PATIENCE:
                progress.start()
    finally:
        if progress.live.is_started:
            progress.stop()
    return digest.hexdigest()[:16]

"""Pickles of others, read as data: nothing that a file names is imported or called.

`pickle.load` runs what a file asks for. Here, Python's list of a pickle's instructions
(`pickletools.genops`) goes to a small machine that knows numbers, text, lists, tuples and dicts,
and, for `read_matrix`, the four names of NumPy and SciPy by which a sparse matrix is written. An
array is never larger than its bytes in the file.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

LARGEST = 64_000_000  # bytes of a file
DEEPEST = 20  # lists, tuples and dicts within each other
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}


def read_basic(path: Path, largest: int = LARGEST) -> Any:
    """Read a pickle of numbers, text, bytes, lists, tuples and dicts.

    Parameters
    ----------
    path : Path
        The file.
    largest : int
        Bytes that it may have.

    Raises
    ------
    ValueError
        Names the file if it names a function or a class, is damaged, too large, or nested more than
        `DEEPEST` deep, or if a dict has keys other than text and numbers.

    Examples
    --------
    >>> import pickle, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "x.pkl").write_bytes(pickle.dumps([("tea", {"price": 3.5})]))
    ...     read_basic(Path(folder, "x.pkl"))
    [('tea', {'price': 3.5})]
    """
    return _read(path, {}, largest)


def read_matrix(path: Path, largest: int = LARGEST) -> scipy.sparse.coo_array:
    """Read a pickle of a SciPy matrix of coordinates (COO) of numbers.

    Parameters
    ----------
    path : Path
        The file.
    largest : int
        Bytes that it may have.

    Raises
    ------
    ValueError
        Names the file if it is none, names another function or class, is damaged or too large, or
        if an array has not as many bytes as its shape asks for.

    Examples
    --------
    >>> import pickle, tempfile
    >>> matrix = scipy.sparse.coo_matrix([[0, 7]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "x.pkl").write_bytes(pickle.dumps(matrix, protocol=4))
    ...     read_matrix(Path(folder, "x.pkl")).toarray()
    array([[0, 7]])
    """
    value = _read(path, _NAMES, largest)
    if not isinstance(value, _Matrix) or value.matrix is None:
        raise ValueError(f"{path} holds no sparse matrix of coordinates")
    return value.matrix


class _Type:
    """A NumPy type of numbers."""

    def __init__(self, code: str, *_: object) -> None:
        if not (isinstance(code, str) and re.fullmatch("[iuf][1248]|b1", code)):
            raise ValueError(f"it holds an array of {code!r}, which is no type of numbers")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the order of bytes."""
        _, order, *further = state
        if order not in ("<", ">", "|", "=") or any(each is not None for each in further[:3]):
            raise ValueError("it holds an array of a type that is no plain number")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """A NumPy array; what it is first said to be is not made."""

    def __init__(self, *_: object) -> None:
        self.array = np.empty(0)

    def build(self, state: Any) -> None:
        """Take shape, type and content."""
        _, shape, kind, by_columns, raw = state
        if not all(0 <= length <= len(raw) for length in shape[:DEEPEST]) or (
            math.prod(shape[:DEEPEST]) * kind.dtype.itemsize != len(raw)
        ):
            raise ValueError(f"an array of {len(raw):,} bytes is said to be larger or smaller")
        flat = np.frombuffer(raw, kind.dtype)
        self.array = flat.reshape(shape, order="F" if by_columns else "C")


class _Matrix:
    """A SciPy matrix of coordinates; before SciPy 1.11, row and col stand in place of coords."""

    matrix: scipy.sparse.coo_array | None = None

    def build(self, state: Any) -> None:
        """Take shape, coordinates and values."""
        row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
        entries = state["data"].array, (row.array, column.array)
        self.matrix = scipy.sparse.coo_array(entries, shape=state["_shape"])


_NAMES: dict[str, type] = {
    "scipy.sparse.coo coo_matrix": _Matrix,
    "scipy.sparse._coo coo_matrix": _Matrix,
    "numpy.core.multiarray _reconstruct": _Array,
    "numpy._core.multiarray _reconstruct": _Array,
    "numpy ndarray": np.ndarray,
    "numpy dtype": _Type,
}


def _read(path: Path, names: Mapping[str, type], largest: int) -> Any:
    """Follow a file's instructions; raise ValueError, which names the file, if that cannot be."""
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"{path} has more than {largest:,} bytes, and is not read")
    machine = _Machine(names)
    try:
        for instruction, argument, _ in pickletools.genops(content):
            machine.follow(instruction.name, argument)
        value = machine.stack.pop()
        _check_depth(value)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} cannot be read as a pickle of plain data: {error}") from error
    return value


def _check_depth(value: Any) -> None:
    """Refuse what is nested too deep; each list, tuple or dict is looked at once."""
    level, known = [value], {id(value)}
    for _ in range(DEEPEST + 1):
        below = [
            part
            for each in level
            if isinstance(each, list | tuple | dict)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
        level = []
        for part in below:
            if isinstance(part, list | tuple | dict) and id(part) not in known:
                known.add(id(part))
                level.append(part)
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} deep")


class _Machine:
    """A stack and a memory of values, as a pickle's instructions expect them."""

    def __init__(self, names: Mapping[str, type]) -> None:
        self.names, self.stack, self.memory = names, list[Any](), dict[int, Any]()

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = stack[-1]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memory[int(argument)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memory[int(argument)])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name not in ("PROTO", "FRAME", "STOP"):
            self._combine(name, argument)

    def _combine(self, name: str, argument: Any) -> None:
        """Make one value of several."""
        stack = self.stack
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST"):
            parts = self._since_mark()
            stack.append(tuple(parts) if name == "TUPLE" else parts)
        elif name in ("APPEND", "APPENDS"):
            parts = [stack.pop()] if name == "APPEND" else self._since_mark()
            list.extend(stack[-1], parts)
        elif name in ("SETITEM", "SETITEMS", "DICT"):
            parts = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._since_mark()
            if name == "DICT":
                stack.append({})
            keys = parts[::2]
            if not all(isinstance(key, str | int | float) for key in keys):
                raise ValueError("a dict has keys other than text and numbers")
            dict.update(stack[-1], zip(keys, parts[1::2], strict=True))
        else:
            self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        """Make what the file names, if it is admitted."""
        stack = self.stack
        if name in ("GLOBAL", "STACK_GLOBAL"):
            wanted = argument if name == "GLOBAL" else " ".join((stack.pop(-2), stack.pop()))
            if wanted not in self.names:
                called = wanted.replace(" ", ".")
                raise ValueError(f"it asks for {called}, and a program in a file is not run")
            stack.append(self.names[wanted])
        elif name in ("REDUCE", "NEWOBJ"):
            kind, given = stack.pop(-2), stack.pop()
            if kind not in ((_Array, _Type) if name == "REDUCE" else (_Matrix,)):
                raise ValueError(f"it calls {kind!r}, and a program in a file is not run")
            stack.append(kind(*given))
        elif name == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Type | _Array | _Matrix):
                raise ValueError(f"it gives a state to {type(stack[-1]).__name__}")
            stack[-1].build(state)
        else:
            raise ValueError(f"its instruction {name} is not followed")

    def _since_mark(self) -> list[Any]:
        """Take off the stack what lies above the topmost mark, and the mark."""
        parts = []
        while (part := self.stack.pop()) is not _MARK:
            parts.append(part)
        return parts[::-1]

"""Pickles of others: what is plain is read, and what is more is refused, and never run."""

from __future__ import annotations

import fractions
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st

from mmtutorial.storage.pickles import DEEPEST, read_basic, read_matrix

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_what_is_plain_is_read_as_pickle_reads_it(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int
) -> None:
    written = pickle.dumps(value, protocol)
    assume(b"_codecs" not in written and b"builtin" not in written)  # bytes before protocol 3
    path = tmp_path_factory.mktemp("plain") / "x.pkl"
    path.write_bytes(written)
    assert read_basic(path) == value


def old_matrix(matrix: Any) -> bytes:
    """A matrix as SciPy before 1.11 and NumPy before 2 wrote it."""
    state = {"_shape": matrix.shape, "maxprint": 50, "row": matrix.row, "col": matrix.col}
    state |= {"data": matrix.data, "has_canonical_format": False}
    written = pickle.dumps(state, protocol=3)
    written = written.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    head = b"\x80\x03cscipy.sparse.coo\ncoo_matrix\n)\x81"
    return head + written.removeprefix(b"\x80\x03").removesuffix(b".") + b"b."


@pytest.mark.parametrize("write", [old_matrix, lambda matrix: pickle.dumps(matrix, protocol=4)])
@pytest.mark.parametrize("kind", ["float64", "int32", "uint8", "bool"])
def test_matrices_of_older_and_newer_libraries_are_read(
    tmp_path: Path, write: Callable[[Any], bytes], kind: str
) -> None:
    dense = (np.arange(12).reshape(3, 4) % 5).astype(kind)
    path = tmp_path / "x.pkl"
    path.write_bytes(write(scipy.sparse.coo_matrix(dense)))
    read = read_matrix(path)
    assert read.shape == (3, 4)
    assert read.toarray().tolist() == dense.tolist()


class Evil:
    """Runs a program when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise SystemExit('it ran')",)


def huge_array(declared: int) -> bytes:
    """A matrix whose array is said to have more entries than bytes."""
    good = old_matrix(scipy.sparse.coo_matrix(np.eye(3)))
    one = b"K\x01K\x03\x85"  # version 1, and the shape (3,)
    assert good.count(one) == 3
    return good.replace(one, b"K\x01\x8a\x08" + struct.pack("<q", declared) + b"\x85")


def nested(depth: int) -> bytes:
    return b"\x80\x04)" + b"\x85" * depth + b"."  # a tuple in a tuple in a tuple


def doubled(depth: int) -> bytes:
    """Two of the same, two of these, …: small to write, and endless to walk through or to hash."""
    return (
        b"\x80\x04)"
        + b"\x94h\x00\x86"
        + b"".join(b"\x94h" + bytes([number]) + b"\x86" for number in range(1, depth))
        + b"."
    )


PLOT = pickle.dumps([((1, "Toy Story (1995)", "0114709"), {"Plot": "A doll."})], protocol=4)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "a call to a program": (b"cos\nsystem\n(S'touch ran'\ntR.", "asks for os.system"),
    "a call in a later protocol": (pickle.dumps(Evil()), "asks for builtins.exec"),
    "a call from a list": (pickle.dumps([1, {"a": Evil()}], 2), "asks for .*exec"),
    "an old instance": (b"(ios\nsystem\n.", "instruction INST is not followed"),
    "a class of ours": (
        pickle.dumps(Path("x"), 4),
        r"asks for pathlib(\._local)?\.\w*Path, and a program",
    ),
    "a class of Python's": (pickle.dumps(fractions.Fraction(1, 2)), "asks for fractions.Fraction"),
    "a function of NumPy's": (b"cnumpy\nload\n(S'x'\ntR.", "asks for numpy.load"),
    "a name behind a name": (b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.", "ndarray.dumps"),
    "an extension of copyreg": (b"\x80\x02\x82\x01.", "instruction EXT1 is not followed"),
    "a persistent id": (b"Pfile\n.", "instruction PERSID is not followed"),
    "a huge array": (huge_array(10**12), "bytes is said to be larger or smaller"),
    "an array of minus one": (huge_array(-1), "bytes is said to be larger or smaller"),
    "a huge memory": (b"\x80\x04Nr\xff\xff\xff\x7f0.", "instruction POP is not followed"),
    "huge bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 10**14) + b"abc.", "bytes in a bytes8"),
    "a huge number": (b"I" + b"9" * 10_000 + b"\n.", "digits"),
    "deep recursion": (nested(100_000), "nested more than 20 deep"),
    "a wide recursion": (doubled(60), "nested more than 20 deep"),
    "a deep key": (nested(100_000)[:-1] + b"}" + b"0.", "instruction POP is not followed"),
    "a dict of tuples": (pickle.dumps({(1, 2): 3}), "keys other than text and numbers"),
    "an end in the middle": (PLOT[:-20], "cannot be read as a pickle of plain data"),
    "an end before the stop": (PLOT[:-1], "cannot be read as a pickle of plain data"),
    "nothing": (b"", "cannot be read as a pickle of plain data"),
    "a web page": (b"<!DOCTYPE html><p>Not found", "opcode b'<' unknown"),
    "a stack that is empty": (b"\x80\x04.", "pop from empty list"),
    "a memory that is empty": (b"\x80\x04h\x07.", "cannot be read as a pickle of plain data: 7"),
    "no mark": (b"\x80\x04]K\x01e.", "cannot be read as a pickle of plain data"),
    "an array of objects": (
        pickle.dumps(scipy.sparse.coo_matrix(np.eye(2))).replace(b"\x8c\x02f8", b"\x8c\x02O8"),
        "array of 'O8', which is no type of numbers",
    ),
    "another kind of matrix": (pickle.dumps(scipy.sparse.csr_matrix(np.eye(2))), "csr_matrix"),
    "coordinates outside": (
        old_matrix(scipy.sparse.coo_matrix(np.eye(3))).replace(b"K\x03K\x03\x86", b"K\x02K\x02\x86"),
        "exceeds matrix dimension",
    ),
    "a state for a class": (b"\x80\x03cnumpy\nndarray\n}b.", "gives a state to type"),
    "a call of ndarray": (b"\x80\x03cnumpy\nndarray\nM\x00\x00\x85R.", "it calls"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("read", [read_basic, read_matrix])
def test_hostile_pickles_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, read: Callable[[Path], object]
) -> None:
    content, words = HOSTILE[kind]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pkl").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"x\.pkl") as told:
            read(tmp_path / "x.pkl")
        assert tracemalloc.get_traced_memory()[1] < 100_000_000 + 100 * len(content)
    finally:
        tracemalloc.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["x.pkl"]
    asks_first = read is read_basic and b"numpy" in content  # no name at all is admitted there
    told.match("asks for (numpy|scipy)" if asks_first else words)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(PLOT)
    assert read_basic(tmp_path / "x.pkl", largest=len(PLOT))[0][1] == {"Plot": "A doll."}
    with pytest.raises(ValueError, match=r"x\.pkl has more than 99 bytes, and is not read") as told:
        (tmp_path / "x.pkl").write_bytes(PLOT + b"." * 100)
        read_basic(tmp_path / "x.pkl", largest=99)
    assert told.value


def test_what_is_no_matrix_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(PLOT)
    with pytest.raises(ValueError, match=r"x\.pkl holds no sparse matrix of coordinates"):
        read_matrix(tmp_path / "x.pkl")


def test_what_is_nested_as_deep_as_is_allowed_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(nested(DEEPEST))
    assert read_basic(tmp_path / "x.pkl")
    (tmp_path / "x.pkl").write_bytes(nested(DEEPEST + 1))
    with pytest.raises(ValueError, match="nested more than"):
        read_basic(tmp_path / "x.pkl")

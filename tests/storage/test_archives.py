"""What is read back is read to its end: a flipped bit anywhere is found, and nothing unfolds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mmtutorial.reproduce.tasks import Outcome, Task
from mmtutorial.storage.archives import check_archive
from mmtutorial.storage.arrays import read_arrays
from mmtutorial.storage.checkpoint import Checkpoint


def data_area(whole: bytes) -> list[int]:
    """Return places spread over the contents of an archive's parts."""
    places: list[int] = []
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for part in archive.infolist():
            names = whole[part.header_offset + 26 : part.header_offset + 30]
            start = part.header_offset + 30 + sum(np.frombuffer(names, "<u2").tolist())
            steps = np.linspace(0, part.compress_size - 1, min(part.compress_size, 12))
            places += (start + steps.astype(int)).tolist()
    return places


def flips(whole: bytes) -> list[bytes]:
    """Return copies of an archive, each with another bit flipped in its data area."""
    return [
        whole[:place] + bytes([whole[place] ^ 1 << number % 8]) + whole[place + 1 :]
        for number, place in enumerate(data_area(whole))
    ]


def test_a_flipped_bit_in_arrays_is_found(tmp_path: Path) -> None:
    path = tmp_path / "two.npz"
    np.savez(path, a=np.arange(9000.0), b=np.array(["so", "soft"]))
    damaged = flips(path.read_bytes())
    assert len(damaged) == 24
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^two.npz cannot be read: "):
            read_arrays(path)


def test_a_flipped_bit_in_an_outcome_is_found() -> None:
    per_user = pd.DataFrame({"ndcg": np.linspace(0, 1, 300)})
    users = np.arange(300)
    task = Task("e", "shop", "r", "Popularity")
    whole = Outcome(task, [], users, users[:, None], per_user, False, {})
    damaged = flips(whole.to_bytes())
    found = 0
    for content in damaged:
        try:
            read = Outcome.of_bytes(content)
        except ValueError as fault:
            assert str(fault).startswith("not an outcome: ")
            found += 1
        else:  # of what is compressed, some bits mean nothing, such as "this is the last block"
            assert (read.task, read.rows) == (whole.task, whole.rows)
            np.testing.assert_array_equal(read.ranked, whole.ranked)
            pd.testing.assert_frame_equal(read.per_user, whole.per_user)
    assert len(damaged) > 40
    assert found >= len(damaged) - 8  # the first and the last byte of each of four parts


def test_what_would_unfold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10_000_000))
    with pytest.raises(ValueError, match=r"'a.npy' is compressed, which save never does"):
        read_arrays(tmp_path / "bomb.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz") as archive:
        with pytest.raises(ValueError, match=r"unfold to 80,000,128 bytes, more than 1,000,000"):
            check_archive(archive, unfolded=1_000_000)
        check_archive(archive, unfolded=100_000_000)
    monkeypatch.setattr("mmtutorial.reproduce.tasks._LARGEST", 1000)
    with pytest.raises(ValueError, match="not an outcome: it would unfold to"):
        Outcome.of_bytes((tmp_path / "bomb.npz").read_bytes())


def test_what_may_not_be_read_is_not_damaged(
    tmp_path: Path, unreadable: Callable[[Path], Any]
) -> None:
    begun = Checkpoint(tmp_path, lambda: "it")
    begun.due = 0
    begun.write(lambda: {"weights": np.ones(2)})
    content = begun.path.read_bytes()
    with unreadable(begun.path):
        with pytest.raises(PermissionError, match=begun.path.name):
            read_arrays(begun.path)
        with pytest.raises(PermissionError, match=begun.path.name):
            Checkpoint(tmp_path, lambda: "it").read(list)
    assert begun.path.read_bytes() == content

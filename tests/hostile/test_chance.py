"""Files by chance: whatever stands in one, it is read, or refused by name with a remedy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmtutorial.datasets import Dataset, DatasetError, read_mmrec
from mmtutorial.datasets.collections import NO_ARCHIVE, unpack
from mmtutorial.datasets.dataset import validate_folder
from mmtutorial.datasets.media import MediaError
from mmtutorial.preprocessing.audio import encode_sound
from mmtutorial.preprocessing.image import encode_picture
from mmtutorial.preprocessing.text import Vocabulary, clean, sequences, tokenise
from tests.hostile import corpus
from tests.hostile.corpus import INSIDE, INTER, ITEMS, TAKEN, Hostile

few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning:PIL")

CELLS = st.sampled_from(
    ["", "a", "b", " a", "0", "1", "-1", "2.5", "1e999", "nan", "True", "0x1F", "١٢", "²", "\x1f6",
     '"', '"x', '""', "\r", ";", "💚", "\u202e", "../x", ".", "images", "train", "9" * 30]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Change some bytes of a file, take some out, and cut it."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        piece = draw(st.binary(max_size=5) | st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\n", b'"']))
        content[place : place + draw(st.integers(0, 5))] = piece
    return bytes(content[: draw(st.integers(len(content) // 2, len(content) + 1))])


@st.composite
def table(draw: st.DrawFn, header: str, mark: str) -> bytes:
    """A table with the right header, and cells by chance."""
    rows = draw(st.lists(st.lists(CELLS, min_size=1, max_size=header.count(mark) + 1), max_size=4))
    return "\n".join([header, *(mark.join(row) for row in rows)]).encode()


def whole(files: list[Hostile], *names: str) -> st.SearchStrategy[bytes]:
    chosen = [file.content for file in files if file.name in names]
    assert len(chosen) == len(names)
    return st.sampled_from(chosen).flatmap(damaged)


def check_folder(folder: Path) -> None:
    """Open and check a folder: what is refused is told, what is not is saved and opened again."""
    faults = validate_folder(folder)
    assert all(fault.file and fault.message and fault.remedy for fault in faults)
    try:
        data = Dataset.open(folder)
    except DatasetError as error:
        assert error.faults
        assert set(error.faults) <= set(faults)
    else:
        again = data.save(folder.with_name("again"), replace=True)
        assert again.items["item"].tolist() == data.items["item"].tolist()
        assert len(again.interactions) == len(data.interactions)


HEADERS = {
    "items.csv": "item,title,text,image,audio,price",
    "interactions.csv": "user,item,timestamp,rating,part",
}


@pytest.mark.parametrize("name", HEADERS)
@few
@given(data=st.data())
def test_tables(kitchen: Path, name: str, data: st.DataObject) -> None:
    good = ITEMS if name == "items.csv" else TAKEN
    content = data.draw(table(HEADERS[name], ",") | damaged(good) | st.binary(max_size=60))
    (kitchen / name).write_bytes(content)
    check_folder(kitchen)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from(["price", "item"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@few
@given(
    about=st.fixed_dictionaries(
        {"name": st.just("x") | JSON},
        optional=dict.fromkeys(
            ("version", "licence", "seed", "number_columns", "number_columns_of_interactions"), JSON
        ),
    )
)
def test_what_a_data_set_says_of_itself(kitchen: Path, about: dict[str, object]) -> None:
    (kitchen / "dataset.json").write_text(json.dumps(about))
    check_folder(kitchen)


@few
@given(content=table("userID\titemID\trating\ttimestamp\tx_label", "\t") | damaged(INTER))
def test_tables_of_mmrec(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.inter").write_bytes(content)
    try:
        assert len(read_mmrec(tmp_path).interactions)
    except DatasetError as error:
        assert all(fault.file == "x.inter" and fault.remedy for fault in error.faults)


@few
@given(content=whole(corpus.arrays(), "good.npy", "doubles.npy", "objects.npy", "archive.npy"))
def test_arrays(kitchen: Path, content: bytes) -> None:
    (kitchen / "features").mkdir(exist_ok=True)
    (kitchen / "features" / "text.npy").write_bytes(content)
    check_folder(kitchen)


@few
@given(content=whole(corpus.archives(), "good.zip", "packed.zip", "lzma.zip"))
def test_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    folder = tmp_path / "above" / "folder"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        name: (hashlib.sha256(inner).hexdigest(), len(inner)) for name, inner in INSIDE.items()
    }
    try:
        unpack(tmp_path / "x.zip", folder, manifest)
    except (ValueError, *NO_ARCHIVE):
        pass
    else:
        assert all((folder / name).read_bytes() == inner for name, inner in INSIDE.items())
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written <= {tmp_path / "x.zip", *(folder / name for name in INSIDE)}


@pytest.mark.parametrize(
    ("encode", "files", "names"),
    [
        (
            lambda path: encode_picture(path, 16, False),
            corpus.pictures(),
            ("whole-noise.png", "whole-noise.jpeg", "whole-noise.gif", "whole-noise.webp",
             "whole-noise.bmp", "whole-noise.tiff", "grey-16.png", "icon.ico", "turned.jpg"),
        ),
        (
            lambda path: encode_sound(path, 8000, 256, 32, 20, "mfcc", False, True, False),
            corpus.sounds(),
            ("slow.wav", "one-sample.wav", "floats.wav", "opus.ogg", "whole-noise.flac",
             "whole-noise.mp3"),
        ),
    ],
    ids=["pictures", "sounds"],
)  # fmt: skip
@few
@given(data=st.data())
def test_media(
    tmp_path: Path,
    encode: Callable[[Path], np.ndarray],
    files: list[Hostile],
    names: tuple[str, ...],
    data: st.DataObject,
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data.draw(whole(files, *names) | st.binary(max_size=50)))
    try:
        encoded = encode(path)
    except MediaError as error:
        assert str(error).startswith(f"{path}: ")
        assert error.message and error.remedy
    else:
        assert not np.isinf(encoded).any()


PIECES = st.sampled_from(
    ["&amp;", "&#", "9" * 30, "&#x110000;", "<", ">", "<a", "\u0301" * 40, "\u0344", "\ud800", "\x1b[0m",
     "很好" * 300, "http://", "\u202e", "ﷺ", "\u1161", "ᄀ", "'", "👩‍👩‍👧", "1.", "_", "\0"]
)  # fmt: skip


@few
@given(text=st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join))
def test_texts(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    cleaned.encode("utf-8")
    words = tokenise(cleaned)
    assert all(words)
    assert tokenise(" ".join(words), "en") == words or any("好" in word for word in words)
    assert sequences([text], Vocabulary.of([words]), 4).shape == (1, 4)

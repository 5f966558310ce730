"""Names and kinds of files, and what a check says of pictures and sounds."""

from __future__ import annotations

import io
import struct
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from mmtutorial.datasets import Dataset
from mmtutorial.datasets.checks import locate
from mmtutorial.datasets.media import FORMATS, is_picture
from tests.hostile import corpus


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_file_is_found_however_its_accents_are_written(tmp_path: Path, form: str) -> None:
    name = unicodedata.normalize(form, "Bücher/Größe é.jpg")
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    for other in ("NFC", "NFD"):
        assert locate(tmp_path, unicodedata.normalize(other, name)).is_file()
    assert locate(tmp_path, "é") == tmp_path / "é"  # what is nowhere stays as it is written
    assert locate(tmp_path, "a\0é") == tmp_path / "a\0é"


def test_two_files_that_differ_in_their_accents_alone_are_two(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "é.txt")).write_text(form)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this system sees no difference")
    for form in ("NFC", "NFD"):
        assert locate(tmp_path, unicodedata.normalize(form, "é.txt")).read_text() == form


def test_a_picture_is_known_by_how_it_begins(tmp_path: Path) -> None:
    for file in corpus.pictures():
        if not file.said and not file.name.startswith("head"):
            assert is_picture(file.write(tmp_path)), file.name
    for name in ("page.jpg", "zeros.png", "chance.jpg", "sound.png", "program.eps", "drawn.svg"):
        (file,) = (each for each in corpus.pictures() if each.name == name)
        assert not is_picture(file.write(tmp_path)), name
    (tmp_path / "words").write_text("P.S. no picture")
    (tmp_path / "heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    assert not any(is_picture(tmp_path / name) for name in ("words", "heic", "none", "."))
    Image.init()
    assert set(FORMATS) <= {*Image.OPEN, "AVIF"}


def test_what_was_mended_in_a_sound_is_a_note_of_the_check(tmp_path: Path) -> None:
    wave = np.sin(np.arange(8000) / 9)
    memory = io.BytesIO()
    soundfile.write(memory, wave, 8000, format="WAV")
    whole = memory.getvalue()
    stream = whole[:4] + struct.pack("<I", 0x7FFFF024) + whole[8:40]
    (tmp_path / "a.wav").write_bytes(stream + struct.pack("<I", 0x7FFFF000) + whole[44:])
    soundfile.write(tmp_path / "b.wav", np.stack([wave, -wave], axis=1), 8000)
    (tmp_path / "c.wav").write_bytes(whole[:-800])
    (tmp_path / "d.wav").write_bytes(whole)
    ids = list("abcd")
    items = pd.DataFrame({"item": ids, "audio": [f"{item}.wav" for item in ids]})
    taken = pd.DataFrame(
        {"user": "u", "item": ids, "timestamp": range(1_709_251_200, 1_709_251_204)}
    )
    found = Dataset("sounds", items, taken, tmp_path).validate()
    assert [(str(each).partition(";")[0], each.note) for each in found] == [
        (
            "note: a.wav: its header does not say how long it is: it was read to its end "
            "(items.csv, row 2)",
            True,
        ),
        (
            "note: b.wav: its channels cancel each other: the loudest is taken (items.csv, row 3)",
            True,
        ),
        ("c.wav: the recording is cut off before its end (items.csv, row 4)", False),
    ]

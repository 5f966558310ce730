"""What a header promises is not believed: a recording is read to its end, or refused as cut off."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmtutorial.datasets import sounds
from mmtutorial.datasets.media import MediaError
from mmtutorial.datasets.sounds import is_sound, read_sound

RATE = 16_000


def tone(seconds: float, frequency: float = 440.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE)).clip(-4, 4)


def encoded(wave: np.ndarray, kind: str, rate: int = RATE, subtype: str | None = None) -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, wave, rate, format=kind, subtype=subtype)
    return memory.getvalue()


def without_header(mp3: bytes) -> bytes:
    """Take the frame away that says how many there are: the first, of 72 to 418 bytes."""
    mark = min(place for name in (b"Xing", b"Info") if (place := mp3.find(name)) >= 0)
    return mp3[mp3.index(mp3[:2], mark) :]


def patched(content: bytes, place: int, piece: bytes) -> bytes:
    return content[:place] + piece + content[place + len(piece) :]


@pytest.fixture
def read(tmp_path: Path):
    """Read bytes as a file: the wave, its rate, and the messages of the notes."""

    def reads(content: bytes, name: str = "a.sound") -> tuple[np.ndarray, int, list[str]]:
        (tmp_path / name).write_bytes(content)
        notes: sounds.Notes = []
        wave, rate = read_sound(tmp_path / name, notes)
        assert wave.dtype == np.float32 and wave.ndim == 1
        assert all(message and remedy for message, remedy in notes)
        assert np.array_equal(read_sound(tmp_path / name)[0], wave)  # and without a list for notes
        return wave, rate, [message for message, _ in notes]

    return reads


def seconds_of(frequency: float, wave: np.ndarray, rate: int) -> float:
    """How long a tone is heard."""
    frames = wave[: len(wave) // 400 * 400].reshape(-1, 400)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(400)))
    loud = frames.std(axis=1) > 0.1
    near = np.abs(spectrum.argmax(axis=1) * rate / 400 - frequency) < rate / 400
    return float((loud & near).sum() * 400 / rate)


# MPEG audio


@pytest.mark.parametrize("rate", [44_100, 16_000, 8_000])
@pytest.mark.parametrize("tags", [b"", b"ID3\3\0\0\0\0\0\x7f" + bytes(127)], ids=["plain", "tags"])
def test_an_mp3_without_a_header_is_read_to_its_end(read, rate: int, tags: bytes) -> None:
    whole = encoded(tone(8, rate=rate), "MP3", rate)
    wave, found_rate, notes = read(tags + whole)
    assert (len(wave), found_rate, notes) == (8 * rate, rate, [])
    bare = tags + without_header(whole) + (b"TAG" + bytes(125) if tags else b"")
    wave, _, notes = read(bare)
    assert 8 * rate <= len(wave) <= 8 * rate + 5 * 1152
    assert seconds_of(440, wave, rate) == pytest.approx(8, abs=0.15)
    assert notes == []


def test_an_mp3_that_begins_quietly_is_not_cut_off(read, tmp_path: Path) -> None:
    wave = np.concatenate([noise(4, 1e-5), noise(4)])
    memory = io.BytesIO()
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.2}
    soundfile.write(memory, wave, RATE, format="MP3", **options)
    bare = without_header(memory.getvalue())
    (tmp_path / "a.mp3").write_bytes(bare)
    assert soundfile.info(tmp_path / "a.mp3").frames > 10 * RATE  # what libsndfile expects
    assert 8 * RATE <= len(read(bare)[0]) <= 8.3 * RATE


def test_mp3s_laid_end_to_end_are_read_one_after_the_other(read) -> None:
    low, high = encoded(tone(8), "MP3"), encoded(tone(4, 880), "MP3")
    wave, _, notes = read(low + high)
    assert len(wave) == 12 * RATE
    assert notes == ["it holds 2 recordings, read one after the other"]
    for both, note in (
        (without_header(low) + without_header(high), None),
        (without_header(low) + high, "it holds 2 recordings"),
        (low + without_header(high), "it is longer than the 8.0 s of its header"),
    ):
        wave, _, notes = read(both)
        assert 12 * RATE <= len(wave) <= 12.4 * RATE
        assert seconds_of(440, wave, RATE) == pytest.approx(8, abs=0.15)
        assert seconds_of(880, wave, RATE) == pytest.approx(4, abs=0.15)
        assert [each[: len(note)] for each in notes] == [note] if note else notes == []


def test_mp3s_of_other_channels_or_rates_behind_each_other(read) -> None:
    mono, stereo = encoded(tone(2), "MP3"), encoded(np.stack([tone(1, 880)] * 2, axis=1), "MP3")
    wave, _, _ = read(mono + stereo)
    assert len(wave) == 3 * RATE
    assert seconds_of(880, wave, RATE) == pytest.approx(1, abs=0.1)
    with pytest.raises(MediaError, match="recordings of 16000 and 44100 samples a second; save"):
        read(mono + encoded(tone(1, rate=44_100), "MP3", 44_100))
    wave, _, notes = read(without_header(mono) + without_header(stereo))  # here libsndfile stops
    assert len(wave) < 2.3 * RATE
    assert re.match(r"behind 2\.\d s of sound something follows that is not read", notes[0])


def test_an_mp3_that_is_cut_off_is_refused_by_its_header_alone(read) -> None:
    whole = encoded(noise(8), "MP3")
    with pytest.raises(MediaError, match="cut off before its end; fetch the whole file"):
        read(whole[: len(whole) // 2])
    assert len(read(without_header(whole)[: len(whole) // 2])[0]) < 4.3 * RATE  # nobody can know
    wave, _, notes = read(whole[:-50])
    assert len(wave) > 7.9 * RATE
    assert re.fullmatch(r"its last [\d.]+ ms are lacking", *notes)


def test_an_mp3_that_is_too_long_is_refused_before_it_is_decoded(read, monkeypatch) -> None:
    bare = without_header(encoded(noise(8), "MP3"))
    monkeypatch.setattr(sounds, "MAX_SECONDS", 7)
    monkeypatch.setattr(sounds._Sound, "read", None)
    with pytest.raises(MediaError, match="longer than 7 seconds; cut out"):
        read(bare)


def test_recordings_that_are_too_long_together_are_refused(read, monkeypatch) -> None:
    monkeypatch.setattr(sounds, "MAX_SECONDS", 7)
    for kind in ("MP3", "OGG", "FLAC"):
        with pytest.raises(MediaError, match="longer than 7 seconds"):
            read(3 * encoded(noise(3), kind))


# Lengths of streams


LENGTHS = {
    "SoX": (0x7FFFF024, 0x7FFFF000),
    "arecord": (0x80000023, 0x7FFFFFFF),
    "largest": (0x7FFFFFFF, 0x7FFFFFFF),
    "half": (0x80000024, 0x80000000),
    "ffmpeg": (0xFFFFFFFF, 0xFFFFFFFF),
    "just under": (0xFFFFFFFF, 0xFFFFFFFF - 36),
    "nothing": (0, 0),
    "header only": (36, 0),
    "unknown and nothing": (0x7FFFF024, 0),
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_a_wav_of_unknown_length_is_read_to_its_end(read, lengths, subtype: str) -> None:
    whole = encoded(noise(1), "WAV", subtype=subtype)
    expected, _, notes = read(whole)
    assert notes == []
    riff, data = lengths
    place = whole.index(b"data") + 4
    stream = patched(whole, 4, struct.pack("<I", riff))
    wave, rate, notes = read(patched(stream, place, struct.pack("<I", data)))
    assert np.array_equal(wave, expected)
    assert (rate, notes) == (RATE, [sounds._NO_LENGTH[0]])


def test_a_wav_of_no_samples_has_none(read) -> None:
    none = encoded(noise(0), "WAV", subtype="PCM_16")
    for more in (b"", b"LIST\4\0\0\0INFO"):
        with pytest.raises(MediaError, match="no samples"):
            read(patched(none, 4, struct.pack("<I", len(none + more) - 8)) + more)


def test_an_aiff_of_unknown_length_is_read_to_its_end(read) -> None:
    whole = encoded(noise(1), "AIFF")
    frames, samples = whole.index(b"COMM") + 10, whole.index(b"SSND") + 4
    stream = patched(whole, 4, struct.pack(">I", 0x7FFFF024))
    stream = patched(stream, frames, struct.pack(">I", 0x3FFFF800))
    wave, _, notes = read(patched(stream, samples, struct.pack(">I", 0x7FFFF008)))
    assert np.array_equal(wave, read(whole)[0])
    assert notes == [sounds._NO_LENGTH[0]]


def test_a_flac_of_unknown_length_is_read_to_its_end(read, monkeypatch) -> None:
    whole = encoded(noise(3), "FLAC")
    facts = int.from_bytes(whole[18:26], "big")
    stream = patched(whole, 18, (facts >> 36 << 36).to_bytes(8, "big"))
    monkeypatch.setattr(sounds, "_BLOCK", 10_000)
    wave, _, notes = read(stream)
    assert np.array_equal(wave, read(whole)[0])
    assert notes == [sounds._NO_LENGTH[0]]
    monkeypatch.setattr(sounds, "MAX_SECONDS", 2)
    with pytest.raises(MediaError, match="longer than 2 seconds"):
        read(stream)


# Ends


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF", "RF64", "AU", "W64", "CAF"])
def test_a_hundredth_of_a_second_may_lack(read, kind: str) -> None:
    whole = encoded(noise(1), kind)
    assert read(whole)[2] == []
    wave, _, notes = read(whole[: -2 * RATE // 125])
    assert len(wave) == pytest.approx(RATE - RATE // 125, abs=5)  # 8 ms
    assert re.fullmatch(r"its last [78](\.\d)? ms are lacking", *notes)
    for lacking in (RATE // 100 + 3, RATE // 2):
        with pytest.raises(MediaError, match=r"cut off before its end; fetch|file is malformed"):
            read(whole[: -2 * lacking])


def without_end_mark(ogg: bytes) -> bytes:
    last = ogg.rindex(b"OggS")
    page = patched(patched(ogg[last:], 5, bytes([ogg[last + 5] & ~4])), 22, bytes(4))
    return ogg[:last] + patched(page, 22, struct.pack("<I", sounds._ogg_checksum(page)))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_without_the_mark_of_its_end_is_whole(read, subtype: str) -> None:
    whole = encoded(noise(6), "OGG", subtype=subtype)
    expected, _, notes = read(whole)
    assert notes == []
    open_end = without_end_mark(whole)
    assert open_end != whole
    wave, _, notes = read(open_end)
    assert np.array_equal(wave, expected)
    assert notes == ["its end is not marked: it was read to its last page"]
    with pytest.raises(MediaError, match="cut off before its end"):
        read(open_end[:-50])


@pytest.mark.parametrize(
    ("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16")]
)
def test_recordings_laid_end_to_end_are_read_one_after_the_other(read, kind, subtype) -> None:
    low, high = (
        encoded(wave, kind, subtype=subtype) for wave in (tone(2), tone(1, 880), )
    )  # fmt: skip
    wave, _, notes = read(low + high)
    assert len(wave) == 3 * RATE
    assert notes == ["it holds 2 recordings, read one after the other"]
    assert seconds_of(440, wave, RATE) == pytest.approx(2, abs=0.1)
    assert seconds_of(880, wave, RATE) == pytest.approx(1, abs=0.1)


# Channels


def test_channels_that_cancel_each_other(read) -> None:
    wave, quiet = tone(1), 0.001 * noise(1)
    for kind in ("WAV", "FLAC"):
        loud = np.stack([0.5 * wave, -wave, 0.5 * wave], axis=1)
        for channels in (loud, np.stack([wave + quiet, quiet - wave], axis=1)):
            mono, _, notes = read(encoded(channels, kind))
            assert notes == ["its channels cancel each other: the loudest is taken"]
            assert np.abs(mono).max() == pytest.approx(0.5, abs=1e-3)
    assert np.abs(read(encoded(loud, "FLAC"))[0] + wave).max() < 1e-3  # the second one
    for one in (np.stack([wave, 0 * wave], axis=1), np.stack([0 * wave] * 5 + [wave], axis=1)):
        mono, _, notes = read(encoded(one, "WAV"))
        assert notes == []
        assert np.abs(mono - wave / one.shape[1]).max() < 1e-3
    with pytest.raises(MediaError, match="silent"):
        read(encoded(np.zeros((99, 2)), "WAV"))


# Names


def test_a_sound_is_known_by_how_it_begins(tmp_path: Path, read) -> None:
    for kind in ("WAV", "RF64", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF"):
        (tmp_path / kind).write_bytes(encoded(tone(0.5), kind))
        assert is_sound(tmp_path / kind)
        assert len(read((tmp_path / kind).read_bytes(), "x.raw")[0]) == pytest.approx(RATE / 2)
    others = {
        "words": b"no sound at all",
        "utf-16": "\ufeffname".encode("utf-16-le") * 99,
        "m4a": b"\0\0\0\x20ftypM4A " + bytes(99),
        "tags": b"ID3\3\0\0\0\0\0\x7f" + bytes(500),
        "empty": b"",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert not is_sound(tmp_path / name), name
    assert not is_sound(tmp_path)
    assert not is_sound(tmp_path / "none")


def test_a_file_that_is_too_large_is_not_read(read, monkeypatch) -> None:
    content = encoded(noise(1), "FLAC")
    monkeypatch.setattr(sounds, "LARGEST", len(content) - 1)
    with pytest.raises(MediaError, match="more than the 0 MB that we decode; cut out"):
        read(content)

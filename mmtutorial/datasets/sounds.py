"""Sounds as files: how much of one is decoded, what is mended in reading, and what is refused.

What a header promises is compared with what is there: a recording that lacks a part is refused,
one whose length nobody wrote down is read to its end.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile

from mmtutorial.datasets.media import MediaError, is_file, trouble
from mmtutorial.quiet import MPG123, without_lines

MAX_SECONDS = 600  # of a recording
MAX_SAMPLES = 120_000_000  # of all channels together: ten minutes of stereo at 96 kHz, 480 MB
SILENCE = 1e-4  # of full scale, −80 dB: below it there is nothing but rounding
OPPOSITE = 0.01  # of the loudest channel: a quieter average means that channels cancel each other
LOUDEST = 1e10  # of full scale: 32-bit whole numbers fit below, squares of more leave float32
LACKING = 0.01  # seconds that a recording may lack at its end
STREAMED = 0x7FFF_F000  # bytes: a length that SoX and others write where they do not know it
LACKING_DECODED = 0.1  # as far as a decoder alone knows: a frame of MP3 has up to 72 ms
LARGEST = 4 * MAX_SAMPLES  # bytes of a file: hardly any format takes more for a sample
Notes = list[tuple[str, str]]  # what was mended in reading, and what may be done about it
_NO_LENGTH = (
    "its header does not say how long it is: it was read to its end",
    "if it ends too early, fetch the whole file",
)
_BACKWARDS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the bits of each byte
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")  # RIFF, fmt and data, one after the other
_SHORT = 2**20  # bytes: less than MAX_SECONDS of 16 bits at 1,000 Hz
_BLOCK = 2**20  # samples of each channel that are decoded at a time where their number is unknown
_PADDING = 4 * 1152  # samples that an MP3 may have more than its header says: of four frames
_PAGE = re.compile(rb"OggS\0(.)", re.DOTALL)
_XING = re.compile(rb"\xff[\xe2-\xff]..(?:..)?\0{9,32}(Xing|Info)", re.DOTALL)
_SIZES = re.compile(
    r"(?im)^ *(?:RIFF|FORM|data|SSND|Riff size|Data Size) *: (\d+) \(should be (\d+)\)"
)
_FLAC = re.compile(rb"fLaC[\0\x80]\0\0\x22")
_KNOWN = re.compile(  # how the files begin that we take for sounds whatever their name
    rb"RIFF....WAVE|RF64....WAVE|FORM....AIF[FC]|fLaC|OggS|\.snd|caff|ID3|"
    rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]",
    re.DOTALL,
)


def is_sound(path: str | Path) -> bool:
    """Say whether a file is a recording of a format that we read, by how it begins.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/hum", np.full(9, 0.5), 8000, format="FLAC")
    ...     is_sound(f"{folder}/hum"), is_sound(f"{folder}/none")
    (True, False)
    """
    try:
        with open(path, "rb") as file:
            if not _KNOWN.match(file.read(12)):
                return False
            file.seek(0)
            with without_lines(MPG123), soundfile.SoundFile(file):
                return True
    except (OSError, ValueError, soundfile.SoundFileError):
        return False


def read_sound(path: str | Path, notes: Notes | None = None) -> tuple[np.ndarray, int]:
    """Read a recording, its channels averaged: float32 (n_samples,), and its samples a second.

    Recordings laid end to end in one file are read one after the other. Where channels cancel each
    other, the loudest is taken.

    Parameters
    ----------
    path : path
        WAV, FLAC, Ogg, MP3 and whatever else libsndfile reads, by whatever name.
    notes : list, optional
        Receives what was mended or assumed, each as a message and a remedy.

    Raises
    ------
    MediaError
        Names the file: if it is empty, unreadable, damaged, cut off, silent, or holds NaN; if it is
        longer than `MAX_SECONDS`, holds more than `MAX_SAMPLES`, or is louder than `LOUDEST`.

    Examples
    --------
    >>> import tempfile
    >>> notes = []
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/hum.wav", np.tile([0.5, -0.5], (800, 1)), 8000)
    ...     wave, rate = read_sound(f"{folder}/hum.wav", notes)
    >>> wave.shape, wave.dtype, rate, notes[0][0]
    ((800,), dtype('float32'), 8000, 'its channels cancel each other: the loudest is taken')
    """
    notes = [] if notes is None else notes
    if plain := _plain_wav(path):
        return _checked(path, *plain, notes)
    try:
        if Path(path).stat().st_size > LARGEST:
            message = f"the file has more than the {LARGEST // 1_000_000} MB that we decode"
            raise MediaError(path, message, "cut out the part that matters")
        content = Path(path).read_bytes()
        mpeg = content.startswith((b"ID3", b"\xff"))
        with without_lines(MPG123) if mpeg else contextlib.nullcontext():
            samples, rate = _recordings(path, content, notes)
    except MediaError:
        raise
    except Exception as error:
        if is_file(path) and not Path(path).stat().st_size:
            raise MediaError(path, "the file is empty", "fetch or export it again") from error
        if failed := trouble(path, error):
            raise failed from error
        reason = getattr(error, "error_string", error)  # libsndfile's words, without the path
        raise MediaError(
            path, f"the sound cannot be read ({reason})", "save it again as WAV or FLAC"
        ) from error
    if not len(samples):
        raise MediaError(path, "the recording has no samples", "record or export it again")
    return _checked(path, samples, rate, notes)


def _plain_wav(path: str | Path) -> tuple[np.ndarray, int] | None:
    """Decode a short WAV that holds 16-bit samples, as its header says, and nothing else.

    Returns float32 (n_samples, channels) and the samples a second, both as libsndfile would, whose
    opening takes several times as long; None for any other file.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            content = file.read(_SHORT)
    except (OSError, ValueError):
        return None
    if len(content) <= _WAV_HEADER.size:
        return None
    riff, follow, *form, channels, rate, _, step, bits, data, size = _WAV_HEADER.unpack_from(
        content
    )
    if (
        (riff, *form, bits, data) != (b"RIFF", b"WAVE", b"fmt ", 16, 1, 16, b"data")
        or not follow + 8 == size + _WAV_HEADER.size == len(content)
        or channels not in (1, 2)
        or step != 2 * channels
        or size % step
        or not 1_000 <= rate <= 192_000
    ):
        return None
    samples = np.frombuffer(content, "<i2", offset=_WAV_HEADER.size).astype(np.float32)
    samples *= np.float32(2**-15)
    return samples.reshape(-1, channels), rate


def _checked(
    path: str | Path, samples: np.ndarray, rate: int, notes: Notes
) -> tuple[np.ndarray, int]:
    """Average the channels; refuse what is silent, far too loud or no number."""
    peak = np.abs(samples).max()
    if not np.isfinite(peak):
        raise MediaError(path, "the recording holds NaN or infinity", "export it again")
    if peak > LOUDEST:
        raise MediaError(
            path,
            f"the recording is louder than {LOUDEST:.0e} times full scale",
            "export it again with samples between -1 and 1",
        )
    if peak < SILENCE:
        raise MediaError(
            path, "the recording is silent", "record it again, or leave the item without sound"
        )
    if samples.shape[1] == 1:
        return samples[:, 0], rate
    wave = samples.mean(axis=1)
    if np.abs(wave).max() < OPPOSITE * peak:
        wave = samples[:, np.square(samples, dtype=np.float64).sum(axis=0).argmax()]
        message = "its channels cancel each other: the loudest is taken"
        notes.append((message, "check how its cables or channels are connected"))
    return wave, rate


def _recordings(path: str | Path, content: bytes, notes: Notes) -> tuple[np.ndarray, int]:
    """Decode all recordings that a file holds, of which libsndfile knows the first alone.

    Returns float32 (n_samples, channels), or (n_samples, 1) where they differ in their channels,
    and the samples a second.
    """
    starts = _starts(content)
    if len(starts) == 1:
        return _recording(path, content, notes)
    parts: list[np.ndarray] = []
    rates, length = set(), 0
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        samples, rate = _recording(path, content[start:end], notes)
        length += len(samples)
        _check_length(path, length, rate, samples.shape[1])
        parts.append(samples)
        rates.add(rate)
    if len(rates) > 1:
        message = f"it holds recordings of {' and '.join(map(str, sorted(rates)))} samples a second"
        raise MediaError(path, message, "save them as one recording, or as several files")
    if len({part.shape[1] for part in parts}) > 1:
        parts = [part.mean(axis=1, keepdims=True) for part in parts]
    message = f"it holds {len(parts)} recordings, read one after the other"
    notes.append((message, "cut out one if that is not meant"))
    return np.concatenate(parts), rates.pop()


def _starts(content: bytes) -> list[int]:
    """Return where the recordings in a file begin; the first with what stands before it, at 0."""
    begin = _after_tags(content)
    head = content[begin : begin + 4]
    found: list[int] = []
    if head == b"OggS":
        first = False  # whether the page before is a first one too, of a parallel stream
        for page in _PAGE.finditer(content):
            if page[1][0] & 2 and not first:
                found.append(page.start())
            first = bool(page[1][0] & 2)
    elif head == b"fLaC":
        found = [place.start() for place in _FLAC.finditer(content)]
    elif head[:1] == b"\xff":
        found = [place.start() for place in _XING.finditer(content)]
        if found and found[0] > begin + 4096:  # one without a header comes first
            found = [0, *found]
    return [0, *found[1:]]


def _after_tags(content: bytes) -> int:
    """Return where the sound begins behind tags (ID3) that stand first."""
    begin = 0
    while content[begin : begin + 3] == b"ID3" and begin + 10 <= len(content):
        size = 0
        for byte in content[begin + 6 : begin + 10]:
            size = size << 7 | byte & 127
        begin += size + (20 if content[begin + 5] & 16 else 10)  # a footer, or none
    return begin


def _recording(path: str | Path, content: bytes, notes: Notes) -> tuple[np.ndarray, int]:
    """Decode one recording: float32 (n_samples, channels), and its samples a second."""
    if content[:4] == b"OggS":
        if _has_bad_pages(content):
            raise MediaError(
                path, "a part of the recording is damaged or missing", "fetch or export it again"
            )
        content = _with_last_page(path, content, notes)
    with _Sound(io.BytesIO(content)) as sound:
        if not sound.frames and (whole := _with_length(content)):
            return _recording(path, whole, notes)
        if sound.format == "MP3" and (mended := _mpeg(path, content, sound.frames, notes)):
            return mended
        samples = _samples(path, sound, notes)
        _check_end(path, sound, len(samples), notes)
        return samples, sound.samplerate


class _Sound(soundfile.SoundFile):
    """A recording that is read forwards alone: where its length is unknown, none can be sought."""

    def seekable(self) -> bool:
        """Let nothing be sought."""
        return False


def _samples(path: str | Path, sound: soundfile.SoundFile, notes: Notes) -> np.ndarray:
    """Decode what an opened file holds: float32 (n_samples, channels)."""
    if sound.frames < 2**60:
        _check_length(path, sound.frames, sound.samplerate, sound.channels)
        return sound.read(sound.frames, dtype="float32", always_2d=True)
    parts = [np.empty((0, sound.channels), np.float32)]  # FLAC from a pipe does not say its length
    length = 0
    while len(part := sound.read(_BLOCK, dtype="float32", always_2d=True)):
        length += len(part)
        _check_length(path, length, sound.samplerate, sound.channels)
        parts.append(part)
    notes.append(_NO_LENGTH)
    return np.concatenate(parts)


def _check_length(path: str | Path, length: int, rate: int, channels: int) -> None:
    """Refuse a recording of more samples than we decode, ``length`` in each channel."""
    if length > MAX_SECONDS * rate:
        raise MediaError(
            path,
            f"the recording is longer than {MAX_SECONDS} seconds",
            "cut out the part that matters",
        )
    if length * channels > MAX_SAMPLES:
        raise MediaError(
            path,
            f"the recording has {length} samples in {channels} channels, more than "
            f"the {MAX_SAMPLES // 1_000_000} million that we decode",
            "save it with fewer channels, or fewer samples a second",
        )


def _check_end(path: str | Path, sound: soundfile.SoundFile, length: int, notes: Notes) -> None:
    """Refuse a recording that lacks its end, by the samples or by the bytes that are promised.

    ``length`` samples of each channel were decoded. libsndfile logs each number of bytes in a
    header that the file does not have, with the number that it has.
    """
    sizes = [(int(promised), int(there)) for promised, there in _SIZES.findall(sound.extra_info)]
    if any(promised >= STREAMED for promised, _ in sizes):
        notes.append(_NO_LENGTH)
    lacking = max([promised - there for promised, there in sizes if promised < STREAMED] or [0])
    content = min([there for _, there in sizes] or [0])  # bytes of the samples, or a few more
    lost = max(0, lacking) * length / max(1, content) / sound.samplerate
    undecoded = max(0, sound.frames - length) / sound.samplerate if sound.frames < 2**60 else 0.0
    if lost >= LACKING or undecoded >= LACKING_DECODED:
        raise _cut_off(path)
    lost = max(lost, undecoded)
    if lost * sound.samplerate >= 1:
        notes.append((f"its last {1000 * lost:.2g} ms are lacking", "fetch the whole file"))


def _cut_off(path: str | Path) -> MediaError:
    return MediaError(path, "the recording is cut off before its end", "fetch the whole file")


def _with_length(content: bytes) -> bytes:
    """Let a WAV be read to its end whose header has 0 for its length; nothing if it is none."""
    place = content.find(b"data\0\0\0\0", 12, 4096)
    promised = int.from_bytes(content[4:8], "little")
    follows = place + 8 < 8 + promised < STREAMED  # another part, behind no samples
    if content[:4] != b"RIFF" or place < 0 or place + 8 >= len(content) or follows:
        return b""
    return content[: place + 4] + b"\xff" * 4 + content[place + 8 :]


class _Unsized(io.BytesIO):
    """Bytes whose number is not told, so that libsndfile counts the frames of an MP3 in them."""

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place; where the end is asked for, stay."""
        return self.tell() if whence == io.SEEK_END else super().seek(place, whence)


def _mpeg(
    path: str | Path, content: bytes, promised: int, notes: Notes
) -> tuple[np.ndarray, int] | None:
    """Decode an MP3 by its frames, where no header counts them, or one that counts too few.

    libsndfile computes ``promised`` from a header (Xing, Info), or else from the size of the first
    frames, which is far off where the bit rate varies; and it reads no further. None where the
    header counts enough: libsndfile then leaves out what the encoder added at both ends.
    """
    begin = _after_tags(content)
    kept = bytearray(content[begin:])
    header = _XING.search(kept, 0, 4096)
    if header:
        kept[header.start(1) : header.end(1)] = bytes(4)  # it becomes a frame of silence
    stream = _Unsized(kept)
    with _Sound(stream) as sound:
        if header and sound.frames <= promised + _PADDING:
            return None
        samples, rate = _samples(path, sound, notes), sound.samplerate
    if header:
        message = f"it is longer than the {promised / rate:.1f} s of its header: all was read"
        notes.append((message, "save it again, so that others read all of it too"))
    if stream.tell() < 0.9 * len(kept):
        message = f"behind {len(samples) / rate:.1f} s of sound something follows that is not read"
        notes.append((message, "if more of it is sound, save it again"))
    return samples, rate


def _with_last_page(path: str | Path, content: bytes, notes: Notes) -> bytes:
    """Mark the last page of an Ogg file as the last; refuse a file that ends within a page."""
    last = content.rfind(b"OggS", max(0, len(content) - 70_000))  # a page has 65,307 bytes at most
    page = content[last:]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    size = 27 + len(lengths) + sum(lengths)
    if len(page) < size or len(lengths) != page[26]:
        raise _cut_off(path)
    if page[5] & 4:
        return content
    message = "its end is not marked: it was read to its last page"
    notes.append((message, "if it ends too early, fetch the whole file"))
    page = page[:5] + bytes([page[5] | 4]) + page[6:22] + bytes(4) + page[26:size]
    checksum = struct.pack("<I", _ogg_checksum(page))
    return content[:last] + page[:22] + checksum + page[26:]


def _has_bad_pages(pages: bytes) -> bool:
    """Say whether pages within an Ogg file are damaged or missing: libsndfile passes over them.

    A page tells its number within its stream, and its checksum (RFC 3533, section 6).
    """
    due: dict[int, int] = {}  # the number of each stream's next page
    start = 0
    while 0 <= start < len(pages) - 27:
        stream, number, checksum, n_pieces = struct.unpack_from("<14xIIIB", pages, start)
        body = start + 27 + n_pieces
        end = body + sum(pages[start + 27 : body])
        if end > len(pages):
            break  # it is cut off there
        page = pages[start : start + 22] + bytes(4) + pages[start + 26 : end]
        if _ogg_checksum(page) != checksum or number != due.get(stream, number):
            return True
        due[stream] = number + 1
        start = pages.find(b"OggS", end)
    return False


def _ogg_checksum(page: bytes) -> int:
    """Return the CRC-32 that Ogg uses: zlib's, but highest bit first and without its inversions.

    >>> hex(_ogg_checksum(b"123456789"))
    '0x89a1897f'
    """
    inverted = zlib.crc32(page.translate(_BACKWARDS), 0xFFFFFFFF)
    return int(f"{inverted ^ 0xFFFFFFFF:032b}"[::-1], 2)

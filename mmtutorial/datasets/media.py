"""Pictures and sounds as files: how much of one is decoded, and what is refused.

The limits bound the memory and the time that one file can cost, whatever its header promises. They
hold alike where a data set is checked and where it is encoded.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from PIL import Image, ImageOps

from mmtutorial.quiet import MPG123, without_lines

MAX_PIXELS = 80_000_000  # of a picture: 240 MB decoded
MAX_SECONDS = 600  # of a recording
MAX_SAMPLES = 120_000_000  # of all channels together: ten minutes of stereo at 96 kHz, 480 MB
SILENCE = 1e-4  # of full scale, −80 dB: below it there is nothing but rounding
_BACKWARDS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the bits of each byte
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")  # RIFF, fmt and data, one after the other
_SHORT = 2**20  # bytes: less than MAX_SECONDS of 16 bits at 1,000 Hz
LOUDEST = 1e10  # of full scale: 32-bit whole numbers fit below, squares of more leave float32


class MediaError(ValueError):
    """A picture or recording that cannot be used: which, what is wrong, and what to do.

    ``lasting`` says whether it is the file's own fault, and will be so the next time.

    >>> print(MediaError("images/p7.jpg", "the file is empty", "export it again"))
    images/p7.jpg: the file is empty; export it again
    """

    def __init__(self, file: str | Path, message: str, remedy: str, lasting: bool = True) -> None:
        super().__init__(str(file), message, remedy, lasting)
        self.file, self.message, self.remedy = str(file), message, remedy
        self.lasting = lasting

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.file}: {self.message}; {self.remedy}"


def trouble(path: str | Path, error: Exception) -> MediaError | None:
    """Say that reading failed for lack of memory or for the system's sake, not for the file's.

    >>> trouble("p7.jpg", MemoryError()).lasting
    False
    >>> trouble("p7.jpg", ValueError("bad header")) is None
    True
    """
    if isinstance(error, MemoryError):
        return MediaError(path, "there was not enough memory for it", "try again", lasting=False)
    if isinstance(error, OSError) and error.errno:
        reason = os.strerror(error.errno)
        return MediaError(path, f"it could not be read ({reason})", "try again", lasting=False)
    return None


def is_file(path: str | Path) -> bool:
    """Say whether a path leads to a file; False also for a name that no system takes.

    >>> is_file("x" * 5000), is_file("a\\0b")
    (False, False)
    """
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def check_picture(path: str | Path, picture: Image.Image) -> None:
    """Refuse a picture that has been opened, before it is decoded.

    Raises
    ------
    MediaError
        If it has more than `MAX_PIXELS`, or is a PostScript file: that is a program, which Pillow
        would have run.
    """
    if picture.width * picture.height > MAX_PIXELS:
        raise too_large(path, f"{picture.width} by {picture.height} pixels, ")
    if picture.format == "EPS":
        raise MediaError(
            path, "PostScript is a program, and not run", "save the picture as PNG or JPEG"
        )


def to_rgb(picture: Image.Image) -> Image.Image:
    """Decode a picture that has been opened: upright, as RGB, transparent parts white.

    Raises ValueError for pixels of more than 16 bits or of fractions, and whatever Pillow raises
    for a damaged file.

    >>> to_rgb(Image.new("L", (4, 3), 200)).getpixel((0, 0))
    (200, 200, 200)
    """
    image = ImageOps.exif_transpose(picture)
    if image.mode == "F":
        raise ValueError("its pixels are fractions, and nobody knows of what")
    if image.mode.startswith("I"):  # 16 bits a pixel; a plain conversion would clip at 255
        deep = np.asarray(image, dtype=np.float64)
        if deep.min() < 0 or deep.max() > 65_535:
            raise ValueError("its pixels have more than 16 bits")
        image = Image.fromarray(np.uint8(np.clip(deep / 257 + 0.5, 0, 255)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def too_large(path: str | Path, size: str = "") -> MediaError:
    """Say that a picture has more pixels than we decode."""
    most = f"more than the {MAX_PIXELS // 1_000_000} million {'' if size else 'pixels '}"
    return MediaError(path, f"the picture has {size}{most}that we decode", "save it smaller")


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """Read a recording, its channels averaged: float32 (n_samples,), and its samples a second.

    Raises
    ------
    MediaError
        Names the file: if it is empty, unreadable, damaged, cut off, silent, or holds NaN; if it is
        longer than `MAX_SECONDS`, holds more than `MAX_SAMPLES`, or is louder than `LOUDEST`.
    """
    if plain := _plain_wav(path):
        return _checked(path, *plain)
    try:
        with without_lines(MPG123), soundfile.SoundFile(path) as file:
            rate, promised = file.samplerate, file.frames
            if promised > MAX_SECONDS * rate:
                raise MediaError(
                    path,
                    f"the recording is longer than {MAX_SECONDS} seconds",
                    "cut out the part that matters",
                )
            if promised * file.channels > MAX_SAMPLES:
                raise MediaError(
                    path,
                    f"the recording has {promised} samples in {file.channels} channels, more than "
                    f"the {MAX_SAMPLES // 1_000_000} million that we decode",
                    "save it with fewer channels, or fewer samples a second",
                )
            samples = file.read(dtype="float32", always_2d=True)
        with open(path, "rb") as raw:
            cut = promised - len(samples) > rate // 10 or _ends_early(raw)
            damaged = _has_bad_pages(raw)
    except MediaError:
        raise
    except Exception as error:  # soundfile takes a name such as x.raw for a mistake of its caller
        if is_file(path) and not Path(path).stat().st_size:
            raise MediaError(path, "the file is empty", "fetch or export it again") from error
        if told := trouble(path, error):
            raise told from error
        reason = getattr(error, "error_string", error)  # libsndfile's words, without the path
        raise MediaError(
            path, f"the sound cannot be read ({reason})", "save it again as WAV or FLAC"
        ) from error
    if not len(samples):
        raise MediaError(path, "the recording has no samples", "record or export it again")
    if damaged:
        raise MediaError(
            path, "a part of the recording is damaged or missing", "fetch or export it again"
        )
    if cut:
        raise MediaError(path, "the recording is cut off before its end", "fetch the whole file")
    return _checked(path, samples, rate)


def _plain_wav(path: str | Path) -> tuple[np.ndarray, int] | None:
    """Decode a short WAV that holds 16-bit samples, as its header says, and nothing else.

    Returns float32 (n_samples, channels) and the samples a second, both as libsndfile would, whose
    opening takes several times as long; None for any other file. soundfile refuses x.raw: by name.
    """
    if not str(path).lower().endswith(".wav"):
        return None
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


def _checked(path: str | Path, samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
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
    mono = samples.shape[1] == 1
    wave = samples[:, 0] if mono else samples.mean(axis=1)
    if (peak if mono else np.abs(wave).max()) < SILENCE:
        raise MediaError(
            path, "the recording is silent", "record it again, or leave the item without sound"
        )
    return wave, rate


def _ends_early(file: BinaryIO) -> bool:
    """Say whether a WAV, AIFF or Ogg file ends before it should: libsndfile reads what is left.

    A WAV that was written as a stream does not know its length (all ones), and is whole.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(8)
    if head[:4] in (b"RIFF", b"FORM"):
        told = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return told != 0xFFFFFFFF and told + 8 > size
    if head[:4] != b"OggS":
        return False
    file.seek(max(0, size - 70_000))  # a page of Ogg has 65,307 bytes at most
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) >= 27 + len(lengths) + sum(lengths) and len(lengths) == page[26]
    return not (whole and page[5] & 4)  # 4 marks the last page


def _has_bad_pages(file: BinaryIO) -> bool:
    """Say whether pages within an Ogg file are damaged or missing: libsndfile passes over them.

    A page tells its number within its stream, and its checksum (RFC 3533, section 6).
    """
    file.seek(0)
    if file.read(4) != b"OggS":
        return False
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        due: dict[int, int] = {}  # the number of each stream's next page
        start = 0
        while 0 <= start < len(pages) - 27:
            stream, number, told, n_pieces = struct.unpack_from("<14xIIIB", pages, start)
            body = start + 27 + n_pieces
            end = body + sum(pages[start + 27 : body])
            if end > len(pages):
                break  # it is cut off there
            page = pages[start : start + 22] + bytes(4) + pages[start + 26 : end]
            if _ogg_checksum(page) != told or number != due.get(stream, number):
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

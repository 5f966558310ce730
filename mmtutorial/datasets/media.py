"""Pictures as files: how much of one is decoded, and what is refused; see `sounds` for sounds.

The limits bound the memory and the time that one file can cost, whatever its header promises. They
hold alike where a data set is checked and where it is encoded.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 80_000_000  # of a picture: 240 MB decoded
FORMATS = (  # that we take for pictures whatever their name; how these begin is plain
    *("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "PSD", "QOI"),
    *("TIFF", "WEBP"),
)


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


def readable(name: str | Path) -> str:
    """Return a file's name for people: where its bytes are no UTF-8, as GB18030 or as escapes.

    >>> readable(os.fsdecode("商品.jpg".encode("gbk")))
    '商品.jpg'
    """
    content = str(name).encode("utf-8", "surrogateescape" if os.name == "posix" else "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8", "backslashreplace")


def is_picture(path: str | Path) -> bool:
    """Say whether a file is a picture of a format that we read, by how it begins.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3)).save(f"{folder}/grey.jfif")
    ...     is_picture(f"{folder}/grey.jfif"), is_picture(f"{folder}/none")
    (True, False)
    """
    Image.init()
    formats = [each for each in FORMATS if each in Image.OPEN]
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=formats):
            return True
    except Exception:  # damaged files make Pillow's plug-ins raise nearly anything
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

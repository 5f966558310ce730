"""Pictures, step by step: read, denoise, resize, scale (article, section 3.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, UnidentifiedImageError

from mmtutorial.datasets.faults import Fault
from mmtutorial.datasets.media import (
    MediaError,
    check_picture,
    is_file,
    to_rgb,
    too_large,
    trouble,
)
from mmtutorial.preprocessing.file_cache import blocks, encode_files, scratch_array
from mmtutorial.storage.files import expanded

SIZE = 32


def load_image(path: str | Path, at_least: int | None = None) -> Image.Image:
    """Read a picture as people see it: upright, in red, green and blue.

    The camera's note on how it was held (EXIF) is obeyed. Palettes, CMYK and grey become RGB,
    16 bits become 8, transparent parts become white, and of an animation the first frame is taken.

    Parameters
    ----------
    path : path
        Any format that Pillow reads.
    at_least : int, optional
        Pixels that both sides are needed to have. A much larger JPEG is then decoded at a half, a
        quarter or an eighth of its size, which is several times as fast.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    MediaError
        Names the file: if it is empty, cut off, no picture, of more than 16 bits or of fractions,
        or is refused by `mmtutorial.datasets.media.check_picture`, whatever its header promises.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3), 200).save(f"{folder}/grey.png")
    ...     picture = load_image(f"{folder}/grey.png")
    >>> picture.mode, picture.size
    ('RGB', (4, 3))
    """
    path = expanded(path)
    try:
        with Image.open(path) as image:
            check_picture(path, image)
            if at_least:
                image.draft(None, (at_least, at_least))
            return to_rgb(image)
    except MediaError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, met while it opens
        raise too_large(path) from error
    except Exception as error:  # damaged files make Pillow's plug-ins raise nearly anything
        if is_file(path) and not path.stat().st_size:
            raise MediaError(path, "the file is empty", "fetch or export it again") from error
        if fault := trouble(path, error):
            raise fault from error
        reason = "of no format that we know" if isinstance(error, UnidentifiedImageError) else error
        raise MediaError(
            path, f"the picture cannot be read ({reason})", "open it in a viewer and save it again"
        ) from error


def denoise(picture: Image.Image) -> Image.Image:
    """Replace each pixel by the median of the 3 × 3 around it, channel by channel.

    A median takes out single wrong pixels ("salt and pepper") and keeps edges, where a mean would
    blur both (Tukey, "Exploratory Data Analysis", 1977). Fine texture goes with the noise.

    >>> picture = Image.new("RGB", (5, 5))
    >>> picture.putpixel((2, 2), (255, 255, 255))
    >>> denoise(picture).getpixel((2, 2))
    (0, 0, 0)
    """
    return picture.filter(ImageFilter.MedianFilter(3))


def resize(picture: Image.Image, size: int = SIZE) -> Image.Image:
    """Fit a picture into a square, whole and undistorted, on white.

    A product fills its picture: a crop would cut off the hem of a dress, and stretching would
    make a skirt of it. So the longer side becomes ``size`` and the rest is filled with white, the
    background of shops. Lanczos' filter averages over all pixels it merges, so that nothing
    flickers (no aliasing).

    >>> resize(Image.new("RGB", (40, 20)), 8).getpixel((0, 0))
    (255, 255, 255)
    """
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    fitted = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    square = Image.new("RGB", (size, size), "white")
    square.paste(fitted, ((size - width) // 2, (size - height) // 2))
    return square


def normalise(pictures: np.ndarray) -> np.ndarray:
    """Scale pixels from 0…255 to 0…1, float32: the range in which networks start well.

    For mean 0 and deviation 1 in each channel, see `mmtutorial.preprocessing.reduce.standardise`.

    >>> normalise(np.array([0, 51, 255], dtype=np.uint8))
    array([0. , 0.2, 1. ], dtype=float32)
    """
    scaled = scratch_array(pictures.shape, np.float32)
    for some in blocks(pictures, scaled):
        np.divide(pictures[some], np.float32(255), out=scaled[some])
    return scaled


def encode_picture(path: str | Path, size: int, denoised: bool) -> np.ndarray:
    """Take one file through the steps: uint8 (size, size, 3). Raises `MediaError`."""
    picture = load_image(path, at_least=None if denoised else 2 * size)
    return np.asarray(resize(denoise(picture) if denoised else picture, size))


def encode_images(
    paths: Sequence[str | Path | None],
    size: int = SIZE,
    denoise: bool = False,
    jobs: int | None = None,
    cache: str | Path | None = None,
) -> tuple[np.ndarray, np.ndarray, list[Fault]]:
    """Encode a catalogue's pictures: read, denoise, resize, scale. Kept by content.

    Parameters
    ----------
    paths : sequence
        One an item, None or "" where it has no picture.
    size : int
        Pixels a side.
    denoise : bool
        Whether to filter each picture, before it is made small.
    jobs, cache
        As in `mmtutorial.preprocessing.file_cache.encode_files`.

    Returns
    -------
    pictures : ndarray
        float32 (n, size, size, 3), in 0…1; zeros where there is no picture.
    present : ndarray
        bool (n,).
    faults : list of Fault
        One a picture that cannot be used; it counts as absent.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (40, 40), "red").save(f"{folder}/red.png")
    ...     pictures, present, faults = encode_images([f"{folder}/red.png", None], cache=folder)
    >>> pictures.shape, pictures[0, 16, 16].tolist(), present.tolist(), faults
    ((2, 32, 32, 3), [1.0, 0.0, 0.0], [True, False], [])
    """
    pixels, present, faults = encode_files(
        encode_picture,
        paths,
        (size, size, 3),
        np.uint8,
        {"size": size, "denoised": denoise},
        libraries=["Pillow"],
        jobs=jobs,
        cache=cache,
        description="Reading the pictures",
    )
    return normalise(pixels), present, faults

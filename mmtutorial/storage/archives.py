"""Zip archives, read to their end before anybody uses a part of them."""

from __future__ import annotations

import zipfile

BLOCK = 1 << 20  # bytes that are read at a time


def check_archive(archive: zipfile.ZipFile, unfolded: int = 0) -> None:
    """Read every part of an archive to its end, so that no flipped bit is overlooked.

    A part's checksum (CRC-32) is compared only when its last byte is read, and not at all once
    somebody has jumped within it, as readers of HDF5 do.

    Parameters
    ----------
    archive : ZipFile
        Open for reading.
    unfolded : int
        Bytes that the compressed parts may come to, all together. With 0, no part may be
        compressed: then none is larger than the archive itself.

    Raises
    ------
    ValueError
        If a part is compressed, and may not be, or the parts come to more than is allowed.
    zipfile.BadZipFile
        If a part is damaged.

    Examples
    --------
    >>> import io
    >>> memory = io.BytesIO()
    >>> with zipfile.ZipFile(memory, "w") as archive:
    ...     archive.writestr("part", b"abc")
    >>> damaged = io.BytesIO(memory.getvalue().replace(b"abc", b"abd"))
    >>> check_archive(zipfile.ZipFile(damaged))
    Traceback (most recent call last):
    zipfile.BadZipFile: Bad CRC-32 for file 'part'
    """
    parts = archive.infolist()
    compressed = [part for part in parts if part.compress_type != zipfile.ZIP_STORED]
    if compressed and not unfolded:
        raise ValueError(f"{compressed[0].filename!r} is compressed, which save never does")
    size = sum(part.file_size for part in compressed)
    if size > unfolded:
        raise ValueError(f"it would unfold to {size:,} bytes, more than {unfolded:,}")
    for part in parts:
        with archive.open(part) as content:
            while content.read(BLOCK):
                pass

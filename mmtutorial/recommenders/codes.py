"""Vectors in fewer bytes: half precision, 8-bit integers, product codes and signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

_PART = 2  # numbers of a vector that share one product code
_CENTRES = 16  # of a part: its code takes 4 bits, so that two of them fill a byte
_LEARNT_ON = 20_000  # vectors from which centres are learnt, at most

Parts = Mapping[str, np.ndarray]


class Quantised(NamedTuple):
    """Rows of whole numbers, each with a scale and a zero point."""

    codes: np.ndarray  # uint8 (n, d)
    scale: np.ndarray  # float32 (n, 1)
    zero: np.ndarray  # uint8 (n, 1): the code that stands for 0.0


def quantise(rows: np.ndarray, bits: int = 8) -> Quantised:
    r"""Round each row to whole numbers by a scale and a zero point of its own (eq-affine).

    .. math:: c = \operatorname{round}(x / s) + z, \qquad \hat x = s\,(c - z)

    The range of a row includes 0, which is represented exactly. One level stays spare, so that
    nothing is cut off and :math:`\lvert \hat x - x \rvert \le s / 2` always.

    Parameters
    ----------
    rows : ndarray
        float (n, d).
    bits : int
        2 to 8.

    Returns
    -------
    Quantised
        `restored` turns it back into numbers.

    Raises
    ------
    ValueError
        For another number of bits, or rows that are not finite.

    References
    ----------
    Jacob et al. (2018), Quantization and training of neural networks for efficient
    integer-arithmetic-only inference, equation 1.

    Examples
    --------
    >>> found = quantise(np.array([[-1.0, 0.0, 0.3, 1.54]]))
    >>> found.codes.tolist(), round(float(found.scale[0, 0]), 4), found.zero.tolist()
    ([[0, 100, 130, 254]], 0.01, [[100]])
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits is {bits}; a code has 2 to 8")
    if not np.isfinite(rows).all():
        raise ValueError("the rows hold NaN or infinity, which no scale can represent")
    low = np.minimum(rows.min(axis=1, keepdims=True, initial=0.0), 0.0)
    high = np.maximum(rows.max(axis=1, keepdims=True, initial=0.0), 0.0)
    scale = ((high - low) / (2**bits - 2)).astype(np.float32)
    scale[scale == 0] = 1.0  # a row of zeros
    zero = np.round(-low / scale)
    codes = np.clip(np.round(rows / scale) + zero, 0, 2**bits - 1)
    return Quantised(codes.astype(np.uint8), scale, zero.astype(np.uint8))


def restored(found: Quantised) -> np.ndarray:
    """Return the numbers that codes stand for: float32 (n, d).

    >>> restored(quantise(np.array([[0.0, 2.54]]))).tolist()
    [[0.0, 2.5399999618530273]]
    """
    whole = found.codes.astype(np.float32) - found.zero
    return np.asarray(found.scale * whole, dtype=np.float32)


def product_codes(rows: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Cut vectors into pairs of numbers, and name each pair by the nearest of 16 centres.

    Parameters
    ----------
    rows : ndarray
        float (n, d).
    seed : int
        Of k-means, which learns the centres of each pair from at most 20,000 rows.

    Returns
    -------
    dict
        "codes", uint8 (n, ⌈d/4⌉), two codes a byte; "centres", float16 (⌈d/2⌉, 16, 2); "length",
        d. `from_product_codes` turns it back into vectors.

    References
    ----------
    Jégou, Douze and Schmid (2011), Product quantization for nearest neighbor search.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]])
    >>> from_product_codes(product_codes(rows)).tolist()
    [[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]]
    """
    from sklearn.cluster import KMeans

    n, length = rows.shape
    padded = np.pad(rows, ((0, 0), (0, -length % _PART))).astype(np.float32)
    parts = padded.reshape(n, -1, _PART).swapaxes(0, 1)  # (parts, n, 2)
    centres = np.zeros((len(parts), _CENTRES, _PART), np.float16)
    codes = np.zeros((n, len(parts) + len(parts) % 2), np.uint8)
    some = np.random.default_rng(seed).permutation(n)[:_LEARNT_ON]
    for number, part in enumerate(parts):
        count = min(_CENTRES, len(np.unique(part[some], axis=0)))
        means = KMeans(count, n_init=1, random_state=seed).fit(part[some])
        centres[number, :count] = means.cluster_centers_
        codes[:, number] = means.predict(part)
    packed = codes[:, ::2] << 4 | codes[:, 1::2]
    return {"codes": packed, "centres": centres, "length": np.array(length)}


def from_product_codes(parts: Parts) -> np.ndarray:
    """Put vectors together again from the centres that their codes name: float32 (n, d)."""
    centres = parts["centres"].astype(np.float32)
    packed = parts["codes"]
    codes = np.stack([packed >> 4, packed & 15], axis=2).reshape(len(packed), -1)
    rows = centres[np.arange(len(centres)), codes[:, : len(centres)]]
    return rows.reshape(len(packed), -1)[:, : int(parts["length"])]


def _from_signs(parts: Parts) -> np.ndarray:
    length = int(parts["length"])
    positive = np.unpackbits(parts["codes"], axis=1, count=length).astype(np.float32)
    return np.asarray((2 * positive - 1) * parts["size"].astype(np.float32))


def _signs(rows: np.ndarray) -> dict[str, np.ndarray]:
    """One bit a number; the mean size of a row, which is the best factor of its signs."""
    size = np.abs(rows).mean(axis=1, keepdims=True)
    packed = np.packbits(rows > 0, axis=1)
    return {"codes": packed, "size": size.astype(np.float16), "length": np.array(rows.shape[1])}


Encode = Callable[[np.ndarray], dict[str, np.ndarray]]
Decode = Callable[[Parts], np.ndarray]
CODES: dict[str, tuple[Encode, Decode]] = {
    "float32": (
        lambda rows: {"rows": rows.astype(np.float32)},
        lambda parts: parts["rows"],
    ),
    "float16": (
        lambda rows: {"rows": rows.astype(np.float16)},
        lambda parts: parts["rows"].astype(np.float32),
    ),
    "int8": (
        lambda rows: quantise(rows)._asdict(),
        lambda parts: restored(Quantised(**parts)),
    ),
    "product": (product_codes, from_product_codes),
    "signs": (_signs, _from_signs),
}


def pack_texts(texts: np.ndarray) -> dict[str, np.ndarray]:
    """Write an array of texts as UTF-8, one after the other; NumPy's own takes 4 bytes a letter.

    >>> unpack_texts(pack_texts(np.array(["tea", "茶"]))).tolist()
    ['tea', '茶']
    """
    written = [str(each).encode("utf-8", "surrogatepass") for each in texts]
    sizes = np.array([len(each) for each in written], dtype=np.int64)
    return {"letters": np.frombuffer(b"".join(written), np.uint8), "sizes": narrow(sizes)}


def unpack_texts(parts: Parts) -> np.ndarray:
    """Read what `pack_texts` wrote: str (n,)."""
    ends = np.cumsum(parts["sizes"], dtype=np.int64)
    letters = parts["letters"].tobytes()
    starts = [0, *ends[:-1]] if len(ends) else []
    texts = [
        letters[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True)
    ]
    return np.array(texts, dtype=str)


def narrow(whole: np.ndarray) -> np.ndarray:
    """Write whole numbers from 0 on in the fewest bytes that hold the largest.

    >>> narrow(np.array([3, 700])).dtype
    dtype('uint16')
    """
    return whole.astype(np.min_scalar_type(int(whole.max(initial=0))))

"""Reduce the dimension of each kind of data (article, section 3.2.1), and standardise it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from mmtutorial.preprocessing.file_cache import blocks, scratch_array


def reduce(
    features: np.ndarray | sparse.csr_array,
    n_components: int,
    present: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, PCA | TruncatedSVD]:
    """Describe each row by its coordinates along the directions of most variance.

    An array (pictures, summaries of sounds) goes through PCA: the mean is taken off, then the
    singular vectors are found. A sparse matrix must not lose its zeros, so it goes through a
    truncated singular value decomposition without taking off the mean: for `tf_idf` that is
    latent semantic analysis (Deerwester et al., 1990), for ``interactions.matrix.T`` it gives
    each item a vector of who took it (PureSVD; Cremonesi, Koren & Turrin, RecSys 2010).

    Parameters
    ----------
    features : ndarray or csr_array
        (n, ...); an array with more than two axes is flattened row by row.
    n_components : int
        Length of the new vectors.
    present : ndarray, optional
        bool (n,). Other rows are not learnt from, and come out as zeros.
    seed : int
        Of the randomised solver.

    Returns
    -------
    reduced : ndarray
        float32 (n, n_components), directions of most variance first. The sign of a direction is
        fixed: its largest weight is positive.
    fitted : PCA or TruncatedSVD
        With ``explained_variance_ratio_``; its ``transform`` takes new rows.

    Raises
    ------
    ValueError
        If there are more components than present rows or columns allow, or ``present`` has
        another length.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [9.0, 9.0]])
    >>> reduced, fitted = reduce(points, 1, present=np.array([True, True, True, False]))
    >>> reduced.round(3).tolist(), fitted.explained_variance_ratio_.round(3).tolist()
    ([[-5.0], [0.0], [5.0], [0.0]], [1.0])
    """
    rows = features if sparse.issparse(features) else np.reshape(features, (len(features), -1))
    present = _present(present, rows.shape[0])
    limit = min(int(present.sum()), rows.shape[1])
    if not 1 <= n_components <= limit:
        raise ValueError(
            f"n_components is {n_components}; {int(present.sum())} present rows with "
            f"{rows.shape[1]} columns allow 1 to {limit}"
        )
    if sparse.issparse(rows):
        fitted = TruncatedSVD(n_components, n_iter=10, random_state=seed)
    else:
        fitted = PCA(n_components, random_state=seed)
    reduced = np.zeros((rows.shape[0], n_components), dtype=np.float32)
    reduced[present] = fitted.fit_transform(rows[present])
    return reduced, fitted


def tf_idf(tokens: Sequence[Sequence[str]], min_count: int = 2) -> sparse.csr_array:
    """Weigh each text's words: often in this text, seldom in others. Rows have length 1.

    Parameters
    ----------
    tokens : sequence of sequences of str
        The words of each text, as from `mmtutorial.preprocessing.text.tokenise`.
    min_count : int
        A word in fewer texts has no column.

    Returns
    -------
    csr_array
        float32 (n_texts, n_words), words in the order of the alphabet; a text without a known
        word is a row of zeros. Weight (1 + log tf) · (1 + log((1 + n) / (1 + df))), as in
        Manning, Raghavan & Schütze (2008), section 6.2, smoothed.

    Raises
    ------
    ValueError
        If no word is in ``min_count`` texts.

    Examples
    --------
    >>> tf_idf([["so", "soft"], ["so", "warm"], []], min_count=2).toarray()
    array([[1.], [1.], [0.]], dtype=float32)
    """
    return fitted_tf_idf(tokens, min_count)[0]


def fitted_tf_idf(
    tokens: Sequence[Sequence[str]], min_count: int = 2
) -> tuple[sparse.csr_array, TfidfVectorizer]:
    """Return what `tf_idf` returns, and what weighs further texts in the same way.

    >>> weights, fitted = fitted_tf_idf([["so", "soft"], ["so", "warm"]])
    >>> fitted.transform([["so", "so"], ["warm"]]).toarray()
    array([[1.],
           [0.]], dtype=float32)
    """
    vectoriser = TfidfVectorizer(
        analyzer=list, min_df=min_count, sublinear_tf=True, dtype=np.float32
    )
    try:
        return sparse.csr_array(vectoriser.fit_transform(tokens)), vectoriser
    except ValueError as error:
        raise ValueError(
            f"no word is in {min_count} of the {len(tokens)} texts: lower min_count"
        ) from error


def summarise(frames: np.ndarray) -> np.ndarray:
    """Summarise sounds over time: each coefficient's mean, then its deviation.

    ``frames`` are (n, length, coefficients) as from `mmtutorial.preprocessing.audio.encode_audio`,
    where filling is a frame of zeros, which is left out. Returns float32 (n, 2 · coefficients).

    >>> summarise(np.array([[[0.0, 0.0], [1.0, 2.0], [3.0, 2.0]]]))
    array([[2., 2., 1., 0.]], dtype=float32)
    """
    filled = frames.any(axis=2, keepdims=True)
    count = np.maximum(filled.sum(axis=1), 1)
    mean = frames.sum(axis=1) / count
    variance = (np.square(frames - mean[:, None]) * filled).sum(axis=1) / count
    return np.concatenate([mean, np.sqrt(variance)], axis=1).astype(np.float32)


def standardise(
    features: np.ndarray,
    present: np.ndarray | None = None,
    fit_on: np.ndarray | None = None,
) -> np.ndarray:
    """Give each coefficient (or colour channel: the last axis) mean 0 and deviation 1.

    Parameters
    ----------
    features : ndarray
        (n, ..., d). NaN marks what is only filling, such as frames before a short sound.
    present : ndarray, optional
        bool (n,). Other rows do not count.
    fit_on : ndarray, optional
        bool (n,). The rows that mean and deviation are taken from; without it, all that are
        present. Rows of the future are standardised, and not looked at: what is further from the
        mean than any row that was looked at can be is brought to that distance, see `Scaling`.

    Returns
    -------
    ndarray
        float32, same shape. Filling and absent rows are 0, the mean; so is a coefficient that is
        the same everywhere.

    Examples
    --------
    >>> standardise(np.array([[1.0, 7.0], [3.0, 7.0], [np.nan, np.nan], [9.0, 9.0]]),
    ...             present=np.array([True, True, True, False])).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    present = _present(present, len(features))
    scale = scaling(features, present, fit_on)
    result = scratch_array(features.shape, np.float32)
    for some in blocks(features, result):
        there = present[some]
        result[some][there] = np.nan_to_num(scale.of(features[some][there]))
    return result


class Scaling(NamedTuple):
    """How values are standardised.

    Of n values none is further than √n standard deviations from their mean (Samuelson, 1968).
    Other values can be: what hardly ever differs from 0 in the rows that were looked at may do so
    in another one, thousands of such deviations away. ``most`` is √n; there they are cut off.
    """

    mean: np.ndarray  # float64 (d,)
    deviation: np.ndarray  # float64 (d,); infinite where a coefficient is the same everywhere
    most: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """Standardise values, (..., d).

        >>> Scaling(np.zeros(1), np.full(1, 0.5), most=4.0).of(np.array([[1.0], [3.0]])).tolist()
        [[2.0], [4.0]]
        """
        return np.clip((values - self.mean) / self.deviation, -self.most, self.most)


def scaling(
    features: np.ndarray,
    present: np.ndarray | None = None,
    fit_on: np.ndarray | None = None,
) -> Scaling:
    """Return the means that `standardise` subtracts and the deviations by which it divides.

    A deviation is infinite where a coefficient is the same everywhere, or no row is looked at.

    >>> mean, deviation, most = scaling(np.array([[1.0, 7.0], [3.0, 7.0]]))
    >>> mean.tolist(), deviation.tolist()
    ([2.0, 7.0], [1.0, inf])
    """
    present = _present(present, len(features))
    looked_at = present if fit_on is None else present & _present(fit_on, len(features))
    count = sum(len(values) for values in _frames(features, looked_at))
    if not count:
        return Scaling(np.zeros(features.shape[-1]), np.full(features.shape[-1], np.inf), 0.0)
    mean = _sum(_frames(features, looked_at)) / count
    squares = (np.square(values - mean) for values in _frames(features, looked_at))
    deviation = np.sqrt(_sum(squares) / count)
    deviation = np.where(deviation > 1e-6 * np.abs(mean), deviation, np.inf)
    return Scaling(mean, deviation, float(np.sqrt(count)))


def _frames(features: np.ndarray, looked_at: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what of some rows is no filling, block by block: (n_frames, d) each."""
    for some in blocks(features):
        values = features[some][looked_at[some]].reshape(-1, features.shape[-1])
        yield values[np.isfinite(values).all(axis=1)]


def _sum(parts: Iterator[np.ndarray]) -> np.ndarray:
    """Add up rows, float64 (d,): in their order, so that where blocks end does not matter."""
    total = np.add.reduce(next(parts), axis=0, dtype=np.float64)
    for part in parts:
        total = np.add.reduce(np.concatenate([total[None], part]), axis=0)
    return total


def _present(present: np.ndarray | None, n: int) -> np.ndarray:
    if present is None:
        return np.ones(n, dtype=bool)
    present = np.asarray(present, dtype=bool)
    if present.shape != (n,):
        raise ValueError(f"present has shape {present.shape} for {n} rows: one bool a row")
    return present

"""Sound, step by step: read, denoise, trim, into frames (article, sections 3.2.1 and 3.2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache as remember
from pathlib import Path

import librosa
import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy import fft
from threadpoolctl import threadpool_limits

from mmtutorial.datasets.faults import Fault
from mmtutorial.datasets.sounds import read_sound
from mmtutorial.preprocessing.file_cache import encode_files
from mmtutorial.preprocessing.reduce import standardise
from mmtutorial.storage.files import expanded

SAMPLE_RATE = 8000  # Hz: enough for speech and signals, and what telephones carry
HOP = 256  # samples from frame to frame: 32 ms; a frame's window is twice as long
BANDS = 40
KINDS = ("mfcc", "log-mel")
_FRAMES = 512  # at a time: bounds memory


def load_audio(path: str | Path, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Read a recording: channels averaged, resampled.

    Parameters
    ----------
    path : path
        WAV, FLAC, Ogg, MP3 and whatever else libsndfile reads, by whatever name.
    sample_rate : int
        Of the result, in Hz.

    Returns
    -------
    ndarray
        float32 (n_samples,), full scale is −1…1.

    Raises
    ------
    MediaError
        Names the file: if it is empty, unreadable, cut off, silent, holds NaN, or is longer or
        louder than `mmtutorial.datasets.sounds.read_sound` allows.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/hum.wav", np.full((441, 2), 0.5), 44100)
    ...     wave = load_audio(f"{folder}/hum.wav")
    >>> wave.shape, wave.dtype
    ((80,), dtype('float32'))
    """
    wave, rate = read_sound(expanded(path))
    if rate == sample_rate:
        return wave
    return librosa.resample(wave, orig_sr=rate, target_sr=sample_rate)


def trim(wave: np.ndarray, top_db: float = 30.0) -> np.ndarray:
    """Cut off silence before and after: what is ``top_db`` dB below the loudest moment.

    >>> beep = np.sin(np.arange(4000, dtype="float32"))
    >>> len(trim(np.concatenate([np.zeros(8000, "float32"), beep])))
    4192
    """
    return librosa.effects.trim(wave, top_db=top_db, frame_length=2 * HOP, hop_length=HOP // 2)[0]


def denoise(wave: np.ndarray, excess: float = 2.0, floor: float = 0.1) -> np.ndarray:
    """Subtract the spectrum of steady noise, as heard in the quietest tenth of the recording.

    Spectral subtraction (Boll, IEEE Trans. ASSP 27(2), 1979), with the excess and the floor of
    Berouti, Schwartz & Makhoul (ICASSP 1979) against "musical" remains. It needs a pause, in which
    the noise is heard alone: a sound that never pauses is itself taken for noise.

    Parameters
    ----------
    wave : ndarray
        float32 (n_samples,).
    excess : float
        How many times the mean noise is subtracted.
    floor : float
        Share of each frequency that always stays.

    Returns
    -------
    ndarray
        float32 (n_samples,).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.05, 8000).astype("float32")
    >>> bool(denoise(noise).std() < 0.5 * noise.std())
    True
    """
    long_enough = _at_least(wave, 2 * HOP)
    spectrum = librosa.stft(long_enough, n_fft=2 * HOP, hop_length=HOP // 2, pad_mode="reflect")
    loudness = np.abs(spectrum)
    of_frame = loudness.sum(axis=0)
    noise = loudness[:, of_frame <= np.quantile(of_frame, 0.1)].mean(axis=1, keepdims=True)
    gain = np.maximum(1 - excess * noise / np.maximum(loudness, 1e-10), floor)
    return librosa.istft(
        spectrum * gain, n_fft=2 * HOP, hop_length=HOP // 2, length=len(wave), dtype=np.float32
    )


def log_mel(
    wave: np.ndarray, sample_rate: int = SAMPLE_RATE, bands: int = BANDS, hop: int = HOP
) -> np.ndarray:
    """Return how loud each band of pitch is in each frame: float32 (frames, bands), in dB.

    The bands are as wide as the ear's (the mel scale: narrow for low tones, wide for high ones),
    and the logarithm is as the ear hears loudness. A frame's window is ``2 * hop`` samples. Equals
    ``librosa.power_to_db(librosa.feature.melspectrogram(...)).T``; windows and bands are made once,
    not once a sound (``benchmarks/mfcc.py`` measures what that saves).

    >>> log_mel(np.sin(np.arange(8000, dtype="float32"))).shape
    (32, 40)
    """
    librosa.util.valid_audio(wave)
    precision = np.result_type(wave, np.complex64)  # of the result; the transform's is double
    power = np.concatenate(
        [
            np.square(np.abs(fft.rfft(_hann(2 * hop) * frames).astype(precision)))
            for frames in _framed(wave, hop)
        ]
    )
    loudness = 10.0 * np.log10(
        np.maximum(1e-10, _mel_filters(sample_rate, 2 * hop, bands) @ power.T)
    )
    return np.maximum(loudness, loudness.max() - 80.0).T


def _framed(wave: np.ndarray, hop: int) -> Iterator[np.ndarray]:
    """Cut a wave into frames of ``2 * hop`` samples about every ``hop``-th, silence around it.

    Yields views, (at most _FRAMES, 2 · hop): all frames of a long sound, multiplied by the window,
    would take many times its memory.
    """
    n_frames = 1 + max(len(wave), 2 * hop) // hop
    padded = np.zeros((n_frames + 1) * hop, wave.dtype)
    padded[hop : hop + len(wave)] = wave
    step = padded.itemsize
    frames = as_strided(padded, (n_frames, 2 * hop), (hop * step, step), writeable=False)
    return (frames[start : start + _FRAMES] for start in range(0, n_frames, _FRAMES))


@remember
def _hann(samples: int) -> np.ndarray:
    """Make the window once: float64 (samples,)."""
    return librosa.filters.get_window("hann", samples, fftbins=True)


@remember
def _mel_filters(sample_rate: int, n_fft: int, bands: int) -> np.ndarray:
    """Make the bands once: it takes longer than to encode a short sound."""
    return librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=bands)


def mfcc(
    wave: np.ndarray, sample_rate: int = SAMPLE_RATE, coefficients: int = 20, hop: int = HOP
) -> np.ndarray:
    """Return each frame's mel-frequency cepstral coefficients: float32 (frames, coefficients).

    The cosine transform of `log_mel`: the first coefficient is loudness, the next few are the
    coarse shape of the spectrum, which tells a vowel or an instrument, and they hardly correlate
    (Davis & Mermelstein, IEEE Trans. ASSP 28(4), 1980). Equals ``librosa.feature.mfcc(...).T``.
    Raises ValueError for more coefficients than `BANDS`.

    >>> mfcc(np.sin(np.arange(8000, dtype="float32"))).shape
    (32, 20)
    """
    if not 1 <= coefficients <= BANDS:
        raise ValueError(f"coefficients is {coefficients}; {BANDS} bands give 1 to {BANDS}")
    loudness = log_mel(wave, sample_rate, hop=hop)
    return fft.dct(loudness, norm="ortho")[:, :coefficients]


def with_deltas(frames: np.ndarray) -> np.ndarray:
    """Put each coefficient's slope and curvature over time beside it.

    float32 (frames, c) becomes (frames, 3 · c): the values, their first and second differences
    over nine frames (Furui, IEEE Trans. ASSP 34(1), 1986), the ends held.

    >>> with_deltas(np.ones((4, 20), "float32")).shape
    (4, 60)
    """
    slopes = [librosa.feature.delta(frames, order=n, axis=0, mode="nearest") for n in (1, 2)]
    return np.concatenate([frames, *slopes], axis=1).astype(np.float32)


def fit_length(frames: np.ndarray, length: int, filling: float = 0.0) -> np.ndarray:
    """Give a sound (frames, c) exactly ``length`` frames.

    A longer one loses its end: the beginning of a sound tells most about its source. A shorter one
    is filled at the front, because the article's LSTM hands on its state after the last frame,
    and is not told what is filling: so it hears the sound last.

    >>> fit_length(np.array([[1.0], [2.0]]), 3).ravel().tolist()
    [0.0, 1.0, 2.0]
    >>> fit_length(np.array([[1.0], [2.0]]), 1).ravel().tolist()
    [1.0]
    """
    front = max(length - len(frames), 0)
    fitted = np.full((length, frames.shape[1]), filling, frames.dtype)
    fitted[front:] = frames[:length]
    return fitted


def encode_sound(
    path: str | Path,
    sample_rate: int,
    hop: int,
    length: int,
    coefficients: int,
    kind: str,
    deltas: bool,
    trimmed: bool,
    denoised: bool,
) -> np.ndarray:
    """Take one file through the steps: float32 (length, width), NaN in the filling.

    Raises `MediaError`. See `encode_audio`.
    """
    wave = load_audio(path, sample_rate)
    wave = denoise(wave) if denoised else wave
    wave = trim(wave) if trimmed else wave
    if kind == "mfcc":
        frames = mfcc(wave, sample_rate, coefficients, hop)
    else:
        frames = log_mel(wave, sample_rate, coefficients, hop)
    return fit_length(with_deltas(frames) if deltas else frames, length, filling=np.nan)


def encode_audio(
    paths: Sequence[str | Path | None],
    *,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = 1.024,
    length: int = 32,
    coefficients: int = 20,
    kind: str = "mfcc",
    deltas: bool = False,
    trim: bool = True,
    denoise: bool = False,
    fit_on: np.ndarray | None = None,
    jobs: int | None = None,
    cache: str | Path | None = None,
) -> tuple[np.ndarray, np.ndarray, list[Fault]]:
    """Encode a catalogue's recordings: read, denoise, trim, into frames. Kept by content.

    Parameters
    ----------
    paths : sequence
        One an item, None or "" where it has no sound.
    sample_rate : int
        Hz, after resampling.
    seconds : float
        How much of a recording is heard, from its beginning.
    length : int
        How many frames these seconds are cut into; each frame's window reaches into the next.
    coefficients : int
        Numbers a frame; for "log-mel", bands.
    kind : {"mfcc", "log-mel"}
        What they are.
    deltas : bool
        Whether to add slopes and curvatures: three times as many numbers.
    trim, denoise : bool
        Whether to take these steps.
    fit_on : ndarray, optional
        bool (n,): the recordings whose mean and deviation standardise all, such as those of items
        that were taken in training; without it, the whole catalogue's.
    jobs, cache
        As in `mmtutorial.preprocessing.file_cache.encode_files`.

    Returns
    -------
    frames : ndarray
        float32 (n, length, coefficients), or three times the coefficients with ``deltas``;
        standardised per coefficient over the frames that are heard. Filling and
        absent sounds are zeros.
    present : ndarray
        bool (n,).
    faults : list of Fault
        One a recording that cannot be used; it counts as absent.

    Raises
    ------
    ValueError
        For an unknown kind, or numbers that leave no frame.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/beep.wav", np.sin(np.arange(4000.0)), 8000)
    ...     frames, present, faults = encode_audio([f"{folder}/beep.wav", None], cache=folder)
    >>> frames.shape, present.tolist(), faults
    ((2, 32, 20), [True, False], [])
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; we make {' and '.join(KINDS)}")
    hop = round(sample_rate * seconds / length)
    if hop < 1:
        raise ValueError(f"{seconds} s at {sample_rate} Hz cannot be cut into {length} frames")
    with threadpool_limits(1, user_api="blas"):  # a sound is a small product
        frames, present, faults = encode_files(
            encode_sound,
            paths,
            (length, coefficients * (3 if deltas else 1)),
            np.float32,
            {
                "sample_rate": sample_rate,
                "hop": hop,
                "length": length,
                "coefficients": coefficients,
                "kind": kind,
                "deltas": deltas,
                "trimmed": trim,
                "denoised": denoise,
            },
            libraries=["librosa", "soundfile", "soxr"],
            processes=True,
            jobs=jobs,
            cache=cache,
            description="Listening to the recordings",
        )
    return standardise(frames, present, fit_on), present, faults


def _at_least(wave: np.ndarray, samples: int) -> np.ndarray:
    """Follow a wave that is too short for one window by silence."""
    return librosa.util.fix_length(wave, size=max(len(wave), samples))

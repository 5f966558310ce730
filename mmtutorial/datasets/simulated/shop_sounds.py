"""Demo sounds of the shop: the sound alone tells a product's voice.

Each voice is made the way its source makes it: partials that decay (bell), a filtered delay line
(plucked string), a swept tone (siren) and so on. Pitch, tempo, brightness and start vary from
product to product, over ranges that overlap between voices. Six of the eight voices are three
pairs: a siren that rises or falls, a tune that climbs or descends, a drum that quickens or slows.
The two of a pair have the same moments in another order, so that only the order tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

PEAK = 0.9
FADE = 0.004  # seconds
LOWEST_RATE = 4000  # Hz


def synthesise(
    voice: str,
    generator: Generator,
    sample_rate: int = 8000,
    seconds: float = 1.0,
    noise: float = 0.05,
) -> np.ndarray:
    """Play one demo sound; its pitch, tempo, brightness and start vary by the generator.

    Parameters
    ----------
    voice : str
        One of `VOICES`.
    generator : numpy.random.Generator
        The same state gives the same bytes.
    sample_rate : int
        Samples per second (Hz), at least 4000. No voice reaches above half of it.
    seconds : float
        Length, at least 0.1.
    noise : float
        Standard deviation of the background noise, as a share of full scale, between 0 and 1.

    Returns
    -------
    float32 (samples,)
        One channel within ±1, with peak 0.9, silent at both ends.

    Raises
    ------
    ValueError
        For an unknown voice, or a sample_rate, seconds or noise outside its range.

    Examples
    --------
    >>> sound = synthesise("bell", np.random.default_rng(0))
    >>> sound.shape, sound.dtype
    ((8000,), dtype('float32'))
    """
    if voice not in VOICES:
        raise ValueError(f"voice is {voice!r}; the shop has {list(VOICES)}")
    if not LOWEST_RATE <= sample_rate < np.inf:
        raise ValueError(f"sample_rate is {sample_rate}; it must be at least {LOWEST_RATE} Hz")
    if not 0.1 <= seconds < np.inf:
        raise ValueError(f"seconds is {seconds}; a sound lasts at least 0.1")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is {noise}; it must lie between 0 and 1")

    samples = round(sample_rate * seconds)
    start = round(samples * generator.uniform(0.0, 0.15))
    sound = np.zeros(samples)
    sound[start:] = VOICES[voice](np.arange(samples - start) / sample_rate, sample_rate, generator)
    sound[start:] *= _faded(samples - start, sample_rate)
    sound /= np.abs(sound).max()
    sound += noise * generator.standard_normal(samples)
    sound *= _faded(samples, sample_rate)
    return (PEAK / np.abs(sound).max() * sound).astype(np.float32)


def _faded(samples: int, sample_rate: int) -> np.ndarray:
    """Return an envelope that rises from 0 and falls back to 0 within 4 ms at either end."""
    edge = np.sin(np.linspace(0, np.pi / 2, round(FADE * sample_rate))) ** 2
    envelope = np.ones(samples)
    envelope[: len(edge)] = edge
    envelope[-len(edge) :] = edge[::-1]
    return envelope


def _pitch(generator: Generator, low: float, high: float) -> float:
    """Draw a frequency in Hz, evenly over the octaves between two limits."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _tone(frequency: np.ndarray, strengths: np.ndarray, rate: int) -> np.ndarray:
    """Add the harmonics of a tone whose frequency (Hz) may change, all of them below Nyquist."""
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    numbers = np.arange(1, len(strengths) + 1)
    numbers = numbers[(strengths > 0) & (numbers * frequency.max() < 0.45 * rate)]
    return strengths[numbers - 1] @ np.sin(np.outer(numbers, phase))


def _band(
    samples: int, centre: float, quality: float, rate: int, generator: Generator
) -> np.ndarray:
    """Return noise in a band about ``centre`` (Hz), ``centre / quality`` wide, of unit variance."""
    from scipy.signal import iirpeak, lfilter  # takes half a second

    noise = lfilter(*iirpeak(centre, quality, fs=rate), generator.standard_normal(samples))
    return noise / noise.std()


def _struck(sound: np.ndarray, begins: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Strike at these times (seconds), each time as loud as it happens."""
    again = np.zeros_like(sound)
    for delay in np.rint(begins * rate).astype(int):
        if delay < len(sound):
            again[delay:] += generator.uniform(0.6, 1.0) * sound[: len(sound) - delay]
    return again


def _beats(samples: int, count: int, generator: Generator) -> np.ndarray:
    """Return where notes of nearly the same length begin, int (count,), within so many samples."""
    lengths = generator.uniform(0.85, 1.15, count)
    return (samples * (np.cumsum(lengths) - lengths) / lengths.sum()).astype(int)


def _bell(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Strike a bell: inharmonic partials from hum to upper nominal, the high ones fading first."""
    partials = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.62, 3.01, 4.17])
    frequency = _pitch(generator, 350, 900) * partials * generator.uniform(0.99, 1.01, 8)
    strength = np.array([0.5, 0.9, 0.7, 0.3, 1.0, 0.6, 0.5, 0.4]) * generator.uniform(0.6, 1.4, 8)
    strength *= frequency < 0.45 * rate
    decay = generator.uniform(2.0, 5.0) * partials**0.8  # per second
    wave = np.exp(np.outer(2j * np.pi * frequency - decay, time)).imag
    begins = generator.uniform(0.2, 0.4) * np.arange(generator.integers(1, 4))
    return _struck(strength @ wave, begins, rate, generator)


def _whistle(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Blow a whistle: a nearly pure tone with vibrato, and breath around its pitch."""
    pitch = _pitch(generator, 600, min(1700.0, 0.35 * rate))
    vibrato = generator.uniform(0.004, 0.03) * np.sin(
        2 * np.pi * (generator.uniform(4, 8) * time + generator.random())
    )
    glide = generator.uniform(-0.15, 0.15) * np.exp(-time / generator.uniform(0.05, 0.2))
    wave = _tone(pitch * (1 + vibrato + glide), np.array([1.0, generator.uniform(0, 0.15)]), rate)
    breath = generator.uniform(0.15, 0.4) * _band(len(time), pitch, 4, rate, generator)
    blows, attack = generator.integers(1, 4), generator.uniform(8, 30)
    cycle = blows * time / time[-1] % 1
    return (wave + breath) * np.tanh(attack * cycle) * np.tanh(attack * (1 - cycle))


def _melody(time: np.ndarray, rate: int, generator: Generator, *, up: bool) -> np.ndarray:
    """Pluck a pentatonic scale up or down, by the filtered loop of Karplus and Strong (1983)."""
    from scipy.signal import lfilter

    notes = int(generator.integers(4, 8))
    scale = np.array([0, 2, 4, 7, 9, 12, 14, 16, 19])[generator.integers(3) :][:notes]
    pitches = _pitch(generator, 180, 400) * 2 ** (scale / 12)
    brightness, begins = generator.uniform(0.2, 0.9), _beats(len(time), notes, generator)
    tune = np.zeros(len(time))
    for pitch, begin in zip(pitches if up else pitches[::-1], begins, strict=False):
        period = rate / pitch  # samples
        whole = int(period - 0.5)
        part = period - 0.5 - whole
        pluck = np.zeros(min(len(time) - begin, round(0.6 * rate)))
        pluck[:whole] = generator.uniform(-1, 1, whole)[: len(pluck)]
        pluck = lfilter([brightness], [1, brightness - 1], pluck)
        pluck[:whole] -= pluck[:whole].mean()
        loop = np.zeros(whole + 3)  # delay by whole + part, and the mean of two neighbours
        loop[0], loop[whole:] = 1, -0.99 / 2 * np.array([1 - part, 1, part])
        tune[begin : begin + len(pluck)] += lfilter([1], loop, pluck)
    return tune


def _drum(time: np.ndarray, rate: int, generator: Generator, *, faster: bool) -> np.ndarray:
    """Beat a drum, skin and rattle, faster and faster or slower and slower."""
    pitch = _pitch(generator, 80, 240) * (1 + generator.uniform(0.3, 1.0) * np.exp(-30 * time))
    skin = _tone(pitch, np.array([1.0, 0.3]), rate) * np.exp(-time * generator.uniform(14, 26))
    rattle = _band(len(time), _pitch(generator, 700, 1500), 0.8, rate, generator)
    rattle *= generator.uniform(0.15, 0.5) * np.exp(-time * generator.uniform(18, 40))
    beats, ratio = generator.integers(6, 10), generator.uniform(0.6, 0.8)
    pauses = ratio ** np.arange(beats)
    if not faster:
        pauses = pauses[::-1]
    begins = np.cumsum(pauses) - pauses
    begins *= generator.uniform(0.85, 0.95) * time[-1] / pauses.sum()
    return _struck(skin + rattle, begins, rate, generator)


def _siren(time: np.ndarray, rate: int, generator: Generator, *, up: bool) -> np.ndarray:
    """Wail a siren: a tone swept up, or down, over about an octave, again and again."""
    low, octaves = _pitch(generator, 300, 600), generator.uniform(0.8, 1.5)
    sweeps = generator.integers(1, 4)
    turn = sweeps * time / time[-1] % 1
    bend = generator.uniform(0.7, 1.4)
    sweep = turn**bend if up else (1 - turn) ** bend
    strengths = np.arange(1, 6) ** -generator.uniform(1.0, 2.0)
    edge = np.tanh(25 * turn) * np.tanh(25 * (1 - turn))
    return edge * _tone(low * 2 ** (octaves * sweep), strengths, rate)


VOICES: Mapping[str, Callable[[np.ndarray, int, Generator], np.ndarray]] = MappingProxyType(
    {
        "bell": _bell,
        "whistle": _whistle,
        "falling siren": partial(_siren, up=False),
        "rising siren": partial(_siren, up=True),
        "quickening drum": partial(_drum, faster=True),
        "rising melody": partial(_melody, up=True),
        "falling melody": partial(_melody, up=False),
        "slowing drum": partial(_drum, faster=False),
    }
)

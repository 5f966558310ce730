"""Demo sounds of the shop: the sound alone tells a product's voice.

Each voice is made the way its source makes it: partials that decay (bell), a filtered delay line
(plucked string), a swept tone (siren) and so on. Pitch, tempo, brightness and start vary from
product to product, over ranges that overlap between voices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def _repeated(
    sound: np.ndarray, times: int, interval: float, rate: int, generator: Generator
) -> np.ndarray:
    """Strike again and again, ``interval`` seconds apart, each time as loud as it happens."""
    again = np.zeros_like(sound)
    for stroke in range(times):
        delay = round(stroke * interval * generator.uniform(0.96, 1.04) * rate)
        if delay < len(sound):
            again[delay:] += generator.uniform(0.6, 1.0) * sound[: len(sound) - delay]
    return again


def _bell(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Strike a bell: inharmonic partials from hum to upper nominal, the high ones fading first."""
    partials = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.62, 3.01, 4.17])
    frequency = _pitch(generator, 350, 900) * partials * generator.uniform(0.99, 1.01, 8)
    strength = np.array([0.5, 0.9, 0.7, 0.3, 1.0, 0.6, 0.5, 0.4]) * generator.uniform(0.6, 1.4, 8)
    strength *= frequency < 0.45 * rate
    decay = generator.uniform(2.0, 5.0) * partials**0.8  # per second
    wave = np.exp(np.outer(2j * np.pi * frequency - decay, time)).imag
    strokes, interval = int(generator.integers(1, 4)), generator.uniform(0.2, 0.4)
    return _repeated(strength @ wave, strokes, interval, rate, generator)


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


def _buzzer(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Sound a buzzer: a sawtooth or a square wave, rough, and often broken into pulses."""
    numbers = np.arange(1, 25)
    strengths = numbers ** -generator.uniform(0.6, 1.0)
    if generator.random() < 0.5:
        strengths[1::2] = 0  # a square wave has odd harmonics only
    wave = _tone(np.full(len(time), _pitch(generator, 120, 420)), strengths, rate)
    rough = 1 + 0.4 * np.sin(2 * np.pi * generator.uniform(20, 45) * time)
    pulses = np.sin(2 * np.pi * generator.uniform(1.0, 7.0) * time) + generator.uniform(0.0, 1.2)
    return wave * rough * np.clip(20 * pulses, 0, 1)


def _plucked_melody(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Pluck strings in a pentatonic tune, by the filtered loop of Karplus and Strong (1983)."""
    from scipy.signal import lfilter

    keynote, scale = _pitch(generator, 180, 420), np.array([0, 2, 4, 7, 9, 12, 14, 16])
    interval, brightness = generator.uniform(0.11, 0.24), generator.uniform(0.2, 0.9)
    tune = np.zeros(len(time))
    step = generator.integers(len(scale))
    for begin in range(0, len(time), round(interval * rate)):
        step = (step + generator.choice([-2, -1, 1, 2])) % len(scale)
        period = rate / (keynote * 2 ** (scale[step] / 12))  # samples
        whole = int(period - 0.5)
        part = period - 0.5 - whole
        pluck = np.zeros(min(len(time) - begin, round(0.6 * rate)))
        pluck[:whole] = generator.uniform(-1, 1, whole)[: len(pluck)]
        pluck = lfilter([brightness], [1, brightness - 1], pluck)
        pluck[:whole] -= pluck[:whole].mean()
        loop = np.zeros(whole + 3)  # delay by whole + part, and the mean of two neighbours
        loop[0], loop[whole:] = 1, -0.994 / 2 * np.array([1 - part, 1, part])
        tune[begin : begin + len(pluck)] += lfilter([1], loop, pluck)
    return tune


def _drum(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Beat a drum: a skin whose pitch falls as it fades, and the rattle of a band of noise."""
    pitch = _pitch(generator, 80, 240) * (1 + generator.uniform(0.3, 1.0) * np.exp(-30 * time))
    skin = _tone(pitch, np.array([1.0, 0.3]), rate) * np.exp(-time * generator.uniform(10, 22))
    rattle = _band(len(time), _pitch(generator, 700, 1500), 0.8, rate, generator)
    rattle *= generator.uniform(0.15, 0.5) * np.exp(-time * generator.uniform(18, 40))
    beats, interval = int(generator.integers(3, 8)), generator.uniform(0.12, 0.28)
    return _repeated(skin + rattle, beats, interval, rate, generator)


def _organ_chord(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Hold a chord on an organ: three or four notes, each of a few pipes, under a tremulant."""
    chords = ([0, 4, 7], [0, 3, 7], [0, 5, 7], [0, 5, 9], [0, 3, 8], [0, 4, 7, 12], [0, 7, 12, 16])
    root, chord = _pitch(generator, 130, 400), chords[generator.integers(len(chords))]
    stops = np.zeros(8)
    stops[[0, 1, 2, 3, 5, 7]] = generator.uniform(0.1, 1.0, 6) * [1, 0.9, 0.5, 0.6, 0.3, 0.2]
    wave = np.zeros(len(time))
    for note in chord:
        wave += _tone(np.full(len(time), root * 2 ** (note / 12)), stops, rate)
    tremulant = 1 + generator.uniform(0, 0.25) * np.sin(2 * np.pi * generator.uniform(4, 7) * time)
    attack, held = generator.uniform(20, 60), generator.uniform(0.75, 1.1)
    release = np.clip((held * time[-1] - time) / 0.08, 0, 1)
    return wave * tremulant * np.tanh(attack * time) * release


def _birdsong(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Sing a phrase of short chirps that sweep up or down, two or three kinds in turn."""
    highest = min(3500.0, 0.42 * rate)
    song = np.zeros(len(time))
    kinds = generator.uniform(0, 1, (generator.integers(2, 4), 3))
    shift, pace, begin, chirp = generator.uniform(0.4, 1.0), generator.uniform(0.6, 1.4), 0, 0
    while begin < len(time):
        first, last, duration = kinds[chirp % len(kinds)]
        span = np.linspace(0, 1, round((0.04 + 0.1 * duration) * rate))[: len(time) - begin]
        sweep = shift * (0.4 + 0.6 * (first + (last - first) * span))
        trill = 0.08 * np.sin(2 * np.pi * 3 * span)
        wave = _tone(highest * np.minimum(sweep + trill * sweep, 1), np.ones(1), rate)
        song[begin : begin + len(span)] = generator.uniform(0.5, 1) * wave * np.sin(np.pi * span)
        begin += round(len(span) + pace * generator.uniform(0.02, 0.08) * rate)
        chirp += 1
    return song


def _siren(time: np.ndarray, rate: int, generator: Generator) -> np.ndarray:
    """Wail a siren: a tone swept up and down over more than an octave, or between two notes."""
    low, octaves = _pitch(generator, 300, 600), generator.uniform(0.9, 1.5)
    turn = generator.uniform(1.0, 4.5) * time + generator.random()
    wail, yelp = 0.5 - 0.5 * np.cos(2 * np.pi * turn), turn % 1
    two_notes = 0.5 + 0.5 * np.tanh(8 * np.sin(2 * np.pi * turn))
    sweep = (wail, yelp, 0.6 * two_notes)[generator.integers(3)]
    strengths = np.arange(1, 6) ** -generator.uniform(1.0, 2.0)
    return _tone(low * 2 ** (octaves * sweep), strengths, rate)


VOICES: Mapping[str, Callable[[np.ndarray, int, Generator], np.ndarray]] = MappingProxyType(
    {
        "bell": _bell,
        "whistle": _whistle,
        "buzzer": _buzzer,
        "plucked melody": _plucked_melody,
        "drum": _drum,
        "organ chord": _organ_chord,
        "birdsong": _birdsong,
        "siren": _siren,
    }
)

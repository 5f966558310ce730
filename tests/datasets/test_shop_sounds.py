"""Sounds of the shop: each voice is played, reproducible, clean, and told apart from the others."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from scipy.signal import welch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmtutorial.datasets.simulated.shop_sounds import VOICES, synthesise


def _timbre(voice: str, seed: int) -> np.ndarray:
    """Return the mean and the spread over time of 32 log-mel bands."""
    sound = synthesise(voice, np.random.default_rng([seed, *voice.encode()]))
    mel = librosa.feature.melspectrogram(y=sound, sr=8000, n_fft=512, n_mels=32)
    decibel = librosa.power_to_db(mel)
    return np.concatenate([decibel.mean(axis=1), decibel.std(axis=1)])


@pytest.mark.parametrize("voice", VOICES)
def test_same_state_same_bytes(voice: str) -> None:
    first, again, other = (synthesise(voice, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize(
    ("rate", "seconds", "noise"),
    [(8000, 1.0, 0.05), (8000, 1.0, 1.0), (4000, 0.1, 0.0), (4000, 1.0, 0.0), (22050, 0.6, 0.0)],
)
def test_finite_unclipped_and_silent_at_the_ends(
    voice: str, rate: int, seconds: float, noise: float
) -> None:
    for seed in range(8):
        sound = synthesise(voice, np.random.default_rng(seed), rate, seconds, noise)
        assert sound.shape == (round(rate * seconds),)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-6)
        assert np.abs(sound[[0, -1]]).max() < 1e-6


@pytest.mark.parametrize("voice", VOICES)
def test_next_to_nothing_near_half_the_rate(voice: str) -> None:
    """Partials stop short of half the sample rate, where they would begin to fold back."""
    for seed in range(4):
        sound = synthesise(voice, np.random.default_rng(seed), noise=0)
        frequency, power = welch(sound, 8000, nperseg=1024)
        assert power[frequency > 3750].sum() < 0.02 * power.sum()


def test_pitch_alone_does_not_tell_a_voice() -> None:
    """Where their energy lies, tonal voices overlap: each one's range holds another's median."""
    middle = {}
    for voice in ("bell", "whistle", "rising siren", "falling siren", "rising melody"):
        centres = []
        for seed in range(20):
            sound = synthesise(voice, np.random.default_rng(seed), noise=0)
            frequency, power = welch(sound, 8000, nperseg=1024)
            centres.append(power @ frequency / power.sum())
        middle[voice] = np.quantile(centres, [0.0, 0.5, 1.0])
    for voice, (low, _, high) in middle.items():
        assert any(low < middle[other][1] < high for other in middle if other != voice)


def test_timbre_tells_voices_apart_but_not_the_two_of_a_pair() -> None:
    train = [(_timbre(voice, seed), voice) for voice in VOICES for seed in range(30)]
    test = [(_timbre(voice, seed), voice) for voice in VOICES for seed in range(30, 45)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    timbres, voices = zip(*test, strict=True)
    found = model.fit(*map(list, zip(*train, strict=True))).predict(list(timbres))
    of_the_same_source = [
        a.split()[-1] == b.split()[-1] for a, b in zip(found, voices, strict=True)
    ]
    assert np.mean(of_the_same_source) > 0.9
    assert np.mean(found == np.array(voices)) < 0.8


def test_noise_fills_the_silence_before_the_start() -> None:
    quiet, noisy = (
        synthesise("slowing drum", np.random.default_rng(1), noise=n) for n in (0.0, 0.1)
    )
    assert np.abs(quiet[:200]).max() == 0
    assert noisy[50:200].std() == pytest.approx(0.1, rel=0.4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"voice": "yodel"}, "yodel"),
        ({"sample_rate": 3999}, "4000"),
        ({"seconds": 0.0}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"noise": -0.1}, "noise"),
        ({"noise": float("nan")}, "noise"),
    ],
)
def test_errors_name_what_is_wrong(wrong: dict, message: str) -> None:
    right = {"voice": "bell", "generator": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=message):
        synthesise(**(right | wrong))

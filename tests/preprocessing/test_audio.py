import struct

import librosa
import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits

from mmtutorial.datasets import sounds
from mmtutorial.datasets.media import MediaError
from mmtutorial.datasets.sounds import MAX_SECONDS
from mmtutorial.preprocessing.audio import (
    BANDS,
    denoise,
    encode_audio,
    fit_length,
    load_audio,
    log_mel,
    mfcc,
    trim,
    with_deltas,
)

RATE = 8000


def tone(seconds=1.0, frequency=440.0, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def noise(seconds=1.0, level=0.05):
    return np.random.default_rng(0).normal(0, level, round(seconds * RATE)).astype(np.float32)


def test_stereo_at_44_100_hz_becomes_mono_at_8_000(tmp_path):
    left = tone(rate=44_100)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, 0 * left], axis=1), 44_100)
    wave = load_audio(tmp_path / "stereo.wav")
    assert wave.dtype == np.float32
    assert len(wave) == RATE
    assert np.abs(wave - tone() / 2)[200:-200].max() < 1e-3
    assert len(load_audio(tmp_path / "stereo.wav", sample_rate=16_000)) == 16_000


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS")]
)
def test_formats(tmp_path, suffix, subtype):
    soundfile.write(tmp_path / f"tone.{suffix}", tone(), RATE, subtype=subtype)
    assert np.abs(load_audio(tmp_path / f"tone.{suffix}") - tone()).mean() < 0.02


def as_others_are_read(path):
    """What `read_sound` makes of a file when it takes none for a plain WAV."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sounds, "_plain_wav", lambda path: None)
        return outcome(path)


def outcome(path):
    try:
        wave, rate = sounds.read_sound(path)
    except MediaError as error:
        return str(error)
    return wave.dtype, wave.tolist(), rate


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_plain_wav_is_read_as_libsndfile_reads_it(tmp_path, channels):
    path = tmp_path / "all.wav"
    values = np.arange(-(2**15), 2**15, dtype=np.int16)
    soundfile.write(path, np.resize(values, (2**16 + 1, channels)), 22_050)
    plain = sounds._plain_wav(path)
    if channels == 3:
        assert plain is None
    else:
        expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert np.array_equal(plain[0], expected)
        assert (plain[0].dtype, plain[1]) == (expected.dtype, rate)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_that_is_not_plain_is_left_to_libsndfile(tmp_path, channels):
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.resize(tone(0.01), (80, channels)), RATE)
    whole = path.read_bytes()
    shorter = [whole[:size] for size in (0, 12, 44, 45, 46, len(whole) - 1)]
    longer = [whole + bytes(size) for size in (1, 2, 8)]
    altered = [
        whole[:place] + bytes([value]) + whole[place + 1 :]
        for place in range(44)
        for value in {0, 1, 2, 255, whole[place] ^ 1} - {whole[place]}
    ]
    odd = [  # half a moment more, and lengths that say so
        whole[:4] + struct.pack("<I", len(whole) + more - 8) + whole[8:40]
        + struct.pack("<I", len(whole) + more - 44) + whole[44:] + bytes(more)
        for more in (1, 2, 3)
    ]  # fmt: skip
    for content in (*shorter, *longer, *altered, *odd, whole):
        path.write_bytes(content)
        assert outcome(path) == as_others_are_read(path), content[:44]
    path = path.rename(tmp_path / "tone.raw")  # a name by which soundfile would expect no header
    assert outcome(path) == as_others_are_read(path)


def broken_files(folder):
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    wave = tone()
    wave[77] = np.nan
    soundfile.write(folder / "nan.wav", wave, RATE, subtype="FLOAT")
    soundfile.write(folder / "none.wav", np.zeros(0), RATE)
    soundfile.write(folder / "long.wav", np.ones(MAX_SECONDS * 100 + 1), 100, subtype="PCM_U8")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "words.wav").write_text("no sound at all")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("silent.wav", "silent; record it again"),
        ("nan.wav", "NaN or infinity"),
        ("none.wav", "no samples"),
        ("long.wav", "longer than 600 seconds"),
        ("empty.wav", "the file is empty"),
        ("words.wav", "cannot be read .*; save it again"),
        ("absent.wav", "could not be read .*; try again"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, message):
    broken_files(tmp_path)
    with pytest.raises(MediaError, match=rf"{name}: .*{message}"):
        load_audio(tmp_path / name)


def test_trimming_cuts_off_both_ends_only():
    parts = [np.zeros(RATE), tone(0.5), np.zeros(RATE // 2), tone(0.5), np.zeros(RATE)]
    trimmed = trim(np.concatenate(parts).astype(np.float32))
    assert 1.5 * RATE <= len(trimmed) <= 1.6 * RATE


def test_denoising_takes_off_steady_noise_and_keeps_the_tone():
    clear = np.concatenate([0 * tone(0.5), tone(1.0), 0 * tone(0.5)]).astype(np.float32)
    noisy = clear + noise(2.0)
    restored = denoise(noisy)
    assert restored.shape == noisy.shape
    assert restored.dtype == np.float32

    def error(wave):
        return np.square(wave - clear).mean()

    assert error(restored) < error(noisy) / 5
    assert np.abs(denoise(clear) - clear).max() < 1e-4


@pytest.mark.parametrize("samples", [1, 300, 511, 513, 5000])
def test_a_sound_of_any_length_passes_every_step(samples):
    wave = noise()[:samples]
    assert len(denoise(wave)) == samples
    assert len(trim(wave)) <= samples
    frames = with_deltas(mfcc(wave))
    assert frames.shape == (1 + max(samples, 512) // 256, 60)
    assert np.isfinite(frames).all()


def test_mfcc_equals_plain_librosa():
    wave = tone() + noise()
    options = {"n_fft": 512, "hop_length": 256, "n_mels": 40}
    expected = librosa.feature.mfcc(y=wave, sr=RATE, n_mfcc=20, **options).T
    assert np.allclose(mfcc(wave), expected, rtol=1e-5, atol=1e-5)
    power = librosa.feature.melspectrogram(y=wave, sr=RATE, **options)
    assert np.allclose(log_mel(wave), librosa.power_to_db(power).T, rtol=1e-5, atol=1e-5)
    assert mfcc(wave).dtype == np.float32


@pytest.mark.parametrize("hop", [50, 256])
@pytest.mark.parametrize("samples", [1, 511, 512, 513, 4001, 300_000])
def test_frames_equal_librosas_for_a_sound_of_any_length(samples, hop):
    wave = np.random.default_rng(samples).normal(size=samples).astype(np.float32)
    long_enough = librosa.util.fix_length(wave, size=max(samples, 2 * hop))
    options = {"sr": RATE, "n_fft": 2 * hop, "hop_length": hop, "n_mels": 20}
    power = librosa.feature.melspectrogram(y=long_enough, **options)
    expected = librosa.power_to_db(power).T
    assert np.allclose(log_mel(wave, bands=20, hop=hop), expected, rtol=1e-5, atol=1e-4)


def test_whole_numbers_and_nan_are_no_sound():
    for wave in (np.arange(4000), np.full(4000, np.nan)):
        with pytest.raises(librosa.ParameterError):
            mfcc(wave)


def test_a_higher_tone_is_loudest_in_a_higher_band():
    bands = [int(log_mel(tone(frequency=f)).mean(axis=0).argmax()) for f in (200, 800, 3200)]
    assert bands == sorted(bands)
    assert len(set(bands)) == 3


def test_deltas_of_a_slope():
    frames = np.arange(40, dtype=np.float32)[:, None] * np.array([[1.0, -2.0]], dtype=np.float32)
    values, slope, curvature = np.split(with_deltas(frames)[8:-8], 3, axis=1)
    assert np.array_equal(values, frames[8:-8])
    assert np.allclose(slope, [[1, -2]], atol=1e-5)
    assert np.allclose(curvature, 0, atol=1e-5)


def test_a_short_sound_is_filled_in_front_and_a_long_one_loses_its_end():
    frames = np.arange(1.0, 7.0).reshape(3, 2)
    assert fit_length(frames, 5)[:2].tolist() == [[0, 0], [0, 0]]
    assert np.array_equal(fit_length(frames, 5)[2:], frames)
    assert np.array_equal(fit_length(frames, 2), frames[:2])
    assert np.isnan(fit_length(frames, 4, filling=np.nan)[0]).all()


@pytest.fixture
def catalogue(tmp_path):
    broken_files(tmp_path)
    for number in range(4):
        wave = tone(0.2 + 0.3 * number, 300.0 * (number + 1))
        soundfile.write(tmp_path / f"{number}.wav", wave, RATE)
    names = ["0.wav", None, "1.wav", "nan.wav", "2.wav", "", "3.wav", "silent.wav", "absent.wav"]
    return [name and str(tmp_path / name) for name in names]


def test_a_catalogue_is_standardised_over_what_is_heard(tmp_path, catalogue):
    frames, present, faults = encode_audio(catalogue, cache=tmp_path / "cache")
    assert frames.shape == (9, 32, 20)
    assert frames.dtype == np.float32
    assert np.flatnonzero(present).tolist() == [0, 2, 4, 6]
    assert [fault.file for fault in faults] == [catalogue[place] for place in (3, 7, 8)]
    assert not frames[~present].any()
    heard = frames[frames.any(axis=2)]
    assert np.allclose(heard.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(heard.std(axis=0), 1, atol=1e-3)
    filled = ~frames[present].any(axis=2)
    assert filled.sum(axis=1).tolist() == [25, 16, 6, 0]  # in front, the more the shorter
    assert not (filled[:, 1:] & ~filled[:, :-1]).any()


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"length": 10}, (10, 20)),
        ({"coefficients": 13, "deltas": True}, (32, 39)),
        ({"kind": "log-mel", "coefficients": 24}, (32, 24)),
        ({"denoise": True, "trim": False, "sample_rate": 16_000}, (32, 20)),
    ],
)
def test_options(tmp_path, catalogue, options, shape):
    frames, present, _ = encode_audio(catalogue, cache=tmp_path / "cache", **options)
    assert frames.shape == (9, *shape)
    assert frames[present].any(axis=(1, 2)).all()
    assert np.isfinite(frames).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "chroma"}, "kind is 'chroma'; we make mfcc and log-mel"),
        ({"seconds": 0.001}, "cannot be cut into 32 frames"),
        ({"coefficients": 41}, "coefficients is 41"),
    ],
)
def test_wrong_options_are_refused(tmp_path, catalogue, options, message):
    with pytest.raises(ValueError, match=message):
        encode_audio(catalogue, cache=tmp_path / "cache", **options)


def test_processes_hear_the_same(tmp_path, catalogue):
    one = encode_audio(catalogue * 10, cache=tmp_path / "one", jobs=1)
    two = encode_audio(catalogue * 10, cache=tmp_path / "two", jobs=2)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    assert one[2] == two[2]


def test_threads_hear_the_same(tmp_path):
    """Products large enough for two threads, which would add up in another order."""
    paths = [tmp_path / f"{number}.wav" for number in range(8)]
    for path in paths:
        soundfile.write(path, noise(), RATE)
    options = {"kind": "log-mel", "coefficients": BANDS, "sample_rate": 16_000, "jobs": 1}

    def heard(threads):
        with threadpool_limits(threads, user_api="blas"):
            return encode_audio(paths, cache=tmp_path / str(threads), **options)[0]

    assert np.array_equal(heard(1), heard(2))

import numpy as np
import pytest
from PIL import Image

from mmtutorial.datasets.media import MediaError
from mmtutorial.preprocessing import image as module
from mmtutorial.preprocessing.image import (
    denoise,
    encode_images,
    load_image,
    normalise,
    resize,
)

ORIENTATION = 0x0112


@pytest.fixture
def stripes():
    """Left half red, right half blue, 60 by 40."""
    picture = Image.new("RGB", (60, 40), "red")
    picture.paste("blue", (30, 0, 60, 40))
    return picture


def is_near(pixel, expected, tolerance=12):
    return np.abs(np.subtract(pixel, expected, dtype=int)).max() <= tolerance


def test_the_cameras_orientation_is_obeyed(tmp_path, stripes):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turn by 90 degrees to the right to see it upright: red goes up
    stripes.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    for at_least in (None, 10):
        picture = load_image(tmp_path / "turned.jpg", at_least)
        width, height = picture.size
        assert width < height
        assert is_near(picture.getpixel((width // 2, height // 4)), (254, 0, 0))
        assert is_near(picture.getpixel((width // 2, 3 * height // 4)), (0, 0, 254))


def test_cmyk_becomes_rgb(tmp_path, stripes):
    for suffix in ("jpg", "tif"):
        stripes.convert("CMYK").save(tmp_path / f"print.{suffix}")
        picture = load_image(tmp_path / f"print.{suffix}")
        assert picture.mode == "RGB"
        assert is_near(picture.getpixel((10, 20)), (254, 0, 0))


def test_a_palette_becomes_rgb(tmp_path, stripes):
    for suffix in ("png", "gif"):
        stripes.convert("P").save(tmp_path / f"palette.{suffix}")
        assert is_near(load_image(tmp_path / f"palette.{suffix}").getpixel((50, 20)), (0, 0, 255))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(tmp_path, mode):
    picture = Image.new("RGBA", (4, 2), (0, 0, 0, 255))
    picture.paste((9, 9, 9, 0), (2, 0, 4, 2))
    if mode == "P":
        palette = Image.new("P", (4, 2), 0)
        palette.putpalette([0, 0, 0, 9, 9, 9])
        palette.paste(1, (2, 0, 4, 2))
        palette.save(tmp_path / "cut.png", transparency=1)
    else:
        picture.convert(mode).save(tmp_path / "cut.png")
    loaded = load_image(tmp_path / "cut.png")
    assert [loaded.getpixel((x, 0)) for x in (0, 3)] == [(0, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_become_eight_without_clipping(tmp_path, suffix):
    deep = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
    assert np.asarray(load_image(tmp_path / f"deep.{suffix}"))[0, :, 0].tolist() == [0, 100, 255]


def test_grey_and_black_and_white_become_rgb(tmp_path):
    for mode, value in (("L", 200), ("1", 1)):
        Image.new(mode, (3, 3), value).save(tmp_path / "grey.png")
        expected = 200 if mode == "L" else 255
        assert load_image(tmp_path / "grey.png").getpixel((1, 1)) == (expected,) * 3


def broken_files(folder):
    dice = np.random.default_rng(0)
    noise = Image.fromarray(dice.integers(0, 256, (80, 80, 3), dtype=np.uint8))
    for suffix in ("jpg", "png"):
        noise.save(folder / f"whole.{suffix}")
        whole = (folder / f"whole.{suffix}").read_bytes()
        (folder / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "words.jpg").write_text("no picture at all")
    Image.new("1", (10_000, 9_000)).save(folder / "huge.png")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut.jpg", "cannot be read .*truncated"),
        ("cut.png", "cannot be read"),
        ("empty.jpg", "the file is empty; fetch"),
        ("words.jpg", "cannot be read"),
        ("huge.png", "10000 by 9000 pixels, more than the 80 million"),
        ("absent.jpg", "could not be read \\(No such file"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bad_file_is_named(tmp_path, name, message):
    broken_files(tmp_path)
    with pytest.raises(MediaError, match=rf"{name}: .*{message}"):
        load_image(tmp_path / name)


def test_a_median_takes_out_single_wrong_pixels_and_keeps_an_edge(stripes):
    pixels = np.array(stripes)
    dice = np.random.default_rng(0)
    wrong = dice.random(pixels.shape[:2]) < 0.05
    noisy = np.where(wrong[..., None], 255 - pixels, pixels).astype(np.uint8)
    restored = np.asarray(denoise(Image.fromarray(noisy)), dtype=float)
    assert np.abs(restored - pixels).mean() < 0.2 * np.abs(noisy - pixels.astype(float)).mean()
    assert np.array_equal(np.asarray(denoise(stripes)), pixels)


def test_resizing_keeps_the_whole_picture_and_its_proportions(stripes):
    square = np.asarray(resize(stripes, 30))
    assert square.shape == (30, 30, 3)
    filling = (square == 255).all(axis=(1, 2))
    assert np.flatnonzero(~filling).tolist() == list(range(5, 25))
    assert is_near(square[15, 3], (255, 0, 0))
    assert is_near(square[15, 27], (0, 0, 255))
    assert resize(Image.new("RGB", (3, 3), "red"), 30).getpixel((0, 0)) == (255, 0, 0)
    assert resize(Image.new("RGB", (9000, 1)), 8).size == (8, 8)


def test_normalising_is_exact_at_both_ends():
    pixels = np.arange(256, dtype=np.uint8)
    scaled = normalise(pixels)
    assert scaled.dtype == np.float32
    assert (scaled[0], scaled[255]) == (0, 1)
    assert np.array_equal(np.rint(scaled * 255).astype(np.uint8), pixels)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_catalogue_with_absent_and_broken_pictures(tmp_path, stripes):
    broken_files(tmp_path)
    stripes.save(tmp_path / "good.png")
    names = ["good.png", None, "cut.jpg", "good.png", "", "empty.jpg", "absent.jpg", "huge.png"]
    paths = [name and str(tmp_path / name) for name in names]
    pictures, present, faults = encode_images(paths, size=16, cache=tmp_path / "cache")
    assert pictures.dtype == np.float32
    assert present.tolist() == [True, False, False, True, False, False, False, False]
    assert np.array_equal(pictures[0], pictures[3])
    assert not pictures[~present].any()
    assert [fault.file for fault in faults] == [paths[place] for place in (2, 5, 6, 7)]
    assert str(faults[1]) == f"{paths[5]}: the file is empty; fetch or export it again"


def test_a_much_larger_jpeg_is_decoded_small_and_looks_the_same(tmp_path, monkeypatch):
    slope = np.linspace(0, 255, 1600, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(slope, slope[:1200, None], np.uint8(128)), axis=2)
    Image.fromarray(pixels).save(tmp_path / "large.jpg", quality=95)
    assert load_image(tmp_path / "large.jpg", at_least=64).size == (200, 150)
    quick = encode_images([tmp_path / "large.jpg"], cache=tmp_path / "a")[0]
    load = module.load_image
    monkeypatch.setattr(module, "load_image", lambda path, at_least: load(path))
    slow = encode_images([tmp_path / "large.jpg"], cache=tmp_path / "b")[0]
    assert np.abs(quick - slow).max() < 0.03

import errno
import mmap
import pickle
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from mmtutorial.datasets.media import MediaError
from mmtutorial.preprocessing import file_cache as module
from mmtutorial.preprocessing import image
from mmtutorial.preprocessing.file_cache import encode_files, recipe
from mmtutorial.preprocessing.reduce import standardise

decoded = []


def shade(path, factor=1):
    """Encode a file of one number as that number; the stand-in for a slow decoder."""
    decoded.append(str(path))
    with open(path, encoding="utf-8") as file:
        words = file.read()
    if not words.isdigit():
        raise MediaError(path, f"{words!r} is no number", "write a number")
    return np.full(2, int(words) * factor, dtype=np.float32)


@pytest.fixture
def files(tmp_path):
    decoded.clear()
    (tmp_path / "media").mkdir()
    paths = [tmp_path / "media" / f"{number}.txt" for number in range(100)]
    for number, path in enumerate(paths):
        path.write_text(str(number))
    return paths


def encode(paths, tmp_path, jobs=1, function=shade, **options):
    return encode_files(
        function, paths, (2,), np.float32, options, jobs=jobs, cache=tmp_path / "cache"
    )


def shards(tmp_path):
    return sorted((tmp_path / "cache").rglob("*.npz"))


def test_a_second_run_decodes_nothing_and_gives_the_same(files, tmp_path):
    files[7].write_text("seven")
    first = encode([*files, None], tmp_path)
    assert len(decoded) == 100
    second = encode([*files, None], tmp_path)
    assert len(decoded) == 100
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert first[2] == second[2]
    assert first[0][:, 0].tolist() == [*range(7), 0, *range(8, 100), 0]
    assert np.flatnonzero(~first[1]).tolist() == [7, 100]
    assert str(first[2][0]) == f"{files[7]}: 'seven' is no number; write a number"


def test_a_changed_file_alone_is_decoded_again(files, tmp_path):
    encode(files, tmp_path)
    decoded.clear()
    files[3].write_text("1003")
    rows, _, _ = encode(files, tmp_path)
    assert decoded == [str(files[3])]
    assert rows[3].tolist() == [1003, 1003]


def test_names_and_dates_do_not_matter_and_equal_files_are_decoded_once(files, tmp_path):
    encode(files, tmp_path)
    decoded.clear()
    moved = files[5].rename(files[5].with_name("another.txt"))
    copy = files[0].with_name("copy.txt")
    copy.write_text("6")
    rows, _, _ = encode([copy, moved], tmp_path)
    assert decoded == []
    assert rows[:, 0].tolist() == [6, 5]
    for name in ("a", "b"):
        files[0].with_name(name).write_text("777")
    encode([files[0].with_name(name) for name in ("a", "b")], tmp_path)
    assert len(decoded) == 1


def test_other_options_are_another_recipe(files, tmp_path):
    encode(files, tmp_path)
    rows, _, _ = encode(files, tmp_path, factor=3)
    assert len(decoded) == 200
    assert rows[5].tolist() == [15, 15]


def test_whatever_changes_the_result_changes_the_recipe(tmp_path, monkeypatch):
    base = recipe(shade, (2,), np.float32, {"factor": 1})
    assert recipe(shade, (2,), "float32", {"factor": 1}) == base
    assert recipe(shade, (3,), np.float32, {"factor": 1}) != base
    assert recipe(shade, (2,), np.float64, {"factor": 1}) != base
    assert recipe(shade, (2,), np.float32, {"factor": 2}) != base
    assert recipe(shade, (2,), np.float32, {"factor": 1}, ["Pillow"]) != base
    changed = tmp_path / "changed.py"
    changed.write_text("# another source")
    monkeypatch.setattr(module.sys.modules[__name__], "__file__", str(changed))
    assert recipe(shade, (2,), np.float32, {"factor": 1}) != base


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other"])
def test_a_damaged_entry_is_made_again(files, tmp_path, damage):
    first = encode(files, tmp_path)[0]
    (shard,) = shards(tmp_path)
    whole = shard.read_bytes()
    if damage == "other":
        np.savez(shard, digests=np.zeros((1, 32), np.uint8), rows=np.zeros((1, 5)))
    else:
        flipped = bytearray(whole)
        flipped[whole.index(b"rows.npy") + 300] ^= 255
        shard.write_bytes({"empty": b"", "cut": whole[:-200], "flipped": bytes(flipped)}[damage])
    decoded.clear()
    assert np.array_equal(encode(files, tmp_path)[0], first)
    assert len(decoded) == 100
    decoded.clear()
    encode(files, tmp_path)
    assert decoded == []


def test_an_interrupted_run_goes_on_where_it_stopped(files, tmp_path):
    def stop(path):
        if path == str(files[50]):
            raise KeyboardInterrupt
        return shade(path)

    stop.__qualname__ = stop.__name__ = "shade"  # the same recipe, with someone at the keyboard
    with pytest.raises(KeyboardInterrupt):
        encode(files, tmp_path, function=stop)
    assert len(shards(tmp_path)) == 1
    assert not list((tmp_path / "cache").rglob("*.part"))
    decoded.clear()
    assert encode(files, tmp_path)[0][:, 0].tolist() == list(range(100))
    assert len(decoded) == 100 - module.BATCH


def test_a_large_catalogue_is_written_in_parts(files, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD", 40)
    first = encode(files, tmp_path)[0]
    assert len(shards(tmp_path)) == 2
    decoded.clear()
    assert np.array_equal(encode(files, tmp_path)[0], first)
    assert decoded == []


def test_a_result_on_disk_is_the_one_in_memory_and_leaves_no_file(files, tmp_path, monkeypatch):
    files[7].write_text("seven")
    in_memory = encode([*files, None], tmp_path)
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "ours"))
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    monkeypatch.setattr(module, "BLOCK", 64)
    for folder in ("fresh", "cache"):  # encoded, and taken from the cache
        rows, present, _ = encode_files(
            shade, [*files, None], (2,), np.float32, {}, jobs=2, cache=tmp_path / folder
        )
        assert isinstance(rows.base, mmap.mmap)
        assert np.array_equal(rows, in_memory[0])
        assert np.array_equal(present, in_memory[1])
    assert np.array_equal(pickle.loads(pickle.dumps(rows)), rows)
    standard = standardise(rows, present)
    assert isinstance(standard.base, mmap.mmap)
    monkeypatch.undo()
    assert np.array_equal(standard, standardise(*in_memory[:2]))
    assert list((tmp_path / "ours").iterdir()) == []


def block_of_zeros(path):
    return np.zeros(2**14, np.float32)


def test_memory_does_not_grow_with_the_catalogue(files, tmp_path, monkeypatch):
    for number in range(100, 600):
        files.append(files[0].with_name(f"{number}.txt"))
        files[-1].write_text(str(number))
    monkeypatch.setattr(module, "IN_MEMORY", 2**21)
    peaks = {}
    for n_files in (100, 600):
        for run in ("encoded", "from the cache"):
            tracemalloc.start()
            rows, present, _ = encode_files(
                block_of_zeros,
                files[:n_files],
                (2**14,),
                np.float32,
                {},
                jobs=1,
                cache=tmp_path / str(n_files),
            )
            standardise(rows, present)
            peaks[n_files, run] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert rows.nbytes == n_files * 2**16
    assert peaks[600, "encoded"] < 1.1 * peaks[100, "encoded"]
    assert peaks[600, "from the cache"] < 1.1 * peaks[100, "from the cache"]


def test_a_disk_that_is_too_full_for_the_result_is_told(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    with pytest.raises(
        OSError,
        match=r"cannot be used for 3 MB \(No space.*: make room there, or let MMTUTORIAL_CACHE",
    ):
        module.scratch_array((1000, 1000), np.float32)


def test_a_full_disk_costs_the_cache_alone_and_nothing_is_left_behind(files, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = encode(files, tmp_path / "other")
    monkeypatch.setattr(module.np, "savez", full)
    remedy = r"cache/shade-.* \(No space left on device\): make room there, or let MMTUTORIAL_CACHE"
    with pytest.warns(UserWarning, match=remedy) as told:
        found = encode(files, tmp_path)
    assert len(told) == 1
    assert np.array_equal(found[0], expected[0])
    assert not [each for each in (tmp_path / "cache").rglob("*") if each.is_file()]


def test_an_interrupted_write_leaves_nothing_behind(files, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode(files, tmp_path)
    assert not [each for each in (tmp_path / "cache").rglob("*") if each.is_file()]


def test_what_may_not_be_read_is_not_damaged(files, tmp_path, unreadable):
    expected = encode(files, tmp_path)
    (shard,) = shards(tmp_path)
    content = shard.read_bytes()
    decoded.clear()
    with unreadable(shard), pytest.warns(UserWarning, match=rf"{shard} cannot be used .*right to"):
        found = encode(files[:99], tmp_path)
    assert len(decoded) == 99
    assert np.array_equal(found[0], expected[0][:99])
    assert shard.read_bytes() == content


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_without_a_place_for_the_cache_the_work_is_done(files, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / place))
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    with pytest.warns(UserWarning, match=f"{tmp_path}/file.* cannot be used .*: move the file"):
        rows, present, faults = encode_files(shade, files, (2,), np.float32, {})
    assert rows[:, 0].tolist() == list(range(100))
    assert present.all()
    assert not faults
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_in_the_results_is_found(files, tmp_path, bit):
    expected = encode(files, tmp_path)[0]
    (shard,) = shards(tmp_path)
    whole = shard.read_bytes()
    for part in (b"digests.npy", b"rows.npy", b"messages.npy"):
        flipped = bytearray(whole)
        flipped[whole.index(part) + 250] ^= 1 << bit
        shard.write_bytes(flipped)
        assert np.array_equal(encode(files, tmp_path)[0], expected)
        assert shard.read_bytes() == whole


def test_threads_give_the_same_as_one_after_the_other(tmp_path):
    dice = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(80)]
    for path in paths:
        Image.fromarray(dice.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    one = image.encode_images(paths, 8, jobs=1, cache=tmp_path / "one")
    many = image.encode_images(paths, 8, jobs=4, cache=tmp_path / "many")
    assert np.array_equal(one[0], many[0])
    assert one[1].all()
    assert many[1].all()


def test_files_that_are_not_there_are_not_remembered(tmp_path):
    decoded.clear()
    path = tmp_path / "later.txt"
    _, present, faults = encode([path], tmp_path)
    assert not present.any()
    assert "cannot be opened" in faults[0].message
    path.write_text("5")
    rows, present, faults = encode([path], tmp_path)
    assert present.all()
    assert not faults
    assert rows.tolist() == [[5, 5]]


def test_without_a_folder_the_cache_is_the_librarys(files, tmp_path, monkeypatch):
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "ours"))
    encode_files(shade, files[:2], (2,), np.float32, {})
    assert len(list((tmp_path / "ours" / "preprocessing").rglob("*.npz"))) == 1


def test_an_error_in_our_code_is_not_taken_for_a_bad_file(files, tmp_path):
    with pytest.raises(TypeError):
        encode(files[:1], tmp_path, unknown=1)


def test_no_file_at_all(tmp_path):
    rows, present, faults = encode([None, ""], tmp_path)
    assert rows.shape == (2, 2)
    assert not present.any()
    assert not faults


def test_progress_is_shown_when_it_takes_long(files, tmp_path, monkeypatch, capfd):
    encode(files[:50], tmp_path)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    encode(files, tmp_path)
    assert "Encoding the files" in capfd.readouterr().err


def test_a_failure_of_the_machine_is_not_kept_as_a_fault_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "red.png"
    Image.new("RGB", (8, 8), "red").save(path)
    for error, words in (
        (MemoryError(), "not enough memory"),
        (OSError(24, "too many"), "Too many open files"),
    ):

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(image, "to_rgb", fail)
            _, present, faults = image.encode_images([path], size=8, cache=tmp_path / "cache")
        assert not present.any()
        assert words in faults[0].message
        rows, present, faults = image.encode_images([path], size=8, cache=tmp_path / "cache")
        assert present.all() and not faults
        assert rows[0, 4, 4].tolist() == [1, 0, 0]
        for shard in (tmp_path / "cache").rglob("*.npz"):
            shard.unlink()


def test_a_fault_that_is_kept_names_the_file_that_is_asked_for(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
        _, _, (fault,) = image.encode_images([tmp_path / name], cache=tmp_path / "cache")
        assert fault.file == str(tmp_path / name)
        assert ".png" not in fault.message

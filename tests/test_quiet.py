"""What C libraries write to standard error stays away from the terminal; all else arrives there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmtutorial import datasets
from mmtutorial.datasets.media import MediaError
from mmtutorial.datasets.sounds import read_sound
from mmtutorial.quiet import LEVEL, without_lines

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*ROOT.glob("notebooks/[0-9]*.py"), *ROOT.glob("benchmarks/*.py")])
FORGED = """
import os
LINES = '''\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795861126.871589    2857 port.cc:153] oneDNN custom operations are on.
W0000 00:00:1795861126.871589    2857 a.cc:1] a warning
E0000 00:00:1795861126.871589    2857 b.cc:2] an error
F0000 00:00:1795861126.871589    2857 c.cc:3] this machine cannot run it
protobuf.py:9: UserWarning: two versions
'''
os.write(2, LINES.encode())
"""


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh process, where the level of TensorFlow's lines is not yet set."""
    kept = {name: value for name, value in os.environ.items() if name != LEVEL}
    return subprocess.run(
        [sys.executable, "-c", program], env=kept | environment,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("level", "shown"), [("", "Fp"), ("3", "Fp"), ("2", "EFp"), ("1", "WEFp"), ("0", "WIWEFp")]
)
def test_tensorflow_is_loaded_without_its_lines(tmp_path: Path, level: str, shown: str) -> None:
    (tmp_path / "tensorflow.py").write_text(FORGED)
    program = (
        "import importlib.util, mmtutorial\n"
        "importlib.util.find_spec('tensorflow')  # somebody only asks whether it is there\n"
        "import tensorflow\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    run = python(program, PYTHONPATH=path, **({LEVEL: level} if level else {}))
    assert run.returncode == 0, run.stderr
    assert "".join(line[0] for line in run.stderr.splitlines()) == shown


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_import_the_library_before_tensorflow(script: Path) -> None:
    modules = re.findall(
        r"^(?:import|from) (\w+)", script.read_text(encoding="utf-8"), re.MULTILINE
    )
    if "mmtutorial" in modules:
        before = modules[: modules.index("mmtutorial")]
        assert not {"keras", "keras_rs", "tensorflow"}.intersection(before)


def test_recommend_by_a_closed_form_needs_no_tensorflow_and_says_nothing_of_it(
    tmp_path: Path,
) -> None:
    datasets.shop(n_items=40, n_users=30).save(tmp_path / "shop")
    command = [
        "recommend",
        "--dataset",
        str(tmp_path / "shop"),
        "--user",
        "new",
        "--recommender",
        "ease",
    ]
    run = python(
        f"import sys; sys.argv[1:] = {command}\n"
        "from mmtutorial.cli import app\n"
        "try:\n    app()\nfinally:\n    assert 'tensorflow' not in sys.modules",
        MMTUTORIAL_CACHE=str(tmp_path / "cache"),
    )
    assert run.returncode == 0, run.stderr
    assert "what is best for everybody" in run.stdout
    assert run.stderr.strip() == ""


def test_a_damaged_mp3_is_refused_in_our_words_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hum.mp3"
    soundfile.write(path, 0.5 * np.sin(np.arange(88_200) / 20), 44_100, format="MP3")
    content = path.read_bytes()
    path.write_bytes(content[:5000] + bytes(3000) + content[5000:])
    with soundfile.SoundFile(path) as file, pytest.raises(soundfile.LibsndfileError):
        file.read()
    assert "Trying to resync" in capfd.readouterr().err  # what a reader would see
    with pytest.raises(MediaError, match="the sound cannot be read"):
        read_sound(path)
    assert capfd.readouterr().err == ""


def test_all_other_lines_arrive_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    note = re.compile(b"note")
    with pytest.raises(KeyError), without_lines(note):
        os.write(2, b"note 1\nfirst\n")
        with without_lines(re.compile(b"other")):
            os.write(2, b"note 2\nother\n")
        os.write(2, b"second\n")
        raise KeyError
    os.write(2, b"note 3\n")
    assert capfd.readouterr().err == "first\nsecond\nnote 3\n"


def test_threads_do_not_lose_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        for _ in range(50):
            with without_lines(re.compile(b"note")):
                os.write(2, b"note\nline\n")

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"end\n")
    assert capfd.readouterr().err == "line\n" * 200 + "end\n"


def test_a_crash_within_says_where() -> None:
    run = python(
        "import os, re\nfrom mmtutorial.quiet import without_lines\n"
        "with without_lines(re.compile(b'')):\n    os.abort()"
    )
    assert run.returncode != 0
    assert "Fatal Python error: Aborted" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="standard error is closed otherwise there")
def test_a_program_without_standard_error_goes_on() -> None:
    run = python(
        "import os, re\nfrom mmtutorial.quiet import without_lines\n"
        "os.close(2)\nwith without_lines(re.compile(b'x')):\n    print('done')\n    os.system('echo y >&2')"
    )
    assert run.stdout == "done\n"

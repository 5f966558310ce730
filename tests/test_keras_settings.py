"""Whatever a keras.json or other code asks of Keras, the library's networks stay what they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmtutorial.keras_settings import keras

ROOT = Path(__file__).parents[1]


def results() -> dict[str, np.ndarray]:
    """Train some small networks, and return what came of them."""
    from mmtutorial.article import ArticleNetwork
    from mmtutorial.encoders import text
    from mmtutorial.encoders.image import image_encoder
    from mmtutorial.interactions import Interactions
    from mmtutorial.recommenders import BPR, TwoTower

    dice = np.random.default_rng(0)
    taken = [(user, int(item), time) for user in range(8) for time, item in
             enumerate(dice.permutation(6)[:4])]  # fmt: skip
    train = Interactions.of(taken, items=list(range(6)))
    content = {
        "text": dice.integers(1, 9, (6, 5)).astype(np.int32),
        "image": dice.random((6, 8, 8, 3)),  # float64, as NumPy makes it
        "audio": dice.random((6, 4, 5)),
    }
    small: dict[str, Any] = {"dimensions": 4, "steps": 2}
    tower = TwoTower(
        units=4, fusion="attention", alignment=0.1, modality_dropout=0.2, ids=True, id_dropout=0.2,
        loss="in-batch", **small,
    ).fit(train, content)  # fmt: skip
    article = ArticleNetwork(embedding_size=4, lstm_units=4, epochs=1, verbose=0)
    article.fit(train, content)
    keras.utils.set_random_seed(0)
    model = text.next_word_model(12, 4, 4)
    losses = text.train_next_word(model, [[5, 6, 7], [6, 7]] * 4, [[5, 6]], epochs=2)
    keras.utils.set_random_seed(0)
    picture = image_encoder(8, 8, 3, 4)(content["image"])
    everyone = np.arange(8)
    return {
        "tower": tower.score(everyone),
        "tower's loss": np.array(tower.history["loss"]),
        "tower on new items": tower.item_vectors(content),
        "article": article.score(everyone),
        "article's loss": np.array(article.history["loss"]),
        "BPR": BPR(**small).fit(train).score(everyone),
        "next word": text.log_probabilities(model, [[5, 6, 7], [7]]),
        "next word's loss": np.array(losses["loss"] + losses["val_loss"]),
        "picture": np.asarray(picture),
    }


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERAS")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=600, env={**kept, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def home_of(folder: Path, **changes: object) -> str:
    folder.mkdir()
    (folder / "keras.json").write_text(json.dumps(changes))
    return str(folder)


@pytest.fixture
def settings() -> Iterator[None]:
    """Give Keras back what it had before the test."""
    config = keras.config
    policy, kept = config.dtype_policy(), (config.floatx(), config.epsilon())
    data_format = config.image_data_format()
    yield
    config.set_floatx(kept[0])
    config.set_epsilon(kept[1])
    config.set_image_data_format(data_format)
    config.set_dtype_policy(policy)


@pytest.mark.usefixtures("eager", "settings")  # to compile takes longer than a few small steps
def test_networks_are_the_same_under_every_setting() -> None:
    expected = results()
    keras.config.set_floatx("float64")
    keras.config.set_epsilon(0.01)
    keras.config.set_image_data_format("channels_first")
    for policy in ("float64", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        for name, array in results().items():
            assert array.dtype == expected[name].dtype, name
            np.testing.assert_array_equal(array, expected[name], f"{name} {policy}")
        found = keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()
        assert found == ("float64", 0.01, "channels_first")
        assert keras.config.dtype_policy().name == policy


@pytest.mark.parametrize("where", ["environment", "file"])
def test_another_backend_is_refused_in_one_sentence(where: str, tmp_path: Path) -> None:
    home = home_of(tmp_path / "home", backend="torch")
    asked = {"KERAS_BACKEND": "jax"} if where == "environment" else {}
    run = python("import mmtutorial.encoders.image", KERAS_HOME=home, **asked)
    assert run.returncode == 1
    said = (
        "KERAS_BACKEND asks for jax: unset KERAS_BACKEND, or set it to tensorflow, before"
        if asked
        else f"{home}/keras.json asks for torch: set KERAS_BACKEND=tensorflow before Python starts"
    )
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: mmtutorial needs Keras on TensorFlow, and {said}")


def test_the_command_says_so_too(tmp_path: Path) -> None:
    command = "import sys; sys.argv[1:] = {}; from mmtutorial.cli import app; app()"
    out = str(tmp_path / "shop")
    run = python(
        command.format(
            ["data", "shop", "--out", out, "--set", "n_items=40", "--set", "n_users=30"]
        ),
        KERAS_BACKEND="torch",  # which needs no network
    )
    assert run.returncode == 0, run.stderr
    asked = command.format(["recommend", "--dataset", out, "--user", "new"])
    run = python(asked, KERAS_BACKEND="torch")
    assert run.returncode == 1
    assert run.stdout.startswith("mmtutorial needs Keras on TensorFlow, and KERAS_BACKEND asks for")
    assert "Traceback" not in run.stderr

"""The same seed gives the same measures in a fresh process as here, from raw media to NDCG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmtutorial.article import ArticleNetwork
from mmtutorial.datasets import shop
from mmtutorial.evaluation import evaluate, global_time_split
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.text import Vocabulary, clean, sequences, tokenise

ROOT = Path(__file__).parents[1]
FRESH = "from tests.test_determinism import measures; print(measures(3))"


def measures(seed: int) -> str:
    """Make a small shop, read its media, train the article's network, and evaluate it."""
    data = shop(seed=seed, n_items=30, n_users=60)
    split = global_time_split(Interactions.of(data.interactions, items=data.items["item"]))
    tokens = [tokenise(clean(text)) for text in data.items["text"]]
    content = {
        "text": sequences(tokens, Vocabulary.of(tokens), 12),
        "image": encode_images([data.path(row, "image") for row in range(30)], size=12)[0],
        "audio": encode_audio([data.path(row, "audio") for row in range(30)], length=8)[0],
    }
    network = ArticleNetwork(epochs=2, seed=seed, verbose=0)
    network.fit(split.train, content, split.validation)
    found = evaluate(network, split, item_vectors=content["audio"].reshape(30, -1))
    return json.dumps([found.summary().to_dict(), network.history, found.ranked.tolist()])


@pytest.mark.slow
def test_a_fresh_process_agrees_to_the_last_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "one"))
    here = measures(3)
    run = subprocess.run(
        [sys.executable, "-c", FRESH], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "MMTUTORIAL_CACHE": str(tmp_path / "two"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == here

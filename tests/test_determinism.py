"""The same seed gives the same measures in two fresh processes, from raw media to NDCG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json
import numpy as np
from mmtutorial.article import ArticleNetwork
from mmtutorial.datasets import shop
from mmtutorial.evaluation import global_time_split
from mmtutorial.evaluation import evaluate
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.text import Vocabulary, clean, sequences, tokenise


def measures(seed):
    data = shop(seed=seed, n_items=60, n_users=120)
    split = global_time_split(Interactions.of(data.interactions, items=data.items["item"]))
    tokens = [tokenise(clean(text)) for text in data.items["text"]]
    content = {
        "text": sequences(tokens, Vocabulary.of(tokens), 12),
        "image": encode_images([data.path(row, "image") for row in range(60)], size=12)[0],
        "audio": encode_audio([data.path(row, "audio") for row in range(60)], length=8)[0],
    }
    network = ArticleNetwork(epochs=2, seed=seed, verbose=0)
    network.fit(split.train, content, split.validation)
    found = evaluate(network, split, item_vectors=content["audio"].reshape(60, -1))
    return [found.summary().to_dict(), network.history, found.ranked.tolist()]

print(json.dumps(measures(3)))
"""


def measures(cache: Path) -> list[object]:
    """Measure in a fresh process, from an empty cache."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "MMTUTORIAL_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_fresh_processes_agree_to_the_last_digit(tmp_path: Path) -> None:
    first, again = (measures(tmp_path / name) for name in ("one", "two"))
    assert json.dumps(again) == json.dumps(first)  # NaN equals NaN here

"""N-gram models: ours against NLTK's, on the same reviews, n-grams and probabilities.

    pip install -e ".[benchmarks]"
    python benchmarks/ngrams.py            # the real reviews if you have them, else the shop's
    python benchmarks/ngrams.py --texts 500 --order 2

Before any timing both models score the same held-out tokens, and must agree to 1e-9. Then the two
take turns, and the medians are printed with their ratio and the machine. NLTK's Kneser–Ney looks
through all longer contexts at every word, so its scoring is timed on few tokens,
the same few for both. NLTK's other two models look a word up in a hash table, which is as fast as
Python gets; there the gain of arrays in scoring is smallest.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import nltk
import numpy as np
from nltk import lm

from mmtutorial import datasets
from mmtutorial.datasets import DatasetError
from mmtutorial.datasets.garments import REVIEWS, read_reviews
from mmtutorial.equations.probability import (
    AddK,
    KneserNey,
    MaximumLikelihood,
    NgramModel,
    windows,
)
from mmtutorial.preprocessing.text import END, PADDING, START, Vocabulary, clean, tokenise

NAMES = {START: "<s>", END: "</s>"}


def read(corpus: str, n_texts: int) -> tuple[str, list[list[str]]]:
    """Return the corpus's name and the words of its texts."""
    if corpus != "shop":
        try:
            archive = REVIEWS.obtain() / next(iter(REVIEWS.manifest))
            texts = read_reviews(archive)["text"].tolist()
            return "women's clothing reviews", [tokenise(clean(text)) for text in texts[:n_texts]]
        except DatasetError as error:
            if corpus == "reviews":
                raise
            print(f"the real reviews cannot be had, the shop's stand in: {error}")
    reviews = datasets.load("shop").interactions["review"]
    texts = reviews[reviews != ""].drop_duplicates().tolist()
    return "the shop's reviews", [tokenise(clean(text)) for text in texts[:n_texts]]


def grams(texts: list[list[str]], order: int) -> list[list[tuple[str, ...]]]:
    """List for NLTK the n-grams that end in a word or an end mark, of every length up to order."""
    found = []
    for text in texts:
        padded = ["<s>"] * (order - 1) + text + ["</s>"]
        found.append(
            [
                tuple(padded[place - length : place + 1])
                for place in range(order - 1, len(padded))
                for length in range(order)
            ]
        )
    return found


def alternate(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple:
    """Time two calls in turns; return the medians in seconds."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, spent in zip((ours, theirs), seconds, strict=True):
            started = time.perf_counter()
            call()
            spent.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Check, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--corpus", choices=("auto", "reviews", "shop"), default="auto")
    parser.add_argument("--texts", type=int, default=4000, help="texts read, a tenth held out")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=20_000, help="tokens scored")
    parser.add_argument("--slow-tokens", type=int, default=12, help="... by NLTK's Kneser–Ney")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    name, texts = read(options.corpus, options.texts)
    cut = len(texts) * 9 // 10
    train, held_out = texts[:cut], texts[cut:]
    vocabulary = Vocabulary.of(train)
    # Both know the same words: NLTK's "<UNK>" is our number 1. Words come as each library wants
    # them, ours numbered, NLTK's as texts, and neither conversion is timed.
    coded = [vocabulary.encode(text) for text in train]
    listed = grams(train, options.order)
    known = lm.Vocabulary(["<s>", "</s>", *vocabulary.words[4:]], unk_cutoff=1)
    words, contexts = windows([vocabulary.encode(text) for text in held_out], options.order)
    label = ["", "<UNK>", *NAMES.values(), *vocabulary.words[4:]]
    asked = [
        (label[word], tuple(label[each] for each in context))
        for word, context in zip(words.tolist(), contexts.tolist(), strict=True)
    ]
    size, order = len(vocabulary), options.order
    pairs: dict[str, tuple[Callable[[], NgramModel], Callable[[], lm.api.LanguageModel], int]] = {
        "maximum likelihood": (
            lambda: MaximumLikelihood(order, size, unseen="zero"),
            lambda: lm.MLE(order, vocabulary=known),
            options.tokens,
        ),
        "add-k (Lidstone)": (
            lambda: AddK(order, size, k=0.1, never=(PADDING,)),
            lambda: lm.Lidstone(0.1, order, vocabulary=known),
            options.tokens,
        ),
        "interpolated Kneser–Ney": (
            lambda: KneserNey(order, size, 0.75, uniform=False),
            lambda: lm.KneserNeyInterpolated(order, discount=0.75, vocabulary=known),
            options.slow_tokens,
        ),
    }
    print(f"{name}: {cut:,} texts, {sum(map(len, train)):,} words, {size:,} different; n = {order}")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, NLTK {nltk.__version__}; medians of {options.repeats} turns"
    )
    for kind, (ours, theirs, most) in pairs.items():
        mine, their = ours().fit(coded), theirs()
        their.fit(listed)
        some = np.linspace(0, len(words) - 1, min(most, len(words))).astype(int)
        questions = [asked[place] for place in some]

        def score_theirs(
            model: lm.api.LanguageModel = their, all_of: list = questions
        ) -> list[float]:
            return [model.score(word, context) for word, context in all_of]

        def score_ours(model: NgramModel = mine, which: np.ndarray = some) -> np.ndarray:
            return model.probability(words[which], contexts[which])

        off = np.abs(score_ours() - score_theirs()).max()
        if off > 1e-9:
            raise SystemExit(f"{kind}: the probabilities differ by {off:.1e}; nothing is timed")
        print(f"\n{kind}: {len(some):,} probabilities differ by {off:.0e} at most")
        rows = [
            (
                "train",
                *alternate(
                    lambda m=ours: m().fit(coded), lambda m=theirs: m().fit(listed), options.repeats
                ),
            ),
            (f"score {len(some):,}", *alternate(score_ours, score_theirs, options.repeats)),
        ]
        rows.append(("both", rows[0][1] + rows[1][1], rows[0][2] + rows[1][2]))
        for what, fast, slow in rows:
            print(
                f"  {what:12} ours {fast * 1e3:10.2f} ms   NLTK {slow * 1e3:10.1f} ms   "
                f"ratio {slow / fast:8.1f}"
            )


if __name__ == "__main__":
    main()

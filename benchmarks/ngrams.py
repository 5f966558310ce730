"""N-gram models: ours against NLTK's and KenLM's, on the same reviews, n-grams and probabilities.

    pip install -e ".[benchmarks]"
    pip install kenlm                      # if there are a C++ compiler and CMake
    python benchmarks/ngrams.py            # the real reviews if you have them, else the shop's
    python benchmarks/ngrams.py --texts 500 --order 2

Before any timing both models score the same held-out tokens, and must agree to 1e-9. Then the two
take turns. NLTK's Kneser–Ney looks through all longer contexts at every word, so its scoring is
timed on few tokens, the same few for both. NLTK's other two models look a word up in a hash table,
which is as fast as Python gets; there the gain of arrays in scoring is smallest.

KenLM's package has no training, so KenLM reads the model that ours has learnt, as an ARPA file, and
must give the same probabilities to the precision of its float32; scoring alone is timed: the
log-probabilities of whole held-out texts, from their words.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from nltk import lm
from side_by_side import Row, alternate, limits, machine, profile, tell

from mmtutorial import datasets
from mmtutorial.datasets import DatasetError
from mmtutorial.datasets.simulated.garments import REVIEWS, read_reviews
from mmtutorial.equations.probability import (
    AddK,
    KneserNey,
    MaximumLikelihood,
    NgramModel,
    chain_rule,
    windows,
)
from mmtutorial.preprocessing.text import END, PADDING, START, UNKNOWN, Vocabulary, clean, tokenise

try:
    import kenlm
except ImportError:
    kenlm = None

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


def write_arpa(model: KneserNey, words: list[str], coded: list[list[int]], path: Path) -> None:
    """Write a model and what it says after every n-gram that it has seen, as KenLM reads it.

    A start mark fills our contexts, and stands once at the beginning of KenLM's. Where a context is
    shorter than the longest, the filling before it is a number that was never seen, so that the
    model shortens the context. What a context leaves to the next shorter one is told by a word that
    was never seen after any.
    """
    depth = model.order - 1
    followed, contexts = windows(coded, model.order)
    found: dict[tuple[int, ...], tuple[int, ...]] = {}  # n-gram of KenLM: context of ours
    for word, context in zip(followed.tolist(), map(tuple, contexts.tolist()), strict=True):
        started = START in context
        for length in range(depth if started else depth + 1):
            part = context[depth - length :]
            if START not in part:
                found[*part, word] = (PADDING,) * (depth - length) + part
        if started:
            found[START, *(each for each in context if each != START), word] = context
    found[(UNKNOWN,)] = found[(END,)]
    grams = list(found)
    last = np.array([gram[-1] for gram in grams])
    chances = model.probability(last, np.array(list(found.values())).reshape(-1, depth))

    def leftover(gram: tuple[int, ...]) -> float:
        def unseen(part: tuple[int, ...]) -> float:
            filling = START if part[:1] == (START,) else PADDING
            context = (filling,) * (depth - len(part)) + part
            return float(model.probability(np.array(UNKNOWN), np.array(context)))

        return unseen(gram) / unseen(gram[1:])

    lines: list[list[str]] = [[] for _ in range(model.order)]
    for gram, chance in zip([*grams, (START,)], [*chances.tolist(), 1e-99], strict=True):
        told = f"{np.log10(chance):.8f}\t{' '.join(words[each] for each in gram)}"
        if len(gram) <= depth and gram[-1] not in (END, UNKNOWN):
            told += f"\t{np.log10(leftover(gram)):.8f}"
        lines[len(gram) - 1].append(told)
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(some)}\n" for n, some in enumerate(lines, start=1))
        for n, some in enumerate(lines, start=1):
            file.write("\n".join(["", f"\\{n}-grams:", *some, ""]))
        file.write("\n\\end\\\n")


def beside_kenlm(
    library: ModuleType, train: list[list[str]], held_out: list[list[str]], order: int, repeats: int
) -> list[Row]:
    """Let KenLM read what ours has learnt; check that both say the same, and time both."""
    vocabulary = Vocabulary.of(train)
    coded = [vocabulary.encode(text) for text in train]
    model = KneserNey(order, len(vocabulary), 0.75).fit(coded)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.arpa")
        write_arpa(model, ["", "<unk>", "<s>", "</s>", *vocabulary.words[4:]], coded, path)
        theirs = library.Model(str(path))
    sentences = [" ".join(text) for text in held_out]
    lengths = np.array([len(text) + 1 for text in held_out])

    def ours() -> np.ndarray:
        coded = [vocabulary.encode(text) for text in held_out]
        return chain_rule(model.log_probabilities(coded), lengths)

    words = model.log_probabilities([vocabulary.encode(text) for text in held_out]) / np.log(10)
    told = [word[0] for sentence in sentences for word in theirs.full_scores(sentence)]
    off = np.abs(words - told).max()
    if not off < 1e-4:
        raise SystemExit(f"log10 of KenLM's probabilities differs by {off:.1e}; nothing is timed")
    print(f"KenLM: log10 of {len(told):,} probabilities differs by {off:.0e} at most")
    case = f"Kneser–Ney, {order}-grams: score {len(held_out):,} texts, {len(told):,} tokens"
    numbers = [vocabulary.encode(text) for text in held_out]
    times = alternate(
        {
            "ours, from words": ours,
            "ours, from their numbers": lambda: model.log_probabilities(numbers),
            "KenLM, from words": lambda: [theirs.score(sentence) for sentence in sentences],
        },
        repeats,
    )
    return [*(Row(case, name, seconds) for name, seconds in times.items()), *profile(case, ours)]


def main() -> None:
    """Check, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--corpus", choices=("auto", "reviews", "shop"), default="auto")
    parser.add_argument("--texts", type=int, default=4000, help="texts read, a tenth held out")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=20_000, help="tokens scored")
    parser.add_argument("--slow-tokens", type=int, default=12, help="... by NLTK's Kneser–Ney")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()
    if options.order < 2:
        parser.error("--order must be at least 2")

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
    rows = beside_kenlm(kenlm, train, held_out, order, options.repeats) if kenlm else []
    if not rows:
        print("KenLM is not installed: beside NLTK only")
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
        print(f"{kind}: {len(some):,} probabilities differ by {off:.0e} at most", flush=True)
        trained = alternate(
            {"ours": lambda m=ours: m().fit(coded), "NLTK": lambda m=theirs: m().fit(listed)},
            options.repeats,
        )
        scored = alternate({"ours": score_ours, "NLTK": score_theirs}, options.repeats)
        both = {
            each: [sum(pair) for pair in zip(trained[each], scored[each], strict=True)]
            for each in trained
        }
        what = f"{kind}, {order}-grams of {cut:,} texts"
        for case, times, bar in (
            (f"{what}: train", trained, None),
            (f"{what}: score {len(some):,}", scored, None),
            (f"{what}: train and score", both, 20.0),
        ):
            rows.append(Row(case, "ours", times["ours"]))
            rows.append(Row(case, "NLTK", times["NLTK"], bar=bar))
    libraries = ["nltk", "kenlm"] if kenlm else ["nltk"]
    tell("ngrams", rows, f"{machine(*libraries)}; {limits()}", options.csv)


if __name__ == "__main__":
    main()

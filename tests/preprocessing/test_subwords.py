"""Subwords spell every word, and cut as BERT does."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.preprocessing.subwords import END_OF_WORD, WordPieces, learn_merges, merge

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def plain_merges(counts: dict[str, int], n_merges: int) -> list[tuple[str, str]]:
    """The algorithm as printed: count all pairs of all words anew after every merge."""
    words = {word: [*word, END_OF_WORD] for word in counts}
    found: list[tuple[str, str]] = []
    for _ in range(n_merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in words.items():
            for pair in pairwise(pieces):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        for pieces in words.values():
            place = 0
            while place < len(pieces) - 1:
                if (pieces[place], pieces[place + 1]) == best:
                    pieces[place : place + 2] = ["".join(best)]
                place += 1
    return found


@given(st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 5), max_size=8))
def test_merges_are_those_of_counting_anew_and_spell_their_words(counts: dict[str, int]) -> None:
    merges = learn_merges(counts, 12)
    assert merges == plain_merges(counts, 12)
    for word in [*counts, "cab", "日本"]:
        assert "".join(merge(word, merges)) == word + END_OF_WORD


def test_a_vocabulary_is_read_and_cuts_the_longest_piece_first(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*MARKS, "play", "##ing", "##in", "##g", "cafe", "!"]), "utf-8")
    pieces = WordPieces.load(path)
    assert pieces.cut("Playing café!") == ["play", "##ing", "cafe", "!"]
    assert pieces.cut("plays") == ["[UNK]"]
    assert pieces.encode("play play play", length=4) == [2, 5, 5, 3]
    with pytest.raises(ValueError, match="the two marks alone"):
        pieces.encode("play", length=1)


def test_no_vocabulary_of_a_bert_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[MASK\] is not among the pieces"):
        WordPieces(MARKS[:-1])

"""Subwords spell what was given, and BERT's are cut as its own tokeniser cuts them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.encoders.text import minilm_folder
from mmtutorial.preprocessing.subwords import (
    END_OF_WORD,
    WordPieces,
    learn_merges,
    merge,
    uncased_words,
)

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
COUNTS = {"low": 5, "lower": 2, "newest": 6, "widest": 3}  # Sennrich et al., section 3.2


def test_the_example_of_the_paper() -> None:
    assert learn_merges(COUNTS, 4) == [("e", "s"), ("es", "t"), ("est", END_OF_WORD), ("l", "o")]
    assert merge("lowest", learn_merges(COUNTS, 10)) == ["low", "est" + END_OF_WORD]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=8), st.integers(1, 9), max_size=6))
def test_counting_anew_at_every_step_finds_the_same(counts: dict[str, int]) -> None:
    words = {word: (*word, END_OF_WORD) for word in counts}
    slow = []
    for _ in range(6):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in words.items():
            for pair in pairwise(pieces):
                pairs[pair] += counts[word]
        if not pairs:
            break
        slow.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
        words = {word: tuple(merge(word, slow)) for word in counts}
    assert learn_merges(counts, 6) == slow


@given(st.text("lowerstnid", min_size=1))
def test_pieces_spell_the_word(word: str) -> None:
    assert "".join(merge(word, learn_merges(COUNTS, 10))) == word + END_OF_WORD


class TestWordPieces:
    cutter = WordPieces((*MARKS, "un", "##aff", "##able", "##a", "a", ".", "cafe"))

    def test_the_longest_piece_first(self) -> None:
        assert self.cutter.cut("unaffable.") == ["un", "##aff", "##able", "."]
        assert self.cutter.cut("unx a") == ["[UNK]", "a"]
        assert self.cutter.cut("a" * 101) == ["[UNK]"]

    def test_case_and_accents_go(self) -> None:
        assert self.cutter.cut("  CAFÉ\n") == ["cafe"]
        assert uncased_words("a-b\u200bc 3.5€ £2") == ["a", "-", "bc", "3", ".", "5€", "£2"]

    def test_numbers_stand_between_two_marks_and_are_cut(self) -> None:
        assert self.cutter.encode("a a a", length=4) == [2, 9, 9, 3]
        assert self.cutter.encode("") == [2, 3]
        with pytest.raises(ValueError, match="length is 1"):
            self.cutter.encode("a", length=1)

    def test_it_is_read_from_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join(self.cutter.pieces) + "\n", encoding="utf-8")
        assert WordPieces.load(path) == self.cutter
        path.write_text("a\nb\n")
        with pytest.raises(ValueError, match=r"\[PAD\] is not among the pieces"):
            WordPieces.load(path)

    def test_as_hugging_face_s_tokeniser_cuts(self) -> None:
        tokenizers = pytest.importorskip("tokenizers")
        try:
            folder = minilm_folder()
        except ImportError:
            pytest.skip("the weights are not installed")
        theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        theirs.no_truncation()
        theirs.no_padding()
        ours = WordPieces.load(folder / "vocab.txt")
        for text in (
            "Très chic — isn't it?\r\nI'd say 5'4\", 120 lbs…",
            "not bad at all, but unaffordable & overpriced (€39.99!)",
            "这件T恤很舒服 👍🏽 naïve\tﬁt",
            "",
        ):
            assert ours.encode(text) == theirs.encode(text).ids, text

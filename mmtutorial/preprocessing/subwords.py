"""Subwords: pieces of words, so that a small vocabulary spells every word.

`learn_merges` and `merge` are byte-pair encoding as Sennrich et al. (2016) give it, on characters.
`WordPieces` cuts words as BERT does, by a vocabulary that somebody has learnt before: always the
longest piece that fits. Pieces within a word begin with ``##`` there; here the last piece of a word
ends in `END_OF_WORD`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Self

from mmtutorial.preprocessing.text import HAN
from mmtutorial.storage.files import expanded

END_OF_WORD = "·"
INSIDE = "##"
LONGEST = 100  # characters of a word that WordPiece still cuts

Pair = tuple[str, str]


def learn_merges(counts: Mapping[str, int], n_merges: int) -> list[Pair]:
    """Learn byte-pair encoding: join the most frequent pair of neighbours, again and again.

    Parameters
    ----------
    counts : mapping
        How often each word occurs in the training texts.
    n_merges : int
        How many pairs are joined at most; it ends sooner where no pair is left.

    Returns
    -------
    list of pairs of str
        In the order of learning. Of pairs equally frequent the first in the alphabet is taken.

    Notes
    -----
    Sennrich, Haddow and Birch (2016), algorithm 1. Only words with the joined pair are counted
    again.

    Examples
    --------
    >>> learn_merges({"low": 5, "lower": 2, "newer": 6}, n_merges=3)
    [('e', 'r'), ('er', '·'), ('w', 'er·')]
    """
    words = {word: (*word, END_OF_WORD) for word in counts}
    pairs: Counter[Pair] = Counter()
    places: dict[Pair, set[str]] = {}
    for word, pieces in words.items():
        for pair in pairwise(pieces):
            pairs[pair] += counts[word]
            places.setdefault(pair, set()).add(word)
    merges: list[Pair] = []
    while len(merges) < n_merges:
        pairs = +pairs  # without those that are gone
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in places.pop(best):
            before = words[word]
            words[word] = after = _join(before, best)
            pairs.subtract(
                {pair: n * counts[word] for pair, n in Counter(pairwise(before)).items()}
            )
            pairs.update({pair: n * counts[word] for pair, n in Counter(pairwise(after)).items()})
            for pair in pairwise(after):
                places.setdefault(pair, set()).add(word)
    return merges


def _join(pieces: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    """Join every occurrence of a pair, from the left."""
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def merge(word: str, merges: Iterable[Pair]) -> list[str]:
    """Cut a word by byte-pair encoding: join its characters in the order that was learnt.

    Parameters
    ----------
    word : str
        Not empty.
    merges : iterable of pairs of str
        From `learn_merges`.

    Returns
    -------
    list of str
        Pieces; joined, they are the word and `END_OF_WORD`.

    Examples
    --------
    >>> merge("newest", [("e", "w"), ("n", "ew"), ("t", "·")])
    ['new', 'e', 's', 't·']
    """
    pieces = (*word, END_OF_WORD)
    for pair in merges:
        if len(pieces) == 1:
            break
        pieces = _join(pieces, pair)
    return list(pieces)


@dataclass(frozen=True)
class WordPieces:
    """The subwords of a BERT, by number.

    Parameters
    ----------
    pieces : tuple of str
        By number; "[PAD]", "[UNK]", "[CLS]", "[SEP]" and "[MASK]" are among them.

    Examples
    --------
    >>> marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    >>> cutter = WordPieces((*marks, "un", "##related", "##rel", "a", "."))
    >>> cutter.cut("An unrelated…")
    ['[UNK]', 'un', '##related', '[UNK]']
    >>> cutter.encode("unrelated.")
    [2, 5, 6, 9, 3]
    """

    pieces: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a vocabulary without BERT's marks."""
        for mark in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"):
            if mark not in self._number:
                raise ValueError(f"{mark} is not among the pieces: it is no vocabulary of a BERT")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a ``vocab.txt``: one piece a line."""
        return cls(tuple(expanded(path).read_text(encoding="utf-8").splitlines()))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {piece: number for number, piece in enumerate(self.pieces)}

    def cut(self, text: str) -> list[str]:
        """Cut a text as an uncased BERT does: lower case, no accents, words, then `cut_word`."""
        return [piece for word in uncased_words(text) for piece in self.cut_word(word)]

    def cut_word(self, word: str) -> list[str]:
        """Take the longest piece that begins the word, then the longest that begins the rest, …

        A word for whose rest no piece fits is "[UNK]" as a whole.
        """
        if len(word) > LONGEST:
            return ["[UNK]"]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            before = INSIDE if start else ""
            for end in range(len(word), start, -1):
                if before + word[start:end] in self._number:
                    pieces.append(before + word[start:end])
                    start = end
                    break
            else:
                return ["[UNK]"]
        return pieces

    def encode(self, text: str, length: int = 512) -> list[int]:
        """Return the pieces' numbers between [CLS] and [SEP], ``length`` of them at most."""
        if length < 2:
            raise ValueError(f"length is {length}; the two marks alone are 2")
        marked = ["[CLS]", *self.cut(text)[: length - 2], "[SEP]"]
        return [self._number[piece] for piece in marked]


def uncased_words(text: str) -> list[str]:
    """Cut a text where BERT's basic tokeniser does: at blanks and around punctuation and Han.

    In lower case and without accents; control characters go.

    >>> uncased_words("Très chic, isn't it? 很好")
    ['tres', 'chic', ',', 'isn', "'", 't', 'it', '?', '很', '好']
    """
    plain = unicodedata.normalize("NFD", text.lower())
    spaced: list[str] = []
    for sign in plain:
        kind = unicodedata.category(sign)
        if sign.isspace():
            spaced.append(" ")
        elif kind == "Mn" or kind.startswith("C") or sign == "\ufffd":
            continue
        elif kind.startswith("P") or (sign.isascii() and not sign.isalnum()) or HAN.match(sign):
            spaced.append(f" {sign} ")
        else:
            spaced.append(sign)
    return "".join(spaced).split()

"""Text, step by step: clean it, cut it into words, number the words (article, section 3.2.1)."""

from __future__ import annotations

import html
import json
import logging
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from mmtutorial.storage.files import expanded, write_whole

if TYPE_CHECKING:
    import jieba

PADDING, UNKNOWN, START, END = range(4)
SPECIAL = ("<padding>", "<unknown>", "<start>", "<end>")

TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<![^<>]*>")
URL = re.compile(r"(?:https?://|\bwww\.)[!-~]+", re.IGNORECASE)  # ASCII: Chinese ends an address
INVISIBLE = re.compile(  # not the joiners U+200C and U+200D: emoji and scripts need them
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064"
    "\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
EMOJI = "[\u2600-\u27bf\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"  # without tones of skin
MARKS = "".join(chr(code) for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code)))
PILE = re.compile(f"([{MARKS}]{{30}})[{MARKS}]+")  # more than Unicode's stream-safe form allows
NO_CHARACTER = re.compile(r"&#[0-9]{20,};?")  # numbers that Python does not even read
ROUNDS = 8  # times that a text may be escaped, or tags be nested
UNBROKEN = 500  # characters that jieba gets at a time: its time grows with their square
STRETCH = re.compile(rf"[\w+#&.%-]{{{UNBROKEN}}}(?=[\w+#&.%-])")  # what jieba never breaks itself
WORD = re.compile(rf"\d+(?:[.,]\d+)+|[^\W_]+(?:'[^\W_]+)*|{EMOJI}")


def clean(text: str) -> str:
    """Clean a text of what is not language, and keep all that is: Chinese, accents, emoji.

    In this order: Unicode's NFKC form (one form for each character, full-width letters to
    ordinary ones), HTML entities resolved, HTML tags out, invisible control characters out,
    addresses of web pages out, white space to single blanks. Repeated until nothing changes, for
    texts that were escaped twice, so that cleaning a clean text changes nothing.

    Time grows with the length of a text, whatever it holds: of marks piled on one letter 30 stay,
    and what is still escaped or nested after 8 rounds loses its "<", ">" and "&".

    >>> clean("So&nbsp;<b>soft</b>!<br/>See https://shop.example/p7  ＯＫ 很好👍🏽")
    'So soft ! See OK 很好👍🏽'
    """
    for rounds in count(1):
        cleaned = text if text.isascii() else PILE.sub(r"\1", text)
        cleaned = unicodedata.normalize("NFKC", cleaned)
        cleaned = html.unescape(NO_CHARACTER.sub("\ufffd", cleaned))
        cleaned = TAG.sub(" ", cleaned)
        cleaned = URL.sub(" ", INVISIBLE.sub("", cleaned))
        if rounds > ROUNDS:
            cleaned = re.sub("[<>&]", " ", cleaned)
        cleaned = " ".join(cleaned.split())
        if cleaned == text:
            break
        text = cleaned
    return text


def tokenise(text: str, language: str = "auto") -> list[str]:
    """Cut a text into words, in lower case; punctuation goes, numbers and emoji stay.

    English words end where the letters do (apostrophes inside a word belong to it). Chinese is
    written without blanks: jieba finds the most probable cut by its dictionary, in stretches of 500
    characters at most where no punctuation comes sooner.

    Parameters
    ----------
    text : str
        Best cleaned before.
    language : {"auto", "en", "zh"}
        "auto" hands each unbroken stretch with Chinese characters to jieba, and treats the rest
        as English; "zh" hands over the whole text; "en" never does.

    Raises
    ------
    ValueError
        For another language.

    Examples
    --------
    >>> tokenise("It's SOFT, size 3.5 👍")
    ["it's", 'soft', 'size', '3.5', '👍']
    >>> tokenise("这件T恤很舒服, love it")
    ['这件', 't恤', '很', '舒服', 'love', 'it']
    """
    text = text.replace("’", "'")
    if language == "en":
        return WORD.findall(text.lower())
    if language == "zh":
        pieces = _jieba().cut(STRETCH.sub(r"\g<0> ", text))
        return [word for piece in pieces for word in WORD.findall(piece.lower())]
    if language != "auto":
        raise ValueError(f"language is {language!r}; we cut 'en', 'zh' and, mixed, 'auto'")
    words: list[str] = []
    for word in WORD.findall(text):
        words += tokenise(word, "zh") if HAN.search(word) else [word.lower()]
    return words


@cache
def _jieba() -> jieba.Tokenizer:
    """Load jieba when it is first needed: its own dictionary, nothing that others added to it.

    The dictionary is read from the package. By itself jieba would read ``jieba.cache`` in the
    system's folder for temporary files, whoever wrote it, which is hardly faster.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source predates today's rules for escapes
        import jieba
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


@dataclass(frozen=True)
class Vocabulary:
    """The words that a model knows, and their numbers.

    The first four numbers are no words: 0 pads, 1 stands for every unknown word, 2 and 3 mark
    where a text starts and ends. Then come the words, the most frequent first, words of equal
    frequency in the order of the alphabet.

    Parameters
    ----------
    words : tuple of str
        By number; begins with `SPECIAL`.

    Examples
    --------
    >>> vocabulary = Vocabulary.of([["so", "soft"], ["so", "warm"]])
    >>> vocabulary.words[4:], len(vocabulary)
    (('so', 'soft', 'warm'), 7)
    >>> vocabulary.encode(["so", "blue"]), vocabulary.decode([4, 1])
    ([4, 1], ['so', '<unknown>'])
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse words without the four at the front, and a word that occurs twice."""
        if self.words[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"a vocabulary begins with {', '.join(SPECIAL)}")
        if len(self._number) < len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise ValueError(f"the vocabulary holds {twice!r} twice")

    @classmethod
    def of(
        cls, tokens: Iterable[Sequence[str]], max_size: int | None = None, min_count: int = 1
    ) -> Self:
        """Count the words of some texts (of the training period), and keep the most frequent.

        Parameters
        ----------
        tokens : iterable of sequences of str
            The words of each text, as from `tokenise`.
        max_size : int, optional
            Length of the vocabulary at most, the four that are no words included.
        min_count : int
            A rarer word is left unknown.

        Raises
        ------
        ValueError
            If max_size leaves no room for a word.
        """
        if max_size is not None and max_size <= len(SPECIAL):
            raise ValueError(f"max_size is {max_size}; the first {len(SPECIAL)} are no words")
        counts = Counter(chain.from_iterable(tokens))
        ranked = sorted(
            (-count, word)
            for word, count in counts.items()
            if count >= min_count and word not in SPECIAL
        )
        return cls((*SPECIAL, *(word for _, word in ranked))[:max_size])

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        """How many numbers there are: the ``vocab_size`` of an embedding."""
        return len(self.words)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return each word's number, 1 for an unknown word."""
        return [self._number.get(token, UNKNOWN) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return each number's word. Raises ValueError for a number outside the vocabulary."""
        numbers = list(numbers)
        for number in numbers:
            if not 0 <= number < len(self.words):
                raise ValueError(f"{number} is no word: they go from 0 to {len(self.words) - 1}")
        return [self.words[number] for number in numbers]

    def save(self, path: str | Path) -> None:
        """Write the words as a JSON list; an earlier file is replaced at once, or not at all."""
        write_whole(expanded(path), json.dumps(self.words, ensure_ascii=False, indent=0).encode())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ValueError if the file holds something else."""
        try:
            words = json.loads(expanded(path).read_text(encoding="utf-8"))
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ValueError("it is not a list of words")
            return cls(tuple(words))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} holds no vocabulary: {error}; save it again") from error


def sequences(
    texts: Iterable[str | Sequence[str]],
    vocabulary: Vocabulary,
    length: int = 32,
    padding: str = "pre",
) -> np.ndarray:
    """Number the words of each text, and give all texts the same length.

    A longer text loses its end: a title comes first, and reviewers say early what they think. A
    shorter one is filled with 0. The article's LSTM is not told which steps are filling, and
    hands on the state after its *last* step. With filling at the end ("post"), a short text would
    be followed by many steps in which the state forgets it; so the filling goes first ("pre").
    An encoder that masks the filling may have it either way.

    Parameters
    ----------
    texts : iterable
        Texts, which are cleaned and cut into words, or lists of words. "" for an absent text.
    vocabulary : Vocabulary
        Of the training period's texts.
    length : int
        Words a text.
    padding : {"pre", "post"}
        Where the filling goes.

    Returns
    -------
    ndarray
        int32 (n_texts, length), numbers below ``len(vocabulary)``.

    Raises
    ------
    ValueError
        For a length below 1 or another padding.

    Examples
    --------
    >>> vocabulary = Vocabulary.of([["so", "soft"]])
    >>> sequences(["So soft!", "soft soft soft soft", ""], vocabulary, length=3)
    array([[0, 4, 5],
           [5, 5, 5],
           [0, 0, 0]], dtype=int32)
    """
    if length < 1 or padding not in ("pre", "post"):
        raise ValueError(f"length {length}, padding {padding!r}: at least 1, and 'pre' or 'post'")
    rows = []
    for text in texts:
        words = tokenise(clean(text)) if isinstance(text, str) else text
        numbers = vocabulary.encode(words[:length])
        filling = [PADDING] * (length - len(numbers))
        rows.append(filling + numbers if padding == "pre" else numbers + filling)
    return np.array(rows, dtype=np.int32).reshape(-1, length)

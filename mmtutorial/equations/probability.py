"""The probability of a text: chain rule, n-gram models, perplexity, drawing the next word.

An n-gram model learns and answers in whole arrays. A *context* is the n − 1 words before a word; it
is found from the newest word to the oldest, so that a context and its shorter versions lie on one
path, and every (context, word) is one number in a sorted array. A loop runs over the n lengths of
context only. Chapter 2 derives every formula.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple, Self

import numpy as np

from mmtutorial.preprocessing.text import END, PADDING, START


def windows(
    texts: Sequence[Sequence[int]], order: int, start: int = START, end: int = END
) -> tuple[np.ndarray, np.ndarray]:
    """Pair every word of some texts, the end mark included, with the order − 1 words before it.

    Where a text has just begun, start marks fill the context. They are never paired as a word.

    Parameters
    ----------
    texts : sequence of int sequences
        Numbers of the words, without marks. A text may be empty: it is then an end mark alone.
    order : int
        The n of the n-gram, at least 1.
    start, end : int
        Numbers of the two marks.

    Returns
    -------
    words : ndarray
        int64 (n_tokens,), the texts one after another, n_tokens = number of words + of texts.
    contexts : ndarray
        int64 (n_tokens, order − 1), the oldest word first.

    Raises
    ------
    ValueError
        If order is below 1.

    Examples
    --------
    >>> words, contexts = windows([[5, 6], [7]], order=3)
    >>> words
    array([5, 6, 3, 7, 3])
    >>> contexts.tolist()
    [[2, 2], [2, 5], [5, 6], [2, 2], [2, 7]]
    """
    if order < 1:
        raise ValueError(f"order is {order}; an n-gram has at least one word")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    n_tokens = int(lengths.sum()) + len(lengths)
    padded = np.full(n_tokens + (order - 1) * len(lengths), start, dtype=np.int64)
    last = np.cumsum(lengths + order) - 1  # where the end marks stand
    place = np.arange(n_tokens) + (order - 1) * (1 + np.repeat(np.arange(len(texts)), lengths + 1))
    padded[place] = end
    inner = np.ones(n_tokens, dtype=bool)
    inner[np.cumsum(lengths + 1) - 1] = False
    padded[place[inner]] = np.fromiter(
        chain.from_iterable(texts), dtype=np.int64, count=n_tokens - len(last)
    )
    before = place[:, None] - np.arange(order - 1, 0, -1)
    return padded[place], padded[before]


class _Level(NamedTuple):
    """What was counted with contexts of one length.

    ``contexts`` are keys (row of the context without its oldest word) · V + (oldest word); the
    place of a key is the context's row. ``grams`` are keys (row of the context) · V + (word).
    """

    contexts: np.ndarray  # int64 (n_contexts,), sorted
    grams: np.ndarray  # int64 (n_grams,), sorted
    counts: np.ndarray  # int64 (n_grams,)
    totals: np.ndarray  # int64 (n_contexts,), sum of the counts after each context
    types: np.ndarray  # int64 (n_contexts,), number of different words after each context

    @classmethod
    def of(cls, contexts: np.ndarray, grams: np.ndarray, counts: np.ndarray, size: int) -> Self:
        rows = grams // size
        totals = np.bincount(rows, weights=counts, minlength=len(contexts)).astype(np.int64)
        return cls(contexts, grams, counts, totals, np.bincount(rows, minlength=len(contexts)))

    def times(self, rows: np.ndarray, words: np.ndarray, size: int) -> np.ndarray:
        """Return how often each word followed its context; 0 for the row −1."""
        places = _find(self.grams, rows * size + words)
        return np.where(places >= 0, self.counts[places], 0)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the place of each wanted number among sorted keys, −1 where it is not."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


class NgramModel(ABC):
    """A model that gives a word a probability from the ``order`` − 1 words before it.

    Parameters
    ----------
    order : int
        The n of the n-gram: 1 looks at no word before, 2 at one.
    vocab_size : int
        How many numbers there are, marks and the unknown word included.
    never : sequence of int
        Numbers that are never predicted: they have probability 0 and no share of any smoothing.
    start, end : int
        Numbers of the marks at the two ends of a text.

    Raises
    ------
    ValueError
        For an order below 1, or a vocabulary in which nothing can be predicted.
    """

    def __init__(
        self,
        order: int,
        vocab_size: int,
        *,
        never: Sequence[int] = (PADDING, START),
        start: int = START,
        end: int = END,
    ) -> None:
        if order < 1:
            raise ValueError(f"order is {order}; an n-gram has at least one word")
        self.order, self.vocab_size, self.start, self.end = order, vocab_size, start, end
        self.possible = np.ones(vocab_size, dtype=bool)
        self.possible[list(never)] = False
        if not self.possible.any():
            raise ValueError(f"a vocabulary of {vocab_size} without {list(never)} has no word")

    def fit(self, texts: Sequence[Sequence[int]]) -> Self:
        """Count the n-grams of some texts, given as numbers without marks, and of all below.

        Raises ValueError for no text, or a number outside the vocabulary.
        """
        if not len(texts):
            raise ValueError("there is no text to count")
        words, contexts = windows(texts, self.order, self.start, self.end)
        self._check(words, contexts)
        rows = np.zeros(len(words), dtype=np.int64)
        known = np.zeros(1, dtype=np.int64)  # the empty context, row 0
        self._levels: list[_Level] = []
        for length in range(self.order):
            if length:
                known, rows = np.unique(
                    rows * self.vocab_size + contexts[:, -length], return_inverse=True
                )
            grams, counts = np.unique(rows * self.vocab_size + words, return_counts=True)
            self._levels.append(_Level.of(known, grams, counts, self.vocab_size))
        return self

    def probability(self, words: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Return p(word | context) for many words at once.

        Parameters
        ----------
        words : ndarray
            int (...), any shape.
        contexts : ndarray
            int (..., order − 1), the oldest word first; its shape before the last axis and that
            of ``words`` are broadcast.

        Returns
        -------
        ndarray
            float64 (...), 0 to 1.

        Raises
        ------
        ValueError
            If contexts have another length, or a number is outside the vocabulary.
        RuntimeError
            Before ``fit``.
        """
        if not hasattr(self, "_levels"):
            raise RuntimeError("the model has counted nothing yet: call fit first")
        words, contexts = np.asarray(words), np.asarray(contexts)
        if contexts.shape[-1:] != (self.order - 1,):
            raise ValueError(
                f"contexts have the shape {contexts.shape}; the last axis of an order of "
                f"{self.order} has {self.order - 1} words"
            )
        self._check(words, contexts)
        rows = [np.zeros(contexts.shape[:-1], dtype=np.int64)]
        for length in range(1, self.order):
            key = rows[-1] * self.vocab_size + contexts[..., -length]  # < 0 after an unseen one
            rows.append(_find(self._levels[length].contexts, key))
        shape = np.broadcast_shapes(words.shape, contexts.shape[:-1])
        chance = np.broadcast_to(self._probability(words, rows), shape)
        return np.where(self.possible[words], chance, 0.0)

    def distribution(self, contexts: np.ndarray) -> np.ndarray:
        """Return p(· | context) over the vocabulary: float64 (..., vocab_size), rows sum to 1."""
        return self.probability(np.arange(self.vocab_size), np.asarray(contexts)[..., None, :])

    def log_probabilities(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """Return ln p(w_t | w_<t) of every word and end mark, the texts one after another.

        float64 (n_words + n_texts,), in nats; −inf for what the model holds to be impossible.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.probability(*windows(texts, self.order, self.start, self.end)))

    def next_word(self, tokens: np.ndarray) -> np.ndarray:
        """Return p(· | the last words of each row): (n, t) → float64 (n, vocab_size), for `write`.

        ``tokens`` begin with a start mark; contexts that would begin before it are filled.
        """
        filling = np.full((len(tokens), self.order - 1), self.start)
        context = np.concatenate([filling, tokens], axis=1)
        return self.distribution(context[:, context.shape[1] - self.order + 1 :])

    def _check(self, *arrays: np.ndarray) -> None:
        for array in arrays:
            if array.size and not (array.min() >= 0 and array.max() < self.vocab_size):
                raise ValueError(
                    f"words are numbers from 0 to {self.vocab_size - 1}, and there are some "
                    f"from {array.min()} to {array.max()}"
                )

    @abstractmethod
    def _probability(self, words: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Return p(word | context), given each context's row at every length (−1: unseen)."""


class MaximumLikelihood(NgramModel):
    """The share of a context's occurrences that the word followed: c(g w) / c(g).

    After a context that was never seen the share is 0/0. ``unseen="shorter"`` then takes the
    longest part of the context that was seen, so that probabilities always sum to 1;
    ``unseen="zero"`` says 0 for every word, as ``nltk.lm.MLE`` does. See `NgramModel` for the other
    parameters. Raises ValueError for another ``unseen``.

    Examples
    --------
    Numbers 4, 5 and 6 stand for "nice", "bell" and "loud": "nice bell", "nice", "loud bell".

    >>> model = MaximumLikelihood(order=2, vocab_size=7).fit([[4, 5], [4], [6, 5]])
    >>> model.distribution([[4]])
    array([[0. , 0. , 0. , 0.5, 0. , 0.5, 0. ]])
    """

    def __init__(
        self,
        order: int,
        vocab_size: int,
        *,
        unseen: str = "shorter",
        never: Sequence[int] = (PADDING, START),
        start: int = START,
        end: int = END,
    ) -> None:
        if unseen not in ("shorter", "zero"):
            raise ValueError(f"unseen is {unseen!r}; it is 'shorter' or 'zero'")
        super().__init__(order, vocab_size, never=never, start=start, end=end)
        self.unseen = unseen

    def _probability(self, words: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
        chance = np.zeros(())
        longest = slice(-1, None) if self.unseen == "zero" else slice(None)
        for level, row in zip(self._levels[longest], rows[longest], strict=True):
            share = level.times(row, words, self.vocab_size) / level.totals[row]
            chance = np.where(row >= 0, share, chance)
        return chance


class AddK(NgramModel):
    """Every word was seen ``k`` times more than it was: ``(c(g w) + k) / (c(g) + k |V|)``.

    ``|V|`` counts the words that can be predicted. Laplace's rule is k = 1, and ``nltk.lm`` calls
    the general one Lidstone's. See `NgramModel` for the other parameters. Raises ValueError for
    k ≤ 0.

    Examples
    --------
    >>> model = AddK(order=2, vocab_size=7, k=1.0).fit([[4, 5], [4], [6, 5]])
    >>> model.distribution([[4]]) * 7
    array([[0., 1., 0., 2., 1., 2., 1.]])
    """

    def __init__(
        self,
        order: int,
        vocab_size: int,
        k: float = 1.0,
        *,
        never: Sequence[int] = (PADDING, START),
        start: int = START,
        end: int = END,
    ) -> None:
        if not k > 0:
            raise ValueError(f"k is {k}; it must be above 0, or use MaximumLikelihood")
        super().__init__(order, vocab_size, never=never, start=start, end=end)
        self.k = k

    def _probability(self, words: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
        level, row = self._levels[-1], rows[-1]
        total = np.where(row >= 0, level.totals[row], 0)
        count = level.times(row, words, self.vocab_size)
        return (count + self.k) / (total + self.k * self.possible.sum())


class KneserNey(NgramModel):
    r"""Interpolated Kneser–Ney: a discount from every count goes to the shorter context.

    .. math::
        p(w \mid g) = \frac{\max\{c(g\,w) - D, 0\}}{c(g)}
        + \frac{D\, N(g\,\bullet)}{c(g)}\, p(w \mid g')

    At every length but the longest, c(g w) is replaced by the number of different words seen
    before g w. The empty context either ends the chain with N(• w) / N(• •), as the formula is
    mostly printed (``uniform=False``, and ``nltk.lm.KneserNeyInterpolated``), or is discounted too
    and shares with the uniform distribution (``uniform=True``), so that a word of the vocabulary
    that the texts never held has a probability above 0. A context never seen is shortened.

    Parameters
    ----------
    order, vocab_size, never, start, end
        See `NgramModel`.
    discount : float
        D, between 0 and 1.
    uniform : bool
        Whether the chain of shorter contexts ends in the uniform distribution.

    Raises
    ------
    ValueError
        For a discount outside 0 … 1.

    Notes
    -----
    Kneser and Ney (1995); the interpolated form and its end in the uniform distribution: Chen and
    Goodman (1999).

    Examples
    --------
    >>> model = KneserNey(order=2, vocab_size=7, discount=0.5).fit([[4, 5], [4], [6, 5]])
    >>> model.distribution([[4], [6]]).round(3)
    array([[0.   , 0.033, 0.   , 0.408, 0.075, 0.408, 0.075],
           [0.   , 0.033, 0.   , 0.158, 0.075, 0.658, 0.075]])
    """

    def __init__(
        self,
        order: int,
        vocab_size: int,
        discount: float = 0.75,
        *,
        uniform: bool = True,
        never: Sequence[int] = (PADDING, START),
        start: int = START,
        end: int = END,
    ) -> None:
        if not 0 < discount < 1:
            raise ValueError(f"discount is {discount}; it lies between 0 and 1")
        super().__init__(order, vocab_size, never=never, start=start, end=end)
        self.discount = discount
        self.uniform = uniform

    def fit(self, texts: Sequence[Sequence[int]]) -> Self:
        """Count the n-grams, and below the longest the different words seen before each."""
        super().fit(texts)
        size = self.vocab_size
        for length in range(self.order - 1):
            longer = self._levels[length + 1]
            row, word = np.divmod(longer.grams, size)
            shorter = longer.contexts[row] // size  # the context without its oldest word
            grams, counts = np.unique(shorter * size + word, return_counts=True)
            known = self._levels[length].contexts
            self._levels[length] = _Level.of(known, grams, counts, size)
        return self

    def _probability(self, words: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
        chance = np.array(1.0 / self.possible.sum())
        for length, (level, row) in enumerate(zip(self._levels, rows, strict=True)):
            count = level.times(row, words, self.vocab_size)
            total = level.totals[row]
            discount = self.discount if length or self.uniform else 0.0
            mixed = np.maximum(count - discount, 0) + discount * level.types[row] * chance
            chance = np.where(row >= 0, mixed / total, chance)
        return chance


def chain_rule(log_probabilities: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sum the words' log-probabilities text by text: ln P(w_1 … w_T) = Σ_t ln p(w_t | w_<t).

    Parameters
    ----------
    log_probabilities : ndarray
        float (n_tokens,), the texts one after another.
    lengths : ndarray
        int (n_texts,), tokens of each, at least 1, since the end mark counts.

    Returns
    -------
    ndarray
        float64 (n_texts,).

    Raises
    ------
    ValueError
        If the lengths do not add up to the number of tokens, or one is below 1.

    Examples
    --------
    >>> np.exp(chain_rule(np.log([0.5, 0.5, 0.25]), np.array([2, 1])))
    array([0.25, 0.25])
    """
    lengths = np.asarray(lengths)
    if lengths.sum() != len(log_probabilities) or (lengths < 1).any():
        raise ValueError(
            f"{len(log_probabilities)} tokens for texts of {lengths.sum()}: lengths are at least 1 "
            "and add up to the number of tokens"
        )
    if not len(lengths):
        return np.zeros(0)
    return np.add.reduceat(log_probabilities, np.cumsum(lengths) - lengths)


def cross_entropy(log_probabilities: np.ndarray, base: float = np.e) -> float:
    """Average −log p over tokens: in nats, or with ``base=2`` in bits.

    ``log_probabilities`` are natural logarithms, float (n_tokens,). Raises ValueError without a
    token.

    >>> cross_entropy(np.log([0.5, 0.125]), base=2)
    2.0
    """
    if not len(log_probabilities):
        raise ValueError("there is no token to average over")
    return float(-np.mean(log_probabilities) / np.log(base))


def perplexity(log_probabilities: np.ndarray) -> float:
    """Return e to the cross-entropy in nats: among how many words a model hesitates, as it were.

    Infinite where a token was held to be impossible.

    >>> round(perplexity(np.log([0.5, 0.125])), 12)
    4.0
    """
    return float(np.exp(cross_entropy(log_probabilities)))


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpen (temperature below 1) or flatten (above 1) distributions: p^(1/τ), normalised.

    The same as dividing logits by τ before the softmax. float (..., V) → float64 (..., V). Raises
    ValueError for a temperature that is not above 0.

    >>> temper(np.array([0.8, 0.2]), 0.5).round(3)
    array([0.941, 0.059])
    """
    if not temperature > 0:
        raise ValueError(f"the temperature is {temperature}; it must be above 0")
    with np.errstate(divide="ignore"):
        logits = np.log(np.asarray(probabilities, dtype=np.float64)) / temperature
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def draw(probabilities: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one word from each row: (n, V) → int64 (n,), never one of probability 0.

    >>> draw(np.array([[0.0, 1.0, 0.0]] * 3), np.random.default_rng(0))
    array([1, 1, 1])
    """
    heights = np.cumsum(probabilities, axis=1)
    level = (1 - generator.random((len(heights), 1))) * heights[:, -1:]  # above 0, at most the top
    return (heights < level).sum(axis=1)


def write(
    next_word: Callable[[np.ndarray], np.ndarray],
    n_texts: int,
    length: int,
    generator: np.random.Generator,
    temperature: float = 1.0,
    start: int = START,
    end: int = END,
) -> list[list[int]]:
    """Draw texts from a language model, word after word, until each has ended.

    Parameters
    ----------
    next_word : callable
        int64 (n_texts, t), each row a start mark and t − 1 words, to float (n_texts, V): the
        distribution of the next word.
    n_texts, length : int
        How many texts, of how many words at most.
    generator : numpy.random.Generator
        The same state draws the same texts.
    temperature : float
        See `temper`.
    start, end : int
        Numbers of the two marks.

    Returns
    -------
    list of lists of int
        The words of each text, without marks.

    Examples
    --------
    >>> model = KneserNey(order=2, vocab_size=7).fit([[4, 5], [4], [6, 5]])
    >>> len(write(model.next_word, n_texts=2, length=5, generator=np.random.default_rng(0)))
    2
    """
    tokens = np.full((n_texts, 1), start, dtype=np.int64)
    for _ in range(length):
        chosen = draw(temper(next_word(tokens), temperature), generator)
        chosen[(tokens == end).any(axis=1)] = end
        tokens = np.concatenate([tokens, chosen[:, None]], axis=1)
        if (chosen == end).all():
            break
    return [row[1:][np.cumsum(row[1:] == end) == 0].tolist() for row in tokens]

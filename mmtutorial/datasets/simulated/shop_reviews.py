"""Reviews and titles of the shop, in English or Chinese: the text alone tells the liking.

A review is put together from what people might write. Its mood scatters around the product's
liking, so one review informs and several inform better. Words alone say little of it: what is
praised or blamed may be negated ("never bad"), and of two clauses the one after "but", or the
one without "although", has the last word. In English it also stands last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mmtutorial.datasets.simulated.shop_phrases import TONGUES, Phrases, Tongue, Topic

MOOD_NOISE = 0.2  # standard deviation of a review's mood around the liking
CLAUSE_NOISE = 0.2  # ... of a clause's mood around the review's
NEGATED = 0.15  # share of clauses that say it by negating the contrary
CONTRASTED = 0.7  # share of clauses with a second one, which says the contrary and yields
FELT = 0.6  # share of clauses with a feeling, which is never negated
PLAIN = 0.2  # share of sentences whose words are plain
VERDICTS = 0.1  # share of sentences that say what the writer will do
SPECIFIC = 0.15  # share of adjectives that are their topic's

# How a review names them: language -> kind or voice -> words.
KIND_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "alarm clock": "an alarm clock",
            "doorbell": "a doorbell",
            "radio": "a radio",
            "music box": "a music box",
            "toy robot": "a toy robot",
            "kettle": "a kettle",
            "telephone": "a telephone",
            "loudspeaker": "a loudspeaker",
        },
        "zh": {
            "alarm clock": "闹钟",
            "doorbell": "门铃",
            "radio": "收音机",
            "music box": "八音盒",
            "toy robot": "玩具机器人",
            "kettle": "烧水壶",
            "telephone": "电话机",
            "loudspeaker": "音箱",
        },
    }
)
VOICE_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "bell": "bell",
            "whistle": "whistle",
            "falling siren": "falling siren",
            "rising siren": "rising siren",
            "quickening drum": "quickening drum",
            "rising melody": "rising melody",
            "falling melody": "falling melody",
            "slowing drum": "slowing drum",
        },
        "zh": {
            "bell": "铃声",
            "whistle": "哨声",
            "falling siren": "下滑的警笛声",
            "rising siren": "上扬的警笛声",
            "quickening drum": "渐快的鼓声",
            "rising melody": "上行的旋律",
            "falling melody": "下行的旋律",
            "slowing drum": "渐慢的鼓声",
        },
    }
)


def write_review(
    liking: float,
    generator: np.random.Generator,
    language: str = "en",
    kind: str | None = None,
    voice: str | None = None,
) -> str:
    """Write a review of one to three sentences.

    Parameters
    ----------
    liking : float
        How much the product is liked, in standard deviations from the average product; the tone
        does not change beyond ±3.
    generator : numpy.random.Generator
        The same state gives the same review.
    language : {"en", "zh"}
        English or simplified Chinese.
    kind, voice : str, optional
        The product's kind (a key of ``KIND_NAMES[language]``) or voice (of ``VOICE_NAMES``), for
        the review to name. Otherwise nothing in it tells them.

    Returns
    -------
    str
        Whole sentences on one line.

    Raises
    ------
    ValueError
        For an unknown language, kind or voice, or a liking that is not a finite number.

    Examples
    --------
    >>> print(write_review(2.5, np.random.default_rng(4), voice="bell"))
    I am glad that Ivan found the surprise not terrible or useless. The layout was truly dreadful
    and terrible, but it pleases me that its reward seems very decent. The bell is very excellent
    and perfect.
    """
    tongue = _tongue(language)
    if not math.isfinite(liking):
        raise ValueError(f"liking is {liking}; it must be a finite number")
    for name, value, known in (("kind", kind, KIND_NAMES), ("voice", voice, VOICE_NAMES)):
        if value is not None and value not in known[language]:
            raise ValueError(f"{name} is {value!r}; the shop has {list(known[language])}")

    writer = _Writer(tongue, generator)
    tone = min(max(float(liking), -3.0), 3.0) + MOOD_NOISE * next(writer.scatter)
    about = []
    if kind is not None:
        about.append((tongue.kind_clauses, tongue.kind, KIND_NAMES[language][kind]))
    if voice is not None:
        about.append((tongue.clauses, tongue.voice, VOICE_NAMES[language][voice]))
    sentences = [writer.judgement(tone) for _ in range(max(1, writer.count() - len(about)))]
    sentences += [writer.clause(tone, *each) for each in about]
    if len(sentences) < 3 and next(writer.shares) < 0.3:
        sentences.insert(next(writer.shares) < 0.5, writer.filled(writer.pick(tongue.asides)))
    if next(writer.shares) < 0.35:
        opener = writer.filled(writer.pick(tongue.openers))
        sentences[0] = opener + tongue.space + sentences[0]
    return tongue.space.join(each[0].upper() + each[1:] + tongue.stop for each in sentences)


def write_title(generator: np.random.Generator, language: str = "en") -> str:
    """Make up a product name that tells nothing about kind, voice or liking.

    Parameters
    ----------
    generator : numpy.random.Generator
        The same state gives the same title.
    language : {"en", "zh"}
        English or simplified Chinese.

    Returns
    -------
    str
        A made-up brand and a model number.

    Raises
    ------
    ValueError
        For an unknown language.

    Examples
    --------
    >>> write_title(np.random.default_rng(0))
    'Galena A110'
    """
    tongue = _tongue(language)
    form, brand, letter, model = generator.random(4).tolist()
    return tongue.titles[int(form * len(tongue.titles))].format(
        brand=tongue.brands[int(brand * len(tongue.brands))],
        letter="ACDEFHKLMNPRSTVX"[int(letter * 16)],
        model=100 + 5 * int(model * 180),
    )


def _tongue(language: str) -> Tongue:
    """Return what a language has to say."""
    if language not in TONGUES:
        raise ValueError(f"language is {language!r}; the shop's reviews are in {list(TONGUES)}")
    return TONGUES[language]


class _Writer:
    """Writes clauses and sentences of a mood; all that is random was drawn before."""

    def __init__(self, tongue: Tongue, generator: np.random.Generator) -> None:
        self.tongue = tongue
        self.shares: Iterator[float] = iter(generator.random(100).tolist())
        self.scatter: Iterator[float] = iter(generator.standard_normal(12).tolist())

    def pick(self, bank: Sequence[str]) -> str:
        """Choose one of these, each as often."""
        return bank[int(next(self.shares) * len(bank))]

    def count(self) -> int:
        """Choose how many sentences judge."""
        return (1, 2, 2, 2, 3, 3, 3, 3)[int(next(self.shares) * 8)]

    def filled(self, phrase: str) -> str:
        """Fill the slots of a neutral phrase."""
        tongue, pick = self.tongue, self.pick
        return phrase.format(
            number=pick(tongue.numbers),
            unit=pick(tongue.units),
            person=pick(tongue.people),
            month=pick(tongue.months),
            room=pick(tongue.rooms),
            object=pick(tongue.objects),
        )

    def judgement(self, tone: float) -> str:
        """Write a sentence of this mood: plain words, a verdict, or one or two clauses."""
        tongue, form = self.tongue, next(self.shares)
        if form < PLAIN:
            return self.pick(tongue.extremes[tone < 0]).format(person=self.pick(tongue.people))
        if form < PLAIN + VERDICTS:
            return self.verdict(tone + CLAUSE_NOISE * next(self.scatter))
        major = self.felt(tone)
        if next(self.shares) >= CONTRASTED:
            return major
        return self.pick(tongue.contrasts).format(major=major, minor=self.felt(-tone))

    def felt(self, tone: float) -> str:
        """Write a clause of this mood, perhaps after what the writer feels about it."""
        clause = self.clause(tone, self.tongue.clauses, self.topic())
        if next(self.shares) >= FELT:
            return clause
        return self.pick(self.tongue.feelings[tone < 0]).format(clause=clause)

    def topic(self) -> Topic:
        """Choose what a clause is about."""
        return self.tongue.topics[int(next(self.shares) * len(self.tongue.topics))]

    def clause(
        self, tone: float, forms: tuple[Phrases, Phrases], topic: Topic, noun: str | None = None
    ) -> str:
        """Write a clause of this mood: praise or blame, or the contrary of it, negated."""
        tongue, pick = self.tongue, self.pick
        mood = tone + CLAUSE_NOISE * next(self.scatter)
        negated = next(self.shares) < NEGATED
        if (mood > 0) != negated:
            adjectives, general = topic.good, tongue.any_good
        else:
            adjectives, general = topic.bad, tongue.any_bad
        degrees = (tongue.denials if negated else tongue.degrees)[abs(mood) > 0.9]
        first = pick(adjectives if next(self.shares) < SPECIFIC else general)
        return pick(forms[negated]).format(
            n=noun or pick(topic.nouns),
            v=pick(tongue.verbs),
            d=pick(degrees),
            a=first,
            b=pick([each for each in general if each != first]),
            person=pick(tongue.people),
        )

    def verdict(self, mood: float) -> str:
        """Write what follows from the mood: a deed of the content or discontent, or not that."""
        negated = next(self.shares) < NEGATED
        deed = self.pick(self.tongue.deeds[(mood > 0) == negated])
        deed = deed.format(person=self.pick(self.tongue.people))
        person = self.pick(self.tongue.people)
        return self.pick(self.tongue.verdicts[negated]).format(deed=deed, person=person)

"""Reviews of the shop: they tell the liking, and the kind or the voice only where asked to."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeCV

from mmtutorial.datasets.simulated.shop_phrases import ENGLISH
from mmtutorial.datasets.simulated.shop_pictures import KINDS
from mmtutorial.datasets.simulated.shop_reviews import (
    KIND_NAMES,
    VOICE_NAMES,
    write_review,
    write_title,
)
from mmtutorial.datasets.simulated.shop_sounds import VOICES

LANGUAGES = ("en", "zh")
TELLING = {  # parts of words that would tell a kind or a voice
    "en": "alarm|clock|door|radio|music|box|toy|robot|kettle|phone|speaker|bell|whistl|buzz|"
    r"pluck|melod|string|drum|organ|chord|bird|siren|tune|song|sound|boil|\bring",
    "zh": "钟|铃|收音|八音|音乐|玩具|机器|壶|电话|手机|音箱|喇叭|哨|蜂鸣|弦|旋律|鼓|琴|鸟|警|声|水",
}


def _reviews(count: int, language: str) -> tuple[list[str], np.ndarray]:
    """Write two reviews for each of so many products; return them joined, and the likings."""
    generator = np.random.default_rng(0)
    liking = generator.standard_normal(count)
    texts = [" ".join(write_review(each, generator, language) for _ in range(2)) for each in liking]
    return texts, liking


def test_names_are_those_of_pictures_and_sounds() -> None:
    for language in LANGUAGES:
        assert list(KIND_NAMES[language]) == list(KINDS)
        assert list(VOICE_NAMES[language]) == list(VOICES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_same_state_same_review(language: str) -> None:
    first, again = (
        [write_review(0.3, generator, language) for _ in range(20)]
        for generator in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == again


@pytest.mark.parametrize("language", LANGUAGES)
def test_thousands_are_distinct(language: str) -> None:
    generator = np.random.default_rng(0)
    reviews = [write_review(each, generator, language) for each in generator.normal(size=3000)]
    assert len(set(reviews)) > 2000
    titles = {write_title(generator, language) for _ in range(1000)}
    assert len(titles) > 800


@pytest.mark.parametrize("language", LANGUAGES)
def test_reviews_and_titles_tell_neither_kind_nor_voice(language: str) -> None:
    generator = np.random.default_rng(1)
    for liking in 2 * generator.standard_normal(4000):
        review = write_review(liking, generator, language)
        assert not re.search(TELLING[language], review, re.IGNORECASE), review
        title = write_title(generator, language)
        assert not re.search(TELLING[language], title, re.IGNORECASE), title


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("voice", VOICES)
def test_named_reviews_name_them(language: str, kind: str, voice: str) -> None:
    generator = np.random.default_rng(2)
    kind_name, voice_name = KIND_NAMES[language][kind], VOICE_NAMES[language][voice]
    for liking in (-9, -1, 0, 1, 9):
        review = write_review(liking, generator, language, kind=kind, voice=voice).lower()
        assert kind_name in review
        assert voice_name in review
        assert kind_name in write_review(liking, generator, language, kind=kind).lower()
        assert voice_name in write_review(liking, generator, language, voice=voice).lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_reviews_are_one_to_three_whole_sentences(language: str) -> None:
    generator = np.random.default_rng(4)
    for liking in generator.standard_normal(500):
        for named in ({}, {"kind": "radio", "voice": "bell"}):
            review = write_review(liking, generator, language, **named)
            assert "{" not in review
            assert "\n" not in review
            assert 1 <= len(re.findall("[.。]", review)) <= 3
            assert re.search("[.。]$", review)
            if language == "en":
                assert 3 <= len(review.split()) <= 75
                assert all(part[0].isupper() for part in review.split(". "))
            else:
                assert 5 <= len(review) <= 120
                assert re.fullmatch("[\u4e00-\u9fff，。]+", review)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_recover_some_of_the_liking_but_not_most_of_it(language: str) -> None:
    texts, liking = _reviews(1200, language)
    # Characters and their pairs stand in for words, so that no segmentation is needed.
    units = {"analyzer": "char", "ngram_range": (1, 2)} if language == "zh" else {}
    counts = CountVectorizer(**units).fit_transform(texts)
    model = RidgeCV(np.logspace(0, 3, 7)).fit(counts[:800], liking[:800])
    assert 0.15 < model.score(counts[800:], liking[800:]) < 0.5


@pytest.mark.parametrize("liking", [-3, 3])
def test_the_clause_after_but_has_the_last_word(liking: float) -> None:
    words = [
        {each for topic in ENGLISH.topics for each in getattr(topic, name)} | set(general)
        for name, general in (("good", ENGLISH.any_good), ("bad", ENGLISH.any_bad))
    ]
    assert not words[0] & words[1]
    meant, contrary = words if liking > 0 else words[::-1]
    denied = re.compile(r"\b(not|never|hardly|neither|anything but)\b")
    generator = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        for sentence in write_review(liking, generator).rstrip(".").split(". "):
            minor, but, major = sentence.rpartition(", but ")
            if but:
                found += 1
                assert (major.split()[-1] in meant) != bool(denied.search(major)), sentence
                assert (minor.split()[-1] in contrary) != bool(denied.search(minor)), sentence
    assert found > 100


def test_liking_is_clipped_beyond_three() -> None:
    same = [write_review(each, np.random.default_rng(6)) for each in (3.0, 8.0, 1e300)]
    assert same[0] == same[1] == same[2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"language": "fr"}, "fr"),
        ({"liking": float("nan")}, "finite"),
        ({"liking": float("inf")}, "finite"),
        ({"kind": "sofa"}, "sofa"),
        ({"voice": "yodel"}, "yodel"),
    ],
)
def test_errors_name_what_is_wrong(wrong: dict, message: str) -> None:
    right = {"liking": 0.0, "generator": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=message):
        write_review(**(right | wrong))


def test_unknown_language_of_a_title() -> None:
    with pytest.raises(ValueError, match="fr"):
        write_title(np.random.default_rng(0), "fr")

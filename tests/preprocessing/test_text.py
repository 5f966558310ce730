import logging
import marshal
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.preprocessing.text import (
    END,
    PADDING,
    SPECIAL,
    START,
    UNKNOWN,
    Vocabulary,
    clean,
    sequences,
    tokenise,
)

words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
token_lists = st.lists(st.lists(words, max_size=8), max_size=8)
markup = st.lists(
    st.sampled_from(["&amp;", "lt;", "&", "<b>", "<", ">", "#60;", "http://a.b/", "ＡＢ", "好", "👍🏽", " ",
                     "\u200b", "\x00", "www.", "a", "ﬁ", "/", "!", "&#x"]),
    max_size=20,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  so\t soft \n", "so soft"),
        ("&lt;3 it&#39;s &amp;quot;fine&amp;quot;", '<3 it\'s "fine"'),
        ("a<br/>b<p class='x'>c</p><!-- d -->", "a b c"),
        ("2 < 3 and 5 > 4", "2 < 3 and 5 > 4"),
        ("ＡＢＣ１２３　ﬁt", "ABC123 fit"),
        ("z\u200bero\x00 \x1b[0m\ufeff", "zero [0m"),
        ("look at HTTPS://shop.example/p?id=7#top now, or www.example.org", "look at now, or"),
        ("看http://a.example/x很好，谢谢", "看 很好,谢谢"),
        ("👩‍👩‍👧 ❤️ 👍🏽 🇨🇳", "👩‍👩‍👧 ❤️ 👍🏽 🇨🇳"),
        ("cafe\u0301", "café"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("", ""),
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected


@given(st.text() | markup)
def test_cleaning_a_clean_text_changes_nothing(text):
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFKC", once)
    assert "<b>" not in once
    once.encode("utf-8")


def test_a_long_nest_of_tags_takes_a_moment():
    assert clean("<a" * 50_000) == "<a" * 50_000
    assert clean("<b>" * 50_000) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't, DON’T 'quoted'", ["don't", "don't", "quoted"]),
        ("$3.50 for 1,000 XL/M", ["3.50", "for", "1,000", "xl", "m"]),
        ("Café Straße naïve", ["café", "straße", "naïve"]),
        ("a_b-c...", ["a", "b", "c"]),
        ("love it 👍👍🏽!", ["love", "it", "👍", "👍"]),
        ("  ", []),
    ],
)
@pytest.mark.parametrize("language", ["auto", "en"])
def test_english(text, expected, language):
    assert tokenise(text, language) == expected


def test_chinese_is_cut_into_words_and_mixes_with_english():
    assert tokenise("我爱北京天安门") == ["我", "爱", "北京", "天安门"]
    assert tokenise("这件T恤, iPhone很好。don't 买2件") == [
        "这件", "t恤", "iphone", "很", "好", "don't", "买", "2", "件",
    ]  # fmt: skip
    assert tokenise("北京 tea", "zh") == ["北京", "tea"]
    assert tokenise("我爱北京", "en") == ["我爱北京"]


def test_chinese_is_quiet_and_ignores_words_that_others_taught_jieba(caplog, capfd):
    import jieba

    with caplog.at_level(logging.DEBUG):
        before = tokenise("舒服得不得了")
        words_of_ours = set(before)
        jieba.add_word("服得不")
        assert tokenise("舒服得不得了") == before
    assert "服得不" not in words_of_ours
    assert capfd.readouterr() == ("", "")
    jieba.del_word("服得不")


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language is 'fr'"):
        tokenise("bonjour", "fr")


def test_the_first_numbers_are_no_words():
    vocabulary = Vocabulary.of([["a"]])
    assert vocabulary.decode([PADDING, UNKNOWN, START, END, 4]) == [*SPECIAL, "a"]
    assert vocabulary.encode(["a", "b", "<start>"]) == [4, UNKNOWN, START]


def test_words_are_ordered_by_count_then_alphabet_and_cut():
    tokens = [["b", "a", "c", "c"], ["d", "b", "a", "<end>"]]
    assert Vocabulary.of(tokens).words == (*SPECIAL, "a", "b", "c", "d")
    assert Vocabulary.of(tokens, min_count=2).words == (*SPECIAL, "a", "b", "c")
    assert Vocabulary.of(tokens, max_size=6).words == (*SPECIAL, "a", "b")
    assert len(Vocabulary.of(tokens, max_size=6)) == 6


@given(token_lists)
def test_known_words_come_back(tokens):
    vocabulary = Vocabulary.of(tokens)
    assert Vocabulary.of(reversed(tokens)) == vocabulary
    for text in tokens:
        assert vocabulary.decode(vocabulary.encode(text)) == text


@given(token_lists)
def test_a_saved_vocabulary_is_the_same(tmp_path_factory, tokens):
    path = tmp_path_factory.mktemp("vocabulary") / "words.json"
    vocabulary = Vocabulary.of([*tokens, ["好", "👍", 'quote"', "new\nline"]])
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert [each.name for each in path.parent.iterdir()] == ["words.json"]


@pytest.mark.parametrize("content", ["", "{", '["a"]', "[1]", '{"a": 1}', b"\xff\xfe"])
def test_a_file_that_holds_no_vocabulary_is_named(tmp_path, content):
    path = tmp_path / "words.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"words\.json holds no vocabulary: .*save it again"):
        Vocabulary.load(path)


def test_wrong_vocabularies_are_refused():
    with pytest.raises(ValueError, match="holds 'a' twice"):
        Vocabulary((*SPECIAL, "a", "a"))
    with pytest.raises(ValueError, match="max_size is 4"):
        Vocabulary.of([["a"]], max_size=4)
    for number in (-1, 5):
        with pytest.raises(ValueError, match=f"{number} is no word: they go from 0 to 4"):
            Vocabulary.of([["a"]]).decode([number])


def test_sequences_fill_the_front_and_lose_the_end():
    vocabulary = Vocabulary.of([["a", "a", "b"]])
    texts = ["A, b!", ["a", "b", "b", "a"], "", "zzz"]
    first = sequences(texts, vocabulary, length=3)
    assert first.dtype == np.int32
    assert first.tolist() == [[0, 4, 5], [4, 5, 5], [0, 0, 0], [0, 0, 1]]
    last = sequences(texts, vocabulary, length=3, padding="post")
    assert last.tolist() == [[4, 5, 0], [4, 5, 5], [0, 0, 0], [1, 0, 0]]
    assert sequences([], vocabulary).shape == (0, 32)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"padding": "both"}])
def test_wrong_lengths_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1, and 'pre' or 'post'"):
        sequences(["a"], Vocabulary.of([["a"]]), **wrong)


def test_a_dictionary_that_others_left_is_not_read(tmp_path):
    with open(tmp_path / "jieba.cache", "wb") as file:
        marshal.dump(({"这": 1, "件": 1, "件T": 10**9}, 10**9), file)
    before = (tmp_path / "jieba.cache").read_bytes()
    code = "from mmtutorial.preprocessing.text import tokenise; print(ascii(tokenise('这件T恤很舒服')))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == ascii(["这件", "t恤", "很", "舒服"])
    assert run.stderr == ""
    assert [each.name for each in tmp_path.iterdir()] == ["jieba.cache"]
    assert (tmp_path / "jieba.cache").read_bytes() == before


def test_a_vocabulary_is_written_at_once_or_not_at_all(tmp_path, monkeypatch):
    vocabulary = Vocabulary.of([["so", "soft"]])
    vocabulary.save(tmp_path / "words.json")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Vocabulary.of([["other"]]).save(tmp_path / "words.json")
    assert [each.name for each in tmp_path.iterdir()] == ["words.json"]
    assert Vocabulary.load(tmp_path / "words.json") == vocabulary

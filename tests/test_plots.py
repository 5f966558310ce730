import base64
import io
import re
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile
from IPython.display import HTML
from PIL import Image

from mmtutorial import plots
from mmtutorial.datasets.dataset import Dataset


def embedded(html, kind):
    """The bytes of each embedded file of this kind."""
    found = re.findall(f'src="data:{kind};base64,([^"]*)"', html)
    return [io.BytesIO(base64.b64decode(each)) for each in found]


@pytest.fixture
def displayed(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", shown.append)
    return shown


def test_show_gives_the_picture_with_its_words_and_closes_the_figure(displayed):
    figure, axis = plt.subplots(figsize=(2, 1), dpi=50)
    axis.plot([0, 1])
    plots.show(figure, alt='A line that rises from 0 to 1, called "steady" & straight.')
    [shown] = displayed
    assert isinstance(shown, HTML)
    assert 'alt="A line that rises from 0 to 1, called &quot;steady&quot; &amp; straight."' in (
        shown.data
    )
    assert "max-width:100%" in shown.data
    [png] = embedded(shown.data, "image/png")
    with Image.open(png) as picture:
        assert picture.format == "PNG"
        assert picture.width > 50
    assert not plt.fignum_exists(figure.number)


def shown_pictures(figure):
    data = plots.picture(figure, alt="Panels.").data
    narrow = re.findall('data-letters="([^"]*)" srcset="data:image/png;base64,([^"]*)"', data)
    wide = re.findall('data-letters="([^"]*)" src="data:image/png;base64,([^"]*)"', data)
    sizes = [Image.open(io.BytesIO(base64.b64decode(png))).size for _, png in wide + narrow]
    return sizes, float(wide[0][0]), int(re.search(r"min-width:(\d+)px", data)[1])


def test_a_figure_does_not_shrink_until_its_letters_cannot_be_read():
    figure, axis = plt.subplots(figsize=(8, 2), dpi=110)
    axis.text(0.5, 0.5, "small", fontsize=8)
    axis.text(0.5, 0.9, "smaller, and not there", fontsize=2, visible=False)
    [(width, _)], letters, least = shown_pictures(figure)
    assert letters == pytest.approx(8 * 110 / 72, abs=0.1)
    assert letters * least / width == pytest.approx(9, rel=0.01)


def test_panels_side_by_side_stand_one_below_the_other_on_a_phone():
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.5), sharey=True, layout="constrained")
    axes[0].set_ylabel("share")
    [(wide, height), (narrow, tall)], _, _ = shown_pictures(figure)
    assert narrow < 400 < wide and tall > 1.8 * height
    assert axes[1].get_ylabel() == "share"
    assert all(label.get_visible() for label in axes[1].get_yticklabels())


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 4)])
def test_one_panel_and_many_scroll(shape):
    figure, _ = plt.subplots(*shape, figsize=(8, 2.5), layout="constrained")
    sizes, _, _ = shown_pictures(figure)
    assert len(sizes) == 1


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_show_refuses_a_figure_without_words(displayed, alt):
    figure = plt.figure()
    with pytest.raises(ValueError, match="alt is empty; say in words"):
        plots.show(figure, alt=alt)
    plt.close(figure)
    assert not displayed


def test_show_gives_the_same_bytes_for_the_same_figure(displayed):
    for _ in range(2):
        figure, axis = plt.subplots(figsize=(2, 1))
        axis.plot([0, 1])
        plots.show(figure, alt="A line.")
    assert displayed[0].data == displayed[1].data


def test_table_shows_tags_as_text_aligns_numbers_and_repeats_itself():
    frame = pd.DataFrame(
        {"text": ["<b>bold</b> & long"], "n": [12345], "share": [0.123456], "there": [True]},
        index=["row"],
    )
    shown = plots.table(frame, index=True).data
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; long" in shown
    assert "12345" in shown
    assert "0.123<" in shown
    assert ">row<" in shown
    right = shown.split("vertical-align:top}")[1].split("{text-align:right}")[0]
    assert [each[-2] for each in right.split(",")] == ["3", "4"]  # the columns n and share
    assert shown == plots.table(frame, index=True).data
    assert ">row<" not in plots.table(frame).data


def test_table_shows_a_dash_for_what_is_missing():
    frame = pd.DataFrame({"drink": ["tea", None], "price": [np.nan, 2.5]})
    shown = plots.table(frame).data
    assert shown.count("<td>–</td>") == 2 and "<td>2.5</td>" in shown


def test_an_interval_in_a_table_is_not_broken_and_a_corner_is_no_header():
    frame = pd.DataFrame({"ndcg": ["0.17 [0.16, 0.19]", "by 0.1 to 0.2"]}, index=["a", "b"])
    shown = plots.table(frame, index=True).data
    assert "[0.16,\u00a00.19]" in shown and "0.1\u00a0to\u00a00.2" in shown
    assert "<th></th>" not in shown


def test_table_of_words_alone_has_nothing_on_the_right():
    assert "{text-align:right}" not in plots.table(pd.DataFrame({"drink": ["tea"]})).data


def test_table_cuts_long_cells_and_breaks_no_lines():
    frame = pd.DataFrame({"drink": ["a\nb", "0123456789"]})
    assert ">a b<" in plots.table(frame).data
    assert ">0123456789<" in plots.table(frame, widest=10).data
    assert ">01234567…<" in plots.table(frame, widest=9).data


@pytest.mark.parametrize(
    ("p", "written"),
    [(1.0, "1.000"), (0.001, "0.001"), (0.00099, "< 0.001"), (0.0, "< 0.001"), (np.nan, "–")],
)
def test_p_values_are_never_told_closer_than_a_thousandth(p, written):
    assert plots.p_value(p) == written


def test_players_keep_the_loudness_and_escape_the_label():
    soft = 0.1 * np.sin(np.arange(800) / 5)
    shown = plots.players({"soft <hum>": soft, "loud": 9 * soft}, sample_rate=8000)
    assert "soft &lt;hum&gt;" in shown.data
    assert 'aria-label="soft &lt;hum&gt;"' in shown.data
    waves = [soundfile.read(each) for each in embedded(shown.data, "audio/mpeg")]
    assert [rate for _, rate in waves] == [8000, 8000]
    for (wave, _), original in zip(waves, (soft, 9 * soft), strict=True):
        np.testing.assert_allclose(wave[:800], original, atol=0.15 * original.max())
        assert wave.std() == pytest.approx(original.std(), rel=0.05)


def test_sounds_are_small_where_mp3_has_their_rate_and_whole_where_not():
    hum = 0.5 * np.sin(np.arange(16000) / 5)
    [small] = embedded(plots.players({"a hum": hum}, 8000).data, "audio/mpeg")
    [whole] = embedded(plots.players({"a hum": hum}, 4000).data, "audio/wav")
    assert len(small.getvalue()) < len(whole.getvalue()) / 5
    np.testing.assert_allclose(soundfile.read(whole)[0], hum, atol=1e-4)


def test_resources_are_plausible():
    used = plots.resources(time.perf_counter() - 3)
    assert 3 <= used["seconds"] < 60
    assert used["cores"] >= 1
    assert np.isnan(used["peak_mb"]) or 20 < used["peak_mb"] < 1e6


def test_gallery_shows_what_there_is_and_names_what_is_lacking(tmp_path):
    Image.new("RGB", (400, 200), "red").save(tmp_path / "bell.png")
    soundfile.write(tmp_path / "bell.wav", np.full(80, 0.5), 8000)
    items = pd.DataFrame(
        {
            "item": ["p0", "p1"],
            "title": ["Bell <b>", "Nothing"],
            "text": ["Loud & clear.", ""],
            "image": ["bell.png", ""],
            "audio": ["bell.wav", ""],
        }
    )
    log = pd.DataFrame({"user": ["ann"], "item": ["p0"], "timestamp": [5]})
    data = Dataset("tiny", items, log, tmp_path)
    shown = plots.gallery(data, [0, -1, 1], captions=["first", "padding", "last"]).data
    assert "Bell &lt;b&gt;" in shown
    assert "Loud &amp; clear." in shown
    assert "padding" not in shown
    for words in ("(no picture)", "(no sound)", "(no text)"):
        assert shown.count(words) == 1
    [picture] = embedded(shown, "image/jpeg")
    assert Image.open(picture).size == (160, 80)
    [sound] = embedded(shown, "audio/mpeg")
    assert len(soundfile.read(sound)[0]) >= 80


def test_differences_are_ordered_and_counted():
    figure, axis = plt.subplots()
    plots.per_user_differences(
        np.array([0.3, np.nan, -0.1, 0.0, 0.4]), axis, "NDCG@10, A − B", (0.0, 0.3)
    )
    assert [text.get_text() for text in axis.texts] == ["worse 25 %", "equal 25 %", "better 50 %"]
    [mean] = [line for line in axis.lines if line.get_linestyle() == "--"]
    assert mean.get_ydata()[0] == pytest.approx(0.15)
    assert axis.get_ylabel() == "NDCG@10, A − B" and axis.get_xlabel()
    plt.close(figure)
    with pytest.raises(ValueError, match="no user to draw"):
        plots.per_user_differences(np.array([np.nan]), plt.figure().gca(), "none")
    plt.close()


def test_relative_gains_are_drawn_in_per_cent_with_the_interval_that_is_known():
    gains = pd.DataFrame(
        {
            "relative_gain": [0.2, -0.1],
            "relative_low": [0.1, np.nan],
            "relative_high": [0.3, np.nan],
        },
        index=["fusion", "image"],
    )
    figure, axis = plt.subplots()
    plots.relative_gains(gains, axis, "gain over text (%)", goal=0.1)
    [points] = [line for line in axis.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points.get_xdata(), [20, -10])
    [segments] = axis.collections
    np.testing.assert_allclose(np.concatenate(segments.get_segments()), [[10, 1], [30, 1]])
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["fusion", "image"]
    plt.close(figure)

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from jinja2 import UndefinedError

from offclip.evaluation.drawing.films import SHOWN, data_uri, shrink, under_heat
from offclip.evaluation.drawing.page import environment, style, write_html
from offclip.evaluation.drawing.svg import Plot


def test_a_figure_takes_the_colours_of_the_page_and_leaves_no_state_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot = Plot(200, 100)
    plot.axes.plot([0, 1], [0, 1], color="#0072b2")
    plot.axes.set_xlabel("a < b & $c$")
    text = plot.svg("one", 'a "name"')
    assert dict(matplotlib.rcParams) == before
    assert "var(--v3)" in text
    assert "#0072b2" not in text
    assert "a &lt; b &amp; $c$" in text
    assert 'aria-label="a &#34;name&#34;"' in text


@pytest.mark.parametrize(
    ("shape", "shown"), [((100, 400), (64, 256)), ((512, 512), (256, 256)), ((8, 4), (256, 128))]
)
def test_a_film_keeps_its_shape_and_its_grey(shape: tuple[int, int], shown: tuple[int, int]):
    small = shrink(np.full(shape, 77, np.uint8))
    assert small.shape == shown
    assert max(small.shape) == SHOWN
    assert (small == 77).all()


def test_heat_colours_its_maximum_and_leaves_its_lower_half_alone():
    film = np.full((10, 10), 90, np.uint8)
    heat = np.zeros((10, 10))
    heat[2, 3] = 5
    mixed = under_heat(film, heat)
    assert (mixed[2, 3] != 90).any()
    changed = (mixed != 90).any(axis=2)
    assert changed.sum() == 1


def test_a_constant_map_leaves_the_film_as_it_is():
    film = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert (under_heat(film, np.full((8, 8), 3.0)) == film[..., None]).all()


def test_a_picture_comes_back_out_of_its_uri():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[..., 0] = 200  # red
    raw = base64.b64decode(data_uri(picture).split(",")[1])
    back = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(back.astype(int) - picture).max() < 8


def test_pages_share_one_style_and_add_their_own():
    shared = style()
    both = style([("offclip.evaluation.result_page", "result.css")])
    assert both.startswith(shared)
    assert len(both) > len(shared)
    assert "prefers-color-scheme: dark" in shared


def test_a_name_that_a_template_does_not_know_is_an_error(tmp_path: Path):
    with pytest.raises(UndefinedError):
        write_html(tmp_path / "page.html", "offclip.evaluation.result_page", "page.html.j2", {})
    assert list(tmp_path.iterdir()) == []


def test_text_is_escaped():
    template = environment("offclip.evaluation.result_page").from_string("{{ name }}")
    assert template.render(name="<b>&") == "&lt;b&gt;&amp;"

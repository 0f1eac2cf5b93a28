"""A figure as part of a page: no ground, colours of the page, names of its own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from edgefuse.figures import canvas
from edgefuse.figures.inline import VARIABLES, inline_svg
from edgefuse.pages import template

pytest.importorskip("matplotlib", reason="draws")


@canvas.house_style()
def draw():
    figure, [[axis]] = canvas.panels()
    for number, colour in enumerate((canvas.TEXT, canvas.IMAGE, canvas.FUSED, canvas.MAJORITY, "#cc79a7", "#56b4e9")):
        axis.plot([0, 1], [0, number], color=colour, label=f"line {number}")
    axis.legend()
    return figure


def test_it_is_one_element_that_says_what_it_shows() -> None:
    svg = inline_svg(draw(), "one", 'times & "more" <of it>')
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.get("aria-label") == 'times & "more" <of it>'
    assert (root.get("width"), root.get("height")) == (None, None)
    assert root.get("viewBox")


def test_every_colour_is_one_that_the_style_sheet_gives_for_light_and_dark() -> None:
    svg = inline_svg(draw(), "one", "")
    style = template._text("edgefuse.pages", "style.css")
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) == set()
    used = set(re.findall(r"var\((--\w+)\)", svg))
    assert used == {variable[4:-1] for variable in VARIABLES.values()} - {"entColo"}
    for variable in used:
        assert style.count(f"{variable}: #") == 2, variable


def test_two_figures_of_a_page_share_no_name() -> None:
    names = [set(re.findall(r'\bid="([^"]+)"', inline_svg(draw(), name, ""))) for name in ("one", "other")]
    assert names[0]
    assert not names[0] & names[1]


def test_every_name_that_is_used_is_there() -> None:
    svg = inline_svg(draw(), "one", "")
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
    assert {one or other for one, other in used} <= set(re.findall(r'\bid="([^"]+)"', svg))

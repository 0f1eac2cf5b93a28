"""Figures as part of a page: their colours are the page's own, so that they are right on light and on dark ground.

The style sheet of all pages (`edgefuse/pages/style.css`) gives the variables.
"""

from __future__ import annotations

import html
import re

from edgefuse.figures.canvas import FAINT, FUSED, IMAGE, INK, MAJORITY, TEXT, Figure, render

VARIABLES = {
    INK: "currentColor",
    FAINT: "var(--line)",
    TEXT: "var(--blue)",
    IMAGE: "var(--orange)",
    FUSED: "var(--green)",
    MAJORITY: "var(--grey)",
    "#cc79a7": "var(--pink)",
    "#56b4e9": "var(--sky)",
}
"""What each colour of the house is called in a page."""


def inline_svg(figure: Figure, name: str, caption: str) -> str:
    """The figure as an element `<svg>` without ground, as wide as its place; `caption` is for those who do not see it.

    Names inside begin with `name`, for a page may hold several figures.
    """
    svg = render(figure, "svg", ground=False).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<!--.*?-->|(?<=<svg) (?:width|height)="[^"]*"|(?<=") (?:width|height)="[\d.]+pt"', "", svg)
    svg = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(caption)}"', 1).strip()

"""Figures drawn by matplotlib, handed over as inline SVG that follows the page's light or dark theme."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1b1f25", "#626b77", "#e1e5ea"
NORMAL, ABNORMAL = "#56b4e9", "#4b4b4c"

# Okabe and Ito's palette.
PALETTE = ("#d55e00", "#e69f00", "#cc79a7", "#0072b2", "#009e73")
# Every colour is drawn as light-theme hex and replaced by a variable that the style sheet sets twice.
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", NORMAL: "normal", ABNORMAL: "abnormal"}
_VARIABLES |= {colour: f"v{number}" for number, colour in enumerate(PALETTE)}

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "offclip",
    "font.size": 10.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,
    "lines.solid_capstyle": "round",
}


def variable(colour: str) -> str:
    """A colour as the style sheet knows it.

    Example:
        >>> variable("#0072b2"), variable("#8c6bb1")
        ('var(--v3)', '#8c6bb1')
    """
    return f"var(--{_VARIABLES[colour]})" if colour in _VARIABLES else colour


class Plot:
    """One figure with one pair of axes, in the page's style.

    Args:
        width, height: In pixels of the page.
    """

    def __init__(self, width: int, height: int) -> None:
        with matplotlib.rc_context(_SETTINGS):
            self.figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
            self.figure.patch.set_visible(False)
            self.axes: Axes = self.figure.add_subplot()
            self.axes.patch.set_visible(False)
            self.axes.tick_params(length=0, pad=5)

    def svg(self, name: str, alt: str) -> Markup:
        """The figure as an SVG element.

        Args:
            name: A word that is unique on the page; it keeps the ids of two figures apart.
            alt: What the figure shows, for those who cannot see it.
        """
        buffer = io.StringIO()
        with matplotlib.rc_context(_SETTINGS):
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            self.figure.savefig(buffer, format="svg", metadata=nothing)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
        text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
        text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
        text = text.replace("xlink:href", "href")
        text = re.sub(r"\b(id=\"|url\(#|href=\"#)", rf"\g<1>{name}-", text)
        for colour, role in _VARIABLES.items():
            text = text.replace(colour, f"var(--{role})")
        box = re.search(r"viewBox=\"[^\"]*\"", text)
        head = f'<svg {box.group() if box else ""} role="img" aria-label="{escape(alt)}" class="plot">'
        return Markup(head + text[text.index(">") + 1 :])

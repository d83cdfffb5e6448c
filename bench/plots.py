"""Bars as SVG, by hand: a few rectangles need no library."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

WIDTH: Final = 760
LABELS: Final = 230
VALUES: Final = 70
BAR: Final = 16
GAP: Final = 14
HEAD: Final = 64
COLOURS: Final = ("#2f6fde", "#8fb4f2")

STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
"""


def bars(
    title: str, groups: Sequence[tuple[str, Sequence[float]]], series: Sequence[str], *, logarithmic: bool = False
) -> str:
    """A group of horizontal bars per label, one bar per name in `series`."""
    values = [max(value, 0.01) for _, group in groups for value in group]
    longest, shortest = max(values), min(values)
    shapes = [f'<text class="title" x="0" y="18">{escape(title)}</text>']
    if len(series) > 1:
        shapes += [_legend(number, name) for number, name in enumerate(series)]
    y = HEAD if len(series) > 1 else HEAD - 24
    for label, group in groups:
        middle = y + len(group) * BAR / 2 + 4
        shapes.append(f'<text x="{LABELS - 10}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>')
        for number, value in enumerate(group):
            length = _length(max(value, 0.01), shortest, longest, logarithmic) * (WIDTH - LABELS - VALUES)
            box = f'x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR - 2}" rx="2"'
            shapes.append(f'<rect {box} fill="{COLOURS[number % 2]}"/>')
            shapes.append(f'<text x="{LABELS + length + 6:.1f}" y="{y + BAR - 4}">{_figure(value)}</text>')
            y += BAR
        y += GAP
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    return "\n".join(
        [f'{opening} role="img" aria-label="{escape(title)}">', f"<style>{STYLE}</style>", *shapes, "</svg>\n"]
    )


def _legend(number: int, name: str) -> str:
    x = LABELS + number * 180
    box = f'<rect x="{x}" y="32" width="12" height="12" rx="2" fill="{COLOURS[number % 2]}"/>'
    return f'{box}<text x="{x + 18}" y="43">{escape(name)}</text>'


def _length(value: float, shortest: float, longest: float, logarithmic: bool) -> float:
    """From 0 to 1. On a logarithmic scale the shortest bar still has a length."""
    if not logarithmic:
        return value / longest
    start = shortest / 2
    return math.log(value / start) / math.log(longest / start)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

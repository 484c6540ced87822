"""Draws how rate and latency change with size: a small SVG of curves, to be opened in a browser."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Protocol

_WIDTH, _HEIGHT, _LEFT, _TOP = 300, 180, 60, 40
_GAP = 90
_CURVES = (("observations_per_s", "observations/s"), ("p99_ms", "p99 ms"))


class Measured(Protocol):
    """What a point of a curve is made of."""

    @property
    def observations_per_s(self) -> int: ...
    @property
    def p99_ms(self) -> float: ...


Steps = Mapping[str, Sequence[tuple[int, Measured]]]
"""For each thing that grew, its sizes and what was measured there."""


def picture(steps: Steps) -> str:
    """A column for each thing that grew, rate above and latency below; sizes by powers of ten."""
    panels = [
        _panel(column, row, f"{label} by {what}", [(n, getattr(m, field)) for n, m in measured])
        for column, (what, measured) in enumerate(steps.items())
        for row, (field, label) in enumerate(_CURVES)
    ]
    width = len(steps) * (_WIDTH + _GAP) + _GAP
    height = len(_CURVES) * (_HEIGHT + _GAP) + _TOP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(panels)}</svg>\n"
    )


def _panel(column: int, row: int, title: str, points: Sequence[tuple[int, float]]) -> str:
    left, top = _LEFT + column * (_WIDTH + _GAP), _TOP + row * (_HEIGHT + _GAP)
    places = _places(points)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1b5e8c"/>'
        f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:,.0f}</text>'
        f'<text x="{x:.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{_short(size)}</text>'
        for (x, y), (size, value) in zip(places, points, strict=True)
    )
    return (
        f'<g transform="translate({left},{top})"><text y="-16" font-weight="bold">'
        f'{escape(title)}</text><path d="M0,0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="#888"/>'
        f'<polyline points="{line}" fill="none" stroke="#1b5e8c" stroke-width="2"/>{marks}</g>'
    )


def _places(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """Sizes by their logarithm from left to right, values from zero at the bottom."""
    sizes = [log10(max(1, size)) for size, _ in points]
    most = max((value for _, value in points), default=0.0) * 1.15 or 1.0
    span = max(sizes) - min(sizes) or 1.0
    return [
        (
            _WIDTH * (0.08 + 0.84 * (size - min(sizes)) / span),
            _HEIGHT * (1 - value / most),
        )
        for size, (_, value) in zip(sizes, points, strict=True)
    ]


def _short(size: int) -> str:
    for unit, of in (("M", 1_000_000), ("k", 1_000)):
        if size >= of:
            return f"{size / of:g}{unit}"
    return str(size)

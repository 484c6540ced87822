"""Draws how rate and latency change with size: a small SVG of curves, to be opened in a browser."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Protocol

_WIDTH, _HEIGHT = 300, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 56, 58
"""Around the field of a panel, for its title, its figures and its words."""
_EDGE = 0.1
"""Of the width, left free at both ends of a curve."""
_STEPS = (1, 2, 2.5, 5, 10)
_MARKS = 5
"""Lines across a panel, about; between them steps that people count in."""
_INK, _FAINT = "#000", "#bbb"
"""All curves are alone in their panel: they need no colour, and a grey print shows all there is."""
_UNITS = {"homes": "homes", "rows": "stored observations", "streams": "streams"}


class Measured(Protocol):
    """What a point of a curve is made of."""

    @property
    def observations_per_s(self) -> int: ...
    @property
    def p99_ms(self) -> float | None: ...


Steps = Mapping[str, Sequence[tuple[int, Measured]]]
"""For each thing that grew, its sizes and what was measured there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """One curve; `most` is the top of its scale, the same for all panels of a row."""

    title: str
    unit: str
    sizes: str
    points: Sequence[tuple[int, float]]
    step: float
    most: float


def picture(steps: Steps) -> str:
    """A column for each thing that grew, rate above and latency below, from zero; sizes by tens."""
    rows = (
        ("Stored and judged", "observations/s", _curves(steps, "observations_per_s")),
        ("A call to its notice, 99 of 100 within", "ms", _curves(steps, "p99_ms")),
    )
    panels = [
        f'<g transform="translate({_left(column)},{_top(row)})">{_panel(each)}</g>'
        for row, (title, unit, curves) in enumerate(rows)
        for column, each in enumerate(_row(title, unit, curves))
    ]
    size = f"{_left(len(steps)) - _LEFT} {_top(len(rows)) - _TOP}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(panels)}</svg>\n"
    )


def _left(column: int) -> int:
    return _LEFT + column * (_LEFT + _WIDTH + _RIGHT)


def _top(row: int) -> int:
    return _TOP + row * (_TOP + _HEIGHT + _BOTTOM)


def _curves(steps: Steps, field: str) -> dict[str, list[tuple[int, float]]]:
    """What was measured, by what grew; nothing where there was nothing to measure."""
    return {
        what: [
            (size, found) for size, one in measured if (found := getattr(one, field)) is not None
        ]
        for what, measured in steps.items()
    }


def _row(title: str, unit: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> list[_Panel]:
    """Panels of one scale, so that they may be compared."""
    highest = max((value for points in curves.values() for _, value in points), default=0.0)
    step = _step(highest)
    most = max(1, ceil(highest * 1.1 / step)) * step
    return [
        _Panel(
            title=title,
            unit=unit,
            sizes=_UNITS.get(what, what),
            points=points,
            step=step,
            most=most,
        )
        for what, points in curves.items()
    ]


def _panel(panel: _Panel) -> str:
    first, last = _decades(size for size, _ in panel.points)
    places = [
        (_across(size, first, last), _HEIGHT * (1 - value / panel.most))
        for size, value in panel.points
    ]
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<text x="{-_LEFT + 10}" y="-32" font-weight="bold">{escape(panel.title)}</text>'
        f'<text x="{-_LEFT + 10}" y="-14">{escape(panel.unit)}</text>'
        f"{_scale(panel)}{_sizes(panel, first, last)}"
        f'<path d="M0,0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="{_INK}"/>'
        f'<polyline points="{curve}" fill="none" stroke="{_INK}" stroke-width="2"/>'
        f"{''.join(map(_mark, places, (value for _, value in panel.points)))}"
    )


def _mark(place: tuple[float, float], value: float) -> str:
    """A point and its figure, which hides what is behind it."""
    x, y = place
    said = f"{value:,.0f}" if value >= 1_000 else f"{value:,.1f}"  # noqa: PLR2004 - as people say it
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_INK}"/>'
        f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="middle" stroke="#fff" stroke-width="4" '
        f'paint-order="stroke">{said}</text>'
    )


def _scale(panel: _Panel) -> str:
    """Lines across, from zero, each with its figure."""
    return "".join(
        f'<path d="M0,{y:.1f}H{_WIDTH}" stroke="{_FAINT}" stroke-width="0.5"/>'
        f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{panel.step * number:,g}</text>'
        for number in range(round(panel.most / panel.step) + 1)
        for y in [_HEIGHT * (1 - panel.step * number / panel.most)]
    )


def _sizes(panel: _Panel, first: int, last: int) -> str:
    """A tick at every power of ten, and what is counted there."""
    ticks = "".join(
        f'<path d="M{x:.1f},{_HEIGHT}v5" stroke="{_INK}"/>'
        f'<text x="{x:.1f}" y="{_HEIGHT + 18}" text-anchor="middle">{_short(10**power)}</text>'
        for power in range(first, last + 1)
        for x in [_across(10**power, first, last)]
    )
    words = f"{escape(panel.sizes)}, each step ten times as many"
    return f'{ticks}<text x="{_WIDTH / 2}" y="{_HEIGHT + 38}" text-anchor="middle">{words}</text>'


def _across(size: int, first: int, last: int) -> float:
    """Where a size stands from left to right: by its logarithm."""
    share = (log10(max(1, size)) - first) / (last - first)
    return _WIDTH * (_EDGE + (1 - 2 * _EDGE) * share)


def _decades(sizes: Iterable[int]) -> tuple[int, int]:
    """The powers of ten around the sizes, at least two."""
    tens = [log10(max(1, size)) for size in sizes] or [0.0]
    first = floor(min(tens))
    return first, max(first + 1, ceil(max(tens)))


def _step(highest: float) -> float:
    """What the lines across count in: so that there are about as many as should be."""
    rough = max(highest, 1.0) * 1.1 / _MARKS
    ten = 10 ** floor(log10(rough))
    return next(step * ten for step in _STEPS if step * ten >= rough)


def _short(size: int) -> str:
    for unit, of in (("M", 1_000_000), ("k", 1_000)):
        if size >= of:
            return f"{size / of:,g}{unit}"
    return str(size)

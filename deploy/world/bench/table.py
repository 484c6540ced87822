"""Lays figures out as a table that a person can read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of every line: its name, what stands above it, and how wide it is at least."""

    name: str
    title: str
    width: int
    decimals: int = 0


def table(columns: Sequence[Column], lines: Iterable[Mapping[str, float | None]]) -> str:
    """Titles and lines; figures to the right, thousands apart, a dash for what was not measured."""
    titles = _GAP.join(f"{column.title:>{column.width}}" for column in columns)
    return "\n".join([titles, *(_line(columns, line) for line in lines)])


def _line(columns: Iterable[Column], figures: Mapping[str, float | None]) -> str:
    return _GAP.join(_cell(column, figures[column.name]) for column in columns)


def _cell(column: Column, figure: float | None) -> str:
    said = "-" if figure is None else f"{figure:,.{column.decimals}f}"
    return f"{said:>{column.width}}"

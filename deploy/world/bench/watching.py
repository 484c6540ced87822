"""One rule more than watch has, which reads every motion of the last 24 hours: the dearest kind."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from adapters.observation import Kind
from gateway.rules.finding import Finding, Judgement, Rule, Window

_DAY = timedelta(hours=24)
_NEVER = 100_000
"""Movements of a day: more than a sensor can tell, so the rule works and finds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How often somebody moves in one room in a day before it is a finding."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    most: int = _NEVER


def judge(window: Window, settings: Settings) -> Judgement:
    """Find the rooms with too much movement since a day before the oldest change."""
    rooms = Counter(
        one.room for one in window.heard if one.kind is Kind.MOTION and one.role == "motion"
    )
    found = tuple(
        Finding("restless", room, window.start, window.now, "holds", f"Uro ({room}).", None)
        for room, times in sorted(rooms.items())
        if times > settings.most
    )
    return Judgement(found, window.start, None)


RULE = Rule(
    name="restless",
    reads=frozenset({("motion", Kind.MOTION)}),
    window=_DAY,
    judge=judge,
    defaults=Settings(),
)

"""The rules that watch runs; one line each."""

from typing import Any

from gateway.rules import box_silent, dose, night_door, press
from gateway.rules.finding import Rule

ALL_RULES: tuple[Rule[Any], ...] = (
    press.RULE,
    dose.RULE,
    night_door.RULE,
    box_silent.RULE,
)

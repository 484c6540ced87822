"""Blinks with the box's lamp, so that a technician knows which of several boxes it is."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LEDS = Path("/sys/class/leds")
NAMES = ("ACT", "led0")
"""A Raspberry Pi's green lamp by the kernel's names of today and of before.

It is root's: the package's udev.rules lets the service's user write two of its files, and the unit
leaves them writable. Source: Linux, Documentation/leds/leds-class.rst.
"""

_ON, _OFF, _BETWEEN = 0.12, 0.12, 0.6
_FLASHES = 3
"""Three short flashes and a pause: nothing that a Pi's lamp does by itself."""
_SELECTED = re.compile(r"\[([^\]]+)\]")


class NoLamp(Exception):
    """There is no lamp here, or none that we may write to."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What the lamp did: the kernel's trigger, and how bright it was where that is none."""

    trigger: str
    brightness: str


async def blink(seconds: float, leds: Path = LEDS) -> str:
    """Blink for so long, then let the lamp do what it did before; its name. Raises NoLamp."""
    lamp = _found(leds)
    before = _taken(lamp)
    try:
        async with asyncio.timeout(seconds):
            while True:
                await _flash(lamp, before)
    except TimeoutError:
        return lamp.name.lower()
    except OSError as gone:
        raise NoLamp(lamp.name) from gone
    finally:
        _give_back(lamp, before)


def _found(leds: Path) -> Path:
    for name in NAMES:
        if (leds / name / "brightness").exists():
            return leds / name
    raise NoLamp("there is none of " + ", ".join(NAMES))


def _taken(lamp: Path) -> _Before:
    """From now on only we light it. Raises NoLamp."""
    try:
        triggers = (lamp / "trigger").read_text()
        before = _Before(_selected(triggers), (lamp / "brightness").read_text().strip())
        (lamp / "trigger").write_text("none")
    except OSError as refused:
        raise NoLamp(f"{lamp.name}: {refused.strerror}") from refused
    return before


def _selected(triggers: str) -> str:
    found = _SELECTED.search(triggers)
    return found[1] if found else "none"


async def _flash(lamp: Path, before: _Before) -> None:
    bright = _brightest(lamp, before)
    for _ in range(_FLASHES):
        await _lit(lamp, (bright, _ON), ("0", _OFF))
    await asyncio.sleep(_BETWEEN)


async def _lit(lamp: Path, *steps: tuple[str, float]) -> None:
    for brightness, seconds in steps:
        (lamp / "brightness").write_text(brightness)
        await asyncio.sleep(seconds)


def _brightest(lamp: Path, before: _Before) -> str:
    try:
        return (lamp / "max_brightness").read_text().strip()
    except OSError:
        return before.brightness if before.brightness != "0" else "1"


def _give_back(lamp: Path, before: _Before) -> None:
    with suppress(OSError):
        if before.trigger == "none":
            (lamp / "brightness").write_text(before.brightness)
        (lamp / "trigger").write_text(before.trigger)

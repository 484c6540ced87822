"""Whether the box gets enough power, by what a Raspberry Pi's firmware has measured."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.doctor.verdict import Verdict, bad, first, ok, unknown, warn

SYS = Path("/sys")
_THROTTLED = "devices/platform/soc/soc:firmware/get_throttled"
"""A hexadecimal number; source of its bits: Raspberry Pi documentation, vcgencmd get_throttled."""
_LOW_NOW, _SLOW_NOW, _HOT_NOW = 0x1, 0x2 | 0x4, 0x8
_LOW_SINCE, _HOT_SINCE = 0x1 << 16, 0x8 << 16
_HOT = 80.0
"""Degrees Celsius at which a Pi begins to run slower."""
_SUPPLY = "use the supply that came with the box and a short cable; unplug what hangs at its USB"
_COOL = "take the box out of the cupboard or the sun, off the radiator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """`throttled` are the firmware's bits, `alarm` the kernel's own low-voltage alarm (lately)."""

    throttled: int | None = None
    alarm: bool | None = None
    celsius: float | None = None


def read_power(sys: Path = SYS) -> Power:
    """None where the machine does not say."""
    return Power(
        throttled=_number(sys / _THROTTLED, 16),
        alarm=_alarm(sys),
        celsius=_celsius(sys / "class/thermal/thermal_zone0/temp"),
    )


def judge_power(power: Power) -> Verdict:
    """Too little power is behind most boxes that "hang": it comes before everything else."""
    bits = power.throttled or 0
    warmth = "" if power.celsius is None else f", {power.celsius:.0f} degrees"
    silent = power.throttled is None and power.alarm is None
    low, hot = bits & _LOW_SINCE != 0, bits & _HOT_SINCE != 0
    return first(
        (
            bits & _LOW_NOW != 0 or power.alarm is True,
            bad(f"the voltage is too low{warmth}", _SUPPLY),
        ),
        (
            bits & _HOT_NOW != 0 or (power.celsius or 0) >= _HOT,
            warn(f"the box is too hot and runs slower{warmth}", _COOL),
        ),
        (bits & _SLOW_NOW != 0, warn(f"the firmware slows the box down{warmth}", _SUPPLY)),
        (low, warn(f"the voltage was too low since the box was switched on{warmth}", _SUPPLY)),
        (hot, warn(f"the box was too hot since it was switched on{warmth}", _COOL)),
        (silent, unknown(f"the voltage is not known here{warmth}")),
        otherwise=ok(f"the voltage was never too low{warmth}"),
    )


def _alarm(sys: Path) -> bool | None:
    """Of the kernel's driver raspberrypi-hwmon, which calls itself rpi_volt."""
    for folder in sorted((sys / "class/hwmon").glob("hwmon*")):
        with suppress(OSError):
            if (folder / "name").read_text().strip() == "rpi_volt":
                number = _number(folder / "in0_lcrit_alarm", 10)
                return None if number is None else number != 0
    return None


def _celsius(path: Path) -> float | None:
    number = _number(path, 10)
    return None if number is None else number / 1_000


def _number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text().strip(), base)
    except (OSError, ValueError):
        return None

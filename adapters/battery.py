"""The Battery Level characteristic 0x2A19: one byte, per cent (Bluetooth SIG, Battery Service)."""

from typing import Final

from adapters.catalogue import CATALOGUE
from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality

NAME: Final = "battery"
LEVEL: Final = "2a19"


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The battery's level in per cent. Raises UnreadableFrame unless it is one byte."""
    del frame, key
    if len(value) != 1:
        raise UnreadableFrame(f"a battery level has one byte, not {len(value)}")
    return (level(value[0]),)


def level(percent: int) -> Observation:
    """A battery level, marked where it is more than full."""
    plausible = CATALOGUE[Kind.BATTERY].plausible(percent)
    return Observation(
        Kind.BATTERY, float(percent), quality=Quality.GOOD if plausible else Quality.IMPLAUSIBLE
    )

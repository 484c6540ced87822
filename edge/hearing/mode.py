"""Active or passive scanning: what a passive trial must prove before it is believed; pure."""

import struct
from dataclasses import dataclass

from edge.radio import Mode
from edge.told.config import Config

TRIAL = 30.0
"""Seconds that each of the two scans is given: BlueZ forgets what is unheard for as long."""

_FLAGS = (0x02, 0x04, 0x05, 0x06, 0x1A)
"""Limited or general discoverable, with and without BR/EDR (Core Specification Supplement, 1.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The mode to stay in, and in a word why."""

    mode: Mode
    why: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What an active scan has heard of the placed devices, and then a passive one.

    Passive asks devices for nothing, which spares their batteries, but on BlueZ 5.66 and 5.82 it
    misses devices without flags and tells unchanged data once. So it has to prove that it hears
    every placed device that the active scan heard and, where presses are listened for, that it
    tells unchanged data again: a second press may have the bytes of the first.
    """

    actively: set[str]
    passively: set[str]
    told_repeats: bool = False

    def verdict(self, config: Config) -> Verdict:
        missed = self.actively & config.devices.keys() - self.passively
        if not self.actively:
            return Verdict(mode="active", why="nothing_placed_heard")
        if missed:
            return Verdict(mode="active", why="passive_misses_devices")
        if _listens_for_presses(config) and not self.told_repeats:
            return Verdict(mode="active", why="passive_misses_repeats")
        return Verdict(mode="passive", why="passive_hears_all")


def patterns(config: Config) -> list[tuple[int, int, bytes]]:
    """What a passive scan is to hear: offset, type and content of advertising structures.

    Every device with flags, and calls by their company. No service data: a pattern of those hears
    nothing on BlueZ 5.82. Types are of the Bluetooth SIG's Assigned Numbers, section 2.3.
    """
    companies = {call.manufacturer for call in config.calls} - {None}
    manufacturers = [(0, 0xFF, struct.pack("<H", company)) for company in companies]
    return [(0, 0x01, bytes([flags])) for flags in _FLAGS] + manufacturers


def _listens_for_presses(config: Config) -> bool:
    urgent = any(device.lane == "urgent" for device in config.devices.values())
    return urgent or bool(config.calls)

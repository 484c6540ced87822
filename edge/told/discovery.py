"""What else is in the air for a while, when somebody asks: seen, told, and forgotten; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.bluez.air import short

LONGEST = 300.0
"""Seconds that a discovery lasts at most."""
MOST = 256
"""Devices in one discovery; the strongest. The homes of a whole stairway fit."""

_WEAKEST = -128  # dBm


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A device in the air: enough to know it again, and nothing of what it says.

    `rssi` is the strongest heard, in dBm; `services` are UUIDs advertised or carrying data;
    `times` how often it was heard; `address_type` is BlueZ's: public or random.
    """

    address: str
    rssi: int | None
    name: str | None
    services: tuple[str, ...]
    companies: tuple[int, ...]
    times: int = 1
    address_type: str | None = None


class Window:
    """Collects sightings for one discovery. It is kept in memory and nowhere else."""

    def __init__(self) -> None:
        self._seen: dict[str, Sighting] = {}

    def hear(self, properties: Mapping[str, Any]) -> None:
        """Properties of org.bluez.Device1 that come from the air."""
        seen = _sighting(properties)
        before = self._seen.get(seen.address)
        if before is None and len(self._seen) >= MOST and not self._room_for(seen):
            return
        self._seen[seen.address] = seen if before is None else _both(before, seen)

    def sightings(self) -> list[Sighting]:
        """The strongest first: the device in the hand is the one asked for."""
        return sorted(self._seen.values(), key=_strength, reverse=True)

    def _room_for(self, seen: Sighting) -> bool:
        """Whether the weakest was weaker, and has made room."""
        weakest = min(self._seen.values(), key=_strength)
        if _strength(seen) <= _strength(weakest):
            return False
        del self._seen[weakest.address]
        return True


def _strength(seen: Sighting) -> int:
    return _WEAKEST if seen.rssi is None else seen.rssi


def _sighting(properties: Mapping[str, Any]) -> Sighting:
    services = {*properties.get("UUIDs", ()), *properties.get("ServiceData", ())}
    return Sighting(
        address=properties["Address"].upper(),
        rssi=properties.get("RSSI"),
        name=properties.get("Name"),
        services=tuple(sorted(map(short, services))),
        companies=tuple(sorted(map(int, properties.get("ManufacturerData", ())))),
        address_type=properties.get("AddressType"),
    )


def _both(before: Sighting, seen: Sighting) -> Sighting:
    heard = [rssi for rssi in (before.rssi, seen.rssi) if rssi is not None]
    return replace(seen, rssi=max(heard, default=None), times=before.times + 1)

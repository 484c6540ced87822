"""What a device gives away by being heard: when, and how its battery fares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from adapters.observation import Kind
from gateway.store.caller import Caller
from gateway.store.pool import Connection, Row

LOW_PERCENT = 15
"""A battery of so many percent, or fewer, is low, also where the device does not say so."""

_SIGNAL = "SELECT * FROM device_signal($1::integer[]) ORDER BY device, said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """What was said of a battery last; `said` is the full hour of the newest of it.

    `low` tells a device that called its battery low or empty, and has not given a level since.
    """

    percent: float | None
    volts: float | None
    low: bool
    said: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`heard` is the full hour in which the device was heard last, at most 30 days back."""

    heard: datetime
    battery: Battery | None


async def signals(db: Connection, caller: Caller, devices: Sequence[int]) -> Mapping[int, Signal]:
    """By device, of those that were heard where they are now; none for who may not see it."""
    if not devices or not caller.may("signal", "reading"):
        return {}
    rows = await db.fetch(_SIGNAL, list(devices))
    return {
        number: _signal(list(same)) for number, same in groupby(rows, lambda row: row["device"])
    }


def _signal(rows: Sequence[Row]) -> Signal:
    said = {Kind(row["kind"]): row for row in rows if row["kind"] is not None}
    return Signal(heard=rows[0]["heard"], battery=_battery(said) if said else None)


def _battery(said: Mapping[Kind, Row]) -> Battery:
    percent, volts = said.get(Kind.BATTERY), said.get(Kind.VOLTAGE)
    level = None if percent is None else percent["value"]
    warned = [
        row["said"]
        for kind in (Kind.BATTERY_LOW, Kind.BATTERY_EMPTY)
        if (row := said.get(kind)) is not None and row["value"] != 0
    ]
    later = [at for at in warned if percent is None or at >= percent["said"]]
    return Battery(
        percent=level,
        volts=None if volts is None else volts["value"],
        low=bool(later) or (level is not None and level <= LOW_PERCENT),
        said=max(row["said"] for row in said.values()),
    )

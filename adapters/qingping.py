"""Qingping's clocks, thermometers, air monitors and motion sensors; by qingping-ble."""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "qingping",
    "qingping_ble.parser:QingpingBluetoothDeviceData",
    data=frozenset({"fdcd"}),
)

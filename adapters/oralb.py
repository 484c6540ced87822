"""Oral-B's toothbrushes: whether they are in use, and how; by oralb-ble."""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "oralb",
    "oralb_ble.parser:OralBBluetoothDeviceData",
    manufacturers=frozenset({0x00DC}),
)

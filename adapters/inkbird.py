"""Inkbird's thermometers, barbecue probes and air monitors; by inkbird-ble.

The older ones write the temperature where the company id belongs: only their name tells them.
"""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "inkbird",
    "inkbird_ble.parser:INKBIRDBluetoothDeviceData",
    manufacturers=frozenset({0x2449, 0x3254}),
    names=frozenset({"sps", "tps", "ibb", "xbb", "ink", "ith", "ibs"}),
)

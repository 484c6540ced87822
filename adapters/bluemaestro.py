"""Blue Maestro's Tempo discs; by bluemaestro-ble."""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "bluemaestro",
    "bluemaestro_ble.parser:BlueMaestroBluetoothDeviceData",
    manufacturers=frozenset({0x0133}),
)

"""RuuviTag and Ruuvi Air: formats 5, 6 and E1 under Ruuvi's company id; by ruuvitag-ble."""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "ruuvi",
    "ruuvitag_ble.parser:RuuvitagBluetoothDeviceData",
    manufacturers=frozenset({0x0499}),
)

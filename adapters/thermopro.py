"""ThermoPro's thermometers and meat probes; by thermopro-ble.

They write values where the company id belongs: only their name tells them.
"""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "thermopro",
    "thermopro_ble.parser:ThermoProBluetoothDeviceData",
    names=frozenset({"tp3", "tp9"}),
)

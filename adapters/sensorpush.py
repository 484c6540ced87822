"""SensorPush's thermometers, hygrometers and barometers; by sensorpush-ble.

They write values where the company id belongs: their service uuid or their name tells them.
"""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "sensorpush",
    "sensorpush_ble.parser:SensorPushBluetoothDeviceData",
    services=frozenset(
        {"ef090000-11d6-42ba-93b8-9dd7ec090aa9", "ef090000-11d6-42ba-93b8-9dd7ec090ab0"}
    ),
    names=frozenset({"sen"}),
)

"""Govee's thermometers, meat probes, motion, presence, window and button sensors; by govee-ble.

Some say their values under the company id 0x0001, which is another's: the service uuid that they
list, or their name, tells them.
"""

from typing import Final

from adapters.library import family

ADAPTER: Final = family(
    "govee",
    "govee_ble.parser:GoveeBluetoothDeviceData",
    manufacturers=frozenset({0xEC88, 0xEF88, 0x8801, 0x8803, 0x8843}),
    services=frozenset(
        {"ec88", "5550", "8151", "8251", "8351", "8451", "8551", "8651", "9151", "9851"}
    ),
    names=frozenset({"gvh", "gv5", "gov", "b51"}),
)

"""Xiaomi and its partners: MiBeacon plain and encrypted, body scales, plant sensors; by xiaomi-ble.

A MiBeacon that carries no object only says that the device lives: it says nothing here.
"""

from typing import Final

from adapters.adapter import Adapter
from adapters.errors import UnknownFormat
from adapters.frame import Frame
from adapters.library import family
from adapters.observation import Observation

MIBEACON: Final = "fe95"
SCALE_1, SCALE_2, PLANT = "181d", "181b", "fd50"

_LIBRARY: Final = family(
    "xiaomi",
    "xiaomi_ble.parser:XiaomiBluetoothDeviceData",
    data=frozenset({MIBEACON, SCALE_1, SCALE_2, PLANT}),
    takes_key=True,
)
_HAS_OBJECT: Final = 0x40
_HEAD: Final = 5  # frame control, product, counter


def _read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    beacon = frame.data.get(MIBEACON, b"")
    if len(frame.data) == 1 and len(beacon) >= _HEAD and not beacon[0] & _HAS_OBJECT:
        return ()
    if beacon and len(beacon) < _HEAD:
        raise UnknownFormat(f"a MiBeacon has at least {_HEAD} bytes, not {len(beacon)}")
    return _LIBRARY.read(frame, key)


ADAPTER: Final = Adapter(name=_LIBRARY.name, read=_read, data=_LIBRARY.data)

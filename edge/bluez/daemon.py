"""Watches that bluetoothd is there and its adapter on, so that a death is acted on at once."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from dbus_fast import Message, MessageType

from edge.bluez.bus import Refused, ask, system_bus

Loss = Literal["daemon_gone", "powered_off"]
AGAIN = 5.0
"""Seconds before a bus that went away is tried again."""

_BUS = "org.freedesktop.DBus"
_PATH = "/org/freedesktop/DBus"
_GONE = f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='org.bluez',arg2=''"
_POWER = (
    "type='signal',sender='org.bluez',member='PropertiesChanged',"
    "interface='org.freedesktop.DBus.Properties',arg0='org.bluez.Adapter1'"
)
_log = logging.getLogger(__name__)


async def watch(lost: Callable[[Loss], None]) -> None:
    """Until cancelled: tell that bluetoothd has left the bus, or that an adapter went off.

    Its own connection, on which nothing of the devices arrives.
    """
    while True:
        try:
            async with system_bus() as bus:
                bus.add_message_handler(lambda message: _told(message, lost))
                for rule in (_GONE, _POWER):
                    await ask(bus, _BUS, _PATH, f"{_BUS}.AddMatch", signature="s", body=(rule,))
                await bus.wait_for_disconnect()
        except Refused as refused:
            _log.warning("D-Bus cannot be watched: %s", refused)
        await asyncio.sleep(AGAIN)


def _told(message: Message, lost: Callable[[Loss], None]) -> None:
    if message.message_type is not MessageType.SIGNAL:
        return
    if message.member == "NameOwnerChanged" and message.body[::2] == ["org.bluez", ""]:
        lost("daemon_gone")
    if message.member == "PropertiesChanged":
        powered = message.body[1].get("Powered")
        if powered is not None and not powered.value:
            lost("powered_off")

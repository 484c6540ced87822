"""Who listens passively through the emulated adapter: advertisement monitors and their patterns."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageType

from deploy.world.bluez_faults import Version, refused
from deploy.world.bluez_objects import MONITOR_MANAGER, PROPERTIES, Methods, done
from deploy.world.peripheral import Advertisement

_MONITOR = "org.bluez.AdvertisementMonitor1"
_SERVICE_DATA_16 = 0x16
_TRIES = 50
_BETWEEN_TRIES = 0.02

Pattern = tuple[int, int, bytes]
"""Where in the structure the content starts, the structure's type, the content."""


@dataclass(slots=True, kw_only=True)
class Monitors:
    """The monitors that clients have registered. Real BlueZ has them only with --experimental."""

    version: Version
    call: Callable[[Message], Awaitable[Message | None]]
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    patterns: dict[tuple[str, str], list[Pattern]] = field(
        default_factory=dict[tuple[str, str], list[Pattern]]
    )

    def methods(self) -> Methods:
        """What AdvertisementMonitorManager1 does."""
        return {
            (MONITOR_MANAGER, "RegisterMonitor"): self._register,
            (MONITOR_MANAGER, "UnregisterMonitor"): self._unregister,
        }

    def hears(self, said: Advertisement) -> bool:
        """Whether some monitor's pattern is found in this broadcast.

        The kernel of Debian 13 reports matches of service data without the monitor's handle and
        BlueZ 5.82 drops those, so such a pattern hears nothing there.
        """
        lost = {_SERVICE_DATA_16} if self.version == "5.82" else set[int]()
        return any(
            kind == wanted and kind not in lost and content[start:].startswith(pattern)
            for patterns in self.patterns.values()
            for start, wanted, pattern in patterns
            for kind, content in said.structures()
        )

    def reset(self) -> None:
        """The adapter was switched off."""
        self.patterns.clear()

    def forget_client(self, client: str) -> None:
        """A client has left the bus."""
        for key in [key for key in self.patterns if key[0] == client]:
            del self.patterns[key]

    async def _register(self, call: Message) -> Message:
        key = (call.sender or "", call.body[0])
        if key in self.patterns:
            raise refused("AlreadyExists", "Already Exists")
        self.patterns[key] = []
        self.spawn(self._read(*key))
        return done(call)

    async def _unregister(self, call: Message) -> Message:
        if self.patterns.pop((call.sender or "", call.body[0]), None) is None:
            raise refused("DoesNotExist", "Does Not Exist")
        return done(call)

    async def _read(self, client: str, path: str) -> None:
        """Read the monitor's patterns: bleak exports it only after our reply, so try again."""
        for _ in range(_TRIES):
            reply = await self.call(_get_patterns(client, path))
            if reply is not None and reply.message_type is MessageType.METHOD_RETURN:
                if (client, path) in self.patterns:
                    self.patterns[client, path] = [
                        (start, kind, bytes(content))
                        for start, kind, content in reply.body[0]["Patterns"].value
                    ]
                return
            await asyncio.sleep(_BETWEEN_TRIES)


def _get_patterns(client: str, path: str) -> Message:
    return Message(
        destination=client,
        path=path,
        interface=PROPERTIES,
        member="GetAll",
        signature="s",
        body=[_MONITOR],
    )

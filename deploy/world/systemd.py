"""Emulated systemd and logind on a D-Bus of a test's own: who may restart bluetoothd, and boot."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

_MANAGERS = {
    ("org.freedesktop.systemd1.Manager", "RestartUnit"),
    ("org.freedesktop.login1.Manager", "Reboot"),
}
_DENIED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"


@dataclass(slots=True, kw_only=True)
class Systemd:
    """Does what it is asked: restarts a unit by `restart`, and only counts the reboots.

    `denied` refuses both as polkit does where no rule allows them and nobody can be asked.
    """

    restart: Callable[[], Coroutine[Any, Any, None]] | None = None
    denied: bool = False
    restarted: list[str] = field(default_factory=list[str])
    reboots: int = 0
    _bus: MessageBus | None = None
    _jobs: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def start(self, address: str) -> None:
        """Appear as org.freedesktop.systemd1 and org.freedesktop.login1 on this bus."""
        bus = await MessageBus(bus_address=address).connect()
        bus.add_message_handler(self._handle)
        for name in ("org.freedesktop.systemd1", "org.freedesktop.login1"):
            await bus.request_name(name)
        self._bus = bus

    async def stop(self) -> None:
        """Leave the bus, when every job is done."""
        await asyncio.gather(*self._jobs)
        if self._bus is not None:
            self._bus.disconnect()
            await self._bus.wait_for_disconnect()

    def _handle(self, call: Message) -> Message | bool:
        asked = (call.interface or "", call.member or "")
        if call.message_type is not MessageType.METHOD_CALL or asked not in _MANAGERS:
            return False
        if self.denied:
            return Message.new_error(call, _DENIED, "Interactive authentication required.")
        if asked[1] == "Reboot":
            self.reboots += 1
            return Message.new_method_return(call)
        return self._restarted(call)

    def _restarted(self, call: Message) -> Message:
        self.restarted.append(str(call.body[0]))
        if self.restart is not None:
            job = asyncio.get_running_loop().create_task(self.restart())
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        return Message.new_method_return(call, "o", ["/org/freedesktop/systemd1/job/1"])

"""Answers BlueZ's questions about pairing: yes to the device that is being visited, else no."""

import asyncio
import logging
from collections.abc import Callable

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from edge.bluez.bus import Refused, ask, system_bus

AGAIN = 5.0
"""Seconds before a registration that was refused, or a bus that went away, is tried again."""

_BLUEZ = "org.bluez"
_MANAGER = "org.bluez.AgentManager1"
_AGENT = "org.bluez.Agent1"
_PATH = "/dk/trygport/agent"
_BUS = "org.freedesktop.DBus"
_CAME = f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{_BLUEZ}'"
_log = logging.getLogger(__name__)


class Agent:
    """The default agent: no display and no keys (`NoInputNoOutput`), so Just Works and no more.

    bleak registers none, and without one BlueZ lets what needs a bond hang for ever. `allows` is
    asked for each device that wants to pair; all else that an agent can be asked is refused.
    Source: BlueZ, doc/org.bluez.Agent.rst and org.bluez.AgentManager.rst.
    """

    def __init__(self, allows: Callable[[str], bool], *, again: float = AGAIN) -> None:
        self.ready = asyncio.Event()
        """Set while BlueZ knows this agent as its default one."""
        self._allows = allows
        self._again = again
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled: be registered, and again whenever the daemon comes back."""
        while True:
            try:
                async with system_bus() as bus:
                    await self._serve(bus)
            except Refused as refused:
                _log.warning("no pairing, D-Bus cannot be used: %s", refused)
            await asyncio.sleep(self._again)

    async def _serve(self, bus: MessageBus) -> None:
        bus.add_message_handler(self._asked)
        await ask(bus, _BUS, "/", f"{_BUS}.AddMatch", signature="s", body=(_CAME,))
        self._due.set()
        registering = asyncio.create_task(self._register_for_ever(bus))
        try:
            await bus.wait_for_disconnect()
        finally:
            self.ready.clear()
            registering.cancel()
            await asyncio.gather(registering, return_exceptions=True)

    async def _register_for_ever(self, bus: MessageBus) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._register(bus)
            except Refused as refused:
                _log.info("BlueZ does not take our pairing agent yet: %s", refused)
                await asyncio.sleep(self._again)
                self._due.set()

    async def _register(self, bus: MessageBus) -> None:
        """Raises Refused; a daemon that has only just come knows no agents yet."""
        body = (_PATH, "NoInputNoOutput")
        try:
            await self._tell(bus, "RegisterAgent", "os", *body)
        except Refused as refused:
            if str(refused) != "AlreadyExists":
                raise
        await self._tell(bus, "RequestDefaultAgent", "o", _PATH)
        self.ready.set()

    @staticmethod
    async def _tell(bus: MessageBus, member: str, signature: str, *body: str) -> None:
        method = f"{_MANAGER}.{member}"
        await ask(bus, _BLUEZ, "/org/bluez", method, signature=signature, body=body)

    def _asked(self, message: Message) -> Message | None:
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            self._owner_changed(*message.body)
        if message.message_type is MessageType.METHOD_CALL and message.interface == _AGENT:
            return self._answer(message)
        return None

    def _owner_changed(self, name: str, _: str, now: str) -> None:
        if name == _BLUEZ:
            self.ready.clear()
            if now:
                self._due.set()

    def _answer(self, call: Message) -> Message:
        if call.member in ("Release", "Cancel"):
            return Message.new_method_return(call)
        if call.member == "RequestAuthorization" and self._allows(_address(call.body[0])):
            return Message.new_method_return(call)
        _log.warning("a device that is not to be paired here wanted to: %s", call.member)
        return Message.new_error(call, "org.bluez.Error.Rejected", "not to be paired here")


def _address(path: str) -> str:
    """The address in a device's object path, which ends in dev_XX_XX_XX_XX_XX_XX."""
    return path.rpartition("/dev_")[2].replace("_", ":").upper()

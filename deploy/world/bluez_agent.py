"""Pairing in the emulated BlueZ: agents, and the bond that an encrypted characteristic needs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from dbus_fast import DBusError, Message, MessageType

from deploy.world.bluez_faults import Pace, refused
from deploy.world.bluez_objects import AGENT_MANAGER, DEVICE, YES, Methods, Objects, done
from deploy.world.peripheral import Peripheral

_AGENT = "org.bluez.Agent1"
_ANSWER = 5.0
"""Seconds that an agent has; the real daemon waits a minute."""


@dataclass(slots=True, kw_only=True)
class Agents:
    """Who answers for the human when a device wants to pair. bleak registers nobody."""

    objects: Objects
    pace: Pace
    call: Callable[[Message], Awaitable[Message | None]]
    peripheral: Callable[[str], Peripheral]
    agents: dict[str, str] = field(default_factory=dict[str, str])
    """Object path of each client's agent, the default one last."""
    bonds: set[str] = field(default_factory=set[str])
    """Devices whose keys are kept, as under /var/lib/bluetooth: they outlive the daemon."""

    def methods(self) -> Methods:
        """What AgentManager1 does, and Device1 about pairing."""
        return {
            (AGENT_MANAGER, "RegisterAgent"): self._register,
            (AGENT_MANAGER, "RequestDefaultAgent"): self._default,
            (AGENT_MANAGER, "UnregisterAgent"): self._unregister,
            (DEVICE, "Pair"): self._pair,
        }

    def forget_client(self, client: str) -> None:
        """A client has left the bus."""
        self.agents.pop(client, None)

    def reset(self) -> None:
        """The daemon has died: agents must register again, keys are on disk."""
        self.agents.clear()

    def is_bonded(self, path: str) -> bool:
        """Whether the device's keys are kept."""
        return path in self.bonds

    def unbond(self, path: str) -> None:
        """Throw our keys away; the device may keep its own."""
        self.bonds.discard(path)

    async def encrypt(self, path: str) -> None:
        """Encrypt the link, by the keys of a bond or by pairing. Without an agent: never.

        So it is in real BlueZ 5.66 and 5.82: pairing fails and the read hangs. Raises BlueZ's
        refusal (create_gatt_dbus_error in its src/gatt-client.c) when the device has no keys of
        ours, or when pairing is refused.
        """
        if path in self.bonds:
            if self.peripheral(path).has_keys:
                return
            raise refused("NotPermitted", "Not paired")
        if not self.agents:
            await asyncio.Event().wait()
        try:
            await self._bond(path)
        except DBusError as failed:
            raise refused("NotPermitted", "Not paired") from failed

    async def _bond(self, path: str) -> None:
        peripheral = self.peripheral(path)
        await asyncio.sleep(self.pace.pair)
        if not peripheral.pairable:
            raise refused("AuthenticationFailed", "Authentication Failed")
        await self._ask_agent(path)
        peripheral.has_keys = True
        peripheral.pairings += 1
        self.bonds.add(path)
        self.objects.change(path, DEVICE, {"Paired": YES, "Bonded": YES})

    async def _ask_agent(self, path: str) -> None:
        """Whether the default agent lets this device pair, which is Just Works."""
        client, agent = [*self.agents.items()][-1]
        question = Message(
            destination=client,
            path=agent,
            interface=_AGENT,
            member="RequestAuthorization",
            signature="o",
            body=[path],
        )
        async with asyncio.timeout(_ANSWER):
            answer = await self.call(question)
        if answer is None or answer.message_type is MessageType.ERROR:
            raise refused("AuthenticationRejected", "Authentication Rejected")

    async def _pair(self, call: Message) -> Message:
        path = call.path or ""
        if path in self.bonds:
            raise refused("AlreadyExists", "Already Exists")
        if not self.agents:
            raise refused("AuthenticationFailed", "Authentication Failed")
        await self._bond(path)
        return done(call)

    async def _register(self, call: Message) -> Message:
        client, agent = call.sender or "", call.body[0]
        if client in self.agents:
            raise refused("AlreadyExists", "Already Exists")
        self.agents = {client: agent, **self.agents}  # the first one is the default
        return done(call)

    async def _default(self, call: Message) -> Message:
        client = call.sender or ""
        if self.agents.get(client) != call.body[0]:
            raise refused("DoesNotExist", "Does Not Exist")
        self.agents[client] = self.agents.pop(client)
        return done(call)

    async def _unregister(self, call: Message) -> Message:
        if self.agents.get(call.sender or "") != call.body[0]:
            raise refused("DoesNotExist", "Does Not Exist")
        self.forget_client(call.sender or "")
        return done(call)

"""Pairing in the emulated BlueZ: agents, and the bond that an encrypted characteristic needs."""

import asyncio
from dataclasses import dataclass, field

from dbus_fast import Message

from deploy.world.bluez_faults import Pace, refused
from deploy.world.bluez_objects import AGENT_MANAGER, DEVICE, YES, Methods, Objects, done


@dataclass(slots=True, kw_only=True)
class Agents:
    """Who answers for the human when a device wants to pair. bleak registers nobody."""

    objects: Objects
    pace: Pace
    clients: set[str] = field(default_factory=set[str])

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
        self.clients.discard(client)

    async def bond(self, path: str) -> None:
        """Pair with the device unless that is done. Without an agent this never returns.

        So it is in real BlueZ 5.66 and 5.82: pairing fails and the read hangs.
        """
        if self.objects.value(path, DEVICE, "Paired"):
            return
        if not self.clients:
            await asyncio.Event().wait()
        await asyncio.sleep(self.pace.pair)
        self.objects.change(path, DEVICE, {"Paired": YES, "Bonded": YES})

    async def _pair(self, call: Message) -> Message:
        path = call.path or ""
        if self.objects.value(path, DEVICE, "Paired"):
            raise refused("AlreadyExists", "Already Exists")
        if not self.clients:
            raise refused("AuthenticationFailed", "Authentication Failed")
        await self.bond(path)
        return done(call)

    async def _register(self, call: Message) -> Message:
        if call.sender in self.clients:
            raise refused("AlreadyExists", "Already Exists")
        self.clients.add(call.sender or "")
        return done(call)

    async def _default(self, call: Message) -> Message:
        if call.sender not in self.clients:
            raise refused("DoesNotExist", "Does Not Exist")
        return done(call)

    async def _unregister(self, call: Message) -> Message:
        self.clients.discard(call.sender or "")
        return done(call)

"""A Bluetooth peripheral as far as a central can tell: what it broadcasts and its GATT table."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

BASE_UUID = "-0000-1000-8000-00805f9b34fb"
"""The tail of a 16-bit UUID written out (Bluetooth Core Specification, volume 3 part B 2.5.1)."""
_SHORT = 4

Flag = Literal["read", "write", "write-without-response", "notify", "indicate"]


class AttError(Exception):
    """A read or write is refused by the peripheral with this ATT error code (Core, 3.F.3.4.1.1).

    Raised by a characteristic's callback; the central sees the code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"ATT error 0x{code:02x}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """One broadcast: advertising data and scan response together, as an active scan has them."""

    flags: int | None = 0x06
    name: str | None = None
    service_uuids: tuple[str, ...] = ()
    service_data: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    tx_power: int | None = None

    def structures(self) -> list[tuple[int, bytes]]:
        """The structures on the air, type and content (Core Specification Supplement, part A)."""
        short = [uuid for uuid in self.service_uuids if len(uuid) == _SHORT]
        found = [
            (0x01, b"" if self.flags is None else bytes([self.flags])),
            (0x03, b"".join(map(uuid_bytes, short))),
            (0x07, b"".join(uuid_bytes(uuid) for uuid in self.service_uuids if uuid not in short)),
            (0x09, (self.name or "").encode()),
            (0x0A, b"" if self.tx_power is None else self.tx_power.to_bytes(1, signed=True)),
        ]
        for uuid, content in self.service_data.items():
            found.append((0x16 if len(uuid) == _SHORT else 0x21, uuid_bytes(uuid) + content))
        for company, content in self.manufacturer_data.items():
            found.append((0xFF, company.to_bytes(2, "little") + content))
        return [(kind, content) for kind, content in found if content]


@dataclass(slots=True, kw_only=True, eq=False)
class Characteristic:
    """A GATT characteristic; UUIDs are four or thirty-two-plus-hyphens lower-case hex digits."""

    uuid: str
    flags: tuple[Flag, ...]
    value: bytes = b""
    reading: Callable[[], bytes] | None = None
    """Gives the value for each read; without it `value` is read."""
    written: Callable[[bytes], Awaitable[None] | None] | None = None
    subscribed: Callable[[], None] | None = None
    """Told when a central has enabled notifications or indications."""
    encrypted: bool = False
    """Read, written and subscribed to only over a bonded link."""
    listeners: list[Callable[[bytes], None]] = field(default_factory=list[Callable[[bytes], None]])

    def read(self) -> bytes:
        """The value as the central reads it."""
        if self.reading is not None:
            self.value = self.reading()
        return self.value

    async def write(self, value: bytes) -> None:
        """The central has written; the answer is given when the callback is done."""
        self.value = value
        if self.written is not None:
            answer = self.written(value)
            if inspect.isawaitable(answer):
                await answer

    def notify(self, value: bytes) -> bool:
        """Send a notification or indication; says whether any central was listening."""
        self.value = value
        for listener in tuple(self.listeners):
            listener(value)
        return bool(self.listeners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A primary GATT service."""

    uuid: str
    characteristics: tuple[Characteristic, ...]


class Central(Protocol):
    """Whoever can hear a peripheral and be connected to it."""

    def hear(self, peripheral: "Peripheral", said: Advertisement) -> None:
        """The peripheral has broadcast once."""
        ...

    def lose(self, peripheral: "Peripheral") -> None:
        """The link to the peripheral is gone."""
        ...


class Peripheral:
    """A device in the air. Subclasses give it something to say."""

    def __init__(
        self,
        address: str,
        *,
        address_type: Literal["public", "random"] = "public",
        rssi: int = -60,
        advertisement: Advertisement | None = None,
        services: Sequence[Service] = (),
    ) -> None:
        self.address = address.upper()
        self.address_type: Literal["public", "random"] = address_type
        self.rssi = rssi
        self.advertisement = advertisement or Advertisement()
        self.services = tuple(services)
        self.centrals: list[Central] = []
        self.connected_to: list[Central] = []
        self.pairable = True
        """Whether it lets itself be paired now; many devices need a button pressed for it."""
        self.has_keys = False
        """Whether it has the keys of a bond; False again is a device that forgot us."""
        self.pairings = 0
        self._dead = False

    @property
    def dead(self) -> bool:
        """Whether it has stopped speaking: no broadcast, no connection, links lost."""
        return self._dead

    @dead.setter
    def dead(self, dead: bool) -> None:
        self._dead = dead
        if dead:
            self.drop()

    def advertise(
        self,
        *,
        service_data: Mapping[str, bytes] | None = None,
        manufacturer_data: Mapping[int, bytes] | None = None,
        times: int = 1,
        apart: float = 0.4,
    ) -> None:
        """Change what is broadcast (what is None stays) and broadcast it, `apart` seconds each.

        The repeats carry the bytes of now, also when something else is said in between.
        A peripheral in a connection does not broadcast.
        """
        if service_data is not None:
            self.advertisement = replace(self.advertisement, service_data=dict(service_data))
        if manufacturer_data is not None:
            self.advertisement = replace(
                self.advertisement, manufacturer_data=dict(manufacturer_data)
            )
        said = self.advertisement
        self._broadcast(said)
        for repeat in range(1, times):
            asyncio.get_running_loop().call_later(repeat * apart, self._broadcast, said)

    def drop(self) -> None:
        """Lose every connection, as when walking out of range."""
        for central in tuple(self.connected_to):
            central.lose(self)

    def connected(self, central: Central) -> None:
        """A central has connected."""
        self.connected_to.append(central)

    def disconnected(self, central: Central) -> None:
        """The connection to this central has ended, for whatever reason."""
        if central in self.connected_to:
            self.connected_to.remove(central)

    def _broadcast(self, said: Advertisement) -> None:
        if self._dead or self.connected_to:
            return
        for central in tuple(self.centrals):
            central.hear(self, said)


def long_uuid(uuid: str) -> str:
    """The UUID written out with all its 32 digits, as BlueZ writes it."""
    return f"0000{uuid}{BASE_UUID}" if len(uuid) == _SHORT else uuid


def uuid_bytes(uuid: str) -> bytes:
    """The UUID as it goes over the air, little endian."""
    return bytes.fromhex(uuid.replace("-", ""))[::-1]

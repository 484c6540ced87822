"""What the air of a home carries: a recorded one, or one that is made of the same figures."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import UUID

from deploy.runtime.paths import ROOT
from deploy.world.peripheral import Advertisement

RECORDED = ROOT.parent / "shared" / "data" / "ble_home_capture_shared.btsnoop"
"""412 reports of 36 addresses in 12.9 s, an Android phone's log; beside the checkout, not in it."""
OURS = 4
"""Thermo-hygrometers among the 36 addresses: the devices that a home would place."""

ALL = 36
"""Addresses in the recording."""

_GOVEE = "A4:C1:38"
"""The first bytes of the thermo-hygrometers' addresses in the recording."""
_SECONDS, _A_SECOND, _OURS_SHARE = 12.9, 32, 0.05
_EPOCH = 0x00DCDDB30F2F8000
"""Microseconds of a btsnoop time at 1970-01-01 (the format counts from the year 0)."""
_H4_EVENT, _LE_META, _REPORT = 0x04, 0x3E, 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One broadcast: `at` seconds from the start, by whom, how strong, and what it said."""

    at: float
    address: str
    address_type: Literal["public", "random"]
    rssi: int
    said: Advertisement

    @property
    def is_ours(self) -> bool:
        """Whether a home would have placed the device."""
        return self.address.startswith(_GOVEE)

    def saying(self, number: int) -> "Report":
        """The same with other bytes, as a device that has measured anew."""
        company, _ = next(iter(self.said.manufacturer_data.items()), (0xFFFF, b""))
        news = {company: b"\x00" + number.to_bytes(4) + b"\x5a\x00"}
        return replace(self, said=replace(self.said, manufacturer_data=news))


def home_air(recorded: Path = RECORDED) -> tuple[Sequence[Report], str]:
    """The reports of a home's air in time order, and in words where they are from."""
    if recorded.exists():
        return list(read(recorded.read_bytes())), f"recorded ({recorded.name})"
    return list(made()), "made: 36 addresses, 32 reports a second, 5 % of four sensors"


def read(log: bytes) -> Iterator[Report]:
    """The LE advertising reports of a btsnoop file of H4 packets (Core Specification, 4.E.7.7.65).

    Raises ValueError for another file.
    """
    if not log.startswith(b"btsnoop\0"):
        raise ValueError("not a btsnoop file")
    start, at = None, 16
    while at < len(log):
        length = int.from_bytes(log[at + 4 : at + 8])
        micros = int.from_bytes(log[at + 16 : at + 24]) - _EPOCH
        packet = log[at + 24 : at + 24 + length]
        if (packet[0], packet[1], packet[3]) == (_H4_EVENT, _LE_META, _REPORT):
            start = micros if start is None else start
            yield _report((micros - start) / 1e6, packet)
        at += 24 + length


def made(seed: str = "a home's air") -> Iterator[Report]:
    """As many addresses, reports a second and sensors of ours as were recorded."""
    chance = random.Random(seed)  # noqa: S311 - a load
    strangers = [_random_address(chance) for _ in range(ALL - OURS)]
    ours = [f"{_GOVEE}:00:00:{number:02X}" for number in range(OURS)]
    for number in range(round(_SECONDS * _A_SECOND)):
        mine = chance.random() < _OURS_SHARE
        address = chance.choice(ours if mine else strangers)
        said = {0xEC88: b"\x00" + chance.randbytes(4) + b"\x5a\x00"} if mine else None
        yield Report(
            at=number / _A_SECOND,
            address=address,
            address_type="public" if mine else "random",
            rssi=-chance.randint(49, 95),
            said=Advertisement(manufacturer_data=said or {0x004C: chance.randbytes(16)}),
        )


def passers_by(count: int, seed: str = "passers-by") -> Iterator[Report]:
    """Phones and tags that change their address before they are heard again."""
    chance = random.Random(seed)  # noqa: S311 - a load
    for number in range(count):
        yield Report(
            at=number / _A_SECOND,
            address=_random_address(chance),
            address_type="random",
            rssi=-chance.randint(60, 95),
            said=Advertisement(manufacturer_data={0x004C: chance.randbytes(16)}),
        )


def _random_address(chance: random.Random) -> str:
    """A resolvable private address: top bits 01 (Core Specification, 6.B 1.3.2.2)."""
    octets = bytearray(chance.randbytes(6))
    octets[0] = octets[0] & 0x3F | 0x40
    return ":".join(f"{octet:02X}" for octet in octets)


def _report(at: float, packet: bytes) -> Report:
    end = 14 + packet[13]
    return Report(
        at=at,
        address=":".join(f"{octet:02X}" for octet in reversed(packet[7:13])),
        address_type="random" if packet[6] else "public",
        rssi=int.from_bytes(packet[end : end + 1], signed=True),
        said=_advertisement(dict(_structures(packet[14:end]))),
    )


def _structures(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each structure (Core Specification Supplement, part A)."""
    at = 0
    while at < len(octets) and octets[at]:
        yield octets[at + 1], octets[at + 2 : at + 1 + octets[at]]
        at += 1 + octets[at]


def _advertisement(said: dict[int, bytes]) -> Advertisement:
    flags, name, tx = said.get(0x01), said.get(0x09, said.get(0x08)), said.get(0x0A)
    service, company = said.get(0x16, b""), said.get(0xFF, b"")
    return Advertisement(
        flags=flags[0] if flags else None,
        name=name.decode(errors="replace") if name else None,
        service_uuids=tuple(_uuids(said)),
        service_data={service[1::-1].hex(): service[2:]} if service else {},
        manufacturer_data={int.from_bytes(company[:2], "little"): company[2:]} if company else {},
        tx_power=int.from_bytes(tx, signed=True) if tx else None,
    )


def _uuids(said: dict[int, bytes]) -> Iterator[str]:
    short = said.get(0x02, b"") + said.get(0x03, b"")
    whole = said.get(0x06, b"") + said.get(0x07, b"")
    yield from (short[i : i + 2][::-1].hex() for i in range(0, len(short), 2))
    yield from (str(UUID(bytes=whole[i : i + 16][::-1])) for i in range(0, len(whole), 16))

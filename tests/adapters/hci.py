"""Turns raw HCI advertising reports into frames, as a box would have heard them.

Source: Bluetooth Core Specification, LE Advertising Report (subevent 0x02) and LE Extended
Advertising Report (0x0D); assigned numbers of the advertising data types.
"""

from uuid import UUID

from adapters.frame import Frame


def frame_of(packet: bytes) -> Frame:
    """The frame of an H4 event packet (0x04 0x3E) with one report."""
    subevent, reports = packet[3], packet[4]
    assert packet[:2] == b"\x04\x3e"
    assert reports == 1
    if subevent == 0x02:
        address, length, start = packet[7:13], packet[13], 14
        rssi = packet[start + length]
    else:
        assert subevent == 0x0D
        address, length, start = packet[8:14], packet[28], 29
        rssi = packet[18]
    return frame_of_structures(address, packet[start : start + length], rssi)


def frame_of_structures(address: bytes, structures: bytes, rssi: int) -> Frame:
    services: list[str] = []
    data: dict[str, bytes] = {}
    manufacturer: dict[int, bytes] = {}
    name: str | None = None
    at = 0
    while at < len(structures) and structures[at]:
        kind, body = structures[at + 1], structures[at + 2 : at + 1 + structures[at]]
        match kind:
            case 0x02 | 0x03:
                services += [body[i : i + 2][::-1].hex() for i in range(0, len(body), 2)]
            case 0x06 | 0x07:
                services += [
                    str(UUID(bytes=body[i : i + 16][::-1])) for i in range(0, len(body) - 15, 16)
                ]
            case 0x08 | 0x09:
                name = body.decode()
            case 0x16:
                data[body[1::-1].hex()] = body[2:]
            case 0xFF:
                manufacturer[int.from_bytes(body[:2], "little")] = body[2:]
            case _:
                pass
        at += 1 + structures[at]
    return Frame(
        device=":".join(f"{byte:02X}" for byte in reversed(address)),
        heard="advertisement",
        at=1_767_254_400_000,
        uptime=60.0,
        rssi=rssi - 256 if rssi > 127 else rssi,
        name=name,
        services=tuple(services),
        data=data,
        manufacturer=manufacturer,
    )

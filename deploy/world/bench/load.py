"""What the homes of a benchmark say: ready batches of BTHome frames, and how much is in them.

The shape that the benchmark is asked for: BTHome payloads of the recorded homes' sensors with
battery, voltage and temperature besides, 1.5 observations a frame, at most three in ten payloads
equal to an earlier one, a tenth of the devices encrypted, 380 observations a home and day, and one
press of a placed call button among 1 000 observations, which must become a finding.
"""

import random
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import expm1
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from adapters.observation import Kind
from deploy.world.bench import packets
from deploy.world.bench.homes import (
    CALL,
    ENCRYPTED_EVERY,
    SLOTS,
    address,
    edge_name,
    is_encrypted,
    key,
)

PER_FRAME = 1.5
"""Observations of a frame, on average."""
A_DAY = 380
"""Observations of a home in a day."""
PRESS_EVERY = 1_000
"""Observations of which one is a press."""
KINDS = (Kind.BATTERY, Kind.VOLTAGE, Kind.TEMPERATURE)
"""What a device says besides its own kind."""
COLUMNS = len(SLOTS) * (1 + len(KINDS))
"""Numbers of a tally: for each slot its own kind and then KINDS."""

BULK, MESSAGE = "bulk", 1
"""The lane of the batches, and their packet id: one is in flight at a time."""

_DAY_MS = 86_400_000
_GAP_MS = round(_DAY_MS / (A_DAY / PER_FRAME))
_SHORTEST_GAP_MS = 30_000
"""More than the ten seconds in which equal presses are one."""
_UPTIME_MS = 400 * _DAY_MS
_ALONE, _ALONE_OR_VALUE, _WITH_TEMPERATURE = 0.24, 0.50, 0.75
_TEMPERATURE, _VOLTAGE = 0.43, 0.49
"""Shares of the frames, cumulated: its own kind alone (nearly always said before); temperature,
voltage or battery alone; its own kind with temperature; voltage and temperature."""
_CELSIUS_VALUES, _VOLT_VALUES = 5_000, 1_600
"""Hundredths of a degree from -10, millivolts from 2 000."""
_OWN, _BATTERY, _VOLT, _CELSIUS = range(1 + len(KINDS))
_WEIGHTS = tuple(accumulate(slot.weight for slot in SLOTS))
_SALT = b"\xd2\xfc"
_INFORMATION, _SEALED = b"\x44", b"\x45"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A load: of which homes, how many frames each, so many a message, ending at `until` (ms)."""

    homes: int
    frames: int
    frames_a_message: int
    until: int
    run: str
    """Makes streams and contents those of this load alone."""
    first: int = 0
    """The first home's number."""
    press_every: int = PRESS_EVERY
    """Observations of which one is a press; 0 for none."""

    @property
    def streams(self) -> list[UUID]:
        """The streams of its homes: no other load's."""
        return [stream_of(self, home) for home in range(self.first, self.first + self.homes)]

    @property
    def messages(self) -> int:
        """Messages of each home."""
        return -(-self.frames // self.frames_a_message)

    @property
    def span(self) -> int:
        """Milliseconds that the frames of a home lie apart, all in all, with room to spare."""
        return round(self.frames * _GAP_MS + 4 * 180_000 * self.frames**0.5)


@dataclass(frozen=True, slots=True)
class Message:
    """A PUBLISH packet, what it holds, and the home's tally up to and with it."""

    packet: bytes
    frames: int
    observations: int
    tally: bytes


class Told:
    """One home's frames in order of time; what they hold is counted in `tally`."""

    def __init__(self, shape: Shape, home: int, sent_at: int) -> None:
        self._random = random.Random(f"{shape.run} {home}")  # noqa: S311 - a load, not a secret
        self._home = home
        self._at = shape.until - shape.span
        self._until = shape.until
        self._sent_at = sent_at
        self._packet_id = [self._random.randrange(256) for _ in SLOTS]
        self._counter = self._random.randrange(1 << 20) << 8
        self._since_press = self._random.randrange(PRESS_EVERY)
        self._press_every = shape.press_every or sys.maxsize
        self._ciphers = {
            slot: AESCCM(key(home, slot), tag_length=4)
            for slot in range(len(SLOTS))
            if is_encrypted(home, slot)
        }
        self._addresses = [address(home, slot) for slot in range(len(SLOTS))]
        self.tally = array("I", [0] * COLUMNS)

    def next(self) -> tuple[str, int]:
        """The next frame as the JSON text that a box spools, and its observations."""
        draw = self._random.random
        self._at = min(self._at + int(_SHORTEST_GAP_MS + draw() * _SPREAD_MS), self._until)
        if self._since_press >= self._press_every:
            self._since_press -= self._press_every
            slot, content, said = CALL, b"\x3a\x01", (_OWN,)
        else:
            slot = self._random.choices(_ALL_SLOTS, cum_weights=_WEIGHTS)[0]
            content, said = self._content(SLOTS[slot].object, draw())
        for column in said:
            self.tally[slot * (1 + len(KINDS)) + column] += 1
        self._since_press += len(said)
        return self._frame(slot, self._payload(slot, content)), len(said)

    def _content(self, own: int, share: float) -> tuple[bytes, Sequence[int]]:
        draw = self._random.random
        value = bytes((own, draw() < 0.5))  # noqa: PLR2004 - on as often as off
        if share < _ALONE:
            return value, (_OWN,)
        celsius = b"\x02" + int(draw() * _CELSIUS_VALUES - 1_000).to_bytes(2, "little", signed=True)
        if share < _TEMPERATURE:
            return celsius, (_CELSIUS,)
        if _ALONE_OR_VALUE <= share < _WITH_TEMPERATURE:
            return celsius + value, (_OWN, _CELSIUS)
        volt = b"\x0c" + int(2_000 + draw() * _VOLT_VALUES).to_bytes(2, "little")
        if share < _VOLTAGE:
            return volt, (_VOLT,)
        if share < _ALONE_OR_VALUE:
            return bytes((1, int(draw() * 101))), (_BATTERY,)
        return celsius + volt, (_VOLT, _CELSIUS)

    def _payload(self, slot: int, content: bytes) -> str:
        """Service data as hexadecimal text (bthome.io/format, bthome.io/encryption)."""
        number = self._packet_id[slot] = (self._packet_id[slot] + 1) & 0xFF
        plain = bytes((0, number)) + content
        if (cipher := self._ciphers.get(slot)) is None:
            return (_INFORMATION + plain).hex()
        self._counter += 1
        count = self._counter.to_bytes(4, "little")
        place = bytes.fromhex(self._addresses[slot].replace(":", ""))
        sealed = cipher.encrypt(place + _SALT + _SEALED + count, plain, None)
        return (_SEALED + sealed[:-4] + count + sealed[-4:]).hex()

    def _frame(self, slot: int, payload: str) -> str:
        uptime = (_UPTIME_MS - self._sent_at + self._at) / 1_000
        rssi = -40 - int(self._random.random() * 55)
        return (
            f'{{"device":"{self._addresses[slot]}","heard":"advertisement","at":{self._at},'
            f'"uptime":{uptime},"rssi":{rssi},"data":{{"fcd2":"{payload}"}},'
            f'"address_type":"random"}}'
        )


_SPREAD_MS = 2 * (_GAP_MS - _SHORTEST_GAP_MS)
_ALL_SLOTS = range(len(SLOTS))


def equal_share(frames: int) -> float:
    """The share of so many frames' payloads that are expected to equal an earlier one.

    At most three in ten up to some four million frames; beyond that there are not enough readings
    of one value and an 8-bit packet id left that nobody has sent.
    """
    plain = frames * (1 - 1 / ENCRYPTED_EVERY)
    own = Counter[int]()
    for slot in SLOTS:
        own[slot.object] += slot.weight
    every = own.total()
    classes = [
        *((_ALONE * weight / every, 2) for weight in own.values()),
        (_TEMPERATURE - _ALONE, _CELSIUS_VALUES),
        (_VOLTAGE - _TEMPERATURE, _VOLT_VALUES),
        (_ALONE_OR_VALUE - _VOLTAGE, 101),
        *(
            ((_WITH_TEMPERATURE - _ALONE_OR_VALUE) * weight / every, 2 * _CELSIUS_VALUES)
            for weight in own.values()
        ),
        (1 - _WITH_TEMPERATURE, _CELSIUS_VALUES * _VOLT_VALUES),
    ]
    return sum(_equal(share * plain, values * 256) for share, values in classes) / max(1, frames)


def _equal(draws: float, values: int) -> float:
    """Of so many draws of equally likely values, those that were drawn before."""
    return draws - values * -expm1(-draws / values)


def stream_of(shape: Shape, home: int) -> UUID:
    """The stream of a home in this load."""
    drawn = random.Random(f"stream {shape.run} {home}")  # noqa: S311 - a name, not a secret
    return UUID(int=drawn.getrandbits(128), version=4)


def messages(shape: Shape, home: int, sent_at: int) -> Iterator[Message]:
    """A home's batches, ready to be sent; `sent_at` is now, in milliseconds."""
    told, edge = Told(shape, home, sent_at), edge_name(home)
    stream, boot = stream_of(shape, home), UUID(int=home + 1)
    topic, sent = f"edges/{edge}/{BULK}", 0
    for _ in range(shape.messages):
        count = min(shape.frames_a_message, shape.frames - sent)
        frames = [told.next() for _ in range(count)]
        head = (
            f'{{"format":1,"edge":"{edge}","stream":"{stream}","first":{sent + 1},'
            f'"sent_at":{sent_at},"boot":"{boot}","clock":{{"synchronised":true,"boot":"{boot}",'
            f'"uptime":{_UPTIME_MS / 1_000}}},"frames":['
        )
        payload = f"{head}{','.join([text for text, _ in frames])}]}}".encode()
        sent += count
        yield Message(
            packets.publish(topic, payload, MESSAGE),
            count,
            sum(said for _, said in frames),
            told.tally.tobytes(),
        )

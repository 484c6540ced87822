"""Our reference medicine dispenser: it keeps numbered records and gives them over GATT.

Service 7a1d0001-5a9e-4f0b-9f0c-747279677031. The event characteristic (0002) notifies records of
16 bytes; the control point (0003) takes "send from this number" and "set the clock"; the status
(0004) is read. The advertisement carries the newest record's number, so that a box knows when
there is something to fetch. All numbers are little endian.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from deploy.world.peripheral import (
    Advertisement,
    AttError,
    Central,
    Characteristic,
    Peripheral,
    Service,
)

NAME = "Trygport Dispenser"
_UUID = "7a1d{:04x}-5a9e-4f0b-9f0c-747279677031"
SERVICE, EVENT, CONTROL, STATUS = (_UUID.format(number) for number in (1, 2, 3, 4))

END = 0xFFFFFFFF
"""The number of the record that ends a download."""
NO_SLOT = UNKNOWN = 255
_RECORD = struct.Struct("<IIBBBBHH")
_COMMAND = struct.Struct("<BI")
_SEND_FROM, _SET_CLOCK = 1, 2

INVALID_LENGTH, VALUE_NOT_ALLOWED, NOT_SUBSCRIBED = 0x0D, 0x13, 0xFD
"""ATT error codes (Core 3.F.3.4.1.1, Core Specification Supplement part B)."""


class Event(IntEnum):
    """What a record tells."""

    DOSE_DUE = 1
    DOSE_DISPENSED = 2
    DOSE_TAKEN = 3
    DOSE_MISSED = 4
    DOSE_UNCONFIRMED = 5
    DOSE_WITHHELD = 6
    DOSE_SKIPPED = 7
    DISPENSE_BLOCKED = 8
    JAM = 9
    DEVICE_ERROR = 10
    REFILL_LOW = 11
    REFILL_EMPTY = 12
    REFILL_DONE = 13
    TRAY_OPEN = 14
    TRAY_CLOSED = 15
    TILTED = 16
    BATTERY_LOW = 17
    BATTERY_EMPTY = 18
    MAINS_LOST = 19
    MAINS_RESTORED = 20
    TEST_EVENT = 21
    HEARTBEAT = 22
    DOSE_TAKEN_EARLY = 23
    DOSE_TAKEN_LATE = 24
    WITHHELD_DRAWER_FULL = 25
    TRAVEL_DOSE_RELEASED = 26
    SCHEDULE_MISSING = 27
    SCHEDULE_CHANGED = 28
    TAMPER = 29


class Confirmation(IntEnum):
    """How a dose was confirmed."""

    NONE = 0
    OK_BUTTON = 1
    TILT = 2
    LID = 3
    POUCH_CUT = 4
    CAREGIVER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One stored event; `seconds` since 1970 UTC by the device's clock, 0 while it is not set."""

    number: int
    seconds: int = 0
    event: int = 0
    slot: int = NO_SLOT
    confirmation: int = Confirmation.NONE
    doses_left: int = UNKNOWN
    detail: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """One event as the inside of a dispenser tells it (`deploy.world.doses`)."""

    event: Event
    slot: int | None = None
    confirmation: Confirmation = Confirmation.NONE
    detail: int = 0


def record_bytes(record: Record) -> bytes:
    """The record's sixteen bytes."""
    return _RECORD.pack(
        record.number,
        record.seconds,
        record.event,
        record.slot,
        record.confirmation,
        record.doses_left,
        record.detail,
        0,
    )


def status_bytes(
    *,
    battery: int,
    doses_left: int,
    mains_lost: bool = False,
    tray_open: bool = False,
    upside_down: bool = False,
) -> bytes:
    """The status characteristic; `battery` in per cent."""
    flags = mains_lost | tray_open << 1 | upside_down << 2
    return bytes([battery, doses_left, flags])


class Dispenser(Peripheral):
    """Records are kept, and given again to whoever asks, also those made while it was `dead`."""

    pause = 0.005
    """Seconds between two notifications of a download."""

    def __init__(
        self,
        address: str,
        *,
        rssi: int = -60,
        doses: int = 28,
        battery: int = 90,
        clock: Callable[[], float] = time.time,
        clock_is_set: bool = False,
        first: int = 1,
    ) -> None:
        """`clock` gives the true time (or the demo's); the device's own runs from being set."""
        self.doses_left = doses
        self.battery = battery
        self.mains_lost = self.tray_open = self.upside_down = False
        self.records: list[Record] = []
        self._next = first
        self._untold = False
        self._clock = clock
        self._slow: float | None = 0.0 if clock_is_set else None
        end = record_bytes(Record(number=END))
        self._event = Characteristic(uuid=EVENT, flags=("notify", "read"), value=end)
        control = Characteristic(uuid=CONTROL, flags=("write",), written=self._command)
        status = Characteristic(uuid=STATUS, flags=("read",), reading=self._status)
        super().__init__(
            address,
            rssi=rssi,
            advertisement=Advertisement(name=NAME, service_uuids=(SERVICE,)),
            services=(Service(uuid=SERVICE, characteristics=(self._event, control, status)),),
        )

    @property
    def newest(self) -> int:
        """The newest record's number, 0 before the first."""
        return self._next - 1

    def reset(self) -> None:
        """As from the factory: no records, no clock, and the numbers begin again."""
        self.records.clear()
        self._next = 1
        self._slow = None

    def due(self, slot: int) -> None:
        """A dose waits to be dispensed."""
        self.record(Event.DOSE_DUE, slot)

    def dispense(self, slot: int) -> None:
        """A dose comes out."""
        self.doses_left = max(0, self.doses_left - 1)
        self.record(Event.DOSE_DISPENSED, slot)

    def take(self, slot: int, confirmation: Confirmation = Confirmation.OK_BUTTON) -> None:
        """A dose is confirmed as taken."""
        self.record(Event.DOSE_TAKEN, slot, confirmation=confirmation)

    def miss(self, slot: int) -> None:
        """A dose's window has closed without it being taken."""
        self.record(Event.DOSE_MISSED, slot)

    def error(self, code: int) -> None:
        """The device reports its own error code."""
        self.record(Event.DEVICE_ERROR, detail=code)

    def tell(self, happened: Iterable[Told], *, doses_left: int | None = None) -> None:
        """Keep a record of each."""
        if doses_left is not None:
            self.doses_left = doses_left
        for one in happened:
            slot = NO_SLOT if one.slot is None else one.slot
            self.record(one.event, slot, confirmation=one.confirmation, detail=one.detail)

    def record(
        self,
        event: Event,
        slot: int = NO_SLOT,
        *,
        confirmation: Confirmation = Confirmation.NONE,
        detail: int = 0,
    ) -> Record:
        """Keep a record of any kind and tell it: to a subscriber, else in the air."""
        record = Record(
            number=self._next,
            seconds=0 if self._slow is None else int(self._clock() - self._slow),
            event=event,
            slot=slot,
            confirmation=confirmation,
            doses_left=self.doses_left,
            detail=detail,
        )
        self._next += 1
        self.records.append(record)
        if not self._event.notify(record_bytes(record)):
            self._untold = True
            self.announce(times=3)
        return record

    def announce(self, *, times: int = 1) -> None:
        """Broadcast the newest record's number."""
        self._untold = self._untold and bool(self.connected_to)
        newest = self.newest.to_bytes(4, "little")
        self.advertise(service_data={SERVICE: newest}, times=times, apart=0.3)

    def heartbeat(self) -> None:
        """Broadcast a sign of life, the newest record's number."""
        self.announce()

    def disconnected(self, central: Central) -> None:
        """Announce what happened during a connection in which nobody had subscribed."""
        super().disconnected(central)
        if self._untold:
            self.announce()

    def _status(self) -> bytes:
        return status_bytes(
            battery=self.battery,
            doses_left=self.doses_left,
            mains_lost=self.mains_lost,
            tray_open=self.tray_open,
            upside_down=self.upside_down,
        )

    def _command(self, value: bytes) -> None:
        if len(value) != _COMMAND.size:
            raise AttError(INVALID_LENGTH)
        opcode, number = _COMMAND.unpack(value)
        if opcode == _SET_CLOCK:
            self._slow = self._clock() - number
        elif opcode != _SEND_FROM:
            raise AttError(VALUE_NOT_ALLOWED)
        elif not self._event.listeners:
            raise AttError(NOT_SUBSCRIBED)
        else:
            asked = [record for record in self.records if record.number >= number]
            end = Record(number=END)
            asyncio.get_running_loop().call_later(self.pause, self._send, iter([*asked, end]))

    def _send(self, records: Iterator[Record]) -> None:
        """Notify one after the other, until the central is gone; the value is the newest again."""
        record = next(records, None)
        if record is not None and self._event.listeners:
            self._event.notify(record_bytes(record))
            self._event.value = record_bytes(self.records[-1] if self.records else record)
            asyncio.get_running_loop().call_later(self.pause, self._send, records)

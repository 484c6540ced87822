"""The reference dispenser, fetched through the real bleak and read by its adapter."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakGATTProtocolError

from adapters.dispenser import EVENTS
from adapters.frame import Frame
from adapters.observation import Kind, Observation
from adapters.registry import read
from deploy.world.bluez import Bluez
from deploy.world.dispenser import (
    CONTROL,
    END,
    EVENT,
    SERVICE,
    STATUS,
    Confirmation,
    Dispenser,
    Event,
    Record,
    record_bytes,
    status_bytes,
)
from deploy.world.doses import Blocked, Doses, Slot
from tests.world.radio import settle, until

ADDRESS = "C8:2B:96:00:00:01"
EVENING = datetime(2026, 3, 1, 20, 0, tzinfo=UTC).timestamp()
END_BYTES = record_bytes(Record(number=END))


@pytest.fixture
def dispenser(bluez: Bluez) -> Dispenser:
    device = Dispenser(ADDRESS, doses=10, clock=lambda: EVENING)
    bluez.add(device)
    return device


@asynccontextmanager
async def connection(dispenser: Dispenser) -> AsyncGenerator[BleakClient]:
    async with BleakScanner() as scanner:
        dispenser.announce()
        async for device, _ in scanner.advertisement_data():
            async with BleakClient(device) as client:
                yield client
            return


@asynccontextmanager
async def subscription(dispenser: Dispenser) -> AsyncGenerator[tuple[BleakClient, list[bytes]]]:
    told: list[bytes] = []
    async with connection(dispenser) as client:
        await client.start_notify(EVENT, lambda _, value: told.append(bytes(value)))
        yield client, told


async def fetch(dispenser: Dispenser, *, first: int) -> list[bytes]:
    async with subscription(dispenser) as (client, told):
        await client.write_gatt_char(CONTROL, send_from(first), response=True)
        await until(ended(told))
        return told[:-1]


def ended(told: list[bytes]) -> Callable[[], bool]:
    return lambda: told[-1:] == [END_BYTES]


def send_from(number: int) -> bytes:
    return b"\x01" + number.to_bytes(4, "little")


def set_clock(seconds: float) -> bytes:
    return b"\x02" + int(seconds).to_bytes(4, "little")


def observed(uuid: str, value: bytes) -> tuple[Observation, ...]:
    return read(
        Frame(device=ADDRESS, heard="characteristic", at=0, uptime=0.0, uuid=uuid, value=value)
    )


def test_a_record_has_the_bytes_of_its_format() -> None:
    taken = Record(
        number=7,
        seconds=0x69A49640,
        event=Event.DOSE_TAKEN,
        slot=2,
        confirmation=Confirmation.LID,
        doses_left=9,
        detail=0x1234,
    )

    assert record_bytes(taken).hex() == "07000000" + "4096a469" + "03020309" + "3412" + "0000"
    assert (
        status_bytes(battery=80, doses_left=9, mains_lost=True, upside_down=True).hex() == "500905"
    )


async def test_the_air_tells_the_newest_records_number(bluez: Bluez, dispenser: Dispenser) -> None:
    assert bluez
    heard: list[bytes] = []

    async with BleakScanner(lambda _, said: heard.append(said.service_data[SERVICE])):
        dispenser.heartbeat()
        dispenser.dispense(1)
        dispenser.take(1)
        await settle()

    assert heard == [number.to_bytes(4, "little") for number in (0, 1, 2)]


async def test_stored_records_are_fetched_from_the_number_asked_for(dispenser: Dispenser) -> None:
    for happen in (dispenser.due, dispenser.dispense, dispenser.take, dispenser.miss):
        happen(3)
    dispenser.error(513)

    records = await fetch(dispenser, first=3)

    happened = [observed(EVENT, value)[0] for value in records]
    assert [(one.record, one.kind, one.code) for one in happened] == [
        (3, Kind.DOSE_TAKEN, 3),
        (4, Kind.DOSE_MISSED, 3),
        (5, Kind.DEVICE_ERROR, None),
    ]
    assert happened[0].details["confirmation"] == "ok_button"
    assert happened[2].details["detail"] == "513"
    assert await fetch(dispenser, first=6) == []


async def test_what_happens_in_a_subscribed_connection_is_told_at_once(
    dispenser: Dispenser,
) -> None:
    async with subscription(dispenser) as (client, told):
        dispenser.take(1)
        await settle()
        newest = bytes(await client.read_gatt_char(EVENT))

    assert told[0] == newest == record_bytes(dispenser.records[0])


async def test_the_clock_counts_from_being_set_and_is_nought_before(dispenser: Dispenser) -> None:
    dispenser.take(1)
    async with subscription(dispenser) as (client, _):
        await client.write_gatt_char(CONTROL, set_clock(EVENING + 3600), response=True)
        dispenser.take(2)

    assert [record.seconds for record in dispenser.records] == [0, EVENING + 3600]


async def test_the_status_is_read(dispenser: Dispenser) -> None:
    dispenser.mains_lost = True

    async with connection(dispenser) as client:
        status = bytes(await client.read_gatt_char(STATUS))

    kinds = {one.kind: one.value for one in observed(STATUS, status)}
    assert kinds == {Kind.BATTERY: 90.0, Kind.DOSES_LEFT: 10.0, Kind.MAINS_LOST: 1.0}


@pytest.mark.parametrize(
    ("command", "code"), [(b"\x01\x00", 0x0D), (b"\x07" + bytes(4), 0x13), (send_from(1), 0xFD)]
)
async def test_a_wrong_command_is_refused(dispenser: Dispenser, command: bytes, code: int) -> None:
    async with connection(dispenser) as client:
        with pytest.raises(BleakGATTProtocolError) as refusal:
            await client.write_gatt_char(CONTROL, command, response=True)

    assert refusal.value.code == code


async def test_a_silent_dispenser_keeps_its_records_until_it_speaks_again(
    bluez: Bluez, dispenser: Dispenser
) -> None:
    assert bluez
    heard: list[bytes] = []
    dispenser.dead = True

    async with BleakScanner(lambda _, said: heard.append(said.service_data[SERVICE])):
        dispenser.take(1)
        await settle()
    assert heard == []

    dispenser.dead = False
    [record] = await fetch(dispenser, first=1)
    assert record == record_bytes(dispenser.records[0])


async def test_a_record_that_nobody_was_told_is_announced_after_the_connection(
    bluez: Bluez, dispenser: Dispenser
) -> None:
    assert bluez
    heard: list[bytes] = []

    async with BleakScanner(lambda _, said: heard.append(said.service_data[SERVICE])) as scanner:
        dispenser.announce()
        await settle()
        async with BleakClient(scanner.discovered_devices[0]):
            dispenser.take(1)
        await settle()

    assert heard[-1] == (1).to_bytes(4, "little")


async def test_the_whole_vocabulary_is_fetched_and_read(dispenser: Dispenser) -> None:
    for event in Event:
        dispenser.record(event, slot=1, detail=1)

    records = await fetch(dispenser, first=1)

    kinds = [observed(EVENT, value)[0].kind for value in records]
    assert len(set(kinds)) == len(Event) == len(EVENTS)
    assert Kind.UNKNOWN_EVENT not in kinds


async def test_a_day_of_doses_is_told_in_order_with_why_one_stayed_inside(
    dispenser: Dispenser,
) -> None:
    day = Doses([Slot(1, time(8)), Slot(2, time(12))], datetime(2026, 3, 1, tzinfo=UTC), store=10)
    eight, noon = (datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (8, 12))
    dispenser.tell(day.pass_time(eight))
    dispenser.tell(day.ask(1, eight))
    dispenser.tell(day.confirm(1, eight, Confirmation.TILT))
    day.blocked = Blocked.POUCH
    dispenser.tell(day.pass_time(noon))
    dispenser.tell(day.ask(2, noon))
    dispenser.tell(day.pass_time(noon + timedelta(hours=1)))

    told = [observed(EVENT, value)[0] for value in await fetch(dispenser, first=1)]

    assert [(one.kind.name, one.code) for one in told] == [
        ("DOSE_DUE", 1),
        ("DOSE_DISPENSED", 1),
        ("DOSE_TAKEN", 1),
        ("DOSE_DUE", 2),
        ("DISPENSE_BLOCKED", 2),
        ("DOSE_MISSED", 2),
        ("DOSE_WITHHELD", 2),
    ]
    assert told[2].details == {"confirmation": "tilt"}
    assert told[4].details == {"reason": "pouch_unreadable"}

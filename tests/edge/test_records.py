"""A dispenser that counts anew loses no record, and one that counts on gives each of them once."""

import struct
from collections.abc import Callable

import pytest

from deploy.world.bluez import Bluez
from deploy.world.dispenser import Dispenser
from edge.told.config import Plan, read_config
from edge.visiting.records import END, Download, Record
from gateway.edges.config import config as configured
from gateway.store.configs import Placed
from tests.edge.hearing import Kept, config, device, hearing, left

DISPENSER = "A4:C1:38:00:00:03"


def plan() -> Plan:
    """As the gateway tells it, only sooner back and shorter."""
    placed = Placed(address=DISPENSER, model="dispenser", role="dispenser")
    told = read_config(configured(1, [placed])).devices[DISPENSER].connect
    assert told is not None
    return Plan(
        when="advertised",
        seconds=0.2,
        subscribe=told.subscribe,
        write=told.write,
        read=told.read,
        listen_seconds=1,
    )


def slots(kept: Kept) -> list[tuple[int, int]]:
    """Number and slot of every record that was kept, in order."""
    values = [frame.value for _, frame in kept.frames if len(frame.value) == 16]
    read = [struct.unpack_from("<IIBB", value) for value in values]
    return [(number, slot) for number, _, _, slot in read if number != END]


def remembered(kept: Kept) -> int:
    record = Record.noted(kept.notes.get(f"record {DISPENSER}"))
    return 0 if record is None else record.number


async def told(dispenser: Dispenser, kept: Kept, last: int, then: Callable[[], object]) -> None:
    """Something happens at the dispenser; it is visited and left, and its last record is known."""
    then()
    dispenser.announce()
    await kept.sees(lambda: remembered(kept) == last)
    await left(dispenser)


@pytest.mark.parametrize("after", [1, 2, 3, 5])
async def test_a_dispenser_that_was_reset_loses_no_dose_and_tells_none_twice(
    bluez: Bluez, after: int
) -> None:
    dispenser = Dispenser(DISPENSER, clock_is_set=True)
    bluez.add(dispenser)

    def doses(*taken: int) -> Callable[[], object]:
        return lambda: [dispenser.take(slot) for slot in taken]

    async with hearing(config(device(DISPENSER, lane="urgent", connect=plan()))) as kept:
        await told(dispenser, kept, 3, doses(1, 2, 3))
        dispenser.reset()
        anew = range(11, 11 + after)
        kept.notes["before"] = kept.notes[f"record {DISPENSER}"]
        doses(*anew)()
        dispenser.announce()
        await kept.sees(
            lambda: (
                remembered(kept) == after
                and kept.notes[f"record {DISPENSER}"] != kept.notes["before"]
            )
        )
        await left(dispenser)
        await told(dispenser, kept, after + 1, doses(99))

    expected = [*enumerate((1, 2, 3), 1), *enumerate(anew, 1), (after + 1, 99)]
    assert sorted(slots(kept)) == sorted(expected)


async def test_a_reset_dispenser_without_a_record_is_asked_again_until_it_has_one(
    bluez: Bluez,
) -> None:
    dispenser = Dispenser(DISPENSER, clock_is_set=True)
    bluez.add(dispenser)

    async with hearing(config(device(DISPENSER, lane="urgent", connect=plan()))) as kept:
        await told(dispenser, kept, 2, lambda: [dispenser.take(1), dispenser.take(2)])
        dispenser.reset()
        dispenser.announce()
        ends = len(kept.frames)
        await kept.sees(lambda: len(kept.frames) >= ends + 3)  # two ends of records, the status
        await left(dispenser)
        await told(dispenser, kept, 1, lambda: dispenser.take(7))

    assert slots(kept) == [(1, 1), (2, 2), (1, 7)]


def record(number: int, said: int = 0) -> Record:
    return Record(number, struct.pack("<IB", number, said))


def take(download: Download, *records: Record | None) -> list[int]:
    """The numbers that are news; None is the end."""
    given = [each or Record(END, b"") for each in records]
    return [each.number for each in given if download.take(each.number, each.value)]


def test_a_record_made_in_the_middle_of_a_download_does_not_stand_for_those_behind_it() -> None:
    download = Download(last=record(2))

    news = take(download, record(2), record(3), record(9), record(4))
    cut_here = download.last
    take(download, record(5), None)

    assert news == [3, 9, 4]
    assert cut_here == record(4)
    assert download.last == record(9)


def test_a_cut_before_the_numbers_are_known_to_go_on_remembers_nothing_new() -> None:
    download = Download(last=record(2))

    assert take(download, record(2, said=1), record(3)) == [2, 3]
    assert (download.first, download.last, download.began_again) == (2, record(2), False)

    assert take(download, None) == [END]
    assert download.began_again
    everything = download.anew()
    assert take(everything, record(1), record(2, said=1), record(3), record(4)) == [1, 4]
    assert (everything.first, everything.last) == (4, record(4))


def test_records_that_the_device_threw_away_do_not_stop_the_count() -> None:
    download = Download(last=record(2))

    take(download, record(2), record(500), None)

    assert (download.last, download.began_again) == (record(500), False)
    assert take(download, record(501)) == [501]
    assert download.last == record(501)


@pytest.mark.parametrize("text", [None, "", "x", "5 xyz", f"{END} 00"])
def test_a_note_that_is_none_asks_for_everything(text: str | None) -> None:
    assert Record.noted(text) is None
    assert Download(last=None).first == 1


def test_a_note_without_bytes_is_taken_for_another_count() -> None:
    download = Download(last=Record.noted("5"))

    assert download.first == 5
    take(download, record(5), None)
    assert download.began_again

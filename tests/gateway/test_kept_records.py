"""Two hundred records of four health devices, downloaded over and over, are stored once each."""

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from adapters.frame import Frame
from adapters.observation import Kind, Observation
from deploy.runtime.services import OneDatabase
from gateway.ingest import times
from gateway.ingest.dated import Dated, checksum
from gateway.ingest.harvest import Harvest
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.reading import Reader
from gateway.store.frames import Record
from gateway.store.known import Device
from tests.diaries import FLAGS, Expected, pressures, spot_checks, sugars, weights
from tests.frames import BUTTON, DISPENSER, DOOR, batch, frame
from tests.gateway.ingest_home import Parts, delivery, parts

CUFF, OXIMETER, SCALE_AND_METER = BUTTON, DISPENSER, DOOR
"""The home's devices; what an address is said to be matters to nobody here."""


@pytest.fixture
async def home(emptied: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(emptied, boxes=2) as opened:
        yield opened


class ByValue(Reader):
    """The saboteur: a record is known by what was measured, whenever that was."""

    def _record(
        self, frame: Frame, device: Device, observation: Observation, own: Dated | None
    ) -> Record | None:
        if super()._record(frame, device, observation, own) is None:
            return None
        value = checksum(observation.kind.name, repr(observation.value).encode())
        return (self._edge.municipality, device.id, value, times.moment(times.EARLIEST))


class ByNothing(Reader):
    """The saboteur: every hearing of a record is a reading of its own."""

    def _record(
        self, frame: Frame, device: Device, observation: Observation, own: Dated | None
    ) -> Record | None:
        super()._record(frame, device, observation, own)
        return None


class ByValueHarvest(Harvest):
    reader = ByValue


class ByNothingHarvest(Harvest):
    reader = ByNothing


class ByValuePipeline(Pipeline):
    harvest = ByValueHarvest


class ByNothingPipeline(Pipeline):
    harvest = ByNothingHarvest


@pytest.mark.parametrize(
    ("pipeline", "loses", "doubles"),
    [(Pipeline, False, False), (ByValuePipeline, True, False), (ByNothingPipeline, False, True)],
)
async def test_overlapping_downloads_by_two_boxes_bring_every_record_once(
    home: Parts, pipeline: type[Pipeline], *, loses: bool, doubles: bool
) -> None:
    frames = downloads()
    half = len(frames) // 2
    for box, part in (
        ("box-01", frames[: half + 20]),
        ("box-01", frames[half - 20 :]),
        ("box-02", frames),
    ):
        said = batch(part, edge=box)
        await home.pipeline("bulk", pipeline).store([delivery(said, "bulk")])

    found, expected = await stored(home), wanted()
    lost = sum((expected[one].rows - found[one].rows).total() for one in expected)
    twice = sum((found[one].rows - expected[one].rows).total() for one in expected)
    assert (lost > 0, twice > 0) == (loses, doubles)
    if not loses and not doubles:
        assert found == expected


def downloads() -> Sequence[Frame]:
    """All records as frames, the devices one after the other."""
    found = [said(CUFF, "2a35", one.octets()) for one in pressures()[0]]
    found += [said(OXIMETER, "2a5e", one.octets()) for one in spot_checks()[0]]
    found += [said(SCALE_AND_METER, "2a9d", one.octets()) for one in weights()[0]]
    for one in sugars()[0]:
        found.append(said(SCALE_AND_METER, "2a18", one.octets()))
        if one.context is not None:
            found.append(said(SCALE_AND_METER, "2a34", one.context.octets(one.number)))
    return found


def said(device: str, uuid: str, value: bytes) -> Frame:
    return frame(device=device, heard="characteristic", uuid=uuid, value=value)


def wanted() -> Mapping[str, Expected]:
    weighed, tested = weights()[1], sugars()[1]
    both = Expected(weighed.rows + tested.rows, weighed.flags + tested.flags)
    return {CUFF: pressures()[1], OXIMETER: spot_checks()[1], SCALE_AND_METER: both}


async def stored(home: Parts) -> Mapping[str, Expected]:
    found = {one: Expected() for one in (CUFF, OXIMETER, SCALE_AND_METER)}
    for row in await home.rows(
        "SELECT d.address, o.* FROM observation o JOIN device d ON d.id = o.device"
    ):
        key = (Kind(row["kind"]), row["occurred"], row["value"], row["quality"])
        found[row["address"]].rows[key] += 1
    for row in await home.rows(
        "SELECT d.address, o.* FROM observation_detail o JOIN device d ON d.id = o.device"
        " WHERE o.name = ANY ($1)",
        list(FLAGS),
    ):
        key = (Kind(row["kind"]), row["occurred"], row["name"], row["value"])
        found[row["address"]].flags[key] += 1
    return found

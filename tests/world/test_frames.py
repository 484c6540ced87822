"""Recorded readings become frames that the adapters read back, every digit of them."""

from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.frame import encode_frame
from adapters.observation import Kind
from adapters.registry import read
from deploy.world.frames import SOUNDINGS, frame, ieee_float, static_address
from deploy.world.recording import CARRIED, read_recording


@pytest.mark.parametrize(
    ("kind", "observed"), [("motion", Kind.MOTION), ("door", Kind.DOOR), ("contact", Kind.OPENING)]
)
def test_an_activation_is_one_observation(kind: str, observed: Kind) -> None:
    sent = frame(kind, static_address("a home", kind), at=1, value=Decimal(1))

    assert [(one.kind, one.value) for one in read(sent)] == [(observed, 1.0)]


def test_every_recorded_temperature_comes_back_exactly(shared: Path) -> None:
    vitals = read_recording(
        shared / "data" / "tihm_vitals_shared.csv.gz", zone=ZoneInfo("Europe/London")
    )

    for event in vitals.events:
        sent = frame(event.kind, static_address(event.home), at=event.at, value=event.value)
        (one,) = read(sent)
        assert (one.kind, one.value) == (Kind.BODY_TEMPERATURE, float(event.value))


def test_every_kind_that_is_carried_has_a_device() -> None:
    assert set(CARRIED) == SOUNDINGS.keys()


def test_a_number_with_too_many_digits_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="more digits"):
        ieee_float(Decimal("37.0000001"))


def test_addresses_are_random_static_and_always_the_same() -> None:
    address = static_address("a home", "a door")

    assert address == static_address("a home", "a door") != static_address("a homea", " door")
    assert int(address[:2], 16) >> 6 == 0b11
    assert address in encode_frame(frame("door", address, at=1, value=Decimal(1)))

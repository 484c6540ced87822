"""What a box is told: which devices, how and in which lane; nothing about people."""

import json
from typing import Any

import pytest

from edge.told.config import read_config
from gateway.edges.config import config
from gateway.store.configs import Placed

ADDRESS = "A4:C1:38:00:00:01"


def told(role: str, model: str = "") -> dict[str, Any]:
    """The one device of a configuration."""
    said = json.loads(config(3, [Placed(address=ADDRESS, model=model, role=role)]))
    return said["devices"][0]


@pytest.mark.parametrize(
    ("role", "lane"),
    [
        ("call", "urgent"),
        ("door", "urgent"),
        ("dispenser", "urgent"),
        ("bed", "urgent"),
        ("motion", "bulk"),
        ("contact", "bulk"),
        ("thermometer", "bulk"),
        ("climate", "bulk"),
        ("other", "bulk"),
    ],
)
def test_what_may_become_an_alert_at_once_is_urgent(role: str, lane: str) -> None:
    assert told(role)["lane"] == lane


def test_a_home_with_a_call_button_is_missed_sooner() -> None:
    button = Placed(address=ADDRESS, model="call_button", role="call")

    assert read_config(config(1, [button])).keepalive == 30
    assert read_config(config(1, [])).keepalive == 60


def test_a_thermometer_is_connected_to_when_it_shows_itself() -> None:
    said = told("thermometer", "thermometer")

    assert said["advertisement"] is False
    assert said["connect"]["subscribe"] == ["2a1c"]
    assert said["connect"]["read"] == ["2a19"]


@pytest.mark.parametrize(
    ("model", "measurement"),
    [
        ("blood_pressure", "2a35"),
        ("weight_scale", "2a9d"),
        ("thermometer", "2a1c"),
        ("body_composition", "2a9c"),
        ("heart_rate", "2a37"),
    ],
)
def test_a_health_device_is_connected_to_by_its_model_alone(model: str, measurement: str) -> None:
    read = read_config(config(7, [Placed(address=ADDRESS, model=model, role="other")]))

    device = read.devices[ADDRESS]
    assert not device.advertisement
    assert device.connect is not None
    assert device.connect.subscribe[0] == measurement


def test_what_keeps_records_is_asked_for_them_and_its_clock_is_set_after() -> None:
    assert told("other", "glucose")["connect"]["racp"] == {
        "service": "1808",
        "records": ["2a18", "2a34"],
        "number": {"record": "2a18", "offset": 1},
    }
    assert told("other", "pulse_oximeter")["connect"]["racp"] == {
        "service": "1822",
        "records": ["2a5e"],
    }
    assert told("other", "glucose")["connect"]["set_clock"]["uuid"] == "2a2b"


def test_a_dispenser_is_heard_and_asked_for_what_came_after_its_last_record() -> None:
    read = read_config(config(7, [Placed(address=ADDRESS, model="dispenser", role="dispenser")]))

    device = read.devices[ADDRESS]
    assert device.advertisement
    assert device.connect is not None
    clock, records = device.connect.write
    assert (clock.value, clock.clock) == (b"\x02", "unix32le")
    assert records.value == b"\x01\0\0\0\0"
    assert records.after_last is not None
    assert (records.after_last.offset, records.after_last.record_offset) == (1, 0)


def test_our_call_buttons_are_heard_wherever_they_are() -> None:
    read = read_config(config(1, []))

    (call,) = read.calls
    assert (call.manufacturer, call.data, call.mask) == (0xFFFF, b"TP", b"\xff\xff")


def test_nothing_but_addresses_is_told() -> None:
    said = json.loads(config(1, [Placed(address=ADDRESS, model="door", role="door")]))

    assert set(said) == {"format", "version", "zone", "keepalive", "devices", "calls"}
    assert set(said["devices"][0]) == {"address", "lane", "advertisement", "connect"}

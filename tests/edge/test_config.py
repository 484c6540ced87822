"""The configuration is read strictly; a bad one leaves the last good one in force."""

import copy
import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.frame import Frame, Lane
from edge.told.config import (
    AfterLast,
    BadConfig,
    Config,
    ConfigFile,
    Numbered,
    Racp,
    SetClock,
    read_config,
)

DISPENSER = "7a1d0003-5a9e-4f0b-9f0c-747279677031"
GOOD: dict[str, Any] = {
    "format": 1,
    "version": 7,
    "keepalive": 30,
    "devices": [
        {"address": "A4:C1:38:00:00:01", "lane": "bulk", "advertisement": True, "connect": None},
        {
            "address": "A4:C1:38:00:00:02",
            "lane": "urgent",
            "advertisement": False,
            "connect": {
                "when": "advertised",
                "seconds": 60,
                "read": ["2a19"],
                "subscribe": ["2a1c"],
                "write": [
                    {"uuid": DISPENSER, "value": "02", "clock": "unix32le", "after_last": None},
                    {"uuid": DISPENSER, "value": "0100000000", "after_last": {"offset": 1}},
                ],
                "listen_seconds": 20,
            },
        },
        {
            "address": "A4:C1:38:00:00:03",
            "lane": "bulk",
            "advertisement": False,
            "connect": {
                "when": "advertised",
                "quiet_seconds": 5,
                "pair": True,
                "racp": {
                    "service": "1808",
                    "records": ["2a18", "2a34"],
                    "number": {"record": "2a18", "offset": 1},
                },
                "set_clock": {"uuid": "2a08", "form": "date_time"},
            },
        },
    ],
    "zone": "Europe/Helsinki",
    "calls": [
        {"manufacturer": 65535, "data": "5450", "mask": "ffff"},
        {"service_data": "fcd2", "data": "00003a", "mask": "0000ff"},
    ],
}


def said(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def advertised(device: str, **fields: Any) -> Frame:
    return Frame(device=device, heard="advertisement", at=0, uptime=0, **fields)


def test_a_configuration_says_which_devices_and_how() -> None:
    config = read_config(said())

    assert (config.version, config.keepalive, len(config.devices)) == (7, 30, 3)
    plan = config.devices["A4:C1:38:00:00:02"].connect
    assert plan is not None
    assert (plan.when, plan.read, plan.subscribe) == ("advertised", ("2a19",), ("2a1c",))
    assert [write.clock for write in plan.write] == ["unix32le", None]
    assert plan.write[1].after_last == AfterLast(offset=1, record_offset=0)
    assert (plan.pair, plan.racp, plan.set_clock, plan.quiet_seconds) == (False, None, None, 0)


def test_a_configuration_says_how_stored_records_are_had_and_clocks_set() -> None:
    config = read_config(said())

    assert config.zone == "Europe/Helsinki"
    plan = config.devices["A4:C1:38:00:00:03"].connect
    assert plan is not None
    assert plan.pair
    assert plan.quiet_seconds == 5
    assert plan.set_clock == SetClock(uuid="2a08", form="date_time")
    assert plan.racp == Racp(
        service="1808",
        records=("2a18", "2a34"),
        number=Numbered(record="2a18", offset=1),
    )
    assert plan.longest == 320


def test_a_home_without_a_zone_is_in_denmark() -> None:
    assert read_config(said(zone=None)).zone == "Europe/Copenhagen"


@pytest.mark.parametrize(
    ("frame", "lane"),
    [
        (advertised("A4:C1:38:00:00:01"), "bulk"),
        (advertised("A4:C1:38:00:00:02"), None),
        (advertised("A4:C1:38:00:00:03"), None),
        (advertised("A4:C1:38:00:00:03", manufacturer={65535: b"TP\x01\x01"}), "urgent"),
        (advertised("A4:C1:38:00:00:01", manufacturer={65535: b"TP\x01\x01"}), "urgent"),
        (advertised("A4:C1:38:00:00:03", manufacturer={65535: b"T"}), None),
        (advertised("A4:C1:38:00:00:03", manufacturer={76: b"TP"}), None),
        (advertised("A4:C1:38:00:00:03", data={"fcd2": b"\x44\x01\x3a\x01"}), "urgent"),
        (advertised("A4:C1:38:00:00:03", data={"fcd2": b"\x44\x01\x21\x01"}), None),
    ],
)
def test_only_placed_devices_and_calls_have_a_lane(frame: Frame, lane: Lane | None) -> None:
    assert read_config(said()).lane(frame) == lane


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (["format"], 2, "config.format"),
        (["version"], -1, "config.version"),
        (["version"], "7", "config.version"),
        (["keepalive"], True, "config.keepalive"),
        (["devices"], {}, "config.devices"),
        (["devices", 0, "address"], "a4:c1:38:00:00:01", "config.devices[0].address"),
        (["devices", 0, "lane"], "slow", "config.devices[0].lane"),
        (["devices", 0, "lane"], ["bulk"], "config.devices[0].lane"),
        (["devices", 0, "advertisement"], 1, "config.devices[0].advertisement"),
        (["devices", 1, "connect", "when"], "now", "config.devices[1].connect.when"),
        (["devices", 1, "connect", "seconds"], 0, "config.devices[1].connect.seconds"),
        (["devices", 1, "connect", "read"], ["2A19"], "config.devices[1].connect.read"),
        (["devices", 1, "connect", "write", 0, "value"], "0", "connect.write[0].value"),
        (["devices", 1, "connect", "write", 0, "clock"], "now", "connect.write[0].clock"),
        (["devices", 1, "connect", "write", 1, "after_last", "offset"], 6, "write[1].after_last"),
        (["devices", 2, "connect", "pair"], 1, "config.devices[2].connect.pair"),
        (["devices", 2, "connect", "quiet_seconds"], 121, "devices[2].connect.quiet_seconds"),
        (["devices", 2, "connect", "racp", "records"], [], "connect.racp.records"),
        (["devices", 2, "connect", "racp", "service"], "1808x", "connect.racp.service"),
        (["devices", 2, "connect", "racp", "number", "offset"], -1, "connect.racp.number.offset"),
        (["devices", 2, "connect", "racp", "number", "record"], "2a5e", "racp.number.record"),
        (["devices", 2, "connect", "set_clock", "form"], "unix32le", "connect.set_clock.form"),
        (["zone"], "Europe/Kobenhavn", "config.zone"),
        (["zone"], "../../etc/passwd", "config.zone"),
        (["zone"], 1, "config.zone"),
        (["calls", 0, "mask"], "ff", "config.calls[0].mask"),
        (["calls", 0, "service_data"], "fcd2", "config.calls[0]"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    path: list[Any], value: object, place: str
) -> None:
    with pytest.raises(BadConfig) as refused:
        read_config(spoilt(tuple(path), value))

    assert place in str(refused.value)


def test_what_a_newer_gateway_adds_is_left_alone() -> None:
    assert read_config(said(colour="blue")) == read_config(said())


def test_a_bad_configuration_leaves_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    kept = ConfigFile(tmp_path / "config.json")
    assert kept.current == Config()

    assert kept.take(said()) is not None
    assert kept.take(said(version="x")) is None

    assert kept.current.version == 7
    assert kept.refused is not None
    assert "config.version" in kept.refused
    assert ConfigFile(tmp_path / "config.json").current == kept.current


def test_a_spoilt_file_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{")

    assert ConfigFile(tmp_path / "config.json").current == Config()


def test_one_that_the_system_does_not_hand_out_is_waited_for_from_the_gateway(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.json").mkdir()  # as another user's file: an OSError, to root too

    kept = ConfigFile(tmp_path / "config.json")

    assert (kept.current, "waiting for the gateway's" in caplog.text) == (Config(), True)
    assert kept.take(json.dumps(GOOD).encode()) is kept.current


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value, itself left out."""
    found = [path] if path else []
    steps: list[Any] = [*cast("dict[str, Any]", value)] if isinstance(value, dict) else []
    if isinstance(value, list):
        steps = [*range(len(cast("list[Any]", value)))]
    for step in steps:
        found += places(value[step], (*path, step))
    return found


def spoilt(path: tuple[Any, ...], value: object) -> bytes:
    """A good configuration with one value somewhere replaced."""
    whole: Any = copy.deepcopy(GOOD)
    at: Any = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(whole).encode()


SPOILT = st.builds(spoilt, st.sampled_from(places(GOOD)), JSON)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | SPOILT)
def test_anything_at_all_is_a_configuration_or_a_bad_one(payload: bytes) -> None:
    try:
        config = read_config(payload)
    except BadConfig:
        return
    assert isinstance(config, Config)
    config.lane(advertised("A4:C1:38:00:00:01", manufacturer={65535: b"TP"}))

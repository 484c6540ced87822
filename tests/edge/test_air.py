"""What BlueZ reports is taken for heard only when it came from the air."""

from typing import Any

from edge.bluez.air import Air, frame, full, short
from tests.edge.frames import HandClock

REPORT: dict[str, Any] = {
    "Address": "d4:0e:84:00:00:01",
    "AddressType": "random",
    "RSSI": -71,
    "Name": "Knap",
    "UUIDs": ["00001809-0000-1000-8000-00805f9b34fb"],
    "ManufacturerData": {0xFFFF: bytearray(b"TP")},
    "ServiceData": {"0000FCD2-0000-1000-8000-00805F9B34FB": b"\x40"},
    "TxPower": 4,
    "Connected": False,
}


def test_a_report_becomes_a_frame_with_all_that_it_carries() -> None:
    clock = HandClock(sure=False)

    heard = frame(REPORT, clock)

    assert (heard.device, heard.address_type, heard.rssi) == ("D4:0E:84:00:00:01", "random", -71)
    assert (heard.name, heard.services, heard.tx_power) == ("Knap", ("1809",), 4)
    assert (heard.manufacturer, heard.data) == ({0xFFFF: b"TP"}, {"fcd2": b"\x40"})
    assert (heard.at, heard.uptime, heard.sure) == (clock.ms, 100.0, False)


def test_a_report_without_a_signal_strength_is_a_frame_without_one() -> None:
    assert frame({"Address": "D4:0E:84:00:00:01"}, HandClock()).rssi is None


def test_connecting_and_pairing_are_not_heard() -> None:
    air = Air()
    air.heard(REPORT)

    assert not air.heard(REPORT | {"Connected": True})
    assert not air.heard(REPORT | {"Connected": True, "ServicesResolved": True, "UUIDs": []})
    assert not air.heard(REPORT)


def test_the_same_report_again_is_a_repeated_advertisement() -> None:
    air = Air()

    assert air.heard(REPORT)
    assert air.heard(REPORT)
    assert air.heard(REPORT | {"RSSI": -70})
    assert air.heard(REPORT | {"RSSI": -70, "ServiceData": {}})


def test_a_signal_strength_that_vanishes_is_not_heard() -> None:
    air = Air()
    air.heard(REPORT)

    assert not air.heard({name: value for name, value in REPORT.items() if name != "RSSI"})


def test_uuids_are_short_in_frames_and_long_for_bluez() -> None:
    long = "7a1d0002-5a9e-4f0b-9f0c-747279677031"

    assert (short(long.upper()), full(long)) == (long, long)
    assert short(full("2a1c")) == "2a1c"

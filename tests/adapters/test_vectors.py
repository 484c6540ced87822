"""What other projects' tests expect of recorded payloads is what we read."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters import bthome, bthome_v1, registry
from adapters.bthome_packet import Packet
from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality
from tests.adapters.hci import frame_of
from tests.adapters.metrics import EVENTS, agrees, split

DATA = Path(__file__).parents[2].parent / "shared" / "data"
GATT = {"GATT Health Thermometer", "GATT Battery"}
BTHOME = {"fcd2", "181c", "181e"}


def rows_of(file: str) -> list[dict[str, Any]]:
    path = DATA / file
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def bthome_rows() -> list[dict[str, Any]]:
    return [row for row in rows_of("ble_vectors.jsonl") if "bthome" in row["family"].lower()]


def gatt_rows() -> list[dict[str, Any]]:
    return [row for row in rows_of("ble_vectors.jsonl") if row["family"] in GATT]


def hci_rows() -> list[dict[str, Any]]:
    rows = rows_of("ble_hci_vectors_shared.jsonl")
    return [row for row in rows if row["family"] in ("bthome_v1", "bthome_v2")]


def params(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """One case a row, or one that says why there is none."""
    if rows:
        return [pytest.param(row, id=f"{row['family']} {row[name]}") for row in rows]
    skipped = pytest.mark.skip(
        reason="the recorded vectors (../shared/data) are not beside the project"
    )
    return [pytest.param({}, marks=skipped)]


def advertisement(row: dict[str, Any]) -> Frame:
    return Frame(
        device=row["address"],
        heard="advertisement",
        at=1_767_254_400_000,
        uptime=60.0,
        rssi=row.get("rssi"),
        name=row.get("local_name"),
        services=tuple(row.get("service_uuids", ())),
        data={uuid: bytes.fromhex(data) for uuid, data in row["service_data"].items()},
    )


def read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    try:
        return registry.read(frame, key=key)
    except UnreadableFrame as unreadable:
        return unreadable.partial


def packet_of(frame: Frame, key: bytes | None) -> Packet:
    if "fcd2" in frame.data:
        return bthome.packet_of(frame.data["fcd2"], frame, key)
    if "181e" in frame.data:
        return bthome_v1.packet_of_encrypted(frame.data["181e"], frame, key)
    return bthome_v1.parse(frame.data["181c"])


def label(frame: Frame, packet: Packet) -> str:
    """What ble_monitor calls the format."""
    version = "V2" if "fcd2" in frame.data else "V1"
    return f"BTHome {version}" + ("" if packet.counter is None else " (encrypted)")


@pytest.mark.parametrize(("rows", "at_least"), [(bthome_rows, 70), (gatt_rows, 7), (hci_rows, 57)])
def test_the_vectors_that_are_meant_are_found(rows: Any, at_least: int) -> None:
    if not DATA.exists():
        pytest.skip("the recorded vectors (../shared/data) are not beside the project")

    assert len(rows()) >= at_least


@pytest.mark.parametrize("row", params(bthome_rows(), "id"))
def test_a_bthome_row_reads_as_its_decoder_expects(row: dict[str, Any]) -> None:
    frame = advertisement(row)
    key = bytes.fromhex(row["bindkey"]) if row.get("bindkey") else None

    found = read(frame, key)
    packet = packet_of(frame, key)

    expected = dict(row["expected"])
    packet_id = expected.pop("packet_id", None)
    assert packet_id is None or packet.packet_id == packet_id["value"]
    for metric, reading in expected.items():
        yes_no = reading.get("type") == "binary" or isinstance(reading["value"], bool)
        assert agrees(found, metric, reading["value"], reading["unit"], yes_no=yes_no), metric
    if row["decoder"].startswith("bthome-ble"):  # bleparser keeps one of several temperatures
        events = [metric for metric in expected if split(metric)[0] in EVENTS]
        silent = [metric for metric in events if expected[metric]["value"] in (0, None)]
        said = [one for one in found if one.kind is not Kind.HEARTBEAT]
        assert len(said) == len(expected) - len(silent)


@pytest.mark.parametrize("row", params(gatt_rows(), "id"))
def test_a_thermometer_or_battery_row_reads_as_the_specification_says(row: dict[str, Any]) -> None:
    frame = Frame(
        device="A4:C1:38:8D:18:B2",
        heard="characteristic",
        at=1_767_254_400_000,
        uptime=60.0,
        uuid=row["uuid"],
        value=bytes.fromhex(row["payload_hex"]),
    )

    (observation,) = registry.read(frame)

    for metric, reading in row["expected"].items():
        assert gatt_agrees(observation, metric, reading["value"], reading["unit"]), metric


def gatt_agrees(observation: Observation, metric: str, value: Any, unit: str | None) -> bool:
    if metric in ("timestamp", "temperature_type"):
        said = observation.details.get(metric, "")
        return said.replace("_", " ") == str(value).replace("_", " ").replace("-", " ") or (
            said == value
        )
    kinds = {"temperature": Kind.BODY_TEMPERATURE, "battery": Kind.BATTERY}
    if observation.kind is not kinds[metric]:
        return False
    if isinstance(value, str):
        infinite = "INF" in value.upper()
        quality = Quality.INFINITE if infinite else Quality.NOT_A_NUMBER
        return observation.value is None and observation.quality is quality
    expected = (value - 32) * 5 / 9 if unit == "°F" else value
    return observation.value is not None and abs(observation.value - expected) < 1e-4


@pytest.mark.parametrize("row", params(hci_rows(), "test"))
def test_an_hci_packet_reads_as_ble_monitor_expects(row: dict[str, Any]) -> None:
    frame = frame_of(bytes.fromhex(row["hci_hex"]))
    key = bytes.fromhex(row["aeskey"]) if row["aeskey"] else None

    found = read(frame, key)
    packet = packet_of(frame, key)

    expected = dict(row["expected"])
    assert expected.pop("mac") == frame.device.replace(":", "")
    assert expected.pop("rssi") == frame.rssi
    assert expected.pop("type") == "BTHome"
    assert expected.pop("firmware") == label(frame, packet)
    assert expected.pop("data") is bool(found)
    # ble_monitor takes a packet id of 0 for none
    name = packet.packet_id or packet.counter or "no packet id"
    assert expected.pop("packet") == name
    unit = expected.pop("weight unit", None)
    assert expected
    for metric, value in expected.items():
        named = metric.rpartition(" ")[2] if metric in ("distance mm", "volume mL") else unit
        assert agrees(found, metric, value, named, yes_no=False), metric


def test_a_wrong_expectation_would_be_seen() -> None:
    found = (Observation(Kind.TEMPERATURE, 25.06), Observation(Kind.BUTTON, 1.0, code=4))

    assert agrees(found, "temperature", 25.06, "°C", yes_no=False)
    assert agrees(found, "button", "long_press", None, yes_no=False)
    assert not agrees(found, "temperature", 25.07, "°C", yes_no=False)
    assert not agrees(found, "temperature_2", 25.06, "°C", yes_no=False)
    assert not agrees(found, "humidity", 25.06, "%", yes_no=False)
    assert not agrees(found, "button", "press", None, yes_no=False)
    assert not agrees(found, "button", None, None, yes_no=False)

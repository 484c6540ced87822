"""What vendors' devices say in recorded payloads is read as other decoders' tests expect it.

Of both files every row is counted: it reads as expected, or it stands below with the reason. A row
that begins to read, or ceases to, fails here until the table says so.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapters import registry
from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Observation
from tests.adapters.gatt import gatt_says
from tests.adapters.hci import frame_of
from tests.adapters.said import says

DATA = Path(__file__).parents[2].parent / "shared" / "data"
BEACON = "a beacon: it says who it is, and measures nothing"
NO_DECODER = "no well-kept decoder that we use knows it, and it is no device of care"
OTHER = "the library gives no such word; what else it says is read as expected"
CHANGING = "its company id changes with its weight: nothing to know it by"
ELSEWHERE = "ble_monitor knows it, the library does not yet"
DOUBTED = "bleparser and ble_monitor disagree about its values: not read rather than read wrongly"
SOMEBODY_ELSES = "known by a name or uuid only, which the row lacks"

ROWS: Mapping[str, str] = {
    "v0009": BEACON,
    "v0342": SOMEBODY_ELSES,
    "v0363": "two adverts in one row: the library wants the newer one alone",
    "v0402": DOUBTED,
    "v0417": NO_DECODER,
    "v0421": ELSEWHERE,
    "v0423": ELSEWHERE,
    "v0468": CHANGING,
    "v0501": OTHER,
    "v0553": "oralb-ble and bleparser name sectors and pressures differently",
    "v0595": CHANGING,
    "v0604": BEACON,
    "v0774": "bleparser calls a turn of the knob a button; here it is a turn, as xiaomi-ble says",
    "v0775": "bleparser tells a press of the knob as a turn by one besides",
    "v0783": BEACON,
    "v0784": NO_DECODER,
    "v0786": NO_DECODER,
    "v0217": "an answer to a request, which the box waits for: no reading",
    "v0219": "an answer to a request, which the box waits for: no reading",
    "v0220": "an answer to a request, which the box waits for: no reading",
}
PACKETS: Mapping[str, str] = {
    "test_altbeacon_sensor": BEACON,
    "test_altbeacon_tracker": BEACON,
    "test_BlueMaestro_Pebble": "bluemaestro-ble knows the Tempo discs, not the Pebble",
    "test_blustream_taylorsense": NO_DECODER,
    "test_chefiq_cq60": NO_DECODER,
    "test_chefiq_cq60_sentinels": NO_DECODER,
    "test_Govee_H5055": SOMEBODY_ELSES,
    "test_grundfos_MI401": NO_DECODER,
    "test_hormann_closed": NO_DECODER,
    "test_hormann_partially_open": NO_DECODER,
    "test_hormann_fully_open": NO_DECODER,
    "test_ibeacon_sensor": BEACON,
    "test_ibeacon_tracker": BEACON,
    "test_inkbird_IBS_TH_external": "inkbird-ble does not tell the outer probe from the inner",
    "test_inkbird_iBBQ_6_probes": "an empty probe is 0 there and -1 in inkbird-ble: both are none",
    "test_inode_energy_meter": NO_DECODER,
    "test_inode_care_sensor_1": NO_DECODER,
    "test_inode_care_sensor_ht": NO_DECODER,
    "test_jaalee_jht": DOUBTED,
    "test_jaalee_jht_skipping_ibeacon": DOUBTED,
    "test_jaalee_jht_api_example": DOUBTED,
    "test_jaalee_jht_f51c": DOUBTED,
    "test_kkm_k6": DOUBTED,
    "test_kkm_k6_neg_temp": DOUBTED,
    "test_parse_michelin_tms": NO_DECODER,
    "test_miscale_v1": OTHER,
    "test_miscale_v1_ext_weight": OTHER,
    "test_miscale_v2": OTHER,
    "test_MOCREO_ST5": NO_DECODER,
    "test_MOCREO_ST6": NO_DECODER,
    "test_MOCREO_ST8": NO_DECODER,
    "test_MOCREO_ST9": NO_DECODER,
    "test_MOCREO_ST10": NO_DECODER,
    "test_MOCREO_MS1": NO_DECODER,
    "test_MOCREO_MS2": NO_DECODER,
    "test_MOCREO_MS3": NO_DECODER,
    "test_MOCREO_SW2": NO_DECODER,
    "test_oral_b_smartseries_7000": "oralb-ble and ble_monitor name sectors differently",
    "test_relsib_AA21": ELSEWHERE,
    "test_relsib_no_data": "bleparser gives its empty message a battery",
    "test_relsib_WT51": ELSEWHERE,
    "test_relsib_WH52": ELSEWHERE,
    "test_Senssun_IF_B7": NO_DECODER,
    "test_thermopro_tp357": OTHER,
    "test_Xiaomi_LYWSD03MMC_encrypted": "xiaomi-ble gives whole per cents, as the device's own app",
    "test_Xiaomi_T700": OTHER,
    "test_Xiaomi_ZNMS16LM_lock": OTHER,
    "test_Xiaomi_YLYK01YL": "ble_monitor calls the remote's key a switch besides",
    "test_Xiaomi_YLKG07YL_press": "the row gives no key, and the packet is encrypted",
    "test_linptech_HS1BB_illuminance_motion": OTHER,
    "test_MJZNZ018H_bed_occupancy": ELSEWHERE,
    "test_MJZNZ018H_battery": ELSEWHERE,
}
_OF_THE_PACKET = frozenset(
    {"mac", "rssi", "type", "firmware", "packet", "data", "weight unit", "uuid"}
)


def rows_of(file: str) -> list[dict[str, Any]]:
    path = DATA / file
    if not path.exists():
        pytest.skip("the recorded vectors (../shared/data) are not beside the project")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def read(frame: Frame, key: bytes | None) -> tuple[tuple[Observation, ...], bool]:
    try:
        return registry.read(frame, key=key), True
    except UnreadableFrame as unreadable:
        return unreadable.partial, False


def frame_of_row(row: dict[str, Any]) -> Frame:
    data, manufacturer = row.get("service_data", {}), row.get("manufacturer_data", {})
    heard = row["kind"]
    return Frame(
        device=row.get("address", "A4:C1:38:8D:18:B2"),
        heard=heard,
        at=1_767_254_400_000,
        uptime=60.0,
        rssi=row.get("rssi"),
        name=row.get("local_name"),
        services=tuple(row.get("service_uuids", ())),
        data={uuid: bytes.fromhex(text) for uuid, text in data.items()},
        manufacturer={int(company): bytes.fromhex(text) for company, text in manufacturer.items()},
        uuid=row["uuid"] if heard == "characteristic" else None,
        value=bytes.fromhex(row["payload_hex"]) if heard == "characteristic" else b"",
    )


def is_bthome(row: dict[str, Any]) -> bool:
    """Held to more, in `test_vectors`."""
    return "bthome" in row["family"].lower()


def row_agrees(row: dict[str, Any]) -> bool:
    key = bytes.fromhex(row["bindkey"]) if row.get("bindkey") else None
    found, whole = read(frame_of_row(row), key)
    agree = gatt_says if row["kind"] == "characteristic" else says
    expected = row["expected"].items()
    return whole and all(agree(found, name, one["value"], one["unit"]) for name, one in expected)


def packet_agrees(row: dict[str, Any]) -> bool:
    key = bytes.fromhex(row["aeskey"]) if row["aeskey"] else None
    found, whole = read(frame_of(bytes.fromhex(row["hci_hex"])), key)
    expected = row["expected"]
    told = {name: value for name, value in expected.items() if name not in _OF_THE_PACKET}
    if not told and not row["expected_tracker"]:
        return not found
    return whole and all(
        says(found, name, value, "mG" if name.startswith("acceleration") else unit(row, name))
        for name, value in told.items()
    )


def unit(row: dict[str, Any], name: str) -> str | None:
    return row["expected"].get("weight unit") if "weight" in name else None


@cache
def unread_rows() -> frozenset[str]:
    rows = rows_of("ble_vectors.jsonl")
    return frozenset(row["id"] for row in rows if not is_bthome(row) and not row_agrees(row))


@cache
def unread_packets() -> frozenset[str]:
    rows = rows_of("ble_hci_vectors_shared.jsonl")
    return frozenset(row["test"] for row in rows if not is_bthome(row) and not packet_agrees(row))


def test_at_least_240_of_the_305_rows_read_as_expected() -> None:
    rows = rows_of("ble_vectors.jsonl")

    assert len(rows) - len(unread_rows()) >= 240


def test_at_least_120_of_the_180_packets_read_as_expected() -> None:
    rows = rows_of("ble_hci_vectors_shared.jsonl")

    assert len(rows) - sum(row["test"] in unread_packets() for row in rows) >= 120


def test_every_row_that_does_not_stands_here_with_its_reason() -> None:
    assert unread_rows() == set(ROWS)


def test_every_packet_that_does_not_stands_here_with_its_reason() -> None:
    assert unread_packets() == set(PACKETS)


def test_a_reading_depends_on_no_frame_before_it() -> None:
    rows = [row for row in rows_of("ble_vectors.jsonl") if row["kind"] == "advertisement"]
    keys = [bytes.fromhex(row["bindkey"]) if row.get("bindkey") else None for row in rows]
    frames = [frame_of_row(row) for row in rows]

    once = [read(frame, key) for frame, key in zip(frames, keys, strict=True)]
    backwards = [read(frame, key) for frame, key in reversed([*zip(frames, keys, strict=True)])]

    assert once == backwards[::-1]


def test_a_wrong_expectation_would_be_seen() -> None:
    row = next(one for one in rows_of("ble_vectors.jsonl") if one["id"] == "v0247")
    wrong = row | {"expected": row["expected"] | {"humidity": {"value": 40.9, "unit": "%"}}}

    assert row_agrees(row)
    assert not row_agrees(wrong)

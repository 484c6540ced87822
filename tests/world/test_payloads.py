"""What the world's devices say is held against the adapters and against bthome-ble."""

import pytest
from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import MissingKey
from adapters.frame import Frame
from adapters.observation import Kind
from adapters.registry import read
from deploy.world import payloads

ADDRESS = "A4:C1:38:8D:18:B2"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"


def heard(payload: bytes) -> Frame:
    return Frame(device=ADDRESS, heard="advertisement", at=0, uptime=0.0, data={"fcd2": payload})


def readings(payload: bytes, key: bytes | None = None) -> list[tuple[Kind, float | None]]:
    return [(seen.kind, seen.value) for seen in read(heard(payload), key=key)]


def by_bthome_ble(payload: bytes, key: bytes | None = None) -> dict[str, object]:
    said = BluetoothServiceInfoBleak(
        name="sensor",
        address=ADDRESS,
        rssi=-60,
        manufacturer_data={},
        service_data={UUID: payload},
        service_uuids=[],
        source="",
        device=None,  # pyright: ignore[reportArgumentType] -- never looked at
        advertisement=None,
        connectable=False,
        time=0.0,
        tx_power=None,
    )
    update = BTHomeBluetoothDeviceData(bindkey=key).update(said)
    values = {one.key: value.native_value for one, value in update.entity_values.items()}
    states = {one.key: value.native_value for one, value in update.binary_entity_values.items()}
    return {**values, **states}


@pytest.mark.parametrize(
    ("payload", "kind", "value", "name"),
    [
        (payloads.motion_frame_bytes(moving=True, packet_id=1), Kind.MOTION, 1.0, "motion"),
        (payloads.door_frame_bytes(is_open=True, packet_id=2), Kind.DOOR, 1.0, "door"),
        (payloads.door_frame_bytes(is_open=False, packet_id=3), Kind.DOOR, 0.0, "door"),
        (payloads.opening_frame_bytes(is_open=True, packet_id=4), Kind.OPENING, 1.0, "opening"),
        (payloads.bed_frame_bytes(occupied=True, packet_id=260), Kind.OCCUPANCY, 1.0, "occupancy"),
    ],
)
def test_an_event_is_read_by_the_adapter_and_by_bthome_ble(
    payload: bytes, kind: Kind, value: float, name: str
) -> None:
    assert (kind, value) in readings(payload)
    assert by_bthome_ble(payload)[name] is bool(value)


def test_a_rooms_climate_is_read_to_a_hundredth() -> None:
    payload = payloads.climate_frame_bytes(celsius=-5.12, percent=48.3, packet_id=1)

    assert (Kind.TEMPERATURE, -5.12) in readings(payload)
    assert (Kind.HUMIDITY, 48.3) in readings(payload)
    assert by_bthome_ble(payload)["temperature"] == -5.12


@given(counter=st.integers(0, 2**32 - 1), packet=st.integers(0, 255), moving=st.booleans())
def test_an_encrypted_event_is_read_with_its_key_and_not_without(
    *, counter: int, packet: int, moving: bool
) -> None:
    payload = payloads.bthome_encrypted(
        [payloads.motion_object(moving=moving)], packet, key=KEY, address=ADDRESS, counter=counter
    )

    assert (Kind.MOTION, float(moving)) in readings(payload, KEY)
    with pytest.raises(MissingKey):
        readings(payload)
    assert by_bthome_ble(payload, KEY)["motion"] is moving


def test_a_press_of_a_bthome_button_is_read_with_its_packet_id() -> None:
    payload = payloads.bthome_payload([payloads.button_object()], 7)

    [press] = [seen for seen in read(heard(payload)) if seen.kind is Kind.BUTTON]
    assert (press.code, press.value) == (1, 7.0)


def test_the_call_buttons_bytes_are_those_of_the_format() -> None:
    pressed = payloads.CallFlag.PRESSED | payloads.CallFlag.BATTERY_LOW

    said = payloads.call_button_bytes(pressed, counter=0x10102, battery=9)

    assert said.hex() == "545001030201" + "09"

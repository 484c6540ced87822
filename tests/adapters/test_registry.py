"""The registry chooses by content, and one bad part does not take the others with it."""

import pytest

from adapters import registry
from adapters.errors import MissingKey, UnknownFormat, UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind

PRESS = bytes.fromhex("54500101050061")
HEARTBEAT = bytes.fromhex("54500100050061")
TEST_PRESS = bytes.fromhex("54500104050061")
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")


def heard(
    data: dict[str, str] | None = None,
    manufacturer: dict[int, bytes] | None = None,
    device: str = "54:48:E6:8F:80:A5",
) -> Frame:
    return Frame(
        device=device,
        heard="advertisement",
        at=1_767_254_400_000,
        uptime=60.0,
        data={uuid: bytes.fromhex(payload) for uuid, payload in (data or {}).items()},
        manufacturer=manufacturer or {},
    )


def kinds(frame: Frame, key: bytes | None = None) -> list[Kind]:
    return [observation.kind for observation in registry.read(frame, key=key)]


def test_two_families_in_one_advertisement_are_both_read() -> None:
    frame = heard({"fcd2": "401a01"}, {0xFFFF: PRESS})

    assert kinds(frame) == [Kind.DOOR, Kind.CALL_PRESSED, Kind.BATTERY]


def test_what_another_maker_says_besides_does_no_harm() -> None:
    frame = heard({"fcd2": "401a01", "fe95": "3058"}, {0x004C: b"\x02\x15", 0xFFFF: b"\x01"})

    assert kinds(frame) == [Kind.DOOR]


def test_a_broken_part_is_told_and_the_whole_part_is_kept() -> None:
    frame = heard({"fcd2": "40fe"}, {0xFFFF: PRESS})

    with pytest.raises(UnreadableFrame, match="0xfe") as unreadable:
        registry.read(frame)

    partial = [observation.kind for observation in unreadable.value.partial]
    assert partial == [Kind.CALL_PRESSED, Kind.BATTERY]


def test_a_missing_key_is_told_as_such_beside_other_parts() -> None:
    frame = heard({"fcd2": "4187b90011223372b0231f"}, {0xFFFF: PRESS})

    with pytest.raises(MissingKey):
        registry.read(frame)


def test_an_advertisement_without_data_says_nothing() -> None:
    assert registry.read(heard()) == ()


@pytest.mark.parametrize(
    "frame",
    [
        heard({"fea0": "3058"}),
        heard(manufacturer={0x004C: b"\x02\x15"}),
        Frame(device="A", heard="characteristic", at=0, uptime=0, uuid="2aff", value=b"\1"),
        Frame(device="A", heard="characteristic", at=0, uptime=0, value=b"\1"),
        Frame(device="A", heard="box", at=0, uptime=0, uuid="fcd2", value=b"\x40\x1a\1"),
    ],
    ids=["service", "company", "characteristic", "no uuid", "box"],
)
def test_what_no_adapter_reads_is_an_unknown_format(frame: Frame) -> None:
    with pytest.raises(UnknownFormat, match="no adapter reads"):
        registry.read(frame)


@pytest.mark.parametrize(
    ("frame", "call"),
    [
        (heard(manufacturer={0xFFFF: PRESS}), True),
        (heard(manufacturer={0xFFFF: TEST_PRESS}), True),
        (heard(manufacturer={0xFFFF: HEARTBEAT}), False),
        (heard({"fcd2": "403a01"}), True),
        (heard({"fcd2": "403a01fe"}), True),
        (heard({"fcd2": "403a00"}), False),
        (heard({"fcd2": "402101"}), False),
        (heard({"fcd2": "4187b90011223372b0231f"}), False),
        (heard({"181c": "023a01"}), True),
        (heard(), False),
    ],
)
def test_a_call_is_somebody_pressing(frame: Frame, call: bool) -> None:  # noqa: FBT001 - a table
    assert registry.is_call(frame) is call


def test_a_plain_payload_of_a_device_with_a_key_is_not_believed() -> None:
    frame = heard({"fcd2": "400001016421001a01"})

    with pytest.raises(UnreadableFrame, match="not encrypted") as unreadable:
        registry.read(frame, key=KEY)

    assert unreadable.value.partial == ()

"""Whatever the air carries, an adapter answers or says that it cannot read it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import registry
from adapters.bthome_objects import FIELDS
from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Observation

KEY = bytes(16)
PAYLOADS = st.binary(max_size=300)
KEYS = st.sampled_from([None, KEY, b"", b"short"])
SMALLINT = range(-(2**15), 2**15)

everything = pytest.mark.parametrize(
    ("where", "what"),
    [
        *(("data", uuid) for uuid in registry.SERVICE_DATA),
        *(("manufacturer", company) for company in registry.MANUFACTURERS),
        *(("value", uuid) for uuid in registry.CHARACTERISTICS),
    ],
)


def frame_of(where: str, what: str | int, payload: bytes) -> Frame:
    advertised = where != "value"
    return Frame(
        device="A4:C1:38:8D:18:B2",
        heard="advertisement" if advertised else "characteristic",
        at=0,
        uptime=0.0,
        data={str(what): payload} if where == "data" else {},
        manufacturer={int(what): payload} if where == "manufacturer" else {},
        uuid=None if advertised else str(what),
        value=b"" if advertised else payload,
    )


def outcome(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    try:
        return registry.read(frame, key=key)
    except UnreadableFrame as unreadable:
        return unreadable.partial if str(unreadable) else pytest.fail("no reason is given")


def assert_storable(observations: tuple[Observation, ...]) -> None:
    """What the database takes: finite numbers, small codes, text without U+0000."""
    for one in observations:
        assert one.value is None or math.isfinite(one.value)
        assert one.code is None or one.code in SMALLINT
        assert one.record is None or 0 <= one.record < 2**63
        texts = "".join(one.details.values())
        assert "\0" not in texts.encode().decode()  # half a surrogate pair would not get this far


@everything
@given(payload=PAYLOADS, key=KEYS)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_read_or_refused(
    where: str, what: str | int, payload: bytes, key: bytes | None
) -> None:
    assert_storable(outcome(frame_of(where, what, payload), key))


@given(
    head=st.sampled_from([b"\x40", b"\x44", b"\x42123456"]),
    objects=st.lists(st.tuples(st.sampled_from(sorted(FIELDS)), st.binary(max_size=6)), max_size=9),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_bytes_that_look_like_bthome_are_read_or_refused(
    head: bytes, objects: list[tuple[int, bytes]]
) -> None:
    payload = head + b"".join(bytes([object_id]) + data for object_id, data in objects)

    assert_storable(outcome(frame_of("data", "fcd2", payload), None))


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from(sorted(FIELDS)), st.binary(max_size=30)),
        max_size=9,
    )
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_bytes_that_look_like_version_1_are_read_or_refused(
    objects: list[tuple[int, int, bytes]],
) -> None:
    payload = b"".join(
        bytes([form << 5 | 1 + len(data), object_id]) + data for form, object_id, data in objects
    )

    assert_storable(outcome(frame_of("data", "181c", payload), None))


def test_a_very_long_payload_of_nothing_ends() -> None:
    for payload in (bytes(1_000_000), b"\x40" + b"\x53\x00" * 500_000, b"\x40" + bytes(100_000)):
        for uuid in registry.SERVICE_DATA:
            outcome(frame_of("data", uuid, payload), KEY)


@pytest.mark.parametrize("device", ["", "nonsense", "A4:C1", "ZZ:ZZ:ZZ:ZZ:ZZ:ZZ"])
def test_a_device_without_a_bluetooth_address_is_no_surprise(device: str) -> None:
    payload = bytes.fromhex("4187b90011223372b0231f")
    frame = Frame(device=device, heard="advertisement", at=0, uptime=0, data={"fcd2": payload})

    assert outcome(frame, KEY) == ()

"""Makes hostile input: valid messages bent out of shape, frames of every adapter, noise."""

import copy
import json
from typing import Any, cast

from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from adapters import registry
from adapters.bthome_objects import FIELDS
from adapters.frame import encode_batch, encode_frame
from deploy.world.payloads import bthome_encrypted
from gateway.ingest import packets
from tests.frames import BUTTON, DISPENSER, DOOR, NOON, STRANGER, batch, door, dose, frame, press
from tests.gateway.ingest_home import state

KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
_BIG = "@a number of 5000 digits@"
_DEEP: Any = [[[[[[[[[[]]]]]]]]]]

noise = st.binary(max_size=300)
odd: SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 1, 1.5, 2**31, 2**53, 2**63, 2**64, 10**400, float("nan"), 1e308]
    ),
    st.sampled_from(["", "\0", "\ud800", "æ" * 70, "x" * 70_000, _BIG, "1", "[]", "00", "zz"]),
    st.sampled_from([[], {}, _DEEP, [None], {"": None}, [{}], [[1, 2]], {"first": 1, "last": 1}]),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
)


@st.composite
def bent(draw: DrawFn, base: Any) -> bytes:
    """JSON with some values replaced, left out, added or doubled; at times its bytes are spoilt."""
    said = copy.deepcopy(base)
    for _ in range(draw(st.integers(0, 4))):
        _bend(draw, said)
    text = json.dumps(said).replace(json.dumps(_BIG), "9" * 5_000).encode()
    return draw(_spoilt(text)) if draw(st.integers(0, 3)) == 0 else text


def _bend(draw: DrawFn, said: Any) -> None:
    here, key = said, None
    while keys := _keys(here):
        key = draw(st.sampled_from(keys))
        if not _keys(here[key]) or draw(st.integers(0, 3)) == 0:
            break
        here = here[key]
    if key is None:
        return
    match draw(st.sampled_from(["replace", "replace", "remove", "add", "double"])):
        case "replace":
            here[key] = copy.deepcopy(draw(odd))
        case "remove":
            del here[key]
        case "add":
            _put(here, draw(st.text(max_size=9)), copy.deepcopy(draw(odd)))
        case _:
            _put(here, f"{key} ", copy.deepcopy(here[key]))


def _keys(of: Any) -> list[Any]:
    """Where something stands in an object or a list of JSON."""
    if isinstance(of, dict):
        return list(cast("dict[str, Any]", of))
    return list(range(len(cast("list[Any]", of)))) if isinstance(of, list) else []


def _put(into: Any, name: str, what: Any) -> None:
    if isinstance(into, dict):
        into[name] = what
    else:
        into.append(what)


@st.composite
def _spoilt(draw: DrawFn, text: bytes) -> bytes:
    place = draw(st.integers(0, max(0, len(text) - 1)))
    match draw(st.sampled_from(["cut", "flip", "insert", "twice"])):
        case "cut":
            return text[:place]
        case "flip":
            return text[:place] + bytes([draw(st.integers(0, 255))]) + text[place + 1 :]
        case "insert":
            return text[:place] + draw(noise) + text[place:]
        case _:
            return text + text


def plain_objects() -> SearchStrategy[list[tuple[int, bytes]]]:
    """BTHome objects with a content that mostly has another length than they should."""
    return st.lists(
        st.tuples(
            st.one_of(st.sampled_from(sorted(FIELDS)), st.integers(0, 255)), st.binary(max_size=9)
        ),
        max_size=9,
    )


def _version_2(objects: list[tuple[int, bytes]]) -> bytes:
    return b"\x40" + b"".join(bytes([number]) + content for number, content in objects)


def _version_1(objects: list[tuple[int, bytes]]) -> bytes:
    return b"".join(
        bytes([(number & 0b111) << 5 | 1 + len(content), number]) + content
        for number, content in objects
    )


def _sealed(objects: list[tuple[int, bytes]]) -> bytes:
    return bthome_encrypted(objects, None, key=KEY, address=BUTTON, counter=1)


UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
"""What hypothesis is not to mind: our inputs are as large as messages are."""

payloads = st.one_of(
    noise,
    plain_objects().map(_version_2),
    plain_objects().map(_version_1),
    plain_objects().map(_sealed),
    st.binary(min_size=1, max_size=20).map(lambda tail: b"TP\x01" + tail),
    st.sampled_from([16, 3, 4, 8]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
)
"""Bytes of any device, most of them in the shape of some format."""

_devices = st.sampled_from([BUTTON, DOOR, DISPENSER, STRANGER, "", "no address"])
_uuids = st.sampled_from([*registry.SERVICE_DATA, "180f", "", "\0"])
_companies = st.sampled_from([*registry.MANUFACTURERS, 0, 76, 2**40])


@st.composite
def advertisements(draw: DrawFn) -> bytes:
    """A frame of several parts, as the JSON that a box sends."""
    made = frame(
        device=draw(_devices),
        at=draw(st.one_of(st.just(NOON), st.integers(0, 2**42))),
        sure=draw(st.booleans()),
        data=draw(st.dictionaries(_uuids, payloads, max_size=3)),
        manufacturer=draw(st.dictionaries(_companies, payloads, max_size=2)),
    )
    return encode_frame(made).encode()


@st.composite
def characteristics(draw: DrawFn) -> bytes:
    """A value that was read or notified, as the JSON that a box sends."""
    made = frame(
        device=draw(_devices),
        heard=draw(st.sampled_from(["characteristic", "box"])),
        uuid=draw(st.sampled_from([*registry.CHARACTERISTICS, "2a00", None])),
        value=draw(payloads),
    )
    return encode_frame(made).encode()


frames = st.one_of(advertisements(), characteristics())


def _message(parts: list[bytes]) -> bytes:
    head = encode_batch(batch(()))
    return head.replace(b'"frames":[]', b'"frames":[' + b",".join(parts) + b"]")


_GOOD = json.loads(encode_batch(batch([door(), press(3), dose(4), door(device=STRANGER)])))
messages = st.one_of(noise, bent(_GOOD), st.lists(frames, min_size=1, max_size=9).map(_message))
"""What may stand on a box's topic."""
topics = st.one_of(
    st.sampled_from(["edges/box-01/urgent", "edges/box-01/bulk"]),
    st.sampled_from(["edges//urgent", "edges/a/b/bulk", "edges/box-01/", "", "\0", "edges"]),
    st.text(max_size=30),
)
states = st.one_of(noise, bent(json.loads(state("running"))))
_STREAM = "5a3f5d0e-0000-4000-8000-000000000001"
_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 2**53, 2**63, 2**70, 10**400, -(10**400), float("nan"), float("inf")]),
    st.integers(),
    st.floats(),
)
_RECEIPT: Any = {
    "format": 1,
    "epoch": _STREAM,
    "streams": {_STREAM: [[1, 4], [9, 9]]},
    "missing": {_STREAM: [[2, 3]]},
}
_COMMAND: Any = {"format": 1, "id": _STREAM, "do": "discover", "seconds": 60, "until": 2**50}


def _ranged(where: str, first: float, last: float) -> bytes:
    return json.dumps(_RECEIPT | {where: {_STREAM: [[first, last]]}}).encode()


def _timed(name: str, number: float) -> bytes:
    return json.dumps(_COMMAND | {name: number}).encode()


receipts = st.one_of(
    noise,
    bent(_RECEIPT),
    st.builds(_ranged, st.sampled_from(["streams", "missing"]), st.just(1) | _NUMBERS, _NUMBERS),
)
commands = st.one_of(
    noise, bent(_COMMAND), st.builds(_timed, st.sampled_from(["seconds", "until"]), _NUMBERS)
)
_WORDS = ("discover", "rescan", "identify", "send_log", "restart", "update", "/bin/sh", "")
_DID: Any = {"heard": True, "after_seconds": 2.5, "lamp": "act", "away_seconds": 9}
_SIGHTING: Any = {
    "address": BUTTON,
    "address_type": "random",
    "rssi": -60,
    "companies": [76],
    "services": ["fcd2"],
    "times": 3,
}
_REPLY: Any = {
    "format": 1,
    "id": _STREAM,
    "error": None,
    "found": [_SIGHTING],
    "did": _DID,
    "log": "WARNING edge: x\nINFO edge: y",
}


def _asked(word: str, seconds: float) -> bytes:
    return json.dumps(_COMMAND | {"do": word, "seconds": seconds}).encode()


def _answered(name: str, value: object) -> bytes:
    return json.dumps(_REPLY | {"did": {name: value}}).encode()


def _logged(log: str) -> bytes:
    return json.dumps(_REPLY | {"log": log}, ensure_ascii=False).encode(errors="replace")


commands = st.one_of(commands, st.builds(_asked, st.sampled_from(_WORDS), _NUMBERS | st.just(20)))
replies = st.one_of(
    noise,
    bent(_REPLY),
    st.builds(_answered, st.text(max_size=50), _NUMBERS | st.text(max_size=50)),
    st.builds(_logged, st.text()),
)
configs = st.one_of(
    noise,
    bent(
        {
            "format": 1,
            "version": 3,
            "keepalive": 30,
            "devices": [
                {
                    "address": BUTTON,
                    "lane": "urgent",
                    "advertisement": True,
                    "connect": {
                        "when": "every",
                        "seconds": 60,
                        "read": ["2a19"],
                        "subscribe": ["2a1c"],
                        "write": [
                            {"uuid": "2a2b", "value": "00", "clock": "unix32le"},
                            {"uuid": "2a2b", "value": "00", "after_last": {"offset": 1}},
                        ],
                        "listen_seconds": 20,
                    },
                }
            ],
            "calls": [{"manufacturer": 65535, "data": "5450", "mask": "ffff"}],
        }
    ),
)
from_broker = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.tuples(
            st.sampled_from(["edges/box-01/bulk", "", "\0", "ø" * 99]),
            noise,
            st.integers(1, 65_535),
            st.booleans(),
        ).map(lambda one: packets.publish(one[2], one[0], one[1], retain=one[3])),
        st.tuples(
            st.sampled_from([0x20, 0x32, 0x40, 0x90, 0xD0, 0xE0]), st.binary(max_size=60)
        ).map(lambda one: bytes([one[0], len(one[1])]) + one[1]),
    ),
    max_size=4,
).map(b"".join)
"""Packets of MQTT, whole and not, as they may come over the network."""

"""What is fuzzed: each target's inputs, and what must hold for every one of them.

An input is made of bytes, texts, numbers and lists, so that it can be kept in a file as Python's
own literal and read back. A target raises for an input that it should have withstood.
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import TypeAdapter, ValidationError

from adapters import registry
from adapters.adapter import Adapter
from adapters.errors import UnreadableFrame
from adapters.frame import Frame, encode_frame
from adapters.observation import Observation
from adapters.plugins import claims
from edge.joining import code as box_side
from edge.keeping.ranges import Ranges
from edge.sending.receipt import BadReceipt, read_receipt
from edge.told.command import Commands
from edge.told.config import BadConfig, read_config
from edge.told.deeds import Deed, of_radio
from gateway.edges import code
from gateway.ingest import packets, wire
from gateway.ingest.batches import (
    HIGHEST_SEQUENCE,
    MOST_FRAMES,
    Rejected,
    SpoiledFrame,
    digest,
    kept_bytes,
    read_batch,
)
from gateway.ingest.commands import read_reply
from gateway.ingest.contact import read_state
from gateway.ingest.refusal import halves
from gateway.store.register import lines, table
from gateway.store.register.cpr import is_like_cpr
from tests.edge.frames import HandClock
from tests.frames import BUTTON, frame
from tests.fuzz import hostile
from tests.gateway.test_wire import STRICT, same

_FRAME = TypeAdapter(Frame)
_LARGEST = 262_144
_SMALLINT = range(-(2**15), 2**15)
_KEYS = st.sampled_from([None, hostile.KEY, b"", b"short", bytes(16)])


@dataclass(frozen=True, slots=True)
class Target:
    """One place that reads what others wrote."""

    name: str
    inputs: SearchStrategy[Any]
    withstand: Callable[[Any], None]


def batch(said: tuple[str, bytes]) -> None:
    """`read_batch` gives an arrival within its limits or raises Rejected with its reason."""
    topic, payload = said
    assert len(digest(payload)) == 32
    assert len(kept_bytes(payload)) <= len(payload)
    try:
        arrival = read_batch(topic, payload)
    except Rejected as rejected:
        _explained(rejected.reason, rejected.detail)
        return
    assert len(arrival.frames) <= MOST_FRAMES
    assert not arrival.frames or 1 <= arrival.batch.first <= arrival.last <= HIGHEST_SEQUENCE
    if len(arrival.frames) > 1:
        first, second = halves(arrival)
        assert _told([*first.frames, *second.frames]) == _told(arrival.frames)
        assert (first.batch.first, second.last) == (arrival.batch.first, arrival.last)


def wire_reader(said: tuple[str, bytes]) -> None:
    """What the fast reader takes the strict one takes as well, with the same values."""
    with contextlib.suppress(wire.NotSure):
        fast = wire.read(said[1])
        assert same(fast, STRICT.validate_json(said[1], strict=True))


def _told(frames: Sequence[Frame | SpoiledFrame]) -> list[str]:
    """What frames say, whichever of the two readers made them."""
    return [repr(one) if isinstance(one, SpoiledFrame) else encode_frame(one) for one in frames]


def adapters(said: tuple[bytes, bytes | None]) -> None:
    """Every adapter reads a frame or says that it cannot; what it says can be stored."""
    text, key = said
    try:
        heard = _FRAME.validate_json(text, strict=True)
    except ValidationError:
        return
    registry.is_call(heard)
    observations, _ = _outcome(lambda: registry.read(heard, key=key))
    storable(observations or ())
    if heard.heard == "advertisement" and len(heard.data) == 1 and not heard.manufacturer:
        plain(heard)


def plain(heard: Frame) -> None:
    """Service data that says the same whoever sends it says what the whole frame says."""
    ((uuid, payload),) = heard.data.items()
    said = _outcome(lambda: registry.plain(uuid, payload))
    assert said == (None, None) or said == _outcome(lambda: registry.read(heard))


def _outcome(
    read: Callable[[], tuple[Observation, ...] | None],
) -> tuple[tuple[Observation, ...] | None, str | None]:
    """The observations, and why they are not all."""
    try:
        return read(), None
    except UnreadableFrame as unreadable:
        _explained(str(unreadable))
        return unreadable.partial, str(unreadable)


def _explained(*words: str) -> None:
    """A reason is given, in text that can be logged and stored: no half of a surrogate pair."""
    assert all(words)
    "".join(words).encode()


def storable(observations: tuple[Observation, ...]) -> None:
    """What the database takes: finite numbers, small codes, text that is text."""
    for one in observations:
        assert one.value is None or math.isfinite(one.value)
        assert one.code is None or one.code in _SMALLINT
        assert one.record is None or 0 <= one.record < 2**63
        assert one.occurred is None or abs(one.occurred) < 2**62
        "".join(one.details.values()).encode()


def state(payload: bytes) -> None:
    """A box's state is read or raises Rejected."""
    try:
        read_state(payload)
    except Rejected as rejected:
        _explained(rejected.reason, rejected.detail)


def receipt(payload: bytes) -> None:
    """A receipt is read or raises BadReceipt; its ranges are ranges."""
    try:
        said = read_receipt(payload)
    except BadReceipt:
        return
    for stored in (*said.streams.values(), *said.missing.values()):
        assert all(0 < first <= last < 2**53 for first, last in stored)
        assert Ranges(stored) - stored == Ranges()


def command(payload: bytes) -> None:
    """A command is taken, answered once with a word why not, or left alone."""
    answers = list[bytes]()
    deeds = {**of_radio(None), "identify": Deed(least=5, most=120, do=_never)}
    Commands(HandClock(), deeds, answers.append).take(payload)
    assert len(answers) <= 1
    assert all(json.loads(said)["error"] for said in answers)


async def _never(_: str, __: float) -> None:
    raise AssertionError("nothing runs here")


def reply(payload: bytes) -> None:
    """An answer of a box is read, and can be kept and shown; or it is none, with no word why."""
    said, why = None, ""
    try:
        said = read_reply(payload).answer()
    except ValueError as bad:
        why = str(bad)
    assert not why
    if said is None:
        return
    for kept in (said.found, said.did):
        assert kept is None or json.loads(kept) is not None
        assert kept is None or "NaN" not in kept
    assert said.log is None or len(said.log) <= 32_768
    assert said.log is None or all(one.isprintable() or one == "\n" for one in said.log)


def config(payload: bytes) -> None:
    """A configuration is read or raises BadConfig; it can be asked about any frame."""
    try:
        said = read_config(payload)
    except BadConfig:
        return
    said.lane(frame(device=BUTTON, manufacturer={0xFFFF: b"TP"}, data={"fcd2": b""}))


def register(said: bytes) -> None:
    """A file of a register is read as rows or BadFile, and a row is wanted or Refused."""
    try:
        rows = table.read(said)
    except table.BadFile as bad:
        _explained(str(bad))
        return
    for row in rows:
        try:
            lines.wanted(row)
        except lines.Refused as refused:
            _explained(refused.reason)
        else:
            assert not any(is_like_cpr(cell) for cell in row.cells.values())


def boxes_file(said: bytes) -> None:
    """A file of boxes is read as rows, each with its line, or BadFile."""
    try:
        rows = table.read_boxes(said)
    except table.BadFile as bad:
        _explained(str(bad))
        return
    assert [row.number for row in rows] == sorted({row.number for row in rows})
    assert all(row.fault or "mærkat" in row.cells for row in rows)


def box_code(said: str) -> None:
    """A code is read alike by the gateway that makes it and by the box, or refused by both."""
    try:
        made = code.parse(said)
    except code.BadCode as bad:
        _explained(str(bad))
        assert not _box_reads(said)
        return
    read = box_side.read_code(said)
    assert (read.address, read.secret) == (made.address, made.secret)


def _box_reads(said: str) -> bool:
    try:
        box_side.read_code(said)
    except box_side.BadCode:
        return False
    return True


def mqtt(said: tuple[bytes, bytes]) -> None:
    """What a broker may send is read or Malformed, and alike wherever the network cuts it."""
    readers: Mapping[int, Callable[[bytes], object]] = {
        packets.CONNACK: packets.connected,
        packets.PUBACK: packets.acknowledged,
        packets.SUBACK: packets.subscribed,
    }
    with contextlib.suppress(packets.Malformed):
        first, rest = packets.cut(said[0], most=_LARGEST)
        more, rest = packets.cut(rest + said[1], most=_LARGEST)
        assert ([*first, *more], rest) == packets.cut(said[0] + said[1], most=_LARGEST)
        for kind, body in [*first, *more]:
            with contextlib.suppress(packets.Malformed):
                packets.published(kind, body)
            if kind >> 4 in readers:
                readers[kind >> 4](body)


_ODD = (
    *('"', ";", ",", "\t", "\n", "\r\n", "\ufeff", "\x00", "\u2028", "'=", " ", "Nord", "ny"),
    *("010150-1234", "24-11-2026 08:30", "A4:C1:38:00:00:01"),
)
_CELLS = st.sampled_from([*table.COLUMNS, *lines.ROLES, *lines.BASES, *_ODD])


def _file(said: tuple[Sequence[str], str]) -> bytes:
    cells, encoding = said
    return (";".join(table.COLUMNS) + "\n" + "".join(cells)).encode(encoding)


_FILES = st.tuples(
    st.lists(_CELLS, max_size=60), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
).map(_file)


_BOX_FILES = st.tuples(
    st.lists(st.sampled_from([*table.BOX_COLUMNS, *_ODD]), max_size=30),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
).map(lambda said: ("mærkat;bolig\n" + "".join(said[0])).encode(said[1]))
_CODE = code.make("gateway.example:8444", "0123456789AB", "ab" * 32)
_CODES = st.one_of(
    st.text(max_size=100),
    st.tuples(st.integers(0, len(_CODE)), st.text(max_size=3), st.integers(0, 3)).map(
        lambda slip: _CODE[: slip[0]] + slip[1] + _CODE[slip[0] + slip[2] :]
    ),
    st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ-", min_size=28, max_size=40).map(
        lambda body: f"gateway.example:8444/{body}"
    ),
)


def _of(where: str, what: str | int) -> SearchStrategy[tuple[bytes, bytes | None]]:
    """Frames that one adapter is given."""

    def made(payload: bytes) -> bytes:
        if where == "value":
            heard = frame(heard="characteristic", uuid=str(what), value=payload)
        elif where == "data":
            heard = frame(device=BUTTON, data={str(what): payload})
        else:
            heard = frame(device=BUTTON, manufacturer={int(what): payload})
        return encode_frame(heard).encode()

    return st.tuples(hostile.payloads.map(made), _KEYS)


def _of_family(family: Adapter) -> SearchStrategy[tuple[bytes, bytes | None]]:
    """Frames that a family is asked about, by each of the signs that it is known by."""

    def made(sign: tuple[str, str | int], payload: bytes, company: int) -> bytes:
        where, what = sign
        if where == "characteristics":
            heard = frame(heard="characteristic", uuid=str(what), value=payload)
            return encode_frame(heard).encode()
        said: dict[str, Any] = {"device": BUTTON, "manufacturer": {company: payload}}
        if where == "data":
            said |= {"data": {str(what): payload}, "manufacturer": {}}
        elif where == "manufacturers":
            said["manufacturer"] = {int(what): payload}
        elif where == "services":
            said["services"] = (str(what),)
        else:
            said["name"] = f"{what}H5075_1"
        return encode_frame(frame(**said)).encode()

    signs = st.sampled_from(sorted(claims(family), key=str))
    inputs = st.builds(made, signs, hostile.payloads, st.integers(0, 0xFFFF))
    return st.tuples(inputs, _KEYS)


def _every() -> Mapping[str, Target]:
    families = (*registry.FAMILIES, *registry.PLUGINS)  # plug-ins, where some are installed
    places = [
        *(("data", uuid) for uuid in registry.SERVICE_DATA),
        *(("manufacturer", company) for company in registry.MANUFACTURERS),
        *(("value", uuid) for uuid in registry.CHARACTERISTICS),
    ]
    found = [
        Target("batch", st.tuples(hostile.topics, hostile.messages), batch),
        Target("wire", st.tuples(hostile.topics, hostile.messages), wire_reader),
        Target("batch_noise", st.tuples(hostile.topics, hostile.noise), batch),
        *(Target(f"adapter_{what}", _of(where, what), adapters) for where, what in places),
        *(Target(f"family_{one.name}", _of_family(one), adapters) for one in families),
        Target("adapters_together", st.tuples(hostile.frames, _KEYS), adapters),
        Target("mqtt", st.tuples(hostile.from_broker, hostile.from_broker), mqtt),
        Target("state", hostile.states, state),
        Target("receipt", hostile.receipts, receipt),
        Target("command", hostile.commands, command),
        Target("reply", hostile.replies, reply),
        Target("config", hostile.configs, config),
        Target("register", _FILES, register),
        Target("boxes_file", _BOX_FILES, boxes_file),
        Target("code", _CODES, box_code),
    ]
    return {one.name: one for one in found}


TARGETS = _every()
"""By name: one for the batch, one for every adapter and one for all together, and the rest."""

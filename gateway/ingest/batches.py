"""Reads what a box sent, strictly; what is wrong with it is said in words, never raised further."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from adapters.frame import FORMAT, LANES, Batch, Frame, Lane
from gateway.ingest import wire
from gateway.ingest.wire import LATEST_MS, LONGEST_UPTIME
from gateway.store.streams import uuid_of

LARGEST_MESSAGE = 60_000
"""Bytes of one message; boxes cut their batches to fit, and our broker takes 65 536 a packet."""
MOST_FRAMES = 2_000
HIGHEST_SEQUENCE = 2**53 - 1
"""What every JSON reader keeps exactly."""

_LONGEST_NAME = 64
_LONGEST_REASON = 500
_KEPT_OF_TOO_LARGE = 4_096

_BATCH = TypeAdapter(Batch)
_FRAME = TypeAdapter(Frame)


class Rejected(Exception):
    """A message that cannot be taken, for a reason in one word and a detail in a sentence.

    Set aside and acknowledged; no receipt, so the box keeps what it holds and sends it again.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class SpoiledFrame:
    """A frame that does not follow the wire contract, in a batch that does."""

    payload: bytes
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A batch as it came, read and within its limits; `frames` are in the batch's order."""

    topic: str
    edge: str
    lane: Lane
    stream: UUID
    batch: Batch
    frames: Sequence[Frame | SpoiledFrame]
    payload: bytes

    @property
    def last(self) -> int:
        return self.batch.first + len(self.frames) - 1


def read_batch(topic: str, payload: bytes) -> Arrival:
    """The batch of a message on `edges/<edge>/<lane>`. Raises Rejected."""
    edge, lane = _place(topic)
    if len(payload) > LARGEST_MESSAGE:
        raise Rejected("too_large", f"{len(payload)} bytes; {LARGEST_MESSAGE} are allowed")
    batch, frames = _read(payload)
    if batch.format != FORMAT:
        raise Rejected("wrong_format", f"batch format {batch.format}; this gateway reads {FORMAT}")
    if batch.edge != edge:
        raise Rejected("other_edge", f"a batch of {batch.edge[:_LONGEST_NAME]} on {topic}")
    stream = _checked(batch, len(frames))
    return Arrival(
        topic=topic,
        edge=edge,
        lane=lane,
        stream=stream,
        batch=batch,
        frames=frames,
        payload=payload,
    )


def _read(payload: bytes) -> tuple[Batch, Sequence[Frame | SpoiledFrame]]:
    """Raises Rejected."""
    with contextlib.suppress(wire.NotSure):
        batch = wire.read(payload)
        return batch, batch.frames
    return _read_strictly(payload)


def _read_strictly(payload: bytes) -> tuple[Batch, Sequence[Frame | SpoiledFrame]]:
    """Raises Rejected."""
    frames: Sequence[Frame | SpoiledFrame]
    try:
        batch = _BATCH.validate_json(payload, strict=True)
        frames = batch.frames
    except ValidationError as bad:
        batch, frames = _frame_by_frame(payload, bad)
    return batch, [_sane(frame) for frame in frames]


def edge_of(topic: str) -> str:
    """The box of a topic `edges/<edge>/…`; empty for any other."""
    return topic.split("/")[1] if topic.startswith("edges/") else ""


def digest(payload: bytes) -> bytes:
    """The same for two sendings of one batch, which differ in the time of sending."""
    try:
        said = json.loads(payload[: LARGEST_MESSAGE + 1])
        name = f"{said['stream']} {said['first']} {len(said['frames'])}".encode()
    except (ValueError, RecursionError, TypeError, KeyError):
        name = payload
    return hashlib.sha256(name).digest()


def kept_bytes(payload: bytes) -> bytes:
    """What is kept of a message set aside: all of it, unless it is larger than any box sends."""
    return payload if len(payload) <= LARGEST_MESSAGE else payload[:_KEPT_OF_TOO_LARGE]


def in_words(bad: ValidationError) -> str:
    """The place and the text of the first thing that is wrong."""
    first = bad.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part)[:_LONGEST_NAME] for part in first["loc"])
    return f"{place}: {first['msg']}"[:_LONGEST_REASON] if place else first["msg"]


def _place(topic: str) -> tuple[str, Lane]:
    match topic.split("/"):
        case ["edges", str(edge), lane] if lane in LANES:
            return edge, lane
        case _:
            raise Rejected("not_a_batch", f"a message on {topic}")


def _frame_by_frame(
    payload: bytes, bad: ValidationError
) -> tuple[Batch, Sequence[Frame | SpoiledFrame]]:
    """The batch without its frames, and each frame by itself. Raises Rejected.

    One frame that a faulty box made must not take the others of its batch with it.
    """
    errors = bad.errors(include_url=False, include_input=False, include_context=False)
    if errors[0]["type"] == "json_invalid":
        raise Rejected("not_json", errors[0]["msg"]) from bad
    said: Any = json.loads(payload)  # an object with a list of frames, once these checks are done
    stated = (
        cast("dict[str, Any]", said).get("format", FORMAT) if isinstance(said, dict) else FORMAT
    )
    if stated != FORMAT:
        words = f"batch format {str(stated)[:20]}; this gateway reads {FORMAT}"
        raise Rejected("wrong_format", words) from bad
    if any(error["loc"][:1] != ("frames",) or len(error["loc"]) == 1 for error in errors):
        raise Rejected("not_a_batch", in_words(bad)) from bad
    head = json.dumps(said | {"frames": []}).encode()
    each = cast("list[object]", said["frames"])
    frames = [_one_frame(json.dumps(frame).encode()) for frame in each]
    return _BATCH.validate_json(head, strict=True), frames


def _one_frame(payload: bytes) -> Frame | SpoiledFrame:
    try:
        return _FRAME.validate_json(payload, strict=True)
    except ValidationError as bad:
        return SpoiledFrame(payload, in_words(bad))


def _checked(batch: Batch, frames: int) -> UUID:
    """The stream of a batch whose numbers are within their limits. Raises Rejected."""
    ranges = [(gone.first, gone.last) for gone in batch.gone]
    if frames:
        ranges.append((batch.first, batch.first + frames - 1))
    if frames > MOST_FRAMES:
        raise Rejected("too_large", f"{frames} frames; {MOST_FRAMES} are allowed")
    if not ranges:
        raise Rejected("not_a_batch", "neither frames nor gone")
    if not all(1 <= first <= last <= HIGHEST_SEQUENCE for first, last in ranges):
        raise Rejected("not_a_batch", f"sequence numbers are not within 1 to {HIGHEST_SEQUENCE}")
    if not (0 <= batch.sent_at <= LATEST_MS and 0 <= batch.clock.uptime <= LONGEST_UPTIME):
        raise Rejected("not_a_batch", "sent_at or clock.uptime is not a time")
    try:
        return uuid_of(batch.stream)
    except ValueError:
        raise Rejected("not_a_batch", "stream: not a uuid") from None


def _is_sane(frame: Frame) -> bool:
    """Compared so that what is not a number fails."""
    return 0 <= frame.at <= LATEST_MS and 0 <= frame.uptime <= LONGEST_UPTIME


def _sane(frame: Frame | SpoiledFrame) -> Frame | SpoiledFrame:
    if isinstance(frame, SpoiledFrame) or _is_sane(frame):
        return frame
    said = f"at {frame.at}, uptime {frame.uptime}, device {frame.device[:_LONGEST_NAME]}"
    return SpoiledFrame(said.encode(), "at or uptime is not a time")

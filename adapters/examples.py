"""Examples of an adapter: frames and what they say, as they stand in `NAME.examples.json`.

Each has `says` (in words), `frame` (as a box sends it), `key` where the device has one, `reads`
(the observations, what says nothing left out) and, where the frame cannot be read whole,
`unreadable` with a part of the reason.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Observation, Quality

_FRAME = TypeAdapter(Frame)

Reader = Callable[[Frame, bytes | None], tuple[Observation, ...]]


def as_text(observation: Observation) -> dict[str, Any]:
    """An observation as an example writes it: what says nothing is left out."""
    quality = observation.quality
    written = {
        "kind": observation.kind.name.lower(),
        "value": observation.value,
        "code": observation.code,
        "quality": None if quality is Quality.GOOD else quality.name.lower(),
        "occurred": observation.occurred,
        "record": observation.record,
        "details": dict(observation.details) or None,
    }
    return {name: value for name, value in written.items() if value is not None}


def difference(example: object, read: Reader) -> str | None:
    """What is read otherwise than the example says; None where all is as it says."""
    if not isinstance(example, dict) or not {"says", "frame", "reads"} <= example.keys():
        return "an example has says, frame and reads"
    wanted = cast("Mapping[str, Any]", example)
    try:
        frame = _FRAME.validate_python(wanted["frame"])
        key = bytes.fromhex(wanted["key"]) if "key" in wanted else None
    except (ValidationError, ValueError, TypeError) as wrong:
        return f"no frame as a box sends it: {wrong}"
    reason = ""
    try:
        found = read(frame, key)
    except UnreadableFrame as unreadable:
        found, reason = unreadable.partial, str(unreadable)
    told = [as_text(observation) for observation in found]
    if told != wanted["reads"]:
        return f"reads {told} {reason}".strip()
    if bool(reason) != ("unreadable" in wanted) or wanted.get("unreadable", "") not in reason:
        return f"unreadable: {reason or 'not at all'}"
    return None

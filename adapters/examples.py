"""Examples of an adapter: frames and what they say, as they stand in `NAME.examples.json`.

Each has `says` (in words), `frame` (as a box sends it), `key` where the device has one, `reads`
(the observations, what says nothing left out) and, where the frame cannot be read whole,
`unreadable` with a part of the reason.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality

_FRAME = TypeAdapter(Frame)
_NEEDED: Final = ("says", "frame", "reads")
_FIELDS: Final = frozenset(field.name for field in fields(Frame))

Reader = Callable[[Frame, bytes | None], tuple[Observation, ...]]


class _Unfit(Exception):
    """Why a text is no example."""


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
    try:
        wanted = _wanted(example)
        frame, key = _frame(wanted["frame"]), _key(wanted.get("key"))
        expected = _expected(wanted["reads"])
    except _Unfit as unfit:
        return str(unfit)
    reason = None
    try:
        found = read(frame, key)
    except UnreadableFrame as unreadable:
        found, reason = unreadable.partial, str(unreadable)
    told = [as_text(observation) for observation in found]
    return _otherwise(expected, told, reason) or _unreadable(wanted.get("unreadable"), reason)


def _wanted(example: object) -> Mapping[str, Any]:
    if not isinstance(example, dict):
        raise _Unfit("an example is an object with says, frame and reads")
    wanted = cast("Mapping[str, Any]", example)
    if missing := [name for name in _NEEDED if name not in wanted]:
        raise _Unfit(f"the example has no {' and no '.join(missing)}")
    return wanted


def _frame(said: object) -> Frame:
    if isinstance(said, dict):
        unknown = sorted(set(cast("Mapping[str, object]", said)) - _FIELDS)
        if unknown:
            raise _Unfit(
                f"a frame has no {', '.join(unknown)}; it has {', '.join(sorted(_FIELDS))}"
            )
    try:
        return _FRAME.validate_python(said)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        where = ".".join(str(step) for step in ("frame", *first["loc"]) if step != "[key]")
        hint = "; a company id is decimal, as 2654 for 0x0A5E" if "[key]" in first["loc"] else ""
        raise _Unfit(f"no frame as a box sends it: {where}: {first['msg']}{hint}") from wrong


def _key(said: object) -> bytes | None:
    try:
        return None if said is None else bytes.fromhex(cast("str", said))
    except (ValueError, TypeError) as wrong:
        raise _Unfit(f"key: {said!r} is no hexadecimal text") from wrong


def _expected(said: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(said, list):
        raise _Unfit("reads is a list of readings")
    for one in cast("Sequence[object]", said):
        if not isinstance(one, dict) or "kind" not in one:
            raise _Unfit(f"{_json(cast('object', one))} is no reading: it has no kind")
        kind = cast("object", one["kind"])
        if kind not in {known.name.lower() for known in Kind}:
            raise _Unfit(f"no kind {kind}; see adapters/catalogue.py")
    return cast("Sequence[Mapping[str, object]]", said)


def _otherwise(
    expected: Sequence[Mapping[str, object]], told: Sequence[Mapping[str, object]], why: str | None
) -> str | None:
    """The first reading that differs, and all of them as an example would write them."""
    for place, (want, have) in enumerate(zip_longest(expected, told), 1):
        if want != have:
            because = "" if why is None else f" ({why})"
            first = f"reading {place}: expected {_json(want)}, read {_json(have)}{because}"
            return f"{first}\n  all that is read: {_json(told)}" if told else first
    return None


def _unreadable(expected: object, reason: str | None) -> str | None:
    if reason is None:
        return None if expected is None else f"expected unreadable {_json(expected)}, read it whole"
    if expected is None:
        return f'unreadable; where that is right, add "unreadable": {_json(reason)}'
    if not isinstance(expected, str) or expected not in reason:
        return f"expected unreadable {_json(expected)}, unreadable is {_json(reason)}"
    return None


def _json(said: object) -> str:
    return "nothing" if said is None else json.dumps(said, ensure_ascii=False)

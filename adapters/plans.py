"""Checks a hearing plan: how a box connects to a device and what it fetches there.

A box refuses its whole configuration for one wrong plan, so a plan is held to its form before it
is sent. Boxes read the same form by code of their own (`edge.told.config`); a test holds the two
together. Unlike a box this refuses words that it does not know: one of them is misspelt.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Uuid = Annotated[str, Field(pattern="^([0-9a-f]{4}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")]
Uuids = Annotated[tuple[Uuid, ...], Field(max_length=1_000)]
Octets = Annotated[str, Field(pattern="^([0-9a-fA-F]{2})*$", max_length=1_024)]
Offset = Annotated[int, Field(ge=0, le=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _AfterLast(_Strict):
    offset: Offset
    record_offset: Offset = 0


class _Write(_Strict):
    uuid: Uuid
    value: Octets
    clock: Literal["unix32le", "current_time"] | None = None
    after_last: _AfterLast | None = None


class _Numbered(_Strict):
    record: Uuid
    offset: Offset


class _Racp(_Strict):
    service: Uuid
    records: Annotated[Uuids, Field(min_length=1)]
    control: Uuid = "2a52"
    number: _Numbered | None = None
    quiet_seconds: Annotated[float, Field(ge=1, le=120)] = 30
    seconds: Annotated[float, Field(ge=5, le=3_600)] = 300


class _SetClock(_Strict):
    uuid: Uuid
    form: Literal["current_time", "date_time"]


class _Plan(_Strict):
    when: Literal["advertised", "every"]
    seconds: Annotated[float, Field(ge=1, le=86_400)] = 60
    read: Uuids = ()
    subscribe: Uuids = ()
    write: Annotated[tuple[_Write, ...], Field(max_length=1_000)] = ()
    listen_seconds: Annotated[float, Field(ge=0, le=600)] = 20
    quiet_seconds: Annotated[float, Field(ge=0, le=120)] = 0
    pair: bool = False
    racp: _Racp | None = None
    set_clock: _SetClock | None = None


WORDS: Final = frozenset(_Plan.model_fields)
"""All words that a plan may have at its top."""


def flaw(plan: object) -> str | None:
    """Why no box could follow the plan, or nothing would come of it; None where it is good."""
    try:
        read = _Plan.model_validate_json(json.dumps(plan))
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        is_misspelt = first["type"] == "extra_forbidden"
        why = "a plan has no such word" if is_misspelt else first["msg"]
        return f"{'.'.join(str(step) for step in first['loc']) or 'plan'}: {why}"
    except (TypeError, ValueError, RecursionError) as wrong:
        return f"no plan: {wrong}"
    return _useless(read)


def _useless(plan: _Plan) -> str | None:
    if not (plan.read or plan.subscribe or plan.racp):
        return "nothing is fetched: it has no read, no subscribe and no racp"
    if plan.racp and plan.racp.number and plan.racp.number.record not in plan.racp.records:
        return "racp.number.record: not one of the records"
    for place, write in enumerate(plan.write):
        if write.after_last and 2 * write.after_last.offset > len(write.value):
            return f"write.{place}.after_last: its offset lies behind the end of the value"
    return None


def fetched(plan: Mapping[str, Any]) -> frozenset[str]:
    """The characteristics whose values a good plan brings; somebody must read them."""
    records = plan.get("racp", {}).get("records", ())
    return frozenset((*plan.get("read", ()), *plan.get("subscribe", ()), *records))

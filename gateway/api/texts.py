"""Parameters that several routes share, with the bounds that the database and people need."""

import re
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import available_timezones

from fastapi import Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    StringConstraints,
    WithJsonSchema,
)

_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_NO_CONTROL = f"^[^{_CONTROL}]*$"
_SOMETHING = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"

Word = Annotated[str, StringConstraints(max_length=100, pattern=_NO_CONTROL)]
"""A name, a room, a phone number."""
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_SOMETHING),
]
Text = Annotated[str, StringConstraints(max_length=1000, pattern=_NO_CONTROL)]
"""What a person writes to colleagues."""

_CENTURY = "^20[0-9]{2}-"
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _sensible(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise ValueError("must lie between the years 2000 and 2100")
    return at.astimezone(UTC)


def _written(at: object) -> object:
    """A number is no time: seconds or milliseconds, and of which zone, it does not say."""
    if isinstance(at, datetime) or (isinstance(at, str) and re.match(_CENTURY, at)):
        return at
    raise ValueError("must be a time between the years 2000 and 2100, as 2026-03-02T20:00:00Z")


Time = Annotated[
    AwareDatetime,
    BeforeValidator(_written),
    AfterValidator(_sensible),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _CENTURY}),
]
"""A moment with its zone, ISO 8601, in this century."""


ZONE_FORMAT = "iana-time-zone"
"""What the API's description calls it; no standard has a word for it."""


def _known(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("must be a zone of the IANA time zone database")
    return zone


Zone = Annotated[
    str,
    StringConstraints(max_length=50),
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "maxLength": 50, "format": ZONE_FORMAT}),
]
"""A zone of the IANA time zone database, such as Europe/Copenhagen."""

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most")]

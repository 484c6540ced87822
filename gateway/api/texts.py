"""Parameters that several routes share, with the bounds that the database and people need."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import available_timezones

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, StringConstraints

_NO_CONTROL = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

Word = Annotated[str, StringConstraints(max_length=100, pattern=_NO_CONTROL)]
"""A name, a room, a phone number."""
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_NO_CONTROL),
]
Text = Annotated[str, StringConstraints(max_length=1000, pattern=_NO_CONTROL)]
"""What a person writes to colleagues."""

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _sensible(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise ValueError("must lie between the years 2000 and 2100")
    return at.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_sensible)]
"""A moment with its zone, ISO 8601, in this century."""


def _known(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("must be a zone of the IANA time zone database")
    return zone


Zone = Annotated[str, StringConstraints(max_length=50), AfterValidator(_known)]
"""A zone of the IANA time zone database, such as Europe/Copenhagen."""

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most")]

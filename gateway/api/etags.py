"""ETag and If-Match: a change says which version it was made from (RFC 9110, 13.1.1)."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Response
from pydantic import WithJsonSchema

from gateway.api.problems import Problem
from gateway.store.versions import Versions

_ETAGS = re.compile(r'\s*(?:\*|"\d{1,9}"(?:\s*,\s*"\d{1,9}")*)\s*', re.ASCII)
_SAID = WithJsonSchema({"type": "string", "pattern": r'^(\*|"[0-9]{1,9}"(, ?"[0-9]{1,9}")*)$'})
"""As we say it; other blanks around the commas are taken too."""
_Needed = Annotated[
    Annotated[str, _SAID] | None,
    Header(max_length=200, description="the ETag of what was read: needed, so no edit is lost"),
]
_Held = Annotated[
    Annotated[str, _SAID] | None,
    Header(max_length=200, description="the ETag of what was read; where it is sent it must hold"),
]


def stale_problem() -> Problem:
    """Somebody else was first."""
    return Problem(
        HTTPStatus.PRECONDITION_FAILED,
        "Somebody else has changed it since; read it again.",
        kind="stale",
    )


def versions(if_match: _Needed = None) -> Versions:
    """The versions that an If-Match names, None for any. Raises Problem 428 and 400."""
    if if_match is None:
        raise Problem(
            HTTPStatus.PRECONDITION_REQUIRED,
            "Send the ETag that you read as If-Match, so that nobody's edit is lost.",
            kind="if-match-needed",
        )
    return versions_if_sent(if_match)


def versions_if_sent(if_match: _Held = None) -> Versions:
    """As `versions`, but for an act that needs none. Raises Problem 400."""
    if if_match is None:
        return None
    if not _ETAGS.fullmatch(if_match):
        raise Problem(HTTPStatus.BAD_REQUEST, "If-Match is not an ETag of ours.", kind="bad-etag")
    found = re.findall(r"\d+", if_match)
    return frozenset(map(int, found)) if found else None


Matching = Annotated[Versions, Depends(versions)]
MatchingIfSent = Annotated[Versions, Depends(versions_if_sent)]


def tag(answer: Response, version: int) -> None:
    """The answer tells this version as its ETag."""
    answer.headers["ETag"] = f'"{version}"'

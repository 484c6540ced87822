"""What a request is for: its key's scope, the header X-Purpose, or what its role is for."""

from dataclasses import replace
from http import HTTPStatus

from fastapi import Request

from gateway.api.problems import Problem
from gateway.store.caller import Caller
from gateway.store.purposes import PURPOSES, UNSTATED, USUAL

HEADER = "x-purpose"


def for_what(request: Request, caller: Caller) -> Caller:
    """The caller with this request's purpose, which every row of the access log carries.

    Raises Problem 400 for a word that is not on the list, 403 for another one than the key's.
    """
    said = request.headers.get(HEADER)
    if said is not None and said not in PURPOSES:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"X-Purpose is one of {', '.join(PURPOSES)}.", kind="purpose"
        )
    if said and caller.purpose and said != caller.purpose:
        raise Problem(
            HTTPStatus.FORBIDDEN, f"This key is for the purpose {caller.purpose}.", kind="purpose"
        )
    return replace(caller, purpose=said or caller.purpose or USUAL.get(caller.role, UNSTATED))

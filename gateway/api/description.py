"""The OpenAPI document: what the API says of itself to the programmers who call it."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from gateway.api import problems
from gateway.api.rights import RIGHTS, Right
from gateway.store.caller import ROLES

Json = dict[str, Any]

_DESCRIPTION = """
Who asks brings an API key as `Authorization: Bearer …` (an administrator makes one with
`POST /keys`, the first is made by `gateway people add --key`). Which role may do what is told by
`GET /rights`. What lies outside the caller's municipality and districts is answered as if it did
not exist. Every look at a citizen's data is logged; `X-Purpose` may say what it is for.

Every error is a problem document (RFC 9457): `type` names it for programs, `detail` for people.
Times are ISO 8601 with their zone, between the years 2000 and 2100. A list is given in parts: give
the `next` of one as the `after` of the following one until it is null. What can be edited has an
`ETag`, which its `PUT` wants as `If-Match`, so that nobody's edit is lost.
"""

_TAGS: Mapping[str, str] = {
    "alerts": "What a person must look at: the list, one of them, the moves, and the live stream.",
    "homes": "Who lives where, and which box listens there.",
    "devices": "Devices, whether they are understood, and what they observed.",
    "placements": "Which device speaks for which citizen, in which room, and its dose plan.",
    "boxes": "The boxes in the homes: their contact; added, replaced, moved and shut out.",
    "register": "Districts, teams, people, citizens and homes, one by one or from a CSV file.",
    "emergencies": "A citizen outside one's districts, opened for an hour with a reason.",
    "access log": "Who looked at whom.",
    "rights": "Which role may do what with which class of data.",
    "sign-in": "One's own sessions and roles, and which claims of the provider give which role.",
    "keys": "API keys: made for a program, renewed without a gap, ended.",
    "operation": "Whether the gateway lives and is ready, and its figures.",
}
_SHUT = Right()
_ETAG = {
    "ETag": {
        "description": "The version, for the next If-Match",
        "required": True,
        "schema": {"type": "string"},
    }
}


def described(app: FastAPI) -> Json:
    """The OpenAPI document; only the routes for programs are in it."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title="Trygport", version="1", description=_DESCRIPTION, routes=app.routes
        )
        parts = schema.setdefault("components", {})
        parts.setdefault("schemas", {}).update(problems.schemas())
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        for way, operation in _operations(schema):
            _complete(way, operation)
        for methods in schema["paths"].values():
            _tag(methods)
        used = {tag for _, operation in _operations(schema) for tag in operation.get("tags", ())}
        schema["tags"] = [
            {"name": tag, "description": text} for tag, text in _TAGS.items() if tag in used
        ]
        app.openapi_schema = schema
    return app.openapi_schema


def operation_id(route: APIRoute) -> str:
    """The name that generated clients give the operation: the function's own."""
    return route.name


def _operations(schema: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _complete(way: str, operation: Json) -> None:
    """Adds what the framework does not know: who needs no key, and a summary that is a sentence."""
    right = RIGHTS.get(way, _SHUT)
    if right.anyone:
        operation["security"] = []
    first, _, rest = operation.get("description", "").partition("\n\n")
    operation["summary"] = " ".join(first.split()).removesuffix(".")
    operation["description"] = "\n\n".join(part for part in (rest, _whom(right)) if part)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header":
            whole = parameter["schema"]
            parameter["schema"] = whole.get("anyOf", [whole])[0]  # a header is never null
            parameter["required"] = "428" in operation["responses"]  # which says that it is missing


def _whom(right: Right) -> str:
    """Who may use it, in words."""
    if right.anyone:
        return "Needs no key."
    if right.signed_in:
        return "For every role."
    return f"For the roles {', '.join(role for role in ROLES if role in right.roles)}."


def _tag(methods: Json) -> None:
    """What is edited with If-Match is answered with its ETag, when it is read and when edited."""
    edits = [said for said in methods.values() if "428" in said["responses"]]
    for said in [*edits, *([methods["get"]] if edits and "get" in methods else [])]:
        if "200" in said["responses"]:
            said["responses"]["200"]["headers"] = _ETAG

"""What a person is told instead of a page: it is not theirs, not there, not now, or it broke."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request, Response

from gateway.store.caller import Caller
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import rendered
from gateway.web.words import ROLE

_SAID: Mapping[int, tuple[str, str]] = {
    HTTPStatus.FORBIDDEN: ("Det må din rolle ikke", "Din rolle åbner ikke denne side."),
    HTTPStatus.NOT_FOUND: (
        "Siden er her ikke",
        "Adressen er skrevet forkert, eller der er intet på den, som du må se.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Siden er her ikke", "Den kan ikke bruges på den måde."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("For meget på én gang", "Send mindre ad gangen."),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "For mange forespørgsler",
        "Vent lidt, og prøv igen. Har du mange faner åbne, så luk nogle af dem.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "Noget gik galt",
        "Fejlen er noteret. Prøv igen. Sker det igen, så sig det til administratoren.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Trygport kan ikke svare lige nu",
        "Prøv igen om et øjeblik. Kan du ikke vente, så brug kommunens nødplan.",
    ),
}
_OTHERWISE = ("Det kunne ikke lade sig gøre", "Gå tilbage, ret det, du skrev, og prøv igen.")
_FORGED = (
    "Siden var for gammel",
    "Intet er ændret. Gå tilbage, hent siden igen, og prøv en gang til.",
)


def refused(
    door: Door, request: Request, status: int, kind: str | None, wait: str | None
) -> Response:
    """The page for this answer. `wait` is how many seconds to wait, where that is known."""
    caller: Caller | None = getattr(request.state, "caller", None)
    heading, text = _FORGED if kind == "forgery" else _SAID.get(status, _OTHERWISE)
    return rendered(
        "refused.html",
        HTTPStatus(status),
        heading=heading,
        text=text,
        role=ROLE[caller.role] if caller and status == HTTPStatus.FORBIDDEN else "",
        seconds=wait if status == HTTPStatus.TOO_MANY_REQUESTS else None,
        menu=None if caller is None else menu(door, request, caller),
    )

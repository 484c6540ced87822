"""Where somebody may go: the same on every page, from the door's own table of rights."""

from dataclasses import dataclass

from fastapi import Request

from gateway.store.caller import Caller
from gateway.web.door import Door
from gateway.web.words import ROLE

BOARD = "GET /board/alerts"
PLACES = (
    ("/", "Alarmer", BOARD),
    ("/bokse", "Bokse og enheder", "GET /bokse"),
    ("/noedaabning", "Nødåbning", "GET /noedaabning"),
    ("/opsaetning", "Kom i gang", "GET /opsaetning"),
    ("/noegler", "Nøgler", "GET /noegler"),
    ("/login-roller", "Login-roller", "GET /login-roller"),
    ("/hvem-har-set", "Hvem har set", "GET /hvem-har-set"),
    ("/rettigheder", "Rettigheder", "GET /rettigheder"),
    ("/konto", "Min konto", "GET /konto"),
)
"""Address, name, and the route whose right decides whether somebody is shown the way."""

_WORK = ("/", "/bokse", "/hvem-har-set")
"""Where the work is: the first of these that somebody may open; an administrator's is to set up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One page; `here` when it is the one that is open."""

    address: str
    name: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """What the head of a page shows; `token` is the word that the form for leaving brings."""

    places: tuple[Place, ...]
    name: str
    role: str
    token: str


def menu(door: Door, request: Request, caller: Caller) -> Menu:
    """The pages that this caller may open, in the role in which they act."""
    path = request.url.path
    return Menu(
        places=tuple(
            Place(address=address, name=name, here=_is_at(path, address))
            for address, name, way in PLACES
            if door.may(caller, way)
        ),
        name=caller.name,
        role=ROLE[caller.role],
        token=door.token(request),
    )


def start(door: Door, caller: Caller) -> str:
    """The address where this caller's work is."""
    open_ = {address for address, _, way in PLACES if door.may(caller, way)}
    if caller.role == "administrator":
        return "/opsaetning" if "/opsaetning" in open_ else "/konto"
    return next((address for address in _WORK if address in open_), "/konto")


def _is_at(path: str, address: str) -> bool:
    return path == address or (address != "/" and path.startswith(f"{address}/"))

"""What the page "Kom i gang" does for the house itself: districts, teams and colleagues."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from markupsafe import Markup

from gateway.store.asking import asking
from gateway.store.beginning import Password, add_colleague
from gateway.store.caller import Caller, Role
from gateway.store.homes import InTheWay
from gateway.store.register.things import add, listed
from gateway.store.secrets import hash_password, new_secret
from gateway.store.totp import address_for_phone, new_totp_secret
from gateway.web.beginning import (
    districts_error,
    known_as,
    lines,
    login_error,
    picture,
    text_error,
)
from gateway.web.beginning_words import GIVEN_ROLES
from gateway.web.door import Door

_PASSWORD = 15
"""Random bytes of a first password: 20 letters."""
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Told this once: a CODE, or a colleague's password and what their phone reads."""

    text: str
    secrets: tuple[tuple[str, str], ...] = ()
    address: str = ""
    picture: Markup | None = None


class Wrong(Exception):
    """A form cannot be followed; `errors` says why beside each field, in Danish."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class House(Protocol):
    """The fields that are read here."""

    districts: str
    district: str
    name: str
    login: str
    role: str


def refuse(errors: Mapping[str, str]) -> None:
    """Raises Wrong with those that say something."""
    if found := {name: error for name, error in errors.items() if error}:
        raise Wrong(found)


async def add_districts(door: Door, caller: Caller, sent: House) -> None:
    """Those of the lines that are not there yet."""
    refuse({"districts": districts_error(sent.districts)})
    async with asking(door.pool, caller) as db:
        there = await listed(db, caller, caller.seal, "district", after=None, limit=_MOST)
        known = {one.values["name"] for one in there}
        for name in lines(sent.districts):
            if name not in known:
                await add(db, caller, caller.seal, "district", {"name": name})


async def add_team(door: Door, caller: Caller, sent: House) -> None:
    """A team of a district."""
    refuse(
        {
            "name": text_error(sent.name, needed="Skriv holdets navn."),
            "district": "" if chosen(sent.district) else "Vælg et distrikt.",
        }
    )
    values = {"name": sent.name.strip(), "district": chosen(sent.district)}
    async with asking(door.pool, caller) as db:
        await add(db, caller, caller.seal, "team", values)


async def colleague(door: Door, caller: Caller, sent: House) -> Given:
    """A colleague in a role, whose first password is told once."""
    roles: Mapping[str, Role] = {one: one for one in GIVEN_ROLES}
    role, where = roles.get(sent.role), chosen(sent.district)
    refuse(
        {
            "name": text_error(sent.name, needed="Skriv kollegaens navn."),
            "login": login_error(sent.login),
            "role": "" if role else "Vælg en rolle.",
            "district": "" if where or not sent.district else "Vælg et distrikt.",
        }
    )
    assert role is not None  # noqa: S101 - refused above
    password, login = new_secret(_PASSWORD), known_as(sent.login)
    factor = new_totp_secret() if door.beginning.needs_code else None
    kept = Password(await hash_password(password), factor)
    try:
        async with asking(door.pool, caller) as db:
            await add_colleague(
                db,
                caller,
                login=login,
                name=sent.name.strip(),
                role=role,
                districts=[] if where is None else [where],
                password=kept,
            )
    except InTheWay as taken:
        raise Wrong({"login": "Det brugernavn er i brug. Vælg et andet."}) from taken
    address = "" if factor is None else address_for_phone(factor, login)
    return Given(
        text=f"{sent.name.strip()} er oprettet. Vis eller giv dette, det vises kun nu:",
        secrets=(("Brugernavn", login), ("Adgangskode", password)),
        address=address,
        picture=picture(address) if address else None,
    )


def chosen(text: str) -> UUID | None:
    """The id that was chosen, or None for none, and for what is no id."""
    try:
        return UUID(text)
    except ValueError:
        return None

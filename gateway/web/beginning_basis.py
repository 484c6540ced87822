"""What the page "Kom i gang" says of placements without a legal basis, and how it mends them."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from gateway.reads.homes import Home
from gateway.store.bases import Baseless, give_basis
from gateway.store.caller import Caller
from gateway.store.register.lines import BASES, ROLES
from gateway.web.beginning_doing import chosen, refuse
from gateway.web.door import Door

MOST_SHOWN = 50
_ROLE: Mapping[str, str] = {kept: word for word, kept in ROLES.items()}


class Giving(Protocol):
    """The fields that are read here."""

    placement: str
    basis: str


async def basis(door: Door, caller: Caller, sent: Giving) -> None:
    """The legal basis of a placement that has none."""
    wanted = chosen(sent.placement)
    refuse(
        {
            "placement": "" if wanted else "Vælg en placering.",
            "basis": "" if sent.basis in BASES else "Vælg en hjemmel.",
        }
    )
    assert wanted is not None  # noqa: S101 - refused above
    await give_basis(door.pool, caller, wanted, BASES[sent.basis], door.now())


def told(found: Sequence[Baseless], homes: Sequence[Home]) -> list[tuple[UUID, str]]:
    """Each placement in the words of who knows the citizen."""
    names = {one.id: one.name or "uden navn" for home in homes for one in home.citizens}
    return [(one.public, f"{names.get(one.citizen, 'En borger')}: {_where(one)}") for one in found]


def _where(one: Baseless) -> str:
    return ", ".join(
        part for part in (_ROLE.get(one.role, one.role), one.room, one.address) if part
    )

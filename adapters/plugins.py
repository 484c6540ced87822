"""Finds the adapters that vendors ship: packages with an entry point in `trygport.adapters`.

An entry point names an `adapters.adapter.Adapter`. One that cannot be loaded, or that claims what
another adapter reads, is set aside with the reason and stops nobody: neither the gateway nor the
other adapters. Which these are, `python -m adapters` tells.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from adapters.adapter import NAME_LENGTH, Adapter, readable
from adapters.plans import fetched, flaw

GROUP: Final = "trygport.adapters"

_UUID: Final = re.compile(
    r"[0-9a-f]{4}|(?!0000[0-9a-f]{4}-0000-1000-8000-00805f9b34fb)"
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_AS_WRITTEN: Final = "four hexadecimal digits in lower case, or the long form of one of your own"
_MODEL: Final = re.compile("[a-z0-9_-]{1,40}")
_COMPANIES: Final = range(2**16)

Claim = tuple[str, str | int]
"""How a frame is recognised, and by what: ("data", "fcd2"), ("manufacturers", 0xFFFF), …"""


@dataclass(slots=True)
class Found:
    """The plug-ins that read from now on, and by name why others do not."""

    adapters: list[Adapter] = field(default_factory=list[Adapter])
    aside: dict[str, str] = field(default_factory=dict[str, str])


class _Unfit(Exception):
    """Why a plug-in cannot be used."""


def found(taken: Mapping[Claim, str]) -> Found:
    """Every plug-in that is installed beside us, in the order of their names.

    `taken` says which adapter reads what already: nobody takes another's devices over.
    """
    return sorted_out(entry_points(group=GROUP), taken)


def sorted_out(points: Iterable[EntryPoint], taken: Mapping[Claim, str]) -> Found:
    """The usable of these plug-ins, and the others with the reason."""
    result, claimed = Found(), dict(taken)
    for point in sorted(points, key=lambda one: (one.name, one.value)):
        try:
            adapter = _loaded(point)
            _refuse_taken(adapter, claimed)
            _refuse_plan(adapter, claimed)
        except _Unfit as unfit:
            result.aside[point.name] = readable(str(unfit))
            continue
        claimed |= dict.fromkeys(claims(adapter), adapter.name)
        result.adapters.append(adapter)
    return result


def claims(adapter: Adapter) -> list[Claim]:
    """What an adapter is asked about. Company ids and names may be shared, the rest is its own."""
    return [
        *(("data", uuid) for uuid in adapter.data),
        *(("manufacturers", company) for company in adapter.manufacturers),
        *(("services", uuid) for uuid in adapter.services),
        *(("names", name) for name in adapter.names),
        *(("characteristics", uuid) for uuid in adapter.characteristics),
    ]


def _loaded(point: EntryPoint) -> Adapter:
    try:
        adapter: object = point.load()
    except (Exception, SystemExit) as fault:  # whatever a vendor's module does when it is loaded
        raise _Unfit(f"{point.value} does not load: {type(fault).__name__}: {fault}") from fault
    if not isinstance(adapter, Adapter):
        raise _Unfit(f"{point.value} is {type(adapter).__name__}, no adapters.adapter.Adapter")
    if adapter.name != point.name:
        raise _Unfit(f"{point.value} calls itself {adapter.name}, its entry point {point.name}")
    _refuse_misspelt(adapter)
    return adapter


def _refuse_misspelt(adapter: Adapter) -> None:
    """An adapter that could never be asked is a mistake that nobody would see."""
    for where in ("data", "services", "characteristics"):
        for uuid in _said(adapter, where):
            if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
                raise _Unfit(f"{where}: {uuid!r} is no UUID as boxes write it: {_AS_WRITTEN}")
    for name in _said(adapter, "names"):
        if not isinstance(name, str) or name != name.lower() or len(name) != NAME_LENGTH:
            raise _Unfit(f"names: {name!r} is not {NAME_LENGTH} letters in lower case")
    for company in _said(adapter, "manufacturers"):
        if type(company) is not int or company not in _COMPANIES:
            raise _Unfit(f"manufacturers: {company!r} is no number from 0 to 0xFFFF")
    if not claims(adapter):
        raise _Unfit("it says of no frame that it reads it")


def _said(adapter: Adapter, where: str) -> AbstractSet[object]:
    said: object = getattr(adapter, where)
    if not isinstance(said, AbstractSet):
        raise _Unfit(f"{where} is {type(said).__name__}, no frozenset")
    return cast("AbstractSet[object]", said)


def _refuse_taken(adapter: Adapter, claimed: Mapping[Claim, str]) -> None:
    if adapter.name in claimed.values():
        raise _Unfit(f"there is an adapter {adapter.name} already")
    for claim in claims(adapter):
        if claim[0] in ("data", "characteristics") and claim in claimed:
            raise _Unfit(f"{claim[0]} {claim[1]} is read by {claimed[claim]}")


def _refuse_plan(adapter: Adapter, claimed: Mapping[Claim, str]) -> None:
    """For one wrong plan a box refuses all that it is told, so none may get there."""
    if adapter.plan is None:
        return
    if not _MODEL.fullmatch(adapter.name):
        raise _Unfit(f"no device has the model {adapter.name}: a-z, 0-9, _ and - alone, up to 40")
    if (wrong := flaw(adapter.plan)) is not None:
        raise _Unfit(f"plan: {wrong}")
    read = {uuid for where, uuid in (*claims(adapter), *claimed) if where == "characteristics"}
    if unread := sorted(fetched(adapter.plan) - read):
        raise _Unfit(f"plan: it fetches {', '.join(unread)}, which no adapter reads")

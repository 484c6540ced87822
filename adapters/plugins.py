"""Finds the adapters that vendors ship: packages with an entry point in `trygport.adapters`.

An entry point names an `adapters.adapter.Adapter`. One that cannot be loaded, or that claims what
another adapter reads, is set aside with the reason and stops nobody: neither the gateway nor the
other adapters. Which these are, `python -m adapters` tells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from adapters.adapter import NAME_LENGTH, Adapter, readable

GROUP: Final = "trygport.adapters"

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
    for what in (adapter.data, adapter.services, adapter.names, adapter.characteristics):
        for word in cast("Iterable[object]", what):
            if not isinstance(word, str) or word != word.lower():
                raise _Unfit(f"{word!r} is no text in lower case")
    if any(len(name) != NAME_LENGTH for name in adapter.names):
        raise _Unfit(f"a beginning of a name has {NAME_LENGTH} letters")
    if not all(isinstance(one, int) for one in cast("Iterable[object]", adapter.manufacturers)):
        raise _Unfit("a company id is a number")
    if not claims(adapter):
        raise _Unfit("it says of no frame that it reads it")


def _refuse_taken(adapter: Adapter, claimed: Mapping[Claim, str]) -> None:
    if adapter.name in claimed.values():
        raise _Unfit(f"there is an adapter {adapter.name} already")
    for claim in claims(adapter):
        if claim[0] in ("data", "characteristics") and claim in claimed:
            raise _Unfit(f"{claim[0]} {claim[1]} is read by {claimed[claim]}")

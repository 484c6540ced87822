"""Divides what waits into groups to judge together, each citizen in one of them; pure."""

from collections.abc import Iterator, Sequence

from gateway.home import Citizen
from gateway.store.claims import Waiting


def groups(waiting: Sequence[Waiting], most: int) -> Iterator[list[Waiting]]:
    """Yield groups of at most `most` citizens, in the order of the oldest in each.

    Batches that share a citizen are in one group, so that each citizen is judged once and every
    batch is done with its group. Only such a family may be larger than `most`.
    """
    group: list[Waiting] = []
    size = 0
    for family in _families(waiting):
        citizens = len({one for batch in family for one in batch.citizens})
        if group and size + citizens > most:
            yield group
            group, size = [], 0
        group += family
        size += citizens
    if group:
        yield group


def _families(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Those that share citizens, directly or through others; families as their first ones come."""
    above: dict[Citizen, Citizen] = {}
    for one in waiting:
        first, *others = (_eldest(above, citizen) for citizen in one.citizens or _NOBODY)
        above.setdefault(first, first)
        for other in others:
            above[other] = first
    families: dict[Citizen, list[Waiting]] = {}
    for one in waiting:
        citizen = one.citizens[0] if one.citizens else _NOBODY[0]
        families.setdefault(_eldest(above, citizen), []).append(one)
    return list(families.values())


_NOBODY = (Citizen(0, 0),)
"""Stands for the citizens of a home in which nobody lives: there is nobody to judge."""


def _eldest(above: dict[Citizen, Citizen], citizen: Citizen) -> Citizen:
    while (next_above := above.setdefault(citizen, citizen)) != citizen:
        above[citizen] = above[next_above]
        citizen = next_above
    return citizen

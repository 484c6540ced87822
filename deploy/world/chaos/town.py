"""Who lives in the town, with which devices and doses, and what time it is there."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from deploy.world.chaos.traffic import Home
from deploy.world.frames import static_address
from deploy.world.oracle_alerts import Dose, Town
from deploy.world.settling import Fitting, Settled

ZONE = ZoneInfo("Europe/Copenhagen")
BEGINS = datetime(2026, 1, 14, 0, 30, tzinfo=ZONE)
"""When it is, in the world, as the chaos begins: the middle of a plain night."""
DUE, WINDOW, AFTER = 20, 240, 265
"""Minutes after midnight at which the doses are due, minutes to take them, and minutes after
midnight to which the gateway's clock is put when all is over."""

_SLOTS = (1, 2, 3)
_MIDNIGHT = BEGINS.replace(hour=0, minute=0)


def home_of(index: int, homes: int, seed: int) -> Home:
    """One of the homes. Every second has a dispenser; most of its doses will be taken."""
    name, rng = f"chaos {seed}", random.Random(f"{seed} home {index}")  # noqa: S311 - play
    return Home(
        index=index,
        homes=homes,
        name=name,
        dispenser=static_address(name, str(index), "dispenser") if index % 2 == 0 else None,
        stray=static_address(name, "stray") if index == 0 else None,
        takes=tuple(slot for slot in _SLOTS if rng.random() < 0.6),  # noqa: PLR2004 - most
    )


def fittings(home: Home) -> list[Fitting]:
    """How its devices are placed: before anything that a clock stepped back could tell of."""
    since = (BEGINS - timedelta(hours=4)).isoformat()
    slots = [{"slot": n, "at": f"00:{DUE}", "window_minutes": WINDOW} for n in _SLOTS]
    plan = {"slots": slots, "valid_from": since}
    return [
        Fitting(
            address=address,
            model=model,
            role=role,
            room=room,
            more={"from": since, **({"dose_plan": plan} if role == "dispenser" else {})},
        )
        for address, (model, role, room) in home.placed.items()
    ]


def town_of(homes: Sequence[Home], settled: Sequence[Settled], silenced: frozenset[str]) -> Town:
    """What the oracle is told; `silenced` are the boxes that are ended for good."""
    due = _MIDNIGHT + timedelta(minutes=DUE)
    citizens = {home.index: one.citizen for home, one in zip(homes, settled, strict=True)}
    return Town(
        zone=ZONE,
        citizen_of_device={
            address: citizens[home.index] for home in homes for address in home.placed
        },
        citizen_of_edge={one.edge: one.citizen for one in settled},
        doses=[
            Dose(
                citizen=citizens[home.index],
                dispenser=home.dispenser,
                slot=slot,
                due=due,
                limit=due + timedelta(minutes=WINDOW),
            )
            for home in homes
            if home.dispenser is not None
            for slot in _SLOTS
        ],
        silenced=silenced,
    )


def to_the_end() -> float:
    """Seconds from the beginning to a moment after the last limit of a dose."""
    return (_MIDNIGHT + timedelta(minutes=AFTER) - BEGINS).total_seconds()

"""What each fault does to the part, the wire, the card or the clock that it is about."""

from collections.abc import Awaitable, Callable, Mapping

from deploy.world.chaos.parts import BrokerPart, DatabasePart
from deploy.world.chaos.plan import MENU, Round, counted_as
from deploy.world.chaos.world import World

BOX_STEPS = (-3_600.0, -90.0, 0.0, 90.0, 7_200.0)
"""Seconds that a box's clock may be off. Any two lie further apart than one press lasts."""
GATEWAY_STEPS = (-120.0, -20.0, 0.0, 20.0, 120.0)
"""Seconds that the gateway's may be off: with a box's together less than what is believed."""

_LEFT_ON_CARD, _LEFT_ON_DISK = 100_000, 65_536
_DOWN = 1.0
_SILENCE = 3.0


class NotHere(Exception):
    """The machine cannot have the fault (nobody but root may mount); it is passed over."""


async def do(world: World, one: Round) -> None:
    """Make one fault and see to it that it is over. Raises NotHere."""
    await _FAULTS[one.fault](world, one)


def not_here(world: World) -> list[str]:
    """The kinds that the machine cannot have, by the names under which they are counted."""
    kinds = {"fill card": not world.cards, "fill disk": world.disk is None}
    names = {f"{how} {counted_as(whom)}" for how, whom in MENU if kinds.get(how)}
    return sorted(names)


async def _kill(world: World, one: Round) -> None:
    part = world.parts[one.target]
    async with part.lock:
        await part.kill(down=min(one.seconds, _DOWN))


async def _freeze(world: World, one: Round) -> None:
    part = world.parts[one.target]
    async with part.lock:
        await part.freeze(min(one.seconds, _SILENCE))


async def _restart(world: World, one: Round, *, keeps: bool) -> None:
    broker = world.parts["broker"]
    assert isinstance(broker, BrokerPart)  # noqa: S101 - the menu says so
    async with broker.lock:
        await broker.restart(down=min(one.seconds, _DOWN), keeps=keeps)


async def _with_store(world: World, one: Round) -> None:
    await _restart(world, one, keeps=True)


async def _without_store(world: World, one: Round) -> None:
    await _restart(world, one, keeps=False)


async def _stop_immediately(world: World, one: Round) -> None:
    database = world.parts["database"]
    assert isinstance(database, DatabasePart)  # noqa: S101 - the menu says so
    async with database.lock:
        await database.stop_immediately(down=min(one.seconds, _DOWN))


async def _fill_card(world: World, one: Round) -> None:
    if one.target not in world.cards:
        raise NotHere
    async with world.locks["card"]:
        await world.cards[one.target].fill(one.seconds + _DOWN, leave=_LEFT_ON_CARD)


async def _fill_disk(world: World, one: Round) -> None:
    """Fill the database's disk; a server that gave up over it is started when there is room."""
    if world.disk is None:
        raise NotHere
    database = world.parts["database"]
    assert isinstance(database, DatabasePart)  # noqa: S101 - the menu says so
    async with database.lock:
        await world.disk.fill(one.seconds + _DOWN, leave=_LEFT_ON_DISK)
        if not database.runs():
            await database.kill(down=0)


async def _step(world: World, one: Round) -> None:
    if one.target == "gateway":
        async with world.locks["gateway"]:
            await world.step_gateway(_chosen(GATEWAY_STEPS, one.draw))
        return
    index = int(one.draw * 1_000) % len(world.homes)
    world.steps[index] = _chosen(BOX_STEPS, one.draw * 1_000 % 1)
    world.ever_stepped.add(index)
    world.wish()


async def _refuse_notices(world: World, one: Round) -> None:
    """Have the webhook's other end be out of order for the next few notices."""
    world.receiver.answers += [503] * (1 + int(one.draw * 5))


async def _wire(world: World, one: Round) -> None:
    wire = world.wires[one.target]
    async with world.locks[one.target]:
        match one.fault:
            case "cut":
                wire.cut()
            case "cut one":
                wire.cut_one()
            case "half-close":
                wire.half_close()
            case "tear":
                wire.tear()
            case "slow":
                await wire.slow(one.seconds)
            case "refuse":
                await wire.refuse(min(one.seconds, _SILENCE))
            case _:
                then_cut = one.fault == "swallow and cut"
                await wire.swallow(min(one.seconds, _SILENCE), then_cut=then_cut)


def _chosen(steps: tuple[float, ...], draw: float) -> float:
    return steps[int(draw * len(steps))]


_FAULTS: Mapping[str, Callable[[World, Round], Awaitable[None]]] = {
    "kill": _kill,
    "freeze": _freeze,
    "restart with store": _with_store,
    "restart without store": _without_store,
    "stop immediately": _stop_immediately,
    "fill card": _fill_card,
    "fill disk": _fill_disk,
    "step clock": _step,
    "answer 503": _refuse_notices,
    "cut": _wire,
    "cut one": _wire,
    "half-close": _wire,
    "tear": _wire,
    "slow": _wire,
    "refuse": _wire,
    "swallow": _wire,
    "swallow and cut": _wire,
}

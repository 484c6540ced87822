"""The rounds: faults come one after the other and over one another, and are counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

from deploy.world.chaos.faults import NotHere, do
from deploy.world.chaos.plan import MENU, Round, counted_as
from deploy.world.chaos.world import World

AT_ONCE = 3
"""So many faults at most at the same time."""

Say = Callable[[str], None]


async def play(world: World, rounds: Sequence[Round], say: Say) -> Counter[str]:
    """Every round; what was done, how often. Ends when the last fault is over."""
    done = Counter(dict.fromkeys(sorted({_name(*one) for one in MENU}), 0))
    started, running = time.monotonic(), set[asyncio.Task[None]]()

    async def one_round(one: Round) -> None:
        try:
            await do(world, one)
        except NotHere:
            say(f"    {one.name}: not on this machine")
        else:
            done[one.name] += 1

    keepers = [asyncio.create_task(part.look_after()) for part in world.programs]
    try:
        async with asyncio.TaskGroup() as group:
            for one in rounds:
                say(_progress(one, len(rounds), time.monotonic() - started, world))
                task = group.create_task(one_round(one))
                running.add(task)
                task.add_done_callback(running.discard)
                if world.saboteur is not None:
                    await task  # it must have worked for a while before it is struck again
                await asyncio.sleep(one.pause)
                while len(running) >= AT_ONCE:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
    return done


def _name(fault: str, target: str) -> str:
    return f"{fault} {counted_as(target)}"


def _progress(one: Round, rounds: int, seconds: float, world: World) -> str:
    """One line: what is done to whom, and how much lies in the spools just now."""
    boxes = [box for house in world.status().values() for box in house["boxes"].values()]
    waiting = sum(box["depth"] for box in boxes)
    return (
        f"[{one.number}/{rounds}] {seconds:6.1f} s  {one.fault} {one.target}"
        f" ({one.seconds:.1f} s); {waiting} frames wait in the spools"
    )

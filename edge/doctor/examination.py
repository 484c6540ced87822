"""The doctor's round: every check at once, each with its time, told in one order as it is done."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from edge.doctor.verdict import WORST, State, Verdict, bad, unknown

Name = Literal["agent", "power", "disk", "clock", "radio", "link", "broker", "spool"]
NAMES: tuple[Name, ...] = get_args(Name)
"""In this order they are told: what is above explains what is below."""
SECONDS: Mapping[Name, float] = {"radio": 6, "link": 9, "broker": 11}
"""For each check; the others have `USUAL`. All run at once: the longest is how long it takes."""
USUAL = 4.0
FORMAT = 1

_AGAIN = "edge doctor again; if it hangs again, switch the box off and on"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Checked:
    """One check and what came of it."""

    name: Name
    verdict: Verdict


Checks = Mapping[Name, Callable[[], Awaitable[Verdict]]]


async def examine(
    checks: Checks,
    told: Callable[[Checked], None],
    *,
    seconds: Mapping[Name, float] = SECONDS,
    usual: float = USUAL,
) -> list[Checked]:
    """All checks; `told` hears each when it is done and those before it are."""
    tasks: dict[Name, asyncio.Task[Verdict]] = {
        name: asyncio.create_task(_within(checks[name], seconds.get(name, usual)))
        for name in NAMES
        if name in checks
    }
    done = list[Checked]()
    for name, task in tasks.items():
        done.append(Checked(name, await task))
        told(done[-1])
    return done


async def _within(check: Callable[[], Awaitable[Verdict]], seconds: float) -> Verdict:
    """A check that hangs or fails says so, and the others go on."""
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return bad(f"no answer within {seconds:g} s", _AGAIN)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the next check may tell why
        return unknown(f"it cannot be looked at: {type(fault).__name__}")


async def aside(work: Callable[[], _T]) -> _T:
    """The work's result, done in a thread that nobody waits for when it hangs."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, fault: Exception | None) -> None:
        if future.done():
            return
        if fault is not None:
            future.set_exception(fault)
        else:
            future.set_result(result)  # pyright: ignore[reportArgumentType] - a _T then

    def run() -> None:
        try:
            outcome: tuple[_T | None, Exception | None] = (work(), None)
        except Exception as fault:  # noqa: BLE001 - told to who waits
            outcome = (None, fault)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, daemon=True).start()
    return await future


def worst(checked: list[Checked]) -> State:
    """The state of the whole box; what is not known here speaks against nothing."""
    states = {one.verdict.state for one in checked}
    for state in WORST:
        if state in states and state != "unknown":
            return state
    return "ok"


def as_text(one: Checked) -> str:
    """A line, and a second one with what to do."""
    line = f"{one.verdict.state.upper():<8}{one.name:<7} {one.verdict.found}"
    return f"{line}\n{'':<16}do: {one.verdict.next}" if one.verdict.next else line


def as_json(checked: list[Checked], *, edge: str | None, at: int) -> str:
    """For programs; `at` is milliseconds since 1970."""
    checks = [
        {
            "name": one.name,
            "state": one.verdict.state,
            "found": one.verdict.found,
            "next": one.verdict.next,
        }
        for one in checked
    ]
    said = {"format": FORMAT, "edge": edge, "at": at, "state": worst(checked), "checks": checks}
    return json.dumps(said, ensure_ascii=False)

"""Looks at what the demo's evening came to, from outside: the public API and the webhook's end."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from deploy.world.api import Json
from deploy.world.receiver import Notice
from deploy.world.scenario import KINDS, PATIENCE, Evening
from deploy.world.tally import Tally, tally

_GRACE = 15.0
"""Seconds beyond the promised two minutes before the check gives up waiting."""
_SETTLING = 30.0


class Disappointment(Exception):
    """Something that the demo promises did not come; the text is one sentence that says what."""


async def check(evening: Evening, *, settling: float = _SETTLING) -> Json:
    """The result of the evening as one JSON object. Raises Disappointment.

    `settling`: seconds for the last frames to be sent and stored, once nothing more is said.
    """
    alerts = await _all_kinds(evening)
    seconds = time.monotonic() - evening.ready
    await _take_and_close(evening, _first(alerts, "call_pressed"))
    await _once_each(evening, alerts)
    counts = await _settled(evening, settling)
    return {
        "alerts": dict(Counter(alert["kind"] for alert in alerts)),
        "press_to_notice_ms": _press_to_notice(evening, alerts),
        "observations": counts.stored,
        "lost": counts.lost,
        "duplicated": counts.duplicated,
        "homes": evening.homes,
        "frames": counts.sent,
        "notices": len(evening.receiver.notices),
        "seconds_to_all_alerts": round(seconds, 1),
    }


async def _all_kinds(evening: Evening) -> list[Json]:
    left = evening.ready + PATIENCE + _GRACE - time.monotonic()
    alerts = await evening.nurse.until(lambda found: not _missing(found), seconds=left)
    if missing := _missing(alerts):
        complaints = evening.stack.complaints()
        also = f" The gateway says: {complaints[-1]}" if complaints else ""
        kinds = ", ".join(missing)
        raise Disappointment(
            f"After {PATIENCE + _GRACE:.0f} s there was no alert of kind {kinds}.{also}"
        )
    late = time.monotonic() - evening.ready - PATIENCE
    if late > 0:
        raise Disappointment(f"The last alert came {late:.0f} s later than within two minutes.")
    return alerts


def _missing(alerts: Sequence[Json]) -> list[str]:
    seen = {alert["kind"] for alert in alerts}
    return [kind for kind in KINDS if kind not in seen]


async def _take_and_close(evening: Evening, alert: Json) -> None:
    path = f"/alerts/{alert['id']}"
    taken = await evening.nurse.post(f"{path}/take")
    evening.say("The nurse takes the call.")
    closed = await evening.nurse.post(
        f"{path}/close", {"outcome": "helped", "version": taken["version"]}
    )
    moves = [(move["move"], move["before"], move["after"]) for move in closed["moves"]]
    if moves != [("take", "new", "taken"), ("close", "taken", "closed")]:
        raise Disappointment(f"The call was taken and closed, but its moves are {moves}.")
    evening.say("The nurse closes the call: helped.")


async def _once_each(evening: Evening, alerts: Sequence[Json]) -> None:
    """Every alert's notice came, signed, exactly once."""
    receiver = evening.receiver
    raised = {alert["id"] for alert in alerts}
    await receiver.until(lambda: raised <= {one.alert for one in _raisings(evening)}, seconds=10)
    await asyncio.sleep(1)  # a second one would come now
    times = Counter(notice.alert for notice in _raisings(evening))
    for alert in alerts:
        if times[alert["id"]] != 1:
            raise Disappointment(
                f"The webhook was told of {alert['kind']} {times[alert['id']]} times, not once."
            )
    bad = [notice for notice in receiver.notices if not notice.valid]
    if bad:
        raise Disappointment(f"A notice came that was not signed rightly: {bad[0].why}.")


def _raisings(evening: Evening) -> list[Notice]:
    said = (notice for notice in evening.receiver.notices if notice.valid)
    return [notice for notice in said if notice.body.get("type") == "alert.raised"]


def _press_to_notice(evening: Evening, alerts: Sequence[Json]) -> int:
    alert = _first(alerts, "call_pressed")
    told = evening.receiver.of(alert["id"])[0]
    return round((told.at - evening.pressed) * 1000)


def _first(alerts: Sequence[Json], kind: str) -> Json:
    return next(alert for alert in alerts if alert["kind"] == kind)


async def _settled(evening: Evening, settling: float) -> Tally:
    """What is stored when all that was heard has been sent: the box that was cut off goes on."""
    evening.say("The box that was cut off is let go on; what it kept is sent.")
    await evening.hush()
    end = time.monotonic() + settling
    counts = await tally(evening.stack.owner, evening.spools)
    while counts.lost and time.monotonic() < end:
        await asyncio.sleep(0.5)
        counts = await tally(evening.stack.owner, evening.spools)
    if counts.lost or counts.duplicated:
        raise Disappointment(
            f"{counts.lost} observations are lost {counts.missing} and"
            f" {counts.duplicated} stored twice {counts.surplus}."
        )
    return counts

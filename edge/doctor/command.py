"""`edge doctor`: what is looked at, by the box's settings and identity, and how it is told."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast

from edge.broker import Link
from edge.doctor import examination
from edge.doctor.agent import is_running, judge_agent, read_agent
from edge.doctor.broker import Broker, judge_broker, read_broker
from edge.doctor.clock import judge_time, read_time
from edge.doctor.disk import judge_disk, read_disk
from edge.doctor.examination import Checked, Checks, aside, examine
from edge.doctor.power import judge_power, read_power
from edge.doctor.radio import judge_radio, read_radio
from edge.doctor.spool import judge_spool, read_spool
from edge.doctor.verdict import Verdict
from edge.doctor.way import judge_way, read_way
from edge.joining.identity import BadIdentity, NotJoined, identity_of
from edge.keeping.disk import SPOOL
from edge.sending.floor import proved
from edge.settings import Settings
from edge.status import STATUS


def doctor(settings: Settings, *, as_json: bool) -> bool:
    """Look at everything, tell it, and say whether somebody should do something.

    It reads beside a running agent, takes no lock and writes nothing. Raises BadSetting.
    """
    patient = _patient(settings)
    told = _say_nothing if as_json else _say
    checked = asyncio.run(examine(_checks(patient), told))
    if as_json:
        at = settings.make_clock().now_ms()
        edge = None if patient.link is None else patient.link.edge
        sys.stdout.write(f"{examination.as_json(checked, edge=edge, at=at)}\n")
    return examination.worst(checked) in ("bad", "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    """`said` is what the agent last wrote of itself; `link` None: the box has not joined."""

    settings: Settings
    link: Link | None
    ours_until: float | None
    running: bool
    said: Mapping[str, Any]

    @property
    def now(self) -> datetime:
        return self.settings.make_clock().now()


def _patient(settings: Settings) -> _Patient:
    link, ours_until = None, None
    try:
        identity = identity_of(settings)
        link = identity.link()
        ours_until = identity.expires or None
    except (NotJoined, BadIdentity, OSError):
        pass
    return _Patient(
        settings=settings,
        link=link,
        ours_until=ours_until,
        running=is_running(settings.home),
        said=_said(settings),
    )


def _said(settings: Settings) -> Mapping[str, Any]:
    try:
        said = json.loads((settings.home / STATUS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _checks(patient: _Patient) -> Checks:
    return {
        "agent": partial(aside, partial(_agent, patient)),
        "power": partial(aside, lambda: judge_power(read_power())),
        "disk": partial(aside, partial(_disk, patient)),
        "clock": partial(aside, partial(_clock, patient)),
        "radio": partial(_radio, patient),
        "link": partial(aside, partial(_way, patient)),
        "broker": partial(aside, partial(_broker, patient)),
        "spool": partial(aside, partial(_spool, patient)),
    }


def _agent(patient: _Patient) -> Verdict:
    joined = patient.link is not None
    return judge_agent(read_agent(patient.said, joined=joined, running=patient.running))


def _disk(patient: _Patient) -> Verdict:
    days, trouble = patient.said.get("room_days"), patient.said.get("trouble")
    return judge_disk(
        read_disk(
            patient.settings.home,
            room_days=float(days) if isinstance(days, int | float) else None,
            trouble=trouble if isinstance(trouble, str) and patient.running else None,
        )
    )


def _clock(patient: _Patient) -> Verdict:
    clock, asked = patient.settings.make_clock(), patient.settings.synchronised == "auto"
    return judge_time(
        read_time(
            clock.now().timestamp(),
            synchronised=None if asked else clock.synchronised(),
            proved=proved(patient.settings.home / SPOOL),
        )
    )


async def _radio(patient: _Patient) -> Verdict:
    settings = patient.settings
    return judge_radio(
        await read_radio(
            settings.adapter,
            wanted=settings.radio,
            running=patient.running,
            said=patient.said,
            now=patient.now.timestamp(),
        )
    )


def _earliest(patient: _Patient) -> float | None:
    """As in tls.context."""
    sure = patient.settings.make_clock().synchronised()
    return None if sure else proved(patient.settings.home / SPOOL)


def _way(patient: _Patient) -> Verdict:
    if patient.link is None:
        return judge_way(read_way("", 0))
    return judge_way(read_way(patient.link.host, patient.link.port))


def _broker(patient: _Patient) -> Verdict:
    clock = patient.settings.make_clock()
    now = clock.now().timestamp()
    if patient.link is None:
        return judge_broker(Broker(joined=False), now)
    found = read_broker(
        patient.link,
        running=patient.running,
        connected=bool(patient.said.get("connected")),
        earliest=_earliest(patient),
        ours_until=patient.ours_until,
    )
    return judge_broker(found, now)


def _spool(patient: _Patient) -> Verdict:
    found = read_spool(patient.settings.home, said=patient.said, running=patient.running)
    return judge_spool(found, patient.now)


def _say(one: Checked) -> None:
    sys.stdout.write(f"{examination.as_text(one)}\n")
    sys.stdout.flush()


def _say_nothing(_: Checked) -> None:
    """For --json: all at once, at the end."""

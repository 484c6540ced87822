"""The stage `ingest`: two lanes, who is in contact, and what the boxes are told.

It may run several times on one broker and database, each under a name of its own: all of them get
every call, and each telemetry message goes to one (deploy/decisions/several-ingest.md).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from adapters.frame import LANES
from gateway.clock import Clock
from gateway.health import Health
from gateway.ingest.commands import Commands
from gateway.ingest.configs import Configs
from gateway.ingest.contact import UNSURE, Contacts
from gateway.ingest.duty import Duty
from gateway.ingest.group import group
from gateway.ingest.known import Known
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.readers import get_ready, tell_set_aside
from gateway.ingest.retention import keep_a_week
from gateway.ingest.room import Room
from gateway.ingest.spoken import Spoken
from gateway.ingest.states import TOPICS, States
from gateway.ingest.subscriber import KEEPALIVE, SESSION_EXPIRY, Broker, Subscriber
from gateway.ingest.uptime import BrokerUptime
from gateway.ingest.way import Way
from gateway.settings import Settings
from gateway.store.hung import end_hung
from gateway.store.pool import connect
from gateway.store.seal import of_settings

URGENT = ("edges/+/urgent",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How telemetry is divided among the ingest processes.

    A session of `expiry` 0 seconds ends with its connection: the broker gives the share of one
    that is gone to the others at once, and what it had in hand the boxes send again. `keepalive`
    seconds and half of that again, and one that hangs is gone too. `{group}` is the gateway's own.
    """

    topics: Sequence[str] = ("$share/{group}/edges/+/bulk",)
    expiry: int = 0
    keepalive: int = 10
    session: type[Subscriber] = Subscriber


SHARED = Sharing()


async def run(
    settings: Settings,
    clock: Clock,
    health: Health,
    *,
    pipeline: type[Pipeline] = Pipeline,
    unsure: float = UNSURE,
    sharing: Sharing = SHARED,
) -> None:
    """Until cancelled. A session and a connection of its own for each lane: calls overtake.

    Tests give a pipeline or sharing that breaks its promise, or `unsure` seconds (contact.py).
    """
    tell_set_aside(health)
    async with connect(settings, "ingest") as pool, asyncio.TaskGroup() as tasks:
        tasks.create_task(get_ready())
        urgent = _session(settings, health, "urgent", URGENT)
        shared = [topic.format(group=group(settings)) for topic in sharing.topics]
        bulk = _session(settings, health, "bulk", shared, sharing)
        teller = _session(settings, health, "config", TOPICS)
        duty, room = Duty(pool), Room(settings, health)
        known = Known(pool, of_settings(settings))
        configs, uptime = Configs(duty, pool, teller, clock), BrokerUptime(teller)
        spoken = Spoken(
            settings, pool, clock, known=known, subscriber=urgent, duty=duty, health=health
        )
        contacts = Contacts(
            duty,
            known,
            clock,
            teller,
            running=configs.running,
            spoken=spoken.heard,
            broker_since=uptime.since,
            unsure=unsure,
        )
        worker = partial(pipeline, pool=pool, known=known, contacts=contacts, clock=clock)
        lanes = _lanes(partial(worker, health=health, room=room, way=Way()), urgent, bulk)
        commands = Commands(duty, pool, teller, clock)
        states = States(
            teller, pool, clock, health, contacts=contacts, uptime=uptime, commands=commands
        )
        telling = (configs, commands, states, contacts, spoken)
        for part in (*lanes, urgent, teller, room, known, *telling):
            tasks.create_task(part.run())
        for work in (room.while_there(bulk), keep_a_week(duty, pool, clock), end_hung(pool)):
            tasks.create_task(work)


def _lanes(worker: Callable[..., Pipeline], *subscribers: Subscriber) -> Iterator[Pipeline]:
    for lane, subscriber in zip(LANES, subscribers, strict=True):
        yield worker(lane, subscriber=subscriber)


def broker_of(settings: Settings) -> Broker:
    """The gateway's own way to the broker."""
    return Broker(
        host=settings.broker_host,
        port=settings.broker_port,
        ca=settings.broker_ca,
        identity=settings.broker_identity,
        password=settings.broker_password.get_secret_value(),
    )


def _session(
    settings: Settings,
    health: Health,
    name: str,
    topics: Sequence[str],
    sharing: Sharing | None = None,
) -> Subscriber:
    """One of the three sessions of this process."""
    kind = Subscriber if sharing is None else sharing.session
    return kind(
        broker_of(settings),
        f"gateway-{name}",
        topics,
        name=settings.ingest_name,
        expiry=SESSION_EXPIRY if sharing is None else sharing.expiry,
        keepalive=KEEPALIVE if sharing is None else sharing.keepalive,
        changed=_part(health, name),
    )


def _part(health: Health, name: str) -> Callable[[str | None], None]:
    """Notes whether a session is connected."""
    part = f"ingest {name}: broker"
    health.bad(part, "not connected yet")

    def changed(why: str | None) -> None:
        if why is None:
            health.ok(part)
        else:
            health.bad(part, why)

    return changed

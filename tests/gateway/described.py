"""Holds the served API to its own description, with schemathesis: what it asked, what came."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import schemathesis
from schemathesis import engine
from schemathesis.engine import events
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

from gateway.api import app as api
from gateway.api.app import Pages
from gateway.health import Health
from gateway.store.caller import Role
from tests.gateway.asked import Asker, configured, know_the_formats, may
from tests.gateway.office import Office

Json = Any
CHECKED = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "positive_data_acceptance",
    "negative_data_rejection",
    "use_after_free",
    "ensure_resource_availability",
    "missing_required_header",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
}
"""Every check must have been made: none is left out."""


@dataclass
class Tally:
    """What came of all that was asked."""

    operations: set[str] = field(default_factory=set[str])
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    checks: Counter[str] = field(default_factory=Counter[str])
    phases: Counter[str] = field(default_factory=Counter[str])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def answered_well(self) -> set[str]:
        """Operations that had an answer of 2xx."""
        return {way for way, status in self.answers if 200 <= status < 300}

    @property
    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(status for _, status in self.answers.elements())

    def of(self, way: str) -> dict[int, int]:
        """How often the operation answered what."""
        return {status: count for (asked, status), count in self.answers.items() if asked == way}

    def take(self, event: Any) -> None:
        if isinstance(event, events.ScenarioFinished):
            self._take(event)
        elif isinstance(event, events.NonFatalError):
            self.failures[f"{event.label} cannot be asked"] = repr(event.value)
        elif isinstance(event, events.FatalError):
            self.failures["schemathesis itself"] = repr(event.exception)

    def _take(self, event: Any) -> None:
        told = event.recorder
        for number, exchange in told.interactions.items():
            case, answer = told.cases[number].value, exchange.response
            self.phases[event.phase.value] += 1
            if answer is not None and case.method.upper() == case.operation.method.upper():
                self.answers[case.operation.label, answer.status_code] += 1
        for number, checks in told.checks.items():
            for one in checks:
                self.checks[one.name] += 1
                if one.failure_info is not None:
                    self._fail(told, number, one)

    def _fail(self, told: Any, number: str, check: Any) -> None:
        why, exchange = check.failure_info, told.interactions.get(number)
        case = told.cases[number].value
        answer = exchange.response.content[:400] if exchange and exchange.response else b""
        self.failures.setdefault(
            f"{case.operation.label}: {check.name}: {why.failure.title}",
            f"{why.failure.message}\n{why.code_sample[:800]}\n{answer!r}",
        )


@asynccontextmanager
async def serving(here: Office, *pages: Pages) -> AsyncGenerator[str]:
    """The stage `api` itself, over a real socket; its address."""
    health = Health()
    running = asyncio.create_task(api.run(here.desk.settings, here.clock, health, pages=pages))
    while not health.ready and not running.done():  # noqa: ASYNC110 - it has no bell
        await asyncio.sleep(0.02)
    try:
        yield f"http://{here.desk.settings.http_listen}"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def held_to_its_word(
    here: Office,
    asks: Asker,
    address: str,
    *,
    most: int,
    only: Sequence[str] = (),
    sparing: Sequence[str] = (),
) -> Tally:
    """All that schemathesis asks, in a thread of its own; `most` examples an operation.

    `only` are the operations to ask, all if not said; of those in `sparing` the systematic phase,
    which walks through every part of the schema, is left out.
    """
    async with httpx2.AsyncClient() as client:
        document = (await client.get(f"{address}/openapi.json")).json()
    document["paths"] = _only(document["paths"], only)
    config = configured(asks, document, most, sparing)

    def step() -> None:
        here.clock.pass_(seconds=3)  # so that no limit of so many a minute is met

    return await asyncio.to_thread(_ask, address, document, config, _before(asks, step))


def _only(paths: Json, only: Sequence[str]) -> Json:
    """The paths with one of these operations, or all; whole, as `Allow` names every method."""
    kept = {way.split(" ")[1] for way in only}
    return {path: methods for path, methods in paths.items() if path in kept or not only}


Hook = Callable[[Any, Any, Any], None]


def _before(asks: Asker, step: Callable[[], None]) -> Hook:
    def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001 - its names
        step()
        named: Any = case.path_parameters or {}
        if named.get("public") == asks.own:  # who ends the own key is out
            named["public"] = asks.ids["keys"][0]

    return before_call


def _ask(address: str, document: Json, config: Json, before_call: Hook) -> Tally:
    tally = Tally()
    know_the_formats()
    configs: Any = schemathesis.Config  # it leaves the types of its own functions half said
    schema: Any = schemathesis.openapi.from_dict(document, config=configs.from_dict(config))
    schema.config.update(base_url=address)
    for found in schema.get_all_operations():
        tally.operations.add(found.ok().label)
    hooks: Any = GLOBAL_HOOK_DISPATCHER
    hooks.hook(before_call)
    try:
        for event in engine.from_schema(schema).execute():
            tally.take(event)
    finally:
        hooks.unregister(before_call)
    return tally


NOT_HAD: Mapping[str, str] = {
    "POST /session/role": "a key acts in its own role, only a session changes it: test_sessions",
    "DELETE /sessions/{public}": "a key has no sessions: test_sessions",
}
"""Operations that no key gets 2xx of, and where else that is shown."""


SELDOM: Mapping[str, str] = {
    "GET /edges/{edge}/commands/{command}": "one's own of the last hour: test_commands",
    "POST /edges/{edge}/code": "a box that has not joined and is not shut out: test_edges_api",
    "POST /edges/{edge}/replace": "a box that is not shut out yet: test_edges_api",
    "POST /edges/{edge}/move": "a box that is not shut out yet: test_edges_api",
    "GET /log": "of `citizen` and `person` one alone: test_audit_api",
    "PUT /placements/{public}/dose-plan": "a placement that lasts, in a dispenser: test_api_homes",
    "POST /placements/{public}/repair": "another citizen who can have it: test_register_repair",
    "POST /keys/{public}/rotate": "a key that has not ended meanwhile: test_api_keys",
    "POST /people/{public}/teams": "a person and a team that fit: test_register_people",
    "DELETE /people/{public}/teams/{team}": "a person who belongs to it: test_register_people",
}
"""Operations that chance gets 2xx of only now and then, for what, and where that is shown.

Of all others at least nine in ten must have had it: which ones is drawn with the examples.
"""


def shown(tally: Tally, role: Role) -> None:
    """Prints what came of it, and fails unless all of it is as it was said."""
    allowed = {way for way in tally.operations if may(role, way)}
    well = tally.answered_well
    print(  # noqa: T201 - the counts to show
        f"\n{role}: {tally.answers.total()} requests {dict(tally.phases)}, "
        f"{len(well)} of {len(allowed)} allowed operations with 2xx "
        f"({len(tally.operations)} in all), {dict(tally.statuses)}; "
        f"never 2xx: {sorted(allowed - well)}"
    )
    assert not tally.failures, "\n\n".join(f"{name}\n{why}" for name, why in tally.failures.items())
    assert not [answer for answer in tally.answers if answer[1] >= 500]
    assert set(tally.checks) >= CHECKED, CHECKED - set(tally.checks)
    assert not well - allowed, f"{role} had what is not theirs: {well - allowed}"
    missing = allowed - well - set(NOT_HAD)
    missing -= set(SELDOM)
    assert len(missing) <= len(allowed) // 10, {way: tally.of(way) for way in missing}

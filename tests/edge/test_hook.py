"""A call that reaches nobody is told in the home, once an outage, and that it came through too."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.broker import Broker
from edge.event import Voice, event
from edge.keeping.spool import Spool
from edge.sending.hook import Hook, Outage, oldest_call
from edge.sending.uplink import Uplink
from tests.edge.cable import Cable
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import gateway
from tests.edge.uplinks import BOX, by, drained, running, sending

CALL, NEXT = ("stream", 1), ("stream", 2)
AFTER = 0.4


def test_a_program_is_run_once_an_outage_and_again_when_minutes_have_passed() -> None:
    outage = Outage(60, 300)

    said = {now: outage.look(CALL, now) for now in range(0, 700, 20)}
    over = [outage.look(None, 700), outage.look(None, 720)]

    assert {now for now, word in said.items() if word} == {60, 360, 660}
    assert over == ["over", None]


def test_calls_that_come_through_in_time_are_no_outage() -> None:
    outage = Outage(60, 300)

    said = [outage.look(("stream", now // 50), now) for now in range(0, 1_000, 10)]

    assert {*said, outage.look(None, 1_000)} == {None}


def test_more_calls_in_an_outage_do_not_run_it_again_and_the_next_outage_does() -> None:
    outage = Outage(60, 300)
    for now in (0, 60):
        outage.look(CALL, now)
    assert [outage.look(NEXT, now) for now in (61, 130, 359)] == [None, None, None]

    outage.look(None, 400)
    said = [outage.look(NEXT, now) for now in (410, 469, 470)]

    assert said == [None, None, "waiting"]


def test_an_outage_that_outlives_the_agent_is_told_as_over() -> None:
    outage = Outage(60, 300, begun=True)

    assert [outage.look(CALL, 0), outage.look(None, 5)] == [None, "over"]


def program(folder: Path, *lines: str) -> tuple[str, ...]:
    """A program that writes down how it was run."""
    file, said = folder / "hook", folder / "said"
    note = f'echo "$*" >>{said}; /usr/bin/env >{folder}/environment'
    file.write_text("\n".join(("#!/bin/sh", note, *lines)) + "\n")
    file.chmod(0o755)
    return (str(file), "two words")


def said(folder: Path) -> list[str]:
    file = folder / "said"
    return file.read_text().splitlines() if file.exists() else []


async def comes(what: Callable[[], object]) -> None:
    for _ in range(400):
        if what():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


async def told(folder: Path, lines: int) -> list[str]:
    await comes(lambda: len(said(folder)) >= lines)
    return said(folder)


def kept(spool: Spool) -> list[dict[str, Any]]:
    """What the box says of its hook."""
    run = spool.cut("urgent", frames=100, octets=60_000)
    frames = [json.loads(text) for text in run.frames] if run else []
    return [json.loads(bytes.fromhex(f["value"])) for f in frames if f.get("uuid") == "line.hook"]


async def test_three_calls_on_a_dead_line_run_it_once_and_once_more_when_they_are_through(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    command = program(tmp_path)
    async with Cable(broker.port) as cable, gateway(broker, BOX) as there:
        with Spool(tmp_path / "spool", clock) as spool:
            hook = Hook(command, spool, Voice(spool.append, clock, BOX), after=AFTER)
            async with sending(Uplink(spool, by(cable), clock)), running(hook.run()):
                cable.cut()
                spool.append_many([heard(n) for n in range(3)], "urgent")
                await told(tmp_path, 1)
                await asyncio.sleep(AFTER)
                cable.mend()
                await told(tmp_path, 2)
                await drained(spool)
        events = [f["value"] for f in there.frames.values() if f["heard"] == "box"]

    assert said(tmp_path) == ["two words waiting 0 3", "two words over 0 0"]
    assert json.loads(bytes.fromhex(events[0])) == {
        "said": "waiting",
        "seconds": 0,
        "calls": 3,
        "code": 0,
        "failed": None,
    }
    environment = (tmp_path / "environment").read_text()
    names = {line.split("=")[0] for line in environment.splitlines()}
    assert names <= {"PATH", "PWD", "_", "SHLVL", "OLDPWD"}, "what any shell sets, no password"


async def test_it_is_not_run_for_telemetry_the_boxs_own_words_or_what_has_its_receipt(
    tmp_path: Path, clock: HandClock
) -> None:
    command = program(tmp_path)
    with Spool(tmp_path / "spool", clock) as spool:
        spool.append(heard(1), "urgent")
        run = spool.cut("urgent", frames=1, octets=60_000)
        assert run is not None
        spool.receipt({run.stream: [(1, 1)]}, epoch="e")
        spool.append(event("storage.failed", clock, BOX), "urgent")
        spool.append(heard(2), "bulk")

        async with running(Hook(command, spool, Voice(spool.append, clock, BOX), after=0.1).run()):
            await asyncio.sleep(0.3)

        assert (oldest_call(spool), said(tmp_path)) == (None, [])


@pytest.mark.parametrize(
    ("lines", "code", "failed"),
    [(["exit 3"], 3, "exit"), (["sleep 99 & sleep 99"], None, "timeout")],
)
async def test_a_program_that_fails_or_hangs_is_told_and_nothing_of_it_is_left(
    tmp_path: Path, clock: HandClock, lines: list[str], code: int | None, failed: str
) -> None:
    command = program(tmp_path, f"echo $$ >{tmp_path}/session", *lines)
    with Spool(tmp_path / "spool", clock) as spool:
        spool.append(heard(1), "urgent")
        hook = Hook(command, spool, Voice(spool.append, clock, BOX), after=0.1, longest=0.3)
        async with running(hook.run()):
            await comes(lambda: kept(spool))
        [how] = kept(spool)

    assert (how["code"], how["failed"]) == (code, failed)
    assert members(int((tmp_path / "session").read_text())) == []


def members(session: int) -> list[str]:
    """The processes that live in a session, proc_pid_stat(5)."""
    found = list[str]()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = file.read_text().rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(rest.split()[3]) == session and rest.split()[0] != "Z":
            found.append(name)
    return found


async def test_what_a_program_says_does_not_reach_the_journal(
    tmp_path: Path, clock: HandClock, capfd: pytest.CaptureFixture[str]
) -> None:
    command = program(tmp_path, "echo on the card", "echo on the card >&2")
    with Spool(tmp_path / "spool", clock) as spool:
        spool.append(heard(1), "urgent")
        async with running(Hook(command, spool, Voice(spool.append, clock, BOX), after=0.1).run()):
            await comes(lambda: kept(spool))

    assert "on the card" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("program", ["/nowhere/hook", "/usr/bin"])
async def test_a_program_that_is_not_there_is_told_at_the_start_and_at_the_call(
    tmp_path: Path, clock: HandClock, program: str
) -> None:
    with Spool(tmp_path / "spool", clock) as spool:
        say = Voice(spool.append, clock, BOX)
        async with running(Hook((program,), spool, say, after=0.1).run()):
            await asyncio.sleep(0.05)
            early = kept(spool)
            spool.append(heard(1), "urgent")
            await comes(lambda: len(kept(spool)) > 1)
        late = kept(spool)[-1]

    assert early == [{"said": "start", "failed": "not_there"}]
    assert (late["said"], late["failed"]) == ("waiting", "not_run")
    assert late["calls"] == 1


async def test_a_box_started_anew_in_an_outage_says_when_it_is_over(
    tmp_path: Path, clock: HandClock
) -> None:
    command = program(tmp_path)
    with Spool(tmp_path / "spool", clock) as spool:
        spool.append(heard(1), "urgent")
        async with running(Hook(command, spool, Voice(spool.append, clock, BOX), after=0.1).run()):
            await told(tmp_path, 1)
    with Spool(tmp_path / "spool", clock) as spool:
        name = oldest_call(spool)
        assert name is not None
        spool.receipt({name[0]: [(1, 9)]}, epoch="e")
        async with running(Hook(command, spool, Voice(spool.append, clock, BOX), after=60).run()):
            lines = await told(tmp_path, 2)

    assert lines[1] == "two words over 0 0"

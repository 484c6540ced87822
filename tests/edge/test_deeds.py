"""What the box does when it is asked: blinks, tells its last lines, ends to be started again."""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.keeping.spool import SpoolFailed
from edge.told.command import Commands, answer
from edge.told.deeds import NOTE, Deed, Done, Restarts, Undone, of_box
from edge.told.lamp import NoLamp, blink
from edge.told.lines import HIDDEN, MOST, LastLines, scrubbed
from gateway.ingest.commands import read_reply
from tests.edge.frames import HandClock
from tests.edge.test_command import command
from tests.edge.uplinks import running

PLACED, NEIGHBOUR = "A4:C1:38:00:00:01", "C0:FF:EE:00:00:01"
ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def led(leds: Path, name: str, trigger: str = "none rc-feedback [mmc0] timer") -> Path:
    """A lamp as the kernel shows it, of plain files."""
    made = leds / name
    made.mkdir(parents=True)
    (made / "trigger").write_text(trigger)
    (made / "brightness").write_text("1")
    (made / "max_brightness").write_text("255")
    return made


async def test_the_lamp_blinks_and_then_does_what_it_did_before(tmp_path: Path) -> None:
    led(tmp_path, "PWR", "none [default-on]")
    lamp = led(tmp_path, "ACT")
    seen = set[str]()

    blinking = asyncio.create_task(blink(0.6, tmp_path))
    while not blinking.done():
        seen.add((lamp / "brightness").read_text())
        assert (tmp_path / "PWR/trigger").read_text() == "none [default-on]"
        await asyncio.sleep(0.03)

    assert await blinking == "act"
    assert seen >= {"0", "255"}
    assert (lamp / "trigger").read_text() == "mmc0"


async def test_a_blinking_that_is_given_up_gives_the_lamp_back(tmp_path: Path) -> None:
    lamp = led(tmp_path, "led0", "[none] timer")
    blinking = asyncio.create_task(blink(60, tmp_path))
    await asyncio.sleep(0.2)
    blinking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blinking

    assert ((lamp / "trigger").read_text(), (lamp / "brightness").read_text()) == ("none", "1")


@pytest.mark.parametrize("what", ["nothing", "no trigger", "another lamp"])
async def test_without_a_lamp_that_we_may_light_it_is_said(tmp_path: Path, what: str) -> None:
    if what == "no trigger":
        (led(tmp_path, "ACT") / "trigger").unlink()
        (tmp_path / "ACT/trigger").mkdir()
    if what == "another lamp":
        led(tmp_path, "input3::capslock")

    with pytest.raises(NoLamp):
        await blink(5, tmp_path)


def logged(*texts: str) -> LastLines:
    lines, log = LastLines(), logging.Logger("edge")  # noqa: LOG001 - one that nobody else hears
    log.addHandler(lines)
    for text in texts:
        log.warning(text)
    return lines


def test_the_last_lines_are_the_newest_and_fit_an_answer_however_much_is_logged() -> None:
    lines = logged(*(f'line {number} "æ" {"x" * 300}' for number in range(1_000)), "y" * 90_000)

    text = lines.text([])
    said = read_reply(answer(ID, Done(log=text)))

    assert len(text.encode()) <= MOST
    assert "line 999" in text
    assert "line 1 " not in text
    assert said.log == text


def test_what_makes_an_answer_long_does_not_make_it_too_long() -> None:
    lines = logged(*('\\"\n\t\x00' * 300 for _ in range(200)))

    said = read_reply(answer(ID, Done(log=lines.text([]))))

    assert said.log


def test_no_neighbour_and_no_secret_is_in_the_lines() -> None:
    lines = logged(
        f"{PLACED} and {NEIGHBOUR}",
        "/org/bluez/hci0/dev_C0_FF_EE_00_00_01 c0-ff-ee-00-00-01",
        "mqtt://box:hemmelig@gateway and geheim",
    )

    text = lines.text({PLACED}, ["geheim", ""])

    assert f"{PLACED} and {HIDDEN}" in text
    assert "FF" not in text.upper().replace(PLACED, "")
    assert ("geheim" in text, "hemmelig" in text) == (False, False)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no address", "no address"),
        ("00:11:22:33:44", "00:11:22:33:44"),
        ("x C0:FF:EE:00:00:01.", f"x {HIDDEN}."),
        (PLACED.lower(), PLACED.lower()),
        ("1C0:FF:EE:00:00:012", "1C0:FF:EE:00:00:012"),
    ],
)
def test_an_address_is_known_wherever_it_stands(text: str, left: str) -> None:
    assert scrubbed(text, {PLACED}) == left


def test_debugging_is_left_to_the_journal() -> None:
    lines, log = LastLines(), logging.Logger("edge")  # noqa: LOG001 - one that nobody else hears
    log.addHandler(lines)
    log.debug(NEIGHBOUR)

    assert lines.text([]) == ""


class Notes:
    """A spool's notes."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.broken = False

    def recall(self, name: str) -> str | None:
        return self.kept.get(name)

    def remember(self, name: str, value: str) -> None:
        if self.broken:
            raise SpoolFailed("the disk is gone")
        self.kept[name] = value


class Box:
    """An agent's life: what it answers, and whether it ended to be started again."""

    def __init__(self, notes: Notes, clock: HandClock) -> None:
        self.said: list[dict[str, Any]] = []
        self.ended = 0
        self.restarts = Restarts(notes, clock, self._end)
        self.deeds: Mapping[str, Deed] = of_box(lambda: "a line", self.restarts)
        self.commands = Commands(clock, self.deeds, self._reply, self.restarts.last)

    def _end(self) -> None:
        self.ended += 1

    def _reply(self, payload: bytes) -> None:
        self.said.append(json.loads(payload))


async def test_a_restart_is_noted_before_it_is_done_and_answered_by_the_next_agent(
    clock: HandClock,
) -> None:
    notes, asked = Notes(), command(clock, id=ID, do="restart", seconds=60)
    first = Box(notes, clock)
    async with running(first.commands.run()):
        first.commands.take(asked)
        await asyncio.sleep(0.05)
    assert (first.ended, first.said, NOTE in notes.kept) == (1, [], True)

    clock.running += 7
    second = Box(notes, clock)
    async with running(second.commands.run()):
        second.commands.take(asked)
        second.commands.take(asked)
        await asyncio.sleep(0.05)

    assert second.restarts.is_back
    assert second.ended == 0, "an answer that was lost must not restart it again"
    assert [(one["id"], one["error"], one["did"]) for one in second.said] == [
        (ID, None, {"away_seconds": 7.0})
    ] * 2
    third = Box(notes, clock)
    assert not third.restarts.is_back
    third.commands.take(asked)
    assert [one["id"] for one in third.said] == [ID]


async def test_a_restart_that_is_not_noted_would_go_on_and_on(clock: HandClock) -> None:
    """The saboteur: what the note is for."""
    asked, ended = command(clock, id=ID, do="restart", seconds=60), 0
    for _ in range(3):
        box = Box(Notes(), clock)  # nothing is remembered
        async with running(box.commands.run()):
            box.commands.take(asked)
            await asyncio.sleep(0.05)
        ended += box.ended

    assert ended == 3


async def test_a_restart_that_cannot_be_noted_is_not_done(clock: HandClock) -> None:
    notes = Notes()
    box = Box(notes, clock)
    notes.broken = True
    async with running(box.commands.run()):
        box.commands.take(command(clock, do="restart", seconds=60))
        await asyncio.sleep(0.05)

    assert (box.ended, [one["error"] for one in box.said]) == (0, ["failed"])


async def test_a_power_cut_meanwhile_is_told_as_such(clock: HandClock) -> None:
    notes = Notes()
    await Restarts(notes, clock, lambda: None).do(ID, 60)
    clock.boot = "another boot"

    last = Restarts(notes, clock, lambda: None).last

    assert last == (ID, Done(did={"rebooted": True}))


@pytest.mark.parametrize(
    "note", ["", "x", "[]", "{}", '{"id": 1, "uptime": 2}', '{"id": "a", "uptime": 1, "did": 3}']
)
def test_a_note_that_is_none_is_borne(clock: HandClock, note: str) -> None:
    notes = Notes()
    notes.kept[NOTE] = note

    restarts = Restarts(notes, clock, lambda: None)

    assert (restarts.is_back, restarts.last) == (False, None)


async def test_a_deed_that_hangs_fails_or_cannot_be_done_is_answered(clock: HandClock) -> None:
    async def hang(_: str, __: float) -> None:
        await asyncio.sleep(3_600)

    async def fail(_: str, __: float) -> None:
        raise KeyError("x")

    async def cannot(_: str, __: float) -> None:
        raise Undone("no_lamp")

    said: list[dict[str, Any]] = []
    deeds = {
        name: Deed(least=-5, most=60, do=do)
        for name, do in {"hang": hang, "fail": fail, "cannot": cannot}.items()
    }
    commands = Commands(clock, deeds, lambda payload: said.append(json.loads(payload)))
    async with running(commands.run()):
        for do, seconds in (("fail", 5), ("cannot", 5), ("hang", -5)):
            commands.take(command(clock, do=do, seconds=seconds))
            await asyncio.sleep(0.1)

    assert [one["error"] for one in said] == ["failed", "no_lamp", "too_late"]


async def test_the_log_is_the_answer(clock: HandClock) -> None:
    box = Box(Notes(), clock)
    async with running(box.commands.run()):
        box.commands.take(command(clock, do="send_log", seconds=10))
        box.commands.take(command(clock, do="update", seconds=10))
        await asyncio.sleep(0.05)

    assert [(one["error"], one.get("log")) for one in box.said] == [
        ("unknown_command", None),
        (None, "a line"),
    ]

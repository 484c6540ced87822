"""Each state of each part of the box has its sentence and what to do next; by tables."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edge.doctor.agent import Agent, judge_agent
from edge.doctor.broker import Broker, judge_broker
from edge.doctor.clock import Time, judge_time
from edge.doctor.disk import Disk, judge_disk
from edge.doctor.power import Power, judge_power
from edge.doctor.radio import Radio, judge_radio
from edge.doctor.spool import Spooled, judge_spool
from edge.doctor.verdict import State, Verdict, lasting, sized
from edge.doctor.way import Way, judge_way

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
AT = NOW.timestamp()
DAY = 86_400.0


def is_sound(verdict: Verdict) -> bool:
    """What is wrong has something to do next, and nothing else has."""
    return bool(verdict.next) == (verdict.state in ("warn", "bad")) and bool(verdict.found)


@pytest.mark.parametrize(
    ("power", "state", "words"),
    [
        (Power(), "unknown", "not known here"),
        (Power(celsius=47.2), "unknown", "not known here, 47 degrees"),
        (Power(throttled=0), "ok", "never too low"),
        (Power(throttled=0x50005), "bad", "the voltage is too low"),
        (Power(alarm=True), "bad", "the voltage is too low"),
        (Power(alarm=False), "ok", "never too low"),
        (Power(throttled=0x50000), "warn", "was too low since"),
        (Power(throttled=0x8), "warn", "too hot"),
        (Power(throttled=0x80000), "warn", "was too hot"),
        (Power(throttled=0, celsius=81), "warn", "too hot and runs slower, 81 degrees"),
        (Power(throttled=0x2), "warn", "slows the box down"),
    ],
)
def test_power(power: Power, state: State, words: str) -> None:
    verdict = judge_power(power)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


ROOM = Disk(free=12_000_000_000, errors=0, room_days=60, written=80e6)


@pytest.mark.parametrize(
    ("disk", "state", "words"),
    [
        (ROOM, "ok", "12.0 GB free, room for 60 days of frames, 80 MB written a day"),
        (Disk(failed="Input/output error"), "bad", "cannot be looked at: Input/output error"),
        (replace(ROOM, read_only=True), "bad", "takes no writes"),
        (replace(ROOM, trouble="storage_failed"), "bad", "the card fails"),
        (replace(ROOM, trouble="card_full"), "bad", "the card is full"),
        (replace(ROOM, free=1_000_000), "bad", "the card is full, 1 MB free"),
        (replace(ROOM, free=100_000_000), "warn", "nearly full"),
        (replace(ROOM, errors=3), "bad", "counted 3 errors"),
        (replace(ROOM, worn=80), "warn", "used up to 80 % of its life"),
        (replace(ROOM, worn=70), "ok", "at most 70 % worn"),
        (replace(ROOM, room_days=6.5), "warn", "little room"),
        (replace(ROOM, written=40e9), "warn", "40.0 GB written a day"),
    ],
)
def test_disk(disk: Disk, state: State, words: str) -> None:
    verdict = judge_disk(disk)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


@pytest.mark.parametrize(
    ("time", "state", "words"),
    [
        (Time(shows=AT, synchronised=True, off=0.012), "ok", "synchronised, at most 12 ms off"),
        (Time(shows=AT, synchronised=True), "ok", "2026-09-01 12:00:00 UTC"),
        (Time(shows=AT, synchronised=True, off=90), "warn", "at most 90 s off"),
        (Time(shows=AT, synchronised=False, off=16), "warn", "times are corrected"),
        (Time(shows=90, synchronised=False), "bad", "cannot be right: it shows 1970-01-01"),
        (Time(shows=AT, synchronised=False, earliest=AT + 1), "bad", "cannot be right"),
    ],
)
def test_clock(time: Time, state: State, words: str) -> None:
    verdict = judge_time(time)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


HEARS = Radio(
    adapter="hci0",
    powered=True,
    scanning=True,
    near=9,
    running=True,
    reader="hearing",
    ever=3,
    placed=2,
    ago=30,
)
WORD = "of this home's 3 since the agent's start, 2 in the minute before 30 s ago"


@pytest.mark.parametrize(
    ("radio", "state", "words"),
    [
        (HEARS, "ok", f"hci0 is on, 9 devices heard now; {WORD}"),
        (replace(HEARS, ever=None), "ok", "hci0 is on, 9 devices heard now"),
        (Radio(wanted=False), "unknown", "EDGE_RADIO=no"),
        (Radio(failed="ServiceUnknown"), "bad", "bluetoothd does not run"),
        (Radio(failed="NoReply"), "bad", "D-Bus does not answer: NoReply"),
        (Radio(), "bad", "no Bluetooth adapter"),
        (replace(HEARS, powered=False), "bad", "hci0 is switched off"),
        (replace(HEARS, running=False), "unknown", "the agent does not run"),
        (replace(HEARS, reader="silent"), "bad", "hears nothing"),
        (replace(HEARS, scanning=False, near=0), "warn", "does not scan"),
        (replace(HEARS, scanning=False), "ok", "hci0 is on"),
        (replace(HEARS, near=0, placed=0), "warn", "0 devices heard now"),
        (replace(HEARS, near=0, placed=1), "ok", "1 in the minute"),
    ],
)
def test_radio(radio: Radio, state: State, words: str) -> None:
    verdict = judge_radio(radio)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


HOME = Way(host="gateway.example", port=8883, interface="eth0", address="10.0.0.5", names=1)
NOWHERE = replace(HOME, interface=None, unknown_name="Temporary failure in name resolution")


@pytest.mark.parametrize(
    ("way", "state", "words"),
    [
        (HOME, "ok", "eth0, 10.0.0.5; gateway.example:8883 answers"),
        (replace(HOME, wifi=-60), "ok", "10.0.0.5, Wi-Fi at -60 dBm"),
        (replace(HOME, wifi=-80), "warn", "Wi-Fi at -80 dBm"),
        (replace(NOWHERE, address=None), "bad", "no network: no default route, no address"),
        (NOWHERE, "bad", "no way out of the home"),
        (replace(HOME, unknown_name="Name or service not known"), "bad", "is not found"),
        (replace(HOME, unreachable="Connection refused"), "bad", "cannot be reached: Connection"),
        (replace(HOME, interface=None, unreachable="x"), "bad", "cannot be reached: x"),
        (Way(interface="eth0", address="10.0.0.5"), "ok", "no broker before it has joined"),
        (Way(), "bad", "no network"),
    ],
)
def test_link(way: Way, state: State, words: str) -> None:
    verdict = judge_way(way)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


TAKES = Broker(tls=True, until=AT + 80 * DAY, ours_until=AT + 60 * DAY, connected=True)


@pytest.mark.parametrize(
    ("broker", "state", "words"),
    [
        (
            TAKES,
            "ok",
            "the agent is connected; its certificate lasts until 2026-11-20, ours until 2026-10-31",
        ),
        (replace(TAKES, asked=True, connected=False), "ok", "it takes this box; its"),
        (replace(TAKES, connected=False), "warn", "it answers; its certificate"),
        (Broker(joined=False), "unknown", "before the box has joined"),
        (Broker(unreachable="No route to host"), "bad", "cannot be asked: No route to host"),
        (replace(TAKES, untrusted="self-signed certificate"), "bad", "not trusted: self-signed"),
        (replace(TAKES, refused="the box's certificate was revoked"), "bad", "was revoked"),
        (replace(TAKES, ours_until=AT - 1), "bad", "the box's certificate has expired"),
        (replace(TAKES, ours_until=AT - 1, refused="x"), "bad", "certificate has expired"),
        (replace(TAKES, ours_until=AT + 20 * DAY), "warn", "not renewed in time"),
        (Broker(connected=True), "ok", "in clear"),
    ],
)
def test_broker(broker: Broker, state: State, words: str) -> None:
    verdict = judge_broker(broker, AT)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


EMPTY = Spooled(
    depths={"urgent": (0, None), "bulk": (0, None)}, streams=3, receipt=AT - 60, size=1_200_000
)


def since(seconds: float) -> int:
    return round((AT - seconds) * 1_000)


@pytest.mark.parametrize(
    ("spool", "state", "words"),
    [
        (
            EMPTY,
            "ok",
            "0 bulk frames wait, the last receipt came lately, 3 streams, 1.2 MB",
        ),
        (Spooled(there=False), "ok", "none yet"),
        (Spooled(failed="database disk image is malformed"), "bad", "cannot be read: database"),
        (replace(EMPTY, receipt=None), "ok", "no receipt has ever come"),
        (replace(EMPTY, receipt=float(1 << 52)), "ok", "while the clock was wrong"),
        (replace(EMPTY, receipt=AT - 3 * DAY), "ok", "the last receipt came 3 days ago"),
        (
            replace(EMPTY, depths={"urgent": (1, since(61)), "bulk": (0, None)}),
            "bad",
            "calls wait: 1 urgent frame waits (the oldest heard 61 s ago)",
        ),
        (replace(EMPTY, depths={"urgent": (1, since(5)), "bulk": (0, None)}), "ok", "5 s ago"),
        (
            replace(EMPTY, depths={"urgent": (0, None), "bulk": (40, since(7_300))}),
            "warn",
            "40 bulk frames wait (the oldest heard 2 h ago)",
        ),
    ],
)
def test_spool(spool: Spooled, state: State, words: str) -> None:
    verdict = judge_spool(spool, NOW)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


def test_frames_that_wait_are_the_lines_or_the_gateways_doing() -> None:
    waits = replace(EMPTY, depths={"urgent": (1, since(600)), "bulk": (0, None)})

    assert "link and broker" in judge_spool(waits, NOW).next
    assert "/readyz" in judge_spool(replace(waits, connected=True), NOW).next


RUNS = Agent(joined=True, running=True, version="1.2.3", config=7)


@pytest.mark.parametrize(
    ("agent", "state", "words"),
    [
        (RUNS, "ok", "running, version 1.2.3, configuration 7"),
        (replace(RUNS, path=2), "ok", "by the second way"),
        (replace(RUNS, joined=False), "bad", "has not joined"),
        (replace(RUNS, running=False), "bad", "does not run"),
        (replace(RUNS, unkept=4), "bad", "4 frames could not be kept"),
        (replace(RUNS, refused="config.calls: not a list"), "warn", "config.calls: not a list"),
        (replace(RUNS, config=0), "warn", "not been told what to hear"),
    ],
)
def test_agent(agent: Agent, state: State, words: str) -> None:
    verdict = judge_agent(agent)

    assert (verdict.state, words in verdict.found, is_sound(verdict)) == (state, True, True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days")],
)
def test_a_time_is_as_long_as_one_says_it(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_a_size_is_as_large_as_one_says_it() -> None:
    assert [sized(octets) for octets in (0, 3_200, 12_000_000, 1_440_000_000)] == [
        "0 kB",
        "3 kB",
        "12 MB",
        "1.4 GB",
    ]

"""The count of the chaos finds each kind of fault in what is stored, and nothing else."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.world.oracle_alerts import Dose, Town, night
from deploy.world.oracle_stored import Obligation, Stored, count, fingerprint

STREAM = "0b559f46-bbad-4e9d-b897-13ba31e71102"
NIGHT = datetime(2026, 1, 14, 0, 30, tzinfo=ZoneInfo("Europe/Copenhagen"))
NONE = frozenset[str]()


def obligation(sequence: int = 1, **fields: Any) -> Obligation:
    said: dict[str, Any] = {
        "edge": "box-1",
        "lane": "bulk",
        "place": (STREAM, sequence),
        "sha": fingerprint(_frame(sequence)),
        "device": "C0:00:00:00:00:01",
        "at": _ms(NIGHT) + sequence * 60_000,
        "meant": (("motion", 1.0, None),),
    }
    return Obligation(**(said | fields))


def stored(*kept: Obligation, times: int = 1) -> Stored:
    batch = {"stream": STREAM, "first": 1, "frames": [_frame(one.place[1]) for one in kept]}
    return Stored(
        received={STREAM: [(1, len(kept))]},
        gone={},
        rows=Counter({row: times for one in kept for row in one.rows()}),
        payloads=[json.dumps(batch).encode()],
    )


def test_what_is_stored_as_it_was_kept_is_neither_lost_nor_doubled() -> None:
    kept = [obligation(1), obligation(2)]

    found = count(kept, stored(*kept), may_give_up=NONE, stepped=NONE)

    assert (found.sent, found.stored, found.lost, found.surplus) == (2, 2, {}, Counter())


SPOILED: Sequence[tuple[Callable[[Stored], Stored], str]] = [
    (lambda s: replace(s, received={STREAM: [(1, 1)]}), "not in the ledger"),
    (lambda s: replace(s, gone={STREAM: [(2, 2)]}), "in the ledger as gone"),
    (lambda s: replace(s, payloads=[]), "in the ledger, in no message"),
    (lambda s: replace(s, payloads=[_other_bytes()]), "in a message with other bytes"),
    (lambda s: replace(s, rows=Counter(obligation(1).rows())), "no row of kind 1"),
]


@pytest.mark.parametrize(("spoiled", "why"), SPOILED)
def test_each_way_of_losing_a_frame_is_found(spoiled: Callable[[Stored], Stored], why: str) -> None:
    kept = [obligation(1), obligation(2)]

    found = count(kept, spoiled(stored(*kept)), may_give_up=NONE, stepped=NONE)

    assert found.lost[STREAM, 2] == why


def test_a_row_too_many_is_found() -> None:
    kept = obligation(1)

    found = count([kept], stored(kept, times=2), may_give_up=NONE, stepped=NONE)

    assert found.surplus.total() == 1


def test_only_telemetry_of_a_full_card_may_be_given_up() -> None:
    kept, call = obligation(1), obligation(1, lane="urgent")
    without = replace(stored(kept), gone={STREAM: [(1, 1)]}, rows=Counter(), payloads=[])
    full = frozenset({"box-1"})

    assert count([kept], without, may_give_up=full, stepped=NONE).given_up == 1
    assert count([kept], without, may_give_up=NONE, stepped=NONE).lost
    assert count([call], without, may_give_up=full, stepped=NONE).lost


def test_a_record_that_the_device_gives_twice_is_wanted_once() -> None:
    said: Any = {"meant": (("tray_open", None, None),), "record": (7, 1_768_347_000)}
    kept = [obligation(1, **said), obligation(2, **said)]
    held = replace(stored(*kept), rows=Counter(kept[0].rows()))

    found = count(kept, held, may_give_up=NONE, stepped=NONE)

    assert (found.lost, found.surplus) == ({}, Counter())


def test_only_a_box_whose_clock_was_stepped_may_have_a_time_counted_back() -> None:
    kept = obligation(1)
    address, kind, _, value, code = kept.rows()[0]
    held = replace(stored(kept), rows=Counter([(address, kind, None, value, code)]))

    assert count([kept], held, may_give_up=NONE, stepped=NONE).lost
    assert not count([kept], held, may_give_up=NONE, stepped=frozenset({"box-1"})).lost


# ---------------------------------------------------------------- the night


def test_hearings_of_a_press_are_one_and_presses_join_one_case() -> None:
    first = [_press(0, counter=1), _press(9, counter=1, edge="box-2"), _press(18, counter=1)]
    later = [_press(29, counter=1), _press(30, counter=2)]

    came = night([*first, *later], _town())

    assert came.cases == {("anna", "call_pressed"): 1}
    assert sorted(fact[2].split()[1] for fact in came.facts) == ["1", "1", "2"]
    assert came.notices["anna", "call_pressed", "alert.raised"] == 1
    assert came.notices["anna", "call_pressed", "alert.again"] == 2


def test_a_button_of_nobody_is_a_case_of_whoever_lives_where_it_was_heard() -> None:
    came = night([_press(0, counter=1, button="C0:00:00:00:00:99", edge="box-2")], _town())

    assert came.cases == {("bodil", "unknown_device"): 1}


def test_a_door_is_one_case_a_night_and_none_by_day() -> None:
    door = [_door(minutes) for minutes in (0, 5, -3 * 60, -12 * 60)]

    came = night(door, _town())

    assert came.cases == {("anna", "night_door"): 1}
    assert [fact[2] for fact in came.facts] == [f"2026-01-13 {_ms(NIGHT)}"]


def test_a_dose_is_missed_unless_it_was_taken_in_time() -> None:
    due = NIGHT - timedelta(minutes=10)
    dose = Dose(
        citizen="anna", dispenser=_DISPENSER, slot=2, due=due, limit=due + timedelta(hours=4)
    )
    town = replace(_town(), doses=[dose])

    assert night([], town).cases == {("anna", "dose_missed"): 1}
    assert night([_taken(due + timedelta(hours=5))], town).cases
    assert not night([_taken(due + timedelta(hours=1))], town).cases


def test_a_box_that_was_ended_is_one_case_of_its_home() -> None:
    came = night([], replace(_town(), silenced=frozenset({"box-2"})))

    assert came.cases == {("bodil", "box_silent"): 1}


_BUTTON, _DOOR, _DISPENSER = "C0:00:00:00:00:0B", "C0:00:00:00:00:0D", "C0:00:00:00:00:0E"


def _town() -> Town:
    return Town(
        zone=ZoneInfo("Europe/Copenhagen"),
        citizen_of_device=dict.fromkeys((_BUTTON, _DOOR, _DISPENSER), "anna"),
        citizen_of_edge={"box-1": "anna", "box-2": "bodil"},
        doses=[],
        silenced=NONE,
    )


def _press(seconds: int, *, counter: int, button: str = _BUTTON, edge: str = "box-1") -> Obligation:
    meant = (("call_pressed", float(counter), None),)
    return obligation(edge=edge, device=button, at=_ms(NIGHT) + seconds * 1000, meant=meant)


def _door(minutes: int) -> Obligation:
    return obligation(device=_DOOR, at=_ms(NIGHT) + minutes * 60_000, meant=(("door", 1.0, None),))


def _taken(at: datetime) -> Obligation:
    meant = (("dose_taken", None, 2),)
    return obligation(device=_DISPENSER, meant=meant, record=(1, round(at.timestamp())))


def _frame(sequence: int) -> dict[str, Any]:
    return {"device": "C0:00:00:00:00:01", "at": sequence}


def _other_bytes() -> bytes:
    frames = [_frame(1), _frame(2) | {"rssi": -50}]
    return json.dumps({"stream": STREAM, "first": 1, "frames": frames}).encode()


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)

"""A recording is read exactly, and one that cannot be replayed says where and why."""

import gzip
from collections import Counter
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deploy.world.oracle import night_doors
from deploy.world.recording import BadRecording, read_recording

HEADER = "timestamp,home_id,sensor_id,kind,value,unit,label\n"
DOOR = "2019-04-01T23:30:00,a,front,door,1,,\n"
LONDON = ZoneInfo("Europe/London")


def test_a_time_without_an_offset_is_local(tmp_path: Path) -> None:
    recording = read_recording(_file(tmp_path, HEADER + DOOR), zone=LONDON)

    assert recording.events[0].at == 1554157800_000  # 22:30 UTC: it is summer in London


def test_a_packed_file_reads_the_same(tmp_path: Path) -> None:
    plain = _file(tmp_path, HEADER + DOOR)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert read_recording(packed, zone=LONDON) == read_recording(plain, zone=LONDON)


def test_values_keep_every_digit_and_kinds_without_an_adapter_are_counted(tmp_path: Path) -> None:
    rows = (
        "2019-04-01T07:58:18,a,thermometer,body_temperature,37.007,Cel,\n"
        "2019-04-01T08:57:31,a,bp_monitor,bp_systolic,142.0,mm[Hg],\n"
    )

    recording = read_recording(_file(tmp_path, HEADER + rows), zone=LONDON)

    assert [event.value for event in recording.events] == [Decimal("37.007")]
    assert recording.skipped == {"bp_systolic": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,home_id,kind,value\n", "no column sensor_id"),
        ("", "no column timestamp, home_id, sensor_id, kind, value"),
        (HEADER, "no row that can be replayed"),
        (HEADER + DOOR + "yesterday,a,front,door,1,,\n", "line 3: 'yesterday' is not a time"),
        (HEADER + "2019-04-01T23:30:00,a,front,smell,1,,\n", "line 2: the kind 'smell'"),
        (HEADER + "2019-04-01T23:30:00,a,front,door,wide,,\n", "line 2: the value 'wide'"),
        (HEADER + "2019-04-01T23:30:00,a,front,door,nan,,\n", "line 2: the value 'nan'"),
        (HEADER + DOOR + DOOR + "2019-04-01T23:30:00,a\n", "line 4: too few fields"),
        (HEADER + "2019-04-01T23:30:00,,front,door,1,,\n", "line 2: home_id or sensor_id"),
    ],
)
def test_a_file_that_cannot_be_replayed_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadRecording, match=said):
        read_recording(_file(tmp_path, text), zone=LONDON)


def test_a_file_that_is_not_packed_as_its_name_says_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "recording.csv.gz"
    wrong.write_text(HEADER + DOOR)

    with pytest.raises(BadRecording, match="cannot be read"):
        read_recording(wrong, zone=LONDON)
    with pytest.raises(BadRecording, match="cannot be read"):
        read_recording(tmp_path / "none.csv", zone=LONDON)


def test_a_night_is_counted_once_and_belongs_to_its_evening(tmp_path: Path) -> None:
    rows = DOOR + (
        "2019-04-02T05:59:59,a,back,door,1,,\n"  # the same night
        "2019-04-04T06:00:00,a,back,door,1,,\n"  # day
        "2019-04-05T12:00:00,c,back,door,1,,\n"  # day, of a home that has no night door
        "2019-04-06T22:59:59,a,back,door,1,,\n"  # evening
        "2019-04-08T23:00:00,a,fridge,contact,1,,\n"  # not a door
        "2019-04-10T23:00:00,a,back,door,1,,\n"
        "2019-04-02T00:10:00,b,back,door,1,,\n"
    )

    counted = night_doors(_file(tmp_path, HEADER + rows), LONDON)

    assert {(home, day.isoformat()) for home, day in counted} == {
        ("a", "2019-04-01"),
        ("a", "2019-04-10"),
        ("b", "2019-04-01"),
    }


@pytest.mark.slow
def test_the_shared_recordings_hold_what_their_page_says(shared: Path) -> None:
    events = read_recording(shared / "data" / "tihm_events_shared.csv.gz", zone=LONDON)
    vitals = read_recording(shared / "data" / "tihm_vitals_shared.csv.gz", zone=LONDON)

    assert (len(events.events), len(events.homes)) == (329_361, 25)
    assert Counter(event.kind for event in vitals.events) == {
        "body_temperature": 1775,
        "skin_temperature": 273,
    }
    assert sum(vitals.skipped.values()) == 5395 - 2048


def _file(folder: Path, text: str) -> Path:
    path = folder / "recording.csv"
    path.write_text(text)
    return path

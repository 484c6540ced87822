"""The demo's command: it says what is wrong, plays the same days the same way, keeps its word."""

import csv
import gzip
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.exits import Exit
from deploy.world.demo import main

FROM, TO = "2019-05-10", "2019-05-13"
HOMES = 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--replay", "FILE"], Exit.USAGE, "line 2: 'today' is not a time"),
        (["--replay", "NONE"], Exit.USAGE, "cannot be read"),
        (["--replay", "FILE", "--zone", "Mars/Base"], Exit.USAGE, "Mars/Base is not a time zone"),
    ],
)
def test_what_cannot_be_played_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("timestamp,home_id,sensor_id,kind,value\ntoday,a,front,door,1\n")
    places = {"FILE": str(bad), "NONE": str(tmp_path / "none.csv")}

    assert main(["--check", *(places.get(word, word) for word in words)]) == code

    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


def test_a_word_that_is_not_understood_has_the_exit_code_of_the_set_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--homes", "1"])

    assert ended.value.code == Exit.USAGE
    assert "from 2 to 500" in capsys.readouterr().err


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        code = main(["--check", "--port", str(taken.getsockname()[1])])

    assert code == Exit.PORT_IN_USE
    assert "is in use" in capsys.readouterr().err


@pytest.mark.slow
def test_a_recording_is_stored_whole_and_its_alerts_are_the_same_each_time(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = _slice(shared / "data" / "tihm_events_shared.csv.gz", tmp_path / "days.csv")

    first, second = (_replayed(recording, tmp_path / name, capsys) for name in ("a", "b"))

    assert first["replayed"] == first["stored"] == _rows(recording) > 1000
    assert (first["lost"], first["duplicated"]) == (0, 0)
    assert first["night_door"] == first["night_door_naive"] > 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first["alerts_sha256"] == second["alerts_sha256"]


@pytest.mark.long
def test_the_evening_keeps_its_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0

    said = _last_line(capsys)
    assert set(said["alerts"]) >= {"call_pressed", "dose_missed", "night_door", "box_silent"}
    assert (said["lost"], said["duplicated"]) == (0, 0)
    assert said["press_to_notice_ms"] < 1000
    assert said["observations"] > 200


@pytest.mark.long
def test_every_recorded_event_and_temperature_is_stored(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = _replayed(shared / "data" / "tihm_events_shared.csv.gz", tmp_path / "events", capsys)
    vitals = _replayed(shared / "data" / "tihm_vitals_shared.csv.gz", tmp_path / "vitals", capsys)

    assert events["replayed"] == events["stored"] == 329_361
    assert events["night_door"] == events["night_door_naive"] == 201
    assert vitals["replayed"] == vitals["stored"] == 2_048
    assert vitals["skipped"] != {}


def _replayed(recording: Path, alerts: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    words = ["--check", "--replay", str(recording), "--speed", "max", "--alerts", str(alerts)]
    assert main(words) == 0
    return _last_line(capsys)


def _last_line(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def _slice(recording: Path, to: Path) -> Path:
    """Some days of the homes that say most in them."""
    with gzip.open(recording, "rt", newline="") as lines:
        rows = list(csv.reader(lines))
    days = [row for row in rows[1:] if FROM <= row[0] < TO]
    busy = sorted({row[1] for row in days}, key=lambda home: -sum(row[1] == home for row in days))
    with to.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *(row for row in days if row[1] in busy[:HOMES])])
    return to


def _rows(recording: Path) -> int:
    return len(recording.read_text().splitlines()) - 1

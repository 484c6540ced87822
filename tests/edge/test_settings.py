"""Settings are refused early, with the name of the variable that is wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.clock import clock_from, kernel_is_synchronised
from edge.settings import BadSetting, Settings


def test_an_empty_environment_is_a_box_in_production() -> None:
    settings = Settings.read({"HOME": "/root", "PATH": "/bin"})

    assert (settings.home, settings.clock, settings.production) == (
        Path("/var/lib/trygport"),
        "wall",
        True,
    )


def test_what_is_given_is_taken() -> None:
    settings = Settings.read(
        {
            "EDGE_HOME": "/tmp/box",  # noqa: S108 - never opened
            "EDGE_PRODUCTION": "no",
            "EDGE_CLOCK": "offset:3600",
            "EDGE_RADIO": "no",
            "EDGE_SILENCE": "60",
            "EDGE_PASSWORD": "hemmelig",
        }
    )

    assert (settings.radio, settings.silence, settings.production) == (False, 60.0, False)
    assert "hemmelig" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("EDGE_CLOCK", "offset:3600", "in production only wall"),
        ("EDGE_PRODUCTION", "maybe", "neither yes nor no"),
        ("EDGE_SILENCE", "soon", "EDGE_SILENCE"),
        ("EDGE_SILENCE", "nan", "at least"),
        ("EDGE_KEEP_DAYS", "1", "at least 3 days"),
        ("EDGE_BROKER", "http://x", "mqtts://"),
        ("EDGE_BROKER", "mqtt://", "HOST:PORT"),
        ("EDGE_BROKER", "mqtt://broker:99999", "EDGE_BROKER=mqtt://broker:99999"),
        ("EDGE_BROKER", "mqtt://broker:abc", "EDGE_BROKER=mqtt://broker:abc"),
        ("EDGE_SILENCE", "1e7", "at most 1,000,000"),
        ("EDGE_SECOND_BROKER", "192.0.2.7", "mqtts://"),
        ("EDGE_ID", "a/#", "letters, digits and hyphens"),
        ("EDGE_ID", "box\n", "letters, digits and hyphens"),
        ("EDGE_SECOND_INTERFACE", "wwan0/eth0", "ip link"),
        ("EDGE_SECOND_INTERFACE", "a-name-that-is-too-long", "ip link"),
        ("EDGE_SECOND_AFTER", "1", "between 5 and 600 seconds"),
        ("EDGE_SECOND_AFTER", "nan", "between 5 and 600 seconds"),
        ("EDGE_HOOK", "call-for-help", "full path"),
        ("EDGE_HOOK", "/bin/say 'help", "No closing quotation"),
        ("EDGE_HOOK", "/bin/say help | /bin/tee", "no shell is used"),
        ("EDGE_HOOK_AFTER", "5", "between 10 and 3600 seconds"),
        ("EDGE_HOOK_EVERY", "0", "between 1 and 1440 minutes"),
        ("EDGE_LOG", "LOUD", "DEBUG"),
        ("EDGE_SYNCHRONISED", "perhaps", "auto, yes, no"),
        ("EDGE_BROKR", "mqtt://x", "there is no such setting"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(BadSetting) as refused:
        Settings.read({name: value})

    assert name in str(refused.value)
    assert words in str(refused.value)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(BadSetting, match="settings of their own") as refused:
        Settings.read({"EDGE_SECOND_BROKER": "mqtts://user:hemmelig/@192.0.2.7"})

    assert "hemmelig" not in str(refused.value)


def test_the_second_way_is_tried_before_the_hook_says_that_nobody_is_reached() -> None:
    hook = {"EDGE_HOOK": "/bin/say 'no help' yet", "EDGE_HOOK_AFTER": "25"}

    alone = Settings.read(hook)
    with pytest.raises(BadSetting, match=r"EDGE_HOOK_AFTER=25: .* at least 30 seconds"):
        Settings.read(hook | {"EDGE_SECOND_INTERFACE": "wwan0"})

    assert alone.hook_command == ("/bin/say", "no help", "yet")


@pytest.mark.parametrize("clock", ["sundial", "offset:", "offset:soon", "driven:", "offset:inf"])
def test_a_clock_that_is_none_is_refused(clock: str) -> None:
    with pytest.raises(BadSetting, match="EDGE_CLOCK"):
        Settings.read({"EDGE_CLOCK": clock, "EDGE_PRODUCTION": "no"})


def test_an_offset_clock_runs_beside_the_wall() -> None:
    clock = clock_from("offset:-7200", synchronised="yes")

    assert abs(clock.now() - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(seconds=1)
    assert abs(clock.now_ms() - clock.now().timestamp() * 1000) < 1000
    assert clock.synchronised()


def test_a_driven_clock_stands_where_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = clock_from(f"driven:{file}")

    file.write_text("2026-10-25T02:30:00+02:00\n")
    first = clock.now()
    file.write_text("2026-10-25T01:30:00+00:00")

    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert clock.now_ms() - int(first.timestamp() * 1000) == 3_600_000
    assert (clock.driven, clock.synchronised()) == (True, True)


def test_uptime_never_steps_and_the_boot_has_a_name() -> None:
    clock = clock_from("wall")

    assert clock.uptime() <= clock.uptime()
    assert len(clock.boot) == 36
    assert clock.synchronised() == kernel_is_synchronised()

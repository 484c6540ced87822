"""A setting that cannot be followed is refused at once, by name."""

from pathlib import Path

import pytest

from gateway.clock import DrivenClock, WallClock, clock_from
from gateway.settings import BadSetting, Settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GATEWAY_CLOCK", "sundial", "GATEWAY_CLOCK: 'sundial' is none of"),
        ("GATEWAY_CLOCK", "offset:60", "in production only wall is allowed"),
        ("GATEWAY_BROKER_PORT", "many", "GATEWAY_BROKER_PORT: "),
        ("GATEWAY_DATABASE", "postgresql://me@host/name", "GATEWAY_DATABASE: "),
        ("GATEWAY_DATABASE", "host", "GATEWAY_DATABASE: "),
        ("GATEWAY_WEBHOOK_URL", "https://example.org", "GATEWAY_WEBHOOK_SECRET"),
        ("GATEWAY_DATABSE", "x", "GATEWAY_DATABSE: there is no such setting"),
    ],
)
def test_a_bad_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSetting) as refused:
        Settings.read()

    assert words in str(refused.value)


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_BROKER_PASSWORD", "hunter2")
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", "postgresql://owner:hunter2@host/name")

    assert "hunter2" not in repr(Settings.read())


def test_a_driven_clock_stands_still_until_its_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "now"
    file.write_text("2019-04-01T12:00:00+02:00\n")
    clock = clock_from(f"driven:{file}")
    assert isinstance(clock, DrivenClock)
    assert clock.driven
    assert clock.now().isoformat() == "2019-04-01T10:00:00+00:00"
    assert clock.now_ms() == 1_554_112_800_000

    file.write_text("2019-04-01T11:00:00Z")

    assert clock.now_ms() == 1_554_116_400_000


def test_an_offset_clock_runs_beside_the_wall() -> None:
    ahead = clock_from("offset:3600.5")

    assert isinstance(ahead, WallClock)
    assert ahead.now_ms() - WallClock().now_ms() == pytest.approx(3_600_500, abs=500)

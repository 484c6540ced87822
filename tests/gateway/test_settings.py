"""A setting that cannot be followed is refused at once, by name."""

import re
import secrets
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


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"broker_host": "10.0.0.7"}, "MQTT in clear is for this machine alone"),
        ({"broker_host": "broker.kommune.dk"}, "set GATEWAY_BROKER_IDENTITY"),
        ({"edge_broker": "mqtt://10.0.0.7:1883"}, "GATEWAY_EDGE_BROKER=mqtt://10.0.0.7:1883"),
        ({"edge_broker": "mqtt://broker.kommune.dk"}, "only mqtts://"),
        ({"clock": "driven:/tmp/now"}, "in production only wall"),
    ],
)
def test_production_refuses_what_only_a_test_may_do(settings: dict[str, str], said: str) -> None:
    Settings.model_validate({**settings, "production": False})

    with pytest.raises(ValueError, match=re.escape(said)):
        Settings.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"broker_host": "localhost"},
        {"broker_host": "::1"},
        {"broker_host": "broker.kommune.dk", "broker_tls_ca": "ca.pem"},
        {"broker_host": "broker.kommune.dk", "broker_identity": "identity"},
        {"edge_broker": "mqtts://broker.kommune.dk:8883"},
    ],
)
def test_production_takes_what_is_safe(settings: dict[str, str]) -> None:
    assert Settings.model_validate(settings).production


@pytest.mark.parametrize(
    "name",
    [
        "authority",
        "broker_identity",
        "broker_files",
        "broker_password_file",
        "identity_key",
        "tls_key",
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o601])
def test_production_refuses_a_secret_that_everybody_can_read(
    name: str, mode: int, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    settings = {name: secret, "broker_password": "long enough, I think"}
    assert Settings.model_validate(settings)
    secret.chmod(mode)

    with pytest.raises(ValueError, match=f"type chmod {mode & 0o770:o} {secret}"):
        Settings.model_validate(settings)


@pytest.mark.parametrize("word", ["", "trygport", "aaaaaaaaaaaaaaaaaaaaaaaa", "1212121212121212"])
def test_production_refuses_a_password_of_the_broker_that_can_be_guessed(word: str) -> None:
    Settings.model_validate({"broker_password": word, "production": False}).refuse_open_broker()

    with pytest.raises(BadSetting, match="at least 16 random characters"):
        Settings.model_validate({"broker_password": word}).refuse_open_broker()


def test_production_takes_a_random_one_or_certificates() -> None:
    Settings.model_validate({"broker_password": secrets.token_hex(16)}).refuse_open_broker()
    Settings.model_validate({"broker_identity": "identity"}).refuse_open_broker()


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

"""What the gateway must be told, read once from the environment, refused early."""

import os
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.clock import clock_from

PREFIX = "GATEWAY_"
"""Every setting is a variable of the environment: this prefix and the field's name in capitals."""


_SECRETS = (
    "authority",
    "broker_identity",
    "broker_files",
    "broker_password_file",
    "identity_key",
    "tls_key",
)
"""Files and folders that others must not read."""

_LEAST_PASSWORD, _LEAST_LETTERS = 16, 6


class BadSetting(ValueError):
    """A setting cannot be followed; the text names the variable and what it may be."""


class Settings(BaseSettings):
    """Each setting with what it is for; README says the same (a test holds it to this file)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    database: str = Field(
        default="postgresql://127.0.0.1:5432/trygport",
        description="postgresql://HOST:PORT/NAME without a user: each stage connects as its own, "
        "with the password that PGPASSFILE holds for it",
    )
    database_owner: SecretStr = Field(
        default=SecretStr(""),
        description="whole address, with the user who owns the schema: for migrate, people, edges, "
        "restored",
    )
    broker_host: str = Field(default="127.0.0.1", description="the broker's host")
    broker_port: int = Field(default=1883, ge=1, le=65535, description="the broker's port")
    broker_tls_ca: Path | None = Field(
        default=None, description="PEM file of the broker's authority; without it no TLS is used"
    )
    broker_password: SecretStr = Field(
        default=SecretStr(""),
        description="password of gateway-urgent, gateway-bulk and gateway-config at the broker",
    )
    broker_identity: Path | None = Field(
        default=None,
        description="folder with the certificates of gateway-urgent, gateway-bulk and "
        "gateway-config and with root.pem: shown to the broker in place of a password",
    )
    broker_password_file: Path | None = Field(
        default=None, description="Mosquitto's password file, written by the gateway when set"
    )
    broker_pid_file: Path | None = Field(
        default=None, description="Mosquitto's pid file: told to read its files again"
    )
    broker_files: Path | None = Field(
        default=None,
        description="folder that Mosquitto reads, written by the stage edges: its certificate, our "
        "authority, who is revoked, who may do what",
    )
    broker_log: Path | None = Field(
        default=None, description="Mosquitto's log file: whom it refused is counted from it"
    )
    authority: Path | None = Field(
        default=None,
        description="folder of our certificate authority (gateway authority begin); only the stage "
        "edges reads it",
    )
    edge_listen: str = Field(
        default="127.0.0.1:8444", description="HOST:PORT of the boxes' HTTPS, served by edges"
    )
    edge_address: str = Field(
        default="127.0.0.1:8444", description="the same as boxes reach it, told in CODE"
    )
    edge_broker: str = Field(
        default="mqtt://127.0.0.1:1883",
        description="mqtt:// or mqtts://HOST:PORT that a joining box is told",
    )
    edge_broker_here: str | None = Field(
        default=None,
        description="HOST:PORT of the boxes' broker as this machine reaches it, where that is "
        "another than GATEWAY_EDGE_BROKER: the canary is refused there",
    )
    edge_broker_ca: Path | None = Field(
        default=None, description="PEM file of that broker's authority, told to a joining box"
    )
    http_listen: str = Field(default="127.0.0.1:8080", description="HOST:PORT of plain HTTP")
    https_listen: str | None = Field(default=None, description="HOST:PORT of HTTPS")
    tls_cert: Path | None = Field(default=None, description="PEM certificate of HTTPS")
    tls_key: Path | None = Field(default=None, description="PEM private key of HTTPS")
    public_address: str = Field(
        default="127.0.0.1:8443", description="HOST:PORT of HTTPS as people reach it"
    )
    ingest_name: str = Field(
        default="1",
        pattern=r"^[a-z0-9-]{1,20}$",
        description="this ingest among those that run at the same time: each has its own",
    )
    database_folder: Path | None = Field(
        default=None,
        description="folder on the database's disk, where this machine has it: telemetry is left "
        "with the boxes while it is nearly full",
    )
    least_free: int = Field(
        default=2_000_000_000,
        ge=0,
        description="bytes to be free there for telemetry to be taken; calls always are",
    )
    backup_hours: float = Field(
        default=36,
        gt=0,
        le=24 * 365,
        description="hours between two backups of the database: a box is at fault that keeps "
        "receipted frames for less than twice as long, or for less than 3 days",
    )
    announce: bool = Field(
        default=True,
        description="tells boxes after a restore what is stored, and asks for what is missing",
    )
    identity_key: Path | None = Field(
        default=None,
        description="file outside the database with the keys that seal names and addresses; "
        "production needs it",
    )
    requests_a_minute: int = Field(
        default=600, ge=1, description="at most so many of one caller; then 429 with Retry-After"
    )
    oidc_issuer: str = Field(
        default="",
        description="the sign-in provider's issuer, letter by letter as it calls itself (OpenID "
        "Connect); without it people sign in with a password",
    )
    oidc_client_id: str = Field(default="", description="our name at the provider")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="our secret there, where it gave one"
    )
    oidc_redirect: str = Field(
        default="",
        description="https://HOST/login/back, as people reach it and as the provider was told",
    )
    oidc_municipality: str = Field(
        default="", description="the municipality whose people the provider knows"
    )
    audit_heads: Path | None = Field(
        default=None,
        description="file outside the database, best on another machine, to which the heads of the "
        "access log's chains are added once a minute",
    )
    webhook_url: str | None = Field(default=None, description="where notices are sent")
    webhook_secret: SecretStr | None = Field(
        default=None, description="whsec_… that signs notices (Standard Webhooks)"
    )
    clock: str = Field(default="wall", description="wall, offset:SECONDS or driven:PATH")
    production: bool = Field(
        default=True,
        description="true refuses every clock but wall, a webhook or MQTT in clear to elsewhere, a "
        "broker password that can be guessed, and keys that everybody on the machine can read",
    )
    log: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="the least that is logged"
    )

    @classmethod
    def read(cls) -> Self:
        """The settings in the environment. Raises BadSetting for a wrong or unknown one."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        unknown = [name for name in os.environ if name.startswith(PREFIX) and name not in known]
        if unknown:
            raise BadSetting(f"{min(unknown)}: there is no such setting")
        try:
            return cls()
        except ValidationError as bad:
            raise BadSetting(_in_words(bad)) from bad

    @property
    def broker_ca(self) -> Path | None:
        """PEM file of the broker's authority, where there is any."""
        if self.broker_tls_ca is None and self.broker_identity is not None:
            return self.broker_identity / "root.pem"
        return self.broker_tls_ca

    @property
    def days_to_keep(self) -> float:
        """Days that boxes must keep receipted frames, so that a restored gateway can be filled."""
        return max(3.0, self.backup_hours / 12)

    @field_validator("clock")
    @classmethod
    def _a_clock(cls, value: str) -> str:
        clock_from(value)
        return value

    @field_validator("database")
    @classmethod
    def _no_user(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme not in {"postgresql", "postgres"} or "@" in rest.partition("?")[0]:
            raise ValueError("not postgresql://HOST:PORT/NAME without a user")
        return value

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.webhook_url and self.webhook_secret is None:
            raise ValueError("GATEWAY_WEBHOOK_URL needs GATEWAY_WEBHOOK_SECRET to sign with")
        if self.broker_password_file and not self.broker_password.get_secret_value():
            raise ValueError(
                "GATEWAY_BROKER_PASSWORD_FILE needs GATEWAY_BROKER_PASSWORD: none lets nobody in"
            )
        if self.oidc_issuer:
            self._refuse_half_a_provider()
        if self.production:
            self._refuse_tests()
        return self

    def _refuse_tests(self) -> None:
        """Raises ValueError for what only a test may do, and for a secret that anybody can read."""
        if self.clock != "wall":
            raise ValueError(f"GATEWAY_CLOCK={self.clock}: in production only wall is allowed")
        if self.broker_ca is None and not _is_here(self.broker_host):
            raise ValueError(
                f"GATEWAY_BROKER_HOST={self.broker_host}: in production MQTT in clear is for this "
                "machine alone; set GATEWAY_BROKER_IDENTITY"
            )
        told = urlsplit(self.edge_broker)
        if told.scheme != "mqtts" and not _is_here(told.hostname or ""):
            raise ValueError(f"GATEWAY_EDGE_BROKER={self.edge_broker}: in production only mqtts://")
        for name in _SECRETS:
            _refuse_open(PREFIX + name.upper(), getattr(self, name))

    def refuse_open_broker(self) -> None:
        """Raises BadSetting where, in production, somebody could guess how to enter the broker."""
        if not self.production or self.broker_identity is not None:
            return
        word = self.broker_password.get_secret_value()
        if len(word) < _LEAST_PASSWORD or len(set(word)) < _LEAST_LETTERS:
            raise BadSetting(
                "GATEWAY_BROKER_PASSWORD: in production it has at least 16 random characters "
                "(openssl rand -hex 16), or certificates take its place: GATEWAY_BROKER_IDENTITY"
            )

    def _refuse_half_a_provider(self) -> None:
        """Raises ValueError, which names what is missing."""
        for name in ("oidc_client_id", "oidc_redirect", "oidc_municipality"):
            if not getattr(self, name):
                raise ValueError(f"GATEWAY_OIDC_ISSUER needs {PREFIX}{name.upper()}")
        addresses = {"issuer": self.oidc_issuer, "redirect": self.oidc_redirect}
        for name, address in addresses.items():
            if self.production and not address.startswith("https://"):
                raise ValueError(f"GATEWAY_OIDC_{name.upper()}: in production only https://")
        if not self.oidc_redirect.endswith("/login/back"):
            raise ValueError("GATEWAY_OIDC_REDIRECT: it ends with /login/back")


def _is_here(host: str) -> bool:
    """Whether that is this machine, as it calls itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_open(name: str, path: Path | None) -> None:
    """Raises ValueError when everybody on this machine can read the file, or enter the folder."""
    if path is None:
        return
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # who needs it says so
    if mode & stat.S_IRWXO:
        right = f"{mode & ~stat.S_IRWXO:o}"
        raise ValueError(f"{name}={path}: everybody can read it; type chmod {right} {path}")


def _in_words(bad: ValidationError) -> str:
    first = bad.errors(include_url=False, include_input=False)[0]
    place = "".join(PREFIX + str(name).upper() + ": " for name in first["loc"][:1])
    return place + first["msg"].removeprefix("Value error, ")

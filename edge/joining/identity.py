"""Who this box is at the broker: what joining gave it, in one file that only its user reads."""

import json
import re
import ssl
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from edge.broker import Link
from edge.fields import BadFields, Fields
from edge.files import write_atomically
from edge.settings import ID, BadSetting, Settings

FILE = "identity.json"
"""The file's name in the box's home folder."""

_BROKER = re.compile(r"mqtts?://\S{1,300}")
_TEXT = re.compile(r"[^\x00-\x1f]{1,300}")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[\s\S]{1,20000}")


class NotJoined(Exception):
    """The box has no identity yet: `edge join CODE` gets one."""


class BadIdentity(ValueError):
    """What should be an identity is none; the text says where. Join again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The answer to joining. `edge` is the box's id in topics, `ca` PEM text or None."""

    edge: str
    broker: str
    ca: str | None
    username: str
    password: str = field(repr=False)

    def write(self, home: Path) -> None:
        """Keep it in the home folder, whole or not at all. Raises OSError."""
        write_atomically(home / FILE, json.dumps(asdict(self), indent=1).encode())

    def link(self) -> Link:
        """Raises BadIdentity when the broker's address is not one."""
        try:
            return Link.to(
                self.broker,
                edge=self.edge,
                ca=self.ca,
                username=self.username,
                password=self.password,
            )
        except ValueError as bad:
            raise BadIdentity(str(bad)) from bad


def read_identity(said: bytes) -> Identity:
    """From the gateway's answer or from the file. Raises BadIdentity."""
    try:
        fields = Fields(json.loads(said), "identity")
        identity = Identity(
            edge=fields.text("edge", ID),
            broker=fields.text("broker", _BROKER),
            ca=fields.text("ca", _PEM) if "ca" in fields else None,
            username=fields.text("username", _TEXT),
            password=fields.text("password", _TEXT),
        )
    except BadFields as bad:
        raise BadIdentity(str(bad)) from bad
    except (ValueError, RecursionError) as error:
        raise BadIdentity(f"not JSON: {error}") from error
    identity.link()
    return identity


def identity_of(settings: Settings) -> Identity:
    """The joined identity with the settings in its place where they are given.

    Raises NotJoined, BadIdentity, BadSetting.
    """
    told = {
        "edge": settings.id,
        "broker": settings.broker,
        "username": settings.username or settings.id,
        "password": settings.password,
        "ca": _authority(settings),
    }
    given = {name: value for name, value in told.items() if value}
    try:
        joined = read_identity((settings.home / FILE).read_bytes())
    except FileNotFoundError:
        if not {"edge", "broker", "password"} <= given.keys():
            raise NotJoined(f"no {FILE} in {settings.home}") from None
        return Identity(**({"ca": None} | given))  # pyright: ignore[reportArgumentType]
    return replace(joined, **given)


def second_link(identity: Identity, settings: Settings) -> Link | None:
    """The second way: same name, password and authority. None where there is none.

    Raises BadSetting where it would be the first one over again, or would tell in clear what the
    first way encrypts.
    """
    broker, interface = settings.second_broker, settings.second_interface
    if not settings.has_second_way:
        return None
    first = identity.link()
    try:
        second = replace(identity, broker=broker or identity.broker).link()
    except BadIdentity as bad:
        raise BadSetting(f"EDGE_SECOND_BROKER={broker}: {bad}") from bad
    if first.tls and not second.tls:
        raise BadSetting(f"EDGE_SECOND_BROKER={broker}: mqtts:// is needed, as on the first way")
    second = replace(second, interface=interface)
    if second == first:
        raise BadSetting(f"EDGE_SECOND_BROKER={broker}: that is the first way")
    return second


def _authority(settings: Settings) -> str | None:
    if not settings.broker_ca:
        return None
    try:
        authority = Path(settings.broker_ca).read_text(encoding="ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authority)
    except (OSError, ValueError) as error:
        raise BadSetting(f"EDGE_BROKER_CA={settings.broker_ca}: {error}") from error
    return authority

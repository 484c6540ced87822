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

OWN = "box.pem"
"""The file with the box's key, its certificate and that one's issuer, in one: they go together."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Where a broker may be spoken to in clear: nobody listens on the way."""

BROKER = re.compile(r"mqtts?://\S{1,300}")
CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,8000}-----END CERTIFICATE-----\s*"
)
CERTIFICATES = re.compile(rf"({CERTIFICATE.pattern}){{1,5}}")

_TEXT = re.compile(r"[^\x00-\x1f]{0,300}")
_ADDRESS = re.compile(r"\S{0,300}")
_LATEST = 1 << 40


class NotJoined(Exception):
    """The box has no identity yet: `edge join CODE` gets one."""


class BadIdentity(ValueError):
    """What should be an identity is none; the text says where. Join again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The answer to joining. `edge` is the box's id in topics, `ca` the authority as PEM or None.

    `address` is HOST:PORT of the gateway's HTTPS for boxes, where the certificate is renewed from
    `renew` on; it ends at `expires` (seconds since 1970). `own` is the file that holds it with its
    key. A broker for tests knows a password instead.
    """

    edge: str
    broker: str
    ca: str | None
    username: str = ""
    password: str = field(default="", repr=False)
    address: str = ""
    renew: int = 0
    expires: int = 0
    code: str = ""
    """A digest of the secret by which it joined: the same code again is known for what it is."""
    own: Path | None = None

    def write(self, home: Path) -> None:
        """Keep it in the home folder, whole or not at all. Raises OSError."""
        kept = {name: value for name, value in asdict(self).items() if name != "own"}
        write_atomically(home / FILE, json.dumps(kept, indent=1).encode())

    def link(self) -> Link:
        """Raises BadIdentity when the broker's address is not one."""
        try:
            return Link.to(
                self.broker,
                edge=self.edge,
                ca=self.ca,
                username=self.username or None,
                password=self.password or None,
                own=self.own,
            )
        except ValueError as bad:
            raise BadIdentity(str(bad)) from bad


def read_identity(said: bytes) -> Identity:
    """From the file. Raises BadIdentity."""
    try:
        fields = Fields(json.loads(said), "identity")
        identity = Identity(
            edge=fields.text("edge", ID),
            broker=fields.text("broker", BROKER),
            ca=fields.text("ca", CERTIFICATES) if "ca" in fields else None,
            username=fields.text("username", _TEXT) if "username" in fields else "",
            password=fields.text("password", _TEXT) if "password" in fields else "",
            address=fields.text("address", _ADDRESS) if "address" in fields else "",
            renew=fields.whole("renew", 0, _LATEST, default=0),
            expires=fields.whole("expires", 0, _LATEST, default=0),
            code=fields.text("code", _TEXT) if "code" in fields else "",
        )
    except BadFields as bad:
        raise BadIdentity(str(bad)) from bad
    except (ValueError, RecursionError) as error:
        raise BadIdentity(f"not JSON: {error}") from error
    identity.link()
    return identity


def joined(home: Path) -> Identity:
    """What joining left in the home folder. Raises NotJoined, BadIdentity, OSError."""
    try:
        identity = read_identity((home / FILE).read_bytes())
    except FileNotFoundError:
        raise NotJoined(f"no {FILE} in {home}") from None
    if not identity.address:
        return identity
    if not (home / OWN).exists():
        raise BadIdentity(f"{home / OWN} with its key is missing")
    return replace(identity, own=home / OWN)


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
        found = replace(joined(settings.home), **given)
    except NotJoined:
        if not {"edge", "broker", "password"} <= given.keys():
            raise
        found = Identity(**({"ca": None} | given))  # pyright: ignore[reportArgumentType]
    link = found.link()
    if settings.production and not link.tls and link.host not in LOOPBACK:
        raise BadSetting(
            f"the broker {found.broker}: mqtts:// is needed, but on this machine itself"
        )
    return found


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

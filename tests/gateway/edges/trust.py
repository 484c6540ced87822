"""An authority and a broker that trusts it; boxes with their keys, and thieves with a box's key."""

import queue
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from deploy.runtime.services import Broker
from gateway.edges import signing
from gateway.edges.authority import Authority, begin
from gateway.edges.keyfiles import pem
from gateway.edges.signing import CLIENT
from tests.gateway.edges.requests import new_key, request

SOON, QUIET = 5.0, 0.4
"""Seconds within which a broker here has answered, and after which nothing more is expected."""


def now() -> datetime:
    """Of this machine: it is what TLS judges by."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A certificate with its key in one file, as a box keeps them; `ca` is whom it trusts."""

    file: Path
    ca: Path
    name: str
    serial: int = 0

    def context(self) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.ca)
        made.load_cert_chain(self.file)
        return made


@dataclass(kw_only=True)
class Trust:
    """What a test has: the authority, its broker, and identities made in `folder`."""

    folder: Path
    authority: Authority
    broker: Broker

    @classmethod
    def start(cls, folder: Path) -> "Trust":
        authority = new_authority(folder / "authority")
        broker = Broker.start(folder / "broker", passwords={}, authority=authority.folder)
        return cls(folder=folder, authority=authority, broker=broker)

    @property
    def ca(self) -> Path:
        return self.authority.folder / "root.pem"

    def box(
        self, name: str, *, at: datetime | None = None, by: Authority | None = None
    ) -> Identity:
        """As it has joined at that moment, of that authority."""
        key = new_key()
        given = (by or self.authority).certify_box(request(key), name, at or now())
        return self.kept(name, key, given.pem, given.serial)

    def forged(self, name: str) -> Identity:
        """With a name that the authority refuses, made by whoever has the issuer's key."""
        key, issuer = new_key(), self.authority.issuer
        made = signing.make_leaf(
            key.public_key(),
            name=name,
            others=[x509.UniformResourceIdentifier("urn:edge:forged")],
            usage=CLIENT,
            issuer=issuer.certificate,
            issuer_key=issuer.key,
            now=now(),
        )
        return self.kept("forged", key, pem(made, issuer.certificate).decode(), 0, name=name)

    def kept(
        self, file: str, key: ec.EllipticCurvePrivateKey, chain: str, serial: int, *, name: str = ""
    ) -> Identity:
        """Key and chain in one file, as `ssl` reads them."""
        path = self.folder / f"{file}-{serial:x}.pem"
        plain = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(plain + chain.encode())
        return Identity(file=path, ca=self.ca, name=name or file, serial=serial)

    def own(self, name: str) -> Identity:
        """One of the gateway's own sessions, or the canary."""
        folder = self.authority.folder
        both = (folder / f"{name}.key").read_text() + (folder / f"{name}.pem").read_text()
        path = self.folder / f"{name}.both.pem"
        path.write_text(both)
        return Identity(file=path, ca=self.ca, name=name)


def new_authority(folder: Path) -> Authority:
    return begin(folder, broker_names=[], edge_names=[], now=now())


class Client:
    """Connected over TLS, and remembering what it heard and what it was told."""

    def __init__(self, bare: paho.Client) -> None:
        self.bare = bare
        self.let_in: queue.Queue[ReasonCode] = queue.Queue()
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[ReasonCode] = queue.Queue()
        self.ended: queue.Queue[ReasonCode] = queue.Queue()
        self._subscribed = threading.Event()
        bare.on_connect = lambda _c, _u, _f, code, _p: self.let_in.put(code)
        bare.on_message = lambda _c, _u, said: self.heard.put((said.topic, bytes(said.payload)))
        bare.on_publish = lambda _c, _u, _m, code, _p: self.answers.put(code)
        bare.on_subscribe = lambda _c, _u, _m, _codes, _p: self._subscribed.set()
        bare.on_disconnect = lambda _c, _u, _f, code, _p: self.ended.put(code)

    def publish(
        self, topic: str, payload: bytes = b"x", *, qos: int = 1, retain: bool = False
    ) -> str:
        """The broker's word about it."""
        self.bare.publish(topic, payload, qos=qos, retain=retain)
        return str(self.answers.get(timeout=SOON))

    def subscribe(self, topic: str) -> None:
        self._subscribed.clear()
        self.bare.subscribe(topic, qos=1)
        assert self._subscribed.wait(SOON)

    def all_heard(self, seconds: float = QUIET) -> set[str]:
        """The topics of all that comes until nothing has come for so long."""
        topics = set[str]()
        try:
            while True:
                topics.add(self.heard.get(timeout=seconds)[0])
        except queue.Empty:
            return topics


@contextmanager
def connected(
    port: int, who: Identity, *, client_id: str = "", user: str = "", will: str = ""
) -> Generator[Client]:
    """Raises ConnectionRefusedError where it is not let in; `user` and `client_id` are claims."""
    bare = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id or who.name, protocol=paho.MQTTv5
    )
    bare.tls_set_context(who.context())  # pyright: ignore[reportUnknownMemberType] - half typed
    if user:
        bare.username_pw_set(user, "guess")
    if will:
        bare.will_set(will, b"will", qos=1)
    client = Client(bare)
    try:
        bare.connect("127.0.0.1", port, properties=_session(), clean_start=True)
        bare.loop_start()
        code = client.let_in.get(timeout=2)
    except (OSError, queue.Empty) as refused:
        bare.loop_stop()
        raise ConnectionRefusedError(str(refused)) from refused
    try:
        if code.is_failure:
            raise ConnectionRefusedError(str(code))
        yield client
    finally:
        bare.disconnect()
        bare.loop_stop()


def _session() -> Properties:
    made = Properties(PacketTypes.CONNECT)  # pyright: ignore[reportUnknownMemberType] - untyped
    made.SessionExpiryInterval = 0
    return made


def raw(port: int, who: Identity | None, *packets: bytes, ca: Path | None = None) -> bytes:
    """What the broker says to them until it hangs up, or is quiet; OSError when it refuses."""
    context = who.context() if who is not None else ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SOON) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        said = b""
        try:
            for packet in packets:
                tls.sendall(packet)
            tls.settimeout(1)
            while part := tls.recv(4096):
                said += part
        except TimeoutError:
            return said + b"(open)"
        except (ConnectionError, ssl.SSLEOFError):
            return said
        return said


def entered(trust: Trust, who: Identity | None) -> bool:
    """Whether somebody with this certificate is let in at either door."""
    ports = (trust.broker.port, trust.broker.gateway_port)
    return max([_enters(port, who, trust.ca) for port in ports])  # at both, always


def _enters(port: int, who: Identity | None, ca: Path) -> bool:
    context = who.context() if who is not None else ssl.create_default_context(cafile=ca)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SOON) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(connect_packet())
            said = tls.recv(4)
    except OSError:
        return False
    return said[:1] == b"\x20" and said[3] == 0


def connect_packet(name: bytes = b"thief") -> bytes:
    """MQTT 5, clean start, keep-alive 30 s."""
    body = b"\x00\x04MQTT\x05\x02\x00\x1e\x00" + len(name).to_bytes(2) + name
    return bytes([0x10, len(body)]) + body

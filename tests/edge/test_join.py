"""A box tells its secret to the gateway of its code and to nobody else."""

import base64
import json
import ssl
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.runtime.certificate import Certificate, certificate
from edge.joining.aside import set_box_aside
from edge.joining.identity import FILE, BadIdentity, NotJoined, identity_of, read_identity
from edge.joining.join import (
    TRIES,
    BadCode,
    Busy,
    Refused,
    Unreachable,
    WrongGateway,
    join,
    read_code,
)
from edge.keeping.disk import SPOOL, SpoolTaken
from edge.keeping.spool import Spool
from edge.settings import BadSetting, Settings
from edge.told.config import CONFIG
from tests.edge.frames import HandClock, heard

EDGE = "2f3c7a52-4d7e-4c54-9d8b-4a5d6e3f2a10"
SECRET = "hemmeligt-og-kun-en-gang"  # noqa: S105 - of this file's own gateway
ANSWER = {
    "edge": EDGE,
    "broker": "mqtts://broker.example:8883",
    "ca": None,
    "username": EDGE,
    "password": "tilfældigt",
}


@dataclass
class JoinServer:
    """Answers one way, and remembers what it was told."""

    certificate: Certificate
    status: int = 200
    body: bytes = json.dumps(ANSWER).encode()
    address: str = ""
    busy: list[str | None] = field(default_factory=list[str | None])
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])

    def code(self, *, fingerprint: str | None = None, address: str | None = None) -> str:
        parts = [
            address or self.address,
            fingerprint or self.certificate.fingerprint,
            EDGE,
            SECRET,
        ]
        packed = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
        return "trygport1." + packed.rstrip("=")


@contextmanager
def serving(folder: Path, **how: Any) -> Generator[JoinServer]:
    made = JoinServer(certificate(folder / "certificate"), **how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            made.told.append((self.path, json.loads(self.rfile.read(length))))
            if made.busy:
                self.send_response(429)
                if (seconds := made.busy.pop(0)) is not None:
                    self.send_header("Retry-After", seconds)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate.cert, made.certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_code_gets_the_box_its_identity_in_a_file_that_only_it_can_read(tmp_path: Path) -> None:
    home = tmp_path / "box"

    with serving(tmp_path) as gateway:
        identity = join(read_code(gateway.code()), home, version="0.1.0")

    assert gateway.told == [("/edges/join", {"edge": EDGE, "secret": SECRET, "version": "0.1.0"})]
    assert (identity.edge, identity.link().host, identity.link().tls) == (
        EDGE,
        "broker.example",
        True,
    )
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    assert identity_of(Settings(home=home)) == identity
    assert "tilfældigt" not in repr(identity)


def test_another_certificate_is_told_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as impostor:
        code = read_code(impostor.code(fingerprint="0" * 64))
        with pytest.raises(WrongGateway, match="0000"):
            join(code, tmp_path / "box", version="0")

    assert impostor.told == []
    assert not (tmp_path / "box" / FILE).exists()


def test_a_used_code_is_refused_in_the_gateways_own_words(tmp_path: Path) -> None:
    problem = json.dumps({"title": "Forbidden", "detail": "Koden er brugt."}).encode()

    with serving(tmp_path, status=403, body=problem) as gateway, pytest.raises(Refused) as refused:
        join(read_code(gateway.code()), tmp_path / "box", version="0")

    assert "Koden er brugt." in str(refused.value)


def test_a_busy_gateway_is_waited_for_and_asked_again(tmp_path: Path) -> None:
    waited, said = list[float](), list[str]()

    with serving(tmp_path, busy=["7", None]) as gateway:
        code = read_code(gateway.code())
        identity = join(code, tmp_path / "box", version="0", tell=said.append, wait=waited.append)

    assert (identity.edge, waited) == (EDGE, [7, 60])
    assert "7 seconds" in said[0]


@pytest.mark.parametrize(("busy", "asked"), [(["900"], 1), (["1"] * 9, TRIES)])
def test_a_gateway_that_stays_busy_says_for_how_long(
    tmp_path: Path, busy: list[str], asked: int
) -> None:
    with serving(tmp_path, busy=list(busy)) as gateway, pytest.raises(Busy) as told:
        join(read_code(gateway.code()), tmp_path / "box", version="0", wait=lambda _: None)

    assert told.value.seconds == int(busy[0])
    assert len(gateway.told) == asked
    assert not (tmp_path / "box" / FILE).exists()


def joined_before(home: Path, edge: str) -> None:
    """A box that was `edge` and still has a frame, its configuration and a receipt to wait for."""
    home.mkdir()
    read_identity(json.dumps(ANSWER | {"edge": edge}).encode()).write(home)
    (home / CONFIG).write_text("{}")
    with Spool(home / SPOOL, HandClock()) as spool:
        spool.append(heard(1), "urgent")


def test_what_was_kept_as_another_box_is_set_aside_and_said(tmp_path: Path) -> None:
    home, said = tmp_path / "box", list[str]()
    joined_before(home, "another-box")

    with serving(tmp_path) as gateway:
        join(read_code(gateway.code()), home, version="0", tell=said.append)

    aside = [home / f"{name}.of-another-box-0" for name in (SPOOL, CONFIG)]
    assert [str(path) in words for path, words in zip(aside, said, strict=True)] == [True, True]
    assert not (home / SPOOL).exists()
    assert not (home / CONFIG).exists()
    with Spool(aside[0], HandClock()) as kept:
        assert kept.depth("urgent") == 1


def test_a_box_that_joins_again_as_itself_keeps_what_it_has(tmp_path: Path) -> None:
    home = tmp_path / "box"
    joined_before(home, EDGE)

    with serving(tmp_path) as gateway:
        join(read_code(gateway.code()), home, version="0")

    assert (home / CONFIG).exists()
    with Spool(home / SPOOL, HandClock()) as kept:
        assert kept.depth("urgent") == 1


def test_a_box_that_runs_as_another_is_stopped_before_its_code_is_used_up(tmp_path: Path) -> None:
    home = tmp_path / "box"
    joined_before(home, "another-box")

    with (
        serving(tmp_path) as gateway,
        Spool(home / SPOOL, HandClock()),
        pytest.raises(SpoolTaken),
    ):
        join(read_code(gateway.code()), home, version="0")

    assert gateway.told == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"bad gateway"),
        (200, b"<html>"),
        (200, b"{}"),
        (200, json.dumps(ANSWER | {"edge": "another"}).encode()),
        (200, json.dumps(ANSWER | {"broker": "http://x"}).encode()),
        (200, json.dumps(ANSWER | {"password": "a\nb"}).encode()),
    ],
)
def test_an_answer_that_is_no_identity_leaves_the_box_as_it_was(
    tmp_path: Path, status: int, body: bytes
) -> None:
    with serving(tmp_path, status=status, body=body) as gateway, pytest.raises(Unreachable):
        join(read_code(gateway.code()), tmp_path / "box", version="0")

    assert not (tmp_path / "box" / FILE).exists()


def test_nobody_at_the_address_is_said(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        code = gateway.code()

    with pytest.raises(Unreachable, match=gateway.address):
        join(read_code(code), tmp_path / "box", version="0")


@pytest.mark.parametrize(
    "text",
    ["", "trygport2.AAAA", "trygport1.", "trygport1.AAAA", "trygport1.W10", "trygport1.!!!!"],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(BadCode):
        read_code(text)


@given(st.text() | st.text(alphabet="ABCDefgh0123-_").map("trygport1.".__add__))
def test_any_text_at_all_is_a_code_or_a_bad_one(text: str) -> None:
    with pytest.raises(BadCode):
        read_code(text)


def test_a_code_survives_spaces_around_it_and_colons_in_its_fingerprint() -> None:
    shown = ":".join(["AB"] * 32)
    parts = json.dumps(["gateway.example:443", shown, EDGE, SECRET]).encode()

    code = read_code(f"  trygport1.{base64.urlsafe_b64encode(parts).decode()}\n")

    assert (code.address, code.fingerprint) == ("gateway.example:443", "ab" * 32)
    assert SECRET not in repr(code)


def test_without_joining_there_is_no_identity(tmp_path: Path) -> None:
    with pytest.raises(NotJoined):
        identity_of(Settings(home=tmp_path))


def test_settings_stand_in_for_joining_and_override_it(tmp_path: Path) -> None:
    given_ = Settings(home=tmp_path, broker="mqtt://b:1883", id="box-1", password=SECRET)
    read_identity(json.dumps(ANSWER).encode()).write(tmp_path / "")

    overridden = identity_of(Settings(home=tmp_path, broker="mqtt://elsewhere:1"))
    alone = identity_of(
        Settings(home=tmp_path / "nothing", broker="mqtt://b:1", id="x", password=SECRET)
    )

    assert (overridden.broker, overridden.password) == ("mqtt://elsewhere:1", "tilfældigt")
    assert (alone.edge, alone.username) == ("x", "x")
    assert identity_of(given_).edge == "box-1"
    with pytest.raises(BadSetting, match="EDGE_BROKER_CA"):
        identity_of(Settings(home=tmp_path, broker_ca="/nowhere"))


@given(st.binary())
def test_any_file_at_all_is_an_identity_or_a_bad_one(said: bytes) -> None:
    with pytest.raises(BadIdentity):
        read_identity(said)


@pytest.mark.parametrize(("before", "name"), [("a/#", "a__"), ("../" * 40, "_" * 64)])
def test_what_was_kept_under_an_id_that_no_file_may_be_called_is_set_aside_too(
    tmp_path: Path, before: str, name: str
) -> None:
    for _ in range(2):
        (tmp_path / SPOOL).write_bytes(b"")
        set_box_aside(tmp_path, before)

    assert {file.name for file in tmp_path.iterdir()} == {
        f"{SPOOL}.of-{name}-0",
        f"{SPOOL}.of-{name}-1",
    }

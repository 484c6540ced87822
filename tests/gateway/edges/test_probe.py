"""What whoever stole a box can try with its key: nothing of it works, and nobody notices it.

Besides it an honest box goes on sending: every one of its frames comes through, in order.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.edges.authority import BadRequest
from gateway.edges.laying import lay_out
from tests.gateway.edges.requests import request
from tests.gateway.edges.trust import (
    Identity,
    Trust,
    connect_packet,
    connected,
    entered,
    new_authority,
    now,
    raw,
)

STOLEN, HONEST = "box-stolen", "box-honest"
OF_A_BOX = ("urgent", "bulk", "state", "reply", "receipt", "config", "command")
SPOKEN = ("urgent", "bulk", "state", "reply")
SESSIONS = ("gateway-urgent", "gateway-bulk", "gateway-config")
EAVESDROPPING = (
    "#",
    "+/+/+",
    "edges/#",
    *(f"edges/+/{what}" for what in OF_A_BOX),
    *(f"edges/{HONEST}/{what}" for what in OF_A_BOX),
    "$SYS/#",
    "$SYS/broker/clients/connected",
    "$share/gateway/edges/+/bulk",
    "$share/gateway/edges/+/urgent",
    "$share/thief/#",
)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trust]:
    made = Trust.start(tmp_path_factory.mktemp("probe"))
    yield made
    made.broker.stop()


@pytest.fixture(scope="module")
def thief(trust: Trust) -> Identity:
    return trust.box(STOLEN)


@pytest.fixture(scope="module", autouse=True)
def honest(trust: Trust) -> Iterator[None]:
    """Sends all the time; at the end nothing is missing and it was never thrown out."""
    told, stop, sent = list[bytes](), threading.Event(), list[bytes]()
    port = trust.broker.gateway_port
    with (
        connected(port, trust.own("gateway-bulk")) as gateway,
        connected(trust.broker.port, trust.box(HONEST)) as box,
    ):
        gateway.subscribe("edges/+/bulk")

        def send() -> None:
            while not stop.is_set():
                word = f"{len(sent)}".encode()
                assert box.publish(f"edges/{HONEST}/bulk", word) == "Success"
                sent.append(word)
                time.sleep(0.02)

        sending = threading.Thread(target=send)
        sending.start()
        yield
        stop.set()
        sending.join()
        time.sleep(0.5)
        while not gateway.heard.empty():
            topic, word = gateway.heard.get()
            if topic == f"edges/{HONEST}/bulk":
                told.append(word)
        assert box.ended.empty()
    assert len(sent) > 20
    assert told == sent


# ---------------------------------------------------------------- others' topics


@pytest.mark.parametrize("what", OF_A_BOX)
@pytest.mark.parametrize("retain", [False, True])
def test_it_cannot_speak_for_another_box_nor_as_the_gateway(
    what: str,
    *,
    retain: bool,
    trust: Trust,
    thief: Identity,
) -> None:
    with connected(trust.broker.port, thief) as stolen:
        assert stolen.publish(f"edges/{HONEST}/{what}", retain=retain) == "Not authorized"


@pytest.mark.parametrize("what", ["receipt", "config", "command"])
def test_it_cannot_tell_itself_what_only_the_gateway_tells(
    what: str, trust: Trust, thief: Identity
) -> None:
    with connected(trust.broker.port, thief) as stolen:
        assert stolen.publish(f"edges/{STOLEN}/{what}", retain=True) == "Not authorized"


@pytest.mark.parametrize("topic", ["$SYS/broker/uptime", "edges", "edges/box-stolen", "x", "/"])
def test_it_cannot_speak_anywhere_else(topic: str, trust: Trust, thief: Identity) -> None:
    with connected(trust.broker.port, thief) as stolen:
        assert stolen.publish(topic) == "Not authorized"


def overheard(trust: Trust, thief: Identity, *topics: str) -> set[str]:
    """What it hears of others while everything is said that is ever said."""
    with (
        connected(trust.broker.port, thief) as stolen,
        connected(trust.broker.port, trust.box("box-other")) as other,
        connected(trust.broker.gateway_port, trust.own("gateway-config")) as config,
        connected(trust.broker.gateway_port, trust.own("gateway-urgent")) as urgent,
    ):
        for topic in topics:
            stolen.subscribe(topic)
        for what in SPOKEN:
            other.publish(f"edges/box-other/{what}")
        for box in (HONEST, "box-other"):
            for what in ("config", "command"):
                config.publish(f"edges/{box}/{what}")
            urgent.publish(f"edges/{box}/receipt")
        return stolen.all_heard()


def test_it_hears_nothing_of_others_whatever_it_listens_to(trust: Trust, thief: Identity) -> None:
    assert overheard(trust, thief, *EAVESDROPPING) == set()


@pytest.mark.parametrize(
    ("group", "is_dealt"),
    [("0123456789abcdef0123456789abcdef", False), ("gateway", True)],
    ids=["a secret", "a name that can be guessed: the saboteur"],
)
def test_it_is_dealt_no_share_of_what_boxes_send_where_it_cannot_name_the_group(
    group: str, *, is_dealt: bool, trust: Trust, thief: Identity
) -> None:
    """Mosquitto lets everybody join, and throws away what it deals to who may not read it."""
    said = {f"{number}".encode() for number in range(20)}
    heard, port = set[bytes](), trust.broker.gateway_port
    with (
        connected(port, trust.own("gateway-bulk"), client_id="gateway-bulk-shares") as ingest,
        connected(trust.broker.port, thief) as stolen,
        connected(trust.broker.port, trust.box("box-other")) as other,
    ):
        ingest.subscribe(f"$share/{group}/edges/+/bulk")
        stolen.subscribe("$share/gateway/edges/+/bulk")
        for word in sorted(said):
            other.publish("edges/box-other/bulk", word)
        time.sleep(0.5)
        while not ingest.heard.empty():
            topic, word = ingest.heard.get()
            heard |= {word} if topic == "edges/box-other/bulk" else set()

    assert (heard != said) == is_dealt


def test_it_hears_its_own_and_that_alone(trust: Trust, thief: Identity) -> None:
    with (
        connected(trust.broker.port, thief) as stolen,
        connected(trust.broker.gateway_port, trust.own("gateway-config")) as config,
    ):
        stolen.subscribe("#")
        config.publish(f"edges/{STOLEN}/command")

        assert stolen.all_heard() == {f"edges/{STOLEN}/command"}


def test_its_last_will_is_nobody_elses(trust: Trust, thief: Identity) -> None:
    with connected(trust.broker.gateway_port, trust.own("gateway-config")) as gateway:
        gateway.subscribe("edges/+/state")
        gateway.all_heard()
        for topic in (f"edges/{HONEST}/state", f"edges/{HONEST}/config"):
            try:
                with connected(trust.broker.port, thief, will=topic) as stolen:
                    stolen.bare.socket().close()  # pyright: ignore[reportOptionalMemberAccess]
            except (ConnectionRefusedError, OSError, ValueError):
                continue

        assert f"edges/{HONEST}/state" not in gateway.all_heard()


def test_names_that_it_claims_change_nothing(trust: Trust, thief: Identity) -> None:
    for name in (HONEST, *SESSIONS, "canary"):
        with connected(trust.broker.port, thief, client_id=name, user=name) as stolen:
            assert stolen.publish(f"edges/{HONEST}/config") == "Not authorized"
            assert stolen.publish(f"edges/{STOLEN}/state") != "Not authorized"


def test_at_the_gateways_own_door_it_is_no_more_than_a_box(trust: Trust, thief: Identity) -> None:
    with connected(trust.broker.gateway_port, thief, user="gateway-config") as stolen:
        assert stolen.publish(f"edges/{HONEST}/config") == "Not authorized"


# ---------------------------------------------------------------- packets


def _publish(topic: bytes, payload: bytes, *, first: int = 0x32) -> bytes:
    body = len(topic).to_bytes(2) + topic + b"\x00\x01\x00" + payload
    return bytes([first]) + _length(len(body)) + body


def _length(number: int) -> bytes:
    out = b""
    while True:
        number, low = divmod(number, 128)
        out += bytes([low | (0x80 if number else 0)])
        if not number:
            return out


_OWN = f"edges/{STOLEN}/bulk".encode()
PACKETS = {
    "garbage": [b"\xff" * 64],
    "HTTP": [b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n"],
    "a packet before CONNECT": [_publish(_OWN, b"x")],
    "an endless length": [connect_packet(), b"\x30\xff\xff\xff\xff\xff"],
    "a second CONNECT": [connect_packet(), connect_packet()],
    "an unknown version": [b"\x10\x0f\x00\x04MQTT\x63\x02\x00\x1e\x00\x00\x03abc"],
    "a topic that is no UTF-8": [connect_packet(), _publish(b"edges/\xff\xfe/bulk", b"x")],
    "a topic with NUL": [connect_packet(), _publish(b"edges/\x00/bulk", b"x")],
    "a wildcard as topic": [connect_packet(), _publish(b"edges/+/bulk", b"x")],
    "QoS 2": [connect_packet(), _publish(_OWN, b"x", first=0x34)],
    "QoS 3": [connect_packet(), _publish(_OWN, b"x", first=0x36)],
    "more than is taken": [connect_packet(), _publish(_OWN, b"x" * 70_000)],
    "a topic longer than its packet": [connect_packet(), b"\x32\x05\xff\xffabc"],
    "a subscription to nothing": [connect_packet(), b"\x82\x05\x00\x01\x00\x00\x00"],
    "a release with wrong flags": [connect_packet(), b"\x60\x02\x00\x63"],
    "what only a broker says": [connect_packet(), b"\x20\x03\x00\x00\x00"],
}


@pytest.mark.parametrize("kind", PACKETS)
def test_a_packet_that_is_none_ends_the_connection_and_nothing_else(
    kind: str, trust: Trust, thief: Identity
) -> None:
    before = trust.broker.pid

    said = raw(trust.broker.port, thief, *PACKETS[kind])

    assert not said.endswith(b"(open)")
    assert trust.broker.is_running
    assert trust.broker.pid == before


NO_TLS = (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x10" + b"\xff" * 99)


@pytest.mark.parametrize("packet", [*NO_TLS, connect_packet()])
def test_what_is_no_tls_ends_the_connection(packet: bytes, trust: Trust) -> None:
    with socket.create_connection(("127.0.0.1", trust.broker.port), timeout=5) as plain:
        plain.sendall(packet)

        said = b""
        with suppress(ConnectionError):
            while part := plain.recv(100):
                said += part
    assert not said.startswith(b"\x20")  # an alert of TLS or nothing, and never a CONNACK
    assert trust.broker.is_running


# ---------------------------------------------------------------- certificates


def test_an_honest_certificate_enters(trust: Trust, thief: Identity) -> None:
    assert entered(trust, thief)


def test_no_certificate_does_not_enter(trust: Trust) -> None:
    assert not entered(trust, None)


def test_one_that_is_over_or_to_come_does_not_enter(trust: Trust) -> None:
    for days in (-91, -400, 1, 400):
        assert not entered(trust, trust.box("box-timed", at=now() + timedelta(days=days)))


def test_one_of_another_authority_does_not_enter(trust: Trust, tmp_path: Path) -> None:
    theirs = new_authority(tmp_path / "theirs")

    for name in (HONEST, STOLEN):
        assert not entered(trust, trust.box(name, by=theirs))


def test_the_canary_and_a_revoked_one_do_not_enter(trust: Trust) -> None:
    lost = trust.box("box-lost")
    assert entered(trust, lost)

    shut_out(trust, lost)

    assert not entered(trust, lost)
    assert not entered(trust, trust.own("canary"))


def shut_out(trust: Trust, who: Identity) -> None:
    files, at = trust.broker.files, now()
    lay_out(files, trust.authority, revoked={who.serial: at}, shut_out=[who.name], now=at)
    trust.broker.reload()


@pytest.mark.parametrize("name", ["+", "#", "*", "box-stolen/#", "+/+", ""])
def test_no_wildcard_is_ever_certified_and_one_would_gain_nothing(name: str, trust: Trust) -> None:
    with pytest.raises(BadRequest):
        trust.authority.certify_box(request(), name, now())
    if not name:
        return
    forged = trust.forged(name)

    try:
        assert overheard(trust, forged, *EAVESDROPPING) == set()
        with connected(trust.broker.port, forged) as stolen:
            assert stolen.publish(f"edges/{HONEST}/bulk") == "Not authorized"
    except ConnectionRefusedError:
        pass  # not even let in


# ---------------------------------------------------------------- saboteurs


def sabotaged(tmp_path: Path, *, without: str) -> Trust:
    """A broker whose configuration lacks the lines that begin so."""
    other = Trust.start(tmp_path / "lax")
    conf = other.broker.folder / "mosquitto.conf"
    lines = [line for line in conf.read_text().splitlines() if not line.startswith(without)]
    conf.write_text("\n".join(lines) + "\n")
    other.broker.restart()
    return other


def test_without_the_access_list_the_probe_would_find_it(tmp_path: Path) -> None:
    lax = sabotaged(tmp_path, without="acl_file")
    try:
        stolen = lax.box(STOLEN)

        heard = overheard(lax, stolen, "#")
        with connected(lax.broker.port, stolen) as thief:
            assert thief.publish(f"edges/{HONEST}/config") != "Not authorized"
        assert "edges/box-other/urgent" in heard
    finally:
        lax.broker.stop()


def test_without_the_list_of_the_revoked_the_probe_would_find_it(tmp_path: Path) -> None:
    lax = sabotaged(tmp_path, without="crlfile")
    try:
        lost = lax.box("box-lost")
        shut_out(lax, lost)

        assert entered(lax, lost)
        assert entered(lax, lax.own("canary"))
    finally:
        lax.broker.stop()

"""A box tells its secret to the gateway of its code and to nobody else."""

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from edge.joining.answer import Busy, Refused, Unreachable, WrongGateway
from edge.joining.aside import set_box_aside
from edge.joining.code import BadCode, read_code
from edge.joining.identity import (
    FILE,
    OWN,
    BadIdentity,
    Identity,
    NotJoined,
    identity_of,
    joined,
    read_identity,
)
from edge.joining.join import KEY, TRIES, join
from edge.keeping.disk import SPOOL, SpoolTaken
from edge.keeping.spool import Spool
from edge.settings import BadSetting, Settings
from edge.tls import context
from edge.told.config import CONFIG
from gateway.edges import code as at_the_gateway
from tests.edge.frames import HandClock, heard
from tests.edge.joining import BROKER, EDGE, SECRET, serving

GRANTED = {
    "format": 2,
    "edge": EDGE,
    "broker": BROKER,
    "authority": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "renew": 1,
    "expires": 2,
}


def test_a_code_gets_the_box_a_certificate_for_a_key_that_only_it_can_read(tmp_path: Path) -> None:
    home = tmp_path / "box"

    with serving(tmp_path) as gateway:
        identity = join(read_code(gateway.code()), home, version="0.1.0")

    [(path, told)] = gateway.told
    assert (path, told["secret"], told["version"]) == ("/edges/join", SECRET, "0.1.0")
    assert (identity.edge, identity.link().host, identity.link().tls) == (
        EDGE,
        "broker.example",
        True,
    )
    own = (home / OWN).read_bytes()
    certificate = x509.load_pem_x509_certificate(own)
    assert certificate.public_key() == load_pem_private_key(own, None).public_key()
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in (FILE, OWN)} == {0o600}
    assert identity_of(Settings(home=home)) == identity == joined(home)
    assert {path.name for path in home.iterdir()} == {FILE, OWN, f"{SPOOL}.lock"}


def test_the_key_never_leaves_the_box(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        join(read_code(gateway.code()), tmp_path / "box", version="0")

    assert "PRIVATE" not in json.dumps(gateway.told)


def test_another_authority_is_told_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as impostor:
        code = read_code(impostor.code(fingerprint="0" * 64))
        with pytest.raises(WrongGateway):
            join(code, tmp_path / "box", version="0")

    assert impostor.told == []
    assert not (tmp_path / "box" / FILE).exists()


def test_who_shows_the_authority_without_being_of_it_is_told_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "ours") as ours, serving(tmp_path / "theirs") as impostor:
        impostor.authority = ours.authority
        with pytest.raises(WrongGateway):
            join(read_code(impostor.code()), tmp_path / "box", version="0")

    assert impostor.told == []


def test_after_a_lost_answer_the_same_key_is_asked_for_again(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        gateway.body = b"the line breaks here"
        with pytest.raises(Unreachable):
            join(read_code(gateway.code()), home, version="0")
        gateway.body = None

        join(read_code(gateway.code()), home, version="0")

    first, second = (
        x509.load_pem_x509_csr(told["request"].encode()).public_key() for _, told in gateway.told
    )
    assert first == second
    assert not (home / KEY).exists()


def test_the_same_code_again_is_known_and_asks_nobody(tmp_path: Path) -> None:
    home, said = tmp_path / "box", list[str]()
    with serving(tmp_path) as gateway:
        first = join(read_code(gateway.code()), home, version="0")
        gateway.status, gateway.body = 403, b"{}"

        again = join(read_code(gateway.code()), home, version="0", tell=said.append)

    assert again == first
    assert len(gateway.told) == 1
    assert "already" in said[0]


def test_a_spoilt_key_is_told_by_its_file(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        identity = join(read_code(gateway.code()), tmp_path / "box", version="0")
    own = tmp_path / "box" / OWN
    own.write_bytes(own.read_bytes()[:300])

    with pytest.raises(OSError, match=r"box\.pem is not a key"):
        context(identity.ca, earliest=None, own=own)


def test_the_agent_never_imports_cryptography() -> None:
    code = "import sys, edge.main; print('cryptography' in sys.modules)"

    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )

    assert said.stdout == "False\n"


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
    Identity(edge=edge, broker=BROKER, ca=None).write(home)
    (home / CONFIG).write_text("{}")
    with Spool(home / SPOOL, HandClock()) as spool:
        spool.append(heard(1), "urgent")


def test_what_was_kept_as_another_box_is_set_aside_and_said(tmp_path: Path) -> None:
    home, said = tmp_path / "box", list[str]()
    joined_before(home, "another-box")

    with serving(tmp_path) as gateway:
        join(read_code(gateway.code()), home, version="0", tell=said.append)

    aside = [home / f"{name}.of-another-box-0" for name in (SPOOL, CONFIG)]
    assert said[0].startswith("this was box another-box before")
    assert [str(path) in words for path, words in zip(aside, said[1:], strict=True)] == [True, True]
    assert not (home / SPOOL).exists()
    assert not (home / CONFIG).exists()
    with Spool(aside[0], HandClock()) as kept:
        assert kept.depth("urgent") == 1


@pytest.mark.parametrize(
    ("broker", "is_fit"),
    [
        ("mqtt://127.0.0.1:1883", True),
        ("mqtt://tryg.example", False),
        ("mqtts://tryg.example", True),
    ],
)
def test_production_sends_nothing_in_clear_over_a_network(
    tmp_path: Path, broker: str, *, is_fit: bool
) -> None:
    told = Settings(home=tmp_path, broker=broker, id=EDGE, password=SECRET)

    if is_fit:
        assert identity_of(told).broker == broker
    else:
        with pytest.raises(BadSetting, match="mqtts:// is needed"):
            identity_of(told)
    assert identity_of(replace(told, production=False)).broker == broker


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
        (200, json.dumps(GRANTED | {"broker": "http://x"}).encode()),
        (200, json.dumps(GRANTED | {"edge": "a/#"}).encode()),
        (200, json.dumps(GRANTED | {"certificate": "none"}).encode()),
        (200, json.dumps(GRANTED | {"renew": 2**70}).encode()),
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
    ("text", "why"),
    [
        ("", "HOST:PORT"),
        ("trygport1.AAAA", "older gateway"),
        ("tryg.example/7K3M-9QXA", "HOST:PORT"),
        ("tryg.example:99999/7K3M-9QXA", "HOST:PORT"),
        ("tryg.example:8443/7K3M-9QXA", "32 letters"),
        ("tryg.example:8443/" + "7K3M-" * 8, "wrong"),
    ],
)
def test_what_is_no_code_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(BadCode, match=why):
        read_code(text)


@given(st.text() | st.text(alphabet="0123456789ABCDE-").map("tryg.example:8443/".__add__))
def test_any_text_at_all_is_a_code_or_a_bad_one(text: str) -> None:
    with pytest.raises(BadCode):
        read_code(text)


secrets_ = st.text(alphabet=at_the_gateway.CROCKFORD, min_size=12, max_size=12)


@given(secret=secrets_, print_=st.binary(min_size=32, max_size=32), data=st.data())
def test_what_the_gateway_prints_is_read_however_it_is_typed(
    secret: str, print_: bytes, data: st.DataObject
) -> None:
    printed = at_the_gateway.make("tryg.example:8443", secret, print_.hex())
    typed = printed.upper() if data.draw(st.booleans()) else printed.lower()
    typed = typed.replace("-", data.draw(st.sampled_from(["", "-", " "]))).replace("0", "o")
    typed = typed.replace("tryg.example:8443".replace("0", "o"), "tryg.example:8443")

    read, known = read_code(f" {typed}\n"), at_the_gateway.parse(printed)

    assert (read.address, read.secret) == (known.address, known.secret) == (read.address, secret)
    assert "secret" not in repr(read)


@given(place=st.integers(0, 31), other=st.sampled_from(at_the_gateway.CROCKFORD))
def test_one_wrong_letter_is_told_before_anything_is_sent(place: int, other: str) -> None:
    address, letters = at_the_gateway.make("a:1", SECRET, "5a" * 32).split("/")
    body = letters.replace("-", "")
    wrong = body[:place] + other + body[place + 1 :]
    if wrong == body:
        return
    with pytest.raises(BadCode):
        read_code(f"{address}/{wrong}")


def test_without_joining_there_is_no_identity(tmp_path: Path) -> None:
    with pytest.raises(NotJoined):
        identity_of(Settings(home=tmp_path))


def test_settings_stand_in_for_joining_and_override_it(tmp_path: Path) -> None:
    given_ = Settings(home=tmp_path, broker="mqtts://b:1883", id="box-1", password=SECRET)
    Identity(edge=EDGE, broker=BROKER, ca=None, password=SECRET).write(tmp_path)

    overridden = identity_of(Settings(home=tmp_path, broker="mqtts://elsewhere:1"))
    alone = identity_of(
        Settings(home=tmp_path / "nothing", broker="mqtts://b:1", id="x", password=SECRET)
    )

    assert (overridden.broker, overridden.password) == ("mqtts://elsewhere:1", SECRET)
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

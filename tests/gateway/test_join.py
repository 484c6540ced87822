"""A box joins with its code, once, within a day, for the key it made; guesses are counted."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.runtime.services import OneDatabase
from gateway.edges import joining
from gateway.edges.routes import LARGEST, MOST_REFUSALS
from gateway.store import boxes
from gateway.store.certificates import Certificate, WrongCode
from gateway.store.secrets import digest, new_code_secret
from tests.gateway.boxes_door import BROKER, Box, Doorway, doorway, leaf, pem
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


@pytest.fixture
async def door(here: Office, tmp_path: Path) -> AsyncGenerator[Doorway]:
    async with doorway(here, tmp_path) as made:
        yield made


async def test_a_box_gets_a_certificate_for_the_key_it_made(door: Doorway) -> None:
    made, box = await door.a_code(), Box()

    answer = await door.join(made.secret, box)

    told, now = answer.json(), door.here.clock.now()
    certificate = leaf(told["certificate"])
    assert answer.status_code == 201, answer.text
    assert (told["format"], told["edge"], told["broker"]) == (2, made.name, BROKER)
    assert told["authority"] == door.authority.root_pem
    assert certificate.public_key() == box.key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={made.name}"
    assert told["renew"] == int((now + timedelta(days=60)).timestamp())
    assert told["expires"] == int(certificate.not_valid_after_utc.timestamp())
    row = await door.here.owner.fetchrow("SELECT * FROM edge")
    assert row is not None
    assert (row["joined"], row["claimed"]) == (now, now)
    assert made.secret not in str(dict(row))
    kept = await door.here.owner.fetchrow("SELECT * FROM certificate")
    assert kept is not None
    assert int(kept["serial"], 16) == certificate.serial_number
    assert kept["claim"] == digest(made.secret)
    assert door.counted("join", "granted") == 1


async def test_the_root_is_told_to_whoever_asks(door: Doorway) -> None:
    answer = await door.client.get("/authority")

    told = x509.load_pem_x509_certificate(answer.content)
    assert told.fingerprint(hashes.SHA256()).hex() == door.authority.fingerprint


async def test_who_lost_the_answer_asks_again_and_is_given_the_same(door: Doorway) -> None:
    made, box, thief = await door.a_code(), Box(), Box()
    first = await door.join(made.secret, box)

    door.here.clock.pass_(hours=23)
    again = await door.join(made.secret.lower(), box)
    another = await door.join(made.secret, thief)
    door.here.clock.pass_(hours=2)
    late = await door.join(made.secret, box)

    assert again.json() == first.json()
    assert (again.status_code, another.status_code, late.status_code) == (201, 403, 403)
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 1
    assert (door.counted("join", "granted"), door.counted("join", "cannot-join")) == (2, 2)


@pytest.mark.timeout(120)
async def test_of_a_thousand_at_once_one_has_the_certificate(door: Doorway) -> None:
    made = await door.a_code()
    some = [Box() for _ in range(20)]

    answers = await asyncio.gather(
        *(door.join(made.secret, some[at % len(some)]) for at in range(1_000))
    )

    given_to = {answer.json()["certificate"] for answer in answers if answer.status_code == 201}
    assert len(given_to) == 1
    assert {answer.status_code for answer in answers} <= {201, 403, 429}
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 1


@pytest.mark.timeout(120)
async def test_of_a_thousand_keys_at_once_one_is_certified(door: Doorway) -> None:
    """Under the door, so that no slowing down hides a second winner; and over one key, again."""
    made, requests = await door.a_code(), [Box().request() for _ in range(50)]

    async def ask(request: str) -> Certificate | WrongCode:
        try:
            return await joining.join(
                door.pool,
                door.authority,
                secret=made.secret,
                request=request,
                now=door.here.clock.now(),
                wall=door.here.clock.now(),
            )
        except WrongCode as wrong:
            return wrong

    answers = await asyncio.gather(*(ask(requests[at % 50]) for at in range(1_000)))

    winners = [answer for answer in answers if isinstance(answer, Certificate)]
    assert len({one.serial for one in winners}) == 1
    assert len(winners) == 20, "the winner's key asked twenty times, and nobody else won"
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 1


async def test_a_saboteur_that_reads_before_it_writes_certifies_more_than_one(
    door: Doorway,
) -> None:
    """Without the lock on the box, many read `claimed` before the first of them writes it."""
    made = await door.a_code()
    meet = asyncio.Barrier(5)

    async def careless() -> bool:
        async with door.pool.acquire() as db, db.transaction():
            claimed = await db.fetchval(
                "SELECT claimed FROM edge WHERE claim = $1", digest(made.secret)
            )
            await meet.wait()
            if claimed is None:
                await db.execute(
                    "UPDATE edge SET claimed = now() WHERE claim = $1", digest(made.secret)
                )
            return claimed is None

    assert sum(await asyncio.gather(*(careless() for _ in range(5)))) > 1


@pytest.mark.parametrize("wrong", ["guessed", "late", "shut out", "replaced by a new code"])
async def test_guessed_old_and_shut_out_are_one_answer(door: Doorway, wrong: str) -> None:
    made, box = await door.a_code(), Box()
    secret = made.secret
    if wrong == "guessed":
        secret = new_code_secret()
    elif wrong == "late":
        door.here.clock.pass_(hours=24)
    elif wrong == "shut out":
        await boxes.revoke_box(door.here.owner, made.name, door.here.clock.now(), "lost", None)
    else:
        await boxes.invite_box(door.here.owner, made.name, door.here.clock.now(), None)

    answer = await door.join(secret, box)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/cannot-join"
    assert answer.json()["detail"] == "this code opens nothing: ask for a new one"
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 0
    assert door.counted("join", "cannot-join") == 1


async def test_guessing_is_slowed_down_and_honest_boxes_next_to_it_are_not(
    door: Doorway,
) -> None:
    made, box = await door.a_code(), Box()
    other, neighbour = await door.a_code(), Box()
    guesser = door.from_("10.0.0.8")
    body = {"secret": new_code_secret(), "request": box.request()}

    guesses = [await guesser.post("/edges/join", json=body) for _ in range(MOST_REFUSALS + 5)]
    slowed = await guesser.post("/edges/join", json={**body, "secret": made.secret})
    honest = await door.join(other.secret, neighbour)
    door.here.clock.pass_(seconds=61)
    patient = await guesser.post("/edges/join", json={**body, "secret": made.secret})

    assert [one.status_code for one in guesses] == [403] * MOST_REFUSALS + [429] * 5
    assert (slowed.status_code, honest.status_code, patient.status_code) == (429, 201, 201)
    assert 1 <= int(slowed.headers["retry-after"]) <= 61
    assert door.counted("join", "too-often") == 6


async def test_a_whole_town_behind_one_address_joins_at_once(door: Doorway) -> None:
    codes = [await door.a_code() for _ in range(3 * MOST_REFUSALS)]

    answers = await asyncio.gather(*(door.join(made.secret, Box()) for made in codes))

    assert {answer.status_code for answer in answers} == {201}


# ---------------------------------------------------------------- what is asked for besides a key


def everything(box: Box) -> str:
    """A request that would like to be another box, an authority, and valid for ever."""
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway-urgent")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=9), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("*"), x509.UniformResourceIdentifier("urn:edge:box-0")]
            ),
            critical=False,
        )
    )
    return pem(made.sign(box.key, hashes.SHA256()))


async def test_of_a_request_the_key_alone_is_taken(door: Doorway) -> None:
    made, box = await door.a_code(), Box()

    answer = await door.join(made.secret, box, request=everything(box))

    certificate = leaf(answer.json()["certificate"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert certificate.subject.rfc4514_string() == f"CN={made.name}"
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:edge:{made.name}"]
    assert names.get_values_for_type(x509.DNSName) == []
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


def tampered(box: Box) -> str:
    der = bytearray(box.csr().public_bytes(Encoding.DER))
    der[-1] ^= 1
    return pem(x509.load_der_x509_csr(bytes(der)))


def of(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return pem(made.sign(key, algorithm))


@pytest.mark.parametrize(
    "request_",
    [
        tampered(Box()),
        of(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that it is weak is the point
        of(rsa.generate_private_key(65537, 2048)),
        of(ed25519.Ed25519PrivateKey.generate()),
        of(ec.generate_private_key(ec.SECP192R1())),
        "-----BEGIN CERTIFICATE REQUEST-----\n" + "A" * 400 + "\n-----END CERTIFICATE REQUEST-----",
        "x" * 300,
        Box().request()[:-60],
    ],
    ids=["tampered", "rsa-1024", "rsa-2048", "ed25519", "p-192", "garbage", "no pem", "cut"],
)
async def test_a_request_that_is_not_ours_to_sign_leaves_the_code_good(
    door: Doorway, request_: str
) -> None:
    made, box = await door.a_code(), Box()

    refused = await door.join(made.secret, box, request=request_)
    joined = await door.join(made.secret, box)

    assert (refused.status_code, joined.status_code) == (422, 201)
    assert refused.json()["type"] == "/problems/bad-request"
    assert door.counted("join", "bad-request") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'{"secret": "AAAAAAAAAAAA"}', 422),
        (b'{"secret": 1, "request": 2}', 422),
        (b'{"secret": "' + b"A" * 40 + b'", "request": "' + b"x" * 200 + b'"}', 422),
        (b'{"secret": "AAAAAAAA\\u0000AAA", "request": "' + b"x" * 200 + b'"}', 422),
        (b'{"secret": "AAAAAAAAAAAA", "request": "\\ud800' + b"x" * 200 + b'"}', 422),
        (b"\xff\xfe" * 100, 422),
        (b"[" * 20_000, 422),
        (b"x" * (LARGEST + 1), 413),
        (b"x" * (10 * 1024 * 1024), 413),
    ],
)
async def test_bodies_that_are_none_are_refused(door: Doorway, body: bytes, status: int) -> None:
    for path in ("/edges/join", "/edges/renew"):
        answer = await door.client.post(path, content=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "x" * 50 not in answer.text


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=40),
        lambda each: (
            st.lists(each, max_size=4)
            | st.dictionaries(
                st.sampled_from(["secret", "request", "version", "certificate", "proof", "x"]),
                each,
                max_size=6,
            )
        ),
        max_leaves=12,
    )
)
async def test_no_body_does_more_than_be_refused(door: Doorway, body: object) -> None:
    for path in ("/edges/join", "/edges/renew"):
        answer = await door.from_(f"10.1.{id(body) % 250}.{hash(path) % 250}").post(path, json=body)
        assert answer.status_code in {422, 429}


@pytest.mark.parametrize(
    ("way", "status"),
    [("GET /edges/join", 405), ("POST /authority", 405), ("GET /edges", 404), ("GET /", 404)],
)
async def test_nothing_else_is_served_there(door: Doorway, way: str, status: int) -> None:
    method, path = way.split(" ")

    answer = await door.client.request(method, path)

    assert answer.status_code == status
    assert answer.json()["status"] == status


async def test_a_database_that_is_away_costs_no_code(door: Doorway) -> None:
    made, box = await door.a_code(), Box()
    owner, name = door.here.owner, await door.here.owner.fetchval("SELECT current_database()")
    await owner.execute("ALTER ROLE trygport_edges CONNECTION LIMIT 0")
    try:
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = 'trygport_edges' AND datname = $1",
            name,
        )
        away = await door.join(made.secret, box)
    finally:
        await owner.execute("ALTER ROLE trygport_edges CONNECTION LIMIT -1")
    joined = await door.join(made.secret, box)

    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    assert joined.status_code == 201

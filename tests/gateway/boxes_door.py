"""A light box and the boxes' HTTPS: real requests and certificates, the routes as the stage has."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.edges.authority import Authority, begin
from gateway.edges.routes import Door, application
from gateway.health import Health
from gateway.store import boxes
from gateway.store.pool import Pool, connect
from tests.gateway.office import Office

BROKER = "mqtts://gateway.example:8883"


@dataclass
class Box:
    """A key made here, and what it asks for."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    certificate: str = ""

    def csr(self, name: str = "anything") -> x509.CertificateSigningRequest:
        made = x509.CertificateSigningRequestBuilder().subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        )
        return made.sign(self.key, hashes.SHA256())

    def request(self, name: str = "anything") -> str:
        return pem(self.csr(name))

    def renewing(self, next_box: "Box", **other: str) -> dict[str, str]:
        """The body with which this one's key asks for the next one's certificate."""
        csr = next_box.csr()
        proof = self.key.sign(csr.public_bytes(Encoding.DER), ec.ECDSA(hashes.SHA256()))
        told = {
            "certificate": self.certificate,
            "request": pem(csr),
            "proof": base64.b64encode(proof).decode(),
        }
        return {**told, **other}


def pem(of: x509.CertificateSigningRequest | x509.Certificate) -> str:
    return of.public_bytes(Encoding.PEM).decode()


def leaf(of: str) -> x509.Certificate:
    """The first certificate of a chain in PEM."""
    return x509.load_pem_x509_certificates(of.encode())[0]


@dataclass
class Doorway:
    """What a test asks at."""

    here: Office
    pool: Pool
    authority: Authority
    health: Health
    client: httpx2.AsyncClient
    app: Any

    async def join(self, secret: str, box: Box, **other: object) -> httpx2.Response:
        body = {"secret": secret, "request": box.request(), "version": "0.2.0", **other}
        answer = await self.client.post("/edges/join", json=body)
        if answer.status_code == 201:
            box.certificate = answer.json()["certificate"]
        return answer

    async def renew(self, body: dict[str, str]) -> httpx2.Response:
        return await self.client.post("/edges/renew", json=body)

    async def a_code(self) -> boxes.Invited:
        where = await self.here.municipality()
        return await boxes.add_box(
            self.here.owner, municipality=where, home=None, now=self.here.clock.now()
        )

    async def a_box(self) -> tuple[str, Box]:
        """One that has joined, and its id."""
        made, box = await self.a_code(), Box()
        answer = await self.join(made.secret, box)
        assert answer.status_code == 201, answer.text
        return made.name, box

    def counted(self, what: str, outcome: str) -> float:
        labels = {"what": what, "outcome": outcome}
        return self.health.registry.get_sample_value("trygport_edge_requests_total", labels) or 0

    def from_(self, address: str) -> httpx2.AsyncClient:
        """Somebody at another address."""
        transport = httpx2.ASGITransport(app=self.app, client=(address, 4000))
        made = httpx2.AsyncClient(transport=transport, base_url="https://gateway")
        self.here.clients.append(made)
        return made


@asynccontextmanager
async def doorway(here: Office, folder: Path) -> AsyncGenerator[Doorway]:
    authority = begin(
        folder / "authority",
        broker_names=["gateway.example"],
        edge_names=["gateway.example"],
        now=here.clock.now(),
    )
    health = Health()
    async with connect(here.desk.settings, "edges") as pool:
        door = Door(
            pool, here.clock, health, authority=lambda: authority, broker=BROKER, wall=here.clock
        )
        app = application(door)
        transport = httpx2.ASGITransport(app=app, client=("10.0.0.7", 4000))
        async with httpx2.AsyncClient(transport=transport, base_url="https://gateway") as client:
            yield Doorway(
                here=here, pool=pool, authority=authority, health=health, client=client, app=app
            )

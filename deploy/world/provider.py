"""A sign-in provider of our own, run as a process: OpenID Connect's code flow, and its faults.

It shares no code with `gateway.oidc` and signs with `cryptography` alone, so that the two check
each other. Whoever comes is signed in at once as the person that was set: for demo and tests.
`PUT /world` sets the person and what is to be wrong with the next tokens.
"""

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote, urlencode

import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

_LIFE = 300
_CODE_LIFE = 60.0

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class World(BaseModel):
    """Who signs in, and what is wrong with the tokens. `claims` go over the right ones; null drops.

    `signed_by`: `own` key, a `foreign` one under the same name, or the `public` key as a shared
    secret. `same_token`: the token before is given once more.
    """

    subject: str = "subject-1"
    claims: dict[str, Any] = {}
    alg: str = "RS256"
    kid: str | None = None
    signed_by: str = "own"
    same_token: bool = False


@dataclass
class Grant:
    """What a code stands for, once, for a minute."""

    client: str
    redirect: str
    nonce: str
    challenge: str
    until: float


@dataclass
class Provider:
    """One provider with one client."""

    issuer: str
    client: str
    secret: str
    redirect: str
    world: World = field(default_factory=World)
    grants: dict[str, Grant] = field(default_factory=dict[str, Grant])
    kid: str = ""
    keys: dict[str, PrivateKey] = field(default_factory=dict[str, "PrivateKey"])
    asked_for_keys: int = 0
    last: str = ""

    def rotate(self) -> None:
        """New keys under new names; the old ones are forgotten at once."""
        self.kid = secrets.token_hex(4)
        self.keys = _new_keys()

    def authorize(self, query: dict[str, str]) -> str:
        """The code for a browser that asks rightly. Raises HTTPException."""
        wanted = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.redirect,
            "code_challenge_method": "S256",
        }
        if wrong := [name for name, value in wanted.items() if query.get(name) != value]:
            raise HTTPException(400, f"wrong: {wrong}")
        if "openid" not in query.get("scope", "").split() or not query.get("code_challenge"):
            raise HTTPException(400, "no scope openid, or no challenge")
        code = secrets.token_urlsafe(24)
        self.grants[code] = Grant(
            client=self.client,
            redirect=self.redirect,
            nonce=query.get("nonce", ""),
            challenge=query["code_challenge"],
            until=time.monotonic() + _CODE_LIFE,
        )
        return code

    def exchange(self, form: dict[str, str], basic: str) -> str:
        """The token for a code: once, to its client, with the verifier. Raises HTTPException."""
        name, _, password = base64.b64decode(basic or "").decode().partition(":")
        if (unquote(name), unquote(password)) != (self.client, self.secret):
            raise HTTPException(401, "invalid_client")
        grant = self.grants.pop(form["code"], None)
        verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            grant is None
            or grant.until < time.monotonic()
            or form["redirect_uri"] != grant.redirect
            or _b64(verifier) != grant.challenge
        ):
            raise HTTPException(400, "invalid_grant")
        if not (self.world.same_token and self.last):
            self.last = self.token(grant.nonce)
        return self.last

    def token(self, nonce: str) -> str:
        """An ID token as the world wants it."""
        now, world = int(time.time()), self.world
        right = {
            "iss": self.issuer,
            "sub": world.subject,
            "aud": self.client,
            "iat": now,
            "exp": now + _LIFE,
            "nonce": nonce,
        }
        claims = {name: one for name, one in {**right, **world.claims}.items() if one is not None}
        kid = f"{self.kid}-{world.alg}" if world.kid is None else world.kid
        head = _b64(json.dumps({"alg": world.alg, "kid": kid, "typ": "JWT"}).encode())
        signed = f"{head}.{_b64(json.dumps(claims).encode())}"
        return f"{signed}.{_b64(self._signature(signed.encode()))}"

    def _signature(self, signed: bytes) -> bytes:
        alg = self.world.alg
        if alg == "none":
            return b""
        if alg == "HS256":
            public = self.keys["RS256"].public_key()
            form = serialization.PublicFormat.SubjectPublicKeyInfo
            pem = public.public_bytes(serialization.Encoding.PEM, form)
            return hmac.digest(pem, signed, hashlib.sha256)
        keys = _new_keys() if self.world.signed_by == "foreign" else self.keys
        return _signed(keys[alg], signed)

    def jwks(self) -> dict[str, Any]:
        """The public keys, RFC 7517."""
        self.asked_for_keys += 1
        return {
            "keys": [
                {"kid": f"{self.kid}-{alg}", "alg": alg, "use": "sig", **_public(key)}
                for alg, key in self.keys.items()
            ]
        }


def application(provider: Provider) -> FastAPI:
    """The provider's addresses."""
    provider.rotate()
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/.well-known/openid-configuration")
    async def itself() -> dict[str, Any]:
        return {
            "issuer": provider.issuer,
            "authorization_endpoint": f"{provider.issuer}/authorize",
            "token_endpoint": f"{provider.issuer}/token",
            "jwks_uri": f"{provider.issuer}/jwks",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    @app.get("/jwks")
    async def jwks() -> dict[str, Any]:
        return provider.jwks()

    @app.get("/authorize")
    async def authorize(request: Request) -> RedirectResponse:
        query = dict(request.query_params)
        code = provider.authorize(query)
        back = {"code": code, "state": query.get("state", ""), "iss": provider.issuer}
        return RedirectResponse(f"{provider.redirect}?{urlencode(back)}", 303)

    @app.post("/token")
    async def token(
        request: Request,
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
    ) -> dict[str, Any]:
        basic = request.headers.get("authorization", "").partition(" ")[2]
        form = {"code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "id_token": provider.exchange(form, basic),
        }

    _steered(app, provider)
    return app


def _steered(app: FastAPI, provider: Provider) -> None:
    """The addresses by which a test says what the provider is to do next."""

    @app.put("/world")
    async def world(wanted: World) -> None:
        provider.world = wanted

    @app.post("/world/rotate")
    async def rotate() -> None:
        provider.rotate()

    @app.get("/world")
    async def asked() -> dict[str, int]:
        return {"asked_for_keys": provider.asked_for_keys}


def _new_keys() -> dict[str, PrivateKey]:
    return {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


def _signed(key: PrivateKey, signed: bytes) -> bytes:
    """The signature as RFC 7518 and RFC 8037 write it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        first, second = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return first.to_bytes(32, "big") + second.to_bytes(32, "big")
    return key.sign(signed)


def _public(key: PrivateKey) -> dict[str, str]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n, 256), "e": _number(numbers.e, 3)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    return {"kty": "OKP", "crv": "Ed25519", "x": _b64(public.public_bytes_raw())}


def _number(value: int, size: int) -> str:
    return _b64(value.to_bytes(size, "big"))


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def main() -> None:
    """Serves on the loopback address until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--redirect", required=True)
    words = parser.parse_args()
    provider = Provider(
        issuer=f"http://127.0.0.1:{words.port}",
        client=words.client,
        secret=words.secret,
        redirect=words.redirect,
    )
    uvicorn.run(application(provider), host="127.0.0.1", port=words.port, log_level="warning")


if __name__ == "__main__":
    main()

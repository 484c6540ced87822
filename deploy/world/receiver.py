"""The other end of the webhook: takes notices, and believes only those that are signed.

It follows Standard Webhooks 1.0 (standardwebhooks.com) by itself, without the library that the
gateway signs with, so that the two check each other.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

_TOLERANCE = 300.0
_LARGEST = 65_536
_HEADERS = {"webhook-id", "webhook-timestamp", "webhook-signature"}


def new_secret() -> str:
    """A webhook secret: 24 random bytes in the form that Standard Webhooks gives them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One delivery. `at` is the monotonic second at which it was here, whole."""

    id: str
    valid: bool
    why: str
    body: dict[str, Any]
    at: float

    @property
    def alert(self) -> str:
        """The alert's outside id; empty when the body names none."""
        return str(self.body.get("data", {}).get("alert", ""))


@dataclass(slots=True, kw_only=True)
class Receiver:
    """An HTTP server for one address. `answers` may hold status codes to give before 204s."""

    secret: str = field(default_factory=new_secret)
    clock: Callable[[], float] = time.time
    """Seconds since 1970; a signature is as old as the wall clocks of both ends say."""
    notices: list[Notice] = field(default_factory=list[Notice])
    answers: list[int] = field(default_factory=list[int])
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.close()
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where the gateway is to send."""
        return f"http://127.0.0.1:{self.port}/trygport"

    def of(self, alert: str) -> list[Notice]:
        """The deliveries about one alert that were signed rightly, in order of arrival."""
        return [notice for notice in self.notices if notice.alert == alert and notice.valid]

    async def until(self, enough: Callable[[], bool], *, seconds: float) -> bool:
        """Wait for deliveries until `enough` says so; whether it did in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(enough)
        return enough()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass  # the sender went away, or does not speak HTTP
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines = (line.partition(":") for line in head[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        length = int(headers.get("content-length", "0"))
        if length > _LARGEST:
            return False
        status = self._take(headers, await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {status} .\r\ncontent-length: 0\r\n\r\n".encode())
        async with self._news:
            self._news.notify_all()
        return True

    def _take(self, headers: Mapping[str, str], body: bytes) -> int:
        if self.answers:
            return self.answers.pop(0)
        why = refusal(self.secret, headers, body, now=self.clock())
        said: dict[str, Any] = {}
        with suppress(ValueError):
            said = json.loads(body)
        self.notices.append(
            Notice(
                id=headers.get("webhook-id", ""),
                valid=not why,
                why=why,
                body=said,
                at=time.monotonic(),
            )
        )
        return 401 if why else 204


def refusal(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> str:
    """Why a delivery is not to be believed; empty when it is."""
    missing = _HEADERS - headers.keys()
    if missing:
        return f"without {min(missing)}"
    stamp = headers["webhook-timestamp"]
    if not stamp.isdecimal() or abs(int(stamp) - now) > _TOLERANCE:
        return f"webhook-timestamp {stamp} is not now"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{stamp}.".encode() + body
    right = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = headers["webhook-signature"].split()
    if not any(hmac.compare_digest(each, f"v1,{right}") for each in given):
        return "the signature is wrong"
    return ""

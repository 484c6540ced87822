"""Channel: a signed POST to one address, as Standard Webhooks 1.0.0 describes it."""

import asyncio
import base64
import binascii
import ipaddress
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
from standardwebhooks import Webhook as Signer

from gateway.notify.channel import NotNow, Undeliverable
from gateway.store.notices import DueNotice

TIMEOUT = 15.0
"""Seconds for one attempt, answer and all; Standard Webhooks asks for 15 to 30."""
_MOST_OF_ANSWER = 65_536
_SECRET_BYTES = range(24, 65)
_GONE = 410


class BadWebhook(ValueError):
    """The address or the secret cannot be used: mend GATEWAY_WEBHOOK_URL or _SECRET."""


class Webhook:
    """Sends thin notices: ids, kinds and times, no names; who may know more asks the API."""

    def __init__(
        self, client: httpx2.AsyncClient, url: str, secret: str, *, seconds: float = TIMEOUT
    ) -> None:
        self._client = client
        self._url = url
        self._seconds = seconds
        self._signer = Signer(secret)

    async def deliver(self, notice: DueNotice) -> str:
        """Deliver it. Only 2xx is delivered; a redirect is not followed; 410 ends it."""
        body = content(notice)
        try:
            async with asyncio.timeout(self._seconds):
                status, wait = await self._post(body, self._headers(notice, body))
        except TimeoutError as late:
            raise NotNow(f"no answer within {self._seconds:g} s") from late
        except httpx2.HTTPError as fault:
            raise NotNow(type(fault).__name__) from fault
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own border
            return str(status)
        if status == _GONE:
            raise Undeliverable("410: the receiver wants no more")
        raise NotNow(str(status), wait)

    def _headers(self, notice: DueNotice, body: str) -> dict[str, str]:
        # The receiver compares this with its own watch to stop replays. It is about the attempt
        # and decides nothing here, so it is the real time also when our clock is moved.
        now = datetime.now(UTC)
        name = str(notice.public)
        return {
            "content-type": "application/json",
            "user-agent": "Trygport",
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(name, now, body),
        }

    async def _post(self, body: str, headers: dict[str, str]) -> tuple[int, timedelta | None]:
        request = self._client.stream("POST", self._url, content=body.encode(), headers=headers)
        async with request as response:
            read = 0
            async for part in response.aiter_raw():  # a whole answer lets the connection be kept
                read += len(part)
                if read > _MOST_OF_ANSWER:
                    break
            return response.status_code, _wait(response.headers.get("retry-after"))


@asynccontextmanager
async def webhook(
    url: str, secret: str, *, production: bool, seconds: float = TIMEOUT
) -> AsyncGenerator[Webhook]:
    """Open the channel; an attempt may take so many seconds. Raises BadWebhook.

    The one configured address is the allow-list. No redirect is followed and no proxy of the
    environment is used, so that nothing leads to another.
    """
    _refuse_bad_address(url, production=production)
    _refuse_bad_secret(secret)
    # `deliver` limits the attempt as a whole; the client's own limits are for each step of it.
    async with httpx2.AsyncClient(timeout=None, follow_redirects=False, trust_env=False) as client:
        yield Webhook(client, url, secret, seconds=seconds)


def content(notice: DueNotice) -> str:
    """Return the body that is signed and sent."""
    said = {
        "type": notice.type,
        "timestamp": notice.made.isoformat(),
        "data": {
            "alert": str(notice.alert),
            "kind": notice.kind,
            "state": notice.state,
            "since": notice.since.isoformat(),
            "raised": notice.raised.isoformat(),
            "late": notice.late,
        },
    }
    return json.dumps(said, separators=(",", ":"))


def _refuse_bad_address(url: str, *, production: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise BadWebhook("GATEWAY_WEBHOOK_URL is not https://HOST/PATH without a user")
    if parts.scheme == "http" and production and not _is_loopback(parts.hostname):
        raise BadWebhook("GATEWAY_WEBHOOK_URL: in production only https, or http to this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_bad_secret(secret: str) -> None:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise BadWebhook("GATEWAY_WEBHOOK_SECRET is not whsec_ and base64") from error
    if not secret.startswith("whsec_") or len(key) not in _SECRET_BYTES:
        raise BadWebhook("GATEWAY_WEBHOOK_SECRET is not whsec_ and 24 to 64 random bytes in base64")


def _wait(header: str | None) -> timedelta | None:
    """Read Retry-After: seconds, or an HTTP date (RFC 9110, 10.2.3); None if it is neither."""
    if header is None:
        return None
    try:
        if header.strip().isdecimal():
            return timedelta(seconds=int(header))
        return max(timedelta(0), parsedate_to_datetime(header) - datetime.now(UTC))
    except (ValueError, TypeError, OverflowError):
        return None

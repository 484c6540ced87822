"""What a notice says to whoever gets it, how it is signed, and where it may be sent."""

import base64
import json
from datetime import timedelta

import pytest
import standardwebhooks

from gateway.notify.outbox import Outbox
from gateway.notify.webhook import BadWebhook, webhook
from tests.gateway.hook import Hook
from tests.gateway.house import House
from tests.gateway.notify.outgoing import NOW, SECRET, notices, recorded


async def test_the_signature_is_what_the_standards_own_library_verifies(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home, kind="call_pressed")
    await box.send_due()

    (got,) = receiver.got
    said = standardwebhooks.Webhook(SECRET).verify(got.body, got.headers)

    row = await recorded(home)
    (alert,) = await home.alerts()
    assert got.headers["webhook-id"] == str(row["public"])
    assert got.headers["content-type"] == "application/json"
    assert said == {
        "type": "alert.raised",
        "timestamp": NOW.isoformat(),
        "data": {
            "alert": str(alert["public"]),
            "kind": "call_pressed",
            "state": "new",
            "since": (NOW - timedelta(seconds=2)).isoformat(),
            "raised": (NOW - timedelta(seconds=2)).isoformat(),
            "late": False,
        },
    }
    assert len(got.body) < 20_000


async def test_a_body_that_was_changed_on_the_way_does_not_verify(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home, kind="call_pressed")
    await box.send_due()

    (got,) = receiver.got
    changed = got.body.replace(b"call_pressed", b"night_door  ")
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(changed, got.headers)


async def test_the_citizens_name_is_in_nothing_that_is_sent(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home)
    await home.db.execute(
        "INSERT INTO identity.citizen (municipality, citizen, name, address)"
        " SELECT municipality, id, 'Agnes Holm', 'Nørregade 7' FROM citizen"
    )

    await box.send_due()

    (got,) = receiver.got
    sent = got.body + json.dumps(got.headers).encode()
    assert b"Agnes" not in sent
    assert b"rregade" not in sent


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://receiver.example/hook", True),
        ("http://127.0.0.1:9/hook", True),
        ("http://[::1]:9/hook", True),
        ("http://localhost:9/hook", True),
        ("http://receiver.example/hook", False),
        ("http://10.0.0.1/hook", False),
        ("https://user:word@receiver.example/hook", False),
        ("ftp://receiver.example/hook", False),
        ("https:///hook", False),
    ],
)
async def test_in_production_only_https_or_this_machine_is_sent_to(url: str, *, fine: bool) -> None:
    async def opens() -> None:
        async with webhook(url, SECRET, production=True):
            pass

    if fine:
        await opens()
    else:
        with pytest.raises(BadWebhook, match="GATEWAY_WEBHOOK_URL"):
            await opens()


@pytest.mark.parametrize(
    "secret",
    [
        "",
        base64.b64encode(bytes(24)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not base64!",
    ],
)
async def test_a_secret_that_the_standard_does_not_allow_is_refused(secret: str) -> None:
    with pytest.raises(BadWebhook, match="GATEWAY_WEBHOOK_SECRET"):
        async with webhook("https://receiver.example/", secret, production=True):
            pass

"""The webhook's other end believes what is signed, and nothing else."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from standardwebhooks import Webhook

from deploy.world.receiver import Receiver

NOW = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
BODY = b'{"type":"alert.raised","data":{"alert":"an alert"}}'


async def test_a_notice_signed_by_the_library_is_believed() -> None:
    async with Receiver(clock=NOW.timestamp) as receiver, httpx2.AsyncClient() as client:
        answer = await client.post(receiver.url, content=BODY, headers=_signed(receiver))

        assert answer.status_code == 204
        assert await receiver.until(lambda: bool(receiver.of("an alert")), seconds=1)


@pytest.mark.parametrize("fault", ["body", "age", "secret", "none"])
async def test_a_notice_that_is_not_signed_rightly_is_refused(fault: str) -> None:
    async with Receiver(clock=NOW.timestamp) as receiver, httpx2.AsyncClient() as client:
        headers = _signed(receiver, at=NOW - timedelta(hours=1 if fault == "age" else 0))
        if fault == "secret":
            headers = _signed(Receiver())
        if fault == "none":
            headers = {}

        sent = BODY + b" " if fault == "body" else BODY
        answer = await client.post(receiver.url, content=sent, headers=headers)

        assert answer.status_code == 401
        assert [notice.valid for notice in receiver.notices] == [False]
        assert receiver.of("an alert") == []


async def test_it_can_be_told_to_fail_first() -> None:
    failing = Receiver(answers=[500], clock=NOW.timestamp)
    async with failing as receiver, httpx2.AsyncClient() as client:
        first = await client.post(receiver.url, content=BODY, headers=_signed(receiver))
        again = await client.post(receiver.url, content=BODY, headers=_signed(receiver))

    assert (first.status_code, again.status_code) == (500, 204)
    assert len(receiver.notices) == 1


def _signed(receiver: Receiver, *, at: datetime = NOW) -> dict[str, str]:
    signature = Webhook(receiver.secret).sign("msg_1", at, BODY.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }

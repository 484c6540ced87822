"""The password file that the gateway writes opens the real broker, and to nobody else."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import Broker
from edge.broker import Link
from edge.sending.line import Line, LinkLost
from gateway.edges.passwords import hash_password, write_password_file
from gateway.settings import Settings


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker.start(tmp_path / "broker", passwords={"box-01": "old"})
    yield started
    started.stop()


async def enters(broker: Broker, name: str, password: str) -> bool:
    link = Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=name, password=password)
    line = Line(
        link, keepalive=30, arrived=lambda _topic, _payload: None, acked=lambda _mid, _code: None
    )
    try:
        await line.open(will=b"{}", earliest=None)
    except LinkLost:
        return False
    line.close()
    return True


def settings(broker: Broker) -> Settings:
    return Settings.model_validate(
        {
            "production": False,
            "broker_password": "the gateway's",
            "broker_password_file": broker.password_file,
            "broker_pid_file": broker.pid_file,
        }
    )


async def test_who_is_in_the_file_enters_and_nobody_else(own_broker: Broker) -> None:
    write_password_file(settings(own_broker), [("box-02", hash_password("new"))])
    own_broker.reload()

    assert await enters(own_broker, "box-02", "new")
    assert await enters(own_broker, "gateway-urgent", "the gateway's")
    assert not await enters(own_broker, "box-02", "newer")
    assert not await enters(own_broker, "box-01", "old")


async def test_the_file_is_for_the_broker_alone(own_broker: Broker) -> None:
    before = own_broker.password_file.stat()

    write_password_file(settings(own_broker), [])

    after = own_broker.password_file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o600
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


async def test_a_process_that_is_not_the_broker_is_left_alone(own_broker: Broker) -> None:
    own_broker.pid_file.write_text("1")

    with pytest.raises(ProcessLookupError):
        write_password_file(settings(own_broker), [])

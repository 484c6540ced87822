"""The system's D-Bus, the one that bleak uses too: each call has a time limit."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from dbus_fast import AuthError, BusType, InvalidAddressError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal

ANSWER = 10.0
"""Seconds for one answer; D-Bus itself lets a call to a daemon that hangs wait for ever."""


class Refused(Exception):
    """The call was refused, or nobody answered; the text is the error's short name."""


@asynccontextmanager
async def system_bus() -> AsyncGenerator[MessageBus]:
    """A connection of its own, closed at the end. Raises Refused when there is no bus."""
    bus = MessageBus(bus_type=BusType.SYSTEM, auth=_authenticator())
    try:
        async with asyncio.timeout(ANSWER):
            await bus.connect()
        yield bus
    except (OSError, EOFError, AuthError, InvalidAddressError, TimeoutError) as fault:
        raise Refused(type(fault).__name__) from fault
    finally:
        bus.disconnect()


async def ask(
    bus: MessageBus,
    destination: str,
    path: str,
    method: str,
    *,
    signature: str = "",
    body: Sequence[Any] = (),
) -> list[Any]:
    """The answer to `interface.Method`. Raises Refused."""
    interface, _, member = method.rpartition(".")
    call = Message(
        destination=destination,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
    )
    try:
        async with asyncio.timeout(ANSWER):
            answer = await bus.call(call)
    except TimeoutError as late:
        raise Refused("NoReply") from late
    if answer.message_type is MessageType.ERROR:
        raise Refused((answer.error_name or "Failed").rpartition(".")[2])
    return answer.body


def _authenticator() -> AuthExternal | None:
    """As bleak authenticates: in a container the uid may have to be told."""
    uid = os.environ.get("BLEAK_DBUS_AUTH_UID", "")
    return AuthExternal(uid=int(uid)) if uid.isdigit() else None

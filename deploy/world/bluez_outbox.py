"""What the emulated BlueZ sends, one message after the other.

dbus-fast writes a message at once also while half of the one before still waits for the socket;
where the bus daemon reads slowly that ends the connection with EAGAIN.
"""

import asyncio
from copy import deepcopy

from dbus_fast import Message
from dbus_fast.aio import MessageBus


class Outbox:
    """Messages in order on one bus. A bus that is gone takes none, and that is no error."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._waiting: asyncio.Queue[tuple[Message, asyncio.Future[None]]] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._send())

    def put(self, message: Message) -> asyncio.Future[None]:
        """Send it as it is now, in its turn; done when the socket has all of it."""
        message.body = deepcopy(message.body)  # properties that go on changing are among it
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((message, sent))
        return sent

    def close(self) -> None:
        """What waits is not sent any more."""
        self._task.cancel()
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].cancel()

    async def _send(self) -> None:
        while True:
            message, sent = await self._waiting.get()
            await self._bus.send(message)  # pyright: ignore[reportUnknownMemberType]
            if not sent.done():
                sent.set_result(None)

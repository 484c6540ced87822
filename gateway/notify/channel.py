"""A way to reach somebody: it delivers, says that it never will, or asks to be tried again."""

from datetime import timedelta
from typing import Protocol

from gateway.store.notices import DueNotice


class Undeliverable(Exception):
    """The receiver will not have it, now or later. The notice is given up, with this text."""


class NotNow(Exception):
    """It was not delivered this time. Tried again later, after `wait` at the soonest if given."""

    def __init__(self, why: str, wait: timedelta | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Channel(Protocol):
    """One way to reach somebody."""

    async def deliver(self, notice: DueNotice) -> str:
        """Deliver it; what the receiver answered, for the record.

        The receiver may have had it before: it knows a notice by its `public` id. Raises
        Undeliverable or NotNow; anything else is a fault of ours and is tried again.
        """
        ...

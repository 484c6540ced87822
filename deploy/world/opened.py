"""What is opened in steps and closed whole: also when a step in the middle of opening fails."""

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import Self


class Opened(ABC):
    """Each step of `_set_up` leaves in `_open` how it is undone; the last is undone first."""

    __slots__ = ()
    _open: AsyncExitStack

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @abstractmethod
    async def _set_up(self) -> None:
        """Open everything."""

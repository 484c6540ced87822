"""What the pages of the first hour need from whoever lets people in; they do not know that room."""

from typing import Protocol

from fastapi import Request

from gateway.store.beginning import First


class Codes(Protocol):
    """Makes the CODE of a box, as `edge join` takes it, of its secret."""

    def code(self, secret: str) -> str: ...


class Beginning(Protocol):
    """Handed over with the door."""

    @property
    def needs_code(self) -> bool:
        """Whether an account with a password needs a phone's code."""
        ...

    def wait(self, request: Request) -> int:
        """Seconds until a link may be tried again from there; 0: now, and it is counted."""
        ...

    async def opens(self, request: Request, secret: str) -> bool:
        """Whether the link may be used. Follows a `wait` of 0, which is given back if it may."""
        ...

    def cookie(self, request: Request) -> str:
        """The name of the cookie that keeps the link's code while the form is filled in."""
        ...

    def token(self, request: Request) -> str:
        """The word that the form must bring."""
        ...

    def is_ours(self, request: Request, word: str) -> bool:
        """Whether the form came from our own page, in the browser that opened the link."""
        ...

    async def begin(self, secret: str, first: First) -> str:
        """The cookie of the first administrator's session. Raises LinkRefused and LoginTaken."""
        ...

    async def codes(self) -> Codes | None:
        """Makes the codes of boxes; None where no box can join yet."""
        ...

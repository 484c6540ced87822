"""The code of a box that may join: its secret, our address and our authority in one string."""

from gateway.edges import code
from gateway.store.certificates import our_authority
from gateway.store.pool import Connection, Pool


class NoAuthority(Exception):
    """There is nobody yet whom a box could trust; the text says what to start."""

    def __init__(self) -> None:
        super().__init__(
            "no box can join yet: say `gateway authority begin`, then run the stage edges "
            "(`gateway run --only edges`), which tells its address"
        )


class Inviting:
    """Makes codes that name our authority as it was when this was opened."""

    def __init__(self, address: str, fingerprint: str) -> None:
        self._address = address
        self._fingerprint = fingerprint

    @classmethod
    async def of(cls, db: Connection | Pool) -> "Inviting":
        """Raises NoAuthority until the stage `edges` has run once."""
        ours = await our_authority(db)
        if ours is None:
            raise NoAuthority
        return cls(ours.address, ours.fingerprint)

    def code(self, secret: str) -> str:
        """What is typed or scanned into the box: see gateway/edges/code.py."""
        return code.make(self._address, secret, self._fingerprint)

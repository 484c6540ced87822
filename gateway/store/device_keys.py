"""The keys of devices: sealed where they are kept, and opened once by who reads their frames."""

import secrets

from gateway import log
from gateway.store.seal import Place, Seal, Unsealable

_MOST = 300_000
"""Keys remembered at a time, some 90 MB: as many as there are devices remembered."""
_LENGTH = 16

_log = log.get(__name__)


def place(municipality: int, device: int) -> Place:
    """Where the device's key is kept: moved to another device it does not open."""
    return Place(municipality, "device_secret", device, "key")


class DeviceKeys:
    """Opens keys, each once for as long as it is kept as it is.

    `none_fits` is given where a key does not open. It is random, so it fits no frame; and it is a
    key, so that a device which encrypts is not believed in plain words because we lost its key.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._opened: dict[tuple[Place, bytes], bytes] = {}
        self.none_fits = secrets.token_bytes(_LENGTH)

    def open(self, municipality: int, device: int, kept: bytes | None) -> bytes | None:
        """The device's key; None where it has none, and `none_fits` where it does not open."""
        if kept is None:
            return None
        where = place(municipality, device)
        found = self._opened.get((where, kept))
        if found is None:
            if len(self._opened) >= _MOST:
                self._opened.clear()
            found = self._opened[where, kept] = self._open(where, kept)
        return found

    def _open(self, where: Place, kept: bytes) -> bytes:
        try:
            return self._seal.open_bytes(kept, where)
        except Unsealable as unsealable:
            # said once, and again after a restart: its frames are set aside with the reason
            _log.error("a device's key does not open", why=str(unsealable), device=where.row)
            return self.none_fits

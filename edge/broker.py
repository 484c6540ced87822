"""Where the broker is, and who this box is there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where the broker is and who this box is there. `ca` is PEM text; None: the system's own.

    `own` is the file with the key and the certificate that the box shows, read at each connection.

    `interface`: the network interface that the connection is bound to; empty: the system's choice.
    Linux lets every user bind to one since 5.7 (SO_BINDTODEVICE, socket(7)); it needs a route of
    its own to the broker, a default route of whatever metric.
    """

    edge: str
    host: str
    port: int
    tls: bool = False
    ca: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    own: Path | None = None
    interface: str = ""

    @classmethod
    def to(
        cls,
        broker: str,
        *,
        edge: str,
        ca: str | None = None,
        username: str | None = None,
        password: str | None = None,
        own: Path | None = None,
        interface: str = "",
    ) -> Self:
        """A link to `mqtt://host:port` or `mqtts://host:port`; ValueError for anything else."""
        url = urlsplit(broker)
        if url.scheme not in _PORTS or not url.hostname or url.path.strip("/"):
            raise ValueError(f"{broker!r} is neither mqtt://HOST:PORT nor mqtts://HOST:PORT")
        return cls(
            host=url.hostname,
            port=url.port or _PORTS[url.scheme],
            tls=url.scheme == "mqtts",
            edge=edge,
            ca=ca,
            username=username,
            password=password,
            own=own,
            interface=interface,
        )

    def topic(self, word: str) -> str:
        return f"edges/{self.edge}/{word}"

"""What a helper's process is told by a file: which load it is about, and how the sender sends."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from deploy.world.bench.load import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What goes to another process by a file, about the load of a shape."""

    shape: Shape
    report: str
    """The file in which the process puts its result."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the file that `write` made."""
        said: dict[str, Any] = json.loads(path.read_text())
        said["shape"] = Shape(**said["shape"])
        return cls(**said)

    def write(self, path: Path) -> None:
        """For the process."""
        path.write_text(json.dumps(asdict(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Written):
    """What is sent, to where. `rate` is observations a second, 0 for as fast as receipts come."""

    host: str
    port: int
    seconds: float
    rate: float
    makers: int
    ready: int
    """Bytes of batches that are made before the first is sent, and that lie ready at most."""
    drain: float = 60.0
    """Seconds that the last receipts are waited for."""
    certificates: str = ""
    """The folder of the boxes' certificates (issued.py); empty: in clear, with a password."""
    connected: int = 0
    """Boxes connected at a time, 0 for all: one that is done makes room for the next."""

"""One scripted life of a spool after another, each killed one system call later than the last.

Run under strace, which kills at the `AT`th call of each kind; a life is brought to its end at its
own nth call by calls of that kind that do nothing. Each life has a folder `KIND/N`, where the spool
lies and `told` has what the ledger of the power cuts is to hear.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from adapters.frame import Lane, encode_frame
from edge.keeping.spool import Spool
from tests.edge.frames import HOUR, HandClock, heard
from tests.edge.late import SPOOLS

AT = 400
"""More calls of one kind than a life makes."""
EPOCH = "00000000-0000-4000-8000-00000000e90c"
RESERVE = 100_000
LIVED = "lived"
"""A file in the folder of the life that was not killed any more."""

_NOTHING = os.open("/dev/null", os.O_WRONLY)
KINDS: Mapping[str, tuple[str, Callable[[], object]]] = {
    "pwrite": ("pwrite64", lambda: os.pwrite(_NOTHING, b"", 0)),
    "fdatasync": ("fdatasync", lambda: os.fdatasync(_NOTHING)),
    "fsync": ("fsync", lambda: os.fsync(_NOTHING)),
    "ftruncate": ("ftruncate", lambda: os.ftruncate(_NOTHING, 0)),
    "unlink": ("?unlink,?unlinkat", lambda: os.unlink("/dev/null/none")),  # noqa: PTH108 - the call itself
    "fallocate": ("fallocate", lambda: os.posix_fallocate(_NOTHING, 0, 1)),
}
"""The system calls of each kind as strace knows them, and one that does nothing."""


class Script:
    """What every life does, and tells."""

    def __init__(self, spool: Spool, clock: HandClock, told: int) -> None:
        self._spool = spool
        self._clock = clock
        self._told = told

    def play(self) -> None:
        """Append, receive receipts, forget, remember, append again, close."""
        self._append("urgent", 1, 1)
        self._append("bulk", 2, 12)
        self._receive("bulk")
        self._append("bulk", 20, 3, size=900)
        self._receive("urgent")
        self._tell(remembered=0)
        self._spool.remember("life", "1")
        self._tell(remembered=1)
        self._clock.ms += 73 * HOUR
        self._append("urgent", 30, 1)
        self._spool.forget()
        self._append("bulk", 40, 2)
        self._spool.close()

    def _append(self, lane: Lane, first: int, count: int, *, size: int = 2) -> None:
        frames = [heard(number, size=size) for number in range(first, first + count)]
        self._tell(begins=lane, texts=[encode_frame(frame) for frame in frames])
        self._spool.append_many(frames, lane)
        self._tell(kept=count)

    def _receive(self, lane: Lane) -> None:
        run = self._spool.cut(lane, frames=8, octets=50_000)
        if run is not None:
            self._tell(receipts=list(run.frames))
            self._spool.receipt({run.stream: [(run.first, run.last)]}, epoch=EPOCH)

    def _tell(self, **words: object) -> None:
        line = {"hour": self._clock.ms // HOUR, **words}
        os.write(self._told, f"{json.dumps(line)}\n".encode())


def main(folder: Path, name: str) -> None:
    """Every kind, from the first call to the last."""
    for kind, (_, nothing) in KINDS.items():
        for number in range(1, AT):
            own = folder / kind / f"{number:03}"
            own.mkdir(parents=True)
            if not _killed(own, SPOOLS[name], lambda n=number, call=nothing: _spend(AT - n, call)):
                (own / LIVED).touch()
                break


def _killed(folder: Path, kind: type[Spool], before: Callable[[], None]) -> bool:
    """Whether a life in a process of its own was killed."""
    child = os.fork()
    if child == 0:
        told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT, 0o600)
        clock = HandClock()
        before()
        Script(kind(folder / "spool.sqlite", clock, reserve=RESERVE), clock, told).play()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status not in {0, signal.SIGKILL}:
        sys.exit(f"{folder}: a life ended with {status}")
    return status != 0


def _spend(calls: int, nothing: Callable[[], object]) -> None:
    for _ in range(calls):
        with suppress(OSError):
            nothing()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

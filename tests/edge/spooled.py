"""What waits in a spool, as tests ask for it."""

import json

from adapters.frame import Lane
from edge.keeping.run import Run
from edge.keeping.spool import Spool
from tests.edge.gateway import EPOCH


def runs(spool: Spool, lane: Lane, *, frames: int = 100, octets: int = 50_000) -> list[Run]:
    cut = list[Run]()
    while run := spool.cut(lane, cut[-1].following if cut else None, frames=frames, octets=octets):
        cut.append(run)
    return cut


def everything(spool: Spool, lane: Lane = "bulk") -> list[int]:
    """The numbers in the bytes of all frames that wait, in order."""
    return [
        int.from_bytes(bytes.fromhex(json.loads(text)["data"]["fcd2"]), "little")
        for run in runs(spool, lane)
        for text in run.frames
    ]


def store_all(spool: Spool, *, epoch: str = EPOCH) -> None:
    for lane in ("urgent", "bulk"):
        for run in runs(spool, lane):
            spool.receipt({run.stream: [(1, run.last)]}, epoch=epoch)

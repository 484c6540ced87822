"""Which parts break the promise, each in its own way: what the chaos must be seen to find."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from adapters.frame import Lane
from edge.sending.lanes import PACES, Pace, Sent
from edge.sending.uplink import Uplink

PUBACK, LEDGER, RECEIPT_FIRST, ASYNC_COMMIT = "puback", "ledger", "receipt-first", "async-commit"
NAMES = (PUBACK, LEDGER, RECEIPT_FIRST, ASYNC_COMMIT)
IN_INGEST = (LEDGER, RECEIPT_FIRST)
"""Those that are a pipeline of ingest (ingest.py); the last is a setting of the database."""


class Hurried(Uplink):
    """A box as it is, in a world where the next fault is a second away, not a month.

    With a minute's patience a run of twelve faults in ten seconds ends in a minute of waiting.
    """

    paces: ClassVar[Mapping[Lane, Pace]] = {
        **PACES,
        "bulk": replace(PACES["bulk"], patience=3, longest=6, slowest=12),
    }


class TrustsTheBroker(Hurried):
    """Lets go of a frame on the broker's PUBACK, as if that proved anything."""

    def published(self, sent: Sent) -> None:
        run, epochs = sent.run, json.loads(self.spool.recall("epochs") or "[]")
        for epoch in epochs[-1:]:
            self.spool.receipt({run.stream: [(run.first, run.last)]}, epoch=epoch)


UPLINKS: Mapping[str, type[Uplink]] = {"honest": Hurried, PUBACK: TrustsTheBroker}

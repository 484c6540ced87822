"""A stream of hostile messages through the real pipeline into the real database."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from hypothesis import strategies as st

from adapters.frame import Lane, encode_batch
from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.subscriber import Delivery
from tests.frames import BUTTON, batch, press
from tests.fuzz import hostile
from tests.gateway.ingest_home import Parts, parts

SECONDS, PATIENCE = 1.0, 10.0
"""Of our CPU time until a good message is stored, whatever came before; and on a busy machine."""

Message = tuple[str, bytes]
"""The last level of its topic, and the payload."""

messages = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["urgent", "bulk"]), hostile.messages),
        st.tuples(st.just("state"), hostile.states),
    ),
    min_size=1,
    max_size=8,
)


class Stream:
    """Both lanes of one gateway. Its broker's end is a list of messages."""

    def __init__(self, ingest: Parts, kind: type[Pipeline] = Pipeline) -> None:
        self._ingest = ingest
        self._lanes = {lane: ingest.pipeline(lane, kind) for lane in _LANES}
        self._counter = 0

    async def withstand(self, said: Sequence[Message]) -> None:
        """Take them, then a good press; raises if it is not stored in time or anything failed."""
        for lane, pipeline in self._lanes.items():
            await pipeline.store([_delivery(*one) for one in said if one[0] == lane])
        await self._ingest.states.take([_delivery(*one) for one in said if one[0] == "state"])
        self._counter += 1
        good = batch([press(self._counter)])
        before = time.process_time()
        async with asyncio.timeout(PATIENCE):
            told = await self._lanes["urgent"].store([_delivery("urgent", encode_batch(good))])
        assert time.process_time() - before < SECONDS
        assert good.stream in b"".join(told.values()).decode(), "a receipt for the good one"
        rows = await self._ingest.rows(
            "SELECT FROM observation o JOIN message m USING (batch)"
            " JOIN stream s ON s.id = m.stream WHERE s.uuid::text = $1 AND o.kind = $2",
            good.stream,
            Kind.CALL_PRESSED,
        )
        assert len(rows) == 1, "the good one is stored"
        failed = await self._ingest.rows(
            "SELECT reason, detail FROM quarantine WHERE reason = ANY ($1)", list(_OUR_FAULT)
        )
        assert not failed, failed


_LANES: tuple[Lane, Lane] = ("urgent", "bulk")
_OUR_FAULT = ("adapter_failed", "refused")


def _delivery(level: str, payload: bytes) -> Delivery:
    return Delivery(f"edges/box-01/{level}", payload, retained=False, number=1)


@asynccontextmanager
async def stream(where: OneDatabase, kind: type[Pipeline] = Pipeline) -> AsyncGenerator[Stream]:
    """A furnished home; the button's key is known."""
    async with parts(where) as ingest:
        await ingest.rows(
            "INSERT INTO device_secret (municipality, device, key, given)"
            " SELECT 1, id, $1, now() FROM device WHERE address = $2 RETURNING device",
            hostile.KEY,
            BUTTON,
        )
        yield Stream(ingest, kind)

"""The births of a whole country that comes back together hold up nobody."""

from collections.abc import Mapping

from deploy.runtime.services import OneDatabase
from gateway.ingest.contact import Contacts
from gateway.ingest.duty import Duty
from gateway.ingest.known import Known
from gateway.ingest.subscriber import Delivery
from gateway.store.known import Edge
from gateway.store.pool import Pool
from tests.gateway.ingest_home import SEAL, parts, state


class Counting(Known):
    """Says how many boxes each question was about."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, SEAL)
        self.questions: list[int] = []

    async def edges(self, names: set[str]) -> Mapping[str, Edge | None]:
        self.questions.append(len(names))
        return await super().edges(names)


async def test_the_births_of_many_boxes_cost_one_question(fresh_database: OneDatabase) -> None:
    """A call that comes after ten thousand of them would else wait for as many answers."""
    births = [
        Delivery(f"edges/box-{n:04}/state", state("running"), retained=False, number=1)
        for n in range(400)
    ]

    async with parts(fresh_database) as ingest:
        known = Counting(ingest.pool)
        contacts = Contacts(Duty(ingest.pool), known, ingest.clock, ingest.subscriber)
        aside = await contacts.take(births)

    assert known.questions == [400]
    assert [one.reason for one in aside] == ["unknown_edge"] * 400

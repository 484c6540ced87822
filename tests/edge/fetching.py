"""A box that fetches a glucose meter's records into its spool, until it is killed.

Run with a spool, the meter's address, and which spool it is: the honest one, or the saboteur's.
"""

import asyncio
import sys
from pathlib import Path

from edge.care import terms
from edge.hearing.reader import Reader
from edge.told.config import Config, Device, Numbered, Plan, Racp
from tests.edge.frames import HandClock
from tests.edge.late import SPOOLS

RACP = Racp(service="1808", records=("2a18", "2a34"), number=Numbered(record="2a18", offset=1))


async def main(path: Path, meter: str, name: str) -> None:
    """Frames of the bulk lane may be gathered in memory, as on every box."""
    clock = HandClock()
    with SPOOLS[name](path, clock, terms=terms(50)) as spool:
        reader = Reader(clock=clock, keep=spool.append_many, records=spool, told=lambda _: None)
        plan = Plan(when="advertised", seconds=1, racp=RACP)
        listed = Device(address=meter, lane="bulk", advertisement=False, connect=plan)
        reader.follow(Config(version=1, devices={meter: listed}))
        await reader.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))

"""How long the reader waits for what: for a sound, for BlueZ, for a device that fell silent."""

from dataclasses import dataclass

from edge.hearing.mode import TRIAL
from edge.visiting.connection import STEP

FIRST = 20.0
"""Seconds within which a new scan must hear something: `start()` may succeed and be deaf."""
LOOKING = 30.0
"""Seconds between two looks at which devices have fallen silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. `silence`: without any advertisement until the scan is begun anew.

    `first`: for a new scan to hear something; `step`: for one operation of BlueZ; `looking`:
    between two looks at which devices have fallen silent; `trial`: of each scan when active and
    passive are tried.
    """

    silence: float = 75.0
    first: float = FIRST
    step: float = STEP
    looking: float = LOOKING
    trial: float = TRIAL


PATIENCE = Patience()

"""Started by test_guard.py as a process of its own, to be killed: starts everything and waits."""

import sys
import time
from pathlib import Path

from deploy.runtime.services import Broker, Database, Guarded, PrivateBus

folder = Path(sys.argv[1])
broker = Broker.start(folder / "broker", passwords={})
database = Database.start(folder / "database")
bus = PrivateBus.start(folder / "bus")
stubborn = Guarded.start(
    ["sh", "-c", "trap '' TERM; sleep 600 & setsid sleep 601 & sleep 602"],
    log=folder / "stubborn.log",
    grace=0.5,
)
sys.stdout.write(f"{broker.pid} {database.pid} {bus.pid} {stubborn.pid}\n")
sys.stdout.flush()
time.sleep(600)

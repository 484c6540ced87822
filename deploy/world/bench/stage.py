"""A stage of the gateway in a process of its own, which writes its counters when asked (SIGUSR1).

`python -m deploy.world.bench.stage STAGE FILE`: `gateway run --only STAGE` would do the same, but
serves its counters only where the API runs too, and the measured process should do nothing else.
Watch gets one rule more than it has (watching.py).
"""

import asyncio
import contextlib
import importlib
import json
import signal
import sys
from pathlib import Path

from deploy.world.bench import watching
from gateway import log, main
from gateway.clock import clock_from
from gateway.health import Health
from gateway.rules.all import ALL_RULES
from gateway.settings import Settings


def counted(health: Health) -> dict[str, float]:
    """Every counter of the process by name and labels, such as `messages{lane=bulk}`."""
    found: dict[str, float] = {}
    for metric in health.registry.collect():
        for sample in metric.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            if not sample.name.endswith(("_created", "_bucket")):
                name = sample.name.removeprefix("trygport_").removesuffix("_total")
                found[f"{name}{{{labels}}}" if labels else name] = sample.value
    return found


def write(health: Health, file: Path) -> None:
    """Put the counters and what does not work in place, whole."""
    bad = {part: why for part, why in health.parts.items() if why is not None}
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"counted": counted(health), "bad": bad, "ready": health.ready}))
    fresh.replace(file)


async def run(stage: str, file: Path) -> None:
    """Until told to stop."""
    settings, health, told = Settings.read(), Health(), asyncio.Event()
    log.set_up(settings.log)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGUSR1, write, health, file)
    file.with_suffix(".up").touch()
    running = asyncio.create_task(_work(stage, settings, health))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _work(stage: str, settings: Settings, health: Health) -> None:
    """A watch that fails ends the process, so that the benchmark sees it."""
    if stage == "watch":
        run_watch = importlib.import_module("gateway.watch").run  # the others need none of it
        clock = clock_from(settings.clock)
        await run_watch(settings, clock, health, rules=(*ALL_RULES, watching.RULE))
    else:
        await main.run(settings, stage.split(","), health)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))

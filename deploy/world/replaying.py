"""The demo's other job: a recording through the whole chain, and what came of it."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.runtime.paths import RUNTIME
from deploy.world.api import Api, Json
from deploy.world.recording import Recording
from deploy.world.replay import Replay, set_clock
from deploy.world.settling import NURSE, People, add_people
from deploy.world.stack import Stack
from deploy.world.verdict import Disappointment


async def show_replay(
    recording: Recording,
    file: Path,
    *,
    folder: Path,
    zone: ZoneInfo,
    speed: float | None,
    port: int | None,
    stay: bool,
    keep: Path | None,
) -> Json:
    """Replay and count. Raises Disappointment when the count is not what the file holds."""
    clock = folder / "clock"
    set_clock(clock, datetime.fromtimestamp(recording.events[0].at // 3_600_000 * 3_600, UTC))
    stack = await asyncio.to_thread(Stack.start, folder, clock=f"driven:{clock}", port=port)
    try:
        await asyncio.to_thread(stack.start_gateway)
        people = await asyncio.to_thread(add_people, stack)
        replay = Replay(
            recording=recording, zone=zone, stack=stack, clock=clock, say=_say, speed=speed
        )
        async with Api(stack.address, people.installer) as api:
            return await _played(replay, api, people, file=file, stay=stay, keep=keep)
    finally:
        await asyncio.to_thread(stack.stop)


async def _played(
    replay: Replay, api: Api, people: People, *, file: Path, stay: bool, keep: Path | None
) -> Json:
    _say(f"{len(replay.recording.homes)} homes, {len(replay.recording.events)} events.")
    await replay.prepare(api)
    async with replay.connected(api):
        _say("Every box is in contact. The board is at")
        _say(f"  {replay.stack.address}/  as {NURSE} with password {people.password}")
        result = await replay.outcome(api, file, seconds=await replay.play())
        kept = keep or RUNTIME / "replays" / f"{file.name.partition('.')[0]}.alerts.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(result["alerts_file"], kept)
        result["alerts_file"] = str(kept)
        _judge(result, replay.stack.complaints())
        if stay:
            _say("All is stored. Press Ctrl-C to end.")
            await asyncio.Event().wait()
    return result


def _judge(result: Json, complaints: list[str]) -> None:
    if result["lost"] or result["duplicated"] or result["replayed"] != result["stored"]:
        raise Disappointment(
            f"Of {result['replayed']} events {result['stored']} are stored:"
            f" {result['lost']} lost, {result['duplicated']} twice."
        )
    if result.pop("night_doors_differ"):
        raise Disappointment(
            f"The rules found {result['night_door']} night doors,"
            f" counting the file by hand {result['night_door_naive']}."
        )
    if complaints:
        raise Disappointment(f"All is stored, but the gateway said: {complaints[-1]}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - progress

"""What a frame tells of a device under a walk test: that it was heard, and what it said; pure."""

from collections.abc import Iterator

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import ClockQuality, Observation
from adapters.registry import read
from gateway.ingest import times
from gateway.store.known import Device, Edge
from gateway.store.walk_heard import Tried


def tried(
    frame: Frame, device: Device, edge: Edge, *, at: tuple[int, ClockQuality], now_ms: int
) -> Iterator[Tried]:
    """The entries in the records of those tests that ran when it was heard, and still run now."""
    for trial in device.trials:
        if trial.since <= now_ms < trial.until and trial.since <= at[0] < trial.until:
            for observation in _read(frame, device):
                yield Tried(
                    municipality=trial.municipality,
                    test=trial.test,
                    placement=trial.placement,
                    edge=edge.id,
                    kind=observation.kind,
                    active=bool(observation.value),
                    occurred=times.moment(at[0]),
                    clock=at[1],
                    rssi=frame.rssi,
                )


def _read(frame: Frame, device: Device) -> tuple[Observation, ...]:
    """Whatever is wrong with it is said where the frame is taken: a record holds what was read."""
    try:
        return tuple(read(frame, key=device.key))
    except UnreadableFrame as unreadable:
        return tuple(unreadable.partial)
    except Exception:  # noqa: BLE001 - a faulty adapter must not stop the lane
        return ()

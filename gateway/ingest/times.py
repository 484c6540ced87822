"""When something occurred, and how sure that is; pure."""

from datetime import UTC, datetime, timedelta

from adapters.frame import Batch, Frame
from adapters.observation import ClockQuality

AHEAD = 5 * 60 * 1_000
"""Milliseconds that a box may be ahead of the gateway before its time is not believed."""

EARLIEST = 1_262_304_000_000
"""2010-01-01T00:00Z: no box or device of ours is older; an earlier time is a clock never set."""

_START = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def heard(frame: Frame, batch: Batch, now: int, *, driven: bool) -> tuple[int, ClockQuality]:
    """When the box heard the frame, in milliseconds since 1970.

    A time before the box's clock was set is worked out from its uptime, if it was the same boot
    that sent: back from the time of sending when the clock is set by then, else from the time of
    receipt, for a clock that was never set may be years off. After another boot only what that
    clock said is left. A time that cannot be becomes the time of receipt, `now`.
    """
    at, quality = frame.at, ClockQuality.SYNCHRONISED
    if not frame.sure:
        at, quality = _corrected(frame, batch, now)
    if at < EARLIEST:
        return now, ClockQuality.UNSURE
    if at > now + AHEAD and not driven:
        return now, ClockQuality.AHEAD
    return at, quality


def _corrected(frame: Frame, batch: Batch, now: int) -> tuple[int, ClockQuality]:
    clock = batch.clock
    if clock.boot != batch.boot:
        return frame.at, ClockQuality.UNSURE
    age = round((clock.uptime - frame.uptime) * 1_000)
    if clock.synchronised:
        return batch.sent_at - age, ClockQuality.CORRECTED
    return now - age, ClockQuality.UNSURE


def told(
    at: int, otherwise: tuple[int, ClockQuality], now: int, *, driven: bool
) -> tuple[int, ClockQuality]:
    """When the device itself says that it occurred; `otherwise` when its clock was never set."""
    if at < EARLIEST:
        return otherwise
    if at > now + AHEAD and not driven:
        return now, ClockQuality.AHEAD
    return at, ClockQuality.DEVICE


def moment(milliseconds: int) -> datetime:
    """Exact, unlike datetime.fromtimestamp, which goes by way of a float."""
    return _START + milliseconds * _MILLISECOND

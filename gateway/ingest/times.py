"""When something occurred, and how sure that is; pure.

A box tells wall time and uptime of each frame, and both again when it sends. Of one boot the two
can be held against each other, so that a wall clock that was never set, was stepped, or is far
off is found and the time counted back from the sending instead. What cannot be found: a clock
that is wrong by 5 minutes to 7 days behind and was not stepped looks like a batch that the broker
delivered late; and of an earlier boot only what its clock said is left.
"""

from datetime import UTC, datetime, timedelta

from adapters.frame import Batch, Frame
from adapters.observation import ClockQuality

AHEAD = 5 * 60 * 1_000
"""Milliseconds that a box may be ahead of the gateway before its time is not believed."""

BEHIND = 7 * 86_400 * 1_000
"""Milliseconds between a sending and its receipt that a broker may account for: it forgets a
session, and what waits in it, after seven days (gateway/edges/mosquitto.conf)."""

STEP = 2_000
"""Milliseconds that wall time and uptime may drift apart in one boot before the wall clock counts
as stepped. A leap second moves it by 1 000 and stays as it was said; a smear moves both."""

EARLIEST = 1_262_304_000_000
"""2010-01-01T00:00Z: no box or device of ours is older; an earlier time is a clock never set."""

_START = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def heard(frame: Frame, batch: Batch, now: int, *, driven: bool) -> tuple[int, ClockQuality]:
    """When the box heard the frame, in milliseconds since 1970; `now` is the time of receipt.

    A time before the box's clock was set, or before it was stepped, is worked out from its
    uptime, if it was the same boot that sent: back from the time of sending when that is to be
    believed, else from the time of receipt. After another boot only what that clock said is
    left. A time that cannot be becomes the time of receipt.
    """
    at, quality = _heard(frame, batch, now, driven=driven)
    if at < EARLIEST:
        return now, ClockQuality.UNSURE
    if at > now + AHEAD and not driven:
        return now, ClockQuality.AHEAD
    return at, quality


def _heard(frame: Frame, batch: Batch, now: int, *, driven: bool) -> tuple[int, ClockQuality]:
    clock, sent = batch.clock, batch.sent_at
    wrong = not driven and not now - BEHIND <= sent <= now + AHEAD
    if clock.boot != batch.boot:
        sure = frame.sure and not wrong
        return frame.at, ClockQuality.SYNCHRONISED if sure else ClockQuality.UNSURE
    age = round((clock.uptime - frame.uptime) * 1_000)
    if wrong:
        ahead = frame.sure and sent > now
        return now - age, ClockQuality.AHEAD if ahead else ClockQuality.UNSURE
    if frame.sure and not (clock.synchronised and _stepped(frame, sent - age, driven=driven)):
        return frame.at, ClockQuality.SYNCHRONISED
    if clock.synchronised:
        return sent - age, ClockQuality.CORRECTED
    return now - age, ClockQuality.UNSURE


def _stepped(frame: Frame, counted: int, *, driven: bool) -> bool:
    """Whether the wall clock was moved between hearing and sending.

    A driven clock moves as it likes, and an uptime of 0 says nothing (a recorded home has none).
    """
    return not driven and frame.uptime > 0 and abs(frame.at - counted) > STEP


def told(
    at: int, otherwise: tuple[int, ClockQuality], now: int, *, driven: bool
) -> tuple[int, ClockQuality]:
    """When the device itself says that it occurred; `otherwise` when its clock was never set."""
    if at < EARLIEST:
        return otherwise
    if at > now + AHEAD and not driven:
        return now, ClockQuality.AHEAD
    return at, ClockQuality.DEVICE


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970 of an aware time."""
    return (moment - _START) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """Exact, unlike datetime.fromtimestamp, which goes by way of a float."""
    return _START + milliseconds * _MILLISECOND

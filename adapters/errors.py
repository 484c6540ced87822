"""Why a frame could not be read."""

from adapters.observation import Observation


class UnreadableFrame(Exception):
    """The bytes do not follow the device's own format.

    Never retried: the same bytes fail the same way. Ingest keeps the frame aside
    with this error's text and moves on. `partial` is what could be read all the same
    (an unknown object at the end of a payload does not make the door before it untrue):
    ingest stores it like any other observation, and the frame is set aside besides.
    """

    def __init__(self, reason: str, partial: tuple[Observation, ...] = ()) -> None:
        super().__init__(reason)
        self.partial = partial


class UnknownFormat(UnreadableFrame):
    """No adapter reads frames of this kind, or not this version of them."""


class MissingKey(UnreadableFrame):
    """The frame is encrypted and no key for its device is known, or the key does not fit."""

"""Why a frame could not be read."""


class UnreadableFrame(Exception):
    """The bytes do not follow the device's own format.

    Never retried: the same bytes fail the same way. Ingest keeps the frame aside
    with this error's text and moves on.
    """


class UnknownFormat(UnreadableFrame):
    """No adapter reads frames of this kind, or not this version of them."""


class MissingKey(UnreadableFrame):
    """The frame is encrypted and no key for its device is known, or the key does not fit."""

"""Every way in which the set-up can end early: one exit code and one sentence each."""

from enum import IntEnum


class Exit(IntEnum):
    """The codes of `deploy/test` and `deploy/demo`, in the manner of sysexits.h.

    A failed check or test ends with that tool's own code, 1 to 5. What a shell would say after
    a signal (130 for Ctrl-C) is kept as well.
    """

    USAGE = 64
    NO_NETWORK = 69
    FAULT = 70
    UNSUPPORTED_SYSTEM = 71
    PACKAGE_MISSING = 72
    NO_DISK = 73
    DOWNLOAD_REFUSED = 74
    PORT_IN_USE = 75
    INTERRUPTED = 130


class Stop(Exception):
    """The set-up cannot go on, for a reason that a person can act on.

    Whoever starts the program prints the sentence on standard error and ends with the code;
    nothing is retried and no traceback is shown.
    """

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

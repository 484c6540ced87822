"""Free ports on the loopback interface."""

import socket

from deploy.runtime.exits import Exit, Stop


def free_port() -> int:
    """A TCP port that was free a moment ago; whoever wants it must still try."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def claim(port: int | None) -> int:
    """The asked-for port if nobody has it, or any free one.

    Raises Stop when the asked-for port is in use.
    """
    if port is None:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as problem:
            raise Stop(
                Exit.PORT_IN_USE, f"Port {port} is in use by another program; choose another."
            ) from problem
    return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False

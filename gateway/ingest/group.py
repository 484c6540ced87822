"""The name of the group in which ingest processes share telemetry: a secret of the gateway.

Mosquitto lets everybody subscribe and judges only what is delivered. A box that joined the group
would be dealt its part of what all boxes send, and that part be thrown away for want of the right
to read it, even while it is away and after it was shut out. Nobody joins what they cannot name.
"""

import hashlib

from gateway.settings import Settings

_LETTERS = 32  # of 64 hexadecimal ones: 128 bits


def group(settings: Settings) -> str:
    """The same for all who have the same key at the broker, or the same password.

    While the key is rotated two names may stand beside each other: then telemetry comes twice,
    which the ledger makes once. Raises OSError when the key cannot be read.
    """
    if settings.broker_identity is None:
        known = settings.broker_password.get_secret_value().encode()
    else:
        known = (settings.broker_identity / "gateway-bulk.key").read_bytes()
    return hashlib.sha256(b"trygport: who shares telemetry " + known).hexdigest()[:_LETTERS]

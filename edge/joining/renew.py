"""Gets the box its next certificate, for a new key, by showing that it holds the one before."""

from pathlib import Path

from edge.joining import keys
from edge.joining.answer import WrongGateway, ask
from edge.joining.identity import CERTIFICATE, OWN, BadIdentity, Identity, NotJoined, joined
from edge.joining.join import keep


def renew(home: Path, *, earliest: float | None) -> Identity:
    """Ask for it and keep it; in time or months late is the same. `earliest` as in tls.context.

    Raises NotJoined, BadIdentity, WrongGateway, Refused, Busy, Unreachable, OSError.
    """
    identity = joined(home)
    if not identity.address or identity.ca is None:
        raise NotJoined("this box has no certificate")
    held = (home / OWN).read_bytes()
    own = CERTIFICATE.search(held.decode(errors="replace"))
    if own is None:
        raise BadIdentity(f"{home / OWN} holds no certificate")
    try:
        key = keys.new_key()
        asked = keys.request(key)
        said = {
            "certificate": own[0],
            "request": keys.pem(asked),
            "proof": keys.proof(held, asked),
        }
    except ValueError as bad:
        raise BadIdentity(f"{home / OWN} holds no key: {bad}") from bad
    granted = ask(identity.address, identity.ca, "/edges/renew", said, earliest=earliest)
    if granted.edge != identity.edge:
        raise WrongGateway(f"{identity.address} answers for another box")
    return keep(home, granted, key, identity.address, code=identity.code)

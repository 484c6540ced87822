"""What the log must not tell."""

import subprocess
import sys

ASKS = """
import httpx2
from gateway import log

log.set_up("INFO")
log.get("a.module").info("it is set up")
transport = httpx2.MockTransport(lambda request: httpx2.Response(204))
httpx2.Client(transport=transport).post("https://receiver.example/hook/a-secret-of-theirs")
"""


def test_a_webhooks_address_is_not_logged_for_it_may_hold_a_secret() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASKS], capture_output=True, text=True, check=True, timeout=20
    )

    assert "it is set up" in asked.stderr
    assert "a-secret-of-theirs" not in asked.stderr

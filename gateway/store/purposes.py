"""What somebody may ask for citizens' data for: a short list, so that the log can be read."""

from collections.abc import Mapping
from typing import Literal, get_args

from gateway.store.rights import Role

Purpose = Literal["care", "planning", "operation", "follow_up", "audit", "access_request"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
"""access_request: a citizen's own right to know (GDPR art. 15; C-579/21 counts the log to it)."""

KeyPurpose = Literal[Purpose, ""]
"""What a key may be made for; empty: each of its requests may say its own purpose."""

UNSTATED = "unstated"
"""What the log has where a program says no purpose and its key has none."""

USUAL: Mapping[Role, str] = {
    "staff": "care",
    "planner": "planning",
    "technician": "operation",
    "clinical_owner": "care",
    "leader": "follow_up",
    "auditor": "audit",
    "administrator": "operation",
    "robot": UNSTATED,
}
"""What each role is there for, unless the request or its key says otherwise."""

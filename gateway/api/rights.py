"""Which role may use which route: the whole table, as data. A route that is not here is shut."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.store.caller import ROLES, Role


@dataclass(frozen=True, slots=True)
class Right:
    """Who may come through. `anyone` needs no sign-in; `loopback` lets in this machine itself."""

    roles: frozenset[Role] = frozenset()
    anyone: bool = False
    loopback: bool = False


def _for(*roles: Role) -> Right:
    return Right(frozenset(roles))


_ANYONE = Right(anyone=True)
_MOVES = _for("staff", "planner", "leader")
_ALERTS = _for("staff", "planner", "leader", "clinical_owner", "robot")
_HOMES = _for(
    "staff", "planner", "leader", "clinical_owner", "technician", "administrator", "robot"
)
_OBSERVATIONS = _for("staff", "planner", "leader", "clinical_owner", "robot")
_REGISTER = _for("planner", "technician", "robot")
_DOSES = _for("planner", "clinical_owner", "robot")
_BOARD = _for("staff", "planner", "leader", "clinical_owner")

RIGHTS: Mapping[str, Right] = {
    "GET /healthz": _ANYONE,
    "GET /readyz": _ANYONE,
    "GET /openapi.json": _ANYONE,
    # No names and no citizens are in the figures; a collector on another machine brings a key.
    "GET /metrics": Right(frozenset({"robot"}), loopback=True),
    "GET /login": _ANYONE,
    "POST /login": _ANYONE,
    "GET /static/{name}": _ANYONE,
    "POST /edges/join": _ANYONE,  # its secret is its right
    "POST /logout": _for(*ROLES),
    "GET /": _BOARD,
    "GET /board/alerts": _BOARD,
    "GET /board/alerts/{public}/close": _MOVES,
    "POST /board/alerts/{public}/{move}": _MOVES,
    "GET /alerts": _ALERTS,
    "GET /alerts/{public}": _ALERTS,
    "POST /alerts/{public}/{move}": _MOVES,
    "GET /stream": _ALERTS,
    "GET /homes": _HOMES,
    "POST /homes": _for("planner", "administrator", "robot"),
    "GET /edges": _for("planner", "technician", "administrator", "robot"),
    "GET /devices": _HOMES,
    "POST /devices": _REGISTER,
    "GET /devices/{public}": _HOMES,
    "PUT /devices/{public}/key": _REGISTER,
    "GET /devices/{public}/observations": _OBSERVATIONS,
    "POST /devices/{public}/placements": _REGISTER,
    "POST /placements/{public}/end": _REGISTER,
    "PUT /placements/{public}/dose-plan": _DOSES,
}

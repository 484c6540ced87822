"""Which role may use which route: the whole table, as data. A route that is not here is shut."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.store.caller import Caller
from gateway.store.rights import ROLES, DataClass, Level, Role, may


@dataclass(frozen=True, slots=True)
class Right:
    """Who may come through: whoever has every class of data in `needs` at that level at least.

    `anyone` needs no sign-in, `signed_in` nothing but it; `loopback` lets in this machine itself.
    Which roles these are follows from gateway/store/rights.py, as do the database's policies.
    """

    needs: tuple[tuple[DataClass, Level], ...] = ()
    anyone: bool = False
    signed_in: bool = False
    loopback: bool = False

    @property
    def roles(self) -> frozenset[Role]:
        """Every role that comes through, with a key or a session that is not confined further."""
        return frozenset(
            role
            for role in ROLES
            if self.signed_in
            or (self.needs and all(may(role, kind, level) for kind, level in self.needs))
        )

    def lets_in(self, caller: Caller) -> bool:
        """Whether this caller comes through."""
        return self.signed_in or (
            bool(self.needs) and all(caller.may(kind, level) for kind, level in self.needs)
        )


def reads(*kinds: DataClass) -> Right:
    """For whoever may read all these classes of data."""
    return Right(tuple((kind, "reading") for kind in kinds))


def writes(*kinds: DataClass) -> Right:
    """For whoever may write all these classes of data."""
    return Right(tuple((kind, "all") for kind in kinds))


ANYONE = Right(anyone=True)
SIGNED_IN = Right(signed_in=True)
_REGISTER = writes("citizen", "identity", "home", "device", "placement")
_SET_UP = Right(
    (*writes("citizen", "identity", "home", "device", "placement").needs, ("person", "reading"))
)
_BOARD = reads("alert", "identity")

RIGHTS: Mapping[str, Right] = {
    "GET /healthz": ANYONE,
    "GET /readyz": ANYONE,
    "GET /openapi.json": ANYONE,
    # No names and no citizens are in the figures; a collector on another machine brings a key.
    "GET /metrics": Right((("operation", "reading"),), loopback=True),
    "GET /begynd": ANYONE,  # the link's code is its right, while nobody administers
    "POST /begynd": ANYONE,
    "GET /login": ANYONE,
    "POST /login": ANYONE,
    "GET /login/provider": ANYONE,
    "GET /login/back": ANYONE,
    "GET /konto": SIGNED_IN,
    "POST /konto/role": SIGNED_IN,
    "POST /konto/sessions/{public}/end": SIGNED_IN,
    "GET /session": SIGNED_IN,
    "POST /session/role": SIGNED_IN,
    "GET /sessions": SIGNED_IN,
    "DELETE /sessions/{public}": SIGNED_IN,
    "GET /keys": reads("key"),
    "POST /keys": writes("key"),
    "POST /keys/{public}/rotate": writes("key"),
    "DELETE /keys/{public}": writes("key"),
    "GET /sign-in/mapping": writes("access"),
    "POST /sign-in/mapping": writes("access"),
    "DELETE /sign-in/mapping/{public}": writes("access"),
    "GET /sign-in/emergency-accounts": reads("key"),
    "POST /emergencies": writes("emergency"),
    "GET /emergencies": reads("emergency"),
    "POST /emergencies/{public}/follow-up": reads("emergency", "log"),
    "GET /noedaabning": reads("emergency"),
    "POST /noedaabning": writes("emergency"),
    "POST /noedaabning/{public}/follow-up": reads("emergency", "log"),
    "GET /bokse": reads("signal", "device"),
    "GET /bokse/{name}": writes("signal"),
    "POST /bokse/{name}/luften": writes("signal"),
    "GET /bokse/{name}/luften/{command}": writes("signal"),
    "POST /bokse/{name}/spoerg": writes("signal"),
    "GET /bokse/{name}/svar/{command}": writes("signal"),
    "GET /noegler": reads("key"),
    "POST /noegler": writes("key"),
    "POST /noegler/{public}/rotate": writes("key"),
    "POST /noegler/{public}/end": writes("key"),
    "GET /login-roller": writes("access"),
    "POST /login-roller": writes("access"),
    "POST /login-roller/{public}/remove": writes("access"),
    "GET /rights": SIGNED_IN,
    "GET /rettigheder": SIGNED_IN,
    "GET /static/{name}": ANYONE,
    "POST /logout": SIGNED_IN,
    "GET /": SIGNED_IN,  # each role is sent to where its work is; the board asks for more
    "GET /board/alerts": _BOARD,
    "GET /board/alerts/{public}/close": writes("alert"),
    "POST /board/alerts/{public}/{move}": writes("alert"),
    "GET /alerts": reads("alert"),
    "GET /alerts/{public}": reads("alert"),
    "POST /alerts/{public}/{move}": writes("alert"),
    "GET /stream": reads("alert"),
    # Everybody's own looks; of others, for who keeps watch (gateway/reads/log.py, 0009_policies).
    "GET /log": SIGNED_IN,
    "GET /hvem-har-set": SIGNED_IN,
    "GET /opsaetning": _SET_UP,
    "POST /opsaetning/distrikter": writes("access"),
    "POST /opsaetning/hold": writes("access"),
    "POST /opsaetning/kollega": writes("access", "person"),
    "POST /opsaetning/borger": _SET_UP,
    "POST /opsaetning/boks": _SET_UP,
    "POST /opsaetning/enhed": _SET_UP,
    "POST /opsaetning/hjemmel": _SET_UP,
    "POST /opsaetning/fil": _SET_UP,
    "POST /opsaetning/fortryd": _SET_UP,
    "POST /imports": _REGISTER,
    "GET /imports/{public}": _REGISTER,
    "POST /imports/{public}/undo": _REGISTER,
    "GET /register.csv": _REGISTER,
    "GET /districts": reads("person"),
    "GET /districts/{public}": reads("person"),
    "POST /districts": writes("access"),
    "DELETE /districts/{public}": writes("access"),
    "PUT /districts/{public}": writes("access"),
    "GET /teams": reads("person"),
    "GET /teams/{public}": reads("person"),
    "POST /teams": writes("access"),
    "DELETE /teams/{public}": writes("access"),
    "PUT /teams/{public}": writes("access"),
    "GET /people": reads("person"),
    "GET /people/{public}": reads("person"),
    "POST /people": writes("person"),
    "DELETE /people/{public}": writes("person", "access"),
    "PUT /people/{public}": writes("person"),
    "GET /people/{public}/roles": reads("person", "access"),
    "POST /people/{public}/roles": writes("access"),
    "DELETE /people/{public}/roles/{role}": writes("access"),
    "POST /people/{public}/leave": writes("person", "access"),
    "POST /people/{public}/teams": writes("access"),
    "DELETE /people/{public}/teams/{team}": writes("access"),
    "GET /citizens": reads("citizen"),
    "GET /citizens/{public}": reads("citizen"),
    "POST /citizens": writes("citizen", "identity"),
    "DELETE /citizens/{public}": writes("citizen", "identity"),
    "PUT /citizens/{public}": writes("citizen", "identity"),
    "GET /homes/{public}": reads("home"),
    "DELETE /homes/{public}": writes("citizen", "home"),
    "PUT /homes/{public}": writes("citizen", "home"),
    "GET /homes": reads("home"),
    "POST /homes": writes("citizen", "home"),
    "GET /edges": reads("signal"),
    "GET /edges/{edge}": reads("signal"),
    "POST /edges": writes("signal"),
    "POST /edges/import": writes("signal"),
    "POST /edges/{edge}/code": writes("signal"),
    "POST /edges/{edge}/revoke": writes("signal"),
    "POST /edges/{edge}/replace": writes("signal"),
    "POST /edges/{edge}/move": writes("signal", "placement"),  # who lives there is judged anew
    # for who asked alone: the neighbours' devices are personal data (0021_command)
    "POST /edges/{edge}/discover": writes("signal"),
    "POST /edges/{edge}/commands": writes("signal"),
    "GET /edges/{edge}/commands/{command}": writes("signal"),
    # for half an hour a home's calls are told to nobody on duty: whoever mends boxes alone
    "POST /edges/{edge}/walk-tests": writes("signal"),
    "GET /edges/{edge}/walk-tests": writes("signal"),
    "GET /edges/{edge}/walk-tests/{test}": writes("signal"),
    "POST /edges/{edge}/walk-tests/{test}/end": writes("signal"),
    "POST /bokse/{name}/proeve": writes("signal"),
    "GET /bokse/{name}/proeve/{test}": writes("signal"),
    "POST /bokse/{name}/proeve/{test}/afslut": writes("signal"),
    "GET /edges/{edge}/events": writes("signal"),  # it tells when somebody's power or line was cut
    "GET /devices": reads("device"),
    "POST /devices": writes("device"),
    "GET /devices/{public}": reads("device"),
    "DELETE /devices/{public}": writes("device"),
    "PUT /devices/{public}": writes("device"),
    "PUT /devices/{public}/key": writes("device"),
    "GET /devices/{public}/observations": reads("observation"),
    "POST /devices/{public}/placements": writes("placement"),
    "GET /placements/{public}": reads("placement"),
    "PUT /placements/{public}": writes("placement"),
    "POST /placements/{public}/end": writes("placement"),
    "POST /placements/{public}/repair": writes("placement"),
    "PUT /placements/{public}/dose-plan": writes("dose_plan"),
}

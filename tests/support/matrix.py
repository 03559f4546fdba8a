"""Asks for every cell of the permission matrix: domains, organisations and users, and a caller of each role.

`python -m tests.support.matrix` writes the status of every cell into tests/data/permission_matrix.tsv. It records what
the service does, which may be wrong: read each line that has changed.
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from postroom.app.config import Config
from postroom.app.routes import ROUTES
from postroom.storage import api_tokens, sessions, tasks
from postroom.storage.api_tokens import NewToken
from postroom.storage.sessions import SessionRow
from tests.support.bulk import text_of
from tests.support.owners import elsewhere
from tests.support.service import ADMIN_PASSWORD, NDJSON, USER_PASSWORD, Answer, Api, Service

FILE: Final = Path(__file__).parents[1] / "data" / "permission_matrix.tsv"

#: The target of an operation, as seen by a caller: their own domain (or organisation, or task), the other domain of
#: their organisation, one of a foreign organisation, one that does not exist.
PLACES: Final = ("own", "beside", "foreign", "none")
NOBODY: Final = 999_999

#: Caller -> (permission, its scope: the own domain or organisation) of their role; None: without a login.
#: "roleless" has no role, "bare" one without permissions.
CALLERS: Final[Mapping[str, Sequence[tuple[str, str | None]] | None]] = {
    "anonymous": None,
    "local": None,
    "roleless": (),
    "bare": (),
    "resetpasswd": (("ResetPasswd", None),),
    "purge": (("DomainPurge", "domain_id"),),
    "domain-ro": (("DomainAdminRO", "domain_id"),),
    "domain": (("DomainAdmin", "domain_id"),),
    "org": (("OrgAdmin", "org_id"),),
    "system-ro": (("SystemAdminRO", None),),
    "system": (("SystemAdmin", None),),
}

#: The queries of an operation. It has several where they follow different rules.
QUERIES: Final[Mapping[str, Sequence[str]]] = {
    "PUT /system/mconf/ldap": ("?force=true",),
    "PUT /system/orgs/{ID}/ldap": ("?force=true",),
    "GET /system/mailCheck": ("?address=anna@example.org",),
    "GET /domains/ldap/search": ("?query=anna", "?query=anna&domain={domain}", "?query=anna&organization={org}"),
    "POST /domains/ldap/importUser": ("?ID=x", "?ID=x&domain={domain}", "?ID=x&organization={org}"),
    "GET /domains/ldap/check": ("", "?domain={domain}", "?organization={org}", "?organization=0"),
    "DELETE /domains/ldap/check": ("", "?domain={domain}", "?organization={org}", "?organization=0"),
    "GET /domains/ldap/dump": ("?ID=x", "?ID=x&domain={domain}", "?ID=x&organization={org}"),
    "DELETE /system/domains/{domainID}": ("", "?purge=true&deleteFiles=true"),
    "POST /service/wipe/{username}": ("?devices=phone",),
    "GET /chkFormat": ("?email=anna@example.org",),
}
#: The same for the default policy, which belongs to no user.
DEFAULT_POLICY: Final = "GET /service/syncPolicy/default"

_ANNA: Final = {"displayname": "Anna"}
_DIRECTORY: Final = {
    "connection": {"server": "ldap://127.0.0.1:9", "bindUser": "", "bindPass": "", "starttls": False},
    "baseDn": "dc=example,dc=org",
    "objectID": "entryUUID",
    "users": {
        "username": "mail",
        "displayName": "cn",
        "searchAttributes": ["mail"],
        "templates": ["common", "OpenLDAP"],
    },
}

#: Bodies that an operation accepts; {n} is a unique number.
BODIES: Final[Mapping[str, Any]] = {
    "PATCH /domains/{domainID}/users/{userID}": {"properties": _ANNA},
    "POST /domains/{domainID}/users": {"username": "new{n}", "status": 4},
    "POST /domains/{domainID}/users/bulk": {"create": {"username": "new{n}", "status": 4}},
    "PUT /domains/{domainID}/users/{userID}/password": {"new": USER_PASSWORD},
    "PUT /domains/{domainID}/users/{userID}/oof": {"state": 0},
    "PATCH /domains/{domainID}/users/{userID}/storeProps": {"title": "Dr"},
    "PUT /domains/{domainID}/users/{userID}/delegates": [],
    "PUT /domains/{domainID}/users/{userID}/sendas": [],
    "POST /domains/{domainID}/users/{userID}/storeAccess": {"username": "{user}"},
    "PUT /domains/{domainID}/users/{userID}/storeAccess": {"usernames": []},
    "POST /domains/{domainID}/users/{userID}/sync/{deviceID}/wipe": {"password": USER_PASSWORD},
    "POST /login": {"user": "admin", "pass": ADMIN_PASSWORD},
    "PUT /passwd": {"old": USER_PASSWORD, "new": USER_PASSWORD},
    "POST /system/domains": {"domainname": "new{n}.example", "maxUser": 1},
    "PATCH /system/domains/{domainID}": {"title": "A title"},
    "POST /system/orgs": {"name": "New {n}"},
    "PATCH /system/orgs/{ID}": {"description": "A house"},
    "POST /service/wipe/{username}": {"status": 32},
    "PUT /service/sync/{username}/{deviceID}": {"devicetype": "Telephone"},
    "PUT /system/mconf/ldap": _DIRECTORY,
    "PUT /system/orgs/{ID}/ldap": _DIRECTORY,
    "PUT /system/mconf/authmgr": {"authBackendSelection": "externid"},
    "POST /system/roles": {"name": "New {n}", "permissions": []},
    "PATCH /system/roles/{ID}": {"description": "A role"},
    "PATCH /domains/{domainID}/users/{userID}/roles": {"roles": []},
    "PUT /passwd/{username}": {"new": USER_PASSWORD},
    "PUT /defaults/createParams": {},
    "PATCH /defaults/createParams": {"user": {"smtp": True}},
    "PUT /defaults/createParams/{domainID}": {},
    "PATCH /defaults/createParams/{domainID}": {"user": {"smtp": True}},
    "PUT /domains/{domainID}/disabledPlugins": [],
    "POST /tokens": {"name": "made"},
    "POST /me/login": {"user": "admin", "pass": ADMIN_PASSWORD},
    "PUT /me/oof": {"state": 0},
    "PUT /me/forward": {"forward": None},
    "PUT /me/delegates": [],
    "PUT /me/sendas": [],
    "POST /me/sync/{deviceID}/wipe": {"password": USER_PASSWORD},
}
#: Operations that take lines: their body is the only one.
LINES: Final = frozenset({"POST /domains/{domainID}/users/bulk"})
_NEW_NUMBERS = itertools.count(1)


def operations() -> list[str]:
    """The rows of the matrix: every row of the route table, with each of its queries."""
    found = []
    for route in ROUTES:
        name = f"{route.method} {route.path}"
        found += [name + query for query in QUERIES.get(name, ("",))]
        if name == "GET /service/syncPolicy/{username}":
            found.append(DEFAULT_POLICY)
    return found


@dataclass
class World:
    """A service with three domains of two organisations, each with users, and a caller."""

    service: Service
    admin: Api
    caller: Api
    callers_id: int
    #: Of a caller by a login.
    callers_name: str | None
    domains: Mapping[str, int]
    orgs: Mapping[str, int]
    #: A user in each domain.
    users: Mapping[str, dict[str, Any]]

    @classmethod
    @asynccontextmanager
    async def of(cls, role: str, token: Mapping[str, Any] | None = None) -> AsyncIterator["World"]:
        """A fresh world, with a caller of this role; or by such a token of a system administrator, limited to the role
        unless the token is for all that its owner may do.
        """
        networks = Config().service_networks if role == "local" else ()
        config = Config(
            database=":memory:",
            admin_password=ADMIN_PASSWORD,
            service_networks=networks,
            dns_servers=(("127.0.0.1", 9),),
            dns_timeout=0.1,
        )
        async with Service.started(config) as service:
            admin = await service.login("admin", ADMIN_PASSWORD)
            orgs = {place: (await admin.post("/system/orgs", {"name": place}))["ID"] for place in ("own", "foreign")}
            orgs = {**orgs, "beside": orgs["own"], "none": NOBODY}
            domains = {
                place: await admin.make_domain(f"{place}.example", orgID=orgs[place])
                for place in ("own", "beside", "foreign")
            }
            # What users may change: the rest of it is refused to all callers.
            await admin.patch(f"/system/domains/{domains['own']}", {"selfService": ["oof", "devices", "forward"]})
            users = {place: await admin.make_user(domain, "user") for place, domain in domains.items()}
            users["none"] = {"ID": NOBODY, "username": "user@none.example"}
            if token is None:
                caller, callers_id = await _log_in(service, role, domains["own"], orgs["own"])
            else:
                caller, callers_id = await _take_token(service, token, _scope(role, domains["own"], orgs["own"]))
            name = None if token is not None or CALLERS[role] is None else "helper@own.example"
            yield cls(service, admin, caller, callers_id, name, {**domains, "none": NOBODY}, orgs, users)

    async def ask(self, operation: str, place: str) -> Answer:
        """The response to the caller at that place."""
        method, path = operation.split(" ", 1)
        row = operation.split("?", 1)[0]
        fields = await self._aim(method, path, place)
        body, path = _filled(BODIES.get(row), fields), _filled(path, fields)
        if row in LINES:
            return await self.caller.call(method, path, data=text_of([body]), headers={"Content-Type": NDJSON})
        return await self.caller.call(method, path, body)

    async def _aim(self, method: str, path: str, place: str) -> dict[str, Any]:
        """What the path and the body name; a new object where the operation removes it."""
        domain, user = self.domains[place], self.users[place]
        if method == "DELETE" and path.endswith("{userID}") and place != "none":
            user = await self.admin.make_user(domain, f"gone{next(_NEW_NUMBERS)}", status=4)
        if path.startswith("/me/sync") and self.callers_name is not None:
            await self._contact(self.callers_name)
        elif ("{deviceID}" in path or "devices=" in path) and place != "none":
            await self._contact(user["username"])
        if "devices=" in path and place != "none":
            # Only what has been asked for can be reported.
            where = f"/domains/{domain}/users/{user['ID']}/sync/phone/wipe"
            await self.admin.call("POST", where, {"password": ADMIN_PASSWORD})
        if "storeAccess/" in path and place != "none":
            await self.admin.post(
                f"/domains/{domain}/users/{user['ID']}/storeAccess", {"username": self.users[place]["username"]}
            )
        one = self.orgs[place]
        if path.startswith("/tasq/"):
            one = await self._task(place)
        elif path.startswith("/tokens/"):
            one = await self._token(place)
        elif path.startswith("/system/roles"):
            one = NOBODY if place == "none" else (await self.admin.post("/system/roles", self._role()))["ID"]
        return {
            "domainID": domain, "userID": user["ID"], "username": user["username"], "ID": one, "deviceID": "phone",
            "sessionID": await self._session(place) if "{sessionID}" in path else "",
            "domain": domain, "org": self.orgs[place], "user": self.users[place]["username"], "n": next(_NEW_NUMBERS),
        }  # fmt: skip

    @staticmethod
    def _role() -> dict[str, Any]:
        return {"name": f"Role {next(_NEW_NUMBERS)}", "permissions": []}

    async def _contact(self, username: str) -> None:
        state = {"devicetype": "Telephone", "useragent": "Mail"}
        answer = await self.admin.call("PUT", f"/service/sync/{username}/phone", state)
        assert answer.status == 200, answer.body

    async def _task(self, place: str) -> int:
        if place == "none":
            return NOBODY
        owner = self.callers_id if place == "own" else 0
        database, now = self.service.context.database, "2026-01-01 00:00:00"
        task_id = await database.write(lambda it: tasks.insert_task(it, "ldapSync", {}, owner, elsewhere(), 0, now))
        return int(task_id)

    async def _token(self, place: str) -> int:
        """A token of the caller, of a user of a foreign domain, or none."""
        if place == "none":
            return NOBODY
        owner = self.callers_id if place == "own" else self.users[place]["ID"]
        new = NewToken(owner, "made", secrets.token_hex(32), read_only=False, networks=(), created=1, expires=None,
                       permissions=None)  # fmt: skip
        return int(await self.service.context.database.write(api_tokens.insert_token, new))

    async def _session(self, place: str) -> str:
        """Another login of the caller, one of a user of a foreign domain, or none."""
        row = SessionRow(secrets.token_hex(16), self.callers_id, 0, 1, 1, 1 << 40, "", "")
        if place != "own":
            row = replace(row, user_id=self.users["foreign"]["ID"])
        if place != "none":
            await self.service.context.database.write(sessions.insert_session, row, 9)
        return row.id


async def _log_in(service: Service, role: str, domain_id: int, org_id: int) -> tuple[Api, int]:
    """(the caller, their ID)."""
    held = CALLERS[role]
    if held is None:
        return service.api, 0
    about = {"domain_id": domain_id, "org_id": org_id}
    permissions = [(name, {what: about[what]} if what else {}) for name, what in held]
    if role == "roleless":
        await (await service.login("admin", ADMIN_PASSWORD)).make_user(domain_id, "helper")
        caller = await service.log_in_own("helper@own.example")
    else:
        caller = await service.login_with(domain_id, *permissions)
    return caller, await _callers_id(service, domain_id)


async def _take_token(service: Service, token: Mapping[str, Any], scope: Sequence[Any]) -> tuple[Api, int]:
    """(the caller by a token of a system administrator in a domain of their own, the ID of that owner)."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    owner = await service.login_with(await admin.make_domain("staff.example"), ("SystemAdmin", {}))
    made = await owner.post("/tokens", {"name": "walker", "permissions": scope, **token})
    return Api(service, {"Authorization": f"Bearer {made['token']}"}), made["owner"]["ID"]


def _scope(role: str, domain_id: int, org_id: int) -> list[dict[str, Any]]:
    about = {"domain_id": domain_id, "org_id": org_id}
    return [{"permission": name, "params": about[what] if what else None} for name, what in CALLERS[role] or ()]


async def _callers_id(service: Service, domain_id: int) -> int:
    sql = "SELECT id FROM users WHERE domain_id = ? AND username = 'helper@own.example'"
    return int(await service.context.database.fetch_value(sql, (domain_id,)))


def _filled(value: Any, fields: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        for name, text in fields.items():
            value = value.replace(f"{{{name}}}", str(text))
        return value
    if isinstance(value, dict):
        return {name: _filled(each, fields) for name, each in value.items()}
    return [_filled(each, fields) for each in value] if isinstance(value, list) else value


def removes_ground(operation: str) -> bool:
    """Whether it removes what other operations need."""
    ends_login = operation == "DELETE /me/sessions"
    return ends_login or operation.startswith(("DELETE /system/domains", "DELETE /system/orgs"))


async def play(role: str, token: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Operation -> its statuses at each place, for one caller, perhaps by a token."""
    found: dict[str, list[str]] = {operation: [] for operation in operations()}
    # Each of them begins with a fresh service, in which nothing has been removed.
    rounds = [[each for each in aims() if not removes_ground(each[0])]]
    rounds += [[each] for each in aims() if removes_ground(each[0])]
    while rounds:
        async with World.of(role, token) as world:
            while rounds:
                for operation, place in rounds.pop(0):
                    answer = await world.ask(operation, place)
                    found[operation].append(str(answer.status))
                if answer.status < 300:
                    break
    return {operation: " ".join(statuses) for operation, statuses in found.items()}


def aims() -> list[tuple[str, str]]:
    """Every operation at each of its places."""
    return [(operation, place) for operation in operations() for place in places(operation)]


def places(operation: str) -> Sequence[str]:
    """The places at which this operation can be aimed."""
    path = operation.split(" ", 1)[1].replace("{deviceID}", "")
    if "{" not in path:
        return PLACES[:1]
    if path.startswith("/system/roles"):
        return ("own", "none")
    if "{sessionID}" in path:
        return ("own", "foreign", "none")
    return ("own", "foreign", "none") if path.startswith("/tasq/") or "{ID}" in path or "{org}" in path else PLACES


def read() -> dict[str, dict[str, str]]:
    """Operation -> caller -> statuses, as in the file."""
    head, *lines = FILE.read_text("utf-8").splitlines()
    callers = head.split("\t")[1:]
    rows = [line.split("\t") for line in lines]
    return {operation: dict(zip(callers, cells, strict=True)) for operation, *cells in rows}


async def write() -> None:
    """Asks for every cell and writes the file."""
    played = {role: await play(role) for role in CALLERS}
    lines = ["\t".join(["operation", *CALLERS])]
    lines += ["\t".join([operation, *(played[role][operation] for role in CALLERS)]) for operation in operations()]
    FILE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(write())

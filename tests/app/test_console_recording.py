"""The requests of every page of a web console, as they were recorded, played by each kind of administrator.

A page of it stays empty when one of its requests fails, so none is answered with an error but where the tables below
say so, and why.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pytest

from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Answer, Api, Service
from tests.support.slapd import Slapd, config_document, people_ldif

pytestmark = pytest.mark.slapd

RECORDING: Final = Path(__file__).parents[1] / "data" / "console_calls.tsv"


class Call(NamedTuple):
    """One request: the path and query have {placeholders}; `fields` are those of the body."""

    method: str
    path: str
    query: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}?{self.query} {','.join(self.fields)}"


def recorded() -> Iterator[Call]:
    """The requests of the recording; one whose body comes in several forms is several."""
    for line in RECORDING.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            method, path, query, bodies = line.split("\t")
            for body in bodies.split("|"):
                yield Call(method, path, query, tuple(filter(None, body.split(","))))


CALLS: Final = list(recorded())

#: What postroom does not have, so that the console does not show it either: a 404, or a 405 where something is read.
NOT_HERE: Final = [
    r"/system/antispam/.*", r"/system/dbconf/.*", r"/system/exmdb/.*", r"/system/logs", r"/system/mailq",
    r"/system/vhostStatus.*", r"/system/license/creds", r"/system/servers/dnsCheck",
]  # fmt: skip
#: What a console shows to system administrators alone, going by the capabilities of the profile.
SYSTEM_PAGES: Final = r"/system/(?!domains|servers).*|/domains/ldap/downsync|/defaults/createParams|/tasq/(stop|start)"


def is_allowed(role: str, call: Call) -> bool:
    """Whether the role may do this, so that its console shows it."""
    path, writes = call.path, call.method != "GET"
    if path in ("/login", "/passwd", "/profile"):
        return True
    if role == "administrator":
        return True
    if role == "read-only":
        return not writes
    if path.startswith("/tasq/tasks/"):
        return True  # their own
    if path.endswith("/roles") or re.fullmatch(r"/system/orgs.*|/system/roles.*", path):
        return role == "organisation" and path == "/system/orgs/{ID}/ldap/downsync"
    if path == "/defaults/createParams":
        return not writes
    if path.startswith("/domains/ldap/") and "domain" not in path:
        return path != "/domains/ldap/downsync"
    if path.startswith("/system/domains"):
        if not writes:
            return True
        # Changing the domain itself is for administrators of its organisation; purging for who may purge.
        return role == "organisation" and "{domainID}" in path and "purge=true" not in call.query
    return not re.fullmatch(SYSTEM_PAGES, path)


ROLES: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "administrator": (),
    "organisation": (("OrgAdmin", {"org_id": 1}),),
    "domain": (("DomainAdmin", {"domain_id": 1}),),
    "read-only": (("SystemAdminRO", {}),),
}


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with a dozen people of example.com."""
    with Slapd() as server:
        server.add(people_ldif(12))
        yield server


class Stage:
    """A service with one of everything, and the values of the placeholders for a call."""

    def __init__(self, service: Service, admin: Api, slapd: Slapd, org_id: int) -> None:
        self.service, self.admin, self.slapd, self.org_id = service, admin, slapd, org_id
        self.number = 0

    async def prepare(self) -> None:
        """An organisation with a domain, one without, and the directory."""
        await self.admin.post("/system/orgs", {"name": "Firm"})
        await self.admin.make_domain("example.com", orgID=self.org_id, maxUser=1000)
        await self.admin.make_domain("other.org")
        await self.configure_ldap()
        found = await self.admin.get("/domains/ldap/search?query=example.com&showAll=true")
        self.object_id = found["data"][0]["ID"]

    async def configure_ldap(self) -> None:
        """The directory for all, and the organisation's own."""
        for path in ("/system/mconf/ldap", "/system/orgs/1/ldap"):
            await self.admin.put(path, config_document(self.slapd))

    async def values(self, call: Call) -> dict[str, Any]:
        """Placeholder -> value: a user with a device of this call's own; whatever goes by being called is new."""
        self.number += 1
        name = f"user{self.number}"
        user = await self.admin.make_user(1, name)
        await self.service.api.put(f"/service/sync/{user['username']}/phone", {"devicetype": "Phone"})
        values = {"domainID": 1, "userID": user["ID"], "username": user["username"], "deviceID": "phone", "ID": 1,
                  "text": "anna", "n": 50, "objectID": quote(self.object_id), "name": name, "user": user}  # fmt: skip
        if call.path.endswith("/ldap"):
            await self.configure_ldap()
        if call.path.endswith("{userID}/downsync"):
            linked = await self.admin.call("POST", f"/domains/ldap/importUser?domain=1&ID={quote(self.object_id)}")
            values["userID"] = linked.body["ID"]
        if call.path.startswith("/system/domains/") and call.method == "DELETE":
            values["domainID"] = await self.admin.make_domain(f"{name}.example", orgID=self.org_id)
        if call.path.startswith("/system/roles/{ID}"):
            values["ID"] = (await self.admin.post("/system/roles", {"name": name}))["ID"]
        return values


def body_of(call: Call, values: dict[str, Any]) -> Any:
    """A body with the recorded fields; a user is sent back as it was read, with what the page changes."""
    if re.search(r"/(delegates|sendas|disabledPlugins)$", call.path):
        return [] if call.method == "PUT" else None
    if not call.fields:
        return None
    special: dict[str, Callable[[], Any]] = {
        "username": lambda: values["name"] + "-new" if call.method == "POST" else values["username"],
        "domainname": lambda: f"{values['name']}-new.example" if call.method == "POST" else "example.com",
        "name": lambda: f"{values['name']} new",
        "user": lambda: {"smtp": True},
        "domain": lambda: {"maxUser": 5},
        "old": lambda: ADMIN_PASSWORD if values["role"] == "administrator" else USER_PASSWORD,
        "new": lambda: ADMIN_PASSWORD if values["role"] == "administrator" else USER_PASSWORD,
        "status": lambda: 2 if call.path.endswith("/wipe") else 5 if "username" not in call.fields else 0,
        "password": lambda: body_password(call, values),
        "domainStatus": lambda: 0,
        "permissions": lambda: [{"permission": "DomainAdmin", "params": 1}],
        "properties": lambda: {"displayname": "A. N. Other"},
        "ldapID": lambda: None,
        "usernames": list,
        "roles": list,
        "users": lambda: [] if "roles" in call.path else values["ldap"]["users"],
        "domains": list,
        "maxUser": lambda: 1000,
        "orgID": lambda: 1,
        "state": lambda: 2 if "startTime" in call.fields else 1,
        "externalAudience": lambda: 1,
        "startTime": lambda: "2030-01-01 08:00:00",
        "endTime": lambda: "2030-01-08 08:00:00",
        "snackbar": lambda: "",
        "tab": lambda: 1,
        "authBackendSelection": lambda: "externid",
    }
    if call.method == "PATCH" and "userID" in call.path and len(call.fields) == 1 and "status" in call.fields:
        return {"status": 1}
    known = {**values["user"], **values["ldap"], "chat": False, "smtp": False, "homeserver": None}
    if call.method == "PATCH" and "{userID}" in call.path:
        special = {name: make for name, make in special.items() if name not in values["user"] or name == "properties"}
    return {name: special[name]() if name in special else known.get(name, "") for name in call.fields}


def body_password(call: Call, values: dict[str, Any]) -> str:
    """The caller's for a wipe, and a new one for a user."""
    own = ADMIN_PASSWORD if values["role"] == "administrator" else USER_PASSWORD
    return own if call.path.endswith("/wipe") else "a good password"


async def log_in(service: Service, role: str) -> Api:
    """A console with the cookie of such an administrator."""
    if role == "administrator":
        name, password = "admin", ADMIN_PASSWORD
    else:
        helper = await service.login_with(1, *ROLES[role])
        name, password = (await helper.get("/profile"))["user"]["username"], USER_PASSWORD
    given = (await service.api.call("POST", "/login", data={"user": name, "pass": password})).body
    return Api(service, {"Cookie": f"grommunioAuthJwt={given['grommunioAuthJwt']}", "X-Csrf-Token": given["csrf"]})


async def play(stage: Stage, console: Api, role: str, call: Call) -> Answer:
    """Makes one call of the recording."""
    values = await stage.values(call)
    if call.path.startswith("/tasq/tasks/"):
        # A task of the caller's own, as far as they may start one. It has ended, so that every call finds the same.
        await stage.admin.call("POST", "/tasq/start")
        queued = await console.call("POST", "/domains/1/ldap/downsync?timeout=0")
        task = queued if queued.status == 202 else await stage.admin.call("POST", "/domains/1/ldap/downsync?timeout=0")
        values["ID"] = task.body["taskID"]
        await stage.service.context.tasks.wait(values["ID"])
    # What a console has read it sends back.
    values |= {"role": role, "ldap": (await stage.admin.get("/system/mconf/ldap"))["data"]}
    path = call.path.format(**values)
    query = call.query.format(**values).replace("organization=0", f"organization={stage.org_id}")
    return await console.call(call.method, f"{path}?{query}" if query else path, body_of(call, values))


@pytest.mark.parametrize("role", ROLES)
async def test_every_request_of_every_page(service: Service, admin: Api, slapd: Slapd, role: str) -> None:
    """No request of a page that the role's console shows is an error; what it does not show is refused."""
    stage = Stage(service, admin, slapd, org_id=1 if role == "organisation" else 0)
    await stage.prepare()
    console = await log_in(service, role)
    if role == "administrator":
        # The console changes the password on its way, and then only its own session goes on.
        stage.admin = console
    wrong = []
    for call in CALLS:
        answer = await play(stage, console, role, call)
        if any(re.fullmatch(pattern, call.path) for pattern in NOT_HERE):
            expected = [404]
        elif call.path.endswith("/mlists") and call.method == "POST":
            expected = [405]
        elif not is_allowed(role, call):
            # Somebody else's task is as unknown as one that is not there.
            expected = [404] if call.path.startswith("/tasq/tasks/") else [403]
        elif call.path.endswith("/cancel"):
            expected = [400]  # it has ended
        else:
            expected = [200, 201, 202]
        if answer.status not in expected:
            wrong.append(f"{call}: {answer.status}, not {expected}: {answer.body}")
    assert not wrong, "\n".join(wrong)

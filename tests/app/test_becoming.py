"""Nobody becomes, renames, shuts out or removes somebody who may do more: every writing operation is tried on them.

A new row of the route table needs its entry in AIMS, or the first test fails.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import argon2
import pytest

from postroom.app.auth import passwords
from postroom.app.directory.client import Directory
from postroom.app.errors import ForbiddenError
from postroom.app.routes import ROUTES
from postroom.storage import sessions
from postroom.storage.sessions import SessionRow
from postroom.storage.sqlite import sqlite3
from tests.support.bulk import text_of
from tests.support.people import CONFIG, add_person, document
from tests.support.service import NDJSON, USER_PASSWORD, Api, Service
from tests.support.slapd import Slapd

pytestmark = [pytest.mark.slapd, pytest.mark.attack]

#: Who is attacked, all of them users of domain 1, and what their roles allow.
VICTIMS: dict[str, tuple[str, dict[str, Any]]] = {
    "chief": ("SystemAdmin", {}),
    "reader": ("SystemAdminRO", {}),
    "second": ("DomainAdmin", {"domain_id": 2}),
    "asleep": ("SystemAdmin", {}),  # suspended
    "linked": ("SystemAdmin", {}),  # to an object that has another address by now
    "vanished": ("SystemAdmin", {}),  # linked to an object that is gone
}
LINKED = ("linked", "vanished")
LOCAL = tuple(name for name in VICTIMS if name not in LINKED)
AWAKE = tuple(name for name in VICTIMS if name != "asleep")

#: Who attacks, also users of domain 1. Domain 1 is in organisation 1, domain 2 is in none.
ATTACKERS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "domainadmin": [("DomainAdmin", {"domain_id": 1})],
    "orgadmin": [("OrgAdmin", {"org_id": 1})],
    "helpdesk": [("ResetPasswd", {})],
    "purger": [("DomainPurge", {"everything": True})],
    "nearly": [
        ("DomainAdmin", {"domain_id": 1}),
        ("OrgAdmin", {"org_id": 1}),
        ("DomainPurge", {"domain_id": 1}),
        ("ResetPasswd", {}),
    ],
}


@dataclass(frozen=True)
class Aim:
    """A call that is aimed at a victim. {user}, {name} and {role} stand for them in the path, query and body.

    `hits`: by the administrator it does change who the victim is, which shows that the aim is right. `answers` are what
    attackers may be answered; one that reaches many passes over the victim, and says so.
    """

    what: str
    path: str = ""
    body: Any = None
    params: dict[str, str] = field(default_factory=dict)
    victims: tuple[str, ...] = tuple(VICTIMS)
    hits: bool = True
    answers: tuple[int, ...] = (403,)


def harmless(path: str, body: Any = None, **params: str) -> Aim:
    """A call that changes nothing about who the victim is, whatever it is answered."""
    return Aim("harmless", path, body, params, hits=False, answers=(200, 201, 400, 401, 403, 404))


def line(what: str, line: Any) -> Aim:
    """A line of a bulk request: it is refused in the response, which is a 200."""
    return Aim(what, _BULK, line, answers=(200, 403))


_BULK = "/domains/1/users/bulk"
_USER = "/domains/{domainID}/users/{userID}"
_DEVICE = f"{_USER}/sync/{{deviceID}}"
_1 = "/domains/1/users/{user}"
_ALL = {"import": "true", "unlink": "true", "force": "true", "timeout": "60"}

#: Operation -> how to aim it at a victim, or why it is about no user.
AIMS: dict[tuple[str, str], list[Aim] | str] = {
    ("PATCH", _USER): [
        Aim("username", _1, {"username": "evil"}),
        Aim("aliases", _1, {"aliases": ["evil@example.com"]}),
        Aim("aliases away", _1, {"aliases": None}),
        Aim("altnames", _1, {"altnames": [{"altname": "evil"}]}),
        Aim("altnames away", _1, {"altnames": []}),
        Aim("suspend", _1, {"status": 1}, victims=("chief", "reader", "second", "linked", "vanished")),
        Aim("reactivate", _1, {"status": 0}, victims=("asleep",)),
        Aim("shared mailbox", _1, {"status": 4}),
        Aim("unlink", _1, {"ldapID": None}, victims=LINKED),
        harmless(_1, {"properties": {"title": "x"}, "forward": None, "privWeb": False}),
    ],
    ("DELETE", _USER): [Aim("delete", _1)],
    ("DELETE", f"{_USER}/sessions"): [Aim("end their logins", f"{_1}/sessions")],
    ("POST", "/tokens"): [
        Aim("a token of theirs", "/tokens", {"name": "evil", "owner": "{user}"}, victims=AWAKE, answers=(400, 403))
    ],
    ("DELETE", "/tokens/{ID}"): [Aim("revoke their token", "/tokens/1000{user}", answers=(403, 404))],
    ("DELETE", "/sessions"): [harmless("/sessions")],
    ("DELETE", "/sessions/{sessionID}"): [harmless("/sessions/" + "0" * 32)],
    # What is below /me is about the caller, whoever the victim is.
    ("POST", "/me/login"): [harmless("/me/login", {"user": "{name}@example.com", "pass": "evil password"})],
    ("PUT", "/me/oof"): [harmless("/me/oof", {"state": 1, "internalReply": "x"})],
    ("PUT", "/me/forward"): [harmless("/me/forward", {"forward": None})],
    ("PUT", "/me/delegates"): [harmless("/me/delegates", ["evil@example.com"])],
    ("PUT", "/me/sendas"): [harmless("/me/sendas", ["evil@example.com"])],
    ("DELETE", "/me/sync/{deviceID}"): [harmless("/me/sync/phone")],
    ("PUT", "/me/sync/{deviceID}/resync"): [harmless("/me/sync/phone/resync")],
    ("POST", "/me/sync/{deviceID}/wipe"): [harmless("/me/sync/phone/wipe", {"password": USER_PASSWORD})],
    ("DELETE", "/me/sessions"): [harmless("/me/sessions")],
    ("DELETE", "/me/sessions/{sessionID}"): [harmless("/me/sessions/" + "0" * 31 + "{user}")],
    ("POST", "/domains/{domainID}/users/bulk"): [
        line("username", {"patch": {"ID": "{user}", "username": "evil"}}),
        line("aliases", {"patch": {"username": "{name}", "aliases": ["evil@example.com"]}}),
        line("shared mailbox", {"patch": {"ID": "{user}", "status": 4}}),
        line("delete", {"delete": {"ID": "{user}"}}),
        line("delete by name", {"delete": {"username": "{name}"}}),
    ],
    ("PUT", f"{_USER}/password"): [Aim("password", f"{_1}/password", {"new": "evil password"}, victims=LOCAL)],
    ("PUT", "/passwd/{username}"): [
        Aim("password", "/passwd/{name}@example.com", {"new": "evil password"}, victims=LOCAL),
        Aim("by alias", "/passwd/{name}.alias@example.com", {"new": "evil password"}, victims=LOCAL),
    ],
    ("PUT", f"{_USER}/downsync"): [
        Aim("link to an own object", f"{_1}/downsync", params={"ID": "evil"}),
        Aim("link to an object of their name", f"{_1}/downsync", params={"ID": "as-{name}"}),
        Aim("take names over", f"{_1}/downsync", victims=("linked",)),
    ],
    ("POST", "/domains/ldap/importUser"): [
        Aim(
            "link by import",
            "/domains/ldap/importUser",
            params={"ID": "as-{name}", "force": "true", place: "1"},
            victims=LOCAL,
        )
        for place in ("domain", "organization")
    ],
    ("DELETE", "/domains/ldap/check"): [
        Aim("the orphan", "/domains/ldap/check", params={"domain": "1", "userID": "{user}"}, victims=("vanished",)),
        Aim(
            "orphans",
            "/domains/ldap/check",
            params={"domain": "1", "force": "true"},
            victims=("vanished",),
            answers=(200, 403),
        ),
    ],
    **{
        ("POST", path): [
            Aim("sync", path.replace("{domainID}", "1").replace("{ID}", "1"), None, _ALL, LINKED, answers=(200, 403))
        ]
        for path in (
            "/domains/ldap/downsync",
            "/domains/{domainID}/ldap/downsync",
            "/system/orgs/{ID}/ldap/downsync",
        )
    },
    ("PATCH", "/system/domains/{domainID}"): [
        Aim("suspend the domain", "/system/domains/1", {"domainStatus": 1}),
        Aim("mark the domain deleted", "/system/domains/1", {"domainStatus": 3}),
        harmless("/system/domains/1", {"title": "Evil"}),
    ],
    ("DELETE", "/system/domains/{domainID}"): [
        Aim("delete the domain", "/system/domains/1"),
        Aim("purge the domain", "/system/domains/1", params={"purge": "true"}),
    ],
    ("PATCH", f"{_USER}/roles"): [Aim("take the roles away", f"{_1}/roles", {"roles": []})],
    ("PATCH", "/system/roles/{ID}"): [Aim("take the role away", "/system/roles/{role}", {"users": []})],
    ("DELETE", "/system/roles/{ID}"): [Aim("remove the role", "/system/roles/{role}")],
    ("POST", "/system/roles"): [harmless("/system/roles", {"name": "evil", "users": ["{user}"]})],
    ("POST", "/domains/{domainID}/users"): [
        harmless("/domains/1/users", {"username": "{name}", "password": USER_PASSWORD}),
        harmless("/domains/1/users", {"username": "x", "password": USER_PASSWORD, "aliases": ["{name}@example.com"]}),
        harmless(
            "/domains/1/users",
            {"username": "y", "password": USER_PASSWORD, "altnames": [{"altname": "{name}@example.com"}]},
        ),
    ],
    ("POST", "/login"): [harmless("/login", {"user": "{name}", "pass": "evil password"})],
    ("PUT", "/passwd"): [
        harmless("/passwd", {"user": "{name}@example.com", "old": "evil password", "new": "evil password"}),
    ],
    # The mailbox of somebody who may do more is administered like any other: nothing of it is a way to log in.
    ("PUT", f"{_USER}/oof"): [harmless(f"{_1}/oof", {"state": 1, "internalReply": "x"})],
    ("PATCH", f"{_USER}/storeProps"): [harmless(f"{_1}/storeProps", {"displayname": "x"})],
    ("DELETE", f"{_USER}/storeProps"): [harmless(f"{_1}/storeProps", properties="displayname")],
    ("PUT", f"{_USER}/delegates"): [harmless(f"{_1}/delegates", ["evil@example.com"])],
    ("PUT", f"{_USER}/sendas"): [harmless(f"{_1}/sendas", ["evil@example.com"])],
    ("POST", f"{_USER}/storeAccess"): [harmless(f"{_1}/storeAccess", {"username": "domainadmin@example.com"})],
    ("PUT", f"{_USER}/storeAccess"): [harmless(f"{_1}/storeAccess", {"usernames": []})],
    ("DELETE", f"{_USER}/storeAccess/{{username}}"): [harmless(f"{_1}/storeAccess/domainadmin@example.com")],
    ("DELETE", f"{_USER}/sync"): [harmless(f"{_1}/sync")],
    ("DELETE", _DEVICE): [harmless(f"{_1}/sync/phone")],
    ("PUT", f"{_DEVICE}/resync"): [harmless(f"{_1}/sync/phone/resync")],
    ("POST", f"{_DEVICE}/wipe"): [harmless(f"{_1}/sync/phone/wipe", {"password": USER_PASSWORD})],
    ("DELETE", f"{_DEVICE}/wipe"): [harmless(f"{_1}/sync/phone/wipe")],
    ("POST", "/service/wipe/{username}"): [harmless("/service/wipe/{name}@example.com", {"status": 1})],
    ("PUT", "/service/sync/{username}/{deviceID}"): [harmless("/service/sync/{name}@example.com/phone")],
    # Whose directory it is decides who its users are.
    ("PUT", "/system/mconf/ldap"): [harmless("/system/mconf/ldap", {"disabled": True}, force="true")],
    ("DELETE", "/system/mconf/ldap"): [harmless("/system/mconf/ldap")],
    ("PUT", "/system/orgs/{ID}/ldap"): [harmless("/system/orgs/1/ldap", {"disabled": True}, force="true")],
    ("DELETE", "/system/orgs/{ID}/ldap"): [harmless("/system/orgs/1/ldap")],
    ("PUT", "/system/mconf/authmgr"): [harmless("/system/mconf/authmgr", {"authBackendSelection": "always_ldap"})],
    ("DELETE", "/system/mconf/authmgr"): [harmless("/system/mconf/authmgr")],
    ("PATCH", "/system/orgs/{ID}"): [harmless("/system/orgs/1", {"domains": [1, 2]})],
    ("DELETE", "/system/orgs/{ID}"): [harmless("/system/orgs/1")],
    ("POST", "/system/domains"): "makes a domain without users",
    ("POST", "/system/orgs"): "makes an organisation, of a system administrator's",
    ("PUT", "/domains/{domainID}/disabledPlugins"): "is about the webmail of a domain",
    ("PUT", "/defaults/createParams"): "is about users to come",
    ("PATCH", "/defaults/createParams"): "is about users to come",
    ("PUT", "/defaults/createParams/{domainID}"): "is about users to come",
    ("PATCH", "/defaults/createParams/{domainID}"): "is about users to come",
    ("POST", "/tasq/start"): "lets tasks run as who started them",
    ("POST", "/tasq/stop"): "keeps tasks waiting",
    ("DELETE", "/tasq/tasks/{ID}"): "forgets what has ended",
    ("POST", "/tasq/tasks/{ID}/cancel"): "ends one's own task",
}

AIMED = [
    pytest.param(method, aim, id=f"{method} {path} {aim.what} {number}")
    for (method, path), aims in AIMS.items()
    if not isinstance(aims, str)
    for number, aim in enumerate(aims)
]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scene has a dozen people with passwords, and what a hash costs is not what is tried here."""
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with an object of an attacker's, one with the address of each victim, and that of `linked`."""
    with Slapd() as server:
        add_person(server, "evil")
        add_person(server, "linked", mail="renamed@example.com")
        for name in (*VICTIMS, "jane"):
            add_person(server, f"as-{name}", mail=f"{name}@example.com")
        yield server


@dataclass
class Scene:
    """A service with victims, whose IDs are by name, and attackers, logged in."""

    service: Service
    admin: Api
    ids: dict[str, int]
    roles: dict[str, int]
    attackers: dict[str, Api]

    async def snapshot(self) -> dict[str, Any]:
        """Who each victim is: names, link, password, status, roles, tokens, logins; and the status of their domain."""
        rows = await self.service.context.database.fetch_all(
            """
            SELECT u.id, u.username, u.password, u.ldap_id, u.status, u.token_epoch, d.token_epoch, d.domain_status,
                   (SELECT group_concat(kind || key) FROM addresses WHERE user_id = u.id),
                   (SELECT group_concat(role_id) FROM user_roles WHERE user_id = u.id),
                   (SELECT count(*) FROM api_tokens WHERE user_id = u.id),
                   (SELECT count(*) FROM sessions WHERE user_id = u.id)
              FROM users u
              JOIN domains d ON d.id = u.domain_id
            """
        )
        there = {row[0]: row for row in rows}
        return {name: there.get(user_id) for name, user_id in self.ids.items()}

    async def shoot(self, by: Api, method: str, aim: Aim, name: str) -> Any:
        """The answer of a call that is aimed at a victim."""

        def filled(text: str) -> str:
            known = {"user": self.ids[name], "name": name, "role": self.roles[name]}
            for key, value in known.items():
                text = text.replace(f'"{{{key}}}"', str(value) if key != "name" else f'"{value}"')
                text = text.replace(f"{{{key}}}", str(value))
            return text

        body = None if aim.body is None else json.loads(filled(json.dumps(aim.body)))
        params = {key: filled(value) for key, value in aim.params.items()}
        if aim.path == _BULK:
            return await by.call(method, _BULK, data=text_of([body]), headers={"Content-Type": NDJSON})
        return await by.call(method, filled(aim.path), body, params=params)


@pytest.fixture
async def scene(service: Service, admin: Api, slapd: Slapd) -> Scene:
    """Domain 1 of organisation 1, in which everybody lives, and domain 2."""
    await admin.put(CONFIG, document(slapd))
    await admin.make_domain("example.com")
    await admin.make_domain("far.org")
    await admin.post("/system/orgs", {"name": "Org", "domains": [1]})
    attackers = {name: await service.login_with(1, *held, name=name) for name, held in ATTACKERS.items()}
    ids, roles = {}, {}
    for name, (permission, about) in VICTIMS.items():
        params = about.get("domain_id")
        names = {"aliases": [f"{name}.alias@example.com"], "altnames": [{"altname": f"{name}.alt"}]}
        ids[name] = (await admin.make_user(1, name, **names))["ID"]
        role = {"name": name, "permissions": [{"permission": permission, "params": params}], "users": [ids[name]]}
        roles[name] = (await admin.post("/system/roles", role))["ID"]
    await admin.patch(f"/domains/1/users/{ids['asleep']}", {"status": 1})

    def link(connection: sqlite3.Connection) -> None:
        for user_id in ids.values():
            row = SessionRow(f"{user_id:032}", user_id, 0, 0, 0, 1 << 40, "", "")
            sessions.insert_session(connection, row, 9)
            connection.execute(
                "INSERT INTO api_tokens (id, user_id, name, hash, scoped, read_only, networks, created) "
                "VALUES (?, ?, 'x', ?, 0, 0, '[]', 0)",
                (int(f"1000{user_id}"), user_id, f"{user_id:064}"),
            )
        for name in LINKED:
            connection.execute("UPDATE users SET ldap_id = ? WHERE id = ?", (name, ids[name]))

    await service.context.database.write(link)
    return Scene(service, admin, ids, roles, attackers)


def test_every_writing_operation_has_its_aim() -> None:
    """Each row that writes stands in the table, and nothing else does."""
    assert {(row.method, row.path) for row in ROUTES if row.method != "GET"} == AIMS.keys()


@pytest.mark.parametrize(("method", "aim"), AIMED)
async def test_out_of_reach(scene: Scene, method: str, aim: Aim) -> None:
    """No attacker changes who a victim is; by the administrator the same call does."""
    before = await scene.snapshot()
    for attacker in scene.attackers.values():
        for name in aim.victims:
            answer = await scene.shoot(attacker, method, aim, name)
            assert answer.status in aim.answers, answer.body
            assert await scene.snapshot() == before
    if aim.hits:
        for name in aim.victims:
            await scene.shoot(scene.admin, method, aim, name)
            after = await scene.snapshot()
            assert after[name] != before[name]
            if after[name] is not None and (after[name][1], after[name][8]) != (before[name][1], before[name][8]):
                # The names are free for the next one.
                await scene.admin.delete(f"/domains/1/users/{scene.ids[name]}")


async def test_a_sync_tells_who_was_passed_over(scene: Scene) -> None:
    """Those out of reach are skipped with the reason; the others are updated. A dry run says the same."""
    caller = scene.attackers["domainadmin"]
    for dry_run in ("true", "false"):
        params = {"unlink": "true", "force": "true", "dryRun": dry_run, "timeout": "60"}
        answer = await caller.call("POST", "/domains/1/ldap/downsync", params=params)
        assert answer.status == 200
        found = {item["username"]: (item["action"], item["code"]) for item in answer.body["data"]}
        assert found == {"linked@example.com": ("skip", 409), "vanished@example.com": ("skip", 409)}
        assert all("at least the permissions of" in item["message"] for item in answer.body["data"])


async def test_a_sync_of_somebody_who_may_no_more(scene: Scene) -> None:
    """An update that waits for its turn while its author loses the role changes nobody, and says so."""
    add = {"import": "true", "timeout": "0"}
    await scene.admin.call("POST", "/tasq/stop")
    queued = await scene.attackers["domainadmin"].call("POST", "/domains/1/ldap/downsync", params=add)
    own = (await scene.attackers["domainadmin"].get("/profile"))["user"]["ID"]
    await scene.admin.patch(f"/domains/1/users/{own}/roles", {"roles": []})
    before = await scene.admin.get("/domains/1/users?level=2")
    await scene.admin.call("POST", "/tasq/start")
    with pytest.raises(ForbiddenError):
        await scene.service.context.tasks.wait(queued.body["taskID"], 30)
    assert "is no longer allowed to do it" in (await scene.admin.get(f"/tasq/tasks/{queued.body['taskID']}"))["message"]
    assert await scene.admin.get("/domains/1/users?level=2") == before


@pytest.mark.parametrize("meanwhile", ["promoted", "revoked"])
@pytest.mark.parametrize("operation", ["downsync", "import"])
async def test_what_changes_while_the_directory_is_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, operation: str, meanwhile: str
) -> None:
    """Who is made an administrator while their object is being fetched is not linked; nor is anybody by an
    administrator who has lost the role by then."""
    jane = (await scene.admin.make_user(1, "jane"))["ID"]
    fetched, go_on, real = asyncio.Event(), asyncio.Event(), Directory.fetch

    async def slow(self: Directory, object_id: bytes) -> Any:
        entry = await real(self, object_id)
        fetched.set()
        await go_on.wait()
        return entry

    monkeypatch.setattr(Directory, "fetch", slow)
    caller = scene.attackers["domainadmin"]
    own = (await caller.get("/profile"))["user"]["ID"]
    if operation == "downsync":
        call = caller.call("PUT", f"/domains/1/users/{jane}/downsync", params={"ID": "evil"})
    else:
        params = {"ID": "as-jane", "force": "true", "domain": "1"}
        call = caller.call("POST", "/domains/ldap/importUser", params=params)
    linking = asyncio.create_task(call)
    await fetched.wait()
    if meanwhile == "promoted":
        role = {"name": "all", "permissions": [{"permission": "SystemAdmin"}], "users": [jane]}
        await scene.admin.post("/system/roles", role)
    else:
        await scene.admin.patch(f"/domains/1/users/{own}/roles", {"roles": []})
    go_on.set()
    assert (await linking).status in (401, 403)
    assert (await scene.admin.get(f"/domains/1/users/{jane}"))["ldapID"] is None


async def test_the_mailbox_of_somebody_who_may_do_more(scene: Scene) -> None:
    """What is no identity is administered as ever, also by a client that sends back the whole user."""
    caller = scene.attackers["domainadmin"]
    for name, user_id in scene.ids.items():
        path = f"/domains/1/users/{user_id}"
        user = await caller.get(path)
        user["properties"]["title"] = "Dr"
        changed = await caller.patch(path, {**user, "privChat": True})
        assert (changed["properties"]["title"], changed["privChat"]) == ("Dr", True)
        await caller.patch(path, {"username": name})
        await caller.refused(403, "PATCH", path, {**user, "status": 4})


async def test_oneself(scene: Scene) -> None:
    """Whoever administers their own domain renames themselves, and may do as much as they may."""
    caller = scene.attackers["domainadmin"]
    own = (await caller.get("/profile"))["user"]["ID"]
    await caller.patch(f"/domains/1/users/{own}", {"altnames": [{"altname": "me"}]})
    await caller.patch(f"/domains/1/users/{own}", {"username": "still.me"})


async def test_somebody_like_them(service: Service, scene: Scene) -> None:
    """Who may do as much, and no more, is in reach."""
    await service.login_with(1, ("DomainAdmin", {"domain_id": 1}), name="colleague")
    users = (await scene.admin.get("/domains/1/users", params={"username": "colleague@example.com"}))["data"]
    path = f"/domains/1/users/{users[0]['ID']}"
    caller = scene.attackers["domainadmin"]
    await caller.patch(path, {"username": "friend", "status": 1})
    await caller.put(f"{path}/downsync", params={"ID": "evil"})
    await caller.delete(path)


async def test_a_domain_of_its_own_administrators(service: Service, admin: Api) -> None:
    """What somebody may do in a domain does not keep it from being closed or purged by whoever may do that."""
    domain, other = await admin.make_domain("one.org"), await admin.make_domain("two.org")
    await admin.post("/system/orgs", {"name": "Org", "domains": [domain, other]})
    await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), ("DomainPurge", {"domain_id": domain}))
    organiser = await service.login_with(other, ("OrgAdmin", {"org_id": 1}), name="organiser")
    purger = await service.login_with(other, ("DomainPurge", {"domain_id": domain}), name="purger")
    boss = await service.login_with(domain, ("ResetPasswd", {}), name="boss")
    assert "boss@one.org" in await organiser.refused(403, "DELETE", f"/system/domains/{domain}")
    # Who may purge need not see who is there.
    assert "boss" not in await purger.refused(403, "DELETE", f"/system/domains/{domain}?purge=true")
    await admin.delete(f"/domains/{domain}/users/{(await boss.get('/profile'))['user']['ID']}")
    await organiser.delete(f"/system/domains/{domain}")
    await organiser.patch(f"/system/domains/{domain}", {"domainStatus": 0})
    await purger.delete(f"/system/domains/{domain}?purge=true")


async def test_roles_as_they_are_at_the_moment_of_the_change(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who is made an administrator while their new password is being hashed keeps the old one; so does
    everybody when it is the one who sets it that has lost the role."""
    caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="caller")
    caller_id = (await caller.get("/profile"))["user"]["ID"]
    jane, john = [(await admin.make_user(domain, name))["ID"] for name in ("jane", "john")]
    hashing, go_on = asyncio.Event(), asyncio.Event()
    real = type(service.context.passwords).hash

    async def slow(self: Any, password: str, owner: object) -> str:
        hashing.set()
        await go_on.wait()
        return await real(self, password, owner)

    async def hashes() -> list[Any]:
        return await service.context.database.fetch_all("SELECT id, password FROM users")

    monkeypatch.setattr(type(service.context.passwords), "hash", slow)
    before = await hashes()
    role = {"name": "all", "permissions": [{"permission": "SystemAdmin"}], "users": [jane]}
    for user_id, meanwhile in (
        (jane, admin.post("/system/roles", role)),
        (john, admin.patch(f"/domains/{domain}/users/{caller_id}/roles", {"roles": []})),
    ):
        hashing.clear()
        go_on.clear()
        setting = asyncio.create_task(
            caller.call("PUT", f"/domains/{domain}/users/{user_id}/password", {"new": "another password"})
        )
        await hashing.wait()
        await meanwhile
        go_on.set()
        assert (await setting).status in (401, 403)
        assert await hashes() == before

"""What another process revokes counts with the next response, without a wait and whatever is remembered here.

The other process is a database of its own on the same file: it shares nothing with the service but that. The service
looks at the file by itself once in an hour.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Collection

import pytest

from postroom.app import main
from postroom.app.routes import ROUTES
from postroom.app.web.routing import AddressOr, Route, public
from postroom.storage import auth, role_holders, sealed, sessions, users
from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.support.people import CONFIG, document
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service
from tests.support.slapd import Slapd, people_ldif

READS = [route for route in ROUTES if route.method == "GET" and route.guard is not public]

#: What another process does to the user with this ID -> whether it leaves them nothing at all.
REVOCATIONS: dict[str, Callable[[sqlite3.Connection, int], object]] = {
    "deletes": users.delete_user,
    "takes the roles of": lambda connection, user_id: role_holders.set_user_roles(connection, user_id, []),
    "suspends": lambda connection, user_id: users.update_fields(connection, user_id, {"status": 1}),
    "gives another password to": lambda connection, user_id: auth.set_password(connection, user_id, "$none"),
    "ends the logins of": lambda connection, user_id: sessions.delete_other_sessions(connection, user_id, None),
}


@pytest.fixture
async def service(
    start_service: StartService, shared_store: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Service:
    """A service that trusts no address, on what other processes can open."""
    monkeypatch.setattr(main, "WATCH_INTERVAL", 3600)
    return await start_service(**shared_store, service_networks=())


@pytest.fixture
async def other(service: Service, shared_store: dict[str, str]) -> AsyncIterator[Database]:
    """The other process."""
    database = await Database.open(shared_store["database"], create=False, key_file=shared_store.get("key_file"))
    yield database
    await database.close()


def path_of(route: Route, domain: int, user: int) -> str:
    """The path with what is there filled in."""
    known = {"domainID": str(domain), "userID": str(user), "username": "jane@example.org", "deviceID": "phone"}
    path = re.sub(r"{(\w+)}", lambda name: known.get(name[1], "1"), route.path)
    needed = {"/domains/ldap/search": "?query=jane", "/domains/ldap/dump": "?ID=1", "/system/mailCheck": "?address=x"}
    return path + needed.get(route.path, "")


async def ids_of(admin: Api, domain: int, but: Collection[int] = ()) -> list[int]:
    """The IDs of the domain's users."""
    return [user["ID"] for user in (await admin.get(f"/domains/{domain}/users"))["data"] if user["ID"] not in but]


@pytest.mark.parametrize("route", READS, ids=lambda route: route.path)
async def test_a_read_after_another_process_has_revoked(
    service: Service, other: Database, admin: Api, domain: int, route: Route
) -> None:
    """Whoever has just lost their role elsewhere gets nothing, from no operation that reads."""
    jane = await admin.make_user(domain, "jane")
    caller = await service.login_with(domain, ("SystemAdmin", {}))
    path = path_of(route, domain, jane["ID"])
    before = await caller.call("GET", path)
    assert before.status not in (401, 403)
    (caller_id,) = await ids_of(admin, domain, [jane["ID"]])

    await other.write(role_holders.set_user_roles, caller_id, [])

    after = await caller.call("GET", path)
    assert after.status in (401, 403), after.body


@pytest.mark.parametrize("kind", REVOCATIONS)
async def test_every_way_of_revoking(service: Service, other: Database, admin: Api, domain: int, kind: str) -> None:
    """A login ends at once, also for what comes out of memory, and for whoever sends a body."""
    caller = await service.login_with(domain, ("SystemAdmin", {}))
    (user,) = (await admin.get(f"/domains/{domain}/users"))["data"]
    await caller.get("/profile")
    await other.write(REVOCATIONS[kind], user["ID"])
    one = f"/system/domains/{domain}"
    for method, path in (("GET", "/profile"), ("GET", one), ("PATCH", one)):
        answer = await caller.call(method, path, {"title": "taken over"} if method == "PATCH" else None)
        assert answer.status in (401, 403), path
    assert (await admin.get(f"/system/domains/{domain}"))["title"] == ""


async def test_a_token_that_another_process_has_revoked(service: Service, other: Database, admin: Api) -> None:
    """It ends with the next response, also out of memory; so does one whose scope has lost something."""
    scope = [{"permission": "SystemAdminRO", "params": None}]
    for revoke in ("DELETE FROM api_tokens WHERE id = ?", "DELETE FROM api_token_permissions WHERE token_id = ?"):
        made = await admin.post("/tokens", {"name": "x", "permissions": scope})
        api = Api(service, {"Authorization": f"Bearer {made['token']}"})
        await api.get("/system/roles")

        def change(connection: sqlite3.Connection, sql: str = revoke, token_id: int = made["ID"]) -> None:
            connection.execute(sql, (token_id,))

        await other.write(change)
        assert (await api.call("GET", "/system/roles")).status in (401, 403)


async def test_others_notice_nothing(service: Service, other: Database, admin: Api, domain: int) -> None:
    """Whoever keeps what they have is let in again without a word; a lesser role counts for what it still allows."""
    keeper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="keeper")
    loser = await service.login_with(domain, ("SystemAdmin", {}), name="loser")
    ids = {user["username"]: user["ID"] for user in (await admin.get(f"/domains/{domain}/users"))["data"]}
    await loser.get("/system/roles")
    await keeper.get(f"/domains/{domain}/users")

    def lessen(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE role_permissions SET permission = 'SystemAdminRO' WHERE role_id IN "
            "(SELECT role_id FROM user_roles WHERE user_id = ?)",
            (ids["loser@example.org"],),
        )

    await other.write(lessen)
    # The first is let in with what was known here, which is more than what is left.
    statuses = [(await loser.call("GET", "/system/roles")).status for _ in range(2)]
    assert statuses == [403, 200]
    await keeper.get(f"/domains/{domain}/users")


async def test_a_password_that_another_process_has_set(
    service: Service, other: Database, admin: Api, domain: int
) -> None:
    """Logins are looked at where they are stored: the old password is worth nothing at once."""
    await service.login_with(domain, ("SystemAdmin", {}))
    (user,) = (await admin.get(f"/domains/{domain}/users"))["data"]
    await other.write(auth.set_password, user["ID"], "$none")
    answer = await Api(service, {}).call("POST", "/login", data={"user": user["username"], "pass": USER_PASSWORD})
    assert answer.status == 401


@pytest.mark.slapd
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_whoever_waits_for_the_directory_meanwhile(
    service: Service, other: Database, admin: Api, domain: int, method: str
) -> None:
    """What the directory knows is told to nobody who has lost their role elsewhere while it was asked."""
    with Slapd() as slapd:
        slapd.add(people_ldif(1))
        await admin.put(CONFIG, document(slapd, objectID="entryUUID"))
        caller = await service.login_with(domain, ("SystemAdmin", {}))
        jane = await admin.make_user(domain, "jane")
        (caller_id,) = await ids_of(admin, domain, [jane["ID"]])
        path = {
            "GET": "/domains/ldap/search?query=user&showAll=true",
            "PUT": f"/domains/{domain}/users/{jane['ID']}/downsync?ID=nobody",
        }[method]
        assert (await caller.call(method, path)).status == (200 if method == "GET" else 404)
        slapd.pause()
        calling = asyncio.create_task(caller.call(method, path))
        await asyncio.sleep(0.5)
        await other.write(role_holders.set_user_roles, caller_id, [])
        slapd.resume()
        assert (await calling).status in (401, 403)


async def test_a_key_of_tokens_that_another_process_has_renewed(
    service: Service, other: Database, admin: Api, domain: int
) -> None:
    """Every login has ended with the next response, also for a write that waits meanwhile; a new login counts."""
    begun, release = threading.Event(), threading.Event()

    def renew(connection: sqlite3.Connection) -> None:
        sealed.renew_token_key(connection)
        begun.set()
        release.wait(10)

    path = f"/system/domains/{domain}"
    renewing = asyncio.create_task(other.write(renew))
    await asyncio.to_thread(begun.wait, 10)
    patching = asyncio.create_task(admin.call("PATCH", path, {"title": "late"}))
    await asyncio.sleep(0.3)
    release.set()
    await renewing
    assert (await patching).status == 401
    assert (await admin.call("GET", "/profile")).status == 401
    again = await service.login("admin", ADMIN_PASSWORD)
    assert (await again.get(path))["title"] == ""


def test_every_read_is_tried() -> None:
    """Also those that the ActiveSync server asks for by its address alone."""
    assert len(READS) > 40
    assert any(isinstance(route.guard, AddressOr) for route in READS)

"""Authority at the moment of the change: whoever loses theirs while a request of theirs is under way changes nothing.

The examples of the description are played from top to bottom, so that every operation has what it needs. Before each
that writes, a system administrator tries the very same call and is stopped half-way; then the call is made, and works.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Set
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from postroom.app.auth.throttle import LoginSource
from postroom.app.errors import ForbiddenError
from postroom.app.openapi.example_calls import load
from postroom.app.routes import BASE, ROUTES
from postroom.app.services.api_tokens import create_token
from postroom.app.services.sessions import begin
from postroom.app.web.admission import InPerson, Own
from postroom.schemas.values.self_service import SUBJECTS
from postroom.storage import auth, role_holders, roles, sessions, tasks, users
from postroom.storage.sessions import SessionRow
from postroom.storage.sqlite import sqlite3
from tests.conformance.examples import ANNA, SERVER, SESSION_ID, caller_of, content_of, method_of
from tests.conftest import StartService
from tests.support.owners import elsewhere
from tests.support.people import CONFIG, document
from tests.support.raw import connect, parse
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import Slapd
from tests.support.waiting import until

pytestmark = pytest.mark.attack

#: Of the caller, their domain and their role: a number that stands nowhere else.
CALLER = 1_000_003

REVOCATIONS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "deleted": lambda connection: users.delete_user(connection, CALLER),
    "without a role": lambda connection: role_holders.set_user_roles(connection, CALLER, []),
    "with a lesser role": lambda connection: connection.execute(
        "UPDATE role_permissions SET permission = 'SystemAdminRO' WHERE role_id = ?", (CALLER,)
    ),
    "suspended": lambda connection: users.update_fields(connection, CALLER, {"status": 1}),
    "with another password": lambda connection: auth.set_password(connection, CALLER, "$none"),
}

#: Operations that change nothing in the database, or need no login of anybody.
STORES_NOTHING = {"postLogin", "postMyLogin", "startTaskq", "stopTaskq"}


def operation_id(handler: object) -> str:
    """What the description calls a handler's operation."""
    return str(vars(handler)["__apispec__"]["operationId"])


#: Operations about what is the caller's own, and those of them that their domain has to let them.
OWN = {operation_id(route.handler): route.guard.subject for route in ROUTES if isinstance(route.guard, Own)}
#: Operations with a body that every login may use.
NEED_NO_ROLE = {"putPasswd", "postToken", *OWN}

WRITING = {operation_id(route.handler) for route in ROUTES if route.method != "GET"} - STORES_NOTHING


#: Operations that no token may use.
PERSONAL = {operation_id(route.handler) for route in ROUTES if isinstance(route.guard, InPerson)} | {"putPasswd"}
SYSTEM_ADMIN = [{"permission": "SystemAdmin", "params": None}]


def insert_caller(connection: sqlite3.Connection) -> list[Any]:
    """A system administrator who has the password of `admin`; returns what to give back to remove_caller."""
    sequences = connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    connection.execute(
        "INSERT INTO domains (id, domainname, displayname, max_user, self_service) "
        "VALUES (?, 'staff.test', 'staff.test', 9, ?)",
        (CALLER, json.dumps(SUBJECTS)),
    )
    connection.execute(
        "INSERT INTO users (id, domain_id, username, password) "
        "SELECT ?, ?, 'caller@staff.test', password FROM users WHERE id = 0",
        (CALLER, CALLER),
    )
    users.insert_address(connection, CALLER, "username", "caller@staff.test")
    connection.execute("INSERT INTO roles (id, name, key) VALUES (?, 'staff', 'staff')", (CALLER,))
    roles.insert_permission(connection, CALLER, "SystemAdmin")
    role_holders.set_user_roles(connection, CALLER, [CALLER])
    return sequences


def remove_caller(connection: sqlite3.Connection, sequences: list[Any]) -> None:
    """As if there had never been one: the examples name the IDs that a fresh service gives."""
    connection.execute("DELETE FROM api_tokens WHERE user_id = ?", (CALLER,))
    for table in ("users", "domains", "roles"):
        connection.execute(f"DELETE FROM {table} WHERE id = ?", (CALLER,))
    connection.execute("DELETE FROM sqlite_sequence")
    connection.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", sequences)


#: The same for the token of the caller.
OF_TOKENS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "revoked": lambda connection: connection.execute("DELETE FROM api_tokens"),
    "of somebody suspended": REVOCATIONS["suspended"],
    "of somebody without a role": REVOCATIONS["without a role"],
    "of somebody with a lesser role": REVOCATIONS["with a lesser role"],
    "with a lesser scope": lambda connection: connection.execute("DELETE FROM api_token_permissions"),
}


@asynccontextmanager
async def caller(service: Service, *, by_token: bool = False) -> AsyncIterator[Api]:
    """The API as the caller may use it, by a login or by a token; nothing stays of them."""
    database = service.context.database
    sequences = await database.write(insert_caller)
    account = await auth.select_account(database, CALLER)
    assert account is not None
    try:
        token = (await begin(service.context, account, LoginSource(b"", "-", shared=True), ""))["grommunioAuthJwt"]
        if by_token:
            given = {"name": "x", "readOnly": False, "networks": [], "permissions": SYSTEM_ADMIN}
            token = (await create_token(service.context, given, CALLER, None))["token"]
        api = Api(service, {"Authorization": f"Bearer {token}"})
        await api.get("/profile")  # known in memory from now on
        yield api
    finally:
        await database.write(remove_caller, sequences)


def dump(connection: sqlite3.Connection) -> list[Any]:
    """Every row that is not the caller's own."""
    tables = connection.execute(
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
    ).fetchall()
    return [
        (table, row)
        for (table,) in tables
        if table not in ("api_token_permissions", "auth_generation", "sqlite_schema", "sqlite_sequence")
        for row in connection.execute(f'SELECT * FROM "{table}"')
        if CALLER not in row
    ]


@asynccontextmanager
async def busy_writer(service: Service) -> AsyncIterator[None]:
    """Nothing else is written for as long as the block lasts. Of a database in a file: others cannot be read then."""
    begun, release = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        release.wait(30)

    writing = asyncio.ensure_future(service.context.database.write(hold))
    await until(begun.is_set, 10)
    try:
        yield
    finally:
        release.set()
        await writing


def waiting(service: Service) -> int:
    """How many writes wait for their turn."""
    return len(service.context.database._writes._waiting)


async def overtaken(
    service: Service, revoke: Callable[[sqlite3.Connection], object], entry: dict[str, Any], *, by_token: bool = False
) -> int:
    """The status of a call whose write waits behind the revocation."""
    database = service.context.database
    async with caller(service, by_token=by_token) as api:
        before = await database.read(dump)
        async with busy_writer(service):
            revoking = asyncio.ensure_future(database.write(revoke))
            await until(lambda: waiting(service) == 1, 10)
            call = api.call(method_of(entry["operation"]), entry["at"], **content_of(entry))
            calling = asyncio.ensure_future(call)
            await until(lambda: waiting(service) == 2, 10)
        await revoking
        answer = await calling
        assert await database.read(dump) == before, (entry["operation"], answer.body)
    return answer.status


async def half_sent(
    service: Service, revoke: Callable[[sqlite3.Connection], object], entry: dict[str, Any], *, by_token: bool = False
) -> int:
    """The status of a call whose body is half here when the caller is revoked."""
    database = service.context.database
    async with caller(service, by_token=by_token) as api:
        before = await database.read(dump)
        body = json.dumps(entry["body"]).encode()
        head = [
            f"{method_of(entry['operation'])} {BASE}{entry['at']} HTTP/1.1", "Host: x", "Connection: close",
            "Content-Type: application/json", f"Content-Length: {len(body)}",
            f"Authorization: {api.headers['Authorization']}",
        ]  # fmt: skip
        reader, writer = await connect(service)
        writer.write("\r\n".join([*head, "", ""]).encode() + body[: len(body) // 2])
        await asyncio.sleep(0.03)
        await database.write(revoke)
        writer.write(body[len(body) // 2 :])
        (answer,) = parse(await asyncio.wait_for(reader.read(), 10))
        writer.close()
        assert await database.read(dump) == before, (entry["operation"], answer.json)
    return answer.status


async def prepare(service: Service, entry: dict[str, Any]) -> dict[str, Any]:
    """Sees to it that there is something for the call to change where the examples have nothing left."""
    database = service.context.database
    if entry["operation"] == "deleteOrphaned":
        await database.write(lambda connection: users.update_fields(connection, 2, {"ldapID": "gone"}))
        return {**entry, "at": f"{entry['at']}&force=true"}
    if entry["operation"] == "cancelTask":
        task_id = await database.write(tasks.insert_task, "ldapSync", {}, 0, elsewhere(), 0, "2026-01-01 00:00:00")
        return {**entry, "at": f"/tasq/tasks/{task_id}/cancel"}
    if entry["operation"] in ("deleteSession", "deleteMySession"):
        row = SessionRow(SESSION_ID, int("by" in entry), 0, 0, 0, 1 << 40, "", "")
        await database.write(sessions.insert_session, row, 1000)
    return entry


#: Calls while the caller is revoked; the status of the response.
Attack = Callable[[], Awaitable[int]]


async def refused_meanwhile(
    service: Service, attacks_on: Callable[[dict[str, Any]], Iterable[Attack]], writing: Set[str]
) -> None:
    """Each of these operations is refused under each attack, and is fine for somebody else."""
    tried: set[str] = set()
    with Slapd() as directory:
        directory.add(ANNA)
        for example in load():
            entry = json.loads(json.dumps(example).replace(SERVER, directory.url))
            if entry["status"] >= 300 or method_of(entry["operation"]) == "GET":
                continue
            entry = await prepare(service, entry)
            if entry["operation"] in writing - tried:
                tried.add(entry["operation"])
                own = {"body": {"password": ADMIN_PASSWORD}} if entry["operation"] == "postMyDeviceWipe" else {}
                for attack in attacks_on({**entry, **own}):
                    assert await attack() in (401, 403), (attack, entry["operation"])
            if entry["operation"] not in STORES_NOTHING:
                other = await caller_of(service, entry.get("by", "admin"))
                answer = await other.call(method_of(entry["operation"]), entry["at"], **content_of(entry))
                assert answer.status == entry["status"], (entry["operation"], answer.body)
    assert tried == writing


@pytest.mark.slapd
@pytest.mark.parametrize("kind", REVOCATIONS)
async def test_writes_of_whoever_is_revoked_meanwhile(start_service: StartService, tmp_path: Path, kind: str) -> None:
    """Every operation that writes is refused, and has stored nothing, when its caller is revoked after they were let
    in: amid the body, or while the write waits for its turn. The same call is fine for somebody else.
    """
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"), service_networks=())

    def attacks_on(entry: dict[str, Any]) -> Iterator[Attack]:
        yield partial(overtaken, service, REVOCATIONS[kind], entry)
        # Some are let in by what they may do when the body is here.
        let_in = entry["operation"] in NEED_NO_ROLE and kind == "with a lesser role"
        if entry.get("body") is not None and not let_in:
            yield partial(half_sent, service, REVOCATIONS[kind], entry)

    await refused_meanwhile(service, attacks_on, WRITING)


@pytest.mark.slapd
async def test_own_writes_that_the_domain_lets_them_no_more(start_service: StartService, tmp_path: Path) -> None:
    """The same when an administrator takes back what users of the domain may change of their own."""
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"), service_networks=())

    def take_back(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE domains SET self_service = '[]' WHERE id = ?", (CALLER,))

    def attacks_on(entry: dict[str, Any]) -> Iterator[Attack]:
        yield partial(overtaken, service, take_back, entry)
        if entry.get("body") is not None:
            yield partial(half_sent, service, take_back, entry)

    await refused_meanwhile(service, attacks_on, {operation for operation, subject in OWN.items() if subject})


@pytest.mark.slapd
@pytest.mark.parametrize("kind", OF_TOKENS)
async def test_writes_by_a_token_that_is_revoked_meanwhile(
    start_service: StartService, tmp_path: Path, kind: str
) -> None:
    """The same for tokens: revoked, or because its owner may do less, or because its scope has lost something."""
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"), service_networks=())

    def attacks_on(entry: dict[str, Any]) -> Iterator[Attack]:
        yield partial(overtaken, service, OF_TOKENS[kind], entry, by_token=True)
        if entry.get("body") is not None:
            yield partial(half_sent, service, OF_TOKENS[kind], entry, by_token=True)

    await refused_meanwhile(service, attacks_on, WRITING - PERSONAL)


@pytest.mark.slapd
@pytest.mark.parametrize("kind", OF_TOKENS)
async def test_tasks_by_a_token_that_is_revoked_meanwhile(service: Service, admin: Api, kind: str) -> None:
    """A task that was started by a token does no more than the token may do at each moment."""
    with Slapd() as directory:
        directory.add(ANNA)
        await admin.put(CONFIG, document(directory))
        domain = await admin.make_domain("example.com")
        async with caller(service, by_token=True) as api:
            await admin.call("POST", "/tasq/stop")
            started = await api.call("POST", f"/domains/{domain}/ldap/downsync?import=true&timeout=0")
            await service.context.database.write(OF_TOKENS[kind])
            await admin.call("POST", "/tasq/start")
            with suppress(ForbiddenError):
                await service.context.tasks.wait(started.body["taskID"])
            task = await admin.get(f"/tasq/tasks/{started.body['taskID']}")
        people = await admin.get(f"/domains/{domain}/users")
    assert (task["state"], people["count"]) == (tasks.ERROR, 0)


@pytest.mark.slapd
@pytest.mark.parametrize("kind", REVOCATIONS)
async def test_tasks_of_whoever_is_revoked_meanwhile(service: Service, admin: Api, kind: str) -> None:
    """A task ends as failed, with a sentence and nothing done, when its starter may no longer do what it does. A new
    password of theirs, which ends their login, does not end it.
    """
    with Slapd() as directory:
        directory.add(ANNA)
        await admin.put(CONFIG, document(directory))
        domain = await admin.make_domain("example.com")
        async with caller(service) as api:
            await admin.call("POST", "/tasq/stop")
            started = await api.call("POST", f"/domains/{domain}/ldap/downsync?import=true&timeout=0")
            await service.context.database.write(REVOCATIONS[kind])
            await admin.call("POST", "/tasq/start")
            with suppress(ForbiddenError):
                await service.context.tasks.wait(started.body["taskID"])
            task = await admin.get(f"/tasq/tasks/{started.body['taskID']}")
        people = await admin.get(f"/domains/{domain}/users")
    if kind == "with another password":
        assert (task["state"], people["count"]) == (tasks.COMPLETED, 2)
    else:
        assert (task["state"], people["count"]) == (tasks.ERROR, 0)
        assert task["message"] == "Stopped: the user who started this is no longer allowed to do it"


async def test_a_caller_who_may_do_less_than_when_they_were_let_in(start_service: StartService, tmp_path: Path) -> None:
    """What a handler has concluded from the caller's grants does not outlive them: who keeps what the route needs and
    loses anything else meanwhile is refused; who gains something is not.
    """
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"))
    admin = await service.login("admin", ADMIN_PASSWORD)
    first, second = await admin.make_domain("one.test"), await admin.make_domain("two.test")
    helper = await service.login_with(
        first, ("DomainAdmin", {"domain_id": first}), ("DomainAdmin", {"domain_id": second})
    )

    path = f"/domains/{first}/users"

    async def create_behind(sql: str) -> int:
        async with busy_writer(service):
            changing = asyncio.ensure_future(service.context.database.write(lambda connection: connection.execute(sql)))
            await until(lambda: waiting(service) == 1, 10)
            calling = asyncio.ensure_future(helper.call("POST", path, {"username": "x", "status": 4}))
            await until(lambda: waiting(service) == 2, 10)
        await changing
        return (await calling).status

    assert await create_behind("UPDATE role_permissions SET permission = 'DomainAdmin'") == 201
    await admin.delete(f"{path}/2")
    assert await create_behind(f"DELETE FROM role_permissions WHERE domain_id = {second}") == 403
    assert await create_behind("INSERT INTO role_permissions (role_id, permission) VALUES (1, 'ResetPasswd')") == 201


async def test_who_is_trusted_by_address_needs_no_login_that_counts(service: Service, admin: Api, domain: int) -> None:
    """Below /service a login that ends amid the body leaves what the address allows; without that it leaves nothing."""
    await admin.make_user(domain, "jane")
    async with caller(service) as api:
        line = f"PUT {BASE}/service/sync/jane@example.org/phone HTTP/1.1"
        head = f"{line}\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n"
        reader, writer = await connect(service)
        writer.write(f"{head}Authorization: {api.headers['Authorization']}\r\n\r\n{{".encode())
        await asyncio.sleep(0.03)
        await service.context.database.write(REVOCATIONS["deleted"])
        writer.write(b"}")
        (answer,) = parse(await asyncio.wait_for(reader.read(), 10))
        writer.close()
    assert answer.status == 200

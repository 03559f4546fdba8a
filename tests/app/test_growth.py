"""What grows has a bound: no client, no device and no directory makes postroom or its database grow for ever."""

import ast
import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from postroom.app.auth import tokens
from postroom.app.auth.permissions import Grants
from postroom.app.errors import UnauthenticatedError, UnavailableError
from postroom.app.services import directories, tasks
from postroom.app.transactions import tasks as task_rules
from postroom.app.transactions.devices import Origin, change_wipe, report_device
from postroom.app.transactions.wipe import Event, Kind
from postroom.schemas.values.proptags import find
from postroom.storage import device_states, ldap_configs, properties, users
from postroom.storage.database import Database
from postroom.storage.ldap_configs import LdapConfigRow
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.support.directory import directory
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import Slapd, people_ldif

pytestmark = pytest.mark.sqlite

ROOT = Path(__file__).parents[2]
ORIGIN = Origin(1, "::1")


@pytest.fixture
async def jane(admin: Api, domain: int) -> str:
    """The path of the devices of a user jane@example.org, whose ID is 1."""
    return f"/domains/{domain}/users/{(await admin.make_user(domain, 'jane'))['ID']}/sync"


async def rows(service: Service, table: str) -> int:
    """How many rows a table has of jane."""
    return int(await service.context.database.fetch_value(f"SELECT count(*) FROM {table} WHERE user_id = 1"))


async def known(service: Service) -> dict[str, int]:
    """Wipe status by device ID."""
    found = await service.context.database.fetch_all("SELECT device_id, wipe_status FROM devices WHERE user_id = 1")
    return dict(found)


def report_many(connection: sqlite3.Connection, first: int, number: int) -> None:
    """Reports so many new devices, each a second after the one before."""
    for each in range(first, first + number):
        report_device(connection, "jane@example.org", f"made-up-{each}", {}, each)


async def test_a_user_has_so_many_devices(service: Service, jane: str) -> None:
    """Whoever makes up device IDs for ever pushes out their own oldest ones; those seen lately stay."""
    await service.context.database.write(report_many, 0, device_states.MOST_DEVICES + 50)
    await service.api.put("/service/sync/jane@example.org/made-up-50")  # seen again, now
    await service.api.put("/service/sync/jane@example.org/phone")
    there = await known(service)
    assert len(there) == device_states.MOST_DEVICES == 1000
    assert {"made-up-50", "made-up-1049", "phone"} <= there.keys()
    assert not {"made-up-0", "made-up-49", "made-up-51"} & there.keys()


async def test_a_device_that_is_known_pushes_nobody_out(service: Service, jane: str) -> None:
    """At the bound, devices that are there are reported as ever."""
    await service.context.database.write(report_many, 0, device_states.MOST_DEVICES)
    before = await known(service)
    for device in ("made-up-0", "made-up-999"):
        await service.api.put(f"/service/sync/jane@example.org/{device}")
    assert await known(service) == before


async def test_a_device_is_not_saved_from_its_wipe(
    service: Service, admin: Api, jane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stolen phone with the password cannot push out the wipe that waits for it, nor that it was wiped."""
    monkeypatch.setattr(device_states, "MOST_DEVICES", 5)
    for device, status in (("stolen", 2), ("account", 16), ("wiped", 8), ("cancelled", 1)):
        await admin.call("POST", f"{jane}/{device}/wipe", {"password": ADMIN_PASSWORD, "status": min(status, 2)})
        await service.api.post(f"/service/wipe/jane@example.org?devices={device}", {"status": status})
    await service.context.database.write(report_many, 0, 50)
    there = await known(service)
    assert {name: status for name, status in there.items() if status} == {"stolen": 2, "account": 16, "wiped": 8}
    assert len(there) == 5
    assert await rows(service, "due_resyncs") == 0


async def test_no_room_among_wiped_devices(
    service: Service, admin: Api, jane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all are wiped or to be wiped, a new one is refused with the reason, however it comes, and none is lost."""
    monkeypatch.setattr(device_states, "MOST_DEVICES", 3)
    wipe = {"password": ADMIN_PASSWORD}
    for number in range(3):
        await admin.call("POST", f"{jane}/lost-{number}/wipe", wipe)
    before = await known(service)
    assert "3 devices" in await admin.refused(400, "POST", f"{jane}/another/wipe", wipe)
    await service.api.refused(400, "PUT", "/service/sync/jane@example.org/another", {})
    body = {"status": 2, "password": ADMIN_PASSWORD}
    await admin.refused(400, "POST", "/service/wipe/jane@example.org?devices=another", body)
    assert await known(service) == before
    await admin.delete(f"{jane}/lost-0")
    assert (await service.api.put("/service/sync/jane@example.org/another"))["data"]["resync"] is False


async def test_an_older_database_with_more_devices(
    service: Service, jane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond the bound already goes with the next new device."""
    await service.context.database.write(report_many, 0, 40)
    monkeypatch.setattr(device_states, "MOST_DEVICES", 10)
    await service.context.database.write(report_many, 40, 1)
    assert len(await known(service)) == 10


async def test_the_history_of_wipes_ends_somewhere(service: Service, jane: str) -> None:
    """The latest hundred changes of a device are kept, and the latest thousand of a user, whatever else happens."""

    def back_and_forth(connection: sqlite3.Connection, device: str, times: int) -> None:
        for number in range(times):
            for event in (Event(Kind.REQUEST, 2), Event(Kind.CANCEL)):
                change_wipe(connection, 1, 1, device, event, Origin(number, "::1"))

    write, fetch = service.context.database.write, service.context.database.fetch_all
    await write(back_and_forth, "phone", 200)
    history = await fetch("SELECT time, status FROM wipe_history ORDER BY id")
    assert history == [(number, status) for number in range(150, 200) for status in (2, 1)]
    for device in range(15):
        await write(back_and_forth, f"device-{device}", 50)
    assert await rows(service, "wipe_history") == 1000
    (latest,) = await fetch("SELECT device_id, status FROM wipe_history ORDER BY id DESC LIMIT 1")
    assert latest == ("device-14", 1)


async def test_the_history_of_others_stays(service: Service, admin: Api, domain: int, jane: str) -> None:
    """What one user does pushes out nothing of another's."""
    other = await admin.make_user(domain, "john")
    path = f"/domains/{domain}/users/{other['ID']}/sync/phone/wipe"
    await admin.call("POST", path, {"password": ADMIN_PASSWORD})

    def flood(connection: sqlite3.Connection) -> None:
        for number in range(1100):
            device_states.insert_history(connection, 1, f"device-{number}", 2, number, "::1")
            device_states.insert_resync(connection, 1, f"device-{number}")

    await service.context.database.write(flood)
    assert await rows(service, "wipe_history") == 1000
    assert await service.context.database.fetch_value("SELECT count(*) FROM wipe_history WHERE user_id <> 1") == 1


async def test_due_resyncs_end_somewhere(service: Service, jane: str) -> None:
    """The latest thousand are kept; one that is asked for again counts as asked for then."""

    def ask(connection: sqlite3.Connection, numbers: range) -> None:
        for number in numbers:
            device_states.insert_resync(connection, 1, f"device-{number}")

    await service.context.database.write(ask, range(1000))
    await service.context.database.write(ask, range(1))
    await service.context.database.write(ask, range(1000, 1010))
    assert await rows(service, "due_resyncs") == device_states.MOST_RESYNCS == 1000
    due = (await service.api.put("/service/sync/jane@example.org/device-0"))["data"]["resync"]
    gone = (await service.api.put("/service/sync/jane@example.org/device-1"))["data"]["resync"]
    assert (due, gone) == (True, False)


async def test_bounds_are_found_by_index(database: Database) -> None:
    """What is beyond a bound is found without sorting and without reading the whole table."""

    def plans(connection: sqlite3.Connection) -> list[str]:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        device_states.insert_history(connection, 0, "phone", 2, 1, "::1")
        device_states.insert_resync(connection, 0, "phone")
        connection.set_trace_callback(None)
        deletions = [sql for sql in asked if sql.strip().startswith("DELETE FROM")]
        assert len(deletions) == 4
        return [row[3] for sql in deletions for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]

    def explained(connection: sqlite3.Connection) -> list[str]:
        connection.execute("INSERT INTO users (id, username) VALUES (0, 'admin')")
        return plans(connection)

    lines = await database.write(explained)
    assert not [line for line in lines if line.startswith("SCAN") or "TEMP B-TREE" in line], lines


async def test_tokens_make_room_one_by_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the oldest remembered token goes, not all of them, and it still counts."""
    monkeypatch.setattr(tokens, "_REMEMBERED", 3)
    logins = [await service.login("admin", ADMIN_PASSWORD) for _ in range(5)]
    for api in logins:
        await api.get("/profile")
    remembered = list(service.context.tokens._known)
    assert remembered == [api.headers["Authorization"].removeprefix("Bearer ") for api in logins[2:]]
    await logins[0].get("/profile")
    assert len(service.context.tokens._known) == 3


async def test_expired_tokens_are_not_kept(start_service: StartService) -> None:
    """A token is forgotten when it is used after its end."""
    service = await start_service(token_lifetime=1)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.get("/profile")
    assert len(service.context.tokens._known) == 1
    await asyncio.sleep(1.1)
    await admin.refused(401, "GET", "/profile")
    assert not service.context.tokens._known


async def test_long_tokens_are_not_looked_at(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good token that is blown up by characters that its decoding passes over is refused, before that."""
    login = await service.login("admin", ADMIN_PASSWORD)
    token = login.headers["Authorization"].removeprefix("Bearer ")
    monkeypatch.setattr(jwt, "decode", lambda *_, **__: pytest.fail("it was decoded"))
    for blown_up in (token + "!" * 1000, "x" * 1025, "x" * 7000):
        api = Api(service, {"Authorization": f"Bearer {blown_up}"})
        await api.refused(401, "GET", "/profile")
        with pytest.raises(UnauthenticatedError):
            await service.context.tokens.session(blown_up)
    assert not service.context.tokens._known


async def test_directories_that_changed_elsewhere_are_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often another process changes the configuration, only the last few directories are remembered."""
    monkeypatch.setattr(directories, "_MOST_OPEN", 3)
    config = {"baseDn": "dc=example", "objectID": "entryUUID", "users": {"username": "mail"}}
    found = []
    for number in range(6):
        row = LdapConfigRow({**config, "connection": {"server": f"127.0.0.1:{number + 1}"}}, None)
        await service.context.database.write(ldap_configs.set_ldap_config, None, row)
        found.append(await service.context.directories.of_organisation(None))
        assert await service.context.directories.of_organisation(None) is found[-1]
    assert list(service.context.directories._open.values()) == found[3:]
    assert [one._pool._closed for one in found] == [True] * 3 + [False] * 3


@pytest.mark.slapd
async def test_idle_connections_to_a_directory_are_closed() -> None:
    """Each connection that nobody needs is closed after a while, not only the one that would be used next."""
    with Slapd() as server:
        server.add(people_ldif(2))
        async with directory(server, objectID="uid", max_idle=0.5) as found:
            await asyncio.gather(*(found.fetch(b"anna.schmidt") for _ in range(20)))
            sessions = [session for _, session in found._pool._idle]
            assert len(sessions) == 2
            for _ in range(6):
                await asyncio.sleep(0.1)
                await found.fetch(b"anna.schmidt")  # always over the one that was used last
            assert [session for _, session in found._pool._idle] == sessions[-1:]
            await asyncio.sleep(0.7)
            assert found._pool._idle == []
            assert not any(session.alive for session in sessions)
            assert await found.fetch(b"anna.schmidt")


def starter(user_id: int) -> tokens.Caller:
    """A user who starts tasks."""
    return tokens.Caller(user_id, "", Grants())


async def test_so_many_tasks_wait(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a task is refused, until one has ended."""
    monkeypatch.setattr(task_rules, "MOST_UNFINISHED", 2)
    go_on = asyncio.Event()

    async def work(task_id: int) -> str:
        await go_on.wait()
        return "done"

    queue = service.context.tasks
    started = [await queue.start("test", {}, None, work) for _ in range(2)]
    with pytest.raises(UnavailableError, match="2 tasks are waiting"):
        await queue.start("test", {}, None, work)
    go_on.set()
    for task_id in started:
        await queue.wait(task_id)
    await queue.start("test", {}, None, work)


async def test_so_many_tasks_wait_that_start_at_once(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds for tasks that start at the same moment, before the row of the first is there, and for a user."""
    monkeypatch.setattr(task_rules, "MOST_UNFINISHED", 6)
    monkeypatch.setattr(task_rules, "MOST_UNFINISHED_EACH", 4)
    go_on = asyncio.Event()

    async def work(task_id: int) -> str:
        await go_on.wait()
        return "done"

    queue = service.context.tasks
    for name in ("jane", "john"):
        await admin.make_user(domain, name)
    one, other = starter(1), starter(2)
    of_one = await asyncio.gather(*(queue.start("test", {}, one, work) for _ in range(9)), return_exceptions=True)
    of_all = await asyncio.gather(*(queue.start("test", {}, other, work) for _ in range(9)), return_exceptions=True)
    refused = [str(each) for each in (*of_one, *of_all) if isinstance(each, UnavailableError)]
    assert sum("4 tasks of yours are waiting" in each for each in refused) == 5
    assert sum("6 tasks are waiting" in each for each in refused) == 7
    go_on.set()
    for task_id in (*of_one, *of_all):
        if isinstance(task_id, int):
            await queue.wait(task_id)
    await queue.start("test", {}, starter(1), work)


async def test_users_tasks_take_turns(service: Service, admin: Api, domain: int) -> None:
    """Whoever starts one task does not wait for all that somebody else has started before."""
    for name in ("jane", "john"):
        await admin.make_user(domain, name)
    order: list[int] = []
    queue = service.context.tasks
    await queue.stop(1)

    def of(user_id: int) -> tasks.Work:
        async def work(task_id: int) -> str:
            order.append(user_id)
            return "done"

        return work

    started = [await queue.start("test", {}, starter(user_id), of(user_id)) for user_id in (1, 1, 1, 1, 2)]
    await queue.resume()
    for task_id in started:
        await queue.wait(task_id)
    assert order.index(2) <= 2
    assert len(order) == 5


async def test_long_lists_are_written_in_parts(admin: Api, domain: int) -> None:
    """A thousand names of a user are stored in order, by few kinds of statements."""
    aliases = [f"alias{number}@example.org" for number in range(1000)]
    altnames = [{"altname": f"name{number}"} for number in range(1000)]
    user = await admin.make_user(domain, "jane", aliases=aliases, altnames=altnames)
    assert user["aliases"] == aliases
    assert [each["altname"] for each in user["altnames"]] == [each["altname"] for each in altnames]
    for number in (1, 63, 64, 65, 128, 999):
        user = await admin.patch(f"/domains/{domain}/users/{user['ID']}", {"aliases": aliases[:number]})
        assert user["aliases"] == aliases[:number]
    assert users._insert_addresses.cache_info().currsize <= users._MOST_ROWS
    assert properties._insert.cache_info().currsize <= properties._MOST_ROWS


async def test_many_properties_are_written_in_parts(database: Database) -> None:
    """More properties than one statement takes are all there."""
    tags = [find(f"0x{0x3A00 + number:04x}001f") for number in range(0x100)]
    known = {tag: f"value of {tag.name}" for tag in tags if tag is not None}
    assert len(known) > properties._MOST_ROWS

    def write(connection: sqlite3.Connection) -> list[Any]:
        connection.execute("INSERT INTO users (id, username) VALUES (0, 'admin')")
        properties.write_properties(connection, 0, known)
        return connection.execute("SELECT tag, value FROM properties").fetchall()

    assert dict(await database.write(write)) == {tag.tag: value for tag, value in known.items()}


# The list of all that grows, in docs/design.md, is whole.


def growing() -> str:
    """The section of docs/design.md."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    return text.split("## What grows, and its bound")[1].split("\n## ")[0]


async def test_every_table_is_in_the_list(database: Database) -> None:
    """A table that nobody has thought of is named here."""
    names = await database.fetch_all("SELECT name FROM sqlite_schema WHERE type = 'table'")
    parts = ("_search_data", "_search_idx", "_search_docsize", "_search_config")
    missing = [name for (name,) in names if not name.endswith(parts) and f"`{name}`" not in growing()]
    assert missing == []


def modules() -> Iterator[str]:
    """Every module of postroom."""
    for package in ("postroom.app", "postroom.schemas", "postroom.storage"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            # What a server of a test remembers goes with the test.
            if not module.name.startswith(("postroom.app.testing", "postroom.app.pytest_plugin")):
                yield module.name


def test_every_cache_has_a_size() -> None:
    """What remembers results does so for a fixed number of arguments, or those are few by themselves."""
    few = {
        # (by the number of rows, which is bounded)
        "postroom.storage.properties._insert",
        "postroom.storage.users._insert_addresses",
        "postroom.storage.audit.record._insert",
        # (without an argument)
        "postroom.app.handlers.docs._folder",
        "postroom.storage.migrations.migrations",
    }
    seen = 0
    for name in modules():
        for attribute, value in vars(importlib.import_module(name)).items():
            if hasattr(value, "cache_parameters") and value.__module__ == name:
                seen += 1
                takes_nothing = value.__wrapped__.__code__.co_argcount == 0
                bounded = value.cache_parameters()["maxsize"] is not None
                assert bounded or takes_nothing or f"{name}.{attribute}" in few, f"{name}.{attribute}"
    assert seen > 8


def test_every_collection_is_in_the_list() -> None:
    """What begins empty and belongs to an object or a module is named, with its bound."""
    found, missing = 0, []
    for folder in ("app", "schemas", "storage"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "testing" in path.parts or "pytest_plugin" in path.parts:
                continue
            for owner, name in collections_of(ast.parse(path.read_text("utf-8")), path.stem):
                found += 1
                if f"`{owner}.{name}`" not in growing():
                    missing.append(f"{path.relative_to(ROOT)}: {owner}.{name}")
    assert missing == []
    assert found >= 8


def collections_of(module: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    """(class or module, attribute) of what is set to an empty collection."""
    for statement in module.body:
        inside = ast.walk(statement) if isinstance(statement, ast.ClassDef) else [statement]
        owner = statement.name if isinstance(statement, ast.ClassDef) else name
        for target in (target for node in inside for target in empties(node)):
            if isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self":
                yield owner, target.attr
            elif isinstance(target, ast.Name) and owner == name:
                yield owner, target.id


KINDS = {"dict", "list", "set", "deque", "defaultdict", "OrderedDict", "Counter", "WeakSet", "WeakKeyDictionary"}


def empties(node: ast.AST) -> list[ast.expr]:
    """The targets of an assignment of something empty that can grow."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return []
    value = ast.unparse(node.value)
    name, _, arguments = value.partition("(")
    made = name.split("[")[0].split(".")[-1] in KINDS and (arguments == ")" or "deque" in name or "defaultdict" in name)
    if value not in ("[]", "{}") and not made:
        return []
    return node.targets if isinstance(node, ast.Assign) else [node.target]

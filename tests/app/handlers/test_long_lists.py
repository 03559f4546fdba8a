"""Lists that are too long for one piece: sent while they are made, whole or not at all, in little memory."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app.limits.clients import Limits
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.routes import BASE
from postroom.schemas.values.queries import UserQuery
from postroom.storage import held, long_pages, searches
from postroom.storage.database import Database
from postroom.storage.faults import CrowdedError, LargeAnswerError
from postroom.storage.users import delete_user, update_fields, update_username
from tests.bench.stores import make_store
from tests.conftest import StartService
from tests.support import raw
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite

USERS = 3000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a domain of some thousand users."""
    return make_store(tmp_path_factory.mktemp("long") / "store.sqlite3", [USERS]).database


@pytest.fixture
async def service(start_service: StartService, filled: Path, tmp_path: Path) -> Service:
    """A service with a copy of that database."""
    copy = str(tmp_path / "store.sqlite3")
    for suffix in ("", ".key"):
        shutil.copy(f"{filled}{suffix}", f"{copy}{suffix}")
    return await start_service(database=copy)


@pytest.fixture
async def admin(service: Service) -> Api:
    """The API as the administrator."""
    return await service.login("admin", ADMIN_PASSWORD)


#: Lists of everybody: path, parameters, whether they are in the order of IDs.
LISTS = ["/domains/1/users?limit=1000000&level=2", "/system/users?limit=1000000", "/users"]


async def in_short_pages(admin: Api, path: str) -> list[Any]:
    """All users of a list, in pages that are made in one piece."""
    users: list[Any] = []
    while True:
        page = await admin.get(f"{path}&limit=100&offset={len(users)}")
        users += page["data"]
        if len(users) == page["count"]:
            return users


@pytest.mark.parametrize(
    "query",
    [
        "/domains/1/users?level=2", "/domains/1/users?level=0&sort=username,asc&status=0",
        "/system/users?sort=displayname,desc&properties=displayname,creationtime",
    ],
)  # fmt: skip
async def test_it_is_what_short_pages_are_together(admin: Api, query: str) -> None:
    """The same users in the same order and of the same shape, whatever the list is sorted and narrowed by."""
    long = await admin.get(f"{query}&limit=1000000000")
    assert list(long) == ["count", "data"]
    assert long["count"] == len(long["data"]) > 2000
    assert long["data"] == await in_short_pages(admin, query)
    assert (await admin.get(f"{query}&limit=1501&offset=400"))["data"] == long["data"][400:1901]


async def test_usernames(admin: Api) -> None:
    """All names, sorted."""
    names = [user["username"] for user in (await admin.get("/users"))["data"]]
    assert len(names) == USERS
    assert names == sorted(names)


async def test_at_a_cursor(admin: Api) -> None:
    """A long page at a cursor says where it goes on."""
    page = await admin.get("/domains/1/users?after=10&limit=2000&level=0")
    assert [user["ID"] for user in page["data"]] == list(range(11, 2011))
    assert (page["count"], page["nextAfter"]) == (USERS, 2010)


async def test_few_users_are_one_piece(admin: Api) -> None:
    """A list that is short although a long one is asked for has a length, and so does an empty one."""
    for path in ("/domains/1/users?limit=1000000&ID=5", "/domains/1/users?limit=1000000&match=nobody"):
        answer = await admin.call("GET", path)
        assert int(answer.headers["Content-Length"]) == len(json.dumps(answer.body, separators=(",", ":")))
    await admin.refused(404, "GET", "/domains/99/users?limit=1000000")


def head_of(admin: Api, path: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request."""
    login = admin.headers["Authorization"]
    return f"{method} {BASE}{path} HTTP/{version}\r\nHost: x\r\nAuthorization: {login}\r\n\r\n".encode()


async def opened(service: Service, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A connection whose client takes next to nothing of the response but its head, which is returned."""
    reader, writer = await asyncio.open_connection(*service.url.removeprefix("http://").split(":"), limit=4096)
    client = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    open_ = watched(service)._open
    await until(lambda: any(wire_of(each).get_extra_info("peername") == client.getsockname() for each in open_))
    for each in open_:  # otherwise the kernel would take some megabytes
        wire_of(each).get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    writer.write(request)
    return reader, writer, await reader.readuntil(b"\r\n\r\n")


def watched(service: Service) -> Any:
    """The connections of a service."""
    return service.runner.server.watched  # type: ignore[union-attr]


def wire_of(connection: Any) -> Any:
    """The transport of a connection."""
    return connection._wire


@pytest.mark.parametrize("path", LISTS)
async def test_head(service: Service, admin: Api, path: str) -> None:
    """HEAD has the head of the list and no body, and the connection goes on."""
    reader, writer, head = await opened(service, head_of(admin, path, "HEAD"))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Length" not in head
    writer.write(head_of(admin, "/status", "HEAD"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_http_1_0(service: Service, admin: Api) -> None:
    """A client of HTTP/1.0 gets the same, up to the end of the connection."""
    reader, writer, head = await opened(service, head_of(admin, LISTS[1], version="1.0"))
    assert b"Transfer-Encoding" not in head
    assert json.loads(await reader.read()) == await admin.get(LISTS[1])
    writer.close()


async def until_reset(reader: asyncio.StreamReader) -> bytes:
    """What arrives until the service resets the connection."""
    received = b""
    try:
        while read := await reader.read(4096):
            received += read
    except ConnectionResetError:
        return received
    raise AssertionError("The response has ended as if it was complete")


class Pieces:
    """Counts the pieces that are made, and may do something before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.before: dict[int, Any] = {}
        monkeypatch.setattr(long_pages, "_SHORT", 100)
        search = Database.search

        async def counting(database: Database, *args: Any, **options: Any) -> Any:
            if "json_each(?) page" in args[1]:
                self.made += 1
                if self.made in self.before:
                    await self.before[self.made]()
            return await search(database, *args, **options)

        monkeypatch.setattr(Database, "search", counting)


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> Pieces:
    """The pieces of lists, of 100 users each."""
    return Pieces(monkeypatch)


async def settled(service: Service) -> None:
    """Waits until nothing is in flight; nothing may be held then."""
    async with asyncio.timeout(20):
        await service.app[IN_FLIGHT].none()
    assert service.context.database.held._callers == {}


async def test_changes_meanwhile(service: Service, admin: Api, pieces: Pieces) -> None:
    """Whoever exists from beginning to end is in the list once, wherever they move to; who is deleted is left out."""
    database = service.context.database

    def change(connection: Any) -> None:
        for user_id in (1, 2500, 2999):
            delete_user(connection, user_id)
        update_username(connection, 3, "zz.last@bench0.example")
        update_username(connection, 2998, "00.first@bench0.example")
        update_fields(connection, 2000, {"status": 1})

    async def meanwhile() -> None:
        await database.write(change)
        await admin.make_user(1, "newcomer", status=4)

    pieces.before[3] = meanwhile
    for path in ("/domains/1/users?limit=9999&level=0", "/domains/1/users?limit=9999&sort=username"):
        page = await admin.get(path)
        pieces.before = {}
        ids = [user["ID"] for user in page["data"]]
        assert len(ids) == len(set(ids))
        expected = set(range(2, 3000)) - {2500, 2999} | {3000}
        if "sort" in path:
            expected |= {3001}
        else:
            expected |= {1}  # was sent before
        assert set(ids) == expected
    await settled(service)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("path", LISTS)
async def test_a_revoked_caller(service: Service, admin: Api, pieces: Pieces, path: str, version: str) -> None:
    """Whoever loses the permission amid a list gets no further piece: the connection is reset, the list has no end."""
    helper = await service.login_with(await admin.make_domain("staff.example"), ("SystemAdmin", {}))

    async def revoke() -> None:
        await service.context.database.write(lambda c: c.execute("DELETE FROM user_roles").close())

    pieces.before[9] = revoke
    reader, writer, head = await opened(service, head_of(helper, path, version=version))
    assert b" 200 " in head.partition(b"\r\n")[0]
    received = await until_reset(reader)
    writer.close()
    assert pieces.made == 9
    assert received.count(b"username") <= 900
    assert not received.endswith((b"]}", b"0\r\n\r\n"))
    await settled(service)


async def test_a_revocation_before_the_first_piece(service: Service, admin: Api, pieces: Pieces) -> None:
    """It is an ordinary error as long as nothing has been sent."""
    helper = await service.login_with(await admin.make_domain("staff.example"), ("SystemAdmin", {}))

    async def revoke() -> None:
        await service.context.database.write(lambda c: c.execute("DELETE FROM user_roles").close())

    pieces.before[1] = revoke
    await helper.refused(401, "GET", LISTS[0])
    await settled(service)


async def test_what_fails_amid_a_list(service: Service, admin: Api, pieces: Pieces) -> None:
    """A fault ends the connection, and the log has its traceback under the request ID."""

    async def fail() -> None:
        raise LookupError("a fault of the service")

    pieces.before[9] = fail
    reader, writer, head = await opened(service, head_of(admin, LISTS[1]))
    await until_reset(reader)
    writer.close()
    await settled(service)
    request_id = head.partition(b"X-Request-ID: ")[2].partition(b"\r\n")[0].decode()
    (logged,) = [
        line for line in service.eavesdropper.lines if "a fault of the service" in line and "Traceback" in line
    ]
    assert request_id in logged


async def test_a_client_that_does_not_read(service: Service, admin: Api, pieces: Pieces) -> None:
    """Pieces are made at the pace of the client: of a list that nobody takes there are few."""
    _, writer, _ = await opened(service, head_of(admin, "/domains/1/users?limit=9999&level=2"))
    transport = writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    before = -1
    while before != pieces.made:  # until none is made any more
        before = pieces.made
        await asyncio.sleep(0.3)
    assert pieces.made < USERS / 100
    assert sum(wire_of(each).get_write_buffer_size() for each in watched(service)._open) < 1024 * 1024
    assert service.context.database.held._callers
    transport.resume_reading()  # type: ignore[attr-defined]
    writer.close()
    await settled(service)
    assert pieces.made < USERS / 100


@pytest.mark.parametrize("end", [raw.reset, asyncio.StreamWriter.close])
async def test_a_client_that_hangs_up(service: Service, admin: Api, pieces: Pieces, end: Any) -> None:
    """Nothing more is made for a client that has gone, and nothing stays behind."""
    for path in LISTS:
        _, writer, _ = await opened(service, head_of(admin, path))
        end(writer)
        await settled(service)
    await until(lambda: not service.context.database._searches._callers)


async def test_many_at_a_time(service: Service, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what one caller may have of long lists it is a 503 with the time after which to try again; another caller
    has their own, as far as there is room for all.
    """
    size = len(",".join(map(str, range(1, USERS + 1))))
    monkeypatch.setattr(held, "MOST_EACH", 2 * size)
    helper = await service.login_with(await admin.make_domain("staff.example"), ("SystemAdminRO", {}))
    lists = [await opened(service, head_of(admin, LISTS[0])) for _ in range(2)]
    answer = await admin.call("GET", LISTS[0])
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "You are reading long lists already" in answer.body["message"]
    assert len((await helper.get(LISTS[0]))["data"]) == USERS
    monkeypatch.setattr(held, "MOST", 3 * size - 1)
    assert "Too many long lists" in await helper.refused(503, "GET", LISTS[0])
    for _, writer, _ in lists:
        writer.close()
    await settled(service)
    await admin.get(LISTS[0])


@pytest.fixture
async def database(filled: Path) -> AsyncIterator[Database]:
    """The filled database."""
    opened_ = await Database.open(str(filled))
    yield opened_
    await opened_.close()


async def test_a_list_has_a_length(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One user more than a list may have is an error, for lists of names as well."""
    monkeypatch.setattr(long_pages, "MOST_USERS", USERS)
    query = UserQuery(limit=10**9)
    assert await long_pages.select_long_page(database, 1, query, caller=1)
    await long_pages.select_usernames(database, None, caller=1)
    monkeypatch.setattr(long_pages, "MOST_USERS", USERS - 1)
    with pytest.raises(LargeAnswerError, match="fewer entries"):
        await long_pages.select_long_page(database, 1, query, caller=1)
    with pytest.raises(LargeAnswerError, match="fewer entries"):
        await long_pages.select_usernames(database, None, caller=1)


async def test_a_single_list_may_be_larger_than_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """One caller holds one answer of any size, or several that are small; all have a bound together."""
    monkeypatch.setattr(held, "MOST", 100)
    monkeypatch.setattr(held, "MOST_EACH", 20)
    all_held = held.Held()
    with all_held.hold(1, 90), pytest.raises(CrowdedError, match="already"), all_held.hold(1, 5):
        pass
    with all_held.hold(1, 10), all_held.hold(1, 10), all_held.hold(2, 80), pytest.raises(CrowdedError, match="later"):
        all_held.hold(3, 1).__enter__()
    with all_held.hold(1, 0), all_held.hold(1, 0):  # two empty lists
        pass
    assert all_held._callers == {}


async def test_pieces_are_searches_of_the_caller(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list takes no more turns at a time than a search, and a piece that comes too late ends it."""
    page = await long_pages.select_long_page(database, 1, UserQuery(limit=10**9), caller=1)
    assert page is not None
    made = page.pieces()
    await anext(made)
    assert database._searches._callers == {}
    monkeypatch.setattr(searches, "IN_FLIGHT", 0)
    with pytest.raises(CrowdedError):
        await anext(made)
    assert database.held._callers == {}


@pytest.mark.parametrize(("rate", "is_whole"), [(16 * 1024, True), (1 << 40, False)])
async def test_a_list_has_time(start_service: StartService, filled: Path, rate: int, *, is_whole: bool) -> None:
    """A list may take longer than a request, as long as its client takes it at a fair rate; below, it is cut off."""
    service = await start_service(database=str(filled), limits=Limits(request=1.0, rate=rate, tick=0.05))
    admin = await service.login("admin", ADMIN_PASSWORD)
    reader, writer, _ = await opened(service, head_of(admin, LISTS[1], version="1.0"))
    await asyncio.sleep(1.3)
    if is_whole:
        assert len(json.loads(await reader.read())["data"]) == USERS
    else:
        await until_reset(reader)
    writer.close()
    await settled(service)

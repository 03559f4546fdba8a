"""The private parts of libraries that postroom uses: each is listed here, and a test names a version that changes one.

When one of these fails after an upgrade, look here first: the message says what the library has changed and what
postroom does with it. Fix that place, or pin the previous version (setup.cfg).
"""

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import aiohttp
import aiosqlite
import pytest
from aiohttp import web
from aiohttp.http import RawRequestMessage
from marshmallow import Schema, fields

from postroom.app.auth import passwords
from postroom.app.limits.clients import Limits
from postroom.app.openapi import decorators
from postroom.app.server.protocol import Connection
from postroom.app.server.runner import make_runner
from postroom.schemas.ldap_text import server_addresses
from postroom.storage import connections
from postroom.storage.sqlite import sqlite3
from tests.support.private_names import Use, modules, uses
from tests.support.slapd import BIND_DN, BIND_PASSWORD, PEOPLE_DN, Slapd, people_ldif

HANDLER, SITE = web.RequestHandler, web.SockSite

#: (library, class) -> name -> what postroom does with it. marshmallow documents `Field._deserialize` for custom fields;
#: everything else here is private.
PARTS: dict[tuple[str, str], dict[str, str]] = {
    ("aiohttp", "RequestHandler"): {
        "_handle_request": "gives a request its ID before its task begins (app/server/protocol.py)",
        "_messages": "sees what the parser has found, and what waits (parsing.py, timed.py)",
        "_waiter": "tells a connection that is idle (parsing.py, timed.py)",
        "_request_count": "tells whether a head has begun since the last request (parsing.py, timed.py)",
        "_current_request": "tells what is being worked on (parsing.py, timed.py)",
        "_task_handler": "cancels what takes too long, or whose client has gone (parsing.py, timed.py)",
        "_next_keepalive_close_time": "tells which connection has been idle for longest (timed.py)",
        "_loop": "asks for the time (parsing.py)",
        "_pause_transport_reading": "reads nothing while a long piece waits to be parsed (parsing.py)",
        "_resume_transport_reading": "goes on reading once it is parsed (parsing.py)",
        "_reading_paused": "tells that aiohttp has paused reading (parsing.py)",
        "_buffer_paused": "tells that a body nobody takes has paused reading (parsing.py)",
    },
    ("aiohttp", "BaseRunner"): {
        "_make_server": "puts connections of our own in the place of aiohttp's (app/server/runner.py)",
        "_cleanup_server": "stops looking at connections at the end (runner.py)",
    },
    ("aiohttp", "Server"): {"_kwargs": "makes a connection with the options that aiohttp would give it (runner.py)"},
    ("aiohttp", "BaseSite"): {
        "_runner": "finds the server to listen for (app/server/tls.py, service_socket.py)",
        "_server": "leaves the listening server where the runner closes it (tls.py, service_socket.py)",
        "_backlog": "listens as aiohttp would (tls.py, service_socket.py)",
        "_ssl_context": "listens as aiohttp would (tls.py)",
    },
    ("aiohttp", "SockSite"): {"_sock": "listens on the socket it was given (tls.py)"},
    ("aiohttp", "BaseRequest"): {"_cache": "answers a version that it refuses in one that it speaks (runner.py)"},
    ("aiosqlite", "Connection"): {
        "_execute": "runs a whole function on the thread of a connection (storage/connections.py)",
        "_conn": "hands the connection of Python's module to that function (storage/connections.py)",
    },
    ("bonsai", "AIOLDAPConnection"): {
        "_poll": "waits for answers without burning a core (app/directory/connection.py)",
    },
    ("marshmallow", "Field"): {"_deserialize": "loads what comes in (schemas/)"},
}


def changed(library: str, what: str) -> str:
    """The text of a failure."""
    return f"{library} {version(library)} has changed: {what}"


def test_every_private_part_in_use_is_named_here() -> None:
    """The table lists exactly the private names that our classes use, each with its reason."""
    table = {Use(*owner, name) for owner, names in PARTS.items() for name in names}
    # aiohttp hands the protocols of asyncio down from a class of its own.
    found = {use._replace(owner="RequestHandler") if use.owner == "BaseProtocol" else use for use in uses()}
    # marshmallow's fields each have one.
    found = {use._replace(owner="Field") if use.library == "marshmallow" else use for use in found}
    assert sorted(found - table) == [], "private parts of libraries that nobody has looked at"
    assert sorted(table - found) == [], "no longer used"


def test_every_private_part_is_there() -> None:
    """Every name that our code uses exists on its class."""
    there = {"RequestHandler": HANDLER, "BaseRunner": web.AppRunner, "BaseSite": SITE, "SockSite": SITE}
    there |= {"Connection": aiosqlite.Connection, "Field": fields.Field}
    from bonsai.asyncio import AIOLDAPConnection

    there["AIOLDAPConnection"] = AIOLDAPConnection
    missing = [
        changed(library, f"{owner}.{name} is gone. With it postroom {what_for}")
        for (library, owner), names in PARTS.items()
        for name, what_for in names.items()
        # Only instances of these two have them: see the test with a real connection.
        if owner not in ("Server", "BaseRequest") and not hasattr(there[owner], name)
    ]
    assert not missing, "\n".join(missing)


def test_what_overrides_a_private_method_takes_what_it_is_given() -> None:
    """Methods of our classes that override private ones of aiohttp have the same arguments."""
    wanted = {
        (HANDLER, "_handle_request"): ["self", "request", "start_time", "request_handler"],
        (HANDLER, "finish_response"): ["self", "request", "resp", "start_time"],
        (HANDLER, "handle_error"): ["self", "request", "status", "exc", "message"],
        (web.AppRunner, "_make_server"): ["self"],
        (web.AppRunner, "_cleanup_server"): ["self"],
    }
    for (owner, name), arguments in wanted.items():
        found = list(inspect.signature(getattr(owner, name)).parameters)
        assert found == arguments, changed("aiohttp", f"{owner.__name__}.{name} takes {found}, not {arguments}")


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition, and returns even if it stays false: the next assertion then fails."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)


async def look_at_a_busy_one(connection: Connection, request: web.Request, holds: dict[str, bool]) -> None:
    """Checks the private parts of a connection that serves a request while another one waits."""
    holds["_current_request is what is served"] = connection._current_request is request
    holds["_task_handler is the task of the connection"] = isinstance(connection._task_handler, asyncio.Task)
    holds["_waiter is None while something is served"] = connection._waiter is None
    holds["_loop is the running loop"] = connection._loop is asyncio.get_running_loop()
    await until(lambda: bool(connection._messages))
    message, body = connection._messages[0]
    waits = isinstance(message, RawRequestMessage) and message.path == "/next" and body.is_eof()
    holds["_messages has the heads that wait, with their bodies"] = waits
    holds["_request_count counts heads as they are parsed"] = connection._request_count == 2


async def look_at_an_idle_one(connection: Connection, holds: dict[str, bool]) -> None:
    """Checks them when the connection is idle."""
    await until(lambda: connection._current_request is None)
    waiter = connection._waiter
    holds["_current_request is None while nothing is served"] = connection._current_request is None
    holds["_waiter is a future that is not done while nothing is served"] = waiter is not None and not waiter.done()
    holds["_messages is empty while nothing is served"] = not connection._messages
    left = connection._next_keepalive_close_time - asyncio.get_running_loop().time()
    holds["_next_keepalive_close_time is a time of the loop"] = 0 < left <= Limits().idle


def look_at_the_server(runner: web.AppRunner, site: web.TCPSite, holds: dict[str, bool]) -> None:
    """Checks the private parts of the server."""
    holds["BaseSite._server is what listens"] = isinstance(site._server, asyncio.AbstractServer)
    holds["BaseSite._runner is the runner"] = site._runner is runner
    holds["Server._kwargs are the options of a connection"] = isinstance(vars(runner.server)["_kwargs"], dict)


async def test_aiohttp_means_by_its_private_parts_what_it_did() -> None:
    """On a real connection each of them has the meaning that app/server/ relies on."""
    holds: dict[str, bool] = {}
    served: asyncio.Queue[Connection] = asyncio.Queue()
    faults: list[Exception] = []

    async def serve(request: web.Request) -> web.Response:
        connection = request.protocol
        assert isinstance(connection, Connection)
        served.put_nowait(connection)
        try:
            await look_at_a_busy_one(connection, request, holds)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is told below
            faults.append(fault)
        return web.Response()

    async def serve_next(request: web.Request) -> web.Response:
        request._cache["version"] = aiohttp.HttpVersion10
        holds["_cache is where a request remembers its version"] = request.version == aiohttp.HttpVersion10
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", serve), web.get("/next", serve_next)])
    runner = make_runner(app, 1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        look_at_the_server(runner, site, holds)
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            async with asyncio.timeout(10):
                connection = await served.get()
                writer.write(b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
                for _ in range(2):
                    await reader.readuntil(b"\r\n\r\n")
                await look_at_an_idle_one(connection, holds)
        except (TimeoutError, asyncio.IncompleteReadError) as fault:
            faults.append(fault)
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
    wrong = [changed("aiohttp", f"it does not hold any more that {what}") for what, held in holds.items() if not held]
    assert not wrong, "\n".join(wrong)
    assert not faults, changed("aiohttp", f"two requests on a connection are not answered ({faults[0]!r})")
    assert "_cache is where a request remembers its version" in holds, changed("aiohttp", "BaseRequest._cache is gone")


async def test_aiosqlite_runs_a_function_on_the_thread_of_a_connection() -> None:
    """`Connection.run` passes the connection and the arguments, and returns or raises what the function does."""
    arguments = list(inspect.signature(aiosqlite.Connection._execute).parameters)
    assert arguments == ["self", "fn", "args", "kwargs"], changed("aiosqlite", f"_execute takes {arguments}")
    raw = sqlite3.connect(":memory:", check_same_thread=False)
    connection = await connections.wrap(raw)
    try:
        given, number, thread = await connection.run(lambda *given: (*given, threading.current_thread()), 7)
        assert given is raw, changed("aiosqlite", "_conn is not the connection that it was made with")
        assert number == 7, changed("aiosqlite", "_execute does not hand its arguments over")
        assert thread is not threading.current_thread(), changed(
            "aiosqlite", "_execute runs on the event loop's thread"
        )
        with pytest.raises(sqlite3.OperationalError):
            await connection.run(lambda connection: connection.execute("nonsense"))
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "salt", ["$6$saltsalt$", "$5$saltsalt$", "$2b$04$abcdefghijklmnopqrstuu", "$y$j75$abcdefghijklmnop$"]
)
def test_legacycrypt_knows_every_kind_of_hash(salt: str) -> None:
    """The system's crypt() makes each kind of hash that other programs store, and reproduces it from that hash."""
    made = passwords._crypt("correct", salt)
    assert made is not None, f"{changed('legacycrypt', '')}or the C library: no hash for {salt}"
    assert made.startswith(salt)
    assert passwords._crypt("correct", made) == made
    assert passwords._crypt("wrong", made) not in (made, None)


def test_legacycrypt_releases_the_interpreter() -> None:
    """Other threads run while it computes; otherwise a bcrypt of 250 ms would stop every request."""
    begins, done = threading.Event(), threading.Event()

    def compute() -> None:
        begins.set()
        passwords._crypt("correct", "$2b$11$abcdefghijklmnopqrstuu")
        done.set()

    passwords._crypt("correct", "$2b$04$abcdefghijklmnopqrstuu")  # imports it
    thread = threading.Thread(target=compute)
    thread.start()
    begins.wait()
    turns = 0
    while not done.is_set():
        turns += 1
        # A thread that never releases the GIL keeps it from here on.
        done.wait(0.001)
    thread.join()
    assert turns > 5, changed("legacycrypt", "it holds the interpreter while it computes")


@pytest.mark.slapd
async def test_bonsai_makes_our_entries_and_waits_as_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """bonsai finds the class of its entries by name, and waits for answers through `_poll`."""
    from postroom.app.directory import connection, session

    polled: list[int] = []
    poll = connection.Connection._poll

    async def noted(self: Any, msg_id: int, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - bonsai's
        polled.append(msg_id)
        return await poll(self, msg_id, timeout)

    monkeypatch.setattr(connection.Connection, "_poll", noted)
    with Slapd() as server:
        server.add(people_ldif(3))
        (address,) = server_addresses(server.url)
        opened = await session.NetworkSession.open(address, None, BIND_DN, BIND_PASSWORD)
        try:
            before = len(polled)
            found = await opened._connection.search(PEOPLE_DN, 2, "(uid=*)", ["uid"])
            assert len(polled) > before, changed("bonsai", "an answer is not waited for by _poll")
            kinds = {type(one) for one in found}
            assert kinds == {connection._Entry}, changed(
                "bonsai", f"entries are {kinds}: the class is no longer looked up as bonsai.ldapentry.LDAPEntry"
            )
            assert opened._connection.arrived == list(found), changed(
                "bonsai", "an entry is not made with its connection"
            )
            assert {type(one.dn) for one in found} == {connection._Dn}, changed("bonsai", "the DN is made anew")
        finally:
            opened.close()


def test_aiohttp_apispec_leaves_on_a_handler_what_is_read_from_it() -> None:
    """The decorators set the attributes that app/openapi/document.py and app/web/inputs.py read."""
    query, body, answer = (Schema.from_dict({})() for _ in range(3))

    @decorators.docs(tags=["Misc"], summary="Does it", operationId="doIt")
    @decorators.querystring_schema(query)
    @decorators.json_schema(body)
    @decorators.response_schema(answer, 201, description="Done")
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response()

    options = {"options": {"required": False}, "example": {}}
    left = {
        "schemas": [
            {"schema": body, "location": "json", **options},
            {"schema": query, "location": "querystring", **options},
        ],
        "responses": {"201": {"schema": answer, "required": False, "description": "Done"}},
        "parameters": [],
        "produces": ["application/json"],
        "tags": ["Misc"],
        "summary": "Does it",
        "operationId": "doIt",
    }
    found = vars(handler)
    assert found["__apispec__"] == left, changed("aiohttp-apispec", "what its decorators leave in __apispec__")
    assert [(each["location"], each["schema"]) for each in found["__schemas__"]] == [
        ("json", body),
        ("querystring", query),
    ], changed("aiohttp-apispec", "what its decorators leave in __schemas__")


def test_a_form_is_one_location() -> None:
    """A body that may be a form has the location `form`."""

    @decorators.form_schema(Schema.from_dict({})())
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response()

    assert [each["location"] for each in vars(handler)["__schemas__"]] == ["form"]


def test_no_library_warns() -> None:
    """Every module of postroom can be imported with warnings as errors, so none needs to be ignored."""
    program = f"import {', '.join([*modules(), 'bonsai', 'legacycrypt'])}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Bulk requests whose client is slow or goes away, whose caller is revoked, whose process is killed: whole lines are
done, in order, and the task says which.
"""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from postroom.app.clock import Clock
from postroom.app.limits.clients import Limits
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.services.context import time_in
from postroom.app.web import ndjson
from postroom.storage import tasks
from postroom.storage.sqlite import sqlite3
from tests.app.test_cli import Running, serving
from tests.conftest import StartService
from tests.support.bulk import Conversation, parse, text_of
from tests.support.raw import connect, reset
from tests.support.service import ADMIN_PASSWORD, NDJSON, USER_PASSWORD, Api, Service
from tests.support.waiting import until

#: The times of the service, divided by forty.
QUICK = Limits(head=0.5, body=0.8, rate=1024, request=1.0, answer=0.8, linger=0.2, tick=0.05)
PATIENCE = 20


def create(number: int, **fields: Any) -> dict[str, Any]:
    """A line that creates a shared mailbox with this number."""
    return {"create": {"username": f"user{number}", "status": 4, **fields}}


async def task_of(admin: Api, task_id: int, state: int) -> dict[str, Any]:
    """The task once it has this state."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await admin.call("GET", f"/tasq/tasks/{task_id}")
            if answer.body.get("state") == state:
                task: dict[str, Any] = answer.body
                return task
            await asyncio.sleep(0.01)


async def count(admin: Api, domain: int) -> int:
    """How many users the domain has."""
    return int((await admin.get(f"/domains/{domain}/users?limit=0"))["count"])


@pytest.fixture
async def talk(admin: Api, domain: int) -> AsyncIterator[Conversation]:
    """A bulk request of the administrator, of which the first line is done."""
    conversation = Conversation(admin, domain, "")
    conversation.say(create(1))
    yield conversation
    conversation.hang_up()


async def test_results_come_as_the_lines_do(talk: Conversation) -> None:
    """A client that waits for each result before it sends the next line gets it."""
    assert list(await talk.hear()) == ["taskID"]
    assert await talk.hear() == {"line": 1, "status": 201, "ID": 1}
    for number in (2, 3):
        talk.say(create(number))
        assert await talk.hear() == {"line": number, "status": 201, "ID": number}
    talk.finish()
    assert (await talk.hear())["lines"] == 3
    assert await talk.hear() is None


async def test_revoked_half_way(service: Service, admin: Api, domain: int) -> None:
    """Lines that arrive after the caller has lost the permission are not done, and the response says why it ends."""
    caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    talk = Conversation(caller, domain, "")
    talk.say(create(1))
    (task_id,) = (await talk.hear()).values()
    assert (await talk.hear())["status"] == 201
    await admin.patch(f"/domains/{domain}/users/1/roles", {"roles": []})
    talk.say(create(2), create(3))
    end = await talk.hear()
    assert (end["status"], end["lines"], end["done"]["create"]) == (401, 1, 1)
    assert await talk.hear() is None
    assert (await task_of(admin, task_id, tasks.ERROR))["message"] == end["message"]
    assert await count(admin, domain) == 2


@pytest.mark.parametrize("by_token", [False, True], ids=["login", "token"])
async def test_expired_half_way(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch, by_token: bool
) -> None:
    """Whoever goes on with a request beyond the end of the login or token gets no further line done."""
    end = service.context.clock.unix() + 3600
    made = await admin.post("/tokens", {"name": "import", "expires": time_in(UTC, end)})
    caller = Api(service, {"Authorization": f"Bearer {made['token']}"}) if by_token else admin
    talk = Conversation(caller, domain, "")
    talk.say(create(1))
    assert [(await talk.hear()).get("line") for _ in range(2)] == [None, 1]
    later = end if by_token else end + service.context.tokens.lifetime
    monkeypatch.setattr(Clock, "now", lambda _: later)
    talk.say(create(2))
    end_line = await talk.hear()
    assert (end_line["status"], end_line["lines"], end_line["message"]) == (401, 1, "Access denied")
    assert end_line["error"].endswith("has expired")
    talk.hang_up()


async def test_domain_purged_half_way(admin: Api, domain: int, talk: Conversation) -> None:
    """Lines after the end of the domain are refused one by one, as the single operation would be."""
    await talk.hear()
    await talk.hear()
    await admin.delete(f"/system/domains/{domain}")
    talk.say(create(2))
    assert (await talk.hear())["message"] == "The domain example.org is deleted"
    await admin.delete(f"/system/domains/{domain}?purge=true")
    talk.say(create(3), {"delete": {"ID": 1}})
    assert [(await talk.hear())["status"] for _ in range(2)] == [404, 404]
    talk.finish()
    assert (await talk.hear())["refused"] == 3


async def test_cancelled_half_way(admin: Api, domain: int, talk: Conversation) -> None:
    """A bulk request is cancelled like any task, though it waits for its client."""
    (task_id,) = (await talk.hear()).values()
    await talk.hear()
    assert (await admin.call("POST", f"/tasq/tasks/{task_id}/cancel")).status == 200
    end = await talk.hear()
    assert (end["status"], end["message"], end["lines"]) == (409, "The task was cancelled", 1)
    assert (await task_of(admin, task_id, tasks.CANCELLED))["params"]["lines"] == 1


async def test_stopping_half_way(service: Service, admin: Api, domain: int, talk: Conversation) -> None:
    """A service that is about to end does what it has begun, and says where it stopped."""
    (task_id,) = (await talk.hear()).values()
    await talk.hear()
    service.app[IN_FLIGHT].stopping = True
    talk.say(create(2))
    assert (await talk.hear())["status"] == 201
    end = await talk.hear()
    assert (end["status"], end["message"], end["lines"]) == (503, "The service is stopping", 2)
    service.app[IN_FLIGHT].stopping = False
    assert (await task_of(admin, task_id, tasks.ERROR))["params"]["lines"] == 2


async def test_tasks_of_the_queue_go_on(service: Service, talk: Conversation) -> None:
    """A bulk request holds up no task: it runs beside the queue, and a stop of the queue does not wait for it."""
    await talk.hear()

    async def work(_task_id: int) -> str:
        return "Done"

    queue = service.context.tasks
    async with asyncio.timeout(PATIENCE):
        assert await queue.wait(await queue.start("test", {}, None, work))
        assert await queue.stop(PATIENCE)


async def test_so_many_at_once(service: Service, admin: Api, domain: int) -> None:
    """A caller has two bulk requests in flight, all callers eight; the next is a 503, until one ends."""
    body = {"data": text_of([create(1)]), "headers": {"Content-Type": NDJSON}}
    where = f"/domains/{domain}/users/bulk"
    talks = []
    for number in range(4):
        name = f"caller{number}"
        caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name=name)
        for _ in range(2):
            talks.append(Conversation(caller, domain, ""))
            talks[-1].say(b"x\n")
            await talks[-1].hear()
        if number == 0:
            answer = await caller.call("POST", where, **body)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.body["message"] == "Already 2 such requests of yours are in flight; try again later"
    reasons = await admin.refused(503, "POST", where, **body)
    assert reasons == "Already 8 such requests are in flight; try again later | "
    talks[0].finish()
    while await talks[0].hear() is not None:
        pass
    assert (await admin.call("POST", where, **body)).status == 200
    for talk in talks:
        talk.hang_up()


@pytest.mark.parametrize("encoded", [True, False], ids=["chunked", "with a length"])
async def test_client_that_hangs_up(service: Service, admin: Api, domain: int, encoded: bool) -> None:
    """Of a body that breaks off, whole lines are done and half a line is not; the task says which."""
    reader, writer = await connect(service)
    sent = text_of([create(1), create(2)]) + text_of([create(3)])[:-2]
    length = "Transfer-Encoding: chunked" if encoded else f"Content-Length: {len(sent) + 2}"
    head = f"POST /api/v1/domains/{domain}/users/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n{length}\r\n"
    writer.write(f"{head}Authorization: {admin.headers['Authorization']}\r\n\r\n".encode())
    writer.write(b"%x\r\n%s\r\n" % (len(sent), sent) if encoded else sent)
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b'"line":2')
    reset(writer)
    (task,) = (await admin.get("/tasq/tasks"))["data"]
    task = await task_of(admin, task["ID"], tasks.ERROR)
    assert task["message"] == "The client has hung up"
    assert (task["params"]["lines"], task["params"]["done"]["create"]) == (2, 2)
    assert await count(admin, domain) == 2


async def test_hang_up_before_the_first_line(service: Service, admin: Api, domain: int) -> None:
    """A client that goes away before its first line leaves no task."""
    _, writer = await connect(service)
    head = f"POST /api/v1/domains/{domain}/users/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n"
    login = f"Authorization: {admin.headers['Authorization']}\r\nContent-Length: 9\r\n\r\n"
    writer.write(f"{head}{login}{{".encode())
    in_flight = service.app[IN_FLIGHT]
    await until(lambda: in_flight.count == 1)
    reset(writer)
    await until(lambda: in_flight.count == 0)
    assert (await admin.get("/tasq/tasks"))["count"] == 0


async def test_a_bad_chunk(service: Service, admin: Api, domain: int) -> None:
    """A body that is not encoded as its header says ends the request after its whole lines."""
    reader, writer = await connect(service)
    head = f"POST /api/v1/domains/{domain}/users/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n"
    login = f"Authorization: {admin.headers['Authorization']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    line = text_of([create(1)])
    writer.write(f"{head}{login}".encode() + b"%x\r\n%s\r\n" % (len(line), line))
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b'"line":1')
        writer.write(b"nonsense\r\n")
        rest = await reader.read()
    writer.close()
    assert b"The body is not encoded as its header says" in rest
    assert await count(admin, domain) == 1


def shrink(connection: Any) -> None:
    """Makes the buffers of the system small: they must not do what those of the service should."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, 32 * 1024)


async def connected(service: Service) -> socket.socket:
    """A connection with small buffers at both ends."""
    client = socket.socket()
    shrink(client)
    client.settimeout(PATIENCE)
    host, port = service.url.removeprefix("http://").split(":")
    client.connect((host, int(port)))
    opened = service.runner.server.watched._open  # type: ignore[union-attr]

    def mine() -> list[Any]:
        return [each for each in opened if each._wire.get_extra_info("peername") == client.getsockname()]

    await until(lambda: mine() != [])
    shrink(mine()[0]._wire.get_extra_info("socket"))
    return client


async def send_all(client: socket.socket, admin: Api, domain: int, body: bytes) -> None:
    """Sends a bulk request, and reads nothing."""
    head = f"POST /api/v1/domains/{domain}/users/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n"
    head += f"Authorization: {admin.headers['Authorization']}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    await asyncio.to_thread(client.sendall, f"{head}\r\n".encode() + body)


def read_all(client: socket.socket) -> bytes:
    """The body of the response, without its chunks."""
    received = b""
    while part := client.recv(65536):
        received += part
    _, _, chunks = received.partition(b"\r\n\r\n")
    body = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        body += chunks[: int(size, 16)]
        chunks = chunks[int(size, 16) + 2 :]
    return body


async def test_client_that_writes_everything_first(service: Service, admin: Api, domain: int) -> None:
    """A client that reads only after it has written all of 20,000 lines gets all results."""
    with closing(await connected(service)) as client:
        await send_all(client, admin, domain, (b"x" * 100 + b"\n") * 20_000)
        answer = parse(await asyncio.to_thread(read_all, client))
    assert len(answer.results) == 20_000


async def test_results_that_nobody_takes(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While results are not taken, no further lines are read; when they are, the rest is done."""
    monkeypatch.setattr(ndjson, "MOST_UNREAD", 32 * 1024)
    client = await connected(service)
    sending = asyncio.create_task(send_all(client, admin, domain, (b"x" * 40 + b"\n") * 40_000))

    async def lines_done() -> int:
        found = (await admin.get("/tasq/tasks"))["data"]
        return int(found[0]["params"]["lines"]) if found else -1

    before = -1
    async with asyncio.timeout(PATIENCE):
        while (done := await lines_done()) != before or done < 1:
            before = done
            await asyncio.sleep(0.5)
    assert 0 < done < 40_000
    with closing(client):
        answer = parse(await asyncio.to_thread(read_all, client))
        await sending
    assert len(answer.results) == 40_000


async def test_the_client_may_take_its_time(start_service: StartService) -> None:
    """A bulk request lasts longer than other requests may, as long as its client keeps it going."""
    service = await start_service(limits=QUICK)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    talk = Conversation(admin, domain, "")
    began = asyncio.get_running_loop().time()
    talk.say(b"x\n")
    await talk.hear()
    while asyncio.get_running_loop().time() < began + 3 * QUICK.request:
        talk.say(b"x" * 1023 + b"\n")
        assert (await talk.hear())["status"] == 400
        await asyncio.sleep(0.1)
    talk.finish()
    while (line := await talk.hear()) is not None:
        last = line
    assert last["status"] == 200


@pytest.mark.parametrize("drop", [b"", b"\n", b"x\n"], ids=["nothing", "empty lines", "lines"])
async def test_client_that_sends_too_slowly(start_service: StartService, drop: bytes) -> None:
    """A client that sends hardly anything is told that it is too slow; what it sent fast before does not count."""
    service = await start_service(limits=QUICK)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    talk = Conversation(admin, domain, "")
    talk.say(create(1), *[b"y" * 1000 + b"\n"] * 200)
    dripping = asyncio.create_task(drip(talk, drop))
    try:
        async with asyncio.timeout(PATIENCE):
            while "lines" not in (line := await talk.hear()):
                pass
    finally:
        dripping.cancel()
    assert (line["status"], line["message"]) == (408, "The body of the request did not arrive in time")
    assert line["lines"] >= 201
    assert await count(admin, domain) == 1


async def drip(talk: Conversation, drop: bytes) -> None:
    """Sends drop after drop."""
    while True:
        await asyncio.sleep(0.05)
        talk.say(drop)


async def test_client_that_never_reads(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes no results is cut off; its place is free, and the task says how far it came."""
    monkeypatch.setattr(ndjson, "MOST_UNREAD", 32 * 1024)
    service = await start_service(limits=QUICK)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    with closing(await connected(service)) as client, pytest.raises(ConnectionError):
        await send_all(client, admin, domain, (b"x" * 40 + b"\n") * 40_000)
    task = await task_of(admin, 1, tasks.ERROR)
    assert task["message"] == "The client has hung up"
    assert 0 < task["params"]["lines"] < 40_000
    await service.app[IN_FLIGHT].none()


async def create_until_killed(running: Running, session: ClientSession) -> list[dict[str, Any]]:
    """The response of a service that is killed once 500 lines have arrived, as far as it came."""
    async with session.post("/api/v1/login", json={"user": "admin", "pass": USER_PASSWORD}) as response:
        headers = {"Authorization": f"Bearer {(await response.json())['grommunioAuthJwt']}"}
    domain = {"domainname": "example.org", "maxUser": 100_000}
    async with session.post("/api/v1/system/domains", json=domain, headers=headers) as response:
        assert response.status == 201

    async def body() -> AsyncIterator[bytes]:
        for number in range(100_000):
            fields = {"aliases": [f"alias{number}@example.org"], "properties": {"displayname": "A"}}
            yield text_of([create(number, **fields)])

    headers["Content-Type"] = NDJSON
    answered: list[dict[str, Any]] = []
    with contextlib.suppress(ClientError):
        async with session.post("/api/v1/domains/1/users/bulk", data=body(), headers=headers) as response:
            async for line in response.content:
                if line.endswith(b"\n"):
                    answered.append(json.loads(line))
                if len(answered) == 500:
                    running.process.send_signal(signal.SIGKILL)
    assert running.process.wait(PATIENCE) == -signal.SIGKILL
    return answered


async def test_killed_half_way(tmp_path: Path) -> None:
    """After a kill, every line that was answered is on disk, none is half done, and the task has their number."""
    with serving(tmp_path, "--database", "store.sqlite3", POSTROOM_ADMIN_PASSWORD=USER_PASSWORD) as running:
        async with ClientSession(f"http://127.0.0.1:{running.ports[0]}") as session:
            answered = await create_until_killed(running, session)
    ids = [each["ID"] for each in answered if "ID" in each]
    assert ids == list(range(1, len(ids) + 1))
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        (users,) = connection.execute("SELECT count(*) FROM users WHERE domain_id = 1").fetchone()
        assert users >= len(ids)
        (params,) = connection.execute("SELECT params FROM tasks").fetchone()
        assert (json.loads(params)["lines"], json.loads(params)["done"]["create"]) == (users, users)
        for whole in (
            "SELECT count(*) FROM addresses WHERE kind = 'alias'",
            "SELECT count(*) FROM properties WHERE name = 'displayname'",
            "SELECT count(*) FROM user_search",
            "SELECT virtual_users FROM domains",
        ):
            assert connection.execute(whole).fetchone() == (users,)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

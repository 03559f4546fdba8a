"""Eight clients that write all the time, each about objects of its own: what they do, and what they are told."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Any, Final

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession

from tests.load.directory import Directory
from tests.load.ledger import Entry, Ledger, Write
from tests.load.others import Things
from tests.load.record import Rows, changed
from tests.load.users import Home, change, new_user, shape
from tests.support.service import NDJSON

#: How a 503 begins after which nothing has been stored. Any other leaves it open.
NOT_STORED: Final = "The database cannot be used at the moment"
#: Seconds between the writes of a client.
PAUSE: Final = 0.01
_LINES: Final = 12
#: Seconds in which a read has to work again.
_SOON: Final = 10.0
#: How many of a user's changes are looked at right afterwards, at the next node.
_LOOKS: Final = 0.1
#: How many users a client has before it creates fewer.
_USERS: Final = 6


@dataclass
class Service:
    """Where the clients write to: the nodes in turn, with the login of the administrator."""

    session: ClientSession
    urls: list[str]
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, body)."""
        status, answer, _ = await self.send(url, method, path, body)
        return status, answer

    async def send(self, url: str, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        """The same, and the ID of the request."""
        async with self.session.request(method, url + path, json=body, headers=self.headers) as response:
            return response.status, await response.json(), response.headers["X-Request-ID"]

    async def get(self, url: str, path: str) -> Any:
        """The body of a GET that has to succeed, soon."""
        status, body = await self._soon(url, "GET", path)
        assert status == 200, (path, status, body)
        return body

    async def logs_in(self, url: str, username: str, password: str) -> bool:
        """Whether this is the password of a user, who may belong to a directory that is away by now."""
        login = {"user": username, "pass": password}
        status, body = await self.call(url, "POST", "/login", login)
        if status == 503 and body["message"].startswith("Logins cannot be checked"):
            return False
        status, body = await self._soon(url, "POST", "/login", login)
        assert status in (200, 401), (username, status, body)
        return status == 200

    async def _soon(self, url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, body), where a 503 has to end: each session finds its way back to a server by itself."""
        until = time.monotonic() + _SOON
        while True:
            status, answer = await self.call(url, method, path, body)
            if status != 503:
                return status, answer
            assert time.monotonic() < until, (path, answer)
            await asyncio.sleep(0.1)


class Client:
    """One client."""

    def __init__(self, service: Service, ledger: Ledger, record: Rows, seed: str, number: int) -> None:
        self.number = number
        self.random = Random(seed)  # noqa: S311 - the same at each run
        self.users: list[Entry] = []
        self._service, self._ledger, self._record = service, ledger, record
        self._urls = cycle(service.urls[number % len(service.urls) :] + service.urls[: number % len(service.urls)])
        self._count = 0
        self.home: Home
        self.things: Things | None = None
        self.directory: Directory | None = None

    async def write(self) -> None:
        """One write."""
        self._count += 1
        if self.things is not None:
            return await self._one(self.things.next(self._count))
        if self.directory is not None and self.random.random() < 0.5:
            return await self._one(await asyncio.to_thread(self.directory.next))
        if self.number % 4 == 1 and self.random.random() < 0.3:
            return await self._bulk()
        write = self._about_users()
        await self._one(write)
        if write.method != "DELETE" and self.random.random() < _LOOKS:
            await self._look(write.changes[0][0])
        return None

    async def _look(self, entry: Entry) -> None:
        """What was acknowledged is read at once."""
        with contextlib.suppress(ClientError, TimeoutError, ValueError):
            status, user = await self._service.call(next(self._urls), "GET", f"{self.home.path}/{entry.object_id}")
            fitting = [each for each in entry.allowed() if each and status == 200 and each["user"] == shape(user)]
            if status != 503 and entry.is_certain and entry.document is not None and not fitting:
                self._ledger.lies.append(f"read of {entry.key}: {status} {user}, not {entry.document['user']}")

    def _usable(self) -> list[Entry]:
        return [entry for entry in self.users if entry.is_certain and entry.document is not None]

    def _about_users(self) -> Write:
        usable = self._usable()
        if len(usable) < _USERS or self.random.random() < 0.1:
            shared = self.random.random() < 0.7
            entry, body, document = self._new(shared=shared)
            return Write("create", "POST", self.home.path, body, [(entry, document)])
        entry = self.random.choice(usable)
        if self.random.random() < 0.1:
            return Write("delete", "DELETE", f"{self.home.path}/{entry.object_id}", None, [(entry, None)])
        return change(self.random, self.home, entry, self._count)

    def _new(self, *, shared: bool, line: int = 0) -> tuple[Entry, dict[str, Any], dict[str, Any]]:
        name = f"u{self.number}x{self._count}x{line}"
        entry = self._ledger.entry(f"{name}@{self.home.name}")
        self.users.append(entry)
        return entry, *new_user(self.home, name, self._count, shared=shared)

    async def _one(self, write: Write) -> None:
        changing = changed(write.changes)
        versions = self._ledger.begin(write.changes)
        begun = time.monotonic()
        try:
            status, answer, request_id = await self._service.send(
                next(self._urls), write.method, write.path, write.body
            )
        except ClientConnectorError:  # nobody listens: nothing was sent
            self._ledger.refused += 1
            return self._ledger.withdraw(write.changes, versions)
        except (ClientError, TimeoutError, ValueError):
            self._ledger.unknown += 1
            return None
        finally:
            ended = time.monotonic()
            self._ledger.slowest = max(self._ledger.slowest, ended - begun)
        if status in (200, 201):
            if write.method == "POST" and "ID" in answer:
                write.changes[0][0].object_id = answer["ID"]
            self._ledger.acknowledge(write.kind, versions)
            self._record.expect(write.kind, request_id, changing, self._ledger.now())
            self._ledger.times.append((begun, ended))
            if lie := write.judge(answer):
                self._ledger.lies.append(f"{write.kind} of {write.changes[0][0].key}: {lie}")
        elif status == 503 and answer["message"].startswith(NOT_STORED) and not write.in_parts:
            self._ledger.refused += 1
            self._ledger.withdraw(write.changes, versions)
        else:
            self._ledger.unknown += 1
            if status != 503:
                self._ledger.lies.append(f"{write.kind} of {write.changes[0][0].key}: {status} {answer}")
        return None

    async def _bulk(self) -> None:
        """Lines of all kinds; each line that has a result is a write that was acknowledged."""
        lines, changes = self._lines()
        changing = changed(changes)
        versions = self._ledger.begin(changes)
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        headers = {**self._service.headers, "Content-Type": NDJSON}
        url = f"{next(self._urls)}{self.home.path}/bulk"
        done = 0
        try:
            async with self._service.session.post(url, data=body, headers=headers) as response:
                async for number, answer in _results(response):
                    if answer["status"] == 503:
                        break
                    if answer["status"] not in (200, 201):
                        self._ledger.lies.append(f"line {lines[number - 1]}: {answer}")
                        break
                    if answer["status"] == 201:
                        changes[number - 1][0].object_id = answer["ID"]
                    self._ledger.acknowledge("bulk line", versions[number - 1 : number])
                    about = [entry for entry in changing if entry is changes[number - 1][0]]
                    self._record.expect("bulk line", response.headers["X-Request-ID"], about, self._ledger.now())
                    done = number
        except ClientConnectorError:
            self._ledger.refused += 1
            self._ledger.withdraw(changes, versions)
        except (ClientError, TimeoutError, ValueError):
            self._ledger.unknown += 1
        else:
            self._ledger.unknown += done < len(lines)

    def _lines(self) -> tuple[list[dict[str, Any]], list[tuple[Entry, Any]]]:
        usable = self._usable()
        self.random.shuffle(usable)
        lines: list[dict[str, Any]] = []
        changes: list[tuple[Entry, Any]] = []
        for line in range(self.random.randrange(1, _LINES)):
            if len(usable) > 2 and (document := usable[-1].document) is not None:
                entry = usable.pop()
                if self.random.random() < 0.4:
                    lines.append({"delete": {"ID": entry.object_id}})
                    changes.append((entry, None))
                else:
                    text = f"line {self._count}"
                    document["user"]["properties"]["displayname"] = text
                    lines.append({"patch": {"ID": entry.object_id, "properties": {"displayname": text}}})
                    changes.append((entry, document))
            else:
                entry, body, created = self._new(shared=True, line=line + 1)
                lines.append({"create": body})
                changes.append((entry, created))
        return lines, changes


async def _results(response: ClientResponse) -> Any:
    """(number of the line, its result) of each line of the response that is whole."""
    if response.status != 200:
        raise ValueError(await response.text())
    async for raw in response.content:
        answer = json.loads(raw)
        if "line" in answer:
            yield answer["line"], answer


async def write_until(clients: Sequence[Client], stopped: asyncio.Event) -> None:
    """Each client writes until `stopped`, and ends with the answer that it waits for."""

    async def go_on(client: Client) -> None:
        while not stopped.is_set():
            await client.write()
            await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(go_on(client))

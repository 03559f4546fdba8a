"""The load: eight clients and the ledger of what they have written, and the comparison with what is stored."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from aiohttp import ClientError, ClientSession

from postroom.storage.tasks import UNFINISHED
from tests.load.clients import Client, Service, write_until
from tests.load.directory import DOMAIN, Directory
from tests.load.ledger import Document, Entry, Ledger
from tests.load.others import PATHS, SETTINGS, Things, shape
from tests.load.record import Rows
from tests.load.users import Home
from tests.load.users import shape as shape_of_user
from tests.support.slapd import Slapd

CLIENTS: Final = 8
#: Seconds in which a node has to come back.
_LIMIT: Final = 90.0
#: What a device shows besides its name.
_DEVICE: Final = ("devicetype", "foldersSynced", "foldersSyncable", "wipeStatus")


class LoadError(RuntimeError):
    """The service does not do what the load needs."""


class Load:
    """Clients of the nodes at these addresses; the last two do not write about users only."""

    def __init__(
        self,
        session: ClientSession,
        urls: list[str],
        seed: int,
        slapd: Slapd | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        # Otherwise aiohttp would send a PUT or DELETE whose connection has ended again, and tell only of the second.
        session._retry_connection = False
        self.ledger = Ledger(now) if now else Ledger()
        self.service = Service(session, urls)
        self.record = Rows()
        self.clients = [
            Client(self.service, self.ledger, self.record, f"{seed}/{number}", number) for number in range(CLIENTS)
        ]
        self._slapd = slapd
        self._stopped = asyncio.Event()

    async def prepare(self, password: str) -> None:
        """Logs in as soon as the nodes answer, and makes a domain for each client."""
        for url in self.service.urls:
            await self.until_ready(url)
        login = await self._done("POST", "/login", {"user": "admin", "pass": password})
        self.service.headers = {"Authorization": f"Bearer {login['grommunioAuthJwt']}"}
        for client in self.clients:
            client.home = await self._make_home(client.number)
        last = self.clients[-1]
        last.things = Things(self.ledger, last.random, last.home.domain, last.number)
        if self._slapd is not None:
            await self._make_directory(self.clients[-2], self._slapd)

    async def run(self) -> None:
        """Goes on until stop()."""
        self._stopped.clear()
        await write_until(self.clients, self._stopped)

    def stop(self) -> None:
        """Each client ends with the answer that it waits for."""
        self._stopped.set()

    async def until_ready(self, url: str) -> None:
        """Waits for a node. Raises LoadError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT):
                while True:
                    with contextlib.suppress(ClientError):
                        if (await self.service.call(url, "GET", "/status"))[0] == 200:
                            return
                    await asyncio.sleep(0.05)
        raise LoadError(f"{url} does not come back")

    async def check(self, url: str, *, whole: bool = True, until: float = math.inf) -> None:
        """Compares what this node reads with the ledger: everything, or what was written to since the last time.

        And with the record of changes, of what was acknowledged by a certain moment.
        """
        await self._until_idle(url)
        for client in self.clients:
            listed = (await self.service.get(url, f"{client.home.path}?level=2&limit=1000000"))["data"]
            await self._check_users(url, client, {user["ID"]: user for user in listed}, whole=whole)
        await self._check_things(url)
        self.ledger.lost += await self.record.check(partial(self.service.get, url), whole=whole, until=until)
        self.ledger.recorded = self.record.found

    async def _until_idle(self, url: str) -> None:
        """Waits until nothing goes on that nobody waits for any more. Raises LoadError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT):
                while True:
                    tasks = (await self.service.get(url, "/tasq/tasks"))["data"]
                    if not any(task["state"] in UNFINISHED for task in tasks):
                        return
                    await asyncio.sleep(0.05)
        raise LoadError("A task does not end")

    async def _check_users(self, url: str, client: Client, stored: dict[int, Any], *, whole: bool) -> None:
        by_name = {user["username"]: user for user in stored.values()}
        del by_name[client.home.anchor]
        everybody = [*client.users, *(client.directory.people.values() if client.directory else ())]
        for entry in everybody:
            user = stored.get(entry.object_id or 0) or next(
                (by_name[name] for name in _names(entry) if name in by_name), None
            )
            if user is not None:
                by_name.pop(user["username"], None)
            if whole or entry.touched:
                await self._compare_user(url, client.home, entry, user)
        self.ledger.lies += [f"nobody has made {name}" for name in by_name]
        client.users = [entry for entry in client.users if not entry.is_certain or entry.document is not None]

    async def _compare_user(self, url: str, home: Home, entry: Entry, user: dict[str, Any] | None) -> None:
        if user is None:
            return self.ledger.compare(entry, None)
        if entry.object_id not in (None, user["ID"]):
            self.ledger.lost.append(f"{entry.key} has got the ID {user['ID']}")
        entry.object_id = user["ID"]
        found = await self.read_user(url, home, user)
        passwords = {document["password"] for document in entry.allowed() if document and document["password"]}
        # Nobody without a role can log in.
        if passwords and user["roles"]:
            found["password"] = await self._password(url, user["username"], passwords)
        return self.ledger.compare(entry, found)

    async def read_user(self, url: str, home: Home, user: dict[str, Any]) -> dict[str, Any]:
        """All of a user, from their line in a list and the lists of their own."""
        path = f"{home.path}/{user['ID']}"
        parts = [
            self.service.get(url, f"{path}/{each}") for each in ("oof", "delegates", "sendas", "storeAccess", "sync")
        ]
        oof, delegates, sendas, access, devices = await asyncio.gather(*parts)
        return {
            "user": shape_of_user(user),
            "oof": oof,
            "delegates": delegates["data"],
            "sendas": sendas["data"],
            "storeAccess": [each["username"] for each in access["data"]],
            "devices": {each["deviceid"]: {name: each[name] for name in _DEVICE} for each in devices["data"]},
        }

    async def _password(self, url: str, username: str, passwords: Iterable[str]) -> str | None:
        for password in passwords:
            if await self.service.logs_in(url, username, password):
                return password
        return None

    async def _check_things(self, url: str) -> None:
        found: dict[str, tuple[int, Document]] = {}
        for kind, (path, name) in PATHS.items():
            query = "?limit=1000" if kind == "token" else "?level=2&limit=1000000"
            for each in (await self.service.get(url, path + query))["data"]:
                found[f"{kind}:{each[name]}"] = each["ID"], shape(each)
        things = self.clients[-1].things
        assert things is not None
        for entry in [entry for own in things.own.values() for entry in own]:
            object_id, document = found.get(entry.key, (entry.object_id, None))
            entry.object_id = object_id
            if entry.touched and entry.key in things.texts:
                await self._use_token(url, entry, things.texts[entry.key], works=document is not None)
            self.ledger.compare(entry, document)
        for kind, entry in things.settings.items():
            self.ledger.compare(entry, await self.service.get(url, SETTINGS[kind].format(things.domain)))

    async def _use_token(self, url: str, entry: Entry, text: str, *, works: bool) -> None:
        login = {"Authorization": f"Bearer {text}"}
        async with self.service.session.get(f"{url}/profile", headers=login) as response:
            if response.status != (200 if works else 401):
                self.ledger.lies.append(f"{entry.key}: a request with it is answered with {response.status}")

    async def _make_home(self, number: int) -> Home:
        name = DOMAIN if number == CLIENTS - 2 else f"load{number}.example"
        made = await self._done("POST", "/system/domains", {"domainname": name, "maxUser": 1_000_000})
        permissions = [{"permission": "DomainAdminRO", "params": made["ID"]}]
        role = await self._done("POST", "/system/roles", {"name": f"helpers {number}", "permissions": permissions})
        home = Home(made["ID"], name, f"anchor@{name}", role, {})
        anchor = await self._done("POST", home.path, {"username": "anchor", "status": 4})
        home.template = {**await self.read_user(self.service.urls[0], home, anchor), "password": None, "due": []}
        return home

    async def _make_directory(self, client: Client, slapd: Slapd) -> None:
        directory = Directory(slapd, self.ledger, client.random, client.home.domain)
        config = await asyncio.to_thread(directory.fill)
        await self._done("PUT", config["path"], config["body"])
        await self._done("POST", directory.first_sync)
        url = self.service.urls[0]
        for user in (await self.service.get(url, f"{client.home.path}?level=2&limit=1000"))["data"]:
            if user["ldapID"] is not None:
                found = {**await self.read_user(url, client.home, user), "password": None, "due": []}
                entry = directory.people[user["username"]] = self.ledger.entry(user["username"], found)
                entry.object_id = user["ID"]
        client.directory = directory

    async def _done(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self.service.call(self.service.urls[0], method, path, body)
        if status not in (200, 201):
            raise LoadError(f"{method} {path}: {status} {answer}")
        return answer


def _names(entry: Entry) -> list[str]:
    return [document["user"]["username"] for document in entry.allowed() if document is not None]

"""Writes of all kinds while servers are killed, and what has to be stored afterwards.

Each client has users of its own and waits for one answer before it asks for the next thing. So it knows what each of
its users has to look like. Where an answer leaves that open (the connection ended, or a 503 that says so), the user is
left alone from then on and may look either way.
"""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Any, Final

from aiohttp import ClientConnectorError, ClientError, ClientSession

from tests.cluster.servers import ClusterError

#: How a 503 begins after which nothing has been stored. Any other leaves it open.
NOT_STORED: Final = "The database cannot be used at the moment"
_CLIENTS: Final = 8
_PAUSE: Final = 0.02


@dataclass
class User:
    """What is known of one user; a field that is open may have any of its values."""

    name: str
    user_id: int | None = None
    #: exists, displayname, role, device -> the values that it may have.
    fields: dict[str, set[Any]] = field(default_factory=lambda: {"exists": {False}})
    is_open: bool = False


@dataclass
class Findings:
    """What the load has seen."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    unknown: int = 0
    lies: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    checked: int = 0
    #: (begun, answered) of each write that was acknowledged.
    times: list[tuple[float, float]] = field(default_factory=list)
    slowest: float = 0.0

    def writes_again(self, after: float) -> float | None:
        """Seconds until a write that began after this moment was acknowledged; None when none was."""
        return min((end - after for begun, end in self.times if begun >= after), default=None)


class Load:
    """Clients of the nodes."""

    def __init__(self, session: ClientSession, urls: list[str], seed: int) -> None:
        self.findings = Findings()
        self.users: list[User] = []
        self._urls, self._seed = urls, seed
        self._session = session
        self._headers: dict[str, str] = {}
        self._domain = self._role = 0
        self._stopped = False

    async def prepare(self, password: str) -> None:
        """Logs in as soon as the nodes answer, and makes a domain and a role."""
        for url in self._urls:
            await self._until_ready(url)
        answer = await self._call(self._urls[0], "POST", "/login", {"user": "admin", "pass": password})
        self._headers = {"Authorization": f"Bearer {answer[1]['grommunioAuthJwt']}"}
        url = self._urls[0]
        body = {"domainname": "cluster.example", "maxUser": 1_000_000}
        self._domain = (await self._call(url, "POST", "/system/domains", body))[1]["ID"]
        role = {"name": "helpers", "permissions": [{"permission": "DomainAdminRO", "params": self._domain}]}
        self._role = (await self._call(url, "POST", "/system/roles", role))[1]["ID"]

    async def run(self) -> None:
        """Goes on until stop()."""
        await asyncio.gather(*(self._client(number) for number in range(_CLIENTS)))

    def stop(self) -> None:
        """Each client ends with the answer that it waits for."""
        self._stopped = True

    async def check(self) -> None:
        """Compares everything that is stored with what is known, at every node, as soon as it answers."""
        for url in self._urls:
            await self._until_ready(url)
            _, listed = await self._call(url, "GET", f"/domains/{self._domain}/users?level=2&limit=1000000")
            stored = {user["username"].partition("@")[0]: user for user in listed["data"]}
            for user in self.users:
                self.findings.checked += 1
                await self._compare(url, user, stored.get(user.name))
            strangers = stored.keys() - {user.name for user in self.users}
            self.findings.lies += [f"nobody has made {name}" for name in strangers]

    async def _until_ready(self, url: str) -> None:
        for _ in range(300):
            with contextlib.suppress(ClientError):
                if (await self._call(url, "GET", "/status"))[0] == 200:
                    return
            await asyncio.sleep(0.2)
        raise ClusterError(f"{url} does not come back")

    async def _compare(self, url: str, user: User, stored: dict[str, Any] | None) -> None:
        found: dict[str, Any] = {"exists": stored is not None}
        if stored is not None:
            found["displayname"] = stored["properties"].get("displayname")
            found["role"] = bool(stored["roles"])
            if "device" in user.fields:
                path = f"/domains/{self._domain}/users/{stored['ID']}/sync"
                devices = (await self._call(url, "GET", path))[1]["data"]
                found["device"] = devices[0]["foldersSynced"] if devices else None
        for name, values in user.fields.items():
            if name in found and found[name] not in values:
                self.findings.lost.append(f"{user.name}: {name} is {found[name]!r}, not one of {values}")

    async def _client(self, number: int) -> None:
        random = Random(f"{self._seed}/{number}")  # noqa: S311 - the same at each run
        urls = cycle(self._urls[number % len(self._urls) :] + self._urls[: number % len(self._urls)])
        own: list[User] = []
        for count in range(1_000_000):
            if self._stopped:
                return
            usable = [user for user in own if not user.is_open and user.fields["exists"] == {True}]
            if len(usable) < 5 or random.random() < 0.15:
                user, kind = User(f"u{number}x{count}"), "create"
                own.append(user)
                self.users.append(user)
            else:
                user = random.choice(usable)
                kind = random.choice(["displayname", "displayname", "role", "device", "device", "delete"])
            await self._write(next(urls), user, kind, count)
            if not user.is_open and user.fields["exists"] == {True} and random.random() < 0.3:
                await self._look(next(urls), user)
            await asyncio.sleep(_PAUSE)

    async def _write(self, url: str, user: User, kind: str, count: int) -> None:
        method, path, body, changed = self._request(user, kind, count)
        begun = time.monotonic()
        try:
            status, answer = await self._call(url, method, path, body)
        except ClientConnectorError:
            self.findings.refused += 1  # the node is down: nothing was sent
            return
        except (ClientError, TimeoutError, ValueError):
            self._leave_open(user, changed)
            return
        finally:
            ended = time.monotonic()
            self.findings.slowest = max(self.findings.slowest, ended - begun)
        if status in (200, 201):
            user.user_id = answer["ID"] if kind == "create" else user.user_id
            user.fields.update({name: {value} for name, value in changed.items()})
            self.findings.acknowledged[kind] += 1
            self.findings.times.append((begun, ended))
        elif status == 503 and answer["message"].startswith(NOT_STORED):
            self.findings.refused += 1
        elif status == 503:
            self._leave_open(user, changed)
        else:
            self.findings.lies.append(f"{kind} of {user.name}: {status} {answer}")
            self._leave_open(user, changed)

    def _request(self, user: User, kind: str, count: int) -> tuple[str, str, Any, dict[str, Any]]:
        users = f"/domains/{self._domain}/users"
        own = f"{users}/{user.user_id}"
        if kind == "create":
            body = {"username": user.name, "status": 4, "properties": {"displayname": "new"}}
            return "POST", users, body, {"exists": True, "displayname": "new", "role": False}
        if kind == "displayname":
            text = f"change {count}"
            return "PATCH", own, {"properties": {"displayname": text}}, {"displayname": text}
        if kind == "role":
            given = user.fields["role"] == {False}
            return "PATCH", f"{own}/roles", {"roles": [self._role] if given else []}, {"role": given}
        if kind == "device":
            path = f"/service/sync/{user.name}@cluster.example/phone"
            return "PUT", path, {"devicetype": "phone", "foldersSynced": count}, {"device": count}
        return "DELETE", own, None, {"exists": False}

    def _leave_open(self, user: User, changed: dict[str, Any]) -> None:
        self.findings.unknown += 1
        user.is_open = True
        for name, value in changed.items():
            user.fields.setdefault(name, {None}).add(value)

    async def _look(self, url: str, user: User) -> None:
        try:
            status, answer = await self._call(url, "GET", f"/domains/{self._domain}/users/{user.user_id}")
        except (ClientError, TimeoutError, ValueError):
            return
        if status == 200:
            self.findings.checked += 1
            await self._compare_fields(user, answer)
        elif status != 503:
            self.findings.lies.append(f"read of {user.name}: {status} {answer}")

    async def _compare_fields(self, user: User, answer: dict[str, Any]) -> None:
        found = {"displayname": answer["properties"].get("displayname"), "role": bool(answer["roles"])}
        for name, value in found.items():
            if value not in user.fields[name]:
                self.findings.lies.append(f"read of {user.name}: {name} is {value!r}, not one of {user.fields[name]}")

    async def _call(self, url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._session.request(method, url + path, json=body, headers=self._headers) as response:
            return response.status, await response.json()

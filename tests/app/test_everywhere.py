"""The same over HTTP wherever it is stored and however many serve it: each call goes to the nodes in turn."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from postroom.storage.tasks import COMPLETED, QUEUED, RUNNING
from tests.support.nodes import Nodes, nodes_of
from tests.support.postgresql import PostgreSQL
from tests.support.slapd import Slapd, config_document, people_ldif

Start = Callable[[], AbstractAsyncContextManager[Nodes]]
#: Where it is stored -> how many nodes with how many workers each.
PLACES = {"sqlite": (1, 1), "sqlite with workers": (1, 2), "postgresql": (2, 1)}
USER_PASSWORD = "the password of a user"
AWAY = {"state": 1, "externalAudience": 1, "internalSubject": "Away", "internalReply": "Until Monday\n👩‍🚀"}
DEVICE = {"devicetype": "Android", "useragent": "Mail/9.1", "deviceuser": "anna", "foldersSynced": 3}

#: The query of a list -> whom it finds in the office.
LISTS = {
    "match=zoë&matchProps=displayname": ["anna"],
    "match=zö&matchProps=displayname": [],
    "match=M%C3%9CL&matchProps=displayname": ["berta"],
    "match=%25&matchProps=displayname": [],
    "match=a@ex&matchFields=aliases": ["anna"],
    "sort=displayname": ["berta", "anna"],
    "sort=username,desc": ["berta", "anna"],
    "filterProp=displaytypeex:7": ["berta"],
    "limit=1&offset=1&sort=username": ["berta"],
}
#: Requests under way at a time: fewer than one address may have at one process.
AT_ONCE = 100


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.postgresql] * (name == "postgresql")) for name in PLACES])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts the nodes, as often as it is called on the same store."""
    settings = {"POSTROOM_DATABASE": "store.sqlite3"}
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql_server")
        settings = {
            # An empty one: the nodes make the schema themselves.
            "POSTROOM_DATABASE": server.url(server.make_database()),
            "POSTROOM_KEY_FILE": str(tmp_path / "keys"),
        }
    count, workers = PLACES[request.param]
    return lambda: nodes_of(tmp_path, settings, count, workers)


@pytest.fixture
async def nodes(start: Start) -> AsyncIterator[Nodes]:
    """Nodes on an empty store."""
    async with start() as running:
        yield running


class Office:
    """A domain with people, made through the nodes in turn."""

    def __init__(self, nodes: Nodes, admin: Any, domain: int) -> None:
        self.nodes, self.admin, self.domain = nodes, admin, domain
        self.users = f"/domains/{domain}/users"
        self.ids: dict[str, int] = {}

    @classmethod
    async def opened(cls, nodes: Nodes, room: int = 100) -> "Office":
        """An organisation with a domain that has room for so many."""
        admin = await nodes.log_in()
        org = await nodes.done("POST", "/system/orgs", {"name": "House"}, admin)
        body = {"domainname": "example.org", "maxUser": room, "orgID": org["ID"]}
        domain = await nodes.done("POST", "/system/domains", body, admin)
        return cls(nodes, admin, domain["ID"])

    async def add(self, name: str, **fields: Any) -> str:
        """The path of a new user."""
        body = {"username": name, "password": USER_PASSWORD, **fields}
        self.ids[name] = (await self.nodes.done("POST", self.users, body, self.admin))["ID"]
        return f"{self.users}/{self.ids[name]}"

    async def get(self, path: str) -> Any:
        """What every node answers to a GET, which has to be the same."""
        first, *others = [
            await self.nodes.done("GET", path, login=self.admin, node=node) for node in range(len(self.nodes.urls))
        ]
        assert all(other == first for other in others)
        return first

    async def names(self, query: str) -> list[str]:
        """The names of the people whom a list has."""
        listed = await self.get(f"{self.users}?{query}")
        return [user["username"].partition("@")[0] for user in listed["data"]]


async def test_an_office_and_a_restart(start: Start) -> None:
    """Everything that is stored through one node is there at the others with the next call, and after a restart."""
    async with start() as nodes:
        office = await Office.opened(nodes)
        anna = await office.add(
            "anna", properties={"displayname": "Zoë Ängström"}, aliases=["a@example.org"], altnames=[{"altname": "ann"}]
        )
        bert = await office.add("bert", properties={"displayname": "Bert Müller", "displaytypeex": 7})
        carl = await office.add("carl", properties={"displayname": "Carl 50% Off"})
        await nodes.done("PATCH", anna, {"properties": {"title": "Astronaut"}, "lang": "de_DE"}, office.admin)
        await nodes.done("PATCH", bert, {"username": "berta"}, office.admin)
        await nodes.done("PUT", f"{anna}/delegates", ["berta@example.org"], office.admin)
        await nodes.done("PUT", f"{anna}/sendas", ["carl@example.org"], office.admin)
        await nodes.done("PUT", f"{anna}/oof", AWAY, office.admin)
        await nodes.done("PUT", "/service/sync/anna@example.org/phone", DEVICE)
        await nodes.done("PUT", f"{anna}/sync/phone/resync", None, office.admin)
        await nodes.done("DELETE", carl, None, office.admin)
        before = await seen(office, anna, bert)
        check(before)
        assert (await nodes.call("GET", carl, login=office.admin))[0] == 404
    async with start() as nodes:
        office.nodes, office.admin = nodes, await nodes.log_in()
        assert await seen(office, anna, bert) == before
        assert await office.add("dora") == f"{office.users}/{office.ids['carl'] + 1}"


async def seen(office: Office, anna: str, bert: str) -> dict[str, Any]:
    """What the nodes say of the office."""
    paths = [
        anna,
        f"{anna}/delegates",
        f"{anna}/sendas",
        f"{anna}/oof",
        f"{anna}/sync",
        bert,
        f"{office.users}?level=2",
    ]
    found = {path.removeprefix(anna): await office.get(path) for path in paths}
    found["lists"] = {query: await office.names(query) for query in LISTS}
    found["domain"] = await office.get(f"/system/domains/{office.domain}")
    return found


def check(found: dict[str, Any]) -> None:
    """The office is as it was made."""
    assert found[""]["properties"]["title"] == "Astronaut"
    assert found[""]["lang"] == "de_DE"
    assert found[""]["aliases"] == ["a@example.org"]
    assert found["/delegates"]["data"] == ["berta@example.org"]
    assert found["/sendas"]["data"] == []  # carl, who had it, was deleted
    assert found["/oof"] == AWAY
    assert [device["deviceid"] for device in found["/sync"]["data"]] == ["phone"]
    assert found["domain"]["activeUsers"] == 2
    assert found["lists"] == LISTS


async def test_what_one_node_revokes_counts_at_the_others(nodes: Nodes) -> None:
    """Roles given and taken, passwords, suspensions, an end: with the very next call, wherever that goes."""
    office = await Office.opened(nodes)
    jane = await office.add("jane")
    role = await nodes.done(
        "POST", "/system/roles", {"name": "r", "permissions": [{"permission": "SystemAdmin"}]}, office.admin
    )
    revocations: list[tuple[str, str, Any, str, Any]] = [
        ("PATCH", f"{jane}/roles", {"roles": []}, f"{jane}/roles", {"roles": [role["ID"]]}),
        ("PATCH", f"/system/roles/{role['ID']}", {"users": []}, f"{jane}/roles", {"roles": [role["ID"]]}),
        ("PATCH", jane, {"status": 1}, jane, {"status": 0}),
        ("PUT", f"{jane}/password", {"new": USER_PASSWORD}, "", None),
        ("DELETE", jane, None, "", None),
    ]
    last = len(nodes.urls) - 1
    await nodes.done("PATCH", f"{jane}/roles", {"roles": [role["ID"]]}, office.admin)
    for method, path, body, restoring, restored in revocations:
        token = await nodes.log_in("jane@example.org", USER_PASSWORD)
        for _ in range(4):
            await nodes.done("GET", "/profile", login=token)
            await nodes.done("GET", office.users, login=token)
        await nodes.done(method, path, body, office.admin, node=0)
        for node in (last, 0):
            for asked, where in (("GET", "/profile"), ("GET", office.users), ("PATCH", f"/system/roles/{role['ID']}")):
                status, found = await nodes.call(asked, where, {} if asked == "PATCH" else None, token, node)
                assert status == 401, (method, path, asked, where, found)
        if restoring:
            await nodes.done("PATCH", restoring, restored, office.admin, node=last)


async def test_the_same_names_at_once(nodes: Nodes) -> None:
    """Of two who ask for the same name at the same moment, one gets it, and the other is told who has it."""
    office = await Office.opened(nodes, room=1000)

    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int, node: int) -> int:
        body = {"username": f"user{number:03}", "status": 4}
        async with turns:
            status, found = await nodes.call("POST", office.users, body, office.admin, node)
        if status == 400:
            assert "username" in " ".join([found["message"], *found.get("errors", [])])
        return int(status)

    count = len(nodes.urls)
    found = await asyncio.gather(*(ask(number, side % count) for number in range(150) for side in range(2)))
    assert Counter(found) == {201: 150, 400: 150}
    assert len(await office.names("limit=1000")) == 150


async def test_a_limit_holds_exactly(nodes: Nodes) -> None:
    """However many ask at once, the domain has as many users as it may have; one more fits when one has gone."""
    office = await Office.opened(nodes, room=7)

    async def ask(number: int) -> int:
        body = {"username": f"u{number}", "password": USER_PASSWORD}
        return int((await nodes.call("POST", office.users, body, office.admin))[0])

    assert Counter(await asyncio.gather(*(ask(number) for number in range(20)))) == {201: 7, 400: 13}
    users = (await office.get(office.users))["data"]
    assert len(users) == 7
    await nodes.done("DELETE", f"{office.users}/{users[0]['ID']}", None, office.admin)
    assert Counter(await asyncio.gather(*(ask(number) for number in range(20, 24)))) == {201: 1, 400: 3}


async def test_changes_of_one_user_at_once(nodes: Nodes) -> None:
    """Changes through all nodes at once are all there, and none is lost below another."""
    office = await Office.opened(nodes)
    anna = await office.add("anna")
    names = ["title", "comment", "departmentname", "nickname"]
    changes: list[dict[str, Any]] = [{"properties": {name: f"of {name}"}} for name in names]
    changes += [{"aliases": [f"alias{number}@example.org"]} for number in range(20)]
    await asyncio.gather(*(nodes.done("PATCH", anna, change, office.admin) for change in changes))
    found = await office.get(anna)
    assert {name: found["properties"].get(name) for name in names} == {name: f"of {name}" for name in names}
    assert len(found["aliases"]) == 1


async def test_settings_and_the_queue_are_one_for_all(nodes: Nodes) -> None:
    """Defaults, the mode of logins and the state of the queue are the same at every node with the next call."""
    office = await Office.opened(nodes)
    for asked, running in (("stop", False), ("start", True)):
        await nodes.done("POST", f"/tasq/{asked}", None, office.admin)
        assert (await office.get("/tasq/status"))["running"] is running
    for maximum in (5, 9):
        await nodes.done("PUT", "/defaults/createParams", {"domain": {"maxUser": maximum}}, office.admin)
        assert (await office.get("/defaults/createParams"))["data"]["domain"]["maxUser"] == maximum
    for mode in ("always_mysql", "externid"):
        await nodes.done("PUT", "/system/mconf/authmgr", {"authBackendSelection": mode}, office.admin)
        assert (await office.get("/system/mconf/authmgr"))["data"]["authBackendSelection"] == mode


@pytest.mark.slapd
async def test_a_directory(nodes: Nodes) -> None:
    """Two updates that begin at once come one after the other; every node shows them, and all that they brought."""
    with Slapd() as slapd:
        slapd.add(people_ldif(30))
        admin = await nodes.log_in()
        await nodes.done("POST", "/system/domains", {"domainname": "example.com", "maxUser": 100}, admin)
        await nodes.done("PUT", "/system/mconf/ldap", config_document(slapd), admin)
        path = "/domains/ldap/downsync?import=true&timeout=0"
        started = await asyncio.gather(*(nodes.done("POST", path, None, admin) for _ in range(2)))
        for task in started:
            for node in range(len(nodes.urls)):
                await has_ended(nodes, f"/tasq/tasks/{task['taskID']}", admin, node)
        listed = [await nodes.done("GET", "/domains/1/users?sort=username", None, admin) for _ in range(2)]
        assert listed[0] == listed[1]
        assert listed[0]["count"] == 30


async def has_ended(nodes: Nodes, path: str, login: Any, node: int) -> None:
    """Waits until a node says that a task has been done."""
    for _ in range(600):
        task = await nodes.done("GET", path, None, login, node)
        if task["state"] == COMPLETED:
            return
        assert task["state"] in (QUEUED, RUNNING), task
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} has not ended")

"""Domains that no longer share an organisation: nothing of the one reaches into the other, and all can be sent back."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.app.config import Config
from postroom.app.directory.client import Directory
from postroom.app.services.tasks import Tasks
from postroom.storage.sqlite import sqlite3
from tests.support.inside import forbid
from tests.support.people import CONFIG, add_person, document
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import Slapd

pytestmark = pytest.mark.attack

#: What takes a domain out of its organisation, and the domains that are then on the other side of a border.
LEAVING: dict[str, Callable[[Api, dict[str, int]], Any]] = {
    "moves to none": lambda admin, ids: admin.patch(f"/system/domains/{ids['b']}", {"orgID": 0}),
    "moves to another": lambda admin, ids: admin.patch(f"/system/domains/{ids['b']}", {"orgID": 2}),
    "is taken out": lambda admin, ids: admin.patch("/system/orgs/1", {"domains": [ids["a"], ids["c"]]}),
    "is taken by another": lambda admin, ids: admin.patch("/system/orgs/2", {"domains": [ids["b"]]}),
    "is taken by a new one": lambda admin, ids: admin.post("/system/orgs", {"name": "New", "domains": [ids["b"]]}),
    "the organisation goes": lambda admin, _: admin.delete("/system/orgs/1"),
    "is purged": lambda admin, ids: admin.delete(f"/system/domains/{ids['b']}?purge=true"),
}


@pytest.fixture
async def ids(admin: Api) -> dict[str, int]:
    """Three domains of organisation 1, and organisation 2."""
    found = {letter: await admin.make_domain(f"{letter}.example") for letter in "abc"}
    await admin.post("/system/orgs", {"name": "One", "domains": list(found.values())})
    await admin.post("/system/orgs", {"name": "Two"})
    return found


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_what_crosses_goes_along(admin: Api, ids: dict[str, int], leave: Callable[..., Any]) -> None:
    """Grants, store access, aliases and altnames go with the organisation; what stays on one side stays."""
    paths = {}
    for letter, domain in ids.items():
        user = await admin.make_user(
            domain,
            "u",
            aliases=[f"{letter}.{each}@{each}.example" for each in ids],
            altnames=[{"altname": f"{letter}.alt@{each}.example"} for each in ids] + [{"altname": f"alt{letter}"}],
        )
        paths[letter] = f"/domains/{domain}/users/{user['ID']}"
    for letter, path in paths.items():
        everybody = [f"u@{each}.example" for each in ids]
        by_alias = [f"c.{each}@{each}.example" for each in ids]
        await admin.put(f"{path}/delegates", [*everybody, *[f"ghost@{each}.example" for each in ids], "x@far.net"])
        await admin.put(f"{path}/sendas", by_alias)
        await admin.put(f"{path}/storeAccess", {"usernames": [each for each in everybody if letter != each[2]]})
    fetch = {"srcServer": "far.net", "srcUser": "u", "srcPassword": "p", "mailbox": "a.b@b.example"}
    await admin.patch(paths["a"], {"fetchmail": [fetch]})
    answer = leave(admin, ids)
    await answer
    together = {letter: (await admin.call("GET", f"/system/domains/{ids[letter]}")).body.get("orgID") for letter in ids}
    for letter, path in paths.items():
        if together[letter] is None:  # purged
            continue
        reached = [each for each in ids if each == letter or (together[letter] and together[each] == together[letter])]
        user = await admin.get(path)
        assert user["aliases"] == [f"{letter}.{each}@{each}.example" for each in reached]
        assert [entry["altname"] for entry in user["altnames"]] == [
            *[f"{letter}.alt@{each}.example" for each in reached], f"alt{letter}",
        ]  # fmt: skip
        names = [f"u@{each}.example" for each in reached] + [f"ghost@{each}.example" for each in reached]
        assert (await admin.get(f"{path}/delegates"))["data"] == [*names, "x@far.net"]
        # The user of c goes on under the username where the alias is gone.
        sendas = [f"c.{each}@{each}.example" if each in _reached(together, "c") else "u@c.example" for each in ids]
        expected = list(dict.fromkeys(sendas)) if "c" in reached else []
        assert set((await admin.get(f"{path}/sendas"))["data"]) == set(expected)
        members = (await admin.get(f"{path}/storeAccess"))["data"]
        assert [each["username"] for each in members] == [f"u@{each}.example" for each in reached if each != letter]
        assert await admin.patch(path, user) == user
    if together["a"] is not None:
        kept = "b" in _reached(together, "a")
        mailbox = (await admin.get(paths["a"]))["fetchmail"][0]["mailbox"]
        assert mailbox == ("a.b@b.example" if kept else "u@a.example")


def _reached(together: dict[str, Any], letter: str) -> list[str]:
    return [each for each in together if each == letter or (together[letter] and together[each] == together[letter])]


async def test_nothing_goes_when_nobody_leaves(admin: Api, ids: dict[str, int]) -> None:
    """What was read of domains and organisations can be sent back, and a deletion that can be undone takes nothing."""
    user = await admin.make_user(ids["a"], "u", aliases=["u@b.example"])
    for domain in ids.values():
        await admin.patch(f"/system/domains/{domain}", await admin.get(f"/system/domains/{domain}"))
    await admin.patch("/system/orgs/1", await admin.get("/system/orgs/1"))
    await admin.delete(f"/system/domains/{ids['b']}")
    await admin.patch(f"/system/domains/{ids['b']}", {"domainStatus": 0})
    assert await admin.get(f"/domains/{ids['a']}/users/{user['ID']}") == user


async def test_all_or_nothing(service: Service, admin: Api, ids: dict[str, int]) -> None:
    """When the last of it fails, the domain stays where it was, and everything is as before."""
    user = await admin.make_user(ids["a"], "u", aliases=["u@b.example"])
    granter = f"/domains/{ids['b']}/users/{(await admin.make_user(ids['b'], 'g'))['ID']}"
    await admin.put(f"{granter}/delegates", ["u@a.example"])

    await service.context.database.write(forbid, "DELETE", "old.address = 'u@b.example'", "broken")
    for leave in LEAVING.values():
        with pytest.raises(AssertionError):
            await leave(admin, ids)
        assert await admin.get(f"/domains/{ids['a']}/users/{user['ID']}") == user
        assert (await admin.get(f"{granter}/delegates"))["data"] == ["u@a.example"]
        assert (await admin.get(f"/system/domains/{ids['b']}"))["orgID"] == 1


#: Whatever of one domain may reach into another.
CROSSING = {
    "store access": """
        SELECT o.domain_id, m.domain_id FROM store_access s
          JOIN users o ON o.id = s.user_id JOIN users m ON m.id = s.member_id""",
    "grants to users": """
        SELECT o.domain_id, m.domain_id FROM grants g
          JOIN users o ON o.id = g.user_id JOIN users m ON m.id = g.member_id""",
    "grants to addresses": """
        SELECT o.domain_id, d.id FROM grants g
          JOIN users o ON o.id = g.user_id JOIN domains d ON g.key LIKE '%@' || d.domainname""",
    "names": """
        SELECT u.domain_id, d.id FROM addresses a
          JOIN users u ON u.id = a.user_id JOIN domains d ON a.key LIKE '%@' || d.domainname""",
}
DOMAINS, USERS = 4, 2

placements = st.lists(st.sampled_from([0, 1, 2]), min_size=DOMAINS, max_size=DOMAINS)
pairs = st.lists(
    st.tuples(*[st.integers(0, DOMAINS * USERS - 1)] * 2, st.sampled_from(["delegates", "sendas", "store", "alias"])),
    max_size=12,
)


def test_random_borders() -> None:
    """Whatever is granted inside of organisations, and however domains move: no row crosses a border, then or later."""

    async def start(stack: AsyncExitStack) -> Api:
        config = Config(database=":memory:", admin_password=ADMIN_PASSWORD)
        service = await stack.enter_async_context(Service.started(config))
        return await service.login("admin", ADMIN_PASSWORD)

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        admin = runner.run(start(stack))

        @settings(max_examples=40)
        @given(before=placements, wanted=pairs, after=placements, by_org=st.booleans())
        def run(before: list[int], wanted: list[tuple[int, int, str]], after: list[int], by_org: bool) -> None:
            runner.run(_move(admin, before, wanted, after, by_org=by_org))

        try:
            run()
        finally:
            runner.run(stack.aclose())


async def _move(
    admin: Api, before: list[int], wanted: list[tuple[int, int, str]], after: list[int], *, by_org: bool
) -> None:
    domains = [await admin.make_domain(f"{letter}.example") for letter in "abcd"[:DOMAINS]]
    orgs = [0] + [(await admin.post("/system/orgs", {"name": name}))["ID"] for name in ("one", "two")]
    users = []
    try:
        await _place(admin, domains, orgs, before, by_org=by_org)
        for domain in domains:
            users += [await admin.make_user(domain, f"u{number}", status=4) for number in range(USERS)]
        for number, (one, other, kind) in enumerate(wanted):
            owner, member = users[one], users[other]
            places = [before[domains.index(user["domainID"])] for user in (owner, member)]
            if owner["domainID"] == member["domainID"] or places[0] == places[1] != 0:
                await _grant(admin, owner, member, kind, number)
        await _place(admin, domains, orgs, after, by_org=by_org)
        place = dict(zip(domains, after, strict=True))
        for name, sql in CROSSING.items():
            for one, other in await admin.service.context.database.fetch_all(sql):
                assert one == other or place[one] == place[other] != 0, name
        for user in users:
            path = f"/domains/{user['domainID']}/users/{user['ID']}"
            shown = await admin.get(path)
            assert await admin.patch(path, shown) == shown
    finally:
        for domain in domains:
            await admin.delete(f"/system/domains/{domain}?purge=true")
        for org in orgs[1:]:
            await admin.delete(f"/system/orgs/{org}")


async def _place(admin: Api, domains: list[int], orgs: list[int], places: list[int], *, by_org: bool) -> None:
    """Moves the domains, each by itself, or by the lists of organisations, of which one may take from another."""
    if not by_org:
        for domain, place in zip(domains, places, strict=True):
            await admin.patch(f"/system/domains/{domain}", {"orgID": orgs[place]})
        return
    for number, org in enumerate(orgs[1:], 1):
        members = [domain for domain, place in zip(domains, places, strict=True) if place == number]
        await admin.patch(f"/system/orgs/{org}", {"domains": members})


async def _grant(admin: Api, owner: dict[str, Any], member: dict[str, Any], kind: str, number: int) -> None:
    path = f"/domains/{owner['domainID']}/users/{owner['ID']}"
    if kind == "store":
        await admin.post(f"{path}/storeAccess", {"username": member["username"]})
    elif kind == "alias":
        aliases = (await admin.get(path))["aliases"]
        domain = member["username"].partition("@")[2]
        await admin.patch(path, {"aliases": [*aliases, f"x{number}@{domain}"]})
    else:
        addresses = (await admin.get(f"{path}/{kind}"))["data"]
        of_member = await admin.get(f"/domains/{member['domainID']}/users/{member['ID']}")
        known = [member["username"], *of_member["aliases"], f"ghost{number}@{member['username'].partition('@')[2]}"]
        await admin.put(f"{path}/{kind}", [*addresses, *known])


_ALL = "import=true&unlink=true&force=true&timeout=60"
#: Whatever takes something over from a directory that it has asked: of user 1, who is linked to nobody.
TAKING_OVER = {
    "a user": ("PUT", "/domains/1/users/1/downsync?ID=as-plain", 409),
    "an import": ("POST", "/domains/ldap/importUser?ID=new&domain=1", 409),
    "an import of who is there": ("POST", "/domains/ldap/importUser?ID=as-plain&domain=1&force=true", 409),
    "a domain": ("POST", f"/domains/1/ldap/downsync?{_ALL}", 200),
    "an organisation": ("POST", f"/system/orgs/1/ldap/downsync?{_ALL}", 200),
    "everybody": ("POST", f"/domains/ldap/downsync?{_ALL}", 200),
    "orphans": ("DELETE", "/domains/ldap/check?domain=1&force=true", 200),
    "one orphan": ("DELETE", "/domains/ldap/check?domain=1&userID=3", 403),
}


@pytest.fixture
async def linked(service: Service, admin: Api, ids: dict[str, int]) -> Any:
    """A directory, and users of domain 1: one linked to nobody, one whose entry says something new, one whose is
    gone."""
    with Slapd() as slapd:
        for name in ("as-plain", "new", "changed"):
            add_person(slapd, name, mail=f"{name.removeprefix('as-')}@a.example", guid=name.encode())
        await admin.put(CONFIG, document(slapd))
        for name in ("plain", "changed", "gone"):
            await admin.make_user(ids["a"], name)

        def link(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE users SET ldap_id = 'changed' WHERE id = 2")
            connection.execute("UPDATE users SET ldap_id = 'gone' WHERE id = 3")

        await service.context.database.write(link)
        yield


@pytest.mark.slapd
@pytest.mark.usefixtures("linked")
@pytest.mark.parametrize("moves", [True, False], ids=["moves", "stays"])
@pytest.mark.parametrize("operation", TAKING_OVER)
async def test_a_domain_that_moves_while_its_directory_is_asked(
    admin: Api, monkeypatch: pytest.MonkeyPatch, operation: str, moves: bool
) -> None:
    """What the directory of its former organisation says changes nobody in a domain that has left by the time of the
    change, not even for who may change both."""
    asked, go_on = asyncio.Event(), asyncio.Event()
    fetch, existing, pages = Directory.fetch, Directory.existing, Directory.pages

    async def wait() -> None:
        asked.set()
        await go_on.wait()

    async def slow_fetch(self: Directory, object_id: bytes) -> Any:
        entry = await fetch(self, object_id)
        await wait()
        return entry

    async def slow_existing(self: Directory, object_ids: Any) -> Any:
        found = await existing(self, object_ids)
        await wait()
        return found

    async def slow_pages(self: Directory, size: int = 100) -> AsyncGenerator[Any, None]:
        async for page in pages(self, size):
            await wait()
            yield page

    monkeypatch.setattr(Directory, "fetch", slow_fetch)
    monkeypatch.setattr(Directory, "existing", slow_existing)
    monkeypatch.setattr(Directory, "pages", slow_pages)
    method, path, refused = TAKING_OVER[operation]
    before = await admin.get("/domains/1/users?level=2")
    calling = asyncio.create_task(admin.call(method, path))
    await asked.wait()
    if moves:
        await admin.patch("/system/domains/1", {"orgID": 2})
    go_on.set()
    answer = await calling
    after = await admin.get("/domains/1/users?level=2")
    for user in (*before["data"], *after["data"]):
        user.pop("orgID", None)
    assert (after == before) == moves, answer.body
    assert answer.status == (refused if moves else 201 if operation == "an import" else 200), answer.body


@pytest.mark.slapd
@pytest.mark.usefixtures("linked")
async def test_an_update_that_waits_asks_what_counts_by_then(service: Service, admin: Api) -> None:
    """Domains that leave the organisation while its update waits for its turn are not part of it."""
    tasks: Tasks = service.context.tasks
    await admin.call("POST", "/tasq/stop")
    queued = await admin.call("POST", "/system/orgs/1/ldap/downsync?import=true&timeout=0")
    await admin.patch("/system/domains/1", {"orgID": 0})
    await admin.call("POST", "/tasq/start")
    await tasks.wait(queued.body["taskID"], 30)
    task = await admin.get(f"/tasq/tasks/{queued.body['taskID']}")
    assert task["message"] == "Done: there was nothing to do"

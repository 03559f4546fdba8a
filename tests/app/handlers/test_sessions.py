"""Logins on record: listed, renewed and ended."""

import asyncio
import time
from typing import Any

import pytest

from postroom.app.services import sessions
from postroom.app.services.upkeep import clear_expired
from postroom.storage import sealed
from postroom.storage import sessions as stored
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service

ROLE = ("DomainAdmin", {"everything": True})


async def log_in(service: Service, agent: str) -> Api:
    """A login of `admin` by a program of this name."""
    body = {"user": "admin", "pass": ADMIN_PASSWORD}
    answer = await service.api.call("POST", "/login", body, headers={"User-Agent": agent})
    return Api(service, {"Authorization": f"Bearer {answer.body['grommunioAuthJwt']}"})


async def listed(api: Api, path: str = "/sessions") -> list[dict[str, Any]]:
    """The logins that the API shows."""
    data: list[dict[str, Any]] = (await api.get(path))["data"]
    return data


async def test_logins_are_listed(service: Service) -> None:
    """With the program, the address and the times; the one that asks comes first and is marked."""
    one, two = await log_in(service, "one"), await log_in(service, "two " + "x" * 300)
    shown = await listed(one)
    assert [(each["userAgent"][:4], each["current"]) for each in shown] == [("one", True), ("two ", False)]
    assert len(shown[1]["userAgent"]) == 200
    assert all(each["source"] in ("127.0.0.1", "::1") for each in shown)
    assert all(each["created"] == each["lastUsed"] for each in shown)
    assert [each["current"] for each in await listed(two)] == [True, False]


async def test_ending_one_login(service: Service) -> None:
    """It is refused at once, the others stay; ending one's own is logging out; another one of the ID is a 404."""
    one, two = await log_in(service, "one"), await log_in(service, "two")
    ended = (await listed(two))[0]["ID"]
    await one.delete(f"/sessions/{ended}")
    assert "The login has been ended" in await two.refused(401, "GET", "/profile")
    await two.refused(401, "POST", "/login")
    for unknown in (ended, "0" * 32, "x", "x" * 300):
        await one.refused(404, "DELETE", f"/sessions/{unknown}")
    await one.delete(f"/sessions/{(await listed(one))[0]['ID']}")
    await one.refused(401, "GET", "/profile")


async def test_ending_all_others(service: Service, admin: Api, domain: int) -> None:
    """Only the one that asks is left, and other users keep theirs."""
    helper = await service.login_with(domain, ROLE)
    logins = [await log_in(service, str(number)) for number in range(3)]
    await logins[1].delete("/sessions")
    assert [(await api.call("GET", "/profile")).status for api in logins] == [401, 200, 401]
    await admin.refused(401, "GET", "/profile")
    assert len(await listed(logins[1])) == 1
    await helper.get("/profile")


async def test_nobody_ends_the_logins_of_others(service: Service, admin: Api, domain: int) -> None:
    """Not by ID; an administrator ends all of a user at once, if that user may not do more."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    boss = await service.login_with(domain, ("SystemAdmin", {}), name="boss")
    of_boss = (await listed(boss))[0]["ID"]
    await helper.refused(404, "DELETE", f"/sessions/{of_boss}")
    ids = [(await api.get("/profile"))["user"]["ID"] for api in (helper, boss)]
    assert [each["ID"] for each in await listed(helper, f"/domains/{domain}/users/{ids[1]}/sessions")] == [of_boss]
    reason = await helper.refused(403, "DELETE", f"/domains/{domain}/users/{ids[1]}/sessions")
    assert "You need at least the permissions of boss@example.org to end their logins" in reason
    await boss.delete(f"/domains/{domain}/users/{ids[0]}/sessions")
    await helper.refused(401, "GET", "/profile")
    await service.login("helper@example.org", USER_PASSWORD)
    await admin.refused(404, "GET", f"/domains/{domain}/users/99/sessions")


async def test_a_renewed_login_is_the_same(service: Service, admin: Api) -> None:
    """Renewing makes no second row and, as a rule, writes nothing; the later token ends with the login."""
    before = await service.context.database.fetch_all("SELECT * FROM sessions")
    answer = await admin.call("POST", "/login")
    later = Api(service, {"Authorization": f"Bearer {answer.body['grommunioAuthJwt']}"})
    assert later.headers != admin.headers
    assert await service.context.database.fetch_all("SELECT * FROM sessions") == before
    (shown,) = await listed(later)
    await later.delete(f"/sessions/{shown['ID']}")
    await admin.refused(401, "GET", "/profile")


async def test_the_row_lasts_longer_than_its_tokens(service: Service, admin: Api) -> None:
    """When a renewed token would last longer than the row, the row lasts longer, too."""
    database, lifetime = service.context.database, service.context.tokens.lifetime

    async def left() -> float:
        return float(await database.fetch_value("SELECT expires FROM sessions")) - time.time()

    assert await left() > lifetime
    soon = int(time.time()) + 100
    await database.write(lambda connection: connection.execute("UPDATE sessions SET expires = ?", (soon,)).rowcount)
    await admin.call("POST", "/login")
    assert await left() > lifetime


async def test_a_new_key_ends_all_logins(service: Service, admin: Api) -> None:
    """The key that signs tokens is replaced: nobody is logged in, and no login is listed that nobody can use."""
    await service.context.database.write(sealed.renew_token_key)
    await admin.refused(401, "GET", "/profile")
    assert len(await listed(await log_in(service, "new"))) == 1


async def test_expired_logins_are_cleared_away(service: Service, admin: Api) -> None:
    """They are not shown any more, and their rows go within the hour."""
    await log_in(service, "old")
    database = service.context.database

    def age(connection: Any) -> None:
        connection.execute("UPDATE sessions SET expires = 5 WHERE user_agent = 'old'")

    await database.write(age)
    assert len(await listed(admin)) == 1
    await clear_expired(service.context)
    assert await database.fetch_value("SELECT count(*) FROM sessions") == 1
    await admin.get("/profile")


async def test_so_many_logins_of_a_user(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the one not used for longest ends."""
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 3)
    logins = [await log_in(service, str(number)) for number in range(3)]

    def use(connection: Any) -> None:
        for number in range(3):
            connection.execute("UPDATE sessions SET last_used = ? WHERE user_agent = ?", (100 - number, str(number)))

    await service.context.database.write(use)
    logins.append(await log_in(service, "3"))
    assert [(await api.call("GET", "/profile")).status for api in logins] == [200, 200, 401, 200]
    assert await service.context.database.fetch_value("SELECT count(*) FROM sessions") == 3


async def test_last_use_is_stored_now_and_then(service: Service, admin: Api) -> None:
    """Requests only note it in memory."""
    database = service.context.database
    await database.write(lambda connection: connection.execute("UPDATE sessions SET last_used = 5").rowcount)
    await admin.get("/profile")
    assert await database.fetch_value("SELECT last_used FROM sessions") == 5
    await service.context.tokens.uses.store(database)
    assert await database.fetch_value("SELECT last_used FROM sessions") > 5


async def test_uses_are_stored_at_the_end(start_service: StartService, tmp_path: Any) -> None:
    """Whoever stops the service loses nothing of it."""
    path = str(tmp_path / "postroom.sqlite3")
    service = await start_service(database=path)
    admin = await service.login("admin", ADMIN_PASSWORD)
    made = await admin.post("/tokens", {"name": "x"})
    await Api(service, {"Authorization": f"Bearer {made['token']}"}).get("/profile")
    await service.runner.cleanup()
    again = await start_service(database=path)
    admin = await again.login("admin", ADMIN_PASSWORD)
    assert (await admin.get("/tokens/1"))["lastUsed"] is not None


async def test_a_new_password_ends_other_logins(service: Service, admin: Api, domain: int) -> None:
    """They leave the list at once; the one that changed it stays, and stays in the list when it is renewed."""
    helper = await service.login_with(domain, ROLE)
    await service.login("helper@example.org", USER_PASSWORD)
    assert len(await listed(helper)) == 2
    await helper.put("/passwd", {"old": USER_PASSWORD, "new": "another one"})
    assert [each["current"] for each in await listed(helper)] == [True]
    answer = await helper.call("POST", "/login")
    later = Api(service, {"Authorization": f"Bearer {answer.body['grommunioAuthJwt']}"})
    assert [each["current"] for each in await listed(later)] == [True]
    user_id = (await later.get("/profile"))["user"]["ID"]
    await admin.put(f"/domains/{domain}/users/{user_id}/password", {"new": "a third one"})
    await later.refused(401, "GET", "/profile")
    assert await listed(admin, f"/domains/{domain}/users/{user_id}/sessions") == []


async def test_an_ended_login_in_flight(start_service: StartService, tmp_path: Any) -> None:
    """A write that waits for its turn while its login is ended is refused."""
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"))
    one, two = await log_in(service, "one"), await log_in(service, "two")
    ended = (await listed(two))[0]["ID"]

    def end(connection: Any) -> bool:
        return stored.delete_session(connection, 0, ended)

    ending = asyncio.ensure_future(service.context.database.write(end))
    answer = await two.call("POST", "/system/orgs", {"name": "x"})
    assert await ending
    assert answer.status == 401
    assert (await one.get("/system/orgs"))["count"] == 0

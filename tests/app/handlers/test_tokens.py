"""Tokens for programs: made, shown once, limited, used and revoked."""

import asyncio
import re
import time
from ipaddress import ip_network
from typing import Any

import pytest

from postroom.app.auth import uses
from postroom.app.auth.api_tokens import hash_of
from postroom.app.auth.tokens import csrf_token
from postroom.app.services.upkeep import clear_expired
from postroom.app.transactions import api_tokens as rules
from postroom.storage import api_tokens
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service

WHOLE = ("DomainAdmin", {"everything": True})


def by(service: Service, made: dict[str, Any]) -> Api:
    """The API by a token."""
    return Api(service, {"Authorization": f"Bearer {made['token']}"})


def on(permission: str, params: int | str | None = None) -> dict[str, Any]:
    """A permission of a token."""
    return {"permission": permission, "params": params}


async def test_a_token_is_shown_once_and_stored_as_a_hash(service: Service, admin: Api) -> None:
    """Its text is in the response that makes it, in no other, and not in the database."""
    made = await admin.post("/tokens", {"name": "export"})
    text = made["token"]
    assert re.fullmatch(r"postroom_[A-Za-z0-9_-]{43}", text)
    shown = await admin.get(f"/tokens/{made['ID']}")
    assert shown == {name: value for name, value in made.items() if name != "token"}
    assert await admin.get("/tokens") == {"count": 1, "data": [shown]}
    ((stored,),) = await service.context.database.fetch_all("SELECT hash FROM api_tokens")
    assert stored == hash_of(text)
    assert (shown["permissions"], shown["readOnly"], shown["networks"]) == (None, False, [])
    assert (shown["owner"], shown["lastUsed"]) == ({"ID": 0, "username": "admin"}, None)


async def test_a_token_does_what_its_owner_may_do(service: Service, admin: Api, domain: int) -> None:
    """Without limits it reads and writes like its owner, without a CSRF token, and what the owner loses it loses."""
    api = by(service, await admin.post("/tokens", {"name": "all"}))
    user = await api.make_user(domain, "jane")
    assert (await api.get("/profile"))["capabilities"][0] == "SystemAdminWrite"
    helper = await service.login_with(domain, WHOLE)
    own = by(service, await helper.post("/tokens", {"name": "mine"}))
    path = f"/domains/{domain}/users/{user['ID']}"
    await own.patch(path, {"lang": "de_DE"})
    assert (await own.get("/profile"))["capabilities"] == ["DomainAdminRead", "DomainAdminWrite"]
    await admin.patch("/system/roles/1", {"permissions": [on("DomainAdminRO", domain)]})
    reason = await own.refused(403, "PATCH", path, {"lang": ""})
    assert "The token mine does not have the permission for this, or its owner has lost it" in reason
    await own.get(path)


async def test_a_limited_token_of_a_limited_owner(service: Service, admin: Api, domain: int) -> None:
    """What counts is what the scope and the owner's roles have in common now, also beyond the route: names in other
    domains, and users with more permissions.
    """
    org = (await admin.post("/system/orgs", {"name": "org"}))["ID"]
    await admin.patch(f"/system/domains/{domain}", {"orgID": org})
    beside = await admin.make_domain("beside.example", orgID=org)
    helper = await service.login_with(domain, WHOLE)
    user = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{user['ID']}"
    limited = by(service, await helper.post("/tokens", {"name": "x", "permissions": [on("DomainAdmin", domain)]}))
    await helper.patch(path, {"aliases": ["one@beside.example"]})
    reason = await limited.refused(400, "PATCH", path, {"aliases": ["one@beside.example", "two@beside.example"]})
    assert "two@beside.example" in reason
    assert [each["ID"] for each in (await limited.get("/domains"))["data"]] == [domain]
    # The owner may do more than the token, so the token does not touch them.
    owner_id = (await helper.get("/profile"))["user"]["ID"]
    assert "permissions of helper" in await limited.refused(
        403, "PATCH", f"/domains/{domain}/users/{owner_id}", {"altnames": [{"altname": "h"}]}
    )
    both = [on("DomainAdmin", domain), on("DomainAdmin", beside)]
    shrinking = by(service, await helper.post("/tokens", {"name": "y", "permissions": both}))
    await shrinking.get(f"/domains/{beside}/users")
    await admin.patch("/system/roles/1", {"permissions": [on("DomainAdmin", domain)]})
    await shrinking.refused(403, "GET", f"/domains/{beside}/users")
    await shrinking.get(f"/domains/{domain}/users")


async def test_a_domain_that_goes_takes_its_part_of_the_scope(service: Service, admin: Api, domain: int) -> None:
    """A scope of which nothing is left allows nothing; it does not become a token for everything."""
    gone = await admin.make_domain("gone.example")
    made = await admin.post("/tokens", {"name": "x", "permissions": [on("DomainAdmin", gone)]})
    api = by(service, made)
    await api.get(f"/domains/{gone}/users")
    await admin.delete(f"/system/domains/{gone}?purge=true")
    await api.refused(403, "GET", f"/domains/{domain}/users")
    assert (await admin.get(f"/tokens/{made['ID']}"))["permissions"] == []
    assert (await api.get("/profile"))["capabilities"] == []


IMPOSSIBLE: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "name"),
    ({"name": ""}, 400, "name"),
    ({"name": "x" * 65}, 400, "name"),
    ({"name": "a\nb"}, 400, "name"),
    ({"name": "x", "unknown": 1}, 400, "unknown"),
    ({"name": "x", "permissions": []}, 400, "permissions"),
    ({"name": "x", "permissions": [on("Everything")]}, 400, "There is no permission 'Everything'"),
    ({"name": "x", "permissions": [on("DomainAdmin")]}, 400, 'needs the ID of one domain, or "*"'),
    ({"name": "x", "permissions": [on("SystemAdmin", 1)]}, 400, "null is needed"),
    ({"name": "x", "permissions": [on("DomainAdmin", 99)]}, 400, "There is no domain 99"),
    ({"name": "x", "permissions": [on("OrgAdmin", 99)]}, 400, "There is no organisation 99"),
    ({"name": "x", "permissions": [on("ResetPasswd")] * 101}, 400, "permissions"),
    ({"name": "x", "networks": ["10.0.0.0/33"]}, 400, "Not a network"),
    ({"name": "x", "networks": ["fe80::1%eth0"]}, 400, "Not a network"),
    ({"name": "x", "networks": ["localhost"]}, 400, "Not a network"),
    ({"name": "x", "networks": [""]}, 400, "Not a network"),
    ({"name": "x", "networks": [f"10.0.0.{number}" for number in range(65)]}, 400, "networks"),
    ({"name": "x", "networks": "10.0.0.0/8"}, 400, "networks"),
    ({"name": "x", "expires": "2020-01-01 00:00:00"}, 400, "Lies in the past"),
    ({"name": "x", "expires": "0001-01-01 00:00:00"}, 400, "Lies in the past"),
    ({"name": "x", "expires": "9999-12-31 23:59:59"}, 400, "More than ten years"),
    ({"name": "x", "expires": "2030-02-30 00:00:00"}, 400, "expires"),
    ({"name": "x", "readOnly": 1}, 400, "readOnly"),
    ({"name": "x", "owner": 99}, 400, "There is no user 99"),
    ({"name": "x", "owner": -1}, 400, "owner"),
]


@pytest.mark.parametrize(("body", "status", "reason"), IMPOSSIBLE)
async def test_impossible_tokens(service: Service, admin: Api, body: dict[str, Any], status: int, reason: str) -> None:
    """Each is refused with its field and the reason, and nothing is stored."""
    assert reason in await admin.refused(status, "POST", "/tokens", body)
    assert (await admin.get("/tokens"))["count"] == 0


async def test_nobody_gives_a_token_more_than_they_have(service: Service, admin: Api, domain: int) -> None:
    """A scope beyond the owner's is refused, and whoever may not see a domain does not learn whether it exists."""
    other = await admin.make_domain("other.example")
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    for wanted in (on("SystemAdmin"), on("DomainAdmin", "*"), on("DomainAdmin", other), on("DomainAdmin", 99),
                   on("OrgAdmin", 99), on("DomainPurge", domain), on("ResetPasswd")):  # fmt: skip
        reason = await helper.refused(403, "POST", "/tokens", {"name": "x", "permissions": [wanted]})
        assert f"The owner does not have {wanted['permission']} for this (permissions.0)" in reason
    await helper.post("/tokens", {"name": "x", "permissions": [on("DomainAdminRO", domain)]})


async def test_tokens_of_others(service: Service, admin: Api, domain: int) -> None:
    """A system administrator makes tokens for everybody who may log in; others for those whom they may change."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    helper_id = (await helper.get("/profile"))["user"]["ID"]
    plain = (await admin.make_user(domain, "plain"))["ID"]
    reason = await admin.refused(400, "POST", "/tokens", {"name": "x", "owner": plain})
    assert "plain@example.org may not log in" in reason
    made = await admin.post("/tokens", {"name": "service", "owner": {"ID": helper_id}})
    assert (await by(service, made).get("/profile"))["user"]["ID"] == helper_id
    assert [each["name"] for each in (await helper.get("/tokens"))["data"]] == ["service"]
    stranger = await service.login_with(await admin.make_domain("two.example"), WHOLE, name="stranger")
    boss_id = (await stranger.get("/profile"))["user"]["ID"]
    assert "There is no user 0" in await helper.refused(400, "POST", "/tokens", {"name": "x", "owner": 0})
    assert f"There is no user {boss_id}" in await helper.refused(
        400, "POST", "/tokens", {"name": "x", "owner": boss_id}
    )
    await admin.patch("/system/roles/1", {"users": [helper_id, plain]})
    assert (await helper.post("/tokens", {"name": "x", "owner": plain}))["owner"]["ID"] == plain
    await admin.patch("/system/roles/2", {"users": [boss_id, plain]})
    reason = await helper.refused(403, "POST", "/tokens", {"name": "x", "owner": plain})
    assert "You need at least the permissions of plain@example.org to make a token for them" in reason
    reason = await helper.refused(403, "DELETE", "/tokens/2")
    assert "You need at least the permissions of plain@example.org to revoke their tokens" in reason
    assert (await admin.get(f"/tokens?owner={plain}"))["count"] == 1
    assert (await admin.get("/tokens?limit=1&offset=1"))["count"] == 2
    await stranger.refused(404, "GET", "/tokens/99")
    await helper.delete("/tokens/1")
    await by(service, made).refused(401, "GET", "/profile")


async def test_a_planted_token_does_not_grow(service: Service, admin: Api, domain: int, monkeypatch: Any) -> None:
    """Whoever makes a token for somebody who is given more permissions later does not get them through it."""
    helper = await service.login_with(domain, WHOLE)
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}), name="reader")
    owner_id = (await reader.get("/profile"))["user"]["ID"]
    planted = await helper.post("/tokens", {"name": "planted", "owner": owner_id})
    assert planted["permissions"] == [on("DomainAdminRO", domain)]
    own, of_admin = (
        await reader.post("/tokens", {"name": "own"}),
        await admin.post("/tokens", {"name": "of the administrator", "owner": owner_id}),
    )
    assert own["permissions"] is of_admin["permissions"] is None
    monkeypatch.setattr(rules, "MOST_PERMISSIONS", 0)
    assert "say which" in await helper.refused(400, "POST", "/tokens", {"name": "more", "owner": owner_id})
    role = await admin.post("/system/roles", {"name": "all", "permissions": [on("SystemAdmin")]})
    await admin.patch(f"/domains/{domain}/users/{owner_id}/roles", {"roles": [role["ID"]]})
    await by(service, planted).refused(403, "GET", "/system/users")
    await by(service, planted).get(f"/domains/{domain}/users")
    for made in (own, of_admin):
        await by(service, made).get("/system/users")


async def test_a_token_cannot_be_used_in_person(service: Service, admin: Api, domain: int) -> None:
    """It makes no tokens, sees no logins, changes no password of its owner, and is not renewed into a login."""
    helper = await service.login_with(domain, WHOLE)
    made = await helper.post("/tokens", {"name": "x"})
    api = by(service, made)
    for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("GET", f"/tokens/{made['ID']}"),
                         ("DELETE", f"/tokens/{made['ID']}"), ("GET", "/sessions"), ("DELETE", "/sessions"),
                         ("DELETE", "/sessions/x")):  # fmt: skip
        body = {"name": "y"} if method == "POST" else None
        assert "This needs a login: a token cannot" in await api.refused(403, method, path, body)
    await api.refused(403, "PUT", "/passwd", {"old": USER_PASSWORD, "new": "another one"})
    await api.refused(401, "POST", "/login")
    owner = (await api.get("/profile"))["user"]["ID"]
    await api.refused(400, "PUT", f"/domains/{domain}/users/{owner}/password", {"new": "another one"})
    for method in ("GET", "DELETE"):
        # Neither of its owner nor of anybody else, although the owner administers the domain.
        assert "This needs a login" in await api.refused(403, method, f"/domains/{domain}/users/{owner}/sessions")
    await helper.get("/profile")
    await service.login("helper@example.org", USER_PASSWORD)


async def test_a_token_in_a_cookie_does_not_count(service: Service, admin: Api) -> None:
    """A browser would send it for any page."""
    made = await admin.post("/tokens", {"name": "x"})
    cookie = {"Cookie": f"grommunioAuthJwt={made['token']}", "X-Csrf-Token": csrf_token(made["token"])}
    assert "given as Bearer" in await Api(service, cookie).refused(401, "GET", "/profile")
    await Api(service, cookie).refused(401, "DELETE", "/system/orgs/1")


async def test_a_token_that_only_reads(service: Service, admin: Api, domain: int) -> None:
    """It may read what its owner may read, and its message says why it may not write."""
    api = by(service, await admin.post("/tokens", {"name": "watch", "readOnly": True}))
    await api.get(f"/domains/{domain}/users")
    assert "The token watch may only read" in await api.refused(403, "POST", f"/domains/{domain}/users", {})


async def test_where_a_token_may_be_used(start_service: StartService) -> None:
    """Networks are stored in one form; the address is that of the client as proxies on the list name it."""
    service = await start_service(trusted_proxies=(ip_network("127.0.0.1"), ip_network("::1")), login_failures=0)
    admin = await service.login("admin", ADMIN_PASSWORD)
    given = ["192.0.2.77/24", "192.0.2.0/24", "2001:DB8::1", "::ffff:198.51.100.0/120"]
    made = await admin.post("/tokens", {"name": "x", "networks": given})
    assert made["networks"] == ["192.0.2.0/24", "2001:db8::1/128", "198.51.100.0/24"]
    api = by(service, made)
    for address in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.9", "198.51.100.255", "203.0.113.1, 192.0.2.5"):
        await api.get("/profile", headers={"X-Forwarded-For": address})
    for address in ("192.0.3.1", "2001:db8::2", "unknown", "192.0.2.5, 203.0.113.1"):
        reason = await api.refused(401, "GET", "/profile", headers={"X-Forwarded-For": address})
        unknown = by(service, {"token": "postroom_" + "x" * 43})
        assert reason == await unknown.refused(401, "GET", "/profile", headers={"X-Forwarded-For": address})
    await api.refused(401, "GET", "/profile")  # the proxy itself


async def test_what_a_client_says_about_itself_does_not_count(start_service: StartService) -> None:
    """Without a known proxy the header is nobody's word, and its presence shows that the address may be a proxy's."""
    service = await start_service(login_failures=0)
    admin = await service.login("admin", ADMIN_PASSWORD)
    local = by(service, await admin.post("/tokens", {"name": "x", "networks": ["127.0.0.0/8", "::1"]}))
    await local.get("/profile")
    await local.refused(401, "GET", "/profile", headers={"X-Forwarded-For": "127.0.0.1"})
    far = by(service, await admin.post("/tokens", {"name": "x", "networks": ["192.0.2.0/24"]}))
    await far.refused(401, "GET", "/profile", headers={"X-Forwarded-For": "192.0.2.1"})


async def test_expiry(service: Service, admin: Api) -> None:
    """A token ends when its time is over, also if it is known; it lasts a year unless somebody says otherwise."""
    assert (await admin.post("/tokens", {"name": "x", "expires": None}))["expires"] is None
    year = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 365 * 24 * 3600))
    assert (await admin.post("/tokens", {"name": "x"}))["expires"].startswith(year)
    soon = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 2))
    made = await admin.post("/tokens", {"name": "x", "expires": soon})
    assert made["expires"] == soon
    api = by(service, made)
    await api.get("/profile")
    await asyncio.sleep(2.1)
    assert "The token has expired" in await api.refused(401, "GET", "/profile")


async def test_expired_tokens_are_forgotten_after_a_month(service: Service, admin: Api) -> None:
    """They are shown for so long, because somebody may wonder why a program stopped."""
    for name in ("long ago", "lately", "for ever"):
        await admin.post("/tokens", {"name": name, "expires": None})
    now, day = int(time.time()), 24 * 3600

    def age(connection: Any) -> None:
        connection.execute("UPDATE api_tokens SET expires = ? WHERE id = 1", (now - 31 * day,))
        connection.execute("UPDATE api_tokens SET expires = ? WHERE id = 2", (now - 29 * day,))

    await service.context.database.write(age)
    await clear_expired(service.context)
    assert [each["name"] for each in (await admin.get("/tokens"))["data"]] == ["lately", "for ever"]


async def test_so_many_tokens(service: Service, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound one has to be revoked first, also when many are made at once."""
    monkeypatch.setattr(rules, "MOST_TOKENS", 3)
    answers = await asyncio.gather(*(admin.call("POST", "/tokens", {"name": "x"}) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [400] * 3
    assert "admin has 3 tokens already" in await admin.refused(400, "POST", "/tokens", {"name": "x"})
    await admin.delete("/tokens/1")
    await admin.post("/tokens", {"name": "x"})


async def test_last_use_is_stored_now_and_then(service: Service, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read by a token writes nothing; when and from where it came is stored later, in few transactions."""
    made = [await admin.post("/tokens", {"name": "x"}) for _ in range(3)]
    stored = 0
    real = api_tokens.update_last_uses

    def count(*args: Any) -> None:
        nonlocal stored
        stored += 1
        real(*args)

    monkeypatch.setattr(api_tokens, "update_last_uses", count)
    for each in made * 3:
        await by(service, each).get("/profile")
    assert (await admin.get("/tokens/1"))["lastUsed"] is None
    await service.context.tokens.uses.store(service.context.database)
    shown = await admin.get("/tokens/1")
    assert shown["lastUsed"] >= shown["created"]
    assert shown["lastSource"] in ("127.0.0.1", "::1")
    assert stored == 1
    await service.context.tokens.uses.store(service.context.database)
    assert stored == 1
    # An older use that another process stores later does not count.
    await service.context.database.write(real, [(1, 5, "192.0.2.1")])
    assert await admin.get("/tokens/1") == shown


async def test_who_is_known_is_not_looked_up(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later read by a login or a token asks the database for what it reads and for nothing else."""
    user = await admin.make_user(domain, "jane")
    callers = [admin, by(service, await admin.post("/tokens", {"name": "x", "networks": ["127.0.0.0/8", "::1"]}))]
    for api in callers:
        await api.get("/profile")
    asked = []
    real = service.context.database.look_up_by

    async def look_up_by(function: Any, *args: Any) -> Any:
        asked.append(function)
        return await real(function, *args)

    monkeypatch.setattr(service.context.database, "look_up_by", look_up_by)
    for api in callers:
        await api.get(f"/domains/{domain}/users/{user['ID']}")
    assert asked == []


async def test_so_many_uses_are_noted(service: Service, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a use is not noted, and the request is served all the same."""
    monkeypatch.setattr(uses, "_MOST", 2)
    for _ in range(4):
        await by(service, await admin.post("/tokens", {"name": "x"})).get("/profile")
    assert len(service.context.tokens.uses._tokens) == 2


async def test_failed_tries_are_slowed_down(start_service: StartService, caplog: pytest.LogCaptureFixture) -> None:
    """They count like failed logins and are logged, without the token; a token that works is not stopped by others."""
    service = await start_service(login_failures=2, trusted_proxies=(ip_network("127.0.0.1"), ip_network("::1")))
    admin = await service.login("admin", ADMIN_PASSWORD)
    good = by(service, await admin.post("/tokens", {"name": "x"}))
    source = {"X-Forwarded-For": "203.0.113.9"}
    await good.get("/profile", headers=source)
    text = "postroom_" + "x" * 43
    wrong = by(service, {"token": text})
    statuses = [(await wrong.call("GET", "/profile", headers=source)).status for _ in range(4)]
    assert statuses == [401, 401, 429, 429]
    for number in range(10):
        await by(service, {"token": f"{text}{number}"}).call("GET", "/profile", headers=source)
    answer = await by(service, {"token": f"{text}new"}).call("GET", "/profile", headers=source)
    assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (429, True)
    await admin.post("/tokens", {"name": "y"})
    await admin.make_domain("new.example")  # whatever is remembered of tokens is forgotten
    await good.get("/profile", headers=source)
    assert f'Login failed from 203.0.113.9 for "token {hash_of(text)[:16]}"' in caplog.text
    assert text not in caplog.text


async def test_a_token_is_revoked_in_every_process(service: Service, admin: Api) -> None:
    """The row goes by another connection: the next request is refused."""
    made = await admin.post("/tokens", {"name": "x"})
    api = by(service, made)
    await api.get("/profile")
    await service.context.database.write(api_tokens.delete_token, made["ID"])
    assert "not valid" in await api.refused(401, "GET", "/profile")


async def test_tasks_of_a_token(service: Service, admin: Api, domain: int) -> None:
    """A token that may not read the system sees the tasks that it has started, not those of its owner."""
    made = await admin.post("/tokens", {"name": "x", "permissions": [on("DomainAdmin", domain)]})
    api, tasks = by(service, made), service.context.tasks

    async def work(_: int) -> str:
        return "done"

    mine = await tasks.start("test", {}, await service.context.tokens.caller(made["token"]), work)
    other = await tasks.start("test", {}, None, work)
    await tasks.wait(mine)
    await tasks.wait(other)
    assert [each["ID"] for each in (await api.get("/tasq/tasks"))["data"]] == [mine]
    await api.get(f"/tasq/tasks/{mine}")
    await api.refused(404, "GET", f"/tasq/tasks/{other}")
    assert (await admin.get("/tasq/tasks"))["count"] == 2
    await admin.delete(f"/tokens/{made['ID']}")
    assert (await admin.get(f"/tasq/tasks/{mine}"))["ID"] == mine

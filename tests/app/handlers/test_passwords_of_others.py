"""Usernames, and passwords set by name."""

from typing import Any

import pytest

from tests.support.service import USER_PASSWORD, Api, Service

NEW = {"new": "another password"}


@pytest.fixture
async def people(admin: Api) -> dict[str, dict[str, Any]]:
    """jane with an alias and an altname in domain 1, john in domain 2."""
    await admin.make_domain("one.org")
    await admin.make_domain("two.org")
    jane = await admin.make_user(1, "jane", aliases=["boss@one.org"], altnames=[{"altname": "jj"}])
    return {"jane": jane, "john": await admin.make_user(2, "john")}


async def has_password(service: Service, admin: Api, user: dict[str, Any], password: str) -> bool:
    """Whether the user logs in with it, once they have a role."""
    role = await admin.post("/system/roles", {"name": "may log in", "users": [user["ID"]]})
    answer = await service.api.call("POST", "/login", {"user": user["username"], "pass": password})
    await admin.delete(f"/system/roles/{role['ID']}")
    return answer.status == 200


@pytest.mark.parametrize(
    ("permission", "about", "seen"),
    [
        ("SystemAdmin", {}, ["jane@one.org", "john@two.org", "me@two.org"]),
        ("SystemAdminRO", {}, ["jane@one.org", "john@two.org", "me@two.org"]),
        ("ResetPasswd", {}, ["jane@one.org", "john@two.org", "me@two.org"]),
        ("DomainAdmin", {"everything": True}, ["jane@one.org", "john@two.org", "me@two.org"]),
        ("DomainAdmin", {"domain_id": 1}, ["jane@one.org"]),
        ("OrgAdmin", {"org_id": 1}, []),
    ],
)
async def test_usernames(service: Service, admin: Api, people: Any, permission: str, about: Any, seen: Any) -> None:
    """Each caller sees the names of those whose password they may set; who reads everything sees all."""
    await admin.post("/system/orgs", {"name": "Empty"})
    caller = await service.login_with(2, (permission, about), name="me")
    assert await caller.get("/users") == {"data": [{"username": name} for name in seen]}


@pytest.mark.parametrize(("permission", "about"), [("DomainAdminRO", {"everything": True}), ("DomainPurge", {})])
async def test_usernames_are_not_for_everybody(
    service: Service, people: Any, permission: str, about: dict[str, Any]
) -> None:
    """Who sets nobody's password has no use for names."""
    caller = await service.login_with(1, (permission, about), name="me")
    await caller.refused(403, "GET", "/users")
    await caller.refused(403, "PUT", "/passwd/jane@one.org", NEW)


@pytest.mark.parametrize("name", ["jane@one.org", "JANE@One.org", "boss@one.org", "jane%40one.org", "%6Aane@one.org"])
async def test_names_in_the_path(service: Service, admin: Api, people: Any, name: str) -> None:
    """The username or an alias, in any case, percent-encoded or not, names the user."""
    assert "jane@one.org" in (await admin.put(f"/passwd/{name}", NEW))["message"]
    assert await has_password(service, admin, people["jane"], NEW["new"])


@pytest.mark.parametrize("name", ["jörg@bücher.example", "JÖRG@Bücher.example", "jörg@xn--bcher-kva.example"])
async def test_international_names_in_the_path(admin: Api, name: str) -> None:
    """A domain may stand in the path as Unicode or as A-labels."""
    await admin.make_user(await admin.make_domain("bücher.example"), "jörg")
    assert "jörg@xn--bcher-kva.example" in (await admin.put(f"/passwd/{name}", NEW))["message"]


@pytest.mark.parametrize("name", ["jj", "nobody@one.org", "jane", "%00", "jane@one.org%20", "x" * 1000])
async def test_names_that_nobody_has(admin: Api, people: Any, name: str) -> None:
    """What is no username or alias is a 404; an altname is none, because it may be somebody else's alias."""
    await admin.refused(404, "PUT", f"/passwd/{name}", NEW)


async def test_reset_passwd(service: Service, admin: Api, people: Any) -> None:
    """ResetPasswd sets passwords in every domain, and nothing else."""
    caller = await service.login_with(1, ("ResetPasswd", {}), name="me")
    for user in people.values():
        await caller.put(f"/passwd/{user['username']}", NEW)
        assert await has_password(service, admin, user, NEW["new"])
    await caller.refused(403, "GET", "/domains/1/users")
    await caller.refused(403, "PUT", f"/domains/1/users/{people['jane']['ID']}/password", NEW)


@pytest.mark.parametrize("about", [{"domain_id": 1}, {"everything": True}])
async def test_domain_admin(service: Service, admin: Api, people: Any, about: dict[str, Any]) -> None:
    """DomainAdmin sets passwords in its domains; a user of another is as unknown as one who does not exist."""
    caller = await service.login_with(1, ("DomainAdmin", about), name="me")
    await caller.put("/passwd/jane@one.org", NEW)
    if "domain_id" in about:
        reasons = [await caller.refused(404, "PUT", f"/passwd/{name}@two.org", NEW) for name in ("john", "nobody")]
        assert reasons[0].replace("john", "nobody") == reasons[1]
        assert await has_password(service, admin, people["john"], USER_PASSWORD)
    else:
        await caller.put("/passwd/john@two.org", NEW)
    await caller.refused(404, "PUT", "/passwd/admin", NEW)


async def test_never_an_administrator(service: Service, admin: Api, people: Any) -> None:
    """ResetPasswd does not reach who may do everything: the administrator, or a user with SystemAdmin."""
    caller = await service.login_with(1, ("ResetPasswd", {}), name="me")
    await admin.post(
        "/system/roles",
        {"name": "all", "permissions": [{"permission": "SystemAdmin"}], "users": [people["john"]["ID"]]},
    )
    await caller.refused(403, "PUT", "/passwd/admin", NEW)
    await caller.refused(403, "PUT", "/passwd/john@two.org", NEW)
    assert await has_password(service, admin, people["john"], USER_PASSWORD)
    await admin.put("/passwd/john@two.org", NEW)


async def test_not_the_own(service: Service, people: Any) -> None:
    """One's own password is a 400 that says where it is changed, whatever one may do."""
    for number, permission in enumerate(("SystemAdmin", "ResetPasswd")):
        caller = await service.login_with(1, (permission, {}), name=f"me{number}")
        assert "PUT /passwd" in await caller.refused(400, "PUT", f"/passwd/me{number}@one.org", NEW)
    elsewhere = await service.login_with(1, ("DomainAdmin", {"domain_id": 2}), name="me2")
    assert "PUT /passwd" in await elsewhere.refused(400, "PUT", "/passwd/me2@one.org", NEW)


async def test_the_administrators_own(admin: Api) -> None:
    """The administrator's own password is changed with the old one, too."""
    assert "PUT /passwd" in await admin.refused(400, "PUT", "/passwd/admin", NEW)


async def test_not_of_linked_users(service: Service, admin: Api, people: Any) -> None:
    """A password that a directory keeps cannot be set."""

    def link(connection: Any) -> None:
        connection.execute("UPDATE users SET ldap_id = 'x' WHERE id = ?", (people["jane"]["ID"],))

    await service.context.database.write(link)
    assert "LDAP" in await admin.refused(400, "PUT", "/passwd/jane@one.org", NEW)


@pytest.mark.parametrize("body", [{}, {"new": None}, {"new": ""}, {"new": "short"}, {"new": "x" * 513}, {"new": 1}])
async def test_passwords_that_are_none(service: Service, admin: Api, people: Any, body: dict[str, Any]) -> None:
    """The rules for passwords are those of the other operation, and the old one stays."""
    assert "new" in await admin.refused(400, "PUT", "/passwd/jane@one.org", body)
    assert await has_password(service, admin, people["jane"], USER_PASSWORD)


async def test_logins_end(service: Service, admin: Api, people: Any) -> None:
    """A password that was set ends the logins of the user at once."""
    helper = await service.login_with(1, ("DomainAdmin", {"domain_id": 1}), name="me")
    await admin.put("/passwd/me@one.org", NEW)
    await helper.refused(401, "GET", "/profile")


@pytest.mark.parametrize(
    ("permission", "about", "theirs", "allowed"),
    [
        ("DomainAdmin", {"domain_id": 2}, {"permission": "SystemAdmin"}, False),
        ("DomainAdmin", {"domain_id": 2}, {"permission": "SystemAdminRO"}, False),
        ("DomainAdmin", {"domain_id": 2}, {"permission": "DomainAdmin", "params": 1}, False),
        ("DomainAdmin", {"domain_id": 2}, {"permission": "DomainAdmin", "params": 2}, True),
        ("DomainAdmin", {"everything": True}, {"permission": "DomainAdmin", "params": "*"}, True),
        ("ResetPasswd", {}, {"permission": "DomainAdminRO", "params": 2}, False),
        ("ResetPasswd", {}, {"permission": "ResetPasswd"}, True),
    ],
)
async def test_nobody_becomes_more_by_a_password(
    service: Service,
    admin: Api,
    people: Any,
    permission: str,
    about: dict[str, Any],
    theirs: dict[str, Any],
    allowed: bool,
) -> None:
    """Who may do more than the caller keeps their password, by either operation; who may as much does not."""
    caller = await service.login_with(1, (permission, about), name="me")
    john = people["john"]["ID"]
    await admin.post("/system/roles", {"name": "theirs", "permissions": [theirs], "users": [john]})
    paths = ["/passwd/john@two.org", f"/domains/2/users/{john}/password"]
    for path in paths if permission != "ResetPasswd" else paths[:1]:
        assert (await caller.call("PUT", path, NEW)).status == (200 if allowed else 403)
    assert await has_password(service, admin, people["john"], USER_PASSWORD) != allowed

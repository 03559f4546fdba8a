"""Domains and organisations."""

from typing import Any

import pytest

from tests.support.inside import assert_sound
from tests.support.service import USER_PASSWORD, Api, Service

LEVEL_0 = {"ID", "domainname", "displayname"}
LEVEL_1 = LEVEL_0 | {
    "orgID", "maxUser", "activeUsers", "inactiveUsers", "virtualUsers", "title", "address", "adminName", "tel",
    "endDay", "domainStatus",
}  # fmt: skip
LEVEL_2 = LEVEL_1 | {"syncPolicy", "chat", "homeserver", "selfService"}


async def test_create_with_defaults(admin: Api) -> None:
    """A new domain has the defaults of the contract and every field of level 2."""
    domain = await admin.post("/system/domains", {"domainname": "Example.ORG", "maxUser": 5})
    assert set(domain) == LEVEL_2
    assert domain["domainname"] == domain["displayname"] == "example.org"
    assert (domain["endDay"], domain["orgID"], domain["domainStatus"]) == ("3333-03-03", 0, 0)
    assert await admin.get(f"/system/domains/{domain['ID']}") == domain
    assert set(await admin.get(f"/system/domains/{domain['ID']}?level=0")) == LEVEL_0
    assert set((await admin.get("/system/domains"))["data"][0]) == LEVEL_1
    assert set((await admin.get("/domains"))["data"][0]) == LEVEL_1


async def test_self_service(admin: Api) -> None:
    """What users may change is what is usual, or what a domain says: in one order, once each; null is usual again."""
    domain = await admin.post("/system/domains", {"domainname": "example.org", "maxUser": 5})
    assert domain["selfService"] == ["oof", "devices"]
    path = f"/system/domains/{domain['ID']}"
    changed = await admin.patch(path, {"selfService": ["sendas", "forward", "sendas"]})
    assert changed["selfService"] == ["forward", "sendas"]
    assert (await admin.patch(path, changed))["selfService"] == ["forward", "sendas"]
    assert (await admin.patch(path, {"selfService": []}))["selfService"] == []
    assert (await admin.patch(path, {"selfService": None}))["selfService"] == ["oof", "devices"]
    other = {"domainname": "example.net", "maxUser": 5, "selfService": ["oof"]}
    assert (await admin.post("/system/domains", other))["selfService"] == ["oof"]
    (change,) = (await admin.get("/audit?name=example.net"))["data"]
    assert change["changes"]["selfService"] == [None, ["oof"]]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"domainname": None}, "domainname"),
        ({"domainname": "nodot"}, "domainname"),
        ({"domainname": "a b.org"}, "domainname"),
        ({"domainname": "a..org"}, "domainname"),
        ({"domainname": "-a.org"}, "domainname"),
        ({"domainname": "a.org."}, "domainname"),
        ({"domainname": "a" * 61 + ".org"}, "domainname"),
        ({"domainname": "☃.org"}, "domainname"),
        ({"domainname": "a@b.org"}, "domainname"),
        ({"maxUser": None}, "maxUser"),
        ({"maxUser": -1}, "maxUser"),
        ({"maxUser": "5"}, "maxUser"),
        ({"maxUser": 2**40}, "maxUser"),
        ({"endDay": "2026-02-30"}, "endDay"),
        ({"endDay": "tomorrow"}, "endDay"),
        ({"orgID": 77}, "orgID"),
        ({"domainStatus": 4}, "domainStatus"),
        ({"title": "x" * 129}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"homeserver": 1}, "homeserver"),
        ({"syncPolicy": {"mindevpwlenngth": 17}}, "mindevpwlenngth"),
        ({"selfService": "oof"}, "selfService"),
        ({"selfService": ["oof", "password"]}, "selfService"),
        ({"selfService": [None]}, "selfService"),
        ({"selfService": ["oof"] * 6}, "selfService"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_create_refuses(admin: Api, fields: dict[str, Any], named: str) -> None:
    """Each wrong field is named in a 400, and no domain is made."""
    body = {"domainname": "example.org", "maxUser": 5, **fields}
    assert named in await admin.refused(400, "POST", "/system/domains", body)
    assert (await admin.get("/system/domains"))["count"] == 0


async def test_required_fields(admin: Api) -> None:
    """Without a name or a limit there is no domain."""
    assert "domainname" in await admin.refused(400, "POST", "/system/domains", {"maxUser": 5})
    assert "maxUser" in await admin.refused(400, "POST", "/system/domains", {"domainname": "example.org"})
    assert (await admin.get("/system/domains"))["count"] == 0


@pytest.mark.parametrize("again", ["münchen.de", "MÜNCHEN.de", "xn--mnchen-3ya.de", "XN--MNCHEN-3YA.DE"])
async def test_names_compare_as_idn(admin: Api, again: str) -> None:
    """A name in any case, as Unicode or as A-labels, exists once."""
    domain = await admin.get(f"/system/domains/{await admin.make_domain('München.de')}")
    assert (domain["domainname"], domain["displayname"]) == ("xn--mnchen-3ya.de", "münchen.de")
    body = {"domainname": again, "maxUser": 1}
    assert "xn--mnchen-3ya.de" in await admin.refused(400, "POST", "/system/domains", body)
    assert (await admin.get("/system/domains", params={"domainname": again}))["count"] == 1


async def test_patch(admin: Api) -> None:
    """Fields given change, the name cannot, and what a read answers is taken."""
    domain = await admin.make_domain("example.org")
    path = f"/system/domains/{domain}"
    changed = await admin.patch(path, {"title": "T", "maxUser": 7, "chat": True, "syncPolicy": {"allowcam": 0}})
    assert (changed["title"], changed["maxUser"], changed["chat"]) == ("T", 7, True)
    assert changed["syncPolicy"] == {"allowcam": 0}
    assert await admin.patch(path, changed) == changed
    assert "domainname" in await admin.refused(400, "PATCH", path, {"domainname": "other.org", "title": "x"})
    for wrong in ({"ID": 99}, {"activeUsers": 9}, {"title": None}, {"maxUser": None}):
        assert next(iter(wrong)) in await admin.refused(400, "PATCH", path, wrong)
    assert await admin.get(path) == changed
    assert (await admin.patch(path, {"syncPolicy": None}))["syncPolicy"] is None
    await admin.refused(404, "PATCH", "/system/domains/99", {"title": "x"})


async def test_sync_policy_of_a_domain(admin: Api, domain: int) -> None:
    """The effective policy is the defaults with the domain's own values over them."""
    path = f"/domains/{domain}/syncPolicy"
    before = (await admin.get(path))["data"]
    assert len(before) == 43
    await admin.patch(f"/system/domains/{domain}", {"syncPolicy": {"allowcam": 0, "maxattsize": 1000}})
    after = (await admin.get(path))["data"]
    assert after == {**before, "allowcam": 0, "maxattsize": 1000}
    await admin.refused(404, "GET", "/domains/99/syncPolicy")


async def test_user_counts(admin: Api, domain: int) -> None:
    """The counters follow creation, change of status, and deletion."""

    async def counts() -> tuple[int, int, int]:
        shown = await admin.get(f"/system/domains/{domain}")
        return shown["activeUsers"], shown["inactiveUsers"], shown["virtualUsers"]

    ids = [(await admin.make_user(domain, f"u{number}"))["ID"] for number in range(3)]
    ids.append((await admin.make_user(domain, "team", status=4))["ID"])
    ids.append((await admin.make_user(domain, "x@y.org", status=5))["ID"])
    assert await counts() == (3, 0, 2)
    await admin.patch(f"/domains/{domain}/users/{ids[0]}", {"status": 1})
    assert await counts() == (2, 1, 2)
    for user_id in ids:
        await admin.delete(f"/domains/{domain}/users/{user_id}")
    assert await counts() == (0, 0, 0)


async def test_delete_marks_and_can_be_undone(admin: Api, service: Service, domain: int) -> None:
    """A deleted domain keeps its users, of whom nobody logs in until its status is 0 again."""
    caller = await service.login_with(domain, ("DomainAdmin", {"everything": True}))
    await admin.delete(f"/system/domains/{domain}")
    assert (await admin.get(f"/system/domains/{domain}"))["domainStatus"] == 3
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1
    await caller.refused(401, "GET", "/profile")
    body = {"user": "helper@example.org", "pass": USER_PASSWORD}
    await service.api.refused(401, "POST", "/login", body)
    reasons = await admin.refused(400, "POST", f"/domains/{domain}/users", {"username": "a", "password": "123456"})
    assert "deleted" in reasons
    await admin.patch(f"/system/domains/{domain}", {"domainStatus": 0})
    await service.login("helper@example.org", USER_PASSWORD)


async def test_purge_removes_everything(admin: Api, service: Service, domain: int) -> None:
    """After a purge no table knows the domain or its users, and the names are free."""
    other = await admin.make_domain("other.org")
    caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    await service.login_with(other, ("DomainAdmin", {"domain_id": domain}), name="far")
    await admin.make_user(domain, "jane", aliases=["j@example.org"], properties={"displayname": "Jane"})
    await admin.delete(f"/system/domains/{domain}?purge=true&deleteFiles=true")
    await caller.refused(401, "GET", "/profile")
    await admin.refused(404, "GET", f"/domains/{domain}/users")
    await admin.refused(404, "DELETE", f"/system/domains/{domain}?purge=true")
    database = service.context.database
    await assert_sound(database)
    assert await database.fetch_value("SELECT count(*) FROM role_permissions") == 0
    assert await database.fetch_value("SELECT count(*) FROM users") == 2  # admin and far@other.org
    again = await admin.make_domain("example.org")
    await admin.make_user(again, "jane", aliases=["j@example.org"])


async def test_create_role(admin: Api, service: Service) -> None:
    """`createRole` makes a role that administers the new domain and nothing else; long names are cut, not refused."""
    name = "a-very-long-domain-name-indeed.example.org"
    for number in (1, 2):
        await admin.post("/system/domains?createRole=true", {"domainname": f"{number}.{name}", "maxUser": 1})
    rows = await service.context.database.fetch_all(
        "SELECT r.name, p.permission, p.domain_id FROM roles r JOIN role_permissions p ON p.role_id = r.id ORDER BY 3"
    )
    assert [row[1:] for row in rows] == [("DomainAdmin", 1), ("DomainAdmin", 2)]
    assert len({row[0] for row in rows}) == 2
    assert all(len(row[0]) <= 32 for row in rows)


async def make_with_role(admin: Api, name: str) -> tuple[int, dict[str, Any]]:
    """The ID of a new domain, and the role that was made for it."""
    before = {role["ID"] for role in (await admin.get("/system/roles"))["data"]}
    created = await admin.post("/system/domains?createRole=true", {"domainname": name, "maxUser": 10})
    (role,) = [role for role in (await admin.get("/system/roles?level=2"))["data"] if role["ID"] not in before]
    return created["ID"], role


async def test_a_purge_takes_the_role_along(service: Service, admin: Api) -> None:
    """The role that `createRole` made goes with its domain, whoever has it and whatever it is called by now."""
    far = await admin.make_domain("far.org")
    holder = await service.login_with(far, name="holder")
    domain_id, role = await make_with_role(admin, "example.org")
    _, other = await make_with_role(admin, "other.org")
    user = await admin.make_user(far, "nothing.else")
    await admin.patch(f"/system/roles/{role['ID']}", {"name": "Ours", "users": [1, user["ID"]]})
    nothing_else = await service.login(user["username"], USER_PASSWORD)
    assert (await holder.get("/domains"))["count"] == 1
    purger = await service.login_with(far, ("DomainPurge", {"domain_id": domain_id}), name="purger")
    await admin.delete(f"/system/domains/{domain_id}")
    await admin.get(f"/system/roles/{role['ID']}")  # marked as deleted it may come back, with its role
    await purger.delete(f"/system/domains/{domain_id}?purge=true")
    await admin.refused(404, "GET", f"/system/roles/{role['ID']}")
    assert (await holder.get("/domains"))["count"] == 0
    await nothing_else.refused(401, "GET", "/domains")  # without a role nobody is logged in
    assert (await admin.get(f"/system/roles/{other['ID']}"))["name"] == other["name"]
    # The name is free: another domain of that name gets a role of that name.
    assert (await make_with_role(admin, "example.org"))[1]["name"] == role["name"]
    await assert_sound(service.context.database)


@pytest.mark.parametrize(
    "more",
    [
        {"permission": "DomainAdmin", "params": 1},
        {"permission": "DomainAdmin", "params": "*"},
        {"permission": "OrgAdmin", "params": 1},
        {"permission": "ResetPasswd", "params": None},
    ],
    ids=str,
)
async def test_a_role_that_says_more_by_now_stays(admin: Api, more: dict[str, Any]) -> None:
    """A role that was given anything else to say keeps that, and loses what was about the domain."""
    await admin.make_domain("far.org")
    await admin.post("/system/orgs", {"name": "Acme"})
    domain_id, role = await make_with_role(admin, "example.org")
    path = f"/system/roles/{role['ID']}"
    await admin.patch(path, {"permissions": [*role["permissions"], more]})
    await admin.delete(f"/system/domains/{domain_id}?purge=true")
    left = (await admin.get(path))["permissions"]
    assert [(each["permission"], each["params"]) for each in left] == [(more["permission"], more["params"])]


async def test_a_role_that_says_nothing_any_more_goes(admin: Api) -> None:
    """A role from which everything was taken, or which has another permission in the same domain, goes all the same."""
    for number, permissions in enumerate(([], ["DomainAdminRO", "DomainPurge"])):
        domain_id, role = await make_with_role(admin, f"d{number}.org")
        given = [{"permission": name, "params": domain_id} for name in permissions]
        await admin.patch(f"/system/roles/{role['ID']}", {"permissions": given})
        await admin.delete(f"/system/domains/{domain_id}?purge=true")
        await admin.refused(404, "GET", f"/system/roles/{role['ID']}")


async def test_other_roles_stay(admin: Api, domain: int) -> None:
    """A role that somebody made by hand stays when the domain that it is about is purged."""
    body = {"name": "By hand", "permissions": [{"permission": "DomainAdmin", "params": domain}]}
    role = await admin.post("/system/roles", body)
    await admin.delete(f"/system/domains/{domain}?purge=true")
    assert (await admin.get(f"/system/roles/{role['ID']}"))["permissions"] == []


async def test_list_domains(admin: Api) -> None:
    """Domains page, sort, filter and match like users."""
    org = (await admin.post("/system/orgs", {"name": "Acme"}))["ID"]
    await admin.make_domain("b.org", title="Bäckerei 100%", maxUser=5, orgID=org)
    await admin.make_domain("a.org", title="Apotheke", maxUser=50)
    await admin.make_domain("ç.org", title="Café", domainStatus=1)

    async def names(query: str) -> list[str]:
        return [each["displayname"] for each in (await admin.get(f"/system/domains?{query}"))["data"]]

    assert await names("sort=domainname,desc") == ["ç.org", "b.org", "a.org"]
    assert await names("sort=maxUser&limit=1&offset=1") == ["a.org"]
    assert await names(f"orgID={org}") == ["b.org"]
    assert await names("orgID=0&domainStatus=0") == ["a.org"]
    assert await names("maxUser=1,10") == ["b.org"]
    assert await names("ID=1,3") == ["b.org", "ç.org"]
    assert await names("match=B%C3%84CKER") == ["b.org"]
    assert await names("match=%25") == ["b.org"]
    assert await names("match=org&matchFields=title") == []
    assert await names("match=%C3%87.org") == ["ç.org"]
    assert await names("title=Apotheke") == ["a.org"]
    for wrong in ("sort=title,up", "limit=-1", "maxUser=1,2,3", "ID=x"):
        await admin.refused(400, "GET", f"/system/domains?{wrong}")


async def test_organisations(admin: Api) -> None:
    """An organisation is created, read, changed and deleted; its domains outlive it."""
    one, two = await admin.make_domain("one.org"), await admin.make_domain("two.org")
    org = await admin.post("/system/orgs", {"name": "Acme", "description": "all", "domains": [one]})
    assert org == {
        "ID": 1,
        "name": "Acme",
        "description": "all",
        "domainCount": 1,
        "domains": [{"ID": one, "domainname": "one.org", "displayname": "one.org"}],
    }
    path = f"/system/orgs/{org['ID']}"
    assert await admin.get(path) == org
    assert await admin.patch(path, org) == org
    changed = await admin.patch(path, {"domains": [two], "description": None})
    assert [each["ID"] for each in changed["domains"]] == [two]
    assert (await admin.get(f"/system/domains/{one}"))["orgID"] == 0
    page = await admin.get("/system/orgs")
    assert page == {"count": 1, "data": [{"ID": 1, "name": "Acme", "description": None, "domainCount": 1}]}
    await admin.delete(path)
    await admin.refused(404, "GET", path)
    await admin.refused(404, "PATCH", path, {"name": "x"})
    await admin.refused(404, "DELETE", path)
    assert (await admin.get(f"/system/domains/{two}"))["orgID"] == 0


async def test_names_of_organisations_are_unique(admin: Api) -> None:
    """A second organisation of the same name, in any case, is refused; the old one may keep its own."""
    org = await admin.post("/system/orgs", {"name": "Straße"})
    assert "name" in await admin.refused(400, "POST", "/system/orgs", {"name": "STRASSE"})
    other = await admin.post("/system/orgs", {"name": "Other"})
    assert "name" in await admin.refused(400, "PATCH", f"/system/orgs/{other['ID']}", {"name": "strasse"})
    await admin.patch(f"/system/orgs/{org['ID']}", {"name": "straße"})
    for wrong in ({}, {"name": ""}, {"name": None}, {"name": 5}, {"name": "x" * 33}, {"name": "x", "domains": [99]}):
        await admin.refused(400, "POST", "/system/orgs", wrong)
    changes: list[dict[str, Any]] = [{"domains": ["1"]}, {"domains": [None]}, {"domains": 1}, {"ID": 99}, {"what": 1}]
    for change in changes:
        assert next(iter(change)) in await admin.refused(400, "PATCH", f"/system/orgs/{org['ID']}", change)
    listed = await admin.get("/system/orgs?match=straße&sort=name,desc&limit=1")
    assert [each["name"] for each in listed["data"]] == ["straße"]


async def test_versions(admin: Api, domain: int) -> None:
    """A change of an older version is a 412 and changes nothing; users who come and go make no new version."""
    path = f"/system/domains/{domain}"
    read = (await admin.call("GET", path)).headers["ETag"]
    assert "ETag" not in (await admin.call("GET", f"{path}?level=1")).headers
    await admin.make_user(domain, "anna")
    assert (await admin.call("GET", path)).headers["ETag"] == read
    changed = await admin.call("PATCH", path, {"title": "One"}, headers={"If-Match": read})
    assert changed.status == 200
    assert changed.headers["ETag"] == (await admin.call("GET", path)).headers["ETag"] != read
    assert "Somebody else" in await admin.refused(412, "PATCH", path, {"title": "Two"}, headers={"If-Match": read})
    assert (await admin.get(path))["title"] == "One"
    made = await admin.call("POST", "/system/domains", {"domainname": "example.net", "maxUser": 1})
    assert made.headers["ETag"] == (await admin.call("GET", f"/system/domains/{made.body['ID']}")).headers["ETag"]

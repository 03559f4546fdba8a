"""The calls of a web console in their order, with the cookie that it sets: by a system and by a domain administrator.

Such a console shows nothing when one of the reads that it begins a page with fails or lacks a field.
"""

from typing import Any

import pytest

from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service


async def log_in(service: Service, name: str, password: str) -> Api:
    """The API as a browser uses it after a login by form."""
    answer = await service.api.call("POST", "/login", data={"user": name, "pass": password})
    assert answer.status == 200, answer.body
    return with_cookie(service, answer.body)


def with_cookie(service: Service, given: dict[str, str]) -> Api:
    """What the client makes of the answer to a login: the cookie, and the header against forgery."""
    return Api(service, {"Cookie": f"grommunioAuthJwt={given['grommunioAuthJwt']}", "X-Csrf-Token": given["csrf"]})


@pytest.fixture(params=["system administrator", "domain administrator"])
async def console(request: pytest.FixtureRequest, service: Service, admin: Api, domain: int) -> Api:
    """The console of either, logged in; there is another domain as well."""
    await admin.make_domain("other.org")
    if request.param == "system administrator":
        return await log_in(service, "admin", ADMIN_PASSWORD)
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    name = (await helper.get("/profile"))["user"]["username"]
    return await log_in(service, name, USER_PASSWORD)


async def is_system_administrator(console: Api) -> bool:
    """What the console decides by which of its pages there are."""
    return "SystemAdminRead" in (await console.get("/profile"))["capabilities"]


async def test_first_page(console: Api, domain: int) -> None:
    """After the login there is everything without which the first page stays white."""
    assert (await console.get("/profile"))["user"]["username"]
    domains = (await console.get("/domains"))["data"]
    assert {"ID": domain, "domainname": "example.org"}.items() <= domains[0].items()
    assert len(domains) == (2 if await is_system_administrator(console) else 1)
    assert (await console.get(f"/system/domains/{domain}"))["domainname"] == "example.org"
    for path in ("/defaults/createParams", f"/defaults/createParams/{domain}"):
        assert set((await console.get(path))["data"]) == {"user", "domain"}


async def test_pages_of_users(console: Api, admin: Api, domain: int) -> None:
    """The list of users goes by pages of 50, sorted and searched, and counts all of them."""
    for number in range(60):
        await admin.make_user(domain, f"user{number:02}", status=4, properties={"displayname": f"User {number}"})
    path = f"/domains/{domain}/users?limit=50&level=1&sort=username,asc&status=4"
    first, second = await console.get(path), await console.get(f"{path}&offset=50")
    assert (first["count"], len(first["data"]), len(second["data"])) == (60, 50, 10)
    assert second["data"][0]["username"] == "user50@example.org"
    found = await console.get(f"{path}&match=user+7&matchProps=displayname&properties=displayname,displaytypeex")
    assert "user07@example.org" in [user["username"] for user in found["data"]]
    assert all(set(user["properties"]) == {"displayname", "displaytypeex"} for user in found["data"])


async def test_before_a_user_is_added_or_opened(console: Api, domain: int) -> None:
    """What fills the fields of a user's page is there; roles and the licence are a system administrator's."""
    assert (await console.get("/chkFormat", params={"email": "anna@example.org"}))["email"] is None
    assert (await console.get("/defaults/storeLangs"))["data"]
    for path in ("/system/servers", f"/domains/{domain}/mlists", f"/domains/{domain}/folders"):
        assert (await console.get(path))["data"] == []
    assert (await console.get(f"/domains/{domain}/syncPolicy"))["data"]
    paths = ("/system/roles?level=0", "/system/roles/permissions", "/system/license", "/system/users", "/system/orgs")
    status = 200 if await is_system_administrator(console) else 403
    assert [(await console.call("GET", path)).status for path in paths] == [status] * len(paths)


NEW_USER: dict[str, Any] = {
    "username": "anna",
    "password": USER_PASSWORD,
    "status": 0,
    "lang": "de_DE",
    "homeserver": None,
    "properties": {"displayname": "Anna", "storagequotalimit": None, "displaytypeex": 0},
}


async def test_a_user_from_beginning_to_end(console: Api, service: Service, domain: int) -> None:
    """A user is added, opened, saved as a whole, given a password, and removed."""
    users = f"/domains/{domain}/users"
    user = f"{users}/{(await console.post(users, NEW_USER))['ID']}"
    whole = await console.get(user)
    assert (whole["username"], whole["lang"]) == ("anna@example.org", "de_DE")
    for room in ("delegates", "sendas", "storeAccess", "sync", "oof"):
        await console.get(f"{user}/{room}")
    whole["properties"]["comment"] = "changed"
    whole["aliases"] = ["boss@example.org"]
    assert await console.patch(user, whole) == whole
    assert await console.get(user) == whole
    await console.put(f"{user}/password", {"new": "quite another one"})
    await console.put("/passwd/boss@example.org", {"new": "and one more"})
    await console.delete(f"{user}?deleteFiles=false")
    await console.refused(404, "GET", user)
    assert "anna@example.org" not in [each["username"] for each in (await console.get("/users"))["data"]]


async def test_roles_of_a_user(console: Api, service: Service, admin: Api, domain: int) -> None:
    """A system administrator gives a user a role, and the user is in; a domain administrator cannot."""
    user = await console.post(f"/domains/{domain}/users", NEW_USER)
    picked = {"permission": "DomainAdmin", "params": domain}
    if not await is_system_administrator(console):
        await console.refused(403, "POST", "/system/roles", {"name": "Mine", "permissions": [picked]})
        await console.refused(403, "PATCH", f"/domains/{domain}/users/{user['ID']}/roles", {"roles": [1]})
        return
    role = await console.post("/system/roles", {"name": "Helpers", "permissions": [picked], "users": []})
    await console.patch(f"/domains/{domain}/users/{user['ID']}/roles", {"roles": [role["ID"]]})
    anna = await log_in(service, "anna@example.org", USER_PASSWORD)
    assert (await anna.get("/profile"))["user"]["roles"] == [{"ID": role["ID"], "name": "Helpers"}]
    await console.delete(f"/system/roles/{role['ID']}")
    await anna.refused(401, "GET", "/profile")


async def test_every_load_of_the_page_refreshes(console: Api, service: Service) -> None:
    """A login without fields gives a new cookie and header, as often as asked; both are used together."""
    for _ in range(3):
        answer = await console.call("POST", "/login")
        assert answer.status == 200
        console = with_cookie(service, answer.body)
        await console.get("/profile")


async def test_a_page_without_the_header_changes_nothing(console: Api, service: Service, domain: int) -> None:
    """The cookie alone reads, and does not write; after a logout, when the client has forgotten it, it does neither."""
    cookie = Api(service, {"Cookie": console.headers["Cookie"]})
    await cookie.get("/profile")
    for method, path in (("POST", f"/domains/{domain}/users"), ("PUT", f"/defaults/createParams/{domain}")):
        await cookie.refused(401, method, path, {})
    await service.api.refused(401, "GET", "/profile")


async def test_the_other_domain(console: Api, admin: Api, domain: int) -> None:
    """A domain administrator gets to no page of a domain that is somebody else's."""
    other = domain + 1
    paths = [f"/system/domains/{other}", f"/domains/{other}/users?limit=50", f"/defaults/createParams/{other}",
             f"/domains/{other}/mlists", f"/domains/{other}/folders"]  # fmt: skip
    status = 200 if await is_system_administrator(console) else 403
    assert [(await console.call("GET", path)).status for path in paths] == [status] * len(paths)

"""What stands around users: formats, servers, licence, mailing lists, folders; and lists, which are never null."""

from typing import Any

import pytest

from tests.support.service import Api, Service

EMPTY = {"count": 0, "data": []}


@pytest.mark.parametrize(
    "text", ["jane@example.org", "JANE@Example.ORG", "jörg@bücher.example", "a@localhost", "a+b@c.d"]
)
async def test_addresses_that_are_fine(service: Service, text: str) -> None:
    """A good address is null, and nobody needs to be logged in to ask."""
    assert await service.api.get("/chkFormat", params={"email": text}) == {"email": None}


@pytest.mark.parametrize(
    "text",
    ["", "jane", "@example.org", "jane@", "a b@c.org", "a@b..org", "a@b@c.org", "a\0@b.org", "x" * 65 + "@b.org",
     "x" * 400 + "@b.org", "a@" + "b" * 300 + ".org"],
)  # fmt: skip
async def test_addresses_that_are_none(service: Service, text: str) -> None:
    """A bad address is answered with the reason, in a 200."""
    reason = (await service.api.get("/chkFormat", params={"email": text}))["email"]
    assert isinstance(reason, str)
    assert reason[0].isupper()


@pytest.mark.parametrize(
    ("text", "fine"),
    [("example.org", True), ("Bücher.example", True), ("xn--bcher-kva.example", True), ("", False), ("nodot", False),
     ("a b.org", False), ("a..org", False), ("-a.org", False), ("x" * 63 + ".org", False), ("x" * 300, False)],
)  # fmt: skip
async def test_domain_names(service: Service, text: str, fine: bool) -> None:
    """A name that a domain can have is null, others are answered with the reason."""
    assert ((await service.api.get("/chkFormat", params={"domain": text}))["domain"] is None) == fine


async def test_formats_that_are_asked_for(service: Service) -> None:
    """What is asked for is answered: both, one, or nothing."""
    both = await service.api.get("/chkFormat?email=x&domain=example.org")
    assert (both["email"] is not None, both["domain"]) == (True, None)
    assert await service.api.get("/chkFormat") == {}


async def test_what_is_fine_can_be_stored(admin: Api, domain: int) -> None:
    """The check and POST are of one opinion."""
    for local in ("jane", "jörg", "a b", "x" * 65, "a..b", "'", "a@b"):
        fine = (await admin.get("/chkFormat", params={"email": f"{local}@example.org"}))["email"] is None
        answer = await admin.call("POST", f"/domains/{domain}/users", {"username": local, "status": 4})
        assert (answer.status == 201) == fine


@pytest.mark.parametrize("room", ["mlists", "folders"])
async def test_rooms_that_are_empty(service: Service, admin: Api, domain: int, room: str) -> None:
    """There are no mailing lists and no public folders in a domain that is there; of another it is a 404 or 403."""
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}))
    other = await admin.make_domain("other.org")
    assert await reader.get(f"/domains/{domain}/{room}?limit=50&match=x") == EMPTY
    await reader.refused(403, "GET", f"/domains/{other}/{room}")
    await admin.refused(404, "GET", f"/domains/99/{room}")
    await admin.refused(405, "POST", f"/domains/{domain}/{room}", {})


async def test_folder_tree(service: Service, admin: Api, domain: int) -> None:
    """The tree of public folders is their root, whose ID is text; of a folder that is not there it is a 404."""
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}))
    other = await admin.make_domain("other.org")
    path, root = f"/domains/{domain}/folders/tree", "144115188075855873"
    expected = {"folderid": root, "name": "IPM_SUBTREE", "container": "IPF.Note", "children": []}
    for query in ("", "?sort=displayname,asc", f"?folderID={root}"):
        assert await reader.get(path + query) == expected
    assert "There is no public folder 7" in await reader.refused(404, "GET", f"{path}?folderID=7")
    await reader.refused(400, "GET", f"{path}?folderID=x")
    await reader.refused(403, "GET", f"/domains/{other}/folders/tree")
    await admin.refused(404, "GET", "/domains/99/folders/tree")


async def test_servers(service: Service, admin: Api, domain: int) -> None:
    """There are no other servers, which everybody who reads a domain is told: opening a user needs it."""
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}))
    assert await admin.get("/system/servers?level=0&limit=50&sort=hostname,asc") == EMPTY
    assert await reader.get("/system/servers") == EMPTY


async def test_license(service: Service, admin: Api, domain: int) -> None:
    """The licence has no end, and a limit that nobody reaches; it counts the users who count for a domain's limit."""
    before = await admin.get("/system/license")
    for number, status in enumerate((0, 0, 1, 4)):
        await admin.make_user(domain, f"user{number}", status=status)
    after = await admin.get("/system/license")
    assert (before["currentUsers"], after["currentUsers"]) == (0, 2)
    assert (after["notAfter"], after["notBefore"], after["certificate"]) == (None, None, None)
    assert after["maxUsers"] > 10**9
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    await helper.refused(403, "GET", "/system/license")


LISTS = ("aliases", "altnames", "fetchmail", "roles")


async def test_lists_of_a_user_are_never_null(service: Service, admin: Api, domain: int) -> None:
    """Whatever a user is, their lists are lists, and properties an object, also where there is nothing in them."""
    users: list[dict[str, Any]] = [
        await admin.make_user(domain, "jane"),
        await admin.make_user(domain, "info", status=4),
        await admin.make_user(domain, "someone@outside.net", status=5),
    ]
    path = f"/domains/{domain}/users"
    users += [await admin.get(f"{path}/{user['ID']}") for user in users]
    users.append(await admin.patch(f"{path}/{users[0]['ID']}", {"aliases": None, "altnames": None, "fetchmail": None}))
    users += (await admin.get(f"{path}?level=2"))["data"]
    for user in users:
        assert [user[name] for name in LISTS] == [[], [], [], []]
        assert isinstance(user["properties"], dict)


async def test_lists_in_the_profile_are_never_null(service: Service, admin: Api, domain: int) -> None:
    """The administrator's own document, and any other, has lists, too, but for fetchmail, which it does not have."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    for caller in (admin, helper):
        user = (await caller.get("/profile"))["user"]
        assert "fetchmail" not in user
        assert all(isinstance(user[name], list) for name in LISTS if name != "fetchmail")
        assert isinstance(user["properties"], dict)

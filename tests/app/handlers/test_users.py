"""Creating, reading, changing and deleting users over HTTP."""

import asyncio
from typing import Any

import pytest

from tests.conftest import StartService
from tests.support.inside import tables_of_users
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service

LEVEL_0 = {"ID", "username"}
LEVEL_1 = LEVEL_0 | {"domainID", "ldapID", "status"}
LEVEL_2 = LEVEL_1 | {
    "lang", "pop3_imap", "smtp", "changePassword", "publicAddress", "privChat", "privVideo", "privFiles", "privArchive",
    "privWeb", "privEas", "privDav", "aliases", "altnames", "fetchmail", "properties", "roles", "forward", "mlist",
    "syncPolicy", "chat", "chatAdmin", "orgID", "homeserver",
}  # fmt: skip
READ_ONLY = ["ID", "domainID", "orgID", "roles", "mlist"]


async def test_create_answers_the_whole_user(admin: Api, domain: int) -> None:
    """A new user has every field of level 2, with the defaults of the contract."""
    user = await admin.make_user(domain, "Jane")
    assert set(user) == LEVEL_2
    assert user["username"] == "jane@example.org"
    assert user["domainID"] == domain
    assert user["status"] == 0
    assert user["properties"]["displaytypeex"] == 0
    assert len(user["properties"]["creationtime"]) == len("2026-01-01 00:00:00")
    assert (user["aliases"], user["altnames"], user["fetchmail"], user["roles"]) == ([], [], [], [])
    assert [user[name] for name in ("privWeb", "privEas", "privDav", "smtp", "chat")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert user == await admin.get(f"/domains/{domain}/users/{user['ID']}")


@pytest.mark.parametrize(("level", "fields"), [(0, LEVEL_0), (1, LEVEL_1), (2, LEVEL_2), (3, LEVEL_2)])
async def test_level_says_how_much_is_shown(admin: Api, domain: int, level: int, fields: set[str]) -> None:
    """Each level of a single read and of a list has exactly its fields."""
    user = await admin.make_user(domain, "jane")
    assert set(await admin.get(f"/domains/{domain}/users/{user['ID']}?level={level}")) == fields
    page = await admin.get(f"/domains/{domain}/users?level={level}")
    assert set(page["data"][0]) == fields


@pytest.mark.parametrize("name", ["jane", "JANE@Example.ORG", "jane@example.org"])
async def test_username_with_or_without_domain_in_any_case(admin: Api, domain: int, name: str) -> None:
    """A local part and an address in the domain name the same mailbox."""
    assert (await admin.make_user(domain, name))["username"] == "jane@example.org"


async def test_username_in_an_idn_domain(admin: Api) -> None:
    """Unicode and A-labels of a domain both name it; the stored address has A-labels."""
    domain = await admin.make_domain("Exämple.org")
    for name, given in (("a", "a@exämple.org"), ("b", "b@XN--EXMPLE-CUA.org"), ("c", "c")):
        assert (await admin.make_user(domain, given))["username"] == f"{name}@xn--exmple-cua.org"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"username": "jane@other.org"}, "username"),
        ({"username": "ja ne"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "a" * 65}, "username"),
        ({"username": "a" * 400}, "username"),
        ({"username": 5}, "username"),
        ({"username": "jane\u0000"}, "username"),
        ({"username": "j@a@example.org"}, "username"),
        ({"password": ""}, "password"),
        ({"password": None}, "password"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 513}, "password"),
        ({"password": "nul\u0000nul"}, "password"),
        ({"status": "1"}, "status"),
        ({"status": True}, "status"),
        ({"status": 9}, "status"),
        ({"status": 1.0}, "status"),
        ({"status": 2**80}, "status"),
        ({"lang": "x" * 33}, "lang"),
        ({"smtp": 1}, "smtp"),
        ({"smtp": "true"}, "smtp"),
        ({"smtp": None}, "smtp"),
        ({"aliases": "a@example.org"}, "aliases"),
        ({"aliases": ["no address"]}, "aliases"),
        ({"aliases": ["a@example.org", "A@Example.org"]}, "a@example.org"),
        ({"aliases": ["a@foreign.org"]}, "a@foreign.org"),
        ({"aliases": ["jane@example.org"]}, "jane@example.org"),
        ({"altnames": ["jane"]}, "altnames"),
        ({"altnames": [{"altname": "j j"}]}, "altnames"),
        ({"altnames": [{"altname": "j"}, {"altname": "J"}]}, "altnames"),
        ({"forward": {"forwardType": 2, "destination": "a@b.org"}}, "forward.forwardType"),
        ({"forward": {"forwardType": 0}}, "forward.destination"),
        ({"forward": {"forwardType": 0, "destination": "x"}}, "forward.destination"),
        ({"forward": {"forwardType": 0, "destination": "a@b.org", "username": "x@example.org"}}, "forward.username"),
        ({"properties": {"nosuchthing": 1}}, "nosuchthing"),
        ({"properties": {"displayname": 1}}, "displayname"),
        ({"properties": {"displayname": "x" * 32_768}}, "displayname"),
        ({"properties": {"storagequotalimit": "many"}}, "storagequotalimit"),
        ({"properties": {"displaytypeex": 2**31}}, "displaytypeex"),
        ({"properties": []}, "properties"),
        ({"syncPolicy": {"nosuchpolicy": 1}}, "nosuchpolicy"),
        ({"syncPolicy": {"allowbluetooth": 3}}, "allowbluetooth"),
        ({"homeserver": 7}, "homeserver"),
        ({"domainID": 99}, "domainID"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_create_refuses_and_stores_nothing(admin: Api, domain: int, fields: dict[str, Any], named: str) -> None:
    """Each kind of wrong input is a 400 that names the field, echoes no password, and leaves no user behind."""
    body = {"username": "jane", "password": USER_PASSWORD, **fields}
    reasons = await admin.refused(400, "POST", f"/domains/{domain}/users", body)
    assert named in reasons
    password = fields.get("password")
    if password:
        assert password not in reasons
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 0


async def test_password_is_needed_by_those_who_log_in(admin: Api, domain: int) -> None:
    """A mailbox needs a password; a shared mailbox and a contact do not."""
    path = f"/domains/{domain}/users"
    assert "password" in await admin.refused(400, "POST", path, {"username": "jane"})
    await admin.post(path, {"username": "team", "status": 4})
    await admin.post(path, {"username": "someone@elsewhere.net", "status": 5})


async def test_addresses_exist_once(admin: Api, domain: int) -> None:
    """A username or alias is nobody else's username or alias, an altname nobody else's altname or username."""
    other_domain = await admin.make_domain("example.net")
    jane = await admin.make_user(domain, "jane", aliases=["j@example.org"], altnames=[{"altname": "Jane.D"}])
    path = f"/domains/{domain}/users"
    body = {"username": "john", "password": USER_PASSWORD}
    for wrong, named in (
        ({"username": "JANE"}, "jane@example.org"),
        ({"username": "J"}, "j@example.org"),
        ({"aliases": ["jane@example.org"]}, "jane@example.org"),
        ({"aliases": ["J@example.org"]}, "j@example.org"),
        ({"altnames": [{"altname": "jane.d"}]}, "jane.d"),
        ({"altnames": [{"altname": "JANE@example.org"}]}, "JANE@example.org"),
    ):
        assert named in await admin.refused(400, "POST", path, {**body, **wrong})
    john = await admin.make_user(domain, "john", altnames=[{"altname": "kate@example.org"}])
    assert "kate" in await admin.refused(400, "POST", path, {**body, "username": "kate"})
    for wrong in ({"username": "jane"}, {"aliases": ["j@example.org"]}, {"altnames": [{"altname": "JANE.D"}]}):
        await admin.refused(400, "PATCH", f"{path}/{john['ID']}", wrong)
    assert await admin.get(f"{path}/{john['ID']}") == john
    assert "j@example.org" in await admin.refused(
        400, "POST", f"/domains/{other_domain}/users", {**body, "aliases": ["j@example.org"]}
    )
    await admin.patch(f"{path}/{jane['ID']}", {"altnames": [{"altname": "jane@example.org"}]})


async def test_aliases_within_an_organisation(admin: Api) -> None:
    """An alias may lie in another domain of the same organisation, and in no other."""
    org = (await admin.post("/system/orgs", {"name": "Acme"}))["ID"]
    one = await admin.make_domain("one.org", orgID=org)
    await admin.make_domain("two.org", orgID=org)
    await admin.make_domain("three.org")
    user = await admin.make_user(one, "jane", aliases=["jane@two.org"])
    assert user["aliases"] == ["jane@two.org"]
    assert user["orgID"] == org
    path = f"/domains/{one}/users/{user['ID']}"
    assert "jane@three.org" in await admin.refused(400, "PATCH", path, {"aliases": ["jane@three.org"]})


async def test_limit_of_a_domain(admin: Api) -> None:
    """`maxUser` counts normal users only, whether they are created or come back."""
    domain = await admin.make_domain("small.org", maxUser=1)
    await admin.make_user(domain, "team", status=4)
    waiting = await admin.make_user(domain, "waiting", status=1)
    first = await admin.make_user(domain, "first")
    path = f"/domains/{domain}/users"
    assert "limit of 1" in await admin.refused(400, "POST", path, {"username": "more", "password": USER_PASSWORD})
    assert "limit of 1" in await admin.refused(400, "PATCH", f"{path}/{waiting['ID']}", {"status": 0})
    await admin.patch(f"{path}/{first['ID']}", {"status": 1})
    await admin.patch(f"{path}/{waiting['ID']}", {"status": 0})


async def test_concurrent_creations_keep_the_limit(admin: Api) -> None:
    """However many create at the same time, no more than `maxUser` get in."""
    domain = await admin.make_domain("small.org", maxUser=3)
    body = {"password": USER_PASSWORD}
    answers = await asyncio.gather(
        *(admin.call("POST", f"/domains/{domain}/users", {**body, "username": f"u{number}"}) for number in range(12))
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [400] * 9
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 3


async def test_concurrent_patches_of_different_fields_lose_none(admin: Api, domain: int) -> None:
    """Flags that are set at the same time are all set in the end."""
    user = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{user['ID']}"
    flags = ["smtp", "pop3_imap", "changePassword", "publicAddress", "privChat", "privVideo", "privFiles", "chat"]
    await asyncio.gather(*(admin.patch(path, {flag: True}) for flag in flags))
    after = await admin.get(path)
    assert [after[flag] for flag in flags] == [True] * len(flags)


async def test_what_a_read_answers_patch_takes(admin: Api, domain: int) -> None:
    """The whole user can be sent back as it was read, and nothing changes."""
    user = await admin.make_user(
        domain,
        "jane",
        aliases=["j@example.org"],
        altnames=[{"altname": "jane.d"}],
        forward={"forwardType": 1, "destination": "away@example.net"},
        syncPolicy={"allowcam": 0},
        properties={"displayname": "Jane 👩‍🚀 Müller", "storagequotalimit": "1.5 GiB"},
        fetchmail=[{"srcServer": "mail.example.net:993", "srcUser": "jane", "srcPassword": "s3cret"}],
    )
    path = f"/domains/{domain}/users/{user['ID']}"
    assert user["properties"]["storagequotalimit"] == 1_572_864
    assert await admin.patch(path, user) == user
    assert await admin.patch(path, {}) == user


@pytest.mark.parametrize("name", READ_ONLY)
async def test_read_only_fields(admin: Api, domain: int, name: str) -> None:
    """A read-only field that differs from what is stored is refused by its name."""
    user = await admin.make_user(domain, "jane")
    wrong = {"roles": [{"ID": 1, "name": "x"}]}.get(name, 77)
    path = f"/domains/{domain}/users/{user['ID']}"
    assert name in await admin.refused(400, "PATCH", path, {name: wrong, "smtp": True})
    assert await admin.get(path) == user


async def test_patch_changes_only_what_is_given(admin: Api, domain: int) -> None:
    """Lists are replaced as a whole, properties merged, null clears, everything else stays."""
    user = await admin.make_user(
        domain,
        "jane",
        lang="de_DE",
        aliases=["a@example.org", "b@example.org"],
        forward={"forwardType": 0, "destination": "x@example.net"},
        syncPolicy={"allowcam": 0},
        properties={"displayname": "Jane", "comment": "hello"},
    )
    path = f"/domains/{domain}/users/{user['ID']}"
    changes = {
        "aliases": ["c@example.org", "a@example.org"],
        "forward": None,
        "syncPolicy": None,
        "lang": None,
        "properties": {"comment": None, "nickname": None, "Title": "Dr"},
        "homeserver": None,
        "ldapID": None,
    }
    after = await admin.patch(path, changes)
    assert after["aliases"] == ["c@example.org", "a@example.org"]
    assert (after["forward"], after["syncPolicy"], after["lang"]) == (None, None, "")
    assert after["properties"] == {
        "displayname": "Jane",
        "title": "Dr",
        "creationtime": user["properties"]["creationtime"],
        "displaytypeex": 0,
    }
    assert (await admin.patch(path, {"aliases": None, "altnames": None, "fetchmail": None}))["aliases"] == []


async def test_patch_is_all_or_nothing(admin: Api, domain: int) -> None:
    """An error in one field keeps all the others as they were."""
    await admin.make_user(domain, "taken")
    user = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{user['ID']}"
    await admin.refused(
        400, "PATCH", path, {"smtp": True, "properties": {"displayname": "x"}, "aliases": ["taken@example.org"]}
    )
    assert await admin.get(path) == user


async def test_rename_frees_the_old_address(admin: Api, service: Service, domain: int) -> None:
    """After a rename the old name belongs to nobody, logins and fetched mail go by the new one."""
    user = await admin.make_user(
        domain, "jane", fetchmail=[{"srcServer": "mail.example.net", "srcUser": "j", "srcPassword": "p"}]
    )
    path = f"/domains/{domain}/users/{user['ID']}"
    after = await admin.patch(path, {**user, "username": "Jane.Smith"})
    assert after["username"] == "jane.smith@example.org"
    assert after["fetchmail"][0]["mailbox"] == "jane.smith@example.org"
    assert (await admin.make_user(domain, "jane"))["username"] == "jane@example.org"
    assert "username" in await admin.refused(400, "PATCH", path, {"username": "jane.smith@elsewhere.org"})


async def test_name_and_alias_can_be_swapped(admin: Api, domain: int) -> None:
    """One request makes an alias the username and the username an alias."""
    user = await admin.make_user(domain, "old", aliases=["new@example.org"])
    path = f"/domains/{domain}/users/{user['ID']}"
    assert "alias" in await admin.refused(400, "PATCH", path, {"username": "new"})
    after = await admin.patch(path, {"username": "new", "aliases": ["old@example.org"]})
    assert (after["username"], after["aliases"]) == ("new@example.org", ["old@example.org"])


async def test_delete(admin: Api, domain: int) -> None:
    """A deleted user is gone, the address free, and the ID never used again."""
    user = await admin.make_user(domain, "jane", aliases=["j@example.org"], properties={"displayname": "Jane"})
    path = f"/domains/{domain}/users/{user['ID']}"
    await admin.delete(f"{path}?deleteFiles=true&deleteChatUser=false")
    await admin.refused(404, "GET", path)
    await admin.refused(404, "DELETE", path)
    assert (await admin.make_user(domain, "j"))["ID"] > user["ID"]


async def test_delete_leaves_no_row_behind(admin: Api, service: Service, domain: int) -> None:
    """No table keeps a row of a user who is gone."""
    user = await admin.make_user(
        domain,
        "jane",
        aliases=["j@example.org"],
        forward={"forwardType": 0, "destination": "x@example.net"},
        properties={"displayname": "Jane Longname"},
        fetchmail=[{"srcServer": "mail.example.net", "srcUser": "j", "srcPassword": "p"}],
    )
    database = service.context.database
    await admin.delete(f"/domains/{domain}/users/{user['ID']}")
    tables = await tables_of_users(database)
    assert len(tables) >= 10
    for table in tables:
        rows = await database.fetch_value(f"SELECT count(*) FROM {table} WHERE user_id = ?", (user["ID"],))
        assert rows == 0, table
    condition, values = database.matching(["username", "displayname"], ["lo"])
    assert await database.fetch_value(f"SELECT count(*) FROM user_search x WHERE {condition}", values) == 0


async def test_administrator_cannot_be_deleted(admin: Api, domain: int) -> None:
    """User 0 is in no domain, in no list, and stays."""
    await admin.refused(400, "DELETE", f"/domains/{domain}/users/0")
    await admin.refused(404, "GET", f"/domains/{domain}/users/0")
    assert (await admin.get(f"/domains/{domain}/users"))["data"] == []


async def test_only_ids_of_the_domain_count(admin: Api, domain: int) -> None:
    """A user of another domain is not there, for every verb and everyone."""
    other = await admin.make_domain("example.net")
    user = await admin.make_user(other, "jane")
    path = f"/domains/{domain}/users/{user['ID']}"
    for method, suffix, body in (
        ("GET", "", None),
        ("PATCH", "", {"smtp": True}),
        ("DELETE", "", None),
        ("PUT", "/password", {"new": "long enough"}),
        ("PUT", "/downsync", None),
    ):
        await admin.refused(404, method, path + suffix, body)


@pytest.mark.parametrize("text", ["x", "1.0", "-1", "+1", "1_0", "99999999999999999999", "%00", "٣", "0x1", "..%2f"])
async def test_ids_that_are_no_ids_are_not_found(admin: Api, domain: int, text: str) -> None:
    """A path ID that is no 64-bit integer is a 404."""
    await admin.refused(404, "GET", f"/domains/{domain}/users/{text}")
    await admin.refused(404, "GET", f"/domains/{text}/users")


async def test_created_user_stays_as_it_was_over_a_restart(
    start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is stored is the same for the next process, and so is the login."""
    path = str(tmp_path_factory.mktemp("store") / "postroom.sqlite3")
    first = await start_service(database=path)
    admin = await first.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    user = await admin.make_user(domain, "jane")
    second = await start_service(database=path)
    again = Api(second, admin.headers)
    assert await again.get(f"/domains/{domain}/users/{user['ID']}") == user

"""Bringing many users up to date from the directory, against a real OpenLDAP server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import StartService
from tests.support.people import CONFIG, actions, add_person, change_person, document, item_of, sync
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import PEOPLE_DN, Slapd

pytestmark = pytest.mark.slapd
IMPORT = {"import": "true"}


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A server of the test's own, without people."""
    with Slapd() as server:
        yield server


@pytest.fixture
async def domain(admin: Api, slapd: Slapd) -> int:
    """The domain example.com of a service with the directory configured."""
    await admin.put(CONFIG, document(slapd))
    return await admin.make_domain("example.com")


async def users_of(admin: Api, domain: int) -> list[dict[str, Any]]:
    """Every user of the domain in full."""
    found = await admin.get(f"/domains/{domain}/users", params={"level": "2", "limit": "1000"})
    return list(found["data"])


async def test_import_then_nothing_to_do(admin: Api, slapd: Slapd, domain: int) -> None:
    """Everybody is created once; a second run finds them unchanged and writes nothing."""
    for number in range(12):
        add_person(slapd, f"person{number}", f"mailAlias: smtp:p{number}@example.com")
    first = await sync(admin, **IMPORT, lang="de_AT")
    assert actions(first) == {"create": 12}
    assert first["message"] == "Done: 12 created"
    assert {item["code"] for item in first["data"]} == {201}
    users = await users_of(admin, domain)
    assert {item["ID"] for item in first["data"]} == {user["ID"] for user in users}
    assert {user["lang"] for user in users} == {"de_AT"}
    assert users[0]["properties"]["storagequotalimit"] == 1048576
    second = await sync(admin, **IMPORT)
    assert actions(second) == {"unchanged": 12}
    assert await users_of(admin, domain) == users


async def test_without_import_nobody_is_created(admin: Api, slapd: Slapd, domain: int) -> None:
    """An update brings linked users up to date and leaves the others of the directory alone."""
    add_person(slapd, "anna", "title: Dr")
    add_person(slapd, "paul")
    anna = await admin.make_user(domain, "anna")
    await admin.put(f"/domains/{domain}/users/{anna['ID']}/downsync", params={"ID": "anna"})
    change_person(slapd, f"uid=anna,{PEOPLE_DN}", "replace: title", "title: Prof")
    answer = await sync(admin)
    assert actions(answer) == {"update": 1}
    assert item_of(answer, "anna@example.com")["changes"] == {"title": ["Dr", "Prof"]}
    assert len(await users_of(admin, domain)) == 1


async def test_dry_run_tells_and_changes_nothing(admin: Api, slapd: Slapd, domain: int) -> None:
    """The plan has what would be created, updated with its fields, and skipped; nothing is stored."""
    add_person(slapd, "anna", "title: Dr")
    add_person(slapd, "paul")
    await sync(admin, **IMPORT)
    change_person(slapd, f"uid=anna,{PEOPLE_DN}", "replace: title", "-", "add: mailAlias", "mailAlias: a@example.com")
    slapd.delete(f"uid=paul,{PEOPLE_DN}")
    add_person(slapd, "zoe", "mailAlias: z@example.com")
    before = await users_of(admin, domain)
    plan = await sync(admin, **IMPORT, dryRun="true")
    assert plan["message"] == "Dry run, nothing was changed: 1 to create, 1 to update, 1 skipped"
    assert item_of(plan, "anna@example.com")["changes"] == {"aliases": [[], ["a@example.com"]], "title": ["Dr", None]}
    assert item_of(plan, "zoe@example.com")["changes"]["displayname"] == [None, "Zoe"]
    assert "ID" not in item_of(plan, "zoe@example.com")
    assert item_of(plan, "zoe@example.com")["message"] == "Would be created"
    assert item_of(plan, "paul@example.com")["code"] == 404
    assert await users_of(admin, domain) == before


async def test_whoever_vanished_stays(admin: Api, slapd: Slapd, domain: int) -> None:
    """A user whose object is gone, or is only not found by the filter, stays as they were and is told apart."""
    gone, hidden = add_person(slapd, "gone"), add_person(slapd, "hidden", "title: x")
    await sync(admin, **IMPORT)
    before = await users_of(admin, domain)
    slapd.delete(gone)
    await admin.put(CONFIG, document(slapd, users={"filter": "(&(objectClass=inetOrgPerson)(!(title=x)))"}))
    answer = await sync(admin, **IMPORT)
    assert actions(answer) == {"skip": 2}
    assert "no longer in the directory" in item_of(answer, "gone@example.com")["message"]
    assert "configured filters" in item_of(answer, "hidden@example.com")["message"]
    assert await users_of(admin, domain) == before
    change_person(slapd, hidden, "delete: mail")
    await admin.put(CONFIG, document(slapd))
    lost = item_of(await sync(admin, **IMPORT), "hidden@example.com")
    assert lost["code"] == 400
    assert "mail" in lost["message"]
    assert await users_of(admin, domain) == before


async def test_a_directory_that_returns_nothing(admin: Api, slapd: Slapd, domain: int) -> None:
    """When all entries are gone at once the answer says so, and nobody is lost or unlinked."""
    people = [add_person(slapd, f"person{number}") for number in range(3)]
    await sync(admin, **IMPORT)
    before = await users_of(admin, domain)
    for dn in people:
        slapd.delete(dn)
    answer = await sync(admin, **IMPORT)
    assert answer["message"] == "The directory has no entries. Done: 3 skipped"
    refused = await admin.refused(409, "POST", "/domains/ldap/downsync?unlink=true&timeout=60")
    assert "3 of 3 linked users" in refused
    assert await users_of(admin, domain) == before


async def test_unlink(admin: Api, slapd: Slapd, domain: int) -> None:
    """Asked for, users whose object is gone become users of no directory; those who are there do not."""
    dn = add_person(slapd, "anna")
    add_person(slapd, "paul")
    await sync(admin, **IMPORT)
    slapd.delete(dn)
    await admin.refused(409, "POST", "/domains/ldap/downsync?unlink=true&timeout=60")
    answer = await sync(admin, unlink="true", force="true")
    assert actions(answer) == {"unlink": 1, "unchanged": 1}
    links = {user["username"]: user["ldapID"] for user in await users_of(admin, domain)}
    assert links == {"anna@example.com": None, "paul@example.com": "paul"}


async def test_obstacles_are_skipped_and_the_others_go_on(admin: Api, slapd: Slapd) -> None:
    """A name that is taken, an alias of somebody's, two entries of one name, a full domain: each with its reason."""
    await admin.put(CONFIG, document(slapd))
    domain = await admin.make_domain("example.com", maxUser=4)
    await admin.make_user(domain, "local", aliases=["taken@example.com"])
    add_person(slapd, "local")
    add_person(slapd, "taken")
    add_person(slapd, "twin1", mail="twin@example.com")
    add_person(slapd, "twin2", mail="TWIN@Example.com")
    add_person(slapd, "nobody", mail="")
    add_person(slapd, "elsewhere", mail="elsewhere@foreign.net")
    for number in range(3):
        add_person(slapd, f"many{number}", "mailAlias: taken@example.com")
    for dry_run in ("true", "false"):
        answer = await sync(admin, **IMPORT, dryRun=dry_run)
        assert item_of(answer, "local@example.com")["code"] == 409
        assert "alias" in item_of(answer, "taken@example.com")["message"]
        twins = [item for item in answer["data"] if item["username"] == "twin@example.com"]
        assert sorted(item["code"] for item in twins) == [201, 409]
        assert item_of(answer, "")["code"] == 400
        assert not [item for item in answer["data"] if "foreign" in item["username"]]
        many = [item for item in answer["data"] if item["username"].startswith("many")]
        assert sorted(item["code"] for item in many) == [201, 201, 400]
        assert any("limit of 4 users" in item["message"] for item in many)
        assert any("taken@example.com is in use" in item["message"] for item in many)
    assert len(await users_of(admin, domain)) == 4


async def test_names_that_move_between_people(admin: Api, slapd: Slapd, domain: int) -> None:
    """An address that one person gives up and another gets is free for the other at the next run at the latest."""
    anna, paul = add_person(slapd, "anna"), add_person(slapd, "paul")
    await sync(admin, **IMPORT)
    change_person(slapd, anna, "replace: mail", "mail: paul@example.com")
    change_person(slapd, paul, "replace: mail", "mail: free@example.com")
    await sync(admin)
    await sync(admin)
    names = {user["ldapID"]: user["username"] for user in await users_of(admin, domain)}
    assert names == {"anna": "paul@example.com", "paul": "free@example.com"}


async def test_a_user_who_moves_to_another_domain_is_skipped(admin: Api, slapd: Slapd, domain: int) -> None:
    """Whose address is in another domain now stays where they are, with the reason, and nobody is made there."""
    other = await admin.make_domain("other.net")
    anna = add_person(slapd, "anna")
    await sync(admin, **IMPORT)
    change_person(slapd, anna, "replace: mail", "mail: anna@other.net")
    answer = await sync(admin, **IMPORT)
    assert item_of(answer, "anna@example.com")["code"] == 400
    assert "anna@other.net" in item_of(answer, "anna@example.com")["message"]
    assert await users_of(admin, other) == []


async def test_scopes(admin: Api, service: Service, slapd: Slapd, domain: int) -> None:
    """A domain's run touches its users alone, an organisation's those of its domains; each as far as they may."""
    org = (await admin.post("/system/orgs", {"name": "Org", "domains": [domain]}))["ID"]
    other = await admin.make_domain("other.net")
    add_person(slapd, "anna")
    add_person(slapd, "paul", mail="paul@other.net")
    domain_admin = await service.login_with(other, ("DomainAdmin", {"domain_id": other}), name="da")
    org_admin = await service.login_with(other, ("OrgAdmin", {"org_id": org}), name="oa")
    await domain_admin.refused(403, "POST", "/domains/ldap/downsync")
    await domain_admin.refused(403, "POST", f"/domains/{domain}/ldap/downsync")
    await domain_admin.refused(403, "POST", f"/system/orgs/{org}/ldap/downsync")
    answer = await sync(domain_admin, f"/domains/{other}/ldap/downsync", **IMPORT)
    assert [item["username"] for item in answer["data"]] == ["paul@other.net"]
    assert await users_of(admin, domain) == []
    answer = await sync(org_admin, f"/system/orgs/{org}/ldap/downsync", **IMPORT)
    assert [item["username"] for item in answer["data"]] == ["anna@example.com"]
    await admin.refused(404, "POST", "/domains/99/ldap/downsync")
    await admin.refused(404, "POST", "/system/orgs/99/ldap/downsync")
    await admin.delete(f"/system/domains/{domain}")
    assert "deleted" in await admin.refused(400, "POST", f"/domains/{domain}/ldap/downsync")
    assert actions(await sync(admin)) == {"unchanged": 1}


async def test_an_organisation_with_a_directory_of_its_own(admin: Api, slapd: Slapd, domain: int) -> None:
    """Its users come from there alone; without, from the one for all. GET never has the password."""
    org = (await admin.post("/system/orgs", {"name": "Org", "domains": [domain]}))["ID"]
    await admin.make_domain("other.net")
    path = f"/system/orgs/{org}/ldap"
    assert await admin.get(path) == {"ldapAvailable": False, "data": {}}
    with Slapd() as own:
        await admin.put(path, document(own))
        shown = await admin.get(path)
        assert shown["ldapAvailable"] is True
        assert own.bind_password not in str(shown)
        add_person(own, "anna")
        add_person(slapd, "paul")
        add_person(slapd, "zoe", mail="zoe@other.net")
        answer = await sync(admin, **IMPORT)
        assert {item["username"] for item in answer["data"]} == {"anna@example.com", "zoe@other.net"}
        await admin.delete(path)
    answer = await sync(admin, f"{path}/downsync", **IMPORT)
    assert item_of(answer, "paul@example.com")["action"] == "create"
    assert item_of(answer, "anna@example.com")["action"] == "skip"
    for method in ("GET", "PUT", "DELETE"):
        await admin.refused(404, method, "/system/orgs/99/ldap", document(slapd) if method == "PUT" else None)


async def test_contacts_are_imported_once_in_an_organisation(admin: Api, slapd: Slapd) -> None:
    """Domains that see each other's contacts get a contact once, a domain by itself has its own."""
    await admin.put(CONFIG, document(slapd, users={
        "filter": "(&(objectClass=inetOrgPerson)(!(title=guest)))", "contactFilter": "(title=guest)",
    }))  # fmt: skip
    one, two, alone = [await admin.make_domain(name) for name in ("one.org", "two.org", "alone.net")]
    await admin.post("/system/orgs", {"name": "Org", "domains": [one, two]})
    add_person(slapd, "guest", "title: guest", mail="guest@far.away")
    assert actions(await sync(admin, **IMPORT)) == {"create": 2}
    assert actions(await sync(admin, f"/domains/{two}/ldap/downsync", **IMPORT)) == {}
    assert actions(await sync(admin, **IMPORT)) == {"unchanged": 2}
    found = {each: await users_of(admin, each) for each in (one, two, alone)}
    assert [len(users) for users in found.values()] == [1, 0, 1]
    (contact,) = found[one]
    assert contact["status"] == 5
    assert contact["properties"]["smtpaddress"] == "guest@far.away"
    change_person(slapd, f"uid=guest,{PEOPLE_DN}", "replace: displayName", "displayName: New")
    assert actions(await sync(admin)) == {"update": 2}


async def test_groups_are_no_users(admin: Api, slapd: Slapd) -> None:
    """Entries that the group filter finds are not imported."""
    await admin.put(CONFIG, document(slapd, groups={"groupfilter": "(title=group)"}))
    await admin.make_domain("example.com")
    add_person(slapd, "team", "title: group")
    add_person(slapd, "anna")
    assert [item["username"] for item in (await sync(admin, **IMPORT))["data"]] == ["anna@example.com"]


async def test_no_directory_and_one_that_is_away(admin: Api, slapd: Slapd) -> None:
    """Without a configuration, with a disabled one, and with a server that is away: 503 with the reason."""
    await admin.make_domain("example.com")
    await admin.refused(503, "POST", "/domains/ldap/downsync")
    await admin.put(CONFIG, document(slapd, disabled=True))
    await admin.refused(503, "POST", "/domains/ldap/downsync")
    await admin.put(CONFIG, document(slapd))
    slapd.stop()
    assert slapd.url in await admin.refused(503, "POST", "/domains/ldap/downsync?timeout=30")


@pytest.mark.parametrize("query", ["timeout=soon", "timeout=-1", "timeout=nan", "import=maybe", f"lang={'x' * 33}"])
async def test_bad_queries(admin: Api, domain: int, query: str) -> None:
    """What makes no sense is refused by the name of the parameter, and no task is made of it."""
    assert query.partition("=")[0] in await admin.refused(400, "POST", f"/domains/ldap/downsync?{query}")
    assert (await admin.get("/tasq/tasks"))["count"] == 0


async def test_two_at_a_time_wait_for_each_other(admin: Api, slapd: Slapd, domain: int) -> None:
    """Updates at the same time do not create anybody twice: one has its turn after the other."""
    for number in range(40):
        add_person(slapd, f"person{number}")
    answers = await asyncio.gather(*(sync(admin, **IMPORT) for _ in range(4)))
    assert sum(actions(answer)["create"] for answer in answers) == 40
    assert sum(actions(answer)["unchanged"] for answer in answers) == 120
    assert len(await users_of(admin, domain)) == 40


async def test_create_defaults_count(admin: Api, slapd: Slapd, domain: int) -> None:
    """Who comes from the directory gets what new users get, unless the directory says otherwise."""
    await admin.put(f"/defaults/createParams/{domain}", {"user": {"smtp": True, "properties": {"comment": "new"}}})
    add_person(slapd, "anna")
    add_person(slapd, "paul", "description: from the directory")
    await sync(admin, **IMPORT)
    anna, paul = await users_of(admin, domain)
    assert anna["smtp"] is True
    assert paul["properties"]["comment"] == "from the directory"


async def test_create_defaults_give_way_to_the_directory(admin: Api, slapd: Slapd, domain: int) -> None:
    """A default counts where the directory has no say, and not for an attribute that an entry lacks."""
    await admin.put("/defaults/createParams", {"user": {"lang": "de_DE", "title": "Dr"}})
    add_person(slapd, "anna")
    add_person(slapd, "paul", "title: Prof")
    await sync(admin, **IMPORT, lang="fr_FR")
    anna, paul = await users_of(admin, domain)
    assert (anna["lang"], paul["lang"]) == ("de_DE", "de_DE")
    assert "title" not in anna["properties"]
    assert paul["properties"]["title"] == "Prof"
    assert actions(await sync(admin)) == {"unchanged": 2}


async def test_changes_of_others_meanwhile(start_service: StartService, slapd: Slapd) -> None:
    """A user that is deleted, or whose name is given away, while the directory is read is an item and no failure."""
    service = await start_service()
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd))
    domain = await admin.make_domain("example.com", maxUser=1000)
    for number in range(250):
        add_person(slapd, f"person{number}")

    async def meddle() -> None:
        for number in range(249, 200, -8):
            answer = await admin.call("POST", f"/domains/{domain}/users", {"username": f"person{number}", "status": 4})
            assert answer.status in (201, 400)

    answer, _ = await asyncio.gather(sync(admin, **IMPORT), meddle())
    assert len(answer["data"]) == 250
    assert set(actions(answer)) <= {"create", "skip"}
    assert len(await users_of(admin, domain)) == 250

"""`organization=0`, the domains without an organisation: whom it reaches, and how many may be removed at once."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from postroom.storage import users
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.support.faults import waiting_server
from tests.support.people import CONFIG, actions, add_person, document, item_of, sync
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import PEOPLE_DN, Slapd

SEARCH, IMPORT, CHECK = (f"/domains/ldap/{name}" for name in ("search", "importUser", "check"))
NO_ORG = {"organization": "0"}


def takes(route: Route, parameter: str) -> bool:
    """Whether an operation has the query parameter."""
    schemas = [
        each["schema"] for each in getattr(route.handler, "__schemas__", ()) if each["location"] == "querystring"
    ]
    return any(parameter in schema.fields for schema in schemas)


ABOUT_ORGANISATIONS = [route for route in ROUTES if takes(route, "organization")]
every_operation = pytest.mark.parametrize("route", ABOUT_ORGANISATIONS, ids=lambda each: f"{each.method} {each.path}")


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A server of the test's own: a person in each of the three domains, and two in none."""
    with Slapd() as server:
        for name in ("alone.net", "other.net", "member.org", "foreign.example"):
            add_person(server, f"some.{name}", mail=f"some@{name}", guid=name.encode())
        yield server


@pytest.fixture
async def places(admin: Api, slapd: Slapd) -> tuple[int, int, int]:
    """Two domains without an organisation and one of organisation 1, of a service with the directory configured."""
    await admin.put(CONFIG, document(slapd))
    alone, other, member = [await admin.make_domain(name) for name in ("alone.net", "other.net", "member.org")]
    await admin.post("/system/orgs", {"name": "Org", "domains": [member]})
    return alone, other, member


def test_operations_are_found() -> None:
    """The tests of this file look at the operations on the directory, and at any that is added."""
    assert {route.path for route in ABOUT_ORGANISATIONS} >= {SEARCH, IMPORT, CHECK, "/domains/ldap/dump"}


@every_operation
async def test_who_may(service: Service, admin: Api, places: tuple[int, int, int], route: Route) -> None:
    """Whoever may read or write in a domain without an organisation may ask about those, and nobody else."""
    alone, _, member = places
    reads = route.method == "GET"
    callers = [
        (await service.login_with(alone, ("DomainAdmin", {"domain_id": alone}), name="a"), True),
        (await service.login_with(alone, ("DomainAdmin", {"everything": True}), name="b"), True),
        (await service.login_with(alone, ("OrgAdmin", {"everything": True}), name="c"), True),
        (await service.login_with(alone, ("DomainAdminRO", {"domain_id": alone}), name="d"), reads),
        (await service.login_with(alone, ("SystemAdminRO", {}), name="e"), reads),
        (await service.login_with(alone, ("DomainAdmin", {"domain_id": member}), name="f"), False),
        (await service.login_with(alone, ("OrgAdmin", {"org_id": 1}), name="g"), False),
        (await service.login_with(alone, ("ResetPasswd", {}), name="h"), False),
        (await service.login_with(alone, ("DomainPurge", {"domain_id": alone}), name="i"), False),
        (admin, True),
    ]
    query = {**NO_ORG, "query": "some", "ID": "alone\\2enet", "force": "true"}
    for caller, may in callers:
        answer = await caller.call(route.method, route.path, params=query)
        assert answer.status in ((200, 201) if may else (403,)), answer.body
        # The organisation that is named by its ID is another matter, and so is everything.
        if not may and caller is not callers[6][0]:
            await caller.refused(403, route.method, route.path, params={**query, "organization": "1"})
        for nonsense in ("x", "-1", "0x", "0,1", ""):
            answer = await caller.call(route.method, route.path, params={**query, "organization": nonsense})
            assert answer.status in (400, 403), answer.body


async def test_only_these_domains_are_meant(service: Service, admin: Api, places: tuple[int, int, int]) -> None:
    """People of the others cannot be imported, and a domain administrator reaches those of their own domain alone."""
    alone, _, _ = places
    helper = await service.login_with(alone, ("DomainAdmin", {"domain_id": alone}))
    found = (await admin.get(SEARCH, params={**NO_ORG, "query": "some"}))["data"]
    assert {person["email"] for person in found} == {"some@alone.net", "some@other.net"}
    found = (await helper.get(SEARCH, params={**NO_ORG, "query": "some"}))["data"]
    assert {person["email"] for person in found} == {"some@alone.net"}
    for caller, object_id in ((admin, "member.org"), (helper, "member.org"), (helper, "other.net")):
        await caller.refused(400, "POST", IMPORT, params={**NO_ORG, "ID": object_id})
    await helper.post(IMPORT, params={**NO_ORG, "ID": "alone.net"})
    await admin.post(IMPORT, params={**NO_ORG, "ID": "other.net"})
    # Who names a domain as well means the domain.
    await admin.post(IMPORT, params={**NO_ORG, "ID": "member.org", "domain": str(places[2])})


async def test_the_directory_for_all_counts(admin: Api, places: tuple[int, int, int]) -> None:
    """Domains without an organisation have the directory for all, also when an organisation has its own."""
    with Slapd() as own:
        add_person(own, "some.member.org", mail="some@member.org")
        await admin.put("/system/orgs/1/ldap", document(own))
        found = (await admin.get(SEARCH, params={**NO_ORG, "query": "some", "showAll": "true"}))["data"]
        assert len(found) == 4
    # In a path, 0 is an organisation that is not there.
    await admin.refused(404, "POST", "/system/orgs/0/ldap/downsync")
    await admin.refused(404, "GET", "/system/orgs/0/ldap")


async def test_removing_reaches_what_the_caller_administers(
    service: Service, admin: Api, slapd: Slapd, places: tuple[int, int, int]
) -> None:
    """Orphans of other domains stay, whoever asks; so do those of organisations, although they are gone as well."""
    alone, other, member = places
    await sync(admin, **{"import": "true"})
    for name in ("alone.net", "other.net", "member.org"):
        slapd.delete(f"uid=some.{name},{PEOPLE_DN}")
    helper = await service.login_with(other, ("DomainAdmin", {"domain_id": alone}))
    assert [each["username"] for each in (await helper.get(CHECK, params=NO_ORG))["orphaned"]] == ["some@alone.net"]
    assert len((await admin.get(CHECK, params=NO_ORG))["orphaned"]) == 2
    deleted = (await helper.delete(CHECK, params={**NO_ORG, "force": "true", "deleteFiles": "false"}))["deleted"]
    assert [each["username"] for each in deleted] == ["some@alone.net"]
    deleted = (await admin.delete(CHECK, params={**NO_ORG, "force": "true"}))["deleted"]
    assert [each["username"] for each in deleted] == ["some@other.net"]
    assert [each["username"] for each in (await admin.get(CHECK))["orphaned"]] == ["some@member.org"]
    assert (await admin.get(f"/domains/{member}/users"))["count"] == 1


async def test_the_guard_counts_for_each_domain(admin: Api, slapd: Slapd, places: tuple[int, int, int]) -> None:
    """Few of all can be many of one domain: then nobody is removed or unlinked. One of a domain may always be gone."""
    alone, other, _ = places
    for number in range(40):
        add_person(slapd, f"big{number}", mail=f"big{number}@other.net")
    for number in range(3):
        add_person(slapd, f"small{number}", mail=f"small{number}@alone.net")
    await sync(admin, **{"import": "true"})
    for number in range(2):
        slapd.delete(f"uid=small{number},{PEOPLE_DN}")
    for query in (NO_ORG, {}):
        reason = await admin.refused(409, "DELETE", CHECK, params=query)
        assert "2 of 4 linked users of the domain alone.net" in reason
    assert "alone.net" in await admin.refused(409, "POST", "/domains/ldap/downsync?unlink=true&timeout=60")
    assert (await admin.get(f"/domains/{alone}/users"))["count"] == 4
    named = (await admin.get(CHECK, params=NO_ORG))["orphaned"][0]["ID"]
    await admin.delete(CHECK, params={**NO_ORG, "userID": str(named)})
    answer = await sync(admin, unlink="true")
    assert actions(answer)["unlink"] == 1
    assert item_of(answer, "small1@alone.net")["action"] == "unlink"
    slapd.delete(f"uid=small2,{PEOPLE_DN}")
    slapd.delete(f"uid=big0,{PEOPLE_DN}")
    assert len((await admin.delete(CHECK, params=NO_ORG))["deleted"]) == 2
    assert (await admin.get(f"/domains/{other}/users"))["count"] == 40


async def link(service: Service, user_id: int, object_id: str) -> None:
    """Links a user to an object, whether it is there or not."""

    def write(connection: sqlite3.Connection) -> None:
        users.update_fields(connection, user_id, {"ldapID": object_id})

    await service.context.database.write(write)


def plain(address: str) -> dict[str, Any]:
    """The smallest configuration of a server."""
    return {
        "connection": {"server": address, "bindUser": "cn=x", "bindPass": "x"},
        "baseDn": "dc=x",
        "objectID": "uid",
        "users": {"username": "mail"},
    }


@pytest.mark.parametrize("meanwhile", ["role", "suspended", "moved", "renamed role", "deleted domain"])
async def test_what_changes_while_the_directory_is_asked(start_service: StartService, meanwhile: str) -> None:
    """Who loses the permission while the directory is being asked removes nobody, and nobody is removed of a domain
    that has come to an organisation, or is deleted, meanwhile."""
    service = await start_service(ldap_timeout=10.0)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain, elsewhere = await admin.make_domain("alone.net"), await admin.make_domain("elsewhere.net")
    helper = await service.login_with(elsewhere, ("DomainAdmin", {"domain_id": domain}))
    helper_id = (await admin.get(f"/domains/{elsewhere}/users"))["data"][0]["ID"]
    user = await admin.make_user(domain, "anna")
    await link(service, user["ID"], "gone")
    async with waiting_server({"dc=x": {"dc": [b"x"]}}) as (address, asked, go_on):
        await admin.put(f"{CONFIG}?force=true", plain(address))
        slow = asyncio.create_task(helper.call("DELETE", CHECK, params={**NO_ORG, "force": "true"}))
        await asked.wait()
        match meanwhile:
            case "role":
                await admin.patch(f"/domains/{elsewhere}/users/{helper_id}/roles", {"roles": []})
            case "suspended":
                await admin.patch(f"/domains/{elsewhere}/users/{helper_id}", {"status": 1})
            case "moved":
                await admin.post("/system/orgs", {"name": "Org", "domains": [domain]})
            case "renamed role":
                permission = {"permission": "DomainAdminRO", "params": domain}
                await admin.patch("/system/roles/1", {"permissions": [permission]})
            case _:
                await admin.delete(f"/system/domains/{domain}")
        go_on.set()
        answer = await slow
    if meanwhile in ("moved", "deleted domain"):
        assert (answer.status, answer.body) == (200, {"deleted": []})
    else:
        # Without any role no login counts any more.
        assert answer.status == (403 if meanwhile == "renamed role" else 401)
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1


async def test_whoever_may_do_more_stays(service: Service, admin: Api, slapd: Slapd) -> None:
    """An orphan who administers the system is not removed by an administrator of their domain, but by one like them."""
    await admin.put(CONFIG, document(slapd))
    domain = await admin.make_domain("alone.net")
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="helper")
    await service.login_with(domain, ("SystemAdmin", {}), name="chief")
    plain_user = await admin.make_user(domain, "anna")
    _, chief, _ = (await admin.get(f"/domains/{domain}/users"))["data"]
    for user in (chief, plain_user):
        await link(service, user["ID"], f"gone{user['ID']}")
    assert len((await helper.get(CHECK, params=NO_ORG))["orphaned"]) == 2
    reason = await helper.refused(403, "DELETE", CHECK, params={**NO_ORG, "userID": str(chief["ID"])})
    assert "chief@alone.net" in reason
    deleted = (await helper.delete(CHECK, params={**NO_ORG, "force": "true"}))["deleted"]
    assert [each["username"] for each in deleted] == ["anna@alone.net"]
    deleted = (await admin.delete(CHECK, params={**NO_ORG, "userID": str(chief["ID"])}))["deleted"]
    assert [each["username"] for each in deleted] == ["chief@alone.net"]


async def test_a_contact_of_a_sibling_domain_is_out_of_reach(service: Service, admin: Api, slapd: Slapd) -> None:
    """A contact that is in another domain of the organisation already is not updated by who administers one domain."""
    guests = {"filter": "(!(title=guest))", "contactFilter": "(title=guest)"}
    await admin.put(CONFIG, document(slapd, users=guests))
    one, two = await admin.make_domain("one.org"), await admin.make_domain("two.org")
    await admin.post("/system/orgs", {"name": "Org", "domains": [one, two]})
    add_person(slapd, "guest", "title: guest", mail="guest@far.away")
    helper = await service.login_with(two, ("DomainAdmin", {"domain_id": two}))
    query = {"ID": "guest", "domain": str(two)}
    await admin.post(IMPORT, params={"ID": "guest", "domain": str(one)})
    # Which one is not told: they may not read it.
    assert "one.org" not in await helper.refused(409, "POST", IMPORT, params=query)
    assert (await admin.call("POST", IMPORT, params=query)).status == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("0", {"a@alone.net", "o@other.net"}),
        ("1", {"m@member.org"}),
        ("0,1", {"a@alone.net", "o@other.net", "m@member.org"}),
        ("1&status=1", set()),
        ("2", set()),
    ],
)
async def test_lists_by_organisation(admin: Api, query: str, names: set[str]) -> None:
    """The lists of all users and of domains are narrowed by organisation, 0 standing for none."""
    domains = {"alone.net": "a", "other.net": "o", "member.org": "m"}
    ids = [await admin.make_domain(name) for name in domains]
    await admin.post("/system/orgs", {"name": "Org", "domains": [ids[2]]})
    for domain, name in zip(ids, domains.values(), strict=True):
        await admin.make_user(domain, name)
    found = await admin.get(f"/system/users?orgID={query}")
    assert {user["username"] for user in found["data"]} == names
    assert found["count"] == len(names)
    if "status" not in query:
        shown = await admin.get(f"/system/domains?orgID={query}")
        assert {each["domainname"] for each in shown["data"]} == {name.partition("@")[2] for name in names}


@pytest.mark.parametrize("route", [route for route in ROUTES if takes(route, "orgID")], ids=lambda each: each.path)
async def test_lists_refuse_what_is_no_organisation(admin: Api, route: Route) -> None:
    """Whatever list takes an organisation refuses one that is no number by the name of the parameter."""
    for nonsense in ("x", "-1", "0,x", "1.5"):
        assert "orgID" in await admin.refused(400, route.method, route.path, params={"orgID": nonsense})
    assert (await admin.get(route.path, params={"orgID": "9" * 50}))["count"] == 0

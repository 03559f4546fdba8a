"""Looking into the directory, taking people over, and finding out who is gone, against a real OpenLDAP server."""

import asyncio
import base64
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.conftest import StartService
from tests.support.people import CONFIG, add_person, change_person, document
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import USER_PASSWORD as LDAP_PASSWORD
from tests.support.slapd import Slapd

pytestmark = pytest.mark.slapd
SEARCH, IMPORT, CHECK, DUMP = (f"/domains/ldap/{name}" for name in ("search", "importUser", "check", "dump"))


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


async def test_search(admin: Api, slapd: Slapd, domain: int) -> None:
    """People are found by any search attribute; who cannot be imported is shown on demand, with the reason."""
    add_person(slapd, "anna.muster", "title: Dr")
    add_person(slapd, "anna.away", mail="anna@foreign.net")
    add_person(slapd, "anna.nomail", mail="")
    found = await admin.get(SEARCH, params={"query": "ANNA"})
    assert found == {
        "data": [
            {
                "ID": r"anna\2emuster", "name": "Anna.Muster", "email": "anna.muster@example.com", "type": "user",
                "error": None,
            }
        ]
    }  # fmt: skip
    everyone = (await admin.get(SEARCH, params={"query": "anna", "showAll": "true"}))["data"]
    reasons = {person["ID"]: person["error"] for person in everyone}
    assert reasons[r"anna\2eaway"] == "There is no domain foreign.net"
    assert "mail" in reasons[r"anna\2enomail"]
    assert (await admin.get(SEARCH, params={"query": "nobody"}))["data"] == []
    assert (await admin.get(SEARCH, params={"query": "anna", "limit": "0"}))["data"] == []


@pytest.mark.parametrize("term", ["***", "a*(", ")(uid=*", "\\2a\\2a", "(|(uid=*))", "anna\x00"])
async def test_search_terms_are_no_filters(admin: Api, slapd: Slapd, domain: int, term: str) -> None:
    """What means something in a filter is text that nobody has in their name."""
    add_person(slapd, "anna")
    answer = await admin.call("GET", SEARCH, params={"query": term})
    assert answer.status == (400 if "\0" in term else 200)
    assert answer.body.get("data", []) == []


async def test_search_needs_three_characters(admin: Api, domain: int) -> None:
    """A short term, or none, is refused by its name."""
    for query in ({}, {"query": ""}, {"query": "ab"}):
        assert "query" in await admin.refused(400, "GET", SEARCH, params=query)


async def test_import(admin: Api, slapd: Slapd, domain: int) -> None:
    """A person becomes a user with 201 who can log in with their password there; again is an update with 200."""
    add_person(slapd, "anna", f"userPassword: {LDAP_PASSWORD}", "mailAlias: smtp:a@example.com", guid=bytes(range(16)))
    object_id = "".join(f"\\{byte:02x}" for byte in range(16))
    user = await admin.post(IMPORT, params={"ID": object_id, "lang": "de_AT"})
    assert (user["username"], user["aliases"], user["lang"]) == ("anna@example.com", ["a@example.com"], "de_AT")
    assert user["ldapID"] == object_id
    change_person(slapd, f"uid=anna,{slapd.people_dn}", "replace: title", "title: Dr")
    again = await admin.call("POST", IMPORT, params={"ID": object_id})
    assert again.status == 200
    assert again.body["ID"] == user["ID"]
    assert again.body["properties"]["title"] == "Dr"
    role = (await admin.post("/system/roles", {"name": "r", "permissions": [], "users": [user["ID"]]}))["ID"]
    assert role
    await admin.service.login("anna@example.com", LDAP_PASSWORD)


async def test_import_of_a_name_that_is_there(admin: Api, slapd: Slapd, domain: int) -> None:
    """An unlinked user of the name is only taken with `force`, an alias of somebody else's never."""
    user = await admin.make_user(domain, "anna")
    await admin.make_user(domain, "other", aliases=["paul@example.com"])
    add_person(slapd, "anna")
    add_person(slapd, "paul")
    assert "anna@example.com" in await admin.refused(409, "POST", IMPORT, params={"ID": "anna"})
    assert (await admin.get(f"/domains/{domain}/users/{user['ID']}"))["ldapID"] is None
    forced = await admin.call("POST", IMPORT, params={"ID": "anna", "force": "true"})
    assert (forced.status, forced.body["ID"], forced.body["ldapID"]) == (200, user["ID"], "anna")
    await admin.refused(409, "POST", IMPORT, params={"ID": "paul", "force": "true"})
    # Somebody of the same name, who is linked to another object.
    add_person(slapd, "anna2", mail="anna@example.com")
    await admin.refused(409, "POST", IMPORT, params={"ID": "anna2"})


async def test_import_of_what_cannot_be_one(admin: Api, slapd: Slapd, domain: int) -> None:
    """Nobody there: 404; no address, a foreign domain, another domain than asked for, a full domain: 400."""
    other = await admin.make_domain("other.net", maxUser=0)
    add_person(slapd, "nomail", mail="")
    add_person(slapd, "foreign", mail="x@foreign.net")
    add_person(slapd, "full", mail="x@other.net")
    await admin.refused(404, "POST", IMPORT, params={"ID": "nobody"})
    for object_id in ("nomail", "foreign", "full"):
        await admin.refused(400, "POST", IMPORT, params={"ID": object_id})
    assert "other.net" in await admin.refused(400, "POST", IMPORT, params={"ID": "full", "domain": str(domain)})
    for broken in ("", "\\", "\\5", "\\zz", "x" * 5000):
        await admin.refused(400, "POST", IMPORT, params={"ID": broken})
    await admin.refused(400, "POST", IMPORT)
    await admin.refused(404, "POST", IMPORT, params={"ID": "full", "domain": "99"})
    await admin.refused(404, "POST", IMPORT, params={"ID": "full", "organization": "99"})
    assert (await admin.get(f"/domains/{other}/users"))["count"] == 0


async def test_import_of_a_contact(admin: Api, slapd: Slapd) -> None:
    """A contact goes to the domain that is named, to an organisation once, and without a name to each of them."""
    await admin.put(CONFIG, document(slapd, users={
        "filter": "(&(objectClass=inetOrgPerson)(!(title=guest)))", "contactFilter": "(title=guest)",
    }))  # fmt: skip
    one, two, alone = [await admin.make_domain(name) for name in ("one.org", "two.org", "alone.net")]
    org = (await admin.post("/system/orgs", {"name": "Org", "domains": [one, two]}))["ID"]
    add_person(slapd, "guest", "title: guest", mail="guest@far.away")
    contact = await admin.post(IMPORT, params={"ID": "guest", "organization": str(org)})
    assert (contact["domainID"], contact["status"]) == (one, 5)
    again = await admin.call("POST", IMPORT, params={"ID": "guest", "domain": str(two)})
    assert (again.status, again.body["ID"]) == (200, contact["ID"])
    everywhere = await admin.call("POST", IMPORT, params={"ID": "guest"})
    assert everywhere.status == 200
    assert everywhere.body == {"message": "The contact has been imported 1 times and updated 1 times"}
    counts = [(await admin.get(f"/domains/{each}/users"))["count"] for each in (one, two, alone)]
    assert counts == [1, 0, 1]


async def test_the_same_person_twice_at_once(admin: Api, slapd: Slapd, domain: int) -> None:
    """Of several imports at the same time one creates the user and the others update them."""
    add_person(slapd, "anna")
    answers = await asyncio.gather(*(admin.call("POST", IMPORT, params={"ID": "anna"}) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [201]
    assert len({answer.body["ID"] for answer in answers}) == 1


async def test_dump(admin: Api, slapd: Slapd, domain: int) -> None:
    """An object is shown with all it has but its password, whatever the filters say; binary values as base64."""
    add_person(slapd, "anna", f"userPassword: {LDAP_PASSWORD}", "description: Zoë", mail="", guid=b"\0\xff")
    text = (await admin.get(DUMP, params={"ID": "\\00\\ff"}))["data"]
    assert text.startswith(f"dn: uid=anna,{slapd.people_dn}\n")
    assert "description: Zoë\n" in text
    assert "objectGUID:: AP8=\n" in text
    assert "userPassword" not in text
    assert LDAP_PASSWORD not in text
    await admin.refused(404, "GET", DUMP, params={"ID": "nobody"})


async def test_dump_keeps_every_character(admin: Api, slapd: Slapd, domain: int) -> None:
    """What would not survive being written as it is, such as a space at the end, is base64, so it can be read back."""
    texts = [" begins", "ends ", ":colon", "<less", "two\nlines", "Zoë", "plain"]
    add_person(slapd, "anna", *(f"description:: {base64.b64encode(text.encode()).decode()}" for text in texts))
    lines = (await admin.get(DUMP, params={"ID": "anna"}))["data"].splitlines()
    shown = [line.removeprefix("description:") for line in lines if line.startswith("description:")]
    assert [line for line in shown if not line.startswith(":")] == [" Zoë", " plain"]
    assert [base64.b64decode(line[1:]).decode() for line in shown if line.startswith(":")] == texts[:5]


async def test_orphans(admin: Api, slapd: Slapd, domain: int) -> None:
    """Only linked users whose object is gone are orphans: no local user, nobody who lost mail or left the filter."""
    for number in range(20):
        add_person(slapd, f"person{number}", "title: in")
    await admin.call("POST", "/domains/ldap/downsync", params={"import": "true", "timeout": "30"})
    await admin.make_user(domain, "local")
    assert await admin.get(CHECK) == {"orphaned": []}
    change_person(slapd, f"uid=person1,{slapd.people_dn}", "delete: mail")
    change_person(slapd, f"uid=person2,{slapd.people_dn}", "delete: title")
    await admin.put(CONFIG, document(slapd, users={"filter": "(title=in)"}))
    slapd.delete(f"uid=person3,{slapd.people_dn}")
    found = await admin.get(CHECK, params={"domain": str(domain)})
    (orphan,) = found["orphaned"]
    named = {"ID": orphan["ID"], "username": "person3@example.com"}
    assert orphan == {**named, "displayname": "Person3", "status": 0, "smtpaddress": "person3@example.com"}
    assert await admin.delete(CHECK) == {"deleted": [named]}
    assert await admin.delete(CHECK) == {"deleted": []}
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 20


async def test_suspiciously_many_orphans(start_service: StartService, slapd: Slapd) -> None:
    """More orphans than the configured share are only removed with `force`, one who is named always."""
    service = await start_service(ldap_orphan_share=25.0)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd))
    domain = await admin.make_domain("example.com")
    for number in range(4):
        add_person(slapd, f"person{number}")
    await admin.call("POST", "/domains/ldap/downsync", params={"import": "true", "timeout": "30"})
    for number in (0, 1):
        slapd.delete(f"uid=person{number},{slapd.people_dn}")
    assert "2 of 4" in await admin.refused(409, "DELETE", CHECK)
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 4
    present, orphan = [user["ID"] for user in (await admin.get(f"/domains/{domain}/users"))["data"]][2:0:-1]
    await admin.refused(404, "DELETE", CHECK, params={"userID": str(present)})
    assert [user["ID"] for user in (await admin.delete(CHECK, params={"userID": str(orphan)}))["deleted"]] == [orphan]
    assert "1 of 3" in await admin.refused(409, "DELETE", CHECK)
    slapd.delete(f"uid=person2,{slapd.people_dn}")
    slapd.delete(f"uid=person3,{slapd.people_dn}")
    await admin.refused(409, "DELETE", CHECK)
    assert len((await admin.delete(CHECK, params={"force": "true", "deleteFiles": "true"}))["deleted"]) == 3


async def test_nobody_is_an_orphan_of_a_directory_that_cannot_be_asked(admin: Api, slapd: Slapd, domain: int) -> None:
    """A missing base, a server that is away: 503, even with `force`, and nobody is removed."""
    add_person(slapd, "anna")
    await admin.post(IMPORT, params={"ID": "anna"})
    gone = document(slapd, baseDn="ou=gone,dc=example,dc=com")
    await admin.put(f"{CONFIG}?force=true", gone)
    await admin.refused(503, "DELETE", CHECK, params={"force": "true"})
    await admin.put(CONFIG, document(slapd))
    slapd.stop()
    await admin.refused(503, "GET", CHECK)
    await admin.refused(503, "DELETE", CHECK, params={"force": "true"})
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1


async def test_who_may(admin: Api, service: Service, slapd: Slapd, domain: int) -> None:
    """Administrators of a domain or an organisation name it, and see and import nobody else's people."""
    other = await admin.make_domain("other.net")
    org = (await admin.post("/system/orgs", {"name": "Org", "domains": [other]}))["ID"]
    add_person(slapd, "anna")
    add_person(slapd, "paul", mail="paul@other.net")
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}), name="ro")
    writer = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="rw")
    organiser = await service.login_with(domain, ("OrgAdmin", {"org_id": org}), name="oa")
    own, others = {"domain": str(domain)}, {"domain": str(other)}
    for caller in (reader, writer):
        for where in ({}, others, {"organization": str(org)}, {"domain": "x"}):
            await caller.refused(403, "GET", SEARCH, params={"query": "anna", **where})
            await caller.refused(403, "GET", DUMP, params={"ID": "anna", **where})
            await caller.refused(403, "GET", CHECK, params=where)
        assert len((await caller.get(SEARCH, params={"query": "example", **own}))["data"]) == 1
        assert await caller.get(CHECK, params=own) == {"orphaned": []}
    await reader.refused(403, "POST", IMPORT, params={"ID": "anna", **own})
    await reader.refused(403, "DELETE", CHECK, params=own)
    await writer.refused(400, "POST", IMPORT, params={"ID": "paul", **own})
    await writer.post(IMPORT, params={"ID": "anna", **own})
    await organiser.post(IMPORT, params={"ID": "paul", "organization": str(org)})
    assert await organiser.delete(CHECK, params={"organization": str(org)}) == {"deleted": []}
    await admin.refused(400, "GET", CHECK, params={"domain": "x"})


async def test_object_ids_travel_as_they_are(admin: Api, slapd: Slapd, domain: int) -> None:
    """An ID of all the bytes that mean something in filters, URLs or JSON links the right person."""
    raw = b"\\*()\0/%&=+ #\"'\xff"
    add_person(slapd, "anna", guid=raw)
    (person,) = (await admin.get(SEARCH, params={"query": "anna"}))["data"]
    user = await admin.post(f"{IMPORT}?ID={quote(person['ID'])}")
    assert user["ldapID"] == person["ID"]
    assert (await admin.get(CHECK))["orphaned"] == []

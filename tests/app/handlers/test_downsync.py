"""Configuring a directory and updating users from it, against a real OpenLDAP server."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service
from tests.support.slapd import USER_PASSWORD as LDAP_PASSWORD
from tests.support.slapd import Slapd, config_document, people_ldif

pytestmark = pytest.mark.slapd
CONFIG = "/system/mconf/ldap"


@pytest.fixture(scope="module")
def running_slapd() -> Iterator[Slapd]:
    """One server for all tests of this file, with a dozen people."""
    with Slapd() as server:
        server.add(people_ldif(12))
        yield server


@pytest.fixture
def slapd(running_slapd: Slapd) -> Iterator[Slapd]:
    """The server with the object IDs of a test's own person; what a test adds it takes away itself."""
    yield running_slapd
    running_slapd.start()


class Person:
    """A directory entry of a test's own, with a binary object ID that needs escaping everywhere."""

    OBJECT_ID = r"\5c\2a\28\29\00\ff\c3Zz9"
    RAW = bytes.fromhex("5c2a282900ffc35a7a39")

    def __init__(self, server: Slapd) -> None:
        import base64

        self.server = server
        self.dn = f"uid=maria.test,{server.people_dn}"
        guid = base64.b64encode(self.RAW).decode()
        server.add(
            f"dn: {self.dn}\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\nuid: maria.test\ncn: Maria Test\n"
            f"sn: Test\nmail: Maria.Test@Example.com\nmail: maria.two@example.com\nmailAlias: smtp:m.t@example.com\n"
            f"mailAlias: wrong address\nmailAlias: maria@foreign.net\ndisplayName: Maria Test 👩\n"
            f"telephoneNumber: +43 1\ntelephoneNumber: +43 2\ntitle: Dr\nmDBOverHardQuotaLimit: 5000\n"
            f"objectGUID:: {guid}\nuserPassword: {LDAP_PASSWORD}\n"
        )

    def change(self, *lines: str) -> None:
        """Changes the entry: LDIF lines after `changetype: modify`."""
        self.server.modify("\n".join([f"dn: {self.dn}", "changetype: modify", *lines, ""]))


@pytest.fixture
def person(slapd: Slapd) -> Iterator[Person]:
    """The entry, taken away afterwards."""
    yield Person(slapd)
    slapd.delete(f"uid=maria.test,{slapd.people_dn}")


def document(server: Slapd, **changes: Any) -> dict[str, Any]:
    """The configuration with the binary object ID."""
    return {**config_document(server), "objectID": "objectGUID", **changes}


@pytest.fixture
async def ldap_domain(admin: Api, slapd: Slapd) -> int:
    """A domain example.com of a service with the directory configured."""
    await admin.put(CONFIG, document(slapd))
    return await admin.make_domain("example.com")


async def test_configuration_is_tested_and_stored_without_showing_its_password(admin: Api, slapd: Slapd) -> None:
    """A configuration that works comes back as it was put, without the password; without one the stored one is kept."""
    assert await admin.get(CONFIG) == {"ldapAvailable": False, "data": {}}
    await admin.put(CONFIG, document(slapd))
    shown = await admin.get(CONFIG)
    assert shown["ldapAvailable"] is True
    assert shown["data"]["connection"]["server"] == slapd.url
    assert "bindPass" not in str(shown)
    assert slapd.bind_password not in str(shown)
    await admin.put(CONFIG, {**shown["data"], "baseDn": slapd.base_dn})
    assert (await admin.get(CONFIG))["data"]["baseDn"] == slapd.base_dn
    await admin.put(CONFIG, {**shown["data"], "disabled": True})
    assert (await admin.get(CONFIG))["ldapAvailable"] is False
    await admin.delete(CONFIG)
    await admin.delete(CONFIG)
    assert await admin.get(CONFIG) == {"ldapAvailable": False, "data": {}}


async def test_configuration_that_fails_is_not_stored_unless_forced(admin: Api, slapd: Slapd) -> None:
    """Wrong password, wrong base, nobody there: 400 with the reason and nothing stored; `force` stores it."""
    good = document(slapd)
    for wrong, named in (
        ({"connection": {**good["connection"], "bindPass": "wrong-bind-password"}}, slapd.url),
        ({"baseDn": "ou=nobody,dc=example,dc=com"}, "ou=nobody"),
        ({"connection": {**good["connection"], "server": "ldap://127.0.0.1:1"}}, "127.0.0.1:1"),
    ):
        reasons = await admin.refused(400, "PUT", CONFIG, {**good, **wrong})
        assert named in reasons
        assert "wrong-bind-password" not in reasons
        assert (await admin.get(CONFIG))["data"] == {}
    away = {**good, "connection": {**good["connection"], "server": "ldap://127.0.0.1:1"}}
    await admin.put(f"{CONFIG}?force=true", away)
    assert (await admin.get(CONFIG))["data"]["connection"]["server"] == "ldap://127.0.0.1:1"
    for wrong in ({**good, "baseDn": 5}, {**good, "surprise": 1}, {}, {**good, "users": {"templates": ["Nosuch"]}}):
        await admin.refused(400, "PUT", f"{CONFIG}?force=true", wrong)


async def test_downsync_links_and_updates(admin: Api, ldap_domain: int, person: Person) -> None:
    """The first update links the user to the object named; a later one follows what has changed there."""
    user = await admin.make_user(ldap_domain, "maria.test", properties={"comment": "by hand"})
    path = f"/domains/{ldap_domain}/users/{user['ID']}"
    assert "not linked" in await admin.refused(400, "PUT", f"{path}/downsync")
    after = await admin.put(f"{path}/downsync", params={"ID": person.OBJECT_ID, "lang": "de_AT"})
    assert after == await admin.get(path)
    assert after["ldapID"] == person.OBJECT_ID
    assert after["username"] == "maria.test@example.com"
    assert after["aliases"] == ["maria.two@example.com", "m.t@example.com"]
    assert after["altnames"] == [{"altname": "maria.test", "magic": 99}]
    assert after["lang"] == "de_AT"
    assert after["properties"]["displayname"] == "Maria Test 👩"
    assert after["properties"]["businesstelephonenumber"] == "+43 1 +43 2"
    assert after["properties"]["storagequotalimit"] == 5000
    assert "comment" not in after["properties"]  # `description` maps to it, and the entry has none
    person.change(
        "delete: title", "-", "delete: mDBOverHardQuotaLimit", "-", "replace: mailAlias", "mailAlias: x@example.com"
    )
    again = await admin.put(f"{path}/downsync?lang=fr_FR")
    assert "title" not in again["properties"]
    assert again["properties"]["storagequotalimit"] == 5000
    assert again["aliases"] == ["maria.two@example.com", "x@example.com"]
    assert again["lang"] == "de_AT"


async def test_downsync_follows_a_rename(admin: Api, ldap_domain: int, person: Person) -> None:
    """The directory's address is the user's name; one in another domain or of somebody else changes nothing."""
    user = await admin.make_user(ldap_domain, "old", altnames=[{"altname": "by.hand"}])
    await admin.make_user(ldap_domain, "taken")
    path = f"/domains/{ldap_domain}/users/{user['ID']}"
    after = await admin.put(f"{path}/downsync", params={"ID": person.OBJECT_ID})
    assert after["username"] == "maria.test@example.com"
    assert {entry["altname"]: entry["magic"] for entry in after["altnames"]} == {"by.hand": 0, "maria.test": 99}
    for address in ("taken@example.com", "maria@elsewhere.org", "nonsense"):
        person.change("replace: mail", f"mail: {address}")
        await admin.refused(400, "PUT", f"{path}/downsync")
        assert await admin.get(path) == after


async def test_names_that_others_have_are_left_out(admin: Api, ldap_domain: int, person: Person) -> None:
    """An alias or altname of somebody else is skipped and the rest goes on."""
    await admin.make_user(ldap_domain, "john", aliases=["m.t@example.com"], altnames=[{"altname": "MARIA.test"}])
    user = await admin.make_user(ldap_domain, "maria.test")
    after = await admin.put(f"/domains/{ldap_domain}/users/{user['ID']}/downsync", params={"ID": person.OBJECT_ID})
    assert after["aliases"] == ["maria.two@example.com"]
    assert after["altnames"] == []
    assert after["properties"]["displayname"] == "Maria Test 👩"


async def test_object_of_another_user(admin: Api, ldap_domain: int, person: Person) -> None:
    """An object that is linked already cannot be linked to a second user."""
    one, two = await admin.make_user(ldap_domain, "one"), await admin.make_user(ldap_domain, "two")
    base = f"/domains/{ldap_domain}/users"
    await admin.put(f"{base}/{one['ID']}/downsync", params={"ID": person.OBJECT_ID})
    reasons = await admin.refused(400, "PUT", f"{base}/{two['ID']}/downsync", params={"ID": person.OBJECT_ID})
    assert str(one["ID"]) in reasons
    assert await admin.get(f"{base}/{two['ID']}") == two


@pytest.mark.parametrize("object_id", ["\\", "\\5", "\\zz", "a\\5", "x" * 5000])
async def test_broken_object_ids(admin: Api, ldap_domain: int, object_id: str) -> None:
    """An ID with a broken escape is a 400."""
    user = await admin.make_user(ldap_domain, "maria.test")
    path = f"/domains/{ldap_domain}/users/{user['ID']}"
    await admin.refused(400, "PUT", f"{path}/downsync", params={"ID": object_id})


@pytest.mark.parametrize("object_id", ["*", "\\2a", "(objectClass=*)", "*)(objectClass=*", "nobody", "\\00"])
async def test_object_that_is_not_there(admin: Api, ldap_domain: int, object_id: str) -> None:
    """An ID that no object has is a 404 and leaves the user alone; nothing in it acts as a filter."""
    user = await admin.make_user(ldap_domain, "maria.test")
    path = f"/domains/{ldap_domain}/users/{user['ID']}"
    await admin.refused(404, "PUT", f"{path}/downsync", params={"ID": object_id})
    assert await admin.get(path) == user


async def test_directory_away(start_service: StartService, slapd: Slapd, person: Person) -> None:
    """Not configured, or configured and gone: 503 in time, the user untouched, and other requests undisturbed."""
    service = await start_service(ldap_timeout=1.0)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.com")
    user = await admin.make_user(domain, "maria.test")
    path = f"/domains/{domain}/users/{user['ID']}"
    params = {"ID": person.OBJECT_ID}
    await admin.refused(503, "PUT", f"{path}/downsync", params=params)
    await admin.put(CONFIG, document(slapd))
    slapd.pause()
    try:
        started = time.perf_counter()
        waiting = asyncio.create_task(admin.refused(503, "PUT", f"{path}/downsync", params=params))
        reads = 0
        while not waiting.done():
            assert await admin.get(path) == user
            reads += 1
        assert slapd.url in await waiting
        assert time.perf_counter() - started < 3
        assert reads > 20
    finally:
        slapd.resume()
    slapd.stop()
    await admin.refused(503, "PUT", f"{path}/downsync", params=params)
    slapd.start()
    assert (await admin.put(f"{path}/downsync", params=params))["ldapID"] == person.OBJECT_ID


async def test_linked_users_log_in_at_the_directory(
    service: Service, admin: Api, ldap_domain: int, person: Person
) -> None:
    """A linked user's password is the directory's, and can neither be set nor changed here."""
    await service.login_with(ldap_domain, ("DomainAdmin", {"domain_id": ldap_domain}), name="maria.test")
    (user,) = (await admin.get(f"/domains/{ldap_domain}/users"))["data"]
    path = f"/domains/{ldap_domain}/users/{user['ID']}"
    await admin.put(f"{path}/downsync", params={"ID": person.OBJECT_ID})
    linked = await service.login("maria.test@example.com", LDAP_PASSWORD)
    for wrong in (USER_PASSWORD, "", LDAP_PASSWORD + "\0"):
        answer = await service.api.call("POST", "/login", {"user": "maria.test@example.com", "pass": wrong})
        assert answer.status in (400, 401)
    await admin.refused(400, "PUT", f"{path}/password", {"new": "long enough"})
    await linked.refused(400, "PUT", "/passwd", {"old": LDAP_PASSWORD, "new": "long enough"})
    by_name = {"user": "maria.test@example.com", "new": "long enough"}
    await service.api.refused(400, "PUT", "/passwd", {**by_name, "old": LDAP_PASSWORD})
    await service.api.refused(401, "PUT", "/passwd", {**by_name, "old": "wrong"})
    assert "ldapID" in await admin.refused(400, "PATCH", path, {"ldapID": "other"})
    await admin.patch(path, {"ldapID": person.OBJECT_ID})
    assert (await admin.patch(path, {"ldapID": None}))["ldapID"] is None
    # The password from before the link is forgotten, and that of the directory counts no more.
    for gone in (USER_PASSWORD, LDAP_PASSWORD):
        await service.api.refused(401, "POST", "/login", {"user": "maria.test@example.com", "pass": gone})
    await admin.put(f"{path}/password", {"new": "long enough"})
    await service.login("maria.test@example.com", "long enough")


async def test_contact_is_updated_without_a_name(admin: Api, ldap_domain: int, person: Person) -> None:
    """A contact keeps the username it has; the address of the entry is its property."""
    contact = await admin.make_user(ldap_domain, "someone@elsewhere.net", status=5)
    path = f"/domains/{ldap_domain}/users/{contact['ID']}"
    after = await admin.put(f"{path}/downsync", params={"ID": person.OBJECT_ID})
    assert after["username"] == contact["username"]
    assert after["properties"]["smtpaddress"].lower() == "maria.test@example.com"
    assert after["aliases"] == []

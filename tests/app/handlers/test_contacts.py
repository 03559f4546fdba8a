"""Contacts: people elsewhere, who have a row in a domain and neither a login nor a store."""

from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from postroom.storage.users import MAGIC_LDAP
from tests.support.service import USER_PASSWORD, Api, Service

#: What belongs to a store.
STORE = [
    route for route in ROUTES if any(room in route.path for room in ("/storeProps", "/storeAccess", "{userID}/oof"))
]
BODIES: dict[str, Any] = {
    "PATCH storeProps": {"title": "Dr"},
    "PUT oof": {"state": 1},
    "POST storeAccess": {"username": "jane@example.org"},
    "PUT storeAccess": {"usernames": []},
}


async def test_contact_of_properties_alone(admin: Api, domain: int) -> None:
    """A web console sends a status and properties, and no username: that is a contact."""
    properties = {"displayname": "Some One", "smtpaddress": "someone@elsewhere.net"}
    contact = await admin.post(f"/domains/{domain}/users", {"status": 5, "properties": properties})
    assert contact["username"] == f"contact-{contact['ID']}"
    assert properties.items() <= contact["properties"].items()
    assert contact["properties"]["displaytypeex"] == 6
    bare = await admin.post(f"/domains/{domain}/users", {"status": 5})
    assert set(bare["properties"]) == {"creationtime", "displaytypeex"}
    assert (await admin.get(f"/domains/{domain}/users?status=5&match=contact"))["count"] == 2


async def test_contact_with_an_address(admin: Api, domain: int) -> None:
    """A username that is given becomes the address of the contact, unless the properties name one."""
    contact = await admin.make_user(domain, "Someone@Elsewhere.net", status=5)
    assert (contact["username"], contact["properties"]["smtpaddress"]) == (
        f"contact-{contact['ID']}",
        "someone@elsewhere.net",
    )
    path = f"/domains/{domain}/users"
    assert "username" in await admin.refused(400, "POST", path, {"username": "no address", "status": 5})


async def test_everyone_else_needs_a_username(admin: Api, domain: int) -> None:
    """Without a username a mailbox and a shared mailbox are a 400 that names it."""
    for body in ({"password": USER_PASSWORD}, {"status": 0, "password": USER_PASSWORD}, {"status": 4}):
        assert "username: Missing" in await admin.refused(400, "POST", f"/domains/{domain}/users", body)


async def test_contact_is_changed(admin: Api, domain: int) -> None:
    """What was read can be sent back; a contact gets no other name and no other kind."""
    contact = await admin.make_user(domain, "someone@elsewhere.net", status=5)
    path = f"/domains/{domain}/users/{contact['ID']}"
    assert await admin.patch(path, contact) == contact
    changed = await admin.patch(path, {"username": contact["username"].upper(), "properties": {"displayname": "S"}})
    assert changed["properties"]["displayname"] == "S"
    for wrong in ("jane", "jane@example.org", f"{contact['username']}@example.org"):
        assert "username" in await admin.refused(400, "PATCH", path, {"username": wrong})
    assert "status" in await admin.refused(400, "PATCH", path, {"status": 0})


async def test_names_do_not_meet(service: Service, admin: Api, domain: int) -> None:
    """A user, an alias and altnames that are called like a contact stand in nobody's way, before and after."""
    first = await admin.make_user(domain, "a@elsewhere.net", status=5)
    following = [f"contact-{first['ID'] + number}" for number in range(1, 8)]
    user = await admin.make_user(
        domain,
        following[0],
        aliases=[f"{first['username']}@example.org"],
        altnames=[{"altname": first["username"]}, *({"altname": name} for name in following)],
    )
    contacts = [await admin.make_user(domain, "b@elsewhere.net", status=5) for _ in range(3)]
    assert [contact["username"] for contact in contacts] == following[1:4]
    role = await admin.post("/system/roles", {"name": "In", "permissions": [{"permission": "ResetPasswd"}]})
    await admin.patch(f"/domains/{domain}/users/{user['ID']}/roles", {"roles": [role["ID"]]})
    for name in (first["username"], following[0], following[1], user["username"]):
        in_ = await service.login(name, USER_PASSWORD)
        assert (await in_.get("/profile"))["user"]["ID"] == user["ID"]


async def test_names_from_a_directory_do_not_meet(service: Service, admin: Api, domain: int) -> None:
    """Inside the database, too, the name of a contact and an altname from a directory are two things."""
    contact = await admin.make_user(domain, "a@elsewhere.net", status=5)
    jane = await admin.make_user(domain, "jane")
    from postroom.storage import ldap_users, users

    name = contact["username"]
    assert await service.context.database.read(ldap_users.list_owners, [name]) == {}
    await service.context.database.write(users.insert_address, jane["ID"], "altname", name, MAGIC_LDAP)
    assert (await admin.get(f"/domains/{domain}/users/{jane['ID']}"))["altnames"][0]["altname"] == name


@pytest.mark.parametrize("route", STORE, ids=lambda route: f"{route.method} {route.path}")
async def test_contacts_have_no_store(admin: Api, domain: int, route: Route) -> None:
    """Every operation on what belongs to a store is a 400 for a contact, and for a shared mailbox it is not."""
    await admin.make_user(domain, "jane")
    contact = await admin.make_user(domain, "x@elsewhere.net", status=5)
    shared = await admin.make_user(domain, "info", status=4)
    await admin.put(f"/domains/{domain}/users/{shared['ID']}/storeAccess", {"usernames": ["jane@example.org"]})
    body = BODIES.get(f"{route.method} {route.path.split('/')[5]}")

    def path(user: dict[str, Any]) -> str:
        return route.path.format(domainID=domain, userID=user["ID"], username="jane@example.org") + "?properties=title"

    assert "is a contact" in await admin.refused(400, route.method, path(contact), body)
    assert await admin.get(f"/domains/{domain}/users/{contact['ID']}") == contact
    assert (await admin.call(route.method, path(shared), body)).status in (200, 201)
    nobody = {"ID": contact["ID"] + 100}
    await admin.refused(404, route.method, path(nobody), body)


def test_the_rooms_of_a_store_are_all_there() -> None:
    """Three operations on properties, four on access, two on out of office."""
    assert len(STORE) == 9


async def test_no_mail_and_no_login(service: Service, admin: Api, domain: int) -> None:
    """A contact has no out of office for the mail server, and cannot log in, with a password either."""
    contact = await admin.make_user(domain, "x@elsewhere.net", status=5, password=USER_PASSWORD)
    await service.api.refused(404, "GET", f"/service/oof/{contact['username']}")
    await service.api.refused(401, "POST", "/login", {"user": contact["username"], "pass": USER_PASSWORD})

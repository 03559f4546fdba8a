"""What new users and domains get when nobody says otherwise."""

from typing import Any

import pytest

from postroom.schemas.values.create_defaults import BUILT_IN
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service

ALL = "/defaults/createParams"


def of(domain: int) -> str:
    """Where the defaults of a domain are."""
    return f"{ALL}/{domain}"


async def stored(admin: Api, path: str) -> dict[str, Any]:
    """What a read answers, without what every new user gets anyhow."""
    data = (await admin.get(path))["data"]
    built_in = BUILT_IN["user"]
    assert path.startswith(f"{ALL}/") or built_in.keys() <= data["user"].keys()
    user = {name: value for name, value in data["user"].items() if (name, value) not in built_in.items()}
    return {"data": {**data, "user": user}}


async def test_nothing_is_set_at_first(admin: Api, domain: int) -> None:
    """Before anything is set both parts are there, and empty: a web console shows nothing without them."""
    for path in (ALL, of(domain), f"{ALL}?domain={domain}"):
        assert await stored(admin, path) == {"data": {"user": {}, "domain": {}}}


async def test_put_replaces(admin: Api, domain: int) -> None:
    """PUT replaces everything, also what it does not name."""
    for path in (ALL, of(domain)):
        defaults = {"user": {"smtp": True, "lang": "de_DE"}, "domain": {"maxUser": 7, "title": "House"}}
        await admin.put(path, defaults)
        assert await stored(admin, path) == {"data": defaults}
        await admin.put(path, {"user": {"pop3_imap": True}})
        assert await stored(admin, path) == {"data": {"user": {"pop3_imap": True}, "domain": {}}}
        await admin.put(path, {})
        assert await stored(admin, path) == {"data": {"user": {}, "domain": {}}}


async def test_patch_merges(admin: Api, domain: int) -> None:
    """PATCH changes what is given; null takes one away, whether it is there or not."""
    for path in (ALL, of(domain)):
        await admin.put(path, {"user": {"smtp": True, "properties": {"title": "Dr"}}, "domain": {"maxUser": 7}})
        await admin.patch(path, {"user": {"smtp": None, "lang": "de_DE", "chat": None, "properties": {"comment": "x"}}})
        expected = {"lang": "de_DE", "properties": {"title": "Dr", "comment": "x"}}
        assert await stored(admin, path) == {"data": {"user": expected, "domain": {"maxUser": 7}}}
        await admin.patch(path, {"user": {"properties": {"title": None, "comment": None}}, "domain": {"maxUser": None}})
        assert await stored(admin, path) == {"data": {"user": {"lang": "de_DE"}, "domain": {}}}


async def test_null_is_no_default(admin: Api) -> None:
    """A client that sends null for what it has no default for stores none."""
    await admin.put(ALL, {"user": {"smtp": None, "storagequotalimit": None}, "domain": {"title": None}})
    assert await stored(admin, ALL) == {"data": {"user": {}, "domain": {}}}


async def test_properties_by_name(admin: Api) -> None:
    """A property stands in `properties` or beside the fields, and counts once: what comes later takes its place."""
    await admin.put(ALL, {"user": {"storagequotalimit": "1 GiB", "properties": {"COMMENT": "x"}}})
    assert (await stored(admin, ALL))["data"]["user"] == {"storagequotalimit": 1048576, "properties": {"comment": "x"}}
    await admin.patch(ALL, {"user": {"comment": "y", "properties": {"storagequotalimit": 5}}})
    assert (await stored(admin, ALL))["data"]["user"] == {"comment": "y", "properties": {"storagequotalimit": 5}}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"user": None}, "user"),
        ({"user": []}, "user"),
        ({"domain": 1}, "domain"),
        ({"users": {}}, "users"),
        ({"user": {"smtp": 1}}, "user.smtp"),
        ({"user": {"privWeb": "true"}}, "user.privWeb"),
        ({"user": {"lang": 5}}, "user.lang"),
        ({"user": {"lang": "x" * 33}}, "user.lang"),
        ({"user": {"surprise": 1}}, "user.surprise"),
        ({"user": {"username": "x"}}, "user.username"),
        ({"user": {"password": "x"}}, "user.password"),
        ({"user": {"status": 4}}, "user.status"),
        ({"user": {"storagequotalimit": "much"}}, "user.storagequotalimit"),
        ({"user": {"storagequotalimit": -1}}, "user.storagequotalimit"),
        ({"user": {"properties": None}}, "user.properties"),
        ({"user": {"properties": {"surprise": 1}}}, "user.properties.surprise"),
        ({"user": {"properties": {"comment": 1}}}, "user.properties.comment"),
        ({"user": {"comment": "x", "properties": {"comment": "x"}}}, "user.comment"),
        ({"domain": {"maxUser": "5"}}, "domain.maxUser"),
        ({"domain": {"maxUser": -1}}, "domain.maxUser"),
        ({"domain": {"endDay": "2026-02-30"}}, "domain.endDay"),
        ({"domain": {"chat": 0}}, "domain.chat"),
        ({"domain": {"domainname": "x.org"}}, "domain.domainname"),
        ({"domain": {"orgID": 1}}, "domain.orgID"),
    ],
)
async def test_refuses(admin: Api, domain: int, body: dict[str, Any], named: str) -> None:
    """Each wrong field is named in a 400, and what was stored stays."""
    for path in (ALL, of(domain)):
        await admin.put(path, {"user": {"smtp": True}})
        for method in ("PUT", "PATCH"):
            assert named in await admin.refused(400, method, path, body)
        assert await stored(admin, path) == {"data": {"user": {"smtp": True}, "domain": {}}}


async def test_unknown_domain(admin: Api) -> None:
    """The defaults of a domain that is not there are a 404; as a parameter it is wrong input."""
    for method, body in (("GET", None), ("PUT", {}), ("PATCH", {})):
        await admin.refused(404, method, of(99), body)
    assert "domain" in await admin.refused(400, "GET", f"{ALL}?domain=99")
    assert "domain" in await admin.refused(400, "GET", f"{ALL}?domain=x")


async def test_users_get_them(admin: Api, domain: int) -> None:
    """A new user gets the defaults for all, those of the domain over them, and what the request says over both."""
    fields = {"smtp": True, "chat": True, "privWeb": False, "lang": "de_DE", "storagequotalimit": 100}
    await admin.put(ALL, {"user": {**fields, "properties": {"title": "Dr", "comment": "x"}}})
    await admin.put(of(domain), {"user": {"chat": False, "title": "Ms", "properties": {"storagequotalimit": 200}}})
    user = await admin.make_user(domain, "jane", privWeb=True, properties={"comment": None, "displayname": "Jane"})
    assert (user["smtp"], user["chat"], user["privWeb"], user["lang"]) == (True, False, True, "de_DE")
    properties = user["properties"]
    assert properties.pop("creationtime")
    assert properties == {"displaytypeex": 0, "storagequotalimit": 200, "title": "Ms", "displayname": "Jane"}
    other = await admin.make_user(await admin.make_domain("other.org"), "john")
    assert (other["chat"], other["properties"]["storagequotalimit"]) == (True, 100)


async def test_what_counts_in_a_domain(admin: Api, domain: int) -> None:
    """With `domain`, a read answers what a new user of that domain gets."""
    await admin.put(ALL, {"user": {"smtp": True, "storagequotalimit": 100}, "domain": {"maxUser": 7}})
    await admin.put(of(domain), {"user": {"smtp": False, "properties": {"storagequotalimit": 200}}})
    effective = await stored(admin, f"{ALL}?domain={domain}")
    assert effective["data"]["user"] == {"properties": {"storagequotalimit": 200}}
    assert effective["data"]["domain"] == {"maxUser": 7}
    assert (await admin.get(of(domain)))["data"]["domain"] == {}


async def test_read_says_what_a_new_user_really_gets(admin: Api, domain: int) -> None:
    """Every field of the answer is what a user has who was created with nothing else."""
    for defaults in ({}, {"user": {"privWeb": False, "smtp": True, "storagequotalimit": 5}}):
        await admin.put(of(domain), defaults)
        expected = (await admin.get(f"{ALL}?domain={domain}"))["data"]["user"]
        user = await admin.make_user(domain, f"user{len(defaults)}")
        found = {**user["properties"], **user}
        assert expected == {name: found[name] for name in expected}
        # What was read can be put, and means the same.
        await admin.put(of(domain), {"user": expected})
        assert (await admin.get(f"{ALL}?domain={domain}"))["data"]["user"] == expected
    assert {"privWeb", "privEas", "privDav", "pop3_imap", "chatAdmin", "lang"} <= expected.keys()


async def test_null_in_the_request_counts(admin: Api, domain: int) -> None:
    """What a request gives as null is given: no default fills it."""
    await admin.put(ALL, {"user": {"lang": "de_DE"}})
    assert (await admin.make_user(domain, "jane", lang=None))["lang"] == ""


async def test_users_who_are_there_stay(admin: Api, domain: int) -> None:
    """Defaults are for new users: nobody else changes, neither by them nor by a later change."""
    user = await admin.make_user(domain, "jane")
    await admin.put(ALL, {"user": {"smtp": True, "comment": "x"}})
    path = f"/domains/{domain}/users/{user['ID']}"
    assert await admin.get(path) == user
    assert (await admin.patch(path, {"lang": "fr_FR"}))["smtp"] is False


async def test_shared_mailboxes_and_contacts(admin: Api, domain: int) -> None:
    """A shared mailbox gets them; a contact, who has no mailbox, does not."""
    await admin.put(ALL, {"user": {"smtp": True, "displaytypeex": 7, "storagequotalimit": 100}})
    shared = await admin.make_user(domain, "info", status=4)
    contact = await admin.make_user(domain, "someone@outside.net", status=5)
    assert (shared["smtp"], shared["properties"]["storagequotalimit"]) == (True, 100)
    assert shared["properties"]["displaytypeex"] == 0
    assert contact["smtp"] is False
    assert set(contact["properties"]) == {"creationtime", "displaytypeex", "smtpaddress"}


async def test_domains_get_them(admin: Api) -> None:
    """A new domain gets the defaults where the request leaves something out, its limit of users as well."""
    assert "maxUser" in await admin.refused(400, "POST", "/system/domains", {"domainname": "a.org"})
    await admin.put(ALL, {"domain": {"maxUser": 7, "title": "House", "tel": "1", "chat": True,
                                     "endDay": "2030-01-01", "syncPolicy": {"allowcam": 0}}})  # fmt: skip
    made = await admin.post("/system/domains", {"domainname": "a.org", "tel": "2"})
    assert (made["maxUser"], made["title"], made["tel"], made["chat"]) == (7, "House", "2", True)
    assert (made["endDay"], made["syncPolicy"]) == ("2030-01-01", {"allowcam": 0})
    assert (await admin.post("/system/domains", {"domainname": "b.org", "maxUser": 1}))["maxUser"] == 1


async def test_who_may(service: Service, admin: Api, domain: int) -> None:
    """Who reads a domain reads what counts in it and for all; who writes in it sets its own, and nothing else."""
    other = await admin.make_domain("other.org")
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}), name="reader")
    writer = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="writer")
    for caller in (reader, writer):
        for path in (ALL, of(domain), f"{ALL}?domain={domain}"):
            await caller.get(path)
        for path in (of(other), f"{ALL}?domain={other}", f"{ALL}?domain=99"):
            await caller.refused(403, "GET", path)
        for method in ("PUT", "PATCH"):
            await caller.refused(403, method, ALL, {})
            await caller.refused(403, method, of(other), {})
    await reader.refused(403, "PUT", of(domain), {})
    await writer.put(of(domain), {"user": {"smtp": True}})
    await writer.patch(of(domain), {"user": {"smtp": False}})


async def test_they_go_with_the_domain(admin: Api, domain: int) -> None:
    """A purged domain takes its defaults along; those for all stay."""
    await admin.put(ALL, {"user": {"chat": True}})
    await admin.put(of(domain), {"user": {"smtp": True}})
    await admin.delete(f"/system/domains/{domain}?purge=true")
    again = await admin.make_domain("example.org")
    assert (await admin.get(of(again)))["data"]["user"] == {}
    assert (await admin.make_user(again, "jane"))["chat"] is True


async def test_they_are_kept(start_service: StartService, tmp_path: Any) -> None:
    """Another start on the same file has them."""
    settings = {"database": str(tmp_path / "postroom.sqlite3")}
    admin = await (await start_service(**settings)).login("admin", ADMIN_PASSWORD)
    await admin.put(ALL, {"user": {"smtp": True}})
    again = await (await start_service(**settings)).login("admin", ADMIN_PASSWORD)
    assert (await stored(again, ALL))["data"]["user"] == {"smtp": True}


async def test_store_langs(service: Service) -> None:
    """The languages are known by code, each once, with a name in the language itself, also without a login."""
    langs = (await service.api.get("/defaults/storeLangs"))["data"]
    names = {lang["code"]: lang["name"] for lang in langs}
    assert len(names) == len(langs) > 300
    assert names["de_DE"] == "Deutsch (Deutschland)"
    assert names["ja_JP"] == "日本語 (日本)"
    assert all(len(code) <= 32 and name for code, name in names.items())


async def test_every_store_lang_can_be_given(admin: Api, domain: int) -> None:
    """A user takes any of the languages."""
    user = await admin.make_user(domain, "jane")
    for lang in (await admin.get("/defaults/storeLangs"))["data"][::50]:
        patched = await admin.patch(f"/domains/{domain}/users/{user['ID']}", {"lang": lang["code"]})
        assert patched["lang"] == lang["code"]

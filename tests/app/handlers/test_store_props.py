"""Properties of a store by name, over HTTP, and the one store behind them and the users' `properties`."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.app.transactions import users
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Value
from postroom.storage.database import Database
from postroom.storage.properties import select_properties, write_properties
from tests.support.service import Api, Service

BINARY = base64.b64encode(bytes(range(256))).decode()
NASTY_TEXT = '{"a": [null, "\\u0041"]}\r\n\t"quoted" \\ 👩‍🚀 \x1f\x7f\u2028 ﬁ'


def name_of(kind: str, *, multi: bool = False, bits: int = 0) -> str:
    """The name of some property of a kind."""
    by_name = proptags._table()[0]
    return next(
        name
        for name, tag in by_name.items()
        if (tag.kind, tag.multi) == (kind, multi) and bits in (0, tag.bits) and tag.name == name
    )


#: At least one value of every kind, with the ends of what it can be.
VALUES: dict[str, Any] = {
    name_of("integer", bits=16): -(2**15),
    name_of("integer", bits=32): 2**31 - 1,
    name_of("integer", bits=64): 2**63 - 1,
    name_of("boolean"): False,
    "alternaterecipientallowed": True,
    "comment": NASTY_TEXT,
    "title": "",
    "lastmodificationtime": "2024-02-29 23:59:59",
    "entryid": BINARY,
    "searchkey": "",
    **{
        name_of(kind, multi=True): value
        for kind, value in {
            "integer": [3, -1, 3],
            "text": ["b", NASTY_TEXT, "", "b"],
            "binary": [BINARY, "", "AAEC"],
        }.items()
    },
}
UNSUPPORTED = next(tag.name for tag in proptags._table()[1].values() if tag.kind is None)
UNKNOWN_LONG = "n" * 300


@pytest.fixture
async def user(admin: Api, domain: int) -> str:
    """The path of a user."""
    return f"/domains/{domain}/users/{(await admin.make_user(domain, 'jane'))['ID']}"


async def read(api: Api, user: str, *names: str) -> Any:
    """The values of these properties, by name."""
    return (await api.get(f"{user}/storeProps?properties={','.join(names)}"))["data"]


@pytest.mark.parametrize(("name", "value"), VALUES.items(), ids=VALUES)
async def test_every_kind_is_the_same_in_both_rooms(admin: Api, user: str, name: str, value: Any) -> None:
    """A value written through either operation is read through both as it was put."""
    answer = await admin.patch(f"{user}/storeProps", {name: value})
    assert answer["errors"] == {}
    for _ in range(2):
        for found in (await read(admin, user, name), (await admin.get(user))["properties"]):
            assert found[name] == value
            assert type(found[name]) is type(value)
        await admin.delete(f"{user}/storeProps?properties={name}")
        assert name not in (await admin.get(user))["properties"]
        await admin.patch(user, {"properties": {name: value}})


async def test_all_kinds_at_once(admin: Api, user: str) -> None:
    """Values of all kinds side by side do not change each other: a text that looks like JSON stays a text."""
    assert (await admin.patch(f"{user}/storeProps", VALUES))["errors"] == {}
    assert await read(admin, user, *VALUES) == VALUES
    properties = (await admin.get(user))["properties"]
    assert {name: properties[name] for name in VALUES} == VALUES


async def test_get_shows_what_is_asked_for_and_there(admin: Api, user: str) -> None:
    """Absent properties are absent, others are not shown, and without names there is nothing."""
    await admin.patch(f"{user}/storeProps", {"title": "Dr", "comment": "x"})
    assert await read(admin, user, "title", "nickname") == {"title": "Dr"}
    assert await read(admin, user, "TITLE", "0x3004001f", "0x3004001F", "%20title") == {"title": "Dr", "comment": "x"}
    for nothing in ("", "?properties=", "?properties=,,", "?other=title"):
        assert await admin.get(f"{user}/storeProps{nothing}") == {"data": {}}


@pytest.mark.parametrize("name", ["nosuch", "0x12345678", "0x", "x'y", "%22", "💥"])
async def test_get_names_the_unknown(admin: Api, user: str, name: str) -> None:
    """An unknown property is a 400 that names it."""
    reasons = await admin.refused(400, "GET", f"{user}/storeProps?properties=title,{name}")
    assert "Unknown property" in reasons
    assert name in reasons or "%" in name


async def test_patch_writes_the_good_and_lists_the_bad(admin: Api, user: str) -> None:
    """Each property is judged by itself; the reasons stand under the names as they were given."""
    await admin.patch(f"{user}/storeProps", {"nickname": "J", "surname": "Doe"})
    answer = await admin.patch(
        f"{user}/storeProps",
        {
            "Title": "Dr",
            "0x3004001f": "hello",
            "nickname": None,
            "givenname": None,
            "storagequotalimit": "10 GiB",
            "NoSuchThing": 1,
            UNKNOWN_LONG: 1,
            UNSUPPORTED: "x",
            "surname": 5,
            "displaytypeex": 2**31,
        },
    )
    assert answer["errors"] == {
        "NoSuchThing": "Unknown tag",
        UNKNOWN_LONG[:100]: "Unknown tag",
        UNSUPPORTED: "Unsupported type",
        "surname": "Invalid type",
        "displaytypeex": "Invalid type",
    }
    assert isinstance(answer["message"], str)
    names = ["title", "comment", "nickname", "givenname", "storagequotalimit", "surname", "displaytypeex"]
    assert await read(admin, user, *names) == {
        "title": "Dr",
        "comment": "hello",
        "storagequotalimit": 10 * 1024 * 1024,
        "surname": "Doe",
        "displaytypeex": 0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", 5),
        ("title", ["x"]),
        ("title", "x" * 32_768),
        ("title", "nul\0"),
        ("title", {}),
        ("displaytypeex", "5"),
        ("displaytypeex", 5.0),
        ("displaytypeex", True),
        ("displaytypeex", -(2**31) - 1),
        ("displaytypeex", 2**200),
        ("storagequotalimit", "many"),
        ("storagequotalimit", -1),
        ("alternaterecipientallowed", 1),
        ("creationtime", "2023-02-29 00:00:00"),
        ("creationtime", 0),
        ("entryid", "no base64"),
        ("entryid", "AAF="),
        (name_of("text", multi=True), "x"),
        (name_of("text", multi=True), ["x", 1]),
        (name_of("binary", multi=True), ["AAF="]),
    ],
)
async def test_patch_refuses_what_is_no_value(admin: Api, user: str, name: str, value: Any) -> None:
    """A value of another type, or one that its type cannot hold, is `Invalid type`, and nothing is written."""
    before = await admin.get(user)
    answer = await admin.patch(f"{user}/storeProps", {name: value})
    assert answer["errors"] == {name: "Invalid type"}
    assert await admin.get(user) == before


async def test_patch_null(admin: Api, user: str) -> None:
    """null removes what is there and minds nothing else, but an unknown name is still unknown."""
    await admin.patch(f"{user}/storeProps", {"title": "Dr"})
    answer = await admin.patch(f"{user}/storeProps", {"TITLE": None, "nickname": None, "nosuch": None})
    assert answer["errors"] == {"nosuch": "Unknown tag"}
    assert await read(admin, user, "title", "nickname") == {}


async def test_patch_takes_the_last_of_several_names(admin: Api, user: str) -> None:
    """One property under two names is written once, as it stands last."""
    answer = await admin.patch(f"{user}/storeProps", {"comment": "first", "0x3004001f": "last"})
    assert answer["errors"] == {}
    assert await read(admin, user, "comment") == {"comment": "last"}


@pytest.mark.parametrize("body", ["{}", "[]", '["title"]', "5", '"title"', "null", "", "{", '{"title": "\\ud800"}'])
async def test_patch_needs_an_object_that_is_not_empty(admin: Api, user: str, body: str) -> None:
    """Anything but an object with at least one property is a 400."""
    await admin.refused(400, "PATCH", f"{user}/storeProps", data=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("name", ["", "a.b", "properties", "__proto__", "'; DROP TABLE users", "💥", "\u0000", "0x"])
async def test_patch_of_odd_names(admin: Api, user: str, name: str) -> None:
    """Whatever is no property is an unknown tag under just that name."""
    assert (await admin.patch(f"{user}/storeProps", {name: 1}))["errors"] == {name: "Unknown tag"}


async def test_delete(admin: Api, user: str) -> None:
    """The properties named are removed, by name or number; one that is not there is fine."""
    await admin.patch(f"{user}/storeProps", {"title": "Dr", "comment": "x", "nickname": "J"})
    answer = await admin.delete(f"{user}/storeProps?properties=Title,0x3004001f,surname")
    assert set(answer) == {"message"}
    assert await read(admin, user, "title", "comment", "nickname") == {"nickname": "J"}


async def test_delete_refuses_and_removes_nothing(admin: Api, user: str) -> None:
    """An unknown name is a 400 and none at all removes nothing: either way every property stays."""
    await admin.patch(f"{user}/storeProps", {"title": "Dr"})
    assert "nosuch" in await admin.refused(400, "DELETE", f"{user}/storeProps?properties=title,nosuch")
    for nothing in ("", "?properties=", "?properties=,"):
        await admin.delete(f"{user}/storeProps{nothing}")
    assert await read(admin, user, "title") == {"title": "Dr"}


CALLS = [("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)]


@pytest.mark.parametrize(("method", "body"), CALLS)
async def test_only_users_of_the_domain_count(admin: Api, domain: int, user: str, method: str, body: Any) -> None:
    """Under another domain, or with an ID that nobody has, there is nothing."""
    other = await admin.make_domain("example.net")
    foreign = user.replace(f"/domains/{domain}/", f"/domains/{other}/")
    for wrong in (foreign, *(f"/domains/{domain}/users/{number}" for number in (0, 999, "x", 2**63))):
        await admin.refused(404, method, f"{wrong}/storeProps?properties=title", body)


async def test_permissions(service: Service, domain: int, user: str) -> None:
    """Reading needs read, changing and removing need write, in that very domain."""
    path = f"{user}/storeProps?properties=title"
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}), name="reader")
    writer = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="writer")
    stranger = await service.login_with(domain, ("ResetPasswd", {}), name="stranger")
    await writer.patch(path, {"title": "Dr"})
    assert await reader.get(path) == {"data": {"title": "Dr"}}
    for method, body in CALLS:
        await stranger.refused(403, method, path, body)
        await service.api.refused(401, method, path, body)
        if method != "GET":
            await reader.refused(403, method, path, body)
    assert await reader.get(path) == {"data": {"title": "Dr"}}
    await writer.delete(path)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
binaries = st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=texts, several=st.lists(texts, max_size=4), binary=binaries, parts=st.lists(binaries, max_size=4))
async def test_any_text_and_bytes_come_back(
    database: Database, text: str, several: list[str], binary: str, parts: list[str]
) -> None:
    """Whatever text or bytes are stored are read as they were, alone and as one of many."""
    values: dict[str, Value] = {
        "comment": text,
        name_of("text", multi=True): several,
        "entryid": binary,
        name_of("binary", multi=True): parts,
    }
    tags = {name: tag for name in values if (tag := proptags.find(name)) is not None}

    def store(connection: Any) -> None:
        connection.execute(
            "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (1, 'd', 'd', 1) ON CONFLICT DO NOTHING"
        )
        connection.execute("INSERT INTO users (id, domain_id, username) VALUES (1, 1, 'u') ON CONFLICT DO NOTHING")
        write_properties(connection, 1, {tags[name]: value for name, value in values.items()})

    await database.write(store)
    found = await select_properties(database, 1, 1, [tag.tag for tag in tags.values()])
    assert found is not None
    assert orjson.loads(found) == {"data": values}


async def test_properties_have_a_size_together(admin: Api, domain: int) -> None:
    """Many bodies one after the other do not make a user larger without end, and what is there can always shrink."""
    user = (await admin.make_user(domain, "large"))["ID"]
    path = f"/domains/{domain}/users/{user}/storeProps"
    names = [f"extensionattribute{number}" for number in range(1, 9)]
    names = [f"addressbook{name}" for name in names] + ["comment"]
    text = "\N{GRINNING FACE}" * 32_000  # 128,000 octets
    for name in names[:8]:
        await admin.patch(path, {name: text})
    refused = "The properties of one user take at most 1 MiB together"
    assert refused in await admin.refused(400, "PATCH", path, {names[8]: text})
    assert refused in await admin.refused(
        400, "PATCH", f"/domains/{domain}/users/{user}", {"properties": {names[8]: text}}
    )
    assert names[8] not in (await admin.get(f"{path}?properties={','.join(names)}"))["data"]
    await admin.patch(path, {names[0]: None, names[8]: text})


async def test_what_was_too_large_before_can_shrink(admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user from before there was a bound can be changed, but not grow."""
    user = (await admin.make_user(domain, "large"))["ID"]
    path = f"/domains/{domain}/users/{user}/storeProps"
    await admin.patch(path, {"comment": "x" * 1000})
    monkeypatch.setattr(users, "MOST_OCTETS", 100)
    await admin.patch(path, {"comment": "x" * 900})
    await admin.refused(400, "PATCH", path, {"comment": "x" * 901})
